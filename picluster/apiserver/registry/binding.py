"""POST pods/<name>/binding: the scheduler's decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from picluster.api import errors, meta, schema, strategy
from picluster.api.resources import BINDING, PODS, Resource
from picluster.apiserver.admission.chain import CREATE
from picluster.apiserver.answers import Answer, success
from picluster.apiserver.registry.registry import Registry, Write, read_part
from picluster.apiserver.registry.store import WRITE_ATTEMPTS_MAX, decoded
from picluster.storage.backend import RevisionMismatch


async def bind(registry: Registry, write: Write, binding: Any) -> Answer:
    """Put the pod on the node that ``binding`` names; raises ``ApiError`` 409 if it is on one already."""
    check_subject(write, binding, BINDING)
    attributes = write.attributes(CREATE, binding, None)
    await registry.admission.admit(attributes)
    await registry.admission.validate(attributes)
    for _ in range(WRITE_ATTEMPTS_MAX):
        entry = registry.store.get(write.resource, write.namespace, write.name)
        bound = strategy.bind(decoded(entry), binding, meta.now_rfc3339(registry.clock.now()))
        try:
            await registry.store.replace(write.resource, entry, bound, dry_run=write.dry_run)
        except RevisionMismatch:
            continue
        return success(code=201)
    raise errors.conflict("", "pods/binding", write.name)


def of_pod(write: Write, binding: Any) -> Write:
    """What a POST to ``bindings`` asks for: that the pod of the Binding's name be bound; raises ``ApiError`` 400."""
    if not isinstance(binding, dict):
        raise errors.bad_request(f"the body must be a {BINDING.kind}")
    schema.check(BINDING, binding)
    name = (binding.get("metadata") or {}).get("name")
    if not name:
        raise errors.bad_request("name is required")
    return replace(write, resource=PODS, name=name, subresource="binding")


def check_subject(write: Write, body: Any, subject: Resource) -> None:
    """Raise ``ApiError`` 400 unless ``body`` is a ``subject`` for the object that the URL names; fill in what it is."""
    kind = subject.kind
    if not isinstance(body, dict) or body.setdefault("kind", kind) != kind:
        raise errors.bad_request(f"the body must be a {kind}")
    body.setdefault("apiVersion", subject.api_version)
    read_part(write, subject, body)
    metadata = body.get("metadata") or {}
    name = metadata.get("name") or write.name
    if name != write.name:
        raise errors.bad_request(f"name in URL does not match name in {kind} object")
    if (metadata.get("namespace") or write.namespace) != write.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
