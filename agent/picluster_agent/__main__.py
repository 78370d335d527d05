"""``picluster-agent --config /etc/picluster/agent.yaml``: run the node agent until SIGTERM; containers keep running."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from picluster import VERSION
from picluster.client import ConfigError as KubeconfigError
from picluster.util import logging as picluster_logging
from picluster.util.clock import SYSTEM_CLOCK
from picluster_agent.agent import Agent
from picluster_agent.config import Config, ConfigError, load
from picluster_agent.identity import bootstrap

log = logging.getLogger(__name__)

CLOSE_MAX_S = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["join"]:
        from picluster_agent.identity import join

        return join.main(words[1:])
    parser = argparse.ArgumentParser(prog="picluster-agent", description="Runs the pods of one picluster node.")
    parser.epilog = "picluster-agent join --help: let this board join with a token"
    parser.add_argument("--config", type=Path, default=Path("/etc/picluster/agent.yaml"), help="default: %(default)s")
    parser.add_argument("--version", action="version", version=VERSION)
    arguments = parser.parse_args(words)
    try:
        config = load(arguments.config)
        picluster_logging.configure(config.log_level)
        asyncio.run(_run(config))
    except (ConfigError, KubeconfigError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot start on {config.node_ip}:{config.serving.port}: {error}")
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(f"picluster-agent: {message}\n")
    return 1


async def _run(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await bootstrap.ensure(config, SYSTEM_CLOCK)
    async with Agent(config).running():
        gc.collect()
        gc.freeze()
        notify("READY=1")
        log.info("picluster-agent %s runs node %s", VERSION, config.node_name)
        await stop.wait()
        notify("STOPPING=1")
        log.info("stopping; containers keep running")
        loop.call_later(CLOSE_MAX_S, os._exit, 0)


def notify(state: str) -> None:
    """Tell systemd (``sd_notify``), if it started this process and wants to know."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.connect("\0" + address[1:] if address.startswith("@") else address)
        connection.sendall(state.encode())


if __name__ == "__main__":
    sys.exit(main())
