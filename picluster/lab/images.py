"""The lab's container images, made of Debian's static busybox: there is no registry to fetch any from.

``localhost/picluster/busybox:1`` is a shell and its tools. ``localhost/picluster/web:1`` is that with a web server on
port 8080 that serves its host's name, and ``/healthz`` for probes. Both are docker archives whose bytes depend on
nothing but what is in them, so an unchanged image keeps its id.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picluster.lab.layout import LabError
from picluster.lab.record import write_bytes_atomically

BUSYBOX_PLACES = ("/bin/busybox", "/usr/bin/busybox")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
CREATED = "1970-01-01T00:00:00Z"
LIST_TIMEOUT_S = 10
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# A shell that waits stays process 1, because the kernel ignores SIGTERM for a process 1 that has no handler for it.
WEB = """#!/bin/sh
mkdir -p /tmp/www
hostname > /tmp/www/index.html
echo ok > /tmp/www/healthz
trap 'kill $!; exit 0' TERM INT
httpd -f -p 8080 -h /tmp/www &
wait $!
"""


@dataclass(frozen=True, slots=True)
class Image:
    name: str
    command: tuple[str, ...]
    files: Mapping[str, str]
    """Executables beside busybox: path in the image to text."""


IMAGES = {
    "busybox": Image("localhost/picluster/busybox:1", ("sh",), {}),
    "web": Image("localhost/picluster/web:1", ("/bin/web",), {"bin/web": WEB}),
}


def build_all(cache: Path) -> dict[str, Path]:
    """Archives of all the images in ``cache``, by their keys; what is there already is not made again.

    Raises ``LabError`` when this machine has no static busybox.
    """
    busybox = _busybox()
    binary = busybox.read_bytes()
    applets = _applets(busybox)
    made = {}
    for key, image in IMAGES.items():
        recipe = repr((image.name, image.command, sorted(image.files.items()), applets)).encode()
        path = cache / f"image-{key}-{hashlib.sha256(recipe + binary).hexdigest()[:12]}.tar"
        if not path.is_file():
            write_bytes_atomically(path, archive(image, binary, applets, ARCHITECTURES[os.uname().machine]))
            for old in cache.glob(f"image-{key}-*.tar"):
                if old != path:
                    old.unlink()
        made[key] = path
    return made


def archive(image: Image, busybox: bytes, applets: Sequence[str], architecture: str) -> bytes:
    """A docker archive (``podman load`` reads it): one layer, a configuration, a manifest."""
    layer = _layer(image, busybox, applets)
    digest = hashlib.sha256(layer).hexdigest()
    config: dict[str, Any] = {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": {"Cmd": list(image.command), "Env": [PATH], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": CREATED, "created_by": "picluster"}],
    }
    encoded = json.dumps(config, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [image.name], "Layers": [f"{digest}.tar"]}]
    members = {f"{digest}.tar": layer, config_name: encoded, "manifest.json": json.dumps(manifest).encode()}
    return _tar([_file(name, content, 0o644) for name, content in members.items()])


def _layer(image: Image, busybox: bytes, applets: Sequence[str]) -> bytes:
    directories = [_entry(name, tarfile.DIRTYPE, 0o755) for name in ("bin", "etc", "proc", "sys", "dev", "root", "var")]
    directories.append(_entry("tmp", tarfile.DIRTYPE, 0o1777))
    passwd = [_file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n", 0o644)]
    links = [_link(f"bin/{applet}", "busybox") for applet in applets if f"bin/{applet}" not in image.files]
    own = [_file(path, text.encode(), 0o755) for path, text in sorted(image.files.items())]
    return _tar([*directories, *passwd, _file("bin/busybox", busybox, 0o755), *links, *own])


Member = tuple[tarfile.TarInfo, bytes]


def _tar(members: Sequence[Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    return info, b""


def _file(name: str, content: bytes, mode: int) -> Member:
    info, _ = _entry(name, tarfile.REGTYPE, mode)
    info.size = len(content)
    return info, content


def _link(name: str, target: str) -> Member:
    info, _ = _entry(name, tarfile.SYMTYPE, 0o777)
    info.linkname = target
    return info, b""


def _busybox() -> Path:
    for place in map(Path, BUSYBOX_PLACES):
        if place.is_file() and b"\x00/lib64/ld-linux" not in place.read_bytes()[:4096]:
            return place
    raise LabError("a static busybox is missing, of which the lab's images are made; apt-get install busybox-static")


def _applets(busybox: Path) -> list[str]:
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, timeout=LIST_TIMEOUT_S, check=True)
    return sorted(name for name in listed.stdout.split() if name != "busybox")
