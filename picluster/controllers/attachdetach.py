"""Attaches volumes of CSI drivers to the nodes of their pods, and takes them away after the last.

For each volume and node there is a VolumeAttachment; a driver's external attacher does what it says and reports. A node
mounts what its ``status.volumesAttached`` has, so a volume leaves that list before it leaves the node. What is attached
is read from the API server each time, so there is nothing to lose in a crash; attachments that others make by hand have
other names, and are left alone. Source: ``pkg/controller/volume/attachdetach``.
"""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api import volumebinding as binding
from picluster.api.errors import ApiError
from picluster.api.meta import condition_is, key_of
from picluster.api.resources import (
    CSI_DRIVERS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    VOLUME_ATTACHMENTS,
)
from picluster.api.types import Object
from picluster.client import PatchType
from picluster.controllers.attachdetach_plan import (
    UNMOUNT_MAX_S,
    Plan,
    Source,
    Wanted,
    is_attached,
    multi_attach,
    needs_attaching,
    plan,
    reported,
    source_of,
)
from picluster.controllers.shared import indexes, pods
from picluster.runtime import Controller, Manager

BY_NODE, BY_VOLUME = "attached to", "volume"
UNSEEN_MAX_S = 60.0
"""After so long an attachment that the watch has not told of was deleted in a gap of it."""


