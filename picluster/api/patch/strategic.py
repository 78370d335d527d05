"""Strategic merge patch: lists merge by the keys that the schema names, directives say the rest.

``$patch: replace|delete|merge`` on a map or in a list, ``$retainKeys``, ``$setElementOrder/<list>``,
``$deleteFromPrimitiveList/<list>``. The result and its order are those of apimachinery's ``strategicpatch``; where no
schema is known below a field, maps merge and lists are replaced.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from picluster.api import errors
from picluster.api.patch.failures import GO_MAP, of_wrong_type, rejected
from picluster.api.patch.listorder import KeyOf, merge_ordered, partition
from picluster.api.schemas import data
from picluster.api.types import Object

_DIRECTIVE = "$patch"
_RETAIN_KEYS = "$retainKeys"
_ELEMENT_ORDER = "$setElementOrder/"
_DELETE_FROM_LIST = "$deleteFromPrimitiveList/"

_BAD_ORDER = "invalid patch format of setElementOrder list"
_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"


def apply(schema: str, document: Object, patch: Any) -> Object:
    """``document``, an object of the definition named ``schema``, with ``patch`` merged into it."""
    if not isinstance(patch, dict):
        raise errors.bad_request(of_wrong_type(patch, GO_MAP))
    return _merge_map(document, patch, data.definitions()[schema])


class _Field(NamedTuple):
    """What the schema says of a field; ``schema`` is that of its value, or of its elements if that is a list."""

    schema: Object
    merges: bool
    replaces: bool
    merge_key: str


_UNKNOWN = _Field({}, merges=False, replaces=False, merge_key="")


def _field(schema: Object, name: str) -> _Field:
    node = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
    if not isinstance(node, dict):
        return _UNKNOWN
    strategies = str(node.get("x-kubernetes-patch-strategy", "")).split(",")
    body = data.follow(node)
    if isinstance(body.get("items"), dict):
        body = data.follow(body["items"])
    return _Field(body, "merge" in strategies, "replace" in strategies, node.get("x-kubernetes-patch-merge-key", ""))


def _merge_map(original: Object, patch: Object, schema: Object) -> Object:
    directive = patch.get(_DIRECTIVE)
    if _DIRECTIVE in patch:
        if directive == "delete":
            return {}
        if directive == "replace":
            return {key: value for key, value in patch.items() if key != _DIRECTIVE}
        if directive != "merge":
            raise _bad_directive(directive, patch)
    merged = _retained(original, patch)
    ordered = _merge_ordered_lists(merged, patch, schema)
    for key, value in patch.items():
        if key in (_DIRECTIVE, _RETAIN_KEYS) or key in ordered or key.startswith(_ELEMENT_ORDER):
            continue
        if key.startswith(_DELETE_FROM_LIST):
            _delete_from_list(merged, key, value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value, _field(schema, key))
    return merged


def _merge_value(original: Any, patch: Any, field: _Field) -> Any:
    if isinstance(patch, dict) and isinstance(original, dict) and not field.replaces:
        return _merge_map(original, patch, field.schema)
    if isinstance(patch, list) and isinstance(original, list) and field.merges:
        return _merge_list(original, patch, field)
    return _without_directives(patch)


def _retained(original: Object, patch: Object) -> Object:
    """A copy of ``original``, cut to the fields of ``$retainKeys`` if there are any."""
    if _RETAIN_KEYS not in patch:
        return dict(original)
    keys = patch[_RETAIN_KEYS]
    if not isinstance(keys, list):
        raise errors.bad_request(_BAD_RETAIN_KEYS)
    for key, value in patch.items():
        if value is not None and key not in keys and not key.startswith("$"):
            raise errors.bad_request(_BAD_RETAIN_KEYS)
    return {key: value for key, value in original.items() if key in keys}


def _merge_ordered_lists(merged: Object, patch: Object, schema: Object) -> set[str]:
    """Merge the lists that come with ``$setElementOrder`` into ``merged``; returns which they were."""
    done: set[str] = set()
    for directive, order in patch.items():
        if not directive.startswith(_ELEMENT_ORDER):
            continue
        name = directive.removeprefix(_ELEMENT_ORDER)
        if not isinstance(order, list):
            raise errors.bad_request(_BAD_ORDER)
        live, change = merged.get(name), patch.get(name)
        if name in patch and change is None:
            continue
        if not isinstance(live, list | None) or not isinstance(change, list | None):
            raise errors.bad_request(_BAD_ORDER)
        field = _field(schema, name)
        _check_order(change or [], order, field.merge_key)
        done.add(name)
        if live is None and change is None:
            continue
        if live is None:
            items = _without_directives(change)
        else:
            items = live if change is None else _merge_value(live, change, field)
        key_of = KeyOf(field.merge_key)
        listed, others = partition(items, order, key_of)
        merged[name] = merge_ordered(listed, others, order, live or [], key_of)
    return done


def _check_order(change: list[Any], order: list[Any], merge_key: str) -> None:
    """Every element of the patch's list, unless it deletes, stands in the order list, in that order."""
    key_of = KeyOf(merge_key)
    places = {key_of(item): place for place, item in reversed(list(enumerate(order)))}
    last = -1
    for item in change:
        if isinstance(item, dict) and _DIRECTIVE in item:
            continue
        place = places.get(key_of(item))
        if place is None or place < last:
            raise errors.bad_request(_BAD_ORDER)
        last = place


