"""A container's environment: order, references, expansion, and what is missing."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster_agent.podman import env, envfile
from picluster_agent.podman.env import (
    ConfigError,
    NodeFacts,
    Sources,
    environment,
    expand,
    references,
    service_environment,
)

NODE = NodeFacts("pi-1", "10.77.0.11", {"cpu": "3900m", "memory": "1Gi"})
POD = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"app": "web", "tier": 'a"b'},
        "annotations": {"note": "two\nlines"},
    },
    "spec": {"serviceAccountName": "builder", "containers": [{"name": "side", "resources": {"limits": {"cpu": "2"}}}]},
}
SOURCES = Sources(
    {"cfg": {"data": {"color": "red"}, "binaryData": {"raw": base64.b64encode(b"x").decode()}}, "gone": None},
    {"sec": {"data": {"key": base64.b64encode(b"hush").decode()}}},
)


def env_of(*entries: dict[str, Any], **fields: Any) -> dict[str, str]:
    container = {"name": "web", "env": list(entries), **fields}
    return environment(POD, container, SOURCES, NODE, pod_ip="10.42.1.5", services={"SVC": "s"})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


@given(st.text(alphabet="ab$()A", max_size=30))
def test_expansion_without_a_reference_changes_nothing(text: str) -> None:
    if "$$" not in text:
        assert expand(text, {}) == text


def value_from(**origin: Any) -> dict[str, Any]:
    return {"name": "X", "valueFrom": origin}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ({"name": "X", "value": "plain"}, "plain"),
        ({"name": "X"}, ""),
        ({"name": "X", "value": "$(SVC)-$(Y)"}, "s-$(Y)"),
        (value_from(configMapKeyRef={"name": "cfg", "key": "color"}), "red"),
        (value_from(configMapKeyRef={"name": "cfg", "key": "raw", "optional": True}), None),
        (value_from(configMapKeyRef={"name": "cfg", "key": "none", "optional": True}), None),
        (value_from(configMapKeyRef={"name": "gone", "key": "none", "optional": True}), None),
        (value_from(secretKeyRef={"name": "sec", "key": "key"}), "hush"),
        (value_from(fieldRef={"fieldPath": "metadata.name"}), "web"),
        (value_from(fieldRef={"fieldPath": "metadata.labels['app']"}), "web"),
        (value_from(fieldRef={"fieldPath": "metadata.annotations['none']"}), ""),
        (value_from(fieldRef={"fieldPath": "metadata.labels"}), 'app="web"\ntier="a\\"b"'),
        (value_from(fieldRef={"fieldPath": "spec.nodeName"}), "pi-1"),
        (value_from(fieldRef={"fieldPath": "spec.serviceAccountName"}), "builder"),
        (value_from(fieldRef={"fieldPath": "status.podIP"}), "10.42.1.5"),
        (value_from(fieldRef={"fieldPath": "status.hostIP"}), "10.77.0.11"),
        (value_from(resourceFieldRef={"resource": "limits.cpu"}), "4"),
        (value_from(resourceFieldRef={"resource": "limits.cpu", "divisor": "1m"}), "3900"),
        (value_from(resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"}), "1024"),
        (value_from(resourceFieldRef={"resource": "requests.cpu"}), "0"),
        (value_from(resourceFieldRef={"containerName": "side", "resource": "limits.cpu", "divisor": "0"}), "2"),
    ],
)
def test_one_variable(entry: dict[str, Any], value: str | None) -> None:
    assert env_of(entry).get("X") == value


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (value_from(configMapKeyRef={"name": "gone", "key": "a"}), 'configmap "gone" not found'),
        (value_from(configMapKeyRef={"name": "cfg", "key": "a"}), "couldn't find key a in ConfigMap shop/cfg"),
        (value_from(secretKeyRef={"name": "none", "key": "a"}), 'secret "none" not found'),
        (value_from(secretKeyRef={"name": "sec", "key": "a"}), "couldn't find key a in Secret shop/sec"),
        (value_from(fieldRef={"fieldPath": "spec.none"}), "unsupported fieldPath: spec.none"),
    ],
)
def test_what_is_missing_is_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match="^" + message.replace("'", ".") + "$"):
        env_of(entry)


def test_later_wins_and_sees_what_came_before() -> None:
    env_from = [
        {"configMapRef": {"name": "cfg"}},
        {"prefix": "P_", "secretRef": {"name": "sec"}},
        {"configMapRef": {"name": "gone", "optional": True}},
    ]
    env = env_of({"name": "color", "value": "not-$(color)"}, {"name": "z", "value": "$(P_key)"}, envFrom=env_from)
    assert env == {"SVC": "s", "color": "not-red", "P_key": "hush", "z": "hush"}


def test_references_name_what_must_be_read() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
        "env": [value_from(configMapKeyRef={"name": "c"}), value_from(secretKeyRef={"name": "d"}), {"name": "X"}],
    }
    assert references(container) == ({"a", "c"}, {"b", "d"})


def service(name: str, namespace: str, ip: str, *ports: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": list(ports)}}


def test_services_as_docker_links() -> None:
    services = [
        service("kubernetes", "default", "10.43.0.1", {"name": "https", "port": 443}),
        service("my-db", "shop", "10.43.0.9", {"port": 5432, "protocol": "TCP"}),
        service("headless", "shop", "None", {"port": 1}),
        service("foreign", "other", "10.43.0.8", {"port": 1}),
    ]
    found = service_environment(services, "shop", links=True)
    assert {key: value for key, value in found.items() if key.startswith("KUBERNETES")} == {
        "KUBERNETES_SERVICE_HOST": "10.43.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        "KUBERNETES_PORT": "tcp://10.43.0.1:443",
        "KUBERNETES_PORT_443_TCP": "tcp://10.43.0.1:443",
        "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
        "KUBERNETES_PORT_443_TCP_PORT": "443",
        "KUBERNETES_PORT_443_TCP_ADDR": "10.43.0.1",
    }
    assert found["MY_DB_SERVICE_HOST"] == "10.43.0.9"
    assert not any(key.startswith(("HEADLESS", "FOREIGN")) for key in found)
    assert not any(key.startswith("MY_DB") for key in service_environment(services, "shop", links=False))


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("A='1'\nB='two words' # said\n", "B", "two words"),
        ("\n# A='0'\n  A='1'\nA='2'", "A", "1"),
        ("A='first\nsecond'\nB='x'", "A", "first\nsecond"),
        ("A='first\nsecond'\nB='x'", "B", "x"),
        ("A= 'x'\nB='y'\n", "A", ""),
        ("A='$HOME \\n'", "A", "$HOME \\n"),
        ("A='1'", "C", ""),
        ("", "A", ""),
    ],
)
def test_environment_files(text: str, key: str, expected: str) -> None:
    assert envfile.value_of(text, key) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A='1'\nB", "at line 2: missing '='"),
        ("='1'", "at line 1: empty variable name"),
        ("A ='1'", "at line 1: whitespace before '=' is not allowed"),
        ("A=1", "at line 1: value must be enclosed in single quotes"),
        ('\nA="1"', "at line 2: value must be enclosed in single quotes"),
        ("A='1'2", "at line 1: unexpected content after closing quote"),
        ("\nA='1\n", "starting at line 2: unclosed single quote"),
    ],
)
def test_environment_files_that_are_none(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"invalid environment variable format {why}"):
        envfile.value_of(text, "Z")


def test_a_variable_from_a_file_of_another_container() -> None:
    def made(files: dict[tuple[str, str], str | None], **reference: Any) -> dict[str, str]:
        origin = {"fileKeyRef": {"volumeName": "v", "path": "env", "key": "A", **reference}}
        container = {"name": "web", "env": [{"name": "X", "valueFrom": origin}]}
        assert env.file_references(container) == {("v", "env")}
        pod = {"metadata": {"namespace": "default"}, "spec": {"containers": [container]}}
        return env.environment(pod, container, env.Sources(files=files), NODE, pod_ip="", services={})

    assert made({("v", "env"): "A='1'"}) == {"X": "1"}
    assert made({("v", "env"): "B='1'"}, optional=True) == made({("v", "env"): None}, optional=True) == {}
    with pytest.raises(ConfigError, match='environment variable key "A" not found in file "env"'):
        made({("v", "env"): "B='1'"})
    with pytest.raises(ConfigError, match="couldn't parse env file"):
        made({("v", "env"): None})


def test_a_limit_of_the_whole_pod_comes_before_the_nodes() -> None:
    pod = {"spec": {"containers": [], "resources": {"limits": {"cpu": "2"}}}}
    values = [
        env.resource_value({"resource": name}, pod, {}, NODE)
        for name in ("limits.cpu", "limits.memory", "limits.hugepages-2Mi", "requests.cpu")
    ]
    assert values == ["2", str(1 << 30), "0", "0"]
