"""POST pods/<name>/eviction: a deletion that asks the pod's disruption budget for leave.

A pod that has ended, is on its way out or has not begun asks nobody. Otherwise the budget's ``disruptionsAllowed``
pays for the eviction, and the pod is noted in ``disruptedPods`` until the budget's controller sees it gone. A pod that
is not ready costs nothing where the rest is healthy, or the budget says so (``unhealthyPodEvictionPolicy``); it goes
only if it has not become ready meanwhile. Rules and wording: ``EvictionREST`` in ``pkg/registry/core/pod/storage``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from picluster.api import errors, meta
from picluster.api.resources import EVICTION, POD_DISRUPTION_BUDGETS
from picluster.api.selectors import from_object
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE
from picluster.apiserver.answers import Answer, success
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.selection import select
from picluster.apiserver.registry.binding import check_subject
from picluster.apiserver.registry.delete import check_preconditions, delete_admitted
from picluster.apiserver.registry.options import DeleteOptions, delete_options
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.store import decoded
from picluster.storage.backend import RevisionMismatch

ATTEMPTS_MAX = 20
DISRUPTED_PODS_MAX = 2000
"""How many evicted pods a budget's controller may not have looked at yet."""
RETRY_AFTER_S = 10
_REFUSAL = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(registry: Registry, write: Write, eviction: Any) -> Answer:
    """Delete the pod as the Eviction's ``deleteOptions`` say, if its budget allows; raises ``ApiError``."""
    check_subject(write, eviction, EVICTION)
    registry.store.get(write.resource, write.namespace, write.name)
    attributes = write.attributes(CREATE, eviction, None)
    await registry.admission.admit(attributes)
    await registry.admission.validate(attributes)
    options = delete_options({}, eviction.get("deleteOptions"))
    write.dry_run = write.dry_run or options.dry_run
    pod = decoded(registry.store.get(write.resource, write.namespace, write.name))
    if not await _deleted_unasked(registry, write, options, pod):
        await _delete_allowed(registry, write, options)
    return success(code=201)


async def _deleted_unasked(registry: Registry, write: Write, options: DeleteOptions, pod: Object) -> bool:
    """Delete a pod that asks nobody; one that has not begun only as long as that is so."""
    for _ in range(ATTEMPTS_MAX):
        phase = (pod.get("status") or {}).get("phase")
        over = phase in ("Succeeded", "Failed") or bool(pod["metadata"].get("deletionTimestamp"))
        if not over and phase != "Pending":
            return False
        try:
            await _mark_and_delete(registry, write, options if over else _unchanged(options, pod))
            return True
        except errors.ApiError as error:
            if error.reason != "Conflict" or options.resource_version or options.uid:
                raise
            lost = error
        pod = decoded(registry.store.get(write.resource, write.namespace, write.name))
    raise lost


async def _delete_allowed(registry: Registry, write: Write, options: DeleteOptions) -> None:
    pod = decoded(registry.store.get(write.resource, write.namespace, write.name))
    check_preconditions(write, options, pod)
    budget = _budget_of(registry, pod)
    if budget is not None and _costs_nothing(pod, decoded(budget)):
        try:
            await _mark_and_delete(registry, write, _unchanged(options, pod))
        except errors.ApiError as error:
            if error.reason == "Conflict" and not options.resource_version:
                raise _busy(budget.name) from None
            raise
        return
    if budget is not None:
        await _pay(registry, budget, write)
    await _mark_and_delete(registry, write, options)


def _unchanged(options: DeleteOptions, pod: Object) -> DeleteOptions:
    """``options`` for the pod as it was looked at, unless the client names the state it means."""
    return replace(options, resource_version=options.resource_version or pod["metadata"]["resourceVersion"])


async def _mark_and_delete(registry: Registry, write: Write, options: DeleteOptions) -> None:
    """Say in the pod why it ends (KEP-3329), then delete it."""
    if not write.dry_run:
        version = await _mark(registry, write, options)
        if options.resource_version:
            options = replace(options, resource_version=version)
    await delete_admitted(registry, write, options)


