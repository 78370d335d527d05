"""Bringing a lab up, looking at it, and taking it down without a trace.

``up`` makes whatever is missing and leaves the rest alone, so it is also the repair: each step looks at the world, not
at what an earlier run believes it did. ``down`` removes whatever it finds, also after a crash half-way. One lab per
machine; two commands at once wait for each other on a lock on the cache directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picluster.lab import cgroups, inventory, network, nspawn, rootfs
from picluster.lab.layout import NODES_DEFAULT, NODES_MAX, Board, LabError, Layout, boards
from picluster.lab.outlets import Outlets
from picluster.lab.record import Record, write_atomically
from picluster.lab.rootfs import Say
from picluster.lab.supervisor import READY
from picluster.util.clock import SYSTEM_CLOCK, Clock

BACKENDS = ("nspawn",)
UNIT = "picluster-lab"
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "nft": "nftables",
    "sysctl": "procps",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
SSH_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 2.0
POLL_S = 0.05
LOG_TAIL_BYTES = 4096
LINES_QUOTED_MAX = 5


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """``outlet`` is on, off or unknown; ``ssh`` says whether its SSH port answers."""

    name: str
    role: str
    address: str
    outlet: str
    ssh: bool


@dataclass(frozen=True, slots=True)
class Status:
    """``state`` is down (nothing there), up, or broken (something is missing; ``problem`` says what)."""

    state: str
    nodes: int
    boards: list[BoardStatus]
    problem: str = ""


class Lab:
    def __init__(self, layout: Layout | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.layout = layout or Layout()
        self._clock = clock

    async def up(self, nodes: int | None, backend: str, say: Say) -> list[Board]:
        """Boards that answer SSH, with power, and an inventory of them. Raises ``LabError``.

        ``nodes`` is ``None`` for as many as there are, or the default.
        """
        check_machine()
        os.umask(0o022)
        self.layout.cache.mkdir(parents=True, exist_ok=True)
        with rootfs.locked(self.layout.cache):
            record = self._record(nodes, backend, say)
            members = boards(record.nodes)
            self._make_disks(members)
            password = self._password()
            if not self._alive():
                await self._start(say)
            await self._power_up(members, say)
            self._write_access(members, password)
            await self._wait_for_ssh(members, say)
        return members

    async def down(self, say: Say) -> bool:
        """Remove everything of the lab, and say whether there was anything."""
        check_root()
        self.layout.cache.mkdir(parents=True, exist_ok=True)
        with rootfs.locked(self.layout.cache):
            there = self.layout.state.exists() or network.link_exists()
            if there:
                say("removing the lab")
            await self._stop()
            if self.layout.state.exists():
                shutil.rmtree(self.layout.state)
        return there

    async def status(self) -> Status:
        """What is there now; needs no root, but then the outlets may be unknown."""
        try:
            record = Record.read(self.layout)
        except LabError as error:
            return Status("broken", 0, [], str(error))
        if record is None:
            left = self.layout.state.exists() or network.link_exists()
            problem = "a lab that was not finished; picluster lab down removes it" if left else ""
            return Status("broken" if left else "down", 0, [], problem)
        members = boards(record.nodes)
        problem = ""
        if not self._alive():
            problem = "the strip's process is dead, and every board with it; picluster lab up repairs that"
        found = await self._look(members, powered=not problem)
        silent = [board.name for board in found if board.outlet == "on" and not board.ssh]
        if not problem and silent:
            problem = f"no SSH on {', '.join(silent)}; it may still boot: picluster lab logs {silent[0]}"
        return Status("broken" if problem else "up", record.nodes, found, problem)

    def board(self, name: str) -> Board:
        """Raises ``LabError`` when there is no such board."""
        record = Record.read(self.layout)
        if record is None:
            raise LabError("no lab runs on this machine; sudo picluster lab up")
        for board in boards(record.nodes):
            if board.name == name:
                return board
        raise LabError(f"the lab has no board {name}; it has pi-0 to pi-{record.nodes}")

    def log_command(self, name: str, lines: int, *, follow: bool) -> list[str]:
        """What prints the end of a board's journal, on or off, or of the strip's log when ``name`` is ``strip``."""
        if name == "strip" and self.layout.log.exists():
            return ["tail", "-n", str(lines), *(["-F"] if follow else []), str(self.layout.log)]
        journal = self.layout.journal(self.board(name))
        if not journal.is_dir():
            raise LabError(f"{name} has written no journal yet; it said: {self._console_end(name)}")
        if not os.access(next(journal.rglob("system.journal"), journal), os.R_OK):
            raise LabError(f"the journal of {name} cannot be read by this user; run with sudo")
        more = ["--follow"] if follow else ["--no-pager"]
        return ["journalctl", f"--directory={journal}", f"--lines={lines}", *more]

    def _console_end(self, name: str) -> str:
        console = self.layout.console(self.board(name))
        written = console.read_text(errors="replace").split("\n") if console.is_file() else []
        return " ".join(line.strip() for line in written[-LINES_QUOTED_MAX:] if line.strip()) or "nothing"

    def outlets(self) -> Outlets:
        """The strip, through the driver that a real one would be switched with."""
        try:
            return Outlets(self.layout.password.read_text().strip())
        except FileNotFoundError:
            raise LabError("no lab runs on this machine; sudo picluster lab up") from None
        except PermissionError:
            raise LabError(f"{self.layout.password} cannot be read by this user; run with sudo") from None

    def _record(self, nodes: int | None, backend: str, say: Say) -> Record:
        if nodes is not None and not 1 <= nodes <= NODES_MAX:
            raise LabError(f"a lab has 1 to {NODES_MAX} nodes, not {nodes}")
        if backend not in BACKENDS:
            raise LabError(f"there is no backend {backend}; there is {', '.join(BACKENDS)}")
        kept = Record.read(self.layout)
        if kept is not None:
            if nodes not in (None, kept.nodes):
                raise LabError(
                    f"a lab with {kept.nodes} nodes is already up; picluster lab down first for one with {nodes}"
                )
            if not kept.image.is_dir():
                raise LabError(f"the lab's image {kept.image} is gone; picluster lab down, then up again")
            return kept
        route = network.conflict()
        if route is not None:
            raise LabError(f"this machine already has a route {route} into the lab's network; take it away first")
        image = rootfs.ensure(self.layout.cache, say)
        record = Record(nodes or NODES_DEFAULT, backend, image)
        self.layout.state.mkdir(parents=True, exist_ok=True)
        record.write(self.layout)
        return record

    def _make_disks(self, members: Sequence[Board]) -> None:
        self.layout.ssh.mkdir(mode=0o700, exist_ok=True)
        nspawn.make_key(self.layout.key, "picluster lab")
        public = self.layout.key.with_suffix(".pub").read_text()
        legacy = not cgroups.find().v2
        for board in members:
            nspawn.make_disk(board, self.layout, authorized_key=public, cgroup_v1=legacy)

    def _password(self) -> str:
        if not self.layout.password.exists():
            write_atomically(self.layout.password, secrets.token_urlsafe(18) + "\n", mode=0o600)
        return self.layout.password.read_text().strip()

    def _write_access(self, members: Sequence[Board], password: str) -> None:
        known = [f"{board.address} {nspawn.public_host_key(board, self.layout)}\n" for board in members]
        write_atomically(self.layout.known_hosts, "".join(known))
        inventory.write(members, self.layout, password)
        self.hand_over()

    def hand_over(self) -> None:
        """Under sudo, what is needed to use the lab becomes the user's, who then drives it without sudo."""
        user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
        if not (user and group):
            return
        for top in (self.layout.ssh, self.layout.inventory.parent, self.layout.password):
            for path in (top, *(top.rglob("*") if top.is_dir() else ())):
                os.chown(path, int(user), int(group))

    async def _start(self, say: Say) -> None:
        say("plugging in the strip")
        await self._stop()
        argv = [
            *("unshare", "--mount", "--net", "--propagation", "private", "--"),
            *(sys.executable, "-m", "picluster.lab.supervisor"),
            *("--state", str(self.layout.state), "--host-pid", str(os.getpid())),
        ]
        detach = UNIT_COMMAND if cgroups.systemd_runs() else ("setsid", "--fork")
        network.run((*detach, "sh", "-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", str(self.layout.log), *argv))
        deadline_s = self._clock.monotonic() + START_TIMEOUT_S
        while not self.layout.ready.exists():
            if self._clock.monotonic() > deadline_s:
                raise LabError(f"the strip's process did not start: {self._last_words()}")
            await self._clock.sleep(POLL_S)
        said = self.layout.ready.read_text()
        if said != READY:
            raise LabError(f"the strip's process did not start: {said.strip()} (more in {self.layout.log})")

    async def _stop(self) -> None:
        """End the strip's process, and with it all boards; clean up behind one that could not do so itself."""
        pid = self._alive()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            deadline_s = self._clock.monotonic() + STOP_TIMEOUT_S
            while self._alive():
                if self._clock.monotonic() > deadline_s:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await self._clock.sleep(POLL_S)
        if cgroups.systemd_runs():
            with contextlib.suppress(LabError):  # there is no such unit any more
                network.run(("systemctl", "stop", f"{UNIT}.service"))
        self.layout.ready.unlink(missing_ok=True)
        cgroups.find().remove_all()
        network.remove()

    def _alive(self) -> int:
        """The process id of the strip's process, 0 when there is none."""
        try:
            with self.layout.lock.open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(lock.read() or 0)
        except (FileNotFoundError, ValueError):
            pass
        return 0

    def _last_words(self) -> str:
        text = (
            self.layout.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace") if self.layout.log.exists() else ""
        )
        lines = [line for line in text.splitlines() if line.strip()]
        return f"{lines[-1] if lines else 'it said nothing'} (more in {self.layout.log})"

    async def _power_up(self, members: Sequence[Board], say: Say) -> None:
        outlets = self.outlets()
        for board in members:
            outlet = await outlets.look(board)
            if outlet.on and not outlet.running:
                say(f"{board.name} has shut itself down: cycling its power")
                await outlets.switch(board, on=False)
            if not (outlet.on and outlet.running):
                await outlets.switch(board, on=True)

    async def _wait_for_ssh(self, members: Sequence[Board], say: Say) -> None:
        say(f"waiting for SSH on {members[0].name} to {members[-1].name}")
        try:
            async with asyncio.timeout(SSH_TIMEOUT_S):
                await asyncio.gather(*(self._ssh(board) for board in members))
        except TimeoutError:
            silent = [board.name for board in members if not await ssh_answers(board.address)]
            names = ", ".join(silent) or "the boards"
            raise LabError(
                f"no SSH on {names} after {SSH_TIMEOUT_S:.0f} s; picluster lab logs {silent[0] if silent else 'pi-0'}"
                " shows how far it came"
            ) from None

    async def _ssh(self, board: Board) -> None:
        while not await ssh_answers(board.address):
            await self._clock.sleep(POLL_S)

    async def _look(self, members: Sequence[Board], *, powered: bool) -> list[BoardStatus]:
        async def one(board: Board) -> BoardStatus:
            state = "unknown"
            with contextlib.suppress(LabError):
                if powered:
                    state = "on" if (await self.outlets().look(board)).on else "off"
            ssh = powered and await ssh_answers(board.address)
            return BoardStatus(board.name, board.role, board.address, state, ssh)

        return await asyncio.gather(*(one(board) for board in members))


UNIT_COMMAND = (
    *("systemd-run", "--quiet", "--collect", f"--unit={UNIT}", "--description=The lab of picluster"),
    *("--property=Delegate=yes", "--property=KillMode=mixed", "--property=TasksMax=infinity"),
)


async def ssh_answers(address: str, port: int = 22) -> bool:
    """Whether an SSH server says its name there."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                return (await reader.read(4)) == b"SSH-"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def check_root() -> None:
    if os.geteuid() != 0:
        raise LabError("the lab needs root: sudo picluster lab …")


def check_machine() -> None:
    """Root and tools; raises ``LabError`` that names what is missing and what cures it."""
    check_root()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = " ".join(dict.fromkeys(TOOLS[tool] for tool in missing))
        raise LabError(f"missing: {', '.join(missing)}; apt-get install {packages}")
    if not Path("/dev/fuse").exists():
        raise LabError("/dev/fuse is missing, which Podman on the boards needs; modprobe fuse")
