"""``picluster-agent join``: a board finds the cluster with a token, and is ready to start its agent.

As kubeadm does it: ``kube-public/cluster-info`` is read from whoever answers, believed because the token has signed it,
and because its authority has the digest that the administrator was told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml

from picluster.api import bootstraptoken
from picluster_agent.identity import kubeconfig, openssl

CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
TIMEOUT_S = 15.0
ANSWER_MAX_BYTES = 1 << 20


class JoinError(Exception):
    """The board cannot join; the message names the cause and the cure."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="picluster-agent join", description="Let this board join with a token.")
    parser.add_argument("server", help="https://ADDRESS:6443 of the API server")
    parser.add_argument("--token", required=True, help="what picluster token create printed")
    parser.add_argument("--ca-hash", required=True, help="sha256:… of the cluster's authority, printed beside it")
    parser.add_argument("--node-name", default=socket.gethostname().lower(), help="default: %(default)s")
    parser.add_argument("--node-ip", help="default: the address by which this board reaches the server")
    parser.add_argument("--dir", type=Path, default=Path("/etc/picluster"), help="default: %(default)s")
    given = parser.parse_args(argv)
    try:
        address = given.node_ip or address_towards(given.server)
        written = asyncio.run(join(given.server, given.token, given.ca_hash, given.node_name, address, given.dir))
    except (JoinError, openssl.OpensslError, OSError) as error:
        sys.stderr.write(f"picluster-agent join: {error}\n")
        return 1
    sys.stdout.write("".join(f"wrote {path}\n" for path in written))
    return 0


async def join(server: str, token: str, ca_hash: str, name: str, address: str, directory: Path) -> list[Path]:
    """Write what an agent needs to start; raises ``JoinError``."""
    parts = bootstraptoken.parse(token)
    if parts is None:
        raise JoinError("the token must look like abcdef.0123456789abcdef: make one with picluster token create")
    ca = believed(await read_cluster_info(server), parts)
    if await openssl.key_digest(ca) != ca_hash:
        raise JoinError(
            f"the authority of {server} is not the one of --ca-hash: this is another cluster, or a false one"
        )
    paths = [directory / "pki" / "ca.crt", directory / "bootstrap.kubeconfig", directory / "agent.yaml"]
    kubeconfig.replace(paths[0], ca, 0o644)
    kubeconfig.write(paths[1], server, ca, token=token)
    if paths[2].exists():
        return paths[:2]
    kubeconfig.replace(paths[2], yaml.safe_dump(settings(name, address, directory), sort_keys=False).encode(), 0o644)
    return paths


def settings(name: str, address: str, directory: Path) -> dict[str, Any]:
    """The ``agent.yaml`` of a board that joins."""
    pki = directory / "pki"
    return {
        "node_name": name,
        "node_ip": address,
        "kubeconfig": str(directory / "agent.kubeconfig"),
        "bootstrap_kubeconfig": str(directory / "bootstrap.kubeconfig"),
        "serving": {
            "cert": str(pki / "agent.crt"),
            "key": str(pki / "agent.key"),
            "client_ca": str(pki / "ca.crt"),
        },
    }


async def read_cluster_info(server: str) -> dict[str, str]:
    """The published data of whoever answers at ``server``: nothing of it is to be believed yet."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{server.rstrip('/')}{CLUSTER_INFO}", ssl=False) as response,
        ):
            answer = json.loads(await response.content.read(ANSWER_MAX_BYTES))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise JoinError(f"{server} does not answer as an API server does: {error or 'no answer in time'}") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or "kubeconfig" not in data:
        raise JoinError(f"{server} publishes no cluster-info: are its controllers running?")
    return data


def believed(data: dict[str, str], token: tuple[str, str]) -> bytes:
    """The authority (PEM) that ``data`` names, if the holder of ``token`` has signed it."""
    signature = data.get(f"jws-kubeconfig-{token[0]}", "")
    if not signature:
        raise JoinError(f"the cluster does not know the token {token[0]}: it may have ended; make a new one")
    if not bootstraptoken.is_signed(data["kubeconfig"], signature, *token):
        raise JoinError("the token has not signed what the server says: the token is wrong, or the server is false")
    try:
        cluster = yaml.safe_load(data["kubeconfig"])["clusters"][0]["cluster"]
        return b64decode(cluster["certificate-authority-data"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError) as error:
        raise JoinError("the cluster-info has no certificate authority") from error


def address_towards(server: str) -> str:
    """The address by which this board reaches ``server``; connecting a datagram socket sends nothing."""
    url = urlsplit(server)
    family = socket.AF_INET6 if ":" in (url.hostname or "") else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((url.hostname or "", url.port or 443))
        return str(probe.getsockname()[0])
