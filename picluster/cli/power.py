"""``picluster power``: a board's outlet, switched and read back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picluster.cli._options import fail, inventory_option, output_option

if TYPE_CHECKING:
    from picluster.power.outlet import Outlet, OutletState
    from picluster.rack import Rack

SWITCH_TIMEOUT_S = 15.0
CYCLE_OFF_S = 1.0
"""How long a cycled board stays off: capacitors on a real one keep it alive for some hundred milliseconds."""
EXIT_FAILED = 1
EXIT_USE = 2


class PowerGroup(click.Group):
    """What an outlet or an inventory cannot do becomes one sentence on standard error and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        from picluster.power.outlet import OutletError
        from picluster.rack import RackError

        try:
            return super().invoke(ctx)
        except OutletError as error:
            fail(str(error), EXIT_FAILED)
        except RackError as error:
            fail(str(error), EXIT_USE)


@click.group(cls=PowerGroup)
def power() -> None:
    """Switch a board's outlet, and read it back.

    \b
    Example:
      picluster power off pi-2
      picluster power status pi-2 -i inventory/hosts.yml
    """


def _command(action: str, what: str) -> None:
    @power.command(action, help=f"{what}\n\n\b\nExample:\n  picluster power {action} pi-2")
    @click.argument("node")
    @inventory_option
    @output_option
    def run(node: str, inventory: Path | None, output: str) -> None:
        from picluster import rack

        switch_outlet(rack.load(inventory), node, action, output)


_command("on", "Switch the outlet on; the board boots.")
_command("off", "Cut the power: nothing on the board is told before.")
_command("cycle", "Off, and on again.")
_command("status", "Read the outlet. Exit code 1 when it cannot be read.")


def switch_outlet(rack: Rack, name: str, action: str, output: str) -> None:
    """Do ``action`` (on, off, cycle, status) with the outlet of board ``name`` and print what it reads then.

    Raises ``RackError`` and ``OutletError``.
    """
    from picluster.power.outlet import OutletState, load

    outlet = load(rack.outlet(name), f"{name}: picluster_outlet")
    found = asyncio.run(_act(outlet, action))
    click.echo(json.dumps({"board": name, "outlet": str(found)}) if output == "json" else f"{name} is {found}")
    if found is OutletState.UNKNOWN:
        fail(f"{outlet.label} does not answer, so nobody knows whether {name} has power", EXIT_FAILED)


async def _act(outlet: Outlet, action: str) -> OutletState:
    from picluster.power.outlet import OutletState, read, switch
    from picluster.util.clock import SYSTEM_CLOCK

    if action == "status":
        return await read(outlet)
    if action in ("off", "cycle"):
        await switch(outlet, OutletState.OFF, SWITCH_TIMEOUT_S)
    if action == "cycle":
        await SYSTEM_CLOCK.sleep(CYCLE_OFF_S)
    if action in ("on", "cycle"):
        await switch(outlet, OutletState.ON, SWITCH_TIMEOUT_S)
    return await read(outlet)
