"""As whom a process runs, as its container sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from picluster_agent.podman.users import LinuxUser, of_process

STATUS = "Name:\tsleep\nUid:\t{0}\t{0}\t{0}\t{0}\nGid:\t{1}\t{1}\t{1}\t{1}\nGroups:\t{2}\n"
SAME = "         0          0 4294967295\n"


@pytest.mark.parametrize(
    ("ids", "mapping", "expected"),
    [
        ((1000, 1000, "1000 4321"), SAME, LinuxUser(1000, 1000, (1000, 4321))),
        ((0, 0, ""), SAME, LinuxUser(0, 0, (0,))),
        ((101000, 100000, "100007"), "0 100000 65536\n", LinuxUser(1000, 0, (0, 7))),
    ],
)
def test_the_user_of_a_process(tmp_path: Path, ids: tuple[int, int, str], mapping: str, expected: LinuxUser) -> None:
    place = tmp_path / "42"
    place.mkdir()
    place.joinpath("status").write_text(STATUS.format(*ids))
    for name in ("uid_map", "gid_map"):
        place.joinpath(name).write_text(mapping)
    assert of_process(42, tmp_path) == expected
    assert of_process(43, tmp_path) is None
