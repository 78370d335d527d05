"""What clients are told of objects that are taken: Kubernetes' words, kind by kind."""

from __future__ import annotations

import base64
import copy
import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from picluster.api import warnings
from picluster.api.resources import BY_KIND, PODS, SERVICES, Resource
from picluster.api.warnings import addresses, finalizers

POD_LABEL = (
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is"
    " recommended: [must not contain dots]"
)
PODS_LABEL = POD_LABEL.replace("the Pod's hostname", "Pod names and hostnames")
NO_MATCH = "a null labelSelector results in matching no pod"
OLD_ZONE = 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
ZONE = "failure-domain.beta.kubernetes.io/zone"


def kind(name: str, version: str = "v1") -> Resource:
    return BY_KIND[(version, name)]


def pod(spec: dict[str, Any], name: str = "web", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": [{"name": "a"}], **spec}}


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "a", **fields}]}


def items(*paths: str) -> list[dict[str, str]]:
    return [{"key": "key", "path": path} for path in paths]


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


def projected(*sources: dict[str, Any]) -> dict[str, Any]:
    return volume(projected={"sources": list(sources)})


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nothing", {}, []),
    ("old label", {"nodeSelector": {ZONE: "a", "disk": "ssd"}}, [f"spec.nodeSelector[{ZONE}]: {OLD_ZONE}"]),
    (
        "node affinity",
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": ZONE, "operator": "Exists"}]}]
                    },
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"preference": {"matchExpressions": [{"key": "foo", "operator": "In", "values": ["-1"]}]}}
                    ],
                }
            }
        },
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
            f".matchExpressions[0].key: {ZONE} is {OLD_ZONE}",
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference"
            ".matchExpressions[0].values[0]: -1 is invalid, a valid label must be an empty string or consist of"
            " alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g."
            " 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
            " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ],
    ),
    (
        "pod affinity",
        {
            "affinity": {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a"}]},
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {"topologyKey": "a"}}]
                },
            }
        },
        [
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: " + NO_MATCH,
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm"
            ".labelSelector: " + NO_MATCH,
        ],
    ),
    (
        "spread",
        {"topologySpreadConstraints": [{"topologyKey": ZONE}]},
        [
            f"spec.topologySpreadConstraints[0].topologyKey: {ZONE} is {OLD_ZONE}",
            "spec.topologySpreadConstraints[0].labelSelector: " + NO_MATCH,
        ],
    ),
    (
        "git",
        volume(gitRepo={"repository": "x"}),
        ["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
    ),
    ("storageos", volume(storageos={}), ["spec.volumes[0].storageOS: deprecated in v1.22, non-functional in v1.25+"]),
    (
        "ephemeral claim",
        volume(ephemeral={"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "100m"}}}}}),
        [
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]: fractional byte value"
            ' "100m" is invalid, must be an integer'
        ],
    ),
    (
        "same path",
        volume(configMap={"name": "foo", "items": items("test", "test")}),
        ['volume "v" (ConfigMap "foo"): overlapping paths: "test" with "test"'],
    ),
    (
        "path below path",
        volume(secret={"secretName": "foo", "items": items("test/app", "test/", "testing")}),
        ['volume "v" (Secret "foo"): overlapping paths: "test" with "test/app"'],
    ),
    (
        "downward",
        volume(downwardAPI={"items": [{"path": "a"}, {"path": "a"}]}),
        ['volume "v" (DownwardAPI): overlapping paths: "a" with "a"'],
    ),
    (
        "projected",
        projected(
            {"configMap": {"name": "Test", "items": items("test")}}, {"serviceAccountToken": {"path": "test/file"}}
        ),
        ['volume "v" (Projected): overlapping paths: "test/file" (ServiceAccountToken) with "test" (ConfigMap "Test")'],
    ),
    (
        "certificates",
        projected({"podCertificate": {"keyPath": "a", "certificateChainPath": "a"}}),
        [
            'volume "v" (Projected): overlapping paths: "a" (PodCertificate key) with "a" (PodCertificate chain)',
        ],
    ),
    ("apart", projected({"configMap": {"items": items("a/x")}}, {"secret": {"items": items("a/y")}}), []),
    ("no source", projected({}), ['volume "v" (Projected) has no sources provided']),
    (
        "host aliases",
        {"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]},
        ['spec.hostAliases[1].ip: duplicate ip "1.1.1.1"'],
    ),
    (
        "pull secrets",
        {"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {"name": ""}]},
        [
            'spec.imagePullSecrets[1].name: duplicate name "a"',
            'spec.imagePullSecrets[2].name: invalid empty name ""',
        ],
    ),
    (
        "overhead",
        {"overhead": {"memory": "4m", "cpu": "4m"}},
        ['spec.overhead[memory]: fractional byte value "4m" is invalid, must be an integer'],
    ),
    (
        "fractions",
        container(resources={"limits": {"memory": "1.5Gi", "cpu": "10m"}, "requests": {"ephemeral-storage": "500m"}}),
        [
            'spec.containers[0].resources.requests[ephemeral-storage]: fractional byte value "500m" is invalid,'
            " must be an integer"
        ],
    ),
    (
        "variables",
        container(
            env=[
                {"name": "A", "value": "a"},
                {"name": "A", "value": "$(A)b"},
                {"name": "A", "value": "$(A)"},
                {"name": "A", "value": "c"},
            ]
        ),
        [
            f'spec.containers[0].env[{index}]: hides previous definition of "A", which may be dropped when using apply'
            for index in (2, 3)
        ],
    ),
    (
        "ports",
        container(
            ports=[
                {"containerPort": 80, "protocol": "TCP", "name": "web", "hostIP": "1.1.1.1"},
                {"containerPort": 80, "protocol": "TCP", "name": "web"},
                {"containerPort": 80, "protocol": "TCP", "hostPort": 8080},
                {"containerPort": 80, "protocol": "TCP", "hostPort": 8080, "hostIP": "1.1.1.1"},
                {"containerPort": 80, "protocol": "UDP"},
                {"containerPort": 80, "protocol": "UDP"},
            ]
        ),
        [
            "spec.containers[0].ports[0]: hostIP set without hostPort:"
            " {Name:web HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.1.1.1}",
            "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
            "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]",
            "spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[1]",
            "spec.containers[0].ports[3]: overlapping port definition with spec.containers[0].ports[0]",
            "spec.containers[0].ports[3]: overlapping port definition with spec.containers[0].ports[1]",
            "spec.containers[0].ports[3]: dangerously ambiguous port definition with spec.containers[0].ports[2]",
            "spec.containers[0].ports[5]: duplicate port definition with spec.containers[0].ports[4]",
            'spec.containers[0].ports[1]: duplicate port name "web" with spec.containers[0].ports[0], services and'
            " probes that select ports by name will use spec.containers[0].ports[0]",
        ],
    ),
    (
        "grace",
        {"terminationGracePeriodSeconds": -1},
        [
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ],
    ),
    (
        "addresses",
        {"dnsConfig": {"nameservers": ["1.2.3.4", "05.06.07.08"]}, "hostAliases": [{"ip": "::ffff:1.2.3.4"}]},
        [
            'spec.dnsConfig.nameservers[1]: non-standard IP address "05.06.07.08" will be considered invalid in a'
            ' future Kubernetes release: use "5.6.7.8"',
            'spec.hostAliases[0].ip: non-standard IP address "::ffff:1.2.3.4" will be considered invalid in a future'
            ' Kubernetes release: use "1.2.3.4"',
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_pods_and_templates(spec: dict[str, Any], expected: list[str]) -> None:
    assert list(warnings.of_create(PODS, pod(spec))) == expected
    deployment = {"metadata": {"name": "web"}, "spec": {"template": pod(spec)}}
    told = list(warnings.of_create(kind("Deployment", "apps/v1"), deployment))
    assert [warning.replace("spec.template.", "") for warning in told] == expected


def test_old_annotations_of_pods() -> None:
    annotations = {
        "scheduler.alpha.kubernetes.io/critical-pod": "",
        "seccomp.security.alpha.kubernetes.io/pod": "docker/default",
        "container.seccomp.security.alpha.kubernetes.io/a": "docker/default",
        "container.apparmor.security.beta.kubernetes.io/a": "unconfined",
    }
    said = [
        'non-functional in v1.16+; use the "priorityClassName" field instead',
        'non-functional in v1.27+; use the "seccompProfile" field instead',
        'non-functional in v1.27+; use the "seccompProfile" field instead',
        'deprecated since v1.30; use the "appArmorProfile" field instead',
    ]
    expected = [f"metadata.annotations[{key}]: {what}" for key, what in zip(annotations, said, strict=True)]
    assert list(warnings.of_create(PODS, pod({}, annotations=annotations))) == expected
    fields = {"seccompProfile": {"type": "RuntimeDefault"}, "appArmorProfile": {"type": "Unconfined"}}
    new = pod({"securityContext": fields, **container(securityContext=fields)}, annotations=annotations)
    assert list(warnings.of_create(PODS, new)) == expected[:1]


def test_names_that_are_no_labels() -> None:
    assert list(warnings.of_create(PODS, pod({}, name="a.b"))) == [POD_LABEL]
    template = {"template": pod({})}
    for name, version in (("Deployment", "apps/v1"), ("ReplicaSet", "apps/v1"), ("ReplicationController", "v1")):
        told = warnings.of_create(kind(name, version), {"metadata": {"name": "a.b"}, "spec": template})
        assert list(told) == [PODS_LABEL]
    job = {"metadata": {"name": "a.b"}, "spec": template}
    assert list(warnings.of_create(kind("Job", "batch/v1"), job)) == [PODS_LABEL]
    cron_job = {"metadata": {"name": "a.b"}, "spec": {"schedule": "", "jobTemplate": {"spec": template}}}
    assert list(warnings.of_create(kind("CronJob", "batch/v1"), cron_job)) == [PODS_LABEL]


@pytest.mark.parametrize(
    ("name", "version", "path"),
    [
        ("Deployment", "apps/v1", "spec.template"),
        ("DaemonSet", "apps/v1", "spec.template"),
        ("ReplicaSet", "apps/v1", "spec.template"),
        ("StatefulSet", "apps/v1", "spec.template"),
        ("ReplicationController", "v1", "spec.template"),
        ("Job", "batch/v1", "spec.template"),
        ("PodTemplate", "v1", "template"),
    ],
)
def test_updates_are_told_of_when_the_generation_rises(name: str, version: str, path: str) -> None:
    template = pod({"terminationGracePeriodSeconds": -1})
    old: dict[str, Any] = {"metadata": {"name": "web", "generation": 1}, "spec": {"template": template}}
    if path == "template":
        old = {"metadata": {"name": "web", "generation": 1}, "template": template}
    new = copy.deepcopy(old)
    assert list(warnings.of_update(kind(name, version), new, old, None)) == []
    new["metadata"]["generation"] = 2
    expected = [
        f"{path}.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
    ]
    assert list(warnings.of_update(kind(name, version), new, old, None)) == expected
    assert list(warnings.of_update(kind(name, version), new, old, "status")) == []


def test_pods_updates_are_not_looked_at() -> None:
    new = pod({"terminationGracePeriodSeconds": -1})
    assert list(warnings.of_update(PODS, new, new, None)) == []


def test_stateful_sets() -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "1500m"}}}}
    spec = {"template": pod({}), "volumeClaimTemplates": [claim], "revisionHistoryLimit": -1}
    new = {"metadata": {"name": "db", "generation": 1}, "spec": spec}
    fraction = 'resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer'
    limit = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
    row = kind("StatefulSet", "apps/v1")
    assert list(warnings.of_create(row, new)) == [f"spec.volumeClaimTemplates[0].{fraction}", limit]
    assert list(warnings.of_update(row, new, new, None)) == [f"spec.volumeClaimTemplates[0].Spec.{fraction}", limit]


def test_jobs_with_too_many_indexes() -> None:
    spec = {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001, "template": pod({})}
    (told,) = warnings.of_create(kind("Job", "batch/v1"), {"metadata": {"name": "a"}, "spec": spec})
    assert told.startswith("spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism")


def test_cron_jobs_with_zones_in_their_schedule() -> None:
    spec = {"schedule": "TZ=UTC * * * * *", "jobTemplate": {"spec": {"template": pod({})}}}
    cron_job = {"metadata": {"name": "a", "generation": 1}, "spec": spec}
    assert list(warnings.of_update(kind("CronJob", "batch/v1"), cron_job, cron_job, None)) == [
        "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see"
        " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "sessionAffinity": "None"}, []),
        (
            {
                "type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "sessionAffinity": "ClientIP",
                "loadBalancerIP": "1.2.3.4", "externalIPs": ["1.2.3.4"],
            },
            [
                "spec.loadBalancerIP is ignored for headless services",
                "spec.externalIPs is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services",
            ],
        ),
        (
            {"type": "ClusterIP", "clusterIP": "2001:DB8::1", "clusterIPs": ["2001:DB8::1"]},
            ['spec.clusterIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'],
        ),
        (
            {"type": "LoadBalancer", "externalIPs": ["1.2.3.4"], "loadBalancerSourceRanges": ["10.1.2.3/8"]},
            [
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
                'spec.loadBalancerSourceRanges[0]: CIDR value "10.1.2.3/8" is ambiguous in this context (should be'
                ' "10.0.0.0/8" or "10.1.2.3/32"?)',
            ],
        ),
        (
            {"type": "ExternalName", "externalName": "a", "externalIPs": ["1.2.3.4"]},
            ['spec.externalIPs is ignored when spec.type is "ExternalName"'],
        ),
        (
            {"type": "NodePort", "externalName": "a", "trafficDistribution": "PreferClose"},
            [
                'spec.externalName is ignored when spec.type is not "ExternalName"',
                'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
            ],
        ),
    ],
)  # fmt: skip
def test_services(spec: dict[str, Any], expected: list[str]) -> None:
    service = {"metadata": {"name": "web"}, "spec": spec}
    assert list(warnings.of_create(SERVICES, service)) == expected
    assert list(warnings.of_update(SERVICES, service, service, None)) == expected


def test_services_annotations_and_status() -> None:
    old = "service.kubernetes.io/topology-aware-hints"
    service = {
        "metadata": {"name": "web", "annotations": {old: "auto"}},
        "spec": {},
        "status": {"loadBalancer": {"ingress": [{"ip": "01.2.3.4"}]}},
    }
    assert list(warnings.of_create(SERVICES, service)) == [
        f"annotation {old} is deprecated, please use service.kubernetes.io/topology-mode instead"
    ]
    (told,) = warnings.of_update(SERVICES, service, service, "status")
    assert told.startswith('status.loadBalancer.ingress[0]: non-standard IP address "01.2.3.4" will be')


@pytest.mark.parametrize(
    ("name", "version", "obj", "expected"),
    [
        (
            "Ingress", "networking.k8s.io/v1", {"annotations": {"kubernetes.io/ingress.class": "nginx"}, "spec": {}},
            ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"],
        ),
        (
            "Ingress", "networking.k8s.io/v1",
            {"annotations": {"kubernetes.io/ingress.class": "nginx"}, "spec": {"ingressClassName": "nginx"}}, [],
        ),
        (
            "NetworkPolicy", "networking.k8s.io/v1",
            {"spec": {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.1/16"]}}]}]}},
            [
                'spec.egress[0].to[0].ipBlock.except[0]: CIDR value "10.1.0.1/16" is ambiguous in this context (should'
                ' be "10.1.0.0/16" or "10.1.0.1/32"?)'
            ],
        ),
        (
            "Endpoints", "v1", {"subsets": [{"notReadyAddresses": [{"ip": "010.0.0.1"}]}]},
            [
                'subsets[0].notReadyAddresses[0].ip: non-standard IP address "010.0.0.1" will be considered invalid in'
                ' a future Kubernetes release: use "10.0.0.1"'
            ],
        ),
        (
            "Endpoints", "v1",
            {
                "labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"},
                "subsets": [{"addresses": [{"ip": "010.0.0.1"}]}],
            }, [],
        ),
        (
            "EndpointSlice", "discovery.k8s.io/v1", {"addressType": "FQDN", "endpoints": [{"addresses": ["a.b"]}]},
            ["spec.addressType: FQDN endpoints are deprecated"],
        ),
        (
            "Node", "v1", {"spec": {"configSource": {}, "externalID": "x"}},
            [
                "spec.configSource: the feature is removed",
                "spec.externalID: this field is deprecated, and is unused by Kubernetes",
            ],
        ),
        (
            "PersistentVolume", "v1",
            {
                "annotations": {"volume.beta.kubernetes.io/storage-class": "a"},
                "spec": {
                    "persistentVolumeReclaimPolicy": "Recycle", "rbd": {},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": ZONE}]}]}},
                },
            },
            [
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use"
                ' "storageClassName" attribute instead',
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the"
                " recommended approach is to use dynamic provisioning.",
                f"spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: {ZONE} is {OLD_ZONE}",
                "spec.rbd: deprecated in v1.28, non-functional in v1.31+",
            ],
        ),
        (
            "PersistentVolumeClaim", "v1", {"spec": {"resources": {"limits": {"storage": "0.5"}}}},
            ['spec.resources.limits[storage]: fractional byte value "500m" is invalid, must be an integer'],
        ),
        (
            "StorageClass", "storage.k8s.io/v1",
            {"allowedTopologies": [{"matchLabelExpressions": [{"key": "x"}, {"key": ZONE}]}]},
            [f"allowedTopologies[0].matchLabelExpressions[1].key: {OLD_ZONE}"],
        ),
        (
            "CSIStorageCapacity", "storage.k8s.io/v1",
            {"nodeTopology": {"matchLabels": {ZONE: "a"}, "matchExpressions": [{"key": ZONE}]}},
            [
                f"nodeTopology.matchExpressions[0].key: {ZONE} is {OLD_ZONE}",
                f"nodeTopology.matchLabels.{ZONE}: {OLD_ZONE}",
            ],
        ),
        (
            "RuntimeClass", "node.k8s.io/v1", {"scheduling": {"nodeSelector": {ZONE: "a"}}},
            [f"scheduling.nodeSelector: {OLD_ZONE}"],
        ),
        (
            "ServiceAccount", "v1", {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}},
            [
                "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate"
                " namespaces to isolate access to mounted secrets"
            ],
        ),
    ],
)  # fmt: skip
def test_other_kinds(name: str, version: str, obj: dict[str, Any], expected: list[str]) -> None:
    metadata: dict[str, Any] = {field: obj[field] for field in ("annotations", "labels") if field in obj}
    assert list(warnings.of_create(kind(name, version), {**obj, "metadata": {"name": "a", **metadata}})) == expected


def test_definitions_are_told_of_formats_that_are_new() -> None:
    row = kind("CustomResourceDefinition", "apiextensions.k8s.io/v1")

    def definition(*formats: str) -> dict[str, Any]:
        fields = {name: {"type": "string", "format": name} for name in formats}
        schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}
        return {"metadata": {"name": "a"}, "spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}}

    old, new = definition("odd", "int64", "date-time"), definition("odd", "even", "uuid")
    assert list(warnings.of_create(row, old)) == ['unrecognized format "odd"']
    assert list(warnings.of_update(row, new, old, None)) == ['unrecognized format "even"']


def test_finalizers_of_custom_resources() -> None:
    old = {"metadata": {"finalizers": ["kept"]}}
    new = {"metadata": {"finalizers": ["kept", "short", "example.com/mine", "orphan"]}}
    assert finalizers.of_added(new, old) == [
        'metadata.finalizers: "short": prefer a domain-qualified finalizer name including a path (/) to avoid'
        " accidental conflicts with other finalizer writers"
    ]
    assert len(finalizers.of_added(new, None)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", []),
        ("2001:db8::/32", []),
        ("010.0.0.0/8", ['non-standard CIDR value "010.0.0.0/8"', 'use "10.0.0.0/8"']),
        ("10.0.0.0/08", ['non-standard CIDR value "10.0.0.0/08"', 'use "10.0.0.0/8"']),
        ("::ffff:10.0.0.0/104", ['non-standard CIDR value "::ffff:10.0.0.0/104"', 'use "10.0.0.0/8"']),
        ("2001:DB8::/32", ['IPv6 CIDR value "2001:DB8::/32" should be in RFC 5952 canonical format ("2001:db8::/32")']),
        ("nonsense", []),
    ],
)
def test_networks(text: str, expected: list[str]) -> None:
    told = " ".join(addresses.of_cidr("x", text))
    assert bool(told) == bool(expected)
    assert all(part in told for part in expected)


def pair() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), encoded


def test_keys_of_secrets_belong_to_their_certificates() -> None:
    certificate, key = pair()
    _, other = pair()
    row = kind("Secret")

    def told(crt: bytes, private: bytes) -> list[str]:
        data = {"tls.crt": base64.b64encode(crt).decode(), "tls.key": base64.b64encode(private).decode()}
        return list(warnings.of_create(row, {"metadata": {}, "type": "kubernetes.io/tls", "data": data}))

    assert told(certificate, key) == []
    assert told(certificate, other) == ["tls: private key does not match public key"]
    assert told(b"", key) == ["tls: failed to find any PEM data in certificate input"]
    assert told(certificate, b"") == ["tls: failed to find any PEM data in key input"]
    assert told(certificate, certificate) == [
        "tls: found a certificate rather than a key in the PEM for the private key"
    ]
    (switched,) = told(key, certificate)
    assert switched.endswith("did find a private key; PEM inputs may have been switched")
    assert warnings.of_create(row, {"metadata": {}, "type": "Opaque", "data": {}}) == []
