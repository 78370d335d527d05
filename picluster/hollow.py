"""Simulated agents: nodes that are there, renew their leases and report their pods Running, without a board or a
container.

With them the API, the scheduler and the controllers can be tried on any laptop (``picluster server --hollow-nodes
5``). They are clients of the API server like real agents, with real objects: what a hollow node reports is what an
agent would report of a pod whose every container starts at once and stays up.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable, Iterator

from picluster import VERSION
from picluster.api.errors import ApiError
from picluster.api.meta import condition_is, key_of, now_rfc3339, set_condition
from picluster.api.profiles import PROFILES
from picluster.api.resources import NODES, PODS
from picluster.api.types import Object
from picluster.client import Client, LeaseRenewer, PatchType
from picluster.runtime import Controller, Manager, Requeue
from picluster.util.clock import Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)
BY_HOLLOW = "hollow"
CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "32Gi"}


async def run(client: Client, count: int, clock: Clock, profile: str = "rack") -> None:
    """Simulate ``count`` nodes until cancelled."""
    manager = Manager(client, clock)
    manager.add(HollowNodes(names(count), profile))
    await manager.run()


def names(count: int) -> Iterator[str]:
    return (f"hollow-{number:04d}" for number in range(1, count + 1))


class HollowNodes(Controller):
    """All hollow nodes of a process, on one cache of pods. A key is a pod's, or a node's name."""

    name = "hollow-agent"
    workers = 16

    def __init__(self, names: Iterable[str], profile: str) -> None:
        self._names = dict.fromkeys(names)
        self._profile = PROFILES[profile]
        self._addresses = Addresses()
        self._leases = Tasks("hollow-leases")

    def setup(self, manager: Manager) -> None:
        self._pods = manager.informer(PODS)
        self._nodes = manager.informer(NODES)
        self._pods.add_indexer(BY_HOLLOW, lambda pod: pod["spec"].get("nodeName"))
        self._pods.add_handler(self._on_pod)
        self._nodes.add_handler(self._on_node)

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        node_name = pod["spec"].get("nodeName")
        if node_name not in self._names:
            return
        if new is None:
            self._addresses.release(pod["metadata"]["uid"])
            return
        if reported := (new.get("status") or {}).get("podIP"):  # maybe from before a restart
            self._addresses.hold(node_name, new["metadata"]["uid"], reported)
        self.queue.add(key_of(new))

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        node = new if new is not None else old
        assert node is not None
        if node["metadata"]["name"] in self._names:
            self.queue.add(node["metadata"]["name"])
            had = old is not None and (old.get("spec") or {}).get("podCIDR")
            if new is not None and (new.get("spec") or {}).get("podCIDR") and not had:
                for pod in self._pods.index(BY_HOLLOW, node["metadata"]["name"]):
                    self.queue.add(key_of(pod))

    async def background(self) -> None:
        """Register every node, then renew its lease."""
        for name in self._names:
            self.queue.add(name)
        try:
            for name in self._names:
                renewer = LeaseRenewer(
                    self.client,
                    name=name,
                    holder=name,
                    interval_s=self._profile.lease_interval_s,
                    duration_s=self._profile.lease_duration_s,
                )
                self._leases.spawn(renewer.run(), name)
            await self.clock.sleep(float("inf"))
        finally:
            await self._leases.close()

    async def reconcile(self, key: str) -> float | None:
        if "/" not in key:
            await self._report_node(key)
            return None
        pod = self._pods.get(key)
        if pod is None:
            return None
        if pod["metadata"].get("deletionTimestamp"):
            await self._finish(pod)
        elif (pod.get("status") or {}).get("phase") in ("Pending", "Running") and _to_report(pod):
            await self._run(pod)
        return None

    async def _report_node(self, name: str) -> None:
        """Register the node if it is not there, and say that it is Ready if somebody says otherwise."""
        node = self._nodes.get(name)
        if node is None:
            try:
                await self.client.create(NODES, node_object(name, self.clock.now()))
            except ApiError as error:
                if error.code != 409:
                    raise
            return
        if condition_is(node, "Ready"):
            return
        patch = {"status": {"conditions": conditions(self.clock.now())}}
        await self.client.patch(NODES, name, patch, kind=PatchType.STRATEGIC, subresource="status")

    async def _run(self, pod: Object) -> None:
        """Report the pod Running and Ready: a new one, or one that was marked otherwise while its node was silent."""
        metadata, node_name = pod["metadata"], pod["spec"]["nodeName"]
        cidr = ((self._nodes.get(node_name) or {}).get("spec") or {}).get("podCIDR")
        if not cidr:
            return  # comes back when the node has its range
        ip = self._addresses.take(node_name, cidr, metadata["uid"])
        if ip is None:
            raise Requeue(f"{node_name} has no address left in {cidr}")
        await self.client.patch(
            PODS,
            metadata["name"],
            {"metadata": {"uid": metadata["uid"]}, "status": running(pod, ip, self.clock.now())},
            namespace=metadata["namespace"],
            kind=PatchType.STRATEGIC,
            subresource="status",
        )

    async def _finish(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            await self.client.delete(
                PODS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"], grace_period_s=0
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise


class Addresses:
    """Which address of its node's pod range each pod has; no two pods of a node have the same. PURE."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, str]] = {}
        self._used: dict[str, set[str]] = {}

    def hold(self, node_name: str, uid: str, ip: str) -> None:
        """The pod has ``ip`` already."""
        if uid not in self._held:
            self._held[uid] = (node_name, ip)
            self._used.setdefault(node_name, set()).add(ip)

    def take(self, node_name: str, cidr: str, uid: str) -> str | None:
        """The pod's address, the lowest free one if it has none yet; ``None`` when all are used.

        The first of the range is left to the node, as the bridge plugin has it.
        """
        if uid not in self._held:
            network, used = ipaddress.ip_network(cidr), self._used.setdefault(node_name, set())
            candidates = (str(network[offset]) for offset in range(2, network.num_addresses - 1))
            ip = next((candidate for candidate in candidates if candidate not in used), None)
            if ip is None:
                return None
            self.hold(node_name, uid, ip)
        return self._held[uid][1]

    def release(self, uid: str) -> None:
        """The pod is gone; safe when it had none."""
        node_name, ip = self._held.pop(uid, ("", ""))
        self._used.get(node_name, set()).discard(ip)


