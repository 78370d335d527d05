"""Every kubectl at hand against a whole control plane with hollow nodes: a user's day."""

from __future__ import annotations

import json
import re
import subprocess
import time
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
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red}
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
        return json.loads(self(*words, "-o", "json"))

    def watch(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*self._argv, *words], stdout=subprocess.PIPE, text=True)


def name_of(program: Path | None) -> str:
    return program.name if program else "none"


@pytest.fixture(params=kubectls() or [None], ids=name_of)
def kubectl(request: pytest.FixtureRequest, server_process: Callable[..., Any], tmp_path: Path) -> Iterator[Kubectl]:
    if request.param is None:
        pytest.skip("no kubectl on the path")
    server = server_process("--hollow-nodes", "3")
    server.start()
    kubectl = Kubectl(request.param, server.kubeconfig, tmp_path)
    end_s = time.monotonic() + TIMEOUT_S
    while len(nodes := kubectl.json("get", "nodes")["items"]) < 3 or any(node["spec"].get("taints") for node in nodes):
        assert time.monotonic() < end_s, nodes
    yield kubectl


@pytest.mark.parametrize("kubectl", kubectls(every=True) or [None], ids=name_of, indirect=True)
def test_a_users_day(kubectl: Kubectl) -> None:
    assert "deployment.apps/web created" in kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=20s")

    table = kubectl("get", "pods", "-o", "wide").splitlines()
    assert table[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[1:3] for line in table[1:]] == [["1/1", "Running"]] * 3
    assert len({line.split()[6] for line in table[1:]}) == 3
    assert len(kubectl.json("get", "endpoints", "web")["subsets"][0]["addresses"]) == 3

    described = kubectl("describe", "pods")
    assert "Successfully assigned default/web-" in described
    assert re.search(r"NewReplicaSet:\s+web-\w+ \(3/3 replicas created\)", kubectl("describe", "deployment", "web"))
    assert "Number of desired pods" in kubectl("explain", "deployment.spec.replicas")
    assert "web" in kubectl("get", "all")

    assert kubectl("diff", "-f", "-", stdin=MANIFEST) == ""
    changed = MANIFEST.replace("web:1", "web:2").replace("red", "blue")
    assert "image: web:2" in kubectl("diff", "-f", "-", stdin=changed, code=1)
    assert "configmap/settings configured" in kubectl("apply", "-f", "-", stdin=changed)
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert kubectl("rollout", "history", "deployment/web").split()[-4::2] == ["1", "2"]
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    containers = kubectl.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"]
    assert [container["image"] for container in containers] == ["web:1"]

    kubectl("scale", "deployment/web", "--replicas=5")
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    assert len(kubectl.json("get", "pods", "-l", "app=web")["items"]) == 5
    kubectl("label", "deployment/web", "tier=front")
    kubectl("annotate", "deployment/web", "note=hello")
    kubectl("patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":1}]')
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "deployment/web", "--timeout=20s")

    assert 'deployment.apps "web" deleted' in kubectl("delete", "-f", "-", stdin=MANIFEST)
    assert kubectl("get", "pods", "-l", "app=web", "-o", "name", "--ignore-not-found") == ""


def test_get_watch_shows_a_change(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=MANIFEST.split("---")[2])
    watching = kubectl.watch("get", "configmaps", "-w", "--output-watch-events", "--no-headers", "settings")
    try:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        kubectl("patch", "configmap", "settings", "-p", '{"data": {"colour": "green"}}')
        second = watching.stdout.readline()
    finally:
        watching.kill()
        watching.communicate()
    assert first.split()[:3] == ["ADDED", "settings", "1"]
    assert second.split()[:3] == ["MODIFIED", "settings", "1"]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (("replicas: 3", "replicas: three"), "replicas"),
        (("replicas: 3", "replicaz: 3"), 'unknown field "spec.replicaz"'),
        (("app: web}}\n  template", "app: other}}\n  template"), "`selector` does not match template `labels`"),
        (("image: web:1", "image: ''"), "spec.template.spec.containers[0].image: Required value"),
    ],
)
def test_a_mistake_is_refused_by_name(kubectl: Kubectl, mistake: tuple[str, str], message: str) -> None:
    manifest = MANIFEST.split("---")[0].replace(*mistake)
    assert manifest != MANIFEST.split("---")[0]
    assert message in kubectl("apply", "-f", "-", stdin=manifest, code=1)
    assert "not found" in kubectl("get", "deployment", "web", code=1)
