"""``picluster describe``: one object in full, with its events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from picluster.cli._cluster import cluster_options, connect, namespace_option, run
from picluster.cli.get import TABLE_TYPE

if TYPE_CHECKING:
    from picluster.api.types import Object
    from picluster.client.transport import Client


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="TYPE NAME...")
@namespace_option
@cluster_options
def describe(what: tuple[str, ...], namespace: str, kubeconfig: Path | None, inventory: Path | None) -> None:
    """Show one object with its events.

    \b
    Example:
      picluster describe pod web-5d78c9869d-abcde
      picluster describe node pi-1
    """
    run(_describe(what, namespace, kubeconfig, inventory))


async def _describe(what: tuple[str, ...], namespace: str, kubeconfig: Path | None, inventory: Path | None) -> None:
    from picluster.cli import _describe as pages
    from picluster.cli._kinds import lookup, split

    wanted = split(what)
    for kind, names in wanted:
        if not names:
            raise click.UsageError(f"say which {kind} to describe: picluster describe {kind} NAME")
    async with connect(kubeconfig, inventory) as client:
        resources = await lookup(client, *(kind for kind, _ in wanted))
        targets = [(resource, name) for resource, (_, names) in zip(resources, wanted, strict=True) for name in names]
        for i, (resource, name) in enumerate(targets):
            obj = await client.get(resource, name, namespace=namespace if resource.namespaced else None)
            if i:
                click.echo("\n")
            click.echo(pages.page(obj))
            click.echo(await _events(client, obj))


async def _events(client: Client, obj: Object) -> str:
    from picluster.api.resources import CORE_EVENTS
    from picluster.cli import _tables

    metadata = obj["metadata"]
    selector = f"involvedObject.name={metadata['name']},involvedObject.uid={metadata.get('uid', '')}"
    path = CORE_EVENTS.path(metadata.get("namespace"))
    async with client.raw("GET", path, params={"fieldSelector": selector}, headers={"Accept": TABLE_TYPE}) as response:
        table = orjson.loads(await response.read())
    if not table["rows"]:
        return "Events:        <none>"
    lines = _tables.text(table).splitlines()
    return "Events:\n" + "\n".join(f"  {line}" for line in lines)
