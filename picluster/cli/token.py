"""``picluster token``: bootstrap tokens, with which a board joins without Ansible."""

from __future__ import annotations

import json
import secrets
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picluster.cli._cluster import cluster_options, connect, run
from picluster.cli._options import output_option

if TYPE_CHECKING:
    from picluster.client.transport import Client

ALPHABET = string.ascii_lowercase + string.digits
TTL_MAX_H = 24 * 365


@click.group()
def token() -> None:
    """Let boards join with a token, without Ansible.

    \b
    Example:
      picluster token create --ttl 2
      picluster token list
      picluster token delete abcdef
    """


@token.command()
@cluster_options
@click.option("--ttl", "ttl_h", type=click.IntRange(0, TTL_MAX_H), default=24, show_default=True,
              help="Hours that it is good for; 0: for ever.")  # fmt: skip
@click.option("--description", default="", help="What it is for.")
@output_option
def create(kubeconfig: Path | None, inventory: Path | None, ttl_h: int, description: str, output: str) -> None:
    """Make a token and print how a board joins with it.

    \b
    Example:
      picluster token create --ttl 2 --description "the new boards"
    """
    made = run(_create(kubeconfig, inventory, ttl_h, description))
    if output == "json":
        click.echo(json.dumps(made))
        return
    click.echo(made["token"])
    click.echo(
        f"On the board, with picluster installed:\n  {made['join']}\nand then start its agent; the certificate of its"
        " own server waits for: kubectl certificate approve",
        err=True,
    )


@token.command("list")
@cluster_options
@output_option
def list_tokens(kubeconfig: Path | None, inventory: Path | None, output: str) -> None:
    """List the tokens, without their secrets.

    \b
    Example:
      picluster token list
    """
    rows = run(_list(kubeconfig, inventory))
    if output == "json":
        click.echo(json.dumps(rows))
        return
    for row in rows:
        usages = ",".join(row["usages"])
        click.echo(f"{row['id']}  {row['expires'] or 'never ends':<22}{usages:<24}{row['description']}".rstrip())


@token.command()
@cluster_options
@click.argument("identity", metavar="ID")
@output_option
def delete(kubeconfig: Path | None, inventory: Path | None, identity: str, output: str) -> None:
    """Delete a token by its id, the six characters before the dot.

    \b
    Example:
      picluster token delete abcdef
    """
    identity = identity.partition(".")[0]
    run(_delete(kubeconfig, inventory, identity))
    click.echo(json.dumps({"deleted": identity}) if output == "json" else f"token {identity} is deleted")


async def _create(kubeconfig: Path | None, inventory: Path | None, ttl_h: int, description: str) -> dict[str, str]:
    from picluster.api import bootstraptoken
    from picluster.api.meta import now_rfc3339
    from picluster.api.resources import SECRETS
    from picluster.util.clock import SYSTEM_CLOCK

    parts = (_random(6), _random(16))
    expiration = now_rfc3339(SYSTEM_CLOCK.now() + ttl_h * 3600) if ttl_h else ""
    secret = bootstraptoken.new_secret(
        parts,
        description=description,
        expiration=expiration,
        usages=("authentication", "signing"),
        extra_groups=(bootstraptoken.NODE_GROUP,),
    )
    async with connect(kubeconfig, inventory) as client:
        await client.create(SECRETS, secret)
        made = ".".join(parts)
        return {"token": made, "expires": expiration, "join": await _join_command(client, made)}


async def _join_command(client: Client, made: str) -> str:
    """What is typed on the board: where the cluster is, the token, and the digest of its authority's key."""
    from picluster.api.resources import CONFIGMAPS

    published = await client.get(CONFIGMAPS, "cluster-info", namespace="kube-public")
    server, digest = _cluster(published["data"]["kubeconfig"])
    return f"picluster-agent join {server} --token {made} --ca-hash sha256:{digest}"


def _cluster(kubeconfig: str) -> tuple[str, str]:
    """Address and authority of a published kubeconfig, the latter as ``--discovery-token-ca-cert-hash`` has it."""
    import base64
    import hashlib

    import yaml
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    cluster = yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]
    authority = x509.load_pem_x509_certificate(base64.b64decode(cluster["certificate-authority-data"]))
    key = authority.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return cluster["server"], hashlib.sha256(key).hexdigest()


async def _list(kubeconfig: Path | None, inventory: Path | None) -> list[dict[str, Any]]:
    from picluster.api import bootstraptoken
    from picluster.api.resources import SECRETS

    selector = f"type={bootstraptoken.SECRET_TYPE}"
    async with connect(kubeconfig, inventory) as client:
        page = await client.list(SECRETS, namespace=bootstraptoken.NAMESPACE, field_selector=selector)
    found = [bootstraptoken.read(secret) for secret in page["items"]]
    prefix = "usage-bootstrap-"
    return [
        {
            "id": data.get("token-id", ""),
            "expires": data.get("expiration", ""),
            "usages": sorted(
                key.removeprefix(prefix) for key in data if key.startswith(prefix) and data[key] == "true"
            ),
            "description": data.get("description", ""),
        }
        for data in found
        if data is not None
    ]


async def _delete(kubeconfig: Path | None, inventory: Path | None, identity: str) -> None:
    from picluster.api import bootstraptoken
    from picluster.api.resources import SECRETS

    async with connect(kubeconfig, inventory) as client:
        await client.delete(SECRETS, bootstraptoken.secret_name(identity), namespace=bootstraptoken.NAMESPACE)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
