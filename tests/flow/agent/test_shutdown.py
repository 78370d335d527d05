"""A board that shuts down ends its pods first: told by logind, over a real message bus."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picluster.api.meta import get_condition
from picluster.api.resources import CORE_EVENTS, NODES, PODS

pytestmark = [pytest.mark.lab]

FORGED = (
    *("dbus-send", "--system", "--type=signal", "/org/freedesktop/login1"),
    *("org.freedesktop.login1.Manager.PrepareForShutdown", "boolean:false"),
)
TOLD = (
    ("Starting", "Starting kubelet."),
    ("Shutdown", "Shutdown manager detected shutdown event"),
    ("NodeNotReady", "Node test-node status is now: NodeNotReady"),
    ("Shutdown", "Shutdown manager detected shutdown cancellation"),
)
FAKE_LOGIND = str(Path(__file__).parents[2] / "support" / "fake_logind.py")
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""


class Logind:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def says(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word

    def prepare(self, begins: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{begins}\n")
        self._process.stdin.flush()


@pytest.fixture
def logind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logind]:
    config = tmp_path / "bus.conf"
    config.write_text(CONFIG.format(socket=tmp_path / "bus"))
    words = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    bus = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert bus.stdout is not None
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.stdout.readline().strip())
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, FAKE_LOGIND], stdin=pipe, stdout=pipe, text=True) as process:
            try:
                made = Logind(process)
                made.says("ready")
                yield made
            finally:
                process.kill()
    finally:
        bus.kill()
        bus.communicate()


async def test_pods_end_before_the_board_goes_off(node: Any, make_pod: Any, box: Any, logind: Logind) -> None:
    await node.run(make_pod("plain", box("web", "sh", "-c", "trap 'exit 3' TERM; while true; do sleep 0.1; done")))
    await node.run(make_pod("stubborn", priority=None, terminationGracePeriodSeconds=1))
    for name in ("plain", "stubborn"):
        await node.when(name, lambda pod: (get_condition(pod, "Ready") or {}).get("status") == "True")
    assert node.stop(signal.SIGTERM) == 0
    node.start()
    logind.says("held")
    logind.prepare("true")

    for name in ("plain", "stubborn"):
        pod = await node.when(name, lambda pod: pod["status"]["phase"] == "Failed")
        assert pod["status"]["reason"] == "Terminated"
        assert pod["status"]["message"] == "Pod was terminated in response to imminent node shutdown."
        disrupted = get_condition(pod, "DisruptionTarget")
        assert disrupted is not None
        assert (disrupted["status"], disrupted["reason"]) == ("True", "TerminationByKubelet")
    ended = (await node.get("plain"))["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 3
    logind.says("released")

    async def told(*wanted: tuple[str, str]) -> bool:
        page = await node.client.list(CORE_EVENTS, field_selector="involvedObject.name=test-node")
        return {(one["reason"], one["message"]) for one in page["items"]} >= set(wanted)

    async def not_ready() -> dict[str, Any] | None:
        found = get_condition(await node.client.get(NODES, "test-node"), "Ready")
        return found if found and found["status"] == "False" else None

    condition = await node.eventually(not_ready, "the node to be not Ready")
    assert (condition["reason"], condition["message"]) == ("KubeletNotReady", "node is shutting down")
    await node.eventually(lambda: told(*TOLD[:3]), "the node's events")
    await asyncio.to_thread(subprocess.run, FORGED, check=True, capture_output=True)  # by nobody who may say so
    node.stop(signal.SIGKILL)
    node.start()  # whatever happens to the agent meanwhile, the board shuts down
    await node.client.create(PODS, make_pod("late"))
    late = await node.when("late", lambda pod: pod["status"]["phase"] == "Failed")
    assert late["status"]["reason"] == "NodeShutdown"
    assert late["status"]["message"].endswith("Pod was rejected as the node is shutting down.")

    logind.prepare("false")
    logind.says("held")
    await node.eventually(node.registered, "the node to be Ready again")
    await node.eventually(lambda: told(*TOLD), "all of the node's events")
    await node.run(make_pod("after"))
    await node.when("after", lambda pod: (get_condition(pod, "Ready") or {}).get("status") == "True")
    node.stop(signal.SIGKILL)
    logind.says("released")
