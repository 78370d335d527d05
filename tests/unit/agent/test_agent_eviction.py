"""When something runs out: thresholds in virtual time, who goes first, what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picluster_agent.config import Config, Serving
from picluster_agent.eviction import localstorage, observe, texts
from picluster_agent.eviction.ranking import ranked
from picluster_agent.eviction.thresholds import (
    ALLOCATABLE_MEMORY,
    Observation,
    State,
    Threshold,
    crossed,
    foremost,
    of_config,
    step,
)
from picluster_agent.eviction.usage import DiskUse, PodUse

MIB = 1024**2
GIB = 1024**3
SERVING = Serving(Path("/c"), Path("/k"), Path("/ca"))


def config(**settings: Any) -> Config:
    return Config("pi-1", "10.0.0.1", Path("/kubeconfig"), SERVING, **settings)


def memory(available_mib: int) -> dict[str, Observation]:
    return {"memory.available": Observation(available_mib * MIB, GIB)}


HARD = Threshold("memory.available", "100Mi", reclaim="50Mi")
SOFT = Threshold("memory.available", "20%", grace_s=30.0)


def test_thresholds_of_the_settings() -> None:
    found = of_config(
        config(
            eviction_hard={"memory.available": "100Mi", "nodefs.available": "10%", "containerfs.available": "1%"},
            eviction_soft={"nodefs.available": "20%"},
            eviction_soft_grace_period={"nodefs.available": "1m30s"},
            eviction_minimum_reclaim={"nodefs.available": "1Gi"},
        ),
        split=False,
    )
    assert {(one.signal, one.amount, one.grace_s, one.reclaim) for one in found} == {
        ("memory.available", "100Mi", 0.0, "0"),
        (ALLOCATABLE_MEMORY, "100Mi", 0.0, "0"),
        ("nodefs.available", "10%", 0.0, "1Gi"),
        ("containerfs.available", "10%", 0.0, "1Gi"),
        ("nodefs.available", "20%", 90.0, "1Gi"),
        ("containerfs.available", "20%", 90.0, "1Gi"),
    }
    defaults = {one.signal for one in of_config(config(), split=True)}
    assert {"imagefs.available", "containerfs.available", "pid.available", ALLOCATABLE_MEMORY} <= defaults


def test_a_threshold_is_crossed_below_its_amount() -> None:
    assert crossed([HARD], memory(100)) == ()
    assert crossed([HARD], memory(99)) == (HARD,)
    assert crossed([HARD], memory(149), with_reclaim=True) == (HARD,)
    assert crossed([SOFT], memory(204)) == (SOFT,)
    assert crossed([SOFT], memory(205)) == ()
    assert crossed([HARD], {}) == ()


def test_a_hard_threshold_stays_until_its_reclaim_is_there_and_the_condition_for_its_time() -> None:
    state = step(State(), [HARD], memory(99), 0.0, 300.0)
    assert state.met == (HARD,) and state.pressures == ("MemoryPressure",)
    state = step(state, [HARD], memory(120), 10.0, 300.0)
    assert state.met == (HARD,)
    state = step(state, [HARD], memory(150), 20.0, 300.0)
    assert state.met == () and state.pressures == ("MemoryPressure",)
    assert step(state, [HARD], memory(150), 309.0, 300.0).pressures == ("MemoryPressure",)
    assert step(state, [HARD], memory(150), 310.0, 300.0).pressures == ()


def test_a_soft_threshold_counts_after_its_grace_which_begins_anew() -> None:
    state = step(State(), [SOFT], memory(150), 0.0, 0.0)
    assert state.met == () and state.pressures == ("MemoryPressure",)
    assert step(state, [SOFT], memory(150), 29.9, 0.0).met == ()
    assert step(state, [SOFT], memory(150), 30.0, 0.0).met == (SOFT,)
    relieved = step(state, [SOFT], memory(500), 20.0, 0.0)
    assert relieved.pressures == ()
    again = step(relieved, [SOFT], memory(150), 25.0, 0.0)
    assert step(again, [SOFT], memory(150), 54.0, 0.0).met == ()


def test_memory_comes_first() -> None:
    disk = Threshold("nodefs.available", "10%")
    assert foremost([disk, HARD]) is HARD
    assert foremost([disk]) is disk
    assert foremost([]) is None


def pod(name: str, request: str = "", priority: int = 0, resource: str = "memory", **spec: Any) -> dict[str, Any]:
    requests = {resource: request} if request else {}
    container = {"name": "c", "resources": {"requests": requests}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], "priority": priority, **spec}}


def names(uses: list[PodUse]) -> list[str]:
    return [use.pod["metadata"]["name"] for use in uses]


def test_who_exceeds_its_request_goes_first_then_low_priority_then_the_largest() -> None:
    uses = [
        PodUse(pod("within", "100Mi", -5), 90 * MIB),
        PodUse(pod("important", "10Mi", 10), 500 * MIB),
        PodUse(pod("above", "200Mi"), 230 * MIB),
        PodUse(pod("far-above", "10Mi"), 60 * MIB),
        PodUse(pod("exactly", "60Mi"), 60 * MIB),
    ]
    for signal in ("memory.available", ALLOCATABLE_MEMORY):
        assert names(ranked(uses, signal, split=False)) == ["far-above", "above", "important", "within", "exactly"]


def test_processes_rank_by_priority_and_number() -> None:
    uses = [PodUse(pod("a"), processes=5), PodUse(pod("b"), processes=50), PodUse(pod("c", priority=-1), processes=1)]
    assert names(ranked(uses, "pid.available", split=False)) == ["c", "b", "a"]


def test_each_file_system_has_its_own_eaters() -> None:
    writer = PodUse(pod("writer"), disk=DiskUse(roots={"c": (100, 1)}))
    logger = PodUse(pod("logger"), disk=DiskUse(logs={"c": (50, 10)}))
    keeper = PodUse(pod("keeper", "1Ki", resource="ephemeral-storage"), disk=DiskUse(volumes={"v": (900, 2)}))
    uses = [keeper, logger, writer]
    assert names(ranked(uses, "nodefs.available", split=False)) == ["writer", "logger", "keeper"]
    assert names(ranked(uses, "nodefs.available", split=True))[0] == "logger"
    assert names(ranked(uses, "imagefs.available", split=True))[0] == "writer"
    assert names(ranked(uses, "nodefs.inodesFree", split=False))[0] == "logger"


def test_what_an_evicted_pod_is_told() -> None:
    use = PodUse(pod("web", "10Mi"), 60 * MIB, {"c": 60 * MIB})
    assert texts.evicted("memory", use, (HARD,), memory(50)) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c was using 60Mi, request is 10Mi, has larger consumption of memory. "
    )
    disk = DiskUse(roots={"c": (3072, 1)}, logs={"c": (1024, 1)})
    share = Threshold("nodefs.available", "10%")
    seen = {"nodefs.available": Observation(5 * MIB, 100 * MIB)}
    assert texts.evicted("ephemeral-storage", PodUse(pod("web"), disk=disk), (share,), seen) == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Mi, available: 5Mi. "
        "Container c was using 4Ki, request is 0, has larger consumption of ephemeral-storage. "
    )
    whole = pod("web", resources={"requests": {"memory": "20Mi"}})
    assert "Pod web was using 60Mi, request is 20Mi, has" in texts.evicted("memory", PodUse(whole, 60 * MIB), (), {})


def limited(limit: str | None, size: str | None = None) -> dict[str, Any]:
    container = {"name": "c", "resources": {"limits": {"ephemeral-storage": limit} if limit else {}}}
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": size} if size else {}}, {"name": "s", "secret": {}}]
    return {"containers": [container], "volumes": volumes}


@pytest.mark.parametrize(
    ("spec", "disk", "expected"),
    [
        (limited(None), DiskUse(volumes={"v": (999, 1)}), ("", "")),
        (limited(None, "1Ki"), DiskUse(volumes={"v": (1024, 1)}), ("", "")),
        (
            limited(None, "1Ki"),
            DiskUse(volumes={"v": (1025, 1)}),
            ("emptydirfs.limit", 'Usage of EmptyDir volume "v" exceeds the limit "1Ki". '),
        ),
        (
            limited("2Ki"),
            DiskUse(volumes={"v": (2000, 1)}, logs={"c": (49, 1)}),
            (
                "ephemeralpodfs.limit",
                "Pod ephemeral local storage usage exceeds the total limit of containers 2Ki. ",
            ),
        ),
        (
            {"containers": [*limited("2Ki")["containers"], {**limited("4Ki")["containers"][0], "name": "d"}]},
            DiskUse(roots={"c": (2000, 1)}, logs={"c": (49, 1)}),
            ("ephemeralcontainerfs.limit", 'Container c exceeded its local ephemeral storage limit "2Ki". '),
        ),
        (limited("2Ki"), DiskUse(roots={"c": (2000, 1)}, logs={"c": (48, 1)}), ("", "")),
    ],
)
def test_who_has_too_much_on_the_disk(spec: dict[str, Any], disk: DiskUse, expected: tuple[str, str]) -> None:
    assert localstorage.exceeded(spec, disk, split=False) == expected


def test_only_limited_pods_are_measured() -> None:
    assert not localstorage.limited(limited(None))
    assert localstorage.limited(limited("1Ki")) and localstorage.limited(limited(None, "1Ki"))


def test_what_is_left_of_memory_and_processes(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 100 kB\nInactive(file): 50 kB\nInactive: 500 kB\n")
    (tmp_path / "loadavg").write_text("0.1 0.1 0.1 2/300 4000\n")
    (tmp_path / "sys/kernel/pid_max").write_text("4000\n")
    (tmp_path / "sys/kernel/threads-max").write_text("1000\n")
    assert observe.memory(None, tmp_path) == Observation(150 * 1024, 1000 * 1024)
    assert observe.processes(tmp_path) == Observation(700, 1000)
