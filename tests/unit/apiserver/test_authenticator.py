"""Where a bearer token is found in a request, and who of several authenticators is believed."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from picluster.api.errors import ApiError
from picluster.apiserver.authn import ANONYMOUS, User
from picluster.apiserver.authn.authenticator import Authenticator, bearer_token
from picluster.apiserver.authn.result import Authenticated, InvalidToken

ALICE = User("alice", frozenset())


def request_with(**headers: str) -> web.BaseRequest:
    return cast(web.BaseRequest, SimpleNamespace(headers={k.replace("_", "-"): v for k, v in headers.items()}))


def in_protocol(token: str) -> str:
    return "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(token.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, ""),
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc "}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
        ({"Upgrade": "websocket", "Sec_WebSocket_Protocol": f"v5.channel.k8s.io, {in_protocol('abc')}"}, "abc"),
        ({"Upgrade": "websocket", "Sec_WebSocket_Protocol": in_protocol("abc")}, ""),
        ({"Sec_WebSocket_Protocol": f"v5.channel.k8s.io, {in_protocol('abc')}"}, ""),
    ],
)
def test_where_a_token_is(headers: dict[str, str], token: str) -> None:
    assert bearer_token(request_with(**headers)) == token


class Says:
    """Takes one token, refuses another, and knows no more."""

    def __init__(self, good: str, bad: str = "") -> None:
        self.good, self.bad = good, bad

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Authenticated | None:
        if token == self.bad:
            raise InvalidToken(f"{self.good} refuses")
        return Authenticated(ALICE, audiences) if token == self.good else None


def test_the_first_that_takes_a_token_is_believed() -> None:
    authenticator = Authenticator([Says("a", bad="b"), Says("b")], ("api",))
    assert authenticator.token("b", ("api",)) == Authenticated(ALICE, ("api",))
    assert authenticator.authenticate(request_with(Authorization="Bearer a"), ANONYMOUS).user is ALICE


def test_a_refusal_says_why_to_a_review_and_401_to_the_client() -> None:
    authenticator = Authenticator([Says("a", bad="x"), Says("b", bad="x")], ("api",))
    with pytest.raises(InvalidToken, match=r"\[a refuses, b refuses\]"):
        authenticator.token("x", ("api",))
    with pytest.raises(InvalidToken, match="invalid bearer token"):
        authenticator.token("unknown", ("api",))
    with pytest.raises(ApiError) as refused:
        authenticator.authenticate(request_with(Authorization="Bearer unknown"), ANONYMOUS)
    assert refused.value.code == 401


def test_a_certificate_counts_more_than_a_token_and_nobody_is_anonymous() -> None:
    authenticator = Authenticator([Says("a")], ("api",))
    peer: Any = User("bob", frozenset())
    assert authenticator.authenticate(request_with(Authorization="Bearer nonsense"), peer).user is peer
    assert authenticator.authenticate(request_with(), ANONYMOUS).user is ANONYMOUS
