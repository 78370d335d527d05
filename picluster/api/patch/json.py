"""JSON Patch (RFC 6902) as Kubernetes' library has it (``evanphx/json-patch`` v4): its words, and negative indexes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from picluster.api import errors
from picluster.api.patch.failures import Mismatch, of_wrong_type, rejected
from picluster.api.types import Object

OPERATIONS_MAX = 10_000
COPIED_MAX_BYTES = 3 << 20
"""What all copies of a patch may add together, or a short one would make an endless document."""


def apply(document: Object, patch: Any) -> Object:
    if not isinstance(patch, list):
        raise errors.bad_request(of_wrong_type(patch, "jsonpatch.Patch"))
    for operation in patch:
        if not isinstance(operation, dict):
            raise errors.bad_request(of_wrong_type(operation, "jsonpatch.Operation"))
    if len(patch) > OPERATIONS_MAX:
        limit = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(patch)}"
        raise errors.ApiError(413, "RequestEntityTooLarge", limit)
    result: Any = document
    copied_bytes = 0
    for operation in patch:
        if operation.get("op") == "copy":
            copied_bytes += len(orjson.dumps(_source(result, operation, "copy")))
            if copied_bytes > COPIED_MAX_BYTES:
                raise rejected(
                    f"Unable to complete the copy, the accumulated size increase of copy is {copied_bytes}, exceeding"
                    f" the limit {COPIED_MAX_BYTES}"
                )
        result = _operate(result, operation)
    if not isinstance(result, dict):
        raise rejected("the patched document is not an object")
    return result


_INTEGER = re.compile("[+-]?[0-9]+")
"""What Go's ``strconv.Atoi`` takes."""


class _NoContainer(ValueError):
    """There is nothing at the place that a value should be in."""


class _Fault(ValueError):
    """The container is there, but not what the operation needs in it."""


def _operate(document: Any, operation: Object) -> Any:
    op, path = operation.get("op"), _pointer(operation, "path")
    match op:
        case "add":
            return _edited(document, path, _adder(_value(operation)), "add", 'doc is missing path: "{}"')
        case "remove":
            return _edited(document, path, _remove, "remove", 'doc is missing path: "{}"')
        case "replace":
            return _replaced(document, path, _value(operation))
        case "move":
            return _moved(document, path, operation)
        case "copy":
            copied = _source(document, operation, "copy")
            return _edited(document, path, _adder(copied), "copy", "doc is missing destination path: {}")
        case "test":
            _test(document, path, operation.get("value"))
            return document
    raise rejected(f"Unexpected kind: {op}")


def _moved(document: Any, path: list[str], operation: Object) -> Any:
    source = _pointer(operation, "from")
    if path[: len(source)] == source and path != source:
        raise rejected("move operation does not apply: a value cannot move into itself")
    value = _source(document, operation, "move")
    left = _edited(document, source, _remove, "move", "doc is missing from path: {}")
    return _edited(left, path, _adder(value), "move", "doc is missing destination path: {}")


def _replaced(document: Any, path: list[str], value: Any) -> Any:
    try:
        _get(document, path)
    except _NoContainer:
        raise _absent("replace", "doc is missing path: {}", path) from None
    except _Fault:
        raise _absent("replace", "doc is missing key: {}", path) from None
    return _edited(document, path, _setter(value), "replace", "doc is missing path: {}")


def _source(document: Any, operation: Object, op: str) -> Any:
    path = _pointer(operation, "from")
    try:
        return _get(document, path)
    except _NoContainer:
        raise _absent(op, "doc is missing from path: {}", path) from None
    except _Fault as fault:
        raise rejected(f"error in {op} for {'from' if op == 'copy' else 'path'}: '{_text(path)}': {fault}") from None


def _edited(document: Any, path: list[str], edit: Edit, op: str, absent: str) -> Any:
    try:
        return _at(document, path, edit)
    except _NoContainer:
        raise _absent(op, absent, path) from None
    except _Fault as fault:
        raise rejected(f"error in {op} for path: '{_text(path)}': {fault}") from None


def _absent(op: str, where: str, path: list[str]) -> errors.ApiError:
    return rejected(f"{op} operation does not apply: {where.format(_text(path))}: missing value")


def _text(path: list[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


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
    copy = _copied(document)
    container = copy
    for step in path[:-1]:
        key = _child_key(container, step)
        container[key] = _copied(container[key])
        container = container[key]
    edit(container, path[-1])
    return copy


def _copied(container: Any) -> Any:
    if isinstance(container, dict):
        return dict(container)
    if isinstance(container, list):
        return list(container)
    raise _NoContainer


def _child_key(container: Any, step: str) -> Any:
    try:
        return _key(container, step)
    except _Fault:
        raise _NoContainer from None


def _key(container: Any, step: str) -> Any:
    """Where ``step`` is in a container that must have it."""
    if isinstance(container, list):
        return _index(step, len(container) - 1, len(container))
    if not isinstance(container, dict):
        raise _NoContainer
    if step not in container:
        raise _Fault(f"unable to get nonexistent key: {step}: missing value")
    return step


def _index(step: str, index_max: int, length: int) -> int:
    if not _INTEGER.fullmatch(step):
        raise _Fault(f'strconv.Atoi: parsing "{step}": invalid syntax')
    index = int(step)
    if index < 0:
        index += length
    if not 0 <= index <= index_max:
        raise _Fault(f"Unable to access invalid index: {step}: invalid index referenced")
    return index


def _adder(value: Any) -> Edit:
    def add(container: Any, step: str) -> None:
        if isinstance(container, dict):
            container[step] = value
        elif step == "-":
            container.append(value)
        elif not _INTEGER.fullmatch(step):
            why = f'strconv.Atoi: parsing "{step}": invalid syntax'
            raise _Fault(f"value was not a proper array index: '{step}': {why}")
        else:
            container.insert(_index(step, len(container), len(container) + 1), value)

    return add


def _setter(value: Any) -> Edit:
    def put(container: Any, step: str) -> None:
        container[_key(container, step)] = value

    return put


def _remove(container: Any, step: str) -> None:
    if isinstance(container, dict) and step not in container:
        raise _Fault(f"Unable to remove nonexistent key: {step}: missing value")
    del container[_key(container, step)]


def _get(document: Any, path: list[str]) -> Any:
    value = document
    for step in path[:-1]:
        if not isinstance(value, dict | list):
            raise _NoContainer
        value = value[_child_key(value, step)]
    return value[_key(value, path[-1])] if path else value


def _test(document: Any, path: list[str], expected: Any) -> None:
    try:
        actual = _get(document, path)
    except _NoContainer:
        raise rejected(f"test operation does not apply: is missing path: {_text(path)}: missing value") from None
    except _Fault as fault:
        if "missing value" not in str(fault):
            raise rejected(f"error in test for path: '{_text(path)}': {fault}") from None
        actual = None
    if not _same(actual, expected):
        raise Mismatch(f"testing value {_text(path)} failed: test failed")


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON values: unlike in Python, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
