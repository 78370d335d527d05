"""Kinds that are served in more versions than the one they are stored in.

A file per kind and version that is not the stored one, with ``from_stored(obj)`` and ``to_stored(obj)``; both may share
parts with what they get, and leave it as it is. Nothing is lost on the way there and back: what a version cannot say is
kept in an annotation, as Kubernetes does.
"""

from __future__ import annotations

from picluster.api.kindfiles import function
from picluster.api.resources import Resource
from picluster.api.types import Object


def converts(resource: Resource) -> bool:
    """Whether ``resource`` is another version than the stored one."""
    return function(__name__, resource, "from_stored") is not None


def from_stored(resource: Resource, obj: Object) -> Object:
    """``obj``, as it is stored, in the version that ``resource`` is."""
    convert = function(__name__, resource, "from_stored")
    return obj if convert is None else convert(obj)


def to_stored(resource: Resource, obj: Object) -> Object:
    """``obj``, in the version that ``resource`` is, as it is stored."""
    convert = function(__name__, resource, "to_stored")
    return obj if convert is None else convert(obj)
