"""Quotas over the life of what they count: charged by admission, counted again by their controller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import (
    CONFIGMAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    PODS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICES,
    Resource,
)
from picluster.client import Client, PatchType
from picluster.runtime import Manager

Eventually = Callable[..., Awaitable[Any]]
Object = dict[str, Any]


async def make_quota(client: Client, eventually: Eventually, **hard: str) -> None:
    named = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}}
    await client.create(RESOURCE_QUOTAS, named)
    await eventually(lambda: status_is(client, "hard", hard))


async def used(client: Client) -> Object:
    found = await client.get(RESOURCE_QUOTAS, "q", namespace="default")
    return dict((found.get("status") or {}).get("used") or {})


async def status_is(client: Client, part: str, wanted: Object) -> bool:
    found = await client.get(RESOURCE_QUOTAS, "q", namespace="default")
    there = (found.get("status") or {}).get(part) or {}
    return all(there.get(name) == value for name, value in wanted.items())


def pod(name: str, cpu: str = "") -> Object:
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    container = {"name": "c", "image": "registry.example/app:1", "resources": requests}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}}


async def refused(client: Client, resource: Resource, obj: Object) -> str:
    with pytest.raises(ApiError) as error:
        await client.create(resource, obj)
    assert error.value.code == 403
    return error.value.message


async def test_the_life_of_a_pod(client: Client, controllers: Manager, eventually: Eventually) -> None:
    await make_quota(client, eventually, pods="2", cpu="1")
    assert await used(client) == {"pods": "0", "cpu": "0"}
    await eventually(lambda: made(client, pod("a", "600m")))
    assert await used(client) == {"pods": "1", "cpu": "600m"}
    assert await refused(client, PODS, pod("b", "500m")) == (
        'pods "b" is forbidden: exceeded quota: q, requested: cpu=500m, used: cpu=600m, limited: cpu=1'
    )
    assert await refused(client, PODS, pod("b")) == 'pods "b" is forbidden: failed quota: q: must specify cpu for: c'
    await client.delete(PODS, "a", namespace="default", grace_period_s=0)
    await eventually(lambda: status_is(client, "used", {"pods": "0", "cpu": "0"}))


async def made(client: Client, obj: Object) -> bool:
    """Create, once the namespace's service account is there."""
    try:
        await client.create(PODS, obj)
    except ApiError as error:
        if "service account" not in error.message:
            raise
        return False
    return True


@pytest.mark.parametrize(("resource", "name", "body"), [
    (CONFIGMAPS, "count/configmaps", {"data": {"a": "b"}}),
    (SECRETS, "secrets", {"stringData": {"a": "b"}}),
])  # fmt: skip
async def test_the_life_of_a_counted_object(
    client: Client, controllers: Manager, eventually: Eventually, resource: Resource, name: str, body: Object
) -> None:
    page = await client.list(resource, namespace="default")
    await eventually(lambda: listed(client, resource, 1 if resource is CONFIGMAPS else 0))
    there = len(page["items"]) or (1 if resource is CONFIGMAPS else 0)  # the cluster's authority is in every namespace
    await make_quota(client, eventually, **{name: str(there + 1)})
    await client.create(resource, {"metadata": {"name": "one", "namespace": "default"}, **body})
    assert await used(client) == {name: str(there + 1)}
    said = await refused(client, resource, {"metadata": {"name": "two", "namespace": "default"}, **body})
    assert f"exceeded quota: q, requested: {name}=1, used: {name}={there + 1}, limited: {name}={there + 1}" in said
    await client.delete(resource, "one", namespace="default")
    await eventually(lambda: status_is(client, "used", {name: str(there)}))


async def listed(client: Client, resource: Resource, count: int) -> bool:
    return len((await client.list(resource, namespace="default"))["items"]) >= count


async def test_an_update_is_charged_the_difference(
    client: Client, controllers: Manager, eventually: Eventually
) -> None:
    service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
    await client.create(SERVICES, service)
    await make_quota(client, eventually, **{"services.nodeports": "1", "services": "5"})
    assert (await used(client))["services.nodeports"] == "0"
    node_port = {"spec": {"type": "NodePort"}}
    await client.patch(SERVICES, "web", node_port, namespace="default", kind=PatchType.MERGE)
    assert (await used(client))["services.nodeports"] == "1"
    with pytest.raises(ApiError) as error:
        ports = {"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}}
        await client.patch(SERVICES, "web", ports, namespace="default", kind=PatchType.MERGE)
    assert "exceeded quota: q, requested: services.nodeports=1" in error.value.message
    await client.patch(SERVICES, "web", {"spec": {"type": "ClusterIP"}}, namespace="default", kind=PatchType.MERGE)
    await eventually(lambda: status_is(client, "used", {"services.nodeports": "0"}))


async def test_custom_resources_are_counted_too(client: Client, controllers: Manager, eventually: Eventually) -> None:
    names = {"plural": "crontabs", "singular": "crontab", "kind": "CronTab"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, {"metadata": {"name": "crontabs.example.com"}, "spec": spec})
    crontabs = Resource("example.com", "v1", "CronTab", "crontabs", "")
    one = {"apiVersion": "example.com/v1", "kind": "CronTab", "metadata": {"name": "one", "namespace": "default"}}

    async def made_one() -> bool:
        try:
            await client.create(crontabs, one)
        except ApiError as error:
            if error.code != 404:
                raise
            return False
        return True

    await eventually(made_one)
    await make_quota(client, eventually, **{"count/crontabs.example.com": "1"})
    assert await used(client) == {"count/crontabs.example.com": "1"}
    two = {**one, "metadata": {"name": "two", "namespace": "default"}}
    assert "exceeded quota: q, requested: count/crontabs.example.com=1" in await refused(client, crontabs, two)
