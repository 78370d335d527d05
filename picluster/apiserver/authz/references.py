"""What a node has to read to run a pod: the edges of the node authorizer's graph (``plugin/pkg/auth/authorizer/node``).

Read from the bytes of the pod and of the volumes it claims, by one pass over each that sees nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from picluster.api.resources import (
    CONFIGMAPS,
    PERSISTENT_VOLUME_CLAIMS,
    RESOURCE_CLAIMS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class _Named(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""


class _Keyed(msgspec.Struct, gc=False):
    secretKeyRef: _Named | None = None  # noqa: N815
    configMapKeyRef: _Named | None = None  # noqa: N815


class _Variable(msgspec.Struct, gc=False):
    valueFrom: _Keyed | None = None  # noqa: N815


class _Variables(msgspec.Struct, gc=False):
    secretRef: _Named | None = None  # noqa: N815
    configMapRef: _Named | None = None  # noqa: N815


class _Container(msgspec.Struct, gc=False):
    env: list[_Variable] = []
    envFrom: list[_Variables] = []  # noqa: N815


class _SecretVolume(msgspec.Struct, gc=False):
    secretName: str = ""  # noqa: N815
    secretNamespace: str | None = None  # noqa: N815


class _WithSecret(msgspec.Struct, gc=False):
    secretRef: _Named | None = None  # noqa: N815


class _Csi(msgspec.Struct, gc=False):
    driver: str = ""
    nodePublishSecretRef: _Named | None = None  # noqa: N815
    nodeStageSecretRef: _Named | None = None  # noqa: N815
    nodeExpandSecretRef: _Named | None = None  # noqa: N815


class _Token(msgspec.Struct, gc=False):
    audience: str = ""


class _Projection(msgspec.Struct, gc=False):
    secret: _Named | None = None
    configMap: _Named | None = None  # noqa: N815
    serviceAccountToken: _Token | None = None  # noqa: N815


class _Projected(msgspec.Struct, gc=False):
    sources: list[_Projection] = []


class _ClaimVolume(msgspec.Struct, gc=False):
    claimName: str = ""  # noqa: N815


class _Sources(msgspec.Struct, gc=False):
    """The volume sources that name secrets, in pods and in persistent volumes alike."""

    azureFile: _SecretVolume | None = None  # noqa: N815
    cephfs: _WithSecret | None = None
    cinder: _WithSecret | None = None
    flexVolume: _WithSecret | None = None  # noqa: N815
    rbd: _WithSecret | None = None
    scaleIO: _WithSecret | None = None  # noqa: N815
    iscsi: _WithSecret | None = None
    storageos: _WithSecret | None = None
    csi: _Csi | None = None

    def secrets(self) -> Iterator[_Named]:
        for source in (
            self.cephfs, self.cinder, self.flexVolume, self.rbd, self.scaleIO, self.iscsi, self.storageos,
        ):  # fmt: skip
            if source is not None and source.secretRef is not None:
                yield source.secretRef
        if self.azureFile is not None:
            yield _Named(self.azureFile.secretName, self.azureFile.secretNamespace or "")
        if self.csi is not None:
            for ref in (self.csi.nodePublishSecretRef, self.csi.nodeStageSecretRef, self.csi.nodeExpandSecretRef):
                if ref is not None:
                    yield ref


class _Volume(_Sources, gc=False):
    name: str = ""
    secret: _SecretVolume | None = None
    configMap: _Named | None = None  # noqa: N815
    projected: _Projected | None = None
    persistentVolumeClaim: _ClaimVolume | None = None  # noqa: N815
    ephemeral: dict[str, object] | None = None


class _ResourceClaim(msgspec.Struct, gc=False):
    resourceClaimName: str | None = None  # noqa: N815


class _Spec(msgspec.Struct, gc=False):
    containers: list[_Container] = []
    initContainers: list[_Container] = []  # noqa: N815
    ephemeralContainers: list[_Container] = []  # noqa: N815
    volumes: list[_Volume] = []
    imagePullSecrets: list[_Named] = []  # noqa: N815
    serviceAccountName: str = ""  # noqa: N815
    resourceClaims: list[_ResourceClaim] = []  # noqa: N815


class _Status(msgspec.Struct, gc=False):
    resourceClaimStatuses: list[_ResourceClaim] = []  # noqa: N815
    extendedResourceClaimStatus: _ResourceClaim | None = None  # noqa: N815


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    annotations: dict[str, str] | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Metadata
    spec: _Spec
    status: _Status | None = None


class _VolumeSpec(_Sources, gc=False):
    claimRef: _Named | None = None  # noqa: N815


class _PersistentVolume(msgspec.Struct, gc=False):
    spec: _VolumeSpec


_decode_pod = msgspec.json.Decoder(_Pod).decode
_decode_volume = msgspec.json.Decoder(_PersistentVolume).decode


def references(pod_wire: bytes) -> set[tuple[Resource, str]]:
    """What a pod refers to in its own namespace; a mirror pod, which a node may make itself, gives nothing."""
    pod = _decode_pod(pod_wire)
    if MIRROR_ANNOTATION in (pod.metadata.annotations or ()):
        return set()
    return set(_references(pod))


def named_by(pod_wire: bytes) -> set[tuple[Resource, str]]:
    """What a pod refers to, mirror pod or not."""
    return set(_references(_decode_pod(pod_wire)))


def audiences(pod_wire: bytes) -> set[str]:
    """The audiences of the tokens that a pod's projected volumes ask for (empty: the API server's own)."""
    return {
        projection.serviceAccountToken.audience
        for volume in _decode_pod(pod_wire).spec.volumes
        if volume.projected is not None
        for projection in volume.projected.sources
        if projection.serviceAccountToken is not None
    }


def csi_drivers(pod_wire: bytes) -> set[str]:
    """The drivers of a pod's inline CSI volumes."""
    return {volume.csi.driver for volume in _decode_pod(pod_wire).spec.volumes if volume.csi is not None}


