from __future__ import annotations

import re

import pytest

from picluster.lab.digest import NONCE_AGE_MAX_S, NONCES_MAX, DigestAuth, response, sha256
from picluster.util.clock import VirtualClock

URI = "/rpc/Switch.Set?id=1&on=false"


def test_the_response_is_rfc_7616s() -> None:
    """Section 3.9.1 of the RFC has this very exchange."""
    ha1 = sha256("Mufasa:http-auth@example.org:Circle of Life")
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert response(ha1, "GET", "/dir/index.html", nonce, "00000001", cnonce) == expected


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def auth(clock: VirtualClock) -> DigestAuth:
    return DigestAuth("strip", "admin", "secret", clock)


def header(
    challenge: str, *, method: str = "GET", uri: str = URI, user: str = "admin", password: str = "secret"
) -> str:
    found = re.search('nonce="([^"]+)"', challenge)
    assert found
    answer = response(sha256(f"{user}:strip:{password}"), method, uri, found[1], "00000001", "c")
    return (
        f'Digest username="{user}", realm="strip", nonce="{found[1]}", uri="{uri}", algorithm=SHA-256,'
        f' qop=auth, nc=00000001, cnonce="c", response="{answer}"'
    )


def test_who_knows_the_password_may(auth: DigestAuth) -> None:
    challenge = auth.challenge()
    assert "algorithm=SHA-256" in challenge
    assert 'qop="auth"' in challenge
    assert auth.allows("GET", URI, header(challenge))


@pytest.mark.parametrize(
    "wrong", [{"password": "guess"}, {"user": "root"}, {"method": "POST"}, {"uri": "/rpc/Switch.Set?id=2&on=false"}]
)
def test_anything_else_may_not(auth: DigestAuth, wrong: dict[str, str]) -> None:
    assert not auth.allows("GET", URI, header(auth.challenge(), **wrong))


@pytest.mark.parametrize("text", ["", "Basic YWRtaW46c2VjcmV0", "Digest", 'Digest nonce="made up"', "Digest ,,=,"])
def test_other_headers_may_not(auth: DigestAuth, text: str) -> None:
    assert not auth.allows("GET", URI, text)


async def test_nonces_age_and_are_bounded(auth: DigestAuth, clock: VirtualClock) -> None:
    first, second = auth.challenge(), auth.challenge()
    for _ in range(NONCES_MAX - 1):
        auth.challenge()
    assert not auth.allows("GET", URI, header(first))
    assert auth.allows("GET", URI, header(second))
    await clock.advance(NONCE_AGE_MAX_S + 1)
    assert not auth.allows("GET", URI, header(second))
