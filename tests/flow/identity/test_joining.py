"""A board joins with a token: it finds the cluster, gets an identity, a serving certificate, and renews itself."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from control_plane import Cluster

from picluster.api import bootstraptoken
from picluster.api.errors import ApiError
from picluster.api.resources import CERTIFICATE_SIGNING_REQUESTS, CONFIGMAPS, NODES, SECRETS
from picluster.client import Client, ClientConfig
from picluster.controllers.bootstrapsigner import BootstrapSigner
from picluster.controllers.csrapproving import CsrApprovingController
from picluster.controllers.csrsigning import CsrSigningController
from picluster.pki.kubeconfig import without_identity
from picluster.runtime import Manager
from picluster.util.clock import SYSTEM_CLOCK
from picluster_agent.config import Config, ConfigError, load
from picluster_agent.identity import bootstrap, openssl
from picluster_agent.identity.join import JoinError, join
from picluster_agent.identity.rotation import Rotation, ServingRotation, due_s
from picluster_agent.identity.serving import ServingIdentity

TOKEN = ("abcdef", "0123456789abcdef")
READY_S = 10.0


@pytest.fixture
async def address(cluster: Cluster, client: Client, eventually: Any) -> AsyncIterator[str]:
    """Where the API server is, with a token and the controllers that serve it."""
    url = f"https://127.0.0.1:{cluster.port}"
    authority = (cluster.pki.directory / "ca.crt").read_text()
    secret = bootstraptoken.new_secret(
        TOKEN,
        description="",
        expiration="",
        usages=("authentication", "signing"),
        extra_groups=(bootstraptoken.NODE_GROUP,),
    )
    await client.create(SECRETS, secret)
    manager = Manager(client)
    for controller in (
        BootstrapSigner(without_identity(url, authority)),
        CsrApprovingController(),
        CsrSigningController(cluster.pki.directory),
    ):
        manager.add(controller)
    running = asyncio.create_task(manager.run())

    async def published() -> bool:
        with contextlib.suppress(ApiError):
            found = await client.get(CONFIGMAPS, "cluster-info", namespace="kube-public")
            return "jws-kubeconfig-abcdef" in found["data"]
        return False

    await eventually(published)
    yield url
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def digest(cluster: Cluster) -> str:
    return await openssl.key_digest((cluster.pki.directory / "ca.crt").read_bytes())


async def joined(cluster: Cluster, address: str, directory: Path) -> Config:
    await join(address, ".".join(TOKEN), await digest(cluster), "pi-9", "10.77.0.19", directory)
    return load(directory / "agent.yaml")


async def test_a_board_that_joins_becomes_a_node_and_renews_itself(
    cluster: Cluster, address: str, tmp_path: Path
) -> None:
    config = await joined(cluster, address, tmp_path)
    assert (tmp_path / "bootstrap.kubeconfig").stat().st_mode & 0o777 == 0o600
    await bootstrap.ensure(config, SYSTEM_CLOCK)
    assert config.kubeconfig.stat().st_mode & 0o777 == 0o600
    first = config.kubeconfig.read_bytes()
    await bootstrap.ensure(config, SYSTEM_CLOCK)
    assert config.kubeconfig.read_bytes() == first
    async with Client(ClientConfig.from_kubeconfig(config.kubeconfig)) as node:
        await node.create(NODES, {"metadata": {"name": "pi-9"}})
        with pytest.raises(ApiError) as refused:
            await node.create(NODES, {"metadata": {"name": "pi-8"}})
        assert refused.value.code == 403
        await Rotation(config, node, SYSTEM_CLOCK).renew()
        assert config.kubeconfig.read_bytes() != first
        assert (await node.get(NODES, "pi-9"))["metadata"]["name"] == "pi-9"


async def test_the_server_of_a_node_waits_for_an_administrator(
    cluster: Cluster, client: Client, address: str, tmp_path: Path, eventually: Any
) -> None:
    config = await joined(cluster, address, tmp_path)
    await bootstrap.ensure(config, SYSTEM_CLOCK)

    async def asked() -> dict[str, Any]:
        page = await client.list(
            CERTIFICATE_SIGNING_REQUESTS, field_selector="spec.signerName=kubernetes.io/kubelet-serving"
        )
        return next((one for one in page["items"] if not one["status"].get("conditions")), {})

    async def approved(waiting: asyncio.Task[None]) -> None:
        request = await eventually(asked)
        assert not waiting.done()
        request["status"] = {
            "conditions": [{"type": "Approved", "status": "True", "reason": "ByHand", "message": "by the test"}]
        }
        await client.update(CERTIFICATE_SIGNING_REQUESTS, request, subresource="approval")
        async with asyncio.timeout(READY_S):
            await waiting

    async with Client(ClientConfig.from_kubeconfig(config.kubeconfig)) as node:
        await approved(asyncio.create_task(bootstrap.serving_certificate(config, node, SYSTEM_CLOCK)))
        assert b"BEGIN CERTIFICATE" in config.serving.cert.read_bytes()
        assert config.serving.key.stat().st_mode & 0o777 == 0o600

        identity = ServingIdentity(config.serving)
        async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=identity.context()) as server:
            port = server.sockets[0].getsockname()[1]
            first = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
            assert first.encode() in identity.certificate()
            rotation = ServingRotation(config, node, SYSTEM_CLOCK, identity)
            await approved(asyncio.create_task(rotation.renew()))
            second = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
            assert second != first and second.encode() in identity.certificate()
            assert (await openssl.validity(identity.certificate())).ends_s > SYSTEM_CLOCK.now()

            renewed = config.serving.cert.with_name("agent-current.pem")
            assert renewed.stat().st_mode & 0o777 == 0o600
            renewed.write_text("broken by a power cut")
            assert identity.refresh() and first.encode() in identity.certificate()
            assert await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) == first
            assert not identity.refresh()


async def test_a_false_cluster_or_token_is_not_believed(cluster: Cluster, address: str, tmp_path: Path) -> None:
    good = await digest(cluster)
    with pytest.raises(JoinError, match="another cluster, or a false one"):
        await join(address, ".".join(TOKEN), "sha256:00", "pi-9", "10.77.0.19", tmp_path)
    with pytest.raises(JoinError, match="the token has not signed"):
        await join(address, "abcdef.aaaaaaaaaaaaaaaa", good, "pi-9", "10.77.0.19", tmp_path)
    with pytest.raises(JoinError, match="does not know the token zzzzzz"):
        await join(address, "zzzzzz.aaaaaaaaaaaaaaaa", good, "pi-9", "10.77.0.19", tmp_path)
    with pytest.raises(JoinError, match="must look like"):
        await join(address, "nonsense", good, "pi-9", "10.77.0.19", tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_a_token_that_has_ended_leaves_the_agent_with_a_clear_error(
    cluster: Cluster, client: Client, address: str, tmp_path: Path
) -> None:
    config = await joined(cluster, address, tmp_path)
    await client.delete(SECRETS, "bootstrap-token-abcdef", namespace="kube-system")
    with pytest.raises(ConfigError, match="this node has no identity yet, and gets none: Unauthorized"):
        await bootstrap.ensure(config, SYSTEM_CLOCK)
    assert not config.kubeconfig.exists()


async def test_what_is_there_is_kept_when_a_board_joins_again(cluster: Cluster, address: str, tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({"node_name": "mine"}))
    await join(address, ".".join(TOKEN), await digest(cluster), "pi-9", "10.77.0.19", tmp_path)
    assert yaml.safe_load((tmp_path / "agent.yaml").read_text()) == {"node_name": "mine"}


def test_a_certificate_is_renewed_late_in_its_life() -> None:
    validity = openssl.Validity(1000, 2000)
    assert (due_s(validity, 0.7), due_s(validity, 0.9)) == (1700, 1900)
