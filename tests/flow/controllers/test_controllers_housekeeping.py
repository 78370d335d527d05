"""Namespaces, service accounts, node ranges, garbage: what keeps a cluster tidy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.meta import condition_is, get_condition, owner_reference
from picluster.api.resources import (
    CONFIGMAPS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICE_CIDRS,
    SERVICES,
    Resource,
)
from picluster.client import Client, PatchType
from picluster.controllers import podgc, servicecidr

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]


@pytest.fixture(autouse=True)
def _running(controllers: None) -> None:
    """All controllers run."""


async def is_gone(client: Client, resource: Resource, name: str, namespace: str | None = "default") -> bool:
    try:
        await client.get(resource, name, namespace=namespace)
    except ApiError as error:
        return error.code == 404
    return False


def config_map(name: str, owner: Json | None = None, **metadata: Any) -> Json:
    made: Json = {"metadata": {"name": name, "namespace": "default", **metadata}}
    if owner is not None:
        made["metadata"]["ownerReferences"] = [owner_reference(owner)]
    return made


def pod(name: str, namespace: str = "default") -> Json:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }


async def test_every_namespace_gets_its_account_and_goes_with_all_it_holds(
    client: Client, eventually: Eventually
) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "lab"}})

    async def account() -> bool:
        return not await is_gone(client, SERVICE_ACCOUNTS, "default", "lab")

    await eventually(account)
    await client.delete(SERVICE_ACCOUNTS, "default", namespace="lab")
    await eventually(account)
    for name in ("a", "b"):
        await client.create(CONFIGMAPS, {"metadata": {"name": name, "namespace": "lab"}})
    await client.create(SECRETS, {"metadata": {"name": "s", "namespace": "lab"}})
    await client.create(PODS, pod("p", "lab"))
    await client.delete(NAMESPACES, "lab")
    await eventually(lambda: is_gone(client, NAMESPACES, "lab", None))
    assert await is_gone(client, CONFIGMAPS, "a", "lab")


async def test_a_namespace_says_what_holds_it(client: Client, eventually: Eventually) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "lab"}})
    held = {"metadata": {"name": "a", "namespace": "lab", "finalizers": ["example.com/hold"]}}
    await client.create(CONFIGMAPS, held)
    await client.delete(NAMESPACES, "lab")

    async def complaint() -> Any:
        namespace = await client.get(NAMESPACES, "lab")
        found = {c["type"]: c for c in namespace["status"].get("conditions") or ()}
        return found if found.get("NamespaceFinalizersRemaining", {}).get("status") == "True" else None

    found = await eventually(complaint)
    assert found["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    assert found["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    await client.patch(CONFIGMAPS, "a", {"metadata": {"finalizers": None}}, namespace="lab")
    await eventually(lambda: is_gone(client, NAMESPACES, "lab", None))


async def test_nodes_get_ranges_that_are_never_shared(client: Client, eventually: Eventually) -> None:
    await client.create(NODES, {"metadata": {"name": "old"}, "spec": {"podCIDR": "10.42.1.0/24"}})
    await asyncio.gather(*(client.create(NODES, {"metadata": {"name": f"pi-{number}"}}) for number in range(8)))

    async def ranges() -> Any:
        nodes = (await client.list(NODES))["items"]
        found = [node["spec"].get("podCIDR") for node in nodes]
        return found if all(found) else None

    found = await eventually(ranges)
    assert len(set(found)) == 9
    assert {node["spec"]["podCIDRs"][0] for node in (await client.list(NODES))["items"]} == set(found)
    await client.delete(NODES, "old")
    await client.create(NODES, {"metadata": {"name": "new"}})
    await eventually(ranges)
    assert (await client.get(NODES, "new"))["spec"]["podCIDR"] == "10.42.1.0/24"


async def test_what_nobody_owns_any_more_goes(client: Client, eventually: Eventually) -> None:
    owner = await client.create(CONFIGMAPS, config_map("owner"))
    await client.create(CONFIGMAPS, config_map("child", owner))
    grandchild_owner = await client.get(CONFIGMAPS, "child", namespace="default")
    await client.create(CONFIGMAPS, config_map("grandchild", grandchild_owner))
    other = await client.create(CONFIGMAPS, config_map("other"))
    shared = config_map("shared")
    references = [owner_reference(owner, controller=False), owner_reference(other, controller=False)]
    shared["metadata"]["ownerReferences"] = references
    await client.create(CONFIGMAPS, shared)
    await client.delete(CONFIGMAPS, "owner", namespace="default")
    await eventually(lambda: is_gone(client, CONFIGMAPS, "child"))
    await eventually(lambda: is_gone(client, CONFIGMAPS, "grandchild"))

    async def forgotten() -> bool:
        kept = await client.get(CONFIGMAPS, "shared", namespace="default")
        return [one["name"] for one in kept["metadata"]["ownerReferences"]] == ["other"]

    await eventually(forgotten)


async def test_an_owner_that_never_was_is_no_owner(client: Client, eventually: Eventually) -> None:
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "ghost"}}
    await client.create(CONFIGMAPS, config_map("child", ghost))
    await eventually(lambda: is_gone(client, CONFIGMAPS, "child"))


async def test_an_owner_of_an_unknown_kind_keeps_its_dependents(client: Client) -> None:
    unknown = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "w"}}
    await client.create(CONFIGMAPS, config_map("child", unknown))
    await client.create(CONFIGMAPS, config_map("marker"))
    await asyncio.sleep(0.3)
    assert not await is_gone(client, CONFIGMAPS, "child")


async def test_a_cluster_scoped_owner(client: Client, eventually: Eventually) -> None:
    node = await client.create(NODES, {"metadata": {"name": "pi-1"}})
    await client.create(CONFIGMAPS, config_map("child", node))
    await client.create(CONFIGMAPS, config_map("marker"))
    await asyncio.sleep(0.2)
    assert not await is_gone(client, CONFIGMAPS, "child")
    await client.delete(NODES, "pi-1")
    await eventually(lambda: is_gone(client, CONFIGMAPS, "child"))


async def test_in_the_foreground_dependents_go_first(client: Client, eventually: Eventually) -> None:
    owner = await client.create(CONFIGMAPS, config_map("owner"))
    await client.create(CONFIGMAPS, config_map("child", owner, finalizers=["example.com/hold"]))
    await client.delete(CONFIGMAPS, "owner", namespace="default", propagation="Foreground")

    async def going() -> bool:
        child = await client.get(CONFIGMAPS, "child", namespace="default")
        return bool(child["metadata"].get("deletionTimestamp"))

    await eventually(going)
    assert not await is_gone(client, CONFIGMAPS, "owner")
    await client.patch(CONFIGMAPS, "child", {"metadata": {"finalizers": None}}, namespace="default")
    await eventually(lambda: is_gone(client, CONFIGMAPS, "owner"))
    assert await is_gone(client, CONFIGMAPS, "child")


async def test_orphans_stay_and_forget(client: Client, eventually: Eventually) -> None:
    owner = await client.create(CONFIGMAPS, config_map("owner"))
    await client.create(CONFIGMAPS, config_map("child", owner))

    async def seen() -> bool:  # what the caches have not seen cannot be orphaned, in Kubernetes neither
        await asyncio.sleep(0.1)
        return True

    await eventually(seen)
    await client.delete(CONFIGMAPS, "owner", namespace="default", propagation="Orphan")
    await eventually(lambda: is_gone(client, CONFIGMAPS, "owner"))
    child = await client.get(CONFIGMAPS, "child", namespace="default")
    assert not child["metadata"].get("ownerReferences")


async def test_pods_nobody_answers_for_are_removed(
    client: Client, world: Any, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(podgc, "QUARANTINE_S", 0.2)
    await client.create(PODS, pod("unscheduled"))
    await client.delete(PODS, "unscheduled", namespace="default")
    await eventually(lambda: is_gone(client, PODS, "unscheduled"))

    await world.add_node("pi-1")
    tolerant = [{"key": podgc.OUT_OF_SERVICE, "operator": "Exists"}]
    for name in ("going", "staying"):
        made = pod(name)
        made["spec"]["tolerations"] = tolerant
        await world.run_pod(await client.create(PODS, made), "pi-1")
    await client.delete(PODS, "going", namespace="default")
    taint = {"key": podgc.OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}
    await client.patch(NODES, "pi-1", {"spec": {"taints": [taint]}}, kind=PatchType.MERGE)
    await asyncio.sleep(0.2)
    assert not await is_gone(client, PODS, "going")
    await world.node_ready("pi-1", "Unknown")
    await eventually(lambda: is_gone(client, PODS, "going"), 1.0)
    assert not await is_gone(client, PODS, "staying")
    await client.delete(NODES, "pi-1")
    await eventually(lambda: is_gone(client, PODS, "staying"))


async def test_pods_of_a_replica_set_deleted_with_orphans_stay(
    client: Client, world: Any, eventually: Eventually
) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod("x")["spec"]}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    await client.create(REPLICASETS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})

    async def two() -> bool:
        status = (await client.get(REPLICASETS, "web", namespace="default")).get("status") or {}
        return status.get("replicas") == 2

    await eventually(two)
    await client.delete(REPLICASETS, "web", namespace="default", propagation="Orphan")
    await eventually(lambda: is_gone(client, REPLICASETS, "web"))
    await asyncio.sleep(0.2)
    pods = await world.pods()
    assert len(pods) == 2
    assert not any(one["metadata"].get("ownerReferences") for one in pods)


async def test_every_namespace_has_the_authority_and_gets_it_back(client: Client, eventually: Eventually) -> None:
    """[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace."""
    name = "kube-root-ca.crt"

    async def authority() -> str:
        try:
            published = await client.get(CONFIGMAPS, name, namespace="lab")
        except ApiError:
            return ""
        return str((published.get("data") or {}).get("ca.crt", ""))

    await client.create(NAMESPACES, {"metadata": {"name": "lab"}})
    first = await eventually(authority)
    assert first.startswith("-----BEGIN CERTIFICATE-----")
    await client.delete(CONFIGMAPS, name, namespace="lab")
    assert await eventually(authority) == first
    await client.patch(CONFIGMAPS, name, {"data": {"ca.crt": "broken"}}, namespace="lab")

    async def repaired() -> bool:
        return await authority() == first

    await eventually(repaired)


async def test_a_service_range_becomes_ready_and_goes_when_it_is_empty(
    client: Client, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicecidr, "DELETION_GRACE_S", 0.0)
    await client.create(SERVICE_CIDRS, {"metadata": {"name": "extra"}, "spec": {"cidrs": ["10.99.0.0/24"]}})

    async def ready() -> bool:
        found = await client.get(SERVICE_CIDRS, "extra")
        return condition_is(found, "Ready") and found["metadata"].get("finalizers") == [servicecidr.FINALIZER]

    await eventually(ready)
    spec = {"clusterIP": "10.99.0.9", "ports": [{"port": 80}]}
    await client.create(SERVICES, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    await client.delete(SERVICE_CIDRS, "extra")

    async def held_back() -> bool:
        found = await client.get(SERVICE_CIDRS, "extra")
        return (get_condition(found, "Ready") or {}).get("reason") == "Terminating"

    await eventually(held_back)
    await client.delete(SERVICES, "web", namespace="default")
    await eventually(lambda: is_gone(client, SERVICE_CIDRS, "extra", None))
