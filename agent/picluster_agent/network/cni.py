"""Running CNI plugins (CNI specification 1.0.0): ADD and DEL of a plugin chain on a pod's network namespace.

What is to be undone is kept before each ADD, and its result after it, under ``/run``, like host-local's own book of
addresses: a power cut forgets both together with the namespaces that they described, so no address leaks. Any other
plugin drops in: the first file of ``/etc/cni/net.d`` by name is the network, and ours is written only where there is no
other.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from picluster.api.types import Object

PLUGIN_PATH = "/opt/cni/bin:/usr/lib/cni"
PLUGIN_TIMEOUT_S = 20.0
LOCK_POLL_S = 0.02
INTERFACE = "eth0"
CONFIG_NAME = "10-picluster.conflist"


class CniError(Exception):
    """A plugin failed or no network is configured; the message is the plugin's own, with its name."""


def default_conflist(pod_cidr: str, run_dir: Path) -> Object:
    """The bridge network of picluster's own: one bridge, addresses from the node's range, no NAT between pods."""
    return {
        "cniVersion": "1.0.0",
        "name": "picluster",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isDefaultGateway": True,
                "hairpinMode": True,
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(run_dir / "addresses"),
                    "ranges": [[{"subnet": pod_cidr}]],
                },
            }
        ],
    }


class Cni:
    """The network that ``config_dir`` describes. ``run_dir`` must not survive a boot."""

    def __init__(self, config_dir: Path = Path("/etc/cni/net.d"), run_dir: Path = Path("/run/picluster/cni")) -> None:
        self._config_dir = config_dir
        self._run_dir = run_dir

    def write_default(self, pod_cidr: str) -> bool:
        """Write picluster's own configuration, unless somebody has put another there; whether it changed."""
        self._config_dir.mkdir(parents=True, exist_ok=True)
        if any(path.name != CONFIG_NAME for path in self._configs()):
            return False
        text = json.dumps(default_conflist(pod_cidr, self._run_dir), indent=2) + "\n"
        target = self._config_dir / CONFIG_NAME
        if target.is_file() and target.read_text() == text:
            return False
        _write_atomically(target, text)
        return True

    def configured(self) -> bool:
        return bool(self._configs())

    async def add(self, pod_uid: str, namespace: str, name: str, netns_path: str) -> str:
        """Attach, and return the pod's IPv4 address; a namespace already attached keeps its address."""
        netns = _identity(netns_path)
        async with self._alone(pod_uid) as lock:
            kept = self._kept(pod_uid)
            if kept is not None:
                if kept["netns"] == netns and kept["result"] is not None:
                    return _address(kept["result"])
                await self._free(pod_uid, kept, _environment("DEL", pod_uid, namespace, name, ""), lock)
            network = self._network()
            kept = {"netns": netns, "network": network, "result": None}
            self._keep(pod_uid, kept)  # before anything is taken: whatever happens, it is known what to free
            try:
                environment = _environment("ADD", pod_uid, namespace, name, netns_path)
                for plugin in network["plugins"]:
                    kept["result"] = await _run(plugin, _config(network, plugin, kept["result"]), environment, lock)
                if kept["result"] is None:
                    raise CniError(f"network {network['name']} has no plugins")
            except CniError:
                unfinished = {**kept, "result": None}
                await self._free(pod_uid, unfinished, _environment("DEL", pod_uid, namespace, name, netns_path), lock)
                raise
            self._keep(pod_uid, kept)
            return _address(kept["result"])

    async def delete(self, pod_uid: str, namespace: str, name: str, netns_path: str | None) -> None:
        """Detach and free the address; without an ``add`` nothing happens."""
        if self._kept(pod_uid) is not None:
            async with self._alone(pod_uid) as lock:
                kept = self._kept(pod_uid)
                assert kept is not None
                await self._free(pod_uid, kept, _environment("DEL", pod_uid, namespace, name, netns_path or ""), lock)
        self._lock_path(pod_uid).unlink(missing_ok=True)

    async def _free(self, pod_uid: str, kept: Object, environment: dict[str, str], lock: int) -> None:
        for plugin in reversed(kept["network"]["plugins"]):
            await _run(plugin, _config(kept["network"], plugin, kept["result"]), environment, lock)
        self._kept_path(pod_uid).unlink(missing_ok=True)

    @asynccontextmanager
    async def _alone(self, pod_uid: str) -> AsyncIterator[int]:
        """One plugin at a time works for a pod: one that a killed agent has left holds the lock until it ends."""
        path = self._lock_path(pod_uid)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(int(PLUGIN_TIMEOUT_S / LOCK_POLL_S)):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                await asyncio.sleep(LOCK_POLL_S)
            else:
                raise CniError(f"a plugin still works for the pod after {PLUGIN_TIMEOUT_S:.0f} s")
            yield lock
        finally:
            os.close(lock)

    def _configs(self) -> list[Path]:
        if not self._config_dir.is_dir():
            return []
        wanted = {".conf", ".conflist", ".json"}
        return sorted(path for path in self._config_dir.iterdir() if path.suffix in wanted)

    def _network(self) -> Object:
        configs = self._configs()
        if not configs:
            raise CniError(f"no network is configured in {self._config_dir}; the node has no pod range yet")
        try:
            network: Object = json.loads(configs[0].read_text())
        except ValueError as error:
            raise CniError(f"{configs[0]} is not JSON: {error}") from None
        if "plugins" in network:
            return network
        return {"cniVersion": network.get("cniVersion", "1.0.0"), "name": network["name"], "plugins": [network]}

    def _kept_path(self, pod_uid: str) -> Path:
        return self._run_dir / "results" / f"{pod_uid}.json"

    def _lock_path(self, pod_uid: str) -> Path:
        return self._run_dir / "locks" / pod_uid

    def _keep(self, pod_uid: str, kept: Object) -> None:
        _write_atomically(self._kept_path(pod_uid), json.dumps(kept))

    def _kept(self, pod_uid: str) -> Object | None:
        try:
            kept: Object = json.loads(self._kept_path(pod_uid).read_text())
        except FileNotFoundError:
            return None
        return kept


