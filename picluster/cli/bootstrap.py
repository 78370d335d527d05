"""``picluster bootstrap``: provisions every board of an inventory, with one line for each board that changed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from picluster import playbook, rack
from picluster.cli._options import fail, inventory_option, output_option

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


@click.command()
@inventory_option
@click.option(
    "--limit", help="Only these boards, by name and with commas between; the control plane is always among them."
)
@click.option("--check", is_flag=True, help="Say what would change, and change nothing.")
@output_option
def bootstrap(inventory: Path | None, limit: str | None, check: bool, output: str) -> None:
    """Provision every board of an inventory over SSH; run again, it changes only what differs.

    \b
    Example:
      picluster bootstrap -i inventory/hosts.yml
      picluster bootstrap -i inventory/hosts.yml --limit pi-3
    """
    try:
        boards = rack.load(inventory)
        wanted = _limit(boards, limit)
        _note_missing_outlets(boards)
        outcome = playbook.run("site.yml", boards.inventory, _report, limit=wanted, check=check)
    except rack.RackError as error:
        fail(str(error), EXIT_BAD_INPUT)
    if output == "json":
        click.echo(json.dumps(_summary(outcome)))
    if not outcome.ok:
        fail(
            f"{_number(len(outcome.failures), 'thing')} to put right; all that Ansible said is in {outcome.log}",
            EXIT_FAILED,
        )
    would = "would change" if check else "changed"
    click.echo(f"{_number(outcome.changed, 'thing')} {would} in {outcome.elapsed_s:.1f} s", err=True)


def _limit(boards: rack.Rack, limit: str | None) -> str | None:
    """Ansible's pattern for the named boards; the control plane signs their certificates, so it comes along."""
    if limit is None:
        return None
    names = [boards.host(name.strip()).name for name in limit.split(",") if name.strip()]
    return ",".join(dict.fromkeys([boards.control_plane.name, *names]))


def _note_missing_outlets(boards: rack.Rack) -> None:
    missing = [node.name for node in boards.nodes if node.outlet is None]
    if missing:
        click.echo(
            f"Note: {boards.inventory} has no {rack.OUTLET_KEY} for {', '.join(missing)}: the power of such a board"
            " cannot be cut, so when it falls silent its stateful pods wait",
            err=True,
        )


def _report(phase: playbook.Phase) -> None:
    click.echo(f"{phase.name} ({phase.elapsed_s:.1f} s)", err=True)
    for name, host in sorted(phase.hosts.items()):
        if host.changed:
            click.echo(f"  {name}: {_number(host.changed, 'thing')} changed", err=True)
    for text in dict.fromkeys(text for host in phase.hosts.values() for text in host.failures):
        click.echo(f"  {text}", err=True)


def _summary(outcome: playbook.Outcome) -> dict[str, object]:
    return {
        "ok": outcome.ok,
        "changed": outcome.changed,
        "elapsed_s": round(outcome.elapsed_s, 3),
        "log": str(outcome.log),
        "hosts": {
            name: {"changed": host.changed, "failures": host.failures} for name, host in sorted(outcome.hosts.items())
        },
    }


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
