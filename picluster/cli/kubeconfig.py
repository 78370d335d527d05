"""``picluster kubeconfig``: what kubectl needs."""

from __future__ import annotations

from pathlib import Path

import click

from picluster.cli._cluster import kubeconfig_path
from picluster.cli._options import inventory_option


@click.command()
@inventory_option
def kubeconfig(inventory: Path | None) -> None:
    """Print what kubectl needs to reach the cluster: its address, authority and the administrator's certificate.

    \b
    Example:
      picluster kubeconfig > ~/.kube/picluster
      kubectl --kubeconfig ~/.kube/picluster get nodes
    """
    click.echo(kubeconfig_path(None, inventory).read_text(), nl=False)
