"""Which board is cut and which one watches."""

from __future__ import annotations

import pytest

from picluster.drills.plan import DrillError, choose

NODES = {"pi-1", "pi-2", "pi-3"}


def test_the_node_with_most_endpoints_is_cut_and_the_first_other_one_watches() -> None:
    assert choose({"pi-1": 1, "pi-2": 2, "pi-3": 0}, NODES, "web", None) == ("pi-2", "pi-1")
    assert choose({"pi-1": 1, "pi-2": 1, "pi-3": 1}, NODES, "web", None) == ("pi-1", "pi-2")
    assert choose({"pi-1": 1, "pi-2": 2, "pi-3": 1}, NODES, "web", "pi-3") == ("pi-3", "pi-1")


@pytest.mark.parametrize(
    ("counts", "ready", "wanted", "message"),
    [
        ({"pi-1": 1, "pi-2": 1}, NODES, "pi-9", "pi-9 is not a node of this rack; its nodes are pi-1, pi-2"),
        ({"pi-1": 1, "pi-2": 0}, NODES, "pi-2", "pi-2 runs no ready endpoint of web"),
        ({"pi-1": 0, "pi-2": 0}, NODES, None, "runs no ready endpoint"),
        ({"pi-1": 1, "pi-2": 0}, {"pi-1"}, None, "one more node to be Ready; Ready now: pi-1"),
        ({"pi-1": 1, "pi-2": 0}, {"pi-2"}, None, "the drill needs pi-1"),
        ({}, set(), None, "not a node of this rack"),
    ],
)
def test_refusals_name_cause_and_cure(
    counts: dict[str, int], ready: set[str], wanted: str | None, message: str
) -> None:
    with pytest.raises(DrillError, match=message):
        choose(counts, ready, "web", wanted)
