"""``picluster apply``: create or update what manifests say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picluster.cli._cluster import cluster_options, connect, namespace_option, run
from picluster.cli._manifests import Manifest, files_option, read
from picluster.cli._options import fail

if TYPE_CHECKING:
    from picluster.api.resources import Resource
    from picluster.api.types import Object
    from picluster.client.transport import Client

NOT_FOUND = 404
EXIT_TIMEOUT = 4
DRY_RUN = {"dryRun": "All"}
STRICT = {"fieldValidation": "Strict", "fieldManager": "picluster"}
BOOKKEEPING = ("managedFields", "resourceVersion")
FORCE = {"force": "true"}


@click.command()
@files_option
@click.option("--wait", is_flag=True, help="Return when every Deployment among them is rolled out.")
@click.option("--timeout", "timeout_s", default=120, show_default=True, help="Seconds to wait at most.")
@click.option("--force-conflicts", is_flag=True, help="Take the fields that others manage.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@namespace_option
@cluster_options
def apply(
    files: tuple[Path, ...],
    wait: bool,
    timeout_s: int,
    force_conflicts: bool,
    output: str,
    namespace: str,
    kubeconfig: Path | None,
    inventory: Path | None,
) -> None:
    """Create or update what a manifest says.

    The server merges it with what is there: fields that the manifest had last time and has no more are removed, those
    that nobody else manages are changed. What somebody else manages (kubectl, a controller) is a conflict: nothing is
    changed then, unless you say --force-conflicts.

    The whole manifest is checked by the server first (unknown fields, wrong types); a mistake changes nothing.

    Exit code 0: applied; 1: refused, or no answer; 2: wrong use; 4: applied, but not rolled out in time (--wait).

    \b
    Example:
      picluster apply -f docs/examples/web.yaml --wait
    """
    if not files:
        raise click.UsageError("nothing to apply: give a manifest with -f FILE")
    wait_s = timeout_s if wait else None
    run(_apply(read(files), namespace, wait_s, output, kubeconfig, inventory, force=force_conflicts))


async def _apply(
    manifests: list[Manifest],
    namespace: str,
    wait_s: int | None,
    output: str,
    kubeconfig: Path | None,
    inventory: Path | None,
    *,
    force: bool,
) -> None:
    from picluster.cli._kinds import called, of_manifest
    from picluster.client.discovery import served

    async with connect(kubeconfig, inventory) as client:
        resources = await served(client)
        pairs = [(of_manifest(manifest, resources), manifest) for manifest in manifests]
        pairs.sort(key=lambda pair: pair[0].kind != "Namespace")  # what is in a namespace comes after it
        for resource, manifest in pairs:
            if resource.namespaced:
                manifest.obj["metadata"].setdefault("namespace", namespace)
        await _check(client, pairs, force=force)
        applied = [
            (resource, *await apply_one(client, resource, manifest.obj, force=force)) for resource, manifest in pairs
        ]
        if output == "json":
            items = [obj for _, obj, _ in applied]
            click.echo(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}, indent=2))
        else:
            for resource, obj, verb in applied:
                click.echo(f"{called(resource, obj['metadata']['name'])} {verb}")
        if wait_s is not None:
            await _wait(client, [(resource, obj) for resource, obj, _ in applied], wait_s, quiet=output == "json")


async def _check(client: Client, pairs: list[tuple[Resource, Manifest]], *, force: bool) -> None:
    """Have the server check everything before anything is stored; what it refuses ends the command."""
    from picluster.api.errors import ApiError
    from picluster.cli._refusals import explain

    new = {m.name for r, m in pairs if r.kind == "Namespace" and await _is_missing(client, r, m.name)}
    for resource, manifest in pairs:
        try:
            if manifest.obj["metadata"].get("namespace") in new:
                await _check_elsewhere(client, resource, manifest.obj)
            else:
                await apply_one(client, resource, manifest.obj, force=force, dry_run=True)
        except ApiError as error:
            raise click.ClickException(f"{explain(manifest, error)}; nothing was changed") from None


async def _is_missing(client: Client, resource: Resource, name: str) -> bool:
    from picluster.api.errors import ApiError

    try:
        await client.get(resource, name)
    except ApiError as error:
        if error.code == NOT_FOUND:
            return True
        raise
    return False


async def _check_elsewhere(client: Client, resource: Resource, manifest: Object) -> None:
    """Check what goes into a namespace that is not there yet as if it went into ``default``, whatever is in there."""
    moved = {**manifest, "metadata": {**manifest["metadata"], "namespace": "default"}}
    await apply_one(client, resource, moved, force=True, dry_run=True)


async def apply_one(
    client: Client, resource: Resource, manifest: Object, *, force: bool, dry_run: bool = False
) -> tuple[Object, str]:
    """``(object, "created" | "configured" | "unchanged")``; a dry run validates and stores nothing."""
    from picluster.api.errors import ApiError
    from picluster.client.transport import PatchType

    params = {**STRICT, **(DRY_RUN if dry_run else {})}
    apply_params = {**params, **(FORCE if force else {})}
    name, namespace = manifest["metadata"].get("name"), manifest["metadata"].get("namespace")
    if name is None:
        return await client.create(resource, manifest, params=params), "created"
    live: Object | None = None
    try:
        live = await client.get(resource, name, namespace=namespace)
    except ApiError as error:
        if error.code != NOT_FOUND:
            raise
    applied = await client.patch(
        resource, name, manifest, namespace=namespace, kind=PatchType.APPLY, params=apply_params
    )
    if live is None:
        return applied, "created"
    return applied, "unchanged" if same(live, applied) else "configured"


def same(one: Object, other: Object) -> bool:
    """Whether two states of an object say the same, whoever manages it."""
    return _said(one) == _said(other)


def _said(obj: Object) -> Object:
    metadata = {field: value for field, value in obj["metadata"].items() if field not in BOOKKEEPING}
    return {**obj, "metadata": metadata}


async def _wait(client: Client, applied: list[tuple[Resource, Object]], timeout_s: int, *, quiet: bool) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            for resource, obj in applied:
                if resource.id == "deployments.apps":
                    await _rolled_out(client, resource, obj)
                    click.echo(f'deployment "{obj["metadata"]["name"]}" successfully rolled out', err=quiet)
    except TimeoutError:
        fail(f"not rolled out within {timeout_s} s; see: picluster get pods -A", EXIT_TIMEOUT)


async def _rolled_out(client: Client, resource: Resource, deployment: Object) -> None:
    import contextlib

    from picluster.client.watch import DELETED

    metadata = deployment["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    live = await client.get(resource, name, namespace=namespace)
    while not is_rolled_out(live):
        version = live["metadata"]["resourceVersion"]
        events = client.watch(
            resource, namespace=namespace, field_selector=f"metadata.name={name}", resource_version=version
        )
        async with contextlib.aclosing(events):
            async for event in events:
                if event.type == DELETED:
                    raise click.ClickException(f'deployment "{name}" was deleted while it was waited for')
                live = {**live, **event.object}
                if is_rolled_out(live):
                    break


def is_rolled_out(deployment: Object) -> bool:
    """As ``kubectl rollout status`` decides it: observed, all updated, none old, all available. PURE."""
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(observed and updated >= wanted and total <= updated and status.get("availableReplicas", 0) >= updated)
