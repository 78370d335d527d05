"""POST of a kind that is asked and answered, and never stored: reviews of tokens and of access."""

from __future__ import annotations

from typing import Any

import orjson

from picluster.api import errors
from picluster.apiserver.admission.chain import CREATE
from picluster.apiserver.answers import Answer
from picluster.apiserver.registry.registry import Registry, Write, read_object


async def review(registry: Registry, write: Write, question: Any, body: bytes | None) -> Answer:
    """Answer ``question``, the decoded ``body``; raises ``ApiError``."""
    answer = registry.reviews.get(write.resource)
    if answer is None:
        raise errors.method_not_supported(write.resource.group, write.resource.plural, "create")
    read_object(write, registry.kind(write.resource), question, body)
    registry.kind(write.resource).default(question)
    await registry.admission.admit(write.attributes(CREATE, question, None))
    await registry.admission.validate(write.attributes(CREATE, question, None))
    answered = await answer(write, question)
    answered.setdefault("metadata", {}).setdefault("creationTimestamp", None)
    return Answer(201, orjson.dumps(answered))
