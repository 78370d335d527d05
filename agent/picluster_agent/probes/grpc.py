"""gRPC health checks (``grpc.health.v1.Health/Check``) without a gRPC library: one HTTP/2 request, one DATA frame read.

All that decides is the message ``HealthCheckResponse{status: SERVING}``, two bytes in a DATA frame; so neither header
compression nor flow control is needed. Frames: RFC 9113, section 4; the message: the gRPC health checking protocol.
"""

from __future__ import annotations

import asyncio
import struct
from urllib.parse import unquote

from picluster_agent.probes.state import USER_AGENT, Result, join

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 4, 6, 7, 9
END_STREAM, END_HEADERS, PADDED, PRIORITY, ACK = 1, 4, 8, 32, 1
FRAME_BYTES_MAX = 1 << 20
SERVING = b"\x08\x01"


NOT_IMPLEMENTED = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
UNIMPLEMENTED = "Unimplemented"


class _Answer:
    """What has come of the answer so far."""

    def __init__(self) -> None:
        self.connected = False
        """The server speaks HTTP/2."""
        self.ended = False
        self.data = b""
        self.headers: list[bytes] = []
        """Header blocks, still compressed: they are read only when something went wrong."""

    @property
    def message(self) -> bytes | None:
        length = int.from_bytes(self.data[1:5], "big")
        return self.data[5 : 5 + length] if 5 + length <= len(self.data) else None

    def status(self) -> tuple[str, str]:
        """gRPC's status code by name, and its explanation."""
        import hpack  # 1 MiB, and hardly ever needed

        from picluster_agent.grpc.unary import CODES

        fields: dict[str, str] = {}
        try:
            decoder = hpack.Decoder()
            for block in self.headers:
                fields.update((str(key), str(value)) for key, value in decoder.decode(block))
        except (hpack.HPACKError, UnicodeDecodeError):
            fields.clear()
        number = fields.get("grpc-status", "")
        known = number.isdigit() and int(number) < len(CODES)
        return CODES[int(number)] if known else "Unknown", unquote(fields.get("grpc-message", ""))


async def check(host: str, port: int, service: str, timeout_s: float) -> Result:
    address, answer = join(host, port), _Answer()
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_request(address, service))
                await _read(reader, writer, answer)
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError) as error:
        if not answer.connected:
            reason = f'timeout: failed to connect service "{address}" within {timeout_s:g}s: context deadline exceeded'
            return Result(False, reason)
        if isinstance(error, TimeoutError):
            return Result(False, f"timeout: health rpc did not complete within {timeout_s:g}s")
        desc = "error reading from server: EOF"
        return Result(False, f"error: health rpc probe failed: rpc error: code = Unavailable desc = {desc}")
    return _judge(answer)


def _judge(answer: _Answer) -> Result:
    if answer.message == SERVING:
        return Result(True)
    if answer.message is not None:
        return Result(False, f'service unhealthy (responded with "{_status(answer.message)}")')
    code, explanation = answer.status()
    if code == UNIMPLEMENTED:
        return Result(False, f"{NOT_IMPLEMENTED}: {explanation}")
    return Result(False, f"error: health rpc probe failed: rpc error: code = {code} desc = {explanation}")


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body


def _literal(name: str, value: str) -> bytes:
    """A header field without indexing (RFC 7541, 6.2.2)."""
    return b"\x00" + b"".join(bytes((len(part),)) + part for part in (name.encode(), value.encode()))


def _request(authority: str, service: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": USER_AGENT,
    }
    name = service.encode()
    message = (b"\x0a" + bytes((len(name),)) + name) if name else b""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    headers = b"".join(_literal(*field) for field in fields.items())
    return (
        PREFACE
        + _frame(SETTINGS, 0, 0, b"")
        + _frame(HEADERS, END_HEADERS, 1, headers)
        + _frame(DATA, END_STREAM, 1, body)
    )


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: _Answer) -> None:
    """Until the message is there, or the stream ends without one."""
    while True:
        head = await reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        if length > FRAME_BYTES_MAX:
            return
        body = await reader.readexactly(length)
        if kind == SETTINGS and not flags & ACK:
            answer.connected = True
            writer.write(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            writer.write(_frame(PING, ACK, 0, body))
        elif kind == GOAWAY:
            return
        elif stream == 1 and kind in (HEADERS, CONTINUATION):
            _keep(answer, kind, flags, body)
        elif stream == 1 and kind == DATA:
            answer.data += body
            if len(answer.data) >= 5 and answer.message is not None:
                return
        if stream == 1 and kind in (HEADERS, DATA) and flags & END_STREAM:
            answer.ended = True
        if answer.ended and (kind == DATA or flags & END_HEADERS):
            return


def _keep(answer: _Answer, kind: int, flags: int, body: bytes) -> None:
    """One header block, without padding and priority (RFC 9113, 6.2)."""
    if kind == CONTINUATION:
        answer.headers[-1:] = [(answer.headers or [b""])[-1] + body]
        return
    padding = body[0] if flags & PADDED and body else 0
    start = (1 if flags & PADDED else 0) + (5 if flags & PRIORITY else 0)
    answer.headers.append(body[start : len(body) - padding])


def _status(message: bytes) -> str:
    names = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
    return names.get(message[1] if len(message) > 1 else 0, "UNKNOWN")
