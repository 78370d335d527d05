"""Rows of networking and storage."""

from __future__ import annotations

from picluster.api.resources.resource import Resource

_NETWORKING = "io.k8s.api.networking.v1."
_STORAGE = "io.k8s.api.storage.v1."
_CLUSTER_FIELDS = ("metadata.name",)

INGRESSES = Resource(
    "networking.k8s.io", "v1", "Ingress", "ingresses", _NETWORKING + "Ingress", short_names=("ing",),
    subresources=("status",),
)  # fmt: skip
INGRESS_CLASSES = Resource(
    "networking.k8s.io", "v1", "IngressClass", "ingressclasses", _NETWORKING + "IngressClass", namespaced=False,
    fields=_CLUSTER_FIELDS,
)  # fmt: skip
NETWORK_POLICIES = Resource(
    "networking.k8s.io",
    "v1",
    "NetworkPolicy",
    "networkpolicies",
    _NETWORKING + "NetworkPolicy",
    short_names=("netpol",),
)
IP_ADDRESSES = Resource(
    "networking.k8s.io", "v1", "IPAddress", "ipaddresses", _NETWORKING + "IPAddress", namespaced=False,
    short_names=("ip",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
SERVICE_CIDRS = Resource(
    "networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", _NETWORKING + "ServiceCIDR", namespaced=False,
    subresources=("status",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
STORAGE_CLASSES = Resource(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", _STORAGE + "StorageClass", namespaced=False,
    short_names=("sc",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
VOLUME_ATTACHMENTS = Resource(
    "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", _STORAGE + "VolumeAttachment", namespaced=False,
    subresources=("status",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
VOLUME_ATTRIBUTES_CLASSES = Resource(
    "storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", _STORAGE + "VolumeAttributesClass",
    namespaced=False, short_names=("vac",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
CSI_DRIVERS = Resource(
    "storage.k8s.io", "v1", "CSIDriver", "csidrivers", _STORAGE + "CSIDriver", namespaced=False, fields=_CLUSTER_FIELDS
)
CSI_NODES = Resource(
    "storage.k8s.io", "v1", "CSINode", "csinodes", _STORAGE + "CSINode", namespaced=False, fields=_CLUSTER_FIELDS
)
CSI_STORAGE_CAPACITIES = Resource(
    "storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", _STORAGE + "CSIStorageCapacity"
)
