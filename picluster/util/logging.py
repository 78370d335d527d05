"""One log format for every process: time, level, logger, message, on standard error (the journal's on a board)."""

from __future__ import annotations

import logging
import sys
import time

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s: %(message)s"


def configure(level: str = "INFO") -> None:
    """Set up the root logger once for a process; libraries that chat are held at WARNING."""
    formatter = logging.Formatter(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiohttp.access", "asyncio", "paramiko", "fabric", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
