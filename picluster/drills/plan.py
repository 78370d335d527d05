"""Choosing what a drill cuts and from where it watches, and refusing while nothing has been switched yet."""

from __future__ import annotations

from dataclasses import dataclass

from picluster.api.errors import ApiError
from picluster.api.resources import ENDPOINT_SLICES, NODES, SERVICES
from picluster.api.types import Object
from picluster.client.transport import Client
from picluster.drills.observe import SERVICE_NAME_LABEL, World, condition
from picluster.rack import Host, Rack


class DrillError(Exception):
    """The drill cannot start; nothing was switched. The message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the drill is going to do: which node loses power, which board asks the Service where."""

    victim: Host
    watcher: Host
    service: Object
    address: str
    port: int
    replicas: int


async def make(client: Client, rack: Rack, service_name: str, node_name: str | None) -> Plan:
    """Read the cluster and choose; ``service_name`` is ``namespace/name`` or ``name``."""
    service = await _service(client, service_name)
    counts = await _ready_endpoints(client, service, [host.name for host in rack.nodes])
    nodes = (await client.list(NODES))["items"]
    ready = {node["metadata"]["name"] for node in nodes if condition(node, "Ready")}
    victim, watcher = choose(counts, ready, service_name, node_name)
    hosts = {host.name: host for host in rack.nodes}
    if hosts[victim].outlet is None:
        raise DrillError(f"{victim} has no outlet in the inventory; give it a picluster_outlet")
    spec = service["spec"]
    return Plan(
        victim=hosts[victim],
        watcher=hosts[watcher],
        service=service,
        address=spec["clusterIP"],
        port=int(spec["ports"][0]["port"]),
        replicas=sum(counts.values()),
    )


def choose(counts: dict[str, int], ready: set[str], service: str, wanted: str | None) -> tuple[str, str]:
    """``(victim, watcher)``: the node with most of the Service's ready endpoints, or ``wanted``, and another. PURE.

    ``counts`` has the ready endpoints of every node of the rack; ``ready`` names the nodes that are Ready.
    """
    victim = wanted or max(sorted(counts), key=lambda name: counts[name], default="")
    if victim not in counts:
        raise DrillError(f"{victim or 'nothing'} is not a node of this rack; its nodes are {', '.join(sorted(counts))}")
    if counts[victim] == 0:
        raise DrillError(f"{victim} runs no ready endpoint of {service}, so cutting its power would show nothing")
    watchers = sorted(name for name in counts if name != victim and name in ready)
    if victim not in ready or not watchers:
        names = ", ".join(sorted(ready)) or "none"
        raise DrillError(f"the drill needs {victim} and one more node to be Ready; Ready now: {names}")
    return victim, watchers[0]


async def _service(client: Client, service_name: str) -> Object:
    namespace, _, name = service_name.rpartition("/")
    try:
        service = await client.get(SERVICES, name, namespace=namespace or "default")
    except ApiError as error:
        cure = "create it first (picluster apply -f docs/examples/web.yaml) or name another with --service"
        raise DrillError(f"the drill asks Service {service_name} all the time, but {error.message}; {cure}") from None
    if service["spec"].get("clusterIP") in (None, "", "None"):
        raise DrillError(f"Service {service_name} has no cluster IP to ask; name another with --service")
    return service


async def _ready_endpoints(client: Client, service: Object, node_names: list[str]) -> dict[str, int]:
    metadata = service["metadata"]
    selector = f"{SERVICE_NAME_LABEL}={metadata['name']}"
    slices = await client.list(ENDPOINT_SLICES, namespace=metadata["namespace"], label_selector=selector)
    world = World("", None, tuple(slices["items"]), ())
    return {name: world.ready_endpoints(name) for name in node_names}
