"""ConfigMaps, Secrets and Services that a pod needs, read when it needs them.

They are read anew for each start and each refresh; while the API server is away, what was read before serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from picluster.api.errors import ApiError
from picluster.api.resources import CONFIGMAPS, SECRETS, SERVICES, Resource
from picluster.api.types import Object
from picluster.client import TransportError
from picluster_agent.podman.env import ConfigError, Sources, service_environment
from picluster_agent.sync.context import PodContext, Runtime

FETCH_TIMEOUT_S = 5.0


async def sources(
    runtime: Runtime,
    context: PodContext,
    config_maps: set[str],
    secrets: set[str],
    only: Collection[tuple[str, str]] | None = None,
) -> Sources:
    """The named objects of the pod's namespace; raises ``ConfigError`` where one cannot be read and never was.

    Where ``only`` (kind and name) is given, just these are read again, and what was read before serves for the rest.
    """
    wanted = [(CONFIGMAPS, name) for name in sorted(config_maps)] + [(SECRETS, name) for name in sorted(secrets)]
    found = await asyncio.gather(*(_current(runtime, context, resource, name, only) for resource, name in wanted))
    everything = dict(zip(wanted, found, strict=True))
    return Sources(
        {name: obj for (resource, name), obj in everything.items() if resource is CONFIGMAPS},
        {name: obj for (resource, name), obj in everything.items() if resource is SECRETS},
    )


async def _current(
    runtime: Runtime, context: PodContext, resource: Resource, name: str, only: Collection[tuple[str, str]] | None
) -> Object | None:
    key = (resource.kind, name)
    if only is not None and key not in only and key in context.fetched:
        return context.fetched[key]
    return await _fetch(runtime, context, resource, name)


async def _fetch(runtime: Runtime, context: PodContext, resource: Resource, name: str) -> Object | None:
    key = (resource.kind, name)
    try:
        obj: Object | None = await runtime.client.get(
            resource, name, namespace=context.namespace, timeout_s=FETCH_TIMEOUT_S
        )
    except (ApiError, TransportError) as error:
        if isinstance(error, ApiError) and error.code == 404:
            obj = None
        elif key in context.fetched:
            return context.fetched[key]
        else:
            raise ConfigError(f'failed to fetch {resource.kind.lower()} "{name}": {error}') from error
    context.fetched[key] = obj
    return obj


async def services(runtime: Runtime, context: PodContext) -> dict[str, str]:
    """Environment variables that name Services, as they were when the pod was first started."""
    if context.services is None:
        links = context.pod["spec"].get("enableServiceLinks", True)
        try:
            pages = await asyncio.gather(
                *(
                    runtime.client.list(SERVICES, namespace=namespace)
                    for namespace in sorted({"default", context.namespace} if links else {"default"})
                )
            )
        except (ApiError, TransportError) as error:
            if context.static:  # it may be what the API server itself runs as
                return {}
            raise ConfigError(
                f"services have not yet been read at least once, cannot construct envvars: {error}"
            ) from error
        items = [item for page in pages for item in page["items"]]
        context.services = service_environment(items, context.namespace, links=links)
    return context.services
