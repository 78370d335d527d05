"""A provisioned rack with an application on it: used as people use it, and hurt in every way that a rack is hurt.

The application is the example's: three replicas behind a Service. Each test leaves the rack whole, and begins with the
application at full strength.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubectls import kubectls

from picluster.rack import Host, Rack

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
PICLUSTER = str(Path(sys.executable).with_name("picluster"))
EXAMPLE = str(ROOT / "docs/examples/web.yaml")
COMMAND_TIMEOUT_S = 120
DEADLINE_S = 90.0
POLL_S = 0.2
REPLICAS = 3


def picluster(rack: Rack, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [PICLUSTER, *words],
        env=environment(rack),
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == code, f"picluster {' '.join(words)}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout


def environment(rack: Rack) -> dict[str, str]:
    return {**os.environ, "PICLUSTER_INVENTORY": str(rack.inventory)}


def on(host: Host, command: str) -> str:
    """Standard output of a command that must succeed on a board."""
    done = subprocess.run(
        host.ssh_command(command), capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{host.name}: {command}: {done.stdout}{done.stderr}"
    return done.stdout


def eventually(probe: Callable[[], Any], what: str, within_s: float = DEADLINE_S) -> Any:
    """Ask until the answer is true, and return it."""
    end_s = time.monotonic() + within_s
    while not (answer := probe()):
        assert time.monotonic() < end_s, f"not within {within_s:.0f} s: {what}; the last answer was {answer!r}"
        time.sleep(POLL_S)
    return answer


def pods(rack: Rack) -> dict[str, dict[str, Any]]:
    """The application's pods by name."""
    listed = json.loads(picluster(rack, "get", "pods", "-l", "app=web", "-o", "json"))
    return {pod["metadata"]["name"]: pod for pod in listed["items"]}


def is_ready(obj: dict[str, Any]) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def nodes_ready(rack: Rack) -> bool:
    listed = json.loads(picluster(rack, "get", "nodes", "-o", "json"))["items"]
    return len(listed) == len(rack.nodes) and all(is_ready(node) and not node["spec"].get("taints") for node in listed)


def api_answers(rack: Rack) -> bool:
    done = subprocess.run(
        [PICLUSTER, "get", "nodes", "-o", "name"], env=environment(rack), capture_output=True, timeout=30, check=False
    )
    return done.returncode == 0


def at_full_strength(rack: Rack) -> bool:
    found = pods(rack)
    return len(found) == REPLICAS and all(is_ready(pod) for pod in found.values())


def containers(rack: Rack) -> dict[str, tuple[str, int]]:
    """Each pod's container and how often it was restarted: what changes when somebody touches it."""
    statuses = {name: pod["status"]["containerStatuses"][0] for name, pod in pods(rack).items()}
    return {name: (status["containerID"], status["restartCount"]) for name, status in statuses.items()}


@pytest.fixture
def app(cluster: Rack) -> Iterator[Rack]:
    """The rack with the application at full strength; afterwards every board has power and every node is Ready."""
    eventually(lambda: nodes_ready(cluster), "every node is Ready")
    picluster(cluster, "apply", "-f", EXAMPLE, "--wait")
    eventually(lambda: at_full_strength(cluster), "the application is at full strength")
    yield cluster
    for host in cluster.nodes:
        picluster(cluster, "power", "on", host.name)
    eventually(lambda: api_answers(cluster) and nodes_ready(cluster), "every node is Ready again")


def on_pod(rack: Rack, name: str, *command: str) -> str:
    """Standard output of a command in a pod's container, by the newest kubectl (over WebSocket)."""
    argv = [str(kubectls()[-1]), "--kubeconfig", str(rack.kubeconfig), "exec", name, "--", *command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=COMMAND_TIMEOUT_S).stdout


def service_ip(rack: Rack) -> str:
    return str(json.loads(picluster(rack, "get", "service", "web", "-o", "json"))["spec"]["clusterIP"])


def test_the_application_answers_through_its_service_from_every_node(app: Rack) -> None:
    ip = service_ip(app)
    for host in app.nodes:
        answers = on(host, f"for i in $(seq 30); do curl -sS -m 2 http://{ip}/ && echo; done").split()
        assert set(answers) == set(pods(app))


def test_pods_reach_pods_on_other_boards_without_translation(app: Rack) -> None:
    placed = {pod["spec"]["nodeName"]: pod for pod in pods(app).values()}
    here, there = sorted(placed)[:2]
    target, name = placed[there]["status"]["podIP"], placed[here]["metadata"]["name"]
    said = on_pod(app, name, "sh", "-c", rf"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 {target} 8080")
    assert said.split()[-1] == placed[there]["metadata"]["name"]


def test_a_service_address_that_nobody_serves_is_refused_at_once(app: Rack) -> None:
    for address in ("10.43.250.250", "10.42.250.250"):
        said = on(
            app.nodes[0], f"curl -s -m 5 -o /dev/null -w '%{{time_total}}' http://{address}/ || echo \" $?\""
        ).split()
        assert said[-1] == "7" and float(said[0]) < 1.0


