"""Volumes on a real node: what containers see, how soon they see changes, and what is left of it all."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pod_volumes import (
    FOLLOWS_S,
    absent,
    at,
    bound,
    claims,
    command,
    loop_device,
    none_below,
    pod_dir,
    present,
    ready,
    says,
    sh,
)

from picluster.api.resources import CONFIGMAPS, PODS, SECRETS
from picluster.client import PatchType
from picluster_agent import kernel

pytestmark = [pytest.mark.lab]

PLUGINS = "kubernetes.io~"


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


async def change(node: Any, resource: Any, name: str, **patch: Any) -> None:
    await node.client.patch(resource, name, patch, namespace="default", kind=PatchType.MERGE)


async def test_volumes_follow_their_objects_at_once(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-storage] ConfigMap, Secrets, Projected …: optional updates should be reflected in volume; updates labels."""
    node, client = shared_node, shared_node.client
    await client.create(CONFIGMAPS, config("upd", a="1"))
    await client.create(CONFIGMAPS, config("del", a="1"))
    await client.create(CONFIGMAPS, {**config("fixed", a="1"), "immutable": True})
    sources = [
        {"secret": {"name": "new", "optional": True, "items": [{"key": "k", "path": "sub/k", "mode": 0o400}]}},
        {"configMap": {"name": "upd", "items": [{"key": "a", "path": "upd"}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    volumes = [
        {"name": "upd", "configMap": {"name": "upd", "optional": True}},
        {"name": "del", "configMap": {"name": "del", "optional": True}},
        {"name": "fixed", "configMap": {"name": "fixed"}},
        {"name": "all", "projected": {"sources": sources, "defaultMode": 0o644}},
        {"name": "nobody", "configMap": {"name": "none-at-all"}},
        {"name": "spare", "emptyDir": {}},
    ]
    mounts = [{"name": one["name"], "mountPath": f"/{one['name']}"} for one in volumes[:4]]
    mounts.append({"name": "upd", "mountPath": "/once", "subPath": "a"})
    await node.run(make_pod("web", box("web", volumeMounts=mounts), volumes=volumes))
    pod = await node.when("web", ready)
    await says(node, pod, "cat /upd/a /del/a /fixed/a /once /all/upd; ls /all", "11111labels\nupd")
    await change(node, CONFIGMAPS, "upd", data={"a": "2", "b": "3"})
    await client.delete(CONFIGMAPS, "del", namespace="default")
    secret = {"metadata": {"name": "new", "namespace": "default"}, "stringData": {"k": "hush"}}
    await client.create(SECRETS, secret)
    await change(node, PODS, "web", metadata={"labels": {"color": "red"}})
    await says(node, pod, "cat /upd/a /upd/b /all/upd /all/sub/k; ls /del; cat /all/labels", '232hushcolor="red"')
    await says(node, pod, "cat /once; stat -Lc %a /all/sub/k", "1400")
    assert "Read-only" in await sh(node, pod, "echo x 2>&1 > /upd/a || true; touch /upd/x 2>&1 || true")
    await client.delete(SECRETS, "new", namespace="default")
    await says(node, pod, "ls /all", "labels\nupd")
    spare = pod_dir(node, pod) / "volumes" / f"{PLUGINS}empty-dir" / "spare"
    assert not spare.exists(), "what nobody mounts is not made"
    debug = box("debug", "touch", "/spare/x", volumeMounts=[{"name": "spare", "mountPath": "/spare"}])
    patch = {"spec": {"ephemeralContainers": [debug]}}
    await client.patch(
        PODS, "web", patch, namespace="default", kind=PatchType.STRATEGIC, subresource="ephemeralcontainers"
    )
    await node.eventually(lambda: present(spare / "x"), "the debug container to write into a volume of its own")


async def test_what_is_missing_holds_the_pod_and_no_longer_than_that(shared_node: Any, make_pod: Any, box: Any) -> None:
    node = shared_node
    mount = {"name": "cfg", "mountPath": "/cfg"}
    volume = {"name": "cfg", "configMap": {"name": "late", "items": [{"key": "k", "path": "k"}]}}
    await node.run(make_pod("web", box("web", volumeMounts=[mount]), volumes=[volume]))
    await node.event("web", "FailedMount", 'MountVolume.SetUp failed for volume "cfg" : configmap "late" not found')
    pod = await node.when("web", lambda pod: pod["status"].get("containerStatuses"))
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    await node.client.create(CONFIGMAPS, config("late", other="1"))
    text = 'MountVolume.SetUp failed for volume "cfg" : configmap references non-existent config key: k'
    await node.event("web", "FailedMount", text)
    await change(node, CONFIGMAPS, "late", data={"k": "v"})
    began_s = time.monotonic()
    await node.when("web", ready)
    assert time.monotonic() - began_s < FOLLOWS_S
    for name, source, said in (
        (
            "type",
            {"hostPath": {"path": "/etc/hostname", "type": "Directory"}},
            "hostPath type check failed: /etc/hostname",
        ),
        ("claim", {"persistentVolumeClaim": {"claimName": "no"}}, 'persistentvolumeclaims "no" not found'),
        (
            "kind",
            {"iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:s", "lun": 0}},
            "no volume plugin",
        ),
    ):
        mount = {"name": "v", "mountPath": "/v"}
        await node.run(make_pod(name, box("web", volumeMounts=[mount]), volumes=[{"name": "v", **source}]))
        await node.event(name, "FailedMount", said)


async def test_what_a_container_may_do_with_a_volume(shared_node: Any, make_pod: Any, box: Any, tmp_path: Path) -> None:
    """Modes, groups, sub-paths, read-only trees and the propagation of mounts, as the kubelet gives them."""
    node, host = shared_node, tmp_path / "host"
    (host / "sub").mkdir(parents=True)
    kernel.mount("tmpfs", host, "tmpfs")
    kernel.mount("none", host, "none", kernel.MS_SHARED)
    for name in ("sub", "mnt"):
        (host / name).mkdir()
    kernel.mount("tmpfs", host / "sub", "tmpfs")
    (host / "file").write_text("first")
    mounts = [
        {"name": "disk", "mountPath": "/disk"},
        {"name": "memory", "mountPath": "/memory"},
        {"name": "disk", "mountPath": "/part", "subPathExpr": "$(POD)/inner"},
        {"name": "host", "mountPath": "/file", "subPath": "file"},
        {"name": "host", "mountPath": "/tree", "readOnly": True, "recursiveReadOnly": "Enabled"},
        {"name": "host", "mountPath": "/top", "readOnly": True},
        {"name": "host", "mountPath": "/both", "mountPropagation": "Bidirectional"},
        {"name": "host", "mountPath": "/down", "mountPropagation": "HostToContainer"},
        {"name": "host", "mountPath": "/none"},
    ]
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "host", "hostPath": {"path": str(host), "type": "Directory"}},
    ]
    environment = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    limits = {"limits": {"memory": "48Mi"}}
    web = box("web", volumeMounts=mounts, env=environment, resources=limits, securityContext={"privileged": True})
    context = {"fsGroup": 1234, "fsGroupChangePolicy": "OnRootMismatch"}
    try:
        await node.run(make_pod("web", web, volumes=volumes, securityContext=context))
        pod = await node.when("web", ready)
        said = await sh(
            node, pod, "stat -c '%a %g' /disk /memory /part; id -G; cat /file; echo; touch /disk/f; stat -c %g /disk/f"
        )
        assert said.split() == ["2777", "1234", "2777", "1234", "2777", "1234", "0", "1234", "first", "1234"]
        place = pod_dir(node, pod) / "volumes" / f"{PLUGINS}empty-dir"
        assert (place / "disk" / "web" / "inner").is_dir()
        table = Path("/proc/self/mountinfo").read_text().splitlines()
        [memory] = [line for line in table if f" {place}/memory " in line]
        assert "size=49152k" in memory, "the pod's limit bounds its volumes in memory"
        script = "for d in /tree /tree/sub /top /top/sub; do touch $d/x 2>/dev/null && echo $d; done; true"
        assert (await sh(node, pod, script)).split() == ["/top/sub"]
        kernel.mount("tmpfs", host / "mnt", "tmpfs", options="size=4096")
        (host / "mnt" / "late").touch()
        assert (
            await sh(node, pod, "ls /down/mnt /none/mnt; mount -t tmpfs inner /both/sub")
            == "/down/mnt:\nlate\n\n/none/mnt:\n"
        )
        assert len([point for point, _ in kernel.mounts() if point == str(host / "sub")]) == 2
        [status] = pod["status"]["containerStatuses"]
        listed = {one["mountPath"]: one.get("recursiveReadOnly") for one in status["volumeMounts"]}
        assert (listed["/tree"], listed["/top"], listed["/disk"]) == ("Enabled", "Disabled", None)
        await node.client.delete(PODS, "web", namespace="default", grace_period_s=0)
        await node.gone("web")
        await node.eventually(lambda: absent(pod_dir(node, pod)), "the pod's directory to go")
        assert (host / "file").read_text() == "first" and (host / "mnt" / "late").exists()
    finally:
        for point in kernel.mount_points(host):
            kernel.unmount(point)


async def test_a_sub_path_that_cannot_be_is_repaired(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-node] Variable Expansion …: a failing subpath expansion can be modified during its lifecycle."""
    node = shared_node
    environment = [{"name": "AT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['at']"}}}]
    mount = {"name": "v", "mountPath": "/v", "subPathExpr": "$(AT)"}
    web = box("web", volumeMounts=[mount], env=environment)
    await node.run(make_pod("web", web, volumes=[{"name": "v", "emptyDir": {}}]))
    pod = await node.when("web", lambda pod: "message" in waiting(pod))
    assert waiting(pod) == {"reason": "CreateContainerConfigError", "message": "missing value for AT"}
    for value, text in (("/etc", 'error SubPath "/etc" must not be an absolute path'), ("..", "must not contain '..'")):
        await change(node, PODS, "web", metadata={"annotations": {"at": value}})
        await node.event("web", "Failed", text)
    await change(node, PODS, "web", metadata={"annotations": {"at": "here"}})
    pod = await node.when("web", ready)
    assert (pod_dir(node, pod) / "volumes" / f"{PLUGINS}empty-dir" / "v" / "here").is_dir()


def waiting(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = pod["status"].get("containerStatuses") or [{}]
    found: dict[str, Any] = statuses[0].get("state", {}).get("waiting", {})
    return found


async def test_an_image_is_a_volume(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-node] ImageVolume (KEP-4639)."""
    node = shared_node
    mounts = [{"name": "i", "mountPath": "/i"}, {"name": "i", "mountPath": "/part", "subPath": "bin"}]
    volume = {"name": "i", "image": {"reference": "localhost/busybox:test", "pullPolicy": "IfNotPresent"}}
    await node.run(make_pod("web", box("web", volumeMounts=mounts), volumes=[volume]))
    pod = await node.when("web", ready)
    said = await sh(node, pod, "ls /part/busybox; touch /i/x 2>&1; /i/bin/busybox 2>&1; true")
    assert said.splitlines()[0] == "/part/busybox"
    assert "Read-only" in said and "Permission denied" in said
    absent_ = {"name": "i", "image": {"reference": "localhost/none:1", "pullPolicy": "Never"}}
    await node.run(make_pod("never", box("web", volumeMounts=mounts[:1]), volumes=[absent_]))
    await node.when("never", lambda pod: waiting(pod).get("reason") == "ErrImageNeverPull")
    await node.client.delete(PODS, "web", namespace="default", grace_period_s=0)
    await node.gone("web")

    async def clean() -> bool:
        return not any("picluster.io/image-volume-of" in (one["Labels"] or {}) for one in node.podman.containers())

    await node.eventually(clean, "the image's container to go")


async def test_many_volumes_do_not_race(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-storage] EmptyDir wrapper volumes should not cause race condition when used for configmaps."""
    node, count, pods = shared_node, 50, 3
    names = [f"race-{index}" for index in range(count)]
    await asyncio.gather(*(node.client.create(CONFIGMAPS, config(name, **{"data-1": "value-1"})) for name in names))
    volumes = [
        {"name": name, "configMap": {"name": name, "items": [{"key": "data-1", "path": "data-1"}]}} for name in names
    ]
    mounts = [{"name": name, "mountPath": f"/etc/config-{index}"} for index, name in enumerate(names)]
    for index in range(pods):
        await node.run(make_pod(f"race-{index}", box("web", volumeMounts=mounts), volumes=volumes))
    for index in range(pods):
        await node.when(f"race-{index}", ready)


# -- data that outlives its pod ----------------------------------------------------------------------------------------


HERE = {
    "required": {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["test-node"]}]}]
    }
}
ELSEWHERE = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]}}


async def test_what_a_pod_wrote_survives_everything(node: Any, make_pod: Any, box: Any, tmp_path: Path) -> None:
    """A restart, an agent that is killed, a power cut, the end of the pod: the data is there, the mounts are not."""
    data, disk = tmp_path / "precious", tmp_path / "disk.img"
    data.mkdir()
    loop = loop_device(disk)
    try:
        await bound(node, "dir", {"local": {"path": str(data)}}, nodeAffinity=HERE)
        await bound(node, "disk", {"local": {"path": loop, "fsType": "ext4"}}, nodeAffinity=HERE)
        await bound(node, "far", {"local": {"path": str(data)}}, nodeAffinity=ELSEWHERE)
        await bound(node, "gone", {"local": {"path": str(tmp_path / "none")}}, nodeAffinity=HERE)
        await bound(
            node,
            "own",
            {"hostPath": {"path": str(tmp_path / "own"), "type": "DirectoryOrCreate"}},
            accessModes=["ReadWriteOncePod"],
        )
        script = "for v in dir disk own; do echo run >> /$v/log; done; sleep 1000"
        web = box("web", "sh", "-c", script, volumeMounts=at("dir", "disk", "own"))
        await node.run(make_pod("web", web, volumes=claims("dir", "disk", "own"), securityContext={"fsGroup": 77}))
        pod = await node.when("web", ready)
        assert data.stat().st_gid == 77 and (tmp_path / "own").stat().st_gid == 0, "hostPath belongs to the node"
        for name, text in (
            ("far", 'MountVolume.NodeAffinity check failed for volume "far" : no matching NodeSelectorTerms'),
            ("gone", f'MountVolume.SetUp failed for volume "gone" : path "{tmp_path}/none" does not exist'),
            ("own", "uses the ReadWriteOncePod access mode and is already in use by another pod"),
        ):
            await node.run(make_pod(f"no-{name}", box("web", volumeMounts=at(name)), volumes=claims(name)))
            await node.event(f"no-{name}", "FailedMount", text)
            await node.client.delete(PODS, f"no-{name}", namespace="default", grace_period_s=0)
        mounted = pod_dir(node, pod) / "volumes" / f"{PLUGINS}local-volume" / "dir"
        assert kernel.is_mount(mounted)
        node.stop(signal.SIGKILL)
        node.start()
        await node.eventually(node.registered, "the node to be Ready")
        assert await sh(node, pod, "cat /dir/log") == "run\n", "what runs is left alone"
        node.stop(signal.SIGKILL)
        node.cut_power()
        assert not kernel.is_mount(mounted)
        node.start()
        pod = await node.when(
            "web", lambda pod: ready(pod) and pod["status"]["containerStatuses"][0]["restartCount"] == 1
        )
        await says(node, pod, "cat /dir/log /disk/log /own/log", "run\n" * 5 + "run")
        node.stop(signal.SIGKILL)
        await node.client.delete(PODS, "web", namespace="default", grace_period_s=0)
        node.start()
        await node.eventually(lambda: absent(pod_dir(node, pod)), "the orphan to be taken away")
        await node.eventually(lambda: none_below(node.root / "data"), "every mount to go")
        assert (data / "log").read_text() == (tmp_path / "own" / "log").read_text() == "run\nrun\n"
        await node.run(make_pod("next", box("web", volumeMounts=at("dir", "disk")), volumes=claims("dir", "disk")))
        pod = await node.when("next", ready)
        assert await sh(node, pod, "cat /dir/log /disk/log") == "run\n" * 4
        await node.client.delete(PODS, "next", namespace="default", grace_period_s=0)
        await node.eventually(lambda: none_below(node.root / "data"), "every mount to go")
        await bound(node, "raw", {"local": {"path": loop}}, nodeAffinity=HERE, volumeMode="Block")
        raw = box("web", volumeDevices=[{"name": "raw", "devicePath": "/dev/xraw"}])
        await node.run(make_pod("raw", raw, volumes=claims("raw")))
        pod = await node.when("raw", ready)
        said = await sh(node, pod, "dd if=/dev/xraw bs=1024 count=1 >/dev/null 2>&1 && stat -c %F /dev/xraw")
        assert said == "block special file\n"
        await node.client.delete(PODS, "raw", namespace="default", grace_period_s=0)
        await node.gone("raw")
    finally:
        for point in kernel.mount_points(node.root / "data"):
            kernel.unmount(point)
        command("losetup", "--detach", loop)
