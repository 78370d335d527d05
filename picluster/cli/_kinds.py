"""From the word that a person types to a resource, by what the server says it serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from picluster.api.resources import Resource, find
from picluster.cli._manifests import Manifest
from picluster.client.discovery import served

if TYPE_CHECKING:
    from picluster.client.transport import Client


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
