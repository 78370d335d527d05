"""``picluster image push``, ``ls --registry`` and ``rm --registry`` with a registry as the playbooks configure it.

The certificates are a cluster's, the configuration is the role's template; nodes pull from it as the role lets them.
"""

from __future__ import annotations

import io
import json
import shutil
import ssl
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from agent_node import PodmanService
from agent_node import missing_here as no_podman
from click.testing import CliRunner, Result
from registry import free_port, missing_here, serve

from picluster import rack as rack_module
from picluster.cli import main
from picluster.pki import authority, bundle, profiles
from picluster.pki.bundle import BundleSpec
from picluster.util.clock import SYSTEM_CLOCK
from picluster_agent import kernel

pytestmark = [pytest.mark.lab]

ROLES = Path(__file__).parents[2] / "playbooks" / "roles"
NAME = "localhost"


@dataclass
class PushRack:
    """A rack whose registry runs here: ``host`` is what its images' names begin with."""

    root: Path
    host: str
    inventory: Path
    podman: PodmanService

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["image", *words, "-i", str(self.inventory)])

    def json(self, *words: str) -> Any:
        found = self.run(*words, "-o", "json")
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)


def rendered(role: str, template: str, **values: Any) -> str:
    environment = jinja2.Environment(autoescape=False)
    environment.filters["to_json"] = json.dumps
    return environment.from_string((ROLES / role / "templates" / template).read_text()).render(**values)


def issue(pki: Path, name: str, profile: profiles.Profile) -> None:
    key = authority.new_key()
    signed = bundle.load_authority(pki).sign(profile, key.public_key(), time.time())
    (pki / f"{name}.crt").write_bytes(authority.certificate_pem(signed))
    (pki / f"{name}.key").write_bytes(authority.key_pem(key))


@pytest.fixture
def rack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushRack]:
    if missing := missing_here() or no_podman():
        pytest.skip(f"left out, there is no registry to push to: {missing}")
    pki, port = tmp_path / "pki", free_port()
    bundle.ensure(
        pki, tmp_path / ".picluster", BundleSpec(("127.0.0.1",), "10.43.0.0/16", "https://127.0.0.1:6443"), SYSTEM_CLOCK
    )
    issue(pki, "registry", profiles.for_request("registry", NAME, ["127.0.0.1"]))
    issue(pki, "agent", profiles.node("pi-1", ["127.0.0.1"]))
    instance = {"name": "picluster-registry", "port": port, "dir": str(tmp_path / "store"), "proxy": ""}
    text = rendered("registry", "registry.yaml.j2", instance=instance, picluster_node_ip="127.0.0.1")
    text = text.replace("/run/credentials/picluster-registry.service", str(pki)).replace("/etc/picluster/pki", str(pki))
    (tmp_path / "registry.yaml").write_text(text)
    inventory = {
        "all": {
            "vars": {"picluster_registry": "pi-0", "picluster_registry_name": NAME, "picluster_registry_port": port},
            "children": {
                "control_plane": {"hosts": {"pi-0": {"ansible_host": "127.0.0.1"}}},
                "nodes": {"hosts": {"pi-1": {"ansible_host": "127.0.0.2"}}},
            },
        }
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    made = PushRack(tmp_path, f"{NAME}:{port}", tmp_path / "hosts.yml", PodmanService(tmp_path / "podman"))
    node(made, pki)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(made.podman.root / "registries.conf"))
    for key, value in made.podman.environment.items():
        monkeypatch.setenv(key, value)
    process = serve(tmp_path / "registry.yaml", f"127.0.0.1:{port}")
    try:
        yield made
    finally:
        process.kill()
        process.wait()
        for point in kernel.mount_points(made.podman.root):
            kernel.unmount(point)
        shutil.rmtree(made.podman.root)


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inventory is read by Ansible once for each content, which takes it a second."""
    read, known = rack_module._list, dict[str, Any]()

    def remembered(path: Path) -> Any:
        text = path.read_text()
        if text not in known:
            known[text] = read(path)
        return known[text]

    monkeypatch.setattr(rack_module, "_list", remembered)


def node(rack: PushRack, pki: Path) -> None:
    """Podman as a node of the rack has it: links to its own certificate, and the rack's registry before Docker Hub."""
    rack.podman.root.mkdir()
    rack.podman.configure()
    trust = rack.podman.home / ".config/containers/certs.d" / rack.host
    trust.mkdir(parents=True)
    links = yaml.safe_load((ROLES / "podman/defaults/main.yml").read_text())["picluster_registry_trust"]
    for link in links:
        (trust / link["link"]).symlink_to(pki / link["file"])
    registries = [{"prefix": "docker.io", "mirrors": [rack.host]}]
    text = rendered("podman", "registries.conf.j2", picluster_registries_all=registries)
    (rack.podman.root / "registries.conf").write_text(text)


