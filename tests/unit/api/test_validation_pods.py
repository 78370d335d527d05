"""What is refused of pods and their templates, with Kubernetes' paths and words."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from picluster.api import defaults, strategy, validation
from picluster.api.resources import DEPLOYMENTS, PODS
from picluster.api.types import Object
from picluster.api.validation import pod as rules

NOW = "2026-01-31T12:00:00Z"
LABEL_HELP = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def _set(path: str, value: Any) -> Callable[[Object], None]:
    """An edit of a pod: ``_set("spec.containers.0.name", "x")``; ``...`` removes."""

    def edit(obj: Object) -> None:
        *steps, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
        node: Any = obj
        for step in steps:
            node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
        if value is ...:
            del node[last]
        else:
            node[last] = value

    return edit


def _errors(pod: Object) -> list[str]:
    defaults.apply(PODS, pod)
    strategy.prepare_create(PODS, pod, NOW)
    return [str(failure) for failure in validation.create(PODS, pod)]


def test_a_good_pod_is_good(pod: Object) -> None:
    assert _errors(pod) == []


def test_what_was_right_is_remembered_within_bounds_and_what_was_wrong_is_not(pod: Object) -> None:
    for number in range(rules._RIGHT_MAX + 5):
        pod["spec"]["nodeSelector"] = {"number": str(number)}
        assert _errors(deepcopy(pod)) == []
    assert len(rules._RIGHT) == rules._RIGHT_MAX
    pod["spec"]["nodeSelector"] = {"-": "x"}
    assert _errors(deepcopy(pod)) == _errors(deepcopy(pod)) != []


C = "spec.containers.0."
NO_DATA = [f'spec.containers[{place}].name: Not found: "data"' for place in ("0].volumeMounts[1", "1].volumeMounts[0")]
NOT_MOUNTED = 'spec.containers[0].volumeMounts[0].name: Not found: "config"'
"""A volume with a failure is not there for mounts."""


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (C + "name", "Web", [f'spec.containers[0].name: Invalid value: "Web": {LABEL_HELP}']),
        (C + "name", ..., ["spec.containers[0].name: Required value"]),
        (C + "name", "sidecar", ['spec.containers[1].name: Duplicate value: "sidecar"']),
        (C + "image", "", ["spec.containers[0].image: Required value"]),
        (
            C + "image",
            " a",
            ['spec.containers[0].image: Invalid value: " a": must not have leading or trailing whitespace'],
        ),
        ("spec.containers", [], ["spec.containers: Required value"]),
        (
            C + "imagePullPolicy",
            "Sometimes",
            [
                'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always",'
                ' "IfNotPresent", "Never"'
            ],
        ),
        (C + "ports.0.containerPort", 0, ["spec.containers[0].ports[0].containerPort: Required value"]),
        (
            C + "ports.0.containerPort",
            70000,
            ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        ),
        (
            C + "ports.0.name",
            "8080",
            [
                'spec.containers[0].ports[0].name: Invalid value: "8080": must contain at least one letter (a-z)',
            ],
        ),
        (
            C + "ports",
            [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}],
            ['spec.containers[0].ports[1].name: Duplicate value: "a"'],
        ),
        (
            C + "ports",
            [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 80}],
            ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"'],
        ),
        (
            C + "ports.0.protocol",
            "ICMP",
            ['spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (C + "env.1.name", ..., ["spec.containers[0].env[1].name: Required value"]),
        (
            C + "env.1.name",
            "A=B",
            [
                'spec.containers[0].env[1].name: Invalid value: "A=B": a valid environment variable name must consist'
                " only of printable ASCII characters other than '='"
            ],
        ),
        (
            C + "env.0.value",
            "x",
            ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
        ),
        (
            C + "env.0.valueFrom",
            {},
            [
                'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`,'
                " `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            ],
        ),
        (
            C + "env.0.valueFrom.fieldRef.fieldPath",
            "spec.foo",
            [
                'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting'
                " fieldPath: field label not supported: spec.foo"
            ],
        ),
        (
            C + "env.0.valueFrom.fieldRef.fieldPath",
            "status.phase",
            [
                'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported'
                ' values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",'
                ' "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"'
            ],
        ),
        (C + "env.0.valueFrom.fieldRef.fieldPath", "metadata.labels['app']", []),
        (
            C + "env.2.valueFrom.secretKeyRef.key",
            "",
            ["spec.containers[0].env[2].valueFrom.secretKeyRef.key: Required value"],
        ),
        (
            C + "envFrom",
            [{}],
            ['spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
        ),
        (C + "volumeMounts.0.name", "nope", ['spec.containers[0].volumeMounts[0].name: Not found: "nope"']),
        (
            C + "volumeMounts.0.mountPath",
            "/data",
            ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/data": must be unique'],
        ),
        (
            C + "volumeMounts.0.subPath",
            "../x",
            ["spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'"],
        ),
        (
            C + "volumeMounts.0.subPath",
            "/x",
            ['spec.containers[0].volumeMounts.subPath: Invalid value: "/x": must be a relative path'],
        ),
        (
            C + "resources.requests.cpu",
            "1",
            [
                'spec.containers[0].resources.requests: Invalid value: "1": must be less than or equal to cpu limit of'
                " 500m"
            ],
        ),
        (
            C + "resources.limits.cpu",
            "-1",
            [
                'spec.containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
                'spec.containers[0].resources.requests: Invalid value: "100m": must be less than or equal to cpu limit'
                " of -1",
            ],
        ),
        (
            C + "resources.limits",
            {"gpu": "1"},
            [
                'spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or'
                " fully qualified",
                'spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for'
                " containers",
                'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or'
                " fully qualified",
                'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for'
                " containers",
            ],
        ),
        (
            C + "resources",
            {"requests": {"example.com/gpu": "1"}},
            ["spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"],
        ),
        (
            C + "resources",
            {"limits": {"example.com/gpu": "1500m"}},
            [
                'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
                'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "1500m": must be an integer',
            ],
        ),
        (
            C + "readinessProbe",
            {},
            ["spec.containers[0].readinessProbe: Required value: must specify a handler type"],
        ),
        (
            C + "readinessProbe",
            {"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}},
            ["spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"],
        ),
        (
            C + "livenessProbe.successThreshold",
            2,
            ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (
            C + "livenessProbe.initialDelaySeconds",
            -1,
            [
                "spec.containers[0].livenessProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal"
                " to 0"
            ],
        ),
        (
            C + "readinessProbe.httpGet.port",
            0,
            [
                "spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535,"
                " inclusive"
            ],
        ),
        (
            C + "readinessProbe.terminationGracePeriodSeconds",
            5,
            [
                "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for"
                " readinessProbes"
            ],
        ),
        (
            C + "lifecycle",
            {"preStop": {"sleep": {"seconds": 31}}},
            [
                "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than"
                " terminationGracePeriodSeconds (30)"
            ],
        ),
        (
            C + "securityContext",
            {"runAsUser": -1},
            [
                "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 4294967295,"
                " inclusive"
            ],
        ),
        ("spec.volumes.0.name", "a.b", None),
        (
            "spec.volumes.0.emptyDir",
            {},
            ["spec.volumes[0].emptyDir: Forbidden: may not specify more than 1 volume type", NOT_MOUNTED],
        ),
        ("spec.volumes.0.configMap.name", "", ["spec.volumes[0].configMap.name: Required value", NOT_MOUNTED]),
        (
            "spec.volumes.0.configMap.defaultMode",
            512,
            [
                "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777"
                " (octal), both inclusive",
                NOT_MOUNTED,
            ],
        ),
        ("spec.volumes.1.hostPath", {"path": "a/../b"}, None),
        (
            "spec.volumes.1",
            {"name": "data", "ephemeral": {}},
            ["spec.volumes[1].ephemeral.volumeClaimTemplate: Required value", *NO_DATA],
        ),
        (
            "spec.volumes.1",
            {
                "name": "data",
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "metadata": {"name": "n", "labels": {"a": "b"}},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0"}}},
                    }
                },
            },
            [
                "spec.volumes[1].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set for an ephemeral"
                " volume",
                'spec.volumes[1].ephemeral.volumeClaimTemplate.spec.resources[storage]: Invalid value: "0": must be'
                " greater than zero",
                *NO_DATA,
            ],
        ),
        (
            "spec.volumes.1",
            {"name": "data", "csi": {"nodePublishSecretRef": {}}},
            [
                "spec.volumes[1].csi.driver: Required value",
                "spec.volumes[1].csi.nodePublishSecretRef.name: Required value",
                *NO_DATA,
            ],
        ),
        (
            "spec.restartPolicy",
            "Maybe",
            ['spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'],
        ),
        (
            "spec.dnsPolicy",
            "None",
            ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
        ),
        ("spec.nodeSelector", {"-a": "b"}, None),
        ("spec.nodeName", "Pi_1", None),
        (
            "spec.hostname",
            "a.b",
            ['spec.hostname: Invalid value: "a.b": must not contain dots'],
        ),
        (
            "spec.activeDeadlineSeconds",
            0,
            ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
        ),
        (
            "spec.tolerations.0.effect",
            "NoSchedule",
            [
                "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when"
                " `tolerationSeconds` is set"
            ],
        ),
        (
            "spec.tolerations.0.value",
            "x",
            ["spec.tolerations[0].operator: Invalid value: \"x\": value must be empty when `operator` is 'Exists'"],
        ),
        (
            "spec.tolerations.0.operator",
            "Like",
            ['spec.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"'],
        ),
        (
            "spec.tolerations.0",
            {"value": "x"},
            [
                'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which'
                ' means "match all values and all keys"'
            ],
        ),
        (
            "spec.affinity",
            {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
            [
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required"
                " value: must have at least one node selector term"
            ],
        ),
        (
            "spec.affinity",
            {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 101, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}
                    ]
                }
            },
            [
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid"
                " value: 101: must be in the range 1-100"
            ],
        ),
        (
            "spec.topologySpreadConstraints",
            [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
            ["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"],
        ),
        (
            "spec.hostUsers",
            False,
            [],
        ),
        (
            "spec.ephemeralContainers",
            [{"name": "x", "image": "x"}],
            ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
        (
            "spec.ephemeralContainers",
            [{"name": "x", "image": "x", "volumeMounts": [{"name": "config", "mountPath": "/x", "subPath": "y"}]}],
            [
                "spec.ephemeralContainers[0].volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral"
                " Container",
                "spec.ephemeralContainers: Forbidden: cannot be set on create",
            ],
        ),
        (
            "spec.initContainers",
            [{"name": "web", "image": "x"}],
            ['spec.initContainers[0].name: Duplicate value: "web"'],
        ),
        (
            "spec.initContainers",
            [{"name": "i", "image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}}],
            [
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without"
                " restartPolicy=Always"
            ],
        ),
        (
            "spec.initContainers",
            [{"name": "i", "image": "x", "restartPolicy": "Always", "livenessProbe": {"tcpSocket": {"port": 1}}}],
            [],
        ),
        ("metadata.name", "a b", None),
        ("metadata.labels", {"app": "a b"}, None),
        (
            "metadata.annotations",
            {"a": "x" * 256 * 1024},
            ["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
        (
            "metadata.annotations",
            {"controller.kubernetes.io/pod-deletion-cost": "01"},
            [
                'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "01": must be a 32bit'
                " integer"
            ],
        ),
        (
            "metadata.ownerReferences.0.name",
            "",
            ['metadata.ownerReferences.name: Invalid value: "": must not be empty'],
        ),
        (
            "metadata.finalizers",
            ["orphaned"],
            [
                'metadata.finalizers: Invalid value: "orphaned": name is neither a standard finalizer name nor is it'
                " fully qualified"
            ],
        ),
        ("metadata.namespace", ..., ["metadata.namespace: Required value"]),
    ],
)
def test_bad_pods(pod: Object, path: str, value: Any, expected: list[str] | None) -> None:
    _set(path, value)(pod)
    errors = _errors(pod)
    if expected is None:
        assert len(errors) >= 1
    else:
        assert errors == expected


def test_hosts_network_ports_must_agree(pod: Object) -> None:
    pod["spec"]["hostNetwork"] = True
    pod["spec"]["containers"][0]["ports"][0]["hostPort"] = 81
    assert _errors(pod) == [
        "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true"
    ]


def test_a_projected_token_needs_an_account(pod: Object) -> None:
    del pod["spec"]["serviceAccountName"]
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 10}}
    pod["spec"]["volumes"].append({"name": "t", "projected": {"sources": [token]}})
    path = "spec.volumes[2].projected.sources[0].serviceAccountToken"
    assert _errors(pod) == [
        f"{path}.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes",
        f"{path}: Forbidden: must not be specified when serviceAccountName is not set",
    ]


def test_pod_level_resources_cover_the_containers(pod: Object) -> None:
    pod["spec"]["resources"] = {"requests": {"cpu": "50m", "memory": "2Gi"}}
    assert _errors(pod) == [
        'spec.resources.requests[cpu]: Invalid value: "50m": must be greater than or equal to aggregate container'
        " requests of 100m"
    ]


def _stored(pod: Object) -> Object:
    defaults.apply(PODS, pod)
    strategy.prepare_create(PODS, pod, NOW)
    return pod


def _update_errors(old: Object, *edits: Callable[[Object], None]) -> list[str]:
    new = deepcopy(old)
    for edit in edits:
        edit(new)
    defaults.apply(PODS, new)
    strategy.prepare_update(PODS, new, old)
    return [str(failure) for failure in validation.update(PODS, new, old)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.labels.new", "label"),
        (C + "image", "web:2"),
        ("spec.activeDeadlineSeconds", 60),
        ("spec.tolerations.0.tolerationSeconds", 99),
    ],
)
def test_what_may_change_in_a_pod(pod: Object, path: str, value: Any) -> None:
    assert _update_errors(_stored(pod), _set(path, value)) == []


def test_tolerations_may_be_added(pod: Object) -> None:
    old = _stored(pod)
    more = [*old["spec"]["tolerations"], {"key": "a", "operator": "Exists"}]
    assert _update_errors(old, _set("spec.tolerations", more)) == []
    assert _update_errors(old, _set("spec.tolerations", more[1:]))[0] == (
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    )


UPDATABLE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing"
    " tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (C + "env.1.value", "test"),
        ("spec.nodeSelector", {}),
        ("spec.terminationGracePeriodSeconds", 1),
        ("spec.nodeName", "pi-1"),
    ],
)
def test_what_may_not_change_in_a_pod(pod: Object, path: str, value: Any) -> None:
    (error,) = _update_errors(_stored(pod), _set(path, value))
    assert error.startswith(UPDATABLE)
    assert path.split(".")[1] in error.removeprefix(UPDATABLE)


def _affinity(*zones: str, **others: Any) -> Object:
    expressions = [{"key": zone, "operator": "Exists"} for zone in zones]
    required = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}, **others}


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (None, _affinity("a"), True),
        (_affinity("a"), _affinity("a", "b"), True),
        (_affinity("a", "b"), _affinity("a"), False),
        (_affinity("a"), ..., False),
        (None, _affinity("a", podAffinity={}), False),
    ],
)
def test_where_a_gated_pod_may_go_only_narrows(pod: Object, before: Any, after: Any, allowed: bool) -> None:
    pod["spec"]["schedulingGates"] = [{"name": "wait"}]
    if before:
        pod["spec"]["affinity"] = before
    assert (_update_errors(_stored(pod), _set("spec.affinity", after)) == []) == allowed
    selector = {**pod["spec"]["nodeSelector"], "disk": "ssd"}
    assert _update_errors(_stored(pod), _set("spec.nodeSelector", selector)) == []


def test_containers_stay_as_many(pod: Object) -> None:
    assert _update_errors(_stored(pod), _set("spec.containers.1", ...)) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]


def test_a_deadline_may_only_shrink(pod: Object) -> None:
    pod["spec"]["activeDeadlineSeconds"] = 60
    old = _stored(pod)
    assert _update_errors(old, _set("spec.activeDeadlineSeconds", 30)) == []
    assert _update_errors(old, _set("spec.activeDeadlineSeconds", 61)) == [
        "spec.activeDeadlineSeconds: Invalid value: 61: must be less than or equal to previous value"
    ]
    assert _update_errors(old, _set("spec.activeDeadlineSeconds", ...)) == [
        'spec.activeDeadlineSeconds: Invalid value: "null": must not update from a positive integer to nil value'
    ]


def test_identity_is_immutable(pod: Object) -> None:
    assert _update_errors(_stored(pod), _set("metadata.uid", "other")) == [
        'metadata.uid: Invalid value: "other": field is immutable'
    ]


def test_finalizers_cannot_come_during_deletion(pod: Object) -> None:
    old = _stored(pod)
    old["metadata"] |= {"deletionTimestamp": NOW, "finalizers": ["a/b"]}
    assert _update_errors(old, _set("metadata.finalizers", [])) == []
    assert _update_errors(old, _set("metadata.finalizers", ["a/b", "c/d"])) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new"
        ' finalizers []string{"c/d"}'
    ]


def _status_errors(old: Object, status: Object) -> list[str]:
    new = {**deepcopy(old), "status": status}
    strategy.prepare_update(PODS, new, old, "status")
    return [str(failure) for failure in validation.status(PODS, new, old)]


def test_status_of_a_pod(pod: Object) -> None:
    old = _stored(pod)
    good = {
        "phase": "Running",
        "podIP": "10.42.1.2",
        "podIPs": [{"ip": "10.42.1.2"}, {"ip": "fd00::2"}],
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "example.com/x", "status": "True"}],
    }
    assert _status_errors(old, dict(good)) == []
    assert _status_errors(old, {"qosClass": "Guaranteed"}) == [
        'status.qosClass: Invalid value: "Guaranteed": field is immutable'
    ]
    assert _status_errors(old, {"podIPs": [{"ip": "x"}]})[0].startswith('status.podIPs[0]: Invalid value: "x"')
    assert (
        "no more than one IP for each IP family"
        in _status_errors(old, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})[0]
    )
    odd = {"hostIP": "10.1.1.1", "hostIPs": [{"ip": "10.1.1.2"}], "observedGeneration": -1,
           "conditions": [{"type": "Ready", "observedGeneration": -1}, {"type": "a b"}]}  # fmt: skip
    assert [error.partition(": ")[0] for error in _status_errors(old, odd)] == [
        "status.observedGeneration",
        "status.conditions[0].observedGeneration",
        "status.conditions[1].Type",
        "status.hostIPs[0].ip",
    ]


def test_a_pod_that_has_a_node_is_not_nominated_for_another(pod: Object) -> None:
    old = _stored(pod)
    assert _status_errors(old, {"nominatedNodeName": "pi-2"}) == []
    old["spec"]["nodeName"] = "pi-1"
    assert _status_errors(old, {"nominatedNodeName": "pi-2"}) == [
        "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node"
    ]


@pytest.mark.parametrize(
    ("policy", "code", "refused"),
    [("Always", 0, False), ("OnFailure", 1, False), ("OnFailure", 0, True), ("Never", 1, True)],
)
def test_what_has_ended_stays_ended(pod: Object, policy: str, code: int, refused: bool) -> None:
    pod["spec"]["restartPolicy"] = policy
    old = _stored(pod)
    old["status"]["containerStatuses"] = [{"name": "web", "state": {"terminated": {"exitCode": code}}}]
    errors = _status_errors(old, {"containerStatuses": [{"name": "web", "state": {"running": {}}}]})
    expected = ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    assert errors == (expected if refused else [])


@pytest.mark.parametrize(
    ("own", "code", "refused"),
    [
        ({"restartPolicy": "Always"}, 0, False),
        ({"restartPolicy": "OnFailure"}, 1, False),
        ({"restartPolicy": "OnFailure"}, 0, True),
        ({"restartPolicy": "Never", "restartPolicyRules": ("Restart", "In", [42])}, 42, False),
        ({"restartPolicy": "Never", "restartPolicyRules": ("Restart", "In", [42])}, 1, True),
        ({"restartPolicy": "Never", "restartPolicyRules": ("Restart", "NotIn", [42])}, 1, False),
        ({"restartPolicy": "Never", "restartPolicyRules": ("RestartAllContainers", "In", [42])}, 1, False),
    ],
)
def test_a_containers_own_rules_say_whether_it_runs_again(pod: Object, own: Object, code: int, refused: bool) -> None:
    if rule := own.get("restartPolicyRules"):
        action, operator, values = rule
        own = {**own, "restartPolicyRules": [{"action": action, "exitCodes": {"operator": operator, "values": values}}]}
    pod["spec"]["restartPolicy"] = "Never"
    pod["spec"]["containers"][0].update(own)
    old = _stored(pod)
    old["status"]["containerStatuses"] = [{"name": "web", "state": {"terminated": {"exitCode": code}}}]
    errors = _status_errors(old, {"containerStatuses": [{"name": "web", "state": {"running": {}}}]})
    assert bool(errors) == refused


def test_a_template_is_checked_at_its_path(pod: Object) -> None:
    del pod["spec"]["containers"][0]["image"]
    deployment: Object = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod["spec"]},
        },
    }
    defaults.apply(DEPLOYMENTS, deployment)
    strategy.prepare_create(DEPLOYMENTS, deployment, NOW)
    assert [str(failure) for failure in validation.create(DEPLOYMENTS, deployment)] == [
        "spec.template.spec.containers[0].image: Required value"
    ]
