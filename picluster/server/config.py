"""``server.yaml``: read, checked, and refused in one sentence that names the key, the value and the cure."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from picluster.api.profiles import PROFILES
from picluster.apiserver.flowcontrol import READ_SEATS, WRITE_SEATS
from picluster.server.security import (
    AuditSettings,
    FrontProxySettings,
    ServiceAccountSettings,
    audit,
    front_proxy,
    service_accounts,
)

ROLES = ("apiserver", "scheduler", "controllers")
KUBECONFIGS = ("scheduler", "controllers")
PORT_MAX = 65535
NOBODY = "192.0.2.1"


class ServerError(Exception):
    """What keeps a server from starting; the message names the cause and the cure."""


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """``backend`` is ``sqlite``, with its quota, or ``etcd``, with everything else."""

    backend: str = "sqlite"
    size_max_mib: int = 2048
    endpoints: tuple[str, ...] = ()
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    prefix: str = "/picluster/"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The configuration of the control plane's roles; the fields are the keys of ``server.yaml``."""

    data_dir: Path = Path("/var/lib/picluster")
    pki_dir: Path = Path("/etc/picluster/pki")
    bind: str = "0.0.0.0"  # noqa: S104  # clients authenticate with certificates
    port: int = 6443
    advertise: str = field(default_factory=lambda: own_address())
    service_cidr: str = "10.43.0.0/16"
    cluster_cidr: str = "10.42.0.0/16"
    profile: str = "rack"
    local_path: bool = False
    outlets: Path | None = None
    ssh_config: Path | None = None
    service_accounts: ServiceAccountSettings = field(default_factory=ServiceAccountSettings)
    encryption: Path | None = None
    audit: AuditSettings = field(default_factory=AuditSettings)
    front_proxy: FrontProxySettings | None = None
    max_requests_inflight: int = READ_SEATS
    max_mutating_requests_inflight: int = WRITE_SEATS
    store: StoreConfig = field(default_factory=lambda: StoreConfig())
    kubeconfigs: Mapping[str, Path] = field(
        default_factory=lambda: {name: Path(f"/etc/picluster/{name}.kubeconfig") for name in KUBECONFIGS}
    )

    @property
    def signing_key(self) -> Path:
        """What service account tokens are signed with."""
        return self.service_accounts.signing_key or self.pki_dir / "sa.key"

    @property
    def encryption_file(self) -> Path | None:
        """How the store is encrypted: what is configured, or what the PKI made, if it is there."""
        made = self.pki_dir / "encryption.yaml"
        return self.encryption or (made if made.exists() else None)

    @property
    def public_url(self) -> str:
        """Where other boards reach the API server."""
        host = f"[{self.advertise}]" if ":" in self.advertise else self.advertise
        return f"https://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where clients on this machine reach the API server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.bind, self.bind)  # noqa: S104
        return f"https://[{host}]:{self.port}" if ":" in host and "[" not in host else f"https://{host}:{self.port}"


def load(path: Path) -> ServerConfig:
    """Read and check a file; raises ``ServerError``."""
    return parse(read_mapping(path), str(path))


def read_mapping(path: Path) -> dict[Any, Any]:
    """The mapping that a YAML file holds; raises ``ServerError``."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ServerError(f"configuration {path} cannot be read: {error.strerror}: name one with --config") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "the file"
        raise ServerError(f"configuration {path} is no YAML: correct {where}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ServerError(f"configuration {path} must be a mapping of keys such as 'port: 6443'")
    return content


def parse(content: Mapping[Any, Any], source: str) -> ServerConfig:
    """Check the content of a file or of flags; ``source`` says where it is from."""
    values: dict[str, Any] = {}
    for key, value in content.items():
        reader = READERS.get(key)
        if reader is None:
            raise ServerError(f"{source}: unknown key {key!r}: {_suggestion(str(key), list(READERS))}")
        try:
            values[key] = reader(value)
        except ValueError as error:
            raise ServerError(f"{source}: {key} is {value!r}, but must be {error}") from None
    bind = values.get("bind")
    if "advertise" not in values and bind is not None and _reachable(bind):
        values["advertise"] = bind
    return ServerConfig(**values)


def own_address() -> str:
    """The address that others reach this machine by: where its default route leaves from.

    Connecting a datagram socket sends nothing; it only asks the kernel for a route. A machine without one gets an
    address that is nobody's (RFC 5737), since the Service ``kubernetes`` may not lead to a loopback address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((NOBODY, 9))
        except OSError:
            return NOBODY
        return str(probe.getsockname()[0])


