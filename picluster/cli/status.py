"""``picluster status``: rack, power, nodes and workloads in one look."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picluster.cli._options import fail, inventory_option, output_option

if TYPE_CHECKING:
    from picluster.api.types import Object
    from picluster.rack import Host, Rack

PROBE_TIMEOUT_S = 3.0


@dataclass(slots=True)
class Board:
    """One board as it is seen from here; ``power`` is on, off or unknown, ``ssh`` whether its port answers."""

    name: str
    role: str
    address: str
    power: str
    ssh: bool
    node: str = "-"
    pods: int = 0
    trouble: list[str] = field(default_factory=list)
    """Conditions of the node that are true and should not be: ``MemoryPressure``, ``UnderVoltage``."""


@dataclass(slots=True)
class Workload:
    namespace: str
    name: str
    ready: int
    wanted: int

    @property
    def healthy(self) -> bool:
        return self.ready >= self.wanted


@dataclass(slots=True)
class Status:
    """What ``-o json`` prints; ``api`` is the server's version, or why it does not answer."""

    inventory: str
    api: str
    boards: list[Board] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)


@click.command()
@inventory_option
@output_option
def status(inventory: Path | None, output: str) -> None:
    """Show rack, power, nodes and workloads in one look.

    Exit code 0 when every board is on and Ready and every workload has its replicas, 1 otherwise.

    \b
    Example:
      picluster status
      picluster status -i inventory/hosts.yml -o json
    """
    from picluster import rack as racks

    try:
        rack = racks.load(inventory)
    except racks.RackError as error:
        fail(str(error), code=2)
    found = asyncio.run(look(rack))
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        _show(found)
    healthy = all(board.power != "off" and board.node in ("Ready", "-") for board in found.boards)
    if not healthy or not all(workload.healthy for workload in found.workloads):
        raise SystemExit(1)


async def look(rack: Rack) -> Status:
    """What the rack, its outlets and its API server say now; whatever does not answer is part of the answer."""
    boards = asyncio.gather(*(_board(host) for host in rack.hosts))
    cluster = await _cluster(rack.kubeconfig)
    found = Status(str(rack.inventory), cluster["api"], list(await boards), workloads(cluster["deployments"]))
    for board in found.boards:
        board.node = node_state(cluster["nodes"], board.name)
        board.trouble = troubles(cluster["nodes"], board.name)
        board.pods = sum(pod["spec"].get("nodeName") == board.name for pod in cluster["pods"])
    return found


async def _board(host: Host) -> Board:
    power, ssh = await asyncio.gather(_power(host), _answers(host.address, host.port))
    return Board(host.name, host.role, host.address, power, ssh)


async def _power(host: Host) -> str:
    from picluster.power.outlet import OutletError, load, read

    if host.outlet is None:
        return "-"
    try:
        return str(await read(load(host.outlet), PROBE_TIMEOUT_S))
    except OutletError:
        return "unknown"


async def _answers(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _cluster(kubeconfig: Path) -> dict[str, Any]:
    """What the API server says; when it does not answer, ``api`` is the reason and the lists are empty."""
    from picluster.api.errors import ApiError
    from picluster.api.resources import DEPLOYMENTS, NODES, PODS
    from picluster.client.config import ClientConfig, ConfigError
    from picluster.client.transport import Client, TransportError

    nothing: dict[str, Any] = {"nodes": [], "pods": [], "deployments": []}
    if not os.access(kubeconfig, os.R_OK):
        return {"api": "not provisioned yet", **nothing}
    try:
        async with asyncio.timeout(2 * PROBE_TIMEOUT_S), Client(ClientConfig.from_kubeconfig(kubeconfig)) as client:
            async with client.raw("GET", "/version") as response:
                version = (await response.json())["gitVersion"]
            pages = [await client.list(resource) for resource in (NODES, PODS, DEPLOYMENTS)]
    except (ApiError, TransportError, ConfigError) as error:
        return {"api": f"does not answer: {error}", **nothing}
    except TimeoutError:
        return {"api": f"does not answer within {2 * PROBE_TIMEOUT_S:.0f} s", **nothing}
    return {"api": version, **dict(zip(nothing, (page["items"] for page in pages), strict=True))}


def node_state(nodes: list[Object], name: str) -> str:
    """``Ready``, ``NotReady``, with the taints that keep pods away; ``-`` for a board that is no node. PURE."""
    for node in nodes:
        if node["metadata"]["name"] == name:
            conditions = (node.get("status") or {}).get("conditions") or []
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            return "Ready" if ready else "NotReady"
    return "-"


def troubles(nodes: list[Object], name: str) -> list[str]:
    """Everything that a node says is wrong with it or its board. PURE."""
    for node in nodes:
        if node["metadata"]["name"] == name:
            conditions = (node.get("status") or {}).get("conditions") or []
            return [str(c["type"]) for c in conditions if c["type"] != "Ready" and c["status"] == "True"]
    return []


def workloads(deployments: list[Object]) -> list[Workload]:
    """Deployments with how many of their replicas are ready. PURE."""
    return [
        Workload(
            deployment["metadata"]["namespace"],
            deployment["metadata"]["name"],
            (deployment.get("status") or {}).get("readyReplicas", 0),
            deployment["spec"].get("replicas", 1),
        )
        for deployment in deployments
    ]


def _show(found: Status) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    boards = Table("board", "role", "address", "power", "ssh", "node", "pods", "trouble", box=None, header_style="bold")
    for board in found.boards:
        boards.add_row(
            board.name,
            board.role,
            board.address,
            _colour(board.power, good="on", bad="off"),
            "yes" if board.ssh else "[red]no[/red]",
            _colour(board.node, good="Ready", bad="NotReady"),
            str(board.pods) if board.node != "-" else "",
            f"[red]{' '.join(board.trouble)}[/red]" if board.trouble else "",
        )
    console.print(f"[bold]rack[/bold] {found.inventory}   [bold]API[/bold] {found.api}")
    console.print(boards)
    if found.workloads:
        table = Table("workload", "ready", box=None, header_style="bold")
        for workload in found.workloads:
            count = f"{workload.ready}/{workload.wanted}"
            table.add_row(f"{workload.namespace}/{workload.name}", count if workload.healthy else f"[red]{count}[/red]")
        console.print(table)


def _colour(word: str, *, good: str, bad: str) -> str:
    if word == good:
        return f"[green]{word}[/green]"
    return f"[red]{word}[/red]" if word == bad else word
