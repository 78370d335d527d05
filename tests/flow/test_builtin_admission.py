"""The plugins that Kubernetes has built in, asked over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import (
    INGRESS_CLASSES,
    INGRESSES,
    LIMIT_RANGES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    PRIORITY_CLASSES,
    RUNTIME_CLASSES,
    SERVICE_ACCOUNTS,
    STORAGE_CLASSES,
    VOLUME_ATTRIBUTES_CLASSES,
)
from picluster.client import Client, PatchType

Object = dict[str, Any]


@pytest.fixture(autouse=True)
async def account(client: Client) -> None:
    await make_account(client, "default")


async def make_account(client: Client, namespace: str) -> None:
    """What the service account controller would make."""
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": namespace}})


def pod(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container("c")], **spec}}


def container(name: str, **more: Any) -> Object:
    return {"name": name, "image": "registry.example/app:1", **more}


async def refused(client: Client, resource: Any, obj: Object) -> str:
    with pytest.raises(ApiError) as error:
        await client.create(resource, obj)
    assert (error.value.code, error.value.reason) == (403, "Forbidden")
    return error.value.message


async def limit_range(client: Client, *limits: Object) -> None:
    await client.create(
        LIMIT_RANGES, {"metadata": {"name": "limits", "namespace": "default"}, "spec": {"limits": list(limits)}}
    )


async def test_limit_ranges_fill_what_containers_do_not_say(client: Client) -> None:
    await limit_range(
        client, {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m", "memory": "64Mi"}}
    )
    made = await client.create(PODS, pod("a"))
    resources = made["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m"}}
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c"
    )
    own = container("c", resources={"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}})
    made = await client.create(PODS, pod("b", containers=[own]))
    assert made["spec"]["containers"][0]["resources"] == own["resources"]
    assert "annotations" not in made["metadata"]


@pytest.mark.parametrize(("limit", "resources", "message"), [
    (
        {"min": {"cpu": "50m"}},
        {"requests": {"cpu": "10m"}},
        "minimum cpu usage per Container is 50m, but request is 10m",
    ),
    (
        {"max": {"memory": "1Gi"}},
        {"limits": {"memory": "2Gi"}},
        "maximum memory usage per Container is 1Gi, but limit is 2Gi",
    ),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}},
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
    ),
])  # fmt: skip
async def test_limit_ranges_refuse(client: Client, limit: Object, resources: Object, message: str) -> None:
    await limit_range(client, {"type": "Container", **limit})
    said = await refused(client, PODS, pod("a", containers=[container("c", resources=resources)]))
    assert said == f'pods "a" is forbidden: {message}'


async def test_limit_ranges_hold_claims(client: Client) -> None:
    await limit_range(client, {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}})
    claim = {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "9Gi"}}},
    }
    assert "maximum storage usage per PersistentVolumeClaim is 5Gi" in await refused(
        client, PERSISTENT_VOLUME_CLAIMS, claim
    )


async def test_priority_classes_become_numbers(client: Client) -> None:
    await client.create(
        PRIORITY_CLASSES, {"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never", "description": ""}
    )
    made = await client.create(PODS, pod("a", priorityClassName="high"))
    assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (1000, "Never")
    made = await client.create(PODS, pod("b", priorityClassName="system-node-critical"))
    assert made["spec"]["priority"] == 2_000_001_000
    assert "no PriorityClass with name none was found" in await refused(
        client, PODS, pod("c", priorityClassName="none")
    )
    assert "must not be provided in pod spec" in await refused(client, PODS, pod("d", priority=7))
    await client.create(PRIORITY_CLASSES, {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True})
    made = await client.create(PODS, pod("e"))
    assert (made["spec"]["priority"], made["spec"]["priorityClassName"]) == (5, "usual")
    second = {"metadata": {"name": "other"}, "value": 6, "globalDefault": True}
    assert "PriorityClass usual is already marked as default" in await refused(client, PRIORITY_CLASSES, second)


async def test_runtime_classes_add_their_overhead_and_places(client: Client) -> None:
    await client.create(
        RUNTIME_CLASSES,
        {
            "metadata": {"name": "crun"},
            "handler": "crun",
            "overhead": {"podFixed": {"memory": "8Mi"}},
            "scheduling": {"nodeSelector": {"crun": "yes"}, "tolerations": [{"key": "t", "operator": "Exists"}]},
        },
    )
    made = (await client.create(PODS, pod("a", runtimeClassName="crun")))["spec"]
    assert made["overhead"] == {"memory": "8Mi"}
    assert made["nodeSelector"] == {"crun": "yes"}
    assert {"key": "t", "operator": "Exists"} in made["tolerations"]
    said = await refused(client, PODS, pod("b", runtimeClassName="none"))
    assert said == 'pods "b" is forbidden: pod rejected: RuntimeClass "none" not found'


async def test_default_classes(client: Client) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    await client.create(
        STORAGE_CLASSES, {"metadata": {"name": "disk", "annotations": annotations}, "provisioner": "example.com/disk"}
    )
    claim = {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    assert (await client.create(PERSISTENT_VOLUME_CLAIMS, claim))["spec"]["storageClassName"] == "disk"
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    await client.create(
        INGRESS_CLASSES, {"metadata": {"name": "one", "annotations": annotations}, "spec": {"controller": "x.y/z"}}
    )
    ingress = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    }
    assert (await client.create(INGRESSES, ingress))["spec"]["ingressClassName"] == "one"


async def test_pod_security_holds_a_namespace_to_its_labels(client: Client) -> None:
    await client.create(NAMESPACES, {"metadata": {"name": "secure"}})
    await make_account(client, "secure")
    host = pod("host", hostNetwork=True)
    host["metadata"]["namespace"] = "secure"
    await client.create(PODS, host)
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}
    await client.patch(NAMESPACES, "secure", labels, kind=PatchType.MERGE)
    host["metadata"]["name"] = "again"
    assert await refused(client, PODS, host) == (
        'pods "again" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    )
    with pytest.raises(ApiError) as error:
        labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "strict"}}}
        await client.patch(NAMESPACES, "secure", labels, kind=PatchType.MERGE)
    assert error.value.code == 422
    assert "must be one of privileged, baseline, restricted" in error.value.message


NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("taints", "expected"),
    [
        ([], [NOT_READY]),
        ([{"key": "a", "effect": "NoSchedule"}], [{"key": "a", "effect": "NoSchedule"}, NOT_READY]),
        ([NOT_READY], [NOT_READY]),
    ],
)
async def test_a_new_node_is_tainted_until_it_is_found_ready(
    client: Client, taints: list[Object], expected: list[Object]
) -> None:
    made = await client.create(NODES, {"metadata": {"name": "pi-1"}, "spec": {"taints": taints}})
    assert made["spec"]["taints"] == expected


def claim(name: str, size: str = "1Gi", **spec: Any) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


VOLUME = {
    "metadata": {"name": "v", "finalizers": ["example.com/mine"]},
    "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/v"}},
}


async def test_storage_begins_with_the_finalizer_that_protects_it(client: Client) -> None:
    made = await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c"))
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    made = await client.create(PERSISTENT_VOLUMES, VOLUME)
    assert made["metadata"]["finalizers"] == ["example.com/mine", "kubernetes.io/pv-protection"]
    made = await client.create(
        VOLUME_ATTRIBUTES_CLASSES, {"metadata": {"name": "a"}, "driverName": "d", "parameters": {"a": "b"}}
    )
    assert made["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]


@pytest.mark.parametrize(
    ("class_name", "size", "grows"),
    [("fixed", "2Gi", False), ("", "2Gi", False), ("growing", "2Gi", True), ("fixed", "1024Mi", True)],
)
async def test_a_claim_grows_only_where_its_class_lets_it(
    client: Client, class_name: str, size: str, grows: bool
) -> None:
    for name, expands in (("growing", True), ("fixed", False)):
        made = {"metadata": {"name": name}, "provisioner": "p", "allowVolumeExpansion": expands}
        await client.create(STORAGE_CLASSES, made)
    made = await client.create(PERSISTENT_VOLUME_CLAIMS, claim("c", storageClassName=class_name))
    made["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    made = await client.update(PERSISTENT_VOLUME_CLAIMS, made, subresource="status")
    made["spec"]["resources"]["requests"]["storage"] = size
    if grows:
        await client.update(PERSISTENT_VOLUME_CLAIMS, made)
        return
    with pytest.raises(ApiError) as error:
        await client.update(PERSISTENT_VOLUME_CLAIMS, made)
    assert (error.value.code, error.value.message) == (
        403,
        'persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc can be resized and the storageclass'
        " that provisions the pvc must support resize",
    )