def _delete_from_list(merged: Object, directive: str, unwanted: Any) -> None:
    name = directive.removeprefix(_DELETE_FROM_LIST)
    if not name or not isinstance(unwanted, list):
        raise errors.bad_request(_BAD_PRIMITIVE_LIST)
    live = merged.get(name)
    if isinstance(live, list):
        merged[name] = [item for item in live if item not in unwanted]


def _merge_list(original: list[Any], patch: list[Any], field: _Field) -> list[Any]:
    if not original and not patch:
        return original
    items = [*original, *patch]
    if any(isinstance(item, list) for item in items):
        raise rejected("lists of lists are not supported")
    if len({isinstance(item, dict) for item in items}) > 1:
        raise rejected("list element types are not identical")
    key_of = KeyOf(field.merge_key)
    if isinstance(items[0], dict):
        if not field.merge_key:
            raise rejected("cannot merge lists without merge key")
        original, patch = _list_directives(original, patch, field.merge_key)
        merged = _merge_elements(original, patch, field)
    else:
        merged = list(dict.fromkeys(items))
    listed, others = partition(merged, patch, key_of)
    return merge_ordered(listed, others, patch, original, key_of)


def _list_directives(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """Do what the elements with ``$patch`` say; returns what is left of the list and of the patch."""
    plain = []
    replace = False
    for element in patch:
        if _DIRECTIVE not in element:
            plain.append(element)
            continue
        match element[_DIRECTIVE]:
            case "delete":
                unwanted = _key_value(element, merge_key)
                original = [item for item in original if item.get(merge_key) != unwanted]
            case "replace":
                replace = True
            case "merge":
                rest = {key: value for key, value in element.items() if key != _DIRECTIVE}
                if rest:
                    plain.append(rest)
            case directive:
                raise _bad_directive(directive, element)
    return ([], plain) if replace else (original, plain)


def _merge_elements(original: list[Any], patch: list[Any], field: _Field) -> list[Any]:
    merged = list(original)
    for element in patch:
        wanted = _key_value(element, field.merge_key)
        for index, item in enumerate(merged):
            if item.get(field.merge_key) == wanted:
                merged[index] = _merge_map(item, element, field.schema)
                break
        else:
            merged.append(_without_directives(element))
    return merged


def _key_value(element: Object, merge_key: str) -> Any:
    if merge_key not in element:
        raise rejected(f"map: {element} does not contain declared merge key: {merge_key}")
    return element[merge_key]


def _without_directives(value: Any) -> Any:
    """A value that replaces, or is new: directives have nothing to act on, and nulls mean absence."""
    if isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete":
            return {}
        return {
            key: _without_directives(child)
            for key, child in value.items()
            if child is not None and key not in (_DIRECTIVE, _RETAIN_KEYS)
            and not key.startswith((_ELEMENT_ORDER, _DELETE_FROM_LIST))
        }  # fmt: skip
    if isinstance(value, list):
        return [
            _without_directives(item)
            for item in value
            if not (isinstance(item, dict) and (item.get(_DIRECTIVE) == "delete" or item.keys() == {_DIRECTIVE}))
        ]
    return value


def _bad_directive(directive: Any, patch: Object) -> errors.ApiError:
    return rejected(f"unknown patch type: {directive} in map: {patch}")
