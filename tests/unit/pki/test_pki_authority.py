"""What the authority signs: the profile's words, the request's key, nothing else."""

from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from picluster.pki import profiles
from picluster.pki.authority import Authority, new_key, san_values
from picluster.pki.files import PkiError

NOW_S = 1_700_000_000.0
PEM = serialization.Encoding.PEM


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(new_key(), NOW_S)


def request_pem(key: object) -> bytes:
    """A request that asks for everything: masters, a CA, another's names."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
                x509.NameAttribute(NameOID.COMMON_NAME, "evil"),
            ]
        )
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("kubernetes")]), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(PEM)  # type: ignore[arg-type]


def test_the_profile_decides_never_the_request(authority: Authority) -> None:
    key = new_key()
    wanted = profiles.for_request("node", "pi-1", ["10.77.0.11"])
    certificate = authority.sign_request(wanted, request_pem(key), NOW_S)
    assert certificate.subject.rfc4514_string() == "CN=system:node:pi-1,O=system:nodes"
    assert san_values(certificate) == ["pi-1", "10.77.0.11"]
    assert certificate.public_key() == key.public_key()
    extensions = certificate.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
    }
    assert authority.issued(certificate)


@pytest.mark.parametrize("key", [
    ec.generate_private_key(ec.SECP384R1()),
    ed25519.Ed25519PrivateKey.generate(),
    rsa.generate_private_key(65537, 2048),
])  # fmt: skip
def test_usual_keys_are_taken(authority: Authority, key: object) -> None:
    authority.sign_request(profiles.admin(), request_pem(key), NOW_S)


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())])
def test_weak_and_odd_keys_are_refused(authority: Authority, key: object) -> None:
    with pytest.raises(PkiError, match="key is not usable"):
        authority.sign_request(profiles.admin(), request_pem(key), NOW_S)


def test_a_request_for_a_key_of_another_is_refused(authority: Authority) -> None:
    request = x509.load_pem_x509_csr(request_pem(new_key()))
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-3] ^= 0xFF
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(PEM)
    with pytest.raises(PkiError, match="does not fit its key"):
        authority.sign_request(profiles.admin(), forged, NOW_S)


@pytest.mark.parametrize("pem", [b"", b"garbage", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END"])
def test_what_is_no_request_is_said(authority: Authority, pem: bytes) -> None:
    with pytest.raises(PkiError, match="not a certificate signing request"):
        authority.sign_request(profiles.admin(), pem, NOW_S)


def test_the_clock_of_a_board_may_be_behind(authority: Authority) -> None:
    certificate = authority.sign(profiles.scheduler(), new_key().public_key(), NOW_S)
    assert certificate.not_valid_before_utc.timestamp() == NOW_S - 3600


def test_another_authority_is_not_ours(authority: Authority) -> None:
    other = Authority.create(new_key(), NOW_S)
    certificate = other.sign(profiles.scheduler(), new_key().public_key(), NOW_S)
    assert not authority.issued(certificate)
    assert authority.reason_to_renew(certificate, profiles.scheduler(), NOW_S) == "another authority signed it"


@pytest.mark.parametrize(("wanted", "reason"), [
    (profiles.node("pi-1", ["10.77.0.11"]), None),
    (profiles.node("pi-2", ["10.77.0.11"]), "it names somebody else"),
    (profiles.node("pi-1", ["10.77.0.12"]), "its names differ"),
    (profiles.Profile("system:node:pi-1", "system:nodes", (profiles.CLIENT,)), "its usages differ"),
])  # fmt: skip
def test_when_a_certificate_serves_no_more(authority: Authority, wanted: profiles.Profile, reason: str | None) -> None:
    certificate = authority.sign(profiles.node("pi-1", ["10.77.0.11"]), new_key().public_key(), NOW_S)
    assert authority.reason_to_renew(certificate, wanted, NOW_S) == reason


@pytest.mark.parametrize(("kind", "name", "sans", "message"), [
    ("node", None, [], "needs the node's name"),
    ("node", "Pi_1", [], "lower-case"),
    ("node", "a" * 60, [], "longer than 64"),
    ("node", "pi-1", ["10.77.0.300"], None),  # a host name, oddly, but a legal one
    ("node", "pi-1", ["a b"], "not usable"),
    ("scheduler", "x", [], "leave --name out"),
    ("admin", None, ["10.0.0.1"], "leave --ip"),
])  # fmt: skip
def test_words_that_do_not_fit(
    authority: Authority, kind: str, name: str | None, sans: list[str], message: str | None
) -> None:
    if message is None:
        profiles.for_request(kind, name, sans)
        return
    with pytest.raises(PkiError, match=message):
        authority.sign(profiles.for_request(kind, name, sans), new_key().public_key(), NOW_S)


def test_addresses_are_addresses() -> None:
    names, addresses = profiles.split_sans(["::1", "0:0::1", "Pi-1", "10.0.0.1"])
    assert names == ("pi-1",)
    assert [ipaddress.ip_address(address).version for address in addresses] == [4, 6]
