"""A directory with everything the control plane needs to be known and to know others.

``ensure`` may run any number of times, and after a crash or a power cut at any moment. A key is synced before the
certificate that names it, so what an interruption leaves is a key without its certificate, and the next run goes on
from there. A key that is there is never replaced; a certificate is, when it no longer says what its profile says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from picluster.pki import encryption, kubeconfig, profiles
from picluster.pki.authority import (
    Authority,
    certificate_pem,
    days_left,
    key_pem,
    new_key,
    public_pem,
)
from picluster.pki.files import PRIVATE, PUBLIC, PkiError, locked_directory, read_file, write_file
from picluster.pki.profiles import Profile
from picluster.util.clock import Clock

FRONT_PROXY_CA = "front-proxy-ca"


@dataclass(frozen=True, slots=True)
class BundleSpec:
    """What a control plane's certificates must say. ``server`` is the URL that kubeconfigs name."""

    sans: Sequence[str]
    service_cidr: str
    server: str


@dataclass(slots=True)
class Bundle:
    """The directory ``ensure`` made whole, and the files it wrote for that, in order."""

    directory: Path
    written: list[Path] = field(default_factory=list)

    def certificate(self, name: str) -> Path:
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    def write(self, path: Path, data: bytes, mode: int) -> None:
        write_file(path, data, mode)
        self.written.append(path)


def ensure(directory: Path, kubeconfigs: Path, spec: BundleSpec, clock: Clock) -> Bundle:
    """Complete the PKI in ``directory`` and the kubeconfigs in ``kubeconfigs``; raises ``PkiError``."""
    bundle = Bundle(directory)
    wanted = control_plane_profiles(spec)  # first, so that a bad wish touches nothing
    with locked_directory(directory), locked_directory(kubeconfigs):
        authority = ensure_authority(bundle, clock.now())
        for name, profile in wanted.items():
            ensure_leaf(bundle, name, profile, authority, clock.now())
        proxies = ensure_authority(bundle, clock.now(), FRONT_PROXY_CA)
        ensure_leaf(bundle, "front-proxy-client", profiles.front_proxy(), proxies, clock.now())
        _ensure_signing_key(bundle)
        encryption.ensure(bundle)
        for name in ("admin", "scheduler", "controllers"):
            _ensure_kubeconfig(bundle, kubeconfigs / f"{name}.kubeconfig", name, spec.server)
    return bundle


def control_plane_profiles(spec: BundleSpec) -> dict[str, Profile]:
    """File name to profile, of everything that the control plane serves with or shows."""
    return {
        "apiserver": profiles.apiserver(service_address(spec.service_cidr), spec.sans),
        "apiserver-kubelet-client": profiles.kubelet_client(),
        "admin": profiles.admin(),
        "scheduler": profiles.scheduler(),
        "controllers": profiles.controllers(),
    }


def service_address(service_cidr: str) -> str:
    """The address of the Service ``kubernetes``: the first of the service range."""
    try:
        return str(ipaddress.ip_network(service_cidr)[1])
    except (ValueError, IndexError) as error:
        raise PkiError(f"service range {service_cidr!r} is no network: write it as 10.43.0.0/16") from error


def ensure_authority(bundle: Bundle, now_s: float, name: str = "ca") -> Authority:
    certificate_path, key_path = bundle.certificate(name), bundle.key(name)
    pem = read_file(certificate_path)
    if pem is not None and not key_path.exists():
        raise PkiError(f"{certificate_path} is there but its key {key_path} is not: restore the key from a backup")
    key = _ensure_key(bundle, name)
    if pem is None:
        authority = Authority.create(key, now_s, f"picluster-{name}")
        bundle.write(certificate_path, certificate_pem(authority.certificate), PUBLIC)
        return authority
    authority = _checked_authority(certificate_path, pem, key)
    if days_left(authority.certificate, now_s) < 0:
        raise PkiError(f"{certificate_path} has expired: move {bundle.directory} away and make a new PKI")
    return authority


def load_authority(directory: Path, name: str = "ca") -> Authority:
    """The CA of a directory that ``ensure`` completed; raises ``PkiError`` when there is none."""
    pem, key_pem_bytes = read_file(directory / f"{name}.crt"), read_file(directory / f"{name}.key")
    if pem is None or key_pem_bytes is None:
        raise PkiError(f"{directory} has no certificate authority: make one with: picluster pki init --dir {directory}")
    return _checked_authority(directory / f"{name}.crt", pem, _parse_key(directory / f"{name}.key", key_pem_bytes))


def ensure_leaf(bundle: Bundle, name: str, profile: Profile, authority: Authority, now_s: float) -> None:
    """A key and a good certificate named ``name``: kept when they are there and serve, made otherwise."""
    key = _ensure_key(bundle, name)
    path = bundle.certificate(name)
    pem = read_file(path)
    if pem is not None:
        certificate = parse_certificate(path, pem)
        ours = certificate.public_key() == key.public_key()
        if ours and authority.reason_to_renew(certificate, profile, now_s) is None:
            return
    bundle.write(path, certificate_pem(authority.sign(profile, key.public_key(), now_s)), PUBLIC)


def parse_certificate(path: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        cure = "restore it from a backup" if path.name.endswith("ca.crt") else "remove it, and it is made again"
        raise PkiError(f"{path} is no certificate: {cure}") from error


def _ensure_signing_key(bundle: Bundle) -> None:
    """What service account tokens are signed and checked with."""
    key = _ensure_key(bundle, "sa")
    path = bundle.directory / "sa.pub"
    known = read_file(path) or b""
    if public_pem(key) not in known:
        bundle.write(path, public_pem(key) + known, PUBLIC)


def rotate_signing_key(directory: Path) -> Bundle:
    """A new key for service account tokens; those that the old one has signed stay good. Raises ``PkiError``."""
    bundle = Bundle(directory)
    with locked_directory(directory):
        _ensure_signing_key(bundle)
        bundle.write(bundle.key("sa"), key_pem(new_key()), PRIVATE)
        _ensure_signing_key(bundle)
    return bundle


def rotate_encryption_key(directory: Path) -> Bundle:
    """A new key that writes what is encrypted at rest; the old ones still read. Raises ``PkiError``."""
    bundle = Bundle(directory)
    with locked_directory(directory):
        encryption.rotate(bundle)
    return bundle


def _ensure_kubeconfig(bundle: Bundle, path: Path, name: str, server: str) -> None:
    """The administrator's is carried to other machines, so it holds all; the others name the files here."""
    files = (bundle.certificate("ca"), bundle.certificate(name), bundle.key(name))
    content = kubeconfig.render(server, name, *files, embed=name == "admin")
    if read_file(path) != content:
        bundle.write(path, content, PRIVATE)


def _ensure_key(bundle: Bundle, name: str) -> ec.EllipticCurvePrivateKey:
    path = bundle.key(name)
    pem = read_file(path)
    if pem is not None:
        return _parse_key(path, pem)
    key = new_key()
    bundle.write(path, key_pem(key), PRIVATE)
    return key


def _parse_key(path: Path, pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise PkiError(f"{path} is no private key: restore it from a backup") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{path} is not on an elliptic curve: restore the key that picluster made")
    return key


def _checked_authority(path: Path, pem: bytes, key: ec.EllipticCurvePrivateKey) -> Authority:
    certificate = parse_certificate(path, pem)
    if certificate.public_key() != key.public_key():
        raise PkiError(f"{path} and its key do not belong together: restore both from one backup")
    return Authority(certificate, key)
