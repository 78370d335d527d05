"""Images in archives: what ``podman save`` and ``docker save`` write, seen as a registry wants it.

Both kinds of archive are read. In an OCI archive manifests and layers are there as they go over the wire. A docker
archive has bare layers: those are compressed here, always to the same bytes, and a manifest is made for them. Formats:
https://github.com/opencontainers/image-spec/blob/main/image-layout.md and docker's ``image/spec/v1.2``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

DOCKER = "application/vnd.docker."
MANIFEST = f"{DOCKER}distribution.manifest.v2+json"
MANIFEST_LIST = f"{DOCKER}distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = f"{DOCKER}container.image.v1+json"
LAYER = f"{DOCKER}image.rootfs.diff.tar.gzip"
NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
COMPRESSION = 6
CHUNK_BYTES = 1 << 20
DOCUMENT_BYTES_MAX = 8 << 20
SAVE_TIMEOUT_S = 1800
GZIP_MAGIC = b"\x1f\x8b"
TARGET = re.compile(r"(?P<path>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?")


class ArchiveError(Exception):
    """The archive, or the image that was asked for, cannot be used; one sentence."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer or a configuration: ``path`` is the file that holds it."""

    digest: str
    size_bytes: int
    path: Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """``children`` come first when it is an index."""

    content: bytes
    media_type: str
    blobs: tuple[Blob, ...] = ()
    children: tuple[Manifest, ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def all_blobs(self) -> list[Blob]:
        """Each once, those of the children too."""
        found = {blob.digest: blob for child in self.children for blob in child.all_blobs}
        return list((found | {blob.digest: blob for blob in self.blobs}).values())


@dataclass(frozen=True, slots=True)
class Image:
    """An image of an archive, with the names that it has there."""

    names: tuple[str, ...]
    manifest: Manifest


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@contextmanager
def opened(source: str) -> Iterator[Path]:
    """The archive that ``source`` names: a file, or an image of the local Podman or Docker, saved for the while.

    Raises ``ArchiveError``.
    """
    if Path(source).is_file():
        yield Path(source)
        return
    if source.startswith(("/", "./", "../")) or source.endswith((".tar", ".tgz", ".tar.gz")):
        raise ArchiveError(f"{source} is no file; give a docker or OCI archive, as podman save makes it")
    with tempfile.TemporaryDirectory(prefix="picluster-image-") as directory:
        path = Path(directory, "image.tar")
        _save(source, path)
        yield path


def _save(name: str, path: Path) -> None:
    tools = [("podman", ["image", "exists"], ["--format", "oci-archive"]), ("docker", ["image", "inspect"], [])]
    here = [tool for tool in tools if shutil.which(tool[0])]
    for program, ask, options in here:
        if subprocess.run([program, *ask, name], capture_output=True, timeout=SAVE_TIMEOUT_S).returncode == 0:
            words = [program, "save", *options, "-o", str(path), name]
            done = subprocess.run(words, capture_output=True, text=True, timeout=SAVE_TIMEOUT_S)
            if done.returncode != 0:
                said = " ".join(done.stderr.split()) or "it said nothing"
                raise ArchiveError(f"{program} cannot save {name}: {said}")
            return
    where = " nor in ".join(tool[0].capitalize() for tool in here)
    raise ArchiveError(f"{name} is no file{f', and no image in {where} on this machine' if here else ''}")


@contextmanager
def images(archive: Path) -> Iterator[list[Image]]:
    """The images of ``archive``, unpacked into a private directory for the while. Raises ``ArchiveError``."""
    with tempfile.TemporaryDirectory(prefix="picluster-image-") as directory:
        place = Path(directory)
        try:
            with tarfile.open(archive) as tar:
                _unpack(tar, place)
            if (place / "index.json").is_file() and (place / "oci-layout").is_file():
                found = _of_layout(place)
            elif (place / "manifest.json").is_file():
                found = [_of_docker(place, entry) for entry in _document(place / "manifest.json")]
            else:
                raise ArchiveError(f"{archive} is neither a docker nor an OCI archive")
        except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveError(f"{archive} cannot be read: {' '.join(str(error).split())}") from error
        if not found:
            raise ArchiveError(f"{archive} has no image in it")
        yield found


def _unpack(tar: tarfile.TarFile, place: Path) -> None:
    """Files, directories and links, none of which may lead out of ``place``; whatever else there is, is left out."""
    for member in tar:
        path = _inside(place, member.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            path.mkdir(exist_ok=True)
        elif member.issym():
            path.symlink_to(_inside(path.parent, member.linkname, place))
        elif member.islnk():
            path.hardlink_to(_inside(place, member.linkname))
        elif (source := tar.extractfile(member)) is not None:
            with source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink, CHUNK_BYTES)


def _inside(start: Path, name: str, place: Path | None = None) -> Path:
    """Where ``name`` leads from ``start``; never out of ``place``, which is ``start`` if it is not said."""
    path = (start / name).resolve()
    if not path.is_relative_to((place or start).resolve()):
        raise ValueError(f"{name} leads out of it")
    return path


def _document(path: Path) -> Any:
    if path.stat().st_size > DOCUMENT_BYTES_MAX:
        raise ValueError(f"{path.name} is larger than {DOCUMENT_BYTES_MAX >> 20} MiB")
    return json.loads(path.read_bytes())


# -- OCI ---------------------------------------------------------------------------------------------------------------


def _of_layout(place: Path) -> list[Image]:
    by_digest: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    for entry in _document(place / "index.json").get("manifests") or ():
        notes = entry.get("annotations") or {}
        names = [notes[key] for key in NAMES if notes.get(key)]
        by_digest.setdefault(entry["digest"], []).extend(name for name in names[:1] if "/" in name or ":" in name)
        kinds[entry["digest"]] = entry.get("mediaType") or OCI_MANIFEST
    return [Image(tuple(names), _stored(place, digest, kinds[digest])) for digest, names in by_digest.items()]


def _stored(place: Path, digest: str, media_type: str) -> Manifest:
    path = _blob_path(place, digest)
    document = _document(path)
    content = path.read_bytes()
    media_type = document.get("mediaType") or media_type
    if media_type not in (OCI_INDEX, MANIFEST_LIST):
        blobs = [document["config"], *document["layers"]]
        return Manifest(content, media_type, tuple(_described(place, one) for one in blobs))
    there = [one for one in document["manifests"] if _blob_path(place, one["digest"]).is_file()]
    children = tuple(_stored(place, one["digest"], one["mediaType"]) for one in there)
    if len(there) < len(document["manifests"]):  # saved for some platforms only
        content = json.dumps({**document, "manifests": there}).encode()
    return children[0] if len(children) == 1 else Manifest(content, media_type, (), children)


def _described(place: Path, descriptor: Any) -> Blob:
    return Blob(str(descriptor["digest"]), int(descriptor["size"]), _blob_path(place, descriptor["digest"]))


def _blob_path(place: Path, digest: str) -> Path:
    algorithm, _, value = digest.partition(":")
    if not algorithm.isalnum() or not value.isalnum():
        raise ValueError(f"{digest!r} is no digest")
    return place / "blobs" / algorithm / value


# -- docker ------------------------------------------------------------------------------------------------------------


def _of_docker(place: Path, entry: Any) -> Image:
    config = _inside(place, entry["Config"])
    layers = [_layer(_inside(place, name)) for name in entry["Layers"]]
    config_blob = Blob(digest_of(config.read_bytes()), config.stat().st_size, config)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": config_blob.size_bytes, "digest": config_blob.digest},
        "layers": [{"mediaType": LAYER, "size": one.size_bytes, "digest": one.digest} for one in layers],
    }
    manifest = Manifest(json.dumps(document, indent=3).encode(), MANIFEST, (config_blob, *layers))
    return Image(tuple(entry.get("RepoTags") or ()), manifest)


