"""postStart and preStop handlers, as the kubelet's ``lifecycle/handlers.go`` runs them."""

from __future__ import annotations

from picluster.api.types import Object
from picluster_agent.podman.client import Podman
from picluster_agent.probes.checks import Subject, check
from picluster_agent.sync.context import Runtime

FOREVER_S = float("inf")


async def run(runtime: Runtime, subject: Subject, handler: Object, timeout_s: float = FOREVER_S) -> str:
    """Run one handler to its end; what went wrong, or nothing. Raises ``TimeoutError``."""
    if sleep := handler.get("sleep"):
        await runtime.clock.sleep(min(float(sleep["seconds"]), timeout_s))
        return ""
    if handler.get("tcpSocket"):
        return "Cannot run handler: invalid handler: a TCP socket is no lifecycle handler"
    return await _ask(runtime.podman, subject, handler, timeout_s)


async def _ask(podman: Podman, subject: Subject, handler: Object, timeout_s: float) -> str:
    """A command must succeed; an HTTP server must answer, whatever it answers."""
    result = await check(podman, subject, handler, timeout_s)
    if result.success or (handler.get("httpGet") and result.message.startswith("HTTP probe failed")):
        return ""
    return result.message or "the handler failed"
