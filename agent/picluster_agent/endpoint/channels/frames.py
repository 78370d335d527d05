"""SPDY/3.1 on the wire, as far as ``kubectl`` and the kubelet speak it. Pure: bytes to frames and back.

A frame has eight bytes of head: for data the stream's number, for control the version and the type; then flags and a
length of three bytes. Headers of streams are compressed with one zlib stream for a whole connection, primed with the
dictionary that both sides know. Source: the SPDY Protocol, Draft 3.1, sections 2.2 to 2.6.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

VERSION = 3
CONTROL = 0x8000
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5
"""Reasons of an ``RST_STREAM``."""
STREAM_MASK = 0x7FFFFFFF
FRAME_BYTES_MAX = 1 << 20
HEADERS_BYTES_MAX = 64 << 10
DATA_BYTES_MAX = 32 << 10
"""Of one data frame that is sent."""

_HEAD = struct.Struct(">HHI")
_NUMBER = struct.Struct(">I")
_PAIR = struct.Struct(">II")
_SYN = struct.Struct(">IIH")
_LENGTH_MASK = 0xFFFFFF

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_NUMBERS = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
)
_PHRASES = (
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = [*_WORDS.split(), "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"]
    primed = b"".join(_NUMBER.pack(len(word)) + word.encode() for word in words)
    return primed + (_NUMBERS + _PHRASES).encode()


DICTIONARY = _dictionary()


class FrameError(Exception):
    """What came is not SPDY/3.1, or larger than it may be: the connection must end."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that came. ``kind`` is 0 for data; ``number`` is a ping's, or the last good stream of a farewell."""

    kind: int
    stream: int = 0
    fin: bool = False
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    number: int = 0


class Decoder:
    """Bytes of one direction of a connection, into frames."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now; raises ``FrameError``."""
        self._held += data
        while len(self._held) >= _HEAD.size:
            first, second, rest = _HEAD.unpack_from(self._held)
            length = rest & _LENGTH_MASK
            if length > FRAME_BYTES_MAX:
                raise FrameError(f"a frame of {length} bytes")
            end = _HEAD.size + length
            if len(self._held) < end:
                return
            body = bytes(self._held[_HEAD.size : end])
            del self._held[:end]
            flags = rest >> 24
            if not first & CONTROL:
                yield Frame(0, first << 16 | second, bool(flags & FIN), body)
            elif first & ~CONTROL != VERSION:
                raise FrameError(f"version {first & ~CONTROL}")
            elif (frame := self._control(second, flags, body)) is not None:
                yield frame

    def _control(self, kind: int, flags: int, body: bytes) -> Frame | None:
        fin = bool(flags & FIN)
        try:
            if kind == SYN_STREAM:
                stream, _, _ = _SYN.unpack_from(body)
                return Frame(kind, stream & STREAM_MASK, fin, headers=self._headers(body[_SYN.size :]))
            if kind in (SYN_REPLY, HEADERS):
                (stream,) = _NUMBER.unpack_from(body)
                return Frame(kind, stream & STREAM_MASK, fin, headers=self._headers(body[_NUMBER.size :]))
            if kind in (RST_STREAM, WINDOW_UPDATE):
                stream, number = _PAIR.unpack(body)
                return Frame(kind, stream & STREAM_MASK, number=number)
            if kind in (PING, GOAWAY):
                (number,) = _NUMBER.unpack_from(body)
                return Frame(kind, number=number)
        except struct.error as error:
            raise FrameError(f"control frame {kind}: {error}") from None
        return None  # settings, and what nobody here asks for

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            text = self._inflate.decompress(block, HEADERS_BYTES_MAX)
        except zlib.error as error:
            raise FrameError(f"headers: {error}") from None
        if self._inflate.unconsumed_tail:
            raise FrameError("headers are too large")
        (count,), at = _NUMBER.unpack_from(text), _NUMBER.size
        headers: dict[str, str] = {}
        for _ in range(count):
            name, at = _text(text, at)
            value, at = _text(text, at)
            headers[name.lower()] = value.partition("\0")[0]
        return headers


def _text(block: bytes, at: int) -> tuple[str, int]:
    (length,) = _NUMBER.unpack_from(block, at)
    at += _NUMBER.size
    if at + length > len(block):
        raise FrameError("headers are cut off")
    return block[at : at + length].decode("latin-1"), at + length


class Encoder:
    """Frames of one direction of a connection, into bytes."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def syn_stream(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        return _control_frame(SYN_STREAM, _SYN.pack(stream, 0, 0) + self._headers(headers), fin)

    def syn_reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        return _control_frame(SYN_REPLY, _NUMBER.pack(stream) + self._headers(headers))

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        parts = [_NUMBER.pack(len(headers))]
        for pair in headers.items():
            parts += [_NUMBER.pack(len(text)) + text.encode("latin-1") for text in pair]
        return self._deflate.compress(b"".join(parts)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def data(stream: int, body: bytes, *, fin: bool = False) -> bytes:
    """One data frame; ``body`` is at most ``DATA_BYTES_MAX`` long."""
    return _PAIR.pack(stream, (FIN if fin else 0) << 24 | len(body)) + body


def rst_stream(stream: int, reason: int) -> bytes:
    return _control_frame(RST_STREAM, _PAIR.pack(stream, reason))


def window_update(stream: int, size_bytes: int) -> bytes:
    return _control_frame(WINDOW_UPDATE, _PAIR.pack(stream, size_bytes))


def ping(number: int) -> bytes:
    return _control_frame(PING, _NUMBER.pack(number))


def goaway(last_stream: int) -> bytes:
    return _control_frame(GOAWAY, _PAIR.pack(last_stream, 0))


def _control_frame(kind: int, body: bytes, fin: bool = False) -> bytes:
    return _HEAD.pack(CONTROL | VERSION, kind, (FIN if fin else 0) << 24 | len(body)) + body
