"""ValidatingAdmissionWebhook: all are asked at once, and none may refuse (``webhook/validating``)."""

from __future__ import annotations

import asyncio

from picluster.api.resources import VALIDATING_WEBHOOK_CONFIGURATIONS, Resource
from picluster.apiserver.admission.chain import Attributes, Basis
from picluster.apiserver.admission.figures import VALIDATING, FailedCalling
from picluster.apiserver.admission.matching import exempt
from picluster.apiserver.admission.webhooks.dispatch import Dispatcher, failed
from picluster.apiserver.admission.webhooks.hooks import Hook, Hooks
from picluster.apiserver.cache.watchcache import WatchCache

AUDIT = "validating.webhook.admission.k8s.io"


class ValidatingWebhooks:
    name = "ValidatingAdmissionWebhook"
    basis = Basis(only_without=(VALIDATING_WEBHOOK_CONFIGURATIONS,))

    def __init__(self, cache: WatchCache, dispatcher: Dispatcher) -> None:
        self._hooks = Hooks(cache.collection(VALIDATING_WEBHOOK_CONFIGURATIONS), VALIDATING)
        self._dispatcher = dispatcher

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return not exempt(resource)

    async def validate(self, attributes: Attributes) -> None:
        hooks = self._hooks.current()
        if not hooks:
            return
        calls = []
        for index, hook in enumerate(hooks):
            matched = await self._dispatcher.matched(hook, attributes)
            if matched is not None:
                calls.append((hook, matched, f"{AUDIT}/round_0_index_{index}"))
        answers = [self._ask(hook, attributes, matched, key) for hook, matched, key in calls]
        for refusal in await asyncio.gather(*answers, return_exceptions=True):
            if refusal is not None:
                raise refusal

    async def _ask(self, hook: Hook, attributes: Attributes, matched: Resource, key: str) -> None:
        try:
            with self._dispatcher.figures.call(hook.name, VALIDATING, attributes.operation, fails_open=hook.fails_open):
                await self._dispatcher.ask(hook, attributes, matched)
        except FailedCalling as failure:
            failed(hook, failure, attributes, key)
