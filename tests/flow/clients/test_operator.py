"""An operator written with kopf manages a custom resource: create, change, restart of the operator, delete."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "programs" / "operator_with_kopf.py"
WAIT_S = 30.0
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "greetings.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "greetings", "singular": "greeting", "kind": "Greeting"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"text": {"type": "string"}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def until(what: str, probe: Callable[[], Any], log: Path) -> Any:
    from kubernetes.client.exceptions import ApiException

    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            if found := probe():
                return found
        except ApiException as error:
            if error.status != 404:
                raise
        assert time.monotonic() < deadline_s, (
            f"waited {WAIT_S} s for {what}; the operator said: {log.read_text()[-3000:]}"
        )
        time.sleep(0.05)


@contextmanager
def operator(kubeconfig: Path, log: Path) -> Iterator[None]:
    argv = [sys.executable, "-m", "kopf", "run", "--namespace", "default", str(PROGRAM)]
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv, env={**os.environ, "KUBECONFIG": str(kubeconfig)}, stdout=out, stderr=out, cwd=log.parent
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


@pytest.mark.timeout(180)
def test_an_operator_with_kopf(hollow_server: Any, tmp_path: Path) -> None:
    from kubernetes import client, config

    log = tmp_path / "operator.log"
    with config.new_client_from_config(str(hollow_server.kubeconfig)) as api:
        core, custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
        client.ApiextensionsV1Api(api).create_custom_resource_definition(DEFINITION)
        where = ("example.com", "v1", "default", "greetings")

        def greeting() -> Any:
            return custom.get_namespaced_custom_object(*where, "hello")

        def text() -> str:
            return str(core.read_namespaced_config_map("hello", "default").data["text"])

        body = {
            "apiVersion": "example.com/v1",
            "kind": "Greeting",
            "metadata": {"name": "hello"},
            "spec": {"text": "hi"},
        }
        until("the definition", lambda: custom.list_namespaced_custom_object(*where), log)
        with operator(hollow_server.kubeconfig, log):
            custom.create_namespaced_custom_object(*where, body)
            until("the config map", lambda: text() == "hi", log)
            until("the status", lambda: greeting().get("status", {}).get("create") == {"made": "hello"}, log)
            assert greeting()["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
            owner = core.read_namespaced_config_map("hello", "default").metadata.owner_references[0]
            assert (owner.kind, owner.name) == ("Greeting", "hello")
            custom.patch_namespaced_custom_object(*where, "hello", {"spec": {"text": "moin"}})
            until("the change", lambda: text() == "moin", log)
        custom.patch_namespaced_custom_object(*where, "hello", {"spec": {"text": "salut"}})
        custom.delete_namespaced_custom_object(*where, "hello")
        assert greeting()["metadata"]["deletionTimestamp"]
        with operator(hollow_server.kubeconfig, log):
            until("the farewell", lambda: core.read_namespaced_config_map("hello-gone", "default"), log)

            def gone() -> bool:
                return not custom.list_namespaced_custom_object(*where)["items"]

            until("the end", gone, log)
        client.ApiextensionsV1Api(api).delete_custom_resource_definition("greetings.example.com")
