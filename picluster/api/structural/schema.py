"""One version of a definition, ready to be asked about objects."""

from __future__ import annotations

from picluster.api.errors import FieldError
from picluster.api.structural import default, listtype, objectmeta, prune, scale, validate
from picluster.api.structural.rules import Rules
from picluster.api.types import Object

BLOCKING = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
"""Failures after which rules are not worth running."""

Failures = list[FieldError]


class Schema:
    """``schema`` is the ``openAPIV3Schema``; ``preserve`` keeps unknown fields, as definitions of old may want."""

    def __init__(self, schema: Object, *, preserve: bool = False, scale_paths: Object | None = None) -> None:
        self.schema = schema
        self.has_defaults = default.has_defaults(schema)
        self._preserve = preserve
        self._scale = scale_paths
        self._status = (schema.get("properties") or {}).get("status")
        self._rules = Rules(schema)
        self._embeds = prune.anywhere(schema, lambda node: bool(node.get(prune.EMBEDDED)))
        self._unique = prune.anywhere(schema, lambda node: node.get(listtype.LIST_TYPE) in ("set", "map"))

    def clean(self, obj: Object) -> list[str]:
        """Give all metadata its form and drop unknown fields, in place; their paths. Raises ``CoerceError``."""
        unknown = objectmeta.coerce(obj, self.schema if self._embeds else {})
        if not self._preserve:
            unknown += prune.prune(obj, self.schema)
        return unknown

    def default(self, obj: Object) -> None:
        """Fill defaults in place."""
        default.default(obj, self.schema)

    def create_failures(self, obj: Object, earlier: Failures) -> Failures:
        """Everything wrong with a new object; ``earlier`` is what its metadata has been refused for."""
        found = [*earlier, *validate.failures(obj, self.schema)]
        if self._scale is not None:
            found += scale.failures(obj, self._scale)
        if self._embeds:
            found += objectmeta.failures(obj, self.schema)
        if self._unique:
            found += listtype.failures(obj, self.schema)
        return found + self._ruled(obj, None, found)

    def update_failures(self, new: Object, old: Object, earlier: Failures) -> Failures:
        """Everything wrong with ``new`` that was not in ``old`` already, and with becoming it."""
        found = [*earlier, *validate.failures(new, self.schema, old)]
        if self._scale is not None:
            found += scale.failures(new, self._scale)
        if self._embeds:
            found += objectmeta.failures(new, self.schema)
        found += self._new_repetitions(new, old)
        return found + self._ruled(new, old, found)

    def status_failures(self, new: Object, old: Object, earlier: Failures) -> Failures:
        """Everything wrong with a status update."""
        found = list(earlier)
        if self._status is not None and "status" in new:
            was = old.get("status", validate.ABSENT)
            found += validate.failures(new["status"], self._status, was, prefix="status")
        if self._scale is not None:
            found += scale.failures(new, self._scale, spec=False)
        found += self._new_repetitions(new, old)
        return found + self._ruled(new, old, found)

    def _new_repetitions(self, new: Object, old: Object) -> Failures:
        found = listtype.failures(new, self.schema) if self._unique else []
        return [] if found and listtype.failures(old, self.schema) else found

    def _ruled(self, new: Object, old: Object | None, found: Failures) -> Failures:
        if not self._rules:
            return []
        if any(failure.reason in BLOCKING for failure in found):
            return [BLOCKED]
        return self._rules.failures(new, old)


BLOCKED = FieldError(
    "FieldValueInvalid",
    validate.NO_PATH,
    'Invalid value: "null": some validation rules were not checked because the object was invalid; correct the existing'
    " errors to complete validation",
)
