"""The boards' disk image: one small Debian, made once with mmdebstrap and shared read-only by every board.

Boards have no way out, so it holds everything that the playbooks would install on a real Pi. It is named by a hash of
its recipe; a change of the recipe makes a new one. It comes from the mirrors that this machine's apt uses.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from picluster.lab.apt import apt_options, sources
from picluster.lab.layout import LabError

SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "systemd-timesyncd", "dbus", "kmod", "procps", "netbase", "sudo", "ca-certificates"),
    *("openssh-server", "openssh-client", "openssl", "curl", "iproute2", "iputils-ping"),
    *("python3", "python3-venv", "python3-apt", "python3-nftables"),
    *("podman", "runc", "crun", "catatonit", "containernetworking-plugins", "nftables", "conntrack", "docker-registry"),
)
EXCLUDED_PATHS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# What a stand-in differs in from a fresh Raspberry Pi OS: no keys of its own yet (each board gets one), no console to
# log in at, no timers that look for updates, and a journal that outlives a power cut, to see what came before it.
CUSTOMIZE = (
    "rm -f $1/etc/ssh/ssh_host_* $1/etc/hostname $1/etc/resolv.conf $1/etc/apt/apt.conf.d/99mmdebstrap; "
    "rm -rf $1/etc/apt/auth.conf.d/*; : > $1/etc/machine-id; "
    "rm -f $1/etc/systemd/system/multi-user.target.wants/docker-registry.service; "
    "for unit in console-getty.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer fstrim.timer"
    " dpkg-db-backup.timer systemd-pstore.service; do ln -sf /dev/null $1/etc/systemd/system/$unit; done; "
    "mkdir -p $1/var/log/journal $1/etc/systemd/journald.conf.d; "
    "printf '[Journal]\\nStorage=persistent\\nSystemMaxUse=32M\\n' > $1/etc/systemd/journald.conf.d/10-lab.conf; "
    "passwd --root $1 --lock root"
)
ARCHIVES = "var/cache/apt/archives"
OUTPUT_LINES_KEPT_MAX = 20

Say = Callable[[str], None]


def recipe_hash() -> str:
    """Names an image by what goes into it."""
    recipe = "\n".join((SUITE, _architecture(), *PACKAGES, *EXCLUDED_PATHS, CUSTOMIZE))
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def image_path(cache: Path) -> Path:
    return cache / f"rootfs-{recipe_hash()}"


def ensure(cache: Path, say: Say) -> Path:
    """The image, built when the cache does not hold it; images of older recipes go, so no lab may run on one.

    Two processes that need it at once build it once. Raises ``LabError``.
    """
    debs = cache / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    image = image_path(cache)
    with locked(debs):
        if not image.is_dir():
            _build(cache, image, debs, say)
        for old in cache.glob("rootfs-*"):
            if old != image:
                shutil.rmtree(old)
    return image


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold ``directory`` itself as the lock, so that no lock file stays behind."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def command(target: Path, debs: Path, mirrors: Sequence[str], options: Sequence[str]) -> list[str]:
    """The mmdebstrap command line; ``debs`` keeps the downloaded packages for the next build."""
    reuse = f'mkdir -p "$1/{ARCHIVES}/partial"; cp -lf {debs}/*.deb "$1/{ARCHIVES}/" 2>/dev/null || true'
    keep = f'rm -f {debs}/*.deb; cp -lf "$1/{ARCHIVES}"/*.deb {debs}/ 2>/dev/null || true'
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        "--skip=check/empty,essential/unlink",
        f"--include={','.join(PACKAGES)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--aptopt={option}" for option in options),
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in EXCLUDED_PATHS),
        f"--setup-hook={reuse}",
        f"--customize-hook={keep}",
        f"--customize-hook={CUSTOMIZE}",
        SUITE,
        str(target),
        *mirrors,
    ]


def _build(cache: Path, image: Path, debs: Path, say: Say) -> None:
    for crashed in cache.glob(".building-*"):
        shutil.rmtree(crashed)
    draft = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
    try:
        draft.chmod(0o755)
        say(f"building the boards' image (Debian {SUITE}, about a minute, then cached)")
        _run(command(draft, debs, sources(SUITE), apt_options()), say)
        draft.rename(image)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _run(argv: Sequence[str], say: Say) -> None:
    said: deque[str] = deque(maxlen=OUTPUT_LINES_KEPT_MAX)
    try:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    except FileNotFoundError:
        raise LabError("mmdebstrap is missing, which makes the boards' image; apt-get install mmdebstrap") from None
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line.rstrip())
            if line.startswith("I: "):
                say(f"image: {line[3:].strip()}")
    if process.returncode != 0:
        errors = [line for line in said if line.startswith("E: ")] or list(said) or ["no word"]
        raise LabError(
            f"mmdebstrap could not make the boards' image: {errors[0]}; this machine's apt needs a Debian mirror that"
            " it can reach (try apt-get update)"
        )


def _architecture() -> str:
    return os.uname().machine
