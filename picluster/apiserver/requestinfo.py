"""What a request asks for, read from its method and URL (the API conventions' resource paths)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from picluster.api import errors
from picluster.api.resources import NAMESPACES, Resource
from picluster.apiserver.catalog import Catalog

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
NAMESPACE_SUBRESOURCES = frozenset(NAMESPACES.subresources)
FALSE = ("0", "false")

_WATCHED = re.compile("(/api/[^/]+/|/apis/[^/]+/[^/]+/)watch/(.+)")
"""The form of a watch's path from before there was a parameter; deprecated, and still served."""

Query = dict[str, str]


class Target(NamedTuple):
    """A resource path; ``resource`` is ``None`` for every other path (``/version``, discovery, …).

    ``tail`` is what follows the subresource; only proxies have it.
    """

    resource: Resource | None
    namespace: str
    name: str
    subresource: str
    tail: str = ""


class RequestInfo(NamedTuple):
    """``verb`` is the authorizer's: ``get list watch create update patch delete deletecollection``, or the method in
    lower case where the path is no resource's.
    """

    verb: str
    path: str
    target: Target
    query: Query


def request_info(method: str, raw_path: str, catalog: Catalog) -> RequestInfo:
    """Read a request line; raises ``ApiError`` 404 for a resource that is not served, 405 for an unknown method."""
    raw_path, _, raw_query = raw_path.partition("?")
    path = unquote(raw_path) if "%" in raw_path else raw_path
    query = dict(reversed(parse_qsl(raw_query, keep_blank_values=True))) if raw_query else {}
    watched = _WATCHED.match(path) if "/watch/" in path else None
    target = _target(watched[1] + watched[2] if watched is not None else path, catalog)
    if watched is not None and target.resource is not None:
        target, query = _watching(target, query)
    verb = method.lower()
    if target.resource is not None:
        verb = _resource_verb(VERBS.get(method, ""), target, query) or verb
    return RequestInfo(verb, path, target, query)


def _watching(target: Target, query: Query) -> tuple[Target, Query]:
    """What a path of the old form asks for: a watch of a collection, or of the one object that it names."""
    query = {**query, "watch": "true"}
    if target.name:
        query["fieldSelector"] = f"metadata.name={target.name}"
    return target._replace(name=""), query


def group_version_of(path: str) -> tuple[str, str] | None:
    """The named group and the version that a path is about, if it names one."""
    match [part for part in path.split("/", 6) if part]:
        case ["apis", group, version, *_]:
            return group, version
    return None


def flag(query: Query, name: str) -> bool:
    """A boolean parameter: whatever is said is true, but 0 and false (``Convert_Slice_string_To_bool``)."""
    value = query.get(name)
    return value is not None and value.lower() not in FALSE


def number(query: Query, name: str) -> int | None:
    """An integer parameter; ``None`` when it is absent or empty."""
    value = query.get(name, "")
    if not value:
        return None
    try:
        return int(value)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None


def _target(path: str, catalog: Catalog) -> Target:
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api", version, *rest] if rest:
            return _within(catalog, "", version, rest)
        case ["apis", group, version, *rest] if rest:
            return _within(catalog, group, version, rest)
    return Target(None, "", "", "")


def _within(catalog: Catalog, group: str, version: str, parts: list[str]) -> Target:
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
        namespace, parts = parts[1], parts[2:]
    if catalog.delegated and (group, version) in catalog.delegated:
        return _elsewhere(group, version, namespace, parts)
    resource = catalog.lookup(group, version, parts[0])
    if resource is None or (namespace and not resource.namespaced):
        raise errors.path_not_found()
    name, subresource = (*parts[1:3], "", "")[:2]
    if subresource and subresource not in resource.subresources:
        raise errors.path_not_found()
    if name and resource.namespaced and not namespace:
        raise errors.path_not_found()
    return Target(resource, namespace, name, subresource, "/".join(parts[3:]))


def _elsewhere(group: str, version: str, namespace: str, parts: list[str]) -> Target:
    """A path that another server serves: what of it authorizers look at, since nobody here knows more."""
    name, subresource = (*parts[1:3], "", "")[:2]
    resource = Resource(group, version, "", parts[0], "", namespaced=bool(namespace), verbs=(), stored=False)
    return Target(resource, namespace, name, subresource, "/".join(parts[3:]))


def _resource_verb(verb: str, target: Target, query: Query) -> str:
    if verb == "get" and not target.name:
        return "watch" if flag(query, "watch") else "list"
    if verb == "delete" and not target.name:
        return "deletecollection"
    return verb


def validate_list_options(query: Query, *, watching: bool) -> None:
    """Numbers that are none: 400; combinations that make no sense (apimachinery's ``ValidateListOptions``): 422."""
    for name in ("limit", "timeoutSeconds"):
        number(query, name)
    found = list(_watch_failures(query) if watching else _list_failures(query))
    if found:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", found)


def _list_failures(query: Query) -> Iterable[errors.FieldError]:
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    if match:
        field = "resourceVersionMatch"
        if not version:
            yield errors.forbidden_field(field, f"{field} is forbidden unless resourceVersion is provided")
        if query.get("continue"):
            yield errors.forbidden_field(field, f"{field} is forbidden when continue is provided")
        if match not in ("Exact", "NotOlderThan"):
            yield errors.not_supported(field, match, ("Exact", "NotOlderThan", ""))
        if match == "Exact" and version == "0":
            yield errors.forbidden_field(field, f'{field} "Exact" is forbidden for resourceVersion "0"')
    if "sendInitialEvents" in query:
        yield errors.forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _watch_failures(query: Query) -> Iterable[errors.FieldError]:
    field, match = "resourceVersionMatch", query.get("resourceVersionMatch", "")
    initial = "sendInitialEvents" in query
    if initial and match != "NotOlderThan":
        yield errors.forbidden_field(field, f"sendInitialEvents requires setting {field} to NotOlderThan")
    if match:
        if not initial:
            yield errors.forbidden_field(field, f"{field} is forbidden for watch unless sendInitialEvents is provided")
        if match != "NotOlderThan":
            yield errors.not_supported(field, match, ("NotOlderThan",))
        if query.get("continue"):
            yield errors.forbidden_field(field, f"{field} is forbidden when continue is provided")
