"""The role ``registry`` tried on this machine, changing nothing: what it would do where, and when nothing."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import yaml

from picluster.rack import ansible_program

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
UNITS = Path("/etc/systemd/system")
INSTANCES = {
    "picluster-registry": {"port": 5000, "dir": "/nowhere/registry", "proxy": ""},
    "picluster-registry-cache": {
        "port": 5001,
        "dir": "/nowhere/registry-cache",
        "proxy": "https://registry-1.docker.io",
    },
}


def rendered(template: str, **values: Any) -> str:
    """As Ansible renders it."""
    environment = jinja2.Environment(autoescape=False, trim_blocks=True, keep_trailing_newline=True)
    text = (PLAYBOOKS / "roles/registry/templates" / template).read_text()
    return environment.from_string(text).render(picluster_node_ip="127.0.0.1", **values)


def in_place() -> dict[str, str]:
    """What the probe sees where the role has done its work."""
    texts = {str(UNITS / name): rendered(f"{name}.j2") for name in ("picluster-registry-clean.service",)}
    texts[str(UNITS / "picluster-registry-clean.timer")] = rendered("picluster-registry-clean.timer.j2")
    for name, rest in INSTANCES.items():
        config = f"/etc/picluster/{name.removeprefix('picluster-')}.yaml"
        instance = {"name": name, "config": config, **rest}
        texts[config] = rendered("registry.yaml.j2", instance=instance)
        texts[str(UNITS / f"{name}.service")] = rendered("picluster-registry.service.j2", instance=instance)
    return {path: f"0644 {hashlib.sha256(text.encode()).hexdigest()}" for path, text in texts.items()}


def board(files: dict[str, str], registry: str) -> dict[str, Any]:
    probed = yaml.safe_load((PLAYBOOKS / "roles/preflight/defaults/main.yml").read_text())["picluster_probed_files"]
    units = {"docker-registry.service": "disabled inactive"}
    return {
        "ansible_connection": "local",
        "ansible_host": "127.0.0.1",
        "ansible_python_interpreter": "/usr/bin/python3",
        "picluster_probe": {"files": dict.fromkeys(probed, "") | files, "units": units},
        "picluster_registry": registry,
        "picluster_registry_cache": True,
        "picluster_registry_dir": "/nowhere/registry",
    }


def tried(place: Path, boards: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """By board and task of the role, what Ansible says it would do."""
    (place / "files").symlink_to(PLAYBOOKS / "files")
    groups = {"control_plane": {"hosts": {"pi-0": {}}}, "nodes": {"hosts": boards}}
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    play = {"hosts": "nodes", "gather_facts": False, "roles": ["settings", "registry"]}
    (place / "try.yml").write_text(yaml.safe_dump([play]))
    environment = os.environ | {
        "ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles"),
        "ANSIBLE_FILTER_PLUGINS": str(PLAYBOOKS / "filter_plugins"),
        "ANSIBLE_NOCOLOR": "1",
    }
    words = [ansible_program("ansible-playbook"), "--check", "-v", "-i", str(place / "hosts.yml"), "try.yml"]
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, str]] = {name: {} for name in boards}
    task = ""
    for line in done.stdout.splitlines():
        if line.startswith("TASK ["):
            task = line.partition("[")[2].partition("]")[0].removeprefix("registry : ")
        elif said := re.match(r"(\w+): \[([\w-]+)\]", line):
            found[said[2]][task] = found[said[2]].get(task, "") + line + "\n"
    return found


def changed(found: dict[str, str]) -> set[str]:
    """The tasks that would change something, commands aside, which are not tried."""
    return {task for task, said in found.items() if "changed:" in said}


def test_a_new_registry_is_configured_a_second_run_changes_nothing_and_a_former_one_stops(tmp_path: Path) -> None:
    boards = {
        "new": board({}, "new"),
        "settled": board(in_place(), "settled"),
        "former": board(in_place(), "elsewhere"),
        "other": board({}, "elsewhere"),
    }
    found = tried(tmp_path, boards)
    assert changed(found["new"]) == {"Configure it", "Have a unit for it", "Have a unit that cleans up"}
    assert changed(found["settled"]) == set() and "Configure it" in found["settled"]
    stopped = {name for name, tasks in found.items() if "would have run" in tasks["Serve images no more"]}
    assert stopped == {"former"}
    assert "Configure it" not in found["other"] and changed(found["other"]) == set()
