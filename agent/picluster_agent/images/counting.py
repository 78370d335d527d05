"""What is counted of images, in the kubelet's words (``pkg/kubelet/images/metrics.go``, ``pullmanager/metrics.go``)."""

from __future__ import annotations

from bisect import bisect_left

from picluster_agent import figures

MIB, GIB = 1 << 20, 1 << 30
SIZES = (
    (10 * MIB, "0-10MB"),
    (100 * MIB, "10MB-100MB"),
    (500 * MIB, "100MB-500MB"),
    (GIB, "500MB-1GB"),
    (5 * GIB, "1GB-5GB"),
    (10 * GIB, "5GB-10GB"),
    (20 * GIB, "10GB-20GB"),
    (30 * GIB, "20GB-30GB"),
    (40 * GIB, "30GB-40GB"),
    (60 * GIB, "40GB-60GB"),
    (100 * GIB, "60GB-100GB"),
)
LARGEST = "GT100GB"
_BOUNDS_BYTES = [bound for bound, _ in SIZES]


def size_bucket(size_bytes: int) -> str:
    """The range that an image's size is in. PURE."""
    if not size_bytes:
        return "N/A"
    index = bisect_left(_BOUNDS_BYTES, size_bytes)
    return SIZES[index][1] if index < len(SIZES) else LARGEST


def pulled(size_bytes: int, whole_s: float) -> None:
    figures.IMAGE_PULL_SECONDS.labels(size_bucket(size_bytes)).observe(whole_s)


def requested(policy: str, *, present: bool | None, pull: bool | None) -> None:
    """An image was wanted; ``None`` is for what was not found out."""
    words = {None: "unknown", True: "true", False: "false"}
    figures.IMAGE_REQUESTS[policy.lower(), words[present], words[pull]] += 1


def checked(result: str) -> None:
    """``credentialPolicyAllowed``, ``credentialRecordFound``, ``mustAuthenticate`` or ``error``."""
    figures.IMAGE_CHECKS[result] += 1
