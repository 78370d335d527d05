"""Discovery and OpenAPI of several servers put together. PURE.

Groups come in the order of their highest priority, then by name; versions likewise within their group
(``SortedByGroupAndVersion`` in ``kube-aggregator``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from picluster.api.types import Object
from picluster.apiserver.aggregation.priorities import Priority
from picluster.apiserver.catalog import version_order

Priorities = Mapping[tuple[str, str], Priority]
_DEFINITIONS = "#/definitions/"


def ordered(priorities: Priorities) -> dict[str, list[str]]:
    """Group to versions, both in the order in which clients should see them; without the core group."""
    versions: dict[str, list[str]] = {}
    for group, version in priorities:
        if group:
            versions.setdefault(group, []).append(version)

    def version_key(group: str, version: str) -> tuple[Any, ...]:
        return (-priorities[group, version].version, version_order(version))

    def group_key(group: str) -> tuple[int, str]:
        return (-max(priorities[group, version].group for version in versions[group]), group)

    return {
        group: sorted(versions[group], key=lambda version, group=group: version_key(group, version))  # type: ignore[misc]
        for group in sorted(versions, key=group_key)
    }


def group_list(priorities: Priorities) -> Object:
    """``/apis``."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, versions) for name, versions in ordered(priorities).items()],
    }


def group(priorities: Priorities, name: str) -> Object | None:
    """``/apis/<group>``."""
    versions = ordered(priorities).get(name)
    return None if versions is None else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def aggregated(local: Object, priorities: Priorities, elsewhere: Mapping[tuple[str, str], Object]) -> Object:
    """The ``APIGroupDiscoveryList`` of ``/apis``: ``local`` with the versions that are served ``elsewhere``."""
    found = {
        (item["metadata"].get("name", ""), version["version"]): version
        for item in local["items"]
        for version in item["versions"]
    }
    found.update(elsewhere)
    items = [
        {
            "metadata": {"name": name},
            "versions": [found[name, version] for version in versions if (name, version) in found],
        }
        for name, versions in ordered(priorities).items()
    ]
    return {**local, "items": [item for item in items if item["versions"]]}


def version_discovery(group_name: str, version: str, resource_list: Object | None) -> Object:
    """An ``APIVersionDiscovery`` of a legacy ``APIResourceList``; stale when there is none."""
    entries: dict[str, Object] = {}
    listed = (resource_list or {}).get("resources") or ()
    for each in sorted(listed, key=lambda each: each["name"].count("/")):
        plural, _, subresource = each["name"].partition("/")
        kind = {
            "group": each.get("group") or group_name,
            "version": each.get("version") or version,
            "kind": each.get("kind", ""),
        }
        shown: Object = {"responseKind": kind, "verbs": each.get("verbs") or []}
        scope = "Namespaced" if each.get("namespaced") else "Cluster"
        if subresource:
            parent = entries.setdefault(plural, {"resource": plural, "scope": scope, "verbs": []})
            parent.setdefault("subresources", []).append({"subresource": subresource, **shown})
            continue
        entry = {"resource": plural, "scope": scope, "singularResource": each.get("singularName", ""), **shown}
        entry |= {name: each[name] for name in ("shortNames", "categories") if each.get(name)}
        entries[plural] = entry
    freshness = "Current" if resource_list is not None else "Stale"
    return {"version": version, "resources": list(entries.values()), "freshness": freshness}


def swagger(local: Object, others: Iterable[tuple[str, Object]]) -> Object:
    """One OpenAPI v2 document: ``local``, and of each other server's what is below its path.

    A definition of another server's that differs from one of the same name gets a name of its own.
    """
    paths, definitions = dict(local["paths"]), dict(local["definitions"])
    for prefix, other in others:
        mine, needed = below(other, prefix)
        renamed = {name: _free(name, definition, definitions) for name, definition in needed.items()}
        paths.update({path: _renamed(item, renamed) for path, item in mine.items() if path not in paths})
        for name, definition in needed.items():
            definitions.setdefault(renamed[name], _renamed(definition, renamed))
    return {**local, "paths": paths, "definitions": definitions}


def below(document: Object, prefix: str) -> tuple[dict[str, Object], dict[str, Object]]:
    """The paths of an OpenAPI v2 document that are below ``prefix``, and the definitions that they need."""
    paths = document.get("paths") or {}
    mine = {path: item for path, item in paths.items() if f"{path}/".startswith(f"{prefix}/")}
    return mine, _reachable(mine, document.get("definitions") or {})


def _free(name: str, definition: Object, definitions: Mapping[str, Object]) -> str:
    number, wanted = 1, name
    while wanted in definitions and definitions[wanted] != definition:
        number += 1
        wanted = f"{name}_v{number}"
    return wanted


def _reachable(node: Any, definitions: Mapping[str, Object]) -> dict[str, Object]:
    found: dict[str, Object] = {}
    queue = [node]
    while queue:
        node = queue.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).removeprefix(_DEFINITIONS)
            if name in definitions and name not in found:
                found[name] = definitions[name]
                queue.append(definitions[name])
            queue.extend(node.values())
        elif isinstance(node, list):
            queue.extend(node)
    return found


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(child, names) for child in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _renamed(child, names) for key, child in node.items()}
    if isinstance(node.get("$ref"), str):
        name = node["$ref"].removeprefix(_DEFINITIONS)
        changed["$ref"] = _DEFINITIONS + names.get(name, name)
    return changed
