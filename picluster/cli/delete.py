"""``picluster delete``: delete objects by name, by label or by manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from picluster.cli._cluster import cluster_options, connect, namespace_option, run
from picluster.cli._manifests import Manifest, files_option, read

if TYPE_CHECKING:
    from picluster.api.resources import Resource
    from picluster.client.transport import Client


@click.command()
@click.argument("what", nargs=-1, metavar="[TYPE NAME...]")
@files_option
@click.option("-l", "--selector", default="", help="Delete all objects of TYPE with these labels.")
@click.option("--ignore-not-found", is_flag=True, help="What is gone already is no failure.")
@namespace_option
@cluster_options
def delete(
    what: tuple[str, ...],
    files: tuple[Path, ...],
    selector: str,
    ignore_not_found: bool,
    namespace: str,
    kubeconfig: Path | None,
    inventory: Path | None,
) -> None:
    """Delete objects.

    What is not there is named at the end, with exit code 1, after the rest was deleted.

    \b
    Example:
      picluster delete -f docs/examples/web.yaml
      picluster delete pod web-5d78c9869d-abcde
      picluster delete pods -l app=web
    """
    if bool(what) == bool(files):
        raise click.UsageError("say what to delete: TYPE NAME..., TYPE -l SELECTOR, or -f FILE")
    run(_delete(what, files, selector, ignore_not_found, namespace, kubeconfig, inventory))


async def _delete(
    what: tuple[str, ...],
    files: tuple[Path, ...],
    selector: str,
    ignore_not_found: bool,
    namespace: str,
    kubeconfig: Path | None,
    inventory: Path | None,
) -> None:
    from picluster.api.errors import ApiError
    from picluster.cli._kinds import type_of

    manifests = read(files)
    async with connect(kubeconfig, inventory) as client:
        targets = await _written(client, manifests, namespace) if files else []
        targets += await _named(client, what, selector, namespace) if what else []
        missing = []
        for resource, in_namespace, name in targets:
            try:
                await client.delete(resource, name, namespace=in_namespace if resource.namespaced else None)
            except ApiError as error:
                if error.code != 404:
                    raise
                missing.append(error)
            else:
                click.echo(f'{type_of(resource)} "{name}" deleted')
        if not targets:
            click.echo("No resources found", err=True)
        if missing and not ignore_not_found:
            raise missing[0]


async def _written(client: Client, manifests: list[Manifest], namespace: str) -> list[tuple[Resource, str, str]]:
    """What manifests name, last first, as what was made last may need what was made before."""
    from picluster.cli._kinds import of_manifest
    from picluster.client.discovery import served

    resources = await served(client)
    found = []
    for manifest in reversed(manifests):
        metadata = manifest.obj["metadata"]
        if not metadata.get("name"):
            raise click.ClickException(f"{manifest.where}: without metadata.name nobody knows what to delete")
        found.append((of_manifest(manifest, resources), metadata.get("namespace") or namespace, metadata["name"]))
    return found


async def _named(
    client: Client, what: tuple[str, ...], selector: str, namespace: str
) -> list[tuple[Resource, str, str]]:
    from picluster.cli._kinds import lookup, split
    from picluster.client.transport import list_all

    wanted, found = split(what), []
    for kind, names in wanted:
        if bool(names) == bool(selector):
            raise click.UsageError(f"say which {kind} to delete: by NAME, or with -l SELECTOR")
    for resource, (_, names) in zip(await lookup(client, *(kind for kind, _ in wanted)), wanted, strict=True):
        if selector:
            scope = namespace if resource.namespaced else None
            page = await list_all(client, resource, namespace=scope, label_selector=selector)
            names = tuple(item["metadata"]["name"] for item in page["items"])
        found += [(resource, namespace, name) for name in names]
    return found
