"""Webhook configurations of both kinds. Source: ``pkg/apis/admissionregistration/validation``, ``util/webhook``."""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, invalid_value, not_supported, required
from picluster.api.types import Object
from picluster.api.validation import admission, clientconfig, metadata
from picluster.api.validation.common import label_selector, named

Failures = list[FieldError]

SIDE_EFFECTS = ("None", "NoneOnDryRun")
ALL_SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")
REVIEW_VERSIONS = ("v1", "v1beta1")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
TIMEOUT_MAX_S = 30


def create(configuration: Object) -> Failures:
    failures: Failures = []
    metadata.validate(configuration["metadata"], failures, namespaced=False, name=metadata.subdomain)
    _webhooks(configuration.get("webhooks") or [], None, failures)
    return failures


def update(new: Object, old: Object) -> Failures:
    """What an old configuration does wrong already, a new one may go on with."""
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _webhooks(new.get("webhooks") or [], old.get("webhooks") or [], failures)
    return failures


def _webhooks(hooks: Sequence[Object], old: Sequence[Object] | None, failures: Failures) -> None:
    side_effects: tuple[str, ...] = SIDE_EFFECTS
    if any(hook.get("sideEffects") not in SIDE_EFFECTS for hook in old or ()):
        side_effects = ALL_SIDE_EFFECTS
    known_review = all(set(hook.get("admissionReviewVersions") or ()) & set(REVIEW_VERSIONS) for hook in old or ())
    old_names = [hook.get("name") for hook in old or ()]
    unique = len(set(old_names)) == len(old_names)
    seen: set[str] = set()
    for index, hook in enumerate(hooks):
        path, name = f"webhooks[{index}]", hook.get("name") or ""
        _webhook(hook, path, side_effects, failures)
        _review_versions(hook.get("admissionReviewVersions") or [], path, failures, must_know_one=known_review)
        if unique and name in seen:
            failures.append(duplicate(f"{path}.name", name))
        seen.add(name)


def _webhook(hook: Object, path: str, side_effects: tuple[str, ...], failures: Failures) -> None:
    _fully_qualified_name(hook.get("name") or "", f"{path}.name", failures)
    for index, rule in enumerate(hook.get("rules") or ()):
        admission.rule(rule, f"{path}.rules[{index}]", failures)
    admission.choice(hook, "failurePolicy", admission.FAILURE_POLICIES, path, failures)
    admission.choice(hook, "matchPolicy", admission.MATCH_POLICIES, path, failures)
    effects = hook.get("sideEffects")
    if effects is None:
        failures.append(required(f"{path}.sideEffects", f"must specify one of {', '.join(side_effects)}"))
    elif effects not in side_effects:
        failures.append(not_supported(f"{path}.sideEffects", effects, side_effects))
    timeout_s = hook.get("timeoutSeconds")
    if timeout_s is not None and not 1 <= timeout_s <= TIMEOUT_MAX_S:
        detail = "the timeout value must be between 1 and 30 seconds"
        failures.append(invalid_value(f"{path}.timeoutSeconds", timeout_s, detail))
    for field in ("namespaceSelector", "objectSelector"):
        if hook.get(field) is not None:
            label_selector(hook[field], f"{path}.{field}", failures)
    admission.choice(hook, "reinvocationPolicy", REINVOCATION_POLICIES, path, failures)
    clientconfig.validate(hook.get("clientConfig") or {}, f"{path}.clientConfig", failures)
    admission.match_conditions(hook.get("matchConditions"), f"{path}.matchConditions", failures)


def _fully_qualified_name(name: str, path: str, failures: Failures) -> None:
    if not name:
        failures.append(required(path))
    elif messages := names.dns1123_subdomain(name):
        failures.append(invalid_value(path, name, ",".join(messages)))
    elif name.count(".") < 2:
        detail = "should be a domain with at least three segments separated by dots"
        failures.append(invalid_value(path, name, detail))


def _review_versions(versions: list[str], path: str, failures: Failures, *, must_know_one: bool) -> None:
    path, known = f"{path}.admissionReviewVersions", ", ".join(REVIEW_VERSIONS)
    if not versions:
        failures.append(required(path, f"must specify one of {known}"))
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            failures.append(invalid_value(f"{path}[{index}]", version, "duplicate version"))
        else:
            named(names.dns1035_label(version), f"{path}[{index}]", version, failures)
    if must_know_one and not set(versions) & set(REVIEW_VERSIONS):
        failures.append(invalid_value(path, versions, f"must include at least one of {known}"))
