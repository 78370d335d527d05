"""The cluster as one value that the scheduler decides on, kept up to date change by change. PURE.

A pod that was decided but whose binding has not come back yet is *assumed*: it counts on its node at once, so that the
next decision sees it. It is confirmed when the watch shows it bound, and forgotten when its binding failed.

Every node has a *slot*, a small number, and the slots are kept in the order of their latest change, so that who has
looked before (``classes``) looks at what changed since then and at nothing else.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from picluster.api.types import Object
from picluster.scheduler.model import HOST, NodeInfo, PodInfo, node_info, pod_info
from picluster.scheduler.volumes import Volumes

_NOTHING: Mapping[str, int] = {}


class Snapshot:
    def __init__(self) -> None:
        self.nodes: dict[str, NodeInfo] = {}
        self.slots: list[NodeInfo | None] = []
        self.image_nodes: dict[str, int] = {}
        """How many nodes have each image."""
        self.volumes = Volumes()
        self.choosy_version = 0
        """Changes with what ``choosy_pods`` gives."""
        self._slot_of: dict[str, int] = {}
        self._free: list[int] = []
        self._changed: OrderedDict[int, int] = OrderedDict()
        self._change = itertools.count(1)
        self._hosts: dict[str, tuple[int, ...]] = {}
        self._where: dict[str, str] = {}
        self._homeless: dict[str, dict[str, PodInfo]] = {}
        self._assumed: dict[str, str] = {}
        self._siblings: dict[str, dict[str, int]] = {}
        self._claim_users: dict[str, int] = {}
        self._choosy: dict[bytes, tuple[PodInfo, set[str]]] = {}

    @property
    def version(self) -> int:
        """Rises with every change of a node or its pods."""
        return next(reversed(self._changed.values()), 0)

    def changed_since(self, version: int) -> list[int]:
        """The slots whose node, or its pods, changed after ``version``."""
        found = []
        for slot, changed in reversed(self._changed.items()):
            if changed <= version:
                break
            found.append(slot)
        return found

    def of_host(self, host: str) -> tuple[int, ...]:
        """The slots of the nodes with this host label: commonly one."""
        return self._hosts.get(host, ())

    def siblings(self, owner_uid: str) -> Mapping[str, int]:
        """How many pods of an owner are on each node, those on their way out aside."""
        return self._siblings.get(owner_uid, _NOTHING)

    def claim_users(self, key: str) -> int:
        """How many pods that are placed mount a claim (``namespace/name``)."""
        return self._claim_users.get(key, 0)

    def set_node(self, node: Object) -> None:
        """Add or change a node; its pods stay on it."""
        fresh = node_info(node)
        before = self.nodes.get(fresh.name)
        pods = before.pods if before is not None else self._homeless.pop(fresh.name, {})
        for pod in list(pods.values()):
            fresh.add_pod(pod)
        self.nodes[fresh.name] = fresh
        slot = self._slot_of.get(fresh.name)
        if slot is None:
            slot = self._slot_of[fresh.name] = self._free.pop() if self._free else len(self.slots)
        if slot == len(self.slots):
            self.slots.append(fresh)
        self.slots[slot] = fresh
        self._index(before, slot, here=False)
        self._index(fresh, slot, here=True)
        self._touch(fresh.name)

    def remove_node(self, name: str) -> None:
        gone = self.nodes.pop(name, None)
        if gone is None:
            return
        if gone.pods:
            self._homeless[name] = gone.pods
        self._touch(name)
        slot = self._slot_of.pop(name)
        self._index(gone, slot, here=False)
        self.slots[slot] = None
        self._free.append(slot)

    def set_pod(self, pod: Object) -> None:
        """A pod as the API has it; one that is bound and not finished counts on its node, any other does not."""
        info = pod_info(pod)
        finished = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if info.node_name and not finished:
            self._assumed.pop(info.key, None)
            self._place(info, info.node_name)
        elif self._assumed.get(info.key) != info.uid or finished:
            self.remove_pod(info.key)

    def assume(self, pod: PodInfo, node_name: str) -> None:
        self._assumed[pod.key] = pod.uid
        self._place(pod, node_name)

    def forget(self, pod: PodInfo) -> None:
        """Undo ``assume``; a pod that was confirmed meanwhile stays."""
        if self._assumed.get(pod.key) == pod.uid:
            self.remove_pod(pod.key)

    def is_placed(self, key: str) -> bool:
        return key in self._where

    def is_assumed(self, pod: PodInfo) -> bool:
        """Whether ``pod`` counts on a node by our decision alone, no watch having shown it there."""
        return self._assumed.get(pod.key) == pod.uid

    def remove_pod(self, key: str) -> None:
        self._assumed.pop(key, None)
        name = self._where.pop(key, None)
        if name is None:
            return
        if name in self.nodes:
            self._count(self.nodes[name].pods[key], name, -1)
            self.nodes[name].remove_pod(key)
            self._touch(name)
        elif name in self._homeless:
            pod = self._homeless[name].pop(key)
            self._count(pod, name, -1)
            if not self._homeless[name]:
                del self._homeless[name]

    def choosy_pods(self) -> Sequence[PodInfo]:
        """One pod of each template, among those placed, that says anything about the pods around it."""
        return [pod for pod, _ in self._choosy.values()]

    def _place(self, pod: PodInfo, node_name: str) -> None:
        assumed = self._assumed.get(pod.key)
        self.remove_pod(pod.key)
        if assumed is not None:
            self._assumed[pod.key] = assumed
        self._where[pod.key] = node_name
        self._count(pod, node_name, 1)
        if node_name in self.nodes:
            self.nodes[node_name].add_pod(pod)
            self._touch(node_name)
        else:
            self._homeless.setdefault(node_name, {})[pod.key] = pod

    def _touch(self, name: str) -> None:
        slot = self._slot_of[name]
        self._changed[slot] = next(self._change)
        self._changed.move_to_end(slot)

    def _index(self, node: NodeInfo | None, slot: int, *, here: bool) -> None:
        if node is None:
            return
        for image in node.images:
            left = self.image_nodes.pop(image, 0) + (1 if here else -1)
            if left:
                self.image_nodes[image] = left
        host = node.labels.get(HOST)
        if host is None:
            return
        slots = self._hosts.pop(host, ())
        slots = (*slots, slot) if here else tuple(other for other in slots if other != slot)
        if slots:
            self._hosts[host] = slots

    def _count(self, pod: PodInfo, node_name: str, sign: int) -> None:
        if pod.owner_uid and not pod.terminating:
            counts = self._siblings.setdefault(pod.owner_uid, {})
            counts[node_name] = counts.get(node_name, 0) + sign
            if not counts[node_name]:
                del counts[node_name]
            if not counts:
                del self._siblings[pod.owner_uid]
        for mount in pod.claims:
            key = f"{pod.namespace}/{mount.claim}"
            left = self._claim_users.pop(key, 0) + sign
            if left:
                self._claim_users[key] = left
        if pod.choosy:
            self._count_choosy(pod, here=sign > 0)

    def _count_choosy(self, pod: PodInfo, *, here: bool) -> None:
        if here and pod.template not in self._choosy:
            self._choosy[pod.template] = (pod, {pod.key})
            self.choosy_version += 1
        elif here:
            self._choosy[pod.template][1].add(pod.key)
        else:
            _, keys = self._choosy[pod.template]
            keys.discard(pod.key)
            if not keys:
                del self._choosy[pod.template]
                self.choosy_version += 1
