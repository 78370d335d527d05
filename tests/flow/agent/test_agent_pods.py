"""Pods on a real node: started, probed, restarted, adopted, stopped, and nothing left behind."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from picluster.api.meta import condition_is, get_condition
from picluster.api.resources import CONFIGMAPS, LEASES, NODES, PODS, SECRETS, TOKEN_REVIEWS

pytestmark = [pytest.mark.lab]

CGROUPS_V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def status(pod: dict[str, Any], name: str = "web") -> dict[str, Any]:
    everyone = [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]
    return next((one for one in everyone if one["name"] == name), {})


async def test_the_node_registers_and_keeps_its_lease(node: Any) -> None:
    found = await node.eventually(node.registered, "the node to be Ready")
    assert get_condition(found, "Ready")["reason"] == "KubeletReady"
    assert get_condition(found, "MemoryPressure")["reason"] == "KubeletHasSufficientMemory"
    assert get_condition(found, "DiskPressure")["status"] in ("False", "True")
    assert found["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("podman://")
    assert found["metadata"]["labels"]["kubernetes.io/hostname"] == "test-node"
    assert any("localhost/busybox:test" in image["names"] for image in found["status"]["images"])

    async def lease() -> str:
        leases = (await node.client.list(LEASES, namespace="kube-node-lease"))["items"]
        return str(leases[0]["spec"]["renewTime"]) if leases else ""

    first = await node.eventually(lease, "the lease")

    async def renewed() -> bool:
        return await lease() != first

    await node.eventually(renewed, "the lease to be renewed", 2.0)
    await node.client.delete(NODES, "test-node")
    again = await node.eventually(node.registered, "the node to be registered again")
    assert again["metadata"]["uid"] != found["metadata"]["uid"]


async def test_a_pod_is_ready_within_a_moment_and_leaves_nothing(node: Any, make_pod: Any, box: Any) -> None:
    await node.run(make_pod("warm"))
    await node.when("warm", ready)
    web = box(
        "web",
        "httpd",
        "-f",
        "-p",
        "8080",
        readinessProbe={"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
        ports=[{"name": "http", "containerPort": 8080}],
    )
    web["readinessProbe"] = {"tcpSocket": {"port": "http"}, "periodSeconds": 5}
    began_s = time.monotonic()
    await node.run(make_pod("web", web))
    pod = await node.when("web", ready)
    assert time.monotonic() - began_s < 2.0
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"].startswith(node.link.subnet.removesuffix("0/24"))
    assert pod["status"]["hostIP"] == "127.0.0.1"
    assert pod["status"]["qosClass"] == "BestEffort"
    one = status(pod)
    assert one["containerID"].startswith("podman://")
    assert (one["ready"], one["started"], one["restartCount"]) == (True, True, 0)
    kinds = {condition["type"]: condition["status"] for condition in pod["status"]["conditions"]}
    assert kinds == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    for reason, text in (
        ("Pulled", 'Container image "localhost/busybox:test" already present on machine'),
        ("Created", "Container created"),
        ("Started", "Container started"),
    ):
        event = await node.event("web", reason, text)
        assert event["involvedObject"]["fieldPath"] == "spec.containers{web}"
        assert event["source"]["component"] == "kubelet"
    for name in ("web", "warm"):
        await node.client.delete(PODS, name, namespace="default")
        await node.gone(name)
    await node.event("web", "Killing", "Stopping container web")

    async def clean() -> bool:
        left = [*(node.root / "data" / "pods").iterdir(), *(node.root / "run" / "pods").iterdir()]
        return not left and not node.podman.containers()

    await node.eventually(clean, "nothing to be left")


async def logs(node: Any, name: str, **params: str) -> str:
    path = f"/api/v1/namespaces/default/pods/{name}/log"
    async with node.client.raw("GET", path, params=params) as response:
        return str(await response.text())


async def test_environment_volumes_and_logs(shared_node: Any, make_pod: Any, box: Any) -> None:
    await shared_node.client.create(
        CONFIGMAPS, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"color": "red", "conf": "one"}}
    )
    await shared_node.client.create(
        SECRETS, {"metadata": {"name": "sec", "namespace": "default"}, "stringData": {"key": "hush"}}
    )
    script = (
        'echo "$COLOR $POD_IP $HOSTNAME $(hostname) $KUBERNETES_SERVICE_HOST"; cat /cfg/conf /sec/key /down/name; echo;'
        "stat -Lc %a /sec/key; echo x > /empty/f; cat /empty/f; cat /one; ls /mem; sleep 1000"
    )
    web = box(
        "web",
        "sh",
        "-c",
        script,
        env=[
            {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "color"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        volumeMounts=[
            {"name": "cfg", "mountPath": "/cfg"},
            {"name": "sec", "mountPath": "/sec", "readOnly": True},
            {"name": "down", "mountPath": "/down"},
            {"name": "empty", "mountPath": "/empty"},
            {"name": "mem", "mountPath": "/mem"},
            {"name": "cfg", "mountPath": "/one", "subPath": "conf"},
        ],
        resources={"limits": {"cpu": "500m", "memory": "32Mi"}},
    )
    volumes = [
        {"name": "cfg", "configMap": {"name": "cfg"}},
        {"name": "sec", "secret": {"secretName": "sec", "defaultMode": 0o400}},
        {"name": "down", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "empty", "emptyDir": {}},
        {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]
    await shared_node.run(make_pod("web", web, volumes=volumes))
    pod = await shared_node.when("web", ready)

    async def said() -> list[str]:
        lines = (await logs(shared_node, "web")).splitlines()
        return lines if len(lines) >= 5 else []

    lines = await shared_node.eventually(said, "the log")
    assert lines[0].startswith(f"red {pod['status']['podIP']} web web 10.43.0.1")
    assert lines[1:] == ["onehushweb", "400", "x", "one"]
    assert await logs(shared_node, "web", tailLines="1") == "one"
    place = shared_node.root / "data" / "pods" / pod["metadata"]["uid"] / "volumes"
    assert (place / "kubernetes.io~secret" / "sec").is_mount() and (
        place / "kubernetes.io~empty-dir" / "mem"
    ).is_mount()
    assert pod["status"]["qosClass"] == "Guaranteed"


async def test_a_pod_has_a_token_of_its_own(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-auth] ServiceAccounts should mount an API token into pods; should mount projected service account token."""
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    script = f"cat {place}/token; echo; cat {place}/namespace; echo; cat {place}/ca.crt /vault/token; sleep 1000"
    mount = {"name": "vault", "mountPath": "/vault", "readOnly": True}
    token = {"path": "token", "audience": "vault", "expirationSeconds": 600}
    volume = {"name": "vault", "projected": {"sources": [{"serviceAccountToken": token}]}}
    reader = box("web", "sh", "-c", script, volumeMounts=[mount])
    pod = await shared_node.run(make_pod("web", reader, volumes=[volume]))
    await shared_node.when("web", lambda pod: condition_is(pod, "Ready"))

    async def said() -> list[str]:
        lines = (await logs(shared_node, "web")).splitlines()
        return lines if lines and lines[-1].count(".") == 2 else []

    lines = await shared_node.eventually(said, "both tokens")
    assert lines[1] == "default" and lines[2] == "-----BEGIN CERTIFICATE-----"
    for found, audiences in ((lines[0], []), (lines[-1], ["vault"])):
        spec = {"token": found, "audiences": audiences}
        status = (await shared_node.client.create(TOKEN_REVIEWS, {"spec": spec}))["status"]
        assert status["user"]["username"] == "system:serviceaccount:default:default"
        assert status["user"]["extra"]["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]
        assert status["user"]["extra"]["authentication.kubernetes.io/node-name"] == ["test-node"]


async def test_a_missing_config_map_holds_the_container_until_it_is_there(
    shared_node: Any, make_pod: Any, box: Any
) -> None:
    web = box("web", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "a"}}}])
    await shared_node.run(make_pod("web", web))
    pod = await shared_node.when("web", lambda pod: "message" in status(pod).get("state", {}).get("waiting", {}))
    waiting = {"reason": "CreateContainerConfigError", "message": 'configmap "late" not found'}
    assert status(pod)["state"]["waiting"] == waiting
    assert pod["status"]["phase"] == "Pending"
    await shared_node.event("web", "Failed", 'Error: configmap "late" not found')
    await shared_node.client.create(
        CONFIGMAPS, {"metadata": {"name": "late", "namespace": "default"}, "data": {"a": "b"}}
    )
    await shared_node.when("web", ready)


