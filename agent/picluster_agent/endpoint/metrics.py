"""``/metrics``, and below it ``resource``, ``cadvisor`` and ``probes``: for Prometheus and the metrics API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from aiohttp import web
from prometheus_client import generate_latest

from picluster import VERSION
from picluster.util.clock import Clock
from picluster_agent import figures
from picluster_agent.endpoint.lookup import Lookup
from picluster_agent.health.monitor import BoardMonitor
from picluster_agent.health.report import exposition as board_text
from picluster_agent.stats import cadvisor, resource
from picluster_agent.stats.collector import Collector
from picluster_agent.stats.disks import DiskMeter
from picluster_agent.stats.exposition import CONTENT_TYPE, Family, histogram, joined, label_text
from picluster_agent.sync.actual import Actual
from picluster_agent.sync.model import State

START = "[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run"
CHECKED = (
    "[ALPHA] Counter for how many times kubelet checked whether credentials need to be re-verified to access an image"
)
ENSURED = "[ALPHA] Number of ensure-image requests processed by the kubelet."
RELIST = "[ALPHA] Duration in seconds for relisting pods in PLEG."


class Metrics:
    def __init__(
        self,
        node_name: str,
        lookup: Lookup,
        actual: Actual,
        collector: Collector,
        disks: DiskMeter,
        board: BoardMonitor,
        clock: Clock,
    ) -> None:
        self._node = node_name
        self._lookup = lookup
        self._actual = actual
        self._collector = collector
        self._disks = disks
        self._board = board
        self._clock = clock

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/metrics", self._metrics)
        router.add_get("/metrics/resource", self._resource)
        router.add_get("/metrics/cadvisor", self._cadvisor)
        router.add_get("/metrics/probes", self._probes)

    async def _resource(self, _: web.Request) -> web.Response:
        return _answer(resource.text(await self._collector.sample()))

    async def _cadvisor(self, _: web.Request) -> web.Response:
        return _answer(cadvisor.text(await self._collector.sample(), await self._disks.soon()))

    async def _probes(self, _: web.Request) -> web.Response:
        pods = {one.context.uid: (one.context.namespace, one.context.name) for one in self._lookup.pods.workers()}
        return _answer(probes(pods))

    async def _metrics(self, _: web.Request) -> web.Response:
        """The process's own metrics, and what runs here under the kubelet's names."""
        own = generate_latest().decode()
        parts = (own, self._running(), self._pleg(), work(), self._volumes(), certificates(self._clock.now()))
        return _answer("".join((*parts, board_text(self._board.readings))))

    def _running(self) -> str:
        pods = [self._lookup.seen(worker.context.uid) for worker in self._lookup.pods.workers()]
        states = Counter(one.state.value for seen in pods for one in seen)
        running = sum(any(one.running for one in seen) for seen in pods)
        name = Family("kubelet_node_name", "gauge", "[ALPHA] The node's name. The count is always 1.")
        name.add(1, label_text({"node": self._node}))
        build = Family("kubernetes_build_info", "gauge", "[ALPHA] The version of this agent. The count is always 1.")
        build.add(1, label_text({"git_version": VERSION}))
        of_pods = Family("kubelet_running_pods", "gauge", "[BETA] Number of pods that have a running pod sandbox")
        of_pods.add(running)
        containers = Family("kubelet_running_containers", "gauge", "[BETA] Number of containers currently running")
        for state in State:
            containers.add(states[state.value], label_text({"container_state": state.value}))
        return joined((name, build, of_pods, containers))

    def _pleg(self) -> str:
        seen = Family("kubelet_pleg_last_seen_seconds", "gauge", "[ALPHA] Timestamp in seconds when PLEG was last seen")
        silent_s = self._clock.monotonic() - self._actual.relisted_s
        seen.add(int(self._clock.now() - silent_s))
        return histogram("kubelet_pleg_relist_duration_seconds", RELIST, self._actual.relists) + seen.text()

    def _volumes(self) -> str:
        families = {
            name: Family(f"kubelet_volume_stats_{name}", "gauge", f"[ALPHA] {what}") for name, what in VOLUMES.items()
        }
        for namespace, claim, space in self._disks.claims():
            labels = label_text({"namespace": namespace, "persistentvolumeclaim": claim})
            families["capacity_bytes"].add(space.capacity_bytes, labels)
            families["available_bytes"].add(space.available_bytes, labels)
            families["used_bytes"].add(space.used_bytes or 0, labels)
            families["inodes"].add(space.inodes, labels)
            families["inodes_free"].add(space.inodes_free, labels)
            families["inodes_used"].add(space.inodes_used or 0, labels)
        return joined(families.values())


VOLUMES = {
    "capacity_bytes": "Capacity in bytes of the volume",
    "available_bytes": "Number of available bytes in the volume",
    "used_bytes": "Number of used bytes in the volume",
    "inodes": "Maximum number of inodes in the volume",
    "inodes_free": "Number of free inodes in the volume",
    "inodes_used": "Number of used inodes in the volume",
}


def work() -> str:
    """What was done so far."""
    counters = (
        ("kubelet_runtime_operations_total", "[ALPHA] Cumulative number of runtime operations by operation type.",
         "operation_type", figures.RUNTIME_OPERATIONS),
        ("kubelet_runtime_operations_errors_total",
         "[ALPHA] Cumulative number of runtime operation errors by operation type.",
         "operation_type", figures.RUNTIME_ERRORS),
        ("kubelet_started_containers_total", "[ALPHA] Cumulative number of containers started", "container_type",
         figures.STARTED_CONTAINERS),
        ("kubelet_evictions", "[ALPHA] Cumulative number of pod evictions by eviction signal", "eviction_signal",
         figures.EVICTIONS),
        ("kubelet_imagemanager_image_mustpull_checks_total", CHECKED, "result", figures.IMAGE_CHECKS),
    )  # fmt: skip
    families = []
    for name, what, label, counts in counters:
        families.append(family := Family(name, "counter", what))
        for value, count in counts.items():
            family.add(count, label_text({label: value}))
    for name, what, key in (
        ("kubelet_started_pods_total", "[ALPHA] Cumulative number of pods started", "started"),
        ("kubelet_started_pods_errors_total", "[ALPHA] Cumulative number of errors when starting pods", "failed"),
    ):
        families.append(family := Family(name, "counter", what))
        family.add(figures.STARTED_PODS[key])
    families.append(family := Family("kubelet_image_manager_ensure_image_requests_total", "counter", ENSURED))
    for (policy, present, pulled), count in figures.IMAGE_REQUESTS.items():
        labels = {"pull_policy": policy, "present_locally": present, "pull_required": pulled}
        family.add(count, label_text(labels))
    timed = (figures.RUNTIME_SECONDS.text(), figures.POD_WORKER_SECONDS.text(), figures.IMAGE_PULL_SECONDS.text())
    started = histogram("kubelet_pod_start_duration_seconds", START, figures.POD_START)
    return joined(families) + "".join(timed) + started


def probes(pods: Mapping[str, tuple[str, str]]) -> str:
    """How often each probe was asked, and with what result; those of pods that are gone are forgotten.

    ``pods`` are namespace and name by uid.
    """
    for key in [key for key in figures.PROBES if key[0] not in pods]:
        del figures.PROBES[key]
    total = Family("prober_probe_total", "counter", "[BETA] Cumulative number of a liveness, readiness or startup probe"
                   " for a container by result.")  # fmt: skip
    names = ("container", "namespace", "pod", "pod_uid", "probe_type", "result")
    for (uid, container, kind, result), count in figures.PROBES.items():
        values = (container, *pods[uid], uid, kind, result)
        total.add(count, label_text(dict(zip(names, values, strict=True))))
    return total.text()


def certificates(now_s: float) -> str:
    families = []
    for kind, errors in (
        ("client", "kubelet_certificate_manager_client_expiration_renew_errors"),
        ("server", "kubelet_server_expiration_renew_errors"),
    ):
        left = f"[ALPHA] Gauge of the shortest TTL (time-to-live) of the Kubelet's {kind} certificate."
        families.append(family := Family(f"kubelet_certificate_manager_{kind}_ttl_seconds", "gauge", left))
        if kind in figures.CERTIFICATE_ENDS_S:
            family.add(int(figures.CERTIFICATE_ENDS_S[kind] - now_s))
        families.append(family := Family(errors, "counter", "[ALPHA] Counter of certificate renewal errors."))
        family.add(figures.CERTIFICATE_FAILURES[kind])
        done = f"kubelet_certificate_manager_{kind}_rotations_total"
        families.append(family := Family(done, "counter", "Certificates that were renewed."))
        family.add(figures.CERTIFICATE_ROTATIONS[kind])
    return joined(families)


def _answer(text: str) -> web.Response:
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})
