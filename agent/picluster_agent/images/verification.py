"""Who may use an image that is here already: KEP-2535, ``pkg/kubelet/images/pullmanager``. Pure.

What one pod's credentials pulled, another pod gets only with credentials of its own; what was there before, loaded by
hand or with the board, everybody gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from picluster_agent.images.credentials import Credential
from picluster_agent.images.reference import Reference

POLICIES = ("NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify")
DEFAULT_POLICY = "NeverVerifyPreloadedImages"
SECRETS_MAX = 100


@dataclass(frozen=True, slots=True)
class Proof:
    """A Secret whose credentials were good for an image; ``digest`` stands for what was in it."""

    uid: str
    namespace: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the images of one repository: everybody on the node, or holders of these Secrets."""

    everybody: bool = False
    proofs: tuple[Proof, ...] = ()

    def with_credential(self, credential: Credential | None) -> Access:
        """After a pull with ``credential``, or without any."""
        proof = proof_of(credential) if credential is not None else None
        if proof is None:
            return Access(everybody=True)
        if self.everybody:
            return self
        rest = tuple(one for one in self.proofs if not _same_secret(one, proof))
        return replace(self, proofs=(*rest, proof)[-SECRETS_MAX:])


def proof_of(credential: Credential) -> Proof | None:
    """``None`` for a credential of the node, which needs no proof."""
    source = credential.source
    return Proof(source.uid, source.namespace, source.name, credential.digest) if source else None


def must_verify(policy: str, allowed: Iterable[str], reference: Reference, *, pulled_here: bool) -> bool:
    """Whether credentials count at all for an image that is present. ``allowed`` are names or ``host/path/*``."""
    if policy == "NeverVerify":
        return False
    if policy == "NeverVerifyPreloadedImages":
        return pulled_here
    if policy == "NeverVerifyAllowlistedImages":
        name = reference.text.partition("@")[0]
        head, slash, tail = name.rpartition("/")
        name = head + slash + tail.partition(":")[0]
        return not any(name == one or (one.endswith("/*") and name.startswith(one[:-1])) for one in allowed)
    return True


def may_use(access: Access | None, credentials: Sequence[Credential]) -> bool:
    """Whether somebody with ``credentials`` may use what ``access`` is about.

    The same Secret counts with other content too, and the same content in another Secret.
    """
    if access is None:
        return False
    if access.everybody:
        return True
    mine = [proof for one in credentials if (proof := proof_of(one)) is not None]
    return any(one.digest == known.digest or _same_secret(one, known) for one in mine for known in access.proofs)


def _same_secret(one: Proof, other: Proof) -> bool:
    return (one.uid, one.namespace, one.name) == (other.uid, other.namespace, other.name)
