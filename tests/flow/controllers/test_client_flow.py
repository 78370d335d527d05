"""The client against the real API server: informers, leases, events, leaders."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from picluster.api.errors import ApiError
from picluster.api.meta import key_of
from picluster.api.resources import CONFIGMAPS, CORE_EVENTS, LEASES, NAMESPACES, NODES, SERVICE_ACCOUNTS
from picluster.client import Client, EventRecorder, Informer, LeaseRenewer, PatchType, TransportError, list_all
from picluster.controllers import run
from picluster.runtime import LeaderElector
from picluster.util.clock import SYSTEM_CLOCK

Eventually = Callable[..., Awaitable[Any]]


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}}, "data": data}


@dataclass(frozen=True)
class Settings:
    pki_dir: Path
    public_url: str = "https://192.0.2.10:6443"
    cluster_cidr: str = "10.42.0.0/16"
    profile: str = "rack"
    outlets: Path | None = None
    ssh_config: Path | None = None

    @property
    def signing_key(self) -> Path:
        return self.pki_dir / "sa.key"


class Heard:
    """An informer's handler that keeps what it hears."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __call__(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        some = new if new is not None else old
        assert some is not None
        what = "add" if old is None else "delete" if new is None else "update"
        self.said.append((what, some["metadata"]["name"]))


def informer_of(client: Client, **more: Any) -> Informer:
    return Informer(client, CONFIGMAPS, namespace="default", label_selector="app=web", **more)


async def test_an_object_goes_round(client: Client) -> None:
    made = await client.create(CONFIGMAPS, config_map("a", x="1"))
    assert (await client.get(CONFIGMAPS, "a", namespace="default"))["data"] == {"x": "1"}
    patched = await client.patch(CONFIGMAPS, "a", {"data": {"y": "2"}}, namespace="default")
    assert patched["data"] == {"x": "1", "y": "2"}
    with pytest.raises(ApiError) as stale:
        await client.update(CONFIGMAPS, {**made, "data": {}})
    assert (stale.value.code, stale.value.reason) == (409, "Conflict")
    operations = [{"op": "remove", "path": "/data/x"}]
    patched = await client.patch(CONFIGMAPS, "a", operations, namespace="default", kind=PatchType.JSON)
    assert patched["data"] == {"y": "2"}
    with pytest.raises(ApiError) as namesake:
        await client.delete(CONFIGMAPS, "a", namespace="default", uid="another")
    assert namesake.value.code == 409
    await client.delete(CONFIGMAPS, "a", namespace="default", uid=made["metadata"]["uid"])
    with pytest.raises(ApiError) as gone:
        await client.get(CONFIGMAPS, "a", namespace="default")
    assert gone.value.code == 404


async def test_lists_come_in_pages(client: Client) -> None:
    for number in range(5):
        await client.create(CONFIGMAPS, config_map(f"c{number}"))
    whole = await list_all(client, CONFIGMAPS, namespace="default", label_selector="app=web", page_size=2)
    assert [item["metadata"]["name"] for item in whole["items"]] == [f"c{number}" for number in range(5)]
    await client.delete_collection(CONFIGMAPS, namespace="default", label_selector="app=web")
    assert (await client.list(CONFIGMAPS, namespace="default", label_selector="app=web"))["items"] == []


async def test_an_informer_follows(client: Client, eventually: Eventually) -> None:
    await client.create(CONFIGMAPS, config_map("a", colour="red"))
    heard = Heard()
    informer = informer_of(client, indexers={"colour": lambda obj: (obj.get("data") or {}).get("colour")})
    informer.add_handler(heard)
    running = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.wait_synced(), 5)
    assert informer.synced
    assert [key_of(obj) for obj in informer.index("colour", "red")] == ["default/a"]

    await client.create(CONFIGMAPS, config_map("b", colour="red"))
    await client.patch(CONFIGMAPS, "a", {"data": {"colour": "blue"}}, namespace="default")
    await client.patch(CONFIGMAPS, "b", {"metadata": {"labels": {"app": "other"}}}, namespace="default")
    await client.create(CONFIGMAPS, {"metadata": {"name": "other", "namespace": "default"}})
    expected = [("add", "a"), ("add", "b"), ("update", "a"), ("delete", "b")]

    async def all_heard() -> bool:
        return heard.said == expected

    await eventually(all_heard)
    assert [key_of(obj) for obj in informer.index("colour", "blue")] == ["default/a"]
    assert informer.index("colour", "red") == []
    assert list(informer.keys()) == ["default/a"]
    late = Heard()
    informer.add_handler(late)
    assert late.said == [("add", "a")]
    running.cancel()


