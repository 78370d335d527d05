"""The one line of a Pi's cmdline.txt, changed with the expression that the role uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).parents[3] / "playbooks" / "roles" / "pi"
STOCK = "console=serial0,115200 console=tty1 root=PARTUUID=0b1d2c3e-02 rootfstype=ext4 fsck.repair=yes rootwait"
OPTIONS = "cgroup_enable=memory cgroup_memory=1"


def written(text: str) -> str:
    """What ``lineinfile`` with ``backrefs`` makes of a file: it replaces the last line that matches."""
    task: dict[str, Any] = next(
        task["ansible.builtin.lineinfile"]
        for task in yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
        if "ansible.builtin.lineinfile" in task
    )
    expression = re.compile(
        yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())["picluster_cmdline_without_memory"]
    )
    lines = text.splitlines()
    matching = [number for number, line in enumerate(lines) if expression.search(line)]
    if matching:
        lines[matching[-1]] = expression.search(lines[matching[-1]]).expand(task["line"])  # type: ignore[union-attr]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("ending", ["\n", "", " \n", "\n\n", "  "])
def test_the_options_join_the_one_line(ending: str) -> None:
    first, *rest = written(STOCK + ending).splitlines()
    assert first == f"{STOCK} {OPTIONS}"
    assert not any(rest)


@pytest.mark.parametrize(
    "line", [f"{STOCK} {OPTIONS}", f"cgroup_enable=memory {STOCK}", f"{STOCK} cgroup_enable=memory"]
)
def test_a_line_that_has_them_stays(line: str) -> None:
    assert written(line + "\n") == line + "\n"


def test_it_is_written_once() -> None:
    once = written(STOCK + "\n")
    assert written(once) == once


def test_other_cgroup_options_do_not_count() -> None:
    assert written("a cgroup_enable=cpuset\n") == f"a cgroup_enable=cpuset {OPTIONS}\n"
