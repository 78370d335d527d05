"""What controllers run on: a work queue of keys, controllers, the manager that feeds them, leader election.

Informers tell a controller which keys may need work; workers take keys from its queue and reconcile them, one worker
per key at a time; what fails comes back later and later. Nothing in here knows any kind of object.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picluster.runtime.controller import Controller, Requeue
    from picluster.runtime.leader import LeaderElector, LeadershipLost
    from picluster.runtime.manager import Manager
    from picluster.runtime.workqueue import QueueClosed, WorkQueue

__all__ = ["Controller", "LeaderElector", "LeadershipLost", "Manager", "QueueClosed", "Requeue", "WorkQueue"]
_MODULES = {
    "Controller": "controller",
    "Requeue": "controller",
    "LeaderElector": "leader",
    "LeadershipLost": "leader",
    "Manager": "manager",
    "QueueClosed": "workqueue",
    "WorkQueue": "workqueue",
}


def __getattr__(name: str) -> Any:
    """Each from its module when it is asked for: the API server has queues, and no client (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
