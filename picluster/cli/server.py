"""``picluster server``: the control plane's processes, on a rack by a configuration file, anywhere by a directory."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import uvloop
from click.core import ParameterSource

from picluster.api.profiles import PROFILES
from picluster.server import config as configs
from picluster.server import process
from picluster.server.config import PORT_MAX, ROLES, ServerConfig, ServerError
from picluster.server.listener import free_port
from picluster.util import logging as logs

HOLLOW_NODES_MAX = 5000
EXIT_BAD_INPUT = 2
STANDALONE_FLAGS = ("port", "bind", "advertise", "profile", "store")


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="server.yaml of a provisioned board.")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, help="Run only this; repeat for more.  [all]")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Run from nothing in this directory, as any user.")
@click.option("--port", type=click.IntRange(0, PORT_MAX), default=6443, show_default=True, help="0: any free.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen on, with --data-dir.")
@click.option("--advertise", help="Address that others reach this server by.  [default: this machine's]")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="rack", show_default=True, help="Timings.")
@click.option("--hollow-nodes", type=click.IntRange(0, HOLLOW_NODES_MAX), default=0, help="Simulated nodes to run.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --data-dir: a YAML file that says which store, as under store in server.yaml.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning"]),
    default="info",
    show_default=True,
    help="What goes to standard error.",
)
@click.pass_context
def server(context: click.Context, /, config_path: Path | None, roles: tuple[str, ...], **flags: Any) -> None:
    """Run the control plane, or a part of it.

    \b
    Example:
      picluster server --data-dir ./demo --hollow-nodes 5
      kubectl --kubeconfig ./demo/admin.kubeconfig get nodes
      picluster server --config /etc/picluster/server.yaml --role apiserver

    Exit code 0: ended by SIGTERM or SIGINT; 1: a role ended by itself; 2: it could not start.
    """
    gc.disable()  # until it has settled (process.settle): what a start makes, it keeps
    logs.configure(flags["log_level"])
    given = {name: flags[name] for name in flags if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    try:
        with ExitStack() as stack:
            chosen = roles or ROLES
            config = on_board(config_path, given) or from_nothing(stack, flags["data_dir"], given, chosen)
            work = process.run(config, chosen, hollow_nodes=flags["hollow_nodes"], on_ready=lambda: say_ready(config))
            code = uvloop.run(work)
    except ServerError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    sys.exit(code)


def on_board(config_path: Path | None, given: Mapping[str, Any]) -> ServerConfig | None:
    """What a configuration file says; ``None`` when there is none to read."""
    if config_path is None:
        return None
    for name in ("data_dir", *STANDALONE_FLAGS, "hollow_nodes"):
        if name in given:
            raise ServerError(f"--{name.replace('_', '-')} does not go with --config: write it into {config_path}")
    return configs.load(config_path)


def from_nothing(
    stack: ExitStack, directory: Path | None, given: Mapping[str, Any], roles: Sequence[str]
) -> ServerConfig:
    """A control plane in ``directory``: its port free, its directory held, its files made.

    Only the API server makes and holds; other roles, in processes of their own, read what it made.
    """
    if directory is None:
        raise ServerError("nothing to run from: give --data-dir DIR, or --config FILE on a board")
    from picluster.server import standalone

    flags = {"bind": "127.0.0.1", **{name: given[name] for name in STANDALONE_FLAGS if name in given}}
    if "store" in flags:
        flags["store"] = configs.read_mapping(flags["store"])
    config = standalone.configure(directory.absolute(), flags)
    if "apiserver" not in roles:
        return config
    port = free_port(config)
    stack.enter_context(standalone.held_directory(config.data_dir))
    return standalone.make_files(config, port, process.preload)


def say_ready(config: ServerConfig) -> None:
    admin = config.data_dir / "admin.kubeconfig"
    hint = f"; try: kubectl --kubeconfig {admin} get nodes" if admin.exists() else ""
    click.echo(f"ready: {config.url}{hint}", err=True)
