"""``/etc/picluster/agent.yaml``, read and checked; whatever is wrong with it is one clear sentence."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from picluster.api.profiles import PROFILES
from picluster_agent import amounts
from picluster_agent.images.verification import DEFAULT_POLICY, POLICIES

CRASH_BACKOFF_MAX_S = 300
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, key and cure."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The agent's own TLS endpoint. Client certificates must be signed by ``client_ca``."""

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
    static_pod_path: Path = Path("/etc/picluster/manifests")
    """A directory of pods, one in each file, that run here whatever the API server says; need not be there."""
    crash_loop_backoff_max: str = "300s"
    """The longest wait before a container that crashed is started again."""
    kubelet_dir: Path = Path("/var/lib/kubelet")
    """Where storage drivers look for the kubelet's directory: made a link to ``data_dir``."""
    local_path_dir: Path = Path("/var/lib/picluster/storage")
    """Where volumes of the class ``local-path`` have their directories."""
    podman_socket: Path = Path("/run/podman/podman.sock")
    cluster_cidr: str = "10.42.0.0/16"
    service_cidr: str = "10.43.0.0/16"
    profile: str = "rack"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    health_root: Path = Path("/")
    """Below which the board's sensors are read."""
    shutdown_grace_period: str = "30s"
    shutdown_grace_period_critical_pods: str = "10s"
    shutdown_grace_period_by_pod_priority: Mapping[int, str] = field(default_factory=dict)
    """In place of the two above: priority and what pods of at least that have."""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    log_level: str = "INFO"
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    container_log_monitor_interval: str = "10s"
    max_parallel_image_pulls: int = 2
    image_pull_progress_deadline: str = "1m"
    image_credentials: Path = Path("/etc/picluster/image-credentials.json")
    """A Docker ``config.json`` with what every pod of this node may use; need not be there."""
    image_pull_credentials_verification_policy: str = DEFAULT_POLICY
    preloaded_images_verification_allowlist: tuple[str, ...] = ()
    cgroup_root: str = "kubepods"
    max_pods: int = 110
    pod_pids_limit: int = 2048
    system_reserved: Mapping[str, str] = field(default_factory=lambda: {"cpu": "100m", "memory": "128Mi"})
    kube_reserved: Mapping[str, str] = field(default_factory=dict)
    eviction_hard: Mapping[str, str] = field(
        default_factory=lambda: {
            "memory.available": "100Mi",
            "nodefs.available": "10%",
            "nodefs.inodesFree": "5%",
            "imagefs.available": "15%",
            "imagefs.inodesFree": "5%",
            "pid.available": "5%",
        }
    )
    eviction_soft: Mapping[str, str] = field(default_factory=dict)
    eviction_soft_grace_period: Mapping[str, str] = field(default_factory=dict)
    eviction_minimum_reclaim: Mapping[str, str] = field(default_factory=dict)
    eviction_max_pod_grace_period: int = 0
    eviction_pressure_transition_period: str = "5m"
    image_gc_high_threshold: int = 85
    image_gc_low_threshold: int = 80
    image_gc_minimum_age: str = "2m"
    image_gc_maximum_age: str = "0s"
    maximum_dead_containers_per_container: int = 1
    maximum_dead_containers: int = -1
    minimum_container_ttl: str = "0s"
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    seccomp_default: bool = False


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
        "static_pod_path": _path,
        "crash_loop_backoff_max": _back_off,
        "kubelet_dir": _path,
        "local_path_dir": _path,
        "podman_socket": _path,
        "health_root": _path,
        "shutdown_grace_period": _amounts(amounts.duration),
        "shutdown_grace_period_critical_pods": _amounts(amounts.duration),
        "shutdown_grace_period_by_pod_priority": _graces,
        "cluster_cidr": _network,
        "service_cidr": _network,
        "profile": _one_of(tuple(PROFILES)),
        "labels": _labels,
        "taints": _taints,
        "cluster_dns": _addresses,
        "cluster_domain": _text,
        "log_level": _one_of(("DEBUG", "INFO", "WARNING", "ERROR")),
        "container_log_max_size": _amounts(amounts.log_size),
        "container_log_max_files": _number(2, 1000),
        "container_log_monitor_interval": _amounts(amounts.duration),
        "max_parallel_image_pulls": _number(1, 10),
        "image_pull_progress_deadline": _amounts(amounts.duration),
        "image_credentials": _path,
        "image_pull_credentials_verification_policy": _one_of(POLICIES),
        "preloaded_images_verification_allowlist": _texts,
        "cgroup_root": _group,
        "max_pods": _number(1, 10_000),
        "pod_pids_limit": _number(-1, 4_194_304),
        "system_reserved": _amounts(amounts.resource_list),
        "kube_reserved": _amounts(amounts.resource_list),
        "eviction_hard": _amounts(amounts.thresholds),
        "eviction_soft": _amounts(amounts.thresholds),
        "eviction_soft_grace_period": _amounts(amounts.durations),
        "eviction_minimum_reclaim": _amounts(amounts.thresholds),
        "eviction_max_pod_grace_period": _number(0, 86_400),
        "eviction_pressure_transition_period": _amounts(amounts.duration),
        "image_gc_high_threshold": _number(0, 100),
        "image_gc_low_threshold": _number(0, 100),
        "image_gc_minimum_age": _amounts(amounts.duration),
        "image_gc_maximum_age": _amounts(amounts.duration),
        "maximum_dead_containers_per_container": _number(0, 100),
        "maximum_dead_containers": _number(-1, 100_000),
        "minimum_container_ttl": _amounts(amounts.duration),
        "allowed_unsafe_sysctls": _sysctls,
        "seccomp_default": _flag,
    }
    for key, reader in readers.items():
        if document.get(key) is not None:
            values[key] = reader(key, document[key])
        elif key in ("node_name", "node_ip", "kubeconfig"):
            raise ConfigError(f"{key} is missing")
    config = Config(**values)
    _agree(config)
    return config


