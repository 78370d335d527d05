"""Create, get, update, patch: over TLS, in Kubernetes' words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
import yaml

from picluster.apiserver.server import ApiServer

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def config_map(name: str = "", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name} if name else {}, "data": data}


def deployment(name: str, replicas: int = 2) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


async def test_create_and_get_show_the_same_object(admin: Any) -> None:
    created = await admin.create(MAPS, config_map("a", key="value"))
    assert created.code == 201
    metadata = created.body["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["uid"] and metadata["creationTimestamp"].endswith("Z")
    assert (await admin.get(f"{MAPS}/a")).body == created.body


async def test_every_write_has_a_higher_resource_version(admin: Any) -> None:
    versions = [int((await admin.create(MAPS, config_map(name))).version) for name in "abc"]
    versions.append(int((await admin.patch(f"{MAPS}/a", {"data": {"x": "y"}})).version))
    assert versions == sorted(set(versions))


async def test_a_name_can_be_used_once(admin: Any) -> None:
    await admin.create(MAPS, config_map("a"))
    again = await admin.create(MAPS, config_map("a"))
    assert (again.code, again.body["reason"]) == (409, "AlreadyExists")
    assert again.body["message"] == 'configmaps "a" already exists'


async def test_names_are_generated(admin: Any) -> None:
    body = config_map()
    body["metadata"] = {"generateName": "web-"}
    names = {(await admin.create(MAPS, body)).body["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


@pytest.mark.parametrize(
    ("path", "code", "reason", "message"),
    [
        (f"{MAPS}/none", 404, "NotFound", 'configmaps "none" not found'),
        (f"{DEPLOYMENTS}/none", 404, "NotFound", 'deployments.apps "none" not found'),
        ("/api/v1/frobs", 404, "NotFound", "the server could not find the requested resource"),
        ("/apis/nope/v1/frobs", 404, "NotFound", "the server could not find the requested resource"),
        (f"{MAPS}/a/frob", 404, "NotFound", "the server could not find the requested resource"),
        ("/nonsense", 404, "NotFound", "the server could not find the requested resource"),
    ],
)
async def test_what_is_not_there_is_refused_in_kubernetes_words(
    admin: Any, path: str, code: int, reason: str, message: str
) -> None:
    answer = await admin.get(path)
    assert (answer.code, answer.body["reason"], answer.body["message"]) == (code, reason, message)
    assert answer.body["kind"] == "Status" and answer.body["code"] == code


async def test_an_update_needs_the_version_it_was_made_from(admin: Any) -> None:
    first = (await admin.create(MAPS, config_map("a", v="1"))).body
    second = await admin.put(f"{MAPS}/a", {**first, "data": {"v": "2"}})
    assert second.code == 200
    late = await admin.put(f"{MAPS}/a", {**first, "data": {"v": "3"}})
    assert (late.code, late.body["reason"]) == (409, "Conflict")
    assert late.body["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to'
        " the latest version and try again"
    )
    assert (await admin.put(f"{MAPS}/a", config_map("a", v="4"))).body["data"] == {"v": "4"}


async def test_an_update_of_another_incarnation_is_refused(admin: Any) -> None:
    first = (await admin.create(MAPS, config_map("a"))).body
    first["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
    answer = await admin.put(f"{MAPS}/a", first)
    assert answer.code == 409
    assert "Precondition failed: UID in precondition" in answer.body["message"]


async def test_nothing_is_written_when_nothing_changes(admin: Any) -> None:
    first = (await admin.create(MAPS, config_map("a", v="1"))).body
    assert (await admin.put(f"{MAPS}/a", first)).body == first
    assert (await admin.patch(f"{MAPS}/a", {"data": {"v": "1"}})).body == first


async def test_only_some_kinds_are_created_by_an_update(admin: Any) -> None:
    assert (await admin.put(f"{MAPS}/a", config_map("a"))).code == 404
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
    created = await admin.put(path, lease)
    assert created.code == 201
    blind = await admin.put(path, lease)
    assert (blind.code, blind.body["reason"]) == (422, "Invalid")
    assert "must be specified for an update" in blind.body["message"]


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", {"data": {"a": None, "b": "2"}}),
        ("strategic", {"data": {"a": None, "b": "2"}}),
        ("json", [{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "2"}]),
    ],
)
async def test_patches(admin: Any, kind: str, patch: Any) -> None:
    await admin.create(MAPS, config_map("a", a="1", c="3"))
    answer = await admin.patch(f"{MAPS}/a", patch, kind)
    assert (answer.code, answer.body["data"]) == (200, {"b": "2", "c": "3"})


async def test_a_strategic_patch_merges_containers_by_name(admin: Any) -> None:
    await admin.create(DEPLOYMENTS, deployment("web"))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "new"}]}}}}
    answer = await admin.patch(f"{DEPLOYMENTS}/web", change, "strategic")
    containers = answer.body["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["image"]) for each in containers] == [("c", "new")]
    assert answer.body["metadata"]["generation"] == 2


async def test_a_patch_with_an_old_version_is_refused_and_one_without_is_not(admin: Any) -> None:
    first = await admin.create(MAPS, config_map("a"))
    await admin.patch(f"{MAPS}/a", {"data": {"x": "1"}})
    stale = {"metadata": {"resourceVersion": first.version}, "data": {"x": "2"}}
    assert (await admin.patch(f"{MAPS}/a", stale)).code == 409
    answers = await asyncio.gather(*[admin.patch(f"{MAPS}/a", {"data": {str(n): "x"}}) for n in range(30)])
    assert {answer.code for answer in answers} == {200}
    assert len((await admin.get(f"{MAPS}/a")).body["data"]) == 31


async def test_status_and_the_rest_are_changed_separately(admin: Any) -> None:
    await admin.create(DEPLOYMENTS, {**deployment("web"), "status": {"replicas": 9}})
    path = f"{DEPLOYMENTS}/web"
    assert "replicas" not in (await admin.get(path)).body.get("status", {})
    body = {"spec": {"replicas": 7}, "status": {"replicas": 3}}
    shown = (await admin.patch(f"{path}/status", body)).body
    assert (shown["spec"]["replicas"], shown["status"]["replicas"], shown["metadata"]["generation"]) == (2, 3, 1)
    shown = (await admin.patch(path, body | {"status": {"replicas": 8}})).body
    assert (shown["spec"]["replicas"], shown["status"]["replicas"], shown["metadata"]["generation"]) == (7, 3, 2)
    assert (await admin.get(f"{path}/status")).body == shown


async def test_scale_shows_and_changes_the_replicas_only(admin: Any) -> None:
    created = await admin.create(DEPLOYMENTS, deployment("web"))
    path = f"{DEPLOYMENTS}/web/scale"
    scale = (await admin.get(path)).body
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (2, "app=web")
    scaled = await admin.put(path, {**scale, "spec": {"replicas": 5}})
    assert scaled.body["spec"]["replicas"] == 5
    for write in (admin.put, admin.patch):
        other = await write(path, {"metadata": {"name": "web", "uid": "other"}, "spec": {"replicas": 6}})
        assert other.code == 409 and "UID in precondition: other" in other.body["message"]
    assert (await admin.put(path, scale)).code == 409
    assert (await admin.patch(path, {"spec": {"replicas": 4}})).body["spec"]["replicas"] == 4
    bad = await admin.patch(path, {"spec": {"replicas": -1}})
    assert (bad.code, bad.body["details"]["causes"][0]["field"]) == (422, "spec.replicas")
    now = (await admin.get(f"{DEPLOYMENTS}/web")).body
    assert now["spec"]["replicas"] == 4 and now["metadata"]["uid"] == created.body["metadata"]["uid"]


async def test_what_subresources_are_sent_is_held_to_its_schema(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(DEPLOYMENTS, deployment("web"))
    await admin.create(PODS, pod_of("a"))
    scale, labels = f"{DEPLOYMENTS}/web/scale", {"name": "web", "labels": {"a": 1}}
    answers = [
        await admin.put(scale, {"metadata": labels}),
        await admin.patch(scale, {"metadata": labels}),
        await admin.patch(scale, {"spec": {"replicas": 2**31}}),
        await admin.put(scale, {"spec": {"replicas": 1}}),
        await admin.put(f"{scale}?fieldValidation=Strict", {"metadata": {"name": "web"}, "spec": {"x": 1}}),
        await admin.create(f"{PODS}/a/binding", {"target": "x"}),
        await admin.create("/api/v1/namespaces/default/bindings", {"metadata": [1]}),
        await admin.create(f"{PODS}/a/eviction", {"deleteOptions": [1]}),
    ]
    assert [answer.code for answer in answers] == [400] * len(answers)


async def test_unknown_and_doubled_fields(admin: Any) -> None:
    raw = b'{"metadata":{"name":"a"},"dta":{},"data":{"k":"1"},"data":{"k":"2"}}'
    strict = await admin.create(f"{MAPS}?fieldValidation=Strict", raw)
    assert (strict.code, strict.body["reason"]) == (400, "BadRequest")
    assert 'unknown field "dta"' in strict.body["message"] and 'duplicate field "data"' in strict.body["message"]
    ignored = await admin.create(f"{MAPS}?fieldValidation=Ignore&dryRun=All", raw)
    assert (ignored.code, ignored.warnings) == (201, [])
    warned = await admin.create(MAPS, raw)
    assert warned.code == 201 and "dta" not in warned.body
    assert warned.warnings == ['299 - "unknown field \\"dta\\""', '299 - "duplicate field \\"data\\""']
    other = await admin.create(f"{MAPS}?fieldValidation=Never", raw)
    assert other.code == 422


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the object provided is unrecognized"),
        (b'["a"]', "the body is not a JSON object"),
        ({"kind": "Pod"}, "does not match the expected kind"),
        ({"metadata": {"name": "a", "namespace": "other"}}, "does not match the namespace sent on the request"),
        ({"metadata": {"name": "a"}, "data": {"k": 1}}, "cannot be handled as a ConfigMap"),
        ({"metadata": {"name": "a", "resourceVersion": "5"}}, "resourceVersion should not be set"),
    ],
)
async def test_bodies_that_cannot_be_read(admin: Any, body: Any, message: str) -> None:
    answer = await admin.create(MAPS, body)
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")
    assert message in answer.body["message"]


async def test_an_invalid_object_is_refused_with_its_causes(admin: Any) -> None:
    answer = await admin.create(MAPS, config_map("No_Good"))
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert answer.body["message"].startswith('ConfigMap "No_Good" is invalid: metadata.name: Invalid value')
    assert answer.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_dry_runs_write_nothing(admin: Any, server: ApiServer) -> None:
    existing = (await admin.create(MAPS, config_map("b", x="1"))).body
    revision = server.cache.revision
    assert (await admin.create(f"{MAPS}?dryRun=All", config_map("a"))).code == 201
    assert (await admin.create(f"{MAPS}?dryRun=All", config_map("b"))).code == 409
    assert (await admin.patch(f"{MAPS}/b?dryRun=All", {"data": {"x": "2"}})).body["data"] == {"x": "2"}
    assert (await admin.delete(f"{MAPS}/b?dryRun=All")).code == 200
    assert (await admin.delete(f"{MAPS}/b", {"dryRun": ["All"]})).code == 200
    assert (await admin.create(f"{MAPS}?dryRun=Some", config_map("c"))).code == 422
    assert (await admin.get(f"{MAPS}/b")).body == existing
    assert server.cache.revision == revision


async def test_yaml_is_read_and_written(admin: Any) -> None:
    body = b"metadata: {name: a}\ndata: {when: 2024-01-01}\n"
    created = await admin.create(MAPS, body, Content_Type="application/yaml", Accept="application/yaml")
    assert created.code == 201
    assert created.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(created.body)["data"] == {"when": "2024-01-01"}


@pytest.mark.parametrize("accept", ["application/vnd.kubernetes.protobuf", "text/html", "application/json;q=0"])
async def test_what_is_not_offered_is_not_acceptable(admin: Any, accept: str) -> None:
    answer = await admin.get(MAPS, Accept=accept)
    assert (answer.code, answer.body["reason"]) == (406, "NotAcceptable")


async def test_tables_and_metadata_only(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(PODS, pod_of("p"))
    table = "application/json;as=Table;g=meta.k8s.io;v="
    kubectl = f"{table}v1,{table}v1beta1,application/json"
    table = (await admin.get(PODS, Accept=kubectl)).body
    assert (table["kind"], table["rows"][0]["cells"][0]) == ("Table", "p")
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    one = (await admin.get(f"{PODS}/p?includeObject=Object", Accept=kubectl)).body
    assert one["rows"][0]["object"]["kind"] == "Pod"
    partial = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
    metadata = (await admin.get(f"{PODS}/p", Accept=partial.format(""))).body
    assert set(metadata) == {"kind", "apiVersion", "metadata"} and metadata["metadata"]["name"] == "p"
    listed = (await admin.get(PODS, Accept=partial.format("List"))).body
    assert listed["kind"] == "PartialObjectMetadataList" and set(listed["items"][0]) == set(metadata)


async def test_large_answers_are_compressed_for_who_can_read_that(admin: Any) -> None:
    for number in range(3):
        await admin.create(MAPS, config_map(f"a{number}", text="x" * 100_000))
    small = await admin.get(f"{MAPS}/a0", Accept_Encoding="gzip")
    large = await admin.get(MAPS, Accept_Encoding="gzip")
    plain = await admin.get(MAPS, Accept_Encoding="identity")
    assert "Content-Encoding" not in small.headers and "Content-Encoding" not in plain.headers
    assert large.headers["Content-Encoding"] == "gzip"
    assert large.body == plain.body


async def test_a_long_list_is_the_same_in_every_form(admin: Any) -> None:
    for number in range(8):
        await admin.create(MAPS, config_map(f"a{number}", text=f"{number}" * 100_000))
    plain = await admin.get(MAPS, Accept_Encoding="identity")
    assert [item["metadata"]["name"] for item in plain.body["items"]] == [f"a{number}" for number in range(8)]
    assert int(plain.headers["Content-Length"]) > 800_000
    zipped = await admin.get(MAPS, Accept_Encoding="gzip")
    assert zipped.headers["Content-Encoding"] == "gzip" and "Content-Length" not in zipped.headers
    indented = await admin.get(f"{MAPS}?pretty=true", Accept_Encoding="identity")
    assert zipped.body == indented.body == plain.body


async def test_bodies_are_limited(admin: Any) -> None:
    answer = await admin.create(MAPS, BytesIO(b'{"metadata":{"name":"' + b"x" * (3 << 20) + b'"}}'))
    assert (answer.code, answer.body["reason"]) == (413, "RequestEntityTooLarge")
    assert answer.body["message"] == "Request entity too large: limit is 3145728"


async def test_verbs_that_make_no_sense_are_not_allowed(admin: Any) -> None:
    assert (await admin.put(MAPS, config_map("a"))).code == 405
    assert (await admin.create(f"{MAPS}/a", config_map("a"))).code == 405
    assert (await admin("POST", f"{DEPLOYMENTS}/web/scale", {})).code == 405


async def test_events_are_stored_once_and_shown_in_both_versions(admin: Any) -> None:
    core = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started",
        "message": "it started",
        "source": {"component": "agent"},
        "type": "Normal",
        "count": 3,
    }
    assert (await admin.create("/api/v1/namespaces/default/events", core)).code == 201
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    shown = (await admin.get(f"{path}/e")).body
    assert (shown["apiVersion"], shown["note"], shown["regarding"]["name"]) == ("events.k8s.io/v1", "it started", "p")
    assert shown["deprecatedSource"] == {"component": "agent"} and shown["deprecatedCount"] == 3
    listed = (await admin.get(f"{path}?fieldSelector=regarding.name=p,reason=Started")).body
    assert listed["kind"] == "EventList" and listed["items"] == [shown]
    new = {
        "metadata": {"name": "n"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Stopped",
        "action": "Stopping",
        "type": "Normal",
        "note": "it stopped",
        "reportingController": "picluster.io/agent",
        "reportingInstance": "pi-1",
    }
    created = await admin.create(path, new)
    assert created.code == 201, created.body
    assert created.body["note"] == "it stopped" and created.body["apiVersion"] == "events.k8s.io/v1"
    core_again = (await admin.get("/api/v1/namespaces/default/events/n")).body
    assert core_again["message"] == "it stopped" and core_again["reportingComponent"] == "picluster.io/agent"
    patched = await admin.patch(
        f"{path}/n", {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    )
    assert patched.code == 200, patched.body
    assert patched.body["series"]["count"] == 2


@pytest.mark.parametrize(
    ("kind", "patch", "code"),
    [
        ("merge", {"metadata": None}, 400),
        ("merge", {"metadata": {"name": "b"}}, 400),
        ("merge", {"metadata": {"namespace": "kube-system"}}, 400),
        ("merge", {"kind": "Pod"}, 422),
        ("merge", ["x"], 400),
        ("merge", {"data": {"k": 5}}, 422),
        ("json", [{"op": "remove", "path": "/metadata"}], 400),
        ("json", [{"op": "test", "path": "/data/k", "value": "other"}], 422),
        ("json", [{"op": "remove", "path": "/data/none"}], 422),
        ("strategic", {"metadata": {"uid": "other"}}, 409),
    ],
)
async def test_patches_that_cannot_be_applied(admin: Any, kind: str, patch: Any, code: int) -> None:
    before = (await admin.create(MAPS, config_map("a", k="v"))).body
    answer = await admin.patch(f"{MAPS}/a", patch, kind)
    assert (answer.code, answer.body["kind"]) == (code, "Status")
    assert (await admin.get(f"{MAPS}/a")).body == before


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeName": None, "hostNetwork": None, "tolerations": None},
        {"nodeSelector": {"a": None}},
    ],
)
async def test_nulls_are_absent(admin: Any, server: ApiServer, pod_of: Callable[..., Any], spec: Any) -> None:
    pod = pod_of("p", labels={"a": "b"}, annotations=None)
    pod["spec"] |= spec
    pod["status"] = None
    created = await admin.create(PODS, pod)
    assert created.code == 201, created.body
    assert b"null" not in server.cache.collections["pods"].entries["default/p"].wire
