"""gRPC health checks (``grpc.health.v1.Health/Check``) without a gRPC library: one HTTP/2 request, one DATA frame read.

All that decides is the message ``HealthCheckResponse{status: SERVING}``, two bytes in a DATA frame; so neither header
compression nor flow control is needed. Frames: RFC 9113, section 4; the message: the gRPC health checking protocol.
"""

from __future__ import annotations

import asyncio
import struct

from picluster_agent.probes.state import USER_AGENT, Result

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
FRAME_BYTES_MAX = 1 << 20
SERVING = b"\x08\x01"


async def check(host: str, port: int, service: str, timeout_s: float) -> Result:
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_request(address, service))
                message = await _answer(reader, writer)
            finally:
                writer.close()
    except (TimeoutError, OSError):
        reason = f'timeout: failed to connect service "{address}" within {timeout_s:g}s: context deadline exceeded'
        return Result(False, reason)
    except asyncio.IncompleteReadError:
        return Result(False, f"service {address}: the connection was closed without an answer")
    if message is None:
        return Result(False, "this server does not implement the grpc health protocol (grpc.health.v1.Health)")
    if message == SERVING:
        return Result(True)
    return Result(False, f'service unhealthy (responded with "{_status(message)}")')


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


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
    """The response message; ``None`` when the stream ends without one."""
    received = b""
    while True:
        head = await reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        if length > FRAME_BYTES_MAX:
            return None
        body = await reader.readexactly(length)
        if kind == SETTINGS and not flags & ACK:
            writer.write(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            writer.write(_frame(PING, ACK, 0, body))
        elif kind == GOAWAY:
            return None
        elif kind == DATA and stream == 1:
            received += body
            if len(received) >= 5 and len(received) >= 5 + int.from_bytes(received[1:5], "big"):
                return received[5:]
        if stream == 1 and kind in (HEADERS, DATA) and flags & END_STREAM:
            return None


def _status(message: bytes) -> str:
    names = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
    return names.get(message[1] if len(message) > 1 else 0, "UNKNOWN")
