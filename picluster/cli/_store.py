"""Which control plane's store a command means: by the configuration of one, by its directory, or of the rack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from picluster.cli._options import fail
from picluster.server import config as configs
from picluster.server import standalone
from picluster.server.config import ServerConfig, ServerError

Command = TypeVar("Command", bound=Callable[..., Any])
EXIT_BAD_INPUT = 2


def place_options(command: Command) -> Command:
    """``--config`` and ``--data-dir``: a store on this machine."""
    command = click.option(
        "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Of a server that runs from a directory."
    )(command)
    return click.option(
        "--config", "config_path", type=click.Path(path_type=Path), help="server.yaml, on the control plane's board."
    )(command)


def local(config_path: Path | None, data_dir: Path | None) -> ServerConfig | None:
    """The configuration that the options name, ``None`` when they name none; ends the command for a bad one."""
    if config_path is not None and data_dir is not None:
        fail("--config and --data-dir name two stores: give one of them", EXIT_BAD_INPUT)
    try:
        if config_path is not None:
            return configs.load(config_path)
        return None if data_dir is None else standalone.configure(data_dir.absolute(), {})
    except ServerError as error:
        fail(str(error), EXIT_BAD_INPUT)
