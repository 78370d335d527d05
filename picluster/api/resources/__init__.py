"""The resource table: every kind picluster serves, one row each.

A row says what a schema cannot: names, scope, subresources, which fields a field selector may use. Discovery, routing,
the registry, the client and the CLI all read it; ``docs/adding-a-kind.md`` starts here. The order is that of discovery:
Kubernetes sorts groups by the priorities that its own API services have.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.resources.control import (
    API_SERVICES,
    CERTIFICATE_SIGNING_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CUSTOM_RESOURCE_DEFINITIONS,
    FLOW_SCHEMAS,
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    PRIORITY_LEVEL_CONFIGURATIONS,
    ROLE_BINDINGS,
    ROLES,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
)  # fmt: skip
from picluster.api.resources.core import (
    BINDINGS,
    COMPONENT_STATUSES,
    CONFIGMAPS,
    CORE_EVENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    LEASES,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_TEMPLATES,
    PODS,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)  # fmt: skip
from picluster.api.resources.infrastructure import (
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    INGRESS_CLASSES,
    INGRESSES,
    IP_ADDRESSES,
    NETWORK_POLICIES,
    SERVICE_CIDRS,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES,
)  # fmt: skip
from picluster.api.resources.resource import Resource
from picluster.api.resources.workloads import (
    CONTROLLER_REVISIONS,
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    DEVICE_CLASSES,
    HORIZONTAL_POD_AUTOSCALERS,
    HORIZONTAL_POD_AUTOSCALERS_V1,
    JOBS,
    POD_DISRUPTION_BUDGETS,
    PRIORITY_CLASSES,
    REPLICASETS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
    RUNTIME_CLASSES,
    STATEFULSETS,
)  # fmt: skip

# Bodies of subresources and of requests: decoded and checked like any object, but with no collection of their own.
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
SCALE = Resource("autoscaling", "v1", "Scale", "", "io.k8s.api.autoscaling.v1.Scale", verbs=("get", "patch", "update"))
BINDING = BINDINGS
EVICTION = Resource("policy", "v1", "Eviction", "", "io.k8s.api.policy.v1.Eviction", verbs=("create",))
TOKEN_REQUEST = Resource(
    "authentication.k8s.io", "v1", "TokenRequest", "", "io.k8s.api.authentication.v1.TokenRequest", verbs=("create",)
)
DELETE_OPTIONS = Resource("", "v1", "DeleteOptions", "", _META + "DeleteOptions", namespaced=False, verbs=())
BODIES: tuple[Resource, ...] = (SCALE, EVICTION, TOKEN_REQUEST, DELETE_OPTIONS)

RESOURCES: tuple[Resource, ...] = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, CONFIGMAPS, SECRETS, SERVICE_ACCOUNTS, CORE_EVENTS,
    REPLICATION_CONTROLLERS, POD_TEMPLATES, LIMIT_RANGES, RESOURCE_QUOTAS, PERSISTENT_VOLUMES,
    PERSISTENT_VOLUME_CLAIMS, COMPONENT_STATUSES, BINDINGS,
    API_SERVICES,
    DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS, CONTROLLER_REVISIONS,
    EVENTS,
    TOKEN_REVIEWS, SELF_SUBJECT_REVIEWS,
    SUBJECT_ACCESS_REVIEWS, LOCAL_SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_RULES_REVIEWS,
    HORIZONTAL_POD_AUTOSCALERS, HORIZONTAL_POD_AUTOSCALERS_V1,
    JOBS, CRONJOBS,
    CERTIFICATE_SIGNING_REQUESTS,
    INGRESSES, INGRESS_CLASSES, NETWORK_POLICIES, IP_ADDRESSES, SERVICE_CIDRS,
    POD_DISRUPTION_BUDGETS,
    ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS,
    STORAGE_CLASSES, VOLUME_ATTACHMENTS, VOLUME_ATTRIBUTES_CLASSES, CSI_DRIVERS, CSI_NODES, CSI_STORAGE_CAPACITIES,
    MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS, VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS, MUTATING_ADMISSION_POLICIES, MUTATING_ADMISSION_POLICY_BINDINGS,
    CUSTOM_RESOURCE_DEFINITIONS,
    PRIORITY_CLASSES,
    LEASES,
    RUNTIME_CLASSES,
    ENDPOINT_SLICES,
    FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS,
    DEVICE_CLASSES, RESOURCE_CLAIMS, RESOURCE_CLAIM_TEMPLATES, RESOURCE_SLICES,
)  # fmt: skip
STORED: tuple[Resource, ...] = tuple({r.stored_as: r for r in reversed(RESOURCES) if r.stored}.values())[::-1]
"""One row for each kind of object that exists, in the version that is stored: the first of those that show it."""

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


__all__ = [
    "API_SERVICES",
    "BINDING",
    "BINDINGS",
    "BODIES",
    "BY_KIND",
    "BY_PLURAL",
    "CERTIFICATE_SIGNING_REQUESTS",
    "CLUSTER_ROLES",
    "CLUSTER_ROLE_BINDINGS",
    "COMPONENT_STATUSES",
    "CONFIGMAPS",
    "CONTROLLER_REVISIONS",
    "CORE_EVENTS",
    "CRONJOBS",
    "CSI_DRIVERS",
    "CSI_NODES",
    "CSI_STORAGE_CAPACITIES",
    "CUSTOM_RESOURCE_DEFINITIONS",
    "DAEMONSETS",
    "DELETE_OPTIONS",
    "DEPLOYMENTS",
    "DEVICE_CLASSES",
    "ENDPOINTS",
    "ENDPOINT_SLICES",
    "EVENTS",
    "EVICTION",
    "FLOW_SCHEMAS",
    "HORIZONTAL_POD_AUTOSCALERS",
    "HORIZONTAL_POD_AUTOSCALERS_V1",
    "INGRESSES",
    "INGRESS_CLASSES",
    "IP_ADDRESSES",
    "JOBS",
    "LEASES",
    "LIMIT_RANGES",
    "LOCAL_SUBJECT_ACCESS_REVIEWS",
    "MUTATING_ADMISSION_POLICIES",
    "MUTATING_ADMISSION_POLICY_BINDINGS",
    "MUTATING_WEBHOOK_CONFIGURATIONS",
    "NAMESPACES",
    "NETWORK_POLICIES",
    "NODES",
    "PERSISTENT_VOLUMES",
    "PERSISTENT_VOLUME_CLAIMS",
    "PODS",
    "POD_DISRUPTION_BUDGETS",
    "POD_TEMPLATES",
    "PRIORITY_CLASSES",
    "PRIORITY_LEVEL_CONFIGURATIONS",
    "REPLICASETS",
    "REPLICATION_CONTROLLERS",
    "RESOURCES",
    "RESOURCE_CLAIMS",
    "RESOURCE_CLAIM_TEMPLATES",
    "RESOURCE_QUOTAS",
    "RESOURCE_SLICES",
    "ROLES",
    "ROLE_BINDINGS",
    "RUNTIME_CLASSES",
    "SCALE",
    "SECRETS",
    "SELF_SUBJECT_ACCESS_REVIEWS",
    "SELF_SUBJECT_REVIEWS",
    "SELF_SUBJECT_RULES_REVIEWS",
    "SERVICES",
    "SERVICE_ACCOUNTS",
    "SERVICE_CIDRS",
    "STATEFULSETS",
    "STORAGE_CLASSES",
    "STORED",
    "SUBJECT_ACCESS_REVIEWS",
    "TOKEN_REQUEST",
    "TOKEN_REVIEWS",
    "VALIDATING_ADMISSION_POLICIES",
    "VALIDATING_ADMISSION_POLICY_BINDINGS",
    "VALIDATING_WEBHOOK_CONFIGURATIONS",
    "VOLUME_ATTACHMENTS",
    "VOLUME_ATTRIBUTES_CLASSES",
    "Resource",
    "find",
]
