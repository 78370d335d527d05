"""What may go: dead containers beyond their bounds, images that nobody uses."""

from __future__ import annotations

from typing import Any

from picluster_agent.garbage import containers, images
from picluster_agent.garbage.containers import Dead
from picluster_agent.sync.model import Seen, State

GIB = 1024**3


def seen(key: str, attempt: int, state: State = State.EXITED, name: str = "c") -> Seen:
    return Seen(key, name, attempt, state, finished_s=float(attempt))


def test_the_newest_dead_container_of_a_pod_that_lives_is_needed() -> None:
    crashed = [seen("a0", 0), seen("a1", 1)]
    assert [(one.id, one.needed) for one in containers.dead("u", crashed, over=False)] == [("a0", False), ("a1", True)]
    assert not any(one.needed for one in containers.dead("u", crashed, over=True))
    runs = [seen("a0", 0), seen("a1", 1, State.RUNNING)]
    assert [(one.id, one.needed) for one in containers.dead("u", runs, over=False)] == [("a0", False)]


def surplus(found: list[Dead], **bounds: Any) -> list[str]:
    given = {"each_max": 1, "all_max": -1, "ttl_s": 0.0, "now_s": 100.0, **bounds}
    return sorted(one.id for one in containers.surplus(found, **given))


def test_dead_containers_beyond_their_bounds_go_the_oldest_first() -> None:
    found = [
        Dead("u1", "a0", "a", 0, 1.0),
        Dead("u1", "a1", "a", 1, 2.0),
        Dead("u1", "b0", "b", 0, 5.0),
        Dead("u2", "c0", "c", 0, 3.0),
        Dead("u2", "d0", "d", 0, 0.5, needed=True),
    ]
    assert surplus(found) == ["a0"]
    assert surplus(found, each_max=0) == ["a0", "a1", "b0", "c0"]
    assert surplus(found, each_max=-1) == []
    assert surplus(found, all_max=1) == ["a0", "a1", "c0"]
    assert surplus(found, all_max=0) == ["a0", "a1", "b0", "c0"]
    assert surplus(found, each_max=0, ttl_s=97.5) == ["a0", "a1"]


def listed(key: str, size: int = 10, containers_: int = 0, tag: str = "docker.io/library/x:1") -> dict[str, Any]:
    return {"Id": key, "Size": size, "Containers": containers_, "RepoTags": [tag]}


def test_images_go_by_their_last_use_never_those_in_use_or_pinned() -> None:
    first = images.detect(
        [listed("old"), listed("run", containers_=1), listed("mine", tag="localhost/mine:1")],
        frozenset(),
        {},
        1050.0,
        first=True,
    )
    known = images.detect(
        [listed("old"), listed("run"), listed("mine", tag="localhost/mine:1"), listed("new"), listed("seen")],
        frozenset({"seen"}),
        first,
        1100.0,
        first=False,
    )
    assert known["seen"].in_use and known["mine"].pinned
    assert [one.id for one in images.removable(known.values(), 1110.0, 120.0)] == ["old", "run"]
    assert [one.id for one in images.removable(known.values(), 1220.0, 120.0)] == ["old", "new", "run"]


def test_images_that_nobody_used_for_too_long() -> None:
    known = images.detect([listed("a"), listed("b")], frozenset({"b"}), {}, 100.0, first=True)
    known = images.detect([listed("a"), listed("b")], frozenset(), known, 200.0, first=False)
    assert images.too_old(known.values(), 200.0, 0.0, 0.0) == []
    assert [one.id for one in images.too_old(known.values(), 200.0, 150.0, 0.0)] == ["a"]
    assert images.too_old(known.values(), 200.0, 150.0, 60.0) == []
    assert [one.id for one in images.too_old(known.values(), 260.0, 150.0, 60.0)] == ["a", "b"]


def test_how_much_must_go() -> None:
    assert images.to_free_bytes(100, 16, 85, 80) == 0
    assert images.to_free_bytes(100, 15, 85, 80) == 5
    assert images.to_free_bytes(100, 0, 85, 80) == 20
    assert images.to_free_bytes(0, 0, 85, 80) == 0
    assert images.insufficient(100 * GIB, 10 * GIB, 5).startswith(
        "Insufficient free disk space on the node's image filesystem (90% of 100.0 GiB used). "
        "Failed to free sufficient space by deleting unused images (freed 5 bytes)."
    )