async def test_an_informer_survives_a_restart(cluster: Any, client: Client, eventually: Eventually) -> None:
    await client.create(CONFIGMAPS, config_map("a"))
    heard = Heard()
    informer = informer_of(client)
    informer.add_handler(heard)
    running = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.wait_synced(), 5)
    await client.create(CONFIGMAPS, config_map("b"))

    async def holds(*names: str) -> bool:
        return sorted(informer.keys()) == [f"default/{name}" for name in names]

    await eventually(lambda: holds("a", "b"))  # so it watches
    await cluster.stop()
    await cluster.start()
    await client.delete(CONFIGMAPS, "a", namespace="default")
    await client.create(CONFIGMAPS, config_map("c"))
    await eventually(lambda: holds("b", "c"))
    assert heard.said == [("add", "a"), ("add", "b"), ("delete", "a"), ("add", "c")]
    running.cancel()


async def test_an_informer_lists_again_when_the_history_is_gone(
    cluster: Any, client: Client, eventually: Eventually
) -> None:
    for name in ("a", "b", "c"):
        await client.create(CONFIGMAPS, config_map(name))
    heard = Heard()
    informer = informer_of(client)
    informer.add_handler(heard)
    running = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.wait_synced(), 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await client.delete(CONFIGMAPS, "a", namespace="default")
    await client.patch(CONFIGMAPS, "b", {"data": {"x": "1"}}, namespace="default")
    await client.delete(CONFIGMAPS, "c", namespace="default")
    await client.create(CONFIGMAPS, config_map("c"))  # another of the same name
    last = await client.create(CONFIGMAPS, config_map("d"))
    await cluster.stop()
    await cluster.backend.start(lambda _: None)
    await cluster.backend.compact(int(last["metadata"]["resourceVersion"]))
    await cluster.backend.close()
    await cluster.start()
    running = asyncio.create_task(informer.run())

    async def caught_up() -> bool:
        return sorted(informer.keys()) == ["default/b", "default/c", "default/d"]

    await eventually(caught_up)
    told = sorted(heard.said[3:])
    assert told == [("add", "c"), ("add", "d"), ("delete", "a"), ("delete", "c"), ("update", "b")]
    running.cancel()


async def test_a_trimmed_cache_holds_what_its_transform_leaves(client: Client, eventually: Eventually) -> None:
    await client.create(CONFIGMAPS, config_map("a", big="x" * 1000))
    informer = informer_of(client, transform=lambda obj: {"metadata": obj["metadata"]})
    running = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.wait_synced(), 5)
    cached = informer.get("default/a")
    assert cached is not None
    assert "data" not in cached
    running.cancel()


async def test_a_failing_handler_harms_nobody_else(
    client: Client, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    informer = informer_of(client)
    informer.add_handler(lambda _old, _new: 1 / 0)  # type: ignore[arg-type, return-value]
    informer.add_handler(heard)
    running = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.wait_synced(), 5)
    await client.create(CONFIGMAPS, config_map("a"))

    async def told() -> bool:
        return heard.said == [("add", "a")]

    await eventually(told)
    assert "a handler of configmaps failed" in caplog.text
    running.cancel()


