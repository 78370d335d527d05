"""The verbs to the letter: what a request may say, what it is answered, and in which form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def config_map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", f"{MAPS}/a", "DELETE, GET, PATCH, PUT"),
        ("PUT", MAPS, "DELETE, GET, POST"),
        ("DELETE", "/api/v1/configmaps", "GET"),
        ("POST", "/api/v1/pods", "GET"),
        ("DELETE", f"{PODS}/a/status", "GET, PATCH, PUT"),
        ("DELETE", ACCESS, "POST"),
        ("OPTIONS", MAPS, "DELETE, GET, POST"),
    ],
)
async def test_methods_that_a_path_does_not_take(admin: Any, method: str, path: str, allowed: str) -> None:
    answer = await admin(method, path, {} if method in ("POST", "PUT") else None)
    assert (answer.code, answer.body["reason"]) == (405, "MethodNotAllowed")
    assert answer.headers["Allow"] == allowed


async def test_what_has_no_table_is_not_acceptable_as_one(admin: Any) -> None:
    spec = {"nonResourceAttributes": {"path": "/", "verb": "get"}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    answer = await admin("POST", ACCESS, review, Accept=TABLE)
    assert (answer.code, answer.body["reason"]) == (406, "NotAcceptable")
    assert (await admin("POST", ACCESS, review, Accept=f"{TABLE},application/json")).code == 201


async def test_what_cannot_be_answered_is_not_done(admin: Any) -> None:
    assert (await admin("POST", MAPS, config_map(), Accept="text/html")).code == 406
    assert (await admin.get(f"{MAPS}/a")).code == 404


@pytest.mark.parametrize(
    ("query", "kind", "cause"),
    [
        ("dryRun=Some", "CreateOptions", 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        ("fieldManager=" + "m" * 129, "CreateOptions", "fieldManager: Too long: may not be more than 128 bytes"),
        (
            "fieldManager=a%07b",
            "CreateOptions",
            'fieldManager: Invalid value: "a\\u0007b": invalid character U+0007 (at position 1)',
        ),
        (
            "fieldValidation=Maybe",
            "CreateOptions",
            'fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
        ),
    ],
)
async def test_options_are_checked(admin: Any, query: str, kind: str, cause: str) -> None:
    answer = await admin.create(f"{MAPS}?{query}", config_map())
    assert (answer.code, answer.body["message"]) == (422, f'{kind}.meta.k8s.io "" is invalid: {cause}')


async def test_people_get_indented_json(admin: Any) -> None:
    await admin.create(MAPS, config_map())

    async def lines(path: str, program: str) -> int:
        async with admin.session.get(path, headers={"User-Agent": program}) as response:
            return (await response.text()).count("\n")

    assert await lines(f"{MAPS}/a", "curl/8.5") > 5
    assert await lines(f"{MAPS}/a?pretty=false", "curl/8.5") == 0
    assert await lines(f"{MAPS}/a?pretty=1", "client-go") > 5
    assert await lines(f"{MAPS}/a", "client-go") == 0


async def test_a_get_is_not_older_than_it_asks(admin: Any) -> None:
    made = await admin.create(MAPS, config_map())
    assert (await admin.get(f"{MAPS}/a?resourceVersion={made.version}")).body == made.body
    answer = await admin.get(f"{MAPS}/a?resourceVersion=x")
    assert answer.code == 400


async def test_a_limited_list_at_a_revision_is_that_revision(admin: Any) -> None:
    made = await admin.create(MAPS, config_map("a"))
    await admin.create(MAPS, config_map("b"))
    page = (await admin.get(f"{MAPS}?resourceVersion={made.version}&limit=10")).body
    assert [item["metadata"]["name"] for item in page["items"]] == ["a"]
    assert page["metadata"]["resourceVersion"] == made.version
    fresh = (await admin.get(f"{MAPS}?resourceVersion={made.version}")).body
    assert len(fresh["items"]) == 2


@pytest.mark.parametrize("kind", ["merge", "strategic"])
async def test_strict_patches_name_what_is_unknown_and_doubled(admin: Any, kind: str, request: Any) -> None:
    await admin.create(MAPS, config_map(x="1"))
    body = b'{"dta": {"x": "1"}, "data": {"x": "2", "x": "3"}}'
    content = {"merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json"}[kind]
    refused = await admin("PATCH", f"{MAPS}/a?fieldValidation=Strict", body, Content_Type=content)
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert refused.body["message"].startswith(' "" is invalid: patch: Invalid value: ')
    assert 'strict decoding error: duplicate field "data.x", unknown field "dta"' in refused.body["message"]
    warned = await admin("PATCH", f"{MAPS}/a", body, Content_Type=content)
    assert warned.code == 200 and warned.body["data"] == {"x": "3"}
    assert sorted(warned.warnings) == ['299 - "duplicate field \\"data.x\\""', '299 - "unknown field \\"dta\\""']
    quiet = await admin("PATCH", f"{MAPS}/a?fieldValidation=Ignore", body, Content_Type=content)
    assert quiet.code == 200 and not quiet.warnings


async def test_a_strict_json_patch_is_read_strictly_itself(admin: Any) -> None:
    await admin.create(MAPS, config_map(x="1"))
    content = "application/json-patch+json"
    body = b'[{"op":"add","path":"/dta","value":"v","foo":"bar"},{"op":"add","path":"/data/x","value":"2","value":"3"}]'
    refused = await admin("PATCH", f"{MAPS}/a?fieldValidation=Strict", body, Content_Type=content)
    assert refused.code == 422
    assert refused.body["message"].endswith(
        'strict decoding error: json patch unknown field "[0].foo", json patch duplicate field "[1].value",'
        ' unknown field "dta"'
    )
    warned = await admin("PATCH", f"{MAPS}/a", body, Content_Type=content)
    assert warned.code == 200 and warned.body["data"] == {"x": "3"} and len(warned.warnings) == 3
    quiet = await admin("PATCH", f"{MAPS}/a?fieldValidation=Ignore", body, Content_Type=content)
    assert quiet.code == 200 and not quiet.warnings


async def test_a_patch_cannot_copy_without_end(admin: Any) -> None:
    await admin.create(MAPS, config_map(x="1" * 1000))
    patch = [{"op": "copy", "from": "/data", "path": f"/data/k{n}"} for n in range(40)]
    refused = await admin.patch(f"{MAPS}/a", patch, "json")
    assert refused.code == 422
    assert "Unable to complete the copy" in refused.body["details"]["causes"][0]["message"]


@pytest.mark.parametrize("content", ["application/apply-patch+cbor", "application/json", ""])
async def test_what_is_no_patch(admin: Any, content: str) -> None:
    await admin.create(MAPS, config_map())
    refused = await admin("PATCH", f"{MAPS}/a", {}, Content_Type=content)
    assert (refused.code, refused.body["reason"]) == (415, "UnsupportedMediaType")
    assert refused.body["message"].endswith(
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json,"
        " application/apply-patch+yaml"
    )


async def test_deletions_that_make_no_sense(admin: Any) -> None:
    await admin.create(MAPS, config_map())
    unreadable = "ignoreStoreReadErrorWithClusterBreakingPotential"
    refused = await admin.delete(f"{MAPS}/a", {unreadable: True, "gracePeriodSeconds": 1})
    assert refused.code == 422
    assert (
        f"{unreadable}: Invalid value: true: cannot be set together with .gracePeriodSeconds"
        in (refused.body["message"])
    )
    refused = await admin.delete(f"{MAPS}/a?propagationPolicy=Sideways")
    assert refused.body["message"] == (
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values:'
        ' "Foreground", "Background", "Orphan", "nil"'
    )
    assert (await admin.delete(f"{MAPS}/a?dryRun=Some")).code == 422


async def test_dry_runs_change_nothing(admin: Any, pod_of: Callable[..., Any]) -> None:
    await admin.create(PODS, pod_of("p"))
    before = (await admin.get(f"{PODS}/p")).body
    await admin.delete(f"{PODS}/p?dryRun=All")
    await admin.delete(f"{PODS}?dryRun=All")
    await admin.patch(f"{PODS}/p/status?dryRun=All", {"status": {"phase": "Running"}})
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n"}}
    await admin.create(f"{PODS}/p/binding?dryRun=All", binding)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    await admin.create(f"{PODS}/p/eviction?dryRun=All", eviction)
    assert (await admin.get(f"{PODS}/p")).body == before


async def test_a_collection_is_deleted_on_its_conditions(admin: Any) -> None:
    made = await admin.create(MAPS, config_map("a"))
    await admin.create(MAPS, config_map("b"))
    uid = made.body["metadata"]["uid"]
    refused = await admin.delete(f"{MAPS}?fieldSelector=metadata.name=b", {"preconditions": {"uid": uid}})
    assert refused.code == 409
    done = await admin.delete(f"{MAPS}?fieldSelector=metadata.name=a", {"preconditions": {"uid": uid}})
    assert done.code == 200
    names = [item["metadata"]["name"] for item in (await admin.get(MAPS)).body["items"]]
    assert "a" not in names and "b" in names


async def test_yaml_in_and_out(admin: Any) -> None:
    body = b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {on: 'true', 1: x}\n"
    made = await admin("POST", MAPS, body, Content_Type="application/yaml", Accept="application/yaml")
    assert made.code == 201 and "kind: ConfigMap" in made.body
    shown = (await admin.get(f"{MAPS}/a")).body
    assert json.loads(json.dumps(shown["data"])) == {"true": "true", "1": "x"}


async def test_watches_by_the_old_paths(admin: Any) -> None:
    made = await admin.create(MAPS, config_map("a"))
    for path in ("/api/v1/watch/namespaces/default/configmaps/a", "/api/v1/watch/configmaps"):
        watch = await admin.watch(f"{path}?resourceVersion={int(made.version) - 1}")
        event = await watch.next()
        assert (event["type"], event["object"]) == ("ADDED", made.body)