def _layer(path: Path) -> Blob:
    """A layer as it travels: compressed, with no time in it, so that the same layer is the same blob each time."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    target = path if packed else path.with_name(f"{path.name}.gz")
    if not packed and not target.exists():
        with (
            path.open("rb") as source,
            target.open("wb") as sink,
            gzip.GzipFile("", "wb", COMPRESSION, sink, mtime=0) as compressed,
        ):
            shutil.copyfileobj(source, cast(IO[bytes], compressed), CHUNK_BYTES)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Blob(f"sha256:{digest}", target.stat().st_size, target)


# -- names -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """Where an image goes in a registry."""

    path: str
    tag: str

    @property
    def repositories(self) -> tuple[str, ...]:
        """One name, or two: what pods call ``app`` is looked for as ``library/app``."""
        if self.path.startswith("library/"):
            return self.path, self.path.removeprefix("library/")
        return (self.path,) if "/" in self.path else (self.path, f"library/{self.path}")


def target(name: str) -> Target:
    """The place for an image of that name, whatever registry it came from. Raises ``ArchiveError``."""
    first, slash, rest = name.partition("@")[0].partition("/")
    is_domain = slash and first[:1].isalnum() and ("." in first or ":" in first or first == "localhost")
    found = TARGET.fullmatch(rest if is_domain else name.partition("@")[0])
    if found is None:
        raise ArchiveError(f"{name!r} is no name for an image; write NAME:TAG, such as team/app:1")
    return Target(found["path"], found["tag"] or "latest")
