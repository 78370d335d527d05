"""Images in archives: which parts go to a registry, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from picluster.imagearchive import OCI_INDEX, OCI_MANIFEST, ArchiveError, images, target


@pytest.mark.parametrize(
    ("name", "repositories", "tag"),
    [
        ("app", ("app", "library/app"), "latest"),
        ("localhost/app:1", ("app", "library/app"), "1"),
        ("docker.io/library/nginx:1.27", ("library/nginx", "nginx"), "1.27"),
        ("quay.io/team/app:v1", ("team/app",), "v1"),
        ("registry.internal:5000/team/app", ("team/app",), "latest"),
        (f"team/app:1@sha256:{'0' * 64}", ("team/app",), "1"),
    ],
)
def test_where_an_image_goes(name: str, repositories: tuple[str, ...], tag: str) -> None:
    place = target(name)
    assert (place.repositories, place.tag) == (repositories, tag)


@pytest.mark.parametrize("name", ["", "App", "app:", "a b", "../app", "localhost/"])
def test_no_place(name: str) -> None:
    with pytest.raises(ArchiveError, match="is no name for an image"):
        target(name)


def archive(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for name, where in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, where
            tar.addfile(entry)
    return path


def blob(files: dict[str, bytes], content: bytes) -> dict[str, Any]:
    value = hashlib.sha256(content).hexdigest()
    files[f"blobs/sha256/{value}"] = content
    return {"digest": f"sha256:{value}", "size": len(content)}


def test_a_docker_archives_layers_are_compressed_and_may_be_links(tmp_path: Path) -> None:
    manifest = [{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]
    files = {"c.json": b"{}", "one/layer.tar": b"layer" * 100, "manifest.json": json.dumps(manifest).encode()}
    with images(archive(tmp_path / "a.tar", files, {"two/layer.tar": "../one/layer.tar"})) as found:
        (image,) = found
        assert image.names == ("app:1",)
        layers = json.loads(image.manifest.content)["layers"]
        assert layers[0] == layers[1] and len(image.manifest.all_blobs) == 2
        sent = next(one for one in image.manifest.all_blobs if one.digest == layers[0]["digest"])
        assert gzip.decompress(sent.path.read_bytes()) == b"layer" * 100
        assert sent.size_bytes == layers[0]["size"] == sent.path.stat().st_size
        place = sent.path
    assert not place.exists()


def test_an_index_saved_for_one_platform_is_that_platforms_manifest(tmp_path: Path) -> None:
    files: dict[str, bytes] = {"oci-layout": b"{}"}
    config, layer = blob(files, b"{}"), blob(files, b"packed")
    here = blob(files, json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode())
    other = {"digest": f"sha256:{'0' * 64}", "size": 3, "mediaType": OCI_MANIFEST}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{**here, "mediaType": OCI_MANIFEST}, other]}
    notes = {"org.opencontainers.image.ref.name": "quay.io/app:1"}
    top = {**blob(files, json.dumps(index).encode()), "mediaType": OCI_INDEX, "annotations": notes}
    files["index.json"] = json.dumps({"manifests": [top]}).encode()
    with images(archive(tmp_path / "a.tar", files)) as (image,):
        assert image.names == ("quay.io/app:1",)
        assert image.manifest.digest == here["digest"] and image.manifest.media_type == OCI_MANIFEST
        assert {one.digest for one in image.manifest.all_blobs} == {config["digest"], layer["digest"]}


@pytest.mark.parametrize(
    ("files", "links", "said"),
    [
        ({"../out": b"x"}, {}, "leads out of it"),
        ({"/out": b"x"}, {}, "leads out of it"),
        ({}, {"a": "../../out"}, "leads out of it"),
        ({"manifest.json": b"[{}]"}, {}, "cannot be read"),
        ({"manifest.json": b"[]"}, {}, "has no image in it"),
        ({"manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'}, {}, "leads out of it"),
        ({"index.json": b'{"manifests": [{"digest": "sha256:../x"}]}', "oci-layout": b""}, {}, "is no digest"),
        ({"hello": b"x"}, {}, "neither a docker nor an OCI archive"),
    ],
)
def test_bad_archives_are_refused(tmp_path: Path, files: dict[str, bytes], links: dict[str, str], said: str) -> None:
    with pytest.raises(ArchiveError, match=said), images(archive(tmp_path / "a.tar", files, links)):
        pass
    assert not (tmp_path.parent / "out").exists()
