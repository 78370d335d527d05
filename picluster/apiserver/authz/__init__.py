"""Authorization: may this user do this?

Way in: ``gate.Gate`` for a request, ``chain.Chain.decide`` for ``attributes.Attributes`` that anybody may have made up
(reviews ask about what no request has asked). Way out: a ``Decision``, and the 403 in Kubernetes' words.
``rbac`` answers from Roles and bindings that it keeps compiled beside the watch cache, ``node`` from what a node's pods
refer to. Nothing here writes, except ``policy``, which makes the roles that every cluster has.
"""

from picluster.apiserver.authz.chain import MASTERS

__all__ = ["MASTERS"]
