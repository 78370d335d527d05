"""DeleteOptions: from the body, or from the query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from picluster.api import errors
from picluster.api.types import Object
from picluster.apiserver.requestinfo import Query, flag, number

MANAGER_MAX_BYTES = 128
VALIDATIONS = ("", "Ignore", "Strict", "Warn")
POLICIES = ("Background", "Foreground", "Orphan")
ORPHAN_FINALIZER = "orphan"
FOREGROUND_FINALIZER = "foregroundDeletion"


@dataclass(slots=True)
class DeleteOptions:
    """``propagation`` is one of ``POLICIES``, or empty when the client does not say."""

    grace_period_s: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    def document(self) -> Object:
        """As the API has it, with what was given only."""
        preconditions = {"uid": self.uid, "resourceVersion": self.resource_version}
        given: Object = {
            "gracePeriodSeconds": self.grace_period_s,
            "preconditions": {field: value for field, value in preconditions.items() if value} or None,
            "propagationPolicy": self.propagation or None,
            "dryRun": ["All"] if self.dry_run else None,
        }
        return {field: value for field, value in given.items() if value is not None}


def write_options(query: Query, kind: str, *, applies: bool = False) -> Object:
    """The fields of CreateOptions, UpdateOptions or PatchOptions (``kind``) that a query gives.

    Raises ``ApiError`` 422. Rules: ``ValidateCreateOptions`` and its likes in apimachinery's ``meta/v1/validation``.
    """
    options: Object = {field: query[field] for field in ("fieldManager", "fieldValidation") if query.get(field)}
    if query.get("dryRun"):
        options["dryRun"] = [query["dryRun"]]
    if "force" in query and kind == "PatchOptions":
        options["force"] = flag(query, "force")
    failures = list(_option_failures(options, kind, applies=applies))
    if failures:
        raise errors.invalid("meta.k8s.io", kind, "", failures)
    return options


def _option_failures(options: Object, kind: str, *, applies: bool) -> Iterator[errors.FieldError]:
    manager, validation = options.get("fieldManager", ""), options.get("fieldValidation", "")
    if applies and not manager:
        yield errors.required("fieldManager", "is required for apply patch")
    if not applies and "force" in options:
        yield errors.forbidden_field("force", "may not be specified for non-apply patch")
    if len(manager.encode()) > MANAGER_MAX_BYTES:
        yield errors.too_long("fieldManager", MANAGER_MAX_BYTES)
    for position, character in enumerate(manager):
        if not character.isprintable():
            why = f"invalid character U+{ord(character):04X} (at position {len(manager[:position].encode())})"
            yield errors.invalid_value("fieldManager", manager, why)
    if options.get("dryRun", ["All"]) != ["All"]:
        yield errors.not_supported("dryRun", options["dryRun"], ("All",))
    if validation not in VALIDATIONS:
        yield errors.not_supported("fieldValidation", validation, VALIDATIONS)


def delete_options(query: Query, body: Any) -> DeleteOptions:
    """A body, when there is one, counts instead of the query's parameters, as in Kubernetes."""
    if body:
        if not isinstance(body, dict) or body.get("kind", "DeleteOptions") != "DeleteOptions":
            raise errors.bad_request("the body of a deletion must be DeleteOptions")
        options = _from_body(body)
    else:
        options = DeleteOptions(
            grace_period_s=number(query, "gracePeriodSeconds"),
            propagation=_propagation(query.get("propagationPolicy", ""), query.get("orphanDependents")),
        )
    if "dryRun" in query:
        options.dry_run = dry_run(query.get("dryRun", ""))
    return options


def dry_run(value: str) -> bool:
    """The ``dryRun`` parameter: absent, or ``All``."""
    if value not in ("", "All"):
        failure = errors.not_supported("dryRun", [value], ("All",))
        raise errors.invalid("meta.k8s.io", "CreateOptions", "", [failure])
    return value == "All"


def deletion_finalizers(finalizers: list[str], propagation: str) -> list[str]:
    """What an object's finalizers are once it is deleted under ``propagation``; the garbage collector removes them."""
    if not propagation:
        return finalizers
    kept = [name for name in finalizers if name not in (ORPHAN_FINALIZER, FOREGROUND_FINALIZER)]
    if propagation == "Orphan":
        return [*kept, ORPHAN_FINALIZER]
    return [*kept, FOREGROUND_FINALIZER] if propagation == "Foreground" else kept


def _from_body(body: dict[str, Any]) -> DeleteOptions:
    grace_period_s = body.get("gracePeriodSeconds")
    if grace_period_s is not None and (not isinstance(grace_period_s, int) or isinstance(grace_period_s, bool)):
        raise errors.bad_request("gracePeriodSeconds must be a number of seconds")
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace_period_s,
        _propagation(body.get("propagationPolicy") or "", body.get("orphanDependents")),
        preconditions.get("uid") or "",
        preconditions.get("resourceVersion") or "",
        any(dry_run(value) for value in body.get("dryRun") or ()),
    )


def _propagation(policy: str, orphan: Any) -> str:
    if policy and orphan is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        raise _invalid(errors.invalid_value("propagationPolicy", policy, detail))
    if orphan is not None:
        return "Orphan" if orphan in (True, "true", "1") else "Background"
    if policy and policy not in POLICIES:
        raise _invalid(errors.not_supported("propagationPolicy", policy, (*POLICIES, "nil")))
    return policy


def _invalid(failure: errors.FieldError) -> errors.ApiError:
    return errors.invalid("meta.k8s.io", "DeleteOptions", "", [failure])