async def test_images_that_are_not_there(shared_node: Any, make_pod: Any, box: Any) -> None:
    absent = {"image": "localhost/none:1"}
    await shared_node.run(make_pod("never", box(**absent, imagePullPolicy="Never")))
    await shared_node.run(make_pod("pull", box(**absent)))
    pod = await shared_node.when("never", lambda pod: status(pod).get("state", {}).get("waiting", {}).get("message"))
    assert status(pod)["state"]["waiting"] == {
        "reason": "ErrImageNeverPull",
        "message": 'Container image "localhost/none:1" is not present with pull policy of Never',
    }
    seen: set[str] = set()
    await shared_node.when(
        "pull", lambda pod: seen.add(status(pod)["state"]["waiting"]["reason"]) or "ImagePullBackOff" in seen
    )
    assert "ErrImagePull" in seen
    await shared_node.event("pull", "BackOff", 'Back-off pulling image "localhost/none:1"')
    await shared_node.event("pull", "Failed", "Error: ErrImagePull")


async def test_a_pod_that_waits_for_its_image_can_be_deleted(shared_node: Any, make_pod: Any, box: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a registry that takes the call and says nothing
        image = f"127.0.0.1:{silent.getsockname()[1]}/none:1"
        await shared_node.run(make_pod("pull", box(image=image), box("local")))
        await shared_node.event("pull", "Pulling", f'Pulling image "{image}"')
        await shared_node.client.delete(PODS, "pull", namespace="default")
        await shared_node.gone("pull", timeout_s=8.0)
    await shared_node.eventually(lambda: _count(shared_node, 0), "everything to be removed")


async def test_a_crash_is_restarted_at_once_then_backs_off(node: Any, make_pod: Any, box: Any) -> None:
    web = box("web", "sh", "-c", "echo dying > /dev/termination-log; echo run; exit 3")
    await node.run(make_pod("web", web))
    pod = await node.when(
        "web", lambda pod: status(pod).get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )
    one = status(pod)
    uid = pod["metadata"]["uid"]
    assert one["restartCount"] == 1
    assert one["state"]["waiting"]["message"] == f"back-off 10s restarting failed container=web pod=web_default({uid})"
    ended = one["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "dying\n")
    assert pod["status"]["phase"] == "Running"
    await node.event("web", "BackOff", f"Back-off restarting failed container web in pod web_default({uid})")
    assert await logs(node, "web", previous="true") == "run\n"
    assert len(node.podman.containers()) == 1


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (1, "Failed")])
async def test_a_pod_that_never_restarts_ends(shared_node: Any, make_pod: Any, box: Any, code: int, phase: str) -> None:
    await shared_node.run(make_pod("job", box("web", "sh", "-c", f"echo done; exit {code}"), restartPolicy="Never"))
    pod = await shared_node.when("job", lambda pod: pod["status"]["phase"] == phase)
    assert status(pod)["state"]["terminated"]["exitCode"] == code
    assert get_condition(pod, "Ready")["reason"] == ("PodCompleted" if code == 0 else "PodFailed")
    assert await logs(shared_node, "job") == "done\n"

    async def torn_down() -> bool:
        return not (shared_node.root / "run" / "pods" / pod["metadata"]["uid"]).exists()

    await shared_node.eventually(torn_down, "the sandbox to go")
    await shared_node.client.delete(PODS, "job", namespace="default")
    await shared_node.gone("job")


