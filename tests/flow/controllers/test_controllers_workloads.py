"""Deployments, ReplicaSets, Services: the chain from a manifest to endpoints, and how it heals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.meta import key_of
from picluster.api.resources import (
    CORE_EVENTS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    PODS,
    REPLICASETS,
    REPLICATION_CONTROLLERS,
    SERVICES,
    Resource,
)
from picluster.client import Client, Informer, PatchType
from picluster.controllers.run import TRANSFORMS
from picluster.runtime import Manager
from picluster.runtime.manager import trim

Eventually = Callable[..., Awaitable[Any]]
Json = dict[str, Any]

pytestmark = pytest.mark.usefixtures("controllers")


def template(image: str = "web:1") -> Json:
    container = {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def workload(kind: str, replicas: int = 3, **spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def replicator(resource: Resource, replicas: int) -> Json:
    """A ReplicaSet, or a ReplicationController, whose selector is a plain map."""
    made = workload(resource.kind, replicas)
    if resource is REPLICATION_CONTROLLERS:
        made |= {"apiVersion": "v1", "spec": made["spec"] | {"selector": {"app": "web"}}}
    return made


REPLICATORS = pytest.mark.parametrize("kind", [REPLICASETS, REPLICATION_CONTROLLERS], ids=lambda kind: kind.plural)


@pytest.fixture
async def node(world: Any) -> str:
    await world.add_node("pi-1")
    return "pi-1"


async def events(client: Client, kind: str) -> list[tuple[str, str]]:
    page = await client.list(CORE_EVENTS, namespace="default", field_selector=f"involvedObject.kind={kind}")
    return [(event["reason"], event["message"]) for event in page["items"]]


def names(pods: list[Json]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


async def status_of(client: Client, kind: Any, name: str = "web") -> Json:
    found: Json = (await client.get(kind, name, namespace="default")).get("status") or {}
    return found


@REPLICATORS
async def test_it_is_kept_at_its_size(
    client: Client, world: Any, eventually: Eventually, node: str, kind: Resource
) -> None:
    await client.create(kind, replicator(kind, 3))

    async def of_size(count: int) -> Any:
        pods = await world.pods()
        return pods if len(pods) == count else None

    pods = await eventually(lambda: of_size(3))
    assert all(pod["metadata"]["ownerReferences"][0]["kind"] == kind.kind for pod in pods)
    assert all(pod["metadata"]["generateName"] == "web-" for pod in pods)
    for pod in pods:
        await world.run_pod(pod, node)

    async def all_available() -> bool:
        return (await status_of(client, kind)).get("availableReplicas") == 3

    await eventually(all_available)
    status = await status_of(client, kind)
    assert ("terminatingReplicas" in status) is (kind is REPLICASETS)
    assert status | {"terminatingReplicas": 0} == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "terminatingReplicas": 0,
        "observedGeneration": 1,
    }

    async def told() -> bool:
        return sorted(await events(client, kind.kind)) == sorted(
            ("SuccessfulCreate", f"Created pod: {name}") for name in names(pods)
        )

    await eventually(told)
    await client.patch(kind, "web", {"spec": {"replicas": 1}}, namespace="default")

    async def one_left() -> bool:
        return sum(1 for pod in await world.pods() if not pod["metadata"].get("deletionTimestamp")) == 1

    await eventually(one_left)


async def test_a_lost_pod_is_replaced_at_once(client: Client, world: Any, eventually: Eventually, node: str) -> None:
    """The healing bar: a replacement well within a second of the removal."""
    await client.create(REPLICASETS, workload("ReplicaSet"))

    async def running() -> bool:
        return await world.run_all() == 3 and (await status_of(client, REPLICASETS)).get("readyReplicas") == 3

    await eventually(running)
    before = await world.pods()
    start_s = time.monotonic()
    await client.delete(PODS, before[0]["metadata"]["name"], namespace="default")

    async def replaced() -> bool:
        return bool(names(await world.pods()) - names(before))

    await eventually(replaced)
    assert time.monotonic() - start_s < 0.5


@REPLICATORS
async def test_pods_are_adopted_and_released(
    client: Client, world: Any, eventually: Eventually, kind: Resource
) -> None:
    orphan = {
        "metadata": {"name": "mine", "namespace": "default", "labels": {"app": "web"}},
        "spec": template()["spec"],
    }
    await client.create(PODS, orphan)
    await client.create(kind, replicator(kind, 2))

    async def owned(name: str) -> bool:
        pod = await client.get(PODS, name, namespace="default")
        return bool(pod["metadata"].get("ownerReferences"))

    async def two() -> bool:
        return len(await world.pods()) == 2

    await eventually(two)
    await eventually(lambda: owned("mine"))
    await client.patch(PODS, "mine", {"metadata": {"labels": {"app": "other"}}}, namespace="default")

    async def released() -> bool:
        return not await owned("mine")

    await eventually(released)
    await eventually(two)


async def test_a_pod_that_cannot_be_made_is_a_condition(client: Client, eventually: Eventually) -> None:
    broken = workload("ReplicaSet")
    broken["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    await client.create(REPLICASETS, broken)

    async def failure() -> Any:
        return (await status_of(client, REPLICASETS)).get("conditions")

    (condition,) = await eventually(failure)
    assert (condition["type"], condition["status"], condition["reason"]) == ("ReplicaFailure", "True", "FailedCreate")
    assert "nobody" in condition["message"]


async def settled(client: Client, world: Any) -> bool:
    """Let every pod run, and say whether the Deployment is complete."""
    await world.run_all()
    deployment = await client.get(DEPLOYMENTS, "web", namespace="default")
    status, replicas = deployment.get("status") or {}, deployment["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    fresh = status.get("observedGeneration") == deployment["metadata"]["generation"]
    reasons = {condition["type"]: condition["reason"] for condition in status.get("conditions") or ()}
    return counts == [replicas] * 3 and fresh and reasons.get("Progressing") == "NewReplicaSetAvailable"


def image_of(pod: Json) -> str:
    return str(pod["spec"]["containers"][0]["image"])


async def set_image(client: Client, image: str) -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}
    await client.patch(DEPLOYMENTS, "web", patch, namespace="default", kind=PatchType.STRATEGIC)


async def test_a_deployment_rolls_out_and_back(client: Client, world: Any, eventually: Eventually, node: str) -> None:
    await client.create(DEPLOYMENTS, workload("Deployment"))
    await eventually(lambda: settled(client, world))
    deployment = await client.get(DEPLOYMENTS, "web", namespace="default")
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    available = {c["type"]: c for c in deployment["status"]["conditions"]}["Available"]
    assert available["message"] == "Deployment has minimum availability."
    first = await world.pods()

    await set_image(client, "web:2")
    least, most = 99, 0

    async def rolled() -> bool:
        nonlocal least, most
        pods = await world.pods()
        least = min(least, sum(1 for pod in pods if pod["status"].get("phase") == "Running"))
        most = max(most, sum(1 for pod in pods if not pod["metadata"].get("deletionTimestamp")))
        return await settled(client, world)

    await eventually(rolled)
    assert most <= 4
    assert least >= 2
    second = await world.pods()
    assert {image_of(pod) for pod in second} == {"web:2"}
    assert not names(first) & names(second)

    sets = (await client.list(REPLICASETS, namespace="default"))["items"]
    by_revision = {rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: rs for rs in sets}
    assert set(by_revision) == {"1", "2"}
    assert [by_revision[number]["spec"]["replicas"] for number in ("1", "2")] == [0, 3]

    await set_image(client, "web:1")  # what `kubectl rollout undo` does
    await eventually(lambda: settled(client, world))
    assert {image_of(pod) for pod in await world.pods()} == {"web:1"}
    again = await client.get(REPLICASETS, by_revision["1"]["metadata"]["name"], namespace="default")
    assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    deployment = await client.get(DEPLOYMENTS, "web", namespace="default")
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    name = by_revision["1"]["metadata"]["name"]

    async def told() -> bool:
        said = await events(client, "Deployment")
        return ("ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 3") in said

    await eventually(told)


async def test_recreate_never_runs_old_and_new_together(
    client: Client, world: Any, eventually: Eventually, node: str
) -> None:
    await client.create(DEPLOYMENTS, workload("Deployment", strategy={"type": "Recreate"}))
    await eventually(lambda: settled(client, world))
    await set_image(client, "web:2")
    mixtures = set()

    async def rolled() -> bool:
        mixtures.add(frozenset(image_of(pod) for pod in await world.pods()))
        return await settled(client, world) and {image_of(pod) for pod in await world.pods()} == {"web:2"}

    await eventually(rolled)
    assert frozenset({"web:1", "web:2"}) not in mixtures


async def test_scaling_pausing_and_history(client: Client, world: Any, eventually: Eventually, node: str) -> None:
    await client.create(DEPLOYMENTS, workload("Deployment", replicas=1, revisionHistoryLimit=1))
    await eventually(lambda: settled(client, world))
    await client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 4}}, namespace="default")
    await eventually(lambda: settled(client, world))
    await client.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}}, namespace="default")
    await set_image(client, "web:2")

    async def paused() -> bool:
        conditions = (await status_of(client, DEPLOYMENTS))["conditions"]
        return any(condition["reason"] == "DeploymentPaused" for condition in conditions)

    await eventually(paused)
    assert {image_of(pod) for pod in await world.pods()} == {"web:1"}
    await client.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}}, namespace="default")
    for image in ("web:2", "web:3", "web:4"):
        await set_image(client, image)
        await eventually(lambda: settled(client, world))

    async def cleaned() -> bool:
        return len((await client.list(REPLICASETS, namespace="default"))["items"]) == 2

    await eventually(cleaned)


async def test_a_rollout_that_hangs_says_so(client: Client, world: Any, eventually: Eventually, node: str) -> None:
    await client.create(DEPLOYMENTS, workload("Deployment", progressDeadlineSeconds=1))

    async def timed_out() -> bool:
        conditions = (await status_of(client, DEPLOYMENTS)).get("conditions") or ()
        return any(condition["reason"] == "ProgressDeadlineExceeded" for condition in conditions)

    await eventually(timed_out)
    await eventually(lambda: settled(client, world))


async def test_a_deleted_deployment_takes_everything_along(
    client: Client, world: Any, eventually: Eventually, node: str
) -> None:
    await client.create(DEPLOYMENTS, workload("Deployment"))
    await eventually(lambda: settled(client, world))
    await client.delete(DEPLOYMENTS, "web", namespace="default")

    async def gone() -> bool:
        await world.run_all()
        return not await world.pods() and not (await client.list(REPLICASETS, namespace="default"))["items"]

    await eventually(gone)


def service(**spec: Any) -> Json:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


async def ready_addresses(client: Client) -> list[str]:
    page = await client.list(ENDPOINT_SLICES, namespace="default", label_selector="kubernetes.io/service-name=web")
    endpoints = [endpoint for one in page["items"] for endpoint in one.get("endpoints") or ()]
    return sorted(one["addresses"][0] for one in endpoints if one["conditions"]["ready"])


async def legacy_addresses(client: Client) -> list[str]:
    try:
        found = await client.get(ENDPOINTS, "web", namespace="default")
    except ApiError:
        return []
    return sorted(entry["ip"] for subset in found.get("subsets") or () for entry in subset.get("addresses") or ())


async def test_a_service_knows_who_answers(client: Client, world: Any, eventually: Eventually, node: str) -> None:
    await client.create(SERVICES, service())

    async def placeholder() -> bool:
        page = await client.list(ENDPOINT_SLICES, namespace="default", label_selector="kubernetes.io/service-name=web")
        return len(page["items"]) == 1

    await eventually(placeholder)
    await client.create(REPLICASETS, workload("ReplicaSet", replicas=2))

    async def answering() -> Any:
        await world.run_all()
        found = await ready_addresses(client)
        return found if len(found) == 2 and await legacy_addresses(client) == found else None

    await eventually(answering)
    await eventually(placeholder)  # still one slice
    page = await client.list(ENDPOINT_SLICES, namespace="default", label_selector="kubernetes.io/service-name=web")
    assert page["items"][0]["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    pod = (await world.pods())[0]
    not_ready = {"type": "Ready", "status": "False"}
    await client.patch(
        PODS,
        pod["metadata"]["name"],
        {"status": {"conditions": [not_ready]}},
        namespace="default",
        kind=PatchType.STRATEGIC,
        subresource="status",
    )

    async def without_it() -> bool:
        address = pod["status"]["podIP"]
        return address not in await ready_addresses(client) and address not in await legacy_addresses(client)

    await eventually(without_it)
    await client.delete(SERVICES, "web", namespace="default")

    async def gone() -> bool:
        page = await client.list(ENDPOINT_SLICES, namespace="default", label_selector="kubernetes.io/service-name=web")
        return not page["items"] and not await legacy_addresses(client)

    await eventually(gone)


async def test_nothing_is_made_twice_under_churn(client: Client, world: Any, eventually: Eventually, node: str) -> None:
    """Scaled up and down while pods are lost, a ReplicaSet settles on its size and never made too many."""
    await client.create(REPLICASETS, workload("ReplicaSet", replicas=20))
    most = 0

    async def settled_at(count: int) -> bool:
        nonlocal most
        alive = [pod for pod in await world.pods() if not pod["metadata"].get("deletionTimestamp")]
        most = max(most, len(alive))
        return len(alive) == count

    await eventually(lambda: settled_at(20))
    for _ in range(3):
        pods = await world.pods()
        await asyncio.gather(*(world.end_pod(pod) for pod in pods[:10]))
        await eventually(lambda: settled_at(20))
    await asyncio.sleep(0.2)
    await eventually(lambda: settled_at(20))
    assert most == 20


async def test_no_controller_changes_what_the_caches_hold(
    client: Client, world: Any, eventually: Eventually, node: str, controllers: Manager
) -> None:
    """After a roll-out every cached object is still what the server says."""
    await client.create(SERVICES, service())
    await client.create(DEPLOYMENTS, workload("Deployment"))
    await eventually(lambda: settled(client, world))
    await set_image(client, "web:2")
    await eventually(lambda: settled(client, world))
    for resource in (DEPLOYMENTS, REPLICASETS, PODS, SERVICES, ENDPOINTS, ENDPOINT_SLICES):
        cache = controllers.informer(resource)

        async def equal(resource: Resource = resource, cache: Informer = cache) -> bool:
            listed = {key_of(item): item for item in (await client.list(resource))["items"]}
            trim_ = TRANSFORMS.get(resource.id, trim)
            listed = {key: trim_(item) for key, item in listed.items()}
            return listed == {key: cache.get(key) for key in cache.keys()}  # noqa: SIM118  an informer is no dict

        await eventually(equal)


async def test_a_restart_of_the_server_in_the_midst_of_making_pods(
    cluster: Any, client: Client, world: Any, eventually: Eventually, node: str
) -> None:
    await client.create(REPLICASETS, workload("ReplicaSet", replicas=40))
    await asyncio.sleep(0.02)
    await cluster.stop()
    await cluster.start()

    async def settled_at_size() -> bool:
        alive = [pod for pod in await world.pods() if not pod["metadata"].get("deletionTimestamp")]
        return len(alive) == 40 and (await status_of(client, REPLICASETS)).get("replicas") == 40

    await eventually(settled_at_size)
    await asyncio.sleep(0.3)
    assert await settled_at_size()
