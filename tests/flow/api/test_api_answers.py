"""Headers and forms of answers: warnings, Tables and metadata of each version, methods that are not served."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from picluster.storage.backend import RevisionMismatch
from picluster.storage.memory import MemoryBackend

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
ENDPOINTS = "/api/v1/namespaces/default/endpoints"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
META = "application/json;as={};v={};g=meta.k8s.io"
DEPRECATED = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
NEGATIVE = "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"


def config_map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_writes_are_answered_with_warnings(admin: Any, pod_of: Callable[..., Any]) -> None:
    pod = pod_of("a.b")
    pod["spec"]["terminationGracePeriodSeconds"] = -1
    created = await admin.create(PODS, pod)
    assert created.code == 201, created.body
    assert created.warnings == [
        "299 - \"metadata.name: this is used in the Pod's hostname, which can result in surprising behavior;"
        ' a DNS label is recommended: [must not contain dots]"',
        f'299 - "{NEGATIVE}"',
    ]
    assert (await admin.patch(f"{PODS}/a.b", {"metadata": {"labels": {"a": "b"}}})).warnings == []


async def test_each_pod_of_a_template_is_told_of(admin: Any, pod_of: Callable[..., Any]) -> None:
    for number in range(4):
        pod = pod_of(f"web-{number}")
        pod["spec"]["terminationGracePeriodSeconds"] = -1
        assert (await admin.create(PODS, pod)).warnings == [f'299 - "{NEGATIVE}"']


async def test_templates_are_told_of_when_they_change(admin: Any, pod_of: Callable[..., Any]) -> None:
    spec = {**pod_of("x")["spec"], "terminationGracePeriodSeconds": -1}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
    selector = {"matchLabels": {"app": "web"}}
    web = {"metadata": {"name": "web"}, "spec": {"selector": selector, "template": template}}
    warning = [f'299 - "spec.template.{NEGATIVE}"']
    assert (await admin.create(DEPLOYMENTS, web)).warnings == warning
    path = f"{DEPLOYMENTS}/web"
    assert (await admin.patch(path, {"metadata": {"labels": {"a": "b"}}})).warnings == []
    assert (await admin.patch(path, {"spec": {"paused": True}})).warnings == warning
    assert (await admin.patch(f"{path}/scale", {"spec": {"replicas": 3}})).warnings == warning
    assert (await admin.patch(f"{path}/status", {"status": {"replicas": 1}})).warnings == []


async def test_refusals_tell_what_was_said_before_them(admin: Any) -> None:
    refused = await admin.create(MAPS, {**config_map("not a name"), "colour": "red"})
    assert (refused.code, refused.warnings) == (422, ['299 - "unknown field \\"colour\\""'])


async def test_deprecated_versions_are_told_of_by_every_answer(admin: Any) -> None:
    created = await admin.create(ENDPOINTS, {"metadata": {"name": "a"}})
    assert (created.code, created.warnings) == (201, [DEPRECATED])
    for path in (ENDPOINTS, f"{ENDPOINTS}/a", f"{ENDPOINTS}/none"):
        assert (await admin.get(path)).warnings == [DEPRECATED]
    assert (await admin.delete(f"{ENDPOINTS}/a")).warnings == [DEPRECATED]
    async with admin.session.get(f"{ENDPOINTS}?watch=1&timeoutSeconds=1") as response:
        assert response.headers.getall("Warning") == [DEPRECATED]


async def test_very_many_warnings_are_cut(admin: Any) -> None:
    fields = {f"{number}-{'x' * 400}": 1 for number in range(30)}
    told = (await admin.create(MAPS, {**config_map(), **fields})).warnings
    texts = [warning.removeprefix('299 - "').removesuffix('"').replace('\\"', '"') for warning in told]
    assert len(texts) == 16 and all(len(text) == 256 for text in texts)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_tables_and_metadata_in_both_versions(admin: Any, version: str) -> None:
    await admin.create(MAPS, config_map())
    table = (await admin.get(MAPS, Accept=META.format("Table", version))).body
    assert (table["kind"], table["apiVersion"]) == ("Table", f"meta.k8s.io/{version}")
    assert table["rows"][0]["object"]["apiVersion"] == f"meta.k8s.io/{version}"
    one = (await admin.get(f"{MAPS}/a", Accept=META.format("PartialObjectMetadata", version))).body
    assert (one["kind"], one["apiVersion"]) == ("PartialObjectMetadata", f"meta.k8s.io/{version}")
    many = (await admin.get(MAPS, Accept=META.format("PartialObjectMetadataList", version))).body
    assert (many["kind"], many["apiVersion"]) == ("PartialObjectMetadataList", f"meta.k8s.io/{version}")
    assert many["items"][0]["apiVersion"] == f"meta.k8s.io/{version}"


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        (
            MAPS,
            "PartialObjectMetadata",
            "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
        ),
        (
            f"{MAPS}/a",
            "PartialObjectMetadataList",
            "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "PartialObjectMetadata",
            "you requested PartialObjectMetadata, but the requested object is a list (*rbac.ClusterRoleList)",
        ),
        (
            f"{MAPS}?watch=1&timeoutSeconds=1",
            "PartialObjectMetadataList",
            "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)",
        ),
    ],
)
async def test_one_is_not_many(admin: Any, path: str, kind: str, message: str) -> None:
    answer = await admin.get(path, Accept=META.format(kind, "v1"))
    assert (answer.code, answer.body["reason"], answer.body["message"]) == (406, "NotAcceptable", message)


@pytest.mark.parametrize("accept", [META.format("Table", "v2"), META.format("Pod", "v1"), "application/json;as=Table"])
async def test_forms_that_are_unknown(admin: Any, accept: str) -> None:
    assert (await admin.get(MAPS, Accept=accept)).code == 406
    assert (await admin.get(MAPS, Accept=f"{accept},application/json")).body["kind"] == "ConfigMapList"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
async def test_methods_without_a_verb(admin: Any, method: str) -> None:
    answer = await admin(method, MAPS)
    assert (answer.code, answer.headers["Allow"]) == (405, "DELETE, GET, POST")
    if method != "HEAD":
        assert answer.body["message"] == "the server does not allow this method on the requested resource"


async def test_a_body_that_is_cut_short_is_told_of(admin: Any) -> None:
    answer = await admin.create(MAPS, json.dumps(config_map()).encode()[:-5])
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


DOUBLED = b"""kind: ConfigMap
apiVersion: v1
metadata:
  name: a
  labels: {x: y, x: z}
