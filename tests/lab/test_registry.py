"""A board serves images to the others: provisioned, pushed to, pulled from by pods, cleaned, retired."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from picluster import playbook
from picluster.lab import images
from picluster.lab.lab import Lab
from picluster.rack import Host, Rack, load

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(600)]

PICLUSTER = str(Path(sys.executable).with_name("picluster"))
COMMAND_TIMEOUT_S = 120
DEADLINE_S = 60.0
NAME = "registry.internal:5000"


def provision(inventory: Path) -> playbook.Outcome:
    outcome = playbook.run("site.yml", inventory, lambda phase: None)
    assert outcome.ok, outcome.failures
    return outcome


def on(host: Host, command: str) -> str:
    done = subprocess.run(host.ssh_command(command), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    assert done.returncode == 0, f"{host.name}: {command}: {done.stderr}"
    return done.stdout


def picluster(rack: Rack, *words: str) -> str:
    environment = {**os.environ, "PICLUSTER_INVENTORY": str(rack.inventory)}
    done = subprocess.run(
        [PICLUSTER, *words], env=environment, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )
    assert done.returncode == 0, f"picluster {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def eventually(probe: Callable[[], Any], what: str) -> Any:
    end_s = time.monotonic() + DEADLINE_S
    while not (answer := probe()):
        assert time.monotonic() < end_s, f"not within {DEADLINE_S:.0f} s: {what}; the last answer was {answer!r}"
        time.sleep(0.2)
    return answer


@pytest.fixture
def serving(cluster: Rack, tmp_path: Path) -> Iterator[Rack]:
    """The cluster with a registry on its first node, which it has no more afterwards."""
    inventory = yaml.safe_load(cluster.inventory.read_text())
    inventory["all"]["vars"]["picluster_registry"] = cluster.nodes[0].name
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    path.chmod(0o600)
    try:
        provision(path)
        yield load(path)
    finally:
        provision(cluster.inventory)
        assert not on(cluster.nodes[0], "ls /etc/systemd/system | grep picluster-registry || true")
        assert provision(cluster.inventory).changed == 0


def pod(name: str, image: str, node: Host) -> dict[str, Any]:
    container = {"name": "web", "image": image, "imagePullPolicy": "Always"}
    spec = {"nodeName": node.name, "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_board_serves_images_to_the_others(serving: Rack, lab: Lab, tmp_path: Path) -> None:
    board, other = serving.nodes[0], serving.nodes[-1]
    assert provision(serving.inventory).changed == 0, "a second run changes nothing"
    assert on(
        board, "systemctl is-active picluster-registry; systemctl is-enabled docker-registry || true"
    ).split() == [
        "active",
        "disabled",
    ]
    ask = f"curl -sS -o /dev/null --cacert /etc/picluster/pki/ca.crt https://{NAME}/v2/"
    assert "refused" in on(other, f"{ask} 2> /dev/null || echo refused")
    on(other, f"{ask} --cert /etc/picluster/pki/agent.crt --key /etc/picluster/pki/agent.key")

    archive = images.build_all(lab.layout.cache)["web"]
    pushed = json.loads(picluster(serving, "image", "push", str(archive), "shop:1", "-o", "json"))
    assert pushed[0]["images"] == [f"{NAME}/shop:1", "shop:1"]
    manifest = tmp_path / "pods.yaml"
    wishes = [pod("full", f"{NAME}/shop:1", other), pod("short", "shop:1", other), pod("own", f"{NAME}/shop:1", board)]
    manifest.write_text(yaml.safe_dump_all(wishes))
    try:
        picluster(serving, "apply", "-f", str(manifest))
        for wish in wishes:
            name = wish["metadata"]["name"]

            def running(name: str = name) -> bool:
                found = json.loads(picluster(serving, "get", "pod", name, "-o", "json"))
                return bool(found["status"].get("phase") == "Running")

            eventually(running, f"pod {name} runs")
    finally:
        picluster(serving, "delete", "-f", str(manifest))

    on(board, "systemctl start picluster-registry-clean")
    eventually(
        lambda: on(board, "systemctl is-active picluster-registry || true").strip() == "active", "it serves again"
    )
    listed = json.loads(picluster(serving, "image", "ls", "--registry", "-o", "json"))
    assert {row["image"] for row in listed} == {f"{NAME}/shop:1", f"{NAME}/library/shop:1"}
