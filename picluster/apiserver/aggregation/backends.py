"""Asking extension API servers something of our own: one bounded GET, as somebody who may."""

from __future__ import annotations

import aiohttp
from yarl import URL

from picluster.apiserver.aggregation.services import ApiService
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.frontproxy import GROUP_HEADER, USER_HEADER
from picluster.apiserver.relay import cause
from picluster.apiserver.webhooks.resolve import Address, Unresolved, resolve, server_name
from picluster.apiserver.webhooks.trust import Trust, Untrusted

AS_AGGREGATOR = {USER_HEADER: "system:kube-aggregator", GROUP_HEADER: "system:masters"}
CONNECTIONS_MAX = 64


class Unanswered(Exception):
    """No answer that counts; the message says why, as Go does."""


class Backends:
    """Nothing is opened before the first question."""

    def __init__(self, cache: WatchCache, trust: Trust) -> None:
        self._cache = cache
        self.trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def address(self, service: ApiService) -> Address:
        """Raises ``Unresolved``."""
        return resolve(self._cache, service.namespace, service.service, service.port)

    async def get(self, service: ApiService, path: str, accept: str, timeout_s: float, limit_bytes: int) -> bytes:
        """The body of a 2xx answer; raises ``Unanswered``."""
        try:
            url = self.url(self.address(service), path)
            context = self.trust.context(service.ca_bundle, skip_verify=service.skip_verify)
        except (Unresolved, Untrusted) as error:
            raise Unanswered(str(error)) from None
        try:
            async with self._open().get(
                url,
                headers={**AS_AGGREGATOR, "Accept": accept},
                ssl=context,
                server_hostname=server_name(service.namespace, service.service),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as answer:
                if not 200 <= answer.status < 300:
                    raise Unanswered(f"bad status from {url}: {answer.status}")
                return await _bounded(answer, limit_bytes)
        except TimeoutError:
            raise Unanswered(f"timed out waiting for {url}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(f'Get "{url}": {cause(error)}') from None

    def url(self, address: Address, path: str) -> URL:
        host = f"[{address.host}]" if ":" in address.host else address.host
        return URL(f"https://{host}:{address.port}{path}", encoded=True)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _bounded(answer: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    chunks, size = [], 0
    async for chunk in answer.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit_bytes:
            raise Unanswered(f"the answer of {answer.url} is larger than {limit_bytes} bytes")
    return b"".join(chunks)
