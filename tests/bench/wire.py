"""A small HTTP/1.1 client over TLS that costs less CPU than the server it measures.

One request at a time per connection; the caller gives whole request bytes and gets status and body. It knows
``Content-Length`` and chunked bodies, and hands a watch's bytes on as they come.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

INCOMING_BYTES = 256 << 10


@dataclass(frozen=True)
class Target:
    """A running API server and the identity to talk to it with."""

    host: str
    port: int
    tls: ssl.SSLContext

    @classmethod
    def of(cls, data_dir: Path, port: int) -> Target:
        tls = ssl.create_default_context(cafile=str(data_dir / "pki" / "ca.crt"))
        tls.load_cert_chain(data_dir / "pki" / "admin.crt", data_dir / "pki" / "admin.key")
        return cls("127.0.0.1", port, tls)

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(loop), self.host, self.port, ssl=self.tls)
        return connection


def request(method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n"
    if body:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection(asyncio.BufferedProtocol):
    """Bytes are decrypted into one buffer, those of a long body into the body's own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._incoming = memoryview(bytearray(INCOMING_BYTES))
        self._buffer = bytearray()
        self._head_end = -1
        self._body_end = -1
        self._chunked = False
        self._body = bytearray()
        self._long: memoryview | None = None
        self._long_at = 0
        self._done: asyncio.Future[tuple[int, bytes | bytearray]] | None = None
        self._stream: Callable[[bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such

    def connection_lost(self, error: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error or ConnectionResetError("the server closed the connection"))

    async def send(self, data: bytes) -> tuple[int, bytes | bytearray]:
        """Send one request; its status and body."""
        assert self._transport is not None
        self._done = self._loop.create_future()
        self._transport.write(data)
        return await self._done

    async def ok(self, data: bytes) -> bytes | bytearray:
        """As ``send``, for what must succeed."""
        status, body = await self.send(data)
        if status >= 300:
            raise RuntimeError(f"HTTP {status}: {body[:300].decode(errors='replace')}")
        return body

    def stream(self, data: bytes, on_bytes: Callable[[bytes], None]) -> None:
        """Send a watch; whatever comes back goes to ``on_bytes``, headers and chunk sizes included."""
        assert self._transport is not None
        self._stream = on_bytes
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._incoming if self._long is None else self._long[self._long_at :]

    def buffer_updated(self, count: int) -> None:
        if self._long is not None:
            self._long_at += count
            if self._long_at == len(self._long):
                self._finish(self._body)
            return
        data = self._incoming[:count]
        if self._stream is not None:
            self._stream(bytes(data))
            return
        buffer = self._buffer
        buffer += data
        if self._head_end < 0 and not self._read_head():
            return
        if self._chunked:
            if buffer.endswith(b"0\r\n\r\n"):
                self._finish(_dechunk(bytes(buffer[self._head_end :])))
        elif len(buffer) >= self._body_end:
            self._finish(bytes(buffer[self._head_end : self._body_end]))
        elif self._body_end - self._head_end > INCOMING_BYTES:
            self._begin_long()

    def _begin_long(self) -> None:
        self._body = bytearray(self._body_end - self._head_end)
        self._long = memoryview(self._body)
        self._long_at = len(self._buffer) - self._head_end
        self._long[: self._long_at] = self._buffer[self._head_end :]

    def _finish(self, body: bytes | bytearray) -> None:
        status = int(self._buffer[9:12])
        self._buffer.clear()
        self._head_end = -1
        self._long = None
        if self._done is not None and not self._done.done():
            self._done.set_result((status, body))

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).lower()
        self._head_end = end + 4
        self._chunked = b"transfer-encoding: chunked" in head
        at = head.find(b"content-length: ")
        length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        self._body_end = self._head_end + length
        return True


def _dechunk(data: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(data[end + 2 : end + 2 + size])
        at = end + 2 + size + 2


def pod(name: str, namespace: str = "default", node: str | None = None) -> bytes:
    """A pod of about 2 KB, as a Deployment's would be."""
    container = {
        "name": "web",
        "image": "registry.example/team/web-frontend:1.27.3",
        "command": ["/usr/local/bin/web", "--listen=0.0.0.0:8080", "--workers=4"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [
            {"name": f"SETTING_{n}", "value": f"value-{n}-of-a-setting-that-somebody-once-needed"} for n in range(8)
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10},
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/web"}],
    }
    labels = {"app": "web", "tier": "frontend", "pod-template-hash": "5d4f8c7b9d", "team": "bench"}
    spec: dict[str, object] = {
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 5,
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
    }
    if node is not None:
        spec["nodeName"] = node
    annotations = {"example.com/description": "one of many; " * 20}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).encode()


def small_pod(name: str, namespace: str = "default") -> bytes:
    """A pod that says no more than it must; stored, with what the cluster adds, about 2 KB."""
    metadata = {"name": name, "namespace": namespace, "labels": {"app": "web"}}
    spec = {"containers": [{"name": "web", "image": "registry.example/team/web-frontend:1.27.3"}]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).encode()
