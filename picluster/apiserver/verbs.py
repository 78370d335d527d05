"""One resource request: its verb, its parameters and its body, given to the registry; and the answer, represented."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from picluster.api import errors, patch, schema
from picluster.api.apply.managers import from_user_agent
from picluster.api.resources import (
    BINDING,
    COMPONENT_STATUSES,
    DELETE_OPTIONS,
    ENDPOINTS,
    EVICTION,
    SCALE,
    TOKEN_REQUEST,
    Resource,
)
from picluster.api.types import Object
from picluster.apiserver import listing, negotiate, tables, yamlbody
from picluster.apiserver.answers import Answer, NotAllowed, respond
from picluster.apiserver.authn import User
from picluster.apiserver.cache.watchcache import WatchCache
from picluster.apiserver.cache.watcher import Representation as Written
from picluster.apiserver.flowcontrol.controller import Seat
from picluster.apiserver.registry import apply as applying
from picluster.apiserver.registry import binding, create, delete, eviction, review, scale, token, update, virtual
from picluster.apiserver.registry import patch as patching
from picluster.apiserver.registry.options import DeleteOptions, delete_options, write_options
from picluster.apiserver.registry.registry import Registry, Write
from picluster.apiserver.representation import Converted, MetadataOnly, Plain, Representation, Table, TableStream
from picluster.apiserver.requestinfo import RequestInfo, validate_list_options
from picluster.apiserver.watching import serve_watch

if TYPE_CHECKING:
    from picluster.apiserver.cache.index import Entry
    from picluster.apiserver.crd.selectable import Later

WHOLE = frozenset({"approval", "ephemeralcontainers", "resize", "status"})
"""Subresources that show the whole object."""
DEPRECATIONS = {
    COMPONENT_STATUSES: "v1 ComponentStatus is deprecated in v1.19+",
    ENDPOINTS: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
DEPRECATED = "k8s.io/deprecated"
"""What the audit event of such a request says."""
PACKAGES = {"events": "core", "internal": "apiserverinternal"}
"""Groups whose Go package has another name; messages name Go's types."""
DELETIONS = ("delete", "deletecollection")
METHODS = (("DELETE", "delete"), ("GET", "get"), ("PATCH", "patch"), ("POST", "create"), ("PUT", "update"))
COLLECTIVE = {"delete": "deletecollection", "get": "list"}
OPTIONS_KINDS = {"create": "CreateOptions", "patch": "PatchOptions"}
Authorize = Callable[[RequestInfo], None]
"""Raises ``ApiError`` 403 if the client may not do that."""


@dataclass(slots=True)
class Call:
    request: web.BaseRequest
    info: RequestInfo
    resource: Resource
    user: User
    registry: Registry
    cache: WatchCache
    authorize: Authorize
    seat: Seat | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def write(self) -> Write:
        """What the query says of a write; raises ``ApiError`` for values that are not offered."""
        query, target = self.info.query, self.info.target
        applies = _content_type(self) == patch.APPLY if self.info.verb == "patch" else False
        options: Object = {}
        if (query and self.info.verb not in DELETIONS) or applies:
            options = write_options(query, OPTIONS_KINDS.get(self.info.verb, "UpdateOptions"), applies=applies)
        return Write(
            self.user, self.resource, target.namespace, target.name, target.subresource,
            dry_run="dryRun" in options, field_validation=options.get("fieldValidation", "Warn"),
            warnings=self.warnings, options=options,
            manager=options.get("fieldManager") or from_user_agent(self.request.headers.get("User-Agent", "")),
            force=bool(options.pop("force", False)), verb=self.info.verb, annotations=self.annotations,
        )  # fmt: skip

    def may_create(self) -> None:
        """Raise ``ApiError`` 403 if the client may not create what it updates or applies."""
        self.authorize(self.info._replace(verb="create"))

    async def decoded(self, write: Write, expected: Resource) -> tuple[Any, bytes]:
        """The body, decoded and as it came; raises ``ApiError``."""
        body = await self.request.read()
        content_type = self.request.headers.get("Content-Type", "")
        return negotiate.decode_body(content_type, body, expected, write.said), body

    def wanted(self, *, streaming: bool = False) -> negotiate.Wanted:
        tables = "get" in self.resource.verbs
        return negotiate.accepted(self.request.headers.get("Accept", ""), streaming=streaming, tables=tables)

    def representation(self, wanted: negotiate.Wanted) -> Representation:
        if wanted.transform in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return MetadataOnly(wanted.version)
        view = self.registry.kind(self.resource).view()
        convert = view.convert
        if wanted.transform == "Table":
            include = self.info.query.get("includeObject") or "Metadata"
            if include not in tables.INCLUDE_OBJECT:
                raise errors.bad_request(f'unrecognized includeObject value: "{include}"')
            shown = TableStream if self.info.verb == "watch" else Table
            return shown(self.resource, view.printer(), include, convert, self.registry.clock, wanted.version)
        return Converted(self.resource, convert) if convert is not None else Plain(self.resource)

    async def fetched(self, wires: list[bytes]) -> list[bytes]:
        """Stored objects in the version that is asked for, where a webhook has to make them so."""
        fetch = self.registry.kind(self.resource).view().fetch
        return wires if fetch is None else await fetch(wires)


