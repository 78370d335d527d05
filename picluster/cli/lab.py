"""``picluster lab``: stand-in boards on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from picluster.cli._options import fail, output_option

if TYPE_CHECKING:
    from picluster import playbook
    from picluster.lab.lab import Lab, Status
    from picluster.rack import Rack

T = TypeVar("T")
EXIT_PROBLEM = 1
LOG_LINES_DEFAULT = 200


class LabGroup(click.Group):
    """What the lab cannot do becomes one sentence on standard error and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        from picluster.lab.layout import LabError
        from picluster.power.outlet import OutletError
        from picluster.rack import RackError

        try:
            return super().invoke(ctx)
        except (LabError, RackError, OutletError) as error:
            fail(str(error), EXIT_PROBLEM)


@click.group(cls=LabGroup)
def lab() -> None:
    """Boot, switch and remove stand-in boards on this machine.

    \b
    Example:
      sudo picluster lab up --nodes 3
      picluster lab status
      picluster lab power off pi-2
      sudo picluster lab down
    """


@lab.command()
@click.option("--nodes", type=int, help="How many node boards beside the control plane; 3 for a new lab.")
@click.option("--backend", type=click.Choice(["nspawn"]), default="nspawn", show_default=True, help="Kind of boards.")
@click.option("--provision/--no-provision", default=True, help="Also make a cluster of the boards.")
@output_option
def up(nodes: int | None, backend: str, provision: bool, output: str) -> None:
    """Boot the boards and make a cluster of them; run again, it brings what is missing.

    \b
    Example:
      sudo picluster lab up --nodes 3
      sudo picluster lab up --no-provision
    """
    lab = _lab()
    members = _run(lab.up(nodes, backend, say))
    if provision:
        _provision(lab)
    if output == "json":
        _print_status(_run(lab.status()), output)
        return
    say(f"{len(members)} boards are up: {members[0].name} (control plane) to {members[-1].name}")
    for line in _next_steps(provision):
        click.echo(line)


@lab.command()
@output_option
def down(output: str) -> None:
    """Remove the boards, the bridge and everything else of the lab; images stay cached.

    \b
    Example:
      sudo picluster lab down
    """
    there = _run(_lab().down(say))
    if output == "json":
        click.echo(json.dumps({"removed": there}))
    else:
        say("the lab is gone" if there else "there was no lab")


@lab.command()
@output_option
def status(output: str) -> None:
    """Show the boards: power, SSH. Exit code 1 when something is missing.

    \b
    Example:
      picluster lab status -o json
    """
    found = _run(_lab().status())
    _print_status(found, output)
    if found.state == "broken":
        sys.exit(EXIT_PROBLEM)


@lab.command(context_settings={"ignore_unknown_options": True})
@click.argument("board")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(board: str, command: tuple[str, ...]) -> None:
    """Log in to a board, or run a command there; the exit code is the command's.

    \b
    Example:
      picluster lab ssh pi-1
      picluster lab ssh pi-1 -- podman ps
    """
    _lab().board(board)
    argv = _rack().host(board).ssh_command(*command)
    os.execvp(argv[0], argv)  # noqa: S606


@lab.command()
@click.argument("action", type=click.Choice(["on", "off", "cycle"]))
@click.argument("board")
@output_option
def power(action: str, board: str, output: str) -> None:
    """Switch a board's outlet and read it back. Off kills the board whole, as a pulled plug does.

    \b
    Example:
      picluster lab power off pi-2
    """
    from picluster.cli.power import switch_outlet

    _lab().board(board)
    switch_outlet(_rack(), board, action, output)


@lab.command()
@click.argument("board")
@click.option(
    "--lines", type=click.IntRange(1, 100_000), default=LOG_LINES_DEFAULT, show_default=True, help="How many lines."
)
@click.option("-f", "--follow", is_flag=True, help="Go on printing.")
def logs(board: str, lines: int, follow: bool) -> None:
    """Print the end of a board's journal, also while it has no power, or of the strip's log for BOARD `strip`.

    \b
    Example:
      sudo picluster lab logs pi-1
      picluster lab logs strip -f
    """
    argv = _lab().log_command(board, lines, follow=follow)
    os.execvp(argv[0], argv)  # noqa: S606


def _provision(lab: Lab) -> None:
    """Make a cluster of the boards with the playbooks that a real rack is made with, and give them the lab's images."""
    from picluster import playbook
    from picluster.cli.image import load_onto
    from picluster.lab import images

    say("provisioning the boards over SSH")
    outcome = playbook.run("site.yml", lab.layout.inventory, _report)
    if not outcome.ok:
        for text in outcome.failures:
            click.echo(text, err=True)
        fail(f"the boards run but are no cluster; all that Ansible said is in {outcome.log}", EXIT_PROBLEM)
    nodes = _rack().nodes
    for path in images.build_all(lab.layout.cache).values():
        say(f"loading {path.name} onto {len(nodes)} nodes")
        for result in load_onto(path, nodes):
            if result.error:
                fail(f"{result.error}; picluster lab up again repairs that", EXIT_PROBLEM)
    lab.hand_over()


def _report(phase: playbook.Phase) -> None:
    changed = sum(host.changed for host in phase.hosts.values())
    say(f"{phase.name}: {changed} changed on {len(phase.hosts)} boards ({phase.elapsed_s:.1f} s)")


def say(text: str) -> None:
    """Progress goes to standard error, so that ``-o json`` has standard output for itself."""
    click.echo(f"==> {text}", err=True)


def _lab() -> Lab:
    from picluster.lab.lab import Lab

    return Lab()


def _rack() -> Rack:
    from picluster import rack

    return rack.load(rack.LAB_INVENTORY)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _print_status(found: Status, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=2))
        return
    if found.boards:
        from rich.console import Console
        from rich.table import Table

        table = Table("board", "role", "address", "outlet", "ssh", box=None, header_style="bold")
        for board in found.boards:
            table.add_row(board.name, board.role, board.address, board.outlet, "yes" if board.ssh else "no")
        Console().print(table)
    if found.problem:
        click.echo(f"broken: {found.problem}", err=True)
    elif found.state == "down":
        click.echo("no lab; sudo picluster lab up")


def _next_steps(provisioned: bool) -> list[str]:
    if not provisioned:
        return ["", "Next:", "  picluster bootstrap", "  picluster lab ssh pi-1"]
    return [
        "",
        "Next:",
        "  picluster status",
        "  picluster apply -f docs/examples/web.yaml",
        "  picluster drill run power-cut",
        "  picluster kubeconfig > ~/.kube/picluster    # then: kubectl --kubeconfig ~/.kube/picluster get nodes",
        "  picluster lab power off pi-2",
    ]
