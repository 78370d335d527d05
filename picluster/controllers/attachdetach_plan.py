"""Which volumes are to be attached to a node, and which may be taken from it. PURE.

Source: ``pkg/controller/volume/attachdetach/reconciler`` and ``pkg/volume/csi/csi_attacher.go``; names and messages are
theirs. Only volumes of CSI drivers are attached, and of these those whose CSIDriver does not say otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from picluster.api.meta import condition_is
from picluster.api.types import Object

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
SHARED_MODES = {"ReadWriteMany", "ReadOnlyMany"}
UNMOUNT_MAX_S = 360.0
"""How long a node that is not Ready is given to unmount a volume (``maxWaitForUnmountDuration``)."""


class Source(NamedTuple):
    """A volume as its driver knows it."""

    driver: str
    handle: str

    @property
    def unique_name(self) -> str:
        """As nodes report it, in ``volumesInUse`` and ``volumesAttached``."""
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"

    def attachment(self, node: str) -> str:
        """The name of its VolumeAttachment: the same for whoever attaches it to that node."""
        return f"csi-{hashlib.sha256(f'{self.handle}{self.driver}{node}'.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A volume that pods on the node use."""

    volume: Object
    source: Source
    pods: tuple[Object, ...]


@dataclass(slots=True)
class Plan:
    attach: list[Wanted] = field(default_factory=list)
    blocked: list[Wanted] = field(default_factory=list)
    """Those that another node has, and that only one may have."""
    detach: list[Object] = field(default_factory=list)
    waiting: list[Object] = field(default_factory=list)
    """Attachments that nobody needs, but that the node still uses."""
    attached: list[str] = field(default_factory=list)
    """What ``status.volumesAttached`` is to say."""


def source_of(volume: Object) -> Source | None:
    csi = volume["spec"].get("csi")
    return None if csi is None else Source(csi["driver"], csi["volumeHandle"])


def reported(node: Object | None) -> set[Source]:
    """What the node's status says is attached to it."""
    found = set()
    for entry in ((node or {}).get("status") or {}).get("volumesAttached") or ():
        kind, _, rest = str(entry["name"]).partition("/csi/")
        driver, separator, handle = rest.partition("^")
        if kind == "kubernetes.io" and separator:
            found.add(Source(driver, handle))
    return found


def needs_attaching(driver: Object | None) -> bool:
    """Whether the driver has somebody who attaches; one that has not registered itself does."""
    return driver is None or (driver.get("spec") or {}).get("attachRequired") is not False


def plan(
    name: str,
    node: Object | None,
    wanted: Sequence[Wanted],
    there: Iterable[tuple[Object, Source]],
    elsewhere: Mapping[str, Sequence[Object]],
    waited_s: Mapping[str, float],
) -> Plan:
    """``there`` are the node's attachments that are the controller's own, ``elsewhere`` other nodes' by volume;
    ``waited_s`` says for how long each that nobody needs has been waited for."""
    found = Plan()
    by_name = {attachment["metadata"]["name"]: (attachment, source) for attachment, source in there}
    for one in wanted:
        known = by_name.pop(one.source.attachment(name), None)
        if known is not None:
            if is_attached(known[0]) and not _leaving(known[0]):
                found.attached.append(one.source.unique_name)
        elif elsewhere.get(one.volume["metadata"]["name"]) and not _may_be_shared(one.volume):
            found.blocked.append(one)
        else:
            found.attach.append(one)
    in_use = set(((node or {}).get("status") or {}).get("volumesInUse") or ())
    for key, (attachment, source) in by_name.items():
        if _leaving(attachment):
            continue
        mounted = node is None or source.unique_name in in_use
        if mounted and not _given_up(node, waited_s.get(key, 0.0)):
            found.waiting.append(attachment)
            found.attached.append(source.unique_name)
        else:
            found.detach.append(attachment)
    found.attached.sort()
    return found


def is_attached(attachment: Object) -> bool:
    return bool((attachment.get("status") or {}).get("attached"))


def _leaving(attachment: Object) -> bool:
    return bool(attachment["metadata"].get("deletionTimestamp"))


def _given_up(node: Object | None, waited_s: float) -> bool:
    """A node that is out of service surely uses nothing; one that is not Ready is given a while."""
    if node is not None and any(
        taint["key"] == OUT_OF_SERVICE for taint in (node.get("spec") or {}).get("taints") or ()
    ):
        return True
    return waited_s >= UNMOUNT_MAX_S and (node is None or not condition_is(node, "Ready"))


def _may_be_shared(volume: Object) -> bool:
    modes = set(volume["spec"].get("accessModes") or ())
    return not modes or bool(modes & SHARED_MODES)


def multi_attach(pod: Object, others: Iterable[Object]) -> str:
    """What is in the pod's way; a namespace does not learn the names of others' pods."""
    namespace = pod["metadata"]["namespace"]
    users = list(others)
    near = sorted(other["metadata"]["name"] for other in users if other["metadata"]["namespace"] == namespace)
    far = len(users) - len(near)
    if not users:
        return "Volume is already exclusively attached to one node and can't be attached to another"
    if not near:
        return f"Volume is already used by {far} pod(s) in different namespaces"
    also = f" and {far} pod(s) in different namespaces" if far else ""
    return f"Volume is already used by pod(s) {', '.join(near)}{also}"
