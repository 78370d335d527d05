"""Defaults that webhooks and admission policies have in common."""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.types import Object

WEBHOOK_TIMEOUT_S = 10
WEBHOOK_PORT = 443


def rules(found: Iterable[Object] | None) -> None:
    for rule in found or ():
        rule.setdefault("scope", "*")


def webhook(hook: Object) -> None:
    hook.setdefault("failurePolicy", "Fail")
    hook.setdefault("matchPolicy", "Equivalent")
    hook.setdefault("namespaceSelector", {})
    hook.setdefault("objectSelector", {})
    hook.setdefault("timeoutSeconds", WEBHOOK_TIMEOUT_S)
    rules(hook.get("rules"))
    service = (hook.get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", WEBHOOK_PORT)


def match_resources(match: Object | None) -> None:
    if match is not None:
        match.setdefault("matchPolicy", "Equivalent")
        match.setdefault("namespaceSelector", {})
        match.setdefault("objectSelector", {})
        rules(match.get("resourceRules"))
        rules(match.get("excludeResourceRules"))


def policy(admission_policy: Object) -> None:
    spec = admission_policy.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    match_resources(spec.get("matchConstraints"))


def binding(policy_binding: Object) -> None:
    match_resources((policy_binding.get("spec") or {}).get("matchResources"))