async def test_init_containers_run_one_after_the_other(shared_node: Any, make_pod: Any, box: Any) -> None:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    init = [
        box("first", "sh", "-c", "echo 1 >> /v/order", **mount),
        box("second", "sh", "-c", "echo 2 >> /v/order", **mount),
    ]
    web = box("web", "sh", "-c", "cat /v/order; sleep 1000", **mount)
    await shared_node.run(make_pod("web", web, initContainers=init, volumes=[{"name": "v", "emptyDir": {}}]))
    pod = await shared_node.when("web", ready)
    assert status(pod, "first")["state"]["terminated"]["reason"] == "Completed"

    async def said() -> bool:
        return await logs(shared_node, "web") == "1\n2\n"

    await shared_node.eventually(said, "the log")


def _monitors(container_id: str) -> int:
    """How many monitor processes of Podman's there are for a container: one, and more for each exec session."""
    lines = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()
    return sum("conmon" in line and container_id in line for line in lines)


async def test_a_command_that_takes_too_long_fails_its_probe_and_is_killed(
    shared_node: Any, make_pod: Any, box: Any
) -> None:
    probe = {"exec": {"command": ["sleep", "777"]}, "periodSeconds": 1, "timeoutSeconds": 1}
    await shared_node.run(make_pod("web", box("web", readinessProbe=probe)))
    await shared_node.event("web", "Unhealthy", "Readiness probe failed: command timed out")
    pod = await shared_node.when("web", lambda pod: not ready(pod))
    processes = shared_node.podman.podman(
        "top", status(pod)["containerID"].removeprefix("podman://"), "args"
    ).splitlines()
    assert sum("777" in one for one in processes) <= 1


