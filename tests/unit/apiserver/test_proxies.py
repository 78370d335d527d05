"""Names, paths and links of the ``proxy`` subresources."""

from __future__ import annotations

import pytest

from picluster.api.errors import ApiError
from picluster.api.resources import NODES, PODS
from picluster.apiserver.connects import proxied_path, stream_options
from picluster.apiserver.proxies import Rewriting, split

HOSTS = ("", "10.0.0.1:80", "server:6443")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("web", ("", "web", "")),
        ("web:80", ("", "web", "80")),
        ("web:main", ("", "web", "main")),
        ("http:web:80", ("http", "web", "80")),
        ("https:web:", ("https", "web", "")),
        (":web:80", ("", "web", "80")),
    ],
)
def test_names_have_a_scheme_and_a_port(name: str, parts: tuple[str, str, str]) -> None:
    assert split(name, "pod") == parts


@pytest.mark.parametrize("name", ["", ":80", "ftp:web:80", "a:b:c:d", "http::80"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        split(name, "pod")
    assert (refused.value.code, refused.value.message) == (400, f'invalid pod request "{name}"')


def test_the_path_behind_a_proxy_is_as_it_was_sent() -> None:
    base = "/api/v1/namespaces/proxy/pods/proxy/proxy"
    assert proxied_path(base, PODS) == ""
    assert proxied_path(f"{base}?a=b", PODS) == ""
    assert proxied_path(f"{base}/?a=b", PODS) == "/"
    assert proxied_path(f"{base}/a//b%20/proxy/", PODS) == "/a//b%20/proxy/"
    assert proxied_path("/api/v1/nodes/proxy/proxy/x", NODES) == "/x"


@pytest.mark.parametrize(
    ("url", "rewritten"),
    [
        ("/a?b#c", "/pre/a?b#c"),
        ("/", "/pre/"),
        ("/pre/a", "/pre/a"),
        ("a/b", "a/b"),
        ("", ""),
        ("http://10.0.0.1:80/a", "/pre/a"),
        ("https://server:6443/a", "/pre/a"),
        ("http://elsewhere/a", "http://elsewhere/a"),
        ("mailto:a@b", "mailto:a@b"),
        ("http://[", "http://["),
    ],
)
def test_links_to_the_same_server_stay_behind_the_proxy(url: str, rewritten: str) -> None:
    assert Rewriting("/pre", "10.0.0.1:80").url(url, HOSTS) == rewritten


def test_the_options_of_a_stream() -> None:
    query = "command=sh&command=-c&stdin=true&tty=0&container=main&other=x"
    assert stream_options("exec", query) == {
        "kind": "PodExecOptions", "apiVersion": "v1", "command": ["sh", "-c"], "stdin": True, "tty": False,
        "container": "main",
    }  # fmt: skip
    assert stream_options("portforward", "ports=80,81&ports=82")["ports"] == [80, 81, 82]
