"""Users in headers: what is told is what is understood."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from picluster.apiserver.authn import AUTHENTICATED, User
from picluster.apiserver.frontproxy import telling_headers, told_user

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
KEYS = st.text("abcdef0189/._%- :", min_size=1, max_size=12)
USERS = st.builds(
    lambda name, groups, uid, extra: User(
        name, frozenset({*groups, AUTHENTICATED}), uid, tuple(sorted((k, tuple(v)) for k, v in extra.items()))
    ),
    WORDS,
    st.lists(WORDS, max_size=3),
    st.one_of(st.just(""), WORDS),
    st.dictionaries(KEYS, st.lists(WORDS, min_size=1, max_size=3), max_size=3),
)


@given(USERS)
def test_a_user_comes_through(user: User) -> None:
    headers = CIMultiDict(telling_headers(user))
    assert told_user(CIMultiDictProxy(headers)) == user


def test_keys_are_escaped_as_header_names_must_be() -> None:
    user = User("a", frozenset(), "", (("authentication.kubernetes.io/credential-id", ("x",)),))
    assert dict(telling_headers(user)) == {
        "X-Remote-User": "a",
        "X-Remote-Extra-authentication.kubernetes.io%2Fcredential-id": "x",
    }
