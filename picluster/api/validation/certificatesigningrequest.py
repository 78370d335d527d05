"""CertificateSigningRequests. Source: ``pkg/apis/certificates/validation``.

``cryptography`` is imported when the first request is looked at.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from picluster.api import names
from picluster.api.errors import (
    FieldError,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from picluster.api.types import Object
from picluster.api.validation import metadata

Failures = list[FieldError]

LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
EXPIRATION_MIN_S = 600
SIGNER_PATH_MAX = names.SUBDOMAIN_MAX + names.LABEL_MAX + 1
APPROVALS = ("Approved", "Denied")
ONLY_TRUE = ("Approved", "Denied", "Failed")
USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
_PEM_RE = re.compile(rb"-----BEGIN ([^-\n]+)-----\r?\n(.*?)-----END \1-----", re.DOTALL)


def validate(csr: Object) -> Failures:
    failures: Failures = []
    metadata.validate(csr["metadata"], failures, namespaced=False, name=_any_name)
    _spec(csr.get("spec") or {}, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    return _update(new, old)


def validate_status(new: Object, old: Object) -> Failures:
    """The signer's: the certificate, once."""
    return _update(new, old, may_sign=True)


def validate_approval(new: Object, old: Object) -> Failures:
    return _update(new, old, may_approve=True)


def _any_name(name: str) -> names.Messages:
    return ()


def _update(new: Object, old: Object, *, may_sign: bool = False, may_approve: bool = False) -> Failures:
    failures: Failures = []
    status, old_status = new.get("status") or {}, old.get("status") or {}
    conditions, old_conditions = status.get("conditions") or [], old_status.get("conditions") or []
    _conditions(conditions, old_conditions, failures)
    certificate, old_certificate = status.get("certificate"), old_status.get("certificate")
    if certificate != old_certificate:
        _certificate(certificate or "", failures)
    _kept_conditions(conditions, old_conditions, failures, may_approve=may_approve)
    if certificate != old_certificate:
        if not may_sign:
            failures.append(forbidden_field("status.certificate", "updates may not set certificate content"))
        elif old_certificate:
            detail = "updates may not modify existing certificate content"
            failures.append(forbidden_field("status.certificate", detail))
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    request, usages = spec.get("request") or "", spec.get("usages") or []
    objection = _request_objection(request)
    if objection:
        failures.append(invalid_value("spec.request", request, objection))
    if not usages:
        failures.append(required("spec.usages"))
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            failures.append(not_supported(f"spec.usages[{index}]", usage, USAGES))
    for index, usage in enumerate(usages):
        if usage in usages[:index]:
            failures.append(duplicate(f"spec.usages[{index}]", usage))
    signer, expiration_s = spec.get("signerName") or "", spec.get("expirationSeconds")
    if signer == LEGACY_SIGNER:
        detail = "the legacy signerName is not allowed via this API version"
        failures.append(invalid_value("spec.signerName", signer, detail))
    else:
        signer_name(signer, "spec.signerName", failures)
    if expiration_s is not None and expiration_s < EXPIRATION_MIN_S:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        failures.append(invalid_value("spec.expirationSeconds", expiration_s, detail))


def signer_name(name: str, path: str, failures: Failures) -> None:
    """``example.com/signer-name``: a domain, and what it calls the signer."""
    if not name:
        failures.append(required(path))
        return
    if name.count("/") != 1:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        failures.append(invalid_value(path, name, detail))
        return
    domain, _, rest = name.partition("/")
    if len(domain) > names.SUBDOMAIN_MAX:
        failures.append(too_long(path, names.SUBDOMAIN_MAX))
    for label in domain.split("."):
        for message in names.dns1123_label(label):
            failures.append(invalid_value(path, domain, f'validating label "{label}": {message}'))
    if "." not in domain:
        detail = "should be a domain with at least two segments separated by dots"
        failures.append(invalid_value(path, domain, detail))
    for label in rest.split("."):
        for message in names.dns1123_subdomain(label):
            failures.append(invalid_value(path, rest, f'validating label "{label}": {message}'))
    if len(rest) > SIGNER_PATH_MAX:
        failures.append(too_long(path, SIGNER_PATH_MAX))


def _pem(encoded: str) -> list[tuple[str, bytes]]:
    """The blocks of a base64-wrapped PEM text, each by type and whole."""
    return [(found[1].decode(errors="replace"), found[0]) for found in _PEM_RE.finditer(base64.b64decode(encoded))]


def _request_objection(encoded: str) -> str:
    """Why ``encoded`` is no request that its own key has signed; empty if it is one."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    blocks = _pem(encoded)
    if not blocks or blocks[0][0] != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(blocks[0][1])
        return "" if request.is_signature_valid else "x509: the signature does not fit the request"
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return f"x509: malformed certificate request: {error}"


def _certificate(encoded: str, failures: Failures) -> None:
    if encoded:
        objection = _certificate_objection(encoded)
        if objection:
            failures.append(invalid_value("status.certificate", "<certificate data>", objection))


def _certificate_objection(encoded: str) -> str:
    from cryptography import x509

    blocks = _pem(encoded)
    for kind, block in blocks:
        if kind != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind}"'
        if b":" in block:
            return "no PEM block headers are permitted"
        try:
            x509.load_pem_x509_certificate(block)
        except ValueError as error:
            return f"x509: malformed certificate: {error}"
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"


def _conditions(conditions: list[Object], old: Iterable[Object], failures: Failures) -> None:
    seen: set[str] = set()
    tolerated = {condition.get("type") for condition in old}
    for index, condition in enumerate(conditions):
        path, kind, status = f"status.conditions[{index}]", condition.get("type") or "", condition.get("status") or ""
        if not kind:
            failures.append(required(f"{path}.type"))
        allowed = ("True",) if kind in ONLY_TRUE else ("False", "True", "Unknown")
        if not status:
            failures.append(required(f"{path}.status"))
        elif status not in allowed:
            failures.append(not_supported(f"{path}.status", status, allowed))
        opposite = {"Approved": "Denied", "Denied": "Approved"}.get(kind)
        if opposite in seen and not {kind, opposite} <= tolerated:
            detail = "Approved and Denied conditions are mutually exclusive"
            failures.append(invalid_value(f"{path}.type", kind, detail))
        if kind in seen:
            failures.append(duplicate(f"{path}.type", kind))
        seen.add(kind)


def _kept_conditions(new: list[Object], old: list[Object], failures: Failures, *, may_approve: bool) -> None:
    path = "status.conditions"
    found = {kind: [c for c in new if c.get("type") == kind] for kind in ONLY_TRUE}
    before = {kind: [c for c in old if c.get("type") == kind] for kind in ONLY_TRUE}
    for kind in ONLY_TRUE:
        if len(found[kind]) < len(before[kind]):
            failures.append(forbidden_field(path, f'updates may not remove a condition of type "{kind}"'))
    if may_approve:
        return
    for kind in APPROVALS:
        if len(found[kind]) > len(before[kind]):
            failures.append(forbidden_field(path, f'updates may not add a condition of type "{kind}"'))
        elif len(found[kind]) == len(before[kind]) and found[kind] != before[kind]:
            failures.append(forbidden_field(path, f'updates may not modify a condition of type "{kind}"'))
