"""The API server as a whole: composed of its configuration and a store, started, ready, stopped."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from picluster.api.resources import COMPONENT_STATUSES, CONFIGMAPS, SERVICES, TOKEN_REVIEWS, Resource
from picluster.apiserver import connects, wellknown
from picluster.apiserver.admission.access import RequestAccess
from picluster.apiserver.admission.chain import Chain
from picluster.apiserver.admission.figures import AdmissionFigures
from picluster.apiserver.admission.plugins import ordered
from picluster.apiserver.admission.policies.dispatch import PolicyDispatcher
from picluster.apiserver.admission.policies.status import PolicyStatus
from picluster.apiserver.admission.webhooks.dispatch import Dispatcher
from picluster.apiserver.aggregation import trusted
from picluster.apiserver.aggregation.aggregator import Aggregator
from picluster.apiserver.audit.setup import AuditConfig, auditor
from picluster.apiserver.authn import User, oidc, user_of
from picluster.apiserver.authn.authenticator import Authenticator
from picluster.apiserver.authn.bootstraptokens import BootstrapTokens
from picluster.apiserver.authn.legacytokens import LegacyTokenUse
from picluster.apiserver.authn.result import TokenAuthenticator
from picluster.apiserver.authn.serviceaccounts import ServiceAccountTokens
from picluster.apiserver.authn.tokenkeys import DEFAULT_ISSUER, ServiceAccountConfig, TokenKeys
from picluster.apiserver.authn.tokenreview import token_review
from picluster.apiserver.authz.setup import Authorization
from picluster.apiserver.bootstrap import SELF, Advertised, bootstrap, ensure
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.catalog import Catalog
from picluster.apiserver.connection import HttpServer
from picluster.apiserver.crd.definitions import Definitions
from picluster.apiserver.crd.figures import ConversionFigures
from picluster.apiserver.flowcontrol import READ_SEATS, WRITE_SEATS, dumps, figures
from picluster.apiserver.flowcontrol.controller import FlowControl
from picluster.apiserver.flowcontrol.dangling import DanglingSchemas
from picluster.apiserver.flowcontrol.ensuring import BootstrapObjects
from picluster.apiserver.frontproxy import FrontProxy, Peers
from picluster.apiserver.health import HealthFigures, health_handler, metrics_handler
from picluster.apiserver.http import Features, Handler
from picluster.apiserver.lane import Lanes
from picluster.apiserver.metrics import DeprecatedCollector, Metrics, StoreCollector
from picluster.apiserver.metricsapi.server import MetricsApi
from picluster.apiserver.proxy import AgentProxy
from picluster.apiserver.registry import ipaddresses
from picluster.apiserver.registry.kinds import Kind
from picluster.apiserver.registry.registry import Registry
from picluster.apiserver.registry.services import ServiceAllocator
from picluster.apiserver.registry.store import Store
from picluster.apiserver.registry.virtual import component_statuses
from picluster.apiserver.relay import Relay
from picluster.apiserver.upkeep import Upkeep
from picluster.apiserver.verbs import deprecation
from picluster.apiserver.webhooks.client import WebhookClient
from picluster.apiserver.webhooks.trust import Identity
from picluster.storage.backend import Backend, Timed
from picluster.util import memory
from picluster.util.clock import SYSTEM_CLOCK, Clock
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

BACKLOG = 1024
STOP_GRACE_S = 5.0
COMPACTION_INTERVAL_S = 60.0
HISTORY_S = 300.0


@dataclass(frozen=True, slots=True)
class ApiServerConfig:
    """``port`` 0 takes any free one; ``advertise`` is the address that the ``kubernetes`` Service leads to.

    ``client_ca`` signs the certificates of clients and agents. Logs and exec are served when there is a client
    certificate to show to agents (``agent_client_cert``, ``agent_client_key``); service account tokens are made and
    taken when there are keys for them (``service_accounts``). ``disabled_admission`` names plugins as
    kube-apiserver's ``--disable-admission-plugins`` does; ``encryption`` is an EncryptionConfiguration,
    ``audit`` what is logged of requests. The sum of ``max_requests_inflight`` and ``max_mutating_requests_inflight`` is
    what the priority levels have shares of.
    """

    cert: Path
    key: Path
    client_ca: Path
    bind: str = "127.0.0.1"
    port: int = 6443
    advertise: str = "127.0.0.1"
    service_cidr: str = "10.43.0.0/16"
    compaction_interval_s: float = COMPACTION_INTERVAL_S
    history_s: float = HISTORY_S
    disabled_admission: frozenset[str] = frozenset()
    agent_client_cert: Path | None = None
    agent_client_key: Path | None = None
    front_proxy: FrontProxy | None = None
    service_accounts: ServiceAccountConfig | None = None
    encryption: Path | None = None
    audit: AuditConfig | None = None
    max_requests_inflight: int = READ_SEATS
    max_mutating_requests_inflight: int = WRITE_SEATS
    local_path: bool = False
    """Whether the cluster has the StorageClass ``local-path``."""


def opened(config: ApiServerConfig, backend: Backend) -> tuple[Backend, Collection[str]]:
    """The store as the server sees it, and the live set of keys that are to be encrypted anew.

    Raises ``EncryptionError``.
    """
    if config.encryption is None:
        return backend, frozenset()
    from picluster.apiserver.encryption import backend as encryption
    from picluster.apiserver.encryption.config import load

    encrypted = encryption.EncryptedBackend(backend, load(config.encryption))
    return encrypted, encrypted.stale


class ApiServer:
    """``await start()`` returns when it serves; ``port`` is then the port it listens on."""

    def __init__(
        self,
        config: ApiServerConfig,
        backend: Backend,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config
        self.features = Features()
        self.catalog = Catalog()
        self.cache = WatchCache()
        self.port = config.port
        self._backend, stale = opened(config, backend)
        self._clock = clock
        self._metrics = Metrics(self.cache)
        self._webhooks = WebhookClient(self.cache, proxy_identity(config))
        self._relay = Relay()
        self._authorization = Authorization(self.cache)
        self._services = ServiceAllocator(config.service_cidr, rng or random.SystemRandom())
        store = Store(self._backend, self.cache, self._metrics, stale)
        self.registry = Registry(store, self._admission(store), self._services, clock)
        self._authorization.install(self.registry, self.catalog)
        conversions = ConversionFigures(self._metrics.registry)
        self._definitions = Definitions(self.cache, self.catalog, self.registry, self._webhooks, clock, conversions)
        self._policy_status = PolicyStatus(self.cache, self.catalog, self.registry, clock)
        self._aggregator = Aggregator(self.registry, self.cache, self.catalog, self._relay, proxy_identity(config))
        self.features.delegate = self._aggregator.delegate
        seats = config.max_requests_inflight + config.max_mutating_requests_inflight
        self.flow_control = FlowControl(self.cache, self._metrics, clock, seats)
        self._metrics.add(figures.Figures(self.flow_control))
        self._metrics.add(StoreCollector(self._backend))
        self._metrics.add(DeprecatedCollector(self._metrics.requests, self._is_deprecated))
        if isinstance(backend, Timed):
            self._metrics.add_timings(backend.timings)
        self._metrics.add(self._aggregator.figures)
        self._tasks = Tasks("apiserver")
        self._auditor = auditor(config.audit, self._metrics, clock) if config.audit is not None else None
        self._authenticator = self._authentication()
        self._ready = False
        self._http: HttpServer | None = None
        self._lanes: Lanes | None = None
        self._listener: asyncio.Server | None = None
        self._proxy: AgentProxy | None = None
        self._metrics_api: MetricsApi | None = None

    @property
    def url(self) -> str:
        host = f"[{self.config.bind}]" if ":" in self.config.bind else self.config.bind
        return f"https://{host}:{self.port}"

    async def start(self) -> None:
        """Load the store, make what every cluster has, and serve.

        Raises ``StorageError``, ``OSError`` (a port in use) or ``ssl.SSLError``; nothing is left running then.
        """
        try:
            self.cache.load(await self._backend.start(self.cache.apply))
            memory.give_back()
            self._definitions.start(self._tasks)
            self._policy_status.start(self._tasks)
            self._aggregator.load()
            self._authorization.load()
            self.flow_control.load()
            ipaddresses.follow(self.registry)
            self._services.load(self.cache.collection(SERVICES).entries.values())
            await ipaddresses.repair(self.registry)
            await self._listen()
            advertised = Advertised(self._services.first, self.config.advertise, self.port)
            await bootstrap(self.registry, advertised, local_path=self.config.local_path)
            trust = trusted.config_map(self.config.client_ca, self.config.front_proxy)
            await ensure(self.registry, CONFIGMAPS, trust, ("data",))
            if self._metrics_api is not None:
                await self._metrics_api.start()
            await self._aggregator.start(self._tasks)
        except BaseException:
            await self.stop()
            raise
        upkeep = Upkeep(
            self._backend, self.cache, self._clock, self.config.compaction_interval_s, self.config.history_s
        )
        dangling = DanglingSchemas(self.registry, SELF)
        dangling.start()
        self._tasks.spawn(dangling.run(), "flow schemas")
        priorities = BootstrapObjects(self.registry, SELF)
        priorities.start()
        self._tasks.spawn(priorities.run(), "priority levels")
        self._tasks.spawn(ipaddresses.keep_right(self.registry), "addresses")
        self._tasks.spawn(upkeep.compact(), "compaction")
        self._tasks.spawn(upkeep.send_bookmarks(), "bookmarks")
        self._ready = True
        log.info("serving on %s", self.url)

    async def stop(self) -> None:
        """Take no more requests, end the watches, finish what is under way, and close the store; safe to call twice."""
        self._ready = False
        if self._listener is not None:
            self._listener.close()
        self.cache.end_watches()
        self.flow_control.stop()
        self._definitions.stop()
        self._policy_status.stop()
        self._aggregator.stop()
        await self._tasks.close()
        await self._relay.close()
        if self._http is not None and self._lanes is not None:
            self._http.pre_shutdown()
            await self._lanes.shutdown(STOP_GRACE_S)
            await self._http.shutdown(STOP_GRACE_S)
            self._http = None
        if self._listener is not None:
            await self._listener.wait_closed()
            self._listener = None
        if self._metrics_api is not None:
            await self._metrics_api.close()
        if self._proxy is not None:
            await self._proxy.close()
            self._proxy = None
        await self._webhooks.close()
        await self._aggregator.close()
        if self._auditor is not None:
            await asyncio.to_thread(self._auditor.close)
        await self._backend.close()

    async def _listen(self) -> None:
        paths = self.features.paths
        checks = {"ping": lambda: True, "store": lambda: self._http is not None}
        health = HealthFigures()
        for name in ("livez", "healthz", "readyz"):
            more = {"bootstrap": lambda: self._ready} if name != "livez" else {}
            handler = health_handler(name, {**checks, **more}, health)
            paths[f"/{name}"] = paths[f"/{name}/*"] = handler
        self.registry.virtual[COMPONENT_STATUSES] = component_statuses({"etcd-0": checks["store"]})
        paths.update(wellknown.paths(self.catalog, self._aggregator, lambda: f"{self.config.advertise}:{self.port}"))
        paths.update(dict.fromkeys(wellknown.INDEX, wellknown.index(self.catalog, paths)))
        paths["/metrics"] = metrics_handler(self._metrics.render)
        paths["/metrics/slis"] = metrics_handler(health.render)
        paths.update(dumps.handlers(self.flow_control))
        self._connect_agents()
        handler = Handler(
            self.catalog,
            self.registry,
            self.cache,
            self._authenticator,
            self._authorization.gate,
            self._metrics,
            self.features,
            self.flow_control,
            self._auditor,
        )
        self._http = HttpServer(
            handler,
            user_of if self.config.front_proxy is None else Peers(self.config.client_ca, self.config.front_proxy).user,
        )
        self._lanes = Lanes(self._http, handler)
        self._listener = await asyncio.get_running_loop().create_server(
            self._lanes, self.config.bind, self.config.port, ssl=tls_context(self.config), backlog=BACKLOG
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def _connect_agents(self) -> None:
        cert, key = self.config.agent_client_cert, self.config.agent_client_key
        agents = None
        if cert is not None and key is not None:
            agents = connects.agent_context(cert, key, self.config.client_ca)
            unverified = connects.agent_context(cert, key, self.config.client_ca, verify=False)
            self._proxy = AgentProxy(agents, unverified, self._relay)
            self.features.connects.update(
                connects.handlers(self.registry, self._proxy, self._authorization.gate.authorize)
            )
            self._metrics_api = MetricsApi(self.registry, self._proxy)
            self._metrics_api.install(self.catalog)
        self.features.connects.update(connects.proxies(self.registry, self._relay, agents))

    def _authentication(self) -> Authenticator:
        """What takes bearer tokens, and answers whose they are."""
        settings = self.config.service_accounts
        audiences: tuple[str, ...] = (DEFAULT_ISSUER,)
        tokens: list[TokenAuthenticator] = []
        if settings is not None:
            keys = self.registry.token_keys = TokenKeys(settings, self._metrics.stale_tokens)
            audiences = keys.audiences
            used = LegacyTokenUse(self.registry, self._tasks)
            tokens.append(ServiceAccountTokens(keys, self.cache, self._clock, used.mark))
            address = f"{self.config.advertise}:"
            self.features.paths[oidc.CONFIGURATION_PATH] = oidc.configuration_handler(
                keys, lambda: f"{address}{self.port}"
            )
            self.features.paths[oidc.JWKS_PATH] = oidc.jwks_handler(keys)
        tokens.append(BootstrapTokens(self.cache, self._clock, audiences))
        authenticator = Authenticator(tokens, audiences)
        self.registry.reviews[TOKEN_REVIEWS] = token_review(authenticator)
        return authenticator

    def _is_deprecated(self, group: str, version: str, plural: str) -> bool:
        row = self.catalog.lookup(group, version, plural)
        return row is not None and bool(deprecation(self.registry, row))

    def _access(self, user: User) -> RequestAccess:
        return RequestAccess(self._authorization.chain, user)

    def _admission(self, store: Store) -> Chain:
        counts = AdmissionFigures(self._metrics.registry)

        def kind(resource: Resource) -> Kind:
            return self.registry.kind(resource)

        dispatcher = Dispatcher(self.cache, self._webhooks, self.catalog, kind, self._access, counts)
        policies = PolicyDispatcher(self.cache, self.catalog, kind, self._access, counts)
        mounts = self.config.service_accounts is not None
        chain = self._authorization.chain
        plugins = ordered(store, self._clock, chain, dispatcher, policies, mounts_tokens=mounts)
        return Chain(plugins, self.config.disabled_admission)


def proxy_identity(config: ApiServerConfig) -> Identity | None:
    """What webhooks and extension API servers are shown."""
    return None if config.front_proxy is None else Identity(config.front_proxy.cert, config.front_proxy.key)


def tls_context(config: ApiServerConfig) -> ssl.SSLContext:
    """TLS 1.2 or newer; a client may show a certificate of ``client_ca``, and is anonymous without one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.cert, config.key)
    context.load_verify_locations(config.client_ca)
    if config.front_proxy is not None:
        context.load_verify_locations(config.front_proxy.client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
