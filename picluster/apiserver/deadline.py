"""The time that a client gives its request: ``timeout``, as ``endpoints/filters/request_deadline.go`` has it.

What is under way when the time is over goes on by itself, as a write that was begun has to; only the answer is 504.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from picluster.api import errors

TIMEOUT_MAX_S = 60.0
"""``--request-timeout`` of kube-apiserver."""


async def within(wanted: str, serving: Coroutine[Any, Any, web.StreamResponse]) -> web.StreamResponse:
    """The answer of ``serving``; raises 400 for a ``wanted`` that is no duration, 504 when it was too short."""
    try:
        timeout_s = _seconds(wanted)
    except errors.ApiError:
        serving.close()
        raise
    if not timeout_s:
        return await serving
    task = asyncio.ensure_future(serving)
    done, _ = await asyncio.wait({task}, timeout=timeout_s)
    if done:
        return task.result()
    task.add_done_callback(_forget)
    raise errors.timeout("request did not complete within the allotted timeout")


def _seconds(wanted: str) -> float:
    """Zero is no wish, and neither is more than the server gives anybody."""
    from picluster.api.cel.times import parse_duration

    if not wanted:
        return 0.0
    try:
        timeout_s = parse_duration(wanted).nanos / 1e9
    except ValueError as problem:
        raise errors.bad_request(f"invalid timeout specified in the request URL - {problem}") from None
    return timeout_s if 0 < timeout_s < TIMEOUT_MAX_S else 0.0


def _forget(task: asyncio.Future[web.StreamResponse]) -> None:
    """Its failure has nobody to tell it to."""
    if not task.cancelled():
        task.exception()