async def serve(call: Call) -> web.StreamResponse:
    """Serve a request that is authorized; raises ``ApiError``."""
    handler = HANDLERS.get((call.info.verb, call.info.target.subresource))
    if handler is None and call.info.target.subresource in WHOLE:
        handler = HANDLERS.get((call.info.verb, "*"))
    if not call.resource.stored and call.info.verb in ("get", "list"):
        handler = _look
    if not call.info.target.subresource and call.info.verb not in call.resource.verbs:
        handler = None
    if handler is None or call.request.method == "HEAD" or not _has_place(call):
        raise _not_allowed(call)
    wanted = call.wanted(streaming=call.info.verb == "watch")
    if wanted.transform:
        _check_form(call, wanted.transform)  # 406 before anything is done that could not be answered
    if told := deprecation(call.registry, call.resource):
        call.warnings.append(told)
        call.annotations[DEPRECATED] = "true"
    try:
        return await handler(call)
    except errors.ApiError as error:
        error.warnings = call.warnings
        raise


def _has_place(call: Call) -> bool:
    """Whether the URL is one where the verb has something to act on."""
    verb, target = call.info.verb, call.info.target
    if verb in ("update", "patch"):
        return bool(target.name)
    if verb == "create" and target.name and not target.subresource:
        return False
    collective = verb == "deletecollection" or (verb == "create" and not target.name)
    return not (collective and call.resource.namespaced and not target.namespace)


def _not_allowed(call: Call) -> NotAllowed:
    """Of a custom resource the verb is told (``customresource_handler.go``)."""
    resource, methods = call.resource, _methods(call)
    if resource.schema:
        return NotAllowed(methods)
    return NotAllowed(methods, errors.method_not_supported(resource.group, resource.plural, call.info.verb).message)


def _methods(call: Call) -> list[str]:
    """The methods that this URL takes."""
    target, found = call.info.target, []
    for method, verb in METHODS:
        verb = COLLECTIVE.get(verb, verb) if not target.name else verb
        asked = replace(call, info=call.info._replace(verb=verb))
        served = (verb, target.subresource) in HANDLERS or (target.subresource in WHOLE and (verb, "*") in HANDLERS)
        if served and (target.subresource or verb in call.resource.verbs) and _has_place(asked):
            found.append(method)
    return found


def _check_form(call: Call, transform: str) -> None:
    """Raise ``ApiError`` 406 for metadata of one object where there are many, and the other way round."""
    many = call.info.verb in ("list", "deletecollection")
    if transform == "Table" or many == transform.endswith("List"):
        return
    package = (call.resource.group or "core").partition(".")[0] if call.resource.schema else "unstructured"
    package, kind = PACKAGES.get(package, package), call.resource.kind if call.resource.schema else "Unstructured"
    shown = f"a list (*{package}.{kind}List)" if many else f"not a list (*{package}.{kind})"
    raise errors.ApiError(406, "NotAcceptable", f"you requested {transform}, but the requested object is {shown}")


def deprecation(registry: Registry, resource: Resource) -> str:
    """What everybody is told who asks for this version of this resource."""
    if resource.schema:
        return DEPRECATIONS.get(resource, "")
    return registry.kind(resource).view().warning


async def _get(call: Call) -> web.StreamResponse:
    target, wanted = call.info.target, call.wanted()
    if call.info.query and (revision := listing.resource_version(call.info.query)):
        await listing.wait_until_fresh(call.cache, revision)
    entry = call.registry.store.get(call.resource, target.namespace, target.name)
    body = call.representation(wanted).one((await call.fetched([entry.wire]))[0])
    return await respond(call.request, 200, body, wanted.media_type, call.warnings)


