"""Names of images, as ``distribution/reference`` reads them and the kubelet uses them (``pkg/util/parsers``). Pure.

``busybox`` means ``docker.io/library/busybox:latest``. A name may have a tag and a digest; the digest counts then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
LOCAL_DOMAIN = "localhost"
PATH_LENGTH_MAX = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_IMAGE_ID = re.compile(r"sha256:[a-f0-9]{64}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class InvalidReference(ValueError):
    """The text names no image; the message is the kubelet's."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f'couldn\'t parse image name "{text}": {why}')


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name in full."""

    text: str
    """As it was written."""
    domain: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        """Without tag and digest: what credentials are looked up for."""
        return f"{self.domain}/{self.path}"

    @property
    def full(self) -> str:
        """What is asked for at the registry."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"

    @property
    def is_local(self) -> bool:
        """``localhost`` without a port names no registry: such an image was built or loaded here."""
        return self.domain == LOCAL_DOMAIN

    @property
    def candidates(self) -> tuple[str, ...]:
        """The names that it may have among the local images, best first.

        What was built or loaded without a registry's name is ``localhost/…`` for Podman.
        """
        if _IMAGE_ID.fullmatch(self.text):
            return self.text, self.full
        if self.domain != DEFAULT_DOMAIN or self.text.startswith((f"{DEFAULT_DOMAIN}/", f"{LEGACY_DOMAIN}/")):
            return (self.full,)
        return self.full, f"{LOCAL_DOMAIN}/{self.full.removeprefix(f'{DEFAULT_DOMAIN}/').removeprefix(OFFICIAL)}"


def parse(text: str) -> Reference:
    """Raises ``InvalidReference``."""
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference(text, f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, path = _split(text)
    name = path.partition(":")[0]
    if name != name.lower():
        raise InvalidReference(text, f"invalid reference format: repository name ({name}) must be lowercase")
    found = _REFERENCE.fullmatch(f"{domain}/{path}")
    if found is None:
        raise InvalidReference(text, "invalid reference format")
    if len(found["path"]) > PATH_LENGTH_MAX:
        raise InvalidReference(text, f"repository name must not be more than {PATH_LENGTH_MAX} characters")
    digest = found["digest"] or ""
    if wrong := _wrong_digest(digest):
        raise InvalidReference(text, wrong)
    tag = found["tag"] or ("" if digest else DEFAULT_TAG)
    return Reference(text, domain, found["path"], tag, digest)


def _split(text: str) -> tuple[str, str]:
    """Domain and the rest: only what has a dot, a port or capitals, or is ``localhost``, is a domain."""
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == LOCAL_DOMAIN or first != first.lower()):
        domain, path = first, rest
    else:
        domain, path = DEFAULT_DOMAIN, text
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = OFFICIAL + path
    return domain, path


def _wrong_digest(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    if not digest:
        return ""
    if algorithm not in _DIGEST_LENGTHS:
        return "unsupported digest algorithm"
    if len(value) != _DIGEST_LENGTHS[algorithm]:
        return "invalid checksum digest length"
    return "" if value == value.lower() else "invalid checksum digest format"
