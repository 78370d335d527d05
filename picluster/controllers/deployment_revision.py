"""Which ReplicaSet is which revision of a Deployment: template hash, annotations, old and new. Pure.

Names and annotations are those of ``pkg/controller/deployment/util``, because ``kubectl rollout history`` and ``undo``
read them. The hash is ours (Kubernetes hashes Go's memory layout), in its alphabet and length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from picluster.api.meta import owner_reference
from picluster.api.resources import REPLICASETS
from picluster.api.types import Object
from picluster.controllers.deployment_rollout import INT32_MAX, Generation, Strategy

POD_TEMPLATE_HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
NOT_INHERITED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)
HISTORY_CHARS_MAX = 2000
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def annotations_of(obj: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = obj["metadata"].get("annotations") or {}
    return found


def number(obj: Object, annotation: str) -> int | None:
    text = annotations_of(obj).get(annotation, "")
    return int(text) if text.isascii() and text.isdecimal() else None


def template_hash(template: Object, collisions: int | None) -> str:
    """Ten characters or fewer that differ when the template does, or when the last ones met a namesake."""
    text = orjson.dumps(_comparable(template), option=orjson.OPT_SORT_KEYS)
    if collisions is not None:
        text += collisions.to_bytes(8, "little")
    value = 0x811C9DC5  # FNV-1a, 32 bits
    for byte in text:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(value))


def same_template(one: Object, other: Object) -> bool:
    """Whether two pod templates are one but for their hash label."""
    return _comparable(one) == _comparable(other)


def _comparable(template: Object) -> Object:
    metadata = {name: value for name, value in (template.get("metadata") or {}).items() if value}
    metadata["labels"] = {
        name: value for name, value in (metadata.get("labels") or {}).items() if name != POD_TEMPLATE_HASH
    }
    return {"metadata": metadata, "spec": template.get("spec")}


def by_age(replica_sets: Iterable[Object]) -> list[Object]:
    return sorted(replica_sets, key=lambda rs: (rs["metadata"].get("creationTimestamp") or "", rs["metadata"]["name"]))


def find_new(deployment: Object, replica_sets: Sequence[Object]) -> Object | None:
    """The oldest with the Deployment's template (there may be several after a hash collision of other times)."""
    template = deployment["spec"]["template"]
    return next((rs for rs in by_age(replica_sets) if same_template(rs["spec"]["template"], template)), None)


def revision(obj: Object) -> int:
    return number(obj, REVISION) or 0


def next_revision(olds: Sequence[Object]) -> int:
    return max((revision(rs) for rs in olds), default=0) + 1


def generation_of(replica_set: Object) -> Generation:
    metadata = replica_set["metadata"]
    return Generation(
        name=metadata["name"],
        replicas=int(replica_set["spec"].get("replicas", 1)),
        available=int((replica_set.get("status") or {}).get("availableReplicas") or 0),
        created=metadata.get("creationTimestamp") or "",
        desired=number(replica_set, DESIRED),
        max_replicas=number(replica_set, MAX_REPLICAS),
    )


def size_annotations(strategy: Strategy) -> dict[str, str]:
    return {DESIRED: str(strategy.replicas), MAX_REPLICAS: str(strategy.replicas + strategy.max_surge)}


def new_annotations(deployment: Object, replica_set: Object | None, number_: int) -> dict[str, str]:
    """The annotations of the newest ReplicaSet as revision ``number_``: the Deployment's, and its own history."""
    own = dict(annotations_of(replica_set)) if replica_set is not None else {}
    inherited = {name: value for name, value in annotations_of(deployment).items() if name not in NOT_INHERITED}
    before = own.get(REVISION)
    own |= inherited
    if before is None or (before.isdecimal() and int(before) < number_):
        own[REVISION] = str(number_)
        if before is not None:
            own[REVISION_HISTORY] = _appended(own.get(REVISION_HISTORY, ""), before)
    return own


def _appended(history: str, entry: str) -> str:
    """Comma separated, the oldest dropped when it grows too long."""
    entries = [*filter(None, history.split(",")), entry]
    while len(entries) > 1 and len(",".join(entries)) > HISTORY_CHARS_MAX:
        entries.pop(0)
    return ",".join(entries)


def new_replica_set(deployment: Object, replicas: int, strategy: Strategy, number_: int) -> Object:
    """The ReplicaSet for the Deployment's present template."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    digest = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount"))
    template_metadata = spec["template"].get("metadata") or {}
    labels = {**(template_metadata.get("labels") or {}), POD_TEMPLATE_HASH: digest}
    selector = spec["selector"]
    made: Object = {
        "replicas": replicas,
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), POD_TEMPLATE_HASH: digest}},
        "template": {**spec["template"], "metadata": {**template_metadata, "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": REPLICASETS.api_version,
        "kind": REPLICASETS.kind,
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": new_annotations(deployment, None, number_) | size_annotations(strategy),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": made,
    }


def to_clean_up(deployment: Object, olds: Sequence[Object]) -> list[Object]:
    """The old, empty, settled ReplicaSets beyond ``revisionHistoryLimit``, lowest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == INT32_MAX:
        return []
    standing = [rs for rs in olds if not rs["metadata"].get("deletionTimestamp")]
    surplus = max(0, len(standing) - int(limit))
    oldest = sorted(by_age(standing), key=revision)[:surplus]
    return [rs for rs in oldest if _empty_and_settled(rs)]


def _empty_and_settled(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    return (
        not status.get("replicas")
        and not replica_set["spec"].get("replicas", 1)
        and replica_set["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
    )
