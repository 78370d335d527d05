"""What every command that talks to the API server shares: which cluster, which namespace, and clear failures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from picluster.cli._options import inventory_option

if TYPE_CHECKING:
    from picluster.client.transport import Client

Command = TypeVar("Command", bound=Callable[..., Any])
T = TypeVar("T")


def cluster_options(command: Command) -> Command:
    """``--kubeconfig`` and ``--inventory``: which cluster is meant."""
    option = click.option(
        "--kubeconfig",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Reach the cluster with this file instead of the rack's own.",
    )
    return option(inventory_option(command))


def namespace_option(command: Command) -> Command:
    return click.option("-n", "--namespace", default="default", show_default=True, help="The namespace.")(command)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; what the API server refuses becomes one sentence and exit code 1."""
    from picluster.api.errors import ApiError
    from picluster.client.config import ConfigError
    from picluster.client.transport import TransportError

    try:
        return asyncio.run(work)
    except ApiError as error:
        reason = f" ({error.reason})" if error.reason else ""
        raise click.ClickException(f"from server{reason}: {error.message}") from None
    except TransportError as error:
        raise click.ClickException(f"{error}; is the control plane up? picluster status shows it") from None
    except ConfigError as error:
        raise click.ClickException(f"{error}; picluster kubeconfig prints a good one") from None


def kubeconfig_path(kubeconfig: Path | None, inventory: Path | None) -> Path:
    """The admin's kubeconfig: the given file, else the rack's, fetched when it was provisioned."""
    from picluster import rack

    if kubeconfig is not None:
        return kubeconfig
    try:
        where = rack.resolve_inventory(inventory)
    except rack.RackError as error:
        raise click.ClickException(str(error)) from None
    path = rack.state_dir(where) / rack.KUBECONFIG_NAME
    if not path.is_file():
        raise click.ClickException(f"no kubeconfig for {where} yet; provision it first: picluster bootstrap -i {where}")
    return path


@contextlib.asynccontextmanager
async def connect(kubeconfig: Path | None, inventory: Path | None) -> AsyncIterator[Client]:
    from picluster.client.config import ClientConfig
    from picluster.client.transport import Client

    config = ClientConfig.from_kubeconfig(kubeconfig_path(kubeconfig, inventory))
    async with Client(config, user_agent="picluster-cli") as client:
        yield client
