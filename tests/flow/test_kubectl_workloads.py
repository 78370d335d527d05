"""kubectl and the kinds that run pods, limit them, or give them volumes and devices: applied, shown, described."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubectls import kubectls

pytestmark = pytest.mark.kubectl
TIMEOUT_S = 30
TEMPLATE: Any = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
ONCE: Any = {"spec": {"containers": [{"name": "c", "image": "i:1"}], "restartPolicy": "Never"}}
APPS: Any = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
REQUESTS: Any = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]}}
OBJECTS: list[tuple[str, str, Any]] = [
    ("v1", "ReplicationController", {"spec": {"replicas": 0, "template": TEMPLATE}}),
    ("v1", "PodTemplate", {"template": TEMPLATE}),
    ("v1", "LimitRange", {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}),
    ("v1", "ResourceQuota", {"spec": {"hard": {"pods": "9", "limits.cpu": "9"}}}),
    ("v1", "PersistentVolume", {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                                         "storageClassName": "", "hostPath": {"path": "/data"}}}),
    ("v1", "PersistentVolumeClaim", {"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
                                              "resources": {"requests": {"storage": "1Gi"}}}}),
    ("apps/v1", "StatefulSet", {"spec": {**APPS, "serviceName": "web", "replicas": 0}}),
    ("apps/v1", "DaemonSet", {"spec": APPS}),
    ("apps/v1", "ControllerRevision", {"revision": 1, "data": {"spec": {"template": {"$patch": "replace"}}}}),
    ("batch/v1", "Job", {"spec": {"suspend": True, "template": ONCE}}),
    ("batch/v1", "CronJob", {"spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": ONCE}}}}),
    ("policy/v1", "PodDisruptionBudget", {"spec": {"maxUnavailable": "50%", "selector": APPS["selector"]}}),
    ("autoscaling/v2", "HorizontalPodAutoscaler", {"spec": {
        "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}}}),
    ("scheduling.k8s.io/v1", "PriorityClass", {"value": 7}),
    ("node.k8s.io/v1", "RuntimeClass", {"handler": "runc"}),
    ("resource.k8s.io/v1", "DeviceClass", {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'x'"}}]}}),
    ("resource.k8s.io/v1", "ResourceClaim", {"spec": REQUESTS}),
    ("resource.k8s.io/v1", "ResourceClaimTemplate", {"spec": {"spec": REQUESTS}}),
    ("resource.k8s.io/v1", "ResourceSlice", {"spec": {
        "driver": "x.example.com", "nodeName": "pi-1", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "a", "attributes": {"m": {"int": 1}}}]}}),
]  # fmt: skip
SHOWN = {
    "rc": "NAME DESIRED CURRENT READY AGE",
    "podtemplates": "NAME CONTAINERS IMAGES POD LABELS",
    "limits": "NAME CREATED AT",
    "quota": "NAME REQUEST LIMIT AGE",
    "pv": "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE",
    "pvc": "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE",
    "sts": "NAME READY AGE",
    "ds": "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE",
    "controllerrevisions": "NAME CONTROLLER REVISION AGE",
    "jobs": "NAME STATUS COMPLETIONS DURATION AGE",
    "cj": "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE",
    "pdb": "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE",
    "hpa": "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE",
    "pc": "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY",
    "runtimeclasses": "NAME HANDLER AGE",
    "deviceclasses": "NAME AGE",
    "resourceclaims": "NAME STATE AGE",
    "resourceslices": "NAME NODE DRIVER POOL AGE",
    "cs": "NAME STATUS MESSAGE ERROR",
}


@pytest.mark.skipif(not kubectls(), reason="no kubectl on the path")
def test_a_day_with_workloads(server_process: Callable[..., Any], tmp_path: Path) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    argv = [str(kubectls()[-1]), "--kubeconfig", str(server.kubeconfig), "--cache-dir", str(tmp_path / "cache")]

    def kubectl(words: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*argv, *shlex.split(words)], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"kubectl {words}: {done.stdout}{done.stderr}"
        return done.stdout

    manifest = {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, **body} for version, kind, body in OBJECTS
    ]}  # fmt: skip
    assert kubectl("apply -f -", json.dumps(manifest)).count(" created\n") == len(OBJECTS)
    assert kubectl("apply -f -", json.dumps(manifest)).count(" unchanged\n") >= len(OBJECTS) - 4, "atomic lists"
    assert kubectl("apply --server-side --force-conflicts -f -", json.dumps(manifest)).count(
        " serverside-applied\n"
    ) == len(OBJECTS)
    tables = kubectl(f"get {','.join(SHOWN)}").strip().split("\n\n")
    assert [" ".join(table.splitlines()[0].split()) for table in tables] == list(SHOWN.values())
    groups = [(kind.lower(), version.rpartition("/")[0]) for version, kind, _ in OBJECTS]
    words = " ".join(f"{kind}.{group}/web" if group else f"{kind}/web" for kind, group in groups)
    assert kubectl(f"describe {words}").count("Name:") >= len(OBJECTS)
    kubectl("scale sts/web --replicas=3")
    kubectl("scale rc/web --replicas=2")
    assert kubectl("get sts web -o jsonpath={.spec.replicas}") == "3"
    kubectl("set image ds/web c=i:2")
    assert kubectl("get ds web -o jsonpath={.metadata.generation}") == "2"
    kubectl("create job made --from=cronjob/web")
    assert kubectl("get job made -o jsonpath={.metadata.ownerReferences[0].name}") == "web"
    kubectl('patch pdb web --subresource=status --type=merge -p \'{"status": {"disruptionsAllowed": 1}}\'')
    assert kubectl("get pdb web").split()[-2] == "1"
    kubectl("delete --wait=false -f -", json.dumps(manifest))
