"""DeleteOptions: from the body, or from the query."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from picluster.api import errors, schema
from picluster.api.resources import DELETE_OPTIONS
from picluster.api.types import Object
from picluster.apiserver.requestinfo import Query, flag, number

MANAGER_MAX_BYTES = 128
VALIDATIONS = ("", "Ignore", "Strict", "Warn")
POLICIES = ("Foreground", "Background", "Orphan")
READ_ERRORS = "ignoreStoreReadErrorWithClusterBreakingPotential"
"""Asks to delete what cannot be read any more; there is nothing of that kind in here, so it only is checked."""
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
    dependents_go: bool = False
    """``orphanDependents: false``, the old way to ask for it: what waits is answered with 202 then."""

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
    """A body, when there is one, counts instead of the query's parameters, as in Kubernetes; raises ``ApiError``.

    A dry run that only the query asks for is one too: nobody wants the opposite.
    """
    if body:
        if not isinstance(body, dict) or body.get("kind", "DeleteOptions") != "DeleteOptions":
            raise errors.bad_request("the body of a deletion must be DeleteOptions")
        schema.check(DELETE_OPTIONS, body)
        document = {field: value for field, value in body.items() if value is not None}
    else:
        document = _of_query(query)
    if query.get("dryRun"):
        document["dryRun"] = [query["dryRun"]]
    failures = list(_delete_failures(document))
    if failures:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", failures)
    preconditions = document.get("preconditions") or {}
    return DeleteOptions(
        document.get("gracePeriodSeconds"),
        _propagation(document),
        preconditions.get("uid") or "",
        preconditions.get("resourceVersion") or "",
        bool(document.get("dryRun")),
        document.get("orphanDependents") is False,
    )


def deletion_finalizers(finalizers: list[str], propagation: str) -> list[str]:
    """What an object's finalizers are once it is deleted under ``propagation``; the garbage collector removes them."""
    if not propagation:
        return finalizers
    kept = [name for name in finalizers if name not in (ORPHAN_FINALIZER, FOREGROUND_FINALIZER)]
    if propagation == "Orphan":
        return [*kept, ORPHAN_FINALIZER]
    return [*kept, FOREGROUND_FINALIZER] if propagation == "Foreground" else kept


def _of_query(query: Query) -> Object:
    document: Object = {"gracePeriodSeconds": number(query, "gracePeriodSeconds")}
    for name in ("orphanDependents", READ_ERRORS):
        if query.get(name):
            document[name] = flag(query, name)
    if query.get("propagationPolicy"):
        document["propagationPolicy"] = query["propagationPolicy"]
    return {field: value for field, value in document.items() if value is not None}


def _delete_failures(document: Object) -> Iterator[errors.FieldError]:
    """``ValidateDeleteOptions`` of apimachinery's ``meta/v1/validation``."""
    policy = document.get("propagationPolicy")
    if policy is not None and "orphanDependents" in document:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        yield errors.invalid_value("propagationPolicy", policy, detail)
    if policy is not None and policy not in POLICIES:
        yield errors.not_supported("propagationPolicy", policy, (*POLICIES, "nil"))
    if any(value != "All" for value in document.get("dryRun") or ()):
        yield errors.not_supported("dryRun", document["dryRun"], ("All",))
    if document.get(READ_ERRORS):
        for field in ("dryRun", "propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions"):
            if field in document:
                yield errors.invalid_value(READ_ERRORS, True, f"cannot be set together with .{field}")


def _propagation(document: Object) -> str:
    if "orphanDependents" in document:
        return "Orphan" if document["orphanDependents"] else "Background"
    return str(document.get("propagationPolicy") or "")
