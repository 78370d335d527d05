"""Custom resources at the API: definitions come and go, and their objects are treated as Kubernetes treats them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from definitions import CRDS, conditions, define, definition, undefine, until, version, widget

from picluster.storage.sqlite import SqliteBackend

WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
NAME = "widgets.example.com"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SIZE = {"type": "integer", "minimum": 1, "maximum": 10}
SPEC = {"spec": {"type": "object", "properties": {"size": SIZE, "colour": {"type": "string", "default": "red"}}}}
STATUS = {"status": {"type": "object", "properties": {"ready": {"type": "integer"}, "selector": {"type": "string"}}}}
SCALE = {
    "specReplicasPath": ".spec.size",
    "statusReplicasPath": ".status.ready",
    "labelSelectorPath": ".status.selector",
}


async def test_creating_and_deleting_definitions_works(admin: Any) -> None:
    crd = await define(admin, definition())
    assert conditions(crd) == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert crd["status"]["storedVersions"] == ["v1"]
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    assert crd["status"]["acceptedNames"] == names
    assert (await admin.create(WIDGETS, widget(anything={"goes": [1, None]}))).code == 201
    deleted = await admin.delete(f"{CRDS}/{NAME}")
    assert deleted.body["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    await until(admin, NAME, lambda now: now.get("code") == 404)
    gone = await admin.get(WIDGETS)
    assert (gone.code, gone.body["message"]) == (404, "the server could not find the requested resource")
    await define(admin, definition())
    assert (await admin.get(WIDGETS)).body["items"] == []


async def test_listing_definitions_works(admin: Any) -> None:
    for kind, label in (("Widget", "a"), ("Gadget", "a"), ("Thing", "b")):
        crd = definition(kind=kind)
        crd["metadata"]["labels"] = {"set": label}
        await define(admin, crd)
    listed = (await admin.get(f"{CRDS}?labelSelector=set%3Da")).body["items"]
    assert [crd["spec"]["names"]["kind"] for crd in listed] == ["Gadget", "Widget"]
    assert (await admin.delete(f"{CRDS}?labelSelector=set%3Da")).code == 200
    await until(admin, NAME, lambda now: now.get("code") == 404)
    await until(admin, "things.example.com", lambda now: now.get("code") is None)


async def test_the_status_of_a_definition_is_a_resource_of_its_own(admin: Any) -> None:
    crd = await define(admin, definition())
    path = f"{CRDS}/{NAME}/status"
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "set by a test"}
    crd["status"]["conditions"].append(condition)
    crd["spec"]["names"]["shortNames"] = ["wd"]
    updated = await admin.put(path, crd)
    assert updated.code == 200, updated.body
    assert "shortNames" not in updated.body["spec"]["names"]
    assert conditions((await admin.get(path)).body)["StatusUpdate"] == ("True", "E2E")
    patched = await admin.patch(path, {"status": {"conditions": [condition]}, "metadata": {"labels": {"a": "b"}}})
    assert "labels" not in patched.body["metadata"]


async def test_definitions_that_make_no_sense_are_refused(admin: Any) -> None:
    crd = definition(version(schema={"a": {"type": "string"}}), version(schema={"a": {"type": "array"}}))
    crd["metadata"]["name"] = "other.example.com"
    refused = await admin.create(CRDS, crd)
    assert refused.code == 422
    causes = {(cause["field"], cause["message"].partition(":")[0]) for cause in refused.body["details"]["causes"]}
    assert ("metadata.name", "Invalid value") in causes
    assert ("spec.versions[1].schema.openAPIV3Schema.properties[a].items", "Required value") in causes
    assert ("spec.versions", "Invalid value") in causes


async def test_names_that_another_definition_has_are_not_given_twice(admin: Any) -> None:
    await define(admin, definition(names={"shortNames": ["wd"]}))
    await admin.create(CRDS, definition(kind="Gadget", names={"shortNames": ["wd"]}))
    loser = await until(admin, "gadgets.example.com", lambda now: conditions(now).get("NamesAccepted"))
    assert conditions(loser)["NamesAccepted"] == ("False", "ShortNamesConflict")
    assert conditions(loser)["Established"] == ("False", "NotAccepted")
    assert (await admin.get("/apis/example.com/v1/namespaces/default/gadgets")).code == 404
    await undefine(admin, NAME)
    await until(admin, "gadgets.example.com", lambda now: conditions(now)["Established"][0] == "True")


async def test_a_definition_on_its_way_out_takes_nothing_new(admin: Any) -> None:
    await define(admin, definition())
    held = widget("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    assert (await admin.create(WIDGETS, held)).code == 201
    assert (await admin.delete(f"{CRDS}/{NAME}")).code == 200
    await until(admin, NAME, lambda now: conditions(now).get("Terminating", [""])[0] == "True")
    refused = await admin.create(WIDGETS, widget("late"))
    assert (refused.code, refused.body["reason"], refused.body["message"]) == (
        405, "MethodNotAllowed", "create not allowed while custom resource definition is terminating",
    )  # fmt: skip
    listed = (await admin.get("/apis/example.com/v1")).body["resources"]
    verbs = ["delete", "deletecollection", "get", "list", "watch"]
    assert [one["verbs"] for one in listed if one["name"] == "widgets"] == [verbs]
    aggregated = (await admin.get("/apis", Accept=AGGREGATED)).body["items"]
    [found] = [group for group in aggregated if group["metadata"]["name"] == "example.com"]
    assert found["versions"][0]["resources"][0]["verbs"] == verbs
    assert (await admin.patch(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})).code == 200
    await until(admin, NAME, lambda now: now.get("code") == 404)


async def test_discovery_has_definitions_and_what_they_define(admin: Any) -> None:
    groups = (await admin.get("/apis")).body["groups"]
    assert "apiextensions.k8s.io" in [group["name"] for group in groups]
    listed = (await admin.get("/apis/apiextensions.k8s.io/v1")).body["resources"]
    assert "customresourcedefinitions" in [resource["name"] for resource in listed]
    versions = [version("v1beta1", storage=False), version("v2", storage=False), version("v1")]
    subresources = {"status": {}, "scale": SCALE}
    versions[2] = version("v1", {**SPEC, **STATUS}, subresources=subresources)
    await define(admin, definition(*versions, names={"shortNames": ["wd"], "categories": ["all"]}))
    group = (await admin.get("/apis/example.com")).body
    assert [one["version"] for one in group["versions"]] == ["v2", "v1", "v1beta1"]
    assert group["preferredVersion"] == {"groupVersion": "example.com/v2", "version": "v2"}
    listed = (await admin.get("/apis/example.com/v1")).body["resources"]
    assert [resource["name"] for resource in listed] == ["widgets", "widgets/scale", "widgets/status"]
    assert (listed[0]["shortNames"], listed[0]["categories"]) == (["wd"], ["all"])
    aggregated = (await admin.get("/apis", Accept=AGGREGATED)).body["items"]
    [found] = [group for group in aggregated if group["metadata"]["name"] == "example.com"]
    assert [one["version"] for one in found["versions"]] == ["v2", "v1", "v1beta1"]
    resource = found["versions"][1]["resources"][0]
    assert resource["responseKind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}
    assert [sub["subresource"] for sub in resource["subresources"]] == ["scale", "status"]
    await undefine(admin, NAME)
    assert (await admin.get("/apis/example.com")).code == 404


async def test_defaults_are_for_requests_and_from_storage(admin: Any) -> None:
    await define(admin, definition(version(schema={"a": {"type": "string", "default": "A"}, "b": {"type": "string"}})))
    created = await admin.create(WIDGETS, widget())
    assert (created.body["a"], created.body.get("b")) == ("A", None)
    fields = "/spec/versions/0/schema/openAPIV3Schema/properties"
    changed = [
        {"op": "add", "path": f"{fields}/b/default", "value": "B"},
        {"op": "remove", "path": f"{fields}/a/default"},
    ]
    assert (await admin.patch(f"{CRDS}/{NAME}", changed, "json")).code == 200
    read = (await admin.get(f"{WIDGETS}/a")).body
    assert (read["a"], read["b"]) == ("A", "B")
    listed = (await admin.get(WIDGETS)).body["items"]
    assert listed[0]["b"] == "B"
    fresh = (await admin.create(WIDGETS, widget("b"))).body
    assert ("a" in fresh, fresh["b"]) == (False, "B")


async def test_objects_are_held_to_the_schema(admin: Any) -> None:
    await define(admin, definition(version(schema=SPEC)))
    refused = await admin.create(WIDGETS, widget(spec={"size": "large"}))
    assert refused.body["message"] == (
        'Widget.example.com "a" is invalid: spec.size: Invalid value: "string": spec.size in body must be of type'
        ' integer: "string"'
    )
    assert refused.body["details"]["causes"][0]["reason"] == "FieldValueTypeInvalid"
    assert (await admin.create(WIDGETS, widget(spec={"size": 11}))).body["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: 11: spec.size in body should be less than or equal to 10",
            "field": "spec.size",
        }
    ]
    missing = await admin.create(WIDGETS, {"metadata": {"name": "a"}})
    assert missing.code == 400
    assert "Object 'Kind' is missing in" in missing.body["message"]
    wrong = await admin.create(WIDGETS, widget(api_version="example.com/v2"))
    assert "does not match the expected API version (example.com/v1)" in wrong.body["message"]


async def test_what_an_old_object_does_wrong_is_not_held_against_an_update(admin: Any) -> None:
    await define(admin, definition(version(schema={"s": {"type": "string"}, "t": {"type": "string"}})))
    await admin.create(WIDGETS, widget(s="long", t="x"))
    limit = [{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/s/maxLength", "value": 2}]
    await admin.patch(f"{CRDS}/{NAME}", limit, "json")
    assert (await admin.patch(f"{WIDGETS}/a", {"t": "y"})).code == 200
    refused = await admin.patch(f"{WIDGETS}/a", {"s": "longer"})
    assert refused.body["message"].endswith("is invalid: s: Too long: may not be more than 2 bytes")


EMBEDDED = {
    "spec": {
        "type": "object",
        "properties": {
            "known": {"type": "string"},
            "template": {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            },
        },
    }
}


async def test_unknown_fields_are_told_of_or_refused(admin: Any) -> None:
    await define(admin, definition(version(schema=EMBEDDED)))
    template = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "unknownSubMeta": 1}, "spec": {"any": 1}}
    body = widget(spec={"known": "a", "template": template, "unknown": 1})
    body["metadata"]["unknownMeta"] = 1
    strict = await admin.create(f"{WIDGETS}?fieldValidation=Strict", body)
    assert strict.code == 400
    for path in ("metadata.unknownMeta", "spec.template.metadata.unknownSubMeta", "spec.unknown"):
        assert f'unknown field "{path}"' in strict.body["message"]
    warned = await admin.create(WIDGETS, body)
    assert warned.code == 201
    assert len(warned.warnings) == 3
    assert warned.body["spec"] == {"known": "a", "template": {**template, "metadata": {"name": "p"}}}
    assert (await admin.create(f"{WIDGETS}?fieldValidation=Ignore", {**body, "metadata": {"name": "b"}})).warnings == []


async def test_doubled_fields_are_found_where_unknown_ones_are_kept(admin: Any) -> None:
    await define(admin, definition())
    text = b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"x":1,"x":2}}'
    strict = await admin("POST", f"{WIDGETS}?fieldValidation=Strict", text)
    assert 'strict decoding error: duplicate field "spec.x"' in strict.body["message"]
    kept = await admin("POST", f"{WIDGETS}?fieldValidation=Strict", text.replace(b'"x":1,', b""))
    assert (kept.code, kept.body["spec"]) == (201, {"x": 2})


async def test_generation_counts_the_spec_when_there_is_a_status_subresource(admin: Any) -> None:
    await define(admin, definition(version(schema={**SPEC, **STATUS}, subresources={"status": {}})))
    created = (await admin.create(WIDGETS, widget(spec={"size": 1}, status={"ready": 1}))).body
    assert (created["metadata"]["generation"], "status" in created) == (1, False)
    path = f"{WIDGETS}/a"
    changed = (await admin.patch(path, {"spec": {"size": 2}, "status": {"ready": 2}})).body
    assert (changed["metadata"]["generation"], "status" in changed) == (2, False)
    assert (await admin.patch(path, {"metadata": {"labels": {"a": "b"}}})).body["metadata"]["generation"] == 2
    status = {"metadata": {"labels": {"c": "d"}}, "spec": {"size": 5}, "status": {"ready": 3}}
    body = (await admin.patch(f"{path}/status", status)).body
    assert (body["metadata"]["generation"], body["metadata"]["labels"]) == (2, {"a": "b"})
    assert (body["spec"]["size"], body["status"]) == (2, {"ready": 3})
    refused = await admin.patch(f"{path}/status", {"status": {"ready": "x"}})
    assert refused.body["details"]["causes"][0]["field"] == "status.ready"
    assert (await admin.get(f"{path}/status")).body["status"] == {"ready": 3}


async def test_without_one_every_change_counts(admin: Any) -> None:
    await define(admin, definition(version(schema={**SPEC, **STATUS})))
    assert (await admin.create(WIDGETS, widget(status={"ready": 1}))).body["status"] == {"ready": 1}
    assert (await admin.patch(f"{WIDGETS}/a", {"status": {"ready": 2}})).body["metadata"]["generation"] == 2
    assert (await admin.get(f"{WIDGETS}/a/status")).code == 404


async def test_scale_reads_and_writes_the_paths_of_the_definition(admin: Any) -> None:
    await define(admin, definition(version(schema={**SPEC, **STATUS}, subresources={"status": {}, "scale": SCALE})))
    await admin.create(WIDGETS, widget(spec={"size": 3}))
    path = f"{WIDGETS}/a"
    await admin.patch(f"{path}/status", {"status": {"ready": 2, "selector": "a=b"}})
    scale = (await admin.get(f"{path}/scale")).body
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 3})
    assert scale["status"] == {"replicas": 2, "selector": "a=b"}
    assert (await admin.patch(f"{path}/scale", {"spec": {"replicas": 7}})).body["spec"] == {"replicas": 7}
    whole = (await admin.get(path)).body
    assert (whole["spec"]["size"], whole["metadata"]["generation"]) == (7, 2)
    refused = await admin.patch(f"{path}/scale", {"spec": {"replicas": 11}})
    assert refused.code == 422
    await admin.create(WIDGETS, widget("b"))
    assert "the spec replicas field" in (await admin.get(f"{WIDGETS}/b/scale")).body["message"]


async def test_an_update_needs_a_resource_version_and_a_patch_none(admin: Any) -> None:
    await define(admin, definition())
    created = (await admin.create(WIDGETS, widget())).body
    refused = await admin.put(f"{WIDGETS}/a", widget(x=1))
    assert refused.body["message"] == (
        'Widget.example.com "a" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
    )
    assert (await admin.put(f"{WIDGETS}/a", {**created, "x": 1})).code == 200
    assert (await admin.put(f"{WIDGETS}/a", {**created, "x": 2})).code == 409
    strategic = await admin.patch(f"{WIDGETS}/a", {"x": 3}, "strategic")
    assert strategic.code == 415
    assert "application/json-patch+json, application/merge-patch+json" in strategic.body["message"]
    assert (await admin.patch(f"{WIDGETS}/a", [{"op": "add", "path": "/x", "value": 4}], "json")).body["x"] == 4


async def test_server_side_apply_owns_fields_of_the_schema(admin: Any) -> None:
    await define(admin, definition(version(schema=SPEC)))
    apply = {"Content_Type": "application/apply-patch+yaml"}
    made = await admin("PATCH", f"{WIDGETS}/a?fieldManager=one", widget(spec={"size": 1}), **apply)
    assert made.code == 201
    taken = await admin("PATCH", f"{WIDGETS}/a?fieldManager=two", widget(spec={"size": 2}), **apply)
    assert (taken.code, taken.body["details"]["causes"][0]["field"]) == (409, ".spec.size")
    unknown = await admin("PATCH", f"{WIDGETS}/a?fieldManager=one", widget(spec={"nope": 2}), **apply)
    assert ".spec.nope: field not declared in schema" in unknown.body["message"]


async def test_columns_are_those_of_the_definition(admin: Any) -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "how large"},
        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
        {"name": "Born", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    await define(admin, definition(version(schema=SPEC, additionalPrinterColumns=columns)))
    await admin.create(WIDGETS, widget(spec={"size": 3}))
    table = (await admin.get(WIDGETS, Accept="application/json;as=Table;g=meta.k8s.io;v=v1")).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Colour", "Born"]
    assert [column["priority"] for column in table["columnDefinitions"]] == [0, 0, 1, 0]
    assert table["rows"][0]["cells"][:3] == ["a", 3, "red"]
    assert table["rows"][0]["cells"][3].endswith("s")


async def test_fields_can_be_selected_by(admin: Any) -> None:
    fields = [{"jsonPath": ".spec.colour"}, {"jsonPath": ".spec.size"}]
    await define(admin, definition(version(schema=SPEC, selectableFields=fields)))
    for name, spec in (("a", {"size": 1}), ("b", {"colour": "blue"}), ("c", {"size": 1, "colour": "blue"})):
        await admin.create(WIDGETS, widget(name, spec=spec))
    listed = (await admin.get(f"{WIDGETS}?fieldSelector=spec.colour%3Dblue,spec.size%3D1")).body["items"]
    assert [item["metadata"]["name"] for item in listed] == ["c"]
    watch = await admin.watch(f"{WIDGETS}?fieldSelector=spec.colour%3Dred")
    assert (await watch.next())["object"]["metadata"]["name"] == "a"
    await admin.patch(f"{WIDGETS}/a", {"spec": {"colour": "blue"}})
    assert (await watch.next())["type"] == "DELETED"
    refused = await admin.get(f"{WIDGETS}?fieldSelector=spec.other%3D1")
    assert (refused.code, "field label not supported: spec.other" in refused.body["message"]) == (400, True)


async def test_fields_are_selected_by_as_they_are_shown(admin: Any) -> None:
    """A default that came later is filled in as objects are read."""
    plain = {"spec": {"type": "object", "properties": {"size": SIZE, "colour": {"type": "string"}}}}
    fields = {"selectableFields": [{"jsonPath": ".spec.colour"}]}
    await define(admin, definition(version("v1", plain, **fields), version("v2", SPEC, storage=False, **fields)))
    for name, spec in (("a", {}), ("b", {"colour": "blue"})):
        assert (await admin.create(WIDGETS, widget(name, spec=spec))).code == 201
    v2 = WIDGETS.replace("v1", "v2")

    async def selected(path: str) -> list[list[str]]:
        found = []
        for colour in ("red", "blue", ""):
            listed = (await admin.get(f"{path}?fieldSelector=spec.colour%3D{colour}")).body["items"]
            found.append([item["metadata"]["name"] for item in listed])
        return found

    assert [await selected(path) for path in (WIDGETS, v2)] == [[[], ["b"], ["a"]]] * 2
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/colour/default"
    assert (await admin.patch(f"{CRDS}/{NAME}", [{"op": "add", "path": path, "value": "red"}], "json")).code == 200
    assert [await selected(path) for path in (WIDGETS, v2)] == [[["a"], ["b"], []]] * 2
    watch = await admin.watch(f"{v2}?fieldSelector=spec.colour%3Dred")
    assert (await watch.next())["object"]["metadata"]["name"] == "a"
    await admin.patch(f"{WIDGETS}/b", {"spec": {"colour": None}})
    event = await watch.next()
    assert (event["type"], event["object"]["spec"]) == ("ADDED", {"colour": "red"})
    removed = await admin.delete(f"{v2}?fieldSelector=spec.colour%3Dred")
    assert removed.code == 200 and (await admin.get(WIDGETS)).body["items"] == []


async def test_fields_that_become_selectable_are_so_for_what_is_there(admin: Any) -> None:
    await define(admin, definition(version(schema=SPEC)))
    await admin.create(WIDGETS, widget(spec={"colour": "blue"}))
    fields = [{"op": "add", "path": "/spec/versions/0/selectableFields", "value": [{"jsonPath": ".spec.colour"}]}]
    assert (await admin.patch(f"{CRDS}/{NAME}", fields, "json")).code == 200
    assert len((await admin.get(f"{WIDGETS}?fieldSelector=spec.colour%3Dblue")).body["items"]) == 1


async def test_a_change_of_the_definition_ends_watches(admin: Any) -> None:
    await define(admin, definition(version(schema=SPEC)))
    created = await admin.create(WIDGETS, widget())
    watch = await admin.watch(f"{WIDGETS}?resourceVersion={created.version}")
    await admin.patch(f"{CRDS}/{NAME}", {"spec": {"names": {"categories": ["all"]}}})
    assert await watch.rest() == []
    again = await admin.watch(f"{WIDGETS}?resourceVersion={created.version}")
    await admin.delete(f"{WIDGETS}/a")
    assert (await again.next())["type"] == "DELETED"


async def test_versions_share_their_objects(admin: Any) -> None:
    schema = {"spec": {"type": "object", "properties": {"size": SIZE}}}
    old = version("v1", schema, deprecated=True)
    await define(admin, definition(old, version("v2", SPEC, storage=False)))
    made = await admin.create(WIDGETS, widget(spec={"size": 1, "colour": "blue"}))
    assert made.body["spec"] == {"size": 1}
    assert '299 - "example.com/v1 Widget is deprecated"' in made.warnings
    metrics = (await admin.get("/metrics")).body.splitlines()
    told = [line for line in metrics if line.startswith("apiserver_requested_deprecated_apis{")]
    labels = 'group="example.com",removed_release="",resource="widgets",subresource="",version="v1"'
    assert told == [f"apiserver_requested_deprecated_apis{{{labels}}} 1.0"]
    path = "/apis/example.com/v2/namespaces/default/widgets"
    shown = (await admin.get(f"{path}/a")).body
    assert (shown["apiVersion"], shown["spec"]) == ("example.com/v2", {"size": 1})
    watch = await admin.watch(path)
    assert (await watch.next())["object"]["apiVersion"] == "example.com/v2"
    await admin.patch(f"{WIDGETS}/a", {"spec": {"size": 2}})
    assert (await watch.next())["object"]["apiVersion"] == "example.com/v2"
    assert (await admin.get(path)).body["apiVersion"] == "example.com/v2"


async def test_defaults_are_those_of_the_stored_version(admin: Any) -> None:
    schema = {"spec": {"type": "object", "properties": {"size": SIZE}}}
    await define(admin, definition(version("v1", SPEC), version("v2", schema, storage=False)))
    path = "/apis/example.com/v2/namespaces/default/widgets"
    assert (await admin.create(path, widget(api_version="example.com/v2", spec={"size": 1}))).code == 201
    assert (await admin.get(f"{WIDGETS}/a")).body["spec"] == {"size": 1, "colour": "red"}


async def test_a_write_migrates_what_is_stored(admin: Any, server: Any) -> None:
    await define(admin, definition(version("v1", SPEC), version("v2", SPEC, storage=False)))
    await admin.create(WIDGETS, widget(spec={"size": 1}))
    swapped = [version("v1", SPEC, storage=False), version("v2", SPEC)]
    crd = (await admin.patch(f"{CRDS}/{NAME}", {"spec": {"versions": swapped}})).body
    assert crd["status"]["storedVersions"] == ["v1", "v2"]
    stored = server.cache.collections[NAME].entries
    assert b'"apiVersion":"example.com/v1"' in stored["default/a"].wire
    unchanged = (await admin.get(f"{WIDGETS}/a")).body
    assert (await admin.put(f"{WIDGETS}/a", unchanged)).body["apiVersion"] == "example.com/v1"
    assert b'"apiVersion":"example.com/v2"' in stored["default/a"].wire
    migrated = stored["default/a"].revision
    await admin.put(f"{WIDGETS}/a", (await admin.get(f"{WIDGETS}/a")).body)
    assert stored["default/a"].revision == migrated
    dropped = await admin.patch(f"{CRDS}/{NAME}", {"spec": {"versions": [version("v2", SPEC)]}})
    assert dropped.body["details"]["causes"][0]["field"] == "status.storedVersions[0]"


async def test_objects_with_finalizers_hold_their_definition(admin: Any) -> None:
    await define(admin, definition())
    held = widget()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await admin.create(WIDGETS, held)
    await admin.delete(f"{CRDS}/{NAME}")
    crd = await until(admin, NAME, lambda now: conditions(now)["Terminating"][1] == "InstanceDeletionInProgress")
    assert crd["metadata"]["deletionTimestamp"]
    refused = await admin.create(WIDGETS, widget("b"))
    assert refused.code == 405
    assert refused.body["message"] == "create not allowed while custom resource definition is terminating"
    assert (await admin.patch(f"{WIDGETS}/a", {"metadata": {"finalizers": None}})).code == 200
    await until(admin, NAME, lambda now: now.get("code") == 404)


async def test_objects_are_there_after_a_restart(
    start: Callable[..., Any], caller: Callable[..., Any], tmp_path: Any
) -> None:
    fields = [{"jsonPath": ".spec.colour"}]
    server = await start(SqliteBackend(tmp_path / "store.db"))
    admin = await caller(server)
    await define(admin, definition(version(schema=SPEC, selectableFields=fields)))
    created = await admin.create(WIDGETS, widget(spec={"size": 1}))
    await server.stop()
    server = await start(SqliteBackend(tmp_path / "store.db"))
    admin = await caller(server)
    assert (await admin.get(f"{WIDGETS}/a")).body == created.body
    assert len((await admin.get(f"{WIDGETS}?fieldSelector=spec.colour%3Dred")).body["items"]) == 1
    watch = await admin.watch(f"{WIDGETS}?resourceVersion={created.version}")
    await admin.patch(f"{WIDGETS}/a", {"spec": {"size": 2}})
    assert (await watch.next())["object"]["spec"]["size"] == 2
    await undefine(admin, NAME)


RULED = {
    "spec": {
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "self.low <= self.high", "message": "low must not exceed high"},
            {"rule": "self.low >= oldSelf.low", "messageExpression": "'low was ' + string(oldSelf.low)"},
        ],
        "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
    }
}


async def test_rules_are_kept(admin: Any) -> None:
    await define(admin, definition(version(schema=RULED)))
    refused = await admin.create(WIDGETS, widget(spec={"low": 3, "high": 2}))
    assert refused.body["message"].endswith('spec: Invalid value: "object": low must not exceed high')
    await admin.create(WIDGETS, widget(spec={"low": 1, "high": 2}))
    refused = await admin.patch(f"{WIDGETS}/a", {"spec": {"low": 0}})
    assert refused.body["message"].endswith('spec: Invalid value: "object": low was 1')
    blocked = await admin.patch(f"{WIDGETS}/a", {"spec": {"low": "x"}})
    assert "some validation rules were not checked because the object was invalid" in blocked.body["message"]


async def test_rules_that_do_not_compile_are_refused(admin: Any) -> None:
    wrong = version(schema={"s": {"type": "string", "x-kubernetes-validations": [{"rule": "self.size() + 'x'"}]}})
    refused = await admin.create(CRDS, definition(wrong))
    assert refused.code == 422
    path = "spec.versions[0].schema.openAPIV3Schema.properties[s].x-kubernetes-validations[0].rule"
    assert refused.body["details"]["causes"][0]["field"] == path


@pytest.mark.parametrize("group", ["example.com", "other.example.com"])
async def test_definitions_are_in_openapi(admin: Any, group: str) -> None:
    described = {"spec": {"type": "object", "description": "what it shall be", "properties": {"size": SIZE}}}
    await define(admin, definition(version(schema=described), group=group))
    await define(admin, definition(version(), group=group, kind="Gadget"))
    prefix = ".".join(reversed(group.split("."))) + ".v1"
    paths = (await admin.get("/openapi/v3")).body["paths"]
    document = (await admin.get(paths[f"apis/{group}/v1"]["serverRelativeURL"])).body
    schema = document["components"]["schemas"][f"{prefix}.Widget"]
    assert schema["properties"]["spec"]["description"] == "what it shall be"
    assert schema["x-kubernetes-group-version-kind"] == [{"group": group, "version": "v1", "kind": "Widget"}]
    assert f"/apis/{group}/v1/namespaces/{{namespace}}/widgets/{{name}}" in document["paths"]
    swagger = (await admin.get("/openapi/v2")).body["definitions"]
    assert swagger[f"{prefix}.Widget"]["properties"]["spec"]["properties"]["size"]["type"] == "integer"
    assert swagger[f"{prefix}.WidgetList"]["properties"]["items"]["items"]["$ref"].endswith(f"{prefix}.Widget")
    assert "properties" not in swagger[f"{prefix}.Gadget"]
    await undefine(admin, f"widgets.{group}")
    assert f"{prefix}.Widget" not in (await admin.get("/openapi/v2")).body["definitions"]


async def test_a_version_that_is_not_served_any_more_is_gone(admin: Any) -> None:
    await define(admin, definition(version("v1", SPEC), version("v2", SPEC, storage=False)))
    path = "/apis/example.com/v2/namespaces/default/widgets"
    await admin.create(path, widget(api_version="example.com/v2"))
    versions = [version("v1", SPEC), {**version("v2", SPEC, storage=False), "served": False}]
    await admin.patch(f"{CRDS}/{NAME}", {"spec": {"versions": versions}})
    assert (await admin.get(f"{path}/a")).code == 404
    assert [one["version"] for one in (await admin.get("/apis/example.com")).body["versions"]] == ["v1"]
    assert (await admin.get(f"{WIDGETS}/a")).code == 200


async def test_objects_without_a_namespace_have_paths_without_one(admin: Any) -> None:
    await define(admin, definition(scope="Cluster"))
    path = "/apis/example.com/v1/widgets"
    assert (await admin.create(path, widget())).code == 201
    assert "namespace" not in (await admin.get(f"{path}/a")).body["metadata"]
    assert (await admin.get(WIDGETS)).code == 404


async def test_the_end_of_a_definition_goes_on_after_a_restart(
    start: Callable[..., Any], caller: Callable[..., Any], tmp_path: Any
) -> None:
    server = await start(SqliteBackend(tmp_path / "store.db"))
    admin = await caller(server)
    await define(admin, definition(kind="Gadget"))
    await admin.create("/apis/example.com/v1/namespaces/default/gadgets", {**widget(), "kind": "Gadget"})
    await undefine(admin, "gadgets.example.com")
    await define(admin, definition())
    held = widget()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await admin.create(WIDGETS, held)
    await admin.delete(f"{CRDS}/{NAME}")
    await server.stop()
    admin = await caller(await start(SqliteBackend(tmp_path / "store.db")))
    assert (await admin.get(f"{CRDS}/gadgets.example.com")).code == 404
    await admin.patch(f"{WIDGETS}/a", {"metadata": {"finalizers": None}})
    await until(admin, NAME, lambda now: now.get("code") == 404)
    assert (await admin.get("/metrics")).code == 200


async def test_a_definition_that_nobody_could_serve_can_be_deleted(admin: Any) -> None:
    await define(admin, definition())
    await admin.create(CRDS, definition(kind="Gadget", names={"shortNames": ["widget"]}))
    await until(admin, "gadgets.example.com", lambda now: conditions(now).get("NamesAccepted"))
    await undefine(admin, "gadgets.example.com")
    assert (await admin.get(WIDGETS)).code == 200
