"""ServiceAccount: every pod has one, it exists, and its token is where programs look for it.

Source: ``plugin/pkg/admission/serviceaccount`` of Kubernetes. The token is a projected volume (KEP-542): token,
authority and namespace, made by the pod's agent. An account may say which Secrets its pods may use
(``mountablesecrets``).
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Any

import orjson

from picluster.api import errors, meta
from picluster.api.resources import PODS, SERVICE_ACCOUNTS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes, Basis
from picluster.apiserver.admission.mountablesecrets import refused_reference
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.util.clock import Clock

DEFAULT_NAME = "default"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
ENFORCE_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
DEFAULT_ATTEMPTS_MAX = 10
RETRY_INTERVAL_S = 0.1
VOLUME_PREFIX = "kube-api-access-"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_LIFETIME_S = 3607
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
TELLING = (b'"imagePullSecrets"', b'"automountServiceAccountToken"', ENFORCE_ANNOTATION.encode())
"""What an account has that matters to its pods; most have none of it, and are not decoded."""


class ServiceAccount:
    """``mounts`` is whether this server makes tokens for pods."""

    name = "ServiceAccount"
    basis = Basis(relies_on=(SERVICE_ACCOUNTS,))

    def __init__(self, cache: WatchCache, clock: Clock, *, mounts: bool) -> None:
        self._cache = cache
        self._clock = clock
        self._mounts = mounts

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        if resource is not PODS:
            return False
        return (subresource, operation) in (("", CREATE), ("ephemeralcontainers", UPDATE))

    async def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        if attributes.subresource or MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or ()):
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or DEFAULT_NAME
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._find(attributes, name)
        if self._mounts and _wants_token(spec, account):
            mount_token(spec, name)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": each.get("name", "")} for each in account["imagePullSecrets"]]

    async def validate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        if MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or ()):
            _check_mirror(attributes, pod["spec"])
            return
        name = pod["spec"].get("serviceAccountName", "")
        if not name:
            where = f"{attributes.namespace}/{pod['metadata'].get('name', '')}"
            raise _refusal(attributes, f"no service account specified for pod {where}")
        account = await self._find(attributes, name)
        if ((account.get("metadata") or {}).get("annotations") or {}).get(ENFORCE_ANNOTATION) in TRUE:
            only_ephemeral = bool(attributes.subresource)
            if why := refused_reference(pod["spec"], account, only_ephemeral=only_ephemeral):
                raise _refusal(attributes, why)

    async def _find(self, attributes: Attributes, name: str) -> Object:
        """The account; the default one of a new namespace is given a second to appear, as its controller makes it."""
        attempts = DEFAULT_ATTEMPTS_MAX if name == DEFAULT_NAME else 1
        for attempt in range(attempts):
            entry = self._cache.get(SERVICE_ACCOUNTS, attributes.namespace, name)
            if entry is not None:
                wire = entry.wire
                found: Object = orjson.loads(wire) if any(word in wire for word in TELLING) else {}
                return found
            if attempt + 1 < attempts:
                await self._clock.sleep(RETRY_INTERVAL_S)
        raise _refusal(
            attributes,
            f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found',
        )


def mount_token(spec: Object, account: str) -> None:
    """Mount the token of ``account`` into every container that has nothing at its place, in place."""
    volumes = spec.setdefault("volumes", [])
    name = next((each["name"] for each in volumes if each.get("name", "").startswith(VOLUME_PREFIX)), "")
    there = bool(name)
    name = name or _volume_name(account)
    mounted = False
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
            mounts.append({"name": name, "readOnly": True, "mountPath": MOUNT_PATH})
            mounted = True
    if mounted and not there:
        volumes.append({"name": name, "projected": token_source()})
    elif not volumes:
        del spec["volumes"]


@lru_cache(maxsize=1024)
def _volume_name(account: str) -> str:
    """Looks drawn by lot, as Kubernetes' are, and is always the same: pods of one template stay equal."""
    return meta.generate_name(VOLUME_PREFIX, Random(account))  # noqa: S311 - no secret


def token_source() -> dict[str, Any]:
    """Token, authority and namespace, as client libraries expect them in a pod."""
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_LIFETIME_S, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
        ],
        "defaultMode": 0o644,
    }


def _wants_token(spec: Object, account: Object) -> bool:
    """The pod's word counts, then the account's; otherwise it does."""
    for source in (spec, account):
        if source.get("automountServiceAccountToken") is not None:
            return bool(source["automountServiceAccountToken"])
    return True


def _check_mirror(attributes: Attributes, spec: Object) -> None:
    """A mirror pod runs already, on a node: it may name nothing that the cluster would give it."""
    if spec.get("serviceAccountName"):
        raise _refusal(attributes, "a mirror pod may not reference service accounts")
    volumes = spec.get("volumes") or ()
    if any("secret" in volume for volume in volumes):
        raise _refusal(attributes, "a mirror pod may not reference secrets")
    sources = [source for volume in volumes for source in (volume.get("projected") or {}).get("sources") or ()]
    if any("serviceAccountToken" in source for source in sources):
        raise _refusal(attributes, "a mirror pod may not use ServiceAccountToken volume projections")


def _refusal(attributes: Attributes, why: str) -> errors.ApiError:
    return errors.forbidden("", "pods", attributes.name, why)
