"""Asking the Service all the time, from a board that survives: the application as its users see it.

The program that asks runs on the board with nothing but Python's standard library, sends at a fixed rate without
waiting for answers (an unanswered probe must not hide the ones behind it), opens a new connection each time, and
prints one JSON line per probe. Its clock is mapped onto ours once, by the first line.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import threading
from collections.abc import Callable

from picluster.drills.model import Sample
from picluster.rack import Host
from picluster.util.clock import Clock

INTERVAL_S = 0.05
TIMEOUT_S = 1.0
START_TIMEOUT_S = 15.0

PROGRAM = """
import asyncio, json, sys, time
host, port, interval, limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
def say(**line):
    print(json.dumps(line), flush=True)
async def ask():
    start, writer = time.monotonic(), None
    try:
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.0\\r\\nHost: drill\\r\\nUser-Agent: picluster-drill\\r\\n\\r\\n")
            ok = (await reader.readline()).split()[1:2] == [b"200"]
    except (OSError, asyncio.TimeoutError):
        ok = False
    finally:
        if writer is not None:
            writer.close()
    say(sent=start, took=time.monotonic() - start, ok=ok)
async def main():
    say(now=time.monotonic())
    asyncio.get_running_loop().run_in_executor(None, lambda: (sys.stdin.read(), loop_over.set()))
    due, running = time.monotonic(), set()
    while not loop_over.is_set():
        task = asyncio.ensure_future(ask())
        running.add(task)
        task.add_done_callback(running.discard)
        due += interval
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await asyncio.gather(*running)
import threading
loop_over = threading.Event()
asyncio.run(main())
"""


class ProbeError(Exception):
    """The probe could not be started on its board; the message says where and why."""


class Prober:
    """Runs the program on ``host`` against ``address:port`` and calls ``on_sample`` for each, on the event loop."""

    def __init__(self, host: Host, address: str, port: int, clock: Clock, on_sample: Callable[[Sample], None]) -> None:
        self._host = host
        self._clock = clock
        self._on_sample = on_sample
        arguments = [PROGRAM, address, str(port), str(INTERVAL_S), str(TIMEOUT_S)]
        self._command = "exec python3 -c " + " ".join(shlex.quote(argument) for argument in arguments)
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._offset_s = 0.0
        self._ended = asyncio.Event()
        self._ended.set()
        self._stop = threading.Event()

    async def start(self) -> None:
        """Return when the first line has come from the board."""
        self._ended.clear()
        threading.Thread(target=self._read, name="drill-probe", daemon=True).start()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._started
        except TimeoutError:
            raise ProbeError(f"the probe on {self._host.name} said nothing for {START_TIMEOUT_S:.0f} s") from None

    async def close(self) -> None:
        """Stop sending, and wait (bounded) for the answers that are under way; safe without ``start``."""
        self._stop.set()
        try:
            async with asyncio.timeout(2 * TIMEOUT_S + 5):
                await self._ended.wait()
        except TimeoutError:
            return

    def _read(self) -> None:
        """In a thread of its own: paramiko's channels block."""
        try:
            with self._host.connect() as connection:
                connection.open()
                stdin, stdout, stderr = connection.client.exec_command(self._command)
                threading.Thread(target=self._close_on_stop, args=(stdin.channel,), daemon=True).start()
                for line in stdout:
                    self._loop.call_soon_threadsafe(self._take, json.loads(line), self._clock.monotonic())
                failure = stderr.read().decode(errors="replace").strip()
            self._loop.call_soon_threadsafe(self._end, failure)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._end, f"{type(error).__name__}: {error}")

    def _close_on_stop(self, channel: object) -> None:
        self._stop.wait()
        channel.shutdown_write()  # type: ignore[attr-defined]

    def _take(self, line: dict[str, float | bool], received_s: float) -> None:
        if "now" in line:
            self._offset_s = received_s - float(line["now"])
            if not self._started.done():
                self._started.set_result(None)
            return
        self._on_sample(Sample(float(line["sent"]) + self._offset_s, float(line["took"]), bool(line["ok"])))

    def _end(self, failure: str) -> None:
        if not self._started.done():
            self._started.set_exception(ProbeError(f"the probe on {self._host.name} did not start: {failure}"))
        self._ended.set()
