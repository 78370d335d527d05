"""``picluster backup`` and ``picluster restore``: a control plane into one file, and out of it again."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import click

from picluster import playbook, rack
from picluster.cli._options import fail, inventory_option, output_option
from picluster.cli._store import EXIT_BAD_INPUT, local, place_options
from picluster.server import backup as backups
from picluster.server.backup import Saved
from picluster.server.config import ServerError
from picluster.util.clock import SYSTEM_CLOCK


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@place_options
@inventory_option
@output_option
def backup(file: Path, config_path: Path | None, data_dir: Path | None, inventory: Path | None, output: str) -> None:
    """Save the cluster's store, certificates and keys into FILE, while it runs.

    FILE can open every door of the cluster: it is written for its owner only, so keep it that way.

    \b
    Example:
      picluster backup rack.backup
      picluster backup --config /etc/picluster/server.yaml /var/backups/rack.backup
    """
    config = local(config_path, data_dir)
    try:
        if config is None:
            _on_rack("backup.yml", inventory, file)
            saved = _read(file)
        else:
            saved = asyncio.run(backups.save(config, file.absolute(), SYSTEM_CLOCK))
    except (ServerError, rack.RackError) as error:
        fail(str(error))
    _say(saved, output, f"saved {saved.objects} objects at revision {saved.revision} into {file}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@place_options
@inventory_option
@click.option("--force", is_flag=True, help="Also where there is a store; it is moved aside, not deleted.")
@click.option("--pki/--no-pki", default=False, show_default=True, help="Put certificates and keys back, too.")
@output_option
def restore(
    file: Path,
    config_path: Path | None,
    data_dir: Path | None,
    inventory: Path | None,
    force: bool,
    pki: bool,
    output: str,
) -> None:
    """Make the cluster what it was when FILE was saved.

    A rack's control plane is stopped for it and started again. On this machine, with --config or --data-dir, stop the
    server before. Into etcd or SQLite, whichever FILE was taken from.

    \b
    Example:
      picluster restore rack.backup --force
      picluster restore --data-dir ./demo --pki rack.backup
    """
    config = local(config_path, data_dir)
    try:
        if config is None:
            if not force:
                fail("this replaces everything in the cluster: say so with --force", EXIT_BAD_INPUT)
            saved = _read(file)
            _on_rack("restore.yml", inventory, file, picluster_restore_pki=pki)
        else:
            saved = asyncio.run(backups.restore(config, file, force=force, pki=pki))
    except (ServerError, rack.RackError) as error:
        fail(str(error))
    _say(saved, output, f"restored {saved.objects} objects, saved at {saved.created}")


def _on_rack(name: str, inventory: Path | None, file: Path, **more: object) -> None:
    boards = rack.load(inventory)
    outcome = playbook.run(
        name, boards.inventory, lambda phase: None, variables={"picluster_backup": str(file.absolute()), **more}
    )
    if not outcome.ok:
        reasons = "; ".join(outcome.failures) or "Ansible failed"
        fail(f"{reasons} (all that Ansible said is in {outcome.log})")


def _read(file: Path) -> Saved:
    with tempfile.TemporaryDirectory(prefix="picluster-backup-") as scratch:
        return backups.unpack(file, Path(scratch))


def _say(saved: Saved, output: str, text: str) -> None:
    if output == "json":
        click.echo(json.dumps(saved._asdict()))
    else:
        click.echo(text)
