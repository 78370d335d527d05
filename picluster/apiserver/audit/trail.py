"""One request's way through its stages, as far as its policy wants that known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from picluster.api.errors import ApiError
from picluster.api.meta import now_micro
from picluster.api.types import Object
from picluster.apiserver import negotiate
from picluster.apiserver.audit import event as events
from picluster.apiserver.audit.log import AuditLog
from picluster.apiserver.audit.policy import LEVELS, Policy, Scope
from picluster.apiserver.authn import User
from picluster.apiserver.authn.user import user_info
from picluster.apiserver.authz.chain import Decision
from picluster.apiserver.connection import request_of
from picluster.apiserver.pieces import Pieces
from picluster.apiserver.requestinfo import RequestInfo
from picluster.util.clock import Clock

NOBODY = User("", frozenset())
FAILED = "Authentication failed, attempted: bearer"
REQUEST, RESPONSE = LEVELS.index("Request"), LEVELS.index("RequestResponse")
BODIED = frozenset({"create", "update", "patch", "delete", "deletecollection"})
RELAYED = frozenset({"proxy", "exec", "attach", "portforward"})
"""Subresources whose bodies are not the server's to read."""
DECISION, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"


class Auditor:
    """``begin`` for each request, once it is known who asks."""

    def __init__(self, policy: Policy, log: AuditLog, clock: Clock) -> None:
        self._policy = policy
        self._log = log
        self._clock = clock

    async def begin(
        self, request: web.BaseRequest, info: RequestInfo, user: User, annotations: Iterable[tuple[str, str]]
    ) -> Trail | None:
        """Follow this request; ``None`` when nobody wants to know of it."""
        scope = self._policy.scope(user, info)
        if not scope.level:
            return None
        trail = Trail(self, scope, request, info, user)
        trail.annotations.update(annotations)
        if scope.level >= REQUEST and info.verb in BODIED and info.target.subresource not in RELAYED:
            await trail.read_body()
        trail.log("RequestReceived", {})
        return trail

    def failed_authentication(self, request: web.BaseRequest, info: RequestInfo) -> None:
        """Somebody came with a token that is not good (``WithFailedAuthenticationAudit``)."""
        scope = self._policy.scope(NOBODY, info)
        if scope.level:
            status = {"metadata": {}, "status": "Failure", "message": FAILED, "code": 401}
            trail = Trail(self, scope, request, info, NOBODY)
            trail.log("ResponseStarted", {"responseStatus": status})

    def now(self) -> str:
        return now_micro(self._clock.now())

    def write(self, event: Object) -> None:
        self._log.write(orjson.dumps(event))

    def close(self) -> None:
        self._log.close()


class Trail:
    def __init__(self, auditor: Auditor, scope: Scope, request: web.BaseRequest, info: RequestInfo, user: User) -> None:
        self.id = request_of(request).called
        self.annotations: dict[str, str] = {}
        self._auditor = auditor
        self._scope = scope
        self._request = request
        self._info = info
        self._user = user
        self._acting: User | None = None
        self._constraint = ""
        self._object: Any = None
        self._received = auditor.now()

    async def read_body(self) -> None:
        """Keep what the client sends; what cannot be read is told to the client later."""
        body = await self._request.read()
        resource = self._info.target.resource
        if not body or resource is None:
            return
        content_type = self._request.headers.get("Content-Type", "")
        if self._info.verb == "patch" or (self._info.target.subresource and not negotiate.is_json(content_type)):
            content_type = negotiate.JSON
        try:
            self._object = negotiate.decode_body(content_type, body, resource)
        except ApiError:
            self._object = None

    def acts_as(self, user: User, constraint: str) -> None:
        """The request is served as ``user``; ``constraint`` is the verb of limited impersonation that allows it."""
        if user is not self._user:
            self._acting = user
            self._constraint = constraint

    def decided(self, decision: Decision) -> None:
        self.annotations[DECISION] = "allow" if decision.allowed else "forbid"
        self.annotations[REASON] = decision.reason

    def started(self) -> None:
        """An answer begins that lasts (a watch, a log, a shell)."""
        self.log("ResponseStarted", {"responseStatus": {"metadata": {}, "code": 200}})

    def completed(self, response: web.StreamResponse | None) -> None:
        """The answer is whole; ``None`` when the client did not wait for it."""
        if response is None:
            self.log("ResponseComplete", {})
            return
        body = self._body_of(response)
        more: Object = {"responseStatus": events.response_status(response.status, body)}
        if self._scope.level >= RESPONSE and body is not None:
            more["responseObject"] = self._shown(body)
        self.log("ResponseComplete", more, created=body if response.status == 201 else None)

    def _body_of(self, response: web.StreamResponse) -> Object | None:
        """The answer's object, where it matters and is there as JSON."""
        wanted = self._scope.level >= RESPONSE or response.status >= 400 or self._info.verb in ("create", "delete")
        if not wanted or not isinstance(response, web.Response) or "Content-Encoding" in response.headers:
            return None
        body = bytes(response.body) if isinstance(response.body, Pieces) else response.body
        if not isinstance(body, bytes):
            return None
        return events.decoded(body) if self._scope.level >= RESPONSE else events.head(body)

    def _shown(self, obj: Any) -> Any:
        return events.trimmed(obj) if self._scope.omit_managed_fields else obj

    def log(self, stage: str, more: Object, created: Object | None = None) -> None:
        """Write the event of ``stage``, unless the policy leaves that out."""
        if stage in self._scope.omitted:
            return
        event = self._event(stage)
        if created is not None and "objectRef" in event and "name" not in event["objectRef"]:
            name = (created.get("metadata") or {}).get("name")
            event["objectRef"] = {**event["objectRef"], **({"name": name} if name else {})}
        if self._object is not None and stage != "RequestReceived":
            event["requestObject"] = self._shown(self._object)
        event.update(more)
        event["requestReceivedTimestamp"] = self._received
        event["stageTimestamp"] = self._auditor.now()
        if self.annotations:
            event["annotations"] = dict(self.annotations)
        self._auditor.write(event)

    def _event(self, stage: str) -> Object:
        request = self._request
        event: Object = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": LEVELS[self._scope.level],
            "auditID": self.id,
            "stage": stage,
            "requestURI": request.raw_path,
            "verb": self._info.verb,
            "user": user_info(self._user) if self._user is not NOBODY else {},
        }
        if self._acting is not None:
            event["impersonatedUser"] = user_info(self._acting)
            if self._constraint:
                event["authenticationMetadata"] = {"impersonationConstraint": self._constraint}
        event["sourceIPs"] = source_ips(request)
        if agent := request.headers.get("User-Agent", ""):
            event["userAgent"] = events.user_agent(agent)
        if (reference := events.object_reference(self._info)) is not None:
            event["objectRef"] = reference
        return event


def source_ips(request: web.BaseRequest) -> list[str]:
    """Where a request came from: what proxies say, then the peer itself."""
    said = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    found = [address for address in said if address]
    peer = request.remote
    if peer and (not found or found[-1] != peer):
        found.append(peer)
    return found
