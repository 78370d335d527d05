"""What a drill that an outlet failed says: before the cut it is refused, after it the report tells."""

from __future__ import annotations

import pytest

from picluster.cli.drill import _until_interrupted
from picluster.drills.model import Measurement, report
from picluster.power.outlet import OutletError


class BrokenStrip:
    """A drill whose outlet stops answering."""

    def __init__(self, off_s: float | None) -> None:
        self.measurement = Measurement("pi-1", "default/web", "now", off_s=off_s)

    async def run(self) -> None:
        raise OutletError("outlet 1 does not answer")


async def test_after_the_cut_it_is_a_failed_drill_with_a_report() -> None:
    drill = BrokenStrip(off_s=1.0)
    await _until_interrupted(drill)
    body = report(drill.measurement, "power-cut")
    assert (body["verdict"], body["failure"]) == ("failed", "outlet 1 does not answer")


async def test_before_the_cut_it_is_refused() -> None:
    with pytest.raises(OutletError, match="does not answer"):
        await _until_interrupted(BrokenStrip(off_s=None))
