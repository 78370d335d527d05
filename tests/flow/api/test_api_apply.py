"""Server-side apply over the wire, and who owns what after each kind of write (KEP-555)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from definitions import define, definition, version

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SERVICES = "/api/v1/namespaces/default/services"
APPLY = "application/apply-patch+yaml"


def config_map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(replicas: int | None = 1, image: str = "web:1", **spec: Any) -> dict[str, Any]:
    container = {"name": "web", "image": image, "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    body: dict[str, Any] = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    if replicas is not None:
        body["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": body}


@pytest.fixture
def apply(admin: Any) -> Any:
    """``await apply(path, config, manager, **query)``"""

    async def apply(path: str, config: Any, manager: str = "me", **query: str) -> Any:
        words = "&".join(f"{name}={value}" for name, value in {"fieldManager": manager, **query}.items() if value)
        body = config if isinstance(config, bytes) else json.dumps(config).encode()
        return await admin("PATCH", f"{path}?{words}", body, Content_Type=APPLY)

    return apply


def owners(obj: Any) -> dict[str, Any]:
    """What each owns, by ``name/operation`` and the subresource if there is one."""
    found = {}
    for entry in obj["metadata"].get("managedFields", ()):
        name = "/".join(filter(None, (entry["manager"], entry["operation"], entry.get("subresource"))))
        assert entry["fieldsType"] == "FieldsV1" and entry["time"].endswith("Z")
        found[name] = entry["fieldsV1"]
    return found


async def test_an_apply_creates_then_changes_then_prunes(apply: Any, admin: Any) -> None:
    made = await apply(f"{MAPS}/a", config_map(x="1", y="2"))
    assert made.code == 201
    assert owners(made.body) == {"me/Apply": {"f:data": {"f:x": {}, "f:y": {}}}}
    await admin.patch(f"{MAPS}/a?fieldManager=other", {"data": {"z": "3"}})
    changed = await apply(f"{MAPS}/a", config_map(x="9"))
    assert changed.code == 200
    assert changed.body["data"] == {"x": "9", "z": "3"}
    assert owners(changed.body) == {"me/Apply": {"f:data": {"f:x": {}}}, "other/Update": {"f:data": {"f:z": {}}}}
    again = await apply(f"{MAPS}/a", config_map(x="9"))
    assert again.body == changed.body


async def test_a_conflict_names_the_manager_and_the_field(apply: Any, admin: Any) -> None:
    await admin.create(f"{DEPLOYMENTS}?fieldManager=maker", deployment())
    refused = await apply(f"{DEPLOYMENTS}/web", deployment(replicas=5))
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert (
        refused.body["message"] == 'Apply failed with 1 conflict: conflict with "maker" using apps/v1: .spec.replicas'
    )
    assert refused.body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "maker" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    refused = await apply(f"{DEPLOYMENTS}/web", deployment(replicas=5, image="web:2"))
    assert refused.body["message"] == (
        'Apply failed with 2 conflicts: conflicts with "maker" using apps/v1:\n- .spec.replicas\n'
        '- .spec.template.spec.containers[name="web"].image'
    )
    forced = await apply(f"{DEPLOYMENTS}/web", deployment(replicas=5), force="true")
    assert forced.code == 200 and forced.body["spec"]["replicas"] == 5
    who = owners(forced.body)
    assert "f:replicas" not in who["maker/Update"]["f:spec"] and "f:replicas" in who["me/Apply"]["f:spec"]
    assert "f:selector" in who["maker/Update"]["f:spec"] and "f:selector" in who["me/Apply"]["f:spec"]


async def test_a_creator_owns_what_kubernetes_says_it_owns(admin: Any) -> None:
    made = (await admin.create(f"{DEPLOYMENTS}?fieldManager=kubectl-create", deployment())).body
    template = owners(made)["kubectl-create/Update"]["f:spec"]["f:template"]
    assert template["f:spec"]["f:containers"] == {
        'k:{"name":"web"}': {
            ".": {},
            "f:image": {},
            "f:imagePullPolicy": {},
            "f:name": {},
            "f:ports": {
                ".": {},
                'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
            },
            "f:resources": {},
            "f:terminationMessagePath": {},
            "f:terminationMessagePolicy": {},
        }
    }
    assert template["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    assert owners(made)["kubectl-create/Update"].keys() == {"f:spec"}


async def test_objects_of_one_shape_own_the_same_under_their_own_names(admin: Any) -> None:
    for name in ("web-one", "web-two"):
        made = (await admin.create(MAPS, config_map(name, k=name))).body
        assert owners(made).popitem()[1] == {"f:data": {".": {}, "f:k": {}}}
    for name in ("self-a", "self-b"):
        made = (await admin.create(MAPS, {**config_map(name), "data": {name: "x"}})).body
        assert owners(made).popitem()[1] == {"f:data": {".": {}, f"f:{name}": {}}}


async def test_a_status_that_leaves_the_metadata_owns_none_of_it(admin: Any) -> None:
    levels = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"
    limited = {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}
    await admin.create(levels, {"metadata": {"name": "low"}, "spec": {"type": "Limited", "limited": limited}})
    condition = {"type": "foo", "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z"}
    change = {"metadata": {"annotations": {"a": "b"}}, "status": {"conditions": [condition]}}
    changed = (await admin.patch(f"{levels}/low/status", change)).body
    assert changed["status"]["conditions"] == [condition] and "annotations" not in changed["metadata"]
    (fields,) = [entry["fieldsV1"] for entry in changed["metadata"]["managedFields"] if "subresource" in entry]
    assert fields.keys() == {"f:status"}


async def test_the_manager_is_the_program_when_it_names_none(admin: Any) -> None:
    made = await admin("POST", MAPS, config_map(k="v"), User_Agent="kopf/1.37 (linux)")
    assert owners(made.body).keys() == {"kopf/Update"}


async def test_status_is_owned_by_its_own_entry(admin: Any, apply: Any) -> None:
    await admin.create(f"{DEPLOYMENTS}?fieldManager=maker", deployment())
    shown = (await admin.patch(f"{DEPLOYMENTS}/web/status?fieldManager=ctrl", {"status": {"replicas": 1}})).body
    assert owners(shown)["ctrl/Update/status"] == {"f:status": {"f:replicas": {}}}
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    applied = await apply(f"{DEPLOYMENTS}/web/status", {**status, "status": {"readyReplicas": 0}}, "st")
    assert owners(applied.body)["st/Apply/status"] == {"f:status": {"f:readyReplicas": {}}}
    conflict = await apply(f"{DEPLOYMENTS}/web/status", {**status, "status": {"replicas": 7}}, "st")
    assert conflict.body["details"]["causes"][0]["message"] == (
        'conflict with "ctrl" with subresource "status" using apps/v1'
    )
    absent = await apply(f"{DEPLOYMENTS}/none/status", {**status, "metadata": {"name": "none"}})
    assert absent.code == 404


async def test_scaling_takes_the_replicas(admin: Any, apply: Any) -> None:
    await admin.create(f"{DEPLOYMENTS}?fieldManager=maker", deployment())
    await admin.patch(f"{DEPLOYMENTS}/web/scale?fieldManager=hpa", {"spec": {"replicas": 3}})
    who = owners((await admin.get(f"{DEPLOYMENTS}/web")).body)
    assert who["hpa/Update/scale"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in who["maker/Update"]["f:spec"]
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 4}}
    refused = await apply(f"{DEPLOYMENTS}/web/scale", scale)
    assert (refused.code, refused.body["details"]["causes"][0]["field"]) == (409, ".spec.replicas")
    applied = await apply(f"{DEPLOYMENTS}/web/scale", scale, force="true")
    assert (applied.code, applied.body["spec"]["replicas"]) == (200, 4)
    who = owners((await admin.get(f"{DEPLOYMENTS}/web")).body)
    assert who["me/Apply/scale"] == {"f:spec": {"f:replicas": {}}} and "hpa/Update/scale" not in who


async def test_what_an_apply_must_not_say(apply: Any, admin: Any) -> None:
    nobody = await apply(f"{MAPS}/a", config_map(), manager="")
    assert nobody.code == 422
    assert nobody.body["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    managed = await apply(f"{MAPS}/a", {**config_map(), "metadata": {"name": "a", "managedFields": []}})
    assert (managed.code, managed.body["message"]) == (400, "metadata.managedFields must be nil")
    other = await apply(f"{MAPS}/a", config_map("b"))
    assert "the name of the object (b) does not match the name on the URL (a)" in other.body["message"]
    nameless = await apply(f"{MAPS}/a", {"apiVersion": "v1", "kind": "ConfigMap"})
    assert "undeterminable: name must be provided" in nameless.body["message"]
    kind = await apply(f"{MAPS}/a", {**config_map(), "kind": "Secret"})
    assert (kind.code, kind.body["message"]) == (400, "invalid object type: /v1, Kind=Secret")
    unknown = await apply(f"{MAPS}/a", {**config_map(), "dta": {}})
    assert unknown.body["message"] == (
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .dta: field not declared in schema"
    )
    made = await apply(f"{MAPS}/a", {**config_map(), "metadata": {"name": "a", "uid": "x"}})
    assert (made.code, made.body["reason"]) == (409, "Conflict")
    assert "uid mismatch: the provided object specified uid x, and no existing object was found" in made.body["message"]
    elsewhere = await apply(f"{MAPS}/a", {**config_map(), "metadata": {"name": "a", "namespace": "other"}})
    assert elsewhere.code == 400
    forced = await admin.patch(f"{MAPS}/a?force=true", {})
    assert "force: Forbidden: may not be specified for non-apply patch" in forced.body["message"]


async def test_doubled_list_keys_are_refused(apply: Any) -> None:
    twice = [{"name": "web", "image": "a"}, {"name": "web", "image": "b"}]
    config = deployment()
    config["spec"]["template"]["spec"]["containers"] = twice
    refused = await apply(f"{DEPLOYMENTS}/web", config)
    assert refused.body["message"].endswith('.spec.template.spec.containers: duplicate entries for key [name="web"]')


async def test_yaml_is_applied(apply: Any) -> None:
    made = await apply(f"{MAPS}/a", b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: 'yes'\n")
    assert (made.code, made.body["data"]) == (201, {"x": "yes"})


async def test_doubled_yaml_keys_are_told(apply: Any) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n  x: '2'\n"
    refused = await apply(f"{MAPS}/a", body, fieldValidation="Strict")
    assert refused.code == 400
    assert 'key "x" already set in map' in refused.body["message"]
    warned = await apply(f"{MAPS}/a", body)
    assert warned.code == 201 and "already set in map" in warned.warnings[0]


async def test_doubled_json_keys_are_told_with_their_line(apply: Any) -> None:
    body = b'{"apiVersion": "v1", "kind": "ConfigMap",\n"metadata": {"name": "a"},\n"data": {"x": "1", "x": "2"}}'
    refused = await apply(f"{MAPS}/a", body, fieldValidation="Strict")
    assert refused.body["message"] == (
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 3: key "x" already set in map'
    )


async def test_a_dry_run_applies_nothing(apply: Any, admin: Any) -> None:
    assert (await apply(f"{MAPS}/a", config_map(x="1"), dryRun="All")).body["data"] == {"x": "1"}
    assert (await admin.get(f"{MAPS}/a")).code == 404


async def test_owners_come_back_from_before_the_first_apply(apply: Any, admin: Any) -> None:
    await admin.create(MAPS, config_map(x="1"))
    forgotten = await admin.patch(f"{MAPS}/a", {"metadata": {"managedFields": [{}]}})
    assert owners(forgotten.body) == {}
    refused = await apply(f"{MAPS}/a", config_map(x="2"))
    assert 'conflict with "before-first-apply" using v1: .data.x' in refused.body["message"]


@pytest.mark.parametrize("sent", [[{}], [], [{"operation": "Steal"}]])
async def test_owners_that_a_creator_sends_and_nobody_can_read_count_for_nothing(admin: Any, sent: Any) -> None:
    made = config_map(x="1")
    made["metadata"]["managedFields"] = sent
    created = (await admin.create(f"{MAPS}?fieldManager=me", made)).body
    assert owners(created) == {"me/Update": {"f:data": {".": {}, "f:x": {}}}}
    if sent != [{}]:
        kept = await admin.patch(f"{MAPS}/a?fieldManager=me", {"metadata": {"managedFields": sent}})
        assert owners(kept.body) == owners(created)


async def test_kubectl_takes_over_what_it_applied_on_its_own_side(apply: Any, admin: Any) -> None:
    last = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(config_map(x="1"))}
    made = {**config_map(x="1"), "metadata": {"name": "a", "annotations": last}}
    await admin.create(f"{MAPS}?fieldManager=kubectl-client-side-apply", made)
    assert (await apply(f"{MAPS}/a", config_map(x="2"), "else")).code == 409
    taken = await apply(f"{MAPS}/a", config_map(x="2"), "kubectl")
    assert (taken.code, taken.body["data"]) == (200, {"x": "2"})
    assert json.loads(taken.body["metadata"]["annotations"].popitem()[1])["data"] == {"x": "2"}


async def test_an_update_takes_what_it_changes(apply: Any, admin: Any) -> None:
    made = (await apply(f"{MAPS}/a", config_map(x="1", y="2"))).body
    made["data"] = {"x": "9"}
    shown = (await admin.put(f"{MAPS}/a?fieldManager=put", made)).body
    assert owners(shown) == {"put/Update": {"f:data": {"f:x": {}}}}


async def test_old_updaters_are_counted_as_one(admin: Any) -> None:
    await admin.create(f"{MAPS}?fieldManager=m0", config_map(k0="x"))
    for number in range(1, 14):
        shown = await admin.patch(f"{MAPS}/a?fieldManager=m{number}", {"data": {f"k{number}": "x"}})
    who = owners(shown.body)
    assert len(who) == 10 and "ancient-changes/Update" in who
    assert len(who["ancient-changes/Update"]["f:data"]) >= 4


async def test_only_whoever_may_create_creates_by_applying(server: Any, caller: Any, admin: Any) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/pi-2"
    node = await caller(server, "node-pi-1")
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "pi-2"}}
    body = json.dumps(lease).encode()
    refused = await node("PATCH", f"{path}?fieldManager=x", body, Content_Type=APPLY)
    assert refused.code == 403


async def test_two_appliers_create_one_object(apply: Any) -> None:
    answers = await asyncio.gather(*[apply(f"{MAPS}/a", config_map(**{f"k{n}": "x"}), f"m{n}") for n in range(5)])
    assert sorted(answer.code for answer in answers) == [200, 200, 200, 200, 201]


async def test_lists_keep_the_order_of_whoever_applies(apply: Any) -> None:
    def service(*ports: int) -> dict[str, Any]:
        spec = {"ports": [{"name": f"p{port}", "port": port} for port in ports], "selector": {"a": "b"}}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}

    made = await apply(f"{SERVICES}/s", service(1, 2, 3))
    assert made.code == 201, made.body
    changed = await apply(f"{SERVICES}/s", service(3, 1))
    assert [port["port"] for port in changed.body["spec"]["ports"]] == [3, 1]
    assert changed.body["spec"]["clusterIP"] == made.body["spec"]["clusterIP"]


async def test_a_headless_service_is_applied(apply: Any) -> None:
    spec = {"clusterIP": "None", "ports": [{"port": 80}], "selector": {"a": "b"}}
    config = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}
    made = await apply(f"{SERVICES}/s", config)
    assert (made.code, made.body["spec"]["clusterIPs"]) == (201, ["None"]), made.body
    assert owners(made.body)["me/Apply"] == {
        "f:spec": {
            "f:clusterIP": {},
            "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}},
            "f:selector": {},
        }
    }
    again = await apply(f"{SERVICES}/s", config)
    assert again.body == made.body


async def test_custom_resources_are_applied_by_their_own_schema(apply: Any, admin: Any) -> None:
    properties = {"key": {"type": "string"}, "value": {"type": "string"}}
    items = {"type": "object", "required": ["key"], "properties": properties}
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"], "items": items}
    spec = {"type": "object", "properties": {"size": {"type": "integer"}, "list": keyed}}
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.ready"}
    status = {"type": "object", "properties": {"ready": {"type": "integer"}}}
    await define(
        admin, definition(version(schema={"spec": spec, "status": status}, subresources={"status": {}, "scale": scale}))
    )
    path = "/apis/example.com/v1/namespaces/default/widgets/w"

    def widget(**spec: Any) -> dict[str, Any]:
        return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}

    made = await apply(path, widget(size=1, list=[{"key": "a", "value": "1"}]))
    assert made.code == 201, made.body
    assert owners(made.body)["me/Apply"] == {
        "f:spec": {"f:size": {}, "f:list": {'k:{"key":"a"}': {".": {}, "f:key": {}, "f:value": {}}}}
    }
    both = await apply(path, widget(list=[{"key": "b", "value": "2"}]), "other")
    assert [item["key"] for item in both.body["spec"]["list"]] == ["a", "b"]
    refused = await apply(path, widget(size=2), "other")
    assert refused.body["message"] == 'Apply failed with 1 conflict: conflict with "me": .spec.size'
    unknown = await apply(path, widget(sise=1))
    assert ".spec.sise: field not declared in schema" in unknown.body["message"]
    scaled = await admin.patch(f"{path}/scale?fieldManager=hpa", {"spec": {"replicas": 5}})
    assert scaled.code == 200, scaled.body
    who = owners((await admin.get(path)).body)
    assert who["hpa/Update/scale"] == {"f:spec": {"f:size": {}}} and "f:size" not in who["me/Apply"]["f:spec"]
    strategic = await admin.patch(path, {"spec": {}}, "strategic")
    assert strategic.code == 415
    assert strategic.body["message"].endswith(
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )


async def test_without_a_schema_maps_merge_and_lists_are_one(apply: Any, admin: Any) -> None:
    await define(admin, definition())
    path = "/apis/example.com/v1/namespaces/default/widgets/w"

    def widget(**fields: Any) -> dict[str, Any]:
        return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, **fields}

    made = await apply(path, widget(spec={"a": 1, "list": [1, 2]}))
    assert made.code == 201, made.body
    assert owners(made.body)["me/Apply"] == {"f:spec": {".": {}, "f:a": {}, "f:list": {}}}
    assert (await apply(path, widget(spec={"list": [1, 2, 3]}), "other")).code == 409
    changed = await apply(path, widget(spec={"b": 2}), "other")
    assert changed.body["spec"] == {"a": 1, "b": 2, "list": [1, 2]}
