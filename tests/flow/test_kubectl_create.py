"""What ``kubectl create`` and ``expose`` make: newer ones send it in protobuf, and it is what the manifest makes."""

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
WORDS = {
    "configmap": "create configmap made --from-literal=colour=red",
    "secret": "create secret generic made --from-literal=password=hunter2",
    "serviceaccount": "create serviceaccount made",
    "deployment": "create deployment made --image=web:1 --replicas=2 --port=8080",
    "ingress": 'create ingress made --rule="example.com/*=made:80"',
    "role": "create role made --verb=get --resource=pods",
    "cronjob": 'create cronjob made --image=web:1 --schedule="*/5 * * * *"',
    "resourcequota": "create quota made --hard=cpu=1,pods=20",
    "poddisruptionbudget": "create poddisruptionbudget made --selector=app=made --min-available=50%",
    "rolebinding": "create rolebinding made --role=made --user=ann --serviceaccount=default:made",
    "service": "expose deployment made --port=80 --target-port=8080 --name=made",
}
ASSIGNED = ("uid", "resourceVersion", "creationTimestamp", "namespace", "generation", "managedFields", "annotations")


@pytest.mark.skipif(not kubectls(), reason="no kubectl on the path")
@pytest.mark.parametrize("program", kubectls(), ids=lambda path: path.name)
def test_create_makes_what_apply_makes(program: Path, server_process: Callable[..., Any], tmp_path: Path) -> None:
    server = server_process("--hollow-nodes", "2")
    server.start()
    argv = [str(program), "--kubeconfig", str(server.kubeconfig), "--cache-dir", str(tmp_path / "cache")]

    def kubectl(words: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*argv, *shlex.split(words)], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"kubectl {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def live(kind: str, namespace: str) -> Any:
        return comparable(json.loads(kubectl(f"-n {namespace} get {kind} made -o json")))

    for namespace in ("created", "applied"):
        assert kubectl(f"create namespace {namespace}") == f"namespace/{namespace} created\n"
    for kind, words in WORDS.items():
        manifest = kubectl(f"-n created {words} --dry-run=client -o yaml").replace("namespace: created", "")
        kubectl(f"-n created {words}")
        kubectl("-n applied apply -f -", manifest)
        assert live(kind, "created") == live(kind, "applied")
    assert "successfully rolled out" in kubectl("-n created rollout status deployment/made --timeout=20s")
    pods = json.loads(kubectl("-n created get pods -l app=made -o json"))["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]


def comparable(obj: dict[str, Any]) -> dict[str, Any]:
    """The object without what differs between two of the same, and without what controllers say of it."""
    metadata = {field: value for field, value in obj["metadata"].items() if field not in ASSIGNED}
    rest = {field: value for field, value in obj.items() if field not in ("metadata", "status")}
    for field in ("clusterIP", "clusterIPs"):
        rest.get("spec", {}).pop(field, None)
    return {"metadata": metadata, **rest}
