"""One node for real: an API server process, a Podman service with a storage of its own, and an agent process.

Needs root and Podman. All that is made lies below one temporary directory and is gone at the end: containers, mounts,
namespaces, the bridge.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from server_process import ServerProcess

from picluster.api.errors import ApiError
from picluster.api.meta import condition_is
from picluster.api.resources import CONFIGMAPS, CORE_EVENTS, NODES, PODS, SERVICE_ACCOUNTS
from picluster.client import Client
from picluster.pki import authority, bundle, kubeconfig, profiles
from picluster_agent import kernel
from picluster_agent.cgroups import groups, hierarchy

NODE = "test-node"
IMAGE = "localhost/busybox:test"
READY_MAX_S = 20.0
BRIDGE_AGENT = str(Path(__file__).with_name("bridge_agent.py"))
LOCKS = Path("/run/lock")
LINKS_MAX = 64


def missing_here() -> str:
    if os.geteuid() != 0:
        return "not root"
    for program in ("podman", "busybox", "conmon"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not any(Path(place, "bridge").exists() for place in ("/opt/cni/bin", "/usr/lib/cni")):
        return "the CNI plugins are not installed"
    return ""


class Link:
    """A bridge and a range of addresses that no other test run on this machine uses meanwhile."""

    def __init__(self) -> None:
        for index in range(LINKS_MAX):
            self._lock = (LOCKS / f"picluster-test-link-{index}").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                continue
            self.bridge, self.subnet, self.gateway = f"pcagent{index}", f"10.199.{index}.0/24", f"10.199.{index}.1"
            return
        raise RuntimeError(f"all {LINKS_MAX} links are taken: is an earlier test run still going?")

    def delete(self) -> None:
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)

    def close(self) -> None:
        self.delete()
        self._lock.close()


@dataclass
class PodmanService:
    """``podman system service`` with storage, state and configuration below ``root``."""

    root: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.root / "podman.sock"

    @property
    def home(self) -> Path:
        """Where Podman looks for the certificates of registries, before the machine's ``/etc``."""
        return self.root / "home"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.home),
            "CONTAINERS_CONF": str(self.root / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
        }

    def configure(self) -> None:
        runtime = "runc" if shutil.which("runc") else "crun"
        limits = [
            f"{name}={min(wanted, resource.getrlimit(kind)[1])}:{min(wanted, resource.getrlimit(kind)[1])}"
            for name, kind, wanted in (
                ("nofile", resource.RLIMIT_NOFILE, 1024),
                ("nproc", resource.RLIMIT_NPROC, 10_000),
            )
        ]
        (self.root / "containers.conf").write_text(
            f"[containers]\ndefault_ulimits={json.dumps(limits)}\n"
            '[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\nexit_command_delay=1\n'
            f'runtime="{runtime}"\ntmp_dir="{self.root}/tmp"\nstatic_dir="{self.root}/static"\n'
        )
        driver = "vfs" if _filesystem(self.root) == "overlay" else "overlay"
        (self.root / "storage.conf").write_text(
            f'[storage]\ndriver="{driver}"\ngraphroot="{self.root}/graph"\nrunroot="{self.root}/run"\n'
        )

    def podman(self, *words: str) -> str:
        done = subprocess.run(["podman", *words], env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with (self.root / "service.log").open("ab") as log:
            words = ["podman", "system", "service", "--time=0", f"unix://{self.socket}"]
            self.process = subprocess.Popen(words, cwd=self.root, env=self.environment, stderr=log)
        until(self.socket.exists, "the podman service")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process = None

    def clean(self) -> None:
        """Remove every container, end the service, and leave nothing below ``root``."""
        subprocess.run(["podman", "rm", "--all", "--force", "--time=0"], env=self.environment, capture_output=True)
        self.stop()
        for point in kernel.mount_points(self.root):
            kernel.unmount(point)
        shutil.rmtree(self.root, ignore_errors=True)

    def containers(self) -> list[dict[str, Any]]:
        return list(json.loads(self.podman("ps", "--all", "--format", "json") or "[]"))

    def import_image(
        self, reference: str = IMAGE, files: Mapping[str, str] | None = None, changes: Sequence[str] = ()
    ) -> None:
        """Busybox, with ``files`` beside it and ``changes`` (``USER 1000``) in its configuration."""
        tree = self.root / "busybox.tar"
        with tarfile.open(tree, "w") as tar:
            tar.add(shutil.which("busybox") or "", "bin/busybox")
            applets = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
            for applet in sorted({*applets} - {"busybox"}):
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
            for directory in ("tmp", "etc", "www"):
                entry = tarfile.TarInfo(directory)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
                tar.addfile(entry)
            for path, text in (files or {}).items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(text), 0o644
                tar.addfile(entry, io.BytesIO(text.encode()))
        self.podman("import", "--quiet", *(f"--change={one}" for one in changes), str(tree), reference)
        tree.unlink()


def _conmon(service: PodmanService, container_id: str) -> int:
    return int(service.podman("inspect", "--format", "{{.State.ConmonPid}}", container_id))


def _filesystem(path: Path) -> str:
    return subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True).stdout.strip()


