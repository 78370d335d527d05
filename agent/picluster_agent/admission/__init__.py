"""Whether a pod that was bound to this node may run here: the kubelet's last word (``pkg/kubelet/lifecycle``). PURE.

``decide.admit`` asks in the kubelet's order: pressure, sysctls, what the node is, what it has left. A refusal is final:
the pod fails with the reason. Only pods that have not run here are asked; what runs is never turned away by a restart.
"""
