"""Flow control's own objects are there from the start, and a schema says whether its level is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from picluster.apiserver.server import ApiServer
from picluster.storage.memory import MemoryBackend

SCHEMAS = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
LEVELS = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"
Eventually = Callable[..., Awaitable[Any]]


def names(listed: Any) -> set[str]:
    return {item["metadata"]["name"] for item in listed.body["items"]}


async def dangling(admin: Any, name: str) -> str:
    conditions = (await admin.get(f"{SCHEMAS}/{name}")).body.get("status", {}).get("conditions") or [{}]
    return str(conditions[0].get("status", ""))


async def test_every_cluster_has_its_schemas_and_levels(admin: Any, eventually: Eventually) -> None:
    assert names(await admin.get(LEVELS)) == {
        "catch-all", "exempt", "global-default", "leader-election", "node-high", "system", "workload-high",
        "workload-low",
    }  # fmt: skip
    assert names(await admin.get(SCHEMAS)) == {
        "catch-all", "endpoint-controller", "exempt", "global-default", "kube-controller-manager", "kube-scheduler",
        "kube-system-service-accounts", "probes", "service-accounts", "system-leader-election", "system-node-high",
        "system-nodes", "workload-leader-election",
    }  # fmt: skip
    exempt = (await admin.get(f"{LEVELS}/exempt")).body["spec"]
    assert exempt == {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}

    async def noted() -> bool:
        return await dangling(admin, "global-default") == "False"

    await eventually(noted)


async def test_what_is_mandatory_stays(admin: Any) -> None:
    for path in (f"{SCHEMAS}/catch-all", f"{SCHEMAS}/exempt"):
        changed = await admin.patch(path, {"spec": {"matchingPrecedence": 77}})
        assert changed.code == 422 and "must equal the fixed value" in changed.body["message"]
    lent = await admin.patch(f"{LEVELS}/exempt", {"spec": {"exempt": {"lendablePercent": 50}}})
    assert lent.code == 200, lent.body


async def test_a_schema_without_a_level_dangles(admin: Any, eventually: Eventually) -> None:
    rule = {"subjects": [{"kind": "Group", "group": {"name": "ops"}}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}  # fmt: skip
    spec = {"priorityLevelConfiguration": {"name": "mine"}, "rules": [rule]}
    assert (await admin.create(SCHEMAS, {"metadata": {"name": "mine"}, "spec": spec})).code == 201

    async def says(status: str) -> bool:
        return await dangling(admin, "mine") == status

    await eventually(lambda: says("True"))
    limits = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    assert (await admin.create(LEVELS, {"metadata": {"name": "mine"}, "spec": limits})).code == 201
    await eventually(lambda: says("False"))
    condition = (await admin.get(f"{SCHEMAS}/mine")).body["status"]["conditions"][0]
    assert condition["message"] == (
        'This FlowSchema references the PriorityLevelConfiguration object named "mine" and it exists'
    )
    assert (await admin.delete(f"{LEVELS}/mine")).code == 200
    await eventually(lambda: says("True"))


async def test_suggestions_are_put_right_unless_somebody_took_them_over(
    start: Callable[..., Awaitable[ApiServer]], caller: Callable[..., Awaitable[Any]]
) -> None:
    backend = MemoryBackend()
    first = await start(backend)
    admin = await caller(first)
    for name, taken_over in (("probes", False), ("system-nodes", True)):
        note = {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}} if taken_over else {}
        changed = await admin.patch(f"{SCHEMAS}/{name}", {"metadata": note, "spec": {"matchingPrecedence": 77}})
        assert changed.code == 200, changed.body
    assert (await admin.patch(f"{LEVELS}/exempt", {"spec": {"exempt": {"lendablePercent": 50}}})).code == 200
    await first.stop()
    admin = await caller(await start(backend))
    assert (await admin.get(f"{SCHEMAS}/probes")).body["spec"]["matchingPrecedence"] == 2
    assert (await admin.get(f"{SCHEMAS}/system-nodes")).body["spec"]["matchingPrecedence"] == 77
    assert (await admin.get(f"{LEVELS}/exempt")).body["spec"]["exempt"]["lendablePercent"] == 50


async def test_what_every_cluster_has_is_put_right_while_it_runs(admin: Any, eventually: Eventually) -> None:
    assert (await admin.delete(f"{LEVELS}/workload-low")).code == 200
    assert (await admin.delete(f"{SCHEMAS}/exempt")).code == 200
    assert (await admin.patch(f"{SCHEMAS}/probes", {"spec": {"matchingPrecedence": 77}})).code == 200

    async def whole() -> bool:
        level, schema = await admin.get(f"{LEVELS}/workload-low"), await admin.get(f"{SCHEMAS}/exempt")
        probes = (await admin.get(f"{SCHEMAS}/probes")).body
        return bool(level.code == schema.code == 200 and probes["spec"]["matchingPrecedence"] == 2)

    await eventually(whole)


async def test_a_leftover_of_ours_goes(admin: Any, eventually: Eventually) -> None:
    limits = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    for name, flag in (("old", "true"), ("kept", "false")):
        metadata = {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": flag}}
        assert (await admin.create(LEVELS, {"metadata": metadata, "spec": limits})).code == 201
    assert (await admin.patch(f"{LEVELS}/kept", {"metadata": {"labels": {"a": "b"}}})).code == 200

    async def gone() -> bool:
        return bool((await admin.get(f"{LEVELS}/old")).code == 404)

    await eventually(gone)
    assert (await admin.get(f"{LEVELS}/kept")).code == 200
