from __future__ import annotations

from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.apiserver.registry.options import DeleteOptions, delete_options, deletion_finalizers


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ({}, None, DeleteOptions()),
        ({"gracePeriodSeconds": "5"}, None, DeleteOptions(grace_period_s=5)),
        ({"propagationPolicy": "Orphan"}, None, DeleteOptions(propagation="Orphan")),
        ({"orphanDependents": "true"}, None, DeleteOptions(propagation="Orphan")),
        ({"gracePeriodSeconds": "5"}, {"gracePeriodSeconds": 0}, DeleteOptions(grace_period_s=0)),
        (
            {},
            {"kind": "DeleteOptions", "orphanDependents": False},
            DeleteOptions(propagation="Background", dependents_go=True),
        ),
        ({"dryRun": "All"}, None, DeleteOptions(dry_run=True)),
        ({}, {"dryRun": ["All"]}, DeleteOptions(dry_run=True)),
        ({}, {"preconditions": {"uid": "u", "resourceVersion": "3"}}, DeleteOptions(uid="u", resource_version="3")),
    ],
)
def test_options(query: dict[str, str], body: Any, expected: DeleteOptions) -> None:
    assert delete_options(query, body) == expected


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ({"gracePeriodSeconds": "soon"}, None, 400),
        ({"propagationPolicy": "Sideways"}, None, 422),
        ({}, {"gracePeriodSeconds": "5"}, 400),
        ({}, {"gracePeriodSeconds": True}, 400),
        ({}, {"kind": "Pod"}, 400),
        ({}, ["x"], 400),
        ({}, {"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
        ({"dryRun": "Some"}, None, 422),
    ],
)
def test_options_that_are_refused(query: dict[str, str], body: Any, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        delete_options(query, body)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("finalizers", "propagation", "expected"),
    [
        (["a"], "", ["a"]),
        (["orphan"], "", ["orphan"]),
        (["a"], "Orphan", ["a", "orphan"]),
        (["foregroundDeletion", "a"], "Orphan", ["a", "orphan"]),
        (["orphan"], "Foreground", ["foregroundDeletion"]),
        (["orphan", "a"], "Background", ["a"]),
    ],
)
def test_finalizers_of_the_garbage_collector(finalizers: list[str], propagation: str, expected: list[str]) -> None:
    assert deletion_finalizers(finalizers, propagation) == expected
