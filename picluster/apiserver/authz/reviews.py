"""Questions about access, and about oneself: what ``kubectl auth can-i`` and ``whoami`` ask.

Sources: ``pkg/registry/authorization`` and ``pkg/registry/authentication/selfsubjectreview``.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api import errors, meta
from picluster.api.errors import FieldError
from picluster.api.resources import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
)
from picluster.api.types import Object
from picluster.api.validation import accessreview
from picluster.apiserver.authn import User
from picluster.apiserver.authz import reviewselectors
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import Chain
from picluster.apiserver.registry.registry import Registry, Write

GROUP = "authorization.k8s.io"


class Reviews:
    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def install(self, registry: Registry) -> None:
        registry.reviews[SUBJECT_ACCESS_REVIEWS] = self.subject_access
        registry.reviews[LOCAL_SUBJECT_ACCESS_REVIEWS] = self.local_subject_access
        registry.reviews[SELF_SUBJECT_ACCESS_REVIEWS] = self.self_subject_access
        registry.reviews[SELF_SUBJECT_RULES_REVIEWS] = self.self_subject_rules
        registry.reviews[SELF_SUBJECT_REVIEWS] = lambda write, review: self_subject(registry, write, review)

    async def subject_access(self, write: Write, review: Object) -> Object:
        _check(accessreview.subject(review))
        return self._answer(review, _user_of(review.get("spec") or {}))

    async def local_subject_access(self, write: Write, review: Object) -> Object:
        metadata = review.setdefault("metadata", {})
        if metadata.setdefault("namespace", write.namespace) != write.namespace:
            why = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(why)
        _check(accessreview.local(review))
        return self._answer(review, _user_of(review.get("spec") or {}))

    async def self_subject_access(self, write: Write, review: Object) -> Object:
        _check(accessreview.own(review))
        return self._answer(review, write.user)

    async def self_subject_rules(self, write: Write, review: Object) -> Object:
        namespace = (review.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise errors.bad_request("no namespace on request")
        held = self._chain.held(write.user, namespace)
        status: Object = {"resourceRules": [], "nonResourceRules": [], "incomplete": bool(held.error)}
        for rule in held.rules:
            if rule.resources:
                shown: Object = {"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources}
                if rule.names:
                    shown["resourceNames"] = rule.names
                status["resourceRules"].append(shown)
            if rule.urls:
                status["nonResourceRules"].append({"verbs": rule.verbs, "nonResourceURLs": rule.urls})
        if held.error:
            status["evaluationError"] = held.error
        return {
            "kind": review["kind"],
            "apiVersion": review["apiVersion"],
            "metadata": {},
            "spec": {},
            "status": status,
        }

    def _answer(self, review: Object, user: User) -> Object:
        asked, problem = _attributes(review["spec"], user)
        decision = self._chain.decide(asked)
        status: Object = {"allowed": decision.allowed}
        if decision.denied:
            status["denied"] = True
        if decision.reason:
            status["reason"] = decision.reason
        if problem:
            status["evaluationError"] = problem
        review["status"] = status
        return review


async def self_subject(registry: Registry, write: Write, review: Object) -> Object:
    """Who the server takes the caller for."""
    user = write.user
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = sorted(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra}
    metadata = {"creationTimestamp": meta.now_rfc3339(registry.clock.now())}
    kind, api_version = review["kind"], review["apiVersion"]
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata, "status": {"userInfo": info}}


def _check(failures: list[FieldError]) -> None:
    if failures:
        raise errors.invalid(GROUP, "", "", failures)


def _user_of(spec: Object) -> User:
    extra: Iterable[tuple[str, list[str]]] = sorted((spec.get("extra") or {}).items())
    groups = frozenset(spec.get("groups") or ())
    return User(
        spec.get("user", ""), groups, spec.get("uid", ""), tuple((key, tuple(values or ())) for key, values in extra)
    )


def _attributes(spec: Object, user: User) -> tuple[Attributes, str]:
    """What is asked, and what of it could not be understood (``AuthorizationAttributesFrom``)."""
    resource = spec.get("resourceAttributes")
    if resource is None:
        path = spec["nonResourceAttributes"]
        return Attributes(user, path.get("verb", ""), path=path.get("path", ""), is_resource=False), ""
    fields, field_problem = reviewselectors.fields(resource.get("fieldSelector") or {})
    labels, label_problem = reviewselectors.labels(resource.get("labelSelector") or {})
    asked = Attributes(
        user, resource.get("verb", ""), resource.get("namespace", ""), resource.get("group", ""),
        resource.get("version", ""), resource.get("resource", ""), resource.get("subresource", ""),
        resource.get("name", ""), fields=fields, labels=labels,
    )  # fmt: skip
    problems = [problem for problem in (field_problem, label_problem) if problem]
    return asked, problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else ""
