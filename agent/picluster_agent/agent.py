"""The agent put together: one process, one event loop, everything that a node does."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from picluster import VERSION
from picluster.client import Client, ClientConfig, EventRecorder
from picluster.util.clock import SYSTEM_CLOCK, Clock
from picluster.util.tasks import Tasks
from picluster_agent import machine
from picluster_agent.config import Config
from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.endpoint.server import Server
from picluster_agent.identity.bootstrap import serving_certificate
from picluster_agent.identity.rotation import Rotation
from picluster_agent.network import Network
from picluster_agent.network.manager import NodeNetwork
from picluster_agent.node.node import Node, Sources
from picluster_agent.node.readiness import Readiness
from picluster_agent.podman.client import Podman
from picluster_agent.podman.env import NodeFacts
from picluster_agent.podman.watch import Watch
from picluster_agent.probes.prober import Prober
from picluster_agent.sync.actual import Actual
from picluster_agent.sync.context import Places, Runtime
from picluster_agent.sync.manager import PodManager

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 8
WATCHES_MAX = 8


class Agent:
    """One node's agent. ``async with agent.running():`` registers the node and runs its pods until it is left."""

    def __init__(self, config: Config, clock: Clock = SYSTEM_CLOCK, network: Network | None = None) -> None:
        self.config = config
        self._clock = clock
        self._network = network
        self.port = config.serving.port

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
        """Start everything; on the way out stop everything but the containers.

        Raises ``client.ConfigError`` for the kubeconfig, ``OSError`` when the port is taken or a certificate is
        missing.
        """
        config = self.config
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                Client(
                    ClientConfig.from_kubeconfig(config.kubeconfig),
                    clock=self._clock,
                    user_agent=f"kubelet/{VERSION}",
                    connections_max=CONNECTIONS_MAX,
                    watches_max=WATCHES_MAX,
                )
            )
            podman = await stack.enter_async_context(Podman(config.podman_socket))
            recorder = await stack.enter_async_context(EventRecorder(client, "kubelet", config.node_name))
            network = self._network or NodeNetwork(
                client,
                self._clock,
                node_name=config.node_name,
                node_ip=config.node_ip,
                cluster_cidr=config.cluster_cidr,
                service_cidr=config.service_cidr,
            )
            runtime = self._runtime(client, podman, network, recorder)
            pods = PodManager(runtime)
            lookup = Lookup(pods, runtime.actual.of)
            server = Server(config.serving, config.node_ip, lookup, podman, self._clock)
            watch = Watch(config.podman_socket, self._clock, lambda: node.changed())
            readiness = Readiness(watch, runtime.actual, network, self._clock, lambda: False)
            sources = Sources(
                problems=readiness.problems,
                pressure=lambda: machine.pressure(config.data_dir),
                capacity=lambda: machine.capacity(config.data_dir),
                allocatable=lambda: machine.allocatable(config.data_dir),
            )
            node = Node(config, client, podman, self._clock, recorder, sources)
            for part in (network, pods, node, server):
                stack.push_async_callback(part.close)
            identity, watches = Tasks("identity"), Tasks("watches")
            stack.push_async_callback(identity.close)
            stack.push_async_callback(watches.close)
            if config.bootstrap_kubeconfig is not None:
                identity.spawn(Rotation(config, client, self._clock).run(), "rotation")
            if config.bootstrap_kubeconfig is None or config.serving.cert.exists():
                await server.start()
                self.port = server.port
            else:
                identity.spawn(self._serve_later(server, client), "serving certificate")
            watches.spawn(watch.run(), "podman")
            await network.start()
            pods.start()
            node.start(network.set_pod_cidr, lambda: server.port)
            yield self

    async def _serve_later(self, server: Server, client: Client) -> None:
        """Start ``server`` once its certificate is there."""
        await serving_certificate(self.config, client, self._clock)
        await server.start()
        self.port = server.port
        log.info("serving logs and exec on port %d", server.port)

    def _runtime(self, client: Client, podman: Podman, network: Network, recorder: EventRecorder) -> Runtime:
        config = self.config
        facts = NodeFacts(
            name=config.node_name,
            ip=config.node_ip,
            allocatable=_allocatable(config),
            memory_bytes=machine.memory_bytes(),
            may_lower_oom=machine.may_lower_oom(),
        )
        return Runtime(
            client=client,
            podman=podman,
            network=network,
            recorder=recorder,
            actual=Actual(podman, self._clock),
            prober=Prober(podman, self._clock),
            clock=self._clock,
            places=Places(config.data_dir, config.run_dir),
            node=facts,
            cluster_dns=config.cluster_dns,
            cluster_domain=config.cluster_domain,
        )


def _allocatable(config: Config) -> dict[str, str]:
    with contextlib.suppress(OSError):
        config.data_dir.mkdir(parents=True, exist_ok=True)
    return machine.allocatable(config.data_dir)
