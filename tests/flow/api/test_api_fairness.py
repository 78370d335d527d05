"""A flood from one user leaves others and the nodes' heartbeats served."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from picluster.apiserver.server import ApiServer
from picluster.storage.memory import MemoryBackend

FLOWCONTROL = "/apis/flowcontrol.apiserver.k8s.io/v1"
LOW_LEVEL = f"{FLOWCONTROL}/prioritylevelconfigurations/workload-low"
TAKEN_OVER = {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
MAPS = "/api/v1/namespaces/default/configmaps"
GRANTS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
SEATS = {"max_requests_inflight": 30, "max_mutating_requests_inflight": 19}
EXECUTING, QUEUED, FLOOD = 30, 60, 200
"""``workload-low`` has 20 seats of these, others lend it 10; a flow has six queues, here of 10."""
FLOODING = {"Impersonate_User": "system:serviceaccount:ci:flood"}
CALM = {"Impersonate_User": "system:serviceaccount:ci:calm"}
JANE = {"Impersonate_User": "jane"}


class StalledBackend(MemoryBackend):
    """Writes of config maps wait until the disk is fast again."""

    def __init__(self) -> None:
        super().__init__()
        self.fast = asyncio.Event()

    async def put(self, key: str, value: bytes, expected: int, *, durable: bool = True) -> int:
        if key.startswith("configmaps/default/"):
            await self.fast.wait()
        return await super().put(key, value, expected, durable=durable)


def served_by(answer: Any) -> list[str]:
    return [answer.headers[f"X-Kubernetes-PF-{kind}-UID"] for kind in ("FlowSchema", "PriorityLevel")]


@pytest.fixture
async def backend() -> StalledBackend:
    return StalledBackend()


@pytest.fixture
async def server(start: Callable[..., Awaitable[ApiServer]], backend: StalledBackend) -> ApiServer:
    return await start(backend, **SEATS)


@pytest.fixture
async def admin(server: ApiServer, caller: Callable[..., Awaitable[Any]]) -> Any:
    admin = await caller(server)
    subjects = [
        {"kind": "Group", "name": "system:serviceaccounts", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"},
    ]
    role = {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}
    granted = await admin.create(GRANTS, {"metadata": {"name": "all"}, "roleRef": role, "subjects": subjects})
    assert granted.code == 201, granted.body
    return admin


async def test_a_flood_leaves_others_and_heartbeats_served(
    server: ApiServer, backend: StalledBackend, admin: Any, caller: Any, eventually: Callable[..., Awaitable[Any]]
) -> None:
    node = await caller(server, "node-pi-1")
    assert (await node.create(LEASES, {"metadata": {"name": "pi-1"}})).code == 201
    queuing = {"queues": 64, "handSize": 6, "queueLengthLimit": 10}
    limited = {"limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}}
    assert (await admin.patch(LOW_LEVEL, {"metadata": TAKEN_OVER, "spec": limited})).code == 200
    ended: list[str] = []

    async def flood(number: int) -> Any:
        answer = await admin.create(MAPS, {"metadata": {"name": f"m{number}"}}, **FLOODING)
        ended.append("flood" if answer.code == 201 else "refused")
        return answer

    async def refused() -> bool:
        return len(ended) == FLOOD - EXECUTING - QUEUED

    flooding = [asyncio.create_task(flood(number)) for number in range(FLOOD)]
    await eventually(refused)
    usage = server.flow_control.usages["workload-low", "service-accounts"]
    assert (usage.executing, usage.waiting, usage.rejected) == (EXECUTING, QUEUED, {"queue-full": len(ended)})

    for renewal in range(20):
        renewed = await node.patch(f"{LEASES}/pi-1", {"spec": {"leaseTransitions": renewal}})
        assert renewed.code == 200
    for _ in range(20):
        assert (await admin.get("/api/v1/namespaces/default", **JANE)).code == 200
    assert (usage.executing, usage.waiting) == (EXECUTING, QUEUED), "nobody of the flood had to be done for that"

    async def calm() -> None:
        assert (await admin.get("/api/v1/namespaces/default", **CALM)).code == 200
        ended.append("calm")

    async def calm_waits() -> bool:
        return usage.waiting == QUEUED + 1

    waiting = asyncio.create_task(calm())
    await eventually(calm_waits)
    backend.fast.set()
    answers = await asyncio.gather(*flooding)
    await waiting
    assert Counter(ended) == {"flood": EXECUTING + QUEUED, "refused": FLOOD - EXECUTING - QUEUED, "calm": 1}
    served = [who for who in ended if who != "refused"]
    assert served.index("calm") <= 2 * EXECUTING, "it was let in with the first that were, after those being served"
    no = next(answer for answer in answers if answer.code != 201)
    assert (no.code, no.headers["Retry-After"], no.body["reason"]) == (429, "1", "TooManyRequests")
    assert no.body["message"] == "too many requests, please try again later"
    assert no.headers["X-Kubernetes-PF-PriorityLevel-UID"]
    metrics = (await admin.get("/metrics")).body
    terminated = [line for line in metrics.splitlines() if line.startswith("apiserver_request_terminations_total{")]
    assert [line.rpartition(" ")[2] for line in terminated] == [f"{FLOOD - EXECUTING - QUEUED}.0"]
    assert 'code="429"' in terminated[0] and 'resource="configmaps"' in terminated[0]


async def test_a_turn_of_the_loop_serves_no_more_than_the_seats(server: ApiServer, admin: Any) -> None:
    """What never waits for anything is held to its level's seats too, and all of it is served."""
    answers = await asyncio.gather(*[admin.get(MAPS, **FLOODING) for _ in range(100)])
    assert {answer.code for answer in answers} == {200}
    usage = server.flow_control.usages["workload-low", "service-accounts"]
    assert (usage.dispatched, usage.executing, usage.waiting, usage.rejected) == (100, 0, 0, {})