class AttachDetachController(Controller):
    """Keys are names of nodes; one worker, so that no two nodes get one volume."""

    name = "attachdetach-controller"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._pods, self._nodes = manager.informer(PODS), manager.informer(NODES)
        self._claims = manager.informer(PERSISTENT_VOLUME_CLAIMS)
        self._volumes = manager.informer(PERSISTENT_VOLUMES)
        self._drivers = manager.informer(CSI_DRIVERS)
        self._attachments = manager.informer(VOLUME_ATTACHMENTS)
        indexes.by_node(self._pods)
        indexes.by_claim(self._pods)
        self._attachments.add_indexer(BY_NODE, lambda one: one["spec"].get("nodeName"))
        self._attachments.add_indexer(BY_VOLUME, lambda one: one["spec"]["source"].get("persistentVolumeName"))
        self._unseen: dict[str, tuple[float, Object]] = {}
        """Attachments that were made, when, and that the watch has not told yet."""
        self._unneeded_since_s: dict[str, float] = {}
        self._blocked: set[tuple[str, str]] = set()
        self._pods.add_handler(self._on_pod)
        self._nodes.add_handler(self._on_node)
        self._volumes.add_handler(self._on_volume)
        self._claims.add_handler(self._on_claim)
        self._drivers.add_handler(self._on_driver)
        self._attachments.add_handler(self._on_attachment)

    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        if new is None and self._blocked:
            self._blocked = {mark for mark in self._blocked if mark[0] != pod["metadata"]["uid"]}
        node, changed = pods.node_name(pod), old is None or new is None or _differs(old, new)
        if node and changed and next(binding.mounts(pod), None) is not None:
            self.queue.add(node)

    def _on_node(self, old: Object | None, new: Object | None) -> None:
        node = new if new is not None else old
        assert node is not None
        if old is None or new is None or _uses(old) != _uses(new):
            self.queue.add(node["metadata"]["name"])

    def _on_claim(self, old: Object | None, new: Object | None) -> None:
        if new is not None and binding.is_fully_bound(new) and (old is None or not binding.is_fully_bound(old)):
            self._wake_users(key_of(new))

    def _on_volume(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None and source_of(new) is not None:
            self._wake(new)

    def _on_driver(self, old: Object | None, new: Object | None) -> None:
        """Who says only now that there is nothing to attach, or that there is."""
        driver = new if new is not None else old
        if driver is None or needs_attaching(old) == needs_attaching(new):
            return
        for volume in self._volumes.values():
            source = source_of(volume)
            if source is not None and source.driver == driver["metadata"]["name"]:
                self._wake(volume)

    def _wake(self, volume: Object) -> None:
        if reference := volume["spec"].get("claimRef"):
            self._wake_users(f"{reference.get('namespace')}/{reference.get('name')}")

    def _wake_users(self, claim: str) -> None:
        """The nodes of the pods that mount the claim."""
        for pod in self._pods.index(indexes.CLAIM, claim):
            if node := pods.node_name(pod):
                self.queue.add(node)

    def _on_attachment(self, old: Object | None, new: Object | None) -> None:
        attachment = new if new is not None else old
        assert attachment is not None
        self.queue.add(attachment["spec"]["nodeName"])
        self._unseen.pop(attachment["metadata"]["name"], None)
        if new is None:
            self._unneeded_since_s.pop(attachment["metadata"]["name"], None)
            volume = self._volumes.get(attachment["spec"]["source"].get("persistentVolumeName") or "")
            if volume is not None:
                self._wake(volume)
        elif old is not None:
            self._say_outcome(old, new)

    def _say_outcome(self, old: Object, new: Object) -> None:
        """To the pods that wait for it."""
        error = (new.get("status") or {}).get("attachError")
        if is_attached(new) and not is_attached(old):
            said = ("Normal", "SuccessfulAttachVolume", "AttachVolume.Attach succeeded", "")
        elif error and error != (old.get("status") or {}).get("attachError"):
            said = ("Warning", "FailedAttachVolume", "AttachVolume.Attach failed", f": {error.get('message', '')}")
        else:
            return
        name = new["spec"]["nodeName"]
        for wanted in self._wanted(name):
            if wanted.source.attachment(name) == new["metadata"]["name"]:
                for pod in wanted.pods:
                    self._say(pod, wanted.volume, *said)

    def _say(self, pod: Object, volume: Object, kind: str, reason: str, what: str, more: str) -> None:
        self.recorder.event(pod, kind, reason, f'{what} for volume "{volume["metadata"]["name"]}" {more}')

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        wanted, there = list(self._wanted(key)), list(self._own(key, node))
        if not wanted and not there and not reported(node):
            return None
        others = {one.volume["metadata"]["name"]: self._elsewhere(one.volume, key) for one in wanted}
        now_s = self.clock.monotonic()
        waited_s = {name: now_s - since_s for name, since_s in self._unneeded_since_s.items()}
        found = plan(key, node, wanted, there, others, waited_s)
        if node is not None:
            await self._report(node, found.attached)
        for attachment in found.detach:
            await self._detach(attachment)
        for one in found.attach:
            await self._attach(one, key)
        for one in found.blocked:
            self._say_blocked(one, key)
        return self._next_look_s(found, now_s)

    def _next_look_s(self, found: Plan, now_s: float) -> float | None:
        waiting = {attachment["metadata"]["name"] for attachment in found.waiting}
        for name in waiting:
            self._unneeded_since_s.setdefault(name, now_s)
        if not waiting:
            return None
        ends_s = min(self._unneeded_since_s[name] for name in waiting) + UNMOUNT_MAX_S
        return max(ends_s - now_s, 1.0) if ends_s > now_s else None

    def _wanted(self, node: str) -> Iterator[Wanted]:
        users: dict[str, list[Object]] = {}
        for pod in self._pods.index(indexes.NODE, node):
            if not pods.is_finished(pod):
                for mount in binding.mounts(pod):
                    users.setdefault(f"{pod['metadata']['namespace']}/{mount.claim}", []).append(pod)
        for key, its in users.items():
            claim = self._claims.get(key)
            volume = self._volumes.get(claim["spec"]["volumeName"]) if claim and binding.is_fully_bound(claim) else None
            source = source_of(volume) if volume is not None else None
            if claim is None or volume is None or source is None or not binding.is_for(volume, claim):
                continue
            if needs_attaching(self._drivers.get(source.driver)):
                yield Wanted(volume, source, tuple(its))

    def _own(self, name: str, node: Object | None) -> Iterator[tuple[Object, Source]]:
        """The node's attachments that are named as we name them; of a volume that is gone, as its node knows it."""
        known = {source.attachment(name): source for source in reported(node)}
        for attachment in self._attachments.index(BY_NODE, name):
            volume = self._volumes.get(attachment["spec"]["source"].get("persistentVolumeName") or "")
            source = source_of(volume) if volume is not None else known.get(attachment["metadata"]["name"])
            if source is not None and attachment["metadata"]["name"] == source.attachment(name):
                yield attachment, source

    def _elsewhere(self, volume: Object, node: str) -> list[Object]:
        name = volume["metadata"]["name"]
        now_s = self.clock.monotonic()
        self._unseen = {key: kept for key, kept in self._unseen.items() if now_s - kept[0] < UNSEEN_MAX_S}
        unseen = [one for _, one in self._unseen.values() if one["spec"]["source"]["persistentVolumeName"] == name]
        found = [*self._attachments.index(BY_VOLUME, name), *unseen]
        return [attachment for attachment in found if attachment["spec"]["nodeName"] != node]

    async def _report(self, node: Object, attached: list[str]) -> None:
        """Say on the node what it may mount; first of all, since what is not said is not mounted any more."""
        now = sorted(str(entry["name"]) for entry in (node.get("status") or {}).get("volumesAttached") or ())
        if now == attached:
            return
        entries = [{"name": name, "devicePath": ""} for name in attached]
        patch = {"status": {"volumesAttached": entries or None}}
        await self.client.patch(NODES, node["metadata"]["name"], patch, kind=PatchType.MERGE, subresource="status")

    async def _detach(self, attachment: Object) -> None:
        metadata = attachment["metadata"]
        try:
            await self.client.delete(VOLUME_ATTACHMENTS, metadata["name"], uid=metadata["uid"])
        except ApiError as error:
            if error.code != 404:
                raise
        self._unneeded_since_s.pop(metadata["name"], None)

    async def _attach(self, wanted: Wanted, node: str) -> None:
        volume = wanted.volume["metadata"]["name"]
        if wanted.volume["metadata"].get("deletionTimestamp"):
            for pod in wanted.pods:
                why = f': PersistentVolume "{volume}" is marked for deletion'
                self._say(pod, wanted.volume, "Warning", "FailedAttachVolume", "AttachVolume.Attach failed", why)
            return
        spec = {"attacher": wanted.source.driver, "nodeName": node, "source": {"persistentVolumeName": volume}}
        made: Object = {"metadata": {"name": wanted.source.attachment(node)}, "spec": spec}
        try:
            await self.client.create(VOLUME_ATTACHMENTS, made)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        if self._attachments.get(made["metadata"]["name"]) is None:
            self._unseen[made["metadata"]["name"]] = (self.clock.monotonic(), made)
        self._blocked = {(uid, name) for uid, name in self._blocked if name != volume}

    def _say_blocked(self, wanted: Wanted, node: str) -> None:
        """Once to each pod."""
        reference, name = wanted.volume["spec"]["claimRef"], wanted.volume["metadata"]["name"]
        users = self._pods.index(indexes.CLAIM, f"{reference['namespace']}/{reference['name']}")
        others = [pod for pod in users if pods.node_name(pod) not in ("", node) and not pods.is_finished(pod)]
        for pod in wanted.pods:
            mark = (str(pod["metadata"]["uid"]), name)
            if mark not in self._blocked:
                self._blocked.add(mark)
                why = multi_attach(pod, others)
                self._say(pod, wanted.volume, "Warning", "FailedAttachVolume", "Multi-Attach error", why)


def _uses(node: Object) -> tuple[object, ...]:
    """What of a node changes what may be detached from it; its heartbeats do not."""
    status = node.get("status") or {}
    attached, taints = status.get("volumesAttached"), (node.get("spec") or {}).get("taints")
    return status.get("volumesInUse"), attached, condition_is(node, "Ready"), taints


def _differs(old: Object, new: Object) -> bool:
    return pods.node_name(old) != pods.node_name(new) or pods.is_finished(old) != pods.is_finished(new)