async def _list(call: Call) -> web.StreamResponse:
    wanted, query = call.wanted(), call.info.query
    later = _later(call) if "fieldSelector" in query else None
    if later is not None:
        query = later.query
    page = await listing.list_page(call.cache, call.resource, call.info.target.namespace, query)
    wires = await call.fetched([entry.wire for entry in page.entries])
    if later is not None:
        wires = [wire for wire in wires if later.fields.matches_object(orjson.loads(wire))]
    body = call.representation(wanted).many(wires, page.metadata)
    return await respond(call.request, 200, body, wanted.media_type, call.warnings)


def _later(call: Call) -> Later | None:
    """What is to be selected by once a webhook has converted the objects."""
    if call.registry.kind(call.resource).view().fetch is None:
        return None
    from picluster.apiserver.crd import selectable

    return selectable.later(call.resource, call.info.query)


async def _chosen(call: Call, later: Later, entries: list[Entry]) -> list[Entry]:
    """Those that are selected once they are converted."""
    wires = await call.fetched([entry.wire for entry in entries])
    chosen = zip(entries, wires, strict=True)
    return [entry for entry, wire in chosen if later.fields.matches_object(orjson.loads(wire))]


async def _look(call: Call) -> web.StreamResponse:
    """GET of what is not stored."""
    wanted, target, find = call.wanted(), call.info.target, call.registry.virtual.get(call.resource)
    if find is None:
        raise errors.method_not_supported(call.resource.group, call.resource.plural, call.info.verb)
    shown = call.representation(wanted)
    if target.name:
        one = shown.one(await virtual.get(find, call.resource, target.namespace, target.name))
        return await respond(call.request, 200, one, wanted.media_type, call.warnings)
    found = await virtual.select(find, call.resource, target.namespace, call.info.query)
    many = shown.many(found, {"resourceVersion": ""})
    return await respond(call.request, 200, many, wanted.media_type, call.warnings)


async def _watch(call: Call) -> web.StreamResponse:
    representation = call.representation(call.wanted(streaming=True))
    namespace, query = call.info.target.namespace, call.info.query
    written: Written = representation
    stage = None
    if (fetch := call.registry.kind(call.resource).view().fetch) is not None:
        from picluster.apiserver.crd.watching import STORED, converting

        later, selection = _later(call), None
        if later is not None:
            selection, query = later.selection(), later.query
        written, stage = STORED, converting(call.resource, representation, fetch, selection)
    return await serve_watch(
        call.cache, call.request, call.resource, namespace, query, written, call.seat, stage, call.warnings
    )


async def _create(call: Call) -> web.StreamResponse:
    write = call.write()
    if call.resource.stored and negotiate.is_json(call.request.headers.get("Content-Type", "")):
        return await _answer(call, write, await create.create_from(call.registry, write, await call.request.read()))
    obj, body = await call.decoded(write, call.resource)
    if call.resource is BINDING:
        return await _answer(call, write, await binding.bind(call.registry, binding.of_pod(write, obj), obj))
    if not call.resource.stored:
        return await _answer(call, write, await review.review(call.registry, write, obj, _json(call, body)))
    return await _answer(call, write, await create.create(call.registry, write, obj, None))


async def _update(call: Call) -> web.StreamResponse:
    write, body = call.write(), await call.request.read()
    content_type = call.request.headers.get("Content-Type", "")
    answer = await update.update(
        call.registry,
        write,
        lambda: negotiate.decode_body(content_type, body, call.resource, write.said),
        _json(call, body),
        call.may_create,
    )
    return await _answer(call, write, answer)


async def _patch(call: Call) -> web.StreamResponse:
    write = call.write()
    content_type, document = await _patch_document(call, write)
    if content_type == patch.APPLY:
        applied = applying.apply_object(call.registry, write, document, force=write.force, may_create=call.may_create)
        return await _answer(call, write, await applied)
    body = await call.request.read()
    return await _answer(call, write, await patching.patch(call.registry, write, content_type, document, body))


async def _delete(call: Call) -> web.StreamResponse:
    write, options = call.write(), await _delete_options(call)
    return await _answer(call, write, await delete.delete(call.registry, write, options))


