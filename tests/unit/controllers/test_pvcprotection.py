"""Which pods a claim has to stay for."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.controllers.pvcprotection import uses

CLAIM = {
    "metadata": {"name": "web-data", "namespace": "default", "ownerReferences": [{"uid": "p", "controller": True}]}
}
MOUNTED = {"name": "v", "persistentVolumeClaim": {"claimName": "web-data"}}
OWN = {"name": "data", "ephemeral": {}}
ENDED = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0}
ENDING = {**ENDED, "deletionGracePeriodSeconds": 30}


@pytest.mark.parametrize(
    ("volume", "node", "metadata", "expected"),
    [
        (MOUNTED, "pi-1", {}, True),
        (MOUNTED, "", {}, False),
        (MOUNTED, "pi-1", {"namespace": "other"}, False),
        (MOUNTED, "pi-1", ENDED, True),
        (OWN, "pi-1", {}, True),
        (OWN, "pi-1", ENDING, True),
        (OWN, "pi-1", ENDED, False),
        (OWN, "pi-1", {"uid": "another"}, False),
        ({"name": "other", "ephemeral": {}}, "pi-1", {}, False),
        ({"name": "v", "emptyDir": {}}, "pi-1", {}, False),
    ],
)
def test_uses(volume: dict[str, Any], node: str, metadata: dict[str, Any], expected: bool) -> None:
    metadata = {"name": "web", "namespace": "default", "uid": "p", **metadata}
    assert uses({"metadata": metadata, "spec": {"nodeName": node, "volumes": [volume]}}, CLAIM) is expected
