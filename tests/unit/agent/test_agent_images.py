"""Names of images, credentials for them, who may use one, what a failed pull says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.util.clock import SYSTEM_CLOCK
from picluster_agent.durations import go_duration
from picluster_agent.images import errors, secrets
from picluster_agent.images.counting import size_bucket
from picluster_agent.images.credentials import Credential, CredentialsError, Keyring, Source, lookup
from picluster_agent.images.errors import ImageError, PullError, explained
from picluster_agent.images.progress import Progress
from picluster_agent.images.puller import Puller, PullsFailed
from picluster_agent.images.records import Records
from picluster_agent.images.reference import InvalidReference, parse
from picluster_agent.images.verification import Access, may_use, must_verify
from picluster_agent.podman.client import PodmanError

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/team/app:1", "docker.io/team/app:1"),
        ("pi-0:5000/app", "pi-0:5000/app:latest"),
        ("localhost/app:1", "localhost/app:1"),
        ("registry.example/a/b/c:v1.2-x", "registry.example/a/b/c:v1.2-x"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"quay.io/a/b:1@{DIGEST}", f"quay.io/a/b@{DIGEST}"),
        ("[fd00::1]:5000/app", "[fd00::1]:5000/app:latest"),
        ("UPPER/app", "UPPER/app:latest"),
    ],
)
def test_a_name_in_full(text: str, full: str) -> None:
    assert parse(text).full == full


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("quay.io/A/b:1", "invalid reference format: repository name (A/b) must be lowercase"),
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("app:", "invalid reference format"),
        ("app:-1", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("https://quay.io/a", "invalid reference format"),
        ("app@sha256:abc", "invalid reference format"),
        (f"app@sha256:{'0' * 63}", "invalid checksum digest length"),
        (f"app@md5:{'0' * 32}", "unsupported digest algorithm"),
        (f"app@sha256:{'A' * 64}", "invalid checksum digest format"),
        ("a/" * 128 + "b", "repository name must not be more than 255 characters"),
        ("b" * 64, f"invalid repository name ({'b' * 64}), cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_no_name(text: str, why: str) -> None:
    with pytest.raises(InvalidReference) as error:
        parse(text)
    assert str(error.value) == f'couldn\'t parse image name "{text}": {why}'


@given(st.text(alphabet="abAB01.:/@-_ ", max_size=40))
def test_a_name_in_full_means_itself(text: str) -> None:
    try:
        full = parse(text).full
    except InvalidReference:
        return
    assert parse(full).full == full


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("app:1", ("docker.io/library/app:1", "localhost/app:1")),
        ("team/app", ("docker.io/team/app:latest", "localhost/team/app:latest")),
        ("docker.io/library/app:1", ("docker.io/library/app:1",)),
        ("quay.io/a:1", ("quay.io/a:1",)),
        ("localhost/app", ("localhost/app:latest",)),
        (f"sha256:{'c' * 64}", (f"sha256:{'c' * 64}", f"docker.io/library/sha256:{'c' * 64}")),
    ],
)
def test_what_an_image_is_called_here(text: str, names: tuple[str, ...]) -> None:
    assert parse(text).candidates == names


def entry(name: str) -> dict[str, str]:
    return {"username": name, "password": "x"}


@pytest.mark.parametrize(
    ("locations", "repository", "found"),
    [
        (["pi-0:5000"], "pi-0:5000/app", ["pi-0:5000"]),
        (["pi-0"], "pi-0:5000/app", []),
        (["pi-0:5000"], "pi-0/app", []),
        (["quay.io", "quay.io/team", "quay.io/other"], "quay.io/team/app", ["quay.io/team", "quay.io"]),
        (["*.example.com", "a.example.com"], "a.example.com/x", ["a.example.com", "*.example.com"]),
        (["*.example.com"], "b.a.example.com/x", []),
        (["*.example.com:5000"], "a.example.com:5000/x", ["*.example.com:5000"]),
        (["https://quay.io/v1/", "http://quay.io/v2/"], "quay.io/x", ["https://quay.io/v1/", "http://quay.io/v2/"]),
        (["https://index.docker.io/v1/"], "docker.io/library/busybox", ["https://index.docker.io/v1/"]),
        (["docker.io", "https://index.docker.io/v1/"], "docker.io/team/app", ["docker.io"]),
        (["https://index.docker.io/v1/"], "quay.io/team/app", []),
    ],
)
def test_credentials_fit(locations: list[str], repository: str, found: list[str]) -> None:
    ring = Keyring()
    ring.add({location: entry(location) for location in locations})
    assert [one.username for one in ring.lookup(repository)] == found


def secret(name: str, auths: dict[str, Any], kind: str = "dockerconfigjson") -> dict[str, Any]:
    content = {"auths": auths} if kind == "dockerconfigjson" else auths
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "type": f"kubernetes.io/{kind}",
        "data": {f".{kind}": base64.b64encode(json.dumps(content).encode()).decode()},
    }


def test_a_pods_credentials_come_before_the_nodes_and_both_kinds_of_secret_count() -> None:
    packed = {"quay.io": {"auth": base64.b64encode(b"packed:a:b").decode().rstrip("=") + "\n", "username": "ignored"}}
    found = lookup(
        "quay.io/app",
        [secret("new", packed), secret("old", {"quay.io": entry("old")}, "dockercfg"), {"metadata": {"name": "other"}}],
        {"quay.io": entry("node")},
    )
    assert [(one.username, one.source and one.source.name) for one in found] == [
        ("packed", "new"),
        ("old", "old"),
        ("node", None),
    ]
    assert found[0].password == "a:b"
    assert json.loads(base64.urlsafe_b64decode(found[0].header)) == {"username": "packed", "password": "a:b"}
    assert "a:b" not in repr(found)


@pytest.mark.parametrize(
    "auths", [{"quay.io": "text"}, {"quay.io": {"auth": "!"}}, {"quay.io": {"auth": "bm9jb2xvbg=="}}]
)
def test_unreadable_credentials_are_refused_without_showing_them(auths: dict[str, Any]) -> None:
    with pytest.raises(CredentialsError) as error:
        lookup("quay.io/app", [secret("bad", auths)], {})
    assert "nocolon" not in str(error.value)


def test_the_nodes_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    assert secrets.of_node(file) == {}
    file.write_text(json.dumps({"auths": {"quay.io": entry("node")}, "credHelpers": {}}))
    assert secrets.of_node(file) == {"quay.io": entry("node")}
    file.write_text("{")
    with pytest.raises(CredentialsError, match=r"config\.json cannot be used: it is not JSON"):
        secrets.of_node(file)


UNKNOWN = "reading manifest 2 in quay.io/x: manifest unknown: manifest unknown"
REFUSED = 'Get "https://pi-0/v2/": dial tcp 10.0.0.1:443: connect: connection refused'


MIRRORED = f"(Mirrors also failed: [pi-0:5000/x:2: {REFUSED}]): quay.io/x:2: {UNKNOWN}"


@pytest.mark.parametrize(
    ("said", "event", "reason", "message"),
    [
        ([MIRRORED], MIRRORED, "ErrImagePull", MIRRORED),
        ([UNKNOWN], UNKNOWN, "ErrImagePull", UNKNOWN),
        ([UNKNOWN, UNKNOWN], UNKNOWN, "ErrImagePull", UNKNOWN),
        ([UNKNOWN, "unauthorized"], f"[{UNKNOWN}, unauthorized]", "ErrImagePull", f"[{UNKNOWN}, unauthorized]"),
        (
            [REFUSED],
            f"RegistryUnavailable: {REFUSED}",
            "RegistryUnavailable",
            f"image pull failed for x because the registry is unavailable: {REFUSED}",
        ),
        (
            ["Source image rejected: no signature"],
            "SignatureValidationFailed: Source image rejected: no signature",
            "SignatureValidationFailed",
            "image pull failed for x because the signature validation failed: Source image rejected: no signature",
        ),
    ],
)
def test_what_failed_pulls_say(said: list[str], event: str, reason: str, message: str) -> None:
    assert explained("x", [PullError(one) for one in said]) == (event, reason, message)


def test_what_an_image_waits_with() -> None:
    failed = ImageError(errors.ERR_PULL, UNKNOWN, "quay.io/x:2")
    assert failed.waiting == ("ErrImagePull", UNKNOWN)
    assert failed.backing_off == 'Back-off pulling image "quay.io/x:2"'
    assert failed.later == ("ImagePullBackOff", f"{failed.backing_off}: ErrImagePull: {UNKNOWN}")
    assert failed.costly and not ImageError(errors.ERR_PULL, "not here", "localhost/x").costly
    never = ImageError(errors.ERR_NEVER_PULL, "no", "x")
    assert (never.later, never.backing_off, never.costly) == (never.waiting, "", False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.3931, "393ms"),
        (1.2, "1.2s"),
        (59.9999, "59.999s"),
        (60, "1m0s"),
        (62.5, "1m2.5s"),
        (3602, "1h0m2s"),
    ],
)
def test_durations_as_go_prints_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "bucket"),
    [(0, "N/A"), (1, "0-10MB"), (10 << 20, "0-10MB"), ((10 << 20) + 1, "10MB-100MB"), (200 << 30, "GT100GB")],
)
def test_sizes_are_counted_in_ranges(size_bytes: int, bucket: str) -> None:
    assert size_bucket(size_bytes) == bucket


def moving(name: str, current: int, total: int) -> dict[str, Any]:
    return {"status": "Downloading", "id": name, "progressDetail": {"current": current, "total": total}}


def test_progress_is_told_seldom_and_storing_is_told_from_hanging() -> None:
    progress = Progress(moved_s=0.0)
    assert str(progress) == "nothing has come yet" and not progress.is_storing
    for now_s, moved_s, line in (
        (1.0, 1.0, {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"}),
        (2.0, 2.0, moving("a", 1_000_000, 4_000_000)),
        (3.0, 2.0, moving("a", 1_000_000, 4_000_000)),
        (4.0, 4.0, {"status": "Already exists", "progressDetail": {}, "id": "b"}),
    ):
        progress.take(line, now_s)
        assert progress.moved_s == moved_s
    assert str(progress) == "1.0 MB of 4.0 MB" and not progress.is_storing
    progress.take({"status": "Download complete", "progressDetail": {}, "id": "a"}, 5.0)
    assert str(progress) == "4.0 MB of 4.0 MB" and progress.is_storing
    assert [s for s in range(100) if progress.due(s)] == [10, 20, 40, 80]


SOURCE = Source("1", "default", "pull")
GOOD = Credential("user", "pass", SOURCE)


def test_who_may_use_what_was_pulled() -> None:
    same_content = Credential("user", "pass", Source("2", "other", "copy"))
    same_secret = Credential("user", "new", SOURCE)
    stranger = Credential("user", "wrong", Source("3", "other", "none"))
    proven = Access().with_credential(GOOD)
    assert not may_use(None, [GOOD]) and not may_use(proven, [])
    assert [may_use(proven, [one]) for one in (GOOD, same_content, same_secret, stranger)] == [True, True, True, False]
    assert may_use(proven, [stranger, GOOD])
    assert may_use(proven.with_credential(None), []) and may_use(Access().with_credential(Credential("n", "p")), [])
    many = proven
    for index in range(200):
        many = many.with_credential(Credential("u", str(index), Source(str(index), "default", "s")))
    assert len(many.proofs) == 100


@pytest.mark.parametrize(
    ("policy", "pulled_here", "needed"),
    [
        ("NeverVerify", True, False),
        ("NeverVerifyPreloadedImages", False, False),
        ("NeverVerifyPreloadedImages", True, True),
        ("NeverVerifyAllowlistedImages", True, False),
        ("AlwaysVerify", False, True),
    ],
)
def test_when_credentials_count(policy: str, pulled_here: bool, needed: bool) -> None:
    allowed = ("quay.io/team/*", "busybox")
    assert must_verify(policy, allowed, parse("quay.io/team/app:1"), pulled_here=pulled_here) is needed
    if policy == "NeverVerifyAllowlistedImages":
        assert not must_verify(policy, allowed, parse(f"busybox:1@{DIGEST}"), pulled_here=True)
        assert must_verify(policy, allowed, parse("quay.io/other/app:1"), pulled_here=True)


async def test_records_outlive_a_power_cut_and_hold_no_password(tmp_path: Path) -> None:
    records = Records(tmp_path / "images")
    await records.begin("quay.io/app:1")
    await records.begin("quay.io/app:1")
    await records.end("quay.io/app:1")
    assert records.is_pulling("quay.io/app:1")
    await records.grant("id1", "quay.io/app", GOOD)
    await records.begin("quay.io/cut:1")
    again = Records(tmp_path / "images")
    assert again.is_pulling("quay.io/cut:1")
    await again.recover([{"Id": "id1", "Names": ["quay.io/app:1"]}, {"Id": "id2", "Names": ["quay.io/cut:1"]}])
    assert not again.is_pulling("quay.io/cut:1") and not again.is_pulling("quay.io/app:1")
    kept, cut = again.of("id1"), again.of("id2")
    assert kept is not None and may_use(kept.access["quay.io/app"], [GOOD])
    assert cut is not None and cut.access == {}
    for file in (tmp_path / "images").rglob("*"):
        if file.is_file():
            assert file.stat().st_mode & 0o777 == 0o600 and b"pass" not in file.read_bytes()
            file.write_text("{")
    torn = again.of("id1")
    assert torn is not None and torn.access == {}
    again.prune({"id2"}, before_s=1.0)
    assert again.of("id1") is not None, "it was pulled after the images were listed"
    again.prune({"id2"})
    assert again.of("id1") is None and again.of("id2") is not None


class Registry:
    """What a puller sees of Podman: pulls that go on until they are let go, and how many went on at one time."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.now = self.most = self.cut = 0
        self.go = asyncio.Event()

    async def pull(self, name: str, auth: str) -> AsyncIterator[dict[str, Any]]:
        self.asked.append((name, auth))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield moving("a", 1, 2)
            await self.go.wait()
            if name.startswith("bad") and auth != GOOD.header:
                raise PodmanError(500, f"unauthorized {len(self.asked)}")
        except asyncio.CancelledError:
            self.cut += 1
            raise
        finally:
            self.now -= 1


