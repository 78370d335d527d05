"""The life of pods on a real node: order at the start and at the end, restarts, hooks, debugging, pods from files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.meta import condition_is, get_condition
from picluster.api.resources import PODS
from picluster.client import PatchType

pytestmark = [pytest.mark.lab]

IMAGE = "localhost/busybox:test"
OTHER_IMAGE = "localhost/busybox:other"
QUIT = ("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.05; done")
"""Ends well as soon as it is asked to; ``sleep`` alone would have to be killed."""
KIND = "trap 'echo {name} >> /v/order; exit {code}' TERM; while true; do sleep 0.05; done"


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def status(pod: dict[str, Any], name: str = "web") -> dict[str, Any]:
    groups = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    everyone = [one for group in groups for one in pod.get("status", {}).get(group, ())]
    return next((one for one in everyone if one["name"] == name), {})


def waiting(pod: dict[str, Any], name: str = "web") -> str:
    return str(status(pod, name).get("state", {}).get("waiting", {}).get("reason", ""))


def terminated(pod: dict[str, Any], name: str = "web") -> dict[str, Any]:
    return dict(status(pod, name).get("state", {}).get("terminated", {}))


async def change(node: Any, name: str, patch: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    return dict(
        await node.client.patch(
            PODS, name, patch, namespace="default", kind=PatchType.STRATEGIC, subresource=subresource or None
        )
    )


@pytest.fixture
def shared_place(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A directory of the host that outlives its pod, with the volume that mounts it at ``/v``."""
    tmp_path.chmod(0o777)
    volume = {"name": "v", "hostPath": {"path": str(tmp_path)}}
    return tmp_path / "order", {"volumes": [volume]}


MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}


async def test_sidecars_start_in_order_and_end_in_reverse(
    shared_node: Any, make_pod: Any, box: Any, shared_place: Any
) -> None:
    order, volumes = shared_place

    def sidecar(name: str, code: int) -> dict[str, Any]:
        script = f"echo {name} up >> /v/order; sleep 0.5; touch /tmp/up; {KIND.format(name=name, code=code)}"
        probe = {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1}
        return dict(box(name, "sh", "-c", script, restartPolicy="Always", startupProbe=probe, **MOUNT))

    init = [sidecar("one", 3), box("prepare", "sh", "-c", "echo prepare >> /v/order", **MOUNT), sidecar("two", 0)]
    web = box("web", "sh", "-c", "echo web >> /v/order; sleep 1", **MOUNT)
    made = make_pod("job", web, initContainers=init, restartPolicy="Never", terminationGracePeriodSeconds=20, **volumes)
    await shared_node.run(made)
    pod = await shared_node.when("job", lambda pod: "running" in status(pod).get("state", {}))
    assert [status(pod, name)["started"] for name in ("one", "two", "web")] == [True] * 3
    assert (status(pod, "one")["ready"], status(pod, "prepare")["ready"]) == (True, True)
    pod = await shared_node.when("job", lambda pod: pod["status"]["phase"] not in ("Pending", "Running"))
    assert pod["status"]["phase"] == "Succeeded", "a sidecar's exit code counts in no phase"
    assert terminated(pod, "one")["exitCode"] == 3
    assert order.read_text().splitlines() == ["one up", "prepare", "two up", "web", "two", "one"]
    assert get_condition(pod, "Initialized")["reason"] == "PodCompleted"


async def test_a_sidecar_restarts_beside_what_runs(shared_node: Any, make_pod: Any, box: Any) -> None:
    side = box("side", restartPolicy="Always", lifecycle={"preStop": {"sleep": {"seconds": 1}}})
    await shared_node.run(make_pod("web", initContainers=[side]))
    pod = await shared_node.when("web", ready)
    shared_node.podman.podman("kill", status(pod, "side")["containerID"].removeprefix("podman://"))
    again = await shared_node.when("web", lambda pod: status(pod, "side")["restartCount"] == 1 and ready(pod))
    assert status(again)["containerID"] == status(pod)["containerID"]
    assert again["status"]["phase"] == "Running"
    assert condition_is(again, "Initialized")


