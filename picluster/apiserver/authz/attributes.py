"""What an authorizer is asked about, all of it text (``k8s.io/apiserver/pkg/authorization/authorizer.Attributes``)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from picluster.api.errors import ApiError
from picluster.api.resources import Resource
from picluster.api.selectors import parse_fields
from picluster.apiserver.authn import User
from picluster.apiserver.requestinfo import VERBS, RequestInfo

SELECTING = frozenset({"list", "watch", "deletecollection"})


class Requirement(NamedTuple):
    """One clause of a field selector (operators ``=``, ``!=``) or a label selector (``In``, ``Exists``, …)."""

    key: str
    operator: str
    values: tuple[str, ...]


class Attributes(NamedTuple):
    """``path`` and ``verb`` are all there is when ``is_resource`` is false."""

    user: User
    verb: str
    namespace: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    path: str = ""
    is_resource: bool = True
    fields: tuple[Requirement, ...] = ()
    labels: tuple[Requirement, ...] = ()

    @property
    def qualified(self) -> str:
        """``pods`` or ``pods/log``, as rules name resources."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def of_request(user: User, info: RequestInfo) -> Attributes:
    """The attributes of a request. A selector of one name gives a list that name, as ``RequestInfoFactory`` does."""
    verb, path, target, query = info
    resource = target.resource
    if resource is None:
        return Attributes(user, verb, path=path, is_resource=False)
    name, namespace = target.name, target.namespace
    fields: tuple[Requirement, ...] = ()
    if verb in SELECTING and (selector := query.get("fieldSelector")):
        fields = _fields(resource, selector)
        if verb != "deletecollection" and not name:
            name = next((each.values[0] for each in fields if each.key == "metadata.name" and each.operator == "="), "")
    if resource.plural == "namespaces" and not resource.group:
        namespace = target.name
    return Attributes(
        user, verb, namespace, resource.group, resource.version, resource.plural, target.subresource, name, path,
        fields=fields,
    )  # fmt: skip


def of_unknown(user: User, method: str, raw_path: str) -> Attributes:
    """The attributes of a request for what is not served, read from its path alone."""
    path, _, query = raw_path.partition("?")
    path = unquote(path)
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", group, version, *rest] if rest:
            pass
        case _:
            return Attributes(user, method.lower(), path=path, is_resource=False)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest[:3], "", "")[:3]
    verb = VERBS.get(method, method.lower())
    if not name:
        verb = {"get": "watch" if "watch=" in query else "list", "delete": "deletecollection"}.get(verb, verb)
    return Attributes(user, verb, namespace, group, version, resource, subresource, name, path)


@lru_cache(maxsize=512)
def _fields(resource: Resource, text: str) -> tuple[Requirement, ...]:
    """The requirements of a field selector; one that cannot be read restricts nothing here."""
    try:
        selector = parse_fields(resource, text)
    except ApiError:
        return ()
    return tuple(Requirement(path, "=" if equal else "!=", (value,)) for path, equal, value in selector.requirements)
