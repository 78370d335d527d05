"""What the server serves, in the two forms that clients ask for. PURE.

Legacy discovery (``/api``, ``/apis``, one ``APIResourceList`` per group version) and aggregated discovery (KEP-3352:
``apidiscovery.k8s.io/v2`` on ``/api`` and ``/apis``), both read off the resource table.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from picluster.api.resources import STORED, Resource
from picluster.api.types import Object

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


WRITING = ("create", "patch", "update")
HASH_BYTES = 8
_STORED = {row.stored_as: row for row in STORED}


@dataclass(frozen=True, slots=True)
class Subresource:
    """What a subresource answers with, where that is not the parent's kind."""

    verbs: tuple[str, ...] = ("get", "patch", "update")
    kind: str = ""
    group: str = ""
    version: str = ""


SUBRESOURCES: dict[str, Subresource] = {
    "status": Subresource(),
    "finalize": Subresource(("update",)),
    "scale": Subresource(kind="Scale", group="autoscaling", version="v1"),
    "binding": Subresource(("create",), "Binding"),
    "eviction": Subresource(("create",), "Eviction", "policy", "v1"),
    "exec": Subresource(("create", "get"), "PodExecOptions"),
    "attach": Subresource(("create", "get"), "PodAttachOptions"),
    "portforward": Subresource(("create", "get"), "PodPortForwardOptions"),
    "log": Subresource(("get",)),
    "proxy": Subresource(("create", "delete", "get", "patch", "update")),
    "token": Subresource(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
    "approval": Subresource(),
    "ephemeralcontainers": Subresource(),
    "resize": Subresource(),
}


def subresource(resource: Resource, name: str) -> Subresource:
    """What is served as ``name`` below ``resource``: a proxy's options are called after what it leads to."""
    found = SUBRESOURCES[name]
    return replace(found, kind=f"{resource.kind}ProxyOptions") if name == "proxy" else found


def versions(server_address: str) -> Object:
    """``/api``: the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def resource_list(resources: Iterable[Resource], group_name: str, version: str) -> Object | None:
    """``/api/v1`` or ``/apis/<group>/<version>``, or ``None`` when that is not served."""
    found = [r for r in resources if (r.group, r.version) == (group_name, version)]
    if not found:
        return None
    entries = [entry for resource in sorted(found, key=lambda r: r.plural) for entry in _resource(resource)]
    group_version = f"{group_name}/{version}" if group_name else version
    body: Object = {"kind": "APIResourceList", "groupVersion": group_version, "resources": entries}
    if group_name:
        body["apiVersion"] = "v1"
    return body


def _resource(resource: Resource) -> Iterable[Object]:
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.stored:
        entry["storageVersionHash"] = storage_version_hash(resource)
    yield entry
    for name in sorted(resource.subresources):
        sub = subresource(resource, name)
        nested: Object = {"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced}
        if sub.version:
            nested |= {"group": sub.group, "version": sub.version}
        yield nested | {"kind": sub.kind or resource.kind, "verbs": list(sub.verbs)}


def _verbs(resource: Resource) -> list[str]:
    """What goes takes nothing new (``customresource_discovery_controller.go``)."""
    return [verb for verb in resource.verbs if not (resource.terminating and verb in WRITING)]


def storage_version_hash(resource: Resource) -> str:
    """What tells whether objects are stored in another version than before (``endpoints/discovery``)."""
    row = _STORED.get(resource.stored_as, resource)
    stored_in = f"{row.group}/{resource.storage_version or row.version}/{row.kind}"
    return base64.b64encode(hashlib.sha256(stored_in.encode()).digest()[:HASH_BYTES]).decode()


def aggregated(resources: Iterable[Resource], *, core: bool) -> Object:
    """The ``APIGroupDiscoveryList`` of ``/api`` (``core``) or of ``/apis``."""
    groups: dict[str, dict[str, list[Resource]]] = {}
    for resource in resources:
        if (resource.group == "") == core:
            groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {},
                "versions": [_aggregated_version(version, found) for version, found in served.items()],
            }
            for name, served in groups.items()
        ],
    }


def _aggregated_version(version: str, resources: list[Resource]) -> Object:
    listed = [_aggregated_resource(resource) for resource in sorted(resources, key=lambda r: r.plural)]
    return {"version": version, "resources": listed, "freshness": "Current"}


def _aggregated_resource(resource: Resource) -> Object:
    entry: Object = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_aggregated_subresource(resource, name) for name in sorted(resource.subresources)]
    return entry


def _aggregated_subresource(resource: Resource, name: str) -> Object:
    sub = subresource(resource, name)
    group_name, version = (sub.group, sub.version) if sub.version else (resource.group, resource.version)
    kind = {"group": group_name, "version": version, "kind": sub.kind or resource.kind}
    return {"subresource": name, "responseKind": kind, "verbs": list(sub.verbs)}
