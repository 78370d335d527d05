"""When a cache may be trusted again after a write."""

from __future__ import annotations

from typing import Any

from picluster.api.resources import PODS
from picluster.client import Client, ClientConfig, Informer
from picluster.controllers.shared.expectations import EXPIRES_S, UNSURE_S, Expectations
from picluster.util.clock import VirtualClock


def pod(name: str, revision: int, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": str(revision),
            **metadata,
        }
    }


class Cache(Informer):
    """An informer fed by hand."""

    def __init__(self) -> None:
        super().__init__(Client(ClientConfig("http://127.0.0.1:1")), PODS)

    def see(self, obj: dict[str, Any], *, deleted: bool = False) -> None:
        key = f"default/{obj['metadata']['name']}"
        self._change(key, None if deleted else obj)
        self.resource_version = obj["metadata"]["resourceVersion"]


async def test_nothing_is_waited_for_without_a_write() -> None:
    assert Expectations(Cache(), VirtualClock()).wait_s("a") == 0


async def test_a_creation_is_waited_for_until_the_cache_is_as_new() -> None:
    cache = Cache()
    expectations = Expectations(cache, VirtualClock())
    expectations.wrote("a", pod("x", 7))
    expectations.wrote("a", pod("y", 5))
    assert expectations.wait_s("a") == EXPIRES_S
    cache.see(pod("y", 5))
    assert expectations.wait_s("a") > 0
    assert expectations.wait_s("b") == 0
    cache.see(pod("x", 7))
    assert expectations.wait_s("a") == 0


async def test_a_deletion_is_waited_for_until_the_cache_shows_it_gone_or_going() -> None:
    cache = Cache()
    expectations = Expectations(cache, VirtualClock())
    for name, revision in (("x", 1), ("y", 2), ("z", 3)):
        cache.see(pod(name, revision))
        expectations.deleted("a", pod(name, revision))
    cache.see(pod("x", 4), deleted=True)
    assert expectations.wait_s("a") > 0
    cache.see(pod("y", 5, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert expectations.wait_s("a") > 0
    expectations.undeleted("a", pod("z", 3))
    assert expectations.wait_s("a") == 0


async def test_a_namesake_is_not_what_was_deleted() -> None:
    cache = Cache()
    expectations = Expectations(cache, VirtualClock())
    cache.see(pod("x", 1))
    expectations.deleted("a", pod("x", 1))
    cache.see(pod("x", 2, uid="another"))
    assert expectations.wait_s("a") == 0


async def test_a_lost_answer_is_waited_out() -> None:
    clock = VirtualClock()
    expectations = Expectations(Cache(), clock)
    expectations.unsure("a")
    assert expectations.wait_s("a") == UNSURE_S
    await clock.advance(UNSURE_S)
    assert expectations.wait_s("a") == 0


async def test_nothing_is_waited_for_for_ever() -> None:
    clock = VirtualClock()
    expectations = Expectations(Cache(), clock)
    expectations.wrote("a", pod("x", 7))
    await clock.advance(EXPIRES_S)
    assert expectations.wait_s("a") == 0
