"""Who asks, and whether he may: as the kubelet authenticates and authorizes (``pkg/kubelet/server/auth.go``, KEP-2862).

A client certificate that the cluster's authority signed says who it is; so does a bearer token, after a TokenReview.
Whether he may is a SubjectAccessReview for subresources of this node: one of them is enough. The API server itself and
``system:masters`` are let in without asking. Answers are kept for a while, and so many only.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web

from picluster.api.errors import ApiError
from picluster.api.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS
from picluster.api.types import Object
from picluster.client import Client, TransportError
from picluster.util.clock import Clock

log = logging.getLogger(__name__)

TRUSTED_NAMES = frozenset({"kube-apiserver-kubelet-client"})
TRUSTED_GROUPS = frozenset({"system:masters"})
AUTHENTICATED = "system:authenticated"
BEARER = "bearer "
TOKEN_BYTES_MAX = 16 << 10
TOKEN_TTL_S = 120.0
REFUSED_TOKEN_TTL_S = 10.0
ALLOWED_TTL_S = 300.0
DENIED_TTL_S = 30.0
"""The kubelet's times."""
ANSWERS_MAX = 256
REVIEWS_MAX = 4
"""Reviews that are under way at one time."""
VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
SUBRESOURCES = {
    "stats": ("stats",), "metrics": ("metrics",), "logs": ("log",), "checkpoint": ("checkpoint",),
    "pods": ("pods", "proxy"), "runningpods": ("pods", "proxy"), "healthz": ("healthz", "proxy"),
    "configz": ("configz", "proxy"),
}  # fmt: skip
"""What each first segment of a path is of the node; everything else is ``proxy``."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def trusted(self) -> bool:
        return self.name in TRUSTED_NAMES or not TRUSTED_GROUPS.isdisjoint(self.groups)


def subresources(path: str) -> tuple[str, ...]:
    """The subresources of the node that allow a request for ``path``; any of them does. PURE."""
    return SUBRESOURCES.get(path.lstrip("/").partition("/")[0], ("proxy",))


def certified(certificate: Mapping[str, Any] | None) -> Caller | None:
    """Whose a verified certificate is, as ``getpeercert`` shows it: CN the user, O the groups. PURE."""
    subject: dict[str, list[str]] = {}
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            subject.setdefault(key, []).append(value)
    names = subject.get("commonName")
    return Caller(names[0], groups=(*subject.get("organizationName", ()), AUTHENTICATED)) if names else None


class _Kept(Generic[Answer]):
    """Answers by their question, each for its time, the oldest first to go."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()

    def get(self, question: Hashable) -> tuple[float, Answer] | None:
        found = self._answers.get(question)
        return found if found is not None and found[0] > self._clock.monotonic() else None

    def put(self, question: Hashable, answer: Answer, ttl_s: float) -> Answer:
        self._answers[question] = (self._clock.monotonic() + ttl_s, answer)
        self._answers.move_to_end(question)
        while len(self._answers) > ANSWERS_MAX:
            self._answers.popitem(last=False)
        return answer


class Access:
    def __init__(self, client: Client, node_name: str, clock: Clock) -> None:
        self._client = client
        self._node_name = node_name
        self._callers: _Kept[Caller | None] = _Kept(clock)
        self._decisions: _Kept[bool] = _Kept(clock)
        self._reviews = asyncio.Semaphore(REVIEWS_MAX)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = certified(request.transport.get_extra_info("peercert") if request.transport else None)
        if caller is None:
            caller = await self._bearer(request.headers.get("Authorization", ""))
        if caller is None:
            raise web.HTTPUnauthorized(text="Unauthorized")
        if not caller.trusted:
            await self._authorize(caller, request)
        return await handler(request)

    async def _bearer(self, header: str) -> Caller | None:
        """Whose the token is; nobody's when the API server does not say so."""
        if not header.lower().startswith(BEARER) or len(header) > TOKEN_BYTES_MAX:
            return None
        token = header[len(BEARER) :].strip()
        key = hashlib.sha256(token.encode()).digest()
        if (kept := self._callers.get(key)) is not None:
            return kept[1]
        try:
            async with self._reviews:
                review = await self._client.create(TOKEN_REVIEWS, {"spec": {"token": token}})
        except (ApiError, TransportError) as error:
            log.warning("cannot ask whose a token is: %s", error)
            return None
        status = review.get("status") or {}
        if not status.get("authenticated"):
            return self._callers.put(key, None, REFUSED_TOKEN_TTL_S)
        user: Object = status.get("user") or {}
        caller = Caller(
            str(user.get("username") or ""), str(user.get("uid") or ""), tuple(user.get("groups") or ()),
            user.get("extra") or {},
        )  # fmt: skip
        return self._callers.put(key, caller, TOKEN_TTL_S)

    async def _authorize(self, caller: Caller, request: web.Request) -> None:
        """Raises 403, or 500 when nobody can be asked."""
        verb, named = VERBS.get(request.method, ""), subresources(request.path)
        what = f"user={caller.name}, verb={verb}, resource=nodes, subresource(s)=[{' '.join(named)}]"
        try:
            for one in named:
                if await self._may(caller, verb, one):
                    return
        except (ApiError, TransportError) as error:
            log.warning("cannot ask whether %s may: %s", caller.name, error)
            raise web.HTTPInternalServerError(text=f"Authorization error ({what})") from error
        raise web.HTTPForbidden(text=f"Forbidden ({what})")

    async def _may(self, caller: Caller, verb: str, subresource: str) -> bool:
        question = (caller, verb, subresource)
        if (kept := self._decisions.get(question)) is not None:
            return kept[1]
        attributes = {
            "verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": self._node_name
        }  # fmt: skip
        spec: Object = {"user": caller.name, "groups": list(caller.groups), "resourceAttributes": attributes}
        if caller.uid:
            spec["uid"] = caller.uid
        if caller.extra:
            spec["extra"] = dict(caller.extra)
        async with self._reviews:
            review = await self._client.create(SUBJECT_ACCESS_REVIEWS, {"spec": spec})
        allowed = bool((review.get("status") or {}).get("allowed"))
        return self._decisions.put(question, allowed, ALLOWED_TTL_S if allowed else DENIED_TTL_S)
