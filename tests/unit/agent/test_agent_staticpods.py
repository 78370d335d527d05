"""Pods from files: what they become on their node, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from picluster.util.clock import VirtualClock
from picluster_agent.sync.mirrors import is_mirror_of, mirror_of
from picluster_agent.sync.staticpods import StaticPodError, StaticPods, read

NODE = "pi-1"
SEEN = "2026-11-21T20:00:00.000000Z"
CONTAINER = {"name": "web", "image": "app:1"}


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [CONTAINER], **spec}}


def write(tmp_path: Path, document: Any, name: str = "web.json") -> Path:
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_a_file_becomes_a_pod_of_this_node(tmp_path: Path) -> None:
    path = write(tmp_path, pod())
    found = read(path, NODE, SEEN)
    assert (found["metadata"]["name"], found["metadata"]["namespace"]) == ("web-pi-1", "default")
    assert found["spec"]["nodeName"] == NODE
    assert found["spec"]["tolerations"] == [{"operator": "Exists", "effect": "NoExecute"}]
    assert found["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    uid = found["metadata"]["uid"]
    assert found["metadata"]["annotations"] == {
        "kubernetes.io/config.hash": uid,
        "kubernetes.io/config.source": "file",
        "kubernetes.io/config.seen": SEEN,
    }
    assert read(path, NODE, "later")["metadata"]["uid"] == uid
    assert read(path, "other", SEEN)["metadata"]["uid"] != uid
    write(tmp_path, pod(hostNetwork=True))
    assert read(path, NODE, SEEN)["metadata"]["uid"] != uid


def test_yaml_is_as_good_as_json(tmp_path: Path) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers: [{name: web, image: 'app:1'}]\n"
    assert read(write(tmp_path, text), NODE, SEEN)["spec"]["containers"][0]["image"] == "app:1"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("a: [", "neither YAML nor JSON"),
        ("- 1", "not a v1 Pod"),
        ({**pod(), "kind": "Deployment"}, "not a v1 Pod"),
        ({**pod(), "metadata": {}}, "name is needed for the pod"),
        ({**pod(), "spec": None}, "spec is needed"),
        (pod(containers=[]), "invalid pod: spec.containers: Required value"),
        (pod(containers="x"), "a field is of the wrong kind"),
        (pod(serviceAccountName="x"), "static pods may not reference serviceaccounts"),
        (pod(imagePullSecrets=[{"name": "x"}]), "static pods may not reference secrets"),
        (pod(volumes=[{"name": "v", "configMap": {"name": "x"}}]), "static pods may not reference configmaps"),
        (pod(volumes=[{"name": "v", "secret": {"secretName": "x"}}]), "static pods may not reference secrets"),
        (
            pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]),
            "static pods may not reference persistentvolumeclaims",
        ),
        (
            pod(volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "x"}}]}}]),
            "static pods may not reference secrets",
        ),
        (
            pod(containers=[{**CONTAINER, "envFrom": [{"secretRef": {"name": "x"}}]}]),
            "static pods may not reference secrets",
        ),
        (
            pod(
                containers=[
                    {**CONTAINER, "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "k"}}}]}
                ]
            ),
            "static pods may not reference configmaps",
        ),
    ],
)
def test_what_is_no_pod_for_a_node_is_refused(tmp_path: Path, document: Any, why: str) -> None:
    with pytest.raises(StaticPodError, match=why):
        read(write(tmp_path, document), NODE, SEEN)


def test_files_that_come_change_break_and_go(tmp_path: Path) -> None:
    told: list[set[str]] = []
    files = StaticPods(tmp_path, NODE, VirtualClock(), lambda pods: told.append(set(pods)))
    files.look()
    assert told == []
    path = write(tmp_path, pod())
    write(tmp_path, pod(), ".hidden.json")
    (tmp_path / "directory").mkdir()
    files.look()
    files.look()
    assert [len(pods) for pods in told] == [1]
    write(tmp_path, pod(hostNetwork=True))
    files.look()
    assert told[1] != told[0]
    write(tmp_path, "half a fi")
    files.look()
    assert told[2] == told[1], "a file that is being written must not take its pod away"
    path.unlink()
    files.look()
    assert told[3] == set()


def test_a_mirror_is_owned_by_its_node_and_shows_one_version(tmp_path: Path) -> None:
    path = write(tmp_path, pod())
    static = read(path, NODE, SEEN)
    mirror = mirror_of(static, {"metadata": {"name": NODE, "uid": "n1"}})
    owner = {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": "n1", "controller": True}
    assert mirror["metadata"]["ownerReferences"] == [owner]
    assert "uid" not in mirror["metadata"]
    assert mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] == static["metadata"]["uid"]
    assert is_mirror_of(mirror, static)
    assert not is_mirror_of({**mirror, "metadata": {**mirror["metadata"], "deletionTimestamp": SEEN}}, static)
    write(tmp_path, pod(hostNetwork=True))
    assert not is_mirror_of(mirror, read(path, NODE, SEEN))
    assert not is_mirror_of(mirror, None)
