"""Impersonation: a request served as somebody else, for who may.

``k8s.io/apiserver/pkg/endpoints/filters/impersonation``: headers ``Impersonate-User``, ``-Group``, ``-Uid`` and
``-Extra-<key>``. Constrained impersonation (KEP-5284) is tried first: its verbs ``impersonate:<mode>`` on each part of
whom the headers name, with ``impersonate-on:<mode>:<verb>`` on what the request does. Then the verb ``impersonate``,
which is leave for everything that somebody may.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web

from picluster.api.errors import ApiError
from picluster.api.names import dns1123_subdomain
from picluster.apiserver.authn import ANONYMOUS, AUTHENTICATED, NODE_PREFIX, NODES_GROUP, UNAUTHENTICATED, User
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import Chain

PREFIX = b"impersonate-"
USER, GROUP, UID = "Impersonate-User", "Impersonate-Group", "Impersonate-Uid"
EXTRA_PREFIX = "impersonate-extra-"
ACCOUNT_PREFIX = "system:serviceaccount:"
ACCOUNTS_GROUP = "system:serviceaccounts"
AUTHENTICATION = "authentication.k8s.io"
POD_NAME, NODE_NAME = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/node-name"

Describe = Callable[[User], Attributes]
"""The attributes of the request, made by that user."""


class Acting(NamedTuple):
    """Whom a request is served as; ``constraint`` is the verb of constrained impersonation that allowed it, if one."""

    user: User
    constraint: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom the headers name."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def only_name(self) -> bool:
        return not (self.uid or self.groups or self.extra)

    @property
    def account(self) -> tuple[str, str] | None:
        return account_of(self.name)

    @property
    def node(self) -> str:
        name = self.name[len(NODE_PREFIX) :] if self.name.startswith(NODE_PREFIX) else ""
        return name if name and not list(dns1123_subdomain(name)) else ""

    def user(self, *, constrained: bool) -> User:
        """The user that this becomes, with the groups that come with such a name."""
        groups = set(self.groups)
        if not groups and constrained and self.node:
            groups.add(NODES_GROUP)
        if not groups and self.account is not None:
            groups.update((ACCOUNTS_GROUP, f"{ACCOUNTS_GROUP}:{self.account[0]}"))
        if self.name == ANONYMOUS.name:
            groups.add(UNAUTHENTICATED)
        elif UNAUTHENTICATED not in groups:
            groups.add(AUTHENTICATED)
        return User(self.name, frozenset(groups), self.uid, self.extra)

    def __str__(self) -> str:
        """As Go prints a ``user.DefaultInfo``."""
        extra = ", ".join(f"{json.dumps(key)}:{_strings(values)}" for key, values in self.extra)
        shown = f"map[string][]string{{{extra}}}" if self.extra else "map[string][]string(nil)"
        named = f"Name:{json.dumps(self.name)}, UID:{json.dumps(self.uid)}"
        return f"&user.DefaultInfo{{{named}, Groups:{_strings(self.groups)}, Extra:{shown}}}"


def acting_as(chain: Chain, user: User, request: web.BaseRequest, describe: Describe) -> Acting:
    """``user``, or whom the headers name; raises ``ApiError`` 403 when that is not allowed."""
    for name, _ in request.raw_headers:
        if name[:12].lower() == PREFIX:
            break
    else:
        return Acting(user)
    wanted = _wanted(request)
    if not wanted.name:
        if wanted.only_name:
            return Acting(user)
        raise ApiError(500, "InternalError", f"requested {wanted} without impersonating a user name")
    for mode in _modes(user, wanted):
        asked = describe(user)
        on = asked._replace(verb=f"impersonate-on:{mode}:{asked.verb}")
        if chain.decide(on).allowed and all(chain.decide(part).allowed for part in _parts(user, wanted, mode)):
            return Acting(wanted.user(constrained=True), f"impersonate:{mode}")
    for part in _parts(user, wanted, ""):
        chain.authorize(part)
    return Acting(wanted.user(constrained=False))


def account_of(name: str) -> tuple[str, str] | None:
    """``(namespace, name)`` of a service account's user name."""
    if not name.startswith(ACCOUNT_PREFIX):
        return None
    namespace, colon, account = name[len(ACCOUNT_PREFIX) :].partition(":")
    return (namespace, account) if colon and namespace and account and ":" not in account else None


def runs_on(user: User) -> str:
    """The node that a service account's token is bound to; empty for anybody else."""
    if account_of(user.name) is None:
        return ""
    names = dict(user.extra).get(NODE_NAME, ())
    return names[0] if len(names) == 1 else ""


def _wanted(request: web.BaseRequest) -> Wanted:
    headers = request.headers
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers.items():
        if header.lower().startswith(EXTRA_PREFIX):
            key = unquote(header[len(EXTRA_PREFIX) :].lower())
            extra[key] = (*extra.get(key, ()), value)
    groups = tuple(headers.getall(GROUP, []))
    return Wanted(headers.get(USER, ""), headers.get(UID, ""), groups, tuple(sorted(extra.items())))


def _modes(user: User, wanted: Wanted) -> Iterator[str]:
    """The modes of constrained impersonation that fit whom the headers name, narrowest first."""
    if wanted.node:
        if wanted.only_name and POD_NAME in dict(user.extra) and runs_on(user) == wanted.node:
            yield "associated-node"
        if wanted.only_name:
            yield "arbitrary-node"
    elif wanted.account is not None:
        if wanted.only_name:
            yield "serviceaccount"
    else:
        yield "user-info"


def _parts(user: User, wanted: Wanted, mode: str) -> Iterator[Attributes]:
    """What has to be allowed, one by one; ``mode`` is empty for the verb of old."""
    verb = f"impersonate:{mode}" if mode else "impersonate"
    group, version = (AUTHENTICATION, "v1") if mode else ("", "v1")
    if mode and wanted.node:
        yield Attributes(user, verb, "", group, version, "nodes", name=wanted.node)
    elif wanted.account is not None:
        namespace, name = wanted.account
        yield Attributes(user, verb, namespace, group, version, "serviceaccounts", name=name)
    else:
        yield Attributes(user, verb, "", group, version, "users", name=wanted.name)
    if wanted.uid:
        yield Attributes(user, verb, "", AUTHENTICATION, "v1", "uids", name=wanted.uid)
    for name in wanted.groups:
        yield Attributes(user, verb, "", group, version, "groups", name=name)
    for key, values in wanted.extra:
        for value in values:
            yield Attributes(user, verb, "", AUTHENTICATION, "v1", "userextras", key, value)


def _strings(values: tuple[str, ...]) -> str:
    return f"[]string{{{', '.join(map(json.dumps, values))}}}" if values else "[]string(nil)"
