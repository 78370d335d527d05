"""CSIDrivers. Source: ``pkg/apis/storage/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import metadata, storage

Failures = list[FieldError]

FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Ephemeral", "Persistent")
TOKEN_EXPIRATION_MIN_S = 600
TOKEN_EXPIRATION_MAX_S = 2**32
UPDATE_PERIOD_MIN_S = 10


def validate(csidriver: Object) -> Failures:
    failures: Failures = []
    metadata.validate(csidriver["metadata"], failures, namespaced=False, name=_name)
    _spec(csidriver.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    _spec(spec, failures)
    attach, old_attach = spec.get("attachRequired"), old_spec.get("attachRequired")
    metadata.immutable(attach, old_attach, "spec.attachedRequired", failures)
    modes, old_modes = spec.get("volumeLifecycleModes"), old_spec.get("volumeLifecycleModes")
    metadata.immutable(modes, old_modes, "spec.volumeLifecycleModes", failures)
    return failures


def _name(name: str) -> names.Messages:
    failures: Failures = []
    storage.driver_name(name, "", failures)
    return tuple(failure.message.rpartition('": ')[2] for failure in failures)


def _spec(spec: Object, failures: Failures) -> None:
    policy = spec.get("fsGroupPolicy")
    if policy and policy not in FS_GROUP_POLICIES:
        failures.append(not_supported("spec.fsGroupPolicy", policy, FS_GROUP_POLICIES))
    _token_requests(spec.get("tokenRequests") or [], failures)
    for index, mode in enumerate(spec.get("volumeLifecycleModes") or ()):
        if mode not in LIFECYCLE_MODES:
            failures.append(not_supported(f"spec.volumeLifecycleModes[{index}]", mode, LIFECYCLE_MODES))
    period_s = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period_s is not None and period_s < UPDATE_PERIOD_MIN_S:
        detail = f"must be greater than or equal to {UPDATE_PERIOD_MIN_S} seconds"
        failures.append(invalid_value("spec.nodeAllocatableUpdatePeriodSeconds", period_s, detail))
    if spec.get("serviceAccountTokenInSecrets") is not None and not spec.get("tokenRequests"):
        detail = "must be specified when serviceAccountTokenInSecrets is set"
        failures.append(required("spec.tokenRequests", detail))


def _token_requests(requests: list[Object], failures: Failures) -> None:
    audiences: set[str] = set()
    for index, request in enumerate(requests):
        path, audience = f"spec.tokenRequests[{index}]", request.get("audience") or ""
        if audience in audiences:
            failures.append(duplicate(f"{path}.audience", audience))
            continue
        audiences.add(audience)
        expiration_s = request.get("expirationSeconds")
        if expiration_s is None:
            continue
        where = f"{path}.expirationSeconds"
        if expiration_s < TOKEN_EXPIRATION_MIN_S:
            failures.append(invalid_value(where, expiration_s, "may not specify a duration less than 10 minutes"))
        if expiration_s > TOKEN_EXPIRATION_MAX_S:
            failures.append(invalid_value(where, expiration_s, "may not specify a duration larger than 2^32 seconds"))
