"""What a server serves, as it says itself: rows also for what no table knows (aggregated discovery, KEP-3352)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson

from picluster.api.resources import BY_PLURAL, Resource
from picluster.api.types import Object
from picluster.client.transport import Client

DISCOVERY_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def served(client: Client) -> list[Resource]:
    """Every resource in every version, core group first, the preferred version of a group before its others."""
    documents = await asyncio.gather(*(_document(client, path) for path in ("/api", "/apis")))
    return [resource for document in documents for resource in parse(document)]


def parse(document: Object) -> Iterable[Resource]:
    """The resources in an ``APIGroupDiscoveryList``. PURE."""
    for group in document["items"]:
        for version in group["versions"]:
            for entry in version["resources"]:
                yield Resource(
                    group=group["metadata"].get("name", ""),
                    version=version["version"],
                    kind=entry["responseKind"]["kind"],
                    plural=entry["resource"],
                    schema="",
                    namespaced=entry["scope"] == "Namespaced",
                    short_names=tuple(entry.get("shortNames") or ()),
                    categories=tuple(entry.get("categories") or ()),
                    subresources=tuple(sub["subresource"] for sub in entry.get("subresources") or ()),
                    verbs=tuple(entry["verbs"]),
                    singular=entry.get("singularResource") or "",
                )


def collections(resources: Iterable[Resource]) -> list[Resource]:
    """One row for each kind of object that is listed: the table's, or that of the preferred version. PURE."""
    found: dict[str, Resource] = {}
    for resource in resources:
        row = BY_PLURAL.get((resource.group, resource.version, resource.plural), resource)
        if "list" in resource.verbs:
            found.setdefault(row.stored_as, row)
    return list(found.values())


async def _document(client: Client, path: str) -> Object:
    async with client.raw("GET", path, headers={"Accept": DISCOVERY_TYPE}) as response:
        document: Object = orjson.loads(await response.read())
    return document