async def test_watches_hold_no_seats_once_they_have_begun(server: ApiServer, admin: Any) -> None:
    headers = {"Impersonate-User": FLOODING["Impersonate_User"]}
    async with AsyncExitStack() as watches:
        for _ in range(2 * EXECUTING):
            watch = await admin.session.get("/api/v1/namespaces/default/secrets?watch=1", headers=headers)
            watches.callback(watch.close)
            assert watch.status == 200 and watch.headers["X-Kubernetes-PF-FlowSchema-UID"]
        assert len(server.cache.collections["secrets"].watchers) == 2 * EXECUTING
        usage = server.flow_control.usages["workload-low", "service-accounts"]
        assert (usage.dispatched, usage.executing) == (2 * EXECUTING, 0)


async def test_a_new_schema_and_its_level_hold_from_the_next_request_on(admin: Any) -> None:
    level_spec = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    named = {"metadata": {"name": "mine"}}
    level = await admin.create(f"{FLOWCONTROL}/prioritylevelconfigurations", {**named, "spec": level_spec})
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["namespaces"], "namespaces": ["default"]}
    subject = {"kind": "User", "user": {"name": "jane"}}
    spec = {
        "priorityLevelConfiguration": {"name": "mine"},
        "matchingPrecedence": 50,
        "rules": [{"subjects": [subject], "resourceRules": [rule]}],
    }
    before = await admin.get("/api/v1/namespaces/default", **JANE)
    schema = await admin.create(f"{FLOWCONTROL}/flowschemas", {**named, "spec": spec})
    after = await admin.get("/api/v1/namespaces/default", **JANE)
    elsewhere = await admin.get("/api/v1/namespaces/kube-system", **JANE)
    uids = [schema.body["metadata"]["uid"], level.body["metadata"]["uid"]]
    assert served_by(after) == uids
    assert served_by(before) == served_by(elsewhere) != uids


async def test_who_leaves_a_queue_is_not_served(
    server: ApiServer, backend: StalledBackend, admin: Any, caller: Any, eventually: Callable[..., Awaitable[Any]]
) -> None:
    usage = server.flow_control.usages.get

    async def waiting(count: int) -> bool:
        found = usage(("workload-low", "service-accounts"))
        return found is not None and found.waiting == count

    flooding = [
        asyncio.create_task(admin.create(MAPS, {"metadata": {"name": f"m{number}"}}, **FLOODING))
        for number in range(EXECUTING + 5)
    ]
    await eventually(lambda: waiting(5))
    late = await caller(server)
    leaving = asyncio.create_task(late.create(MAPS, {"metadata": {"name": "late"}}, **CALM))
    await eventually(lambda: waiting(6))
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await eventually(lambda: waiting(5))
    backend.fast.set()
    assert {answer.code for answer in await asyncio.gather(*flooding)} == {201}
    assert (await admin.get(f"{MAPS}/late")).code == 404


async def test_answers_say_which_schema_and_level_they_were_served_by(admin: Any) -> None:
    for who, schema, level in ((JANE, "global-default", "global-default"), ({}, "exempt", "exempt")):
        answer = await admin.get("/api/v1/namespaces/default", **who)
        uids = [
            (await admin.get(f"{FLOWCONTROL}/{path}")).body["metadata"]["uid"]
            for path in (f"flowschemas/{schema}", f"prioritylevelconfigurations/{level}")
        ]
        assert served_by(answer) == uids


async def test_figures_are_shown_to_who_may_see_them(server: ApiServer, admin: Any, caller: Any) -> None:
    await admin.get("/version", **JANE)
    node = await caller(server, "node-pi-1")
    for table, first in (("priority_levels", "catch-all,"), ("queues", "global-default,"), ("requests", "")):
        path = f"/debug/api_priority_and_fairness/dump_{table}"
        shown = await admin.get(path)
        lines = shown.body.splitlines()
        assert shown.code == 200 and lines[0].startswith("PriorityLevelName, ")
        assert lines[1].startswith(first) if first else len(lines) == 1
        assert (await node.get(path)).code == 403
    metrics = (await admin.get("/metrics")).body
    name = "apiserver_flowcontrol_dispatched_requests_total"
    assert f'{name}{{flow_schema="global-default",priority_level="global-default"}} 1.0' in metrics
