"""Who may be signed as what: subject, names and usages of every kind of certificate.

The user is the subject's common name, its groups are the organisations, as the API server's authentication reads them
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from picluster.pki.files import PkiError

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
LOOPBACK = ("127.0.0.1", "::1")
HOST_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_LENGTH_MAX = 253


@dataclass(frozen=True, slots=True)
class Profile:
    """What a certificate says; ``names`` and ``addresses`` become subject alternative names."""

    common_name: str
    organisation: str | None
    usages: tuple[ObjectIdentifier, ...]
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def apiserver(service_address: str, sans: Sequence[str]) -> Profile:
    """The API server's serving certificate: its names inside the cluster, this host, and ``sans``."""
    names, addresses = split_sans([*SERVICE_NAMES, *LOOPBACK, service_address, *sans])
    return Profile("kube-apiserver", None, (SERVER,), names, addresses)


def kubelet_client() -> Profile:
    """How the API server calls agents, for logs and exec."""
    return Profile("kube-apiserver-kubelet-client", None, (CLIENT,))


def front_proxy() -> Profile:
    """How the API server tells extension API servers and webhooks whom it speaks for; another authority signs it."""
    return Profile("front-proxy-client", None, (CLIENT,))


def admin(name: str = "kubernetes-admin") -> Profile:
    return Profile(checked_name(name), "system:masters", (CLIENT,))


def scheduler() -> Profile:
    return Profile("system:kube-scheduler", None, (CLIENT,))


def controllers() -> Profile:
    return Profile("system:kube-controller-manager", None, (CLIENT,))


def node(name: str, sans: Sequence[str]) -> Profile:
    """A node's one certificate: it is the agent's identity as a client, and what the agent serves with."""
    names, addresses = split_sans([checked_name(name), *sans])
    return Profile(f"system:node:{name}", "system:nodes", (CLIENT, SERVER), names, addresses)


def registry(name: str, sans: Sequence[str]) -> Profile:
    """What the rack's registry of images serves with; it is nobody at the API server."""
    names, addresses = split_sans([checked_name(name), *sans])
    return Profile("picluster-registry", None, (SERVER,), names, addresses)


def for_request(kind: str, name: str | None, sans: Sequence[str]) -> Profile:
    """The profile that an operator asks for by word; raises ``PkiError`` when the words do not fit together."""
    if kind == "node":
        if name is None:
            raise PkiError("profile node needs the node's name: add --name NAME")
        return node(name, sans)
    if kind == "registry":
        if name is None:
            raise PkiError("profile registry needs the name in front of images: add --name registry.internal")
        return registry(name, sans)
    if sans:
        raise PkiError(f"profile {kind} is for a client and has no addresses: leave --ip and --san out")
    if kind == "admin":
        return admin(name) if name is not None else admin()
    fixed = {"scheduler": scheduler, "controllers": controllers}
    if name is not None:
        raise PkiError(f"profile {kind} has a fixed name: leave --name out")
    return fixed[kind]()


REQUEST_KINDS = ("node", "admin", "scheduler", "controllers", "registry")


def checked_name(name: str) -> str:
    if len(name) > NAME_LENGTH_MAX or not HOST_NAME.fullmatch(name):
        raise PkiError(f"name {name!r} is not usable: lower-case letters, digits, '-' and '.' only, as in pi-1")
    return name


def split_sans(sans: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Host names and addresses, each sorted and once; raises ``PkiError`` for what is neither."""
    names: set[str] = set()
    addresses: set[str] = set()
    for san in sans:
        try:
            addresses.add(str(ipaddress.ip_address(san)))
        except ValueError:
            names.add(checked_name(san.lower()))
    return tuple(sorted(names)), tuple(sorted(addresses))
