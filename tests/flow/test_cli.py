"""The commands as a user runs them, against a real server process with three hollow nodes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from click.testing import CliRunner

from picluster.cli import main

WAIT_S = 20.0
CONFIGMAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n---\n"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class Commands:
    """``picluster`` with the server's kubeconfig; files are written to ``directory``."""

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        self.kubeconfig = kubeconfig
        self.directory = directory

    def __call__(self, *words: str, stdin: str | None = None) -> Answer:
        return self.bare(*words, "--kubeconfig", str(self.kubeconfig), stdin=stdin)

    def bare(self, *words: str, stdin: str | None = None) -> Answer:
        result = CliRunner().invoke(main, words, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    def good(self, *words: str, stdin: str | None = None) -> str:
        answer = self(*words, stdin=stdin)
        assert answer.code == 0, answer.err
        return answer.out

    def file(self, text: str | bytes, name: str = "manifest.yaml") -> str:
        path = self.directory / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def eventually(self, probe: Callable[[], Any]) -> Any:
        end_s = time.monotonic() + WAIT_S
        while not (answer := probe()):
            assert time.monotonic() < end_s, f"not within {WAIT_S} s"
            time.sleep(0.05)
        return answer


@pytest.fixture
def picluster(hollow_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """In a directory of its own, where no running lab is taken for the rack."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PICLUSTER_INVENTORY", str(tmp_path))
    return Commands(hollow_server.kubeconfig, tmp_path)


@pytest.fixture
def shop(picluster: Commands) -> Iterator[Commands]:
    """Namespace ``shop`` with a Deployment and a Service, rolled out."""
    manifest = picluster.file(WEB, "web.yaml")
    picluster.good("apply", "-f", manifest, "--wait")
    yield picluster
    picluster.good("delete", "-f", manifest, "--ignore-not-found")
    picluster.eventually(lambda: picluster("get", "namespace", "shop").code == 1)


def pods(picluster: Commands) -> list[dict[str, Any]]:
    items = json.loads(picluster.good("get", "pods", "-n", "shop", "-o", "json"))["items"]
    return [item for item in items if not item["metadata"].get("deletionTimestamp")]


def test_apply_says_what_it_did_with_each_object(shop: Commands) -> None:
    manifest = str(shop.directory / "web.yaml")
    unchanged = ["namespace/shop unchanged", "deployment.apps/web unchanged", "service/web unchanged"]
    assert shop.good("apply", "-f", manifest).splitlines() == unchanged
    changed = shop.file(WEB.replace("replicas: 2", "replicas: 3"), "three.yaml")
    assert shop.good("apply", "-f", changed, "--wait").splitlines() == [
        unchanged[0],
        "deployment.apps/web configured",
        unchanged[2],
        'deployment "web" successfully rolled out',
    ]
    assert len(pods(shop)) == 3
    dropped = shop.file(WEB.replace(", labels: {app: web}}\nspec:\n", "}\nspec:\n"), "dropped.yaml")
    shop.good("apply", "-f", dropped)
    assert "labels" not in json.loads(shop.good("get", "deployment", "web", "-n", "shop", "-o", "json"))["metadata"]


def test_apply_takes_from_others_only_when_told(shop: Commands) -> None:
    shop.good("scale", "deployment", "web", "--replicas", "3", "-n", "shop")
    manifest = str(shop.directory / "web.yaml")
    refused = shop("apply", "-f", manifest)
    assert (refused.code, refused.out) == (1, "")
    assert 'Deployment "web": spec.replicas managed by "picluster-cli" with subresource "scale"' in refused.err
    assert "--force-conflicts" in refused.err
    assert "deployment.apps/web configured" in shop.good("apply", "-f", manifest, "--force-conflicts")


def test_apply_reads_standard_input_lists_and_json(picluster: Commands) -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "from-list"}, "data": {"a": "b"}}
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [item]})
    out = json.loads(picluster.good("apply", "-f", "-", "-o", "json", stdin=text))
    assert [(entry["kind"], entry["data"]) for entry in out["items"]] == [("ConfigMap", {"a": "b"})]
    assert picluster.good("delete", "configmap/from-list") == 'configmap "from-list" deleted\n'


def test_apply_waits_no_longer_than_it_is_told(picluster: Commands) -> None:
    stuck = WEB.replace("namespace: shop, ", "").replace("containers:", "nodeSelector: {disk: none}, containers:")
    manifest = picluster.file(stuck.rpartition("---")[0])
    answer = picluster("apply", "-f", manifest, "--wait", "--timeout", "1")
    assert (answer.code, answer.err) == (4, "Error: not rolled out within 1 s; see: picluster get pods -A\n")
    picluster.good("delete", "-f", manifest)


def test_get_prints_tables(shop: Commands) -> None:
    table = [line.split() for line in shop.good("get", "pods", "-n", "shop").splitlines()]
    assert table[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row[1:4] for row in table[1:]] == [["1/1", "Running", "0"]] * 2
    wide = shop.good("get", "po", "-A", "-o", "wide").splitlines()
    assert wide[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert all("10.42." in line and "hollow-000" in line for line in wide[1:])
    both = shop.good("get", "deploy,svc", "-n", "shop")
    assert "deployment.apps/web" in both
    assert "service/web" in both


def test_get_prints_objects(shop: Commands) -> None:
    found = json.loads(shop.good("get", "deployment", "web", "-n", "shop", "-o", "json"))
    assert (found["kind"], found["spec"]["replicas"]) == ("Deployment", 2)
    assert "managedFields" not in found["metadata"]
    shown = shop.good("get", "deployment", "web", "-n", "shop", "-o", "json", "--show-managed-fields")
    assert json.loads(shown)["metadata"]["managedFields"][0]["manager"] == "picluster"
    assert yaml.safe_load(shop.good("get", "deployment", "web", "-n", "shop", "-o", "yaml")) == found
    names = shop.good("get", "nodes", "hollow-0001", "hollow-0003", "-o", "name")
    assert names.split() == ["node/hollow-0001", "node/hollow-0003"]
    mixed = json.loads(shop.good("get", "service/web", "deployment/web", "-n", "shop", "-o", "json"))
    assert [item["kind"] for item in mixed["items"]] == ["Service", "Deployment"]


def test_get_selects(shop: Commands) -> None:
    assert len(shop.good("get", "pods", "-n", "shop", "-l", "app=web", "-o", "name").split()) == 2
    node = pods(shop)[0]["spec"]["nodeName"]
    there = shop.good("get", "pods", "-A", "--field-selector", f"spec.nodeName={node}", "-o", "json")
    assert {item["spec"]["nodeName"] for item in json.loads(there)["items"]} == {node}
    none = shop("get", "pods", "-n", "shop", "-l", "app=none")
    assert (none.code, none.out, none.err) == (0, "", "No resources found in shop namespace.\n")


def test_describe_shows_events(shop: Commands) -> None:
    page = shop.good("describe", "deployment", "web", "-n", "shop")
    assert page.splitlines()[0].split() == ["Name:", "web"]
    assert "Scaled up replica set web-" in page
    name = pods(shop)[0]["metadata"]["name"]

    def scheduled() -> str:
        text = shop.good("describe", f"pod/{name}", "-n", "shop")
        return text if "Scheduled" in text else ""

    assert f"Successfully assigned shop/{name} to hollow-000" in shop.eventually(scheduled)


def test_scale(shop: Commands) -> None:
    assert shop.good("scale", "deployment", "web", "--replicas", "4", "-n", "shop") == "deployment.apps/web scaled\n"
    shop.eventually(lambda: len(pods(shop)) == 4)
    shop.good("scale", "deployment/web", "--replicas", "1", "-n", "shop")
    shop.eventually(lambda: len(pods(shop)) == 1)


def test_delete(shop: Commands) -> None:
    assert shop.good("delete", "service", "web", "-n", "shop") == 'service "web" deleted\n'
    again = shop("delete", "service", "web", "-n", "shop")
    assert (again.code, again.err) == (1, 'Error: from server (NotFound): services "web" not found\n')
    assert shop.good("delete", "service", "web", "-n", "shop", "--ignore-not-found") == ""
    gone = shop.good("delete", "pods", "-l", "app=web", "-n", "shop")
    assert len(gone.splitlines()) == 2
    manifest = str(shop.directory / "web.yaml")
    partly = shop("delete", "-f", manifest)
    assert (partly.code, 'services "web" not found' in partly.err) == (1, True)
    assert partly.out.splitlines() == ['namespace "shop" deleted', 'deployment.apps "web" deleted']


def test_logs_of_a_simulated_pod_say_why_there_are_none(shop: Commands) -> None:
    name = pods(shop)[0]["metadata"]["name"]
    for word in (name, f"pod/{name}"):
        answer = shop("logs", word, "-n", "shop")
        assert answer.code == 1
        assert answer.err.startswith(f'Error: pod "{name}" runs on hollow-000')
        assert "a simulated node: it has no containers, so there is no log" in answer.err
    assert "Found 2 pods, using pod/web-" in shop("logs", "deployment/web", "-n", "shop").err
    missing = shop("logs", "nobody")
    assert (missing.code, missing.err) == (1, 'Error: from server (NotFound): pods "nobody" not found\n')


def test_kubeconfig_is_the_racks(picluster: Commands) -> None:
    state = picluster.directory / ".picluster"
    state.mkdir()
    (state / "admin.kubeconfig").write_text(picluster.kubeconfig.read_text())
    inventory = picluster.file("all: {}", "hosts.yml")
    printed = picluster.bare("kubeconfig", "-i", inventory)
    assert (printed.code, printed.out) == (0, picluster.kubeconfig.read_text())
    picluster.eventually(lambda: "hollow-0001" in picluster.bare("get", "nodes", "-i", inventory).out)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndate: {a: b}\n",
            'document 2: ConfigMap "bad": unknown field "date"; kubectl explain shows the fields there are; '
            "nothing was changed",
            id="unknown field",
        ),
        pytest.param(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {replicas: many, selector: "
            "{matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}}\n",
            "document 2: Deployment \"bad\": spec.replicas is 'many', but must be a number; nothing was changed",
            id="wrong type",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: {a: 1}\n",
            'document 2: ConfigMap "bad": data.a is 1, but must be text; nothing was changed',
            id="wrong type in a map",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n",
            'document 2: ConfigMap "Bad_Name": metadata.name: Invalid value: "Bad_Name"',
            id="bad value",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Potato\nmetadata: {name: bad}\n",
            'document 2: no matches for kind "Potato" in version "v1"; the server does not know this kind',
            id="unknown kind",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Deployment\nmetadata: {name: bad}\n",
            'document 2: no matches for kind "Deployment" in version "v1"; this kind is in apps/v1',
            id="wrong version",
        ),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad, namespace: nowhere}\n",
            'document 2: ConfigMap "bad": there is no namespace "nowhere"; create it, or put it into the manifest; '
            "nothing was changed",
            id="no namespace",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n---\n"
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad, namespace: fresh}\ndate: {}\n",
            'document 3: ConfigMap "bad": unknown field "date"',
            id="wrong in a new namespace",
        ),
        pytest.param("kind: ConfigMap\n", "document 2: the object has no apiVersion", id="no version"),
        pytest.param("apiVersion: v1\nkind: Pod\n", "document 2: the Pod has no metadata.name", id="no name"),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n",
            "document 2: metadata.name is 5; it must be text: put it in quotation marks",
            id="a number as name",
        ),
        pytest.param("a: [\n", "is not YAML: expected the node content, but found '<stream end>' in line", id="yaml"),
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: {on: x}\n",
            "document 2: data has the key true; put it in quotation marks",
            id="a key that is no text",
        ),
        pytest.param("just words\n", "document 2: 'just words' is no object", id="no object"),
    ],
)
def test_a_mistake_in_the_second_document_changes_nothing(picluster: Commands, text: str, said: str) -> None:
    manifest = picluster.file(CONFIGMAP + text)
    answer = picluster("apply", "-f", manifest)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"Error: {manifest}")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert picluster("get", "configmap", "good").code == 1
    assert picluster("get", "namespace", "fresh").code == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("", "is empty: it has no object with apiVersion, kind and metadata.name", id="empty"),
        pytest.param("# nothing\n---\n", "is empty", id="comments only"),
        pytest.param(b"\x00\xff\xfe", "is not text in UTF-8, so it is no manifest", id="binary"),
        pytest.param(None, "cannot be read: No such file or directory", id="missing"),
    ],
)
def test_a_file_that_is_no_manifest(picluster: Commands, content: str | bytes | None, said: str) -> None:
    manifest = "missing.yaml" if content is None else picluster.file(content)
    for command in ("apply", "delete"):
        answer = picluster(command, "-f", manifest)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith(f"Error: {manifest} ")
        assert said in answer.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["get", "potatoes"], 1, 'the server has no resource type "potatoes"; it has: apiservices, '),
        (["get", "pods", "none"], 1, 'pods "none" not found'),
        (["get", "pods", "none", "-l", "a=b"], 2, "name objects, or select them"),
        (["get", "pods", "none", "-A"], 2, "objects of every namespace (-A) cannot be named"),
        (["get", "pods", "-l", "a in"], 1, "unable to parse requirement"),
        (["get", "pods", "--field-selector", "spec.potato=x"], 1, "field label not supported: spec.potato"),
        (["get", "pods", "-o", "xml"], 2, "'xml' is not one of 'table', 'wide', 'json', 'yaml', 'name'"),
        (["get", "pod/a", "b"], 2, "say either TYPE NAME... or TYPE/NAME..., not both"),
        (["describe", "pod"], 2, "say which pod to describe: picluster describe pod NAME"),
        (["describe", "pod", "none"], 1, 'pods "none" not found'),
        (["scale", "deployment", "none", "--replicas", "1"], 1, 'deployments.apps "none" not found'),
        (["scale", "deployment", "none", "--replicas", "-1"], 2, "-1 is not in the range x>=0"),
        (["scale", "node", "hollow-0001", "--replicas", "1"], 1, "nodes cannot be scaled; deployments"),
        (["delete"], 2, "say what to delete"),
        (["delete", "pods"], 2, "say which pods to delete: by NAME, or with -l SELECTOR"),
        (["apply"], 2, "nothing to apply: give a manifest with -f FILE"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(picluster: Commands, words: list[str], code: int, said: str) -> None:
    answer = picluster(*words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err.splitlines()[-1]


def test_a_cluster_that_is_not_there(picluster: Commands) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = yaml.safe_load(picluster.kubeconfig.read_text())
    text["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    nobody = picluster.file(yaml.safe_dump(text), "kubeconfig")
    for words in (["get", "pods"], ["apply", "-f", picluster.file(CONFIGMAP)], ["delete", "pod", "a"], ["logs", "a"]):
        answer = picluster.bare(*words, "--kubeconfig", nobody)
        assert answer.code == 1
        assert f"https://127.0.0.1:{port}: Connection refused; is the control plane up?" in answer.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"garbage", "is empty or not a kubeconfig"),
        (b"a: [", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"", "is empty or not a kubeconfig"),
    ],
)
def test_a_kubeconfig_that_is_none(picluster: Commands, content: bytes, said: str) -> None:
    answer = picluster.bare("get", "pods", "--kubeconfig", picluster.file(content, "kubeconfig"))
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err
    assert "picluster kubeconfig prints a good one" in answer.err


def test_a_kubeconfig_that_is_a_directory(picluster: Commands) -> None:
    answer = picluster.bare("get", "pods", "--kubeconfig", str(picluster.directory))
    assert (answer.code, answer.out) == (2, "")
    assert "is a directory" in answer.err.splitlines()[-1]


def inventory(control_plane: dict[str, Any], nodes: dict[str, Any]) -> str:
    groups = {"control_plane": {"hosts": control_plane}, "nodes": {"hosts": nodes}}
    return json.dumps({"all": {"children": groups}})


PI = {f"pi-{i}": {"ansible_host": f"127.0.0.{i + 2}"} for i in range(3)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            inventory({}, {"pi-1": PI["pi-1"]}), "group control_plane has no board; it needs exactly one",
            id="no control plane",
        ),
        pytest.param(
            inventory({"pi-0": PI["pi-0"]}, {}), "group nodes has no board; put the boards that run pods into it",
            id="no nodes",
        ),
        pytest.param(
            inventory({"pi-0": PI["pi-0"]}, {"pi-1": PI["pi-1"], "pi-2": PI["pi-1"]}),
            "pi-1 and pi-2 have one address, 127.0.0.3; correct ansible_host", id="one address twice",
        ),
        pytest.param("a: [", "ansible-inventory cannot read", id="not an inventory"),
    ],
)  # fmt: skip
def test_an_inventory_that_describes_no_rack(picluster: Commands, text: str, said: str) -> None:
    path = picluster.file(text, "hosts.yml")
    for words in (["bootstrap"], ["drill", "run", "power-cut", "--yes"], ["status"], ["node", "ls"]):
        answer = picluster.bare(*words, "-i", path)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err
    assert not (picluster.directory / ".picluster").exists()


def rack(picluster: Commands) -> str:
    """An inventory, without outlets, whose cluster is the hollow one."""
    state = picluster.directory / ".picluster"
    state.mkdir()
    (state / "admin.kubeconfig").write_text(picluster.kubeconfig.read_text())
    nodes = {f"hollow-000{i}": {"ansible_host": f"127.0.1.{i}"} for i in (1, 2, 3)}
    return picluster.file(inventory({"pi-0": PI["pi-0"]}, nodes), "hosts.yml")


def test_power_of_a_board_without_an_outlet(picluster: Commands) -> None:
    answer = picluster.bare("power", "off", "hollow-0001", "-i", rack(picluster))
    assert answer.code == 2
    assert "hollow-0001 has no picluster_outlet" in answer.err


@pytest.mark.parametrize(
    ("service", "said"),
    [("shop/none", 'services "none" not found'), ("shop/web", "has no outlet in the inventory")],
)
def test_a_drill_that_cannot_start_says_why_and_cuts_nothing(shop: Commands, service: str, said: str) -> None:
    answer = shop.bare("drill", "run", "power-cut", "--yes", "-i", rack(shop), "--service", service)
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.count("\n") == 1
    assert said in answer.err
    assert not (shop.directory / "report.json").exists()


def server(*words: str) -> Answer:
    command = [str(Path(sys.executable).with_name("picluster")), "server", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_a_port_in_use_leaves_no_directory(picluster: Commands, hollow_server: Any) -> None:
    fresh = picluster.directory / "fresh"
    answer = server("--data-dir", str(fresh), "--port", str(hollow_server.port))
    assert answer.code == 2
    assert f"port {hollow_server.port} on 127.0.0.1 cannot be used: Address already in use" in answer.err
    assert "name another with --port" in answer.err
    assert not fresh.exists()


def test_a_data_directory_in_use_is_left_alone(hollow_server: Any) -> None:
    answer = server("--data-dir", str(hollow_server.data_dir), "--port", "0")
    assert answer.code == 2
    assert f"data directory {hollow_server.data_dir} is in use by another server (process " in answer.err
    assert hollow_server.process.poll() is None
