"""A program with lightkube: objects are made, patched, applied, waited for, listed and deleted."""

import sys

from application import NAMESPACE, deployment
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod


def run(kubeconfig: str) -> None:
    client = Client(config=KubeConfig.from_file(kubeconfig), field_manager="lightkube-test")
    found = client.create(ConfigMap(metadata=ObjectMeta(name="light", namespace=NAMESPACE), data={"a": "1"}))
    assert found.data == {"a": "1"}
    client.patch(ConfigMap, "light", {"data": {"b": "2"}}, namespace=NAMESPACE)
    assert client.get(ConfigMap, "light", namespace=NAMESPACE).data == {"a": "1", "b": "2"}
    applied = ConfigMap.from_dict(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "ssa", "namespace": NAMESPACE},
            "data": {"x": "y"},
        }
    )
    assert client.apply(applied).data == {"x": "y"}
    client.create(Deployment.from_dict(deployment("light")))
    client.wait(Deployment, "light", for_conditions=["Available"], namespace=NAMESPACE)
    assert len(list(client.list(Pod, namespace=NAMESPACE, labels={"app": "light"}))) == 2
    client.delete(Deployment, "light", namespace=NAMESPACE)
    try:
        client.get(Deployment, "none", namespace=NAMESPACE)
    except ApiError as error:
        assert error.status.reason == "NotFound"
    else:
        raise SystemExit("what is not there was read")


run(sys.argv[1])
print("done")
