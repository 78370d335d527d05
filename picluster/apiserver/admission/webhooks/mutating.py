"""MutatingAdmissionWebhook: one after the other, each sees what those before it made of the object.

A webhook with ``reinvocationPolicy: IfNeeded`` is asked once more when the object has changed after it was asked
(``webhook/mutating``).
"""

from __future__ import annotations

import orjson

from picluster.api import errors
from picluster.api.patch import json
from picluster.api.resources import MUTATING_WEBHOOK_CONFIGURATIONS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.asked import Asked, fingerprint
from picluster.apiserver.admission.chain import Attributes, Basis, Reinvocation, reinvocation
from picluster.apiserver.admission.figures import ADMIT, FailedCalling
from picluster.apiserver.admission.matching import exempt
from picluster.apiserver.admission.versions import is_whole
from picluster.apiserver.admission.webhooks.dispatch import Dispatcher, failed, internal
from picluster.apiserver.admission.webhooks.hooks import Hook, Hooks
from picluster.apiserver.admission.webhooks.review import Response
from picluster.apiserver.cache.watchcache import WatchCache

AUDIT = "mutation.webhook.admission.k8s.io"


class MutatingWebhooks:
    name = "MutatingAdmissionWebhook"
    basis = Basis(only_without=(MUTATING_WEBHOOK_CONFIGURATIONS,))

    def __init__(self, cache: WatchCache, dispatcher: Dispatcher) -> None:
        self._hooks = Hooks(cache.collection(MUTATING_WEBHOOK_CONFIGURATIONS), ADMIT)
        self._dispatcher = dispatcher

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return not exempt(resource)

    async def admit(self, attributes: Attributes) -> None:
        hooks = self._hooks.current()
        if not hooks:
            return
        again = reinvocation(attributes)
        asked: Asked = again.contexts.setdefault(self.name, Asked())
        if again.running and asked.output != fingerprint(attributes.obj):
            asked.changed()
        for index, hook in enumerate(hooks):
            if not again.running or hook.uid in asked.due:
                key = f"{AUDIT}/round_{int(again.running)}_index_{index}"
                await self._ask(hook, attributes, again, asked, key)
        asked.output = fingerprint(attributes.obj)

    async def _ask(self, hook: Hook, attributes: Attributes, again: Reinvocation, asked: Asked, key: str) -> None:
        matched = await self._dispatcher.matched(hook, attributes)
        if matched is None:
            return
        try:
            with self._dispatcher.figures.call(hook.name, ADMIT, attributes.operation, fails_open=hook.fails_open):
                response = await self._dispatcher.ask(hook, attributes, matched)
                changed = bool(response.patch) and await self._patch(hook, attributes, matched, response)
        except FailedCalling as failure:
            failed(hook, failure, attributes, key)
        else:
            told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
            attributes.annotations[key] = orjson.dumps(told).decode()
            if changed:
                asked.changed()
                again.wanted = True
        if hook.reinvocable:
            asked.asked.add(hook.uid)

    async def _patch(self, hook: Hook, attributes: Attributes, matched: Resource, response: Response) -> bool:
        """Apply the patch to ``attributes.obj``, in place; whether that changed anything."""
        if attributes.obj is None:
            what = "attempted to modify the object, which is not supported for this operation"
            raise internal(f'admission webhook "{hook.name}" {what}')
        before = await self._dispatcher.shown(attributes.obj, attributes, matched)
        assert before is not None
        try:
            # A copy, since what follows changes it in place and a patched document shares parts with the first one.
            after: Object = orjson.loads(orjson.dumps(json.apply(before, response.patch)))
            if is_whole(after, attributes):
                self._dispatcher.kind(matched).conform(after)
        except errors.ApiError as error:
            raise internal(error.message) from None
        changed = after != before
        if is_whole(after, attributes):
            self._dispatcher.kind(matched).default(after)
        result = await self._dispatcher.taken_back(after, attributes, matched)
        attributes.obj.clear()
        attributes.obj.update(result)
        return changed
