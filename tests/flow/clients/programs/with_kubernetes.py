"""A program with the official client: an application, errors and versions, server-side apply."""

import sys
from typing import Any

from application import NAMESPACE, deployment, until
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException


def runs_an_application(official: Any) -> None:
    apps, core = client.AppsV1Api(official), client.CoreV1Api(official)
    apps.create_namespaced_deployment(NAMESPACE, deployment("official"))
    until(
        "two replicas",
        lambda: apps.read_namespaced_deployment_status("official", NAMESPACE).status.ready_replicas == 2,
    )
    pods = core.list_namespaced_pod(NAMESPACE, label_selector="app=official")
    assert {pod.status.phase for pod in pods.items} == {"Running"}
    names = [
        event["object"].metadata.name
        for event in watch.Watch().stream(
            core.list_namespaced_pod, NAMESPACE, label_selector="app=official", timeout_seconds=1
        )
    ]
    assert sorted(names) == sorted(pod.metadata.name for pod in pods.items)
    scale = apps.read_namespaced_deployment_scale("official", NAMESPACE)
    scale.spec.replicas = 1
    apps.replace_namespaced_deployment_scale("official", NAMESPACE, scale)
    until("one replica", lambda: apps.read_namespaced_deployment("official", NAMESPACE).status.replicas == 1)
    patched = apps.patch_namespaced_deployment("official", NAMESPACE, {"metadata": {"annotations": {"a": "b"}}})
    assert patched.metadata.annotations["a"] == "b"
    apps.delete_namespaced_deployment("official", NAMESPACE, propagation_policy="Foreground")
    until("no pods", lambda: not core.list_namespaced_pod(NAMESPACE, label_selector="app=official").items)


def reads_errors_and_versions(official: Any) -> None:

    assert client.VersionApi(official).get_code().major == "1"
    assert "apps" in {group.name for group in client.ApisApi(official).get_api_versions().groups}
    try:
        client.CoreV1Api(official).read_namespaced_config_map("none", NAMESPACE)
    except ApiException as error:
        assert (error.status, error.reason) == (404, "Not Found")
        assert '"reason":"NotFound"' in error.body
    else:
        raise SystemExit("what is not there was read")


def dynamic_client_applies(official: Any) -> None:

    maps = dynamic.DynamicClient(official).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}}
    made = maps.server_side_apply(body=body, name="applied", namespace=NAMESPACE, field_manager="test")
    assert made.data.a == "1"
    assert [entry.manager for entry in made.metadata.managedFields] == ["test"]
    maps.delete(name="applied", namespace=NAMESPACE)


with config.new_client_from_config(sys.argv[1]) as api:
    runs_an_application(api)
    reads_errors_and_versions(api)
    dynamic_client_applies(api)
print("done")
