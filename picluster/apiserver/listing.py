"""LIST: which revision, which part, and the list's metadata.

Semantics of ``resourceVersion`` and ``resourceVersionMatch`` are those of "Resource versions" in the Kubernetes API
concepts. A chunked list is consistent: its token carries the revision of its first page, and later pages are the live
state with all later changes undone. When these are forgotten the answer is 410, with a token to go on inconsistently.
"""

from __future__ import annotations

import base64
import binascii
from itertools import islice
from typing import NamedTuple

import orjson

from picluster.api import errors
from picluster.api.resources import Resource
from picluster.api.types import Object
from picluster.apiserver.cache.collection import Collection
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.selection import Selection, select
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.requestinfo import Query, number, validate_list_options

FRESH_WAIT_S = 3.0
CONTINUE_VERSION = "meta.k8s.io/v1"
CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class Page(NamedTuple):
    """The entries to show, and the ListMeta."""

    entries: list[Entry]
    metadata: Object


class Token(NamedTuple):
    """Where a chunked list goes on; revision -1 goes on with whatever there is now."""

    revision: int
    start: str


class ContinueExpired(errors.ApiError):
    """410 whose Status carries a token for the rest of the list."""

    def __init__(self, token: Token) -> None:
        super().__init__(410, "Expired", CONTINUE_EXPIRED)
        self._token = token

    def status(self) -> Object:
        return {**super().status(), "metadata": {"continue": encode_token(self._token)}}


async def list_page(cache: WatchCache, resource: Resource, namespace: str, query: Query) -> Page:
    """The page that ``query`` asks for; raises ``ApiError``."""
    validate_list_options(query, watching=False)
    collection = cache.collection(resource)
    selection = select(resource, namespace, query.get("labelSelector", ""), query.get("fieldSelector", ""))
    limit = number(query, "limit") or 0
    if query.get("continue"):
        token = decode_token(query["continue"])
        if query.get("resourceVersion") not in (None, "", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        return _continued(cache, resource, selection, limit, token)
    revision, undo = cache.revision, {}
    if (wanted := resource_version(query)) > 0:
        await wait_until_fresh(cache, wanted)
        revision = cache.revision
        match = query.get("resourceVersionMatch")
        if match == "Exact" or (not match and limit > 0):
            revision, undo = wanted, cache.undo(resource, wanted)
    return _page(collection, selection, limit, Token(revision, ""), undo)


async def wait_until_fresh(cache: WatchCache, revision: int) -> None:
    """Raise 504 ``ResourceVersionTooLarge`` unless ``revision`` is reached in time."""
    if await cache.wait_for(revision, FRESH_WAIT_S):
        return
    error = errors.timeout(f"Too large resource version: {revision}, current: {cache.revision}", 1)
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    error.details = {"causes": [cause], "retryAfterSeconds": 1}
    raise error


def resource_version(query: Query) -> int:
    """The ``resourceVersion`` parameter; 0 when it is absent."""
    text = query.get("resourceVersion") or "0"
    if not text.isdecimal():
        raise errors.bad_request(
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def _continued(cache: WatchCache, resource: Resource, selection: Selection, limit: int, token: Token) -> Page:
    collection = cache.collection(resource)
    if token.revision < 0:
        return _page(collection, selection, limit, Token(cache.revision, token.start), {})
    try:
        undo = cache.undo(resource, token.revision)
    except errors.ApiError:
        raise ContinueExpired(Token(-1, token.start)) from None
    return _page(collection, selection, limit, token, undo)


def _page(
    collection: Collection, selection: Selection, limit: int, token: Token, undo: dict[str, Entry | None]
) -> Page:
    metadata: Object = {"resourceVersion": str(token.revision)}
    found = collection.select(selection, token.start, undo)
    if limit <= 0:
        return Page(list(found), metadata)
    entries = list(islice(found, limit + 1))
    if len(entries) > limit:
        start = entries[limit - 1].key + "\0"
        metadata["continue"] = encode_token(Token(token.revision, start))
        if selection.match is None:
            metadata["remainingItemCount"] = collection.count(selection, start, undo)
        entries.pop()
    return Page(entries, metadata)


def encode_token(token: Token) -> str:
    body = orjson.dumps({"v": CONTINUE_VERSION, "rv": token.revision, "start": token.start})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode_token(text: str) -> Token:
    try:
        body = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        revision, start = body["rv"], body["start"]
        if body["v"] != CONTINUE_VERSION or not isinstance(revision, int) or not isinstance(start, str):
            raise ValueError("incorrect version or types")
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from None
    return Token(revision, start)