def _agree(config: Config) -> None:
    """What several keys say together."""
    for signal in config.eviction_soft:
        if signal not in config.eviction_soft_grace_period:
            raise ConfigError(f"eviction_soft has {signal}, but eviction_soft_grace_period does not")
    whole, critical = (
        amounts.duration_s(text) for text in (config.shutdown_grace_period, config.shutdown_grace_period_critical_pods)
    )
    if critical > whole:
        raise ConfigError("shutdown_grace_period_critical_pods must not be longer than shutdown_grace_period")
    if config.image_gc_low_threshold > config.image_gc_high_threshold:
        raise ConfigError(
            f"image_gc_low_threshold must not be above image_gc_high_threshold ({config.image_gc_high_threshold}), "
            f"but is {config.image_gc_low_threshold}"
        )


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


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{key} must be a list of texts, not {value!r}")
    return tuple(_text(f"{key}[{index}]", one) for index, one in enumerate(value))


def _graces(key: str, value: Any) -> dict[int, str]:
    if not isinstance(value, dict) or not all(isinstance(priority, int) for priority in value):
        raise ConfigError(f"{key} must map priorities (whole numbers) to durations, not {value!r}")
    read = _amounts(amounts.duration)
    return {priority: read(f"{key}[{priority}]", grace) for priority, grace in value.items()}


def _back_off(key: str, value: Any) -> str:
    text: str = _amounts(amounts.duration)(key, value)
    if not 1 <= amounts.duration_s(text) <= CRASH_BACKOFF_MAX_S:
        raise ConfigError(f"{key} must be from 1s to {CRASH_BACKOFF_MAX_S}s, not {value!r}")
    return text


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


def _number(least: int, most: int) -> Callable[[str, Any], int]:
    def read(key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigError(f"{key} must be a number from {least} to {most}, not {value!r}")
        return value

    return read


def _amounts(reader: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def read(key: str, value: Any) -> Any:
        try:
            return reader(key, value)
        except ValueError as error:
            raise ConfigError(f"{key} {error}") from error

    return read


def _group(key: str, value: Any) -> str:
    text = _text(key, value)
    if text.startswith("/") or any(part in ("", ".", "..") for part in text.split("/")):
        raise ConfigError(f"{key} must be a control group below the top (kubepods), not {value!r}")
    return text


def _sysctls(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ConfigError(f"{key} must be a list of names or patterns (net.core.*), not {value!r}")
    return tuple(value)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{key} must be true or false, not {value!r}")
    return value


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
