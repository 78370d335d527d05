"""Secrets; failures never show what a Secret holds."""

from __future__ import annotations

from base64 import b64decode

import orjson

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, required, too_long
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import named
from picluster.api.validation.configmap import SIZE_MAX_BYTES, check_immutable, decoded_size

Failures = list[FieldError]

_ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"
_DOCKER_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}


def validate(secret: Object) -> Failures:
    failures: Failures = []
    metadata.validate(secret["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _contents(secret, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    metadata.immutable(new.get("type"), old.get("type"), "type", failures)
    check_immutable(new, old, ("data",), failures)
    _contents(new, failures)
    return failures


def _contents(secret: Object, failures: Failures) -> None:
    data = secret.get("data") or {}
    total_bytes = 0
    for key, value in data.items():
        named(names.config_map_key(key), f"data[{key}]", key, failures)
        total_bytes += decoded_size(value)
    if total_bytes > SIZE_MAX_BYTES:
        failures.append(too_long("data", SIZE_MAX_BYTES))
    _keys_of_type(secret.get("type", ""), data, secret["metadata"], failures)


def _keys_of_type(kind: str, data: Object, meta: Object, failures: Failures) -> None:
    """What the well-known types promise to hold."""
    match kind:
        case "kubernetes.io/service-account-token":
            if not (meta.get("annotations") or {}).get(_ACCOUNT_ANNOTATION):
                failures.append(required(f"metadata.annotations[{_ACCOUNT_ANNOTATION}]"))
        case "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson":
            _docker_config(_DOCKER_KEYS[kind], data, failures)
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                failures.extend((required("data[username]"), required("data[password]")))
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                failures.append(required("data[ssh-privatekey]"))
        case "kubernetes.io/tls":
            failures.extend(required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data)


def _docker_config(key: str, data: Object, failures: Failures) -> None:
    if key not in data:
        failures.append(required(f"data[{key}]"))
        return
    try:
        content = orjson.loads(b64decode(data[key]))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        detail = "the content is not a JSON object"
        failures.append(invalid_value(f"data[{key}]", "<secret contents redacted>", detail))
