"""Outlets with web addresses: Shelly, Tasmota, Home Assistant, Turing Pi and whatever else answers HTTP.

Shelly, second generation and newer (https://shelly-api-docs.shelly.cloud/gen2), with or without a password::

    picluster_outlet: {driver: http, preset: shelly-gen2, address: 192.168.1.10, channel: 0, username: admin,
    password: …}

Tasmota (https://tasmota.github.io/docs/Commands); channels count from 1::

    picluster_outlet: {driver: http, preset: tasmota, address: 192.168.1.12, channel: 1}

Anything else by its addresses; ``on_when`` is searched in the answer of ``status_url``::

    picluster_outlet:
      driver: http
      on_url: http://192.168.1.13/relay/0?turn=on
      off_url: http://192.168.1.13/relay/0?turn=off
      status_url: http://192.168.1.13/relay/0
      on_when: '"ison": *true'
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import quote

from yarl import URL

from picluster.power._match import Words, words
from picluster.power.outlet import OutletError, OutletState, Settings
from picluster.util.lean import aiohttp

REQUEST_TIMEOUT_S = 4.0
ANSWER_BYTES_MAX = 64 << 10
PRESETS = ("shelly-gen2", "tasmota")
KNOWN = (
    "preset", "address", "channel", "username", "password", "on_url", "off_url", "status_url", "on_when", "off_when",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HttpOutlet:
    on_url: str = field(repr=False)
    off_url: str = field(repr=False)
    status_url: str = field(repr=False)
    words: Words
    label: str
    strip: str
    username: str = ""
    password: str = field(default="", repr=False)
    digest: bool = False

    async def on(self) -> None:
        await self._get(self.on_url)

    async def off(self) -> None:
        await self._get(self.off_url)

    async def state(self) -> OutletState:
        try:
            return self.words.state(await self._get(self.status_url))
        except OutletError:
            return OutletState.UNKNOWN

    async def _get(self, url: str) -> str:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        digest = aiohttp.DigestAuthMiddleware(self.username, self.password) if self.password and self.digest else None
        middlewares = (digest,) if digest else ()
        headers = {} if digest or not self.password else {"Authorization": _basic(self.username, self.password)}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers, middlewares=middlewares) as session,
                session.get(URL(url, encoded=True), ssl=await _trust(url)) as response,
            ):
                if response.status in (401, 403):
                    raise OutletError(f"{self.label} refuses the username or password (HTTP {response.status})")
                text = (await response.content.read(ANSWER_BYTES_MAX)).decode(errors="replace")
                if response.status >= 400:
                    raise OutletError(f"{self.label} answers HTTP {response.status}: {text[:200].strip()}")
                return text
        except TimeoutError:
            raise OutletError(f"{self.label} does not answer within {REQUEST_TIMEOUT_S:.0f} s") from None
        except aiohttp.ClientError as error:
            raise OutletError(f"{self.label} does not answer: {type(error).__name__}") from None


async def _trust(url: str) -> ssl.SSLContext | bool:
    """The system's authorities, for an outlet that is reached by TLS; reading them takes a while."""
    return await asyncio.to_thread(ssl.create_default_context) if url.startswith("https:") else True


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def load(settings: Settings) -> HttpOutlet:
    preset = settings.take("preset", str)
    if preset is not None and preset not in PRESETS:
        raise OutletError(f"{settings.where}: preset is {preset!r}; it must be one of {', '.join(PRESETS)}")
    outlet = _by_url(settings) if preset is None else _by_preset(settings, preset)
    settings.end(KNOWN)
    return outlet


def _by_preset(settings: Settings, preset: str) -> HttpOutlet:
    address = settings.take("address", str, required=True)
    shelly = preset == "shelly-gen2"
    channel = settings.take("channel", int, default=0 if shelly else 1)
    username = settings.take("username", str, default="admin")
    password = settings.take("password", str, default="")
    label = f"outlet {channel} of {address}"
    if shelly:
        rpc = f"http://{address}/rpc"
        return HttpOutlet(
            f"{rpc}/Switch.Set?id={channel}&on=true",
            f"{rpc}/Switch.Set?id={channel}&on=false",
            f"{rpc}/Switch.GetStatus?id={channel}",
            Words(re.compile(r'"output": *true'), re.compile(r'"output": *false')),
            label, address, username, password, digest=True,
        )  # fmt: skip
    login = f"user={quote(username)}&password={quote(password)}&" if password else ""
    command = f"http://{address}/cm?{login}cmnd=Power{channel}"
    power = rf'"POWER(?:{channel})?": *"{{}}"'
    return HttpOutlet(
        f"{command}%20On", f"{command}%20Off", command,
        Words(re.compile(power.format("ON")), re.compile(power.format("OFF"))),
        label, address,
    )  # fmt: skip


def _by_url(settings: Settings) -> HttpOutlet:
    on_url, off_url, status_url = (_url(settings, key) for key in ("on_url", "off_url", "status_url"))
    host = URL(on_url).host or on_url
    username = settings.take("username", str, default="")
    password = settings.take("password", str, default="")
    label = f"outlet at {host}"
    return HttpOutlet(on_url, off_url, status_url, words(settings), label, host, username, password)


def _url(settings: Settings, key: str) -> str:
    url = str(settings.take(key, str, required=True))
    if not url.startswith(("http://", "https://")):
        shown = url.partition("?")[0].rpartition("@")[2]  # what stands around it may be a password
        raise OutletError(f"{settings.where}: {key} is {shown!r}; it must begin with http:// or https://")
    return url
