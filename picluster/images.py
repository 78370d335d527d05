"""Container images onto boards, by SSH: boards need no registry and no way out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import paramiko

from picluster.rack import Host, RackError

CHUNK_BYTES = 1 << 18
ANSWER_TIMEOUT_S = 300.0
PULL_TIMEOUT_S = 3600.0
PARALLEL_MAX = 16
LOADED = re.compile(r"^Loaded image(?:\(s\))?: *(.+)$", re.MULTILINE)

Progress = Callable[[Host, int], None]


class Result(NamedTuple):
    """What one board said: ``value`` when it did what was asked, else ``error``, one sentence."""

    host: Host
    value: list[Any]
    error: str = ""


def load(archive: Path, hosts: Sequence[Host], progress: Progress) -> list[Result]:
    """Stream a docker or OCI archive into Podman on each host; ``value`` has the images' names.

    ``progress`` is called with the bytes sent so far, from several threads. Raises ``RackError`` for no file.
    """
    if not archive.is_file():
        raise RackError(f"{archive} is no file; give a docker or OCI archive, as podman save makes it")

    def one(host: Host) -> list[Any]:
        with archive.open("rb") as source:
            sent = 0

            def chunks() -> Any:
                nonlocal sent
                while chunk := source.read(CHUNK_BYTES):
                    yield chunk
                    sent += len(chunk)
                    progress(host, sent)

            said = _run(host, "podman load", chunks())
        names = [name.strip() for line in LOADED.findall(said) for name in line.split(",")]
        if not names:
            raise RackError(f"podman loaded nothing: {said.strip()}")
        return names

    return _each(hosts, one)


def listed(hosts: Sequence[Host]) -> list[Result]:
    """The images that Podman holds on each host, as ``podman images`` describes them."""
    return _each(hosts, lambda host: list(json.loads(_run(host, "podman images --format json", ()) or "[]") or []))


def pull(name: str, hosts: Sequence[Host]) -> list[Result]:
    """Let Podman on each host pull ``name``, with what the host knows of registries; ``value`` has the image's id."""
    command = f"podman pull --quiet {shlex.quote(name)}"
    return _each(hosts, lambda host: _run(host, command, (), PULL_TIMEOUT_S).split()[-1:])


def remove(name: str, hosts: Sequence[Host]) -> list[Result]:
    """Take the name ``name`` from each host, and the image with its last; ``value`` is empty where it was not."""
    quoted = shlex.quote(name)
    command = f"if podman image exists {quoted}; then podman rmi {quoted}; fi"
    return _each(hosts, lambda host: _run(host, command, ()).split())


def _each(hosts: Sequence[Host], work: Callable[[Host], list[Any]]) -> list[Result]:
    def guarded(host: Host) -> Result:
        try:
            return Result(host, work(host))
        except (RackError, OSError, paramiko.SSHException, EOFError) as error:
            return Result(host, [], f"{host.name}: {error or type(error).__name__}")

    with ThreadPoolExecutor(max_workers=min(PARALLEL_MAX, max(1, len(hosts)))) as pool:
        return list(pool.map(guarded, hosts))


def _run(host: Host, command: str, stdin: Any, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
    """Standard output of ``command`` as root on ``host``, fed with ``stdin``'s chunks."""
    with host.connect() as connection:
        connection.open()
        channel_in, channel_out, channel_err = connection.client.exec_command(host.as_root(command), timeout=timeout_s)
        for chunk in stdin:
            channel_in.channel.sendall(chunk)
        channel_in.channel.shutdown_write()
        said = channel_out.read().decode(errors="replace")
        complaint = channel_err.read().decode(errors="replace").strip()
        if channel_out.channel.recv_exit_status() != 0:
            raise RackError(f"podman said: {complaint.splitlines()[-1] if complaint else 'nothing'}")
    return str(said)