async def test_debugging_a_container(shared_node: Any, make_pod: Any, box: Any) -> None:
    """``kubectl debug --target`` does this: another container in the processes of the first, which nothing restarts."""
    await shared_node.run(make_pod("web", box("web", "sleep", "4242")))
    await shared_node.when("web", ready)
    debug = box("debug", "sh", "-c", "cat /proc/1/cmdline; sleep 1000", targetContainerName="web")
    await change(shared_node, "web", {"spec": {"ephemeralContainers": [debug]}}, "ephemeralcontainers")
    pod = await shared_node.when("web", lambda pod: "running" in status(pod, "debug").get("state", {}))

    async def sees() -> bool:
        path = "/api/v1/namespaces/default/pods/web/log"
        async with shared_node.client.raw("GET", path, params={"container": "debug"}) as answer:
            return "4242" in str(await answer.text())

    await shared_node.eventually(sees, "the target's first process")
    before = status(pod, "debug")["containerID"]
    shared_node.podman.podman("kill", before.removeprefix("podman://"))
    pod = await shared_node.when("web", lambda pod: terminated(pod, "debug"))
    assert (status(pod, "debug")["containerID"], terminated(pod, "debug")["exitCode"]) == (before, 137)
    missing = box("lost", targetContainerName="web-2")
    with pytest.raises(ApiError, match="targetContainerName"):
        await change(shared_node, "web", {"spec": {"ephemeralContainers": [missing]}}, "ephemeralcontainers")
    assert ready(pod) and pod["status"]["phase"] == "Running"
    paths = {one["involvedObject"].get("fieldPath") for one in await shared_node.events("web")}
    assert {"spec.containers{web}", "spec.ephemeralContainers{debug}"} <= paths


async def test_rules_of_a_container_decide_before_the_pods_policy(
    shared_node: Any, make_pod: Any, box: Any, shared_place: Any
) -> None:
    _, volumes = shared_place
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    own = {"restartPolicy": "Never", "restartPolicyRules": rules, **MOUNT}
    web = box("web", "sh", "-c", "[ -e /v/again ] && exit 7; touch /v/again; exit 42", **own)
    await shared_node.run(make_pod("web", web, **volumes))
    pod = await shared_node.when("web", lambda pod: pod["status"]["phase"] == "Failed")
    assert (status(pod)["restartCount"], terminated(pod)["exitCode"]) == (1, 7)
    assert status(pod)["lastState"]["terminated"]["exitCode"] == 42


async def test_one_container_may_have_all_begin_anew(
    shared_node: Any, make_pod: Any, box: Any, shared_place: Any
) -> None:
    """KEP-5532: init containers too, in the same sandbox, whatever their policies."""
    order, volumes = shared_place
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]
    own = {"restartPolicy": "Never", "restartPolicyRules": rules, **MOUNT}
    init = box("init", "sh", "-c", "echo init >> /v/order", **MOUNT)
    asking = box("asking", "sh", "-c", "[ -e /v/again ] && exit 0; touch /v/again; sleep 0.5; exit 42", **own)
    beside = box("beside", "sh", "-c", KIND.format(name="beside", code=0), **MOUNT)
    made = make_pod("web", asking, beside, initContainers=[init], restartPolicy="Never", **volumes)
    await shared_node.run(made)
    first = await shared_node.when("web", lambda pod: "running" in status(pod, "beside").get("state", {}))
    pod = await shared_node.when(
        "web",
        lambda pod: terminated(pod, "asking").get("exitCode") == 0 and "running" in status(pod, "beside")["state"],
    )
    assert [status(pod, name)["restartCount"] for name in ("init", "asking", "beside")] == [1, 1, 1]
    assert pod["status"]["podIP"] == first["status"]["podIP"]
    assert order.read_text().splitlines() == ["init", "beside", "init"]
    assert condition_is(pod, "AllContainersRestarting", "False")


async def test_what_cannot_be_run_counts_as_an_attempt(shared_node: Any, make_pod: Any, box: Any) -> None:
    await shared_node.run(make_pod("never", box("web", "/no/such/program"), restartPolicy="Never"))
    await shared_node.run(make_pod("always", box("web", "/no/such/program")))
    pod = await shared_node.when("never", lambda pod: pod["status"]["phase"] == "Failed")
    assert (terminated(pod)["exitCode"], terminated(pod)["reason"]) == (128, "StartError")
    assert "/no/such/program" in terminated(pod)["message"]
    pod = await shared_node.when("always", lambda pod: waiting(pod) == "CrashLoopBackOff")
    assert status(pod)["restartCount"] == 1
    assert status(pod)["lastState"]["terminated"]["reason"] == "StartError"
    await shared_node.event("always", "Failed", "Error: ")