def docker_archive(path: Path, *names: str) -> None:
    """As ``docker save`` wrote them before it wrote OCI archives."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(shutil.which("busybox") or "", "bin/busybox")
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    manifest = [{"Config": "config.json", "RepoTags": list(names) or None, "Layers": ["layer/layer.tar"]}]
    files = {"config.json": config, "layer/layer.tar": layer.getvalue(), "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_images_are_pushed_listed_pulled_by_nodes_and_removed(rack: PushRack) -> None:
    assert rack.json("ls", "--registry") == []
    archive = rack.root / "app.tar"
    docker_archive(archive, "localhost/team/app:1", "quay.io/other/app:2")
    pushed = rack.json("push", str(archive))
    assert [row["images"] for row in pushed] == [
        [f"{rack.host}/team/app:1", "team/app:1"],
        [f"{rack.host}/other/app:2", "other/app:2"],
    ]
    assert rack.json("push", str(archive), "web:3")[0]["digest"] == pushed[0]["digest"], "the same bytes each time"
    rack.podman.import_image()
    local = rack.json("push", "localhost/busybox:test")
    listed = {row["image"]: row for row in rack.json("ls", "--registry")}
    repositories = ("team/app:1", "other/app:2", "web:3", "library/web:3", "busybox:test", "library/busybox:test")
    assert set(listed) == {f"{rack.host}/{name}" for name in repositories}
    assert listed[f"{rack.host}/web:3"]["digest"] == pushed[0]["digest"]
    assert listed[f"{rack.host}/web:3"]["size_bytes"] == pushed[0]["size_bytes"] > 500_000

    rack.podman.podman("rmi", "--all", "--force")
    for name in (f"{rack.host}/busybox:test", "docker.io/library/busybox:test"):
        rack.podman.podman("pull", "--quiet", name)
        inspected = json.loads(rack.podman.podman("inspect", "--type=image", name))[0]
        assert inspected["Digest"] == local[0]["digest"]

    assert rack.json("rm", "web:3", "--registry") == {"removed": True}
    again = rack.run("rm", f"{rack.host}/web:3", "--registry")
    assert again.exit_code == 1 and "the registry has no " in again.stderr
    assert f"{rack.host}/web:3" not in {row["image"] for row in rack.json("ls", "--registry")}
    cleaned = subprocess.run(
        ["docker-registry", "garbage-collect", str(rack.root / "registry.yaml")], capture_output=True
    )
    assert cleaned.returncode == 0, cleaned.stderr
    table = rack.run("ls", "--registry").stdout.splitlines()
    assert table[0].split() == ["image", "digest", "size"] and table[1].split()[0].startswith(rack.host)


def test_nobody_gets_in_without_a_certificate_and_mistakes_are_said(rack: PushRack) -> None:
    context = ssl.create_default_context(cafile=str(rack.root / "pki" / "ca.crt"))
    with pytest.raises(OSError, match=r"(?i)certificate"):
        urllib.request.urlopen(f"https://{rack.host}/v2/_catalog", context=context, timeout=5).read()
    nameless = rack.root / "nameless.tar"
    docker_archive(nameless)
    (rack.root / "text.tar").write_text("no archive")
    for words, code, said in (
        (("push", str(nameless)), 2, "has no name"),
        (("push", str(nameless), "Not A Name"), 2, "is no name for an image"),
        (("push", str(rack.root / "text.tar")), 2, "text.tar cannot be read"),
        (("push", "./nowhere.tar"), 2, "./nowhere.tar is no file"),
        (("push", "no/such/image:1"), 2, "no/such/image:1 is no file, and no image in Podman"),
        (("rm", "x", "--registry", "--node", "pi-1"), 2, "do not go together"),
    ):
        found = rack.run(*words)
        assert (found.exit_code, said in found.stderr, len(found.stderr.splitlines())) == (code, True, 1), found.output
    text = rack.inventory.read_text()
    rack.inventory.write_text(text.replace("picluster_registry: pi-0", "picluster_registry: ''"))
    assert "set picluster_registry to one" in rack.run("ls", "--registry").stderr
    port = rack.host.partition(":")[2]
    rack.inventory.write_text(text.replace(port, str(free_port())))
    found = rack.run("push", str(nameless), "app:1")
    assert found.exit_code == 1 and "does not answer at https://127.0.0.1:" in found.stderr