def until(condition: Callable[[], Any], what: str, timeout_s: float = READY_MAX_S) -> Any:
    """Poll until ``condition`` is true; its value."""
    end_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end_s, f"{what}: not within {timeout_s} s"
        time.sleep(0.02)
    return value


@dataclass
class AgentNode:
    """A node named ``test-node``, its agent, and an administrator's client to look at it with.

    ``settings`` go into ``agent.yaml`` over those that it has anyway, at the agent's next start.
    """

    root: Path
    podman: PodmanService
    server: ServerProcess
    client: Client
    settings: dict[str, Any] = field(default_factory=dict)
    link: Link = field(default_factory=Link)
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.root / "agent.log"

    def configure(self) -> Path:
        """Certificates, a kubeconfig and ``agent.yaml``, as provisioning makes them."""
        now_s = time.time()
        pki = self.server.data_dir / "pki"
        signer = bundle.load_authority(pki)
        key = authority.new_key()
        certificate = signer.sign(profiles.node(NODE, ["127.0.0.1"]), key.public_key(), now_s)
        paths = {name: self.root / f"agent.{name}" for name in ("crt", "key", "kubeconfig", "yaml")}
        paths["crt"].write_bytes(authority.certificate_pem(certificate))
        paths["key"].write_bytes(authority.key_pem(key))
        paths["kubeconfig"].write_bytes(
            kubeconfig.render(
                f"https://127.0.0.1:{self.server.port}", NODE, pki / "ca.crt", paths["crt"], paths["key"], embed=False
            )
        )
        serving = {"cert": paths["crt"], "key": paths["key"], "client_ca": pki / "ca.crt", "port": 0}
        config = {
            "node_name": NODE,
            "node_ip": "127.0.0.1",
            "kubeconfig": str(paths["kubeconfig"]),
            "data_dir": str(self.root / "data"),
            "run_dir": str(self.root / "run"),
            "local_path_dir": str(self.root / "storage"),
            "kubelet_dir": str(self.root / "kubelet"),
            "static_pod_path": str(self.root / "manifests"),
            "podman_socket": str(self.podman.socket),
            "serving": {key: value if key == "port" else str(value) for key, value in serving.items()},
            "log_level": "DEBUG",
            "cgroup_root": f"{self.link.bridge}/kubepods",
            "eviction_hard": {"memory.available": "10Mi"},  # how full this machine's disk is shall not matter
            **self.settings,
        }
        paths["yaml"].write_text(yaml.safe_dump(config))
        return paths["yaml"]

    def command(self, config: Path) -> list[str]:
        return [sys.executable, BRIDGE_AGENT, str(config), self.link.bridge, self.link.subnet]

    async def prepare(self) -> None:
        """What the controllers would have made in a whole cluster: the account and the authority that pods mount."""
        await self.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})
        certificate = {"ca.crt": (self.server.data_dir / "pki" / "ca.crt").read_text()}
        metadata = {"name": "kube-root-ca.crt", "namespace": "default"}
        await self.client.create(CONFIGMAPS, {"metadata": metadata, "data": certificate})

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(self.configure()), stderr=log, stdout=log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=15)
        self.process = None
        return code

    async def registered(self) -> dict[str, Any] | None:
        """The Node, when it is Ready."""
        found = [one for one in (await self.client.list(NODES))["items"] if one["metadata"]["name"] == NODE]
        return found[0] if found and condition_is(found[0], "Ready") else None

    async def run(self, pod: dict[str, Any]) -> dict[str, Any]:
        return await self.client.create(PODS, pod)

    async def get(self, name: str) -> dict[str, Any] | None:
        try:
            return await self.client.get(PODS, name, namespace="default")
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def when(
        self, name: str, condition: Callable[[dict[str, Any]], Any], timeout_s: float = READY_MAX_S
    ) -> dict[str, Any]:
        """The pod, as soon as ``condition`` holds of it."""

        async def look() -> dict[str, Any] | None:
            pod = await self.get(name)
            return pod if pod is not None and condition(pod) else None

        found = await self.eventually(look, f"pod {name}", timeout_s)
        return dict(found)

    async def gone(self, name: str, timeout_s: float = READY_MAX_S) -> None:
        async def look() -> bool:
            return await self.get(name) is None

        await self.eventually(look, f"pod {name} to be gone", timeout_s)

    async def eventually(self, look: Callable[[], Awaitable[Any]], what: str, timeout_s: float = READY_MAX_S) -> Any:
        end_s = time.monotonic() + timeout_s
        while not (value := await look()):
            if time.monotonic() > end_s:
                listed = await self.client.list(PODS)
                statuses = json.dumps({one["metadata"]["name"]: one.get("status") for one in listed["items"]}, indent=1)
                pytest.fail(f"{what}: not within {timeout_s} s\n{statuses}\n{self.log.read_text()[-6000:]}")
            await asyncio.sleep(0.01)
        return value

    async def events(self, name: str) -> list[dict[str, Any]]:
        page = await self.client.list(CORE_EVENTS, namespace="default", field_selector=f"involvedObject.name={name}")
        return list(page["items"])

    async def event(self, name: str, reason: str, text: str = "") -> dict[str, Any]:
        """The pod's event with this reason whose message has ``text`` in it."""

        async def look() -> dict[str, Any] | None:
            found = [one for one in await self.events(name) if one["reason"] == reason and text in one["message"]]
            return found[0] if found else None

        return dict(await self.eventually(look, f"event {reason} {text!r} of {name}"))

    def kill_with_monitor(self, container_id: str, pid: int) -> None:
        """End a container's process so that Podman does not hear of it: the monitor goes first, or it would tell."""
        for one in filter(None, (_conmon(self.podman, container_id), pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)

    def cut_power(self) -> None:
        """What a power cut leaves: every process dead, every mount and tmpfs gone, the disks as they were."""
        for one in self.podman.containers():
            self.kill_with_monitor(one["Id"], one["Pid"])
        self.podman.stop()
        for place in (self.root, self.podman.root):
            for point in kernel.mount_points(place):
                kernel.unmount(point)
        for volatile in (self.root / "run", self.podman.root / "run", self.podman.root / "tmp"):
            shutil.rmtree(volatile, ignore_errors=True)
        self.link.delete()
        self.podman.start()

    def clean(self) -> None:
        """Take everything down, whatever state a failed test left."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        ids = self.podman.podman("ps", "--all", "--quiet", "--filter", "label=io.kubernetes.pod.uid").split()
        if ids:
            self.podman.podman("rm", "--force", "--time=0", *ids)
        for point in kernel.mount_points(self.root):
            kernel.unmount(point)
        if tree := hierarchy.find():
            until(lambda: groups.remove(tree, self.link.bridge, kill=True), "the control groups to be gone")
        self.link.close()


def container(name: str = "web", *command: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "command": list(command or ("sleep", "1000")), **fields}
