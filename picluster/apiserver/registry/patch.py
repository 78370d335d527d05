"""PATCH: a change that is applied to whatever the live object is by then."""

from __future__ import annotations

from typing import Any

import orjson

from picluster.api import errors
from picluster.api import patch as patches
from picluster.api.types import Object
from picluster.apiserver.answers import Answer
from picluster.apiserver.registry.registry import Registry, Write, read_object
from picluster.apiserver.registry.update import change_object


async def patch(registry: Registry, write: Write, content_type: str, document: Any) -> Answer:
    """Apply ``document``, a decoded patch of ``content_type``; raises ``ApiError``.

    A patch without a resourceVersion is tried again when somebody else was faster, since it says what to change, not
    from what.
    """
    registry.store.get(write.resource, write.namespace, write.name)
    warnings = write.warnings

    def change(old: Object) -> Object:
        # The result shares parts with both; what follows changes it in place.
        new: Object = orjson.loads(orjson.dumps(patches.apply(content_type, write.resource, old, document)))
        write.warnings = []
        read_object(write, registry.kind(write.resource), new, None)
        check_identity(write, new)
        registry.kind(write.resource).default(new)
        return new

    wire = await change_object(registry, write, change)
    warnings.extend(write.warnings)
    return Answer(200, wire)


def check_identity(write: Write, new: Object) -> None:
    """Raise ``ApiError`` 400 unless ``new`` is what the URL names (``checkName`` of the patch handler)."""
    metadata = new.setdefault("metadata", {})
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if not write.resource.namespaced and namespace:
        raise errors.bad_request("namespace may not be set on objects of cluster scope")
    if write.resource.namespaced and metadata.setdefault("namespace", write.namespace) != write.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if not name:
        why = "name must be provided"
        raise errors.bad_request(f"the name of the object ({write.name} based on URL) was undeterminable: {why}")
    if name != write.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({write.name})")