async def test_hooks_at_the_beginning(shared_node: Any, make_pod: Any, box: Any) -> None:
    slow = box("first", lifecycle={"postStart": {"sleep": {"seconds": 1}}})
    await shared_node.run(make_pod("slow", slow, box("second")))
    await shared_node.event("slow", "Started", "Container started")
    pod = await shared_node.get("slow")
    assert (waiting(pod, "first"), waiting(pod, "second")) == ("ContainerCreating", "ContainerCreating")
    pod = await shared_node.when("slow", ready)
    began = [status(pod, name)["state"]["running"]["startedAt"] for name in ("first", "second")]
    assert began[0] < began[1], "the second began before the first one's handler was through"
    failing = {"postStart": {"exec": {"command": ["sh", "-c", "echo secret; false"]}}}
    await shared_node.run(make_pod("failing", box("web", *QUIT, lifecycle=failing)))
    event = await shared_node.event("failing", "FailedPostStartHook")
    assert event["message"] == "PostStartHook failed", "what the handler says may be a secret"
    await shared_node.event("failing", "Killing", "FailedPostStartHook")
    reasons: set[str] = set()
    await shared_node.when("failing", lambda pod: reasons.add(waiting(pod)) or status(pod)["restartCount"] >= 1)
    assert reasons & {"PostStartHookError", "CrashLoopBackOff"}


async def test_hooks_and_signals_at_the_end(shared_node: Any, make_pod: Any, box: Any, shared_place: Any) -> None:
    order, volumes = shared_place
    script = (
        "trap 'echo usr1 >> /v/order; exit 0' USR1; trap 'echo term >> /v/order' TERM; while true; do sleep 0.05; done"
    )
    handler = {"exec": {"command": ["sh", "-c", "echo stopping >> /v/order; sleep 100"]}}
    own = box("own", "sh", "-c", script, lifecycle={"preStop": handler, "stopSignal": "SIGUSR1"}, **MOUNT)
    await shared_node.run(make_pod("web", own, os={"name": "linux"}, terminationGracePeriodSeconds=60, **volumes))
    pod = await shared_node.when("web", ready)
    assert status(pod, "own")["stopSignal"] == "SIGUSR1"
    await shared_node.client.delete(PODS, "web", namespace="default")

    async def stopping() -> bool:
        return order.exists() and "stopping" in order.read_text()

    await shared_node.eventually(stopping, "the handler")
    pod = await shared_node.get("web")
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 60
    assert "running" in status(pod, "own")["state"]
    began_s = time.monotonic()
    await shared_node.client.delete(PODS, "web", namespace="default", grace_period_s=1)  # shorter, the second time
    await shared_node.gone("web")
    assert 0.5 < time.monotonic() - began_s < 5.0
    assert order.read_text().splitlines() == ["stopping", "usr1"]


async def test_another_image_replaces_a_container(shared_node: Any, make_pod: Any, box: Any) -> None:
    shared_node.podman.podman("tag", IMAGE, OTHER_IMAGE)
    await shared_node.run(make_pod("web", box("b", *QUIT), box("a", *QUIT), restartPolicy="OnFailure"))
    pod = await shared_node.when("web", ready)
    assert [one["name"] for one in pod["status"]["containerStatuses"]] == ["a", "b"], "sorted by name"
    await change(shared_node, "web", {"spec": {"containers": [{"name": "a", "image": OTHER_IMAGE}]}})
    again = await shared_node.when("web", lambda pod: status(pod, "a")["restartCount"] == 1 and ready(pod))
    assert status(again, "b")["containerID"] == status(pod, "b")["containerID"]
    assert again["status"]["observedGeneration"] == again["metadata"]["generation"] == 2
    assert get_condition(again, "Ready")["observedGeneration"] == 2
    await shared_node.event("web", "Killing", "Container a definition changed, will be restarted")
    assert status(again, "a")["user"]["linux"] == {"uid": 0, "gid": 0, "supplementalGroups": [0]}
    await change(shared_node, "web", {"spec": {"activeDeadlineSeconds": 1}})
    over = await shared_node.when("web", lambda pod: pod["status"]["phase"] == "Failed")
    assert (over["status"]["reason"], over["status"]["message"]) == (
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline",
    )
    assert [one["state"]["terminated"]["exitCode"] for one in over["status"]["containerStatuses"]] == [0, 0]
    await shared_node.event("web", "DeadlineExceeded")