async def _mark(registry: Registry, write: Write, options: DeleteOptions) -> str:
    """Add the condition; the pod's resourceVersion then."""
    for _ in range(ATTEMPTS_MAX):
        entry = registry.store.get(write.resource, write.namespace, write.name)
        pod = decoded(entry)
        check_preconditions(write, options, pod)
        status = dict(pod.get("status") or {})
        status["conditions"] = list(status.get("conditions") or ())
        condition: Object = {
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting", "observedGeneration": pod["metadata"].get("generation", 0),
        }  # fmt: skip
        meta.set_condition(status["conditions"], condition, meta.now_rfc3339(registry.clock.now()))
        try:
            wire = await registry.store.replace(write.resource, entry, {**pod, "status": status})
        except RevisionMismatch:
            continue
        return str(orjson.loads(wire)["metadata"]["resourceVersion"])
    raise errors.conflict(write.resource.group, write.resource.plural, write.name)


def _budget_of(registry: Registry, pod: Object) -> Entry | None:
    """The budget that protects the pod; more than one is refused."""
    collection = registry.store.cache.collection(POD_DISRUPTION_BUDGETS)
    namespace = pod["metadata"].get("namespace", "")
    found = [
        entry
        for entry in collection.select(select(POD_DISRUPTION_BUDGETS, namespace, "", ""))
        if _protects(decoded(entry), pod)
    ]
    if len(found) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise errors.ApiError(500, "", message)
    return found[0] if found else None


def _protects(budget: Object, pod: Object) -> bool:
    try:
        selector = from_object((budget.get("spec") or {}).get("selector"))
    except errors.ApiError:
        return False
    return selector.matches_object(pod)


def _costs_nothing(pod: Object, budget: Object) -> bool:
    if meta.condition_is(pod, "Ready"):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    healthy: bool = 0 < status.get("desiredHealthy", 0) <= status.get("currentHealthy", 0)
    return healthy


async def _pay(registry: Registry, entry: Entry, write: Write) -> None:
    """Take one disruption off the budget; ``ApiError`` 429 when there is none, 504 if others keep on changing."""
    for _ in range(ATTEMPTS_MAX):
        budget = decoded(entry)
        _check(budget)
        now = meta.now_rfc3339(registry.clock.now())
        paid = {**budget, "status": _paid(budget, write.name, now)}
        try:
            await registry.store.replace(POD_DISRUPTION_BUDGETS, entry, paid, dry_run=write.dry_run)
            return
        except RevisionMismatch:
            entry = registry.store.get(POD_DISRUPTION_BUDGETS, entry.namespace, entry.name)
    message = f'couldn\'t update PodDisruptionBudget "{entry.name}" due to conflicts'
    raise errors.timeout(message, RETRY_AFTER_S)


def _check(budget: Object) -> None:
    metadata, status = budget["metadata"], budget.get("status") or {}
    name, allowed = metadata["name"], status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _busy(name)
    if allowed < 0:
        raise errors.forbidden("policy", "poddisruptionbudget", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > DISRUPTED_PODS_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden("policy", "poddisruptionbudget", name, why)
    if allowed == 0:
        raise _refused(_why(budget), 0)


def _why(budget: Object) -> str:
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    condition = meta.get_condition(budget, "DisruptionAllowed") or {}
    if condition.get("status") == "False" and condition.get("reason") == "SyncFailed":
        said = condition.get("message", "")
        return f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {said}"
    wanted, there = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    return f"The disruption budget {name} needs {wanted} healthy pods and has {there} currently"


def _paid(budget: Object, pod: str, now: str) -> Object:
    status = dict(budget.get("status") or {})
    status["disruptionsAllowed"] -= 1
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod: now}
    if status["disruptionsAllowed"] == 0:
        status["conditions"] = list(status.get("conditions") or ())
        spent: Object = {
            "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
            "observedGeneration": status.get("observedGeneration", 0),
        }  # fmt: skip
        meta.set_condition(status["conditions"], spent, now)
    return status


def _busy(budget: str) -> errors.ApiError:
    return _refused(f"The disruption budget {budget} is still being processed by the server.", RETRY_AFTER_S)


def _refused(why: str, retry_after_s: int) -> errors.ApiError:
    """429 with the budget as its cause."""
    error = errors.too_many_requests(_REFUSAL, retry_after_s)
    error.details = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_after_s:
        error.details["retryAfterSeconds"] = retry_after_s
    return error
