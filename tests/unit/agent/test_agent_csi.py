"""CSI: messages as Google's own library reads them, calls to a real gRPC server, what a driver is told."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from csi_driver import DriverProcess, message_class
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from picluster_agent.grpc import protobuf
from picluster_agent.grpc.unary import RpcError
from picluster_agent.volumes.claims import Volume
from picluster_agent.volumes.csi import expansion, messages, record, registration, request, watch
from picluster_agent.volumes.csi.driver import call
from picluster_agent.volumes.csi.messages import Call

POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
    "spec": {"securityContext": {"fsGroup": 1000}, "serviceAccountName": "runner"},
}
TEXTS = st.text(max_size=300)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "volume_id": TEXTS,
            "publish_context": st.dictionaries(TEXTS, TEXTS, max_size=3),
            "target_path": TEXTS,
            "volume_capability": st.fixed_dictionaries(
                {"access_mode": st.fixed_dictionaries({"mode": st.integers(1, 7)})},
                optional={
                    "mount": st.fixed_dictionaries(
                        {}, optional={"mount_flags": st.lists(TEXTS, min_size=1, max_size=3)}
                    )
                },
            ),
            "readonly": st.just(value=True),
        },
    )
)
def test_messages_are_those_of_googles_library(message: dict[str, Any]) -> None:
    kind = message_class("csi.v1.NodePublishVolumeRequest")
    table = messages.NODE_PUBLISH.request
    ours = protobuf.encode(table, message)
    theirs = json_format.ParseDict(message, kind())
    assert kind.FromString(ours) == theirs
    expected = {key: value for key, value in message.items() if value not in ("", {})}
    assert protobuf.decode(table, theirs.SerializeToString(deterministic=True)) == expected


def test_numbers_may_be_negative_and_unknown_fields_are_skipped() -> None:
    info = message_class("csi.v1.NodeGetInfoResponse")(node_id="n", max_volumes_per_node=-1)
    found = protobuf.decode(messages.NODE_GET_INFO.answer, info.SerializeToString())
    assert found == {"node_id": "n", "max_volumes_per_node": -1}
    assert protobuf.decode({9: protobuf.Field("other", "text")}, info.SerializeToString()) == {}


@given(st.binary(max_size=60))
def test_whatever_comes_is_a_message_or_an_error(data: bytes) -> None:
    with contextlib.suppress(protobuf.DecodeError):
        assert isinstance(protobuf.decode(messages.NODE_GET_INFO.answer, data), dict)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[DriverProcess]:
    (tmp_path / "registry").mkdir()
    made = DriverProcess("test.csi", tmp_path / "state", tmp_path / "registry", "stage")
    made.start()
    end_s = time.monotonic() + 10
    while not (tmp_path / "registry" / "test.csi-reg.sock").exists():
        assert time.monotonic() < end_s
        time.sleep(0.02)
    yield made
    made.kill(signal.SIGTERM)


async def test_calls_and_their_failures(driver: DriverProcess, tmp_path: Path) -> None:
    found = await registration.introduce(tmp_path / "registry" / "test.csi-reg.sock")
    assert (found.name, found.socket) == ("test.csi", driver.state / "csi.sock")
    assert await found.capabilities() == {messages.STAGE_UNSTAGE_VOLUME, messages.EXPAND_VOLUME}
    info = await registration.node_info(found)
    assert registration.entry(found.name, info) == {
        "name": "test.csi",
        "nodeID": "node-of-the-test",
        "topologyKeys": ["test.csi/node"],
        "allocatable": {"count": 7},
    }
    driver.fail("NodePublishVolume", "INTERNAL", "it is not: ä %")
    big = {"volume_id": "v", "volume_context": {"k": "x" * 300_000}}  # more than a window of HTTP/2
    with pytest.raises(RpcError) as raised:
        await found.call(messages.NODE_PUBLISH, big)
    assert str(raised.value) == "rpc error: code = Internal desc = it is not: ä %"
    assert raised.value.is_final
    assert len(driver.calls("NodePublishVolume")[0]["volume_context"]["k"]) == 300_000
    with pytest.raises(RpcError, match="code = Unimplemented"):
        await found.call(Call("/csi.v1.Node/NodeNothing", {}, {}), {})
    with pytest.raises(RpcError, match="code = Unavailable desc = connection error") as raised:
        await call(tmp_path / "none.sock", messages.NODE_GET_INFO, {})
    assert not raised.value.is_final


def volume(**fields: Any) -> Volume:
    source = {"driver": "d", **fields.pop("source", {})}
    return Volume("v", "csi", source, "pv", persistent={"spec": {}}, **fields)


@pytest.mark.parametrize(
    ("modes", "capabilities", "mode"),
    [
        (("ReadWriteOnce",), (), 1),
        (("ReadWriteOnce", "ReadOnlyMany"), (), 3),
        (("ReadWriteMany",), (), 5),
        (("ReadWriteOncePod",), (), 1),
        (("ReadWriteOncePod",), (5,), 6),
        (("ReadWriteOnce",), (5,), 7),
        ((), (), 1),
    ],
)
def test_access_modes(modes: tuple[str, ...], capabilities: tuple[int, ...], mode: int) -> None:
    assert request.access_mode(modes, capabilities) == mode


def test_what_a_driver_is_told() -> None:
    asked = volume(source={"fsType": "xfs", "volumeAttributes": {"a": "b"}}, mount_options=("noatime",))
    told = request.capability(asked, POD, (messages.VOLUME_MOUNT_GROUP,))
    assert told["mount"] == {"fs_type": "xfs", "mount_flags": ("noatime",), "volume_mount_group": "1000"}
    assert request.capability(volume(device=True), POD, ())["block"] == {}
    assert request.context(asked, POD, {}, {}) == {"a": "b"}
    info = request.context(asked, POD, {"spec": {"podInfoOnMount": True}}, {"vault": {"token": "t"}})
    prefix = "csi.storage.k8s.io/"
    assert info == {
        "a": "b",
        f"{prefix}pod.name": "web",
        f"{prefix}pod.namespace": "shop",
        f"{prefix}pod.uid": "u",
        f"{prefix}serviceAccount.name": "runner",
        f"{prefix}ephemeral": "false",
        f"{prefix}serviceAccount.tokens": '{"vault":{"token":"t"}}',
    }


@pytest.mark.parametrize(
    ("policy", "source", "modes", "read_only", "applied"),
    [
        (None, {"fsType": "ext4"}, ("ReadWriteOnce",), False, True),
        (None, {}, ("ReadWriteOnce",), False, False),
        (None, {"fsType": "ext4"}, ("ReadWriteMany",), False, False),
        ("File", {}, ("ReadWriteMany",), False, True),
        ("File", {}, ("ReadWriteMany",), True, False),
        ("None", {"fsType": "ext4"}, ("ReadWriteOnce",), False, False),
    ],
)
def test_when_the_group_is_applied(
    policy: str | None, source: dict[str, Any], modes: tuple[str, ...], read_only: bool, applied: bool
) -> None:
    """KEP-1682."""
    spec = {"spec": {"fsGroupPolicy": policy}} if policy else {}
    asked = volume(source=source, access_modes=modes, read_only=read_only)
    assert request.applies_fs_group(asked, spec, ()) is applied
    assert not request.applies_fs_group(asked, spec, (messages.VOLUME_MOUNT_GROUP,))


def test_drivers_say_which_lives_their_volumes_have() -> None:
    inline = Volume("v", "csi", {"driver": "d"}, "v")
    problem = request.lifecycle_problem(inline, {"spec": {"volumeLifecycleModes": ["Persistent"]}})
    assert problem == 'volume mode "Ephemeral" not supported by driver d (only supports ["Persistent"])'
    assert request.lifecycle_problem(inline, {}).endswith("(no CSIDriver object)")
    assert request.lifecycle_problem(inline, {"spec": {"volumeLifecycleModes": ["Ephemeral"]}}) == ""
    assert request.lifecycle_problem(volume(), {}) == ""


def test_records_are_found_again(tmp_path: Path) -> None:
    places = record.Places(tmp_path)
    mine = record.Record("pv", "handle", "d", "pi-1", "csi-x")
    directory = tmp_path / "pods" / "u" / "volumes" / "kubernetes.io~csi" / "pv"
    record.write(directory, mine)
    assert record.published(tmp_path / "pods" / "u") == [record.Published(mine, directory, directory / "mount")]
    assert [one.record for one in places.all_of("d", "handle")] == [mine]
    assert list(places.all_of("d", "other")) == []
    assert json.loads((directory / "vol_data.json").read_text())["volumeHandle"] == "handle"
    record.write(places.device_record("pv", "u"), mine)
    assert [one.target for one in places.devices("u")] == [places.publish_device("pv", "u")]
    record.write(places.staging("d", "handle"), mine)
    assert [one for _, one in places.staged()] == [mine]
    (directory / "vol_data.json").write_text('{"specVol')
    assert record.published(tmp_path / "pods" / "u") == []


def test_names_are_the_kubelets() -> None:
    digest = hashlib.sha256(b"vol-1ebs.csi.aws.comnode-1").hexdigest()
    assert record.attachment_name("vol-1", "ebs.csi.aws.com", "node-1") == f"csi-{digest}"
    assert record.ephemeral_handle("u", "v") == "csi-" + hashlib.sha256(b"uv").hexdigest()


def test_drivers_find_the_directory_where_they_look_for_it(tmp_path: Path) -> None:
    data, kubelet = tmp_path / "data", tmp_path / "kubelet"
    data.mkdir()
    for _ in range(2):
        assert watch.link(kubelet, data) == kubelet
        assert kubelet.resolve() == data
    other = tmp_path / "other"
    other.mkdir()
    assert watch.link(other, data) == data, "what somebody else has there stays"
    assert watch.link(data, data) == data


def sized(known: str | None, size: str) -> tuple[dict[str, Any], dict[str, Any]]:
    conditions = [{"type": "FileSystemResizePending"}, {"type": "Other"}]
    status = {"conditions": conditions, **({"capacity": {"storage": known}} if known else {})}
    return {"status": status}, {"spec": {"capacity": {"storage": size}}}


@pytest.mark.parametrize(
    ("known", "size", "wanted"), [("1Gi", "2Gi", "2Gi"), ("1Gi", "1024Mi", ""), ("2Gi", "1Gi", ""), (None, "1Gi", "")]
)
def test_when_a_file_system_has_to_grow(known: str | None, size: str, wanted: str) -> None:
    assert expansion.needed(*sized(known, size)) == wanted


def test_what_a_claim_says_when_it_has_grown() -> None:
    status = expansion.grown(sized("1Gi", "2Gi")[0], "2Gi")["status"]
    assert status == {"capacity": {"storage": "2Gi"}, "conditions": [{"type": "Other"}]}
