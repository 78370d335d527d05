"""The agent put together: one process, one event loop, everything that a node does."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from picluster import VERSION
from picluster.api import quantity
from picluster.api.types import Object
from picluster.client import Client, ClientConfig, EventRecorder
from picluster.util.clock import SYSTEM_CLOCK, Clock
from picluster.util.tasks import Tasks
from picluster_agent import amounts, machine, reservations
from picluster_agent.admission import decide
from picluster_agent.admission.decide import NodeView
from picluster_agent.cgroups import hierarchy
from picluster_agent.cgroups.manager import CONDITION as GROUPS_CONDITION
from picluster_agent.cgroups.manager import PodGroups
from picluster_agent.config import Config
from picluster_agent.endpoint.access import Access
from picluster_agent.endpoint.debugging import Debugging
from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.endpoint.server import Server
from picluster_agent.health.decide import TYPES as BOARD_CONDITIONS
from picluster_agent.identity.bootstrap import serving_certificate
from picluster_agent.identity.rotation import Rotation, ServingRotation
from picluster_agent.images.manager import Images, ImageSettings
from picluster_agent.logs.rotation import LogLimits, LogRotation
from picluster_agent.network import Network
from picluster_agent.network.manager import NodeNetwork
from picluster_agent.node.node import Node, Sources
from picluster_agent.node.readiness import Readiness
from picluster_agent.observed import Observed
from picluster_agent.podman import execution
from picluster_agent.podman.client import Podman
from picluster_agent.podman.env import NodeFacts
from picluster_agent.podman.watch import Watch
from picluster_agent.probes.prober import Prober
from picluster_agent.shutdown.manager import ShutdownManager, shutdown_of
from picluster_agent.sync.actual import Actual
from picluster_agent.sync.context import Places, Runtime
from picluster_agent.sync.manager import PodManager
from picluster_agent.sync.resources import PodResources
from picluster_agent.sync.watches import WATCHES_MAX as OBJECT_WATCHES_MAX
from picluster_agent.sync.watches import ObjectWatches
from picluster_agent.upkeep import Upkeep
from picluster_agent.volumes.localpath import LocalPaths
from picluster_agent.volumes.storage import Storage

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 8
WATCHES_MAX = 8 + OBJECT_WATCHES_MAX


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
            execution.sweep(config.run_dir / "commands")
            podman = await stack.enter_async_context(Podman(config.podman_socket, config.run_dir / "commands"))
            recorder = await stack.enter_async_context(EventRecorder(client, "kubelet", config.node_name))
            network = self._network or NodeNetwork(
                client,
                self._clock,
                node_name=config.node_name,
                node_ip=config.node_ip,
                cluster_cidr=config.cluster_cidr,
                service_cidr=config.service_cidr,
            )
            node: Node  # made after those that ask it
            upkeep: Upkeep
            shutdown: ShutdownManager

            def view() -> NodeView:
                return self._view(node.current, upkeep.eviction.pressures, shutting_down=shutdown.shutting_down)

            runtime = self._runtime(client, podman, network, recorder, view)
            pods = PodManager(runtime, config.static_pod_path)
            lookup = Lookup(pods, runtime.actual.of)
            paths = LocalPaths(config.local_path_dir)
            observed = Observed(config, runtime, runtime.groups.hierarchy, lookup, self._clock, lambda: node.changed())
            access = Access(client, config.node_name, self._clock)
            parts = (*observed.routes, Debugging(lookup, config))
            server = Server(config.serving, config.node_ip, lookup, podman, access, self._clock, paths, parts)
            watch = Watch(config.podman_socket, self._clock, lambda: node.changed())
            shutdown = shutdown_of(config, self._clock, pods, runtime, lambda said: node.shuts_down(said))
            readiness = Readiness(watch, runtime.actual, network, self._clock, lambda: shutdown.shutting_down)
            upkeep = Upkeep(config, runtime, observed.disks, lambda: node.changed())
            sources = Sources(
                problems=readiness.problems,
                settle=readiness.settle,
                pressure=lambda: upkeep.eviction.pressure,
                board=lambda: (*observed.board.conditions(), runtime.groups.condition()),
                board_types=(*BOARD_CONDITIONS, GROUPS_CONDITION),
                volumes_in_use=runtime.storage.volumes_in_use,
                capacity=lambda: _capacity(config),
                allocatable=lambda: reservations.allocatable(_capacity(config), config),
            )
            node = Node(config, client, podman, self._clock, recorder, sources)
            runtime.storage.on_in_use = node.changed
            shared = (runtime.groups, runtime.storage, runtime.objects)
            for part in (*shared, network, pods, node, paths, observed, upkeep, shutdown, server):
                stack.push_async_callback(part.close)
            identity, watches = Tasks("identity"), Tasks("watches")
            stack.push_async_callback(identity.close)
            stack.push_async_callback(watches.close)
            identity.spawn(Rotation(config, client, self._clock).run(), "rotation")
            if config.bootstrap_kubeconfig is None or config.serving.cert.exists():
                await self._serve(server, client, identity)
            else:
                identity.spawn(self._serve_later(server, client, identity), "serving certificate")
            watches.spawn(watch.run(), "podman")
            watches.spawn(self._groups(runtime), "groups")
            watches.spawn(LogRotation(podman, self._clock, self._log_limits(), lookup.written_logs).run(), "logs")
            await network.start()
            await runtime.storage.start()
            await shutdown.start()
            pods.start()
            paths.start()
            observed.start()
            upkeep.start(pods.informer.wait_synced)
            node.start(network.set_pod_cidr, lambda: server.port)
            yield self

    def _log_limits(self) -> LogLimits:
        config = self.config
        return LogLimits(
            quantity.value(config.container_log_max_size),
            config.container_log_max_files,
            amounts.duration_s(config.container_log_monitor_interval),
        )

    def _view(self, node: Object | None, pressures: Sequence[str], *, shutting_down: bool) -> NodeView:
        """The node as pods are admitted to it."""
        config = self.config
        allocatable = reservations.allocatable(_capacity(config), config)
        return NodeView(
            name=config.node_name,
            allocatable=decide.amounts(allocatable),
            pods_max=config.max_pods,
            labels=(node["metadata"].get("labels") or {}) if node else None,
            taints=((node["spec"].get("taints") or ()) if node else ()),
            pressures=pressures,
            unsafe_sysctls=config.allowed_unsafe_sysctls,
            apparmor=machine.apparmor_enabled(),
            shutting_down=shutting_down,
        )

    async def _serve(self, server: Server, client: Client, identity: Tasks) -> None:
        await server.start()
        self.port = server.port
        rotation = ServingRotation(self.config, client, self._clock, server.identity)
        identity.spawn(rotation.run(), "serving rotation")

    async def _serve_later(self, server: Server, client: Client, identity: Tasks) -> None:
        """Start ``server`` once its certificate is there."""
        await serving_certificate(self.config, client, self._clock)
        await self._serve(server, client, identity)
        log.info("serving logs and exec on port %d", server.port)

    async def _groups(self, runtime: Runtime) -> None:
        """Make the control groups that pods are put into, before the first of them."""
        whole = _capacity(self.config)
        cpu_milli = reservations.cpu_milli(whole, self.config)
        memory_bytes = reservations.pods_memory_bytes(whole, self.config)
        kept = self.config.data_dir / "cgroup-manager"
        await runtime.groups.start(runtime.podman.cgroup_manager, kept, cpu_milli=cpu_milli, memory_bytes=memory_bytes)

    def _runtime(
        self,
        client: Client,
        podman: Podman,
        network: Network,
        recorder: EventRecorder,
        node: Callable[[], NodeView],
    ) -> Runtime:
        config = self.config
        pids_max = max(config.pod_pids_limit, 0)
        groups = PodGroups(hierarchy.find(root=config.cgroup_root), self._clock, pids_max)
        places = Places(config.data_dir, config.run_dir)
        facts = NodeFacts(
            name=config.node_name,
            ip=config.node_ip,
            allocatable=reservations.allocatable(_capacity(config), config),
            memory_bytes=machine.memory_bytes(),
            may_lower_oom=machine.may_lower_oom(),
            cgroup_version=groups.hierarchy.version if groups.hierarchy else 1,
            may_limit_swap=groups.may_limit_swap,
            huge_pages=groups.huge_pages,
            pod_pids_limit=pids_max,
            seccomp_profiles=config.data_dir / "seccomp",
            seccomp_default=config.seccomp_default,
            apparmor=machine.apparmor_enabled(),
        )
        return Runtime(
            client=client,
            podman=podman,
            images=Images(podman, self._clock, config.data_dir / "images", _image_settings(config)),
            network=network,
            recorder=recorder,
            actual=Actual(podman, self._clock),
            prober=Prober(podman, self._clock),
            clock=self._clock,
            places=places,
            node=facts,
            objects=ObjectWatches(client),
            storage=Storage(client, self._clock, config.node_name, config.data_dir, config.kubelet_dir),
            groups=groups,
            dead_containers_max=config.maximum_dead_containers_per_container,
            resources=PodResources(groups, recorder, self._clock, node, lambda uid: places.pod(uid).allocation),
            cluster_dns=config.cluster_dns,
            cluster_domain=config.cluster_domain,
            crash_backoff_max_s=amounts.duration_s(config.crash_loop_backoff_max),
        )


def _capacity(config: Config) -> dict[str, str]:
    with contextlib.suppress(OSError):
        config.data_dir.mkdir(parents=True, exist_ok=True)
    return reservations.capacity(machine.capacity(config.data_dir), config)


def _image_settings(config: Config) -> ImageSettings:
    return ImageSettings(
        parallel_max=config.max_parallel_image_pulls,
        progress_deadline_s=amounts.duration_s(config.image_pull_progress_deadline),
        credentials=config.image_credentials,
        verification_policy=config.image_pull_credentials_verification_policy,
        verification_allowlist=config.preloaded_images_verification_allowlist,
    )
