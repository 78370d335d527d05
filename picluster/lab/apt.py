"""Which Debian mirrors and apt settings this machine uses, in both formats that ``sources.list(5)`` knows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES_DIR = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEFAULT_MIRRORS = (
    ("http://deb.debian.org/debian", ""),
    ("http://deb.debian.org/debian", "-updates"),
    ("http://deb.debian.org/debian-security", "-security"),
)
CARRIED_OPTIONS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv4")
COMMAND_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Source:
    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def line(self) -> str:
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.uri} {self.suite} main"


def sources(suite: str, directory: Path = SOURCES_DIR) -> list[str]:
    """One-line entries for ``suite`` of Debian itself: this machine's own, else the public mirror."""
    chosen = [source for source in _all(directory) if _is_debian(source, suite)]
    if not any(source.suite == suite for source in chosen):
        signed_by = str(KEYRING) if KEYRING.is_file() else ""
        chosen = [Source(uri, suite + part, ("main",), signed_by) for uri, part in DEFAULT_MIRRORS]
    return list(dict.fromkeys(source.line() for source in chosen))


def apt_options() -> list[str]:
    """Proxies and other download settings of this machine's apt, in apt.conf syntax."""
    dump = ["apt-config", "dump", "--no-empty", "--format", '%f "%v"%n', "Acquire"]
    try:
        said = subprocess.run(dump, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in said.splitlines() if line.startswith(CARRIED_OPTIONS)]


def parse_list(text: str) -> Iterator[Source]:
    """``deb [options] uri suite component…`` lines."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line)
        if match:
            options = dict(part.split("=", 1) for part in (match[1] or "").split() if "=" in part)
            yield Source(match[2], match[3], tuple(match[4].split()), options.get("signed-by", ""))


def parse_deb822(text: str) -> Iterator[Source]:
    """Stanzas of ``Types:``, ``URIs:``, ``Suites:``, ``Components:``, ``Signed-By:``."""
    for stanza in re.split(r"\n\s*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#"))):
        fields = {name.lower(): value for name, value in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE)}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        signed_by = fields.get("signed-by", "").strip()
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Source(uri, suite, components, signed_by if signed_by.startswith("/") else "")


def _all(directory: Path) -> Iterable[Source]:
    for path in sorted([directory / "sources.list", *directory.glob("sources.list.d/*")]):
        if path.is_file() and path.suffix == ".list":
            yield from parse_list(path.read_text(errors="replace"))
        elif path.is_file() and path.suffix == ".sources":
            yield from parse_deb822(path.read_text(errors="replace"))


def _is_debian(source: Source, suite: str) -> bool:
    """Debian's own archive, not one of the many that use its suites' names beside it."""
    place = source.uri.rstrip("/").rsplit("/", 1)[-1]
    return (
        source.suite in (suite, f"{suite}-updates", f"{suite}-security")
        and "main" in source.components
        and place in ("debian", "debian-security")
        and "raspberrypi" not in source.uri
    )
