"""Rows of what runs pods and keeps them running: apps, batch, autoscaling, policy, scheduling, node, resource."""

from __future__ import annotations

from picluster.api.resources.resource import Resource

_APPS = "io.k8s.api.apps.v1."
_BATCH = "io.k8s.api.batch.v1."
_RESOURCE = "io.k8s.api.resource.v1."
_REPLICATED = ("metadata.name", "metadata.namespace", "status.replicas")

CONTROLLER_REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions", _APPS + "ControllerRevision")
DAEMONSETS = Resource(
    "apps", "v1", "DaemonSet", "daemonsets", _APPS + "DaemonSet", short_names=("ds",), categories=("all",),
    subresources=("status",),
)  # fmt: skip
DEPLOYMENTS = Resource(
    "apps", "v1", "Deployment", "deployments", _APPS + "Deployment", short_names=("deploy",), categories=("all",),
    subresources=("scale", "status"),
)  # fmt: skip
REPLICASETS = Resource(
    "apps", "v1", "ReplicaSet", "replicasets", _APPS + "ReplicaSet", short_names=("rs",), categories=("all",),
    subresources=("scale", "status"), fields=_REPLICATED,
)  # fmt: skip
STATEFULSETS = Resource(
    "apps", "v1", "StatefulSet", "statefulsets", _APPS + "StatefulSet", short_names=("sts",), categories=("all",),
    subresources=("scale", "status"),
)  # fmt: skip
JOBS = Resource(
    "batch", "v1", "Job", "jobs", _BATCH + "Job", categories=("all",), subresources=("status",),
    fields=("metadata.name", "metadata.namespace", "status.successful"),
)  # fmt: skip
CRONJOBS = Resource(
    "batch", "v1", "CronJob", "cronjobs", _BATCH + "CronJob", short_names=("cj",), categories=("all",),
    subresources=("status",),
)  # fmt: skip
HORIZONTAL_POD_AUTOSCALERS = Resource(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler", short_names=("hpa",), categories=("all",),
    subresources=("status",),
)  # fmt: skip
HORIZONTAL_POD_AUTOSCALERS_V1 = Resource(
    "autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
    "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler", short_names=("hpa",), categories=("all",),
    subresources=("status",), file="horizontalpodautoscaler_v1",
)  # fmt: skip
POD_DISRUPTION_BUDGETS = Resource(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "io.k8s.api.policy.v1.PodDisruptionBudget",
    short_names=("pdb",), subresources=("status",),
)  # fmt: skip
PRIORITY_CLASSES = Resource(
    "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "io.k8s.api.scheduling.v1.PriorityClass",
    namespaced=False, short_names=("pc",), fields=("metadata.name",),
)  # fmt: skip
RUNTIME_CLASSES = Resource(
    "node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", "io.k8s.api.node.v1.RuntimeClass", namespaced=False,
    fields=("metadata.name",),
)  # fmt: skip
DEVICE_CLASSES = Resource(
    "resource.k8s.io", "v1", "DeviceClass", "deviceclasses", _RESOURCE + "DeviceClass", namespaced=False,
    fields=("metadata.name",),
)  # fmt: skip
RESOURCE_CLAIMS = Resource(
    "resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", _RESOURCE + "ResourceClaim", subresources=("status",)
)
RESOURCE_CLAIM_TEMPLATES = Resource(
    "resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates", _RESOURCE + "ResourceClaimTemplate"
)
RESOURCE_SLICES = Resource(
    "resource.k8s.io", "v1", "ResourceSlice", "resourceslices", _RESOURCE + "ResourceSlice", namespaced=False,
    fields=("metadata.name", "spec.nodeName", "spec.driver"),
)  # fmt: skip
