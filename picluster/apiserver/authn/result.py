"""What an authenticator of tokens says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from picluster.apiserver.authn.user import User


class Authenticated(NamedTuple):
    """A good token: whose, for which of the wanted audiences, and what an audit event shall say of it."""

    user: User
    audiences: tuple[str, ...]
    annotations: tuple[tuple[str, str], ...] = ()


class InvalidToken(Exception):
    """A token of the authenticator's kind that is not good; the message is that of a TokenReview."""


class TokenAuthenticator(Protocol):
    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        """``None`` for a token of some other kind; raises ``InvalidToken``."""
        ...


def common(wanted: Iterable[str], offered: Iterable[str]) -> tuple[str, ...]:
    """What both have, in the order of ``wanted`` (``Audiences.Intersect``)."""
    there = set(offered)
    return tuple(audience for audience in wanted if audience in there)
