"""ReplicationControllers: what ReplicaSets were before Deployments; the same work on another kind.

``pkg/controller/replication`` wraps the controller of ReplicaSets too. The selector is a plain map that may change, and
the status does not count pods that terminate.
"""

from __future__ import annotations

from typing import ClassVar

from picluster.api.resources import REPLICATION_CONTROLLERS, Resource
from picluster.api.selectors import LabelSelector, from_map
from picluster.api.types import Object
from picluster.controllers.replicaset import ReplicaSetController


class ReplicationControllerController(ReplicaSetController):
    name = "replication-controller"
    resource: ClassVar[Resource] = REPLICATION_CONTROLLERS

    def selector_of(self, replica_set: Object) -> LabelSelector:
        return from_map(replica_set["spec"].get("selector"))

    async def update_status(self, replica_set: Object, status: Object) -> None:
        del status["terminatingReplicas"]
        await super().update_status(replica_set, status)
