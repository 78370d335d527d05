"""Running roles until a signal: started in order, watched, stopped in reverse within a bound.

A role that ends by itself takes the process with it: systemd starts it afresh, which is better than a control plane
that is up and does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from picluster import VERSION
from picluster.server.config import ServerConfig, ServerError
from picluster.server.listener import port_refused
from picluster.server.systemd import notify
from picluster.util.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from picluster.apiserver.audit.setup import AuditConfig
    from picluster.apiserver.frontproxy import FrontProxy
    from picluster.client import Client

log = logging.getLogger(__name__)

Work = Callable[["Client"], Coroutine[Any, Any, None]]

KUBERNETES_NAMES = {"scheduler": "kube-scheduler", "controllers": "kube-controller-manager", "hollow": "kubelet"}
"""How the roles call themselves to the API server: whoever looks for the managers of fields knows these names."""

ROLE_STOP_S = 1.5
APISERVER_STOP_S = 3.0
GC_ALLOCATIONS = 50_000
"""Between two looks of the garbage collector; most of what a server allocates is freed by its reference count."""
SETTLE_S = 1.0
"""After it is ready, before what is there then is taken for lasting and the garbage collector begins."""

SWITCH_INTERVAL_S = 0.0005
"""How long the store's writer waits for a busy event loop to give it the interpreter; Python's 5 ms is a commit's time
several times over."""


async def run(
    config: ServerConfig,
    roles: Sequence[str],
    *,
    hollow_nodes: int,
    on_ready: Callable[[], None],
) -> int:
    """Run ``roles`` until SIGTERM or SIGINT; returns the exit code. Raises ``ServerError``."""
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    async with AsyncExitStack() as stack:
        if "apiserver" in roles:
            await stack.enter_async_context(apiserver(config))
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(signalled.wait(), name="signal")]
        stack.push_async_callback(stop_tasks, tasks)
        for name, client, work in clients(config, roles, hollow_nodes):
            tasks.append(asyncio.create_task(work_as(client, work), name=name))
        loop.call_later(SETTLE_S, settle)
        notify("READY=1")
        on_ready()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        notify("STOPPING=1")
        return exit_code(tasks)


def settle() -> None:
    """Never look again at what the start has made: modules, rules, the objects of the cache."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS)
    gc.enable()


def preload() -> None:
    """Import what the API server is made of."""
    from picluster.util import lean  # noqa: F401, I001
    from picluster.apiserver import server  # noqa: F401


def clients(config: ServerConfig, roles: Sequence[str], hollow_nodes: int) -> list[tuple[str, Client, Work]]:
    """The roles that are clients: name, client, and what it does with it. Raises ``ServerError``."""
    wanted: list[tuple[str, Path, Work]] = []
    if "scheduler" in roles:
        wanted.append(("scheduler", config.kubeconfigs["scheduler"], schedule))
    if "controllers" in roles:
        check_outlets(config.outlets)
        wanted.append(("controllers", config.kubeconfigs["controllers"], partial(control, config=config)))
    if hollow_nodes:
        wanted.append(
            ("hollow", config.data_dir / "admin.kubeconfig", partial(simulate, config=config, count=hollow_nodes))
        )
    return [(name, client_of(kubeconfig, KUBERNETES_NAMES[name]), work) for name, kubeconfig, work in wanted]


