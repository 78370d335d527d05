"""``picluster secrets``: what keeps Secrets secret on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picluster.cli._cluster import cluster_options, connect, run
from picluster.cli._options import output_option

if TYPE_CHECKING:
    from picluster.client.transport import Client

ATTEMPTS_MAX = 5


@click.group()
def secrets() -> None:
    """Keep Secrets encrypted with the newest key.

    \b
    Example:
      picluster secrets reencrypt
    """


@secrets.command()
@cluster_options
@output_option
def reencrypt(kubeconfig: Path | None, inventory: Path | None, output: str) -> None:
    """Write every Secret anew, so that the first key of the encryption configuration has written them all.

    \b
    Example:
      picluster secrets reencrypt
    """
    written = run(_reencrypt(kubeconfig, inventory))
    click.echo(json.dumps({"written": written}) if output == "json" else f"{written} secrets are written anew")


async def _reencrypt(kubeconfig: Path | None, inventory: Path | None) -> int:
    from picluster.api.resources import SECRETS
    from picluster.client import list_all

    async with connect(kubeconfig, inventory) as client:
        page = await list_all(client, SECRETS)
        written = [await _rewrite(client, secret["metadata"]) for secret in page["items"]]
        return sum(written)


async def _rewrite(client: Client, metadata: dict[str, str]) -> bool:
    """Put a Secret back as it is; whether it still was there."""
    from picluster.api.errors import ApiError
    from picluster.api.resources import SECRETS

    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            await client.update(SECRETS, await client.get(SECRETS, metadata["name"], namespace=metadata["namespace"]))
            return True
        except ApiError as error:
            if error.code == 404:
                return False
            if error.code != 409 or attempt == ATTEMPTS_MAX:
                raise
    return False