async def _delete_collection(call: Call) -> web.StreamResponse:
    write, options, query = call.write(), await _delete_options(call), call.info.query
    validate_list_options(query, watching=False)
    later = _later(call) if "fieldSelector" in query else None
    choose = None
    if later is not None:
        query, choose = later.query, partial(_chosen, call, later)
    wires = await delete.delete_collection(
        call.registry, write, options, query.get("labelSelector", ""), query.get("fieldSelector", ""), choose
    )
    wanted = call.wanted()
    body = call.representation(wanted).many(await call.fetched(wires), {"resourceVersion": str(call.cache.revision)})
    return await respond(call.request, 200, body, wanted.media_type, write.warnings)


async def _bind(call: Call) -> web.StreamResponse:
    write = call.write()
    body, _ = await call.decoded(write, BINDING)
    return await _answer(call, write, await binding.bind(call.registry, write, body))


async def _evict(call: Call) -> web.StreamResponse:
    write = call.write()
    body, _ = await call.decoded(write, EVICTION)
    return await _answer(call, write, await eviction.evict(call.registry, write, body))


async def _request_token(call: Call) -> web.StreamResponse:
    write = call.write()
    body, raw = await call.decoded(write, TOKEN_REQUEST)
    answer = await token.request_token(call.registry, write, body, _json(call, raw))
    return await _answer(call, write, answer)


async def _get_scale(call: Call) -> web.StreamResponse:
    write = call.write()
    return await _answer(call, write, await scale.get_scale(call.registry, write))


async def _update_scale(call: Call) -> web.StreamResponse:
    write = call.write()
    body, _ = await call.decoded(write, SCALE)
    return await _answer(call, write, await scale.update_scale(call.registry, write, body))


async def _patch_scale(call: Call) -> web.StreamResponse:
    write = call.write()
    content_type, document = await _patch_document(call, write)
    if content_type == patch.APPLY:
        return await _answer(call, write, await scale.apply_scale(call.registry, write, document, force=write.force))
    return await _answer(call, write, await scale.patch_scale(call.registry, write, content_type, document))


async def _answer(call: Call, write: Write, answer: Answer) -> web.StreamResponse:
    wanted = call.wanted()
    body = answer.body
    if answer.is_object:
        body = call.representation(wanted).one((await call.fetched([body]))[0])
    return await respond(call.request, answer.code, body, wanted.media_type, write.warnings)


async def _patch_document(call: Call, write: Write) -> tuple[str, Any]:
    content_type = _content_type(call)
    accepted = patch.CONTENT_TYPES if call.resource.schema else patch.CUSTOM_CONTENT_TYPES
    if content_type not in accepted:
        raise errors.unsupported_media_type(accepted)
    body = await call.request.read()
    if content_type != patch.APPLY:
        return content_type, negotiate.decode_patch(body)
    document, doubled = yamlbody.decode(body)
    if doubled and write.field_validation == "Strict":
        raise errors.bad_request(f"error strict decoding YAML: error converting YAML to JSON: {doubled}")
    if doubled and write.field_validation == "Warn":
        write.warnings += schema.told([doubled])
    return content_type, document


def _content_type(call: Call) -> str:
    return call.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def _delete_options(call: Call) -> DeleteOptions:
    body = await call.request.read()
    content_type = call.request.headers.get("Content-Type", "")
    return delete_options(call.info.query, negotiate.decode_body(content_type, body, DELETE_OPTIONS) if body else None)


def _json(call: Call, body: bytes) -> bytes | None:
    """The body, if it is JSON, for a look at doubled fields."""
    return body if negotiate.is_json(call.request.headers.get("Content-Type", "")) else None


HANDLERS: dict[tuple[str, str], Callable[[Call], Awaitable[web.StreamResponse]]] = {
    ("get", ""): _get,
    ("list", ""): _list,
    ("watch", ""): _watch,
    ("create", ""): _create,
    ("update", ""): _update,
    ("patch", ""): _patch,
    ("delete", ""): _delete,
    ("deletecollection", ""): _delete_collection,
    ("get", "*"): _get,
    ("update", "*"): _update,
    ("patch", "*"): _patch,
    ("update", "finalize"): _update,
    ("create", "binding"): _bind,
    ("create", "eviction"): _evict,
    ("create", "token"): _request_token,
    ("get", "scale"): _get_scale,
    ("update", "scale"): _update_scale,
    ("patch", "scale"): _patch_scale,
}
"""By verb and subresource; ``*`` stands for those of ``WHOLE``."""
