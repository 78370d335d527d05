"""An operator with kopf: a Greeting becomes a ConfigMap, follows its spec, and says in its status what it did.

python -m kopf run operator_with_kopf.py
"""

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

import kopf
import yaml
from kubernetes import client, config


def api() -> client.CoreV1Api:
    config.load_kube_config(os.environ["KUBECONFIG"])
    return client.CoreV1Api()


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = True
    settings.watching.server_timeout = 60


@kopf.on.login()
def login(**_: Any) -> kopf.ConnectionInfo:
    """The administrator's kubeconfig embeds its certificates."""
    content = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    user, cluster = content["users"][0]["user"], content["clusters"][0]["cluster"]
    directory = Path(tempfile.mkdtemp(prefix="operator-"))
    paths = {}
    for name, data in (
        ("ca", cluster["certificate-authority-data"]),
        ("cert", user["client-certificate-data"]),
        ("key", user["client-key-data"]),
    ):
        paths[name] = directory / name
        paths[name].write_bytes(base64.b64decode(data))
        paths[name].chmod(0o600)
    return kopf.ConnectionInfo(
        server=cluster["server"],
        ca_path=str(paths["ca"]),
        certificate_path=str(paths["cert"]),
        private_key_path=str(paths["key"]),
    )


@kopf.on.create("greetings.example.com")
def create(spec: Any, name: str, namespace: str, **_: Any) -> dict[str, str]:
    body = {"metadata": {"name": name}, "data": {"text": spec["text"]}}
    kopf.adopt(body)
    api().create_namespaced_config_map(namespace, body)
    return {"made": name}


@kopf.on.update("greetings.example.com", field="spec.text")
def update(new: str, name: str, namespace: str, **_: Any) -> dict[str, str]:
    api().patch_namespaced_config_map(name, namespace, {"data": {"text": new}})
    return {"said": new}


@kopf.on.delete("greetings.example.com")
def delete(name: str, namespace: str, **_: Any) -> None:
    api().create_namespaced_config_map(namespace, {"metadata": {"name": f"{name}-gone"}})
