"""Workloads that run for ever, what limits them and what scales them: defaults, refusals, updates."""

from __future__ import annotations

from typing import Any

import pytest
from asked import changed, failures, update_failures, whole

from picluster.api import conversion, strategy
from picluster.api.resources import (
    CONTROLLER_REVISIONS,
    DAEMONSETS,
    HORIZONTAL_POD_AUTOSCALERS,
    HORIZONTAL_POD_AUTOSCALERS_V1,
    LIMIT_RANGES,
    POD_DISRUPTION_BUDGETS,
    POD_TEMPLATES,
    PRIORITY_CLASSES,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    RUNTIME_CLASSES,
    STATEFULSETS,
    Resource,
)
from picluster.api.types import Object

POD: Object = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE: Object = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
RC: Object = {"template": TEMPLATE}
APPS: Object = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
DEADLINE: Object = {**TEMPLATE, "spec": {**POD, "activeDeadlineSeconds": 5, "restartPolicy": "Never"}}
CLAIM: Object = {
    "metadata": {"name": "d"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
}
MOUNTED: Object = {**TEMPLATE, "spec": {"containers": [
    {"name": "c", "image": "i", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}]}}  # fmt: skip
HPA: Object = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}
NOT_NEGATIVE = "must be greater than or equal to 0"


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (REPLICATION_CONTROLLERS, {"spec": RC}, {"replicas": 1, "selector": {"app": "web"}}),
        (STATEFULSETS, {"spec": {**APPS, "template": MOUNTED, "volumeClaimTemplates": [CLAIM]}},
         {"replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
          "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
          "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
          "volumeClaimTemplates": [{
              "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d"},
              "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                       "volumeMode": "Filesystem"},
              "status": {"phase": "Pending"}}]}),
        (STATEFULSETS, {"spec": {**APPS, "updateStrategy": {"type": "OnDelete"}}},
         {"updateStrategy": {"type": "OnDelete"}}),
        (DAEMONSETS, {"spec": APPS},
         {"revisionHistoryLimit": 10,
          "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}}),
        (LIMIT_RANGES, {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "0.1",
                                                                                             "memory": "1Mi"}}]}},
         {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100m", "memory": "1Mi"},
                      "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2", "memory": "1Mi"}}]}),
        (LIMIT_RANGES, {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}},
         {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}),
        (RESOURCE_QUOTAS, {"spec": {"hard": {"cpu": "1000m"}}}, {"hard": {"cpu": "1"}}),
        (HORIZONTAL_POD_AUTOSCALERS, {"spec": {**HPA, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}},
         {"minReplicas": 1,
          "metrics": [{"type": "Resource", "resource": {
              "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
          "behavior": {
              "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                  {"type": "Pods", "value": 4, "periodSeconds": 15},
                  {"type": "Percent", "value": 100, "periodSeconds": 15}]},
              "scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Max", "policies": [
                  {"type": "Percent", "value": 100, "periodSeconds": 15}]}}}),
    ],
)  # fmt: skip
def test_defaults(resource: Resource, body: Object, expected: Object) -> None:
    spec = whole(resource, body)["spec"]
    assert {field: spec.get(field) for field in expected} == expected


def test_labels_of_a_replication_controller_are_its_templates() -> None:
    assert whole(REPLICATION_CONTROLLERS, {"spec": RC})["metadata"]["labels"] == {"app": "web"}
    own = whole(REPLICATION_CONTROLLERS, {"spec": {**RC, "selector": {"app": "x"}}, "metadata": {"labels": {"a": "b"}}})
    assert (own["metadata"]["labels"], own["spec"]["selector"]) == ({"a": "b"}, {"app": "x"})


def test_a_priority_class_prefers_to_preempt() -> None:
    made = whole(PRIORITY_CLASSES, {"value": 1})
    assert (made["preemptionPolicy"], made["metadata"]["generation"]) == ("PreemptLowerPriority", 1)


