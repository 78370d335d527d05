"""When a token that lives in a Secret was last used: a label of the Secret, once a day (KEP-2799)."""

from __future__ import annotations

import logging

from picluster.api import errors
from picluster.api.resources import SECRETS
from picluster.api.types import Object
from picluster.apiserver.authn.serviceaccounts import LAST_USED_LABEL, today
from picluster.apiserver.bootstrap import SELF
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.registry.update import change_object
from picluster.storage.backend import StorageError
from picluster.util.tasks import Tasks

log = logging.getLogger(__name__)

WRITES_MAX = 16


class LegacyTokenUse:
    """Writes beside the requests that bring the tokens; what does not fit now is written at the next use."""

    def __init__(self, registry: Registry, tasks: Tasks) -> None:
        self._registry = registry
        self._tasks = tasks
        self._writing: set[tuple[str, str]] = set()

    def mark(self, namespace: str, name: str) -> None:
        key = (namespace, name)
        if key not in self._writing and len(self._writing) < WRITES_MAX:
            self._writing.add(key)
            self._tasks.spawn(self._write(namespace, name), "legacy-token-use")

    async def _write(self, namespace: str, name: str) -> None:
        day = today(self._registry.clock)

        def labelled(secret: Object) -> Object:
            metadata = secret["metadata"]
            return {
                **secret,
                "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), LAST_USED_LABEL: day}},
            }

        try:
            await change_object(self._registry, Write(SELF, SECRETS, namespace, name), labelled)
        except (errors.ApiError, StorageError) as error:
            log.warning("the last use of the token in %s/%s was not noted: %s", namespace, name, error)
        finally:
            self._writing.discard((namespace, name))
