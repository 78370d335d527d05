"""From a pod's volume to what is really mounted: through its claim to its PersistentVolume. Pure.

What is refused, and how that is worded, is the kubelet's (``desired_state_of_world_populator.go``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from picluster.api.types import Object
from picluster.api.volumebinding import SINGLE_POD
from picluster_agent.podman.env import ConfigError
from picluster_agent.volumes import layout

SHARED_KINDS = ("nfs", "hostPath")
"""What others use too: fsGroup is not applied."""


UNKNOWN = 'failed to get Plugin from volumeSpec for volume "{}" err=no volume plugin matched'


class ClaimError(Exception):
    """The claim, or its volume, cannot be used by this pod now."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume of a pod.

    ``name`` is the pod's name for it, ``spec_name`` that of the PersistentVolume, if one is behind it; ``kind`` and
    ``source`` are what is mounted.
    """

    name: str
    kind: str
    source: Object
    spec_name: str
    read_only: bool = False
    device: bool = False
    claim: str = ""
    persistent: Object | None = None
    mount_options: tuple[str, ...] = ()
    access_modes: tuple[str, ...] = field(default=())


def direct(volume: Object) -> Volume:
    """A volume whose source is in the pod itself; raises ``ClaimError`` for one that this node does not know."""
    kind = layout.kind_of(volume)
    if kind not in layout.PLUGINS and kind != "hostPath":
        raise ClaimError(UNKNOWN.format(volume["name"]))
    source = volume.get(kind) or {}
    return Volume(volume["name"], kind, source, volume["name"], read_only=bool(source.get("readOnly")))


def claim_name(volume: Object, pod: Object) -> str:
    """The claim that a volume names, or that is made for it (KEP-1698); empty without one."""
    if source := volume.get("persistentVolumeClaim"):
        return str(source["claimName"])
    return f"{pod['metadata']['name']}-{volume['name']}" if volume.get("ephemeral") is not None else ""


def check_claim(volume: Object, pod: Object, claim: Object) -> str:
    """The name of the PersistentVolume that ``claim`` is bound to; raises ``ClaimError``."""
    metadata = claim["metadata"]
    if volume.get("ephemeral") is not None and not _owned(claim, pod):
        where = pod["metadata"]
        raise ClaimError(
            f"PVC {metadata['namespace']}/{metadata['name']} was not created for pod "
            f"{where['namespace']}/{where['name']} (pod is not owner)"
        )
    if metadata.get("deletionTimestamp"):
        raise ClaimError("PVC is being deleted")
    if (claim.get("status") or {}).get("phase") != "Bound":
        raise ClaimError("PVC is not bound")
    name = (claim.get("spec") or {}).get("volumeName") or ""
    if not name:
        raise ClaimError("PVC has empty pvc.Spec.VolumeName")
    return str(name)


def _owned(claim: Object, pod: Object) -> bool:
    return any(
        owner.get("controller") and owner.get("uid") == pod["metadata"]["uid"]
        for owner in claim["metadata"].get("ownerReferences") or ()
    )


def bound(volume: Object, pod: Object, claim: Object, persistent: Object) -> Volume:
    """The volume behind a bound claim; raises ``ClaimError``."""
    name, spec = persistent["metadata"]["name"], persistent["spec"]
    reference = spec.get("claimRef")
    if reference is None:
        raise ClaimError(f"found PV object {name} with nil spec.claimRef indicating it is not yet bound to the claim")
    if reference.get("uid") != claim["metadata"]["uid"]:
        raise ClaimError(
            f"found PV object {name} with a spec.claimRef.uid {reference.get('uid')} that does not point to expected "
            f"PVC UID {claim['metadata']['uid']}"
        )
    device = spec.get("volumeMode") == "Block"
    mounted, as_device = uses(pod, volume["name"])
    if device and mounted:
        raise ClaimError(f"volume {volume['name']} has volumeMode Block, but is specified in volumeMounts")
    if not device and as_device:
        raise ClaimError(f"volume {volume['name']} has volumeMode Filesystem, but is specified in volumeDevices")
    kind = next((key for key in KINDS if spec.get(key) is not None), "")
    if not kind:
        raise ClaimError(UNKNOWN.format(name))
    source = spec[kind]
    asked = (volume.get("persistentVolumeClaim") or {}).get("readOnly")
    return Volume(
        volume["name"],
        kind,
        source,
        name,
        read_only=bool(asked or source.get("readOnly")),
        device=device,
        claim=claim["metadata"]["name"],
        persistent=persistent,
        mount_options=tuple(spec.get("mountOptions") or ()),
        access_modes=tuple(spec.get("accessModes") or ()),
    )


KINDS = ("csi", "hostPath", "local", "nfs")
"""Sources of PersistentVolumes that this node can mount."""


def uses(pod: Object, name: str) -> tuple[bool, bool]:
    """Whether some container mounts the volume, and whether one takes it as a device."""
    spec = pod["spec"]
    mounted = device = False
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounted = mounted or any(one["name"] == name for one in container.get("volumeMounts") or ())
        device = device or any(one["name"] == name for one in container.get("volumeDevices") or ())
    return mounted, device


def for_one_pod(volume: Volume) -> bool:
    return SINGLE_POD in volume.access_modes


def takes_fs_group(volume: Volume) -> bool:
    """Whether fsGroup is applied to it; drivers of CSI have a say of their own."""
    return volume.kind not in SHARED_KINDS and not volume.device


def check_node(persistent: Object, labels: Mapping[str, str], name: str) -> None:
    """Raises ``ConfigError`` when the volume cannot be had on a node with these labels."""
    required = ((persistent["spec"].get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms")
    if required is not None and not any(_term(term, labels, name) for term in required):
        raise ConfigError("no matching NodeSelectorTerms")


def _term(term: Object, labels: Mapping[str, str], name: str) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return _all(expressions, labels) and _all(fields, {"metadata.name": name})


def _all(expressions: Iterable[Object], labels: Mapping[str, str]) -> bool:
    return all(_holds(one, labels.get(one["key"])) for one in expressions)


def _holds(expression: Object, value: str | None) -> bool:
    operator: str = expression["operator"]
    values: list[str] = expression.get("values") or []
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    try:
        found, limit = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return found > limit if operator == "Gt" else found < limit
