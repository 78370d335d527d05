"""The whole way of a write, for any object of any kind: nothing but an answer comes out."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picluster.api import defaults, errors, schema, selectors, serialize, strategy, validation
from picluster.api.resources import RESOURCES, Resource
from picluster.api.types import Object

NOW = "2026-01-31T12:00:00Z"
Make = Callable[[str], st.SearchStrategy[Any]]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.id)
def test_any_object_is_stored_or_refused(resource: Resource, objects_of: Make) -> None:
    @settings(max_examples=50, deadline=None)
    @given(objects_of(resource.schema), objects_of(resource.schema))
    def check(first: Object, second: Object) -> None:
        for obj in (first, second):
            obj.setdefault("metadata", {}).pop("resourceVersion", None)
            defaults.apply(resource, obj)
        strategy.prepare_create(resource, first, NOW)
        _render(resource, validation.create(resource, first))
        stored = serialize.encode(first)
        old = serialize.decode(stored, 7)
        kept = deepcopy(old)
        assert schema.conform(resource, deepcopy(old)) == []
        selectors.field_values(resource, old)
        subresources: list[str | None] = [None, *(["status"] if resource.has_status else [])]
        for subresource in subresources:
            new = deepcopy(second)
            strategy.prepare_update(resource, new, old, subresource)
            check_kind = validation.status if subresource else validation.update
            _render(resource, check_kind(resource, new, old))
            assert old == kept
        same = deepcopy(old)
        strategy.prepare_update(resource, same, old)
        assert same == old

    check()


def _render(resource: Resource, failures: list[errors.FieldError]) -> None:
    """Every refusal can be told, and names a field."""
    if failures:
        status = errors.invalid(resource.group, resource.kind, "x", failures).status()
        assert status["code"] == 422
        orjson.dumps(status)
