"""The lab's Ansible inventory: the same variables as a real rack's, so the playbooks see no difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from picluster.lab.layout import STRIP_ADDRESS, Board, Layout
from picluster.lab.record import write_atomically
from picluster.lab.strip import USERNAME

HEADER = "# Written by picluster lab up, gone with picluster lab down.\n"


def document(boards: Sequence[Board], layout: Layout, password: str) -> dict[str, Any]:
    """The inventory as data."""
    groups: dict[str, dict[str, Any]] = {"control_plane": {}, "nodes": {}}
    for board in boards:
        group = "nodes" if board.index else "control_plane"
        groups[group][board.name] = {"ansible_host": board.address, "picluster_outlet": outlet(board, password)}
    options = f"-o UserKnownHostsFile={layout.known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    return {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(layout.key),
                "ansible_ssh_common_args": options,
                "ansible_python_interpreter": "/usr/bin/python3",
                "picluster_wheelhouse_dir": str(layout.cache / "wheelhouse"),
            },
            "children": {name: {"hosts": hosts} for name, hosts in groups.items()},
        }
    }


def outlet(board: Board, password: str) -> dict[str, Any]:
    """The outlet of ``board`` on the lab's strip, as ``picluster_outlet`` has it."""
    return {
        "driver": "http",
        "preset": "shelly-gen2",
        "address": STRIP_ADDRESS,
        "channel": board.index,
        "username": USERNAME,
        "password": password,
    }


def write(boards: Sequence[Board], layout: Layout, password: str) -> None:
    """It holds the strip's password, so it is private."""
    layout.inventory.parent.mkdir(parents=True, exist_ok=True)
    text = HEADER + yaml.safe_dump(document(boards, layout, password), sort_keys=False)
    write_atomically(layout.inventory, text, mode=0o600)
