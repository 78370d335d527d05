"""Object metadata: times as the API writes them, uids, generated names, owners, conditions.

Times come in as seconds since the epoch (``Clock.now``); nothing in here reads a clock. Formats are those of
``metav1.Time`` (whole seconds) and ``metav1.MicroTime`` (leases, events).
"""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from picluster.api.types import Object

GENERATED_SUFFIX_LENGTH = 5
GENERATED_NAME_MAX = 63
NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and nothing that reads like another character, so that no generated name is a word."""

RFC3339 = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$")

_RANDOM = random.Random()  # noqa: S311  # names and uids need to differ, not to be secret
_UUID_FREE = 0xFFFFFFFF_FFFF_0FFF_3FFF_FFFFFFFFFFFF
_UUID_VERSION_4 = 0x00000000_0000_4000_8000_000000000000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def _whole_second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat()[:19]


def now_rfc3339(epoch_s: float) -> str:
    """``2026-01-31T12:00:00Z``: a ``metav1.Time``; fractions of a second are cut off."""
    return _whole_second(int(epoch_s // 1)) + "Z"


def now_micro(epoch_s: float) -> str:
    """``2026-01-31T12:00:00.250000Z``: a ``metav1.MicroTime``."""
    micros = round(epoch_s * 1_000_000)
    return f"{_whole_second(micros // 1_000_000)}.{micros % 1_000_000:06d}Z"


@lru_cache(maxsize=4096)
def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; ``ValueError`` for anything else."""
    if not RFC3339.match(text):
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": not an RFC 3339 time')
    return (datetime.fromisoformat(text) - _EPOCH).total_seconds()


def new_uid() -> str:
    """A random (version 4) UUID, as ``metadata.uid`` has it."""
    text = f"{_RANDOM.getrandbits(128) & _UUID_FREE | _UUID_VERSION_4:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def generate_name(base: str, rng: random.Random = _RANDOM) -> str:
    """``base`` cut to what fits, and five random characters (apiserver's ``names.SimpleNameGenerator``)."""
    suffix = "".join(rng.choices(NAME_ALPHABET, k=GENERATED_SUFFIX_LENGTH))
    return base[: GENERATED_NAME_MAX - GENERATED_SUFFIX_LENGTH] + suffix


def key_of(obj: Object) -> str:
    """``namespace/name``, or ``name`` for what has no namespace: how caches and queues name an object."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def split_key(key: str) -> tuple[str, str]:
    """``(namespace, name)`` of a key of ``key_of``; the namespace is empty for what has none."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def owner_reference(owner: Object, *, controller: bool = True) -> Object:
    """A reference to ``owner``; as controller it also holds back the owner's foreground deletion."""
    metadata = owner["metadata"]
    reference: Object = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    if controller:
        reference["controller"] = True
        reference["blockOwnerDeletion"] = True
    return reference


def controller_of(obj: Object) -> Object | None:
    """The owner reference that says ``controller: true``; there is at most one."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == owner["metadata"]["uid"]


def get_condition(obj: Object, condition_type: str) -> Object | None:
    """The condition of that type in ``status.conditions``, or ``None``."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == condition_type:
            return dict(condition)
    return None


def condition_is(obj: Object, condition_type: str, status: str = "True") -> bool:
    condition = get_condition(obj, condition_type)
    return condition is not None and condition.get("status") == status


def set_condition(conditions: list[Any], condition: Object, now: str) -> bool:
    """Put ``condition`` (its ``type`` is its identity) into ``conditions``, in place; ``now`` is a ``metav1.Time``.

    ``lastTransitionTime`` moves only when ``status`` changes (API conventions, "Typical status properties"). Returns
    whether anything other than a heartbeat or update time changed.
    """
    for index, old in enumerate(conditions):
        if old.get("type") != condition["type"]:
            continue
        same_status = old.get("status") == condition.get("status")
        stamp = old.get("lastTransitionTime", now) if same_status else condition.get("lastTransitionTime", now)
        new = {**condition, "lastTransitionTime": stamp}
        conditions[index] = new
        return _without_beat(old) != _without_beat(new)
    conditions.append({**condition, "lastTransitionTime": condition.get("lastTransitionTime", now)})
    return True


def _without_beat(condition: Object) -> Object:
    beats = ("lastHeartbeatTime", "lastUpdateTime", "lastProbeTime", "lastTransitionTime")
    return {field: value for field, value in condition.items() if field not in beats}
