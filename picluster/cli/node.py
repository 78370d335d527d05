"""``picluster node``: the boards of a rack."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from picluster.cli._options import inventory_option, output_option
from picluster.cli.power import PowerGroup


@click.group(cls=PowerGroup)
def node() -> None:
    """List nodes, or run a command on one over SSH.

    \b
    Example:
      picluster node ls
      picluster node ssh pi-1 -- podman ps
    """


@node.command("ls")
@inventory_option
@output_option
def list_nodes(inventory: Path | None, output: str) -> None:
    """List the boards: role, address, power, SSH, and the node's condition when the API server answers.

    \b
    Example:
      picluster node ls -i inventory/hosts.yml
    """
    from picluster import rack
    from picluster.cli.status import look

    found = asyncio.run(look(rack.load(inventory)))
    if output == "json":
        click.echo(json.dumps([asdict(board) for board in found.boards], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "role", "address", "power", "ssh", "node", "trouble", box=None, header_style="bold")
    for board in found.boards:
        ssh_answers, trouble = "yes" if board.ssh else "no", " ".join(board.trouble)
        table.add_row(board.name, board.role, board.address, board.power, ssh_answers, board.node, trouble)
    Console().print(table)


@node.command(context_settings={"ignore_unknown_options": True})
@inventory_option
@click.argument("board")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(inventory: Path | None, board: str, command: tuple[str, ...]) -> None:
    """Log in to a board, or run a command there; the exit code is the command's.

    \b
    Example:
      picluster node ssh pi-1
      picluster node ssh pi-1 -- podman ps
    """
    from picluster import rack

    argv = rack.load(inventory).host(board).ssh_command(*command)
    os.execvp(argv[0], argv)  # noqa: S606
