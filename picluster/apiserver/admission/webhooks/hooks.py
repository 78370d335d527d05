"""The webhooks that the configurations name, ready to be asked."""

from __future__ import annotations

from picluster.api.types import Object
from picluster.apiserver.admission.matching import MatchConditions, Matcher
from picluster.apiserver.cache.collection import Collection
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.registry.store import decoded

TIMEOUT_S = 10.0


class Hook:
    """One webhook of a configuration; ``uid`` tells it from all others, ``type`` is what metrics call its kind."""

    __slots__ = (
        "client_config", "conditions", "configuration", "fails_open", "matcher", "name", "reinvocable", "side_effects",
        "timeout_s", "type", "uid", "versions",
    )  # fmt: skip

    def __init__(self, type_: str, configuration: str, number: int, webhook: Object) -> None:
        self.type = type_
        self.configuration = configuration
        self.name: str = webhook["name"]
        self.uid = f"{configuration}/{self.name}/{number}"
        self.client_config: Object = webhook["clientConfig"]
        self.matcher = Matcher.of_webhook(webhook)
        self.conditions = MatchConditions(webhook.get("matchConditions") or ())
        self.fails_open = webhook.get("failurePolicy") == "Ignore"
        self.timeout_s = float(webhook.get("timeoutSeconds") or TIMEOUT_S)
        self.side_effects: str = webhook.get("sideEffects") or ""
        self.reinvocable = webhook.get("reinvocationPolicy") == "IfNeeded"
        self.versions: tuple[str, ...] = tuple(webhook.get("admissionReviewVersions") or ())


class Hooks:
    """All webhooks of one kind of configuration, by the configurations' names; read again when these change."""

    def __init__(self, collection: Collection, type_: str) -> None:
        self._collection = collection
        self._type = type_
        self._seen: tuple[Entry, ...] = ()
        self._hooks: tuple[Hook, ...] = ()

    def current(self) -> tuple[Hook, ...]:
        entries = tuple(self._collection.entries.values())
        if entries != self._seen:
            self._seen = entries
            ordered = sorted(entries, key=lambda entry: entry.key)
            self._hooks = tuple(hook for entry in ordered for hook in self._read(entry))
        return self._hooks

    def _read(self, entry: Entry) -> list[Hook]:
        webhooks = decoded(entry).get("webhooks") or ()
        return [Hook(self._type, entry.name, number, webhook) for number, webhook in enumerate(webhooks)]
