"""The credentials of one pod: the Secrets that it names, and the node's file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from picluster.api.types import Object
from picluster_agent.images import credentials
from picluster_agent.images.credentials import CredentialsError
from picluster_agent.podman.env import ConfigError
from picluster_agent.sync import objects

if TYPE_CHECKING:
    from picluster_agent.sync.context import PodContext, Runtime


async def pull_secrets(runtime: Runtime, context: PodContext) -> list[Object]:
    """The pod's ``imagePullSecrets``. One that cannot be had is named in an event: the image may not need it."""
    names = [str(one["name"]) for one in context.pod["spec"].get("imagePullSecrets") or () if one.get("name")]
    if not names:
        return []
    found = await asyncio.gather(*(_one(runtime, context, name) for name in dict.fromkeys(names)))
    missing = [name for name, secret in zip(dict.fromkeys(names), found, strict=True) if secret is None]
    if missing:
        message = (
            f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
            "attempting to pull the image may not succeed."
        )
        context.event(runtime, "Warning", "FailedToRetrieveImagePullSecret", message)
    return [secret for secret in found if secret is not None]


async def _one(runtime: Runtime, context: PodContext, name: str) -> Object | None:
    try:
        return (await objects.sources(runtime, context, set(), {name})).secrets[name]
    except ConfigError:
        return None


def of_node(path: Path) -> dict[str, object]:
    """What every pod of this node may use, from a Docker ``config.json``; raises ``CredentialsError``."""
    try:
        return credentials.auths(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, CredentialsError) as error:
        raise CredentialsError(f"{path} cannot be used: {error}") from error
