"""Volumes: files that change together, their contents, host paths, sub-paths."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picluster_agent.podman.env import ConfigError, NodeFacts, Sources
from picluster_agent.volumes import atomic, manager, payload
from picluster_agent.volumes.atomic import File

NODE = NodeFacts("pi-1", "10.0.0.1", {"cpu": "4"})
POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u", "labels": {"a": "b"}},
    "spec": {"containers": [{"name": "web", "resources": {"limits": {"memory": "64Mi"}}}]},
}
SOURCES = Sources(
    {"cfg": {"data": {"a.conf": "1", "b.conf": "2"}}, "none": None},
    {"sec": {"data": {"key": base64.b64encode(b"hush").decode()}}},
)


def visible(directory: Path) -> dict[str, bytes]:
    names = [entry for entry in directory.iterdir() if not entry.name.startswith("..")]
    files = [file for entry in names for file in ([entry] if entry.is_file() else entry.rglob("*")) if file.is_file()]
    return {str(file.relative_to(directory)): file.read_bytes() for file in files}


def test_files_appear_through_one_link(tmp_path: Path) -> None:
    assert atomic.write(tmp_path, {"a": File(b"1", 0o600), "d/b": File(b"2")})
    assert visible(tmp_path) == {"a": b"1", "d/b": b"2"}
    assert str((tmp_path / "a").readlink()) == "..data/a"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    before = str((tmp_path / "..data").readlink())
    assert not atomic.write(tmp_path, {"a": File(b"1", 0o600), "d/b": File(b"2")})
    assert str((tmp_path / "..data").readlink()) == before
    assert atomic.write(tmp_path, {"a": File(b"3")})
    assert visible(tmp_path) == {"a": b"3"}
    assert len([entry for entry in tmp_path.iterdir() if entry.name.startswith("..2")]) == 1


def test_a_reader_of_the_old_version_is_not_disturbed(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1"), "b": File(b"1")})
    with (tmp_path / "a").open("rb") as held:
        atomic.write(tmp_path, {"a": File(b"2"), "b": File(b"2")})
        assert held.read() == b"1"
    assert visible(tmp_path) == {"a": b"2", "b": b"2"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "..data"])
def test_a_file_outside_its_volume_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="inside its volume"):
        atomic.write(tmp_path, {path: File(b"")})


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    atomic.write(tmp_path, {"a": File(b"1")})
    (tmp_path / "..2020_half").mkdir()
    (tmp_path / "..data_tmp").symlink_to("..2020_half")
    atomic.write(tmp_path, {"a": File(b"2")})
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith("..")) == [
        str((tmp_path / "..data").readlink()),
        "..data",
    ]


NAMES = st.sampled_from(("a", "b", "dir/c", "dir/d", "e/f/g"))


@given(st.lists(st.dictionaries(NAMES, st.binary(max_size=4)), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_any_sequence_of_writes_ends_with_the_last(tmp_path: Path, versions: list[dict[str, bytes]]) -> None:
    for version in versions:
        atomic.write(tmp_path, {path: File(data) for path, data in version.items()})
        assert visible(tmp_path) == version


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "cfg"}}, {"a.conf": File(b"1"), "b.conf": File(b"2")}),
        (
            {"configMap": {"name": "cfg", "defaultMode": 0o400}},
            {"a.conf": File(b"1", 0o400), "b.conf": File(b"2", 0o400)},
        ),
        (
            {"configMap": {"name": "cfg", "items": [{"key": "a.conf", "path": "x/y", "mode": 0o600}]}},
            {"x/y": File(b"1", 0o600)},
        ),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"configMap": {"name": "cfg", "optional": True, "items": [{"key": "no", "path": "p"}]}}, {}),
        ({"secret": {"secretName": "sec"}}, {"key": File(b"hush")}),
        (
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"labels": File(b'a="b"')},
        ),
        (
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "mem",
                            "resourceFieldRef": {"containerName": "web", "resource": "limits.memory", "divisor": "1Mi"},
                        }
                    ]
                }
            },
            {"mem": File(b"64")},
        ),
        (
            {
                "projected": {
                    "defaultMode": 0o440,
                    "sources": [
                        {"configMap": {"name": "cfg", "items": [{"key": "a.conf", "path": "a"}]}},
                        {"secret": {"name": "sec"}},
                        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    ],
                }
            },
            {"a": File(b"1", 0o440), "key": File(b"hush", 0o440), "name": File(b"web", 0o440)},
        ),
    ],
)
def test_contents(volume: dict[str, Any], files: dict[str, File]) -> None:
    assert payload.volume_payload(volume, POD, SOURCES, NODE, "") == files


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        (
            {"configMap": {"name": "cfg", "items": [{"key": "no", "path": "p"}]}},
            "configmap shop/cfg references non-existent config key: no",
        ),
        ({"persistentVolumeClaim": {"claimName": "c"}}, "volumes of type persistentVolumeClaim are not served"),
    ],
)
def test_what_cannot_be_set_up_is_named(tmp_path: Path, volume: dict[str, Any], message: str) -> None:
    pod = {**POD, "spec": {**POD["spec"], "volumes": [{"name": "v", **volume}]}}
    with pytest.raises(manager.VolumeError, match=f'MountVolume.SetUp failed for volume "v" : {message}'):
        manager.set_up(tmp_path, pod, SOURCES, NODE)


def test_an_empty_dir_keeps_what_the_pod_wrote(tmp_path: Path) -> None:
    pod = {**POD, "spec": {**POD["spec"], "volumes": [{"name": "v", "emptyDir": {}}]}}
    place = manager.set_up(tmp_path, pod, SOURCES, NODE)["v"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o777
    (place / "data").write_text("kept")
    assert (manager.set_up(tmp_path, pod, SOURCES, NODE)["v"] / "data").read_text() == "kept"


def test_a_refresh_changes_what_comes_from_objects_and_nothing_else(tmp_path: Path) -> None:
    volumes = [
        {"name": "c", "configMap": {"name": "cfg"}},
        {"name": "e", "emptyDir": {}},
        {"name": "late", "configMap": {"name": "none"}},
    ]
    pod = {**POD, "spec": {**POD["spec"], "volumes": volumes[:2]}}
    places = manager.set_up(tmp_path, pod, SOURCES, NODE)
    (places["e"] / "data").write_text("kept")
    changed = Sources({"cfg": {"data": {"a.conf": "new"}}})
    manager.refresh(tmp_path, {**POD, "spec": {**POD["spec"], "volumes": volumes}}, changed, NODE)
    assert visible(places["c"]) == {"a.conf": b"new"}
    assert (places["e"] / "data").read_text() == "kept"
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize(
    ("kind", "exists", "message"),
    [
        ("", None, None),
        ("DirectoryOrCreate", None, None),
        ("FileOrCreate", None, None),
        ("Directory", "dir", None),
        ("File", "file", None),
        ("Directory", "file", "is not a directory"),
        ("Directory", None, "is not a directory"),
        ("File", "dir", "is not a file"),
        ("Socket", "file", "is not a socket file"),
        ("CharDevice", "file", "is not a character device"),
        ("BlockDevice", "file", "is not a block device"),
    ],
)
def test_host_path_types(tmp_path: Path, kind: str, exists: str | None, message: str | None) -> None:
    path = tmp_path / "host"
    if exists == "dir":
        path.mkdir()
    elif exists == "file":
        path.touch()
    if message is None:
        assert manager.host_path(path, kind).exists()
        return
    with pytest.raises(ConfigError, match=message):
        manager.host_path(path, kind)


def test_sub_paths_stay_inside_their_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    (tmp_path / "secret").write_text("s")
    atomic.write(volume, {"a": File(b"1")})
    (volume / "out").symlink_to(tmp_path)
    assert manager.sub_path(volume, "a").read_bytes() == b"1"
    assert manager.sub_path(volume, "made/here").is_dir()
    for inner in ("../secret", "/etc", "out/secret"):
        with pytest.raises(ConfigError):
            manager.sub_path(volume, inner)


def test_mounts_come_parents_first(tmp_path: Path) -> None:
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/a/b/c", "readOnly": True},
            {"name": "v", "mountPath": "/a", "mountPropagation": "HostToContainer"},
            {"name": "v", "mountPath": "/s", "subPathExpr": "$(POD)/x"},
        ]
    }
    listed = manager.mounts(container, {"v": tmp_path}, {"POD": "web-1"})
    assert [(mount.target, mount.read_only, mount.propagation) for mount in listed] == [
        ("/a", False, "rslave"),
        ("/s", False, "rprivate"),
        ("/a/b/c", True, "rprivate"),
    ]
    assert listed[1].source == tmp_path / "web-1" / "x"
    with pytest.raises(ConfigError, match='no volume with name "x" found'):
        manager.mounts({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, {}, {})
