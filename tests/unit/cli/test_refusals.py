"""What the server refuses of a manifest, in the words of the person who wrote it."""

from __future__ import annotations

import pytest

from picluster.api.errors import ApiError
from picluster.cli._manifests import parse
from picluster.cli._refusals import explain

[POD] = parse(
    """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  hostNetwork: maybe
  containers:
  - {name: a, ports: [{containerPort: 80}]}
  - {name: b, image: 7, ports: [{containerPort: http}]}
""",
    "pod.yaml",
)
DECODE = 'Pod in version "v1" cannot be handled as a Pod: '


APPLIED = "failed to create typed patch object (default/web; /v1, Kind=Pod): "


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            APPLIED + ".spec.foo: field not declared in schema",
            'unknown field "spec.foo"; kubectl explain shows the fields there are',
        ),
        (
            APPLIED + "errors:\n  .spec.foo: field not declared in schema\n  .bar: field not declared in schema",
            'unknown field "spec.foo", unknown field "bar"; kubectl explain shows the fields there are',
        ),
        (
            APPLIED + '.spec.containers[name="b"].ports[containerPort="http",protocol="TCP"].containerPort: expected'
            " numeric (int or float), got string",
            "spec.containers.ports.containerPort is 'http', but must be a number",
        ),
        (
            APPLIED + '.spec.containers[name="b"].image: expected string, got &value.valueUnstructured{Value:7}',
            "spec.containers.image is 7, but must be text",
        ),
        (
            APPLIED + '.spec.containers: duplicate entries for key [name="a"]',
            'spec.containers: duplicate entries for key [name="a"]',
        ),
        (
            DECODE + "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports."
            "containerPort of type int32",
            "spec.containers.ports.containerPort is 'http', but must be a whole number",
        ),
        (
            DECODE
            + "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
            "spec.containers.image is 7, but must be text",
        ),
        (
            DECODE + "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
            "spec.hostNetwork is 'maybe', but must be true or false",
        ),
        (
            DECODE + "json: cannot unmarshal array into Go struct field PodSpec.spec.volumes of type v1.Potato",
            "spec.volumes is a list, but must be v1.Potato",
        ),
        (
            DECODE + 'strict decoding error: unknown field "spec.foo", unknown field "bar"',
            'unknown field "spec.foo", unknown field "bar"; kubectl explain shows the fields there are',
        ),
        (
            'Pod "web" is invalid: spec.containers[0].image: Required value',
            "spec.containers[0].image: Required value",
        ),
        ("something else", "something else"),
    ],
)
def test_place_field_value_and_what_it_should_be(message: str, said: str) -> None:
    assert explain(POD, ApiError(400, "BadRequest", message)) == f'pod.yaml: Pod "web": {said}'


def test_a_conflict_says_who_manages_what() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl"', "field": ".spec.replicas"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl"', "field": ".spec.paused"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "hpa" using apps/v1', "field": ".spec.replicas"},
    ]
    error = ApiError(409, "Conflict", "Apply failed with 3 conflicts", {"causes": causes})
    assert explain(POD, error) == (
        'pod.yaml: Pod "web": spec.replicas, spec.paused managed by "kubectl"; spec.replicas managed by "hpa" using'
        " apps/v1; take them with --force-conflicts, or leave them out of the manifest"
    )
