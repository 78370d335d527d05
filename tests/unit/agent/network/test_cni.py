"""The CNI runtime against a plugin that keeps a diary, so that the protocol is seen on the wire."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from picluster_agent.network import cni
from picluster_agent.network.cni import CONFIG_NAME, Cni, CniError

PLUGIN = """#!/bin/sh
config=$(cat)
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $config" >> "$(dirname "$0")/diary"
[ -e "$(dirname "$0")/fail-$CNI_COMMAND" ] && { echo '{"code": 11, "msg": "no more addresses"}'; exit 1; }
while [ -e "$(dirname "$0")/wait-$CNI_COMMAND" ]; do sleep 0.02; done
echo "$CNI_COMMAND ended" >> "$(dirname "$0")/ended"
[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.42.1.7/24"}]}'
exit 0
"""


class Bench:
    def __init__(self, root: Path) -> None:
        self.plugins = root / "bin"
        self.plugins.mkdir()
        program = self.plugins / "diary-plugin"
        program.write_text(PLUGIN)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.config_dir = root / "net.d"
        self.config_dir.mkdir()
        network = {"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "diary-plugin", "mtu": 1400}]}
        (self.config_dir / "05-lab.conflist").write_text(json.dumps(network))
        self.netns = root / "netns"
        self.netns.touch()
        self.cni = Cni(self.config_dir, root / "run")

    def diary(self) -> list[str]:
        path = self.plugins / "diary"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path)
    monkeypatch.setattr(cni, "PLUGIN_PATH", str(bench.plugins))
    return bench


async def test_add_hands_the_plugin_its_configuration_and_returns_the_address(bench: Bench) -> None:
    assert await bench.cni.add("uid-1", "default", "web", str(bench.netns)) == "10.42.1.7"
    command, container, netns, config = bench.diary()[0].split(" ", 3)
    assert (command, container, netns) == ("ADD", "uid-1", str(bench.netns))
    assert json.loads(config) == {"cniVersion": "1.0.0", "name": "lab", "type": "diary-plugin", "mtu": 1400}


async def test_add_twice_on_one_namespace_runs_the_plugin_once(bench: Bench) -> None:
    await bench.cni.add("uid-1", "default", "web", str(bench.netns))
    assert await bench.cni.add("uid-1", "default", "web", str(bench.netns)) == "10.42.1.7"
    assert len(bench.diary()) == 1


async def test_a_new_namespace_of_the_same_pod_frees_the_old_address_first(bench: Bench, tmp_path: Path) -> None:
    await bench.cni.add("uid-1", "default", "web", str(bench.netns))
    (tmp_path / "netns-2").touch()
    await bench.cni.add("uid-1", "default", "web", str(tmp_path / "netns-2"))
    assert [line.split()[0] for line in bench.diary()] == ["ADD", "DEL", "ADD"]


async def test_delete_gives_back_the_result_and_is_safe_twice(bench: Bench) -> None:
    await bench.cni.add("uid-1", "default", "web", str(bench.netns))
    await bench.cni.delete("uid-1", "default", "web", None)
    await bench.cni.delete("uid-1", "default", "web", None)
    deletion = json.loads(bench.diary()[-1].split(" ", 3)[3])
    assert len(bench.diary()) == 2
    assert deletion["prevResult"]["ips"] == [{"address": "10.42.1.7/24"}]


async def test_a_failing_plugin_says_why_and_leaves_nothing(bench: Bench) -> None:
    (bench.plugins / "fail-ADD").touch()
    with pytest.raises(CniError, match="diary-plugin: no more addresses"):
        await bench.cni.add("uid-1", "default", "web", str(bench.netns))
    assert [line.split()[0] for line in bench.diary()] == ["ADD", "DEL"]
    (bench.plugins / "fail-ADD").unlink()
    assert await bench.cni.add("uid-1", "default", "web", str(bench.netns)) == "10.42.1.7"


KILLED = """
import asyncio, pathlib, sys
from picluster_agent.network import cni
cni.PLUGIN_PATH = sys.argv[1]
asyncio.run(cni.Cni(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])).add("uid-1", "default", "web", sys.argv[4]))
"""


async def test_what_an_agent_was_about_to_take_when_it_was_killed_is_freed(bench: Bench, tmp_path: Path) -> None:
    """Its plugin goes on, and what it takes then must not be freed before it has taken it."""
    (bench.plugins / "wait-ADD").touch()
    places = [str(one) for one in (bench.plugins, bench.config_dir, tmp_path / "run", bench.netns)]
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, *places)
    for _ in range(2000):
        if bench.diary():
            break
        await asyncio.sleep(0.01)
    agent.kill()
    await agent.wait()
    freeing = asyncio.ensure_future(bench.cni.delete("uid-1", "default", "web", None))
    await asyncio.sleep(0.1)
    (bench.plugins / "wait-ADD").unlink()
    await freeing
    assert [line.split()[0] for line in bench.diary()] == ["ADD", "DEL"]
    assert (bench.plugins / "ended").read_text().split() == ["ADD", "ended", "DEL", "ended"]
    assert not any(one.is_file() for one in (tmp_path / "run").rglob("*"))


def test_the_default_network_is_written_once_and_yields_to_another(tmp_path: Path) -> None:
    own = Cni(tmp_path / "own", tmp_path / "run")
    assert own.write_default("10.42.1.0/24") is True
    assert own.write_default("10.42.1.0/24") is False
    written: dict[str, Any] = json.loads((tmp_path / "own" / CONFIG_NAME).read_text())
    assert written["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.42.1.0/24"}]]
    (tmp_path / "own" / "20-other.conflist").write_text("{}")
    assert own.write_default("10.42.9.0/24") is False


async def test_without_a_network_the_message_says_what_is_missing(tmp_path: Path) -> None:
    netns = tmp_path / "netns"
    netns.touch()
    with pytest.raises(CniError, match="no pod range yet"):
        await Cni(tmp_path / "none", tmp_path / "run").add("uid-1", "default", "web", str(netns))
    assert not (tmp_path / "none").exists() and not (tmp_path / "run" / "results").exists()
