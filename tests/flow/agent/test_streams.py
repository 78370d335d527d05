"""``kubectl exec``, ``cp``, ``attach``, ``port-forward`` and ``logs`` against pods on a real node."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agent_node import IMAGE
from kubectls import kubectls

from picluster.api.meta import condition_is

pytestmark = [pytest.mark.lab]

WAYS = {
    "default": {},
    "spdy": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"},
}
CLIENTS = [
    pytest.param(program, way, id=f"{program.name}-{way}")
    for program in kubectls()
    for way in (["spdy"] if program == kubectls()[0] else WAYS)
]
DEFAULTS = [pytest.param(program, "default", id=program.name) for program in kubectls()]
"""The same as each speaks by itself, where the way does not matter."""
WAIT_S = 15.0


class Kubectl:
    """One kubectl, made to speak one way, against the node's API server."""

    def __init__(self, node: Any, program: Path, way: str) -> None:
        self._prefix = [str(program), f"--kubeconfig={node.server.kubeconfig}"]
        self._environment = {**os.environ, "HOME": str(node.root), **WAYS[way]}

    async def start(self, *words: str, **options: Any) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        streams = {"stdin": pipe, "stdout": pipe, "stderr": pipe, **options}
        return await asyncio.create_subprocess_exec(*self._prefix, *words, env=self._environment, **streams)

    async def run(self, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        process = await self.start(*words)
        async with asyncio.timeout(WAIT_S):
            output, error = await process.communicate(stdin)
        assert process.returncode is not None
        return process.returncode, output.decode(), error.decode()


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


async def read_until(reader: Any, wanted: bytes) -> bytes:
    got = b""
    async with asyncio.timeout(WAIT_S):
        while wanted not in got:
            data = await reader(4096)
            assert data, got
            got += data
    return got


@pytest.mark.parametrize(("program", "way"), CLIENTS)
async def test_commands(shared_node: Any, make_pod: Any, box: Any, program: Path, way: str, tmp_path: Path) -> None:
    kubectl = Kubectl(shared_node, program, way)
    await shared_node.run(make_pod("web", box("web", "sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done")))
    await shared_node.when("web", ready)
    assert await kubectl.run("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 42") == (
        42, "out\n", "err\ncommand terminated with exit code 42\n"
    )  # fmt: skip
    big = os.urandom(600_000)
    process = await kubectl.start("exec", "-i", "web", "--", "cat")
    async with asyncio.timeout(WAIT_S):
        assert (await process.communicate(big))[0] == big
    code, _, error = await kubectl.run("exec", "web", "--", "nothing")
    assert code == 127 and "executable file not found in $PATH" in error
    code, _, error = await kubectl.run("exec", "web", "-c", "none", "--", "true")
    assert code == 1 and "container none is not valid for pod web" in error
    (tmp_path / "up").write_bytes(big)
    assert (await kubectl.run("cp", str(tmp_path / "up"), "web:/tmp-up"))[0] == 0
    assert (await kubectl.run("cp", "web:/tmp-up", str(tmp_path / "down")))[0] == 0
    assert (tmp_path / "down").read_bytes() == big


@pytest.mark.parametrize(("program", "way"), DEFAULTS)
async def test_a_terminal(shared_node: Any, make_pod: Any, box: Any, program: Path, way: str) -> None:
    kubectl = Kubectl(shared_node, program, way)
    await shared_node.run(make_pod("web", box(env=[{"name": "OWN", "value": "kept"}])))
    await shared_node.when("web", ready)
    ours, theirs = pty.openpty()
    resize(ours, 101, 41)
    try:
        process = await kubectl.start(
            "exec", "-it", "web", "--", "sh", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        await asyncio.to_thread(type_and_see, ours, b"stty size\n", b"41 101")
        resize(ours, 77, 33)
        process.send_signal(signal.SIGWINCH)
        await asyncio.to_thread(type_and_see, ours, sized(77, 33), b"size-42")
        await asyncio.to_thread(type_and_see, ours, b"echo $TERM-$OWN-$((6*7)); exit 3\n", b"xterm-kept-42")
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 3
    finally:
        os.close(ours)


def resize(terminal: int, width: int, height: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def sized(width: int, height: int) -> bytes:
    """What waits for the terminal to have a size, and says so."""
    return b'until [ "$(stty size)" = "%d %d" ]; do sleep 0.1; done; echo size-$((6*7))\n' % (height, width)


def type_and_see(terminal: int, typed: bytes, wanted: bytes) -> None:
    os.write(terminal, typed)
    got = b""
    while wanted not in got:
        assert select.select([terminal], [], [], WAIT_S)[0], got
        got += os.read(terminal, 4096)


@pytest.mark.parametrize(("program", "way"), DEFAULTS)
async def test_attach(shared_node: Any, make_pod: Any, box: Any, program: Path, way: str) -> None:
    """Input goes in, what is said comes out; without stdinOnce the next client may go on, with it the input ends."""
    kubectl = Kubectl(shared_node, program, way)
    script = "while read line; do echo got $line; echo err $line >&2; done; echo over; sleep 0.5; exit 5"
    open_ = box("open", "sh", "-c", script, stdin=True)
    once = box("once", "sh", "-c", script, stdin=True, stdinOnce=True)
    await shared_node.run(make_pod("web", open_, once, restartPolicy="Never"))
    await shared_node.when("web", ready)
    for word in (b"one", b"two"):
        process = await kubectl.start("attach", "-i", "web", "-c", "open")
        process.stdin.write(word + b"\n")
        await read_until(process.stdout.read, b"got " + word)
        await read_until(process.stderr.read, b"err " + word)
        process.kill()
        await process.wait()
    code, output, error = await kubectl.run("attach", "-i", "web", "-c", "once", stdin=b"last\n")
    assert code == 0 and output == "got last\nover\n" and "err last" in error
    pod = await shared_node.when(
        "web", lambda pod: any("terminated" in one["state"] for one in pod["status"]["containerStatuses"])
    )
    ended = {
        one["name"]: one["state"].get("terminated", {}).get("exitCode") for one in pod["status"]["containerStatuses"]
    }
    assert ended == {"open": None, "once": 5}
    code, _, error = await kubectl.run("attach", "web", "-c", "once")
    assert code == 1 and 'container not found ("once")' in error


@pytest.mark.parametrize(("program", "way"), DEFAULTS)
async def test_run_with_input(shared_node: Any, program: Path, way: str) -> None:
    """[sig-cli] Kubectl client Simple pod should support inline execution and attach."""
    kubectl = Kubectl(shared_node, program, way)
    overrides = '{"spec": {"nodeName": "test-node", "tolerations": [{"operator": "Exists"}]}}'
    words = ("run", "once", "-i", "--restart=Never", f"--image={IMAGE}", f"--overrides={overrides}", "--")
    script = "while read line; do echo read $line; done; echo stdin closed; exit 7"
    code, output, error = await kubectl.run(*words, "sh", "-c", script, stdin=b"abcd1234\n")
    assert (code, output) == (7, "read abcd1234\nstdin closed\n"), error
    assert (await kubectl.run("logs", "once"))[1] == output
    started = await kubectl.start("logs", "-f", "once", "--timestamps")
    async with asyncio.timeout(WAIT_S):
        lines = (await started.communicate())[0].decode().splitlines()
    assert [line.partition("Z ")[2] for line in lines] == output.splitlines()


@asynccontextmanager
async def forwarded(kubectl: Kubectl, failures: list[str], *ports: str) -> AsyncIterator[list[int]]:
    """The local ports of a port-forward to ``web``; what kubectl says of failures comes at the end."""
    process = await kubectl.start("port-forward", "web", *ports)
    try:
        said = b""
        while said.count(b"127.0.0.1:") < len(ports):
            said += await read_until(process.stdout.read, b"\n")
        yield [int(port) for port in re.findall(rb"127\.0\.0\.1:(\d+)", said)]
    finally:
        process.kill()
        _, error = await process.communicate()
        failures.append(error.decode())


async def talk(port: int, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(said)
        writer.write_eof()
        async with asyncio.timeout(WAIT_S):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(("program", "way"), CLIENTS)
async def test_port_forward(shared_node: Any, make_pod: Any, box: Any, program: Path, way: str) -> None:
    kubectl = Kubectl(shared_node, program, way)
    probe = {"periodSeconds": 1}
    echo = box("echo", "nc", "-ll", "-p", "7", "-e", "cat", readinessProbe={"tcpSocket": {"port": 7}, **probe})
    script = "echo hello > /tmp-index.html; exec httpd -f -p 127.0.0.1:80 -h /"
    listens = {"exec": {"command": ["wget", "-q", "-O", "-", "http://127.0.0.1/tmp-index.html"]}}
    await shared_node.run(make_pod("web", echo, box("web", "sh", "-c", script, readinessProbe={**listens, **probe})))
    await shared_node.when("web", ready)
    failures: list[str] = []
    async with forwarded(kubectl, failures, ":7", ":80", ":81") as (to_echo, to_web, to_nothing):
        said = [os.urandom(100_000) for _ in range(5)]
        assert await asyncio.gather(*(talk(to_echo, one) for one in said)) == said
        assert (await talk(to_web, b"GET /tmp-index.html HTTP/1.0\r\n\r\n")).endswith(b"hello\n")
        assert await talk(to_nothing, b"") == b""
    assert "failed to connect to localhost:81" in failures[0] and "connection refused" in failures[0]
    assert (
        f"error forwarding port 81 to pod web, uid {(await shared_node.get('web'))['metadata']['uid']}" in failures[0]
    )


async def test_logs_are_rotated_and_nothing_is_lost(node: Any, make_pod: Any, box: Any) -> None:
    """All along the follower sees every line; afterwards the files hold the end of the log, and no more of it."""
    node.stop()
    node.settings.update(container_log_max_size="32Ki", container_log_max_files=3, container_log_monitor_interval="1s")
    node.start()
    kubectl = Kubectl(node, kubectls()[0], "spdy")
    script = (
        "i=0; while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); [ $((i%20)) = 0 ] && sleep 0.01; done; sleep 1000"
    )
    await node.run(make_pod("web", box("web", "sh", "-c", script)))
    await node.when("web", ready)
    process = await kubectl.start("logs", "-f", "web")
    got = await read_until(process.stdout.read, b"line 5999\n")
    process.kill()
    await process.communicate()
    assert got == b"".join(b"line %d\n" % number for number in range(6000))
    directory = next(node.root.glob("data/pods/*/logs/web"))

    async def settled() -> list[str]:
        names = sorted(path.name for path in directory.iterdir())
        sizes = {path.name: path.stat().st_size for path in directory.iterdir()}
        return names if len(names) == 3 and sizes["0.log"] < 32 * 1024 else []

    names = await node.eventually(settled, "the last rotation")
    assert names[0] == "0.log" and names[1].endswith(".gz") and not names[2].endswith(".gz")
    code, text, _ = await kubectl.run("logs", "web")
    lines = text.splitlines()
    assert code == 0 and lines == [f"line {number}" for number in range(6000 - len(lines), 6000)]
    assert len(lines) > 1000
    assert (await kubectl.run("logs", "web", "--tail=1000"))[1].splitlines() == lines[-1000:]
    node.podman.podman("kill", (await node.get("web"))["status"]["containerStatuses"][0]["containerID"][9:])
    await node.when("web", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert (await kubectl.run("logs", "web", "--previous"))[1].splitlines() == lines


async def test_what_becomes_of_commands_whose_client_leaves(shared_node: Any, make_pod: Any, box: Any) -> None:
    """A terminal is hung up; input and output end; who minds neither runs on, and nothing is left after it."""
    kubectl = Kubectl(shared_node, kubectls()[-1], "default")
    await shared_node.run(make_pod("web", box("web", "sleep", "1000", tty=True, stdin=True)))
    await shared_node.when("web", ready)
    ours, theirs = pty.openpty()
    try:
        shell = await kubectl.start(
            "exec", "-it", "web", "--", "sh", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        await asyncio.to_thread(type_and_see, ours, b"echo $((40+2))\n", b"42")
        reading = await kubectl.start("exec", "-i", "web", "--", "cat")
        reading.stdin.write(b"here\n")
        await read_until(reading.stdout.read, b"here")
        silent = await kubectl.start(
            "exec", "web", "--", "sh", "-c", "echo go; sleep 4; while echo lost; do sleep 0.2; done"
        )
        await read_until(silent.stdout.read, b"go")
        for process in (shell, reading, silent):
            process.kill()
            await process.wait()
    finally:
        os.close(ours)

    async def commands() -> list[str]:
        shown = shared_node.podman.podman("top", "-l", "hpid", "args").splitlines()[1:]
        return [line for line in shown if "sleep 1000" not in line]

    async def over() -> bool:
        return not await commands()

    assert any("lost" in one for one in await commands())
    await shared_node.eventually(over, "all commands to end")

    async def nothing_left() -> bool:
        held = [str(one.readlink()) for one in Path(f"/proc/{shared_node.process.pid}/fd").iterdir()]
        return not any("ptmx" in one for one in held)

    await shared_node.eventually(nothing_left, "terminals to be closed")


async def test_attach_to_a_terminal_and_forward_to_the_host(shared_node: Any, make_pod: Any, box: Any) -> None:
    kubectl = Kubectl(shared_node, kubectls()[-1], "default")
    await shared_node.run(make_pod("term", box("web", "sh", tty=True, stdin=True), restartPolicy="Never"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        await shared_node.run(make_pod("web", hostNetwork=True))
        await shared_node.when("term", ready)
        await shared_node.when("web", ready)
        async with forwarded(kubectl, [], f":{port}") as (local,):
            talking = asyncio.ensure_future(talk(local, b"hello"))
            accepted, _ = await asyncio.to_thread(server.accept)
            with accepted:
                assert accepted.recv(100) == b"hello"
                accepted.sendall(b"host")
            assert await talking == b"host"
    ours, theirs = pty.openpty()
    resize(ours, 99, 44)
    try:
        process = await kubectl.start(
            "attach", "-it", "term", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        await asyncio.to_thread(type_and_see, ours, sized(99, 44), b"size-42")
        await asyncio.to_thread(type_and_see, ours, b"echo $((6*7)); exit 0\n", b"42")
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0
    finally:
        os.close(ours)
    assert "42" in (await kubectl.run("logs", "term"))[1]
