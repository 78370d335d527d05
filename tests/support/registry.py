"""A registry for real: Debian's ``docker-registry`` on a loopback port, with TLS and a password."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import shutil
import socket
import ssl
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from picluster.pki import authority
from picluster.pki.profiles import SERVER, Profile

USER, PASSWORD = "puller", "s3cret:with:colons"
READY_MAX_S = 10.0


def missing_here() -> str:
    return "" if shutil.which("docker-registry") else "docker-registry is not installed"


class TestRegistry:
    """``host`` is what images' names begin with; ``ca`` is the authority to trust. Everything lies below ``root``."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = f"127.0.0.1:{free_port()}"
        self.ca = root / "ca.crt"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self._certify()
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (self.root / "htpasswd").write_text(f"{USER}:{hashed}\n")
        config = self.root / "config.yml"
        config.write_text(yaml.safe_dump(self._config()))
        self._process = serve(config, self.host)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def trust(self, home: Path, host: str = "") -> None:
        """Let Podman, run with this ``HOME``, trust the registry, or who passes on what it says."""
        place = home / ".config/containers/certs.d" / (host or self.host)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.ca, place / "ca.crt")

    def auths(self, password: str = PASSWORD, at: str = "") -> dict[str, Any]:
        """A Docker ``config.json`` for this registry."""
        return {"auths": {at or self.host: {"username": USER, "password": password}}}

    def put(self, name: str, files: dict[str, bytes], size_bytes: int = 0, tag: str = "latest") -> str:
        """Make an image of ``files`` and busybox, with ``size_bytes`` of noise; the digest of its manifest."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.add(shutil.which("busybox") or "", "bin/busybox")
            for applet in ("sh", "sleep", "cat"):
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
            noise = hashlib.shake_128(name.encode()).digest(size_bytes) if size_bytes else b""
            for path, content in {**files, "noise": noise, "name": name.encode()}.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        plain = layer.getvalue()
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sleep", "1000"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
        }
        kind = "application/vnd.docker."
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{kind}distribution.manifest.v2+json",
            "config": self._blob(name, json.dumps(config).encode(), f"{kind}container.image.v1+json"),
            "layers": [self._blob(name, gzip.compress(plain, 1, mtime=0), f"{kind}image.rootfs.diff.tar.gzip")],
        }
        headers = {"Content-Type": manifest["mediaType"]}
        answer = self.ask("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(manifest).encode(), headers)
        return str(answer.headers["Docker-Content-Digest"])

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        url = path if path.startswith("https:") else f"https://{self.host}{path}"
        request = urllib.request.Request(url, body, headers or {}, method=method)
        context = ssl.create_default_context(cafile=str(self.ca))
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        passwords.add_password(None, f"https://{self.host}/", USER, PASSWORD, is_authenticated=True)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.HTTPBasicAuthHandler(passwords)
        )
        return opener.open(request, timeout=10)

    def _blob(self, name: str, content: bytes, media_type: str) -> dict[str, Any]:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        where = self.ask("POST", f"/v2/{name}/blobs/uploads/", b"").headers["Location"]
        self.ask("PUT", f"{where}&digest={digest}", content, {"Content-Type": "application/octet-stream"})
        return {"mediaType": media_type, "size": len(content), "digest": digest}

    def _certify(self) -> None:
        now_s = time.time()
        signer = authority.Authority.create(authority.new_key(), now_s, "test registry")
        key = authority.new_key()
        signed = signer.sign(Profile("registry", None, (SERVER,), (), ("127.0.0.1",)), key.public_key(), now_s)
        self.ca.write_bytes(authority.certificate_pem(signer.certificate))
        (self.root / "tls.crt").write_bytes(authority.certificate_pem(signed))
        (self.root / "tls.key").write_bytes(authority.key_pem(key))

    def _config(self) -> dict[str, Any]:
        tls: dict[str, Any] = {"certificate": str(self.root / "tls.crt"), "key": str(self.root / "tls.key")}
        return {
            "version": "0.1",
            "log": {"accesslog": {"disabled": False}, "level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.root / "store")}, "delete": {"enabled": True}},
            "http": {"addr": self.host, "tls": tls},
            "auth": {"htpasswd": {"realm": "rack", "path": str(self.root / "htpasswd")}},
        }


def serve(config: Path, host: str) -> subprocess.Popen[bytes]:
    """``docker-registry`` with the configuration ``config``, as soon as it listens at ``host``."""
    log_path = config.with_suffix(".log")
    with log_path.open("ab") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
    end_s = time.monotonic() + READY_MAX_S
    while not _listens(host):
        if time.monotonic() > end_s or process.poll() is not None:
            process.kill()
            pytest.fail(f"the registry does not listen at {host}: {log_path.read_text()[-2000:]}")
        time.sleep(0.02)
    return process


def _listens(host: str) -> bool:
    with contextlib.suppress(OSError):
        name, _, port = host.partition(":")
        socket.create_connection((name, int(port)), 1).close()
        return True
    return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Relay:
    """Passes bytes on to a registry, slowly; ``taken_bytes`` have come back through it."""

    def __init__(self, registry: TestRegistry, bytes_per_s: int) -> None:
        self.taken_bytes = 0
        self.host = ""
        self._target = registry.host.split(":")
        self._bytes_per_s = bytes_per_s

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        try:
            await asyncio.gather(self._pass(reader, far_writer, back=False), self._pass(far_reader, writer, back=True))
        except OSError:
            pass
        finally:
            writer.close()
            far_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        while chunk := await reader.read(32 << 10):
            if back:
                self.taken_bytes += len(chunk)
                await asyncio.sleep(len(chunk) / self._bytes_per_s)
            writer.write(chunk)
            await writer.drain()
        writer.close()


@contextlib.contextmanager
def silent_registry() -> Iterator[str]:
    """A host that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
