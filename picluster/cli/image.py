"""``picluster image``: container images onto the nodes, without a registry."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picluster.cli._options import fail, inventory_option, output_option
from picluster.cli.power import PowerGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picluster.images import Result
    from picluster.rack import Host

EXIT_FAILED = 1


@click.group(cls=PowerGroup)
def image() -> None:
    """Load a container image onto the nodes, and see what is there.

    \b
    Example:
      podman save localhost/app:1 -o app.tar && picluster image load app.tar
      picluster image ls
    """


@image.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--node", "names", multiple=True, help="Only this node; repeat for more. Without it, every node.")
@inventory_option
@output_option
def load(file: Path, names: tuple[str, ...], inventory: Path | None, output: str) -> None:
    """Load a docker or OCI archive into the nodes' Podman.

    \b
    Example:
      picluster image load app.tar --node pi-1 --node pi-2
    """
    from picluster import rack

    boards = rack.load(inventory)
    results = load_onto(file, [boards.host(name) for name in names] or boards.nodes)
    if output == "json":
        click.echo(json.dumps({r.host.name: {"loaded": r.value, "error": r.error} for r in results}, indent=2))
    else:
        for result in results:
            if not result.error:
                click.echo(f"{result.host.name}: {', '.join(result.value)}")
    _end(results)


@image.command("ls")
@inventory_option
@output_option
def list_images(inventory: Path | None, output: str) -> None:
    """List the images that the nodes have.

    \b
    Example:
      picluster image ls
    """
    from picluster import images, rack

    boards = rack.load(inventory)
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
        from rich.console import Console
        from rich.table import Table

        table = Table("image", "id", "size", "nodes", box=None, header_style="bold")
        for row in rows:
            size_mib = f"{int(str(row['size_bytes'])) / (1 << 20):.1f} MiB"
            table.add_row(str(row["image"]), str(row["id"])[:12], size_mib, " ".join(row["nodes"]))  # type: ignore[arg-type]
        Console().print(table)
    _end(results)


def load_onto(file: Path, hosts: Sequence[Host]) -> list[Result]:
    """Load ``file`` with a bar per node on standard error; raises ``RackError`` for an unreadable file."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from picluster import images

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        total = file.stat().st_size if file.is_file() else 0
        bars = {host.name: progress.add_task(f"{host.name} {file.name}", total=total) for host in hosts}
        return images.load(file, hosts, lambda host, sent: progress.update(bars[host.name], completed=sent))


def _end(results: Sequence[Result]) -> None:
    errors = [result.error for result in results if result.error]
    for error in errors[:-1]:
        click.echo(f"Error: {error}", err=True)
    if errors:
        fail(errors[-1], EXIT_FAILED)
    if not results:
        sys.exit(EXIT_FAILED)
