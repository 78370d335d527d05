"""PodSecurity: a namespace's labels say which standard its pods must keep, and which only warn or are noted.

Pods are held to ``enforce``; they and what makes pods (deployments, jobs, …) to ``warn`` and ``audit``. A namespace
whose labels change is told which of its pods would not pass. Source: ``k8s.io/pod-security-admission/admission``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import orjson

from picluster.api import errors
from picluster.api.podsecurity import LATEST, LEVELS, PRIVILEGED, Policy, Violation, is_version, violations
from picluster.api.resources import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    POD_TEMPLATES,
    PODS,
    REPLICASETS,
    REPLICATION_CONTROLLERS,
    STATEFULSETS,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes, Basis
from picluster.apiserver.cache.selection import select
from picluster.apiserver.cache.watchcache import WatchCache

PREFIX = "pod-security.kubernetes.io/"
LABELS = tuple(f"{PREFIX}{mode}{part}" for mode in ("enforce", "audit", "warn") for part in ("", "-version"))
MAKERS = frozenset(
    {CRONJOBS, DAEMONSETS, DEPLOYMENTS, JOBS, POD_TEMPLATES, REPLICASETS, REPLICATION_CONTROLLERS, STATEFULSETS}
)
PODS_LOOKED_AT_MAX = 3000


class PodSecurity:
    name = "PodSecurity"
    basis = Basis(relies_on=(NAMESPACES,))

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        if operation not in (CREATE, UPDATE):
            return False
        if resource is PODS:
            return subresource in ("", "ephemeralcontainers")
        return not subresource and (resource is NAMESPACES or resource in MAKERS)

    async def validate(self, attributes: Attributes) -> None:
        if attributes.resource is NAMESPACES:
            self._namespace(attributes)
            return
        policies = self._policies(attributes.namespace)
        if not policies:
            return
        obj = attributes.obj
        assert obj is not None
        if attributes.resource is PODS:
            self._pod(attributes, obj, policies)
        elif (template := _template(attributes.resource, obj)) is not None:
            self._warn(attributes, policies, template.get("metadata") or {}, template.get("spec") or {})

    def _policies(self, namespace: str) -> dict[str, Policy]:
        """By mode, those that forbid anything; most namespaces have none, and are not decoded."""
        entry = self._cache.get(NAMESPACES, "", namespace)
        if entry is None or not any(label.startswith(PREFIX) for label in entry.labels or ()):
            return {}
        return _read(entry.labels or {})[0]

    def _pod(self, attributes: Attributes, pod: Object, policies: dict[str, Policy]) -> None:
        if attributes.operation == UPDATE and not _matters(pod, attributes.old):
            return
        metadata, spec = pod["metadata"], pod["spec"]
        enforced = policies.get("enforce", PRIVILEGED)
        if found := violations(enforced, metadata, spec):
            why = f'violates PodSecurity "{enforced}": {_said(found)}'
            raise errors.forbidden("", "pods", metadata.get("name", ""), why)
        self._warn(attributes, policies, metadata, spec)

    def _warn(self, attributes: Attributes, policies: dict[str, Policy], metadata: Object, spec: Object) -> None:
        policy = policies.get("warn", PRIVILEGED)
        if found := violations(policy, metadata, spec):
            attributes.warnings.append(f'would violate PodSecurity "{policy}": {_said(found)}')

    def _namespace(self, attributes: Attributes) -> None:
        new, old = attributes.obj, attributes.old
        assert new is not None
        labels = new["metadata"].get("labels") or {}
        policies, failures = _read(labels)
        old_policies, old_failures = _read((old or {"metadata": {}})["metadata"].get("labels") or {})
        if failures and (old is None or failures != old_failures):
            raise errors.invalid("", "Namespace", attributes.name or new["metadata"].get("name", ""), failures)
        enforced = policies.get("enforce", PRIVILEGED)
        if attributes.operation == UPDATE and enforced != old_policies.get("enforce", PRIVILEGED):
            attributes.warnings += self._existing(attributes.name, enforced)

    def _existing(self, namespace: str, policy: Policy) -> list[str]:
        """What is to be said of pods that are there already; those that do the same are said once."""
        selected = list(self._cache.collection(PODS).select(select(PODS, namespace, "", "")))
        counts: Counter[str] = Counter()
        names: dict[str, str] = {}
        for entry in selected[:PODS_LOOKED_AT_MAX]:
            pod = orjson.loads(entry.wire)
            if found := violations(policy, pod["metadata"], pod["spec"]):
                said = ", ".join(one.reason for one in found)
                counts[said] += 1
                names.setdefault(said, entry.name)
        if not counts:
            return []
        head = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{policy}"'
        return [head, *(f"{_others(names[said], count)}: {said}" for said, count in sorted(counts.items()))]


def _read(labels: Mapping[str, str]) -> tuple[dict[str, Policy], list[errors.FieldError]]:
    """The policies by mode, without those that forbid nothing, and what is wrong with the labels."""
    policies: dict[str, Policy] = {}
    failures: list[errors.FieldError] = []
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version", LATEST)
        if level is not None and level not in LEVELS:
            said = f"must be one of {', '.join(LEVELS)}"
            failures.append(errors.invalid_value(f"metadata.labels[{PREFIX}{mode}]", level, said))
            level = "restricted"  # whoever cannot be understood is held to the strictest
        if not is_version(version):
            said = 'must be "latest" or "v1.x"'
            failures.append(errors.invalid_value(f"metadata.labels[{PREFIX}{mode}-version]", version, said))
            version = LATEST
        if level not in (None, "privileged"):
            policies[mode] = Policy(str(level), version)
    return policies, failures


def _template(resource: Resource, obj: Object) -> Object | None:
    if resource is POD_TEMPLATES:
        return obj.get("template")
    spec = obj.get("spec") or {}
    if resource is CRONJOBS:
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return spec.get("template")


def _matters(new: Object, old: Object | None) -> bool:
    """Whether an update changes what the standards look at: images and the like may change freely."""
    if old is None:
        return True
    metadata, old_metadata = new["metadata"], old["metadata"]
    security = [
        {name: value for name, value in (one.get("annotations") or {}).items() if "security" in name}
        for one in (metadata, old_metadata)
    ]
    return security[0] != security[1] or _without_images(new["spec"]) != _without_images(old["spec"])


def _without_images(spec: Object) -> Object:
    kept = {name: value for name, value in spec.items() if name not in ("tolerations", "activeDeadlineSeconds")}
    for group in ("containers", "initContainers", "ephemeralContainers"):
        kept[group] = [
            {name: value for name, value in container.items() if name != "image"} for container in spec.get(group) or ()
        ]
    return kept


def _said(found: Iterable[Violation]) -> str:
    return ", ".join(str(violation) for violation in found)


def _others(name: str, count: int) -> str:
    if count == 1:
        return name
    return f"{name} (and {count - 1} other pod{'s' if count > 2 else ''})"
