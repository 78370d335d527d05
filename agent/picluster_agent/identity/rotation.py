"""Renewing the node's certificates when 70 to 90 % of their life are over (``k8s.io/client-go/util/certificate``).

Both are renewed, also those that a node was provisioned with: the one that it shows to the API server, and that of its
own server, for which an administrator has to say yes (Kubernetes' rule).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

from picluster.api.errors import ApiError
from picluster.client import Client, ConfigError, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster_agent import figures
from picluster_agent.config import Config
from picluster_agent.identity import kubeconfig, openssl, requests
from picluster_agent.identity.bootstrap import SERVING_WAIT_S, subject
from picluster_agent.identity.openssl import Validity
from picluster_agent.identity.serving import ServingIdentity

log = logging.getLogger(__name__)

EARLIEST, LATEST = 0.7, 0.9
LOOK_AGAIN_S = 3600.0
"""The clock of a board may jump, so it is not slept through longer than this."""
FILES_S = 60.0
"""How soon a server's certificate that somebody has replaced on the disk is taken up."""
WAIT_S = 900.0
RETRY_MIN_S, RETRY_MAX_S = 5.0, 600.0
FAILURES = (
    openssl.OpensslError,
    requests.RefusedError,
    ApiError,
    TransportError,
    TimeoutError,
    ConfigError,
    OSError,
)
_RANDOM = random.SystemRandom()


def due_s(validity: Validity, part: float) -> float:
    """When to renew; ``part`` of 1 is the end of the certificate's life."""
    return validity.begins_s + (validity.ends_s - validity.begins_s) * part


async def _keep_new(clock: Clock, kind: str, once: Callable[[], Awaitable[None]]) -> None:
    """``once`` waits until the certificate is due and renews it; again and again."""
    pause = Backoff(RETRY_MIN_S, RETRY_MAX_S)
    while True:
        try:
            await once()
            pause.reset()
            figures.CERTIFICATE_ROTATIONS[kind] += 1
            log.info("this node's %s certificate is renewed", kind)
        except FAILURES as error:
            figures.CERTIFICATE_FAILURES[kind] += 1
            log.warning("this node's %s certificate is renewed later: %s", kind, error)
            await clock.sleep(pause.next_s())


async def _due_s(kind: str, certificate: bytes) -> float:
    validity = await openssl.validity(certificate)
    figures.CERTIFICATE_ENDS_S[kind] = validity.ends_s
    return due_s(validity, _RANDOM.uniform(EARLIEST, LATEST))


class Rotation:
    """``run`` for ever; ``client`` goes on with each new certificate. Who has a token instead needs none."""

    def __init__(self, config: Config, client: Client, clock: Clock) -> None:
        self._config = config
        self._client = client
        self._clock = clock

    async def run(self) -> None:
        if self._client.config.certificate is not None:
            await _keep_new(self._clock, "client", self._once)

    async def _once(self) -> None:
        certificate = self._client.config.certificate
        assert certificate is not None
        when_s = await _due_s("client", certificate)
        while (left_s := when_s - self._clock.now()) > 0:
            await self._clock.sleep(min(left_s, LOOK_AGAIN_S))
        await self.renew()

    async def renew(self) -> None:
        """Now, whether it is due or not."""
        made = await openssl.key_and_request(subject(self._config))
        certificate = await requests.certificate(
            self._client, self._clock, made.request, requests.CLIENT_SIGNER, requests.CLIENT_USAGES, WAIT_S
        )
        before = self._client.config
        await self._client.use(kubeconfig.renewed(self._config.kubeconfig, before, certificate, made.key))


class ServingRotation:
    """The same for the agent's server, which has begun to listen with ``identity``."""

    def __init__(self, config: Config, client: Client, clock: Clock, identity: ServingIdentity) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._identity = identity

    async def run(self) -> None:
        await _keep_new(self._clock, "server", self._once)

    async def _once(self) -> None:
        when_s = await _due_s("server", self._identity.certificate())
        while (left_s := when_s - self._clock.now()) > 0:
            await self._clock.sleep(min(left_s, FILES_S))
            if self._identity.refresh():
                log.info("the agent's server shows another certificate now")
                when_s = await _due_s("server", self._identity.certificate())
        await self.renew()

    async def renew(self) -> None:
        """Now, whether it is due or not; waits for an administrator."""
        made = await openssl.key_and_request(subject(self._config), [self._config.node_name], [self._config.node_ip])
        certificate = await requests.certificate(
            self._client, self._clock, made.request, requests.SERVING_SIGNER, requests.SERVING_USAGES, SERVING_WAIT_S
        )
        self._identity.use(certificate, made.key)
