"""Static pods: a directory of files, each a pod that runs here whatever the API server says, or while it is away.

``read`` is the kubelet's ``config/file.go`` with ``applyDefaults``: the uid is a hash of what the file says, of where
it is and on which node, the name ends in the node's. A file that cannot be used is reported and means what it meant
before. Hidden files and directories are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import yaml

from picluster.api.meta import now_micro
from picluster.api.resources import PODS
from picluster.api.types import Object
from picluster.util.clock import Clock
from picluster_agent import kernel
from picluster_agent.admission.critical import SOURCE
from picluster_agent.sync.spec import all_containers

log = logging.getLogger(__name__)

HASH = "kubernetes.io/config.hash"
SEEN = "kubernetes.io/config.seen"
LOOK_S = 20.0
"""Files are looked at this often, whatever inotify says."""
SETTLE_S = 0.1
FILE_BYTES_MAX = 1024 * 1024
VOLUME_SOURCES = {
    "secret": "secrets",
    "configMap": "configmaps",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims",
}
PROJECTED_SOURCES = {
    "secret": "secrets",
    "configMap": "configmaps",
    "serviceAccountToken": "serviceaccounts",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}

Stamp = tuple[int, int, int]


class StaticPodError(Exception):
    """A file that is no pod that can run from a file."""


class StaticPods:
    """Follows ``place``, a directory or one file; ``on_change`` gets all pods, by uid, whenever they are others."""

    def __init__(self, place: Path, node: str, clock: Clock, on_change: Callable[[dict[str, Object]], None]) -> None:
        self._place = place
        self._node = node
        self._clock = clock
        self._on_change = on_change
        self._stamps: dict[Path, Stamp] = {}
        self._pods: dict[Path, Object] = {}
        self._hint = asyncio.Event()

    async def run(self) -> None:
        """Look again and again; the first look has been the caller's."""
        descriptor = -1
        try:
            while True:
                if descriptor < 0 and self._place.is_dir():
                    descriptor = self._watch()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._hint.wait()
                        await self._clock.sleep(SETTLE_S)
                self._hint.clear()
                if descriptor >= 0 and not self._place.is_dir():
                    self._unwatch(descriptor)
                    descriptor = -1
                self.look()
        finally:
            if descriptor >= 0:
                self._unwatch(descriptor)

    def look(self) -> None:
        """Read what has changed, and tell of it."""
        stamps = dict(_files(self._place))
        if stamps == self._stamps:
            return
        for gone in [path for path in self._pods if path not in stamps]:
            del self._pods[gone]
        for path in [path for path, stamp in stamps.items() if self._stamps.get(path) != stamp]:
            try:
                self._pods[path] = read(path, self._node, now_micro(self._clock.now()))
            except (OSError, StaticPodError) as error:
                log.warning("cannot run a pod from %s: %s", path, error)
        self._stamps = stamps
        self._on_change({pod["metadata"]["uid"]: pod for pod in self._pods.values()})

    def _watch(self) -> int:
        try:
            descriptor = kernel.watch_directory(self._place)
        except OSError as error:
            log.debug("no inotify for %s: %s", self._place, error)
            return -1
        asyncio.get_running_loop().add_reader(descriptor, self._noticed, descriptor)
        return descriptor

    def _noticed(self, descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(descriptor, 4096)
        self._hint.set()

    def _unwatch(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def _files(place: Path) -> Iterator[tuple[Path, Stamp]]:
    """Every file that may be a pod, and what changes when it does."""
    try:
        paths = sorted(place.iterdir()) if place.is_dir() else [place]
    except OSError as error:
        log.warning("cannot read %s: %s", place, error)
        return
    for path in paths:
        with contextlib.suppress(OSError):
            if path.is_file() and not path.name.startswith("."):
                found = path.stat()
                yield path, (found.st_mtime_ns, found.st_size, found.st_ino)


def read(path: Path, node: str, seen: str) -> Object:
    """The pod in a file; raises ``StaticPodError`` or ``OSError``."""
    with path.open("rb") as stream:
        text = stream.read(FILE_BYTES_MAX + 1)
    if len(text) > FILE_BYTES_MAX:
        raise StaticPodError(f"it is larger than {FILE_BYTES_MAX} bytes")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StaticPodError(f"it is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != ("v1", "Pod"):
        raise StaticPodError("it is not a v1 Pod")
    if not isinstance(document.get("metadata"), dict) or not document["metadata"].get("name"):
        raise StaticPodError("invalid pod: name is needed for the pod")
    pod = _placed(document, path, node, seen)
    _check(pod)
    return pod


def _placed(document: Object, path: Path, node: str, seen: str) -> Object:
    """The pod as it runs on this node."""
    metadata, spec = document["metadata"], document.get("spec")
    if not isinstance(spec, dict):
        raise StaticPodError("invalid pod: spec is needed for the pod")
    content = orjson.dumps(document, default=str, option=orjson.OPT_SORT_KEYS)
    uid = (
        metadata.get("uid")
        or hashlib.md5(content + f"host:{node}file:{path}".encode(), usedforsecurity=False).hexdigest()
    )
    annotations = {**(metadata.get("annotations") or {}), HASH: uid, SOURCE: "file", SEEN: seen}
    tolerations = [one for one in spec.get("tolerations") or () if one != {"operator": "Exists", "effect": "NoExecute"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **{key: value for key, value in metadata.items() if key in ("labels", "finalizers")},
            "name": f"{metadata['name']}-{node.lower()}",
            "namespace": metadata.get("namespace") or "default",
            "uid": str(uid),
            "annotations": annotations,
        },
        "spec": {
            **spec,
            "nodeName": node,
            "tolerations": [*tolerations, {"operator": "Exists", "effect": "NoExecute"}],
        },
    }


def _check(pod: Object) -> None:
    """Fill in defaults, and refuse what the API server would refuse, or what only it could give."""
    from picluster.api import defaults, validation  # rarely needed, and not small

    try:
        defaults.apply(PODS, pod)
        failures = validation.create(PODS, pod)
        resource = api_reference(pod)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StaticPodError(f"invalid pod: a field is of the wrong kind ({error})") from error
    if failures:
        said = "; ".join(f"{one.field}: {one.message}" for one in failures)
        raise StaticPodError(f"invalid pod: {said}")
    if resource:
        raise StaticPodError(f"static pods may not reference {resource}")


def api_reference(pod: Object) -> str:
    """The kind of API object that a pod needs, if any (``podutil.HasAPIObjectReference``)."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        return "serviceaccounts"
    if spec.get("imagePullSecrets"):
        return "secrets"
    if spec.get("resourceClaims"):
        return "resourceclaims"
    for volume in spec.get("volumes") or ():
        if found := _volume_reference(volume):
            return found
    for container in all_containers(pod):
        for one in [*(container.get("env") or ()), *(container.get("envFrom") or ())]:
            source = one.get("valueFrom") or one
            if source.get("secretKeyRef") or source.get("secretRef"):
                return "secrets"
            if source.get("configMapKeyRef") or source.get("configMapRef"):
                return "configmaps"
    return ""


def _volume_reference(volume: Object) -> str:
    for key, resource in VOLUME_SOURCES.items():
        if volume.get(key) is not None:
            return resource
    for source in (volume.get("projected") or {}).get("sources") or ():
        for key, resource in PROJECTED_SOURCES.items():
            if source.get(key) is not None:
                return resource
    details = [value for value in volume.values() if isinstance(value, dict)]
    return "secrets" if any(one.get("secretRef") or one.get("nodePublishSecretRef") for one in details) else ""
