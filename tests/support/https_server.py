"""An HTTPS server in the tests' process, with an authority of its own, as a webhook or an extension API server has."""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from picluster.api.resources import ENDPOINT_SLICES, SERVICES
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.registry.create import create
from picluster.apiserver.registry.registry import Registry, Write
from picluster.pki import authority
from picluster.pki.authority import Authority
from picluster.pki.profiles import SERVER, Profile
from picluster.util.clock import SYSTEM_CLOCK

HttpsHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
SERVICE_NAMES = ("extension.default.svc", "localhost")


class HttpsServer:
    """Listens on 127.0.0.1; ``ca_bundle`` is base64 of PEM. ``client_ca`` asks clients for a certificate of it."""

    def __init__(
        self, handler: HttpsHandler, names: tuple[str, ...] = SERVICE_NAMES, client_ca: Path | None = None
    ) -> None:
        self.port = 0
        self.ca_bundle = ""
        self._names = names
        self._client_ca = client_ca
        self._server = web.Server(handler, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.1)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def __aenter__(self) -> HttpsServer:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context())
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def serve_as(self, registry: Registry, name: str, port: int = 443) -> None:
        """Make the Service ``default/<name>`` lead here.

        The slice is put into the store as it is, since the API takes no loopback address for an endpoint.
        """
        service = {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": port}]}}
        await create(registry, Write(SELF, SERVICES, "default", name), service, None)
        await registry.store.create(ENDPOINT_SLICES, self.endpoint_slice(name))

    def endpoint_slice(self, name: str) -> dict[str, Any]:
        labels = {"kubernetes.io/service-name": name}
        return {
            "metadata": {"name": f"{name}-1", "namespace": "default", "uid": name, "labels": labels},
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            "ports": [{"name": "", "port": self.port, "protocol": "TCP"}],
        }

    def _context(self) -> ssl.SSLContext:
        now_s = SYSTEM_CLOCK.now()
        ca = Authority.create(authority.new_key(), now_s)
        self.ca_bundle = base64.b64encode(authority.certificate_pem(ca.certificate)).decode()
        key = authority.new_key()
        profile = Profile("extension", None, (SERVER,), self._names, ("127.0.0.1",))
        certificate = ca.sign(profile, key.public_key(), now_s)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with tempfile.TemporaryDirectory() as directory:
            chain = Path(directory) / "chain.pem"
            chain.write_bytes(authority.key_pem(key) + authority.certificate_pem(certificate))
            context.load_cert_chain(chain)
        if self._client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._client_ca)
        return context
