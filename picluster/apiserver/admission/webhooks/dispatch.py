"""Who is asked about a request, in which version of the object, and what becomes of a call that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from picluster.api import errors, meta
from picluster.api.cel import CelError
from picluster.api.cel.access import Access
from picluster.api.resources import Resource
from picluster.apiserver.admission.chain import Attributes
from picluster.apiserver.admission.figures import ADMIT, AdmissionFigures, FailedCalling
from picluster.apiserver.admission.matching import admission_request, bindings
from picluster.apiserver.admission.versions import Versions
from picluster.apiserver.admission.webhooks import review
from picluster.apiserver.admission.webhooks.hooks import Hook
from picluster.apiserver.admission.webhooks.review import InvalidResponse, Response
from picluster.apiserver.authn import User
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.registry.kinds import Kind
from picluster.apiserver.webhooks.client import CallFailed, WebhookClient

log = logging.getLogger(__name__)

HARMLESS = ("None", "NoneOnDryRun")
"""The ``sideEffects`` of webhooks that may be asked in a dry run."""


class Dispatcher(Versions):
    """What both plugins need of the server.

    ``serving`` are the rows that are served, ``kind`` finds what is known of one, ``access`` is what conditions ask
    about a user's rights, and ``figures`` count.
    """

    def __init__(
        self,
        cache: WatchCache,
        client: WebhookClient,
        serving: Iterable[Resource],
        kind: Callable[[Resource], Kind],
        access: Callable[[User], Access | None],
        figures: AdmissionFigures,
    ) -> None:
        super().__init__(kind)
        self._cache = cache
        self._client = client
        self._serving = serving
        self._access = access
        self.figures = figures

    async def matched(self, hook: Hook, attributes: Attributes) -> Resource | None:
        """The row that the webhook asked to see the object as, ``None`` if it is not asked; raises ``ApiError``."""
        matched = hook.matcher.match(attributes, self._cache, self._serving)
        if matched is None or not hook.conditions:
            return matched
        variables = bindings(attributes, matched, self._cache, self._access(attributes.user))
        variables["object"] = await self.shown(attributes.obj, attributes, matched)
        variables["oldObject"] = await self.shown(attributes.old, attributes, matched)
        labels = (hook.name, "webhook", hook.type, attributes.operation)
        try:
            with self.figures.conditions(*labels):
                holds = hook.conditions.hold(variables)
        except CelError as error:
            if hook.fails_open:
                log.warning("match conditions of webhook %s failed, failing open: %s", hook.name, error)
                return None
            resource = attributes.resource
            raise errors.forbidden(resource.group, resource.plural, attributes.name, str(error)) from None
        if holds:
            return matched
        self.figures.excluded(*labels)
        return None

    async def ask(self, hook: Hook, attributes: Attributes, matched: Resource) -> Response:
        """What the webhook says; its warnings are the client's.

        Raises ``ApiError`` when it refuses, ``FailedCalling`` when it does not answer.
        """
        _check_dry_run(hook, attributes)
        uid = meta.new_uid()
        request = {
            "uid": uid,
            **admission_request(attributes, matched),
            "object": await self.shown(attributes.obj, attributes, matched),
            "oldObject": await self.shown(attributes.old, attributes, matched),
        }
        try:
            version = review.version_of(hook.versions)
            answer = await self._client.post(hook.client_config, review.review(version, request), hook.timeout_s)
            response = review.read(version, uid, answer, mutating=hook.type == ADMIT)
        except CallFailed as error:
            raise FailedCalling(hook.name, str(error), error.code) from None
        except InvalidResponse as error:
            raise FailedCalling(hook.name, f"received invalid webhook response: {error}") from None
        attributes.warnings.extend(response.warnings)
        attributes.annotations.update({f"{hook.name}/{key}": value for key, value in response.annotations.items()})
        if not response.allowed:
            raise review.rejection(hook.name, response.status)
        return response


def failed(hook: Hook, failure: FailedCalling, attributes: Attributes, key: str) -> None:
    """Let a request pass without an answer, or refuse it: raises ``ApiError`` 500 unless the webhook fails open.

    ``key`` is that of the audit annotation which says that it did.
    """
    if not hook.fails_open:
        raise internal(str(failure)) from None
    log.warning("%s; failing open", failure)
    attributes.annotations[f"failed-open.{key}"] = hook.name


def internal(why: str) -> errors.ApiError:
    """``NewInternalError``: the cause is told twice."""
    return errors.ApiError(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


def _check_dry_run(hook: Hook, attributes: Attributes) -> None:
    if not attributes.dry_run:
        return
    if not hook.side_effects:
        raise FailedCalling(hook.name, "Webhook SideEffects is nil")
    if hook.side_effects not in HARMLESS:
        raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
