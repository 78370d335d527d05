"""Certificate signing requests of the Certificates API: what they ask for, and which signer takes them.

Source: ``pkg/apis/certificates`` (helpers) and ``pkg/controller/certificates/signer`` of Kubernetes. Unlike the
profiles of this package, a certificate signed here says what its request says, once somebody has approved that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from picluster.pki.files import PkiError

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING_SIGNER = "kubernetes.io/kubelet-serving"
LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT_SIGNER, KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER, LEGACY_SIGNER)
NODE_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
SIGNATURE, ENCIPHERMENT, CLIENT, SERVER = "digital signature", "key encipherment", "client auth", "server auth"

BASIC = frozenset({
    "signing", SIGNATURE, "content commitment", ENCIPHERMENT, "data encipherment", "key agreement", "cert sign",
    "crl sign",
})  # fmt: skip
EXTENDED = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request wants its certificate to say."""

    common_name: str
    organizations: tuple[str, ...]
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


def parse(pem: bytes) -> x509.CertificateSigningRequest:
    """Raises ``PkiError`` for what is no request, or one whose sender does not hold its key."""
    try:
        request = x509.load_pem_x509_csr(pem)
        proven = request.is_signature_valid
    except Exception as error:  # the parser raises more kinds than it documents for what is not ASN.1 of a request
        raise PkiError("this is not a certificate signing request in PEM") from error
    if not proven:
        raise PkiError("the request's signature does not fit its key")
    return request


def wish_of(request: x509.CertificateSigningRequest) -> Wish:
    def texts(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid))

    common_names = texts(NameOID.COMMON_NAME)
    names = alternative_names(request)
    return Wish(
        common_names[-1] if common_names else "",
        texts(NameOID.ORGANIZATION_NAME),
        tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        tuple(map(str, names.get_values_for_type(x509.IPAddress))) if names else (),
        tuple(names.get_values_for_type(x509.RFC822Name)) if names else (),
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
    )


def alternative_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def kubelet_client_refusal(wish: Wish, usages: Collection[str]) -> str:
    """Why this is no request for a node's identity; empty when it is (``ValidateKubeletClientCSR``)."""
    if wish.organizations != (NODE_GROUP,):
        return "subject organization is not system:nodes"
    for what, values in (("DNS", wish.names), ("Email", wish.emails), ("IP", wish.addresses), ("URI", wish.uris)):
        if values:
            return f"{what} subjectAltNames are not allowed"
    if not wish.common_name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    if set(usages) not in ({ENCIPHERMENT, SIGNATURE, CLIENT}, {SIGNATURE, CLIENT}):
        return f"usages did not match [{ENCIPHERMENT} {SIGNATURE} {CLIENT}]"
    return ""


def kubelet_serving_refusal(wish: Wish, usages: Collection[str]) -> str:
    """Why this is no request for a node's own server; empty when it is (``ValidateKubeletServingCSR``)."""
    if wish.organizations != (NODE_GROUP,):
        return "subject organization is not system:nodes"
    if not wish.names and not wish.addresses:
        return "DNS or IP subjectAltName is required"
    for what, values in (("Email", wish.emails), ("URI", wish.uris)):
        if values:
            return f"{what} subjectAltNames are not allowed"
    if not wish.common_name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    if set(usages) not in ({ENCIPHERMENT, SIGNATURE, SERVER}, {SIGNATURE, SERVER}):
        return f"usages did not match [{ENCIPHERMENT} {SIGNATURE} {SERVER}]"
    return ""


def client_refusal(usages: Collection[str]) -> str:
    """Why these are no usages of a client (``validAPIServerClientUsages``)."""
    strange = sorted(set(usages) - {SIGNATURE, ENCIPHERMENT, CLIENT})
    if strange:
        return f"invalid usage for client certificate: {strange[0]}"
    return "" if CLIENT in usages else f"missing required usage for client certificate: {CLIENT}"


def key_usage(usages: Collection[str]) -> x509.KeyUsage | None:
    """The basic usages of a certificate, by the API's words; ``None`` without any, since an empty list is invalid."""
    if not BASIC & set(usages):
        return None
    return x509.KeyUsage(
        digital_signature=bool({SIGNATURE, "signing"} & set(usages)),
        content_commitment="content commitment" in usages,
        key_encipherment=ENCIPHERMENT in usages,
        data_encipherment="data encipherment" in usages,
        key_agreement="key agreement" in usages,
        key_cert_sign="cert sign" in usages,
        crl_sign="crl sign" in usages,
        encipher_only="encipher only" in usages and "key agreement" in usages,
        decipher_only="decipher only" in usages and "key agreement" in usages,
    )


def extended_usages(usages: Collection[str]) -> list[x509.ObjectIdentifier]:
    return [oid for word, oid in EXTENDED.items() if word in usages]


def refusal(signer: str, wish: Wish, usages: Collection[str]) -> str:
    """Why ``signer`` does not sign this; empty when it does."""
    if signer == CLIENT_SIGNER:
        return client_refusal(usages)
    if signer == KUBELET_CLIENT_SIGNER:
        return kubelet_client_refusal(wish, usages)
    if signer == KUBELET_SERVING_SIGNER:
        return kubelet_serving_refusal(wish, usages)
    return ""