@pytest.mark.parametrize(
    ("resource", "status"),
    [
        (REPLICATION_CONTROLLERS, {"replicas": 0}),
        (STATEFULSETS, {"replicas": 0, "availableReplicas": 0}),
        (DAEMONSETS, {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0,
                      "numberReady": 0}),
        (POD_DISRUPTION_BUDGETS, {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0,
                                  "expectedPods": 0}),
        (HORIZONTAL_POD_AUTOSCALERS, {"desiredReplicas": 0}),
        (RESOURCE_QUOTAS, {}),
    ],
)  # fmt: skip
def test_a_status_begins_with_what_is_never_absent(resource: Resource, status: Object) -> None:
    body = {"spec": {**RC, **APPS}, "status": {"replicas": 9, "numberReady": 9}}
    assert whole(resource, body)["status"] == status


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (REPLICATION_CONTROLLERS, {"spec": {}}, ["spec.selector: Required value", "spec.template: Required value"]),
        (REPLICATION_CONTROLLERS, {"spec": {**RC, "replicas": -1, "selector": {"app": "x"}}},
         [f"spec.replicas: Invalid value: -1: {NOT_NEGATIVE}",
          'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`']),
        (REPLICATION_CONTROLLERS, {"spec": {"template": DEADLINE}},
         ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
          "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not"
          " Supported"]),
        (POD_TEMPLATES, {"template": {"spec": {"containers": []}}}, ["template.spec.containers: Required value"]),
        (STATEFULSETS, {"spec": {**APPS, "template": MOUNTED}},
         ['spec.template.spec.containers[0].volumeMounts[0].name: Not found: "d"']),
        (STATEFULSETS, {"spec": {**APPS, "volumeClaimTemplates": [{"metadata": {"name": "d", "labels": {"a": "b c"}},
                                                                   "spec": {"accessModes": ["Odd"]}}]}},
         ["spec.volumeClaimTemplates[0].metadata.labels: Invalid value: \"b c\": a valid label must be an empty string"
          " or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
          " character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
          " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
          'spec.volumeClaimTemplates[0].spec.accessModes: Unsupported value: "Odd": supported values: "ReadOnlyMany",'
          ' "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
          "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value"]),
        (STATEFULSETS, {"spec": {**APPS, "podManagementPolicy": "Odd"}},
         ['spec.podManagementPolicy: Invalid value: "Odd": must be \'OrderedReady\' or \'Parallel\'']),
        (STATEFULSETS, {"spec": {**APPS, "updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}}},
         ["spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'"]),
        (STATEFULSETS, {"spec": {**APPS, "updateStrategy": {"rollingUpdate": {"partition": -1, "maxUnavailable": 0}}}},
         [f"spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: {NOT_NEGATIVE}",
          "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0"]),
        (STATEFULSETS, {"spec": {**APPS, "ordinals": {"start": -1},
                                 "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Keep"}}},
         ['spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Keep": supported values:'
          ' "Delete", "Retain"',
          f"spec.ordinals.start: Invalid value: -1: {NOT_NEGATIVE}"]),
        (STATEFULSETS, {"spec": {"selector": {}, "template": TEMPLATE}},
         ["spec.selector: Invalid value: {}: empty selector is invalid for statefulset"]),
        (DAEMONSETS, {"spec": {**APPS, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": "10%"}}}},
         ['spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "10%": may not be set when maxUnavailable is'
          " non-zero"]),
        (DAEMONSETS, {"spec": {**APPS, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}}},
         ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]),
        (DAEMONSETS, {"spec": {"template": APPS["template"]}},
         ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`']),
        (DAEMONSETS, {"spec": {**APPS, "updateStrategy": {"type": "Odd"}}},
         ['spec.updateStrategy: Unsupported value: {"type":"Odd"}: supported values: "RollingUpdate", "OnDelete"']),
        (CONTROLLER_REVISIONS, {"revision": -1},
         ["data: Required value: data is mandatory", f"revision: Invalid value: -1: {NOT_NEGATIVE}"]),
        (LIMIT_RANGES, {"spec": {"limits": [{"type": "Pod", "default": {"cpu": "1"}}, {"type": "Pod"}]}},
         ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
          'spec.limits[1].type: Duplicate value: "Pod"']),
        (LIMIT_RANGES, {"spec": {"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}},
         ['spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
          'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
          'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1']),
        (LIMIT_RANGES, {"spec": {"limits": [{"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"},
                                             "maxLimitRequestRatio": {"cpu": "3"}}]}},
         ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000']),
        (LIMIT_RANGES, {"spec": {"limits": [{"type": "PersistentVolumeClaim"}, {"type": "Odd"}]}},
         ["spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was"
          " provided",
          'spec.limits[1].type: Invalid value: "Odd": must be a standard limit type or fully qualified']),
        (LIMIT_RANGES, {"spec": {"limits": [{"type": "Container", "max": {"storage": "1"}}]}},
         ['spec.limits[0].max[storage]: Invalid value: "storage": must be a standard resource for containers',
          'spec.limits[0].default[storage]: Invalid value: "storage": must be a standard resource for containers',
          'spec.limits[0].defaultRequest[storage]: Invalid value: "storage": must be a standard resource for'
          " containers"]),
        (RESOURCE_QUOTAS, {"spec": {"hard": {"pods": "1.5", "count/pods": "1", "requests.example.com/gpu": "1",
                                             "storage": "1"}}},
         ['spec.hard[pods]: Invalid value: "1500m": must be an integer',
          'spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota']),
        (RESOURCE_QUOTAS, {"spec": {"hard": {"services": "1"}, "scopes": ["BestEffort", "NotBestEffort", "Odd"]}},
         ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope applied to resource',
          'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope applied to resource',
          'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope',
          'spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: conflicting scopes']),
        (RESOURCE_QUOTAS, {"spec": {"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In"}, {"scopeName": "PriorityClass", "operator": "Odd"}]}}},
         ["spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is"
          " 'In' or 'NotIn' for scope selector",
          'spec.scopeSelector.matchExpressions.operator: Invalid value: "Odd": not a valid selector operator']),
        (PRIORITY_CLASSES, {"value": 2_000_000_000},
         ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
        (PRIORITY_CLASSES, {"value": 1, "preemptionPolicy": "Odd"},
         ['preemptionPolicy: Unsupported value: "Odd": supported values: "PreemptLowerPriority", "Never"']),
        (RUNTIME_CLASSES, {"handler": "Run.C"},
         ['handler: Invalid value: "Run.C": a lowercase RFC 1123 label must consist of lower case alphanumeric'
          " characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc',"
          " regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]),
        (RUNTIME_CLASSES, {"handler": "runc", "scheduling": {"tolerations": [{"operator": "Exists"}] * 2}},
         ['scheduling.tolerations[1]: Duplicate value: {"operator":"Exists"}']),
        (POD_DISRUPTION_BUDGETS, {"spec": {"minAvailable": 1, "maxUnavailable": "101%"}},
         ['spec: Invalid value: {"minAvailable":1,"maxUnavailable":"101%"}: minAvailable and maxUnavailable cannot be'
          " both set",
          'spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
        (POD_DISRUPTION_BUDGETS, {"spec": {"unhealthyPodEvictionPolicy": "Odd"}},
         ['spec.unhealthyPodEvictionPolicy: Unsupported value: "Odd": supported values: "AlwaysAllow",'
          ' "IfHealthyBudget"']),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_what_is_refused(resource: Resource, body: Object, expected: list[str]) -> None:
    assert failures(resource, body) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("system-node-critical", 2_000_001_000, None),
        ("system-node-critical", 5, "value of system-node-critical PriorityClass must be 2000001000"),
        ("system-mine", 5, "system-mine is not a known system priority class"),
    ],
)
def test_names_of_the_systems_priority_classes(name: str, value: int, expected: str | None) -> None:
    start = (
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
    )
    assert failures(PRIORITY_CLASSES, {"value": value}, name) == ([start + expected] if expected else [])


def metric(kind: str, field: str, **source: Any) -> Object:
    return {**HPA, "metrics": [{"type": kind, field: source}]}


CPU: Object = {"type": "Utilization", "averageUtilization": 5}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({**HPA, "minReplicas": 0},
         ["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
          "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero"
          " replicas"]),
        ({**HPA, "minReplicas": 5},
         ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"]),
        ({"maxReplicas": 1},
         ["spec.scaleTargetRef.kind: Required value", "spec.scaleTargetRef.name: Required value"]),
        (metric("Resource", "resource", name="cpu"),
         ["spec.metrics[0].resource.target.type: Required value: must specify a metric target type",
          'spec.metrics[0].resource.target.type: Invalid value: "": must be either Utilization, Value, or AverageValue',
          "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a"
          " target utilization"]),
        (metric("Pods", "resource", name="cpu", target=CPU),
         ["spec.metrics[0].pods: Required value: must populate information for the given metric source"]),
        ({**HPA, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": CPU}, "pods": {}}]},
         ["spec.metrics[0].pods.metric.name: Required value: must specify a metric name",
          "spec.metrics[0].pods.target.type: Required value: must specify a metric target type",
          'spec.metrics[0].pods.target.type: Invalid value: "": must be either Utilization, Value, or AverageValue',
          "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
          "spec.metrics[0].pods: Forbidden: must populate the given metric source only"]),
        (metric("ContainerResource", "containerResource", name="cpu", target=CPU),
         ["spec.metrics[0].containerResource.container: Required value: must specify a container"]),
        ({**HPA, "behavior": {"scaleUp": {"policies": [], "selectPolicy": "Odd", "stabilizationWindowSeconds": 3601}}},
         ["spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
          'spec.behavior.scaleUp.selectPolicy: Unsupported value: "Odd": supported values: "Disabled", "Max", "Min"',
          "spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"]),
        ({**HPA, "behavior": {"scaleUp": {"policies": [{"type": "Odd", "value": 0, "periodSeconds": 1801}]}}},
         ['spec.behavior.scaleUp.policies[0].type: Unsupported value: "Odd": supported values: "Percent", "Pods"',
          "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
          "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"]),
    ],
)  # fmt: skip
def test_autoscalers_that_are_refused(spec: Object, expected: list[str]) -> None:
    assert failures(HORIZONTAL_POD_AUTOSCALERS, {"spec": spec}) == expected


V2_METRICS: list[Object] = [
    {"type": "Resource", "resource": {"name": "cpu", "target": CPU}},
    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
    {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": CPU}},
    {"type": "Pods", "pods": {"metric": {"name": "hits", "selector": {"matchLabels": {"a": "b"}}},
                              "target": {"type": "AverageValue", "averageValue": "5"}}},
    {"type": "Object", "object": {"describedObject": {"kind": "Ingress", "name": "web"}, "metric": {"name": "hits"},
                                  "target": {"type": "Value", "value": "5"}}},
    {"type": "External", "external": {"metric": {"name": "queue", "selector": {"matchLabels": {"a": "b"}}},
                                      "target": {"type": "Value", "value": "7"}}},
]  # fmt: skip


def test_nothing_of_an_autoscaler_is_lost_in_the_old_version() -> None:
    behavior = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 9}]}}
    stored = whole(HORIZONTAL_POD_AUTOSCALERS, {"spec": {**HPA, "metrics": V2_METRICS, "behavior": behavior}})
    stored |= {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2"}
    stored["status"] = {
        "currentReplicas": 1, "desiredReplicas": 2, "observedGeneration": 1,
        "conditions": [{"type": "AbleToScale", "status": "True"}],
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {
            "averageUtilization": 9, "averageValue": "10m"}}}],
    }  # fmt: skip
    old = conversion.from_stored(HORIZONTAL_POD_AUTOSCALERS_V1, stored)
    assert old["spec"]["targetCPUUtilizationPercentage"] == 5
    assert old["status"]["currentCPUUtilizationPercentage"] == 9
    assert sorted(old["metadata"]["annotations"]) == [
        f"autoscaling.alpha.kubernetes.io/{part}" for part in ("behavior", "conditions", "current-metrics", "metrics")
    ]
    back = conversion.to_stored(HORIZONTAL_POD_AUTOSCALERS_V1, old)
    assert back["spec"].pop("metrics") == [*V2_METRICS[1:], V2_METRICS[0]]
    stored["spec"].pop("metrics")
    assert back == stored


@pytest.mark.parametrize("text", ["", "x", "{}", "[1]", '[{"type": 5}]'])
def test_an_annotation_that_nobody_can_read_says_nothing(text: str) -> None:
    annotations = {"autoscaling.alpha.kubernetes.io/metrics": text}
    old = whole(HORIZONTAL_POD_AUTOSCALERS_V1, {"spec": HPA, "metadata": {"annotations": annotations}})
    assert conversion.to_stored(HORIZONTAL_POD_AUTOSCALERS_V1, old)["kind"] == "HorizontalPodAutoscaler"


@pytest.mark.parametrize(
    ("resource", "before", "change", "expected"),
    [
        (STATEFULSETS, {"spec": APPS}, {"spec": {"replicas": 2, "minReadySeconds": 1, "revisionHistoryLimit": 1}}, []),
        (STATEFULSETS, {"spec": APPS}, {"spec": {"podManagementPolicy": "Parallel"}},
         ["spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template',"
          " 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are"
          " forbidden"]),
        (CONTROLLER_REVISIONS, {"data": {"a": 1}}, {"data": {"a": 2}},
         ['data: Invalid value: {"a":2}: field is immutable']),
        (CONTROLLER_REVISIONS, {"data": {"a": 1}}, {"revision": 5}, []),
        (RESOURCE_QUOTAS, {"spec": {"hard": {"pods": "1"}}}, {"spec": {"hard": {"pods": "2"}}}, []),
        (RESOURCE_QUOTAS, {"spec": {}}, {"spec": {"scopes": ["BestEffort"]}},
         ['spec.scopes: Invalid value: ["BestEffort"]: field is immutable']),
        (PRIORITY_CLASSES, {"value": 1}, {"value": 2, "globalDefault": True},
         ["value: Forbidden: may not be changed in an update."]),
        (HORIZONTAL_POD_AUTOSCALERS, {"spec": {**HPA, "minReplicas": 0}}, {"spec": {"minReplicas": 0}},
         ["spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero"
          " replicas"]),
    ],
)  # fmt: skip
def test_updates(resource: Resource, before: Object, change: Object, expected: list[str]) -> None:
    assert update_failures(resource, before, change) == expected


@pytest.mark.parametrize(
    ("resource", "status", "expected"),
    [
        (REPLICATION_CONTROLLERS, {"replicas": 1, "readyReplicas": 2, "availableReplicas": 1},
         ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]),
        (STATEFULSETS, {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2},
         ["status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas"]),
        (DAEMONSETS, {"numberReady": -1, "collisionCount": -1},
         [f"status.numberReady: Invalid value: -1: {NOT_NEGATIVE}",
          f"status.collisionCount: Invalid value: -1: {NOT_NEGATIVE}",
          "status.collisionCount: Invalid value: -1: cannot be decremented"]),
        (RESOURCE_QUOTAS, {"used": {"pods": "-1"}}, [f'status.used[pods]: Invalid value: "-1": {NOT_NEGATIVE}']),
        (POD_DISRUPTION_BUDGETS, {"disruptionsAllowed": -1},
         [f"status.disruptionsAllowed: Invalid value: -1: {NOT_NEGATIVE}"]),
        (HORIZONTAL_POD_AUTOSCALERS, {"desiredReplicas": -1},
         [f"status.desiredReplicas: Invalid value: -1: {NOT_NEGATIVE}"]),
    ],
)  # fmt: skip
def test_statuses(resource: Resource, status: Object, expected: list[str]) -> None:
    spec = {**HPA} if resource is HORIZONTAL_POD_AUTOSCALERS else {**APPS}
    if resource is REPLICATION_CONTROLLERS:
        spec = {**RC}
    assert update_failures(resource, {"spec": spec}, {"status": status}, status=True) == expected


def test_a_daemon_set_counts_its_templates() -> None:
    key = "deprecated.daemonset.template.generation"
    assert whole(DAEMONSETS, {"spec": APPS})["metadata"]["annotations"] == {key: "1"}
    same = changed(
        DAEMONSETS, {"spec": APPS}, {"spec": {"minReadySeconds": 1}, "metadata": {"annotations": {key: "9"}}}
    )
    assert (same["metadata"]["annotations"][key], same["metadata"]["generation"]) == ("1", 2)
    other = changed(DAEMONSETS, {"spec": APPS}, {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}})
    assert other["metadata"]["annotations"][key] == "2"


@pytest.mark.parametrize(("selector", "shown"), [({"app": "web", "a": "b"}, "a=b,app=web"), (None, "")])
def test_the_scale_of_a_replication_controller(selector: Any, shown: str) -> None:
    controller = {"kind": "ReplicationController", "metadata": {"name": "a"}, "spec": {"selector": selector}}
    assert strategy.get_scale(controller)["status"]["selector"] == shown
