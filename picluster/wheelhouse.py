"""Wheelhouses: everything a board needs of Python, built on the machine that runs Ansible, for boards without internet.

One bundle per role, architecture and Python version: a tar of picluster's own wheel, the wheels it depends on, and pip
(boards need no pip of their own). Bundles are named by what went into them, so an unchanged tree is not built again and
a board that already has a bundle's digest is not touched:

    DIR/own/<digest>/picluster-….whl           built from the checkout, or packed from the installed distribution
    DIR/dependencies/<digest>/*.whl            downloaded once for a set of requirements and a platform
    DIR/<role>-<arch>-py<version>-<digest>.tar what is copied to boards

This file runs by itself under any Python 3.11 with pip and imports nothing of picluster, because ``playbooks/site.yml``
calls it also where only Ansible is installed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import email
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "picluster"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "picluster", "agent/picluster_agent")
EXTRAS_OF_ROLE = {"node": frozenset[str](), "server": frozenset({"server"})}
"""A node stays light. Click, which `picluster server` and `picluster pki` parse their options with, comes on top."""
SERVER_TOOLS = ("click",)
DOWNLOAD_TIMEOUT_S = 600
BUNDLES_KEPT_MAX = 3
GLIBC_MINOR_MIN = 17
"""manylinux2014, the oldest that wheels for Python 3.11 are built for."""


class WheelhouseError(Exception):
    """One sentence: what could not be built, and why."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What decides which wheels fit a board."""

    arch: str
    python: str
    glibc: str

    def tags(self) -> list[str]:
        """The platform tags that run there, best first (PEP 600)."""
        major, _, minor = self.glibc.partition(".")
        if major != "2" or not minor.isdigit():
            raise WheelhouseError(
                f"glibc {self.glibc!r} is not a version 2.x; picluster's boards run Debian 12 or newer"
            )
        newest_first = range(int(minor), GLIBC_MINOR_MIN - 1, -1)
        return [*(f"manylinux_2_{number}_{self.arch}" for number in newest_first), f"manylinux2014_{self.arch}"]


@dataclass(frozen=True, slots=True)
class Bundle:
    path: Path
    digest: str


def build(role: str, platform: Platform, directory: Path, checkout: Path | None) -> Bundle:
    """The bundle of ``role`` for ``platform``, from the cache in ``directory`` when nothing has changed."""
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        own = _own_wheel(directory, checkout)
        wanted = requirements(own, role)
        downloaded = _dependencies(wanted, platform, directory)
        digest = _digest([own.parent.name, downloaded.name])
        prefix = f"{role}-{platform.arch}-py{platform.python}-"
        bundle = directory / f"{prefix}{digest}.tar"
        if not bundle.is_file():
            pack([own, *sorted(downloaded.glob("*.whl"))], bundle)
        else:
            bundle.touch()
        _forget_old(directory, prefix)
    return Bundle(bundle, digest)


def source_digest(checkout: Path) -> str:
    """Of every file that goes into picluster's wheel, by name and content."""
    found = hashlib.sha256()
    for top in SOURCES:
        root = checkout / top
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                found.update(f"{path.relative_to(checkout)}\0{content}\n".encode())
    return found.hexdigest()[:16]


def requirements(wheel: Path, role: str) -> list[str]:
    """What ``wheel`` asks for in ``role``, from its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
    wanted = []
    for line in lines:
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        extra = re.search(r"""extra\s*==\s*['"]([\w-]+)['"]""", marker)
        tool = re.match(r"[\w.-]+", requirement)
        is_tool = role == "server" and tool is not None and tool[0] in SERVER_TOOLS
        if extra is None or extra[1] in EXTRAS_OF_ROLE[role] or is_tool:
            wanted.append(requirement if extra else line)
    return sorted(set(wanted))


def pack(wheels: Sequence[Path], target: Path) -> None:
    """Tar ``wheels`` into ``target`` in one step that a crash cannot leave half done."""
    draft = target.with_suffix(".new")
    with tarfile.open(draft, "w") as tar:
        for wheel in wheels:
            tar.add(wheel, arcname=wheel.name, filter=_anonymous)
    draft.replace(target)


