"""``picluster logs``: a container's output, from the node's agent through the API server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picluster.api.resources import NODES, PODS
from picluster.cli._cluster import cluster_options, connect, namespace_option, run

if TYPE_CHECKING:
    from picluster.api.errors import ApiError
    from picluster.client.transport import Client


@click.command()
@click.argument("pod", metavar="POD|TYPE/NAME")
@click.option("-c", "--container", default="", help="The container; a pod with one needs none.")
@click.option("-f", "--follow", is_flag=True, help="Stay, and print what comes.")
@click.option("-p", "--previous", is_flag=True, help="Of the container before its last restart.")
@click.option("--tail", type=int, default=-1, help="Only the last N lines.")
@click.option("--since", "since_s", type=int, default=0, help="Only what is newer than N seconds.")
@click.option("--timestamps", is_flag=True, help="Each line with its time.")
@namespace_option
@cluster_options
def logs(
    pod: str,
    container: str,
    follow: bool,
    previous: bool,
    tail: int,
    since_s: int,
    timestamps: bool,
    namespace: str,
    kubeconfig: Path | None,
    inventory: Path | None,
) -> None:
    """Print a container's log.

    \b
    Example:
      picluster logs web-5d78c9869d-abcde --tail 20 -f
      picluster logs deployment/web
    """
    params = {
        "container": container,
        "follow": "true" if follow else "",
        "previous": "true" if previous else "",
        "timestamps": "true" if timestamps else "",
        "tailLines": str(tail) if tail >= 0 else "",
        "sinceSeconds": str(since_s or ""),
    }
    run(_logs(pod, {key: value for key, value in params.items() if value}, namespace, kubeconfig, inventory))


async def _logs(
    pod: str, params: dict[str, str], namespace: str, kubeconfig: Path | None, inventory: Path | None
) -> None:
    from picluster.api.errors import ApiError

    async with connect(kubeconfig, inventory) as client:
        name = await _pod_of(client, pod, namespace)
        try:
            async with client.raw("GET", PODS.path(namespace, name, "log"), params=params, timeout_s=None) as response:
                async for chunk in response.content.iter_any():
                    sys.stdout.buffer.write(chunk)
                    sys.stdout.buffer.flush()
        except ApiError as error:
            await _explain(client, name, namespace, error)


async def _pod_of(client: Client, word: str, namespace: str) -> str:
    """The pod that ``word`` means: by its name, or one of those that ``deployment/web`` selects."""
    from picluster.cli._kinds import lookup

    kind, slash, name = word.rpartition("/")
    if not slash:
        return word
    [resource] = await lookup(client, kind)
    if resource.id == "pods":
        return name
    obj = await client.get(resource, name, namespace=namespace if resource.namespaced else None)
    labels = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels")
    if not labels:
        raise click.ClickException(f"{word} selects no pods by labels; name the pod: picluster get pods")
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    page = await client.list(PODS, namespace=namespace, label_selector=selector)
    names = [item["metadata"]["name"] for item in page["items"]]
    if not names:
        raise click.ClickException(f"{word} has no pods; see: picluster describe {kind} {name} -n {namespace}")
    if len(names) > 1:
        click.echo(f"Found {len(names)} pods, using pod/{names[0]}", err=True)
    return str(names[0])


async def _explain(client: Client, name: str, namespace: str, error: ApiError) -> None:
    """Say of a hollow node what it is; anything else as the server says it."""
    pod = await client.get(PODS, name, namespace=namespace)
    node = pod["spec"].get("nodeName")
    if not node:
        raise click.ClickException(
            f'pod "{name}" has no node yet, so it has no log; see: picluster describe pod {name} -n {namespace}'
        ) from None
    live = await client.get(NODES, node)
    if (live["metadata"].get("labels") or {}).get("picluster.io/hollow"):
        raise click.ClickException(
            f'pod "{name}" runs on {node}, a simulated node: it has no containers, so there is no log'
        ) from None
    raise error
