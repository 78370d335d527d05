"""What the programs share: an application, and waiting for it with a bound."""

import time
from collections.abc import Callable
from typing import Any

NAMESPACE = "default"
WAIT_S = 20.0


def deployment(name: str, replicas: int = 2) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "web", "image": "registry.example/web:1", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def until(what: str, probe: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not probe():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"waited {WAIT_S} s for {what}")
        time.sleep(0.05)
