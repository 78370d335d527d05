"""PATCH: a change that is applied to whatever the live object is by then."""

from __future__ import annotations

from typing import Any

import orjson

from picluster.api import errors, schema
from picluster.api import patch as patches
from picluster.api.apply.check import go_text
from picluster.api.types import Object
from picluster.apiserver.answers import Answer
from picluster.apiserver.registry.registry import Registry, Write, read_once
from picluster.apiserver.registry.update import change_object, check_identity


async def patch(registry: Registry, write: Write, content_type: str, document: Any, body: bytes) -> Answer:
    """Apply ``document``, the patch of ``content_type`` that ``body`` is; raises ``ApiError``.

    A patch without a resourceVersion is tried again when somebody else was faster, since it says what to change, not
    from what.
    """
    registry.store.get(write.resource, write.namespace, write.name)
    told = len(write.warnings)
    doubled = schema.duplicate_fields(body, document) if write.field_validation != "Ignore" else []
    said: list[str] = []
    if content_type == patches.JSON and write.field_validation != "Ignore":
        said, doubled = schema.json_patch_complaints(document, doubled, body), []

    def change(old: Object) -> Object:
        # The result shares parts with both; what follows changes it in place.
        text = orjson.dumps(patches.apply(content_type, write.resource, old, document))
        new: Object = orjson.loads(text)
        del write.warnings[told:]
        try:
            read_once(write, registry.kind(write.resource), new, doubled, said=said)
        except errors.ApiError as error:
            shown = go_text(document) if content_type == patches.STRATEGIC else text.decode()
            raise _unreadable(error, shown) from None
        check_identity(write, new)
        registry.kind(write.resource).default(new)
        return new

    return Answer(200, await change_object(registry, write, change))


def _unreadable(error: errors.ApiError, shown: str) -> errors.ApiError:
    """A patch whose result cannot be read, or not strictly, is invalid, and not a bad request."""
    _, strict, found = error.message.partition("strict decoding error: ")
    why = strict + found if strict else error.message
    return errors.invalid("", "", "", [errors.invalid_value("patch", shown, why)])
