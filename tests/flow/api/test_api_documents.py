"""Documents that clients keep, and the time that clients give a request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from picluster.apiserver.deadline import within

MAPS = "/api/v1/namespaces/default/configmaps"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/api", AGGREGATED), ("/apis", AGGREGATED), ("/openapi/v2", "application/json"), ("/openapi/v3", "*/*")],
)
async def test_who_has_the_document_is_not_sent_it_again(admin: Any, path: str, accept: str) -> None:
    first = await admin.get(path, Accept=accept)
    assert first.code == 200 and "Accept" in first.headers["Vary"].split(", ")
    again = await admin.get(path, Accept=accept, If_None_Match=first.headers["Etag"])
    assert (again.code, again.body, again.headers["Etag"]) == (304, "", first.headers["Etag"])
    assert (await admin.get(path, Accept=accept, If_None_Match='"OTHER"')).body == first.body


async def test_a_document_is_kept_for_ever_under_its_hash(admin: Any) -> None:
    url = (await admin.get("/openapi/v3")).body["paths"]["apis/apps/v1"]["serverRelativeURL"]
    found = await admin.get(url)
    assert found.headers["Cache-Control"] == "public, immutable" and found.headers["Expires"].endswith("GMT")
    assert found.headers["Etag"] == f'"{url.partition("hash=")[2]}"'
    assert "Expires" not in (await admin.get("/openapi/v3/apis/apps/v1")).headers
    async with admin.session.get("/openapi/v3/apis/apps/v1?hash=OLD", allow_redirects=False) as moved:
        assert (moved.status, moved.headers["Location"]) == (301, url)


@pytest.mark.parametrize(
    ("wanted", "code"), [("", 200), ("0s", 200), ("34s", 200), ("1h", 200), ("-1s", 200), ("invalid", 400), ("5", 400)]
)
async def test_the_timeout_of_a_request_is_a_duration(admin: Any, wanted: str, code: int) -> None:
    found = await admin.get(f"{MAPS}?timeout={wanted}")
    assert found.code == code
    if code == 400:
        assert found.body["message"].startswith("invalid timeout specified in the request URL - time: ")


async def test_a_watch_has_no_deadline(admin: Any) -> None:
    watch = await admin.watch(f"{MAPS}?timeout=1ms")
    await admin.create(MAPS, {"metadata": {"name": "a"}})
    assert (await watch.next())["object"]["metadata"]["name"] == "a"


async def test_the_answer_is_504_and_the_work_goes_on() -> None:
    done = asyncio.Event()

    async def serving() -> Any:
        await asyncio.sleep(0.02)
        done.set()
        raise ValueError("nobody hears of this")

    with pytest.raises(Exception, match="did not complete within the allotted timeout") as refused:
        await within("1ms", serving())
    assert refused.value.code == 504  # type: ignore[attr-defined]
    await asyncio.wait_for(done.wait(), 5)
