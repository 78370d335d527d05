from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from picluster.lab.images import IMAGES, archive, build_all

WEB = IMAGES["web"]


def test_an_archive_depends_on_its_content_alone() -> None:
    first = archive(WEB, b"busybox", ["sh", "httpd"], "amd64")
    assert archive(WEB, b"busybox", ["sh", "httpd"], "amd64") == first
    assert archive(WEB, b"newer", ["sh", "httpd"], "amd64") != first


def test_an_archive_is_what_podman_loads() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(WEB, b"busybox", ["sh", "httpd"], "arm64"))) as outer:
        members = {member.name: outer.extractfile(member).read() for member in outer}  # type: ignore[union-attr]
    (manifest,) = json.loads(members["manifest.json"])
    config = json.loads(members[manifest["Config"]])
    layer = members[manifest["Layers"][0]]
    assert manifest["RepoTags"] == ["localhost/picluster/web:1"]
    assert config["architecture"] == "arm64"
    assert config["config"]["Cmd"] == ["/bin/web"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as inner:
        assert inner.getmember("bin/sh").linkname == "busybox"
        assert inner.getmember("bin/web").mode == 0o755
        assert inner.getmember("tmp").mode == 0o1777


def test_images_are_made_once_and_old_ones_go(tmp_path: Path) -> None:
    old = tmp_path / "image-web-000000000000.tar"
    old.touch()
    made = build_all(tmp_path)
    assert set(made) == {"busybox", "web"}
    times = {path: path.stat().st_mtime_ns for path in made.values()}
    assert {path: path.stat().st_mtime_ns for path in build_all(tmp_path).values()} == times
    assert not old.exists()