colour: red
data: {a: b}
data: {a: c}
"""
LINES = ['line 5: key "x" already set in map', 'line 8: key "data" already set in map']


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_keys_that_yaml_says_twice(admin: Any, method: str) -> None:
    path, code = MAPS, 201
    if method == "PUT":
        path, code = f"{MAPS}/a", 200
        await admin.create(MAPS, config_map())
    typed = {"Content_Type": "application/yaml"}
    refused = await admin(method, f"{path}?fieldValidation=Strict", DOUBLED, **typed)
    assert (refused.code, refused.body["reason"]) == (400, "BadRequest")
    assert refused.body["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n'
        f'  {LINES[0]}\n  {LINES[1]}, unknown field "colour"'
    )
    told = [f'299 - "{line}"'.replace('key "', 'key \\"').replace('" already', '\\" already') for line in LINES]
    warned = await admin(method, path, DOUBLED, **typed)
    assert (warned.code, warned.warnings) == (code, [*told, '299 - "unknown field \\"colour\\""'])
    assert warned.body["data"] == {"a": "c"} and warned.body["metadata"]["labels"] == {"x": "z"}
    await admin.delete(f"{MAPS}/a")
    if method == "POST":
        assert (await admin(method, f"{path}?fieldValidation=Ignore", DOUBLED, **typed)).warnings == []


async def test_keys_that_an_applied_configuration_says_twice(admin: Any) -> None:
    path, apply = f"{MAPS}/a?fieldManager=me", {"Content_Type": "application/apply-patch+yaml"}
    body = DOUBLED.replace(b"colour: red\n", b"")
    warned = await admin("PATCH", path, body, **apply)
    assert warned.code == 201 and [warning.count("already set in map") for warning in warned.warnings] == [1, 1]


async def test_patches_keep_what_the_version_is_told_of(admin: Any) -> None:
    await admin.create(ENDPOINTS, {"metadata": {"name": "a"}})
    patched = await admin.patch(f"{ENDPOINTS}/a", {"metadata": {"labels": {"a": "b"}}, "colour": "red"})
    assert (patched.code, patched.warnings) == (200, [DEPRECATED, '299 - "unknown field \\"colour\\""'])


@pytest.mark.parametrize("path", [MAPS, f"{MAPS}/none", "/version", "/nowhere", f"{MAPS}?watch=1&timeoutSeconds=1"])
async def test_every_answer_says_what_its_request_is_called(admin: Any, path: str) -> None:
    async with admin.session.get(path) as response, admin.session.get(path, headers={"Audit-ID": "mine"}) as named:
        assert len(response.headers.getall("Audit-Id")[0]) == 36
        assert named.headers.getall("Audit-Id") == ["mine"]


async def test_watches_say_which_flow_they_are_of(admin: Any) -> None:
    async with admin.session.get(f"{MAPS}?watch=1&timeoutSeconds=1") as response:
        for kind in ("Flowschema", "Prioritylevel"):
            assert len(response.headers[f"X-Kubernetes-Pf-{kind}-Uid"]) == 36


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "(<empty>)"),
        (b'{"metadata": {"name": "a-long-name-that-is-cut', '({"metadata": {"name": "a-long- ...)'),
        (b"[1, 2", "(5b312c2032)"),
    ],
)
async def test_bodies_that_are_no_json_are_shown(admin: Any, body: bytes, why: str) -> None:
    answer = await admin.create(MAPS, body)
    message = answer.body["message"]
    assert answer.code == 400 and message.endswith(why)
    expected = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse"
    assert message.startswith(expected)


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (
            "merge",
            [],
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        ("strategic", 1, "json: cannot unmarshal number into Go value of type map[string]interface {}"),
        ("json", {}, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        ("json", ["x"], "json: cannot unmarshal string into Go value of type jsonpatch.Operation"),
    ],
)
async def test_patches_of_a_wrong_type(admin: Any, kind: str, body: Any, message: str) -> None:
    await admin.create(MAPS, config_map())
    refused = await admin.patch(f"{MAPS}/a", body, kind)
    assert (refused.code, refused.body["message"]) == (400, message)


async def test_a_dry_run_shows_no_revision_of_what_it_would_create(admin: Any) -> None:
    shown = await admin.create(f"{MAPS}?dryRun=All", config_map())
    assert shown.code == 201 and "resourceVersion" not in shown.body["metadata"]
    table = await admin.create(f"{MAPS}?dryRun=All", config_map(), Accept=META.format("Table", "v1"))
    assert table.body["rows"][0]["cells"][0] == "a" and not table.body["metadata"].get("resourceVersion")
    stored = (await admin.create(MAPS, config_map())).body
    changed = await admin.patch(f"{MAPS}/a?dryRun=All", {"data": {"x": "y"}})
    assert changed.body["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]


@pytest.mark.parametrize("query", ["timeoutSeconds=x", "limit=x", "watch=1&limit=x", "watch=1&timeoutSeconds=x"])
async def test_numbers_of_a_list_are_numbers(admin: Any, query: str) -> None:
    for method in ("GET", "DELETE"):
        refused = await admin(method, f"{MAPS}?{query}")
        assert (refused.code, refused.body["message"]) == (400, 'strconv.ParseInt: parsing "x": invalid syntax')


@pytest.mark.parametrize(
    ("method", "path", "code", "allowed"),
    [
        ("GET", "/api/v1/namespaces/default/finalize", 405, "PUT"),
        ("PATCH", "/api/v1/namespaces/default/finalize", 405, "PUT"),
        ("POST", "/version", 405, "GET"),
        ("PUT", "/apis/apps/v1", 405, "GET"),
        ("POST", "/apis/apps/v9", 404, None),
        ("POST", "/healthz", 200, None),
    ],
)
async def test_methods_that_other_paths_take(admin: Any, method: str, path: str, code: int, allowed: str) -> None:
    answer = await admin(method, path)
    assert (answer.code, answer.headers.get("Allow")) == (code, allowed)


async def test_the_index_lists_the_paths(admin: Any, server: Any, caller: Any) -> None:
    paths = (await admin.get("/")).body["paths"]
    assert paths == sorted(paths) == (await admin.get("/index.html")).body["paths"]
    for path in ("/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3", "/version"):
        assert path in paths
    assert (await (await caller(server, None)).get("/")).code in (401, 403)


async def test_refusals_and_discovery_are_told_in_yaml(admin: Any) -> None:
    for path in (f"{MAPS}/none", "/api", "/apis/apps/v1"):
        answer = await admin.get(path, Accept="application/yaml")
        assert answer.headers["Content-Type"] == "application/yaml"
        assert yaml.safe_load(answer.body)["kind"] in ("Status", "APIVersions", "APIResourceList")
    assert (await admin.get(MAPS, Accept="text/yaml")).body["reason"] == "NotAcceptable"
    async with admin.session.get(f"{MAPS}/none?pretty=true") as response:
        assert (await response.text()).startswith('{\n  "kind": "Status"')


class Crowded(MemoryBackend):
    """All names that are made up for config maps are taken, until ``free`` of them have been tried."""

    free = 1 << 30

    async def put(self, key: str, value: bytes, expected: int, *, durable: bool = True) -> int:
        if key.startswith("configmaps/default/made-"):
            self.free -= 1
            if self.free >= 0:
                raise RevisionMismatch(key, expected, 1)
        return await super().put(key, value, expected, durable=durable)


async def test_generated_names_that_are_taken(start: Any, caller: Any) -> None:
    backend = Crowded()
    admin = await caller(await start(backend))
    wanted = {"metadata": {"generateName": "made-"}}
    refused = await admin.create(MAPS, wanted)
    assert (refused.code, refused.body["reason"], refused.headers["Retry-After"]) == (409, "AlreadyExists", "1")
    assert refused.body["message"].endswith(
        " already exists, the server was not able to generate a unique name for the object"
    )
    backend.free = 7
    created = await admin.create(MAPS, wanted)
    assert created.code == 201 and created.body["metadata"]["name"].startswith("made-")