def installed_wheel(distribution: metadata.Distribution, target_dir: Path) -> Path:
    """A wheel made of an installed distribution's files, where there is no checkout to build from."""
    name, version = distribution.metadata["Name"], distribution.version
    target = target_dir / f"{name}-{version}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in distribution.files or []:
            outside = file.is_absolute() or ".." in file.parts or "__pycache__" in file.parts
            if outside or file.name in {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}:
                continue
            content = Path(str(file.locate())).read_bytes()
            checksum = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{file},sha256={checksum},{len(content)}")
            archive.writestr(str(file), content)
        record_name = f"{name}-{version}.dist-info/RECORD"
        archive.writestr(record_name, "\n".join([*record, f"{record_name},,", ""]))
    if not record:
        raise WheelhouseError(f"the installed {name} lists no files; install it with pip, or run from a checkout")
    return target


def _own_wheel(directory: Path, checkout: Path | None) -> Path:
    if checkout is None:
        try:
            distribution = metadata.distribution(DISTRIBUTION)
        except metadata.PackageNotFoundError:
            raise WheelhouseError(
                "there is neither a checkout of picluster nor an installed one to take it from"
            ) from None
        digest = _digest([distribution.version, distribution.read_text("RECORD") or ""])
    else:
        digest = source_digest(checkout)
    kept = directory / "own" / digest
    if not kept.is_dir():
        with _draft(kept) as draft:
            if checkout is None:
                installed_wheel(distribution, draft)
            else:
                _pip("picluster's wheel", "wheel", "--no-deps", "--wheel-dir", str(draft), str(checkout))
        for other in (directory / "own").iterdir():
            if other != kept:
                shutil.rmtree(other)
    return next(kept.glob("*.whl"))


def _dependencies(wanted: Sequence[str], platform: Platform, directory: Path) -> Path:
    """The directory of wheels that satisfy ``wanted`` on ``platform``.

    pip evaluates environment markers for the Python it runs under, so ``typing-extensions``, which libraries ask for
    only below some version, is named whatever the operator's Python.
    """
    tags = platform.tags()
    kept = directory / "dependencies" / _digest([*wanted, platform.python, *tags])
    if kept.is_dir():
        return kept
    with _draft(kept) as draft:
        _pip(
            f"the wheels for Python {platform.python} on {platform.arch}",
            "download",
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={platform.python}",
            *(f"--platform={tag}" for tag in tags),
            f"--dest={draft}",
            *wanted,
            "typing-extensions",
            "pip",
        )
    return kept


def _pip(what: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise WheelhouseError(f"{what}: pip did not end within {DOWNLOAD_TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        said = next((error for error in errors if error != "Exception:"), lines[-1] if lines else "pip said nothing")
        raise WheelhouseError(f"{what} cannot be had: {said} (pip needs PyPI or a mirror of it on this machine)")


@contextlib.contextmanager
def _draft(final: Path) -> Iterator[Path]:
    """A directory that takes its final name only when it is whole."""
    final.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent))
    try:
        yield draft
        draft.replace(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two runs at once build once: the second waits for the first."""
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_old(directory: Path, prefix: str) -> None:
    bundles = sorted(directory.glob(f"{prefix}*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for bundle in bundles[BUNDLES_KEPT_MAX:]:
        bundle.unlink()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o644
    return entry


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build one wheelhouse and print where it is, as JSON.")
    parser.add_argument("--role", required=True, choices=sorted(EXTRAS_OF_ROLE))
    parser.add_argument("--arch", required=True, help="machine as in uname -m, for example aarch64")
    parser.add_argument("--python", required=True, help="the boards' Python, for example 3.11")
    parser.add_argument("--glibc", required=True, help="the boards' C library, for example 2.36")
    parser.add_argument("--directory", required=True, type=Path)
    parser.add_argument("--checkout", type=Path, help="where pyproject.toml is; else the installed distribution")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    given = _arguments(arguments)
    os.umask(0o022)
    try:
        bundle = build(given.role, Platform(given.arch, given.python, given.glibc), given.directory, given.checkout)
    except (WheelhouseError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"path": str(bundle.path), "digest": bundle.digest}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
