"""As much of D-Bus as a client needs: calls with simple arguments, their answers with file descriptors, and signals.

Source: https://dbus.freedesktop.org/doc/dbus-specification.html. All values are basic types; a body of anything else is
skipped. Whoever sends what this cannot read loses the connection.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE, UNIX_FDS = range(1, 10)
FIELD_TYPES = {PATH: "o", REPLY_SERIAL: "u", SIGNATURE: "g", UNIX_FDS: "u"}
BUS, BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
MESSAGE_BYTES_MAX = 1 << 20
FDS_MAX = 16
CALL_TIMEOUT_S = 10.0
_FIXED = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "h": "I", "d": "d"}


class DBusError(Exception):
    """The bus, or who was asked, refuses; or the connection is gone."""


class Message(NamedTuple):
    kind: int
    serial: int
    fields: dict[int, Any]
    body: tuple[Any, ...]
    fds: tuple[int, ...] = ()


def _padded(data: bytearray, alignment: int) -> None:
    data.extend(bytes(-len(data) % alignment))


def _write(data: bytearray, kind: str, value: Any) -> None:
    if kind in _FIXED:
        size = struct.calcsize("<" + _FIXED[kind])
        _padded(data, size)
        data.extend(struct.pack("<" + _FIXED[kind], value))
    elif kind == "g":
        text = value.encode()
        data.extend(bytes((len(text),)) + text + b"\0")
    elif kind in ("s", "o"):
        text = value.encode()
        _padded(data, 4)
        data.extend(struct.pack("<I", len(text)) + text + b"\0")
    elif kind == "v":
        _write(data, "g", value[0])
        _write(data, value[0], value[1])
    else:
        raise DBusError(f"type {kind!r} is not known here")


def encode(message: Message, signature: str = "") -> bytes:
    """A message as it goes over the wire, little-endian."""
    body = bytearray()
    for kind, value in zip(signature, message.body, strict=True):
        _write(body, kind, value)
    fields = {**message.fields, **({SIGNATURE: signature} if signature else {})}
    entries = bytearray()
    for code, value in fields.items():
        _padded(entries, 8)
        entries.append(code)
        _write(entries, "v", (FIELD_TYPES.get(code, "s"), value))
    head = bytearray(b"l" + bytes((message.kind, 0, 1)))
    head.extend(struct.pack("<III", len(body), message.serial, len(entries)))
    head.extend(entries)
    _padded(head, 8)
    return bytes(head + body)


class _Reader:
    def __init__(self, data: bytes, order: str) -> None:
        self._data, self._order, self.at = data, order, 0

    def align(self, alignment: int) -> None:
        self.at += -self.at % alignment

    def read(self, kind: str) -> Any:
        if kind in _FIXED:
            form = self._order + _FIXED[kind]
            size = struct.calcsize(form)
            self.align(size)
            value = struct.unpack_from(form, self._data, self.at)[0]
            self.at += size
            return bool(value) if kind == "b" else value
        if kind == "v":
            return self.read(self.read("g"))
        if kind not in ("s", "o", "g"):
            raise DBusError(f"type {kind!r} is not known here")
        size = self.read("y" if kind == "g" else "u")
        text = self._data[self.at : self.at + size].decode()
        self.at += size + 1
        return text


def length(data: bytes) -> int | None:
    """How long the message is that ``data`` begins with; ``None`` while that cannot be known."""
    if len(data) < 16:
        return None
    order = {b"l": "<", b"B": ">"}.get(data[:1])
    if order is None:
        raise DBusError("this is no D-Bus message")
    body, _, entries = struct.unpack_from(order + "III", data, 4)
    size = int(16 + entries + (-entries % 8) + body)
    if size > MESSAGE_BYTES_MAX:
        raise DBusError(f"a message of {size} bytes is too long")
    return size


def decode(data: bytes, fds: Sequence[int] = ()) -> Message:
    """One whole message; ``fds`` came with it. Raises ``DBusError``."""
    order = "<" if data[:1] == b"l" else ">"
    body_size, serial, entries = struct.unpack_from(order + "III", data, 4)
    reader, fields = _Reader(data, order), {}
    reader.at = 16
    try:
        while reader.at < 16 + entries:
            reader.align(8)
            code = reader.read("y")
            fields[code] = reader.read("v")
        reader = _Reader(data[len(data) - body_size :], order)
        signature = fields.get(SIGNATURE, "")
        simple = all(kind in _FIXED or kind in "sogv" for kind in signature)
        body = tuple(reader.read(kind) for kind in signature) if simple else ()
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise DBusError(f"a message cannot be read: {error}") from error
    return Message(data[1], serial, fields, body, tuple(fds))


class Bus:
    """A connection. ``on_message`` hears every signal and every call of others; ``closed`` is set when it is gone."""

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        self._on_message = on_message
        self._socket: socket.socket | None = None
        self._serial = 0
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._data = bytearray()
        self._fds: list[int] = []
        self.closed = asyncio.Event()

    async def connect(self, address: str) -> str:
        """Connect to ``unix:path=…`` and say hello; the name that the bus gave. Raises ``DBusError``, ``OSError``."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        self._socket = connection
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(connection, _place(address))
                await self._authenticate(connection)
                asyncio.get_running_loop().add_reader(connection.fileno(), self._readable)
                answer = await self.call(BUS, BUS_PATH, BUS, "Hello")
        except BaseException:
            self.close()
            raise
        return str(answer.body[0])

    async def _authenticate(self, connection: socket.socket) -> None:
        loop, uid = asyncio.get_running_loop(), str(os.geteuid()).encode().hex().encode()
        await loop.sock_sendall(connection, b"\0AUTH EXTERNAL " + uid + b"\r\n")
        for wanted, then in ((b"OK ", b"NEGOTIATE_UNIX_FD\r\n"), (b"AGREE_UNIX_FD", b"BEGIN\r\n")):
            said = await loop.sock_recv(connection, 4096)
            if not said.startswith(wanted):
                raise DBusError(f"the bus says {said[:80]!r}")
            await loop.sock_sendall(connection, then)

    async def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *values: Any
    ) -> Message:
        """The answer to a method call; raises ``DBusError``."""
        fields = {PATH: path, INTERFACE: interface, MEMBER: member, DESTINATION: destination}
        self._serial += 1
        serial = self._serial
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[serial] = answer
        try:
            await self.send(Message(CALL, serial, fields, values), signature)
            async with asyncio.timeout(CALL_TIMEOUT_S):
                message = await answer
        except TimeoutError as error:
            raise DBusError(f"{destination} does not answer {member}") from error
        finally:
            self._waiting.pop(serial, None)
        if message.kind == ERROR:
            raise DBusError(f"{member}: {message.fields.get(ERROR_NAME)}: {' '.join(map(str, message.body))}")
        return message

    async def send(self, message: Message, signature: str = "") -> None:
        if self._socket is None:
            raise DBusError("the connection to the bus is closed")
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, encode(message, signature))
        except OSError as error:
            raise DBusError(f"the bus does not listen: {error}") from error

    def close(self) -> None:
        """Safe without ``connect``, and twice."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(DBusError("the connection to the bus is closed"))
        self.closed.set()

    def _readable(self) -> None:
        assert self._socket is not None
        try:
            data, fds = _receive(self._socket)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._data += data
        self._fds += fds
        try:
            while (size := length(bytes(self._data[:16]))) is not None and len(self._data) >= size:
                self._take(bytes(self._data[:size]))
                del self._data[:size]
        except DBusError:
            data = b""
        if not data:
            self.close()

    def _take(self, data: bytes) -> None:
        message = decode(data)
        count = int(message.fields.get(UNIX_FDS, 0))
        message = message._replace(fds=tuple(self._fds[:count]))
        del self._fds[:count]
        answer = self._waiting.get(int(message.fields.get(REPLY_SERIAL, 0)))
        if message.kind in (RETURN, ERROR) and answer is not None and not answer.done():
            answer.set_result(message)
            return
        for fd in message.fds:
            os.close(fd)
        if message.kind in (SIGNAL, CALL):
            self._on_message(message)


def _place(address: str) -> str:
    """The socket of the first address that is one (``unix:path=…``, ``unix:abstract=…``)."""
    for one in address.split(";"):
        kind, _, rest = one.partition(":")
        options = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        if kind == "unix" and "path" in options:
            return options["path"]
        if kind == "unix" and "abstract" in options:
            return "\0" + options["abstract"]
    raise DBusError(f"the bus cannot be reached at {address!r}")


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    room = array.array("i", bytes(FDS_MAX * 4))
    data, ancillary, _, _ = connection.recvmsg(64 << 10, socket.CMSG_SPACE(len(room) * room.itemsize))
    fds: list[int] = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found = array.array("i")
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
            fds.extend(found)
    return data, fds