@contextlib.asynccontextmanager
async def apiserver(config: ServerConfig) -> AsyncIterator[None]:
    """The API server on its store; on the way out requests under way finish, then the store is closed."""
    preload()
    from picluster.apiserver.audit.policy import PolicyError
    from picluster.apiserver.authn.tokenkeys import ServiceAccountConfig
    from picluster.apiserver.encryption.config import EncryptionError
    from picluster.apiserver.server import ApiServer, ApiServerConfig
    from picluster.server import store
    from picluster.storage.backend import StorageError

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settings = ApiServerConfig(
        cert=config.pki_dir / "apiserver.crt",
        key=config.pki_dir / "apiserver.key",
        client_ca=config.pki_dir / "ca.crt",
        bind=config.bind,
        port=config.port,
        advertise=config.advertise,
        service_cidr=config.service_cidr,
        agent_client_cert=config.pki_dir / "apiserver-kubelet-client.crt",
        agent_client_key=config.pki_dir / "apiserver-kubelet-client.key",
        front_proxy=front_proxy(config),
        service_accounts=ServiceAccountConfig(
            signing_key=config.signing_key,
            keys=config.service_accounts.keys or (config.pki_dir / "sa.pub",),
            issuers=config.service_accounts.issuers,
            audiences=config.service_accounts.audiences,
            jwks_uri=config.service_accounts.jwks_uri,
            lifetime_max_s=config.service_accounts.token_lifetime_max_s,
        ),
        encryption=config.encryption_file,
        audit=_audit(config),
        max_requests_inflight=config.max_requests_inflight,
        max_mutating_requests_inflight=config.max_mutating_requests_inflight,
        local_path=config.local_path,
    )
    if not settings.cert.exists():
        raise ServerError(f"{settings.cert} is not there: make it with: picluster pki init --dir {config.pki_dir}")
    try:
        server = ApiServer(settings, store.backend(config))
    except (EncryptionError, PolicyError) as error:
        raise ServerError(str(error)) from error
    try:
        await server.start()
    except StorageError as error:
        raise ServerError(str(error)) from error
    except ssl.SSLError as error:
        raise ServerError(f"the certificates in {config.pki_dir} cannot be used: {error.reason}") from error
    except OSError as error:
        raise port_refused(config, error) from error
    try:
        yield
    finally:
        await bounded(server.stop(), APISERVER_STOP_S, "the API server")


def front_proxy(config: ServerConfig) -> FrontProxy | None:
    """What is configured, or the PKI's; a PKI that was made before there were front proxies has none."""
    from picluster.apiserver.frontproxy import FrontProxy

    if (given := config.front_proxy) is not None:
        return FrontProxy(given.client_ca, given.cert, given.key, given.allowed_names)
    names = ("front-proxy-ca.crt", "front-proxy-client.crt", "front-proxy-client.key")
    client_ca, cert, key = (config.pki_dir / name for name in names)
    return FrontProxy(client_ca, cert, key) if cert.exists() else None


def _audit(config: ServerConfig) -> AuditConfig | None:
    from picluster.apiserver.audit.setup import AuditConfig

    settings = config.audit
    if settings.off:
        return None
    log = settings.log or config.data_dir / "audit" / "audit.log"
    return AuditConfig(log, settings.policy, settings.max_size_mib, settings.backups)


async def schedule(client: Client) -> None:
    from picluster import scheduler

    await scheduler.run(client, SYSTEM_CLOCK)


async def control(client: Client, config: ServerConfig) -> None:
    from picluster import controllers

    await controllers.run(client, config, SYSTEM_CLOCK)


def check_outlets(path: Path | None) -> None:
    """Refuse a malformed ``outlets.yaml`` before anything runs: a rack that cannot fence must not look as if."""
    from picluster.power.outlet import OutletError, load_all

    try:
        if path is not None:
            load_all(path)
    except OutletError as error:
        raise ServerError(str(error)) from error


async def simulate(client: Client, config: ServerConfig, count: int) -> None:
    from picluster import hollow

    await hollow.run(client, count, SYSTEM_CLOCK, config.profile)


async def work_as(client: Client, work: Work) -> None:
    async with client:
        await work(client)


def client_of(kubeconfig: Path, program: str) -> Client:
    from picluster.client import Client, ClientConfig, ConfigError

    try:
        return Client(ClientConfig.from_kubeconfig(kubeconfig), user_agent=f"{program}/{VERSION}")
    except ConfigError as error:
        raise ServerError(str(error)) from error


async def stop_tasks(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    _, left = await asyncio.wait(tasks, timeout=ROLE_STOP_S)
    for task in left:
        log.warning("%s did not stop within %s s", task.get_name(), ROLE_STOP_S)


async def bounded(work: Awaitable[None], timeout_s: float, what: str) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await work
    except TimeoutError:
        log.warning("%s did not stop within %s s", what, timeout_s)


def exit_code(tasks: Sequence[asyncio.Task[Any]]) -> int:
    """0 when the signal ended it, 1 when a role did."""
    ended = [task for task in tasks if task.done() and task.get_name() != "signal"]
    for task in ended:
        failure = task.exception()
        log.critical("%s ended: %s", task.get_name(), failure or "without a reason", exc_info=failure)
    return 1 if ended else 0
