"""Control groups: what is mounted, whose group is whose, what a group uses; both versions as trees of files."""

from __future__ import annotations

from pathlib import Path

from picluster_agent.cgroups import hierarchy, names, usage
from picluster_agent.cgroups.hierarchy import Hierarchy

V1_MOUNTS = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup /other/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""


def write(top: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text + "\n")


def v1(top: Path) -> Hierarchy:
    return Hierarchy(1, {name: top / name for name in ("cpu", "cpuacct", "memory", "pids")})


def v2(top: Path) -> Hierarchy:
    write(top, {"cgroup.controllers": "cpuset cpu io memory pids"})
    found = hierarchy.unified_at(top)
    assert found is not None
    return found


def test_separately_mounted_controllers_are_version_1_also_beside_an_empty_version_2_tree() -> None:
    found = hierarchy.find(V1_MOUNTS)
    assert found is not None and found.version == 1
    assert found.trees["cpu"] == found.trees["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert found.directory("memory", "kubepods") == Path("/sys/fs/cgroup/memory/kubepods")
    assert found.directory("hugetlb", "kubepods") is None
    assert len(found.directories("kubepods")) == 3


def test_a_tree_without_processors_or_memory_holds_no_pods(tmp_path: Path) -> None:
    assert hierarchy.find("tmpfs /sys/fs/cgroup tmpfs rw 0 0\n") is None
    write(tmp_path, {"cgroup.controllers": "hugetlb"})
    assert hierarchy.unified_at(tmp_path) is None
    assert hierarchy.unified_at(tmp_path / "nothing") is None


def test_pods_have_their_class_group_and_are_found_whatever_it_was(tmp_path: Path) -> None:
    tree = v2(tmp_path)
    assert names.of_pod("u1", "Guaranteed") == "kubepods/podu1"
    assert names.of_pod("u1", "Burstable") == "kubepods/burstable/podu1"
    assert names.find_pod(tree, "u1") is None
    (tmp_path / "kubepods/besteffort/podu1/libpod-c1").mkdir(parents=True)
    assert names.find_pod(tree, "u1") == "kubepods/besteffort/podu1"
    assert names.of_container(tree, "kubepods/besteffort/podu1", "c1") == "kubepods/besteffort/podu1/libpod-c1"
    assert names.of_container(tree, "kubepods/besteffort/podu1", "c2") is None
    (tmp_path / "machine.slice/libpod-c2.scope").mkdir(parents=True)
    assert names.of_container(tree, None, "c2") == "machine.slice/libpod-c2.scope"


def test_usage_of_version_2(tmp_path: Path) -> None:
    tree = v2(tmp_path)
    write(
        tmp_path / "kubepods/podu1",
        {
            "cpu.stat": "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 7\nnr_throttled 2\nthrottled_usec 9",
            "memory.stat": "anon 4096\nfile 8192\nfile_mapped 1\ninactive_file 5000\npgfault 11\npgmajfault 3",
            "memory.current": "20000",
            "memory.swap.current": "77",
            "memory.events": "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1",
            "memory.max": "1048576",
            "pids.current": "5",
        },
    )
    used = usage.of_pod(tree, "u1")
    assert used is not None
    assert (used.cpu_ns, used.cpu_user_ns, used.cpu_system_ns) == (1_500_000, 1_000_000, 500_000)
    assert (used.periods, used.throttled_periods, used.throttled_ns) == (7, 2, 9000)
    assert (used.memory_bytes, used.working_set_bytes, used.rss_bytes, used.swap_bytes) == (20000, 15000, 4096, 77)
    assert (used.page_faults, used.major_page_faults, used.failures, used.oom_kills) == (11, 3, 4, 1)
    assert used.processes == 5
    assert usage.limit_bytes(tree, "kubepods/podu1") == 1048576
    write(tmp_path / "kubepods/podu1", {"memory.max": "max"})
    assert usage.limit_bytes(tree, "kubepods/podu1") == 0
    assert usage.read(tree, "kubepods/podu2") is None


def test_usage_of_version_1_counts_what_is_below(tmp_path: Path) -> None:
    tree = v1(tmp_path)
    group = "kubepods/burstable/podu1"
    write(
        tmp_path,
        {
            f"cpuacct/{group}/cpuacct.usage": "46630254",
            f"cpuacct/{group}/cpuacct.stat": "user 2\nsystem 1",
            f"cpu/{group}/cpu.stat": "nr_periods 3\nnr_throttled 1\nthrottled_time 12",
            f"memory/{group}/memory.usage_in_bytes": "9000",
            f"memory/{group}/memory.limit_in_bytes": "9223372036854771712",
            f"memory/{group}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
            f"memory/{group}/memory.stat": "rss 1\ninactive_file 1\ntotal_rss 700\ntotal_inactive_file 4000\n"
            "total_pgfault 6\ntotal_pgmajfault 5\ntotal_cache 8000\ntotal_mapped_file 10",
            f"pids/{group}/pids.current": "2",
        },
    )
    used = usage.of_pod(tree, "u1")
    assert used is not None
    assert (used.cpu_ns, used.cpu_user_ns, used.throttled_ns) == (46630254, 20_000_000, 12)
    assert (used.working_set_bytes, used.rss_bytes, used.page_faults, used.oom_kills) == (5000, 700, 6, 2)
    assert usage.limit_bytes(tree, group) == 0


def test_a_pod_without_a_group_uses_what_its_containers_use(tmp_path: Path) -> None:
    tree = v2(tmp_path)
    for name, used_bytes in (("c1", 100), ("c2", 20)):
        files = {"cpu.stat": "usage_usec 2", "memory.stat": "anon 1", "memory.current": str(used_bytes)}
        write(tmp_path / f"libpod_parent/libpod-{name}", files)
    used = usage.of_pod(tree, "u1", ["c1", "c2", "gone"])
    assert used is not None and (used.memory_bytes, used.cpu_ns, used.rss_bytes) == (120, 4000, 2)
    assert usage.of_pod(tree, "u1", ["gone"]) is None
