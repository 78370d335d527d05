"""CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may approve, sign and ask for what.

Sources: ``plugin/pkg/admission/certificates`` and ``pkg/apis/certificates``. Approving and signing are permissions on
the signer (verbs ``approve`` and ``sign`` on ``signers``), by its name or by ``<domain>/*``.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from picluster.api import errors
from picluster.api.resources import CERTIFICATE_SIGNING_REQUESTS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes
from picluster.apiserver.authn import User
from picluster.apiserver.authz import MASTERS
from picluster.apiserver.authz import attributes as asked
from picluster.apiserver.authz.chain import Chain

if TYPE_CHECKING:
    from picluster.pki.requests import Wish

GROUP = "certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateApproval:
    name = "CertificateApproval"

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is CERTIFICATE_SIGNING_REQUESTS and subresource == "approval" and operation == UPDATE

    async def validate(self, attributes: Attributes) -> None:
        signer = _signer(attributes.obj)
        if not may(self._chain, attributes.user, "approve", signer):
            raise _refusal(attributes, f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning:
    name = "CertificateSigning"

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is CERTIFICATE_SIGNING_REQUESTS and subresource == "status" and operation == UPDATE

    async def validate(self, attributes: Attributes) -> None:
        if _signed(attributes.obj) == _signed(attributes.old):
            return
        signer = _signer(attributes.old)
        if not may(self._chain, attributes.user, "sign", signer):
            raise _refusal(attributes, f'user not permitted to sign requests with signerName "{signer}"')


class CertificateSubjectRestriction:
    name = "CertificateSubjectRestriction"

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is CERTIFICATE_SIGNING_REQUESTS and not subresource and operation == CREATE

    async def validate(self, attributes: Attributes) -> None:
        if _signer(attributes.obj) != CLIENT_SIGNER:
            return
        try:
            wish = wished((attributes.obj or {}).get("spec") or {})
        except ValueError as error:
            raise _refusal(attributes, f"failed to parse CSR: {error}") from None
        if MASTERS in wish.organizations:
            raise _refusal(attributes, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


def may(chain: Chain, user: User, verb: str, signer: str) -> bool:
    """Whether ``user`` may ``verb`` for ``signer`` (``IsAuthorizedForSignerName``)."""
    names = (signer, f"{signer.partition('/')[0]}/*")
    questions = (asked.Attributes(user, verb, "", GROUP, "*", "signers", name=name) for name in names)
    return any(chain.decide(question).allowed for question in questions)


def wished(spec: Object) -> Wish:
    """What the request of a CertificateSigningRequest wants; raises ``ValueError`` when it cannot be read."""
    from picluster.pki.files import PkiError
    from picluster.pki.requests import parse, wish_of

    try:
        return wish_of(parse(base64.b64decode(spec.get("request", ""), validate=True)))
    except (PkiError, binascii.Error) as error:
        raise ValueError(str(error)) from error


def _signer(request: Object | None) -> str:
    return str(((request or {}).get("spec") or {}).get("signerName", ""))


def _signed(request: Object | None) -> tuple[object, object]:
    status = (request or {}).get("status") or {}
    return status.get("certificate"), status.get("conditions") or []


def _refusal(attributes: Attributes, why: str) -> errors.ApiError:
    resource = CERTIFICATE_SIGNING_REQUESTS
    return errors.forbidden(resource.group, resource.plural, attributes.name, why)
