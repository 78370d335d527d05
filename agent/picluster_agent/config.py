"""``/etc/picluster/agent.yaml``, read and checked; whatever is wrong with it is one clear sentence."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from picluster.api.profiles import PROFILES

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, key and cure."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The agent's own TLS endpoint. Only certificates that ``client_ca`` signed are let in."""

    cert: Path
    key: Path
    client_ca: Path
    port: int = 10250


@dataclass(frozen=True, slots=True)
class Config:
    node_name: str
    node_ip: str
    kubeconfig: Path
    serving: Serving
    bootstrap_kubeconfig: Path | None = None
    """With a token, for a node that asks for its identity itself and renews it."""
    data_dir: Path = Path("/var/lib/picluster")
    run_dir: Path = Path("/run/picluster")
    """Where namespaces are pinned; must be empty after a boot."""
    podman_socket: Path = Path("/run/podman/podman.sock")
    cluster_cidr: str = "10.42.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    profile: str = "rack"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    log_level: str = "INFO"


def load(path: Path) -> Config:
    """Read and check; raises ``ConfigError``."""
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must be a mapping with at least node_name, node_ip, kubeconfig and serving")
    try:
        return _config(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _config(document: dict[Any, Any]) -> Config:
    _known(document, {one.name for one in fields(Config)}, "")
    values: dict[str, Any] = {"serving": _serving(document.get("serving"))}
    readers: dict[str, Callable[[str, Any], Any]] = {
        "node_name": _name,
        "node_ip": _address,
        "kubeconfig": _path,
        "bootstrap_kubeconfig": _path,
        "data_dir": _path,
        "run_dir": _path,
        "podman_socket": _path,
        "cluster_cidr": _network,
        "service_cidr": _network,
        "profile": _one_of(tuple(PROFILES)),
        "labels": _labels,
        "taints": _taints,
        "cluster_dns": _addresses,
        "cluster_domain": _text,
        "log_level": _one_of(("DEBUG", "INFO", "WARNING", "ERROR")),
    }
    for key, reader in readers.items():
        if document.get(key) is not None:
            values[key] = reader(key, document[key])
        elif key in ("node_name", "node_ip", "kubeconfig"):
            raise ConfigError(f"{key} is missing")
    return Config(**values)


def _known(document: Mapping[Any, Any], known: set[str], prefix: str) -> None:
    unknown = sorted(str(key) for key in document if key not in known)
    if unknown:
        raise ConfigError(f"unknown key {prefix}{unknown[0]}; known are {', '.join(sorted(known))}")


def _serving(value: Any) -> Serving:
    if not isinstance(value, dict):
        raise ConfigError("serving is missing: it needs cert, key and client_ca (and port, 10250 by default)")
    _known(value, {"cert", "key", "client_ca", "port"}, "serving.")
    for key in ("cert", "key", "client_ca"):
        if not value.get(key):
            raise ConfigError(f"serving.{key} is missing")
    port = value.get("port", 10250)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ConfigError(f"serving.port must be a number from 0 to 65535, not {port!r}")
    paths = [_path(f"serving.{key}", value[key]) for key in ("cert", "key", "client_ca")]
    return Serving(paths[0], paths[1], paths[2], port)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{key} must be a text, not {value!r}")
    return value


def _name(key: str, value: Any) -> str:
    text = _text(key, value)
    if text != text.lower() or not all(part and part.replace("-", "").isalnum() for part in text.split(".")):
        raise ConfigError(f"{key} must be a host name in lower case (pi-1), not {value!r}")
    return text


def _path(key: str, value: Any) -> Path:
    path = Path(_text(key, value))
    if not path.is_absolute():
        raise ConfigError(f"{key} must be an absolute path, not {value!r}")
    return path


def _address(key: str, value: Any) -> str:
    try:
        return str(ipaddress.ip_address(_text(key, value)))
    except ValueError as error:
        raise ConfigError(f"{key} must be an IP address, not {value!r}") from error


def _network(key: str, value: Any) -> str:
    try:
        return str(ipaddress.ip_network(_text(key, value)))
    except ValueError as error:
        raise ConfigError(f"{key} must be a network (10.42.0.0/16), not {value!r}") from error


def _one_of(choices: tuple[str, ...]) -> Callable[[str, Any], str]:
    def read(key: str, value: Any) -> str:
        if value not in choices:
            raise ConfigError(f"{key} must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return read


def _addresses(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{key} must be a list of IP addresses, not {value!r}")
    return tuple(_address(f"{key}[{index}]", one) for index, one in enumerate(value))


def _labels(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise ConfigError(f"{key} must map texts to texts (put numbers and true in quotes), not {value!r}")
    return dict(value)


def _taints(key: str, value: Any) -> tuple[Mapping[str, str], ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{key} must be a list of taints, not {value!r}")
    taints = []
    for index, taint in enumerate(value):
        where = f"{key}[{index}]"
        if not isinstance(taint, dict) or not isinstance(taint.get("key"), str):
            raise ConfigError(f"{where} must have a key and an effect, not {taint!r}")
        _known(taint, {"key", "value", "effect"}, f"{where}.")
        if taint.get("effect") not in EFFECTS:
            raise ConfigError(f"{where}.effect must be one of {', '.join(EFFECTS)}, not {taint.get('effect')!r}")
        taints.append({name: str(text) for name, text in taint.items()})
    return tuple(taints)
