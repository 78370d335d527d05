"""An image for a container, as the kubelet's image manager gets it: looked up here, or pulled.

``EnsureImageExists`` of ``pkg/kubelet/images/image_manager.go`` in Kubernetes 1.36: the same events, reasons and
messages, and one more event, ``Pulling``, that says now and then how far a long pull has come. What is loaded on the
board needs no registry: ``localhost/…`` is never pulled, whatever the policy, because there is nowhere to pull it from.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from picluster.api.types import Object
from picluster.util.clock import Clock
from picluster_agent.durations import go_duration
from picluster_agent.images import counting, errors, secrets, verification
from picluster_agent.images.credentials import Credential, CredentialsError, lookup
from picluster_agent.images.errors import ImageError
from picluster_agent.images.progress import Progress
from picluster_agent.images.puller import Pulled, Puller, PullsFailed
from picluster_agent.images.records import Records
from picluster_agent.images.reference import InvalidReference, Reference, parse
from picluster_agent.podman.client import Podman, PodmanError, PodmanUnavailable
from picluster_agent.podman.launch import Image

if TYPE_CHECKING:
    from picluster_agent.sync.context import PodContext, Runtime

TIDY_EACH_S = 3600.0


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How images are pulled on this node."""

    parallel_max: int
    progress_deadline_s: float
    credentials: Path
    """A Docker ``config.json`` with what every pod of the node may use; need not be there."""
    verification_policy: str
    verification_allowlist: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One container's wish, with what is needed to speak about it."""

    runtime: Runtime
    context: PodContext
    name: str
    reference: Reference
    secrets: Sequence[Object]

    def event(self, kind: str, reason: str, message: str) -> None:
        self.context.event(self.runtime, kind, reason, message, self.name)

    def error(self, reason: str, message: str) -> ImageError:
        return ImageError(reason, message, self.reference.text)


