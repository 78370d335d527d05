"""The patches of the Kubernetes API, by content type; server-side apply is one more and has its own package.

``apply`` never changes the document it is given; what it returns shares the untouched parts with it. So whoever goes
on to change the result (defaults, strategy) decodes a document of its own first.
"""

from __future__ import annotations

from typing import Any

from picluster.api import errors
from picluster.api.patch import json, merge, strategic
from picluster.api.resources import Resource
from picluster.api.types import Object

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
"""Server-side apply: ``picluster.api.apply`` does it."""
CONTENT_TYPES = (JSON, MERGE, STRATEGIC, APPLY)
CUSTOM_CONTENT_TYPES = (JSON, MERGE, APPLY)
"""What custom resources take: without a schema of Go types there is no strategic merge."""


def apply(content_type: str, resource: Resource, document: Object, patch: Any) -> Object:
    """``document`` (an object of ``resource``) with the decoded ``patch`` applied.

    Raises 400 for what is no patch, 415 for another content type, 422 for a patch that does not fit the document.
    """
    if content_type == JSON:
        return json.apply(document, patch)
    if content_type == MERGE:
        return merge.apply(document, patch)
    if content_type == STRATEGIC:
        return strategic.apply(resource.schema, document, patch)
    raise errors.unsupported_media_type(CONTENT_TYPES)