def puller(registry: Registry, **settings: Any) -> Puller:
    return Puller(registry, SYSTEM_CLOCK, **{"parallel_max": 2, "deadline_s": 60.0, **settings})  # type: ignore[arg-type]


async def settled(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it did not come to that")


def quiet(_waited_s: float, _progress: Progress) -> None:
    return None


async def test_pulls_are_few_at_one_time_and_shared_by_those_with_the_same_credentials() -> None:
    registry = Registry()
    one = puller(registry)
    wishes = [("a", []), ("a", []), ("a", [GOOD]), ("b", []), ("c", [])]
    pulls = [asyncio.ensure_future(one.pull(name, credentials, quiet)) for name, credentials in wishes]
    await settled(lambda: registry.now == 2)
    registry.go.set()
    results = await asyncio.gather(*pulls)
    assert sorted(registry.asked) == [("a", ""), ("a", GOOD.header), ("b", ""), ("c", "")]
    assert registry.most == 2
    assert [result.index for result in results] == [None, None, 0, None, None]


async def test_every_credential_is_tried_and_none_is_forgotten() -> None:
    registry = Registry()
    registry.go.set()
    wrong = Credential("a", "b")
    assert (await puller(registry).pull("bad", [wrong, GOOD], quiet)).index == 1
    with pytest.raises(PullsFailed) as failure:
        await puller(registry).pull("bad", [wrong, Credential("c", "d")], quiet)
    assert [str(error) for error in failure.value.errors] == ["unauthorized 3", "unauthorized 4"]


async def test_a_pull_ends_with_the_last_who_waits_for_it() -> None:
    registry = Registry()
    one = puller(registry)
    first, second = (asyncio.ensure_future(one.pull("a", [], quiet)) for _ in range(2))
    await settled(lambda: registry.now == 1)
    first.cancel()
    await asyncio.sleep(0)
    assert (registry.now, registry.cut) == (1, 0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await settled(lambda: registry.now == 0)
    assert registry.cut == 1
    registry.go.set()
    assert (await one.pull("a", [], quiet)).index is None


async def test_a_pull_without_progress_is_given_up() -> None:
    registry = Registry()
    with pytest.raises(PullsFailed) as failure:
        await puller(registry, deadline_s=0.05).pull("a", [], quiet)
    assert str(failure.value.errors[0]) == "no progress for 0.05s, latest progress: 0.0 MB of 0.0 MB"
    assert registry.now == 0
