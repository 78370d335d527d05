"""Memory given back to the operating system, or not taken at all."""

from __future__ import annotations

import asyncio.sslproto
import os
from pathlib import Path

import pytest

from picluster.util import lean
from picluster.util.memory import give_back

BLOCKS, BLOCK_BYTES = 8000, 5000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""), reason="glibc only"
)
def test_what_is_free_between_what_is_kept_goes_back() -> None:
    blocks = [bytes(bytearray(BLOCK_BYTES)) for _ in range(BLOCKS)]
    kept = blocks[-1]
    full = resident_bytes()
    blocks.clear()
    give_back()
    assert full - resident_bytes() > BLOCKS * BLOCK_BYTES * 0.8
    assert len(kept) == BLOCK_BYTES


def test_a_silent_connection_keeps_little() -> None:
    """asyncio's own 256 KiB for each TLS connection would be the most of what a watch costs."""
    assert asyncio.sslproto.SSLProtocol.max_size == lean.READ_BYTES <= 64 * 1024
