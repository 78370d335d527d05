"""The oldest and the newest kubectl at hand with custom resources: define, explain, apply, patch, scale, delete."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubectls import kubectls

pytestmark = pytest.mark.kubectl
TIMEOUT_S = 30

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: foos, kind: Foo, shortNames: [fo], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: Foo CRD for Testing
        properties:
          spec:
            type: object
            description: Specification of Foo
            properties:
              size: {type: integer, description: how large}
              bars:
                description: List of Bars and their specs.
                type: array
                items:
                  type: object
                  required: [name]
                  properties:
                    name: {type: string, description: Name of Bar.}
                    age: {type: string, description: Age of Bar.}
              anything:
                type: object
                x-kubernetes-preserve-unknown-fields: true
                x-kubernetes-embedded-resource: true
          status: {type: object, properties: {size: {type: integer}}}
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: First, type: string, jsonPath: ".spec.bars[?(@.age=='10')].name"}
"""
OPEN = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: opens.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: opens, kind: Open}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
FOO = """
apiVersion: example.com/v1
kind: Foo
metadata: {name: a}
spec:
  size: 2
  bars: [{name: x, age: "10"}]
  anything: {apiVersion: v1, kind: Whatever, metadata: {name: inner}, more: {fields: [1, 2]}}
"""


class Kubectl:
    def __init__(self, program: Path, kubeconfig: Path, home: Path) -> None:
        self._argv = [str(program), "--kubeconfig", str(kubeconfig), "--cache-dir", str(home / program.name)]

    def __call__(self, *words: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [*self._argv, *words], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == code, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory, hollow_server: Any) -> Path:
    path: Path = hollow_server.kubeconfig
    return path


@pytest.fixture(params=kubectls() or [None], ids=lambda path: path.name if path else "none")
def kubectl(request: pytest.FixtureRequest, kubeconfig: Path, tmp_path: Path) -> Iterator[Kubectl]:
    if request.param is None:
        pytest.skip("no kubectl on the path")
    kubectl = Kubectl(request.param, kubeconfig, tmp_path)
    yield kubectl
    kubectl("delete", "crd", "--all", "--timeout=20s")


def defined(kubectl: Kubectl, manifest: str) -> None:
    kubectl("apply", "-f", "-", stdin=manifest)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=10s")


def test_a_day_with_custom_resources(kubectl: Kubectl) -> None:
    defined(kubectl, DEFINITION)
    assert "foo.example.com/a created" in kubectl("apply", "-f", "-", stdin=FOO)
    assert "foo.example.com/a unchanged" in kubectl("apply", "-f", "-", stdin=FOO)
    assert kubectl("get", "fo").split()[:6] == ["NAME", "SIZE", "FIRST", "a", "2", "x"]
    assert "foo.example.com/a" in kubectl("get", "all")
    assert "foo.example.com/a configured" in kubectl("apply", "-f", "-", stdin=FOO.replace("size: 2", "size: 3"))
    assert "scaled" in kubectl("scale", "foo/a", "--replicas=5")
    assert kubectl("get", "foo", "a", "-o", "jsonpath={.spec.size}") == "5"
    kubectl("patch", "foo", "a", "--type=json", "-p", '[{"op":"replace","path":"/spec/size","value":1}]')
    refused = kubectl("patch", "foo", "a", "-p", '{"spec":{"size":1}}', code=1)
    assert "application/strategic-merge-patch+json is not supported by example.com/v1, Kind=Foo" in refused
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=FOO)
    assert "Bars:" in kubectl("describe", "foo", "a")
    assert 'foo.example.com "a" deleted' in kubectl("delete", "foo", "a")
    assert "foos" in kubectl("api-resources", "--api-group=example.com")


def test_mistakes_are_found_and_told(kubectl: Kubectl) -> None:
    defined(kubectl, DEFINITION)
    wrong = kubectl("create", "-f", "-", stdin=FOO.replace("size: 2", "unknown: 2"), code=1)
    assert 'unknown field "spec.unknown"' in wrong
    missing = kubectl("create", "-f", "-", stdin=FOO.replace("name: x, ", ""), code=1)
    assert "spec.bars[0].name: Required value" in missing or "name" in missing
    assert "foo.example.com/a created" in kubectl("create", "-f", "-", stdin=FOO)
    assert kubectl("get", "foo", "a", "-o", "jsonpath={.spec.anything.more.fields[1]}") == "2"


def test_explain_knows_them(kubectl: Kubectl) -> None:
    defined(kubectl, DEFINITION)
    explained = kubectl("explain", "foos")
    assert "Foo CRD for Testing" in explained
    assert "Specification of Foo" in explained
    bars = kubectl("explain", "foos.spec.bars")
    assert "List of Bars and their specs." in bars
    assert "Age of Bar." in bars
    assert "Name of Bar." in kubectl("explain", "foos.spec.bars.name")
    kubectl("explain", "foos.spec.bars2", code=1)


def test_what_has_no_schema_takes_anything(kubectl: Kubectl) -> None:
    defined(kubectl, OPEN)
    body = (
        '{"apiVersion": "example.com/v1", "kind": "Open", "metadata": {"name": "a"}, "a": {"b": "c"}, "d": [{"e": 1}]}'
    )
    assert "created" in kubectl("create", "-f", "-", stdin=body)
    assert "configured" in kubectl("apply", "-f", "-", stdin=body.replace('"c"', '"x"'))
    assert kubectl("get", "open", "a", "-o", "jsonpath={.a.b}") == "x"
    assert "Open" in kubectl("explain", "opens")
