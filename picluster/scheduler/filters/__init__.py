"""Which nodes can take a pod: one file per filter, in the order of Kubernetes' default profile.

A filter is ``check(pod, node, world) -> Refusal | None``; the first refusal of a node is its reason. PURE.
"""

from __future__ import annotations

from collections.abc import Callable

from picluster.scheduler.filters import (
    fit,
    interpod_affinity,
    node_affinity,
    node_name,
    node_ports,
    node_unschedulable,
    node_volume_limits,
    taints,
    topology_spread,
    volume_binding,
    volume_restrictions,
    volume_zone,
)
from picluster.scheduler.model import NodeInfo, PodInfo
from picluster.scheduler.refusal import Refusal
from picluster.scheduler.world import World

Filter = Callable[[PodInfo, NodeInfo, World], Refusal | None]

FIXED: tuple[Filter, ...] = (
    node_unschedulable.check,
    node_name.check,
    taints.check,
    node_affinity.check,
)
"""These look at the node alone, whatever pods it has."""

CHANGING: tuple[Filter, ...] = (node_ports.check, fit.check)
"""These look at the node and at what its pods take of it."""

GLOBAL: tuple[Filter, ...] = (topology_spread.check, interpod_affinity.check)
"""These look at where other pods are, all over the cluster."""

VOLUMES: tuple[Filter, ...] = (
    volume_restrictions.check,
    node_volume_limits.check,
    volume_binding.check,
    volume_zone.check,
)
"""These look at the claims of the few pods that have any, which are decided one by one."""

ALL = (*FIXED, *CHANGING, *VOLUMES, *GLOBAL)
