"""What containers of a pod share, and what runs them."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from picluster.api.meta import condition_is
from picluster.api.resources import PODS, RUNTIME_CLASSES

pytestmark = [pytest.mark.lab]


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


async def logs(node: Any, name: str, container: str = "web") -> str:
    path = f"/api/v1/namespaces/default/pods/{name}/log"
    async with node.client.raw("GET", path, params={"container": container}) as response:
        return str(await response.text())


def inside(node: Any, pod: dict[str, Any], container: str, *command: str) -> str:
    found = next(one for one in pod["status"]["containerStatuses"] if one["name"] == container)
    return str(node.podman.podman("exec", found["containerID"].removeprefix("podman://"), *command))


def pause_of(node: Any, pod: dict[str, Any]) -> int:
    return int((node.root / "run" / "pods" / pod["metadata"]["uid"] / "pause").read_text().split()[0])


async def test_memory_parameters_and_names_are_shared(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-node] Sysctls should support sysctls; /dev/shm is one for all containers of a pod."""
    sysctls = [
        {"name": "kernel.shm_rmid_forced", "value": "1"},
        {"name": "net.ipv4.ping_group_range", "value": "5 6"},
    ]
    await shared_node.run(make_pod("web", box("a"), box("b"), securityContext={"sysctls": sysctls}))
    pod = await shared_node.when("web", ready)
    inside(shared_node, pod, "a", "sh", "-c", "echo hello > /dev/shm/word")
    assert inside(shared_node, pod, "b", "cat", "/dev/shm/word") == "hello\n"
    assert inside(shared_node, pod, "b", "df", "-k", "/dev/shm").split()[8] == "65536"
    assert inside(shared_node, pod, "b", "cat", "/proc/sys/kernel/shm_rmid_forced").strip() == "1"
    assert inside(shared_node, pod, "b", "cat", "/proc/sys/net/ipv4/ping_group_range").split() == ["5", "6"]
    assert inside(shared_node, pod, "b", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start").strip() == "0"
    assert Path("/proc/sys/net/ipv4/ping_group_range").read_text().split() != ["5", "6"]
    assert "sleep" not in inside(shared_node, pod, "b", "ps", "-o", "args").replace("sleep 1000", "", 1)


async def test_processes_are_shared_and_outlive_the_agent(node: Any, make_pod: Any, box: Any) -> None:
    """KEP-495: orphans are reaped, what a container leaves ends with it; all of it again after a power cut."""
    orphan = "(sleep 0.1 &) ; sleep 333 & exec sleep 1000"
    await node.run(make_pod("web", box("a", "sh", "-c", orphan), box("b", "sleep", "2000"), shareProcessNamespace=True))
    pod = await node.when("web", ready)
    pause = pause_of(node, pod)

    def processes(pod: dict[str, Any]) -> list[str]:
        return [line.strip() for line in inside(node, pod, "b", "ps", "-o", "pid,stat,args").splitlines()]

    async def settled() -> list[str]:
        found = processes(pod)
        return [] if any("sleep 0.1" in line or " Z" in line for line in found) else found

    found = await node.eventually(settled, "orphans to be reaped")
    assert found[1].startswith("1 ") and found[1].endswith("sleep infinity")
    assert all(any(line.endswith(f"sleep {number}") for line in found) for number in (1000, 2000, 333))
    inside(node, pod, "b", "kill", "1")  # nothing from inside ends it
    node.stop(signal.SIGKILL)
    node.start()
    await node.eventually(node.registered, "the node to be Ready")
    victim = next(line.split()[0] for line in found if line.endswith("sleep 1000"))
    inside(node, pod, "b", "kill", "-9", victim)
    restarted = await node.when(
        "web", lambda pod: ready(pod) and sum(one["restartCount"] for one in pod["status"]["containerStatuses"]) == 1
    )
    names = {one["name"]: one["restartCount"] for one in restarted["status"]["containerStatuses"]}
    assert pause_of(node, pod) == pause and Path(f"/proc/{pause}").exists()

    async def alone() -> bool:
        return sum("sleep 333" in line for line in processes(restarted)) == 1

    await node.eventually(alone, "the second process to go with its container, and to come again")
    node.stop(signal.SIGKILL)
    node.cut_power()
    os.kill(pause, signal.SIGKILL)
    node.start()
    again = await node.when(
        "web",
        lambda pod: (
            ready(pod) and all(one["restartCount"] > names[one["name"]] for one in pod["status"]["containerStatuses"])
        ),
    )
    fresh = pause_of(node, again)
    assert fresh != pause
    await node.client.delete(PODS, "web", namespace="default")
    await node.gone("web")
    assert not Path(f"/proc/{fresh}").exists()


async def test_what_holds_the_processes_is_replaced_when_it_dies(shared_node: Any, make_pod: Any, box: Any) -> None:
    await shared_node.run(make_pod("web", shareProcessNamespace=True))
    pod = await shared_node.when("web", ready)
    os.kill(pause_of(shared_node, pod), signal.SIGKILL)
    await shared_node.when("web", lambda pod: ready(pod) and pod["status"]["containerStatuses"][0]["restartCount"] == 1)
    await shared_node.event("web", "SandboxChanged")


async def test_namespaces_of_the_node(shared_node: Any, make_pod: Any, box: Any) -> None:
    script = "for kind in pid ipc net uts; do readlink /proc/self/ns/$kind; done; hostname; cat /etc/hostname"
    host = make_pod("host", box("web", "sh", "-c", script), hostPID=True, hostIPC=True, hostNetwork=True)
    host["spec"]["restartPolicy"] = "Never"
    await shared_node.run(host)
    await shared_node.when("host", lambda pod: pod["status"]["phase"] == "Succeeded")
    own = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "ipc", "net", "uts")]
    assert (await logs(shared_node, "host")).split() == [*own, os.uname().nodename, os.uname().nodename]


