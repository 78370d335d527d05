"""Which objects of every cluster are put right, as their annotation and their generation say."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.resources import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS
from picluster.apiserver.flowcontrol.ensuring import revised
from picluster.apiserver.flowcontrol.objects import AUTO_UPDATE

WANTED = {"spec": {"matchingPrecedence": 2}}
OTHER = {"matchingPrecedence": 77}


def found(spec: dict[str, Any], flag: str | None, generation: int = 2, name: str = "probes") -> dict[str, Any]:
    annotations = {} if flag is None else {AUTO_UPDATE: flag}
    return {"metadata": {"name": name, "generation": generation, "annotations": annotations}, "spec": spec}


@pytest.mark.parametrize(
    ("flag", "generation", "spec", "told"),
    [
        ("true", 2, WANTED["spec"], "true"),
        ("T", 1, WANTED["spec"], "T"),
        ("false", 1, OTHER, "false"),
        (None, 1, WANTED["spec"], "true"),
        (None, 2, OTHER, "false"),
        ("maybe", 1, WANTED["spec"], "true"),
        ("maybe", 5, OTHER, "false"),
    ],
)
def test_a_suggestion_is_put_right_as_its_annotation_says(
    flag: str | None, generation: int, spec: Any, told: str
) -> None:
    old = found(OTHER, flag, generation)
    new = revised(FLOW_SCHEMAS, old, WANTED) or old
    assert (new["spec"], new["metadata"]["annotations"][AUTO_UPDATE]) == (spec, told)


def test_what_is_mandatory_is_put_right_whatever_it_says() -> None:
    new = revised(FLOW_SCHEMAS, found(OTHER, "false", name="catch-all"), WANTED)
    assert new is not None
    assert (new["spec"], new["metadata"]["annotations"][AUTO_UPDATE]) == (WANTED["spec"], "true")


def test_the_shares_of_exempt_are_the_operators() -> None:
    wanted = {"spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}}
    theirs = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 5, "lendablePercent": 50}}
    assert revised(PRIORITY_LEVEL_CONFIGURATIONS, found(theirs, "true", name="exempt"), wanted) is None
    without = revised(PRIORITY_LEVEL_CONFIGURATIONS, found({"type": "Exempt"}, "true", name="exempt"), wanted)
    assert without is not None and without["spec"] == wanted["spec"]
