"""What went wrong with an image, in the kubelet's words (``pkg/kubelet/images/types.go``, ``evalCRIPullErr``). Pure."""

from __future__ import annotations

import re

from picluster_agent.sync.model import Waiting

ERR_PULL = "ErrImagePull"
ERR_INSPECT = "ImageInspectError"
ERR_NEVER_PULL = "ErrImageNeverPull"
INVALID_NAME = "InvalidImageName"
BACK_OFF = "ImagePullBackOff"
UNAVAILABLE = "RegistryUnavailable"
BAD_SIGNATURE = "SignatureValidationFailed"
EXPLANATIONS = ((UNAVAILABLE, "the registry is unavailable"), (BAD_SIGNATURE, "the signature validation failed"))
PULL_REASONS = frozenset({ERR_PULL, UNAVAILABLE, BAD_SIGNATURE})

_REFUSED = re.compile(r"connect: connection refused")
_MIRRORS_END = "]): "
_REJECTED = re.compile(r"Source image rejected")


class ImageError(Exception):
    """No image. ``waiting`` says why now, ``later`` once the next try is being waited for.

    ``backing_off`` is what an event says then; empty where nothing is pulled. ``costly`` is whether another try asks
    somebody else for something.
    """

    def __init__(self, reason: str, message: str, image: str) -> None:
        super().__init__(message)
        self.waiting = self.later = Waiting(reason, message)
        self.backing_off = ""
        self.costly = reason in PULL_REASONS and not image.startswith("localhost/")
        if reason in PULL_REASONS:
            self.backing_off = f'Back-off pulling image "{image}"'
            self.later = Waiting(BACK_OFF, f"{self.backing_off}: {reason}: {message}")


class PullError(Exception):
    """One pull failed; the message is the runtime's, with the reason in front where it is not the usual one."""

    def __init__(self, said: str) -> None:
        text = " ".join(said.split())
        self.reason = ERR_PULL
        last = text.rpartition(_MIRRORS_END)[2]  # what the registry itself says, after its mirrors
        if _REFUSED.search(last):
            self.reason = UNAVAILABLE
        elif _REJECTED.search(text):
            self.reason = BAD_SIGNATURE
        super().__init__(text if self.reason == ERR_PULL else f"{self.reason}: {text}")


def explained(image: str, errors: list[PullError]) -> tuple[str, str, str]:
    """For pulls that failed one after the other: what the event says, the reason, and the message of the status."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    for reason, why in (
        (UNAVAILABLE, "the registry is unavailable"),
        (BAD_SIGNATURE, "the signature validation failed"),
    ):
        if text.startswith(reason):
            return text, reason, f"image pull failed for {image} because {why}{text.removeprefix(reason)}"
    return text, ERR_PULL, text
