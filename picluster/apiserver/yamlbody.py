"""YAML bodies: read as ``sigs.k8s.io/yaml`` reads them, keys that are said twice named; and written.

A time stays the text it is in JSON. What is JSON is read as that, since it is faster and most bodies of
``application/apply-patch+yaml`` are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import yaml

from picluster.api import errors, schema
from picluster.api.schema import duplicate_fields

EXPANDED_MAX_NODES = 400_000


def decode(body: bytes) -> tuple[Any, str]:
    """The value, and what a strict reader says of keys that occur twice, if any does; raises ``ApiError`` 400."""
    if body[:1] == b"{" and (found := _json(body)) is not None:
        return found
    loader = _loader()(body)
    loader.doubled = []
    try:
        value = loader.get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: yaml: {error}") from None
    finally:
        loader.dispose()
    if b"*" in body and b"&" in body:
        _check_expansion(value)
    return value, _strict(loader.doubled)


def encode(body: bytes) -> bytes:
    """A JSON body as YAML."""
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(orjson.loads(body), Dumper=dumper, default_flow_style=False, sort_keys=True)
    return text.encode()


def _json(body: bytes) -> tuple[Any, str] | None:
    """``None`` for what is no JSON, and for JSON that says a key twice: its lines are told as those of YAML."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return None if duplicate_fields(body, value) else (value, "")


def _check_expansion(value: Any) -> None:
    """Raise ``ApiError`` 400 for a text whose aliases make much of little, or that contains itself."""
    left = EXPANDED_MAX_NODES
    waiting = [value]
    while waiting:
        node = waiting.pop()
        left -= 1
        if left < 0:
            raise errors.bad_request("error decoding YAML: yaml: document contains excessive aliasing")
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _strict(doubled: list[tuple[int, str]]) -> str:
    """In the words of Go's reader, with the lines where the later values begin."""
    if not doubled:
        return ""
    return schema.YAML_ERRORS + "\n".join(
        f'  line {line}: key "{name}" already set in map' for line, name in sorted(doubled)
    )


def _text(key: Any) -> str:
    """The name in JSON of a key that YAML reads as something else than text."""
    if isinstance(key, str):
        return key
    return "true" if key is True else "false" if key is False else str(key)


@cache
def _loader() -> Any:
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def construct_mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                loader.doubled.append((value.start_mark.line + 1, name))
            seen.add(name)
        loader.flatten_mapping(node)
        return {
            _text(loader.construct_object(key, deep=True)): loader.construct_object(value, deep=deep)
            for key, value in node.value
        }

    loader: Any = type("Loader", (base,), {"construct_mapping": construct_mapping})
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return loader
