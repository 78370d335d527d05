"""A status may say less than its writers usually do: nobody who reads it stumbles."""

from __future__ import annotations

from typing import Any

from picluster.controllers.deployment_status import find
from picluster.controllers.replicaset import new_status
from picluster.scheduler.model import node_info


def test_conditions_without_a_type_are_kept_and_never_meant() -> None:
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}}
    odd: dict[str, Any] = {"message": "what is this"}
    replica_set = {"metadata": {"name": "web", "generation": 1}, "spec": spec, "status": {"conditions": [odd]}}
    assert new_status(replica_set, [], 0, None, False, 0.0)["conditions"] == [odd]
    assert find([odd], "Progressing") is None


def test_a_node_names_its_images_or_not() -> None:
    images = [{"sizeBytes": 5}, {"names": ["web:1"]}]
    node = {
        "metadata": {"name": "pi-1"},
        "spec": {},
        "status": {"images": images, "conditions": [{}], "addresses": [{}]},
    }
    assert node_info(node).images == {"web:1": 0}
