"""Pods: creation, the few things an update may change, status."""

from __future__ import annotations

import orjson

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import containers, metadata, podchanges, podgates, podspec, tolerations
from picluster.api.validation.common import INT32_MAX, in_range, ip, named, not_negative

Failures = list[FieldError]

_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_UPDATABLE = ",".join((
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
))  # fmt: skip
_RIGHT: dict[bytes, None] = {}
"""Specs without a failure, the longest known first; an answer depends on nothing but the spec."""
_RIGHT_MAX = 128
_RIGHT_BYTES_MAX = 8 * 1024
_SYSTEM_CONDITIONS = frozenset({"PodScheduled", "Ready", "Initialized"})

validate_ephemeralcontainers = podchanges.validate_ephemeralcontainers
validate_resize = podchanges.validate_resize


def validate(pod: Object) -> Failures:
    failures: Failures = []
    _whole(pod, failures)
    spec = pod["spec"]
    if spec.get("ephemeralContainers"):
        failures.append(forbidden_field("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        detail = "cannot be set until all schedulingGates have been cleared"
        failures.append(forbidden_field("spec.nodeName", detail))
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    spec, old_spec = new["spec"], old["spec"]
    if spec == old_spec:
        _deletion_cost(new, failures)
        return failures
    podspec.validate(spec, "spec", failures, in_pod=True)
    for group in ("containers", "initContainers"):
        if len(spec.get(group) or ()) != len(old_spec.get(group) or ()):
            failures.append(forbidden_field(f"spec.{group}", "pod updates may not add or remove containers"))
            return failures
        containers.images_without_space(spec.get(group) or [], f"spec.{group}", failures)
    if not _deadline(spec.get("activeDeadlineSeconds"), old_spec.get("activeDeadlineSeconds"), failures):
        return failures
    tolerated, old_tolerated = spec.get("tolerations") or [], old_spec.get("tolerations") or []
    tolerations.only_added(tolerated, old_tolerated, "spec.tolerations", failures)
    podgates.gates(spec.get("schedulingGates") or [], old_spec.get("schedulingGates") or [], failures)
    munged = _without_updatable(spec, old_spec)
    if old_spec.get("schedulingGates"):
        munged = podgates.narrowed(munged, old_spec, failures)
    if munged != old_spec:
        detail = f"pod updates may not change fields other than {_UPDATABLE}"
        failures.append(forbidden_field("spec", f"{detail}\n{_difference(munged, old_spec)}"))
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status, old_status = new.get("status") or {}, old.get("status") or {}
    not_negative(status, "observedGeneration", "status", failures)
    for index, condition in enumerate(status.get("conditions") or ()):
        kind, path = condition.get("type", ""), f"status.conditions[{index}]"
        not_negative(condition, "observedGeneration", path, failures)
        if kind not in _SYSTEM_CONDITIONS:
            named(names.qualified_name(kind), f"{path}.Type", kind, failures)
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != old_status.get("nominatedNodeName"):
        named(names.dns1123_subdomain(nominated), "status.nominatedNodeName", nominated, failures)
        if old["spec"].get("nodeName"):
            detail = "may not be set on pods that are already bound to a node"
            failures.append(forbidden_field("status.nominatedNodeName", detail))
    metadata.immutable(status.get("qosClass"), old_status.get("qosClass"), "status.qosClass", failures)
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        _transitions(status, old_status, field, old["spec"], failures)
    for field in ("podIPs", "hostIPs"):
        _addresses(status.get(field) or [], f"status.{field}", failures)
    host = (status.get("hostIPs") or [{"ip": status.get("hostIP")}])[0].get("ip")
    if host != status.get("hostIP"):
        failures.append(invalid_value("status.hostIPs[0].ip", host, "must be equal to `hostIP`"))
    return failures


def _whole(pod: Object, failures: Failures) -> None:
    metadata.validate(pod["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _deletion_cost(pod, failures)
    _spec(pod.get("spec") or {}, failures)


def _spec(spec: Object, failures: Failures) -> None:
    """Most pods are made of few templates: a spec that was right a moment ago is right again."""
    text = orjson.dumps(spec)
    if text in _RIGHT:
        return
    before = len(failures)
    podspec.validate(spec, "spec", failures, in_pod=True)
    if not spec.get("serviceAccountName"):
        _no_tokens(spec, failures)
    for group in ("containers", "initContainers"):
        if spec.get(group):
            containers.images_without_space(spec[group], f"spec.{group}", failures)
    if len(failures) == before and len(text) <= _RIGHT_BYTES_MAX:
        if len(_RIGHT) >= _RIGHT_MAX:
            del _RIGHT[next(iter(_RIGHT))]
        _RIGHT[text] = None


def _deletion_cost(pod: Object, failures: Failures) -> None:
    annotations = pod["metadata"].get("annotations")
    cost = annotations.get(_DELETION_COST) if annotations else None
    if cost is None:
        return
    digits = cost.removeprefix("-").removeprefix("+")
    canonical = digits == "0" or not digits.startswith("0")
    if not digits.isdecimal() or not canonical or cost[:1] == "+" or not -(2**31) <= int(cost) < 2**31:
        path = f"metadata.annotations[{_DELETION_COST}]"
        failures.append(invalid_value(path, cost, "must be a 32bit integer"))


def _no_tokens(spec: Object, failures: Failures) -> None:
    for index, volume in enumerate(spec.get("volumes") or ()):
        for place, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                path = f"spec.volumes[{index}].projected.sources[{place}].serviceAccountToken"
                detail = "must not be specified when serviceAccountName is not set"
                failures.append(forbidden_field(path, detail))


def _deadline(new_s: int | None, old_s: int | None, failures: Failures) -> bool:
    """A deadline may appear and shrink; returns whether it is worth looking further."""
    path = "spec.activeDeadlineSeconds"
    if new_s is None:
        if old_s is not None:
            failures.append(invalid_value(path, None, "must not update from a positive integer to nil value"))
        return True
    before = len(failures)
    in_range(new_s, 0, INT32_MAX, path, failures)
    if old_s is not None and old_s < new_s:
        failures.append(invalid_value(path, new_s, "must be less than or equal to previous value"))
    return len(failures) == before


def _without_updatable(spec: Object, old: Object) -> Object:
    """``spec`` with everything an update may change as it is in ``old``."""
    munged = dict(spec)
    fields = ["activeDeadlineSeconds", "schedulingGates", "tolerations"]
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        fields.append("terminationGracePeriodSeconds")
    for field in fields:
        if field in old:
            munged[field] = old[field]
        else:
            munged.pop(field, None)
    for group in ("containers", "initContainers"):
        if group in munged:
            pairs = zip(munged[group], old.get(group) or (), strict=True)
            munged[group] = [{**container, "image": before.get("image")} for container, before in pairs]
    return munged


def _difference(munged: Object, old: Object) -> str:
    """Which fields differ, and how, for the person who tried to change them."""
    fields = sorted(field for field in {*munged, *old} if munged.get(field) != old.get(field))
    return "\n".join(f"- {field}: {old.get(field)!r}\n+ {field}: {munged.get(field)!r}" for field in fields)


def _transitions(status: Object, old: Object, field: str, spec: Object, failures: Failures) -> None:
    """What has ended for good does not run again."""
    now = {container.get("name"): container for container in status.get(field) or ()}
    defined = {container.get("name"): container for container in spec.get(field.replace("Statuses", "s")) or ()}
    for index, before in enumerate(old.get(field) or ()):
        ended, after = (before.get("state") or {}).get("terminated"), now.get(before.get("name"))
        if ended is None or after is None or (after.get("state") or {}).get("terminated") is not None:
            continue
        policy = "Never" if field == "ephemeralContainerStatuses" else spec.get("restartPolicy", "")
        container = defined.get(before.get("name")) or {}
        if not _restarts(container, policy, ended.get("exitCode", 0)) and not _all_may_restart(spec):
            detail = "may not be transitioned to non-terminated state"
            failures.append(forbidden_field(f"status.{field}[{index}].state", detail))


def _restarts(container: Object, policy: str, exit_code: int) -> bool:
    """By the container's own rules and policy (KEP-5307, and sidecars), or else by the pod's."""
    if own := container.get("restartPolicy"):
        policy = own
        for rule in container.get("restartPolicyRules") or ():
            codes = rule.get("exitCodes") or {}
            among = exit_code in (codes.get("values") or ())
            if (codes.get("operator") == "In" and among) or (codes.get("operator") == "NotIn" and not among):
                if rule.get("action") == "Restart":
                    return True
                break
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _all_may_restart(spec: Object) -> bool:
    """Whether some container's end can have all of them begin anew (KEP-5532)."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    rules = (rule for container in containers for rule in container.get("restartPolicyRules") or ())
    return any(rule.get("action") == "RestartAllContainers" for rule in rules)


def _addresses(addresses: list[Object], path: str, failures: Failures) -> None:
    seen: set[str] = set()
    for index, address in enumerate(addresses):
        text = address.get("ip", "")
        if not text:
            failures.append(required(f"{path}[{index}].ip"))
            continue
        ip(text, f"{path}[{index}]", failures)
        if text in seen:
            failures.append(duplicate(f"{path}[{index}]", address))
        seen.add(text)
    if len(addresses) > 2 or len({":" in address.get("ip", "") for address in addresses}) != len(addresses) > 0:
        detail = "may specify no more than one IP for each IP family"
        failures.append(invalid_value(path, addresses, detail))
