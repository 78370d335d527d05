"""A whole control plane's files from nothing, in one directory, as any user.

The order is: look at the port (``listener``), hold the directory, and only then write. Whoever is refused has changed
nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from picluster.server.config import KUBECONFIGS, ServerConfig, ServerError, parse
from picluster.util.clock import SYSTEM_CLOCK


@contextlib.contextmanager
def held_directory(directory: Path) -> Iterator[None]:
    """Make ``directory`` if need be and hold it; the kernel lets go of it however this process ends."""
    lock = directory / "server.lock"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = error.strerror
        raise ServerError(
            f"data directory {directory} cannot be used: {reason}: name another with --data-dir"
        ) from error
    try:
        _hold(fd, directory)
        yield
    finally:
        os.close(fd)


def _hold(fd: int, directory: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise ServerError(
            f"data directory {directory} is in use by another server (process {holder}): stop it, or name another "
            "with --data-dir"
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)


def configure(directory: Path, flags: Mapping[str, Any]) -> ServerConfig:
    """The configuration of a control plane that has nothing but ``directory``; raises ``ServerError``."""
    place = {
        "data_dir": str(directory),
        "pki_dir": str(directory / "pki"),
        "kubeconfigs": {name: str(directory / f"{name}.kubeconfig") for name in KUBECONFIGS},
    }
    return parse({**place, **flags}, "command line")


def make_files(config: ServerConfig, port: int, meanwhile: Callable[[], None]) -> ServerConfig:
    """PKI and kubeconfigs for a server that listens on ``port``; raises ``ServerError``.

    A child makes them, so that this process, which stays, never holds the libraries that sign certificates (10 MiB),
    and has time for ``meanwhile``. To be called before there is a thread or an event loop.
    """
    config = replace(config, port=port)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(_make_files(config, writing))
    os.close(writing)
    meanwhile()
    with os.fdopen(reading) as said:
        refusal = said.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise ServerError(refusal or f"making certificates ended with status {status}: look at standard error")
    return config


def _make_files(config: ServerConfig, writing: int) -> int:
    """The child's part: 0, or 1 with the reason on the pipe."""
    from picluster.pki import bundle
    from picluster.pki.files import PkiError

    unspecified = config.bind in ("0.0.0.0", "::")  # noqa: S104
    sans = [config.advertise] if unspecified else [config.advertise, config.bind]
    spec = bundle.BundleSpec(sans, config.service_cidr, config.url)
    try:
        bundle.ensure(config.pki_dir, config.data_dir, spec, SYSTEM_CLOCK)
    except PkiError as error:
        os.write(writing, str(error).encode())
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0