def _config(network: Object, plugin: Object, previous: Object | None) -> Object:
    config = {**plugin, "cniVersion": network["cniVersion"], "name": network["name"]}
    if previous is not None:
        config["prevResult"] = previous
    return config


def _environment(command: str, pod_uid: str, namespace: str, name: str, netns_path: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": pod_uid,
        "CNI_NETNS": netns_path,
        "CNI_IFNAME": INTERFACE,
        "CNI_PATH": PLUGIN_PATH,
        "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};"
        f"K8S_POD_INFRA_CONTAINER_ID={pod_uid};K8S_POD_UID={pod_uid}",
    }


async def _run(plugin: Object, config: Object, environment: dict[str, str], lock: int) -> Object:
    """One plugin, one command: configuration on standard input, result or error object on standard output.

    It inherits ``lock``, and with it holds off whoever comes after an agent that dies meanwhile.
    """
    program = _find(plugin["type"])
    process = await asyncio.create_subprocess_exec(
        program,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(lock,),
    )
    try:
        async with asyncio.timeout(PLUGIN_TIMEOUT_S):
            out, err = await process.communicate(json.dumps(config).encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CniError(f"{plugin['type']}: did not end within {PLUGIN_TIMEOUT_S:.0f} s") from None
    answer: Any
    try:
        answer = json.loads(out) if out.strip() else {}
    except ValueError:
        answer = {"msg": out.decode(errors="replace")}
    if process.returncode != 0:
        said = " ".join(str(answer.get(key)) for key in ("msg", "details") if answer.get(key))
        raise CniError(f"{plugin['type']}: {said or err.decode(errors='replace').strip()}")
    return dict(answer)


def _find(plugin_type: str) -> Path:
    for directory in PLUGIN_PATH.split(":"):
        if (program := Path(directory) / plugin_type).is_file():
            return program
    raise CniError(f"CNI plugin {plugin_type!r} is in none of {PLUGIN_PATH}; install containernetworking-plugins")


def _address(result: Object) -> str:
    for entry in result.get("ips") or []:
        address = str(entry["address"]).partition("/")[0]
        if ":" not in address:
            return address
    raise CniError("the network gave the pod no IPv4 address")


def _identity(netns_path: str) -> list[int]:
    """Device and inode: a namespace's identity, where a path under /proc can come to mean another."""
    status = Path(netns_path).stat()
    return [status.st_dev, status.st_ino]


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
