"""Which ReplicaSet is which revision, and what is written on it."""

from __future__ import annotations

import copy
from typing import Any

from picluster.controllers import deployment_revision as revisions
from picluster.controllers.deployment_rollout import Strategy

STRATEGY = Strategy(3, 1, 0)


def deployment(image: str = "web:1", **metadata: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "d", **metadata},
        "spec": {
            "replicas": 3,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    }


def replica_set(image: str, revision: int, replicas: int = 0, created: str = "1") -> dict[str, Any]:
    made = revisions.new_replica_set(deployment(image), replicas, STRATEGY, revision)
    made["metadata"] |= {"creationTimestamp": created, "uid": image, "generation": 1}
    made["status"] = {"replicas": replicas, "observedGeneration": 1}
    return made


def test_a_new_replica_set_is_told_apart_by_its_hash() -> None:
    made = revisions.new_replica_set(deployment(annotations={"note": "x"}), 2, STRATEGY, 7)
    digest = made["metadata"]["labels"]["pod-template-hash"]
    assert made["metadata"]["name"] == f"web-{digest}"
    assert made["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": digest}}
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest}
    assert made["metadata"]["annotations"] == {
        "note": "x",
        "deployment.kubernetes.io/revision": "7",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert made["metadata"]["ownerReferences"][0]["uid"] == "d"
    assert 1 <= len(digest) <= 10
    assert set(digest) <= set(revisions.ALPHABET)


def test_the_hash_is_of_the_template_and_of_collisions() -> None:
    template = deployment()["spec"]["template"]
    reordered = {"spec": template["spec"], "metadata": template["metadata"]}
    assert revisions.template_hash(template, None) == revisions.template_hash(reordered, None)
    assert len({revisions.template_hash(template, count) for count in (None, 0, 1, 2)}) == 4
    assert revisions.template_hash(template, None) != revisions.template_hash(
        deployment("web:2")["spec"]["template"], None
    )


def test_a_template_is_found_again_whatever_the_server_added() -> None:
    known = replica_set("web:1", 1)
    known["spec"]["template"]["metadata"]["creationTimestamp"] = None
    assert revisions.find_new(deployment(), [replica_set("web:2", 2), known]) is known
    assert revisions.find_new(deployment("web:3"), [known]) is None
    older = replica_set("web:1", 1, created="0")
    assert revisions.find_new(deployment(), [known, older]) is older


def test_going_back_makes_an_old_revision_the_newest() -> None:
    rolled_back, newer = replica_set("web:1", 1), replica_set("web:2", 2)
    number = revisions.next_revision([newer])
    annotations = revisions.new_annotations(deployment(), rolled_back, number)
    assert annotations["deployment.kubernetes.io/revision"] == "3"
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"
    rolled_back["metadata"]["annotations"] = annotations
    assert revisions.new_annotations(deployment(), rolled_back, 3) == annotations
    assert revisions.new_annotations(deployment(), rolled_back, 9)["deployment.kubernetes.io/revision-history"] == "1,3"


def test_the_history_annotation_is_bounded() -> None:
    known = replica_set("web:1", 1)
    known["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] = ",".join(map(str, range(600)))
    history = revisions.new_annotations(deployment(), known, 2)["deployment.kubernetes.io/revision-history"]
    assert len(history) <= revisions.HISTORY_CHARS_MAX
    assert history.endswith(",599,1")


def test_private_annotations_are_not_inherited() -> None:
    given = deployment(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"})
    assert set(revisions.new_annotations(given, None, 1)) == {"a", revisions.REVISION}


def test_old_empty_settled_ones_beyond_the_limit_are_cleaned_up() -> None:
    sets = [replica_set(f"web:{number}", number) for number in range(1, 6)]
    assert revisions.to_clean_up(deployment(), sets) == sets[:3]
    busy = copy.deepcopy(sets)
    busy[0]["spec"]["replicas"] = 1
    busy[1]["metadata"]["generation"] = 5
    assert revisions.to_clean_up(deployment(), busy) == busy[2:3]
    unlimited = deployment()
    del unlimited["spec"]["revisionHistoryLimit"]
    assert revisions.to_clean_up(unlimited, sets) == []
    assert revisions.to_clean_up(deployment(), sets[:2]) == []
