"""The resource table: every kind picluster serves, one row each.

A row says what a schema cannot: names, scope, subresources, which fields a field selector may use. Discovery, routing,
the registry, the client and the CLI all read it; ``docs/adding-a-kind.md`` starts here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

STANDARD_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """One row. ``schema`` is the definition's name in the generated schemas; ``fields`` the selectable field paths."""

    group: str
    version: str
    kind: str
    plural: str
    schema: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    fields: tuple[str, ...] = ("metadata.name", "metadata.namespace")
    verbs: tuple[str, ...] = STANDARD_VERBS

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group, as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def id(self) -> str:
        """``deployments.apps``, or ``pods`` for the core group: the key prefix in storage, and how errors name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of its subresource."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts.extend(part for part in (name, subresource) if part)
        return "/".join(parts)


_CORE = "io.k8s.api.core.v1."

NAMESPACES = Resource(
    "", "v1", "Namespace", "namespaces", _CORE + "Namespace", namespaced=False, short_names=("ns",),
    subresources=("finalize", "status"), fields=("metadata.name", "status.phase"),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
)  # fmt: skip
NODES = Resource(
    "", "v1", "Node", "nodes", _CORE + "Node", namespaced=False, short_names=("no",), subresources=("status",),
    fields=("metadata.name", "spec.unschedulable"),
)  # fmt: skip
PODS = Resource(
    "", "v1", "Pod", "pods", _CORE + "Pod", short_names=("po",), categories=("all",),
    subresources=("binding", "eviction", "exec", "log", "status"),
    fields=(
        "metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
        "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
)  # fmt: skip
SERVICES = Resource(
    "", "v1", "Service", "services", _CORE + "Service", short_names=("svc",), categories=("all",),
    subresources=("status",),
    fields=("metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"),
)  # fmt: skip
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", _CORE + "Endpoints", short_names=("ep",))
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", _CORE + "ConfigMap", short_names=("cm",))
SECRETS = Resource(
    "", "v1", "Secret", "secrets", _CORE + "Secret", fields=("metadata.name", "metadata.namespace", "type")
)
SERVICE_ACCOUNTS = Resource(
    "", "v1", "ServiceAccount", "serviceaccounts", _CORE + "ServiceAccount", short_names=("sa",)
)
CORE_EVENTS = Resource(
    "", "v1", "Event", "events", _CORE + "Event", short_names=("ev",),
    fields=(
        "metadata.name", "metadata.namespace", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
        "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    ),
)  # fmt: skip
EVENTS = Resource(
    "events.k8s.io", "v1", "Event", "events", "io.k8s.api.events.v1.Event", short_names=("ev",),
    fields=(
        "metadata.name", "metadata.namespace", "reason", "regarding.kind", "regarding.namespace", "regarding.name",
        "regarding.uid", "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath",
        "reportingController", "type",
    ),
)  # fmt: skip
DEPLOYMENTS = Resource(
    "apps", "v1", "Deployment", "deployments", "io.k8s.api.apps.v1.Deployment", short_names=("deploy",),
    categories=("all",), subresources=("scale", "status"),
)  # fmt: skip
REPLICASETS = Resource(
    "apps", "v1", "ReplicaSet", "replicasets", "io.k8s.api.apps.v1.ReplicaSet", short_names=("rs",),
    categories=("all",), subresources=("scale", "status"),
    fields=("metadata.name", "metadata.namespace", "status.replicas"),
)  # fmt: skip
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", "io.k8s.api.coordination.v1.Lease")
ENDPOINT_SLICES = Resource(
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "io.k8s.api.discovery.v1.EndpointSlice"
)

# Bodies of subresources and of requests: decoded and checked like any object, but with no collection of their own.
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
SCALE = Resource("autoscaling", "v1", "Scale", "", "io.k8s.api.autoscaling.v1.Scale", verbs=("get", "patch", "update"))
BINDING = Resource("", "v1", "Binding", "", _CORE + "Binding", verbs=("create",))
EVICTION = Resource("policy", "v1", "Eviction", "", "io.k8s.api.policy.v1.Eviction", verbs=("create",))
TOKEN_REQUEST = Resource(
    "authentication.k8s.io", "v1", "TokenRequest", "", "io.k8s.api.authentication.v1.TokenRequest", verbs=("create",)
)
DELETE_OPTIONS = Resource("", "v1", "DeleteOptions", "", _META + "DeleteOptions", namespaced=False, verbs=())
BODIES: tuple[Resource, ...] = (SCALE, BINDING, EVICTION, TOKEN_REQUEST, DELETE_OPTIONS)

RESOURCES: tuple[Resource, ...] = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, CONFIGMAPS, SECRETS, SERVICE_ACCOUNTS, CORE_EVENTS,
    DEPLOYMENTS, REPLICASETS, LEASES, ENDPOINT_SLICES, EVENTS,
)  # fmt: skip

BY_PLURAL: dict[tuple[str, str, str], Resource] = {(r.group, r.version, r.plural): r for r in RESOURCES}
BY_KIND: dict[tuple[str, str], Resource] = {(r.api_version, r.kind): r for r in RESOURCES}


def find(word: str, among: Iterable[Resource] = RESOURCES) -> Resource | None:
    """The resource a person means by ``po``, ``pod``, ``pods``, ``Pod`` or ``deployments.apps``; core wins a tie."""
    wanted, _, group = word.lower().partition(".")
    for resource in among:
        names = (resource.plural, resource.singular, *resource.short_names)
        if wanted in names and (not group or resource.group == group or resource.group.startswith(group + ".")):
            return resource
    return None
