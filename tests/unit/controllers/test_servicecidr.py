"""Which service ranges may go."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.controllers.servicecidr import may_go

Json = dict[str, Any]


def service_range(name: str, *cidrs: str, deleted: bool = False) -> Json:
    metadata = {"name": name, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    return {"metadata": metadata, "spec": {"cidrs": list(cidrs)}}


GOING = service_range("going", "10.0.0.0/24", deleted=True)


@pytest.mark.parametrize(
    ("others", "addresses", "goes"),
    [
        ([], [], True),
        ([], ["10.0.1.1", "2001:db8::1"], True),
        ([], ["10.0.0.1"], False),
        ([service_range("wide", "10.0.0.0/16")], ["10.0.0.1"], True),
        ([service_range("part", "10.0.0.0/28")], ["10.0.0.1"], True),
        ([service_range("part", "10.0.0.0/28")], ["10.0.0.1", "10.0.0.100"], False),
        ([service_range("going too", "10.0.0.0/16", deleted=True)], ["10.0.0.1"], False),
    ],
)
def test_a_range_goes_when_no_address_needs_it(others: list[Json], addresses: list[str], goes: bool) -> None:
    named = [{"metadata": {"name": address}} for address in addresses]
    assert may_go(GOING, [GOING, *others], named) is goes