async def test_a_lease_is_made_renewed_and_made_again(client: Client, eventually: Eventually) -> None:
    node = await client.create(NODES, {"metadata": {"name": "pi-1"}})
    owner = {"apiVersion": "v1", "kind": "Node", "name": "pi-1", "uid": node["metadata"]["uid"]}
    results: list[ApiError | TransportError | None] = []
    renewer = LeaseRenewer(
        client, name="pi-1", holder="pi-1", interval_s=0.02, duration_s=2, owner=owner, on_result=results.append
    )

    async def lease() -> dict[str, Any] | None:
        try:
            return await client.get(LEASES, "pi-1", namespace="kube-node-lease")
        except ApiError:
            return None

    running = asyncio.create_task(renewer.run())
    first = await eventually(lease)
    assert first["spec"]["holderIdentity"] == "pi-1"
    assert first["spec"]["leaseDurationSeconds"] == 2
    assert first["metadata"]["ownerReferences"][0]["name"] == "pi-1"

    async def renewed() -> bool:
        now = await lease()
        return now is not None and now["spec"]["renewTime"] > first["spec"]["renewTime"]

    await eventually(renewed)
    await client.patch(LEASES, "pi-1", {"metadata": {"labels": {"a": "b"}}}, namespace="kube-node-lease")
    await client.delete(LEASES, "pi-1", namespace="kube-node-lease")
    again = await eventually(lease)
    assert again["metadata"]["uid"] != first["metadata"]["uid"]
    assert set(results) == {None}
    running.cancel()


async def test_a_lease_that_cannot_be_renewed_is_reported(cluster: Any, client: Client, eventually: Eventually) -> None:
    results: list[ApiError | TransportError | None] = []
    renewer = LeaseRenewer(client, name="pi-1", holder="pi-1", interval_s=0.05, duration_s=2, on_result=results.append)
    running = asyncio.create_task(renewer.run())

    async def works() -> bool:
        return bool(results) and results[-1] is None

    async def fails() -> bool:
        return isinstance(results[-1], TransportError)

    await eventually(works)
    await cluster.stop()
    await eventually(fails)
    await cluster.start()
    await eventually(works)
    running.cancel()


async def test_the_same_event_is_counted(client: Client, eventually: Eventually) -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web-1", "namespace": "default", "uid": "u"}}

    async def events() -> list[dict[str, Any]]:
        page = await client.list(CORE_EVENTS, namespace="default", field_selector="involvedObject.name=web-1")
        return list(page["items"])

    async with EventRecorder(client, "kubelet", "pi-1") as recorder:
        recorder.event(pod, "Normal", "Pulled", "Image is there", field_path="spec.containers{web}")
        assert (await eventually(events))[0]["count"] == 1
        for _ in range(3):
            recorder.event(pod, "Normal", "Pulled", "Image is there", field_path="spec.containers{web}")
        recorder.event(pod, "Warning", "BackOff", "Back-off restarting")
    by_reason = {event["reason"]: event for event in await events()}
    assert set(by_reason) == {"Pulled", "BackOff"}
    pulled = by_reason["Pulled"]
    assert pulled["count"] == 4
    assert pulled["source"] == {"component": "kubelet", "host": "pi-1"}
    assert pulled["reportingComponent"] == "kubelet"
    assert pulled["involvedObject"]["fieldPath"] == "spec.containers{web}"
    assert pulled["involvedObject"]["uid"] == "u"
    assert pulled["lastTimestamp"] >= pulled["firstTimestamp"]


async def test_an_object_that_will_not_stop_talking_is_cut_short(client: Client) -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web-1", "namespace": "default", "uid": "u"}}
    async with EventRecorder(client, "kubelet", "pi-1") as recorder:
        for number in range(60):
            recorder.event(pod, "Normal", "Talks", f"message {number}")
    page = await client.list(CORE_EVENTS, namespace="default", field_selector="involvedObject.name=web-1")
    assert len(page["items"]) == 25


async def test_a_recorder_never_fails_its_caller(cluster: Any, client: Client) -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web-1", "namespace": "nowhere", "uid": "u"}}
    async with EventRecorder(client, "kubelet", "pi-1") as recorder:
        recorder.event(pod, "Normal", "Lost", "its namespace does not exist")
    recorder.event(pod, "Normal", "Late", "it is closed")


