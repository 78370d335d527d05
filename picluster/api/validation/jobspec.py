"""What a Job and a CronJob's template of jobs have in common."""

from __future__ import annotations

import json
from collections.abc import Iterable

from picluster.api import indexes, names
from picluster.api.errors import FieldError, duplicate, invalid_value, not_supported, required, too_long, too_many
from picluster.api.types import Object
from picluster.api.validation import podspec
from picluster.api.validation.common import named, not_negative

Failures = list[FieldError]

ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
STATUSES = ("False", "True", "Unknown")
REPLACEMENTS = ("Failed", "TerminatingOrFailed")
RULES_MAX = 20
EXIT_CODES_MAX = 255
SUCCEEDED_INDEXES_MAX_BYTES = 64 * 1024
MANAGED_BY_MAX_BYTES = 63
PARALLELISM_MAX = 100_000
COMPLETIONS_SOFT_MAX = 100_000
FAILED_INDEXES_MAX = 100_000
MANY_COMPLETIONS_MAX = 10_000
"""Parallelism, and failed indexes, of a job with more completions than the soft limit."""
_NOT_NEGATIVE = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip


def validate(spec: Object, path: str, failures: Failures) -> None:
    for field in _NOT_NEGATIVE:
        not_negative(spec, field, path, failures)
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        failures.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if (manager := spec.get("managedBy")) is not None:
        _managed_by(manager, f"{path}.managedBy", failures)
    _completion_mode(spec, path, failures)
    if (policy := spec.get("podFailurePolicy")) is not None:
        _failure_policy(policy, spec, f"{path}.podFailurePolicy", failures)
    if (policy := spec.get("successPolicy")) is not None:
        _success_policy(policy, spec, f"{path}.successPolicy", failures)
    _replacement(spec, f"{path}.podReplacementPolicy", failures)
    template = spec.get("template") or {}
    podspec.template(template, f"{path}.template", failures)
    _restart_policy(template.get("spec") or {}, spec, f"{path}.template.spec.restartPolicy", failures)


def _managed_by(manager: str, path: str, failures: Failures) -> None:
    host, _, rest = manager.partition("/")
    if not manager:
        failures.append(required(path))
    elif not host or not rest:
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        failures.append(invalid_value(path, manager, detail))
    else:
        named(names.dns1123_subdomain(host), path, host, failures)
        named(names.http_path(rest), path, rest, failures)
    if len(manager) > MANAGED_BY_MAX_BYTES:
        failures.append(too_long(path, MANAGED_BY_MAX_BYTES))


