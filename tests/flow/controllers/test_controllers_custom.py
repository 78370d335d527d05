"""Custom resources and the controllers that follow everything: the garbage collector, and the end of a namespace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from definitions import conditions, definition, version

from picluster.api.errors import ApiError
from picluster.api.meta import owner_reference
from picluster.api.resources import CONFIGMAPS, CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, Resource
from picluster.client import Client
from picluster.runtime import Manager

Eventually = Callable[..., Awaitable[Any]]
WIDGETS = Resource("example.com", "v1", "Widget", "widgets", "")


@pytest.fixture
async def widgets(client: Client, controllers: Manager, eventually: Eventually) -> Resource:
    """Defined while the controllers run."""
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition(version()))

    async def served() -> bool:
        crd = await client.get(CUSTOM_RESOURCE_DEFINITIONS, "widgets.example.com")
        return conditions(crd).get("Established", [""])[0] == "True"

    await eventually(served)
    return WIDGETS


def body(kind: str, name: str, *owners: Any, namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    references = [owner_reference(owner) for owner in owners]
    return {
        "apiVersion": "example.com/v1" if kind == "Widget" else "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": references, **metadata},
    }


def gone(client: Client, resource: Resource, name: str, namespace: str | None = "default") -> Callable[[], Any]:
    async def probe() -> bool:
        try:
            await client.get(resource, name, namespace=namespace)
        except ApiError as error:
            return error.code == 404
        return False

    return probe


async def test_owners_and_dependents_may_be_custom(client: Client, widgets: Resource, eventually: Eventually) -> None:
    owner = await client.create(widgets, body("Widget", "owner"))
    await client.create(CONFIGMAPS, body("ConfigMap", "plain", owner))
    await client.create(widgets, body("Widget", "custom", owner))
    await client.delete(widgets, "owner", namespace="default", propagation="Foreground")
    for resource, name in ((CONFIGMAPS, "plain"), (widgets, "custom"), (widgets, "owner")):
        await eventually(gone(client, resource, name))


async def test_orphans_forget_their_owner(client: Client, widgets: Resource, eventually: Eventually) -> None:
    owner = await client.create(CONFIGMAPS, body("ConfigMap", "owner"))
    other = await client.create(CONFIGMAPS, body("ConfigMap", "other"))
    await client.create(widgets, body("Widget", "orphan", owner))
    shared = body("Widget", "shared", owner)
    shared["metadata"]["ownerReferences"].append(owner_reference(other, controller=False))
    await client.create(widgets, shared)

    async def orphaned() -> bool:
        orphan = await client.get(widgets, "orphan", namespace="default")
        return "ownerReferences" not in orphan["metadata"]

    await eventually(gone_soon(client))
    await client.delete(CONFIGMAPS, "owner", namespace="default", propagation="Orphan")
    await eventually(gone(client, CONFIGMAPS, "owner"))
    await eventually(orphaned)
    left = await client.get(widgets, "shared", namespace="default")
    assert [reference["name"] for reference in left["metadata"]["ownerReferences"]] == ["other"]


def gone_soon(client: Client) -> Callable[[], Any]:
    """A dependent whose owner never was goes: the garbage collector sees widgets now."""
    made: list[Any] = []

    async def probe() -> bool:
        if not made:
            owner = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "never", "uid": "no-such-uid"}}
            made.append(await client.create(WIDGETS, body("Widget", "dangling", owner)))
        return bool(await gone(client, WIDGETS, "dangling")())

    return probe


async def test_a_namespace_takes_its_custom_resources_along(
    client: Client, widgets: Resource, eventually: Eventually
) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "team"}})
    await client.create(widgets, body("Widget", "held", namespace="team", finalizers=["example.com/hold"]))
    await client.delete(NAMESPACES, "team")

    async def held() -> bool:
        namespace = await client.get(NAMESPACES, "team")
        messages = [one["message"] for one in namespace["status"].get("conditions") or ()]
        return any("widgets.example.com has 1 resource instances" in message for message in messages)

    await eventually(held)
    found = await client.get(widgets, "held", namespace="team")
    assert found["metadata"]["deletionTimestamp"]
    del found["metadata"]["finalizers"]
    await client.update(widgets, found)
    await eventually(gone(client, NAMESPACES, "team", None))
