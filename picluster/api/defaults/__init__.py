"""What Kubernetes 1.36 fills in when an object leaves a field out; one module per kind, ``apply(obj)`` in place.

Runs on every write after decoding and before admission, so that everybody after it sees whole objects. Also does what
Kubernetes' conversions do there: quantities in canonical form, ``stringData`` into ``data``, old and new names of a
field kept alike. What an allocator or an admission plugin sets (addresses, service accounts) is not defaulting. Kinds
without a module have no defaults.
"""

from __future__ import annotations

from picluster.api.kindfiles import function
from picluster.api.resources import Resource
from picluster.api.types import Object


def apply(resource: Resource, obj: Object) -> None:
    """Fill the defaults of a decoded object in place; running it twice changes nothing."""
    fill = function(__name__, resource, "apply")
    if fill is not None:
        fill(obj)