def node_object(name: str, now_s: float) -> Object:
    """What a hollow node registers as. It has no IP address, so nobody who looks for it sends a packet. PURE."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "arm64",
                "picluster.io/hollow": "true",
            },
        },
        "status": {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [{"type": "Hostname", "address": name}],
            "conditions": conditions(now_s),
            "nodeInfo": {
                "architecture": "arm64",
                "bootID": "",
                "containerRuntimeVersion": "hollow://1",
                "kernelVersion": "hollow",
                "kubeProxyVersion": "",
                "kubeletVersion": VERSION,
                "machineID": name,
                "operatingSystem": "linux",
                "osImage": "hollow",
                "systemUUID": "",
            },
        },
    }


def conditions(now_s: float) -> list[Object]:
    """A node's conditions when all is well, in the kubelet's words. PURE."""
    now = now_rfc3339(now_s)
    said = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    )
    return [
        {"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now,
         "lastTransitionTime": now}
        for kind, status, reason, message in said
    ]  # fmt: skip


def _to_report(pod: Object) -> bool:
    """Whether the pod's status does not say yet that it runs as its spec has it now."""
    generation = pod["metadata"].get("generation")
    return not condition_is(pod, "Ready") or (pod.get("status") or {}).get("observedGeneration") != generation


def running(pod: Object, ip: str, now_s: float) -> Object:
    """The status of a pod whose init containers have succeeded and whose containers run and are ready. PURE.

    What the pod's status says already of when things began is kept.
    """
    now, before = now_rfc3339(now_s), pod.get("status") or {}
    generation = pod["metadata"].get("generation")
    seen = {"observedGeneration": generation} if generation else {}
    known = [dict(condition) for condition in before.get("conditions") or ()]
    for kind in CONDITIONS:
        set_condition(known, {"type": kind, "status": "True", "reason": None, "message": None, **seen}, now)
    begun = before.get("startTime") or now
    spec = pod["spec"]
    status: Object = {
        **seen,
        "phase": "Running",
        "startTime": begun,
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": [condition for condition in known if condition["type"] in CONDITIONS],
        "containerStatuses": [_container(one, pod, {"running": {"startedAt": begun}}) for one in spec["containers"]],
    }
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [_init_container(one, pod, begun) for one in spec["initContainers"]]
    return status


def _init_container(container: Object, pod: Object, begun: str) -> Object:
    """A sidecar runs on, any other has succeeded."""
    if container.get("restartPolicy") == "Always":
        return _container(container, pod, {"running": {"startedAt": begun}})
    ended = {"exitCode": 0, "reason": "Completed", "startedAt": begun, "finishedAt": begun}
    return {**_container(container, pod, {"terminated": ended}), "started": False}


def _container(container: Object, pod: Object, state: Object) -> Object:
    resources = container.get("resources") or {}
    allocated = {"allocatedResources": resources["requests"]} if resources.get("requests") else {}
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "containerID": f"hollow://{pod['metadata']['uid']}-{container['name']}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": state,
        "lastState": {},
        "resources": resources,
        **allocated,
    }
