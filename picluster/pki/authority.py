"""The certificate authority: signs what a profile says, for a public key that somebody else may hold.

Nothing of a certificate signing request but its public key gets into the certificate.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from picluster.pki import requests
from picluster.pki.files import PkiError
from picluster.pki.profiles import Profile

CA_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 90  # a certificate with less left than this is made anew when somebody looks
BACKDATE = dt.timedelta(hours=1)  # for boards whose clock is behind
WISH_BACKDATE = dt.timedelta(minutes=5)  # as Kubernetes' signers do it
COMMON_NAME_LENGTH_MAX = 64
RSA_BITS_MIN = 2048

LeafKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class Authority:
    """A CA certificate with its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def create(cls, key: ec.EllipticCurvePrivateKey, now_s: float, common_name: str = "picluster-ca") -> Authority:
        """A new, self-signed CA on ``key``, good for ten years."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(name, name, key.public_key(), now_s, _days_after(now_s, CA_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, hashes.SHA256()), key)

    def sign(self, profile: Profile, public_key: LeafKey, now_s: float) -> x509.Certificate:
        """A certificate of ``profile`` for the holder of ``public_key``; it never outlives the CA."""
        not_after = min(_days_after(now_s, LEAF_DAYS), self.certificate.not_valid_after_utc)
        builder = _builder(subject(profile), self.certificate.subject, public_key, now_s, not_after)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(profile.usages), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        ca_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(ca_key, critical=False)
        if alternatives := alternative_names(profile):
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def sign_request(self, profile: Profile, pem: bytes, now_s: float) -> x509.Certificate:
        """Sign the public key of a PEM request, once the request proves that its sender holds the private key."""
        try:
            request = x509.load_pem_x509_csr(pem)
            proven = request.is_signature_valid
            key = request.public_key()
        except ValueError as error:
            raise PkiError(f"this is not a certificate signing request in PEM: {error}") from error
        if not proven:
            raise PkiError("the request's signature does not fit its key: make the request again")
        return self.sign(profile, checked_key(key), now_s)

    def sign_wish(
        self, request: x509.CertificateSigningRequest, usages: Iterable[str], now_s: float, lifetime_s: float
    ) -> x509.Certificate:
        """A certificate that says what an approved request says (``pkg/controller/certificates/authority``).

        Extensions other than the alternative names are left out; it never outlives the CA.
        """
        wanted = set(usages)
        key = checked_key(request.public_key())
        not_after = min(_seconds_after(now_s, lifetime_s), self.certificate.not_valid_after_utc)
        builder = x509.CertificateBuilder().subject_name(request.subject).issuer_name(self.certificate.subject)
        builder = builder.public_key(key).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(_seconds_after(now_s, 0) - WISH_BACKDATE).not_valid_after(not_after)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if (basic := requests.key_usage(wanted)) is not None:
            builder = builder.add_extension(basic, critical=True)
        if extended := requests.extended_usages(wanted):
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        ca_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(ca_key, critical=False)
        if (names := requests.alternative_names(request)) is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether ``certificate`` was signed by this CA."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def reason_to_renew(self, certificate: x509.Certificate, profile: Profile, now_s: float) -> str | None:
        """Why ``certificate`` does not serve as ``profile`` any more; ``None`` when it does."""
        if not self.issued(certificate):
            return "another authority signed it"
        if certificate.subject != subject(profile):
            return "it names somebody else"
        if set(_usages(certificate)) != set(profile.usages):
            return "its usages differ"
        if set(san_values(certificate)) != {*profile.names, *profile.addresses}:
            return "its names differ"
        # One that lasts as long as its CA cannot be made to last longer.
        expires_early = certificate.not_valid_after_utc < self.certificate.not_valid_after_utc
        if expires_early and days_left(certificate, now_s) < RENEW_DAYS:
            return f"it expires in {days_left(certificate, now_s)} days"
        return None


def checked_key(key: object) -> LeafKey:
    """``key``, if it is of a kind and size that every TLS client takes."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS_MIN:
        return key
    raise PkiError(
        f"the request's key is not usable: make one on P-256, P-384, Ed25519, or RSA from {RSA_BITS_MIN} bits"
    )


def subject(profile: Profile) -> x509.Name:
    if len(profile.common_name) > COMMON_NAME_LENGTH_MAX:
        raise PkiError(f"name {profile.common_name!r} is longer than {COMMON_NAME_LENGTH_MAX} characters: shorten it")
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, profile.common_name)]
    if profile.organisation is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, profile.organisation))
    return x509.Name(attributes)


def alternative_names(profile: Profile) -> list[x509.GeneralName]:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in profile.addresses]
    return [*(x509.DNSName(name) for name in profile.names), *addresses]


def san_values(certificate: x509.Certificate) -> list[str]:
    """Host names and addresses of a certificate, as text."""
    try:
        sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*sans.get_values_for_type(x509.DNSName), *map(str, sans.get_values_for_type(x509.IPAddress))]


def days_left(certificate: x509.Certificate, now_s: float) -> int:
    """Whole days until ``certificate`` expires; negative when it has."""
    return (certificate.not_valid_after_utc - dt.datetime.fromtimestamp(now_s, dt.UTC)).days


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _usages(certificate: x509.Certificate) -> Iterable[ObjectIdentifier]:
    try:
        return certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()


def _builder(
    name: x509.Name, issuer: x509.Name, public_key: LeafKey, now_s: float, not_after: dt.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public_key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(_days_after(now_s, 0) - BACKDATE).not_valid_after(not_after)


def _seconds_after(now_s: float, seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(now_s), dt.UTC) + dt.timedelta(seconds=int(seconds))


def _days_after(now_s: float, days: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(now_s), dt.UTC) + dt.timedelta(days=days)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
