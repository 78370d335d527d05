"""What stands between a pod's specification and its containers, one concern a file, in this order.

Each hook has ``set_up``, which may be called again at any time and then does only what is missing, and ``tear_down``,
which is safe without ``set_up``: a board that loses its power runs no shutdown code. ``image`` and ``container`` act
for one container each, when the plan starts it.
"""

from __future__ import annotations

from typing import Protocol

from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.hooks.directories import Directories
from picluster_agent.sync.hooks.group import PodGroup
from picluster_agent.sync.hooks.network import PodNetwork
from picluster_agent.sync.hooks.sandbox import Sandbox
from picluster_agent.sync.hooks.volumes import Volumes


class Hook(Protocol):
    async def set_up(self, runtime: Runtime, context: PodContext) -> None:
        """Make it stand; raises ``SyncError`` with the event to report."""
        ...

    async def tear_down(self, runtime: Runtime, context: PodContext) -> None: ...


HOOKS: tuple[Hook, ...] = (Directories(), PodGroup(), Volumes(), Sandbox(), PodNetwork())
"""Set up in this order, taken down in the reverse one."""
