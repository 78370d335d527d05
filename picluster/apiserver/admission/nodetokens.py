"""Which service account tokens a node may ask for: those of its pods, for audiences that these pods name.

Part of NodeRestriction: ``admitServiceAccount`` and ``ServiceAccountNodeAudienceRestriction`` (KEP-4412).
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from picluster.api import errors
from picluster.api.resources import CSI_DRIVERS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS
from picluster.api.types import Object
from picluster.apiserver.admission.chain import CREATE, Attributes
from picluster.apiserver.authz import attributes as asked
from picluster.apiserver.authz.chain import Chain
from picluster.apiserver.authz.references import audiences, csi_drivers, references, volume_driver
from picluster.apiserver.cache.index import Entry
from picluster.apiserver.cache.watchcache import WatchCache

AUDIENCE_VERB = "request-serviceaccounts-token-audience"


class NodeTokens:
    def __init__(self, cache: WatchCache, chain: Chain) -> None:
        self._cache = cache
        self._chain = chain

    def check(self, node: str, attributes: Attributes) -> None:
        """Raise ``ApiError`` 403 for a TokenRequest that is not this node's to make."""
        if attributes.operation != CREATE or attributes.subresource != "token":
            return
        spec = (attributes.obj or {}).get("spec") or {}
        reference = spec.get("boundObjectRef") or {}
        if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod") or not reference.get("name"):
            raise _refusal(attributes, "node requested token not bound to a pod")
        if not reference.get("uid"):
            raise _refusal(attributes, "node requested token with a pod binding without a uid")
        entry = self._cache.get(PODS, attributes.namespace, reference["name"])
        if entry is None:
            raise errors.not_found("", "pods", reference["name"])
        pod: Object = orjson.loads(entry.wire)
        if reference["uid"] != pod["metadata"]["uid"]:
            why = (
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The"
                " object might have been deleted and then recreated"
            )
            raise _refusal(attributes, why)
        if pod["spec"].get("nodeName") != node:
            raise _refusal(attributes, "node requested token bound to a pod scheduled on a different node")
        self._audience(attributes, spec.get("audiences") or [], entry)

    def _audience(self, attributes: Attributes, wanted: list[str], pod: Entry) -> None:
        if len(wanted) > 1:
            raise _refusal(attributes, "node may only request 0 or 1 audiences")
        audience = wanted[0] if wanted else ""
        if audience in audiences(pod.wire) or any(audience in found for found in self._of_drivers(pod)):
            return
        question = asked.Attributes(
            attributes.user, AUDIENCE_VERB, attributes.namespace, "", "v1", audience, name=attributes.name
        )
        if not self._chain.decide(question).allowed:
            raise _refusal(attributes, f'audience "{audience}" not found in pod spec volume')

    def _of_drivers(self, pod: Entry) -> Iterator[set[str]]:
        """The audiences that the CSI drivers of a pod's volumes ask tokens for."""
        drivers = csi_drivers(pod.wire)
        for resource, name in references(pod.wire):
            if resource is PERSISTENT_VOLUME_CLAIMS:
                drivers.add(self._driver_of_claim(pod.namespace, name))
        for driver in drivers:
            entry = self._cache.get(CSI_DRIVERS, "", driver)
            if entry is not None:
                requests = orjson.loads(entry.wire).get("spec", {}).get("tokenRequests") or ()
                yield {request.get("audience", "") for request in requests}

    def _driver_of_claim(self, namespace: str, name: str) -> str:
        claim = self._cache.get(PERSISTENT_VOLUME_CLAIMS, namespace, name)
        if claim is None:
            return ""
        volume_name = (orjson.loads(claim.wire).get("spec") or {}).get("volumeName", "")
        volume = self._cache.get(PERSISTENT_VOLUMES, "", volume_name)
        return volume_driver(volume.wire) if volume is not None else ""


def _refusal(attributes: Attributes, why: str) -> errors.ApiError:
    return errors.forbidden("", "serviceaccounts", attributes.name, why)
