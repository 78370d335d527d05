"""Times, names, owners, conditions."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api import meta, names


@pytest.mark.parametrize(
    ("epoch_s", "second", "micro"),
    [
        (0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000.999, "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.999000Z"),
        (1.9999999, "1970-01-01T00:00:01Z", "1970-01-01T00:00:02.000000Z"),
    ],
)
def test_formats_times(epoch_s: float, second: str, micro: str) -> None:
    assert meta.now_rfc3339(epoch_s) == second
    assert meta.now_micro(epoch_s) == micro


@pytest.mark.parametrize(
    ("text", "epoch_s"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("1970-01-01T00:00:00.123456789Z", 0.123456),
    ],
)
def test_parses_times(text: str, epoch_s: float) -> None:
    assert meta.parse_time(text) == epoch_s


@pytest.mark.parametrize("text", ["", "now", "2026-01-31", "2026-01-31 12:00:00Z", "2026-13-01T00:00:00Z"])
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        meta.parse_time(text)


@given(st.integers(0, 4_000_000_000))
def test_times_survive_a_round_trip(epoch_s: int) -> None:
    assert meta.parse_time(meta.now_rfc3339(epoch_s)) == epoch_s
    assert meta.parse_time(meta.now_micro(epoch_s)) == epoch_s


def test_uids_are_version_4_and_differ() -> None:
    uids = {meta.new_uid() for _ in range(100)}
    pattern = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert len(uids) == 100
    assert all(pattern.fullmatch(uid) for uid in uids)


@given(st.from_regex("[a-z][a-z0-9-]{0,80}", fullmatch=True), st.integers())
def test_generated_names_are_labels_with_the_base_cut(base: str, seed: int) -> None:
    name = meta.generate_name(base, random.Random(seed))
    assert len(name) <= 63
    assert name[:-5] == base[:58]
    assert set(name[-5:]) <= set(meta.NAME_ALPHABET)
    assert names.dns1123_label(name) == ()


def test_generated_names_follow_the_seed() -> None:
    assert meta.generate_name("a-", random.Random(1)) == meta.generate_name("a-", random.Random(1))


def test_owner_references() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "rs", "uid": "u"}}
    child = {"metadata": {"ownerReferences": [meta.owner_reference(owner, controller=False)]}}
    assert meta.controller_of(child) is None
    child["metadata"]["ownerReferences"].append(meta.owner_reference(owner))
    assert meta.controller_of(child) == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "rs",
        "uid": "u",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert meta.is_controlled_by(child, owner)
    assert not meta.is_controlled_by(child, {"metadata": {"uid": "other"}})
    assert meta.controller_of({"metadata": {}}) is None


@pytest.mark.parametrize(("namespace", "key"), [("default", "default/web"), (None, "web"), ("", "web")])
def test_keys(namespace: str | None, key: str) -> None:
    assert meta.key_of({"metadata": {"name": "web", "namespace": namespace}}) == key
    assert meta.split_key(key) == (namespace or "", "web")


def test_a_condition_moves_its_time_with_its_status_only() -> None:
    conditions: list[dict[str, str]] = []
    assert meta.set_condition(conditions, {"type": "Ready", "status": "False"}, "T1")
    assert not meta.set_condition(conditions, {"type": "Ready", "status": "False"}, "T2")
    assert meta.set_condition(conditions, {"type": "Ready", "status": "False", "reason": "Why"}, "T3")
    assert conditions == [{"type": "Ready", "status": "False", "reason": "Why", "lastTransitionTime": "T1"}]
    assert meta.set_condition(conditions, {"type": "Ready", "status": "True"}, "T4")
    assert conditions == [{"type": "Ready", "status": "True", "lastTransitionTime": "T4"}]


def test_a_heartbeat_is_no_change_but_is_kept() -> None:
    conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "T1", "lastTransitionTime": "T0"}]
    assert not meta.set_condition(conditions, {"type": "Ready", "status": "True", "lastHeartbeatTime": "T2"}, "T2")
    assert conditions[0]["lastHeartbeatTime"] == "T2"
    assert conditions[0]["lastTransitionTime"] == "T0"


def test_reads_conditions() -> None:
    obj = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert meta.condition_is(obj, "Ready")
    assert not meta.condition_is(obj, "Ready", "False")
    assert not meta.condition_is({}, "Ready")
    assert meta.get_condition(obj, "Other") is None
