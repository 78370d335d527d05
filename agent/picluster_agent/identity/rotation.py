"""Renewing the node's certificate when 70 to 90 % of its life are over (``k8s.io/client-go/util/certificate``)."""

from __future__ import annotations

import logging
import random

from picluster.api.errors import ApiError
from picluster.client import Client, ConfigError, TransportError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster_agent.config import Config
from picluster_agent.identity import kubeconfig, openssl, requests
from picluster_agent.identity.bootstrap import subject
from picluster_agent.identity.openssl import Validity

log = logging.getLogger(__name__)

EARLIEST, LATEST = 0.7, 0.9
LOOK_AGAIN_S = 3600.0
"""The clock of a board may jump, so it is not slept through longer than this."""
WAIT_S = 900.0
RETRY_MIN_S, RETRY_MAX_S = 5.0, 600.0
_RANDOM = random.SystemRandom()


def due_s(validity: Validity, part: float) -> float:
    """When to renew; ``part`` of 1 is the end of the certificate's life."""
    return validity.begins_s + (validity.ends_s - validity.begins_s) * part


class Rotation:
    """``run`` for ever; ``client`` goes on with each new certificate."""

    def __init__(self, config: Config, client: Client, clock: Clock) -> None:
        self._config = config
        self._client = client
        self._clock = clock

    async def run(self) -> None:
        pause = Backoff(RETRY_MIN_S, RETRY_MAX_S)
        while True:
            try:
                await self._wait_until_due()
                await self._renew()
                pause.reset()
            except (openssl.OpensslError, requests.RefusedError, ApiError, TransportError, TimeoutError, ConfigError,
                    OSError) as error:  # fmt: skip
                log.warning("this node's certificate is renewed later: %s", error)
                await self._clock.sleep(pause.next_s())

    async def _wait_until_due(self) -> None:
        certificate = self._client.config.certificate
        if certificate is None:
            raise ConfigError("the kubeconfig has no client certificate to renew")
        when_s = due_s(await openssl.validity(certificate), _RANDOM.uniform(EARLIEST, LATEST))
        while (left_s := when_s - self._clock.now()) > 0:
            await self._clock.sleep(min(left_s, LOOK_AGAIN_S))

    async def _renew(self) -> None:
        made = await openssl.key_and_request(subject(self._config))
        certificate = await requests.certificate(
            self._client, self._clock, made.request, requests.CLIENT_SIGNER, requests.CLIENT_USAGES, WAIT_S
        )
        before = self._client.config
        await self._client.use(kubeconfig.renewed(self._config.kubeconfig, before, certificate, made.key))
        log.info("this node's certificate is renewed")
