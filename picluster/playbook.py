"""Running one of picluster's playbooks: what happens as events, failures as sentences, everything else in a log.

Ansible runs as a process of its own. Its normal output is the log, ``.picluster/<playbook>.log`` beside the inventory;
a callback plugin of ours tells on a pipe what goes on. Both a rack (``picluster bootstrap``) and the lab come here.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from picluster import rack

POLL_S = 0.2
EVENT_BYTES_MAX = 65536
ACTION_PREFIX = re.compile(r"^(Task failed: )?(Action failed: |Module failed: )?")


@dataclass(slots=True)
class Host:
    """What a run did to one board."""

    changed: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """``ok`` when Ansible ended well; ``log`` has every word of it."""

    ok: bool
    elapsed_s: float
    log: Path
    hosts: dict[str, Host]

    @property
    def changed(self) -> int:
        return sum(host.changed for host in self.hosts.values())

    @property
    def failures(self) -> list[str]:
        """Each what, why and the cure, in one sentence; the same one once."""
        return list(dict.fromkeys(text for host in self.hosts.values() for text in host.failures))


@dataclass(frozen=True, slots=True)
class Phase:
    """A play that has ended: how many things it changed on each board that it changed or that failed."""

    name: str
    elapsed_s: float
    hosts: Mapping[str, Host]


Report = Callable[[Phase], None]


def run(
    playbook: str,
    inventory: Path,
    report: Report,
    *,
    limit: str | None = None,
    check: bool = False,
    variables: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run ``playbook`` ("site.yml") on the rack of ``inventory`` and tell ``report`` of each play as it ends.

    With ``check`` nothing is changed. Raises ``rack.RackError`` where Ansible is missing or got as far as no play.
    """
    source = directory()
    state = rack.state_dir(inventory)
    state.mkdir(mode=0o700, exist_ok=True)
    log = state / f"{Path(playbook).stem}.log"
    command = [rack.ansible_program("ansible-playbook"), "-i", str(inventory.absolute()), str(source / playbook)]
    command += ["--limit", limit] if limit else []
    command += ["--check"] if check else []
    command += ["--extra-vars", json.dumps(dict(variables))] if variables else []
    started_s = time.monotonic()
    tally = _Tally(report, log, started_s)
    with ExitStack() as stack:
        output = stack.enter_context(os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"))
        read_fd, write_fd = os.pipe()
        stack.callback(os.close, read_fd)
        try:
            process = subprocess.Popen(
                command,
                cwd=source.parent,
                env=_environment(source, write_fd),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[write_fd],
            )
        finally:
            os.close(write_fd)
        stack.enter_context(process)
        for event in _events(read_fd, process):
            tally.take(event)
        code = process.wait()
    tally.end()
    if code != 0 and not tally.failed:
        raise rack.RackError(f"ansible-playbook ended with {code}: {_last_error(log)}; all it said is in {log}")
    return Outcome(code == 0, time.monotonic() - started_s, log, tally.hosts)


def directory() -> Path:
    """Where the playbooks are: in a checkout beside the package, in an installed distribution inside it."""
    package = Path(__file__).parent
    for candidate in (package.parent / "playbooks", package / "playbooks"):
        if (candidate / "site.yml").is_file():
            return candidate
    raise rack.RackError(f"the playbooks are missing beside {package}; install picluster anew or run from a checkout")


class _Tally:
    """Adds events up, by host for the whole run and by host for the play that is on."""

    def __init__(self, report: Report, log: Path, started_s: float) -> None:
        self.hosts: dict[str, Host] = {}
        self.failed = False
        self._report = report
        self._log = log
        self._play = ""
        self._play_hosts: dict[str, Host] = {}
        self._play_started_s = started_s

    def take(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "play":
                self.end()
                self._play, self._play_hosts, self._play_started_s = event["name"], {}, time.monotonic()
            case "changed":
                for host in self._both(event["host"]):
                    host.changed += 1
            case "failed" if not event["rescued"]:
                self.failed = True
                for host in self._both(event["host"]):
                    host.failures += sentences(event, self._log)
            case "stats":
                for name in event["hosts"]:
                    self.hosts.setdefault(name, Host())

    def end(self) -> None:
        """The play that is on, if any, has ended."""
        if self._play:
            self._report(Phase(self._play, time.monotonic() - self._play_started_s, self._play_hosts))
            self._play = ""

    def _both(self, name: str) -> tuple[Host, Host]:
        return self.hosts.setdefault(name, Host()), self._play_hosts.setdefault(name, Host())


def sentences(event: Mapping[str, Any], log: Path) -> list[str]:
    """What to tell of a failure: the playbook's own words where it has some, else the task's name and first line."""
    message = ACTION_PREFIX.sub("", str(event["message"]).strip())
    if event["said"]:
        return message.splitlines()
    first = message.splitlines()[0].rstrip(".") if message else "it said nothing"
    if event["kind"] == "unreachable":
        return [f"{event['host']}: SSH broke off at '{event['task']}' ({first}); look at the board and run this again."]
    return [f"{event['host']}: '{event['task']}' failed ({first}); all that Ansible said is in {log}."]


def _environment(source: Path, events_fd: int) -> dict[str, str]:
    return os.environ | {
        "ANSIBLE_CONFIG": str(source.parent / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": str(source / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "picluster_events",
        "ANSIBLE_NOCOLOR": "1",
        "PICLUSTER_EVENTS_FD": str(events_fd),
    }


def _events(fd: int, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Each event, until the process has ended and nothing is left; others that hold the pipe are not waited for."""
    rest = b""
    while True:
        ended = process.poll() is not None
        readable, _, _ = select.select([fd], [], [], 0 if ended else POLL_S)
        chunk = os.read(fd, EVENT_BYTES_MAX) if readable else b""
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)
        if not chunk and (ended or readable):
            return


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("[ERROR]", "ERROR"))]
    said = (errors or lines or ["it said nothing"])[-1]
    return re.sub(r"^\[?ERROR\]?!?:?\s*", "", said).rstrip(".")
