"""Impersonation: a request served as somebody else, for who may ``impersonate`` each part of them.

``k8s.io/apiserver/pkg/endpoints/filters/impersonation``: headers ``Impersonate-User``, ``-Group``, ``-Uid`` and
``-Extra-<key>``; each is authorized by itself, as the verb ``impersonate`` on what it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web

from picluster.api.errors import ApiError
from picluster.apiserver.authn import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import Chain

PREFIX = b"impersonate-"
USER, GROUP, UID = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid"
EXTRA_PREFIX = "impersonate-extra-"
ACCOUNT_PREFIX = "system:serviceaccount:"
ACCOUNTS_GROUP = "system:serviceaccounts"
AUTHENTICATION = "authentication.k8s.io"


class _Part(NamedTuple):
    """One thing to be: what has to be authorized for it."""

    kind: str
    group: str
    resource: str
    name: str
    namespace: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """An ObjectReference, as Go prints it."""
        api_version = f"{self.group}/v1" if self.group else ""
        return f"{{{self.kind} {self.namespace} {self.name}  {api_version}  {self.subresource}}}"


def acting_as(chain: Chain, user: User, request: web.BaseRequest) -> User:
    """``user``, or whom the headers name; raises ``ApiError`` 403 when that is not allowed."""
    for name, _ in request.raw_headers:
        if name[:12].lower() == PREFIX:
            break
    else:
        return user
    parts = list(_parts(request))
    if not parts:
        return user
    if not request.headers.get(USER):
        requested = " ".join(map(str, parts))
        raise ApiError(500, "InternalError", f"requested [{requested}] without impersonating a user")
    for part in parts:
        chain.authorize(
            Attributes(
                user, "impersonate", part.namespace, part.group, "v1" if part.group else "", part.resource,
                part.subresource, part.name,
            )
        )  # fmt: skip
    return _user(parts)


def _parts(request: web.BaseRequest) -> Iterator[_Part]:
    headers = request.headers
    if name := headers.get(USER, ""):
        account = account_of(name)
        if account is not None:
            yield _Part("ServiceAccount", "", "serviceaccounts", account[1], account[0])
        else:
            yield _Part("User", "", "users", name)
    for group in headers.getall(GROUP, []):
        yield _Part("Group", "", "groups", group)
    for header, value in headers.items():
        if header.lower().startswith(EXTRA_PREFIX):
            key = unquote(header[len(EXTRA_PREFIX) :].lower())
            yield _Part("UserExtra", AUTHENTICATION, "userextras", value, subresource=key)
    if uid := headers.get(UID, ""):
        yield _Part("UID", AUTHENTICATION, "uids", uid)


def account_of(name: str) -> tuple[str, str] | None:
    """``(namespace, name)`` of a service account's user name."""
    if not name.startswith(ACCOUNT_PREFIX):
        return None
    namespace, colon, account = name[len(ACCOUNT_PREFIX) :].partition(":")
    return (namespace, account) if colon and namespace and account and ":" not in account else None


def _user(parts: list[_Part]) -> User:
    name, uid = "", ""
    groups: set[str] = set()
    extra: dict[str, list[str]] = {}
    account_namespace = ""
    for part in parts:
        if part.resource == "users":
            name = part.name
        elif part.resource == "serviceaccounts":
            name, account_namespace = f"{ACCOUNT_PREFIX}{part.namespace}:{part.name}", part.namespace
        elif part.resource == "groups":
            groups.add(part.name)
        elif part.resource == "uids":
            uid = part.name
        else:
            extra.setdefault(part.subresource, []).append(part.name)
    if account_namespace and not groups:
        groups = {ACCOUNTS_GROUP, f"{ACCOUNTS_GROUP}:{account_namespace}"}
    if name == ANONYMOUS.name:
        groups.add(UNAUTHENTICATED)
    elif not groups & {AUTHENTICATED, UNAUTHENTICATED}:
        groups.add(AUTHENTICATED)
    return User(name, frozenset(groups), uid, tuple((key, tuple(values)) for key, values in sorted(extra.items())))
