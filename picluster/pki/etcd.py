"""Certificates for an etcd of one's own: it serves with one, and API servers show the same to it.

etcd gets a CA of its own, as kubeadm gives it one: whoever holds a certificate of the cluster's CA is a user of the
API, and must not thereby be a user of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from picluster.pki.bundle import Bundle, ensure_authority, ensure_leaf
from picluster.pki.files import locked_directory
from picluster.pki.profiles import CLIENT, LOOPBACK, SERVER, Profile, split_sans
from picluster.util.clock import Clock


def ensure(directory: Path, sans: Sequence[str], clock: Clock) -> Bundle:
    """Complete ``ca``, and ``etcd`` for the hosts ``sans`` and loopback, in ``directory``; raises ``PkiError``."""
    names, addresses = split_sans(["localhost", *LOOPBACK, *sans])
    profile = Profile("etcd", None, (CLIENT, SERVER), names, addresses)
    bundle = Bundle(directory)
    with locked_directory(directory):
        authority = ensure_authority(bundle, clock.now())
        ensure_leaf(bundle, "etcd", profile, authority, clock.now())
    return bundle
