"""DefaultTolerationSeconds: a pod stays for five minutes on a node that is not ready or unreachable, unless it says."""

from __future__ import annotations

from picluster.api.resources import PODS, Resource
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, UPDATE, Attributes, Basis

TOLERATION_S = 300
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds:
    name = "DefaultTolerationSeconds"
    basis = Basis()

    def concerns(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource is PODS and not subresource and operation in (CREATE, UPDATE)

    async def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        tolerations = pod["spec"].get("tolerations") or []
        missing = [taint for taint in TAINTS if not any(_tolerates(each, taint) for each in tolerations)]
        if missing:
            pod["spec"]["tolerations"] = tolerations + [
                {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_S}
                for taint in missing
            ]


def _tolerates(toleration: Object, taint: str) -> bool:
    return toleration.get("key", "") in (taint, "") and toleration.get("effect", "") in ("NoExecute", "")