class Images:
    """The node's images. ``directory`` is where it is remembered with whose credentials they came."""

    def __init__(self, podman: Podman, clock: Clock, directory: Path, settings: ImageSettings) -> None:
        self._podman = podman
        self._clock = clock
        self._settings = settings
        self._records = Records(directory)
        self._recovery, self._recovered = asyncio.Lock(), False
        self._tidy_s = clock.now() + TIDY_EACH_S
        self._puller = Puller(
            podman, clock, parallel_max=settings.parallel_max, deadline_s=settings.progress_deadline_s
        )

    async def _recover(self) -> None:
        """Once, before the first image: what did an earlier agent leave?"""
        async with self._recovery:
            if not self._recovered and self._records.exist:
                await self._records.recover(await self._podman.images())
            self._recovered = True

    async def ensure(self, runtime: Runtime, context: PodContext, name: str, image: str, policy: str) -> Image:
        """The local image that ``image`` means, for the container ``name`` (none for a volume's).

        Raises ``ImageError``, and ``PodmanUnavailable``.
        """
        try:
            reference = parse(image)
        except InvalidReference as error:
            message = f'Failed to apply default image tag "{image}": {error}'
            context.event(runtime, "Warning", "InspectFailed", message, name)
            raise ImageError(errors.INVALID_NAME, message, image) from error
        await self._recover()
        wanted = _Wanted(runtime, context, name, reference, await secrets.pull_secrets(runtime, context))
        asked = policy != "Always" or reference.is_local
        found = await self._look(wanted) if asked else None
        usable = found is not None and self._may_use(wanted, found)
        present = found is not None if asked else None
        counting.requested(policy, present=present, pull=None if policy == "Never" and not present else not usable)
        if found is not None and usable:
            message = f'Container image "{image}" already present on machine and can be accessed by the pod'
            wanted.event("Normal", "Pulled", message)
            return Image.from_inspect(found)
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            wanted.event("Warning", "ErrImageNeverPull", message)
            raise wanted.error(errors.ERR_NEVER_PULL, message)
        return await self._pull(wanted)

    async def _look(self, wanted: _Wanted) -> Object | None:
        try:
            for name in wanted.reference.candidates:
                if (found := await self._podman.image(name)) is not None:
                    return found
        except PodmanError as error:
            message = f'Failed to inspect image "{wanted.reference.text}": {error}'
            wanted.event("Warning", "InspectFailed", message)
            raise wanted.error(errors.ERR_INSPECT, message) from error
        return None

    def _credentials(self, wanted: _Wanted) -> list[Credential]:
        try:
            node = secrets.of_node(self._settings.credentials)
            return lookup(wanted.reference.repository, wanted.secrets, node)
        except CredentialsError as error:
            raise wanted.error(errors.ERR_PULL, str(error)) from error

    def _may_use(self, wanted: _Wanted, found: Object) -> bool:
        """Whether the pod may have an image that is here, by the credentials that it came with."""
        reference, settings = wanted.reference, self._settings
        if reference.is_local:
            return True
        record = self._records.of(str(found["Id"]))
        pulled_here = record is not None or self._records.is_pulling(reference.full)
        allowed = settings.verification_allowlist
        if not verification.must_verify(settings.verification_policy, allowed, reference, pulled_here=pulled_here):
            counting.checked("credentialPolicyAllowed")
            return True
        access = record.access.get(reference.repository) if record is not None else None
        everybody = access is not None and access.everybody
        usable = everybody or verification.may_use(access, self._credentials(wanted))
        counting.checked("credentialRecordFound" if usable else "mustAuthenticate")
        return usable

    async def _pull(self, wanted: _Wanted) -> Image:
        text, reference = wanted.reference.text, wanted.reference
        began_s = self._clock.monotonic()
        wanted.event("Normal", "Pulling", f'Pulling image "{text}"')
        if reference.is_local:
            missing = errors.PullError("the image is not on this node, and localhost names no registry: load it first")
            raise self._failed(wanted, [missing])
        credentials = self._credentials(wanted)
        try:
            await self._records.begin(reference.full)
            pulled = await self._puller.pull(reference.full, credentials, lambda *how_far: _tell(wanted, *how_far))
            found = await self._look(wanted)
            if found is None:
                raise self._failed(wanted, [errors.PullError("the image is not there after its pull")])
            used = credentials[pulled.index] if pulled.index is not None else None
            await self._records.grant(str(found["Id"]), reference.repository, used)
        except PullsFailed as failure:
            raise self._failed(wanted, failure.errors) from failure
        finally:
            await self._records.end(reference.full)
        whole_s, size_bytes = self._clock.monotonic() - began_s, int(found.get("Size") or 0)
        counting.pulled(size_bytes, whole_s)
        wanted.event("Normal", "Pulled", _success(text, pulled, whole_s, size_bytes))
        with contextlib.suppress(PodmanError, PodmanUnavailable):
            await self._tidy()
        return Image.from_inspect(found)

    async def _tidy(self) -> None:
        """Forget images that are gone, now and then; a pull is dear enough for that."""
        now_s = self._clock.now()
        if now_s >= self._tidy_s:
            self._tidy_s = now_s + TIDY_EACH_S
            self._records.prune({one["Id"] for one in await self._podman.images()}, now_s)

    def _failed(self, wanted: _Wanted, failures: list[errors.PullError]) -> ImageError:
        said, reason, message = errors.explained(wanted.reference.text, failures)
        wanted.event("Warning", "Failed", f'Failed to pull image "{wanted.reference.text}": {said}')
        return wanted.error(reason, message)


def _tell(wanted: _Wanted, waited_s: float, progress: Progress) -> None:
    message = f'Still pulling image "{wanted.reference.text}" after {waited_s:.0f}s: {progress}'
    wanted.event("Normal", "Pulling", message)


def _success(text: str, pulled: Pulled, whole_s: float, size_bytes: int) -> str:
    return (
        f'Successfully pulled image "{text}" in {go_duration(pulled.took_s)} '
        f"({go_duration(whole_s)} including waiting). Image size: {size_bytes} bytes."
    )
