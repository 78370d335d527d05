"""What admission completes and refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.apiserver.admission import serviceaccount
from picluster.apiserver.server import ApiServer

PODS = "/api/v1/namespaces/default/pods"


async def test_a_pod_gets_its_account_its_tolerations_and_its_priority(admin: Any, pod_of: Any) -> None:
    spec = (await admin.create(PODS, pod_of("p"))).body["spec"]
    assert spec["serviceAccountName"] == "default"
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert spec["tolerations"] == [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for name in ("not-ready", "unreachable")
    ]


async def test_tolerations_of_a_pod_of_its_own_are_kept(admin: Any, pod_of: Any) -> None:
    pod = pod_of("p")
    own = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 2, "effect": "NoExecute"}
    pod["spec"]["tolerations"] = [own]
    tolerations = (await admin.create(PODS, pod)).body["spec"]["tolerations"]
    assert tolerations[0] == own
    assert [each["key"] for each in tolerations[1:]] == ["node.kubernetes.io/not-ready"]
    pod = pod_of("q")
    pod["spec"]["tolerations"] = [{"operator": "Exists"}]
    assert len((await admin.create(PODS, pod)).body["spec"]["tolerations"]) == 1


async def test_a_pod_needs_an_account_that_exists(admin: Any, pod_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serviceaccount, "RETRY_INTERVAL_S", 0.001)
    pod = pod_of("p")
    pod["spec"]["serviceAccountName"] = "robot"
    refused = await admin.create(PODS, pod)
    assert (refused.code, refused.body["message"]) == (
        403,
        'pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found',
    )
    assert (await admin.create(PODS.replace("default", "kube-system"), pod_of("p"))).code == 403


async def test_an_account_gives_its_pull_secrets(admin: Any, pod_of: Any) -> None:
    await admin.patch(
        "/api/v1/namespaces/default/serviceaccounts/default", {"imagePullSecrets": [{"name": "registry"}]}
    )
    assert (await admin.create(PODS, pod_of("p"))).body["spec"]["imagePullSecrets"] == [{"name": "registry"}]


async def test_built_in_priority_classes(admin: Any, pod_of: Any) -> None:
    pod = pod_of("p")
    pod["spec"]["priorityClassName"] = "system-node-critical"
    assert (await admin.create(PODS, pod)).body["spec"]["priority"] == 2_000_001_000
    pod["metadata"]["name"], pod["spec"]["priorityClassName"] = "q", "mine"
    refused = await admin.create(PODS, pod)
    assert refused.body["message"] == 'pods "q" is forbidden: no PriorityClass with name mine was found'
    pod = pod_of("r")
    pod["spec"]["priority"] = 5
    assert (await admin.create(PODS, pod)).code == 403


async def test_nothing_is_made_in_a_namespace_that_is_not_there(admin: Any, pod_of: Any) -> None:
    answer = await admin.create("/api/v1/namespaces/none/pods", pod_of("p"))
    assert (answer.code, answer.body["message"]) == (404, 'namespaces "none" not found')


async def test_plugins_can_be_disabled(
    start: Callable[..., Awaitable[ApiServer]], caller: Any, pod_of: Callable[..., Any]
) -> None:
    admin = await caller(await start(disabled_admission=frozenset({"ServiceAccount", "DefaultTolerationSeconds"})))
    created = await admin.create(PODS, pod_of("p"))
    assert created.code == 201
    assert "tolerations" not in created.body["spec"] and "serviceAccountName" not in created.body["spec"]
