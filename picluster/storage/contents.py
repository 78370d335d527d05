"""The contents of a whole store, taken out of one and put into another: backup, restore, migration.

A saved store is a store itself: a SQLite file of the embedded store's form with the live keys only, which
``PRAGMA quick_check`` and a checksum for each row guard. Whatever it was taken from, it can be put into either kind.

What is put back goes on above every revision that anybody can have seen after it was saved (``BUMP``), and its history
counts as compacted, so that clients with a position in the lost future are told to list again (etcd's
``--bump-revision`` and ``--mark-compacted`` are for the same).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from picluster.storage.backend import Record

BUMP = 1_000_000_000


class Contents(NamedTuple):
    """Live keys in the order of their revisions, as of ``revision``."""

    revision: int
    records: Sequence[Record]
