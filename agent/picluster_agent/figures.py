"""What the agent counts while it works, under the kubelet's names, for ``/metrics``. One set for the process.

Whoever does the work adds to these; nobody decides on them. Sources: ``pkg/kubelet/metrics/metrics.go``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from picluster.util.timings import Timing, Timings

RUNTIME_OPERATIONS: Counter[str] = Counter()
RUNTIME_ERRORS: Counter[str] = Counter()
RUNTIME_SECONDS = Timings(
    "kubelet_runtime_operations_duration_seconds",
    "[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.",
    ("operation_type",),
)
POD_WORKER_SECONDS = Timings(
    "kubelet_pod_worker_duration_seconds",
    "[ALPHA] Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync",
    ("operation_type",),
)
IMAGE_PULL_BUCKETS_S = (1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)
IMAGE_PULL_SECONDS = Timings(
    "kubelet_image_pull_duration_seconds",
    "[ALPHA] Duration in seconds to pull an image.",
    ("image_size_in_bytes",),
    IMAGE_PULL_BUCKETS_S,
)
"""With the time that a pull has waited for its turn."""
IMAGE_REQUESTS: Counter[tuple[str, str, str]] = Counter()
"""By policy, and whether the image was there and was pulled (``true``, ``false``, ``unknown``)."""
IMAGE_CHECKS: Counter[str] = Counter()
"""Whether credentials had to be checked for an image that was there, by ``result``."""
POD_START = Timing()
"""From the moment that the agent has seen a pod to the one that its containers run."""
STARTED_PODS: Counter[str] = Counter()
"""``started`` and ``failed``."""
STARTED_CONTAINERS: Counter[str] = Counter()
"""By ``container_type``: ``container``, ``init_container``, ``ephemeral_container``."""
EVICTIONS: Counter[str] = Counter()
"""By eviction signal."""
PROBES: Counter[tuple[str, str, str, str]] = Counter()
"""By pod uid, container, kind of probe and result (``successful``, ``failed``)."""
CERTIFICATE_ROTATIONS: Counter[str] = Counter()
"""Renewals of the ``client`` and the ``server`` certificate that succeeded."""
CERTIFICATE_FAILURES: Counter[str] = Counter()
CERTIFICATE_ENDS_S: dict[str, float] = {}
"""When each certificate ends (epoch)."""


OPERATIONS = {
    ("GET", "containers", "json"): "list_containers",
    ("GET", "containers", "*", "json"): "container_status",
    ("POST", "containers", "create"): "create_container",
    ("POST", "containers", "*", "start"): "start_container",
    ("POST", "containers", "*", "kill"): "stop_container",
    ("POST", "containers", "*", "stop"): "stop_container",
    ("DELETE", "containers", "*"): "remove_container",
    ("POST", "containers", "*", "exec"): "exec",
    ("GET", "images", "json"): "list_images",
    ("GET", "images", "*", "json"): "image_status",
    ("POST", "images", "pull"): "pull_image",
    ("POST", "images", "create"): "pull_image",
    ("DELETE", "images", "*"): "remove_image",
}
"""The kubelet's name for a request to Podman."""


def operation(method: str, path: str) -> str:
    """Which of ``OPERATIONS`` a request is, empty for none; ``path`` is libpod's or a whole URL. PURE."""
    parts = urlsplit(path).path.strip("/").split("/")
    start = next((index for index, part in enumerate(parts) if part in ("containers", "images")), len(parts))
    parts = parts[start:]
    found = OPERATIONS.get((method, *parts))
    if found is None and len(parts) > 1:
        found = OPERATIONS.get((method, parts[0], "*", *parts[2:]))
    return found or ""


@contextmanager
def counted(method: str, path: str) -> Iterator[None]:
    """Counts and times one request to Podman."""
    kind = operation(method, path)
    if not kind:
        yield
        return
    begun_s = time.monotonic()
    RUNTIME_OPERATIONS[kind] += 1
    try:
        yield
    except Exception:
        RUNTIME_ERRORS[kind] += 1
        raise
    finally:
        RUNTIME_SECONDS.labels(kind).observe(time.monotonic() - begun_s)
