"""Bundles: their contents, their names, and that a crash or an unchanged tree costs nothing."""

from __future__ import annotations

import os
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from picluster import wheelhouse
from picluster.wheelhouse import Platform, WheelhouseError

METADATA = """\
Metadata-Version: 2.4
Name: picluster
Version: 0.1.0
Requires-Dist: aiohttp<4,>=3.12
Requires-Dist: tomli>=2; python_version < '3.11'
Provides-Extra: cli
Requires-Dist: click<9,>=8.1; extra == 'cli'
Requires-Dist: rich<16,>=13.9; extra == 'cli'
Requires-Dist: picluster[server]; extra == 'cli'
Provides-Extra: server
Requires-Dist: uvloop<1,>=0.21; extra == 'server'
"""


def a_wheel(path: Path, text: str = METADATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("picluster-0.1.0.dist-info/METADATA", text)
    return path


def a_checkout(root: Path) -> Path:
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "picluster/__init__.py",
        "agent/picluster_agent/__init__.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_a_node_gets_the_base_and_a_control_plane_its_extra_and_click(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path / "picluster-0.1.0-py3-none-any.whl")
    base = ["aiohttp<4,>=3.12", "tomli>=2; python_version < '3.11'"]
    assert wheelhouse.requirements(wheel, "node") == base
    assert wheelhouse.requirements(wheel, "server") == [base[0], "click<9,>=8.1", base[1], "uvloop<1,>=0.21"]


def test_platform_tags_end_at_the_boards_c_library() -> None:
    tags = Platform("aarch64", "3.11", "2.36").tags()
    assert tags[0] == "manylinux_2_36_aarch64" and tags[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]


@pytest.mark.parametrize("glibc", ["", "1.2", "2.x", "musl"])
def test_a_board_without_glibc_2_is_refused(glibc: str) -> None:
    with pytest.raises(WheelhouseError, match="is not a version 2"):
        Platform("aarch64", "3.11", glibc).tags()


def test_the_digest_follows_names_and_contents_of_sources_only(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    before = wheelhouse.source_digest(checkout)
    (checkout / "picluster" / "__pycache__").mkdir()
    (checkout / "picluster" / "__pycache__" / "x.pyc").write_text("x")
    (checkout / "docs").mkdir()
    (checkout / "docs" / "x.md").write_text("x")
    os.utime(checkout / "picluster" / "__init__.py", (1, 1))
    assert wheelhouse.source_digest(checkout) == before
    (checkout / "picluster" / "__init__.py").rename(checkout / "picluster" / "other.py")
    renamed = wheelhouse.source_digest(checkout)
    (checkout / "picluster" / "other.py").write_text("changed")
    assert len({before, renamed, wheelhouse.source_digest(checkout)}) == 3


def test_a_bundle_is_whole_or_not_there(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path / "a.whl")
    target = tmp_path / "bundle.tar"
    with pytest.raises(FileNotFoundError):
        wheelhouse.pack([wheel, tmp_path / "missing.whl"], target)
    assert not target.exists()
    wheelhouse.pack([wheel], target)
    with tarfile.open(target) as tar:
        [entry] = tar.getmembers()
    assert (entry.name, entry.uid, entry.mode) == ("a.whl", 0, 0o644)


def test_an_installed_distribution_makes_a_wheel_that_pip_would_take(tmp_path: Path) -> None:
    made = wheelhouse.installed_wheel(metadata.distribution("click"), tmp_path)
    with zipfile.ZipFile(made) as archive:
        names = set(archive.namelist())
        record = archive.read(next(name for name in names if name.endswith("/RECORD"))).decode()
    assert "click/__init__.py" in names
    assert not any(".." in name or name.endswith(("INSTALLER", ".pyc")) for name in names)
    assert {line.rpartition(",")[0].rpartition(",")[0] for line in record.splitlines()} == names


def test_an_unchanged_tree_is_not_built_again(tmp_path: Path) -> None:
    """The caches are filled as a build fills them, so that what is missing would have to come from the network."""
    checkout, cache = a_checkout(tmp_path / "checkout"), tmp_path / "cache"
    platform = Platform("aarch64", "3.11", "2.36")
    own = a_wheel(cache / "own" / wheelhouse.source_digest(checkout) / "picluster-0.1.0-py3-none-any.whl")
    wanted = wheelhouse.requirements(own, "node")
    digest = wheelhouse._digest([*wanted, platform.python, *platform.tags()])
    a_wheel(cache / "dependencies" / digest / "aiohttp.whl")

    bundle = wheelhouse.build("node", platform, cache, checkout)
    inode = bundle.path.stat().st_ino
    again = wheelhouse.build("node", platform, cache, checkout)

    assert again == bundle and bundle.digest in bundle.path.name and again.path.stat().st_ino == inode
    with tarfile.open(bundle.path) as tar:
        assert sorted(tar.getnames()) == ["aiohttp.whl", "picluster-0.1.0-py3-none-any.whl"]


def test_old_bundles_of_a_kind_go_and_others_stay(tmp_path: Path) -> None:
    for age_s in range(5):
        path = tmp_path / f"node-aarch64-py3.11-{age_s}.tar"
        path.touch()
        os.utime(path, (1000 - age_s, 1000 - age_s))
    other = tmp_path / "server-aarch64-py3.11-0.tar"
    other.touch()
    wheelhouse._forget_old(tmp_path, "node-aarch64-py3.11-")
    assert sorted(path.name for path in tmp_path.glob("node-*")) == [
        f"node-aarch64-py3.11-{age_s}.tar" for age_s in range(3)
    ]
    assert other.exists()


def test_what_cannot_be_had_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--role=node", "--arch=aarch64", "--python=3.11", "--glibc=none", f"--directory={tmp_path / 'cache'}"]
    checkout = a_checkout(tmp_path / "checkout")
    a_wheel(tmp_path / "cache" / "own" / wheelhouse.source_digest(checkout) / "picluster-0.1.0-py3-none-any.whl")
    assert wheelhouse.main([*arguments, f"--checkout={checkout}"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "glibc 'none'" in err
