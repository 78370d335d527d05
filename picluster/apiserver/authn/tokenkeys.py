"""The keys of service account tokens, and what tokens are for: loaded when the first token comes or is asked for.

A control plane that never sees a token never loads a cryptographic library for them (13 MiB).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter

from picluster.apiserver.authn.result import InvalidToken

if TYPE_CHECKING:
    from picluster.pki.tokens import Signer, Verifier

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class ServiceAccountConfig:
    """kube-apiserver's ``--service-account-*`` flags.

    The first of ``issuers`` makes new tokens, all are accepted. ``keys`` are the public keys that are accepted, by
    default that of ``signing_key``. ``audiences`` are those of the API server itself, by default the issuers.
    """

    signing_key: Path
    keys: tuple[Path, ...] = ()
    issuers: tuple[str, ...] = (DEFAULT_ISSUER,)
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    lifetime_max_s: int = 0
    extend_lifetime: bool = True


class TokenKeys:
    def __init__(self, config: ServiceAccountConfig, stale: Counter) -> None:
        self.config = config
        self.issuers = config.issuers
        self.audiences = config.audiences or config.issuers
        self.stale = stale

    @cached_property
    def signer(self) -> Signer:
        """Raises ``PkiError``."""
        from picluster.pki.tokens import Signer

        return Signer.load(self.config.signing_key)

    @cached_property
    def verifier(self) -> Verifier:
        """Raises ``PkiError``."""
        from picluster.pki.tokens import Verifier

        return Verifier.load(self.config.keys or (self.config.signing_key,))

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says; raises ``InvalidToken`` unless a key of ours has signed it."""
        from picluster.pki.tokens import BadToken

        try:
            return self.verifier.claims(token)
        except BadToken:
            raise InvalidToken("invalid bearer token") from None

    def sign(self, claims: Mapping[str, Any]) -> str:
        return self.signer.sign(claims)
