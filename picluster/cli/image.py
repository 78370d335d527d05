"""``picluster image``: container images onto the nodes, and into the rack's own registry."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picluster.cli._options import fail, inventory_option, output_option
from picluster.cli.power import EXIT_USE, PowerGroup

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from rich.progress import Progress

    from picluster.imagearchive import Image, Target
    from picluster.imageregistry import Tag
    from picluster.images import Result
    from picluster.rack import Host, Rack

EXIT_FAILED = 1


class ImageGroup(PowerGroup):
    """What an archive, a registry or a kubeconfig cannot do becomes one sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        from picluster.client import ConfigError
        from picluster.imagearchive import ArchiveError
        from picluster.imageregistry import RegistryError

        try:
            return super().invoke(ctx)
        except ArchiveError as error:
            fail(str(error), EXIT_USE)
        except (RegistryError, ConfigError) as error:
            fail(str(error), EXIT_FAILED)


@click.group(cls=ImageGroup)
def image() -> None:
    """Bring container images to the nodes, with or without a registry, and see what is there.

    \b
    Example:
      picluster image load app.tar
      picluster image push app:1
      picluster image ls
    """


def node_option(command: Any) -> Any:
    return click.option(
        "--node", "names", multiple=True, help="Only this node; repeat for more. Without it, every node."
    )(command)


@image.command()
@click.argument("source")
@node_option
@inventory_option
@output_option
def load(source: str, names: tuple[str, ...], inventory: Path | None, output: str) -> None:
    """Load an image into the nodes' Podman, over SSH.

    SOURCE is a docker or OCI archive, or the name of an image in this machine's Podman or Docker.

    \b
    Example:
      picluster image load app.tar --node pi-1 --node pi-2
      picluster image load localhost/app:1
    """
    from picluster import imagearchive

    hosts = _hosts(inventory, names)
    with imagearchive.opened(source) as file:
        results = load_onto(file, hosts)
    _print(results, "loaded", output)


@image.command()
@click.argument("source")
@click.argument("name", required=False)
@inventory_option
@output_option
def push(source: str, name: str | None, inventory: Path | None, output: str) -> None:
    """Push an image to the rack's registry.

    SOURCE is a docker or OCI archive, or the name of an image in this machine's Podman or Docker. NAME is what it is
    called in the registry: without it, as it was called, without the registry that it came from.

    \b
    Example:
      picluster image push app:1
      picluster image push app.tar team/app:2
    """
    from picluster import imagearchive, rack

    boards = rack.load(inventory)
    with imagearchive.opened(source) as file, imagearchive.images(file) as found:
        plan = _plan(found, name or (None if Path(source).is_file() else source))
        pushed = _run(_push(boards, plan))
    if output == "json":
        click.echo(json.dumps(pushed, indent=2))
    else:
        for row in pushed:
            click.echo(f"{' or '.join(row['images'])}  {row['digest']}")


@image.command()
@click.argument("name")
@node_option
@inventory_option
@output_option
def pull(name: str, names: tuple[str, ...], inventory: Path | None, output: str) -> None:
    """Let the nodes pull an image now, so that no pod has to wait for it.

    \b
    Example:
      picluster image pull registry.internal:5000/app:1 --node pi-2
    """
    from picluster import images

    _print(images.pull(name, _hosts(inventory, names)), "pulled", output)


@image.command()
@click.argument("name")
@node_option
@click.option("--registry", "from_registry", is_flag=True, help="From the rack's registry, not from the nodes.")
@inventory_option
@output_option
def rm(name: str, names: tuple[str, ...], from_registry: bool, inventory: Path | None, output: str) -> None:
    """Remove an image from the nodes, or from the rack's registry.

    In the registry its other tags go with it; the room is given back once a week.

    \b
    Example:
      picluster image rm localhost/app:1
      picluster image rm app:1 --registry
    """
    from picluster import images, rack

    if not from_registry:
        results = images.remove(name, _hosts(inventory, names))
        _print(results, "removed", output)
        if not any(result.value for result in results):
            fail(f"no node has {name}", EXIT_FAILED)
    elif names:
        fail("--node and --registry do not go together", EXIT_USE)
    else:
        removed = _run(_delete(rack.load(inventory), name))
        if output == "json":
            click.echo(json.dumps({"removed": removed}))
        if not removed:
            fail(f"the registry has no {name}", EXIT_FAILED)


