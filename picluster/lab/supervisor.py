"""The strip's process: the bridge, the outlets and every board hang on it, and nothing of them survives it.

``lab up`` starts it detached, in mount and network namespaces of its own. While it lives it holds a lock on its pid
file, so whoever asks whether it lives cannot be fooled by a number that was used again. The kernel lets go of the lock
when the process has ended, not earlier: who sees it free knows that nothing of the process is left.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from picluster.lab import cgroups, network
from picluster.lab.digest import DigestAuth
from picluster.lab.layout import STRIP_ADDRESS, STRIP_PORT, LabError, Layout, boards
from picluster.lab.nspawn import NspawnBackend
from picluster.lab.record import Record, write_atomically
from picluster.lab.strip import DEVICE_ID, USERNAME, Strip, application
from picluster.util.clock import SYSTEM_CLOCK
from picluster.util.logging import configure

log = logging.getLogger(__name__)
READY = "ready\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="The power strip of a running lab; started by picluster lab up.")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--host-pid", type=int, required=True, help="a process in this machine's network namespace")
    given = parser.parse_args()
    configure()
    os.umask(0o022)
    layout = Layout(state=given.state)
    try:
        _take(layout.lock)
        asyncio.run(_serve(layout, given.host_pid))
    except (LabError, OSError) as error:
        log.error("%s", error)
        write_atomically(layout.ready, f"{error}\n")
        return 1
    return 0


def _take(lock: Path) -> None:
    """Hold ``lock`` until this process has ended; a bare descriptor, since a file object is closed before that."""
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)


async def _serve(layout: Layout, host_pid: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    record = Record.read(layout)
    if record is None:
        raise LabError(f"{layout.record} is missing; picluster lab down, then up again")
    groups = cgroups.find(cgroups.own_unit())
    groups.delegate()
    network.build(host_pid)
    backend = NspawnBackend(layout, record.image, groups, SYSTEM_CLOCK)
    strip = Strip(boards(record.nodes), backend, _outlets(layout), lambda on: _keep(layout, on))
    auth = DigestAuth(DEVICE_ID, USERNAME, layout.password.read_text().strip(), SYSTEM_CLOCK)
    runner = web.AppRunner(application(strip, auth), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, STRIP_ADDRESS, STRIP_PORT).start()
    try:
        await strip.power_up()
        write_atomically(layout.ready, READY)
        log.info("outlets of %d boards on http://%s", record.nodes + 1, STRIP_ADDRESS)
        await stop.wait()
    finally:
        layout.ready.unlink(missing_ok=True)
        await runner.cleanup()
        await strip.power_down()
        groups.remove_all()


def _outlets(layout: Layout) -> Mapping[str, bool]:
    with suppress(FileNotFoundError, ValueError):
        found = json.loads(layout.outlets.read_text())
        return {str(name): bool(on) for name, on in found.items()}
    return {}


def _keep(layout: Layout, on: Mapping[str, bool]) -> None:
    write_atomically(layout.outlets, json.dumps(on))


if __name__ == "__main__":
    sys.exit(main())
