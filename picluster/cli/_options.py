"""Options that many commands share, and the one way a command fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def inventory_option(command: Command) -> Command:
    """``-i/--inventory``: which rack. Without it a running lab, else ``inventory/hosts.yml``."""
    return click.option(
        "-i",
        "--inventory",
        envvar="PICLUSTER_INVENTORY",
        type=click.Path(exists=True, path_type=Path),
        help="The rack's inventory; without it the running lab's, else inventory/hosts.yml.",
    )(command)


def output_option(command: Command) -> Command:
    """``-o json``: that JSON alone on standard output."""
    return click.option(
        "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
    )(command)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one sentence on standard error and an exit code with a meaning."""
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
