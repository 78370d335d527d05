"""Reading manifests: YAML or JSON, many documents, Lists unrolled; every mistake named with its place."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from picluster.api.types import Object

STANDARD_INPUT = Path("-")
SHOWN_MAX = 40
_EXAMPLES = {"apiVersion": "v1 or apps/v1", "kind": "Pod or Deployment"}


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: a date is text, a number as a key too."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Manifest(NamedTuple):
    """One object and where it was read: ``web.yaml, document 2``."""

    where: str
    obj: Object

    @property
    def name(self) -> str:
        metadata = self.obj["metadata"]
        return str(metadata.get("name") or metadata["generateName"])


def read(files: Iterable[Path]) -> list[Manifest]:
    """Every object of ``files`` (``-`` is standard input), in order; nothing unless all of them are good."""
    found: list[Manifest] = []
    for file in files:
        name = "standard input" if file == STANDARD_INPUT else str(file)
        objects = parse(_text(file, name), name)
        if not objects:
            raise click.ClickException(f"{name} is empty: it has no object with apiVersion, kind and metadata.name")
        found += objects
    return found


def parse(text: str, where: str) -> list[Manifest]:
    """The objects in ``text``. PURE."""
    try:
        documents = list(yaml.load_all(text, _Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise click.ClickException(f"{where} is not YAML: {error.problem}{place}") from None
    except yaml.YAMLError as error:
        raise click.ClickException(f"{where} is not YAML: {' '.join(str(error).split())}") from None
    places = [where] if len(documents) == 1 else [f"{where}, document {i + 1}" for i in range(len(documents))]
    numbered = zip(places, documents, strict=True)
    return [manifest for place, document in numbered if document is not None for manifest in _unrolled(document, place)]


def _unrolled(document: Any, where: str) -> Iterator[Manifest]:
    if not isinstance(document, dict):
        shown = repr(document) if len(repr(document)) <= SHOWN_MAX else f"{repr(document)[:SHOWN_MAX]}..."
        raise click.ClickException(f"{where}: {shown} is no object; it must have apiVersion, kind and metadata.name")
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for i, item in enumerate(document["items"]):
            yield from _unrolled(item, f"{where}, item {i + 1}")
        return
    for key in ("apiVersion", "kind"):
        value = document.get(key)
        if value in (None, ""):
            raise click.ClickException(f"{where}: the object has no {key}; every manifest must say it")
        if not isinstance(value, str):
            raise click.ClickException(f"{where}: {key} is {value!r}; it must be a word such as {_EXAMPLES[key]}")
    metadata = document.get("metadata")
    name = (metadata.get("name") or metadata.get("generateName")) if isinstance(metadata, dict) else None
    if not name:
        raise click.ClickException(f"{where}: the {document['kind']} has no metadata.name; give it one")
    if not isinstance(name, str):
        raise click.ClickException(f"{where}: metadata.name is {name!r}; it must be text: put it in quotation marks")
    yield Manifest(where, {key: _keyed(value, where, key) for key, value in document.items()})


def _keyed(value: Any, where: str, path: str) -> Any:
    """``value`` with text for keys; YAML takes ``on`` and ``no`` for true and false, which nobody means as a key."""
    if isinstance(value, list):
        return [_keyed(item, where, path) for item in value]
    if not isinstance(value, dict):
        return value
    for key in value:
        if isinstance(key, bool) or key is None or isinstance(key, tuple):
            raise click.ClickException(f"{where}: {path} has the key {str(key).lower()}; put it in quotation marks")
    return {str(key): _keyed(inner, where, f"{path}.{key}") for key, inner in value.items()}


def _text(file: Path, name: str) -> str:
    try:
        return (sys.stdin.buffer.read() if file == STANDARD_INPUT else file.read_bytes()).decode()
    except OSError as error:
        raise click.ClickException(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{name} is not text in UTF-8, so it is no manifest") from None


def files_option(command: Any) -> Any:
    return click.option(
        "-f",
        "--filename",
        "files",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help="A manifest in YAML or JSON; - is standard input. May repeat.",
    )(command)
