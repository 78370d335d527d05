"""``picluster scale``: set the number of replicas through the scale subresource."""

from __future__ import annotations

from pathlib import Path

import click

from picluster.cli._cluster import cluster_options, connect, namespace_option, run


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="TYPE NAME")
@click.option("--replicas", type=click.IntRange(min=0), required=True, help="How many there shall be.")
@namespace_option
@cluster_options
def scale(
    what: tuple[str, ...], replicas: int, namespace: str, kubeconfig: Path | None, inventory: Path | None
) -> None:
    """Set the number of replicas.

    \b
    Example:
      picluster scale deployment web --replicas 5
    """
    run(_scale(what, replicas, namespace, kubeconfig, inventory))


async def _scale(
    what: tuple[str, ...], replicas: int, namespace: str, kubeconfig: Path | None, inventory: Path | None
) -> None:
    from picluster.cli._kinds import called, lookup, split

    wanted = split(what)
    for kind, names in wanted:
        if not names:
            raise click.UsageError(f"say which {kind} to scale: picluster scale {kind} NAME --replicas {replicas}")
    async with connect(kubeconfig, inventory) as client:
        resources = await lookup(client, *(kind for kind, _ in wanted))
        for resource in resources:
            if "scale" not in resource.subresources:
                raise click.ClickException(f"{resource.plural} cannot be scaled; deployments and replicasets can")
        targets = [(resource, name) for resource, (_, names) in zip(resources, wanted, strict=True) for name in names]
        for resource, name in targets:
            await client.get(resource, name, namespace=namespace)  # all of them are there before one is changed
        for resource, name in targets:
            patch = {"spec": {"replicas": replicas}}
            await client.patch(resource, name, patch, namespace=namespace, subresource="scale")
            click.echo(f"{called(resource, name)} scaled")
