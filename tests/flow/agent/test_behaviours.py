"""What upstream's conformance suite asks of pods, as a table: all of them run at once, and each says what it sees.

A row is named after the titles that it shows. Every pod runs a shell script to its end; what it wrote is compared line
by line.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from picluster.api.resources import CONFIGMAPS, NAMESPACES, NODES, SECRETS
from picluster.client import Client

pytestmark = [pytest.mark.lab]

ENDED_S = 90.0
BINARY = bytes(range(256))
NON_ROOT = {"runAsUser": 1000, "fsGroup": 1001}

Expected = list[str] | Callable[[dict[str, Any], dict[str, Any]], list[str]]
"""The lines, or how they follow from the pod and its node."""


@dataclass(frozen=True, slots=True)
class Row:
    script: str
    said: Expected
    spec: dict[str, Any] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Any] = field(default_factory=dict)
    """Source by name; each is mounted at ``/name``, unless ``mounts`` says otherwise."""
    mounts: tuple[dict[str, Any], ...] = ()
    phase: str = "Succeeded"


def from_field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def item_of_resource(resource: str, divisor: str = "1") -> dict[str, Any]:
    reference = {"containerName": "web", "resource": resource, "divisor": divisor}
    return {"path": resource, "resourceFieldRef": reference}


def env_of_resource(name: str, resource: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"resourceFieldRef": {"containerName": "web", "resource": resource}}}


def allocatable(resource: str) -> Expected:
    def lines(pod: dict[str, Any], node: dict[str, Any]) -> list[str]:
        amount = node["status"]["allocatable"][resource]
        if resource == "cpu":
            return [str(-(-int(amount.removesuffix("m")) // 1000) if amount.endswith("m") else amount)]
        return [str(int(amount.removesuffix("Ki")) * 1024 if amount.endswith("Ki") else amount)]

    return lines


CFG = {"configMap": {"name": "cfg"}}
SEC = {"secret": {"secretName": "sec"}}
MODES = "stat -Lc %a"
DOWN = {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}
LIMITED = {"resources": {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}}
ITEMS = [{"key": "data-2", "path": "path/to/data-2", "mode": 0o400}]


def projected(*sources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"projected": {"sources": list(sources), **fields}}


def down(*resources: tuple[str, str], kind: str = "downwardAPI") -> dict[str, Any]:
    source = {"downwardAPI": {"items": [item_of_resource(name, divisor) for name, divisor in resources]}}
    return source if kind == "downwardAPI" else projected(source)


ROWS: dict[str, Row] = {
    # [sig-node] ConfigMap, Secrets, Downward API, Variable Expansion: environment
    "env-config-map": Row(
        'echo "$ONE $p_data_1 $q_data_1"',
        ["value-1 value-1 value-1"],
        container={
            "env": [{"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "under", "key": "data_1"}}}],
            "envFrom": [
                {"prefix": "p_", "configMapRef": {"name": "under"}},
                {"prefix": "q_", "configMapRef": {"name": "under"}},
                {"configMapRef": {"name": "none", "optional": True}},
            ],
        },
    ),
    "env-secret": Row(
        'echo "$ONE $p_data_1"',
        ["hush-1 hush-1"],
        container={
            "env": [{"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "under", "key": "data_1"}}}],
            "envFrom": [{"prefix": "p_", "secretRef": {"name": "under"}}],
        },
    ),
    "env-downward": Row(
        'echo "$NAME $NAMESPACE $UID_ $IP $HOST $HOSTS $NODE $ACCOUNT"',
        lambda pod, node: [
            f"env-downward default {pod['metadata']['uid']} {pod['status']['podIP']} {pod['status']['hostIP']} "
            f"{pod['status']['hostIPs'][0]['ip']} {node['metadata']['name']} default"
        ],
        container={
            "env": [
                from_field("NAME", "metadata.name"),
                from_field("NAMESPACE", "metadata.namespace"),
                from_field("UID_", "metadata.uid"),
                from_field("IP", "status.podIP"),
                from_field("HOST", "status.hostIP"),
                from_field("HOSTS", "status.hostIPs"),
                from_field("NODE", "spec.nodeName"),
                from_field("ACCOUNT", "spec.serviceAccountName"),
            ]
        },
    ),
    "env-resources": Row(
        'echo "$CPU $MEMORY $CPU_R $MEMORY_R"',
        ["2 67108864 1 33554432"],
        container={
            **LIMITED,
            "env": [
                env_of_resource("CPU", "limits.cpu"),
                env_of_resource("MEMORY", "limits.memory"),
                env_of_resource("CPU_R", "requests.cpu"),
                env_of_resource("MEMORY_R", "requests.memory"),
            ],
        },
    ),
    "env-memory-of-node": Row(
        'echo "$MEMORY"',
        allocatable("memory"),
        container={"env": [env_of_resource("MEMORY", "limits.memory")]},
    ),
    "env-cpu-of-node": Row(
        'echo "$CPU"', allocatable("cpu"), container={"env": [env_of_resource("CPU", "limits.cpu")]}
    ),
    "env-composed": Row(
        'echo "$ALL"; echo $(ONE) "$$(ONE)" "$(NONE)"',
        ["1;;2", "1 $(ONE) $(NONE)"],
        container={
            "env": [
                {"name": "ONE", "value": "1"},
                {"name": "TWO", "value": "2"},
                {"name": "ALL", "value": "$(ONE);;$(TWO)"},
            ],
            "command": ["sh", "-c", 'echo "$ALL"; echo $(ONE) \'$$(ONE)\' \'$(NONE)\''],
        },
    ),
    "env-service": Row('echo "$KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"', ["10.43.0.1 443"]),
    # [sig-node] Security Context, Kubelet, Sysctls
    "user-of-container": Row(
        "id -u; id -g", ["1001", "2002"], container={"securityContext": {"runAsUser": 1001, "runAsGroup": 2002}}
    ),
    "user-of-pod": Row(
        "id -u; id -g; id -G",
        ["1001", "2002", "2002 3003"],
        spec={"securityContext": {"runAsUser": 1001, "runAsGroup": 2002, "supplementalGroups": [3003]}},
    ),
    "read-only-root": Row(
        "for f in /file /tmp/file; do (echo x > $f) 2> /dev/null || echo refused; done",
        ["refused", "refused"],
        container={"securityContext": {"readOnlyRootFilesystem": True}},
    ),
    "writable-root": Row(
        "echo x > /file && cat /file", ["x"], container={"securityContext": {"readOnlyRootFilesystem": False}}
    ),
    "unprivileged": Row(
        "ip link add dummy1 type dummy 2> /dev/null || echo refused",
        ["refused"],
        container={"securityContext": {"privileged": False}},
    ),
    "no-escalation": Row(
        "grep NoNewPrivs /proc/self/status | tr -d '\\t'",
        ["NoNewPrivs:1"],
        container={"securityContext": {"allowPrivilegeEscalation": False, "runAsUser": 1000}},
    ),
    "escalation": Row(
        "grep NoNewPrivs /proc/self/status | tr -d '\\t'",
        ["NoNewPrivs:0"],
        container={"securityContext": {"allowPrivilegeEscalation": True, "runAsUser": 1000}},
    ),
    "sysctl": Row(
        "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start",
        ["1", "80"],
        spec={
            "securityContext": {
                "sysctls": [
                    {"name": "kernel.shm_rmid_forced", "value": "1"},
                    {"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"},
                ]
            }
        },
    ),
    "host-aliases": Row(
        "grep 123.45.67.89 /etc/hosts | tr '\\t' ' '; hostname; hostname -f",
        ["123.45.67.89 foo bar", "here", "here.sub.default.svc.cluster.local"],
        spec={
            "hostname": "here",
            "subdomain": "sub",
            "hostAliases": [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}],
        },
    ),
    # [sig-storage] ConfigMap, Secrets, Projected: volumes
    "volume-config-map": Row(
        f"cat /cfg/data-1; echo; {MODES} /cfg/data-1; ls /cfg",
        ["value-1", "644", "data-1", "data-2"],
        volumes={"cfg": CFG},
    ),
    "volume-default-mode": Row(
        f"{MODES} /cfg/data-1 /sec/data-1 /pro/data-1",
        ["400", "400", "400"],
        volumes={
            "cfg": {"configMap": {"name": "cfg", "defaultMode": 0o400}},
            "sec": {"secret": {"secretName": "sec", "defaultMode": 0o400}},
            "pro": projected({"secret": {"name": "sec"}}, defaultMode=0o400),
        },
    ),
    "volume-item-mode": Row(
        f"cat /cfg/path/to/data-2; echo; {MODES} /cfg/path/to/data-2 /sec/path/to/data-2 /pro/path/to/data-2; ls /cfg",
        ["value-2", "400", "400", "400", "path"],
        volumes={
            "cfg": {"configMap": {"name": "cfg", "items": ITEMS}},
            "sec": {"secret": {"secretName": "sec", "items": ITEMS}},
            "pro": projected({"configMap": {"name": "cfg", "items": ITEMS}}),
        },
    ),
    "volume-non-root": Row(
        f"{MODES} /sec/data-1; {MODES} /pro/data-1; stat -Lc %g /sec/data-1; cat /cfg/data-1 /sec/data-1 /pro/data-1",
        ["440", "440", "1001", "value-1hush-1hush-1"],
        spec={"securityContext": NON_ROOT},
        volumes={
            "cfg": CFG,
            "sec": {"secret": {"secretName": "sec", "defaultMode": 0o440}},
            "pro": projected({"secret": {"name": "sec"}}, defaultMode=0o440),
        },
    ),
    "volume-several": Row(
        "cat /a/data-1 /b/data-1 /c/data-1 /d/data-1",
        ["value-1value-1hush-1hush-1"],
        volumes={"a": CFG, "b": CFG, "c": SEC, "d": projected({"secret": {"name": "sec"}})},
    ),
    "volume-binary": Row(
        "base64 -w0 /cfg/dump",
        [base64.b64encode(BINARY).decode()],
        volumes={"cfg": {"configMap": {"name": "binary"}}},
    ),
    "volume-all-in-one": Row(
        "cat /all/cfg /all/sec /all/name; ls /all",
        ["value-1hush-1volume-all-in-onecfg", "name", "sec"],
        volumes={
            "all": projected(
                {"configMap": {"name": "cfg", "items": [{"key": "data-1", "path": "cfg"}]}},
                {"secret": {"name": "sec", "items": [{"key": "data-1", "path": "sec"}]}},
                DOWN,
            )
        },
    ),
    "volume-downward": Row(
        f"cd /down; cat limits.cpu limits.memory requests.cpu requests.memory; echo; {MODES} limits.cpu",
        ["12506710886425032", "644"],
        container=LIMITED,
        volumes={
            "down": down(
                ("limits.cpu", "1m"), ("limits.memory", "1"), ("requests.cpu", "1m"), ("requests.memory", "1Mi")
            )
        },
    ),
    "volume-projected-downward": Row(
        "cat /down/limits.cpu /down/requests.memory",
        ["232"],
        container=LIMITED,
        volumes={"down": down(("limits.cpu", "1"), ("requests.memory", "1Mi"), kind="projected")},
    ),
    "volume-downward-memory-of-node": Row(
        "cat /down/limits.memory", allocatable("memory"), volumes={"down": down(("limits.memory", "1"))}
    ),
    "volume-downward-modes": Row(
        f"{MODES} /down/a /down/b",
        ["400", "444"],
        volumes={
            "down": {
                "downwardAPI": {
                    "defaultMode": 0o444,
                    "items": [
                        {"path": "a", "mode": 0o400, "fieldRef": {"fieldPath": "metadata.name"}},
                        {"path": "b", "fieldRef": {"fieldPath": "metadata.namespace"}},
                    ],
                }
            }
        },
    ),
    "volume-optional": Row(
        "ls /a /b | tr '\\n' ' '",
        ["/a:  /b: "],
        volumes={
            "a": {"configMap": {"name": "none", "optional": True}},
            "b": {"secret": {"secretName": "none", "optional": True}},
        },
    ),
    # [sig-storage] Subpath: Atomic writer volumes
    "sub-path": Row(
        "cat /one /two /etc/passwd /four; ls -d /dir/*",
        ["value-1hush-1value-2sub-path/dir/a"],
        volumes={
            "cfg": CFG, "sec": SEC, "down": DOWN, "e": {"emptyDir": {}},
            "pro": projected({"configMap": {"name": "cfg"}}),
        },
        mounts=(
            {"name": "cfg", "mountPath": "/one", "subPath": "data-1"},
            {"name": "sec", "mountPath": "/two", "subPath": "data-1"},
            {"name": "pro", "mountPath": "/etc/passwd", "subPath": "data-2"},
            {"name": "down", "mountPath": "/four", "subPath": "name"},
            {"name": "e", "mountPath": "/whole"},
            {"name": "e", "mountPath": "/dir", "subPath": "inner/dir"},
        ),
        spec={
            "initContainers": [
                {
                    "name": "first",
                    "image": "localhost/busybox:test",
                    "command": ["sh", "-c", "mkdir -p /whole/inner/dir; touch /whole/inner/dir/a"],
                    "volumeMounts": [{"name": "e", "mountPath": "/whole"}],
                }
            ]
        },
    ),
    "sub-path-expr": Row(
        "echo x > /mine/f; ls /whole",
        ["sub-path-expr"],
        container={"env": [from_field("POD_NAME", "metadata.name")]},
        volumes={"e": {"emptyDir": {}}},
        mounts=(
            {"name": "e", "mountPath": "/mine", "subPathExpr": "$(POD_NAME)"},
            {"name": "e", "mountPath": "/whole"},
        ),
    ),
    # [sig-storage] EmptyDir volumes
    "empty-dir": Row(
        f"{MODES} /disk /memory; grep -c ' /memory tmpfs ' /proc/mounts; umask 0; touch /disk/f; {MODES} /disk/f",
        ["777", "1777", "1", "666"],
        volumes={"disk": {"emptyDir": {}}, "memory": {"emptyDir": {"medium": "Memory"}}},
    ),
    "empty-dir-non-root": Row(
        f"umask 0; for d in disk memory; do touch /$d/f && {MODES} /$d/f; stat -c %u /$d/f; done",
        ["666", "1000", "666", "1000"],
        spec={"securityContext": {"runAsUser": 1000}},
        volumes={"disk": {"emptyDir": {}}, "memory": {"emptyDir": {"medium": "Memory"}}},
    ),
    "empty-dir-fs-group": Row(
        "touch /disk/f; stat -c %g /disk/f /disk; id -G",
        ["1001", "1001", "0 1001"],
        spec={"securityContext": NON_ROOT},
        volumes={"disk": {"emptyDir": {}}},
    ),
    # [sig-node] Containers, Kubelet, Container Runtime: how a container ends
    "fails": Row("exit 3", [], phase="Failed"),
}  # fmt: skip


def pod_of(make_pod: Any, box: Any, name: str, row: Row) -> dict[str, Any]:
    mounts = row.mounts or tuple({"name": one, "mountPath": f"/{one}"} for one in row.volumes)
    container = {**box("web", "sh", "-c", row.script), "volumeMounts": list(mounts), **row.container}
    volumes = [{"name": one, **source} for one, source in row.volumes.items()]
    return dict(make_pod(name, container, restartPolicy="Never", volumes=volumes, **row.spec))


async def objects(client: Client) -> None:
    def of(name: str, **fields: Any) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": "default"}, **fields}

    await client.create(CONFIGMAPS, of("cfg", data={"data-1": "value-1", "data-2": "value-2"}))
    await client.create(CONFIGMAPS, of("under", data={"data_1": "value-1"}))
    await client.create(CONFIGMAPS, of("binary", binaryData={"dump": base64.b64encode(BINARY).decode()}))
    await client.create(SECRETS, of("sec", stringData={"data-1": "hush-1", "data-2": "hush-2"}))
    await client.create(SECRETS, of("under", stringData={"data_1": "hush-1"}))


async def said(client: Client, name: str) -> str:
    async with client.raw("GET", f"/api/v1/namespaces/default/pods/{name}/log") as response:
        return str(await response.text())


async def test_what_pods_see(shared_node: Any, make_pod: Any, box: Any) -> None:
    await objects(shared_node.client)
    await asyncio.gather(*(shared_node.run(pod_of(make_pod, box, name, row)) for name, row in ROWS.items()))
    node = await shared_node.client.get(NODES, "test-node")
    wrong = []
    for name, row in ROWS.items():
        pod = await shared_node.when(name, lambda one: one["status"].get("phase") in ("Succeeded", "Failed"), ENDED_S)
        text = await said(shared_node.client, name)
        expected = row.said(pod, node) if callable(row.said) else row.said
        if (pod["status"]["phase"], text.splitlines()) != (row.phase, expected):
            wrong.append(f"{name}: {pod['status']['phase']}, said {text!r}, expected {expected}")
    assert not wrong, "\n".join(wrong)


async def test_secrets_of_one_name_in_two_namespaces(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-storage] Secrets should be able to mount in a volume regardless of a different secret in another."""
    client = shared_node.client
    await client.create(NAMESPACES, {"metadata": {"name": "other"}})
    for namespace in ("default", "other"):
        metadata = {"name": "same", "namespace": namespace}
        await client.create(SECRETS, {"metadata": metadata, "stringData": {"k": namespace}})
    row = Row("cat /v/k", ["default"], volumes={"v": {"secret": {"secretName": "same"}}})
    await shared_node.run(pod_of(make_pod, box, "mine", row))
    await shared_node.when("mine", lambda one: one["status"].get("phase") == "Succeeded")
    assert await said(client, "mine") == "default"
