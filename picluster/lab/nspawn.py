"""Stand-ins as containers of systemd-nspawn: real systemd, sshd and Podman on this machine's kernel.

A board's disk is a directory: ``upper`` over the shared image, and ``containers``, bound in plainly because Podman
refuses an overlay on an overlay. It is mounted in the board's own mount namespace, so no mount outlives the board.

The plug: nspawn is the first process of a process namespace. Killing it makes the kernel kill everything below it at
once. And each process on the way dies with its parent, so a board never outlives the strip:

    strip ─► setpriv --pdeathsig ─► unshare --pid --kill-child ─► nspawn (pid 1) ─► systemd (pid 1 of the board)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import uuid
from collections import defaultdict
from pathlib import Path

from picluster.lab.cgroups import Groups
from picluster.lab.layout import BRIDGE, PREFIX_BITS, Board, LabError, Layout
from picluster.util.clock import Clock

# Everything a board does as root it may, except what reaches the machine itself: its clock and its modules.
CAPABILITIES_DROPPED = "CAP_SYS_TIME,CAP_SYS_MODULE"
EXIT_REBOOT = 133
KILL_TIMEOUT_S = 10.0
POLL_S = 0.005

MOUNT_AND_EXEC = """
disk=$1 image=$2; shift 2
while [ "$1" != -- ]; do echo 0 > "$1"; shift; done; shift
mount -t overlay overlay -o "lowerdir=$image,upperdir=$disk/upper,workdir=$disk/work" "$disk/root"
mount -t tmpfs tmpfs /run
exec "$@"
"""

NETWORK_UNIT = """[Unit]
Description=Address on the lab's bridge
DefaultDependencies=no
Before=network-pre.target network.target ssh.service shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sysctl -q net.ipv6.conf.host0.disable_ipv6=1
ExecStart=ip address replace {address}/{prefix_bits} dev host0
ExecStart=ip link set host0 up

[Install]
WantedBy=sysinit.target
"""

CGROUP_UNIT = """[Unit]
Description=Control groups of version 1, writable for containers
DefaultDependencies=no
Before=sysinit.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for group in /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$$group" || exit 1; done'

[Install]
WantedBy=sysinit.target
"""

CGROUP_V1_CONTAINERS_CONF = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


class NspawnBackend:
    def __init__(self, layout: Layout, image: Path, groups: Groups, clock: Clock) -> None:
        self._layout = layout
        self._image = image
        self._groups = groups
        self._clock = clock
        self._processes: dict[Board, asyncio.subprocess.Process] = {}
        self._watchers: dict[Board, asyncio.Task[None]] = {}
        self._locks: defaultdict[Board, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def start(self, board: Board) -> None:
        async with self._locks[board]:
            if not self.running(board):
                await self._boot(board)

    async def kill(self, board: Board) -> None:
        async with self._locks[board]:
            if watcher := self._watchers.pop(board, None):
                watcher.cancel()
            process = self._processes.pop(board, None)
            if process is not None and process.returncode is None:
                async with asyncio.timeout(KILL_TIMEOUT_S):
                    await self._kill_all(process)
            self._groups.remove(board.name)

    def running(self, board: Board) -> bool:
        process = self._processes.get(board)
        return process is not None and process.returncode is None

    async def _boot(self, board: Board) -> None:
        disk = self._layout.disk(board)
        if not (disk / "upper").is_dir():
            raise LabError(f"{board.name} has no disk; picluster lab down, then up again")
        self._groups.remove(board.name)
        procs = self._groups.create(board.name)
        with self._layout.console(board).open("ab") as console:
            self._processes[board] = await asyncio.create_subprocess_exec(
                *command(board, disk, self._image, procs),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._watchers[board] = asyncio.create_task(self._restart_after_reboot(board), name=f"reboot/{board.name}")

    async def _kill_all(self, process: asyncio.subprocess.Process) -> None:
        """Kill the namespace's first process; its parent ends only when the kernel has killed all of the rest."""
        while process.returncode is None:
            children = _children(process.pid)
            for pid in children or [process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await self._clock.sleep(POLL_S)

    async def _restart_after_reboot(self, board: Board) -> None:
        """A board that reboots itself comes up again; one that shuts down stays down until its power is cycled."""
        if await self._processes[board].wait() == EXIT_REBOOT:
            await self.start(board)


def command(board: Board, disk: Path, image: Path, procs: list[Path]) -> list[str]:
    """The command line that boots ``board``; ``procs`` are the control group files that it puts itself into."""
    return [
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"),
        *("sh", "-euc", MOUNT_AND_EXEC, "boot", str(disk), str(image), *map(str, procs), "--"),
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--link-journal=no"),
        *(f"--directory={disk / 'root'}", f"--machine={board.name}", f"--network-bridge={BRIDGE}"),
        *("--capability=all", f"--drop-capability={CAPABILITIES_DROPPED}", "--system-call-filter=@known"),
        *(f"--bind={disk / 'containers'}:/var/lib/containers", "--bind=/dev/fuse"),
        *("--console=pipe", "--resolv-conf=off", "--timezone=off"),
    ]


def make_disk(board: Board, layout: Layout, *, authorized_key: str, cgroup_v1: bool) -> None:
    """Give ``board`` a fresh disk with its name, its address and its own keys; does nothing when it has one."""
    disk = layout.disk(board)
    if (disk / "upper").is_dir():
        return
    draft = disk / "upper.new"
    for part in (disk / "work", disk / "root", disk / "containers", draft):
        part.mkdir(parents=True, exist_ok=True)
    _write(draft, "etc/hostname", f"{board.name}\n")
    _write(draft, "etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{board.name}\n")
    _write(draft, "etc/machine-id", f"{uuid.uuid4().hex}\n", mode=0o444)
    _write(draft, "root/.ssh/authorized_keys", authorized_key, mode=0o600)
    _unit(draft, "lab-network.service", NETWORK_UNIT.format(address=board.address, prefix_bits=PREFIX_BITS))
    if cgroup_v1:
        _unit(draft, "lab-cgroups.service", CGROUP_UNIT)
        _write(draft, "etc/containers/containers.conf.d/10-lab.conf", CGROUP_V1_CONTAINERS_CONF)
    (draft / "root").chmod(0o700)
    (draft / "root/.ssh").chmod(0o700)
    (draft / "etc/ssh").mkdir()
    make_key(draft / "etc/ssh/ssh_host_ed25519_key", board.name)
    draft.rename(disk / "upper")


def make_key(path: Path, comment: str) -> None:
    """Make an Ed25519 key pair at ``path``, for a board's sshd or for who logs in; does nothing when it exists."""
    if path.exists():
        return
    made = subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], capture_output=True, text=True
    )
    if made.returncode != 0:
        raise LabError(f"ssh-keygen could not make {path}: {made.stderr.strip()}")


def public_host_key(board: Board, layout: Layout) -> str:
    """``ssh-ed25519 AAAA…`` of the board's sshd."""
    path = layout.disk(board) / "upper/etc/ssh/ssh_host_ed25519_key.pub"
    return " ".join(path.read_text().split()[:2])


def _unit(root: Path, name: str, text: str) -> None:
    _write(root, f"etc/systemd/system/{name}", text)
    wants = root / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / name).symlink_to(f"../{name}")


def _write(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
