"""The parts of ``server.yaml`` about who is believed and what is remembered: service accounts, front proxies, audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIFETIME_MIN_S = 3600
DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class ServiceAccountSettings:
    """What tokens say and how long they live; keys are by default those of ``pki_dir``."""

    issuers: tuple[str, ...] = (DEFAULT_ISSUER,)
    audiences: tuple[str, ...] = ()
    signing_key: Path | None = None
    keys: tuple[Path, ...] = ()
    jwks_uri: str = ""
    token_lifetime_max_s: int = 0


def service_accounts(value: Any) -> ServiceAccountSettings:
    """Read a mapping of these keys; raises ``ValueError``."""
    if not isinstance(value, dict):
        raise ValueError("a mapping, as in {issuers: [https://kubernetes.example.com]}")
    strange = sorted(str(key) for key in value if key not in SERVICE_ACCOUNT_READERS)
    if strange:
        raise ValueError(f"without {', '.join(strange)}: known are {', '.join(SERVICE_ACCOUNT_READERS)}")
    return ServiceAccountSettings(**{key: SERVICE_ACCOUNT_READERS[key](given) for key, given in value.items()})


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What is logged of requests; the log is by default in ``data_dir``, ``off`` logs nothing."""

    policy: Path | None = None
    log: Path | None = None
    max_size_mib: int = 10
    backups: int = 3
    off: bool = False


def audit(value: Any) -> AuditSettings:
    """Read a mapping of these keys, or false; raises ``ValueError``."""
    if value is False:
        return AuditSettings(off=True)
    if not isinstance(value, dict):
        raise ValueError("false, or a mapping with any of policy, log, max_size_mib and backups")
    strange = sorted(str(key) for key in value if key not in AUDIT_READERS)
    if strange:
        raise ValueError(f"without {', '.join(strange)}: known are {', '.join(AUDIT_READERS)}")
    return AuditSettings(**{key: AUDIT_READERS[key](given) for key, given in value.items()})


@dataclass(frozen=True, slots=True)
class FrontProxySettings:
    """Who may speak for others (``client_ca`` signs them), and the certificate by which this server does it itself."""

    client_ca: Path
    cert: Path
    key: Path
    allowed_names: tuple[str, ...] = ("front-proxy-client",)


def front_proxy(value: Any) -> FrontProxySettings:
    """Read a mapping of these keys; raises ``ValueError``."""
    wanted = ("client_ca", "cert", "key")
    if not isinstance(value, dict) or not set(wanted) <= set(value) <= {*wanted, "allowed_names"}:
        raise ValueError("a mapping with client_ca, cert and key, each an absolute path, and allowed_names if need be")
    client_ca, cert, key = (_file(value[name]) for name in wanted)
    if "allowed_names" not in value:
        return FrontProxySettings(client_ca, cert, key)
    return FrontProxySettings(client_ca, cert, key, _texts(value["allowed_names"], "allowed_names"))


def _count(value: Any, least: int, most: int, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"with {name} a number from {least} to {most}")
    return value


def _issuers(value: Any) -> tuple[str, ...]:
    issuers = _texts(value, "issuers")
    if not issuers or not all(issuer.startswith("https://") for issuer in issuers):
        raise ValueError("with issuers as a list of https:// addresses, the one that makes new tokens first")
    return issuers


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError(f"with {name} as a list of texts")
    return tuple(value)


def _file(value: Any) -> Path:
    if not isinstance(value, str) or not Path(value).is_absolute():
        raise ValueError("with files named by absolute paths, as in /etc/picluster/pki/sa.key")
    return Path(value)


def _lifetime(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < LIFETIME_MIN_S:
        raise ValueError(f"with token_lifetime_max_s of at least {LIFETIME_MIN_S} seconds")
    return value


def _uri(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("https://"):
        raise ValueError("with jwks_uri as an https:// address")
    return value


SERVICE_ACCOUNT_READERS: dict[str, Callable[[Any], Any]] = {
    "issuers": _issuers,
    "audiences": lambda value: _texts(value, "audiences"),
    "signing_key": _file,
    "keys": lambda value: tuple(_file(each) for each in _texts(value, "keys")),
    "jwks_uri": _uri,
    "token_lifetime_max_s": _lifetime,
}
AUDIT_READERS: dict[str, Callable[[Any], Any]] = {
    "policy": _file,
    "log": _file,
    "max_size_mib": lambda value: _count(value, 1, 4096, "max_size_mib"),
    "backups": lambda value: _count(value, 0, 100, "backups"),
}
