"""Memory as a directory, which is never swapped out to the disk where the kernel can promise that (KEP-2400)."""

from __future__ import annotations

import errno
from pathlib import Path

from picluster_agent import kernel

FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV


def mount(path: Path, *options: str) -> None:
    """``noswap`` is known to Linux 6.3 and later; before, a secret may be swapped out like any memory."""
    try:
        kernel.mount("tmpfs", path, "tmpfs", FLAGS, ",".join((*options, "noswap")))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise
        kernel.mount("tmpfs", path, "tmpfs", FLAGS, ",".join(options))
