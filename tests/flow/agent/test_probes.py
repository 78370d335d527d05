"""Probes of containers on a real node: what they do to the pod, and what they cost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from picluster.api.meta import condition_is

pytestmark = [pytest.mark.lab]

IDLE_MAX = 0.06
"""Of a core."""


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def restarts(pod: dict[str, Any], name: str = "web") -> int:
    found = [one for one in pod["status"].get("containerStatuses", ()) if one["name"] == name]
    return int(found[0]["restartCount"]) if found else 0


async def test_what_probes_decide(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-node] Probing container: exec, http and tcp liveness; *not* restarted, restarted; redirects; gating."""
    fast = {"periodSeconds": 1, "failureThreshold": 1}
    patient = {"periodSeconds": 1, "failureThreshold": 3, "timeoutSeconds": 10}
    serve = "mkdir /tmp/w; echo ok > /tmp/w/healthz; httpd -p 8080 -h /tmp/w; touch /tmp/health; "
    http = {"httpGet": {"path": "/healthz", "port": 8080}}
    dies = box("web", "sh", "-c", serve + "sleep 1.5; rm /tmp/w/healthz; sleep 1000", livenessProbe={**http, **fast})
    lives = box(
        "web", "sh", "-c", serve + "sleep 1000",
        startupProbe={"exec": {"command": ["cat", "/tmp/health"]}, **patient, "failureThreshold": 9},
        livenessProbe={"exec": {"command": ["cat", "/tmp/health"]}, **patient},
        readinessProbe={"tcpSocket": {"port": 8080}, **patient},
    )  # fmt: skip
    late = box("web", "sh", "-c", serve + "sleep 1000", readinessProbe={**http, **patient, "initialDelaySeconds": 4})
    absent = box("web", livenessProbe={"exec": {"command": ["/no/such/program"]}, **fast})
    slow = box("web", livenessProbe={"exec": {"command": ["sleep", "77"]}, **fast, "failureThreshold": 9})
    for name, one in (("dies", dies), ("lives", lives), ("late", late), ("absent", absent), ("slow", slow)):
        await shared_node.run(make_pod(name, one))
    began_s = time.monotonic()
    await shared_node.when("lives", ready)
    await shared_node.event(
        "slow", "Unhealthy", 'Liveness probe failed: command timed out: "sleep 77" timed out after 1s'
    )
    await shared_node.event("absent", "Unhealthy", "Liveness probe errored and resulted in unknown state: ")
    await shared_node.when("dies", lambda pod: restarts(pod) == 1)
    await shared_node.event("dies", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404")
    await shared_node.event("dies", "Killing", "Container web failed liveness probe, will be restarted")
    pod = await shared_node.when("late", ready)
    assert time.monotonic() - began_s > 3.0
    assert restarts(pod) == 0
    for name in ("lives", "absent", "slow"):
        pod = await shared_node.get(name)
        assert restarts(pod) == 0 and (name != "lives" or ready(pod)), name


async def test_idle_probes_cost_little(shared_node: Any, make_pod: Any, box: Any) -> None:
    """Six network probes a second: twice what thirty pods with a probe each ask for every ten seconds."""
    serve = box(
        "web", "httpd", "-f", "-p", "8080", "-h", "/www",
        readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        livenessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1000},
    )  # fmt: skip
    for number in range(3):
        await shared_node.run(make_pod(f"web-{number}", serve))
    for number in range(3):
        await shared_node.when(f"web-{number}", ready)
    spent: list[float] = []
    while not spent or (min(spent) >= IDLE_MAX and len(spent) < 8):  # what earlier tests left may still be cleared up
        before_s = _cpu_s(shared_node.process.pid)
        await asyncio.sleep(2.0)
        spent.append((_cpu_s(shared_node.process.pid) - before_s) / 2.0)
    assert min(spent) < IDLE_MAX, f"{min(spent):.1%} of a core for 6 probes a second"


def _cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
