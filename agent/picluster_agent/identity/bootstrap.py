"""The first identity of a node that joins with a token, and the certificate of its own server.

Nobody approves a serving certificate by itself (Kubernetes' rule): the agent runs pods meanwhile, and serves logs and
exec once an administrator has said ``kubectl certificate approve``.
"""

from __future__ import annotations

import logging

from picluster.api.errors import ApiError
from picluster.client import Client, ClientConfig, TransportError
from picluster.client import ConfigError as KubeconfigError
from picluster.util.backoff import Backoff
from picluster.util.clock import Clock
from picluster_agent.config import Config, ConfigError
from picluster_agent.identity import kubeconfig, openssl, requests

log = logging.getLogger(__name__)

CLIENT_WAIT_S = 900.0
SERVING_WAIT_S = 24 * 3600.0
RETRY_MIN_S, RETRY_MAX_S = 1.0, 300.0


def subject(config: Config) -> str:
    return f"/O=system:nodes/CN=system:node:{config.node_name}"


async def ensure(config: Config, clock: Clock) -> None:
    """Make the kubeconfig that ``config`` names, unless it is there and good.

    Raises ``ConfigError`` when a token is needed and there is none to be used, or it is refused.
    """
    if config.bootstrap_kubeconfig is None or await _is_good(config, clock):
        return
    try:
        before = ClientConfig.from_kubeconfig(config.bootstrap_kubeconfig)
        made = await openssl.key_and_request(subject(config))
        async with Client(before, clock=clock, user_agent="picluster-agent") as client:
            certificate = await requests.certificate(
                client, clock, made.request, requests.CLIENT_SIGNER, requests.CLIENT_USAGES, CLIENT_WAIT_S
            )
    except (
        KubeconfigError,
        openssl.OpensslError,
        requests.RefusedError,
        ApiError,
        TransportError,
        TimeoutError,
    ) as error:
        raise ConfigError(f"this node has no identity yet, and gets none: {error}") from error
    kubeconfig.renewed(config.kubeconfig, before, certificate, made.key)
    log.info("this node is system:node:%s now", config.node_name)


async def _is_good(config: Config, clock: Clock) -> bool:
    if not config.kubeconfig.exists():
        return False
    certificate = ClientConfig.from_kubeconfig(config.kubeconfig).certificate
    return certificate is not None and (await openssl.validity(certificate)).ends_s > clock.now()


async def serving_certificate(config: Config, client: Client, clock: Clock) -> None:
    """Ask until there is a certificate for the agent's server; it and its key are where ``config`` says then."""
    pause = Backoff(RETRY_MIN_S, RETRY_MAX_S)
    while not (config.serving.cert.exists() and config.serving.key.exists()):
        try:
            made = await openssl.key_and_request(subject(config), [config.node_name], [config.node_ip])
            certificate = await requests.certificate(
                client, clock, made.request, requests.SERVING_SIGNER, requests.SERVING_USAGES, SERVING_WAIT_S
            )
        except (openssl.OpensslError, requests.RefusedError, ApiError, TransportError, TimeoutError) as error:
            log.warning("the agent's server has no certificate: %s", error)
            await clock.sleep(pause.next_s())
            continue
        kubeconfig.replace(config.serving.key, made.key)
        kubeconfig.replace(config.serving.cert, certificate, 0o644)
