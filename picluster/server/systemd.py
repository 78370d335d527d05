"""Telling systemd how this process is (sd_notify(3)): one datagram to a socket that it names."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send ``READY=1`` or the like; nothing happens when systemd did not ask."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.connect(address)
        sender.sendall(state.encode())
