"""Asking a container whether it is well: by HTTP, TCP, gRPC or a command in it.

A check ends within its timeout and never raises: whatever goes wrong is a result with a message, worded as the
kubelet's. What could not be asked at all is not ``known``: it counts neither way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from picluster.api.types import Object
from picluster_agent.podman import execution
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.probes import grpc, http
from picluster_agent.probes.state import Result, dial_error, join, quoted


class Subject(NamedTuple):
    """Who is asked: a running container, and the address of its pod."""

    container_id: str
    container: Object
    pod_ip: str


async def check(podman: Podman, subject: Subject, handler: Object, timeout_s: float) -> Result:
    """Ask once. ``handler`` is a Probe or LifecycleHandler: exactly one way of asking is set in it."""
    try:
        if command := handler.get("exec"):
            return await _exec(podman, subject.container_id, command.get("command") or (), timeout_s)
        if get := handler.get("httpGet"):
            port = port_of(get["port"], subject.container)
            return await http.check(get, get.get("host") or subject.pod_ip, port, timeout_s)
        if tcp := handler.get("tcpSocket"):
            return await _tcp(tcp.get("host") or subject.pod_ip, port_of(tcp["port"], subject.container), timeout_s)
        if call := handler.get("grpc"):
            return await grpc.check(subject.pod_ip, int(call["port"]), call.get("service") or "", timeout_s)
    except ValueError as error:
        return Result(False, str(error), known=False)
    return Result(False, f"missing probe handler for {subject.container['name']}", known=False)


def port_of(port: int | str, container: Object) -> int:
    """A port number, or that of the container's port of this name; raises ``ValueError``."""
    number = port
    if isinstance(port, str):
        named = [one["containerPort"] for one in container.get("ports") or () if one.get("name") == port]
        if not named and not port.isdigit():
            raise ValueError(f"strconv.Atoi: parsing {quoted(port)}: invalid syntax")
        number = named[0] if named else port
    if not 0 < int(number) < 65536:
        raise ValueError(f"invalid port number: {number}")
    return int(number)


async def _exec(podman: Podman, container_id: str, command: Sequence[str], timeout_s: float) -> Result:
    try:
        finished = await execution.run(podman, container_id, command, timeout_s)
    except TimeoutError:
        return Result(False, f"command timed out: {quoted(' '.join(command))} timed out after {timeout_s:g}s")
    except (PodmanError, PodmanUnavailable, OSError) as error:
        return Result(False, str(error), known=False)
    if not finished.started:
        return Result(False, f"failed to exec in container: {finished.output.strip()}", known=False)
    return Result(finished.exit_code == 0, finished.output)


async def _tcp(host: str, port: int, timeout_s: float) -> Result:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Result(False, f"dial tcp {join(host, port)}: i/o timeout")
    except OSError as error:
        return Result(False, dial_error(host, port, error))
    writer.close()
    return Result(True)
