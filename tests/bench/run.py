"""Benchmarks against a real server process over loopback TLS: a table on standard error, JSON on standard output.

``python tests/bench/run.py [--only NAME ...]``; every measure has a server of its own, from nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
START_TIMEOUT_S = 30.0
LOAD_TIMEOUT_S = 400.0
LIKE_A_BOARD = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && mkdir /run/lock && exec "$@"', "sh")
"""With a ``/run`` in memory, as a booted board has one."""
PODS_MANY = 8000
WATCHERS_MANY = 500
BYTECODE = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""A server has its bytecode, as an installed one has: the first of a run compiles it, into a directory of the run."""


class Result(NamedTuple):
    name: str
    value: float
    unit: str
    bar: str
    met: bool | None
    detail: dict[str, Any]


class Server:
    """``picluster server`` with the API server's role only, in ``data_dir``."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = 0
        self.start_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait for ``/readyz``; ``start_s`` is how long that took."""
        begin = time.perf_counter()
        words = ["server", "--data-dir", str(self.data_dir), "--role", "apiserver", "--port", str(self.port)]
        command = [str(Path(sys.executable).with_name("picluster")), *words, "--log-level", "warning"]
        self._process = subprocess.Popen(command, env=BYTECODE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        line = self._process.stderr.readline().decode()
        if not line.startswith("ready"):
            raise RuntimeError(f"the server did not start: {line}{self._process.stderr.read().decode()}")
        self.port = int(line.split(";")[0].rpartition(":")[2])
        while not self._ready():
            if time.perf_counter() - begin > START_TIMEOUT_S:
                raise RuntimeError("the server is not ready")
            time.sleep(0.005)
        self.start_s = time.perf_counter() - begin

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate(timeout=10)
            self._process = None

    def rss_mib(self) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no VmRSS")

    def cpu_s(self) -> float:
        """What the process has used of the CPU: a measure that other work on the machine hardly disturbs."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def load(self, scenario: str, argument: int) -> dict[str, Any]:
        words = [scenario, str(self.data_dir), str(self.port), str(argument)]
        return run_script("load.py", *words)

    def _ready(self) -> bool:
        tls = ssl.create_default_context(cafile=str(self.data_dir / "pki" / "ca.crt"))
        tls.load_cert_chain(self.data_dir / "pki" / "admin.crt", self.data_dir / "pki" / "admin.key")
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{self.port}/readyz", context=tls, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def run_script(script: str, *words: str, within: tuple[str, ...] = ()) -> dict[str, Any]:
    """What ``script`` prints; ``within`` is a command that runs the one it is followed by."""
    command = [*within, sys.executable, str(HERE / script), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=LOAD_TIMEOUT_S, check=True)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


@contextlib.contextmanager
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="picluster-bench-") as directory:
        running = Server(Path(directory) / "data")
        running.start()
        try:
            yield running
        finally:
            running.stop()


def rate(scenario: str, connections: int, bar: int | None) -> Callable[[], list[Result]]:
    def measure() -> list[Result]:
        with server() as running:
            before_s = running.cpu_s()
            detail = running.load(scenario, connections)
            detail["server_cpu_us"] = round((running.cpu_s() - before_s) / detail["requests"] * 1e6, 1)
        per_s = detail["per_s"]
        met = per_s >= bar if bar is not None else None
        return [Result(f"{scenario}-{connections}", per_s, "/s", f">= {bar}" if bar else "", met, detail)]

    return measure


def list_2000() -> list[Result]:
    with server() as running:
        detail = running.load("list", 2000)
    return [at_most("list-2000 p50", detail["p50_ms"], "ms", 12, detail)]


def at_most(name: str, value: float, unit: str, bar: float, detail: dict[str, Any] | None = None) -> Result:
    return Result(name, value, unit, f"<= {bar:g}", value <= bar, detail or {})


def watch(watchers: int, bar_ms: float) -> Callable[[], list[Result]]:
    def measure() -> list[Result]:
        with server() as running:
            detail = running.load("watch", watchers)
        return [at_most(f"watch-{watchers} p50 to the last", detail["last"]["p50_ms"], "ms", bar_ms, detail)]

    return measure


def fan_out() -> list[Result]:
    with server() as running:
        detail = running.load("fan-out", WATCHERS_MANY)
    results = [at_most(f"fan-out to {WATCHERS_MANY}, p99", detail["p99_ms"], "ms", 100, detail)]
    return [*results, at_most(f"fan-out to {WATCHERS_MANY}, events missing", detail["missing"], "", 0)]


def start_and_memory() -> list[Result]:
    with server():
        pass  # compiled now, and in the page cache
    with server() as running:
        empty_s, idle = running.start_s, running.rss_mib()
        running.load("seed", PODS_MANY)
        written = running.rss_mib()
        running.stop()
        running.start()
        full_s, full = running.start_s, running.rss_mib()
    return [
        at_most("start, empty", round(empty_s, 3), "s", 1),
        at_most(f"start, {PODS_MANY} pods", round(full_s, 3), "s", 1),
        at_most("memory, idle", round(idle, 1), "MiB", 70),
        at_most(f"memory, {PODS_MANY} pods written", round(written, 1), "MiB", 130),
        at_most(f"memory, {PODS_MANY} pods after a restart", round(full, 1), "MiB", 130),
    ]


def storage(writers: int, bar: int | None) -> Callable[[], list[Result]]:
    def measure() -> list[Result]:
        with tempfile.TemporaryDirectory(prefix="picluster-bench-") as directory:
            detail = run_script("storage.py", directory, str(writers))
        met = detail["per_s"] >= bar if bar is not None else None
        return [Result(f"storage-{writers}", detail["per_s"], "/s", f">= {bar}" if bar else "", met, detail)]

    return measure


def scheduler() -> list[Result]:
    """Deciding alone, by the class way and by the naive one, on a large cluster and on a rack."""
    results = []
    for nodes, templates, pods, naive in ((5000, 500, 15_000, 20), (50, 500, 1000, 200)):
        detail = run_script("scheduler.py", *map(str, (nodes, templates, pods, naive)))
        for way in ("cold", "apart", "mixed", "naive"):
            name = f"scheduler, {nodes} nodes, {way}"
            results.append(Result(name, detail[way]["per_s"], "/s", "", None, {**detail[way], "templates": templates}))
    return results


def agent(scenario: str, count: int) -> dict[str, Any]:
    return run_script("agent.py", scenario, str(count), within=LIKE_A_BOARD)


def agent_ready() -> list[Result]:
    detail = agent("ready", 40)
    return [
        at_most("agent, bound to Ready, p50", round(detail["p50_ms"] / 1e3, 3), "s", 0.6, detail),
        at_most("agent, bound to Ready, p99", round(detail["p99_ms"] / 1e3, 3), "s", 1.2),
        at_most("agent, 30 pods at once, all Ready", agent("burst", 30)["all_s"], "s", 15),
    ]


def agent_idle() -> list[Result]:
    few, detail = agent("idle", 10), agent("idle", 30)
    return [
        at_most("agent, memory with 10 pods", few["rss_mib"], "MiB", 60),
        at_most("agent, CPU with 30 idle probed pods", detail["cpu_percent"], "%", 3, detail),
        at_most("agent, written to disk in an idle hour", detail["written_mib_per_hour"], "MiB", 1),
    ]


def agent_many() -> list[Result]:
    detail = agent("many", 100)
    return [
        at_most("agent, memory with 100 pods", detail["rss_mib"], "MiB", 90, detail),
        at_most("agent, a killed container of 100 Ready again", detail["restarted_s"], "s", 3),
    ]


MEASURES: dict[str, Callable[[], list[Result]]] = {
    "storage-1": storage(1, None),
    "storage-8": storage(8, None),
    "storage-32": storage(32, 25_000),
    "create-1": rate("create", 1, 1200),
    "create-8": rate("create", 8, 3500),
    "create-32": rate("create", 32, 5000),
    "create-apart-32": rate("create-apart", 32, None),
    "get-1": rate("get", 1, 3500),
    "get-8": rate("get", 8, 9000),
    "list-2000": list_2000,
    "watch-1": watch(1, 1.5),
    "watch-50": watch(50, 2.5),
    "fan-out": fan_out,
    "start": start_and_memory,
    "scheduler": scheduler,
    "agent-ready": agent_ready,
    "agent-idle": agent_idle,
    "agent-many": agent_many,
}


def best_of(runs: list[list[Result]]) -> list[Result]:
    """Of each measure the best run: the highest rate, the shortest time, the least memory."""
    return [
        max(same, key=lambda result: result.value if result.unit == "/s" else -result.value)
        for same in zip(*runs, strict=True)
    ]


def row(result: Result) -> str:
    detail = result.detail
    tail = "/".join(str(detail[key]) for key in ("p50_ms", "p99_ms", "max_ms") if key in detail)
    if "server_cpu_us" in detail:
        tail += f"  {detail['server_cpu_us']} us of server CPU each"
    mark = {True: "ok", False: "MISSED", None: ""}[result.met]
    return f"{result.name:<40} {result.value:>10} {result.unit:<4} {result.bar:<9} {tail} {mark}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=MEASURES, help="measure only this; repeat for more")
    parser.add_argument("--best-of", type=int, default=1, help="measure so often and keep the best, on a busy machine")
    arguments = parser.parse_args()
    chosen = arguments.only or list(MEASURES)
    results: list[Result] = []
    print(f"{'measure':<40} {'value':>10} {'unit':<4} {'bar':<9} latency ms p50/p99/max", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="picluster-bench-") as directory:
        BYTECODE["PYTHONPYCACHEPREFIX"] = directory
        for name in chosen:
            for result in best_of([MEASURES[name]() for _ in range(arguments.best_of)]):
                results.append(result)
                print(row(result), file=sys.stderr)
    machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({**machine, "results": [result._asdict() for result in results]}, indent=1))
    return 1 if any(result.met is False for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
