"""``picluster store``: looking after the store itself; for whoever runs a control plane on this machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import click

from picluster.cli._options import fail, output_option
from picluster.cli._store import EXIT_BAD_INPUT, local, place_options
from picluster.server import store as stores
from picluster.server.config import ServerConfig, ServerError


@click.group()
def store() -> None:
    """Check, shrink or move the store of a control plane on this machine.

    \b
    Example:
      picluster store check --config /etc/picluster/server.yaml
      picluster store migrate --config /etc/picluster/server.yaml --to /etc/picluster/with-etcd.yaml
    """


@store.command()
@place_options
@output_option
def check(config_path: Path | None, data_dir: Path | None, output: str) -> None:
    """Read everything, checksums included, and count it; the server may run.

    \b
    Example:
      picluster store check --data-dir ./demo
    """
    config = _named(config_path, data_dir)
    try:
        contents = asyncio.run(stores.read(config))
    except ServerError as error:
        fail(str(error))
    counts = Counter(record.key.partition("/")[0] for record in contents.records)
    if output == "json":
        said = {
            "store": stores.describe(config),
            "revision": contents.revision,
            "objects": dict(sorted(counts.items())),
        }
        click.echo(json.dumps(said))
        return
    click.echo(f"{stores.describe(config)}: whole, {len(contents.records)} objects, revision {contents.revision}")
    for name, count in sorted(counts.items()):
        click.echo(f"  {name}: {count}")


@store.command()
@place_options
@output_option
def defragment(config_path: Path | None, data_dir: Path | None, output: str) -> None:
    """Write the store's files anew, as small as they can be, and take back etcd's quota alarm.

    A SQLite store must not be in use meanwhile, and needs room for a second one.

    \b
    Example:
      picluster store defragment --config /etc/picluster/server.yaml
    """
    config, started_s = _named(config_path, data_dir), time.monotonic()
    try:
        asyncio.run(stores.defragment(config))
    except ServerError as error:
        fail(str(error))
    took_s = time.monotonic() - started_s
    if output == "json":
        click.echo(json.dumps({"store": stores.describe(config), "elapsed_s": round(took_s, 3)}))
    else:
        click.echo(f"{stores.describe(config)}: defragmented in {took_s:.1f} s")


@store.command()
@place_options
@click.option(
    "--to", "target", type=click.Path(path_type=Path), required=True, help="A server.yaml with the other store."
)
@click.option("--force", is_flag=True, help="Also into a store that holds something.")
@output_option
def migrate(config_path: Path | None, data_dir: Path | None, target: Path, force: bool, output: str) -> None:
    """Copy everything into another store, SQLite or etcd; no server may run on either.

    Then let the server start with the configuration that --to names. Revisions go on where they were.

    \b
    Example:
      picluster store migrate --config /etc/picluster/server.yaml --to /etc/picluster/with-etcd.yaml
    """
    source, wanted = _named(config_path, data_dir), local(target, None)
    assert wanted is not None
    if stores.describe(source) == stores.describe(wanted):
        fail(f"both configurations name {stores.describe(source)}: change store in {target}", EXIT_BAD_INPUT)
    try:
        moved = asyncio.run(_copy(source, wanted, force=force))
    except ServerError as error:
        fail(str(error))
    names = stores.describe(source), stores.describe(wanted)
    if output == "json":
        click.echo(json.dumps({"from": names[0], "to": names[1], "objects": moved}))
    else:
        click.echo(f"copied {moved} objects from {names[0]} to {names[1]}")


async def _copy(source: ServerConfig, target: ServerConfig, *, force: bool) -> int:
    contents = await stores.read(source)
    await stores.write(target, contents, bump=0, force=force)
    return len(contents.records)


def _named(config_path: Path | None, data_dir: Path | None) -> ServerConfig:
    config = local(config_path, data_dir)
    if config is None:
        fail("which store? name one with --config or --data-dir", EXIT_BAD_INPUT)
    return config
