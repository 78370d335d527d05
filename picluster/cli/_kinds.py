"""From the word that a person types to a resource, by what the server says it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
import orjson

from picluster.api.resources import Resource, find
from picluster.api.types import Object
from picluster.cli._manifests import Manifest

if TYPE_CHECKING:
    from picluster.client.transport import Client

DISCOVERY_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def served(client: Client) -> list[Resource]:
    """Every resource of the server, core group first."""
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
                )


async def lookup(client: Client, *words: str) -> list[Resource]:
    """The resources that ``words`` mean (``po``, ``pods``, ``deployments.apps``)."""
    resources = await served(client)
    found = []
    for word in words:
        resource = find(word, resources)
        if resource is None:
            raise click.ClickException(f'the server has no resource type "{word}"; it has: {_names(resources)}')
        found.append(resource)
    return found


def of_manifest(manifest: Manifest, resources: Iterable[Resource]) -> Resource:
    """The resource of an object by its ``apiVersion`` and ``kind``. PURE."""
    version, kind = manifest.obj["apiVersion"], manifest.obj["kind"]
    versions = []
    for resource in resources:
        if resource.kind == kind:
            if resource.api_version == version:
                return resource
            versions.append(resource.api_version)
    known = f"this kind is in {', '.join(versions)}" if versions else "the server does not know this kind"
    raise click.ClickException(f'{manifest.where}: no matches for kind "{kind}" in version "{version}"; {known}')


def split(words: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """``TYPE NAME...``, ``TYPE,TYPE`` and ``TYPE/NAME...`` as types with their names. PURE."""
    if all("/" in word for word in words):
        pairs = [word.partition("/") for word in words]
        return [(kind, (name,)) for kind, _, name in pairs]
    if any("/" in word for word in words):
        raise click.UsageError("say either TYPE NAME... or TYPE/NAME..., not both")
    return [(kind, words[1:]) for kind in words[0].split(",")]


def called(resource: Resource, name: str) -> str:
    """``deployment.apps/web``, as kubectl names what it did something to. PURE."""
    return f"{type_of(resource)}/{name}"


def type_of(resource: Resource) -> str:
    return f"{resource.singular}.{resource.group}" if resource.group else resource.singular


def _names(resources: list[Resource]) -> str:
    return ", ".join(sorted({resource.plural for resource in resources}))


async def _document(client: Client, path: str) -> Object:
    async with client.raw("GET", path, headers={"Accept": DISCOVERY_TYPE}) as response:
        document: Object = orjson.loads(await response.read())
    return document