async def test_many_changes_are_all_seen_in_the_end(shared_node: Any, make_pod: Any) -> None:
    """[sig-node] Pods Extended (pod generation): the observed generation converges."""
    await shared_node.run(make_pod("web"))
    for number in range(60):
        await change(shared_node, "web", {"spec": {"activeDeadlineSeconds": 9000 - number}})
    pod = await shared_node.when("web", lambda pod: pod["status"].get("observedGeneration", 0) > 50)
    last = pod["metadata"]["generation"]
    await shared_node.when("web", lambda pod: pod["status"]["observedGeneration"] == last and ready(pod))


async def test_a_pod_waits_until_its_name_is_free(shared_node: Any, make_pod: Any, box: Any) -> None:
    """Whatever is forced in the API: two pods of one name never run on a node at one time."""
    kind = box("web", "sh", "-c", "trap 'sleep 1.5; exit 0' TERM; while true; do sleep 0.05; done")
    await shared_node.run(make_pod("web", kind, terminationGracePeriodSeconds=20))
    first = await shared_node.when("web", ready)
    await shared_node.client.delete(PODS, "web", namespace="default", grace_period_s=0)
    await shared_node.run(make_pod("web", box("web", *QUIT)))
    uids: set[str] = set()

    async def replaced() -> bool:
        listed = [one for one in shared_node.podman.containers() if one["State"] == "running"]
        running = {one["Labels"]["io.kubernetes.pod.uid"] for one in listed
                   if one["Labels"]["io.kubernetes.pod.name"] == "web"}  # fmt: skip
        assert len(running) <= 1, "two pods of one name ran at one time"
        uids.update(running)
        return len(uids) == 2

    await shared_node.eventually(replaced, "the second pod")
    second = await shared_node.when("web", ready)
    assert uids == {first["metadata"]["uid"], second["metadata"]["uid"]}


async def test_a_finalizer_keeps_the_object_and_nothing_else(shared_node: Any, make_pod: Any, box: Any) -> None:
    made = make_pod("web", box("web", *QUIT))
    made["metadata"]["finalizers"] = ["example.com/keep"]
    await shared_node.run(made)
    await shared_node.when("web", ready)
    await shared_node.client.delete(PODS, "web", namespace="default")
    pod = await shared_node.when("web", lambda pod: pod["status"]["phase"] == "Succeeded")
    assert terminated(pod)["exitCode"] == 0
    await change(shared_node, "web", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/keep"]}})
    await shared_node.gone("web")


async def test_pods_from_files(node: Any, box: Any) -> None:
    place = node.root / "manifests"
    place.mkdir(exist_ok=True)

    def write(command: str) -> None:
        spec = {"containers": [box("web", *QUIT[:2], QUIT[2] + f" # {command}")]}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
        (place / "web.json").write_text(json.dumps(document))

    def running() -> list[str]:
        return [one["Id"] for one in node.podman.containers() if one["State"] == "running"]

    node.stop()
    write("1000")
    node.server.kill()
    node.start()

    async def runs() -> list[str]:
        return running()

    first = await node.eventually(runs, "the pod to run while the API server is away")
    node.server.start()
    pod = await node.when("web-test-node", ready)
    annotations, owner = pod["metadata"]["annotations"], pod["metadata"]["ownerReferences"][0]
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"] != ""
    assert annotations["kubernetes.io/config.source"] == "file"
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Node", "test-node", True)
    assert status(pod)["containerID"].removeprefix("podman://") == first[0]
    await node.client.delete(PODS, "web-test-node", namespace="default")
    uid = pod["metadata"]["uid"]
    await node.when("web-test-node", lambda pod: pod["metadata"]["uid"] != uid and ready(pod))
    assert running() == first, "whoever deletes the mirror ends nothing"
    write("1001")
    await node.when("web-test-node", lambda pod: ready(pod) and status(pod)["containerID"] != f"podman://{first[0]}")
    assert len(running()) == 1
    (place / "web.json").unlink()
    await node.gone("web-test-node")

    async def nothing() -> bool:
        return not node.podman.containers() and not list((node.root / "data" / "pods").iterdir())

    await node.eventually(nothing, "nothing to be left")
