"""What tests of volumes do again and again: look into containers, bind claims, wait for mounts to go."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

from picluster.api.meta import condition_is
from picluster.api.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from picluster.client import PatchType
from picluster_agent import kernel

FOLLOWS_S = 5.0
"""How soon a volume follows its object; the kubelet's promise is a minute."""


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def pod_dir(node: Any, pod: dict[str, Any]) -> Path:
    return Path(node.root / "data" / "pods" / pod["metadata"]["uid"])


async def sh(node: Any, pod: dict[str, Any], script: str, name: str = "web") -> str:
    """What a script says in a container."""
    status = next(one for one in pod["status"]["containerStatuses"] if one["name"] == name)
    container_id = status["containerID"].removeprefix("podman://")
    return str(await asyncio.to_thread(node.podman.podman, "exec", container_id, "sh", "-c", script))


async def says(node: Any, pod: dict[str, Any], script: str, text: str, timeout_s: float = FOLLOWS_S) -> None:
    async def look() -> bool:
        return (await sh(node, pod, script)).strip() == text

    await node.eventually(look, f"{script!r} to say {text!r}", timeout_s)


async def present(path: Path) -> bool:
    return path.exists()


async def absent(path: Path) -> bool:
    return not path.exists()


async def bound(node: Any, name: str, source: dict[str, Any], **spec: Any) -> None:
    """A volume and a claim that are bound to each other, as the binder leaves them."""
    modes = spec.pop("accessModes", ["ReadWriteOnce"])
    shape = {"accessModes": modes, "storageClassName": "", "volumeMode": spec.get("volumeMode", "Filesystem")}
    claim = await node.client.create(
        PERSISTENT_VOLUME_CLAIMS,
        {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {**shape, "volumeName": name, "resources": {"requests": {"storage": "1Mi"}}},
        },
    )
    reference = {"kind": "PersistentVolumeClaim", "name": name, "namespace": "default", "uid": claim["metadata"]["uid"]}
    volume = {**shape, "capacity": {"storage": "1Mi"}, "claimRef": reference, **source, **spec}
    await node.client.create(PERSISTENT_VOLUMES, {"metadata": {"name": name}, "spec": volume})
    status = {"status": {"phase": "Bound", "accessModes": modes, "capacity": {"storage": "1Mi"}}}
    await node.client.patch(
        PERSISTENT_VOLUME_CLAIMS, name, status, namespace="default", kind=PatchType.MERGE, subresource="status"
    )


def claims(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]


def at(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "mountPath": f"/{name}"} for name in names]


async def none_below(path: Path) -> bool:
    return not kernel.mount_points(path)


def command(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def loop_device(file: Path) -> str:
    with file.open("wb") as disk:
        disk.truncate(8 << 20)
    return command("losetup", "--find", "--show", str(file))
