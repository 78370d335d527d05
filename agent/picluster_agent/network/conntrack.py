"""Forgetting UDP flows to endpoints that are gone.

A TCP connection to a dead endpoint ends by itself; a UDP flow is kept alive by its own packets, so a client that goes
on sending would never be balanced again. Kubernetes' proxies delete those flows; so do we.
"""

from __future__ import annotations

import asyncio
import logging

from picluster_agent.network.services import ServicePort

log = logging.getLogger(__name__)
COMMAND_TIMEOUT_S = 5.0


def stale_flows(old: list[ServicePort], new: list[ServicePort]) -> list[tuple[str, str]]:
    """``(service address, endpoint address)`` of UDP flows whose endpoint is gone. PURE."""
    return sorted(_flows(old) - _flows(new))


def _flows(ports: list[ServicePort]) -> set[tuple[str, str]]:
    return {
        (address, endpoint.ip)
        for port in ports
        if port.protocol == "udp"
        for address in port.addresses
        for endpoint in port.cluster_endpoints
    }


async def forget(flows: list[tuple[str, str]]) -> None:
    """Delete ``flows`` from the kernel's table; one that is not there is fine."""
    for service, endpoint in flows:
        process = await asyncio.create_subprocess_exec(
            "conntrack", "-D", "-p", "udp", "--orig-dst", service, "--reply-src", endpoint,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            log.warning("conntrack did not forget %s -> %s within %.0f s", service, endpoint, COMMAND_TIMEOUT_S)
