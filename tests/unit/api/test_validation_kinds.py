"""What is refused of everything that is not a pod, with Kubernetes' paths and words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from picluster.api import defaults, strategy, validation
from picluster.api.resources import (
    CONFIGMAPS,
    CORE_EVENTS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    REPLICASETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Resource,
)
from picluster.api.types import Object

NOW = "2026-01-31T12:00:00Z"
MICRO = "2026-01-31T12:00:00.000000Z"
TEMPLATE: Object = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
}
WORKLOAD: Object = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
PORTS: Object = {"ports": [{"port": 80}]}
EVENT: Object = {
    "eventTime": MICRO,
    "type": "Normal",
    "reason": "Why",
    "action": "Act",
    "reportingController": "example.com/controller",
    "reportingInstance": "one",
}


def _new(resource: Resource, body: Object, **metadata: Any) -> Object:
    obj = deepcopy(body)
    named: Object = {"name": "web", **({"namespace": "default"} if resource.namespaced else {}), **metadata}
    obj["metadata"] = {**obj.get("metadata", {}), **named}
    defaults.apply(resource, obj)
    strategy.prepare_create(resource, obj, NOW)
    return obj


def _create_errors(resource: Resource, body: Object, **metadata: Any) -> list[str]:
    return [str(failure) for failure in validation.create(resource, _new(resource, body, **metadata))]


def _update_errors(resource: Resource, before: Object, after: Object, subresource: str | None = None) -> list[str]:
    old = _new(resource, before)
    new = deepcopy(after)
    new["metadata"] = {**old["metadata"], **new.get("metadata", {})}
    defaults.apply(resource, new)
    strategy.prepare_update(resource, new, old, subresource)
    check = validation.status if subresource == "status" else validation.update
    return [str(failure) for failure in check(resource, new, old)]


@pytest.mark.parametrize(
    ("resource", "body"),
    [
        (NAMESPACES, {}),
        (NODES, {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}, "status": {"capacity": {"cpu": "4"}}}),
        (SERVICES, {"spec": PORTS}),
        (SERVICES, {"spec": {"clusterIP": "None"}}),
        (SERVICES, {"spec": {"type": "ExternalName", "externalName": "example.com."}}),
        (SERVICES, {"spec": {"type": "NodePort", **PORTS}}),
        (ENDPOINTS, {"subsets": [{"addresses": [{"ip": "10.42.1.2"}], "ports": [{"port": 80}]}]}),
        (
            ENDPOINT_SLICES,
            {"addressType": "IPv4", "endpoints": [{"addresses": ["10.42.1.2"]}], "ports": [{"port": 80}]},
        ),
        (CONFIGMAPS, {"data": {"a.b": "c"}, "binaryData": {"d": "YQ=="}}),
        (SECRETS, {"data": {"a": "YQ=="}}),
        (SECRETS, {"type": "example.com/own"}),
        (SERVICE_ACCOUNTS, {}),
        (LEASES, {"spec": {"holderIdentity": "x", "leaseDurationSeconds": 1}}),
        (CORE_EVENTS, {"involvedObject": {"namespace": "default"}}),
        (EVENTS, {**EVENT, "regarding": {"namespace": "default"}}),
        (DEPLOYMENTS, {"spec": WORKLOAD}),
        (REPLICASETS, {"spec": WORKLOAD}),
    ],
)
def test_good_objects(resource: Resource, body: Object) -> None:
    assert _create_errors(resource, body) == []
    assert _update_errors(resource, body, body) == []


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (
            REPLICASETS,
            {"spec": {**WORKLOAD, "replicas": -1}},
            ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            REPLICASETS,
            {"spec": {"template": TEMPLATE}},
            [
                "spec.selector: Required value",
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template'
                " `labels`",
            ],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "selector": {}}},
            ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "selector": {"matchLabels": {"app": "other"}}}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template'
                " `labels`"
            ],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}},
            [
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or"
                " 'NotIn'",
                'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template'
                " `labels`",
            ],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}},
            ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "strategy": {"type": "Recreate", "rollingUpdate": {}}}},
            [
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}},
            [
                'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
            ],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "strategy": {"rollingUpdate": {"maxSurge": "x"}}}},
            [
                'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": a valid percent string must be a numeric'
                " string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            ],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "strategy": {"type": "BlueGreen"}}},
            ['spec.strategy: Unsupported value: {"type":"BlueGreen"}: supported values: "Recreate", "RollingUpdate"'],
        ),
        (
            DEPLOYMENTS,
            {"spec": {**WORKLOAD, "progressDeadlineSeconds": 5, "minReadySeconds": 5}},
            ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
        ),
        (SERVICES, {"spec": {}}, ["spec.ports: Required value"]),
        (
            SERVICES,
            {"spec": {"ports": [{"port": 0}]}},
            [
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            SERVICES,
            {"spec": {"ports": [{"port": 80}, {"port": 80, "name": "b"}]}},
            [
                "spec.ports[0].name: Required value",
                'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}',
            ],
        ),
        (
            SERVICES,
            {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            SERVICES,
            {"spec": {**PORTS, "type": "Cloud"}},
            [
                'spec.type: Unsupported value: "Cloud": supported values: "ClusterIP", "ExternalName", "LoadBalancer",'
                ' "NodePort"'
            ],
        ),
        (SERVICES, {"spec": {"type": "ExternalName"}}, ["spec.externalName: Required value"]),
        (
            SERVICES,
            {"spec": {"type": "LoadBalancer", "ports": [{"port": 10250}]}},
            ["spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"],
        ),
        (
            SERVICES,
            {"spec": {**PORTS, "clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.2"]}},
            ['spec.clusterIPs: Invalid value: ["10.43.0.2"]: first value must match `clusterIP`'],
        ),
        (
            SERVICES,
            {"spec": {**PORTS, "clusterIP": "x", "clusterIPs": ["x"]}},
            ['spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
        ),
        (
            SERVICES,
            {"spec": {"type": "NodePort", "clusterIP": "None", **PORTS}},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (
            SERVICES,
            {"spec": {**PORTS, "externalIPs": ["127.0.0.1"]}},
            [
                'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8,'
                " ::1/128)"
            ],
        ),
        (
            SERVICES,
            {"spec": {**PORTS, "externalTrafficPolicy": "Local"}},
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        (
            SERVICES,
            {
                "spec": {
                    **PORTS,
                    "sessionAffinity": "ClientIP",
                    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}},
                }
            },
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less"
                " than 86400"
            ],
        ),
        (
            ENDPOINTS,
            {"subsets": [{}]},
            ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
        ),
        (
            ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": "x"}]}]},
            [
                'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or'
                " 2001:db8::ffff)"
            ],
        ),
        (
            ENDPOINT_SLICES,
            {"addressType": "IP", "endpoints": []},
            ['addressType: Unsupported value: "IP": supported values: "FQDN", "IPv4", "IPv6"'],
        ),
        (
            ENDPOINT_SLICES,
            {"addressType": "IPv4", "endpoints": [{"addresses": []}, {"addresses": ["::1"]}]},
            [
                "endpoints[0].addresses: Required value: must contain at least 1 address",
                'endpoints[1].addresses[0]: Invalid value: "::1": must be a valid IPv4 address',
                'endpoints[1].addresses[0]: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8,'
                " ::1/128)",
            ],
        ),
        (
            ENDPOINT_SLICES,
            {"addressType": "IPv4", "endpoints": [], "ports": [{"name": "a"}, {"name": "a"}]},
            ['ports[1].name: Duplicate value: "a"'],
        ),
        (
            ENDPOINT_SLICES,
            {
                "addressType": "IPv4",
                "endpoints": [
                    {
                        "addresses": ["10.0.0.1"],
                        "hints": {"forZones": [{"name": "a"}, {"name": "a"}], "forNodes": [{"name": "n"}] * 9},
                    }
                ],
            },
            [
                'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
                "endpoints[0].hints.forNodes: Too many: 9: must have at most 8 items",
            ],
        ),
        (
            CONFIGMAPS,
            {"data": {"a": "x"}, "binaryData": {"a": "YQ=="}},
            ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
        ),
        (
            CONFIGMAPS,
            {"data": {"a b": "x"}},
            [
                "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-',"
                " '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is"
                " '[-._a-zA-Z0-9]+')"
            ],
        ),
        (CONFIGMAPS, {"data": {"a": "x" * (1 << 20) + "x"}}, [": Too long: may not be more than 1048576 bytes"]),
        (SECRETS, {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, ["data[tls.key]: Required value"]),
        (
            SECRETS,
            {"type": "kubernetes.io/basic-auth"},
            ["data[username]: Required value", "data[password]: Required value"],
        ),
        (
            SECRETS,
            {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "c2VjcmV0"}},
            ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": the content is not a JSON object'],
        ),
        (
            SECRETS,
            {"type": "kubernetes.io/service-account-token"},
            ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
        (
            LEASES,
            {"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1}},
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            NODES,
            {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]}},
            [
                'metadata.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: taints must be unique by key'
                " and effect pair"
            ],
        ),
        (NODES, {"spec": {"taints": [{"key": "a"}]}}, ["metadata.taints[0].effect: Required value"]),
        (
            NODES,
            {"spec": {"podCIDRs": ["10.42.1.0"]}},
            [
                'spec.podCIDRs[0]: Invalid value: "10.42.1.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or'
                " 2001:db8::/64)"
            ],
        ),
        (
            NODES,
            {"status": {"capacity": {"pods": "1500m"}}},
            [
                'status.capacity.pods: Invalid value: "1500m": must be an integer',
                'status.allocatable.pods: Invalid value: "1500m": must be an integer',
            ],
        ),
        (
            CORE_EVENTS,
            {"involvedObject": {"namespace": "other"}},
            ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
        ),
        (
            EVENTS,
            {**EVENT, "reason": "", "type": "Odd"},
            ["reason: Required value", 'type: Invalid value: "": has invalid value: Odd'],
        ),
        (
            EVENTS,
            {
                **EVENT,
                "note": "x" * 1025,
                "regarding": {"namespace": "other"},
                "deprecatedCount": 3,
                "series": {"count": 1},
            },
            [
                'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
                'message: Invalid value: "": can have at most 1024 characters',
                'series.count: Invalid value: "": should be at least 2',
                "series.lastObservedTime: Required value",
                'count: Invalid value: "": needs to be unset',
            ],
        ),
    ],
)
def test_bad_objects(resource: Resource, body: Object, expected: list[str]) -> None:
    assert _create_errors(resource, body) == expected


@pytest.mark.parametrize(
    ("resource", "name", "good"),
    [
        (NAMESPACES, "a.b", False),
        (NAMESPACES, "a-b", True),
        (SERVICES, "1a", False),
        (SERVICES, "a1", True),
        (CONFIGMAPS, "a.b", True),
        (CONFIGMAPS, "A", False),
        (NODES, "pi-1.local", True),
        (DEPLOYMENTS, "web_1", False),
    ],
)
def test_names(resource: Resource, name: str, good: bool) -> None:
    bodies: dict[str, Object] = {SERVICES.id: {"spec": PORTS}, DEPLOYMENTS.id: {"spec": WORKLOAD}}
    errors = _create_errors(resource, bodies.get(resource.id, {}), name=name)
    assert (errors == []) is good
    assert all(error.startswith(f'metadata.name: Invalid value: "{name}": ') for error in errors)


def test_no_name_at_all() -> None:
    obj = _new(CONFIGMAPS, {})
    del obj["metadata"]["name"]
    assert [str(failure) for failure in validation.create(CONFIGMAPS, obj)] == [
        "metadata.name: Required value: name or generateName is required"
    ]


def test_a_generated_name_and_its_base_are_both_checked() -> None:
    obj = _new(CONFIGMAPS, {}, name="", generateName="Web-")
    fields = [failure.field for failure in validation.create(CONFIGMAPS, obj)]
    assert fields == ["metadata.generateName", "metadata.name"]
    assert _create_errors(CONFIGMAPS, {}, name="", generateName="web-") == []


def test_a_namespace_where_there_is_none() -> None:
    assert _create_errors(NODES, {}, namespace="default") == ["metadata.namespace: Forbidden: not allowed on this type"]


def test_two_controllers() -> None:
    owners = [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": True} for name in ("a", "b")]
    (error,) = _create_errors(CONFIGMAPS, {}, ownerReferences=owners)
    assert error.endswith(
        'Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b'
    )


@pytest.mark.parametrize(
    ("resource", "before", "after", "expected"),
    [
        (
            DEPLOYMENTS,
            {"spec": WORKLOAD},
            {
                "spec": {
                    "selector": {"matchLabels": {"app": "b"}},
                    "template": {**TEMPLATE, "metadata": {"labels": {"app": "b"}}},
                }
            },
            ['spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable'],
        ),
        (
            SERVICES,
            {"spec": {**PORTS, "clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1"]}},
            {"spec": {**PORTS, "clusterIP": "10.43.0.2", "clusterIPs": ["10.43.0.2"]}},
            ['spec.clusterIPs[0]: Invalid value: ["10.43.0.2"]: may not change once set'],
        ),
        (
            SERVICES,
            {"spec": {**PORTS, "clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1"]}},
            {"spec": {"type": "ExternalName", "externalName": "a.b"}},
            [],
        ),
        (
            CONFIGMAPS,
            {"data": {"a": "1"}, "immutable": True},
            {"data": {"a": "2"}},
            [
                "immutable: Forbidden: field is immutable when `immutable` is set",
                "data: Forbidden: field is immutable when `immutable` is set",
            ],
        ),
        (
            CONFIGMAPS,
            {"data": {"a": "1"}, "immutable": True},
            {"metadata": {"labels": {"a": "b"}}, "data": {"a": "1"}, "immutable": True},
            [],
        ),
        (
            SECRETS,
            {"type": "Opaque"},
            {"type": "example.com/x"},
            ['type: Invalid value: "example.com/x": field is immutable'],
        ),
        (
            NODES,
            {"spec": {"podCIDR": "10.42.1.0/24", "providerID": "a"}},
            {"spec": {"podCIDR": "10.42.2.0/24", "providerID": "b"}},
            [
                'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
                'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
            ],
        ),
        (NODES, {}, {"spec": {"podCIDR": "10.42.2.0/24", "unschedulable": True}}, []),
        (
            ENDPOINT_SLICES,
            {"addressType": "IPv4", "endpoints": []},
            {"addressType": "IPv6", "endpoints": []},
            ['addressType: Invalid value: "IPv6": field is immutable'],
        ),
        (
            EVENTS,
            EVENT,
            {**EVENT, "reason": "Else"},
            ['reason: Invalid value: "Else": field is immutable'],
        ),
        (
            EVENTS,
            EVENT,
            {**EVENT, "note": "else", "deprecatedSource": {}, "deprecatedCount": 2, "series": {"count": 1}},
            [
                'series.count: Invalid value: "": should be at least 2',
                "series.lastObservedTime: Required value",
                'message: Invalid value: "else": field is immutable',
                "count: Invalid value: 2: field is immutable",
            ],
        ),
    ],
)
def test_updates(resource: Resource, before: Object, after: Object, expected: list[str]) -> None:
    assert _update_errors(resource, before, after) == expected


@pytest.mark.parametrize(
    ("resource", "before", "after", "expected"),
    [
        (
            REPLICASETS,
            {"spec": WORKLOAD},
            {"status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3}},
            [
                "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
            ],
        ),
        (
            DEPLOYMENTS,
            {"spec": WORKLOAD},
            {"status": {"observedGeneration": -1, "collisionCount": -1}},
            [
                "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0",
                "status.collisionCount: Invalid value: -1: must be greater than or equal to 0",
                "status.collisionCount: Invalid value: -1: cannot be decremented",
            ],
        ),
        (
            NAMESPACES,
            {},
            {"status": {"phase": "Terminating"}},
            ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"],
        ),
        (
            SERVICES,
            {"spec": PORTS},
            {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
            ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is LoadBalancer"],
        ),
        (
            SERVICES,
            {"spec": {"type": "LoadBalancer", **PORTS}},
            {
                "spec": {"type": "LoadBalancer"},
                "status": {
                    "loadBalancer": {
                        "ingress": [
                            {"ip": "1.2.3.4"},
                            {"ip": "1.2.3.5", "ipMode": "Odd"},
                            {"hostname": "a.example.com", "ipMode": "VIP"},
                        ]
                    }
                },
            },
            [
                'status.loadBalancer.ingress[1].ipMode: Unsupported value: "Odd": supported values: "Proxy", "VIP"',
                "status.loadBalancer.ingress[2].ipMode: Forbidden: may not be specified when `ip` is not set",
            ],
        ),
        (
            NODES,
            {},
            {"status": {"addresses": [{"type": "InternalIP", "address": "a"}] * 2}},
            ['status.addresses[1]: Duplicate value: {"type":"InternalIP","address":"a"}'],
        ),
    ],
)
def test_status_updates(resource: Resource, before: Object, after: Object, expected: list[str]) -> None:
    assert _update_errors(resource, before, after, "status") == expected


def test_scale() -> None:
    scale: Object = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 0}}
    assert validation.scale(scale) == []
    scale["spec"]["replicas"] = -1
    assert [str(failure) for failure in validation.scale(scale)] == [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ]


def test_finalize() -> None:
    old = _new(NAMESPACES, {})
    new = deepcopy(old)
    new["spec"]["finalizers"] = ["bad name"]
    assert validation.finalize(old, old) == []
    assert [failure.field for failure in validation.finalize(new, old)] == ["spec.finalizers[0]"]
