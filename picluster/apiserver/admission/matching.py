"""Whether a webhook or a policy concerns a request: rules, selectors, and conditions in CEL.

``Matcher`` is made of a webhook, of a policy's ``matchConstraints`` or of a binding's ``matchResources``, and asked
for each request; ``MatchConditions`` likewise of their ``matchConditions``. ``bindings`` is what expressions see of a
request. Sources: ``webhook/predicates``, ``webhook/matchconditions`` and ``policy/matching`` in
``apiserver/pkg/admission/plugin``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from picluster.api import errors
from picluster.api.cel import BOOL, MATCH_CONDITIONS_COST_MAX, Budget, CelBudgetError, CelError
from picluster.api.cel import admission as cel_admission
from picluster.api.cel.access import Access, Authorizer, ResourceCheck
from picluster.api.cel.expression import Expression
from picluster.api.resources import NAMESPACES, Resource
from picluster.api.selectors.labels import EVERYTHING, LabelSelector, from_object
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes
from picluster.apiserver.cache.watchcache import WatchCache

EXEMPT = frozenset(
    ("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies",
     "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
)  # fmt: skip

Serving = Iterable[Resource]
"""The rows that are served, to find the other versions of a resource."""


def exempt(resource: Resource) -> bool:
    """Whether neither webhooks nor policies see the resource, so that one can always be taken away again."""
    return resource.group == "admissionregistration.k8s.io" and resource.plural in EXEMPT


class Matcher:
    """The rules and selectors of one webhook, policy or binding; ``rules`` of ``None`` match everything."""

    def __init__(self, criteria: Object, rules: Sequence[Object] | None) -> None:
        self._rules = rules
        self._excluded = tuple(criteria.get("excludeResourceRules") or ())
        self._equivalent = criteria.get("matchPolicy", "Equivalent") != "Exact"
        self._namespaces = _selector(criteria.get("namespaceSelector"))
        self._objects = _selector(criteria.get("objectSelector"))

    @classmethod
    def of_webhook(cls, webhook: Object) -> Matcher:
        return cls(webhook, tuple(webhook.get("rules") or ()))

    @classmethod
    def of_resources(cls, resources: Object | None) -> Matcher:
        """For a ``MatchResources``: without rules it matches everything that its selectors select."""
        criteria = resources or {}
        return cls(criteria, tuple(criteria.get("resourceRules") or ()) or None)

    def match(self, attributes: Attributes, cache: WatchCache, serving: Serving) -> Resource | None:
        """The row by which a rule matches, of the request's resource or of another version of it, or ``None``.

        Raises ``ApiError`` 404 when the selectors need a namespace that is not there.
        """
        if not self._objects.empty and not self._selects_object(attributes):
            return None
        if self._excluded and self._find(self._excluded, attributes, serving) is not None:
            return None
        found = attributes.resource if self._rules is None else self._find(self._rules, attributes, serving)
        if found is None or not self._selects_namespace(attributes, cache):
            return None
        return found

    def _find(self, rules: Sequence[Object], attributes: Attributes, serving: Serving) -> Resource | None:
        likely = [rule for rule in rules if _may_match(rule, attributes)]
        if not likely:
            return None
        resource = attributes.resource
        if any(_group_matches(rule, resource) for rule in likely):
            return resource
        if not self._equivalent:
            return None
        others = [row for row in serving if row.stored_as == resource.stored_as and row.stored and row is not resource]
        return next((other for rule in likely for other in others if _group_matches(rule, other)), None)

    def _selects_object(self, attributes: Attributes) -> bool:
        return any(
            obj is not None and "metadata" in obj and self._objects.matches_object(obj)
            for obj in (attributes.obj, attributes.old)
        )

    def _selects_namespace(self, attributes: Attributes, cache: WatchCache) -> bool:
        if self._namespaces.empty:
            return True
        if attributes.resource is NAMESPACES:
            if attributes.obj is not None and not attributes.subresource and attributes.operation in (CREATE, UPDATE):
                return self._namespaces.matches_object(attributes.obj)
            return self._namespaces.matches(_namespace_labels(attributes.name, cache))
        if not attributes.namespace:
            return True
        return self._namespaces.matches(_namespace_labels(attributes.namespace, cache))


class MatchConditions:
    """The ``matchConditions`` of a webhook or policy."""

    def __init__(self, conditions: Iterable[Object], *, params: bool = False) -> None:
        declared = cel_admission.variables(params=params)
        self._conditions = tuple(Expression(each["expression"], declared, BOOL) for each in conditions)

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def hold(self, variables: Object) -> bool:
        """Whether all are true: False as soon as one is false, else ``CelError`` if one of them failed."""
        budget, failures = Budget(MATCH_CONDITIONS_COST_MAX), list[str]()
        for condition in self._conditions:
            try:
                if not condition.value(variables, budget):
                    return False
            except CelBudgetError:
                raise
            except CelError as failure:
                failures.append(str(failure))
        if failures:
            raise CelError(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return True


def bindings(attributes: Attributes, matched: Resource, cache: WatchCache, access: Access | None) -> Object:
    """The variables of expressions about a request; ``matched`` is the row that a ``Matcher`` gave."""
    variables: Object = {
        "object": attributes.obj,
        "oldObject": attributes.old,
        "request": admission_request(attributes, matched),
        "namespaceObject": _namespace_object(attributes, cache),
    }
    if access is not None:
        variables["authorizer"] = Authorizer(access)
        variables["authorizer.requestResource"] = _request_resource(access, attributes)
    return variables


def admission_request(attributes: Attributes, matched: Resource) -> Object:
    """The AdmissionRequest of ``attributes`` without uid and objects (``cel.CreateAdmissionRequest``)."""
    resource, user = attributes.resource, attributes.user
    asked = _kind(attributes)
    kind = asked if matched is resource else {"group": matched.group, "version": matched.version, "kind": matched.kind}
    request: Object = {
        "kind": kind,
        "resource": {"group": matched.group, "version": matched.version, "resource": matched.plural},
        "requestKind": asked,
        "requestResource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
        "name": attributes.name,
        "operation": attributes.operation,
        "userInfo": {"username": user.name, "groups": sorted(user.groups)},
        "dryRun": attributes.dry_run,
        "options": attributes.options or None,
    }
    if user.uid:
        request["userInfo"]["uid"] = user.uid
    if user.extra:
        request["userInfo"]["extra"] = {key: list(values) for key, values in user.extra}
    if attributes.subresource:
        request["subResource"] = request["requestSubResource"] = attributes.subresource
    if namespace := _request_namespace(attributes):
        request["namespace"] = namespace
    return request


def _request_namespace(attributes: Attributes) -> str:
    return attributes.name if attributes.resource is NAMESPACES else attributes.namespace


def _kind(attributes: Attributes) -> Object:
    """What the body is: a subresource may have a kind of its own."""
    body = attributes.obj if attributes.obj is not None else attributes.old
    api_version, kind = attributes.resource.api_version, attributes.resource.kind
    if attributes.subresource and body is not None and body.get("kind"):
        api_version, kind = body.get("apiVersion", api_version), body["kind"]
    group, _, version = api_version.rpartition("/")
    return {"group": group, "version": version, "kind": kind}


def _request_resource(access: Access, attributes: Attributes) -> ResourceCheck:
    resource = attributes.resource
    return ResourceCheck(
        Authorizer(access), resource.group, resource.plural, attributes.subresource, _request_namespace(attributes),
        attributes.name,
    )  # fmt: skip


def _namespace_object(attributes: Attributes, cache: WatchCache) -> Object | None:
    if not attributes.namespace or attributes.resource is NAMESPACES:
        return None
    entry = cache.get(NAMESPACES, "", attributes.namespace)
    if entry is None:
        return None
    namespace: Object = orjson.loads(entry.wire)
    for hidden in ("managedFields", "ownerReferences", "selfLink"):
        namespace["metadata"].pop(hidden, None)
    return namespace


def _namespace_labels(name: str, cache: WatchCache) -> Mapping[str, str]:
    entry = cache.get(NAMESPACES, "", name)
    if entry is None:
        raise errors.not_found("", "namespaces", name)
    return entry.labels or {}


def _may_match(rule: Object, attributes: Attributes) -> bool:
    """Whether the rule matches in some group and version; all versions of a resource have one plural."""
    return (
        _matches(rule.get("operations") or (), attributes.operation)
        and _resource_matches(rule.get("resources") or (), attributes.resource.plural, attributes.subresource)
        and _scope_matches(rule.get("scope", "*"), attributes)
        and (not rule.get("resourceNames") or attributes.name in rule["resourceNames"])
    )


def _group_matches(rule: Object, resource: Resource) -> bool:
    return _matches(rule.get("apiGroups") or (), resource.group) and _matches(
        rule.get("apiVersions") or (), resource.version
    )


def _scope_matches(scope: str, attributes: Attributes) -> bool:
    if scope == "*":
        return True
    namespaced = attributes.resource is not NAMESPACES and bool(attributes.namespace)
    return namespaced is (scope == "Namespaced")


def _matches(choices: Sequence[str], value: str) -> bool:
    return "*" in choices or value in choices


def _resource_matches(choices: Sequence[str], plural: str, subresource: str) -> bool:
    for choice in choices:
        resource, _, below = choice.partition("/")
        if resource in ("*", plural) and below in ("*", subresource):
            return True
    return False


def _selector(selector: Object | None) -> LabelSelector:
    return EVERYTHING if not selector else from_object(selector)
