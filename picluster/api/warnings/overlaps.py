"""Files of one volume that would lie on or below each other (``warningsForOverlappingVirtualPaths``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from picluster.api.types import Object

_ITEMS = {"configMap": ("ConfigMap", "name"), "secret": ("Secret", "secretName"), "downwardAPI": ("DownwardAPI", "")}


class _Path(NamedTuple):
    path: str
    source: str

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'


def overlapping(volume: Object) -> list[str]:
    found: list[str] = []
    for plugin, source in volume.items():
        if plugin == "projected":
            if not _apart(source.get("sources") or ()):
                found += _in_projected(volume["name"], source["sources"])
        elif plugin in _ITEMS and source.get("items"):
            of, named_by = _ITEMS[plugin]
            shown = f'{of} "{source.get(named_by) or ""}"' if named_by else of
            found += _told(f'volume "{volume["name"]}" ({shown})', _paths(source["items"], ""))
    return found


def _apart(sources: Iterable[Object]) -> bool:
    """Whether each file begins with a step of its own, so that nothing overlaps; nearly always so, and quick to see."""
    steps: list[str] = []
    for source in sources:
        parts: Iterable[Object] = source.values() or ({},)
        for part in parts:
            for item in part.get("items") or (part,):
                if not (path := item.get("path")):
                    return False
                steps.append(path.partition("/")[0])
    return len(set(steps)) == len(steps)


def _in_projected(name: str, sources: Iterable[Object]) -> Iterator[str]:
    paths: list[_Path] = []
    for source in sources:
        if not any(value is not None for value in source.values()):
            yield f'volume "{name}" (Projected) has no sources provided'
        paths += _projected(source)
    yield from _told(f'volume "{name}" (Projected)', paths)


def _paths(items: Iterable[Object], source: str) -> list[_Path]:
    return [_Path((item.get("path") or "").rstrip("/"), source) for item in items]


def _projected(source: Object) -> list[_Path]:
    for field, of in (("configMap", "ConfigMap"), ("secret", "Secret")):
        part = source.get(field)
        if part and part.get("items"):
            return _paths(part["items"], f'{of} "{part.get("name") or ""}"')
    if items := (source.get("downwardAPI") or {}).get("items"):
        return _paths(items, "DownwardAPI")
    if (token := source.get("serviceAccountToken")) is not None:
        return _paths([token], "ServiceAccountToken")
    if (bundle := source.get("clusterTrustBundle")) is not None:
        return _paths([bundle], f'ClusterTrustBundle "{bundle.get("name") or bundle.get("signerName") or ""}"')
    certificate = source.get("podCertificate") or {}
    parts = (
        ("certificateChainPath", "chain"), ("keyPath", "key"), ("credentialBundlePath", "credential bundle"),
    )  # fmt: skip
    return [
        _Path(certificate[field].rstrip("/"), f"PodCertificate {part}")
        for field, part in parts
        if certificate.get(field)
    ]


def _told(place: str, paths: list[_Path]) -> Iterator[str]:
    for index, path in enumerate(paths):
        for other in paths[:index]:
            if path.path and other.path and _overlap(path.path, other.path):
                yield f"{place}: overlapping paths: {path} with {other}"


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
