"""The generated definitions and descriptions, read when first asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import orjson

from picluster.api.types import Object

INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
FIELDS_V1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
FREE_FORM = frozenset({FIELDS_V1, RAW_EXTENSION, "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"})
"""Definitions without fields that hold any object; any other such definition is of an object that is empty."""
_CORE = "io.k8s.api.core.v1."
_CONTAINER = "args command env envFrom ports resizePolicy restartPolicyRules volumeDevices volumeMounts"
_AFFINITY = "preferredDuringSchedulingIgnoredDuringExecution requiredDuringSchedulingIgnoredDuringExecution"
_OMITTED_EMPTY = {
    OBJECT_META: "annotations finalizers labels ownerReferences",
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector": "matchExpressions matchLabels",
    _CORE + "ConfigMap": "binaryData data",
    _CORE + "Secret": "data stringData",
    _CORE + "ServiceAccount": "imagePullSecrets secrets",
    _CORE + "ServiceSpec": "externalIPs loadBalancerSourceRanges selector",
    _CORE + "NodeSpec": "taints",
    _CORE + "PodSpec": (
        "ephemeralContainers hostAliases imagePullSecrets initContainers nodeSelector overhead readinessGates"
        " resourceClaims schedulingGates tolerations topologySpreadConstraints volumes"
    ),
    _CORE + "Container": _CONTAINER,
    _CORE + "EphemeralContainer": _CONTAINER,
    _CORE + "ResourceRequirements": "claims limits requests",
    _CORE + "VolumeResourceRequirements": "limits requests",
    _CORE + "PodSecurityContext": "supplementalGroups sysctls",
    _CORE + "Capabilities": "add drop",
    _CORE + "ExecAction": "command",
    _CORE + "HTTPGetAction": "httpHeaders",
    _CORE + "PodDNSConfig": "nameservers options searches",
    _CORE + "TopologySpreadConstraint": "matchLabelKeys",
    _CORE + "NodeAffinity": "preferredDuringSchedulingIgnoredDuringExecution",
    _CORE + "PodAffinity": _AFFINITY,
    _CORE + "PodAntiAffinity": _AFFINITY,
    _CORE + "ConfigMapVolumeSource": "items",
    _CORE + "SecretVolumeSource": "items",
}
OMITTED_EMPTY: dict[str, frozenset[str]] = {name: frozenset(words.split()) for name, words in _OMITTED_EMPTY.items()}
"""Lists and maps that are absent when they are empty, by definition: Go's ``omitempty``, where it can be told from the
outside (a template without the last of its variables has the hash that it had before the first)."""
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
JSON = _EXTENSIONS + "JSON"
JSON_SCHEMA = _EXTENSIONS + "JSONSchemaProps"
JSON_SCHEMA_OR_ARRAY = JSON_SCHEMA + "OrArray"
JSON_SCHEMA_OR_BOOL = JSON_SCHEMA + "OrBool"
JSON_SCHEMA_OR_STRINGS = JSON_SCHEMA + "OrStringArray"
UNTYPED = frozenset({JSON, JSON_SCHEMA_OR_ARRAY, JSON_SCHEMA_OR_BOOL, JSON_SCHEMA_OR_STRINGS})
"""Definitions that say nothing: any JSON, and what may be a JSON schema or something else. ``JSONSchemaProps`` is the
only definition that contains itself, always by way of its fields."""

_PREFIX = "#/definitions/"
_FOLDER = Path(__file__).parent


@cache
def definitions() -> dict[str, Object]:
    """Every definition by name, in OpenAPI v2 form without prose; shared, so not to be changed."""
    loaded: dict[str, Object] = orjson.loads((_FOLDER / "definitions.json").read_bytes())
    return loaded


@cache
def descriptions() -> dict[str, dict[str, str]]:
    """The prose by definition name and field; that of the definition itself is under the empty field name."""
    import gzip

    loaded: dict[str, dict[str, str]] = orjson.loads(gzip.decompress((_FOLDER / "descriptions.json.gz").read_bytes()))
    return loaded


def target(node: Object) -> str | None:
    """The name of the definition that ``node`` refers to."""
    reference = node.get("$ref")
    return reference.removeprefix(_PREFIX) if isinstance(reference, str) else None


def follow(node: Object) -> Object:
    """``node`` itself, or the definition it refers to."""
    name = target(node)
    return node if name is None else definitions()[name]


def resolve(name: str, path: Iterable[str | int]) -> Object | None:
    """The definition of the value at ``path`` (field names, map keys, list indexes) below definition ``name``."""
    node: Object = definitions()[name]
    for step in path:
        if isinstance(step, int):
            child = node.get("items")
        else:
            child = node.get("properties", {}).get(step) or node.get("additionalProperties")
        if not isinstance(child, dict):
            return None
        node = follow(child)
    return node


def with_descriptions(name: str) -> Object:
    """Definition ``name`` with its prose back in, as OpenAPI serves it."""
    prose = descriptions().get(name, {})
    body = dict(definitions()[name])
    if "" in prose:
        body["description"] = prose[""]
    if "properties" in body:
        body["properties"] = {
            field: {**child, "description": prose[field]} if field in prose else child
            for field, child in body["properties"].items()
        }
    return body
