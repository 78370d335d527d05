"""``picluster get``: objects as the server's own tables, or as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from picluster.cli._cluster import cluster_options, connect, namespace_option, run

if TYPE_CHECKING:
    from picluster.api.resources import Resource
    from picluster.client.transport import Client

TABLE_TYPE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
OUTPUTS = ("table", "wide", "json", "yaml", "name")


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="TYPE [NAME...]")
@click.option("-A", "--all-namespaces", is_flag=True, help="Objects of every namespace.")
@click.option("-l", "--selector", default="", help="Only objects with these labels, such as app=web.")
@click.option("--field-selector", default="", help="Only objects with these fields, such as spec.nodeName=pi-1.")
@click.option("-o", "--output", type=click.Choice(OUTPUTS), default="table", show_default=True)
@click.option("--show-managed-fields", is_flag=True, help="Keep metadata.managedFields in JSON and YAML.")
@namespace_option
@cluster_options
def get(
    what: tuple[str, ...],
    all_namespaces: bool,
    selector: str,
    field_selector: str,
    output: str,
    show_managed_fields: bool,
    namespace: str,
    kubeconfig: Path | None,
    inventory: Path | None,
) -> None:
    """List objects as a table.

    \b
    Example:
      picluster get pods -A -o wide
      picluster get deployment web -o yaml
      picluster get deployments,pods -l app=web
    """
    selectors = {"labelSelector": selector, "fieldSelector": field_selector}
    where = None if all_namespaces else namespace
    run(_get(what, where, selectors, output, kubeconfig, inventory, owners=show_managed_fields))


async def _get(
    what: tuple[str, ...],
    namespace: str | None,
    selectors: dict[str, str],
    output: str,
    kubeconfig: Path | None,
    inventory: Path | None,
    *,
    owners: bool,
) -> None:
    from picluster.cli._kinds import lookup, split

    params = {key: value for key, value in selectors.items() if value}
    wanted = split(what)
    if params and any(names for _, names in wanted):
        raise click.UsageError("name objects, or select them with -l or --field-selector, not both")
    accept = TABLE_TYPE if output in ("table", "wide") else "application/json"
    async with connect(kubeconfig, inventory) as client:
        resources = await lookup(client, *(kind for kind, _ in wanted))
        found: dict[Resource, list[dict[str, Any]]] = {}
        for resource, (_, names) in zip(resources, wanted, strict=True):
            if names and resource.namespaced and namespace is None:
                raise click.UsageError("objects of every namespace (-A) cannot be named: give the namespace with -n")
            paths = [resource.path(namespace, name) for name in names] or [resource.path(namespace)]
            found.setdefault(resource, []).extend([await _read(client, path, params, accept) for path in paths])
    if output in ("table", "wide"):
        _print_tables(found, namespace, wide=output == "wide")
    else:
        _print_objects(found, output, owners=owners)


async def _read(client: Client, path: str, params: dict[str, str], accept: str) -> dict[str, Any]:
    async with client.raw("GET", path, params=params, headers={"Accept": accept}) as response:
        body: dict[str, Any] = orjson.loads(await response.read())
    return body


def _print_tables(found: dict[Resource, list[dict[str, Any]]], namespace: str | None, *, wide: bool) -> None:
    from picluster.cli import _tables
    from picluster.cli._kinds import type_of

    texts = []
    for resource, bodies in found.items():
        table = {**bodies[0], "rows": [row for body in bodies for row in body["rows"]]}
        everywhere = namespace is None and resource.namespaced
        kind = type_of(resource) if len(found) > 1 else ""
        if table["rows"]:
            texts.append(_tables.text(table, wide=wide, namespaces=everywhere, kind=kind))
    if texts:
        click.echo("\n\n".join(texts))
        return
    inside = namespace is not None and any(resource.namespaced for resource in found)
    click.echo(f"No resources found in {namespace} namespace." if inside else "No resources found", err=True)


def _print_objects(found: dict[Resource, list[dict[str, Any]]], output: str, *, owners: bool) -> None:
    from picluster.cli._kinds import called

    for item in _items([body for bodies in found.values() for body in bodies]):
        if not owners:
            item["metadata"].pop("managedFields", None)

    if output == "name":
        for resource, bodies in found.items():
            for item in _items(bodies):
                click.echo(called(resource, item["metadata"]["name"]))
        return
    bodies = [body for bodies in found.values() for body in bodies]
    whole = bodies[0] if len(bodies) == 1 else {"apiVersion": "v1", "kind": "List", "items": _items(bodies)}
    click.echo(json.dumps(whole, indent=2) if output == "json" else _yaml(whole), nl=output == "json")


def _items(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for body in bodies for item in body.get("items", [body])]


def _yaml(body: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(body, sort_keys=False)
