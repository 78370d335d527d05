from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from picluster.api.conversion.event_v1 import RENAMED, from_stored, to_stored
from picluster.api.resources import CORE_EVENTS, EVENTS

FIELDS = st.dictionaries(
    st.sampled_from([*RENAMED, "metadata", "eventTime", "series", "action", "related", "reportingInstance", "type"]),
    st.integers(),
)


@given(FIELDS)
def test_there_and_back_is_the_same_event(fields: dict[str, int]) -> None:
    event = {**fields, "kind": "Event", "apiVersion": CORE_EVENTS.api_version}
    shown = from_stored(event)
    assert shown["apiVersion"] == EVENTS.api_version
    assert not RENAMED.keys() & shown.keys()
    assert to_stored(shown) == event
