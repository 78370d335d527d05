"""Bootstrap tokens and the Secrets that hold them (``k8s.io/cluster-bootstrap``)."""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

import orjson

from picluster.api.meta import parse_time
from picluster.api.types import Object

NAMESPACE = "kube-system"
SECRET_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105  # a type, not a secret
SECRET_PREFIX = "bootstrap-token-"  # noqa: S105
USER_PREFIX = "system:bootstrap:"
DEFAULT_GROUP = "system:bootstrappers"
NODE_GROUP = "system:bootstrappers:kubeadm:default-node-token"
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def parse(token: str) -> tuple[str, str] | None:
    """A token's id and secret; ``None`` when it is not of that form."""
    match = TOKEN.fullmatch(token)
    return (match.group(1), match.group(2)) if match else None


def secret_name(identity: str) -> str:
    return f"{SECRET_PREFIX}{identity}"


def read(secret: Object) -> dict[str, str] | None:
    """What a live token's Secret says; ``None`` when it is none, or on its way out."""
    if secret.get("type") != SECRET_TYPE or secret["metadata"].get("deletionTimestamp"):
        return None
    return {key: b64decode(value).decode("utf-8", "replace") for key, value in (secret.get("data") or {}).items()}


def expired(data: dict[str, str], now_s: float) -> bool:
    """Whether its time is over; a time that cannot be read is over."""
    expiration = data.get("expiration", "")
    if not expiration:
        return False
    try:
        return parse_time(expiration) <= now_s
    except ValueError:
        return True


def groups(data: dict[str, str]) -> set[str] | None:
    """The groups of its user; ``None`` when one of them is not for such a token."""
    more = [group for group in data.get("auth-extra-groups", "").split(",") if group]
    if any(GROUP.fullmatch(group) is None for group in more):
        return None
    return {DEFAULT_GROUP, *more}


def sign(content: str, identity: str, secret: str) -> str:
    """A detached signature (RFC 7515, appendix F) with which a holder of the token knows ``content`` for good."""
    header = _base64url(orjson.dumps({"alg": "HS256", "kid": identity}))
    signed = f"{header}.{_base64url(content.encode())}"
    return f"{header}..{_base64url(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


def is_signed(content: str, signature: str, identity: str, secret: str) -> bool:
    """Whether ``signature`` is what a holder of the token makes of ``content``, whatever its header looks like."""
    header, _, mac = signature.partition("..")
    try:
        said = orjson.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except ValueError:
        return False
    if not isinstance(said, dict) or said.get("alg") != "HS256" or said.get("kid") != identity:
        return False
    signed = f"{header}.{_base64url(content.encode())}"
    return hmac.compare_digest(mac, _base64url(hmac.digest(secret.encode(), signed.encode(), "sha256")))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def new_secret(
    token: tuple[str, str], *, description: str, expiration: str, usages: Iterable[str], extra_groups: Iterable[str]
) -> Object:
    """The Secret of a new token, as kubeadm makes it; ``expiration`` is RFC 3339, or empty for never."""
    identity, secret = token
    data = {"token-id": identity, "token-secret": secret}
    if description:
        data["description"] = description
    if expiration:
        data["expiration"] = expiration
    data.update({f"usage-bootstrap-{usage}": "true" for usage in usages})
    if joined := ",".join(extra_groups):
        data["auth-extra-groups"] = joined
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(identity), "namespace": NAMESPACE},
        "type": SECRET_TYPE,
        "data": {key: b64encode(value.encode()).decode() for key, value in sorted(data.items())},
    }
