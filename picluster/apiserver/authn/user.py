"""A user, and who a connection is: the subject of its client certificate (CN is the user, O are the groups).

TLS has verified the certificate against the client CA before any of this runs; a connection without one is anonymous.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
NODE_PREFIX = "system:node:"
NODES_GROUP = "system:nodes"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True, slots=True)
class User:
    """``extra`` is what an authenticator knows besides, as ``user.Info`` has it, sorted by key."""

    name: str
    groups: frozenset[str]
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def anonymous(self) -> bool:
        return UNAUTHENTICATED in self.groups

    @property
    def node(self) -> str:
        """The node's name, if this is a node's identity, else empty (the node authorizer's ``NodeIdentity``)."""
        if NODES_GROUP in self.groups and self.name.startswith(NODE_PREFIX):
            return self.name[len(NODE_PREFIX) :]
        return ""


ANONYMOUS = User("system:anonymous", frozenset({UNAUTHENTICATED}))


def user_of(certificate: Mapping[str, Any] | None, der: bytes | None = None) -> User:
    """The user of a peer certificate as ``ssl.SSLObject.getpeercert`` gives it; ``None`` or empty is anonymous.

    ``der``, the same certificate's bytes, tells this credential of the user from others (KEP-4193).
    """
    name, groups = "", {AUTHENTICATED}
    for relative_name in (certificate or {}).get("subject", ()):
        for attribute, value in relative_name:
            if attribute == "commonName":
                name = value
            elif attribute == "organizationName":
                groups.add(value)
    extra = ((CREDENTIAL_ID, (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)),) if der else ()
    return User(name, frozenset(groups), extra=extra) if name else ANONYMOUS


def user_info(user: User) -> dict[str, Any]:
    """The ``authentication.k8s.io/v1`` UserInfo of a user."""
    info: dict[str, Any] = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = sorted(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra}
    return info