def bound_claim(volume_wire: bytes) -> tuple[str, str]:
    """Namespace and name of the claim that a persistent volume is bound to; both empty without one."""
    claim = _decode_volume(volume_wire).spec.claimRef
    return (claim.namespace, claim.name) if claim is not None else ("", "")


def volume_driver(volume_wire: bytes) -> str:
    csi = _decode_volume(volume_wire).spec.csi
    return csi.driver if csi is not None else ""


def volume_secrets(volume_wire: bytes) -> set[tuple[str, str]]:
    """Namespace and name of the secrets that a node needs for a persistent volume."""
    spec = _decode_volume(volume_wire).spec
    home = spec.claimRef.namespace if spec.claimRef is not None else ""
    return {(secret.namespace or home, secret.name) for secret in spec.secrets()}


def _references(pod: _Pod) -> Iterator[tuple[Resource, str]]:
    spec = pod.spec
    for each in spec.imagePullSecrets:
        yield SECRETS, each.name
    if spec.serviceAccountName:
        yield SERVICE_ACCOUNTS, spec.serviceAccountName
    for container in (*spec.containers, *spec.initContainers, *spec.ephemeralContainers):
        yield from _of_environment(container)
    for volume in spec.volumes:
        yield from _of_volume(volume, pod.metadata.name)
    status = pod.status or _Status()
    claims = [*spec.resourceClaims, *status.resourceClaimStatuses]
    if status.extendedResourceClaimStatus is not None:
        claims.append(status.extendedResourceClaimStatus)
    for claim in claims:
        if claim.resourceClaimName:
            yield RESOURCE_CLAIMS, claim.resourceClaimName


def _of_environment(container: _Container) -> Iterator[tuple[Resource, str]]:
    for variable in container.env:
        if (source := variable.valueFrom) is not None:
            if source.secretKeyRef is not None:
                yield SECRETS, source.secretKeyRef.name
            if source.configMapKeyRef is not None:
                yield CONFIGMAPS, source.configMapKeyRef.name
    for several in container.envFrom:
        if several.secretRef is not None:
            yield SECRETS, several.secretRef.name
        if several.configMapRef is not None:
            yield CONFIGMAPS, several.configMapRef.name


def _of_volume(volume: _Volume, pod_name: str) -> Iterator[tuple[Resource, str]]:
    if volume.secret is not None:
        yield SECRETS, volume.secret.secretName
    if volume.configMap is not None:
        yield CONFIGMAPS, volume.configMap.name
    if volume.persistentVolumeClaim is not None:
        yield PERSISTENT_VOLUME_CLAIMS, volume.persistentVolumeClaim.claimName
    if volume.ephemeral is not None:
        yield PERSISTENT_VOLUME_CLAIMS, f"{pod_name}-{volume.name}"
    for secret in volume.secrets():
        yield SECRETS, secret.name
    for projection in volume.projected.sources if volume.projected is not None else ():
        if projection.secret is not None:
            yield SECRETS, projection.secret.name
        if projection.configMap is not None:
            yield CONFIGMAPS, projection.configMap.name