async def test_one_leads_and_the_next_takes_over_at_once_when_it_stops(client: Client, eventually: Eventually) -> None:
    leading: list[str] = []

    def elector(name: str) -> LeaderElector:
        return LeaderElector(
            client, "test", name, lease_duration_s=15, renew_deadline_s=10, retry_s=0.05, namespace="kube-system"
        )

    async def lead(name: str) -> None:
        leading.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            leading.remove(name)

    first = asyncio.create_task(elector("a").run(lambda: lead("a")))

    async def led_by(name: str) -> bool:
        return leading == [name]

    await eventually(lambda: led_by("a"))
    second = asyncio.create_task(elector("b").run(lambda: lead("b")))
    await asyncio.sleep(0.2)
    assert leading == ["a"]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await eventually(lambda: led_by("b"), 2)
    lease = await client.get(LEASES, "test", namespace="kube-system")
    assert lease["spec"]["holderIdentity"] == "b"
    assert lease["spec"]["leaseTransitions"] == 1
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert leading == []


async def test_of_two_control_planes_one_works(cluster: Any, client: Client, eventually: Eventually) -> None:
    """With leader election, the second set of controllers starts when the first has given its lease back."""
    settings = Settings(cluster.pki.directory)
    first = asyncio.create_task(run(client, settings, SYSTEM_CLOCK, elect_leader=True))

    async def account(namespace: str) -> bool:
        page = await client.list(SERVICE_ACCOUNTS, namespace=namespace)
        return bool(page["items"])

    await eventually(lambda: account("default"))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await client.create(NAMESPACES, {"metadata": {"name": "later"}})
    async with Client(cluster.config) as other:
        second = asyncio.create_task(run(other, settings, SYSTEM_CLOCK, elect_leader=True))
        await eventually(lambda: account("later"))
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_a_handler_can_keep_a_true_copy(
    seed: int, cluster: Any, client: Client, eventually: Eventually
) -> None:
    """Writes, lost watches, restarts and compactions in a random order: every (old, new) fits what was told before."""
    rng = random.Random(seed)
    copy: dict[str, dict[str, Any]] = {}

    def keep(old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        some = new if new is not None else old
        assert some is not None
        known = copy.pop(key_of(some), None)
        assert (known is None) == (old is None), f"seed {seed}: {old} -> {new}, but known was {known}"
        if known is not None and old is not None:
            assert known["metadata"]["uid"] == old["metadata"]["uid"], f"seed {seed}"
        if new is not None:
            copy[key_of(new)] = new

    informer = informer_of(client, indexers={"colour": lambda obj: (obj.get("data") or {}).get("colour")})
    failures: list[BaseException] = []

    def handler(old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        try:
            keep(old, new)
        except AssertionError as failure:
            failures.append(failure)

    informer.add_handler(handler)
    running = asyncio.create_task(informer.run())
    names = ["a", "b", "c", "d"]
    for _ in range(60):
        name, step = rng.choice(names), rng.random()
        try:
            if step < 0.4:
                await client.create(CONFIGMAPS, config_map(name, colour=rng.choice("rgb")))
            elif step < 0.65:
                await client.patch(CONFIGMAPS, name, {"data": {"colour": rng.choice("rgb")}}, namespace="default")
            elif step < 0.9:
                await client.delete(CONFIGMAPS, name, namespace="default")
            elif step < 0.94:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                running = asyncio.create_task(informer.run())
            elif step < 0.97:
                await cluster.stop()
                await cluster.start()
            else:
                await cluster.backend.compact(10**9)
        except ApiError as error:
            assert error.code in (404, 409)
        if rng.random() < 0.2:
            await asyncio.sleep(0.01)

    async def same() -> bool:
        listed = {
            key_of(item): item for item in (await list_all(client, CONFIGMAPS, label_selector="app=web"))["items"]
        }
        return listed == copy == {key: informer.get(key) for key in informer.keys()}  # noqa: SIM118

    await eventually(same)
    assert failures == []
    for colour in "rgb":
        expected = {key for key, obj in copy.items() if obj["data"]["colour"] == colour}
        assert {key_of(obj) for obj in informer.index("colour", colour)} == expected
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
