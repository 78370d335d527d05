"""Who ends when before a board goes off, and the messages by which it is heard of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster_agent.shutdown import dbus, plan
from picluster_agent.shutdown.dbus import INTERFACE, MEMBER, PATH, UNIX_FDS, Message
from picluster_agent.shutdown.plan import CRITICAL_PRIORITY, Grace

TWO = (Grace(0, 20.0), Grace(CRITICAL_PRIORITY, 10.0))


def pod(name: str, priority: int | None = None, phase: str = "Running", grace_s: int = 30) -> dict[str, Any]:
    spec: dict[str, Any] = {"terminationGracePeriodSeconds": grace_s, "containers": []}
    if priority is not None:
        spec["priority"] = priority
    return {"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((30.0, 10.0, {}), TWO),
        ((0.0, 0.0, {}), ()),
        ((30.0, 10.0, {1000: 5.0, 0: 7.0}), (Grace(0, 7.0), Grace(1000, 5.0))),
    ],
)
def test_graces_are_those_of_the_settings(settings: Any, expected: Any) -> None:
    assert plan.graces(*settings) == expected


def test_pods_end_by_their_priority() -> None:
    listed = (Grace(10, 1.0), Grace(100, 2.0), Grace(1000, 3.0))
    pods = [
        *(pod(str(priority), priority) for priority in (5, 10, 99, 100, 999, 1000, 5000)),
        pod("none"),
        pod("over", 10, phase="Succeeded"),
    ]
    found = {grace.priority: [one["metadata"]["name"] for one in many] for grace, many in plan.groups(pods, listed)}
    assert found == {10: ["5", "10", "99", "none"], 100: ["100", "999"], 1000: ["1000", "5000"]}
    assert plan.groups(pods, ()) == []
    assert [grace for grace, _ in plan.groups([pod("only", CRITICAL_PRIORITY)], TWO)] == [TWO[1]]


def test_a_pod_has_its_own_grace_or_what_is_left() -> None:
    ended = plan.outcome(pod("a", grace_s=5), 20.0)
    assert (ended.phase, ended.reason, ended.grace_s) == ("Failed", "Terminated", 5.0)
    assert ended.message == ended.disruption == "Pod was terminated in response to imminent node shutdown."
    assert plan.outcome(pod("a", grace_s=60), 20.0).grace_s == 20.0


def test_a_message_is_as_the_specification_has_it() -> None:
    fields = {PATH: "/a", MEMBER: "Hello"}
    assert dbus.encode(Message(dbus.CALL, 7, fields, ("é", True)), "sb").hex(" ") == (
        "6c 01 00 01 0c 00 00 00 07 00 00 00 28 00 00 00 "
        "01 01 6f 00 02 00 00 00 2f 61 00 00 00 00 00 00 "
        "03 01 73 00 05 00 00 00 48 65 6c 6c 6f 00 00 00 "
        "08 01 67 00 02 73 62 00 "
        "02 00 00 00 c3 a9 00 00 01 00 00 00"
    )


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.integers(0, 2**64 - 1),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
)
def test_what_is_written_is_read_again(text: str, number: int, truth: bool, signed: int) -> None:
    message = Message(dbus.SIGNAL, 1, {PATH: "/x", INTERFACE: "a.b", UNIX_FDS: 1}, (text, number, truth, signed, 0))
    data = dbus.encode(message, "stbih")
    assert dbus.length(data) == len(data)
    read = dbus.decode(data, (3,))
    assert (read.body, read.fds, read.fields[PATH]) == (message.body, (3,), "/x")
    assert dbus.decode(dbus.encode(Message(dbus.RETURN, 1, {}, (("t", number),)), "v")).body == (number,)


def test_what_is_no_message_is_refused_and_what_is_not_known_skipped() -> None:
    assert dbus.length(b"l") is None
    with pytest.raises(dbus.DBusError):
        dbus.length(b"HTTP/1.1 400 Bad Request")
    with pytest.raises(dbus.DBusError):
        dbus.length(b"l\1\0\1" + b"\xff" * 12)
    data = dbus.encode(Message(dbus.SIGNAL, 1, {PATH: "/x"}, ("x",)), "s")
    array = data.replace(b"\x01s\0", b"\x01(\0")
    assert dbus.decode(array).body == ()
