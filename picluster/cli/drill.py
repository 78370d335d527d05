"""``picluster drill``: cause a failure, time the healing, report."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

from picluster.cli._cluster import connect, run
from picluster.cli._options import fail, inventory_option, output_option

DRILLS = {"power-cut": "Cut a node's power at its outlet, watch the Service heal, put the power back."}
EXIT_FAILED = 1
EXIT_ABORTED = 3


@click.group()
def drill() -> None:
    """Cause a failure, time the healing, report.

    \b
    Example:
      picluster drill list
      picluster drill run power-cut --node pi-2 --yes
    """


@drill.command("list")
@output_option
def list_drills(output: str) -> None:
    """List the drills there are.

    \b
    Example:
      picluster drill list
    """
    if output == "json":
        click.echo(json.dumps(DRILLS, indent=2))
        return
    for name, what in DRILLS.items():
        click.echo(f"{name:<12} {what}")


@drill.command("run")
@click.argument("name", type=click.Choice(sorted(DRILLS)))
@click.option("--node", help="The node to cut; without it, the one with most of the Service's endpoints.")
@click.option("--service", default="default/web", show_default=True, help="The Service to ask all the time.")
@click.option(
    "--report-dir",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where report.json and report.md go.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the power is cut.")
@inventory_option
@output_option
def run_drill(
    name: str, node: str | None, service: str, report_dir: Path, yes: bool, inventory: Path | None, output: str
) -> None:
    """Run a drill and write report.json and report.md.

    Exit code 0: passed; 1: the cluster did not heal; 2: wrong use; 3: the drill could not start, nothing was cut.
    Interrupted at any moment, it puts the power back on.

    \b
    Example:
      picluster drill run power-cut --node pi-2 --service default/web --yes
    """
    from picluster.drills import report as reports

    quiet = output == "json"
    body = run(_run(name, node, service, yes, inventory))
    reports.write(body, report_dir)
    if quiet:
        click.echo(json.dumps(body, indent=2))
    else:
        click.echo(f"\n{name}: {body['verdict']}  (node {body['node']}, seconds after the outlet read off)")
        click.echo(reports.timeline(body))
        probe = body["probe"]
        click.echo(
            f"  probes: {probe['sent']} sent, {probe['failed']} failed,"
            f" longest time without an answer {probe['longest_gap_s']:.2f} s"
        )
        click.echo(f"  written: {report_dir / 'report.json'}, {report_dir / 'report.md'}")
    if body["verdict"] != "passed":
        sys.exit(EXIT_FAILED)


async def _run(name: str, node: str | None, service: str, yes: bool, inventory: Path | None) -> dict[str, Any]:
    from picluster import rack
    from picluster.drills import model, plan
    from picluster.drills.power_cut import PowerCut
    from picluster.drills.probe import ProbeError
    from picluster.power.outlet import OutletError
    from picluster.util.clock import SYSTEM_CLOCK

    try:
        described = rack.load(inventory)
    except rack.RackError as error:
        fail(str(error), code=2)
    async with connect(None, inventory) as client:
        try:
            chosen = await plan.make(client, described, service, node)
            if not yes:
                click.confirm(f"Cut the power of {chosen.victim.name} now?", abort=True, err=True)
            cut = PowerCut(client, SYSTEM_CLOCK, chosen, _say)
            await _until_interrupted(cut)
        except (plan.DrillError, ProbeError, OutletError) as error:
            fail(str(error), code=EXIT_ABORTED)
        return model.report(cut.measurement, name)


async def _until_interrupted(cut: Any) -> None:
    """Run the drill; SIGINT and SIGTERM end it by putting the power back, and the report says so."""
    from picluster.power.outlet import OutletError

    task = asyncio.ensure_future(cut.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except OutletError as error:
        if cut.measurement.off_s is None:
            raise
        cut.measurement.failure = str(error)  # the cut was made: a report is due, and it says what went wrong
    except asyncio.CancelledError:
        cut.measurement.failure = "interrupted; the power was put back"
        if cut.measurement.off_s is None:
            fail("interrupted before the power was cut", code=EXIT_ABORTED)


def _say(what: str, after_off_s: float | None) -> None:
    stamp = " " * 9 if after_off_s is None else f"{after_off_s:+7.2f} s"
    click.echo(f"{stamp}  {what}", err=True)
