"""Pods that differ in nothing but their name: the third is what the first was, and only as long as it may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from control_plane import Cluster

from picluster.api import meta
from picluster.api.errors import ApiError
from picluster.api.resources import (
    LIMIT_RANGES,
    NAMESPACES,
    PODS,
    PRIORITY_CLASSES,
    RESOURCE_QUOTAS,
    SERVICE_ACCOUNTS,
    Resource,
)
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.registry.create import create_from
from picluster.apiserver.registry.registry import Write
from picluster.client import Client, PatchType

Object = dict[str, Any]
ITS_OWN = ("uid", "resourceVersion", "creationTimestamp", "name", "managedFields")


@pytest.fixture(autouse=True)
async def account(client: Client) -> None:
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})


def pod(name: str = "", **spec: Any) -> Object:
    metadata: Object = {"namespace": "default", "labels": {"app": "web"}}
    metadata |= {"name": name} if name else {"generateName": "web-"}
    containers = [{"name": "c", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "1"}}}]
    return {"metadata": metadata, "spec": {"containers": containers, **spec}}


def common(obj: Object) -> Object:
    """What pods of one template have in common; who owns what of them included, but not since when."""
    metadata = {field: value for field, value in obj["metadata"].items() if field not in ITS_OWN}
    owners = [{field: value for field, value in each.items() if field != "time"} for each in managed(obj)]
    return {**obj, "metadata": {**metadata, "owners": owners}}


def managed(obj: Object) -> list[Object]:
    return list(obj["metadata"]["managedFields"])


async def made(client: Client, *names: str, **spec: Any) -> list[Object]:
    return [await client.create(PODS, pod(name, **spec)) for name in names]


async def test_pods_of_one_template_are_equal_but_for_what_is_their_own(client: Client) -> None:
    pods = await made(client, "web-a", "web-b", "web-c", "web-d")
    assert [each["metadata"]["name"] for each in pods] == ["web-a", "web-b", "web-c", "web-d"]
    assert all(common(each) == common(pods[0]) for each in pods)
    assert (
        len({each["metadata"]["uid"] for each in pods})
        == len({each["metadata"]["resourceVersion"] for each in pods})
        == 4
    )
    for each in pods:
        assert each == await client.get(PODS, each["metadata"]["name"], namespace="default")
        assert {entry["time"] for entry in managed(each)} == {each["metadata"]["creationTimestamp"]}


async def test_generated_names_are_all_different(client: Client) -> None:
    pods = await made(client, "", "", "", "", "")
    names = {each["metadata"]["name"] for each in pods}
    assert len(names) == 5 and all(name.startswith("web-") and len(name) == 9 for name in names)
    assert all(each["metadata"]["generateName"] == "web-" and common(each) == common(pods[0]) for each in pods)


async def test_a_generated_name_that_is_taken_is_generated_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["web-a", "web-b", "web-c", "web-a", "web-a", "web-d"])
    monkeypatch.setattr(meta, "generate_name", lambda base: next(drawn))
    pods = await made(client, "", "", "", "")
    assert [each["metadata"]["name"] for each in pods] == ["web-a", "web-b", "web-c", "web-d"]


async def test_a_name_that_is_taken_is_refused(client: Client) -> None:
    await made(client, "web-a", "web-b", "web-c")
    with pytest.raises(ApiError, match='pods "web-b" already exists') as error:
        await made(client, "web-b")
    assert error.value.reason == "AlreadyExists"


async def test_a_name_that_is_said_twice_is_everywhere_what_was_sent(client: Client) -> None:
    for name in ("one", "two", "three", "four"):
        obj = pod(name)
        obj["metadata"]["labels"] = {"of": name, "app": "four"}
        obj["spec"]["hostname"] = name
        answer = await client.create(PODS, obj)
        assert answer["metadata"]["labels"] == {"of": name, "app": "four"} and answer["spec"]["hostname"] == name


async def test_a_name_that_is_wrong_is_refused(client: Client) -> None:
    await made(client, "web-a", "web-b", "web-c")
    for name in ("Web", "web_d", "-web", "w" * 254):
        with pytest.raises(ApiError) as error:
            await made(client, name)
        assert error.value.code == 422
    assert (await made(client, "1web"))[0]["metadata"]["name"] == "1web"


async def test_a_body_is_known_when_it_has_come_twice_and_forgotten_when_an_account_changes(
    client: Client, cluster: Cluster
) -> None:
    assert cluster.server is not None
    registry = cluster.server.registry
    write = Write(SELF, PODS, "default", "", manager="tests")

    async def known(name: str) -> bool:
        body = orjson.dumps(pod(name))
        await create_from(registry, write, body)
        draft = registry.casts.draft(write, body)
        return draft is not None and registry.casts.cast(draft, "2026-01-01T00:00:00Z") is not None

    assert [await known(f"web-{number}") for number in range(3)] == [False, True, True]
    await client.patch(SERVICE_ACCOUNTS, "default", {"metadata": {"labels": {"a": "b"}}}, namespace="default")
    draft = registry.casts.draft(write, orjson.dumps(pod("web-9")))
    assert draft is not None and registry.casts.cast(draft, "2026-01-01T00:00:00Z") is None


async def test_what_was_ignored_for_one_client_is_refused_to_a_strict_one(client: Client, cluster: Cluster) -> None:
    assert cluster.server is not None
    registry = cluster.server.registry
    write = Write(SELF, PODS, "default", "", manager="tests", field_validation="Ignore")
    for name in ("web-a", "web-b", "web-c"):
        await create_from(registry, write, orjson.dumps(pod(name, nonsense=1)))
    strict = Write(SELF, PODS, "default", "", manager="tests", field_validation="Strict")
    with pytest.raises(ApiError, match=r'unknown field "spec\.nonsense"'):
        await create_from(registry, strict, orjson.dumps(pod("web-d", nonsense=1)))


async def test_a_dry_run_makes_nothing(client: Client, cluster: Cluster) -> None:
    await made(client, "web-a", "web-b", "web-c")
    assert cluster.server is not None
    write = Write(SELF, PODS, "default", "", manager="picluster", dry_run=True)
    assert (await create_from(cluster.server.registry, write, orjson.dumps(pod("web-d")))).code == 201
    with pytest.raises(ApiError) as error:
        await client.get(PODS, "web-d", namespace="default")
    assert error.value.code == 404


CHANGES: list[tuple[Resource, Object, Callable[[Object], bool]]] = [
    (
        LIMIT_RANGES,
        {
            "metadata": {"name": "l", "namespace": "default"},
            "spec": {"limits": [{"type": "Container", "default": {"memory": "64Mi"}}]},
        },
        lambda found: found["spec"]["containers"][0]["resources"]["limits"] == {"memory": "64Mi"},
    ),
    (
        PRIORITY_CLASSES,
        {"metadata": {"name": "p"}, "value": 7, "globalDefault": True},
        lambda found: found["spec"]["priority"] == 7 and found["spec"]["priorityClassName"] == "p",
    ),
]


@pytest.mark.parametrize(("resource", "obj", "shows"), CHANGES, ids=lambda each: getattr(each, "plural", ""))
async def test_what_admission_looks_at_counts_from_the_next_pod_on(
    client: Client, resource: Resource, obj: Object, shows: Callable[[Object], bool]
) -> None:
    await made(client, "web-a", "web-b", "web-c")
    made_first = await client.create(resource, obj)
    changed = await made(client, "web-d", "web-e", "web-f")
    assert all(shows(each) for each in changed)
    name = made_first["metadata"]["name"]
    await client.delete(resource, name, namespace=made_first["metadata"].get("namespace", ""))
    assert not shows_at_all(shows, (await made(client, "web-g"))[0])


def shows_at_all(shows: Callable[[Object], bool], found: Object) -> bool:
    try:
        return shows(found)
    except KeyError:
        return False


async def test_a_changed_account_counts_from_the_next_pod_on(client: Client) -> None:
    await made(client, "web-a", "web-b", "web-c")
    secrets = [{"name": "registry"}]
    await client.patch(SERVICE_ACCOUNTS, "default", {"imagePullSecrets": secrets}, namespace="default")
    assert all(each["spec"]["imagePullSecrets"] == secrets for each in await made(client, "web-d", "web-e", "web-f"))


async def test_a_namespace_that_becomes_restricted_refuses_the_next_pod(client: Client) -> None:
    await made(client, "web-a", "web-b", "web-c")
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await client.patch(NAMESPACES, "default", label, kind=PatchType.MERGE)
    with pytest.raises(ApiError, match="violates PodSecurity"):
        await made(client, "web-d")


async def test_each_pod_is_charged_to_its_quota(client: Client) -> None:
    await made(client, "web-a", "web-b", "web-c")
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"pods": "5"}}}
    await client.create(RESOURCE_QUOTAS, quota)
    status = {"status": {"hard": {"pods": "5"}, "used": {"pods": "3"}}}
    await client.patch(RESOURCE_QUOTAS, "q", status, namespace="default", subresource="status")
    await made(client, "web-d", "web-e")
    with pytest.raises(ApiError, match="exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"):
        await made(client, "web-f")


async def test_another_namespace_and_another_manager_have_their_own(client: Client) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "other"}})
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "other"}})
    await made(client, "web-a", "web-b", "web-c")
    obj = pod("web-d")
    del obj["metadata"]["namespace"]
    for _ in range(3):
        found = await client.create(PODS, obj, namespace="other")
        assert found["metadata"]["namespace"] == "other"
        await client.delete(PODS, "web-d", namespace="other")


async def test_what_is_known_is_cast_by_many_at_once(client: Client) -> None:
    names = [f"web-{number}" for number in range(40)]
    pods = await asyncio.gather(*(client.create(PODS, pod(name)) for name in names))
    assert [each["metadata"]["name"] for each in pods] == names
    page = await client.list(PODS, namespace="default")
    assert {orjson.dumps(common(each)) for each in page["items"]} == {orjson.dumps(common({**pods[0]}))}
