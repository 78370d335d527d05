"""JSON Patch (RFC 6902), with the negative indexes that Kubernetes' library also takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from picluster.api import errors
from picluster.api.patch.failures import rejected
from picluster.api.types import Object

OPERATIONS_MAX = 10_000
COPIED_MAX_BYTES = 3 << 20
"""What all copies of a patch may add together, or a short one would make an endless document."""


def apply(document: Object, patch: Any) -> Object:
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise errors.bad_request("error decoding patch: a JSON patch must be a list of operations")
    if len(patch) > OPERATIONS_MAX:
        limit = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(patch)}"
        raise errors.ApiError(413, "RequestEntityTooLarge", limit)
    result: Any = document
    copied_bytes = 0
    for operation in patch:
        if operation.get("op") == "copy":
            copied_bytes += len(orjson.dumps(_get(result, _pointer(operation, "from"), "copy")))
            if copied_bytes > COPIED_MAX_BYTES:
                raise rejected(
                    f"Unable to complete the copy, the accumulated size increase of copy is {copied_bytes}, exceeding"
                    f" the limit {COPIED_MAX_BYTES}"
                )
        result = _operate(result, operation)
    if not isinstance(result, dict):
        raise rejected("the patched document is not an object")
    return result


def _operate(document: Any, operation: Object) -> Any:
    op = operation.get("op")
    path = _pointer(operation, "path")
    match op:
        case "add":
            return _at(document, path, _adder(_value(operation)))
        case "remove":
            return _at(document, path, _remove)
        case "replace":
            return _replace(document, path, _value(operation))
        case "move":
            source = _pointer(operation, "from")
            if path[: len(source)] == source and path != source:
                raise rejected("move operation does not apply: a value cannot move into itself")
            moved = _get(document, source, "move")
            return _at(_at(document, source, _remove), path, _adder(moved))
        case "copy":
            return _at(document, path, _adder(_get(document, _pointer(operation, "from"), "copy")))
        case "test":
            _test(document, path, operation.get("value"))
            return document
    raise rejected(f"Unexpected kind: {op}")


def _pointer(operation: Object, field: str) -> list[str]:
    text = operation.get(field)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise rejected(f"operation {operation.get('op')} has no valid {field}: {text!r}")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _value(operation: Object) -> Any:
    if "value" not in operation:
        raise rejected(f"{operation['op']} operation has no value")
    return operation["value"]


Edit = Callable[[Any, str], None]
"""Changes the container it is given, which is a copy already, at the step."""


def _at(document: Any, path: list[str], edit: Edit) -> Any:
    """``document`` with ``edit`` done at ``path``; only the containers on the way are copied."""
    if not path:
        holder = {"": document}
        edit(holder, "")
        return holder.get("")
    copy = _copied(document, path)
    container = copy
    for depth, step in enumerate(path[:-1]):
        key = _child_key(container, step, path)
        container[key] = _copied(container[key], path[depth + 1 :])
        container = container[key]
    edit(container, path[-1])
    return copy


def _copied(container: Any, path: list[str]) -> Any:
    if isinstance(container, dict):
        return dict(container)
    if isinstance(container, list):
        return list(container)
    raise _missing(path)


def _child_key(container: Any, step: str, path: list[str]) -> Any:
    if isinstance(container, dict):
        if step not in container:
            raise _missing(path)
        return step
    return _index(step, len(container) - 1, len(container))


def _index(step: str, index_max: int, length: int) -> int:
    digits = step.removeprefix("-")
    if not digits.isdecimal() or not digits.isascii() or (len(digits) > 1 and digits[0] == "0"):
        raise rejected(f'"{step}" is not an array index')
    index = int(step)
    if index < 0:
        index += length
    if not 0 <= index <= index_max:
        raise rejected(f"Unable to access invalid index: {step}: invalid index referenced")
    return index


def _adder(value: Any) -> Edit:
    def add(container: Any, step: str) -> None:
        if isinstance(container, dict):
            container[step] = value
        elif step == "-":
            container.append(value)
        else:
            container.insert(_index(step, len(container), len(container) + 1), value)

    return add


def _remove(container: Any, step: str) -> None:
    if isinstance(container, dict):
        if step not in container:
            raise rejected(f"remove operation does not apply: Unable to remove nonexistent key: {step}")
        del container[step]
    else:
        del container[_index(step, len(container) - 1, len(container))]


def _replace(document: Any, path: list[str], value: Any) -> Any:
    _get(document, path, "replace")

    def put(container: Any, step: str) -> None:
        if isinstance(container, dict):
            container[step] = value
        else:
            container[_index(step, len(container) - 1, len(container))] = value

    return _at(document, path, put)


def _get(document: Any, path: list[str], op: str) -> Any:
    value = document
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list):
            value = value[_index(step, len(value) - 1, len(value))]
        else:
            raise rejected(f"{op} operation does not apply: doc is missing path: /{'/'.join(path)}: missing value")
    return value


def _test(document: Any, path: list[str], expected: Any) -> None:
    try:
        actual = _get(document, path, "test")
    except errors.ApiError:
        if expected is None:
            return
        raise
    if not _same(actual, expected):
        raise rejected(f"testing value /{'/'.join(path)} failed: test failed")


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON values: unlike in Python, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _missing(path: list[str]) -> errors.ApiError:
    return rejected(f"add operation does not apply: doc is missing path: /{'/'.join(path)}: missing value")
