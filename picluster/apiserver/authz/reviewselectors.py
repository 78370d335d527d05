"""The selectors of an access review as requirements; what cannot be understood restricts nothing, and is said.

Source: KEP-4601, ``pkg/registry/authorization/util/helpers.go``.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.errors import ApiError
from picluster.api.selectors import field_requirements, parse_labels
from picluster.api.types import Object
from picluster.apiserver.authz.attributes import Requirement

Read = tuple[tuple[Requirement, ...], str]
LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
PARSED_LABELS = {
    "=": "In", "==": "In", "in": "In", "!=": "NotIn", "notin": "NotIn", "exists": "Exists", "!": "DoesNotExist",
    "gt": "Gt", "lt": "Lt",
}  # fmt: skip


def fields(selector: Object) -> Read:
    """The requirements of a ``FieldSelectorAttributes``, and what to say of those that are left out."""
    if raw := selector.get("rawSelector"):
        try:
            return tuple(Requirement(r.path, _sign(r.equal), (r.value,)) for r in field_requirements(raw)), ""
        except ApiError:
            return _read("fieldSelector", [], whole=False)
    found = [_field(each) for each in selector.get("requirements") or ()]
    return _read("fieldSelector", found, whole=None not in found)


def labels(selector: Object) -> Read:
    """The requirements of a ``LabelSelectorAttributes``, likewise."""
    if raw := selector.get("rawSelector"):
        try:
            parsed = parse_labels(raw).requirements
        except ApiError:
            return _read("labelSelector", [], whole=False)
        return tuple(Requirement(r.key, PARSED_LABELS[r.operator], r.values) for r in parsed), ""
    found = [_label(each) for each in selector.get("requirements") or ()]
    return _read("labelSelector", found, whole=None not in found)


def _field(requirement: Object) -> Requirement | None:
    """A field selector has no sets: one value, equal or not."""
    operator, values = requirement.get("operator"), tuple(requirement.get("values") or ())
    if operator not in ("In", "NotIn") or len(values) != 1 or not requirement.get("key"):
        return None
    return Requirement(requirement["key"], _sign(operator == "In"), values)


def _label(requirement: Object) -> Requirement | None:
    operator = requirement.get("operator")
    if operator not in LABEL_OPERATORS or not requirement.get("key"):
        return None
    return Requirement(requirement["key"], operator, tuple(requirement.get("values") or ()))


def _sign(equal: bool) -> str:
    return "=" if equal else "!="


def _read(name: str, found: Iterable[Requirement | None], *, whole: bool) -> Read:
    understood = tuple(each for each in found if each is not None)
    if whole:
        return understood, ""
    partially = "partially " if understood else ""
    return understood, f"spec.resourceAttributes.{name} {partially}ignored due to parse error"