def _reachable(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_unspecified)


def _suggestion(word: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise ValueError("an absolute path, as in /var/lib/picluster")
    return Path(value)


def _optional_path(value: Any) -> Path | None:
    return None if value is None else _path(value)


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError("an IP address, as in 10.77.0.10") from None


def _advertised(value: Any) -> str:
    address = _address(value)
    if not _reachable(address):
        raise ValueError("an address that other boards reach this one by, as in 10.77.0.10")
    return address


def _port(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= PORT_MAX:
        raise ValueError(f"a port number up to {PORT_MAX}, as in 6443 (0: any that is free)")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("a whole number above 0, as in 80")
    return value


def _network(value: Any) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError("a network without host bits, as in 10.43.0.0/16") from None


def _profile(value: Any) -> str:
    if value not in PROFILES:
        raise ValueError(f"one of {', '.join(PROFILES)}")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _kubeconfigs(value: Any) -> dict[str, Path]:
    if not isinstance(value, dict) or set(value) != set(KUBECONFIGS):
        raise ValueError("a mapping with the keys scheduler and controllers, each an absolute path")
    return {name: _path(path) for name, path in value.items()}


def _store(value: Any) -> StoreConfig:
    if not isinstance(value, dict) or value.get("backend") not in STORE_KEYS:
        raise ValueError("a mapping with backend: sqlite, or backend: etcd and its endpoints, ca, cert and key")
    backend, settings = value["backend"], {key: given for key, given in value.items() if key != "backend"}
    strange = sorted(str(key) for key in set(settings) - STORE_KEYS[backend])
    if strange:
        raise ValueError(f"without {', '.join(strange)}: {backend} has {', '.join(sorted(STORE_KEYS[backend]))}")
    if backend == "etcd" and not {"endpoints", "ca", "cert", "key"} <= set(settings):
        raise ValueError("with endpoints, ca, cert and key: etcd is spoken to with a client certificate only")
    return StoreConfig(backend, **{key: STORE_READERS[key](given) for key, given in settings.items()})


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("with size_max_mib a whole number of MiB, as in 2048")
    return value


def _endpoints(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(e, str) and ENDPOINT.fullmatch(e) for e in value):
        raise ValueError("with endpoints as a list of host:port, as in [10.77.0.10:2379]")
    return tuple(value)


def _prefix(value: Any) -> str:
    if not isinstance(value, str) or not (value.startswith("/") and value.endswith("/") and len(value) > 1):
        raise ValueError("with a prefix that begins and ends with /, as in /picluster/")
    return value


ENDPOINT = re.compile(r"[A-Za-z0-9.-]+:[0-9]{1,5}")
STORE_KEYS = {"sqlite": {"size_max_mib"}, "etcd": {"endpoints", "ca", "cert", "key", "prefix"}}
STORE_READERS: dict[str, Callable[[Any], Any]] = {
    "size_max_mib": _size,
    "endpoints": _endpoints,
    "ca": _path,
    "cert": _path,
    "key": _path,
    "prefix": _prefix,
}
READERS: dict[str, Callable[[Any], Any]] = {
    "data_dir": _path,
    "pki_dir": _path,
    "bind": _address,
    "port": _port,
    "advertise": _advertised,
    "service_cidr": _network,
    "cluster_cidr": _network,
    "profile": _profile,
    "local_path": _flag,
    "outlets": _optional_path,
    "ssh_config": _optional_path,
    "service_accounts": service_accounts,
    "encryption": _optional_path,
    "audit": audit,
    "front_proxy": front_proxy,
    "max_requests_inflight": _count,
    "max_mutating_requests_inflight": _count,
    "kubeconfigs": _kubeconfigs,
    "store": _store,
}
