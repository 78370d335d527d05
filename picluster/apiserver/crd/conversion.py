"""Between the versions of a custom resource: by name only, or by a webhook (``ConversionReview``).

A webhook may change everything but what makes an object itself: of its metadata only labels and annotations count
(``apiserver/conversion`` in apiextensions-apiserver).
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from picluster.api import errors, meta
from picluster.api.types import Object
from picluster.apiserver.crd import figures
from picluster.apiserver.webhooks.client import CallFailed, WebhookClient

GROUP = "apiextensions.k8s.io"
SUPPORTED = ("v1", "v1beta1")
FREE_METADATA = ("labels", "annotations")


class Refused(Exception):
    """A webhook's answer that cannot be used; the text says why, ``kind`` what metrics call that."""

    def __init__(self, why: str, kind: str = figures.MALFORMED) -> None:
        super().__init__(why)
        self.kind = kind


def renamed(obj: Object, api_version: str) -> Object:
    """The same object under another version."""
    return {**obj, "apiVersion": api_version}


class WebhookConversion:
    """The conversion of the definition ``name``, ``strategy: Webhook``."""

    def __init__(self, name: str, spec: Object, client: WebhookClient, counts: figures.ConversionFigures) -> None:
        self._name = name
        self._counts = counts
        self._config: Object = spec["clientConfig"]
        self._version = next((v for v in spec.get("conversionReviewVersions") or () if v in SUPPORTED), "")
        self._client = client

    async def convert(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        """``objects`` in ``api_version``; those that are in it already are not sent. Raises ``ApiError`` 500."""
        different = [obj for obj in objects if obj.get("apiVersion") != api_version]
        if not different:
            return list(objects)
        before, started_s, failure = str(different[0].get("apiVersion")), perf_counter(), ""
        try:
            converted = iter(await self._ask(different, api_version))
        except Refused as error:
            failure = error.kind
            subject = f"{before}, Kind={different[0].get('kind')}"
            raise errors.internal(f"conversion webhook for {subject} {error}") from None
        finally:
            versions = (before.rpartition("/")[2], api_version.rpartition("/")[2])
            self._counts.converted(self._name, *versions, failure, perf_counter() - started_s)
        return [obj if obj.get("apiVersion") == api_version else next(converted) for obj in objects]

    async def _ask(self, objects: list[Object], api_version: str) -> list[Object]:
        uid = meta.new_uid()
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"{GROUP}/{self._version}",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
        }
        try:
            answer = await self._client.post(self._config, review)
        except CallFailed as error:
            raise Refused(f"failed: {str(error).removeprefix('failed to call webhook: ')}", figures.CALL) from None
        found = self._answered(answer, uid)
        if len(found) != len(objects):
            raise Refused(f"returned {len(found)} objects, expected {len(objects)}", figures.PARTIAL)
        return [_restored(*pair, api_version, index) for index, pair in enumerate(zip(objects, found, strict=True))]

    def _answered(self, answer: Any, uid: str) -> list[Any]:
        response = answer.get("response") if isinstance(answer, dict) else None
        if self._version == "v1":
            got = (answer.get("apiVersion"), answer.get("kind")) if isinstance(answer, dict) else ("", "")
            if got != (f"{GROUP}/v1", "ConversionReview"):
                wanted = f"{GROUP}/v1, Kind=ConversionReview"
                raise Refused(f"failed: expected webhook response of {wanted}, got {got[0]}, Kind={got[1]}")
        if not isinstance(response, dict):
            raise Refused("failed: no response provided")
        if self._version == "v1" and response.get("uid") != uid:
            raise Refused(f'failed: expected response.uid="{uid}", got "{response.get("uid") or ""}"')
        result = response.get("result") or {}
        if result.get("status") != "Success":
            said = result.get("message") or f"response.result.status was '{result.get('status') or ''}', not 'Success'"
            raise Refused(f"failed: {said}")
        return list(response.get("convertedObjects") or ())


def _restored(original: Object, converted: Any, api_version: str, index: int) -> Object:
    """``converted`` with the metadata of ``original``; raises ``Refused`` if it is something else."""
    where = f"returned invalid converted object at index {index}"
    if not isinstance(converted, dict):
        raise Refused(f"{where}: not an object", figures.INVALID)
    if converted.get("apiVersion") != api_version:
        got = converted.get("apiVersion")
        raise Refused(f"{where}: invalid groupVersion (expected {api_version}, received {got})", figures.INVALID)
    if converted.get("kind") != original.get("kind"):
        why = f"invalid kind (expected {original.get('kind')}, received {converted.get('kind')})"
        raise Refused(f"{where}: {why}", figures.INVALID)
    given, kept = converted.get("metadata") or {}, original["metadata"]
    for field in ("name", "namespace", "uid"):
        if given.get(field) != kept.get(field):
            why = f"must have the same {field}: {kept.get(field)} != {given.get(field)}"
            raise Refused(f"{where}: {why}", figures.INVALID)
    metadata = {field: value for field, value in kept.items() if field not in FREE_METADATA}
    metadata |= {field: given[field] for field in FREE_METADATA if given.get(field)}
    return {**converted, "metadata": metadata}
