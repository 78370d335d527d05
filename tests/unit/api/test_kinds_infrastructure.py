"""Defaults and refusals of kinds of networking, storage, access, admission and flow control."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from picluster.api import defaults, strategy, validation
from picluster.api.resources import (
    API_SERVICES,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    FLOW_SCHEMAS,
    INGRESS_CLASSES,
    INGRESSES,
    IP_ADDRESSES,
    MUTATING_ADMISSION_POLICIES,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    NETWORK_POLICIES,
    PRIORITY_LEVEL_CONFIGURATIONS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_CIDRS,
    STORAGE_CLASSES,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    VOLUME_ATTACHMENTS,
    VOLUME_ATTRIBUTES_CLASSES,
    Resource,
)
from picluster.api.types import Object
from picluster.api.validation.addresses import strict_cidr, strict_ip
from picluster.api.validation.conditions import conditions

NOW = "2026-01-31T12:00:00Z"
REQUIRED = "Required value"


def whole(resource: Resource, name: str = "a", **body: Any) -> Object:
    """A new object, with its defaults, as validation sees it."""
    obj: Object = {"metadata": {"name": name, **({"namespace": "default"} if resource.namespaced else {})}, **body}
    obj = deepcopy(obj)
    defaults.apply(resource, obj)
    return strategy.prepare_create(resource, obj, NOW)


def failures(resource: Resource, name: str = "a", **body: Any) -> list[str]:
    return [str(failure) for failure in validation.create(resource, whole(resource, name, **body))]


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (NETWORK_POLICIES, {"spec": {"ingress": [{"ports": [{}]}]}},
         {"spec": {"podSelector": {}, "ingress": [{"ports": [{"protocol": "TCP"}]}], "policyTypes": ["Ingress"]}}),
        (NETWORK_POLICIES, {"spec": {"egress": [{}]}},
         {"spec": {"podSelector": {}, "egress": [{}], "policyTypes": ["Ingress", "Egress"]}}),
        (INGRESS_CLASSES, {"spec": {"parameters": {"kind": "K"}}},
         {"spec": {"parameters": {"kind": "K", "scope": "Cluster"}}}),
        (STORAGE_CLASSES, {}, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
        (CSI_DRIVERS, {},
         {"spec": {"attachRequired": True, "podInfoOnMount": False, "storageCapacity": False,
                   "requiresRepublish": False, "seLinuxMount": False, "fsGroupPolicy": "ReadWriteOnceWithFSType",
                   "volumeLifecycleModes": ["Persistent"]}}),
        (CSI_STORAGE_CAPACITIES, {"capacity": "1024Mi"}, {"capacity": "1Gi"}),
        (FLOW_SCHEMAS, {"spec": {}}, {"spec": {"matchingPrecedence": 1000}}),
        (PRIORITY_LEVEL_CONFIGURATIONS, {"spec": {"limited": {"limitResponse": {"queuing": {}}}}},
         {"spec": {"limited": {"nominalConcurrencyShares": 30, "lendablePercent": 0, "limitResponse": {
             "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}}}}}),
        (PRIORITY_LEVEL_CONFIGURATIONS, {"spec": {"exempt": {}}},
         {"spec": {"exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}}),
        (ROLE_BINDINGS, {"roleRef": {"kind": "Role"}, "subjects": [{"kind": "User"}, {"kind": "ServiceAccount"}]},
         {"roleRef": {"kind": "Role", "apiGroup": "rbac.authorization.k8s.io"},
          "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount"}]}),
        (MUTATING_WEBHOOK_CONFIGURATIONS, {"webhooks": [{"rules": [{}], "clientConfig": {"service": {}}}]},
         {"webhooks": [{"rules": [{"scope": "*"}], "clientConfig": {"service": {"port": 443}}, "failurePolicy": "Fail",
                        "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
                        "timeoutSeconds": 10, "reinvocationPolicy": "Never"}]}),
        (VALIDATING_ADMISSION_POLICIES, {"spec": {"matchConstraints": {"resourceRules": [{}]}}},
         {"spec": {"failurePolicy": "Fail", "matchConstraints": {
             "resourceRules": [{"scope": "*"}], "matchPolicy": "Equivalent", "namespaceSelector": {},
             "objectSelector": {}}}}),
        (API_SERVICES, {"spec": {"service": {}}}, {"spec": {"service": {"port": 443}}}),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_defaults(resource: Resource, body: Object, expected: Object) -> None:
    obj = deepcopy(body)
    defaults.apply(resource, obj)
    assert obj == expected
    defaults.apply(resource, obj)
    assert obj == expected


def backend(**service: Any) -> Object:
    return {"service": {"name": "web", **service}}


def path(**fields: Any) -> Object:
    entry = {"path": "/", "pathType": "Prefix", "backend": backend(port={"number": 80}), **fields}
    return {"spec": {"rules": [{"http": {"paths": [entry]}}]}}


PATH = "spec.rules[0].http.paths[0]"
BLOCK = "spec.ingress[0].from[0].ipBlock"


def peer(**fields: Any) -> Object:
    return {"spec": {"ingress": [{"from": [fields]}]}}


def port(**fields: Any) -> Object:
    return {"spec": {"egress": [{"ports": [fields]}]}}


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (INGRESSES, {"spec": {}},
         ["spec: Invalid value: \"null\": either `defaultBackend` or `rules` must be specified"]),
        (INGRESSES, {"spec": {"defaultBackend": backend(port={"name": "http"})}}, []),
        (INGRESSES, {"spec": {"defaultBackend": {}}},
         ['spec.defaultBackend: Invalid value: "": resource or service backend is required']),
        (INGRESSES, {"spec": {"defaultBackend": backend()}},
         ["spec.defaultBackend: Required value: port name or number is required"]),
        (INGRESSES, {"spec": {"defaultBackend": {**backend(port={"number": 1}), "resource": {"kind": "K"}}}},
         ['spec.defaultBackend: Invalid value: "": cannot set both resource and service backends']),
        (INGRESSES, {"spec": {"defaultBackend": {"resource": {"kind": "a/b"}}}},
         ['spec.defaultBackend.resource.kind: Invalid value: "a/b": may not contain \'/\'',
          "spec.defaultBackend.resource.name: Required value"]),
        (INGRESSES, path(), []),
        (INGRESSES, path(pathType=None), [f"{PATH}.pathType: Required value: pathType must be specified"]),
        (INGRESSES, path(path="a"), [f'{PATH}.path: Invalid value: "a": must be an absolute path']),
        (INGRESSES, path(path="", pathType="ImplementationSpecific"), []),
        (INGRESSES, path(path="/a//b/.."),
         [f"{PATH}.path: Invalid value: \"/a//b/..\": must not contain '//'",
          f"{PATH}.path: Invalid value: \"/a//b/..\": cannot end with '/..'"]),
        (INGRESSES, path(pathType="Regex"),
         [f'{PATH}.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"']
         ),
        (INGRESSES, {"spec": {"rules": [{"host": "10.0.0.1"}]}},
         ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address']),
        (INGRESSES, {"spec": {"rules": [{"host": "*.example.com"}]}}, []),
        (NETWORK_POLICIES, port(port=80, endPort=90), []),
        (NETWORK_POLICIES, port(port=80, endPort=70),
         ["spec.egress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`"]),
        (NETWORK_POLICIES, port(endPort=70),
         ["spec.egress[0].ports[0].endPort: Invalid value: 70: may not be specified when `port` is not specified"]),
        (NETWORK_POLICIES, port(port="http", endPort=70),
         ["spec.egress[0].ports[0].endPort: Invalid value: 70: may not be specified when `port` is non-numeric"]),
        (NETWORK_POLICIES, port(protocol="ICMP"),
         ['spec.egress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"']),
        (NETWORK_POLICIES, peer(), ["spec.ingress[0].from[0]: Required value: must specify a peer"]),
        (NETWORK_POLICIES, peer(podSelector={}, ipBlock={"cidr": "10.0.0.0/8"}),
         ["spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"]),
        (NETWORK_POLICIES, peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}), []),
        (NETWORK_POLICIES, peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}),
         [f'{BLOCK}.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`']),
        (NETWORK_POLICIES, peer(ipBlock={}), [f"{BLOCK}.cidr: Required value"]),
        (NETWORK_POLICIES, {"spec": {"policyTypes": ["Both"]}},
         ['spec.policyTypes[0]: Unsupported value: "Both": supported values: "Ingress", "Egress"']),
        (INGRESS_CLASSES, {"spec": {}}, ["spec.controller: Required value"]),
        (INGRESS_CLASSES, {"spec": {"controller": "x"}},
         ['spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")']),
        (INGRESS_CLASSES, {"spec": {"controller": "a.io/x", "parameters": {"kind": "K", "name": "n",
                                                                           "scope": "Namespace"}}},
         ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]),
        (INGRESS_CLASSES, {"spec": {"controller": "a.io/x", "parameters": {"kind": "K", "name": "n",
                                                                           "namespace": "x"}}},
         ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"]),
        (SERVICE_CIDRS, {"spec": {}}, ["spec.cidrs: Required value: at least one CIDR required"]),
        (SERVICE_CIDRS, {"spec": {"cidrs": ["10.0.0.1/8"]}},
         ['spec.cidrs[0]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length']),
        (SERVICE_CIDRS, {"spec": {"cidrs": ["10.0.0.0/24", "10.0.1.0/24"]}},
         ['spec.cidrs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one IP for each IP'
          " family, i.e 192.168.0.0/24 and 2001:db8::/64"]),
        (STORAGE_CLASSES, {"provisioner": ""}, ["provisioner: Required value"]),
        (STORAGE_CLASSES, {"provisioner": "p", "reclaimPolicy": "Recycle", "volumeBindingMode": "Later"},
         ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
          'volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"']),
        (STORAGE_CLASSES, {"provisioner": "p", "allowedTopologies": [
            {"matchLabelExpressions": [{"key": "zone", "values": ["a", "a"]}, {"key": "zone", "values": []}]}]},
         ['allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "a"',
          "allowedTopologies[0].matchLabelExpressions[1].values: Required value",
          'allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "zone"']),
        (VOLUME_ATTRIBUTES_CLASSES, {"driverName": "d"},
         ["parameters: Required value: must contain at least one key/value pair"]),
        (VOLUME_ATTACHMENTS, {"spec": {"attacher": "d", "nodeName": "n", "source": {}}},
         ["spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"]),
        (CSI_DRIVERS, {"spec": {"fsGroupPolicy": "x", "tokenRequests": [{"expirationSeconds": 1}, {}]}},
         ['spec.fsGroupPolicy: Unsupported value: "x": supported values: "File", "None", "ReadWriteOnceWithFSType"',
          "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
          'spec.tokenRequests[1].audience: Duplicate value: ""']),
        (CSI_NODES, {"spec": {"drivers": [{"name": "d", "nodeID": "n"}, {"name": "d", "allocatable": {"count": -1}}]}},
         ["spec.drivers[1].nodeID: Required value",
          "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
          'spec.drivers[1].name: Duplicate value: "d"']),
        (CSI_STORAGE_CAPACITIES, {"storageClassName": "s", "capacity": "-1"},
         ['capacity: Invalid value: "-1": must be greater than or equal to 0']),
        (ROLES, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
         ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs']),
        (ROLES, {"rules": [{}]},
         ["rules[0].verbs: Required value: verbs must contain at least one value",
          "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
          "rules[0].resources: Required value: resource rules must supply at least one resource"]),
        (CLUSTER_ROLES, {"aggregationRule": {}},
         ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if"
          " aggregationRule is non-nil"]),
        (CLUSTER_ROLE_BINDINGS, {"roleRef": {"kind": "Role", "name": "r"},
                                 "subjects": [{"kind": "ServiceAccount", "name": "x"}, {"kind": "Robot", "name": "x"}]},
         ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
          "subjects[0].namespace: Required value",
          'subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"']),
        (API_SERVICES, {"spec": {"group": "g", "version": "v1", "groupPriorityMinimum": 0, "versionPriority": 1}},
         ['metadata.name: Invalid value: "a": must be `spec.version+"."+spec.group`: "v1.g"',
          "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000"]),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_what_is_refused(resource: Resource, body: Object, expected: list[str]) -> None:
    assert failures(resource, **body) == expected


@pytest.mark.parametrize("name", ["10.0.0.1", "2001:db8::1"])
def test_an_ip_address_is_named_by_itself(name: str) -> None:
    assert failures(IP_ADDRESSES, name, spec={"parentRef": {"resource": "services", "name": "x"}}) == []
    assert failures(IP_ADDRESSES, name, spec={}) == ["spec.parentRef: Required value"]


@pytest.mark.parametrize(
    ("text", "objection"),
    [
        ("10.0.0.1", ""),
        ("web", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ("10.0.0.01", "must not have leading 0s"),
        ("2001:db8:0:0::1", 'must be in canonical form ("2001:db8::1")'),
        ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
    ],
)
def test_addresses_in_one_form(text: str, objection: str) -> None:
    assert strict_ip(text) == ((objection,) if objection else ())


@pytest.mark.parametrize(
    ("text", "objection"),
    [
        ("10.0.0.0/8", ""),
        ("2001:db8::/64", ""),
        ("10.0.0.0", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        ("10.0.0.0/33", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        ("010.0.0.0/8", "must not have leading 0s in IP"),
        ("10.0.0.0/08", "must not have leading 0s in prefix length"),
        ("::ffff:10.0.0.0/120", "must not have an IPv4-mapped IPv6 address"),
        ("2001:DB8::/64", 'must be in canonical form ("2001:db8::/64")'),
    ],
)
def test_networks_in_one_form(text: str, objection: str) -> None:
    assert strict_cidr(text) == ((objection,) if objection else ())


def test_a_second_family_may_join_a_service_cidr() -> None:
    old = whole(SERVICE_CIDRS, spec={"cidrs": ["10.0.0.0/24"]})
    for cidrs, good in (
        (["10.0.0.0/24", "2001:db8::/64"], True),
        (["10.0.0.0/24", "10.0.1.0/24"], False),
        (["2001:db8::/64", "10.0.0.0/24"], False),
        ([], False),
    ):
        new = {**deepcopy(old), "spec": {"cidrs": cidrs}}
        assert (validation.update(SERVICE_CIDRS, new, old) == []) is good, cidrs


RULES: list[Object] = [{"subjects": [{"kind": "User", "user": {"name": "ann"}}],
          "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}],
          }]  # fmt: skip


def schema(**spec: Any) -> Object:
    return {"spec": {"priorityLevelConfiguration": {"name": "p"}, "rules": RULES, **spec}}


def rule(**fields: Any) -> Object:
    return schema(rules=[{**RULES[0], **fields}])


def resource_rule(**fields: Any) -> Object:
    return rule(resourceRules=[{**RULES[0]["resourceRules"][0], **fields}])


R = "spec.rules[0]"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (schema(), []),
        (schema(matchingPrecedence=1),
         ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"]),
        (schema(matchingPrecedence=10001),
         ["spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"]),
        (schema(priorityLevelConfiguration={}),
         ["spec.priorityLevelConfiguration.name: Required value: must reference a priority level"]),
        (schema(distinguisherMethod={"type": "x"}),
         ['spec.distinguisherMethod.type: Unsupported value: "x": supported values: "ByNamespace", "ByUser"']),
        (rule(subjects=[]), [f"{R}.subjects: Required value: subjects must contain at least one value"]),
        (rule(subjects=[{"kind": "User"}]),
         [f"{R}.subjects[0].user: Required value: user is required when subject kind is 'User'"]),
        (rule(subjects=[{"kind": "Group", "group": {"name": "g"}, "user": {"name": "u"}}]),
         [f"{R}.subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'"]),
        (rule(subjects=[{"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}]),
         [f"{R}.subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account"]),
        (rule(resourceRules=[]),
         [f"{R}: Required value: at least one of resourceRules and nonResourceRules has to be non-empty"]),
        (resource_rule(verbs=["get", "*"]),
         [f"{R}.resourceRules[0].verbs: Invalid value: [\"get\",\"*\"]: if '*' is present, must not specify other verbs"
          ]),
        (resource_rule(namespaces=[]),
         [f"{R}.resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at"
          " least one namespace"]),
        (rule(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["x", "/a*", "/a//b", "/", "/a/*"]}]),
         [f'{R}.nonResourceRules[0].nonResourceURLs[0]: Invalid value: "x": must start with slash',
          f'{R}.nonResourceRules[0].nonResourceURLs[1]: Invalid value: "/a*": wildcard can only do suffix matching',
          f'{R}.nonResourceRules[0].nonResourceURLs[2]: Invalid value: "/a//b": must not contain double slash']),
    ],
)  # fmt: skip
def test_flow_schemas(body: Object, expected: list[str]) -> None:
    assert failures(FLOW_SCHEMAS, **body) == expected


def limited(response: Object | None = None, **fields: Any) -> Object:
    return {"spec": {"type": "Limited", "limited": {"limitResponse": response or {"type": "Reject"}, **fields}}}


def queue(**fields: Any) -> Object:
    return limited({"type": "Queue", "queuing": fields})


Q = "spec.limited.limitResponse.queuing"


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("a", limited(), []),
        ("a", limited(nominalConcurrencyShares=0), []),
        ("a", limited(nominalConcurrencyShares=-1),
         ["spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer"]),
        ("a", limited(lendablePercent=101, borrowingLimitPercent=-1),
         ["spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
          "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer"]),
        ("a", {"spec": {"type": "Limited"}},
         ["spec.limited: Required value: must not be empty when type is Limited"]),
        ("a", {"spec": {"type": "Exempt"}},
         ["spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if `name` is 'exempt'"]),
        ("exempt", {"spec": {"type": "Exempt", "exempt": {"lendablePercent": 50}}}, []),
        ("a", queue(), []),
        ("a", queue(queues=4), [f"{Q}.handSize: Invalid value: 8: should not be greater than queues (4)"]),
        ("a", queue(queues=1024),
         [f"{Q}.handSize: Invalid value: 8: required entropy bits of deckSize 1024 and handSize 8 should not be greater"
          " than 60"]),
        ("a", limited({"type": "Queue"}),
         [f"{Q}: Required value: must not be empty if limited.limitResponse.type is Limited"]),
    ],
)  # fmt: skip
def test_priority_levels(name: str, body: Object, expected: list[str]) -> None:
    assert failures(PRIORITY_LEVEL_CONFIGURATIONS, name, **body) == expected


def test_mandatory_flow_control_is_fixed() -> None:
    assert failures(FLOW_SCHEMAS, "catch-all", **schema(matchingPrecedence=10000))[-1].endswith(
        "spec of 'catch-all' must equal the fixed value"
    )
    fixed = limited(nominalConcurrencyShares=5)
    assert failures(PRIORITY_LEVEL_CONFIGURATIONS, "catch-all", **fixed) == []
    assert len(failures(PRIORITY_LEVEL_CONFIGURATIONS, "catch-all", **limited())) == 1


WEBHOOK = {
    "name": "a.example.com",
    "clientConfig": {"url": "https://example.com/hook"},
    "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
W = "webhooks[0]"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"name": "a.com"},
         [f'{W}.name: Invalid value: "a.com": should be a domain with at least three segments separated by dots']),
        ({"sideEffects": "Some"},
         [f'{W}.sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"']),
        ({"sideEffects": None}, [f"{W}.sideEffects: Required value: must specify one of None, NoneOnDryRun"]),
        ({"timeoutSeconds": 31},
         [f"{W}.timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"]),
        ({"admissionReviewVersions": []},
         [f"{W}.admissionReviewVersions: Required value: must specify one of v1, v1beta1"]),
        ({"admissionReviewVersions": ["v0", "v0"]},
         [f'{W}.admissionReviewVersions[1]: Invalid value: "v0": duplicate version',
          f'{W}.admissionReviewVersions: Invalid value: ["v0","v0"]: must include at least one of v1, v1beta1']),
        ({"clientConfig": {}}, [f"{W}.clientConfig: Required value: exactly one of url or service is required"]),
        ({"clientConfig": {"url": "http://u:p@h/?a#b"}},
         [f'{W}.clientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired format:'
          " https://host[/path]",
          f'{W}.clientConfig.url: Invalid value: "u:p": user information is not permitted in the URL',
          f'{W}.clientConfig.url: Invalid value: "b": fragments are not permitted in the URL',
          f'{W}.clientConfig.url: Invalid value: "a": query parameters are not permitted in the URL']),
        ({"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "x//"}}},
         [f'{W}.clientConfig.service.path: Invalid value: "x//": must start with a \'/\'',
          f'{W}.clientConfig.service.path: Invalid value: "x//": segment[0] may not be empty',
          f'{W}.clientConfig.service.path: Invalid value: "x//": segment[1] may not be empty']),
        ({"rules": [{"operations": ["*", "CREATE"], "apiGroups": [], "apiVersions": ["v1"], "resources": ["*", "p"]}]},
         [f"{W}.rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other"
          " operations",
          f"{W}.rules[0].apiGroups: Required value",
          f"{W}.rules[0].resources: Invalid value: [\"*\",\"p\"]: if '*' is present, must not specify other resources"
          " without subresources"]),
        ({"matchConditions": [{"name": "a", "expression": " "}, {"name": "a", "expression": "true"}]},
         [f"{W}.matchConditions[0].expression: Required value", f'{W}.matchConditions[1].name: Duplicate value: "a"']),
    ],
)  # fmt: skip
@pytest.mark.parametrize("resource", [MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS],
                         ids=["mutating", "validating"])  # fmt: skip
def test_webhooks(resource: Resource, change: Object, expected: list[str]) -> None:
    hook = {name: value for name, value in {**WEBHOOK, **change}.items() if value is not None}
    assert failures(resource, webhooks=[hook]) == expected


def test_webhook_names_are_unique() -> None:
    found = failures(VALIDATING_WEBHOOK_CONFIGURATIONS, webhooks=[WEBHOOK, WEBHOOK])
    assert found == ['webhooks[1].name: Duplicate value: "a.example.com"']


MATCH = {"resourceRules": WEBHOOK["rules"]}


def validating(**spec: Any) -> Object:
    return {"spec": {"matchConstraints": MATCH, "validations": [{"expression": "true"}], **spec}}


def mutating(**spec: Any) -> Object:
    mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/x', value: 1}]"}}
    return {"spec": {"matchConstraints": MATCH, "reinvocationPolicy": "Never", "mutations": [mutation], **spec}}


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        (VALIDATING_ADMISSION_POLICIES, validating(), []),
        (VALIDATING_ADMISSION_POLICIES, {"spec": {}},
         ["spec.matchConstraints: Required value",
          "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
          "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item"]),
        (VALIDATING_ADMISSION_POLICIES, validating(matchConstraints={}),
         ["spec.matchConstraints.resourceRules: Required value"]),
        (VALIDATING_ADMISSION_POLICIES, validating(validations=[{"message": "a\nb", "reason": "Because"}]),
         ["spec.validations[0].expression: Required value: expression is not specified",
          'spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks',
          'spec.validations[0].reason: Unsupported value: "Because": supported values: "Forbidden", "Invalid",'
          ' "RequestEntityTooLarge"']),
        (VALIDATING_ADMISSION_POLICIES, validating(paramKind={"apiVersion": "a/b/c", "kind": "K_"}),
         ['spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
          'spec.paramKind.kind: Invalid value: "K_": may have mixed case, but should otherwise match: a DNS-1035 label'
          " must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with"
          " an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is"
          " '[a-z]([-a-z0-9]*[a-z0-9])?')"]),
        (VALIDATING_ADMISSION_POLICIES, validating(variables=[{"name": "in", "expression": "1"}]),
         ['spec.variables[0].name: Invalid value: "in": name is not a valid CEL identifier']),
        (VALIDATING_ADMISSION_POLICIES, validating(auditAnnotations=[{"key": "k"}]),
         ["spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified"]),
        (VALIDATING_ADMISSION_POLICY_BINDINGS, {"spec": {"validationActions": ["Deny", "Warn"]}},
         ["spec.policyName: Required value",
          'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating the'
          " same validation failure information in the API response and headers serves no purpose)"]),
        (VALIDATING_ADMISSION_POLICY_BINDINGS, {"spec": {"policyName": "p", "paramRef": {}}},
         ["spec.paramRef: Required value: one of name or selector must be specified",
          "spec.paramRef.parameterNotFoundAction: Required value",
          "spec.validationActions: Required value: at least one validation action is required"]),
        (MUTATING_ADMISSION_POLICIES, mutating(), []),
        (MUTATING_ADMISSION_POLICIES, mutating(mutations=[], reinvocationPolicy=""),
         ["spec.mutations: Required value: mutations must contain at least one item",
          "spec.reinvocationPolicy: Required value"]),
        (MUTATING_ADMISSION_POLICIES, mutating(mutations=[{"patchType": "JSONPatch", "applyConfiguration": {}}]),
         ['spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when'
          " patchType is JSONPatch",
          "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch"]),
    ],
    ids=lambda value: value.id if isinstance(value, Resource) else "",
)  # fmt: skip
def test_admission_policies(resource: Resource, body: Object, expected: list[str]) -> None:
    assert failures(resource, **body) == expected


def test_an_api_service_of_the_server_itself_is_available() -> None:
    spec = {"group": "g", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 1}
    local = whole(API_SERVICES, "v1.g", spec=spec)
    assert local["status"]["conditions"][0]["reason"] == "Local"
    assert validation.create(API_SERVICES, local) == []
    remote = whole(API_SERVICES, "v1.g", spec={**spec, "service": {"name": "s", "namespace": "n"}})
    assert remote["status"] == {}


@pytest.mark.parametrize("field", ["requiresRepublish", "podInfoOnMount"])
def test_a_csi_drivers_generation_counts_changes_of_its_spec(field: str) -> None:
    old = whole(CSI_DRIVERS, "d.example.com")
    assert "generation" not in old["metadata"]
    new = deepcopy(old)
    new["spec"][field] = True
    assert strategy.prepare_update(CSI_DRIVERS, new, old)["metadata"]["generation"] == 1


def test_conditions() -> None:
    found: list[Any] = []
    conditions([{"type": "A", "status": "Maybe", "reason": "1x"}, {"type": "A", "status": "True"}], "c", found)
    assert [str(failure).partition(" (")[0] for failure in found] == [
        'c[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        "c[0].lastTransitionTime: Required value: must be set",
        'c[0].reason: Invalid value: "1x": a condition reason must start with alphabetic character, optionally followed'
        " by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'",
        'c[1].type: Duplicate value: "A"',
        "c[1].lastTransitionTime: Required value: must be set",
        "c[1].reason: Required value: must be set",
    ]
