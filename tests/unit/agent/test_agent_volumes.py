"""Volumes: files that change together, their contents, host paths, sub-paths."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picluster_agent import kernel
from picluster_agent.podman.env import ConfigError, NodeFacts, Sources
from picluster_agent.volumes import (
    atomic,
    claims,
    emptydir,
    hostpath,
    manager,
    mounts,
    ownership,
    payload,
    persistent,
    removal,
    subpath,
)
from picluster_agent.volumes.atomic import File
from picluster_agent.volumes.layout import Place

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
            "configmap references non-existent config key: no",
        ),
        (
            {"secret": {"secretName": "sec", "items": [{"key": "no", "path": "p"}]}},
            "references non-existent secret key: no",
        ),
        ({"hostPath": {"path": "/dev/null", "type": "Directory"}}, "hostPath type check failed: /dev/null is not a"),
        (
            {"projected": {"sources": [{"clusterTrustBundle": {"path": "p"}}]}},
            "projected volume source clusterTrustBundle is not supported by this node",
        ),
    ],
)
def test_what_cannot_be_set_up_is_named(tmp_path: Path, volume: dict[str, Any], message: str) -> None:
    with pytest.raises(manager.VolumeError, match=f'MountVolume.SetUp failed for volume "v" : {message}'):
        set_up(tmp_path, {"name": "v", **volume})
    assert not (tmp_path / "volumes").exists()


def pod_of(tmp_path: Path, *volumes: dict[str, Any], sources: Sources = SOURCES, **fields: Any) -> manager.Pod:
    obj = {**POD, "spec": {**POD["spec"], "volumes": list(volumes), **fields}}
    return manager.Pod(tmp_path / "volumes", tmp_path / "plugins", obj, sources, NODE, {})


def set_up(tmp_path: Path, *volumes: dict[str, Any], **fields: Any) -> dict[str, Path]:
    places = manager.set_up(pod_of(tmp_path, *volumes, **fields), [claims.direct(volume) for volume in volumes])
    return {name: place.path for name, place in places.items()}


def test_an_empty_dir_keeps_what_the_pod_wrote(tmp_path: Path) -> None:
    volume = {"name": "v", "emptyDir": {}}
    place = set_up(tmp_path, volume)["v"]
    assert place == tmp_path / "volumes" / "kubernetes.io~empty-dir" / "v"
    assert stat.S_IMODE(place.stat().st_mode) == 0o777
    (place / "data").write_text("kept")
    assert (set_up(tmp_path, volume)["v"] / "data").read_text() == "kept"


@pytest.mark.parametrize(
    ("source", "limit", "expected"),
    [
        ({}, None, 4 << 30),
        ({"sizeLimit": "1Mi"}, None, 1 << 20),
        ({}, "64Mi", 64 << 20),
        ({"sizeLimit": "1Gi"}, "64Mi", 64 << 20),
        ({"sizeLimit": "0"}, None, 4 << 30),
    ],
)
def test_memory_is_bounded_by_volume_pod_and_node(source: dict[str, Any], limit: str | None, expected: int) -> None:
    """KEP-1967."""
    limits = {"limits": {"memory": limit}} if limit else {}
    pod = {"metadata": {}, "spec": {"containers": [{"name": "web", "resources": limits}]}}
    assert emptydir.memory_bytes(source, pod, NodeFacts("pi-1", "10.0.0.1", {"memory": "4Gi"})) == expected


@pytest.mark.parametrize(
    ("medium", "requests", "expected"),
    [
        ("HugePages-2Mi", {}, "2M"),
        ("HugePages", {"hugepages-1Gi": "1Gi"}, "1G"),
        ("HugePages", {}, None),
        ("HugePages", {"hugepages-1Gi": "1Gi", "hugepages-2Mi": "2Mi"}, None),
    ],
)
def test_huge_pages_of_one_size(medium: str, requests: dict[str, str], expected: str | None) -> None:
    pod = {"spec": {"containers": [{"name": "web", "resources": {"requests": requests}}]}}
    if expected is None:
        with pytest.raises(ConfigError):
            emptydir.page_size(medium, pod)
    else:
        assert emptydir.page_size(medium, pod) == expected


def test_a_refresh_changes_what_comes_from_objects_and_nothing_else(tmp_path: Path) -> None:
    volumes = [
        {"name": "c", "configMap": {"name": "cfg"}},
        {"name": "e", "emptyDir": {}},
        {"name": "late", "configMap": {"name": "none"}},
    ]
    places = set_up(tmp_path, *volumes[:2])
    (places["e"] / "data").write_text("kept")
    changed = Sources({"cfg": {"data": {"a.conf": "new"}}})
    assert manager.refresh(pod_of(tmp_path, *volumes, sources=changed)) == []
    assert visible(places["c"]) == {"a.conf": b"new"}
    assert (places["e"] / "data").read_text() == "kept"
    assert not (tmp_path / "volumes" / "kubernetes.io~configmap" / "late").exists()
    [error] = manager.refresh(pod_of(tmp_path, *volumes, sources=Sources({"cfg": None})))
    assert str(error) == 'MountVolume.SetUp failed for volume "c" : configmap "cfg" not found'
    assert visible(places["c"]) == {"a.conf": b"new"}, "what is missing leaves what was there"


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
        assert hostpath.set_up(path, kind).exists()
        return
    with pytest.raises(ConfigError, match=message):
        hostpath.set_up(path, kind)


def opened(volume: Path, inner: str) -> Path:
    descriptor = subpath.open_inside(volume, inner)
    try:
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    finally:
        os.close(descriptor)


def test_sub_paths_stay_inside_their_volume(tmp_path: Path) -> None:
    volume = tmp_path / "v"
    volume.mkdir()
    volume.chmod(0o2775)
    (tmp_path / "secret").write_text("s")
    atomic.write(volume, {"a": File(b"1"), "d/e": File(b"2")})
    for name, target in (("out", tmp_path), ("up", "../secret"), ("dangling", "../none"), ("in", "d")):
        (volume / name).symlink_to(target)
    assert opened(volume, "a").read_bytes() == b"1"
    assert opened(volume, "in/e").read_bytes() == b"2"
    made = opened(volume, "made/./here")
    assert made == volume / "made" / "here" and stat.S_IMODE(made.stat().st_mode) == 0o2775
    for inner in ("../secret", "/etc", "out/secret", "out/new/dir", "up", "dangling", "a/b"):
        with pytest.raises(subpath.SubPathError):
            opened(volume, inner)
    assert not (tmp_path / "new").exists() and not (tmp_path / "none").exists()


def test_a_link_swapped_at_any_moment_leads_nowhere(tmp_path: Path) -> None:
    """CVE-2017-1002101 and CVE-2021-25741: a container swaps a directory for a link between the check and the mount."""
    volume, outside = tmp_path / "v", tmp_path / "outside"
    (volume / "real" / "x").mkdir(parents=True)
    (outside / "x").mkdir(parents=True)
    (volume / "link").symlink_to(outside)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for target in ("real", outside):
                (volume / "fresh").symlink_to(target)
                (volume / "fresh").rename(volume / "link")

    thread = threading.Thread(target=swap)
    thread.start()
    inside = 0
    try:
        for number in range(2000):
            with contextlib.suppress(subpath.SubPathError):
                assert opened(volume, f"link/x/{number}").is_relative_to(volume)
                inside += 1
    finally:
        over.set()
        thread.join()
    assert inside and list((outside / "x").iterdir()) == []


PLACES = {"v": Place(Path("/v")), "r": Place(Path("/r"), read_only=True)}


def wanted(*entries: dict[str, Any], recursive_works: bool = True, **env: str) -> list[mounts.Wanted]:
    return mounts.wanted({"name": "web", "volumeMounts": list(entries)}, PLACES, env, recursive_works=recursive_works)


def test_what_a_container_mounts() -> None:
    listed = wanted(
        {"name": "v", "mountPath": "/a/b", "readOnly": True},
        {"name": "v", "mountPath": "/a", "mountPropagation": "HostToContainer"},
        {"name": "v", "mountPath": "/s", "subPathExpr": "$(POD)/x$$(POD)"},
        {"name": "r", "mountPath": "/r", "recursiveReadOnly": "IfPossible"},
        {"name": "r", "mountPath": "/w", "subPath": "p"},
        POD="web-1",
    )
    assert [(one.read_only, one.recursive, one.propagation, one.inner) for one in listed] == [
        (True, False, "rprivate", ""),
        (False, False, "rslave", ""),
        (False, False, "rprivate", "web-1/x$(POD)"),
        (True, True, "rprivate", ""),
        (True, False, "rprivate", "p"),
    ]
    mount = {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": "IfPossible"}
    assert not wanted(mount, recursive_works=False)[0].recursive


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "x"}, 'cannot find volume "x" to mount into container "web"'),
        ({"name": "v", "subPathExpr": "$(NONE)/$(EMPTY)"}, "missing value for EMPTY, NONE"),
        ({"name": "v", "subPathExpr": "$(ABSOLUTE)"}, 'error SubPath "/etc" must not be an absolute path'),
        ({"name": "v", "subPathExpr": "$(UP)/x"}, "unable to provision SubPath \"../x\": must not contain '..'"),
        (
            {"name": "v", "readOnly": True, "recursiveReadOnly": "Enabled"},
            'volume mount "v": recursive read-only mounts are not supported by this node',
        ),
    ],
)
def test_mounts_that_cannot_be(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        wanted({"mountPath": "/m", **entry}, recursive_works=False, EMPTY="", ABSOLUTE="/etc", UP="..")


def test_statuses_say_what_was_made_of_each_mount() -> None:
    """KEP-3857."""
    entries = [
        {"name": "a", "mountPath": "/a"},
        {"name": "b", "mountPath": "/b", "readOnly": True},
        {"name": "c", "mountPath": "/c", "readOnly": True, "recursiveReadOnly": "IfPossible"},
    ]
    said = mounts.statuses({"volumeMounts": entries}, recursive_works=True)
    assert [one.get("recursiveReadOnly") for one in said] == [None, "Disabled", "Enabled"]
    said = mounts.statuses({"volumeMounts": entries}, recursive_works=False)
    assert [one.get("recursiveReadOnly") for one in said] == [None, "Disabled", "Disabled"]


@pytest.mark.parametrize(
    ("release", "works"), [("6.1.0-13-arm64", True), ("5.12.1", True), ("5.10.0", False), ("x", False)]
)
def test_which_kernels_make_trees_read_only(release: str, works: bool) -> None:
    assert mounts.recursive_works(release) is works


def test_a_tree_is_removed_however_deep_it_is(tmp_path: Path) -> None:
    deep = tmp_path / "t"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("a" * 200, dir_fd=here)
        below = os.open("a" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    (deep / "link").symlink_to(tmp_path)
    (tmp_path / "kept").touch()
    removal.remove_tree(deep)
    removal.remove_tree(deep)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting is for root")
def test_nothing_is_deleted_through_a_mount(tmp_path: Path) -> None:
    """Also not through a bind mount within one file system, which looks like any directory."""
    data, pod = tmp_path / "data", tmp_path / "pod"
    volume = pod / "volumes" / "kubernetes.io~local-volume" / "pv"
    for directory in (data / "sub", volume, pod / "volumes" / "kubernetes.io~empty-dir" / "e" / "mnt"):
        directory.mkdir(parents=True)
    (data / "sub" / "precious").write_text("x")
    late = pod / "volumes" / "kubernetes.io~empty-dir" / "e" / "mnt"
    for target in (volume, late):
        kernel.mount(str(data), target, "none", kernel.MS_BIND)
    try:
        with pytest.raises(removal.StillMounted):
            removal.remove_tree(pod)
        assert (data / "sub" / "precious").exists()
        removal.tear_down(pod)
        removal.tear_down(pod)
        assert (data / "sub" / "precious").exists()
        assert not (pod / "volumes").exists()
        left = pod / "volumes" / "kubernetes.io~local-volume" / "pv"
        left.mkdir(parents=True)
        (left / "written-while-not-mounted").touch()
        with pytest.raises(OSError, match="not empty"):
            removal.tear_down(pod)
    finally:
        for point in kernel.mount_points(tmp_path):
            kernel.unmount(point)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting is for root")
def test_mounts_on_top_of_each_other_go_and_those_elsewhere_stay(tmp_path: Path) -> None:
    shared, copy = tmp_path / "shared", tmp_path / "copy"
    for directory in (shared, copy):
        directory.mkdir()
    try:
        kernel.mount("tmpfs", shared, "tmpfs")
        kernel.mount("none", shared, "none", kernel.MS_SHARED)
        (shared / "inner").mkdir()
        kernel.mount(str(shared), copy, "none", kernel.MS_BIND)
        kernel.mount("tmpfs", shared / "inner", "tmpfs")
        assert kernel.is_mount(copy / "inner"), "what is mounted in one is seen in the other"
        kernel.mount("tmpfs", copy, "tmpfs")
        (copy / "inner").mkdir()
        kernel.unmount_tree(copy)
        assert kernel.mount_points(copy) == []
        assert kernel.is_mount(shared) and kernel.is_mount(shared / "inner")
    finally:
        for point in kernel.mount_points(tmp_path):
            kernel.unmount(point)


@pytest.mark.skipif(os.geteuid() != 0, reason="changing owners is for root")
def test_a_group_owns_a_volume(tmp_path: Path) -> None:
    inner = tmp_path / "v" / "d"
    inner.mkdir(parents=True)
    (inner / "f").touch(mode=0o600)
    (inner / "l").symlink_to(tmp_path)
    ownership.apply(tmp_path / "v", 1234)
    assert (inner.stat().st_gid, stat.S_IMODE(inner.stat().st_mode) & 0o2770) == (1234, 0o2770)
    assert ((inner / "f").stat().st_gid, stat.S_IMODE((inner / "f").stat().st_mode)) == (1234, 0o660)
    assert (inner / "l").lstat().st_gid == 1234 and tmp_path.stat().st_gid != 1234
    os.chown(inner / "f", -1, 0)
    ownership.apply(tmp_path / "v", 1234, only_mismatch=True)
    assert (inner / "f").stat().st_gid == 0, "the root is right, so nothing is looked at"
    ownership.apply(tmp_path / "v", 1234)
    assert (inner / "f").stat().st_gid == 1234
    files = {"plain": File(b"1", 0o400)}
    atomic.write(tmp_path / "v", files, gid=4321)
    assert stat.S_IMODE((tmp_path / "v" / "plain").stat().st_mode) == 0o440
    assert (tmp_path / "v" / "..data" / ".").stat().st_mode & stat.S_ISGID


def claim(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "c", "namespace": "shop", "uid": "cu", **spec.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}, **spec}


def volume_of(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "pv"}, "spec": {"claimRef": {"uid": "cu"}, "local": {"path": "/d"}, **spec}}


VOLUME = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
MOUNTING = {**POD, "spec": {"containers": [{"name": "web", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}}


@pytest.mark.parametrize(
    ("claim", "persistent", "volume", "message"),
    [
        (claim(metadata={"deletionTimestamp": "now"}), volume_of(), VOLUME, "PVC is being deleted"),
        (claim(status={"phase": "Pending"}), volume_of(), VOLUME, "PVC is not bound"),
        (claim(spec={}), volume_of(), VOLUME, "PVC has empty pvc.Spec.VolumeName"),
        (claim(), volume_of(claimRef=None), VOLUME, "found PV object pv with nil spec.claimRef"),
        (claim(), volume_of(claimRef={"uid": "other"}), VOLUME, "found PV object pv with a spec.claimRef.uid other"),
        (
            claim(),
            volume_of(volumeMode="Block"),
            VOLUME,
            "volume v has volumeMode Block, but is specified in volumeMounts",
        ),
        (claim(), volume_of(local=None, iscsi={}), VOLUME, "no volume plugin matched"),
        (claim(), volume_of(), {"name": "v", "ephemeral": {}}, "PVC shop/c was not created for pod shop/web"),
    ],
)
def test_claims_that_cannot_be_used(
    claim: dict[str, Any], persistent: dict[str, Any], volume: dict[str, Any], message: str
) -> None:
    with pytest.raises(claims.ClaimError, match=re.escape(message)):
        claims.check_claim(volume, MOUNTING, claim)
        claims.bound(volume, MOUNTING, claim, persistent)


def test_a_claim_leads_to_its_volume() -> None:
    asked = {"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}
    assert claims.claim_name(asked, MOUNTING) == "c"
    assert claims.claim_name({"name": "v", "ephemeral": {}}, MOUNTING) == "web-v"
    owner = {"controller": True, "uid": "u"}
    assert (
        claims.check_claim({"name": "v", "ephemeral": {}}, MOUNTING, claim(metadata={"ownerReferences": [owner]}))
        == "pv"
    )
    found = claims.bound(
        asked, MOUNTING, claim(), volume_of(accessModes=["ReadWriteOncePod"], mountOptions=["noatime"])
    )
    assert (found.kind, found.spec_name, found.claim, found.read_only) == ("local", "pv", "c", True)
    assert claims.for_one_pod(found) and claims.takes_fs_group(found) and found.mount_options == ("noatime",)


@pytest.mark.parametrize(
    ("terms", "fits"),
    [
        (None, True),
        ([], False),
        ([{}], False),
        ([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}], True),
        ([{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}], False),
        (
            [{"matchExpressions": [{"key": "no", "operator": "DoesNotExist"}, {"key": "zone", "operator": "Exists"}]}],
            True,
        ),
        ([{"matchExpressions": [{"key": "disks", "operator": "Gt", "values": ["2"]}]}], True),
        ([{"matchExpressions": [{"key": "disks", "operator": "Lt", "values": ["2"]}]}, {}], False),
        ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["pi-1"]}]}], True),
    ],
)
def test_where_a_volume_can_be_had(terms: list[dict[str, Any]] | None, fits: bool) -> None:
    affinity = {} if terms is None else {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
    labels = {"zone": "a", "disks": "3"}
    if fits:
        claims.check_node(volume_of(**affinity), labels, "pi-1")
        return
    with pytest.raises(ConfigError, match="no matching NodeSelectorTerms"):
        claims.check_node(volume_of(**affinity), labels, "pi-1")


@pytest.mark.parametrize(
    ("source", "options", "read_only", "words"),
    [
        ({"server": "nas", "path": "/x"}, (), False, ["nas:/x"]),
        (
            {"server": "fd00::1", "path": "/x"},
            ("nfsvers=4.2", "hard"),
            True,
            ["-o", "ro,nfsvers=4.2,hard", "[fd00::1]:/x"],
        ),
    ],
)
def test_how_nfs_is_mounted(
    source: dict[str, Any], options: tuple[str, ...], read_only: bool, words: list[str]
) -> None:
    volume = claims.Volume("v", "nfs", source, "pv", read_only=read_only, mount_options=options)
    assert persistent.nfs_command(volume, Path("/p")) == ["mount", "-t", "nfs", *words, "/p"]


def test_a_share_that_cannot_be_mounted_says_what_mount_said(tmp_path: Path) -> None:
    volume = {"name": "v", "nfs": {"server": "127.0.0.1", "path": "/none"}}
    with pytest.raises(manager.VolumeError) as raised:
        set_up(tmp_path, volume)
    assert str(raised.value).startswith('MountVolume.SetUp failed for volume "v" : mount failed: exit status ')
    assert "Mounting arguments: -t nfs 127.0.0.1:/none " in str(raised.value)
