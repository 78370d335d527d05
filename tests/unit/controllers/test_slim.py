"""What is left of a pod is enough for everyone who judges it."""

from __future__ import annotations

import copy
from typing import Any

from picluster.controllers.endpointslice import desired
from picluster.controllers.shared import pods
from picluster.controllers.shared.slim import slim_pod


def full_pod() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-1",
            "namespace": "default",
            "uid": "u",
            "labels": {"app": "web"},
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {
            "nodeName": "pi-1",
            "volumes": [{"name": "v", "emptyDir": {}}],
            "tolerations": [{"operator": "Exists"}],
            "initContainers": [
                {"name": "sidecar", "restartPolicy": "Always", "ports": [{"name": "metrics", "containerPort": 9000}]}
            ],
            "containers": [{"name": "web", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.42.1.5",
            "podIPs": [{"ip": "10.42.1.5"}],
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
            "containerStatuses": [
                {"name": "web", "restartCount": 4, "image": "web:1"},
                {"name": "b", "restartCount": 0},
            ],
        },
    }


def test_judgements_are_the_same() -> None:
    full, slim = full_pod(), slim_pod(full_pod())
    for judge in (
        pods.is_active,
        pods.is_ready,
        pods.ready_since_s,
        pods.phase,
        pods.node_name,
        pods.max_restarts,
        pods.labels,
    ):
        assert judge(full) == judge(slim)
    ports = [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": "metrics"}]
    service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"clusterIP": "10.43.0.9", "ports": ports}}
    assert desired(service, [full], lambda _: None) == desired(service, [slim], lambda _: None)
    assert slim["spec"]["tolerations"] == full["spec"]["tolerations"]


def test_it_is_smaller_and_can_be_slimmed_again() -> None:
    slim = slim_pod(full_pod())
    assert "volumes" not in slim["spec"]
    assert "image" not in slim["spec"]["containers"][0]
    assert "managedFields" not in slim["metadata"]
    assert [condition["type"] for condition in slim["status"]["conditions"]] == ["Ready"]
    assert slim_pod(copy.deepcopy(slim)) == slim


def test_volumes_that_are_claims_are_kept() -> None:
    full = full_pod()
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-1"}}
    full["spec"]["volumes"] += [claim, {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]
    slim = slim_pod(full)
    assert slim["spec"]["volumes"] == [claim, {"name": "scratch", "ephemeral": {}}]
    assert slim_pod(copy.deepcopy(slim)) == slim


def test_a_pod_that_is_nothing_yet() -> None:
    made = {"metadata": {"name": "a", "namespace": "default"}, "spec": {"containers": [{"name": "c"}]}}
    assert pods.phase(slim_pod(made)) == "Pending"
