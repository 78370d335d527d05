"""One gRPC call over a unix socket: a request, an answer, a status (the gRPC over HTTP/2 protocol)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions

logging.getLogger("hpack").setLevel(logging.WARNING)  # it tells every byte of every header

ANSWER_BYTES_MAX = 4 << 20
READ_BYTES = 64 * 1024
CODES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
)  # fmt: skip
"""The status codes by number, as grpc-go prints them."""


class RpcError(Exception):
    """The call failed; its text is grpc-go's: ``rpc error: code = NotFound desc = …``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code
        self.message = message

    @property
    def is_final(self) -> bool:
        """Whether the driver surely does nothing more about it (``IsFinalError`` of the kubelet's CSI client)."""
        return self.code not in ("Canceled", "DeadlineExceeded", "Unavailable", "ResourceExhausted", "Aborted")


async def call(socket: Path, method: str, request: bytes, timeout_s: float) -> bytes:
    """Call ``method`` (``/csi.v1.Node/NodeGetInfo``); the answer's bytes. Raises ``RpcError``."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                return await _exchange(reader, writer, method, request, timeout_s)
            finally:
                writer.close()
    except TimeoutError as error:
        raise RpcError("DeadlineExceeded", "context deadline exceeded") from error
    except (OSError, h2.exceptions.ProtocolError) as error:
        reason = f"connection error: desc = transport: error while dialing: dial unix {socket}: {error}"
        raise RpcError("Unavailable", reason) from error


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, request: bytes, timeout_s: float
) -> bytes:
    link = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    link.initiate_connection()
    stream = link.get_next_available_stream_id()
    link.send_headers(stream, _head(method, timeout_s))
    left = b"\x00" + len(request).to_bytes(4, "big") + request
    answer = _Answer()
    left = _send(link, stream, left)
    while not answer.over:
        writer.write(link.data_to_send())
        await writer.drain()
        data = await reader.read(READ_BYTES)
        if not data:
            raise RpcError("Unavailable", "error reading from server: EOF")
        for event in link.receive_data(data):
            answer.take(link, event)
        left = _send(link, stream, left)
    return answer.message()


def _head(method: str, timeout_s: float) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", method),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", f"{int(timeout_s * 1000)}m"),
    ]


def _send(link: h2.connection.H2Connection, stream: int, left: bytes) -> bytes:
    """Send as much as the server takes now; what is left."""
    while left:
        room = min(link.local_flow_control_window(stream), link.max_outbound_frame_size, len(left))
        if room <= 0:
            return left
        link.send_data(stream, left[:room], end_stream=room == len(left))
        left = left[room:]
    return left


class _Answer:
    """What has come of the answer."""

    def __init__(self) -> None:
        self.over = False
        self._data = bytearray()
        self._fields: dict[str, str] = {}
        self._broken = ""

    def take(self, link: h2.connection.H2Connection, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            self._data += event.data
            link.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if len(self._data) > ANSWER_BYTES_MAX:
                self._broken, self.over = "the answer is too long", True
        elif isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self._fields.update((str(name), str(value)) for name, value in event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.over = True
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            self._broken, self.over = "the stream was reset by the server", True

    def message(self) -> bytes:
        """The one message; raises ``RpcError`` for any status but OK."""
        status = self._fields.get("grpc-status", "")
        if self._broken and not status:
            raise RpcError("Unavailable", self._broken)
        if not status.isdigit():
            raise RpcError(
                "Unknown", f"unexpected HTTP status code received from server: {self._fields.get(':status')}"
            )
        if (number := int(status)) != 0:
            code = CODES[number] if number < len(CODES) else "Unknown"
            raise RpcError(code, unquote(self._fields.get("grpc-message", "")))
        if len(self._data) < 5 or self._data[0] or len(self._data) != 5 + int.from_bytes(self._data[1:5], "big"):
            raise RpcError("Internal", "the answer is not one uncompressed message")
        return bytes(self._data[5:])