def _completion_mode(spec: Object, path: str, failures: Failures) -> None:
    mode = spec.get("completionMode")
    if mode == "Indexed":
        _indexed(spec, path, failures)
        return
    if mode not in (None, "NonIndexed"):
        failures.append(not_supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed")))
        return
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if field in spec:
            failures.append(invalid_value(f"{path}.{field}", spec[field], "requires indexed completion mode"))


def _indexed(spec: Object, path: str, failures: Failures) -> None:
    completions, parallelism = spec.get("completions"), spec.get("parallelism", 0)
    failed = spec.get("maxFailedIndexes")
    if completions is None:
        failures.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism > PARALLELISM_MAX:
        detail = f"must be less than or equal to {PARALLELISM_MAX} when completion mode is Indexed"
        failures.append(invalid_value(f"{path}.parallelism", parallelism, detail))
    if failed is not None and completions is not None and failed > completions:
        detail = "must be less than or equal to completions"
        failures.append(invalid_value(f"{path}.maxFailedIndexes", failed, detail))
    if failed is not None and failed > FAILED_INDEXES_MAX:
        detail = f"must be less than or equal to {FAILED_INDEXES_MAX}"
        failures.append(invalid_value(f"{path}.maxFailedIndexes", failed, detail))
    if (completions or 0) > COMPLETIONS_SOFT_MAX and "backoffLimitPerIndex" in spec:
        _many_completions(parallelism, failed, path, failures)


def _many_completions(parallelism: int, failed: int | None, path: str, failures: Failures) -> None:
    detail = (
        f"must be less than or equal to {MANY_COMPLETIONS_MAX} when completions are above {COMPLETIONS_SOFT_MAX} and"
        " used with backoff limit per index"
    )
    if failed is None:
        missing = f"must be specified when completions is above {COMPLETIONS_SOFT_MAX}"
        failures.append(required(f"{path}.maxFailedIndexes", missing))
    if parallelism > MANY_COMPLETIONS_MAX:
        failures.append(invalid_value(f"{path}.parallelism", parallelism, detail))
    if failed is not None and failed > MANY_COMPLETIONS_MAX:
        failures.append(invalid_value(f"{path}.maxFailedIndexes", failed, detail))


def _failure_policy(policy: Object, spec: Object, path: str, failures: Failures) -> None:
    rules = policy.get("rules") or ()
    if len(rules) > RULES_MAX:
        failures.append(too_many(f"{path}.rules", len(rules), RULES_MAX))
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = {c.get("name") for group in ("containers", "initContainers") for c in pod.get(group) or ()}
    for index, rule in enumerate(rules):
        where = f"{path}.rules[{index}]"
        _chosen(rule.get("action"), ACTIONS, f"{where}.action", failures)
        if rule.get("action") == "FailIndex" and "backoffLimitPerIndex" not in spec:
            detail = "requires the backoffLimitPerIndex to be set"
            failures.append(invalid_value(f"{where}.action", "FailIndex", detail))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
        if codes is not None:
            _exit_codes(codes, containers, f"{where}.onExitCodes", failures)
        _pod_conditions(conditions, f"{where}.onPodConditions", failures)
        if codes is not None and conditions:
            failures.append(without_value(where, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            failures.append(without_value(where, "specifying one of OnExitCodes and OnPodConditions is required"))


def _pod_conditions(patterns: Iterable[Object], path: str, failures: Failures) -> None:
    listed = list(patterns)
    if len(listed) > RULES_MAX:
        failures.append(too_many(path, len(listed), RULES_MAX))
    for index, pattern in enumerate(listed):
        kind = pattern.get("type", "")
        named(names.qualified_name(kind), f"{path}[{index}].type", kind, failures)
        _chosen(pattern.get("status"), STATUSES, f"{path}[{index}].status", failures)


def _exit_codes(codes: Object, containers: set[str], path: str, failures: Failures) -> None:
    operator, name, values = codes.get("operator"), codes.get("containerName"), codes.get("values") or []
    _chosen(operator, OPERATORS, f"{path}.operator", failures)
    if name is not None and name not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        failures.append(invalid_value(f"{path}.containerName", name, detail))
    if not values:
        failures.append(invalid_value(f"{path}.values", values, "at least one value is required"))
    elif len(values) > EXIT_CODES_MAX:
        failures.append(too_many(f"{path}.values", len(values), EXIT_CODES_MAX))
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            failures.append(invalid_value(f"{path}.values[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            failures.append(duplicate(f"{path}.values[{index}]", value))
    if values != sorted(values):
        failures.append(invalid_value(f"{path}.values", values, "must be ordered"))


def _success_policy(policy: Object, spec: Object, path: str, failures: Failures) -> None:
    if spec.get("completionMode") != "Indexed":
        failures.append(invalid_value(path, policy, "requires indexed completion mode"))
        return
    rules = policy.get("rules") or ()
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        failures.append(required(f"{path}.rules", detail))
    if len(rules) > RULES_MAX:
        failures.append(too_many(f"{path}.rules", len(rules), RULES_MAX))
    for index, rule in enumerate(rules):
        _success_rule(rule, spec.get("completions", 0), f"{path}.rules[{index}]", failures)


def _success_rule(rule: Object, completions: int, path: str, failures: Failures) -> None:
    wanted, named_indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if wanted is None and named_indexes is None:
        detail = "at least one of succeededCount or succeededIndexes must be specified"
        failures.append(required(path, detail))
    total = 0
    if named_indexes is not None:
        where = f"{path}.succeededIndexes"
        if len(named_indexes) > SUCCEEDED_INDEXES_MAX_BYTES:
            failures.append(too_long(where, SUCCEEDED_INDEXES_MAX_BYTES))
        try:
            total = indexes.count(named_indexes, completions)
        except ValueError as error:
            failures.append(invalid_value(where, named_indexes, f"error parsing succeededIndexes: {error}"))
    if wanted is None:
        return
    where = f"{path}.succeededCount"
    not_negative(rule, "succeededCount", path, failures)
    if wanted > completions:
        detail = f"must be less than or equal to {completions} (the number of specified completions)"
        failures.append(invalid_value(where, wanted, detail))
    if named_indexes is not None and wanted > total:
        detail = (
            f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        )
        failures.append(invalid_value(where, wanted, detail))


def _replacement(spec: Object, path: str, failures: Failures) -> None:
    policy = spec.get("podReplacementPolicy")
    choices = REPLACEMENTS[:1] if "podFailurePolicy" in spec else REPLACEMENTS
    if policy is not None and policy not in choices:
        failures.append(not_supported(path, policy, choices))


def _restart_policy(pod: Object, spec: Object, path: str, failures: Failures) -> None:
    policy = pod.get("restartPolicy")
    if policy in (None, "", "Always"):
        failures.append(required(path, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        failures.append(not_supported(path, policy, ("OnFailure", "Never")))
    elif "podFailurePolicy" in spec and policy != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        failures.append(invalid_value(path, policy, detail))


def _chosen(value: str | None, choices: tuple[str, ...], path: str, failures: Failures) -> None:
    if not value:
        failures.append(required(path, f"valid values: [{' '.join(map(json.dumps, choices))}]"))
    elif value not in choices:
        failures.append(not_supported(path, value, choices))


def without_value(path: str, detail: str) -> FieldError:
    """An Invalid that does not show the value (``field.OmitValueType``)."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {detail}")
