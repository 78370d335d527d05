"""What changes mean to a watch whose field selector can be asked only after a conversion."""

from __future__ import annotations

import pytest

from picluster.api.resources import Resource
from picluster.api.selectors.fields import parse_fields
from picluster.apiserver.crd.selectable import LateSelection, later

ROW = Resource("example.com", "v2", "Widget", "widgets", "", fields=("metadata.name", "metadata.namespace", "host"))


@pytest.mark.parametrize(
    ("whole", "events", "told"),
    [
        (True, ["ADDED red", "MODIFIED red", "MODIFIED blue", "MODIFIED blue", "DELETED blue"],
         ["ADDED", "MODIFIED", "DELETED", "", ""]),
        (True, ["ADDED blue", "MODIFIED red", "DELETED red"], ["", "ADDED", "DELETED"]),
        (True, ["MODIFIED blue", "DELETED blue"], ["", ""]),
        (False, ["MODIFIED red", "MODIFIED blue", "MODIFIED red"], ["MODIFIED", "DELETED", "ADDED"]),
        (False, ["MODIFIED blue", "MODIFIED blue", "MODIFIED red"], ["DELETED", "", "ADDED"]),
        (False, ["ADDED blue", "DELETED blue"], ["", ""]),
        (False, ["DELETED red"], ["DELETED"]),
        (False, ["DELETED blue"], [""]),
    ],
)  # fmt: skip
def test_meaning(whole: bool, events: list[str], told: list[str]) -> None:
    selection = LateSelection(parse_fields(ROW, "host=red"), whole=whole)
    said = []
    for event in events:
        event_type, host = event.split()
        said.append(selection.meaning(event_type, {"metadata": {"uid": "u"}, "host": host}))
    assert said == told


def test_what_is_known_of_every_object_is_not_left_for_later() -> None:
    assert later(ROW, {"fieldSelector": "metadata.name=a"}) is None
    assert later(ROW, {"labelSelector": "a=b"}) is None
    found = later(ROW, {"fieldSelector": "metadata.name=a,host!=red", "limit": "5"})
    assert found is not None and found.query == {"fieldSelector": "metadata.name=a", "limit": "5"}
    assert found.fields.matches_object({"metadata": {"name": "a"}, "host": "blue"})
