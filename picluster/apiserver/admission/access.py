"""What expressions ask about rights, answered by the server's authorizers."""

from __future__ import annotations

from picluster.api.cel.access import AccessCheck, AccessDecision
from picluster.apiserver.authn import User
from picluster.apiserver.authz import reviewselectors
from picluster.apiserver.authz.attributes import Attributes
from picluster.apiserver.authz.chain import Chain


class RequestAccess:
    """The rights of one request's user; equal questions are answered once (``CachingAuthorizer``)."""

    def __init__(self, chain: Chain, user: User) -> None:
        self._chain = chain
        self._user = user
        self._known: dict[AccessCheck, AccessDecision] = {}

    def decide(self, check: AccessCheck) -> AccessDecision:
        known = self._known.get(check)
        if known is None:
            known = self._known[check] = self._ask(check)
        return known

    def _ask(self, check: AccessCheck) -> AccessDecision:
        user = User(check.user, frozenset(check.groups)) if check.user else self._user
        if check.path:
            decision = self._chain.decide(Attributes(user, check.verb, path=check.path, is_resource=False))
            return AccessDecision(decision.allowed, decision.reason)
        fields, _ = reviewselectors.fields({"rawSelector": check.field_selector})
        labels, _ = reviewselectors.labels({"rawSelector": check.label_selector})
        decision = self._chain.decide(
            Attributes(
                user, check.verb, check.namespace, check.group, "*", check.resource, check.subresource, check.name,
                fields=fields, labels=labels,
            )
        )  # fmt: skip
        return AccessDecision(decision.allowed, decision.reason)