async def test_runtime_classes(shared_node: Any, make_pod: Any) -> None:
    """[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead."""
    here = "runc" if shutil.which("runc") else "crun"
    for name, handler in (("known", here), ("unknown", "gvisor")):
        await shared_node.client.create(RUNTIME_CLASSES, {"metadata": {"name": name}, "handler": handler})
    try:
        for name in ("known", "unknown"):
            await shared_node.run(make_pod(name, runtimeClassName=name))
        pod = await shared_node.when("known", ready)
        found = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("podman://")
        assert shared_node.podman.podman("inspect", "--format", "{{.OCIRuntime}}", found).strip() == here
        await shared_node.event("unknown", "FailedCreatePodSandBox", 'no runtime for "gvisor" is configured')
    finally:
        for name in ("known", "unknown"):
            await shared_node.client.delete(RUNTIME_CLASSES, name)


async def test_user_namespaces_are_not_pretended(shared_node: Any, make_pod: Any) -> None:
    await shared_node.run(make_pod("web", hostUsers=False))
    await shared_node.event("web", "FailedCreatePodSandBox", "hostUsers: false is not served by this node")
    pod = await shared_node.get("web")
    assert pod["status"]["phase"] == "Pending"


async def test_a_terminal_and_an_input_as_they_were_asked_for(shared_node: Any, make_pod: Any, box: Any) -> None:
    script = "tty; echo TERM=$TERM; read line; echo ended"
    await shared_node.run(
        make_pod(
            "web",
            box("web", "sh", "-c", script),
            box("typed", "sh", "-c", "tty; echo TERM=$TERM", tty=True),
            restartPolicy="Never",
        )
    )
    await shared_node.when("web", lambda pod: pod["status"]["phase"] == "Succeeded")
    assert (await logs(shared_node, "web")).split() == ["not", "a", "tty", "TERM=", "ended"]
    assert (await logs(shared_node, "web", "typed")).split() == ["/dev/pts/0", "TERM=xterm"]
