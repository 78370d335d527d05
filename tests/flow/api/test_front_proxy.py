"""Front proxies: whom they speak for, who is no front proxy, and how extension API servers learn of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from picluster.apiserver.frontproxy import FrontProxy, told_user
from picluster.apiserver.server import ApiServer
from picluster.pki.bundle import Bundle, ensure_leaf, load_authority
from picluster.pki.profiles import CLIENT, Profile
from picluster.util.clock import SYSTEM_CLOCK

WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
TRUST = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


def front_proxy(pki: Bundle, **more: Any) -> FrontProxy:
    names = ("front-proxy-ca", "front-proxy-client")
    return FrontProxy(pki.certificate(names[0]), pki.certificate(names[1]), pki.key(names[1]), **more)


@pytest.fixture
async def server(start: Callable[..., Awaitable[ApiServer]], pki: Bundle) -> ApiServer:
    return await start(front_proxy=front_proxy(pki))


async def test_a_front_proxy_speaks_for_whom_its_headers_name(server: ApiServer, caller: Any) -> None:
    proxy = await caller(server, "front-proxy-client")
    told = {
        "X-Remote-User": "ann",
        "X-Remote-Group": "system:masters",
        "X-Remote-Uid": "7",
        "X-Remote-Extra-A%2fb": "c",
    }
    async with proxy.session.post(WHO, json={}, headers=told) as answer:
        info = (await answer.json())["status"]["userInfo"]
    assert (info["username"], info["uid"]) == ("ann", "7")
    assert {"system:masters", "system:authenticated"} <= set(info["groups"])
    assert info["extra"]["a/b"] == ["c"]
    assert (await proxy.get("/api/v1/namespaces", **{"X-Remote-User": "nobody"})).code == 403
    assert (await proxy.get("/api/v1/namespaces")).code == 401


async def test_others_are_who_they_are_whatever_their_headers_say(server: ApiServer, caller: Any, pki: Bundle) -> None:
    told = {"X-Remote-User": "ann", "X-Remote-Group": "system:masters"}
    for name, code in (("scheduler", 403), (None, 401)):
        someone = await caller(server, name)
        answer = await someone.get("/api/v1/secrets", **told)
        assert answer.code == code
    impostor = Profile("kubernetes-admin", "system:masters", (CLIENT,))
    proxies = load_authority(pki.directory, "front-proxy-ca")
    ensure_leaf(pki, "impostor", impostor, proxies, SYSTEM_CLOCK.now())
    someone = await caller(server, "impostor")
    assert (await someone.get("/api/v1/secrets", **told)).code == 401
    assert (await (await caller(server)).get("/api/v1/secrets")).code == 200


async def test_what_extension_servers_read(server: ApiServer, caller: Any, pki: Bundle) -> None:
    data = (await (await caller(server)).get(TRUST)).body["data"]
    assert data["client-ca-file"] == pki.certificate("ca").read_text()
    assert data["requestheader-client-ca-file"] == pki.certificate("front-proxy-ca").read_text()
    lists = {key.removeprefix("requestheader-"): json.loads(text) for key, text in data.items() if text[0] == "["}
    assert lists == {
        "allowed-names": ["front-proxy-client"],
        "username-headers": ["X-Remote-User"],
        "uid-headers": ["X-Remote-Uid"],
        "group-headers": ["X-Remote-Group"],
        "extra-headers-prefix": ["X-Remote-Extra-"],
    }


def test_headers_without_a_user_tell_nothing() -> None:
    from multidict import CIMultiDict, CIMultiDictProxy

    assert told_user(CIMultiDictProxy(CIMultiDict({"X-Remote-Group": "system:masters"}))) is None
