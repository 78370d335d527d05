"""POST pods/<name>/eviction: a deletion that asks for leave. Nothing withholds it while there are no budgets."""

from __future__ import annotations

from typing import Any

from picluster.api.resources import EVICTION
from picluster.apiserver.admission.chain import CREATE
from picluster.apiserver.answers import Answer, success
from picluster.apiserver.registry.binding import check_subject
from picluster.apiserver.registry.delete import delete_admitted
from picluster.apiserver.registry.options import delete_options
from picluster.apiserver.registry.registry import Registry, Write


async def evict(registry: Registry, write: Write, eviction: Any) -> Answer:
    """Delete the pod as the ``policy/v1`` Eviction's ``deleteOptions`` say; raises ``ApiError``."""
    check_subject(write, eviction, EVICTION)
    registry.store.get(write.resource, write.namespace, write.name)
    attributes = write.attributes(CREATE, eviction, None)
    await registry.admission.admit(attributes)
    await registry.admission.validate(attributes)
    options = delete_options({}, eviction.get("deleteOptions"))
    await delete_admitted(registry, write, options)
    return success(code=201)
