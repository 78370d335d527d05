"""Extension API servers behind this one: who is available, what is passed on and as whom, and how it is described.

"Should be able to support the 1.17 Sample API Server using the current Aggregator", and more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from extension_server import BASE, GROUP, VERSION, ExtensionServer

from picluster.apiserver.frontproxy import FrontProxy
from picluster.apiserver.server import ApiServer
from picluster.pki.bundle import Bundle

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
MINE = f"{SERVICES}/{VERSION}.{GROUP}"
FLUNDERS = f"{BASE}/namespaces/default/flunders"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

Condition = Callable[..., Awaitable[Any]]


@pytest.fixture
async def server(start: Callable[..., Awaitable[ApiServer]], pki: Bundle) -> ApiServer:
    names = ("front-proxy-ca", "front-proxy-client")
    proxy = FrontProxy(pki.certificate(names[0]), pki.certificate(names[1]), pki.key(names[1]))
    return await start(front_proxy=proxy)


@pytest.fixture
async def extension(pki: Bundle) -> AsyncIterator[ExtensionServer]:
    async with ExtensionServer(pki.certificate("front-proxy-ca")) as extension:
        yield extension


@pytest.fixture
def reason(admin: Any, eventually: Any) -> Condition:
    """``await reason("Passed")`` waits for the reason of the condition, and returns the condition."""

    async def reason(wanted: str) -> Any:
        async def look() -> Any:
            conditions = (await admin.get(MINE)).body.get("status", {}).get("conditions", [])
            return next((each for each in conditions if each["reason"] == wanted), None)

        return await eventually(look)

    return reason


@pytest.fixture
async def served(server: ApiServer, admin: Any, extension: ExtensionServer, reason: Condition) -> ExtensionServer:
    """The extension server, registered and available."""
    await extension.serve_as(server.registry, "extension")
    answer = await admin.create(SERVICES, extension.api_service())
    assert answer.code == 201, answer.body
    await reason("Passed")
    return extension


def flunder(name: str) -> dict[str, Any]:
    return {"kind": "Flunder", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {"name": name}}


async def test_every_served_group_version_has_an_api_service(admin: Any) -> None:
    items = {item["metadata"]["name"]: item for item in (await admin.get(SERVICES)).body["items"]}
    assert {"v1.", "v1.apps", "v2.autoscaling", "v1.rbac.authorization.k8s.io"} <= set(items)
    assert "v1.apiregistration.k8s.io" not in items
    assert items["v1."]["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert items["v1.apps"]["spec"] == {
        "group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15,
    }  # fmt: skip
    (condition,) = items["v1.apps"]["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Available", "True", "Local")


async def test_groups_are_shown_by_their_priorities(admin: Any) -> None:
    names = [group["name"] for group in (await admin.get("/apis")).body["groups"]]
    assert names[:4] == ["apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io"]
    autoscaling = (await admin.get("/apis/autoscaling")).body
    assert [version["version"] for version in autoscaling["versions"]] == ["v2", "v1"]
    assert (await admin.get("/apis/none.example.com")).code == 404


async def test_a_definitions_group_comes_and_goes(admin: Any, eventually: Any) -> None:
    names = {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert (await admin.create(definitions, definition)).code == 201

    async def there() -> Any:
        answer = await admin.get(f"{SERVICES}/v1.example.com")
        return answer.body if answer.code == 200 else None

    made = await eventually(there)
    assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert (made["spec"]["groupPriorityMinimum"], made["spec"]["versionPriority"]) == (1000, 100)
    assert (await admin.get("/apis")).body["groups"][-1]["name"] == "example.com"
    await admin.delete(f"{SERVICES}/v1.example.com")
    await eventually(there)
    await admin.delete(f"{definitions}/things.example.com")

    async def gone() -> bool:
        return await there() is None

    await eventually(gone)


async def test_all_verbs_are_passed_on(admin: Any, served: ExtensionServer) -> None:
    created = await admin.create(FLUNDERS, flunder("a"))
    assert (created.code, created.body["metadata"]["name"]) == (201, "a")
    assert (await admin.put(f"{FLUNDERS}/a", {**flunder("a"), "spec": {"x": 1}})).body["spec"] == {"x": 1}
    assert (await admin.patch(f"{FLUNDERS}/a", {"spec": {"x": 2}})).body["spec"] == {"x": 2}
    assert (await admin.get(f"{FLUNDERS}/a")).body["spec"] == {"x": 2}
    assert [item["metadata"]["name"] for item in (await admin.get(FLUNDERS)).body["items"]] == ["a"]
    missing = await admin.get(f"{FLUNDERS}/b")
    assert (missing.code, missing.body["message"]) == (404, f'flunders.{GROUP} "b" not found')
    assert (await admin.delete(f"{FLUNDERS}/a")).code == 200
    assert (await admin.delete(FLUNDERS)).code == 200
    assert (await admin.get(f"{BASE}/flunders")).body["items"] == []
    large = {**flunder("large"), "spec": "x" * 900_000}
    assert (await admin.create(FLUNDERS, large)).code == 201
    assert len((await admin.get(f"{FLUNDERS}/large")).body["spec"]) == 900_000


async def test_the_user_is_told_in_headers_and_only_there(admin: Any, served: ExtensionServer) -> None:
    told = {"X-Remote-User": "root", "X-Remote-Group": "x", "X-Remote-Extra-a": "b", "Authorization": "Basic abc"}
    await admin.get(FLUNDERS, **told)
    request = served.seen[-1]
    assert request.headers.getall("X-Remote-User") == ["kubernetes-admin"]
    assert request.headers.getall("X-Remote-Group") == ["system:authenticated", "system:masters"]
    assert "Authorization" not in request.headers
    assert "X-Remote-Extra-a" not in request.headers
    (credential,) = request.headers.getall("X-Remote-Extra-authentication.kubernetes.io%2Fcredential-id")
    assert credential.startswith("X509SHA256=")
    await admin.get(FLUNDERS, **{"Impersonate-User": "ann", "Impersonate-Group": "system:masters"})
    assert served.seen[-1].headers["X-Remote-User"] == "ann"
    assert "Impersonate-User" not in served.seen[-1].headers


async def test_who_may_not_is_refused_before(server: ApiServer, caller: Any, served: ExtensionServer) -> None:
    answer = await (await caller(server, "scheduler")).get(f"{FLUNDERS}/a")
    assert answer.code == 403
    assert answer.body["message"] == (
        f'flunders.{GROUP} "a" is forbidden: User "system:kube-scheduler" cannot get resource "flunders"'
        f' in API group "{GROUP}" in the namespace "default"'
    )
    assert (await (await caller(server, None)).get(FLUNDERS)).code == 401
    assert served.seen == []


async def test_watches_stream_and_upgrades_switch(admin: Any, served: ExtensionServer) -> None:
    watch = await admin.watch(FLUNDERS)
    await admin.create(FLUNDERS, flunder("a"))
    event = await watch.next()
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
    async with admin.session.ws_connect(f"{FLUNDERS}/a/echo") as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "kubernetes-admin: hello"


async def test_discovery_and_openapi_show_it_among_the_rest(
    admin: Any, served: ExtensionServer, eventually: Any
) -> None:
    assert (await admin.get(BASE)).body["resources"][0]["name"] == "flunders"
    (group,) = [each for each in (await admin.get("/apis")).body["groups"] if each["name"] == GROUP]
    assert group["preferredVersion"] == {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
    assert (await admin.get(f"/apis/{GROUP}")).body["name"] == GROUP

    async def shown() -> Any:
        items = (await admin.get("/apis", Accept=AGGREGATED)).body["items"]
        (item,) = [each for each in items if each["metadata"]["name"] == GROUP]
        return item["versions"][0] if item["versions"][0]["resources"] else None

    version = await eventually(shown)
    assert version["freshness"] == "Current"
    (resource,) = version["resources"]
    assert (resource["resource"], resource["scope"], resource["shortNames"]) == ("flunders", "Namespaced", ["fl"])
    assert resource["responseKind"] == {"group": GROUP, "version": VERSION, "kind": "Flunder"}
    assert resource["subresources"][0]["subresource"] == "status"

    async def described() -> Any:
        return (await admin.get("/openapi/v3")).body["paths"].get(BASE.strip("/"))

    where = (await eventually(described))["serverRelativeURL"]
    assert (await admin.get(where)).body["info"]["title"] == "wardle"
    swagger = (await admin.get("/openapi/v2")).body
    assert f"{BASE}/flunders" in swagger["paths"]
    name = swagger["paths"][f"{BASE}/flunders"]["get"]["responses"]["200"]["schema"]["$ref"].rpartition("/")[2]
    metadata = swagger["definitions"][name]["properties"]["metadata"]["$ref"].rpartition("/")[2]
    assert metadata == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2"
    assert swagger["definitions"][metadata]["description"] == "not as in Kubernetes"
    assert "unused" not in swagger["definitions"]
    assert "/api/v1/pods" in swagger["paths"]


async def test_why_an_api_service_is_not_available(
    server: ApiServer, admin: Any, extension: ExtensionServer, reason: Condition
) -> None:
    extension.healthy = False
    await admin.create(SERVICES, extension.api_service())
    condition = await reason("ServiceNotFound")
    assert condition["message"] == 'service/extension in "default" is not present'
    assert condition["status"] == "False"
    unavailable = await admin.get(FLUNDERS)
    assert (unavailable.code, unavailable.body) == (503, "service unavailable\n")
    service = {"metadata": {"name": "extension"}, "spec": {"ports": [{"port": 80}]}}
    path = "/api/v1/namespaces/default/services"
    await admin.create(path, service)
    assert (await reason("ServicePortError"))["message"].endswith("is not listening on port 443")
    await admin.delete(f"{path}/extension")
    await reason("ServiceNotFound")
    await admin.create(path, {**service, "spec": {"ports": [{"port": 443}]}})
    assert (await reason("EndpointsNotFound"))["message"] == (
        'cannot find endpointslices for service/extension in "default"'
    )
    await admin.delete(f"{path}/extension")
    await reason("ServiceNotFound")
    await extension.serve_as(server.registry, "extension")
    assert "bad status from https://127.0.0.1" in (await reason("FailedDiscoveryCheck"))["message"]
    extension.healthy = True
    assert (await reason("Passed"))["status"] == "True"
    assert (await admin.get(FLUNDERS)).code == 200


async def test_a_server_is_known_by_its_authority_or_not_at_all(
    admin: Any, server: ApiServer, extension: ExtensionServer, reason: Condition
) -> None:
    await extension.serve_as(server.registry, "extension")
    wrong = extension.api_service()
    del wrong["spec"]["caBundle"]
    await admin.create(SERVICES, wrong)
    assert "tls: failed to verify certificate" in (await reason("FailedDiscoveryCheck"))["message"]
    assert (await admin.patch(MINE, {"spec": {"insecureSkipTLSVerify": True}})).code == 200
    await reason("Passed")
    assert (await admin.get(FLUNDERS)).code == 200


async def test_without_its_api_service_the_group_is_gone(admin: Any, served: ExtensionServer) -> None:
    assert (await admin.delete(MINE)).code == 200
    assert (await admin.get(FLUNDERS)).code == 404
    assert GROUP not in [group["name"] for group in (await admin.get("/apis")).body["groups"]]


async def test_an_api_service_is_changed_as_the_sample_server_test_does(
    admin: Any, served: ExtensionServer, reason: Condition
) -> None:
    read = (await admin.get(f"{MINE}/status")).body
    assert read["status"]["conditions"][0]["type"] == "Available"
    patched = await admin.patch(MINE, {"spec": {"versionPriority": 400}, "metadata": {"labels": {"e2e": "yes"}}})
    assert patched.body["spec"]["versionPriority"] == 400
    listed = (await admin.get(f"{SERVICES}?labelSelector=e2e%3Dyes")).body["items"]
    assert [item["metadata"]["name"] for item in listed] == [f"{VERSION}.{GROUP}"]
    update = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set by an e2e test"}
    conditions = {"status": {"conditions": [*read["status"]["conditions"], update]}}
    answer = await admin.patch(f"{MINE}/status", conditions)
    assert answer.code == 200, answer.body
    assert {each["type"] for each in answer.body["status"]["conditions"]} == {"Available", "StatusUpdate"}
    body = (await admin.get(MINE)).body
    body["status"]["conditions"] = [each for each in body["status"]["conditions"] if each["type"] != "Available"]
    assert (await admin.put(f"{MINE}/status", body)).code == 200
    await reason("Passed")
    assert (await admin.delete(f"{SERVICES}?labelSelector=e2e%3Dyes")).code == 200
    assert (await admin.get(MINE)).code == 404
    assert (await admin.get(f"{SERVICES}/v1.apps")).code == 200


async def test_a_server_that_went_away_is_said_to_be_unreachable(
    admin: Any, served: ExtensionServer, reason: Condition
) -> None:
    await served.__aexit__()
    answer = await admin.get(FLUNDERS)
    assert (answer.code, "error trying to reach service: dial tcp" in answer.body) == (503, True)
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    assert (await admin.delete(f"{slices}/extension-1")).code == 200
    await reason("EndpointsNotFound")
    assert (await admin.get(FLUNDERS)).body == "service unavailable\n"
    metrics, name = (await admin.get("/metrics")).body, served.api_service()["metadata"]["name"]
    assert f'aggregator_unavailable_apiservice{{name="{name}"}} 1.0' in metrics
    losses = [line for line in metrics.splitlines() if line.startswith("aggregator_unavailable_apiservice_total{")]
    assert len(losses) == 1 and f'{{name="{name}",reason="' in losses[0] and losses[0].endswith(" 1.0")
    assert 'aggregator_unavailable_apiservice{name="v1.apps"} 0.0' in metrics
