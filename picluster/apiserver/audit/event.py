"""Events in Kubernetes' words (``audit.k8s.io/v1`` Event). Pure."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from picluster.api.types import Object
from picluster.apiserver.requestinfo import RequestInfo

USER_AGENT_MAX = 1024


def object_reference(info: RequestInfo) -> Object | None:
    target = info.target
    resource = target.resource
    if resource is None:
        return None
    parts = {
        "resource": resource.plural,
        "namespace": target.namespace,
        "name": target.name,
        "apiGroup": resource.group,
        "apiVersion": resource.version,
        "subresource": target.subresource,
    }
    return {key: value for key, value in parts.items() if value}


def user_agent(header: str) -> str:
    if len(header) <= USER_AGENT_MAX:
        return header
    return f"{header[:USER_AGENT_MAX]}...TRUNCATED"


def response_status(code: int, body: Object | None) -> Object:
    """What was answered: a Status as it is, of anything else only the code."""
    status: Object = {"metadata": {}}
    if body is not None and body.get("kind") == "Status":
        status.update({key: body[key] for key in ("status", "message", "reason", "details") if body.get(key)})
    status["code"] = code
    return status


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Head(msgspec.Struct, gc=False):
    kind: str = ""
    metadata: _Named = msgspec.field(default_factory=_Named)


_decode_head = msgspec.json.Decoder(_Head).decode


def head(body: bytes) -> Object | None:
    """As much of an answer as its metadata's event needs: the name of an object, the whole of a Status."""
    try:
        found = _decode_head(body)
    except msgspec.DecodeError:
        return None
    return decoded(body) if found.kind == "Status" else {"kind": found.kind, "metadata": {"name": found.metadata.name}}


def decoded(body: bytes) -> Object | None:
    """A JSON object; ``None`` for anything else."""
    if not body.startswith(b"{"):
        return None
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def trimmed(obj: Any) -> Any:
    """Without ``managedFields``, also of each item of a list."""
    if not isinstance(obj, dict):
        return obj
    if isinstance(obj.get("items"), list):
        return {**obj, "items": [trimmed(item) for item in obj["items"]]}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and "managedFields" in metadata:
        return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
    return obj
