"""Aggregated ClusterRoles: their rules are those of all ClusterRoles that their selectors select.

``pkg/controller/clusterroleaggregation``: roles by name, rules without doubles, the role itself left out, all its
selectors together. Whatever somebody wrote into ``rules`` is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable

from picluster.api.meta import key_of
from picluster.api.resources import CLUSTER_ROLES
from picluster.api.selectors import from_object
from picluster.api.types import Object
from picluster.client import PatchType
from picluster.runtime import Controller, Manager


class ClusterRoleAggregationController(Controller):
    """Keys are names of ClusterRoles."""

    name = "clusterrole-aggregation-controller"
    workers = 1

    def setup(self, manager: Manager) -> None:
        self._roles = manager.informer(CLUSTER_ROLES)
        self._roles.add_handler(self._on_role)

    def _on_role(self, old: Object | None, new: Object | None) -> None:
        """Any change may concern every role that gathers."""
        for role in self._roles.values():
            if _selectors(role):
                self.queue.add(key_of(role))

    async def reconcile(self, key: str) -> float | None:
        role = self._roles.get(key)
        if role is None or not _selectors(role):
            return None
        rules = gathered(role, self._roles.values())
        if rules == (role.get("rules") or []):
            return None
        metadata = {"uid": role["metadata"]["uid"], "resourceVersion": role["metadata"]["resourceVersion"]}
        patch = {"metadata": metadata, "rules": rules}
        await self.client.patch(CLUSTER_ROLES, key, patch, kind=PatchType.MERGE)
        return None


def gathered(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules that ``role`` has to have. PURE."""
    by_name = {each["metadata"]["name"]: each for each in roles}
    by_name.pop(role["metadata"]["name"], None)
    rules: list[Object] = []
    for selector in map(from_object, _selectors(role)):
        for _, other in sorted(by_name.items()):
            if selector.matches_object(other):
                for rule in other.get("rules") or ():
                    if rule not in rules:
                        rules.append(rule)
    return rules


def _selectors(role: Object) -> list[Object]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