@image.command("ls")
@click.option("--registry", "of_registry", is_flag=True, help="What the rack's registry has, not the nodes.")
@inventory_option
@output_option
def list_images(of_registry: bool, inventory: Path | None, output: str) -> None:
    """List the images that the nodes have, or the rack's registry.

    \b
    Example:
      picluster image ls
      picluster image ls --registry
    """
    from picluster import images, rack

    boards = rack.load(inventory)
    if of_registry:
        _print_tags(_run(_tags(boards)), output)
        return
    results = images.listed(boards.nodes)
    held: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for result in results:
        for found in result.value:
            sizes[found["Id"]] = int(found.get("Size", 0))
            for name in found.get("Names") or ["<none>"]:
                held[name, found["Id"]].append(result.host.name)
    rows = [
        {"image": name, "id": image_id, "size_bytes": sizes[image_id], "nodes": nodes}
        for (name, image_id), nodes in sorted(held.items())
    ]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    else:
        table = [(row["image"], str(row["id"])[:12], row["size_bytes"], " ".join(row["nodes"])) for row in rows]  # type: ignore[arg-type]
        _table(("image", "id", "size", "nodes"), table)
    _end(results)


def load_onto(file: Path, hosts: Sequence[Host]) -> list[Result]:
    """Load ``file`` with a bar per node on standard error; raises ``RackError`` for an unreadable file."""
    from picluster import images

    with _bars() as progress:
        total = file.stat().st_size if file.is_file() else 0
        bars = {host.name: progress.add_task(f"{host.name} {file.name}", total=total) for host in hosts}
        return images.load(file, hosts, lambda host, sent: progress.update(bars[host.name], completed=sent))


def _plan(found: Sequence[Image], name: str | None) -> list[tuple[Image, Target]]:
    """What is pushed where; one that has no name, or several under one, need to be told."""
    from picluster.imagearchive import ArchiveError, target

    if name is not None and len(found) > 1:
        raise ArchiveError(f"the archive has {len(found)} images, which cannot all be called {name}; leave NAME out")
    if name is None and not all(one.names for one in found):
        raise ArchiveError("the image in the archive has no name; say what it is to be called: NAME:TAG")
    return [(one, target(called)) for one in found for called in ([name] if name is not None else one.names)]


async def _push(boards: Rack, plan: Sequence[tuple[Image, Target]]) -> list[dict[str, Any]]:
    from picluster.imageregistry import of_rack

    pushed = []
    async with of_rack(boards) as registry:
        with _bars() as progress:
            for one, place in plan:
                name, total = f"{place.path}:{place.tag}", sum(blob.size_bytes for blob in one.manifest.all_blobs)
                advance = partial(progress.advance, progress.add_task(name, total=total))
                digest = await registry.push(one, place, advance)
                pushed.append({"images": [f"{registry.name}/{name}", name], "digest": digest, "size_bytes": total})
    return pushed


async def _delete(boards: Rack, name: str) -> bool:
    from picluster.imagearchive import target
    from picluster.imageregistry import of_rack

    async with of_rack(boards) as registry:
        return await registry.delete(target(name))


async def _tags(boards: Rack) -> list[Tag]:
    from picluster.imageregistry import of_rack

    async with of_rack(boards) as registry:
        return [tag._replace(repository=f"{registry.name}/{tag.repository}") for tag in await registry.tags()]


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def _hosts(inventory: Path | None, names: Sequence[str]) -> Sequence[Host]:
    from picluster import rack

    boards = rack.load(inventory)
    return [boards.host(name) for name in names] or boards.nodes


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _print_tags(tags: Sequence[Tag], output: str) -> None:
    if output == "json":
        rows = [{"image": f"{t.repository}:{t.tag}", "digest": t.digest, "size_bytes": t.size_bytes} for t in tags]
        click.echo(json.dumps(rows, indent=2))
    else:
        table = [(f"{t.repository}:{t.tag}", t.digest.partition(":")[2][:12], t.size_bytes) for t in tags]
        _table(("image", "digest", "size"), table)


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(f"{cell / (1 << 20):.1f} MiB" if isinstance(cell, int) else str(cell) for cell in row))
    Console().print(table)


def _print(results: Sequence[Result], key: str, output: str) -> None:
    if output == "json":
        click.echo(json.dumps({r.host.name: {key: r.value, "error": r.error} for r in results}, indent=2))
    else:
        for result in results:
            if not result.error:
                click.echo(f"{result.host.name}: {', '.join(result.value) or '-'}")
    _end(results)


def _end(results: Sequence[Result]) -> None:
    errors = [result.error for result in results if result.error]
    for error in errors[:-1]:
        click.echo(f"Error: {error}", err=True)
    if errors:
        fail(errors[-1], EXIT_FAILED)
    if not results:
        sys.exit(EXIT_FAILED)
