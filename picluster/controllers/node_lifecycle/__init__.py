"""The failure detector: which nodes are alive, and what becomes of the pods of those that are not.

A node renews its lease. What counts is when *this process saw the lease change*, by its own monotonic clock: no wall
clocks are compared, and a restart of the API server or of this controller gives every node a full grace (a canary
lease of its own tells its own trouble from the nodes'). A node that missed three renewals is *suspect*, and then
evidence decides (``verdict``): what its outlet reads, whether SSH answers, whether its agent answers. A dead board is
known to be dead, so its pods are replaced at once, stateful ones too; silence alone never is death.

``freshness`` and ``verdict`` are pure, ``evidence`` asks the world, ``effects`` writes to the API, ``controller``
composes them.
"""

from picluster.controllers.node_lifecycle.controller import NodeLifecycleController

__all__ = ["NodeLifecycleController"]
