"""``kubectl apply --server-side`` and its relations, by the oldest and the newest kubectl at hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubectls import kubectls

pytestmark = pytest.mark.kubectl
TIMEOUT_S = 30

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {tier: front}}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1", ports: [{containerPort: 8080}], env: [{name: A, value: "1"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red, shape: round}
"""


class Kubectl:
    def __init__(self, program: Path, kubeconfig: Path, home: Path) -> None:
        self._argv = [str(program), "--kubeconfig", str(kubeconfig), "--cache-dir", str(home / "cache")]

    def __call__(self, *words: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [*self._argv, *words], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == code, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--show-managed-fields", "-o", "json"))

    def managers(self, what: str) -> dict[str, str]:
        return {each["manager"]: each["operation"] for each in self.json("get", what)["metadata"]["managedFields"]}

    def apply(self, manifest: str, *words: str, code: int = 0) -> str:
        return self("apply", "--server-side", "-f", "-", *words, stdin=manifest, code=code)


@pytest.fixture(params=kubectls() or [None], ids=lambda path: path.name if path else "none")
def kubectl(request: pytest.FixtureRequest, server_process: Callable[..., Any], tmp_path: Path) -> Iterator[Kubectl]:
    if request.param is None:
        pytest.skip("no kubectl on the path")
    server = server_process()
    server.start()
    yield Kubectl(request.param, server.kubeconfig, tmp_path)


def test_server_side_apply(kubectl: Kubectl) -> None:
    said = kubectl.apply(MANIFEST)
    assert "deployment.apps/web serverside-applied" in said
    assert kubectl.managers("configmap/settings") == {"kubectl": "Apply"}
    assert kubectl("diff", "--server-side", "-f", "-", stdin=MANIFEST) == ""
    changed = MANIFEST.replace("colour: red, ", "").replace("web:1", "web:2")
    diff = kubectl("diff", "--server-side", "-f", "-", stdin=changed, code=1)
    assert "image: web:2\n" in diff and "-  colour: red" in diff
    kubectl.apply(changed)
    assert kubectl.json("get", "configmap/settings")["data"] == {"shape": "round"}

    refused = kubectl.apply(MANIFEST, "--field-manager=other", code=1)
    assert 'conflict with "kubectl": .spec.template.spec.containers[name="web"].image' in refused
    assert "--force-conflicts" in refused
    kubectl.apply(MANIFEST, "--field-manager=other", "--force-conflicts")
    assert {"kubectl": "Apply", "other": "Apply"}.items() <= kubectl.managers("deployment/web").items()
    assert "--show-managed-fields" not in kubectl("get", "deployment/web", "-o", "yaml")
    assert "managedFields" not in kubectl("get", "deployment/web", "-o", "yaml")

    kubectl.apply(MANIFEST.replace("red", "blue"), "--dry-run=server", "--field-manager=third", "--force-conflicts")
    assert kubectl.json("get", "configmap/settings")["data"]["colour"] == "red"
    unknown = kubectl.apply(MANIFEST.replace("\ndata: {", "\ndta: {"), code=1)
    assert ".dta: field not declared in schema" in unknown or 'unknown field "dta"' in unknown


def test_from_client_side_to_server_side(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert kubectl.managers("configmap/settings") == {"kubectl-client-side-apply": "Update"}
    kubectl.apply(MANIFEST.replace("colour: red, ", "").replace("web:1", "web:2"))
    shown = kubectl.json("get", "configmap/settings")
    assert shown["data"] == {"shape": "round"}
    assert kubectl.managers("configmap/settings") == {"kubectl": "Apply", "kubectl-last-applied": "Apply"}
    assert kubectl.managers("deployment/web")["kubectl"] == "Apply"


def test_patches_and_cascades(kubectl: Kubectl) -> None:
    kubectl.apply(MANIFEST)
    two = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}'
    kubectl("patch", "deployment/web", "-p", two)
    kubectl("patch", "deployment/web", "--type=merge", "-p", '{"metadata":{"labels":{"tier":null}}}')
    kubectl(
        "patch", "deployment/web", "--type=json", "-p", '[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]'
    )
    kubectl("patch", "deployment/web", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":0}}')
    shown = kubectl.json("get", "deployment/web")
    assert [each["name"] for each in shown["spec"]["template"]["spec"]["containers"]] == ["side", "web"]
    assert shown["metadata"]["labels"] == {"a": "b"}
    assert kubectl.managers("deployment/web")["kubectl-patch"] == "Update"
    kubectl("delete", "deployment/web", "--cascade=orphan", "--wait=false")
    kubectl("delete", "configmap/settings", "--dry-run=server")
    assert "settings" in kubectl("get", "configmaps")
    kubectl("delete", "configmap/settings", "--cascade=foreground", "--wait=false")