def test_services_come_back_when_somebody_flushes_the_firewall(app: Rack) -> None:
    ip, host = service_ip(app), app.nodes[0]
    count = "journalctl -u picluster-agent --no-pager | grep -c 'is gone from the kernel' || true"
    before = int(on(host, count))
    on(host, "nft flush ruleset")
    eventually(lambda: on(host, f"curl -sS -m 1 http://{ip}/ || true").strip(), "the Service answers again")
    assert int(on(host, count)) == before + 1


@pytest.mark.parametrize("program", kubectls(), ids=lambda path: path.name)
def test_kubectl_reads_logs_and_describes(app: Rack, program: Path) -> None:
    name = sorted(pods(app))[0]
    kubectl = [str(program), "--kubeconfig", str(app.kubeconfig)]
    described = subprocess.run(
        [*kubectl, "describe", "pod", name], capture_output=True, text=True, check=True, timeout=30
    )
    assert f"Successfully assigned default/{name}" in described.stdout and "Started" in described.stdout
    subprocess.run([*kubectl, "logs", name, "--tail=5"], capture_output=True, text=True, check=True, timeout=30)


def test_kubectl_runs_a_command_in_a_container(app: Rack) -> None:
    """Over WebSocket, which is what the newest kubectl speaks first: output, input and the exit code."""
    name = sorted(pods(app))[0]
    kubectl = [str(kubectls()[-1]), "--kubeconfig", str(app.kubeconfig), "exec"]
    assert on_pod(app, name, "hostname").strip() == name
    piped = subprocess.run(
        [*kubectl, "-i", name, "--", "cat"], input="hello", capture_output=True, text=True, check=True, timeout=30
    )
    assert piped.stdout == "hello"
    failed = subprocess.run([*kubectl, name, "--", "sh", "-c", "exit 3"], capture_output=True, check=False, timeout=30)
    assert failed.returncode == 3


def test_a_power_cut_heals_and_the_node_returns(app: Rack, tmp_path: Path) -> None:
    said = picluster(app, "drill", "run", "power-cut", "--yes", "-o", "json", "--report-dir", str(tmp_path))
    report = json.loads(said)
    assert report["verdict"] == "passed"
    assert all(seconds is not None for seconds in report["phases"].values())
    assert report["probe"]["sent"] > 0
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert report["node"] in (tmp_path / "report.md").read_text()
    assert "passed" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_drill_puts_the_power_back(app: Rack, tmp_path: Path, number: signal.Signals) -> None:
    victim = app.nodes[0].name
    words = ["drill", "run", "power-cut", "--yes", "--node", victim, "--report-dir", str(tmp_path)]
    drill = subprocess.Popen([PICLUSTER, *words], env=environment(app), stderr=subprocess.PIPE, text=True)
    assert drill.stderr is not None
    for line in drill.stderr:
        if "outlet reads off" in line:
            break
    drill.send_signal(number)
    drill.communicate(timeout=COMMAND_TIMEOUT_S)
    assert drill.returncode != 0

    def is_on() -> bool:
        return bool(json.loads(picluster(app, "power", "status", victim, "-o", "json"))["outlet"] == "on")

    eventually(is_on, "the outlet is on again")


def test_a_killed_agent_comes_back_and_touches_no_container(app: Rack) -> None:
    before = containers(app)
    victim = app.nodes[0]
    main = on(victim, "systemctl show --property=MainPID --value picluster-agent").strip()
    on(victim, f"kill -KILL {main}")
    eventually(
        lambda: on(victim, "systemctl show --property=MainPID --value picluster-agent").strip() not in ("0", main),
        "systemd has restarted the agent",
    )
    eventually(lambda: nodes_ready(app), "the node is Ready")
    assert at_full_strength(app)
    assert containers(app) == before


def test_a_killed_api_server_loses_nothing_and_stops_nobody(app: Rack) -> None:
    before, ip = containers(app), service_ip(app)
    on(app.control_plane, "systemctl kill --signal=KILL picluster-apiserver")
    assert on(app.nodes[0], f"curl -sS -m 2 http://{ip}/").strip() in before
    eventually(lambda: api_answers(app), "the API server answers")
    eventually(lambda: nodes_ready(app), "every node is Ready")
    assert containers(app) == before


def test_a_control_plane_that_loses_its_power_comes_back_with_everything(app: Rack) -> None:
    before, ip = containers(app), service_ip(app)
    picluster(app, "lab", "power", "off", app.control_plane.name)
    assert on(app.nodes[0], f"curl -sS -m 2 http://{ip}/").strip() in before
    picluster(app, "lab", "power", "on", app.control_plane.name)
    eventually(lambda: api_answers(app), "the API server answers")
    eventually(lambda: nodes_ready(app), "every node is Ready")
    assert containers(app) == before
    picluster(app, "scale", "deployment", "web", "--replicas", "4")
    eventually(lambda: len([pod for pod in pods(app).values() if is_ready(pod)]) == 4, "it still scales")
    picluster(app, "scale", "deployment", "web", "--replicas", str(REPLICAS))
    eventually(lambda: at_full_strength(app), "and back")