async def test_readiness_and_liveness(shared_node: Any, make_pod: Any, box: Any) -> None:
    web = box(
        "web",
        "sh",
        "-c",
        "touch /tmp/ready /tmp/live; sleep 1000",
        readinessProbe={"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1},
        livenessProbe={"exec": {"command": ["cat", "/tmp/live"]}, "periodSeconds": 1, "failureThreshold": 1},
    )
    await shared_node.run(make_pod("web", web))
    pod = await shared_node.when("web", ready)
    container_id = status(pod)["containerID"].removeprefix("podman://")
    await asyncio.sleep(2.0)
    assert _monitors(container_id) == 1, "probes leave processes behind"
    shared_node.podman.podman("exec", container_id, "rm", "/tmp/ready")
    pod = await shared_node.when("web", lambda pod: not ready(pod))
    assert get_condition(pod, "Ready")["message"] == "containers with unready status: [web]"
    await shared_node.event("web", "Unhealthy", "Readiness probe failed: cat: can't open '/tmp/ready'")
    shared_node.podman.podman("exec", container_id, "rm", "/tmp/live")
    pod = await shared_node.when("web", lambda pod: status(pod)["restartCount"] == 1 and ready(pod))
    assert status(pod)["containerID"] != f"podman://{container_id}"
    assert "message" not in get_condition(pod, "Ready")
    await shared_node.event("web", "Killing", "Container web failed liveness probe, will be restarted")


async def test_a_container_that_ignores_its_signal_is_killed_after_the_grace(
    node: Any, make_pod: Any, box: Any
) -> None:
    deaf = box("web", "sh", "-c", "trap '' TERM; while true; do sleep 1; done")
    kind = box("web", "sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done")
    await node.run(make_pod("deaf", deaf, terminationGracePeriodSeconds=2))
    await node.run(make_pod("kind", kind, terminationGracePeriodSeconds=30))
    for name in ("deaf", "kind"):
        await node.when(name, ready)
    began_s = time.monotonic()
    for name in ("deaf", "kind"):
        await node.client.delete(PODS, name, namespace="default")
    await node.gone("kind")
    assert time.monotonic() - began_s < 2.0
    await node.gone("deaf")
    assert 2.0 <= time.monotonic() - began_s < 6.0


async def test_exec(shared_node: Any, make_pod: Any, box: Any) -> None:
    await shared_node.run(make_pod("web"))
    await shared_node.when("web", ready)
    path = "/api/v1/namespaces/default/pods/web/exec"

    async def run(*command: str, given: bytes = b"", **flags: str) -> tuple[dict[int, bytes], str]:
        params = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true"), *flags.items()]
        channels: dict[int, bytes] = {}
        async with shared_node.client.websocket(path, params=params) as socket:
            if given:
                await socket.send_bytes(b"\x00" + given)
                await socket.send_bytes(b"\xff\x00")
            async for message in socket:
                channels[message.data[0]] = channels.get(message.data[0], b"") + message.data[1:]
            return channels, str(socket.protocol)

    channels, protocol = await run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert protocol == "v5.channel.k8s.io"
    assert (channels[1], channels[2]) == (b"out\n", b"err\n")
    assert b'"reason": "ExitCode", "message": "7"' in channels[3]
    channels, _ = await run("cat", given=b"typed", stdin="true")
    assert channels[1] == b"typed"
    assert b"Success" in channels[3]
    channels, _ = await run("no-such-program")
    assert b"Failure" in channels[3]


async def test_an_agent_that_comes_back_adopts_what_runs(node: Any, make_pod: Any, box: Any) -> None:
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    await node.run(make_pod("web", box("web", "httpd", "-f", "-p", "8080", readinessProbe=probe)))
    await node.run(make_pod("gone"))
    before = await node.when("web", ready)
    await node.when("gone", ready)
    assert node.stop() == 0
    await node.client.delete(PODS, "gone", namespace="default", grace_period_s=0)
    node.start()
    await node.eventually(lambda: _count(node, 1), "the pod that was deleted meanwhile to be removed")
    await asyncio.sleep(1.0)  # a mistaken report would have come by now
    pod = await node.get("web")
    assert pod == before, "the pod's status changed, though nothing happened to it"
    node.podman.podman("kill", status(pod)["containerID"].removeprefix("podman://"))
    pod = await node.when("web", lambda pod: status(pod)["restartCount"] == 1 and ready(pod))
    assert status(pod)["lastState"]["terminated"]["exitCode"] == 137


async def _count(node: Any, wanted: int) -> bool:
    return len(node.podman.containers()) == wanted


async def test_an_agent_killed_at_any_moment_runs_nothing_twice(node: Any, make_pod: Any, box: Any) -> None:
    for number in range(4):
        await node.run(make_pod(f"web-{number}", box("a"), box("b")))
    for delay_s in (0.4, 0.5, 0.6, 0.8, 1.0):
        await asyncio.sleep(delay_s)
        node.stop(signal.SIGKILL)
        node.start()
    for number in range(4):
        await node.when(f"web-{number}", ready)
    running = [one for one in node.podman.containers() if one["State"] == "running"]
    names = [
        (one["Labels"]["io.kubernetes.pod.name"], one["Labels"]["io.kubernetes.container.name"]) for one in running
    ]
    assert len(names) == len(set(names)) == 8
    for number in range(4):
        await node.client.delete(PODS, f"web-{number}", namespace="default")
    for number in range(4):
        await node.gone(f"web-{number}")
    await node.eventually(lambda: _count(node, 0), "everything to be removed")


async def test_after_a_power_cut_pods_start_afresh(node: Any, make_pod: Any, box: Any) -> None:
    await node.run(make_pod("web", box("web"), initContainers=[box("init", "true")]))
    before = await node.when("web", ready)
    node.stop(signal.SIGKILL)
    node.cut_power()
    node.start()
    pod = await node.when("web", lambda pod: status(pod)["restartCount"] == 1 and ready(pod))
    assert status(pod)["lastState"]["terminated"]["exitCode"] == 255
    assert status(pod)["containerID"] != status(before)["containerID"]
    assert status(pod, "init")["restartCount"] == 1
    await node.event("web", "SandboxChanged")
    await node.client.delete(PODS, "web", namespace="default")
    await node.gone("web")
    await node.eventually(lambda: _count(node, 0), "everything to be removed")


async def test_a_container_that_ends_without_podman_noticing_is_started_again(node: Any, make_pod: Any) -> None:
    await node.run(make_pod("web"))
    await node.when("web", ready)
    (running,) = node.podman.containers()
    node.kill_with_monitor(running["Id"], running["Pid"])
    pod = await node.when("web", lambda pod: status(pod)["restartCount"] == 1 and ready(pod), 40.0)
    assert status(pod)["lastState"]["terminated"]["reason"] == "Unknown"
    assert status(pod)["lastState"]["terminated"]["exitCode"] == 255


async def test_while_the_api_server_is_away_pods_are_kept_running(node: Any, make_pod: Any, box: Any) -> None:
    await node.run(make_pod("web"))
    pod = await node.when("web", ready)
    node.server.kill()
    node.podman.podman("kill", status(pod)["containerID"].removeprefix("podman://"))

    async def restarted() -> bool:
        return any(one["State"] == "running" and one["Names"][0].endswith("_1") for one in node.podman.containers())

    await node.eventually(restarted, "a restart without the API server")
    node.stop()
    node.start()
    await asyncio.sleep(2.0)  # an agent that mistook silence for an empty list would have removed it by now
    assert await restarted()
    node.server.start()
    await node.when("web", lambda pod: status(pod)["restartCount"] == 1 and ready(pod))


async def test_containers_of_others_are_left_alone(node: Any, make_pod: Any) -> None:
    stranger = node.podman.podman(
        "run", "--detach", "--network=none", "localhost/busybox:test", "sleep", "1000"
    ).strip()
    try:
        await node.run(make_pod("web"))
        await node.when("web", ready)
        node.stop()
        node.start()
        await node.client.delete(PODS, "web", namespace="default")
        await node.gone("web")
        await node.eventually(lambda: _count(node, 1), "the pod to be removed")
        assert node.podman.containers()[0]["Id"] == stranger
    finally:
        node.podman.podman("rm", "--force", "--time=0", stranger)


async def test_a_container_that_takes_more_memory_than_it_may_is_killed(
    shared_node: Any, make_pod: Any, box: Any
) -> None:
    big = box("web", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", resources={"limits": {"memory": "16Mi"}})
    await shared_node.run(make_pod("big", big, restartPolicy="Never"))
    pod = await shared_node.when("big", lambda pod: pod["status"]["phase"] == "Failed")
    ended = status(pod)["state"]["terminated"]
    assert ended["exitCode"] == 137
    assert ended["reason"] == "OOMKilled" or not CGROUPS_V2  # conmon does not notice on a cgroup v1 host


async def test_the_host_network_and_the_pods_own(node: Any, make_pod: Any, box: Any) -> None:
    await node.run(make_pod("host", hostNetwork=True))
    two = [
        box("a", "httpd", "-f", "-p", "127.0.0.1:8080"),
        box("b", "sh", "-c", "sleep 1; nc 127.0.0.1 8080 -e true && hostname; sleep 99"),
    ]
    await node.run(make_pod("own", *two, hostname="shared"))
    pod = await node.when("host", ready)
    assert pod["status"]["podIP"] == "127.0.0.1"
    await node.when("own", ready)

    async def said() -> bool:
        return await logs(node, "own", container="b") == "shared\n"

    await node.eventually(said, "containers of a pod to share its loopback and its hostname")


async def test_lifecycle_hooks_and_identity(shared_node: Any, make_pod: Any, box: Any) -> None:
    web = box(
        "web",
        "sh",
        "-c",
        "id -u; id -G; while ! cat /v/started; do sleep 0.05; done; trap 'cat /v/stopping; exit 0' TERM; "
        "while true; do sleep 0.05; done",
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
        lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo started > /v/started"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /v/stopping"]}},
        },
        securityContext={"runAsUser": 1234, "capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False},
    )
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": str(shared_node.root)}}]
    await shared_node.run(
        make_pod("web", web, volumes=volumes, securityContext={"fsGroup": 4321}, terminationGracePeriodSeconds=20)
    )
    await shared_node.when("web", ready)

    async def said(text: str) -> bool:
        return text in await logs(shared_node, "web")

    await shared_node.eventually(lambda: said("started"), "postStart")
    said_first = (await logs(shared_node, "web")).splitlines()
    assert said_first[0] == "1234"
    assert "4321" in said_first[1].split()
    log = next(shared_node.root.glob("data/pods/*/logs/web/0.log"))
    with log.open() as held:
        await shared_node.client.delete(PODS, "web", namespace="default")
        await shared_node.gone("web")
        assert "stopping" in held.read()


async def test_following_a_log_sees_a_line_as_it_is_written(shared_node: Any, make_pod: Any, box: Any) -> None:
    await shared_node.run(
        make_pod("web", box("web", "sh", "-c", "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.1; done"))
    )
    await shared_node.when("web", ready)
    path = "/api/v1/namespaces/default/pods/web/log"
    got = b""
    async with shared_node.client.raw(
        "GET", path, params={"follow": "true", "tailLines": "1"}, timeout_s=None
    ) as response:
        async for chunk in response.content.iter_any():
            got += chunk
            if got.count(b"\n") >= 5:
                break
    numbers = [int(line.split()[1]) for line in got.decode().splitlines()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
