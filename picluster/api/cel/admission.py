"""What expressions about a request may use: the variables of webhooks' match conditions and of admission policies.

Source: ``apiserver/pkg/admission/plugin/cel/compile.go``.
"""

from __future__ import annotations

from picluster.api.cel.types import (
    AUTHORIZER,
    BOOL,
    DYN,
    INT,
    RESOURCE_CHECK,
    STRING,
    TIMESTAMP,
    ObjectType,
    Type,
    fields_of,
    list_of,
    map_of,
)

_STRINGS = list_of(STRING)
_LABELS = map_of(STRING, STRING)
_KIND = ObjectType("kubernetes.GroupVersionKind", fields_of(group=STRING, version=STRING, kind=STRING))
_RESOURCE = ObjectType("kubernetes.GroupVersionResource", fields_of(group=STRING, version=STRING, resource=STRING))
_USER_INFO = ObjectType(
    "kubernetes.UserInfo", fields_of(username=STRING, uid=STRING, groups=_STRINGS, extra=map_of(STRING, _STRINGS))
)
REQUEST = ObjectType(
    "kubernetes.AdmissionRequest",
    fields_of(
        kind=_KIND, resource=_RESOURCE, subResource=STRING, requestKind=_KIND, requestResource=_RESOURCE,
        requestSubResource=STRING, name=STRING, namespace=STRING, operation=STRING, userInfo=_USER_INFO, dryRun=BOOL,
        options=DYN,
    ),
)  # fmt: skip
_NAMESPACE_CONDITION = ObjectType(
    "kubernetes.NamespaceCondition",
    fields_of(status=STRING, type=STRING, lastTransitionTime=TIMESTAMP, message=STRING, reason=STRING),
)
NAMESPACE = ObjectType(
    "kubernetes.Namespace",
    fields_of(
        metadata=ObjectType(
            "kubernetes.NamespaceMetadata",
            fields_of(
                name=STRING, generateName=STRING, namespace=STRING, labels=_LABELS, annotations=_LABELS, UID=STRING,
                creationTimestamp=TIMESTAMP, deletionGracePeriodSeconds=INT, deletionTimestamp=TIMESTAMP,
                generation=INT, resourceVersion=STRING, finalizers=_STRINGS,
            ),
        ),
        spec=ObjectType("kubernetes.NamespaceSpec", fields_of(finalizers=_STRINGS)),
        status=ObjectType(
            "kubernetes.NamespaceStatus", fields_of(conditions=list_of(_NAMESPACE_CONDITION), phase=STRING)
        ),
    ),
)  # fmt: skip
_BASE: dict[str, Type] = {"object": DYN, "oldObject": DYN, "namespaceObject": NAMESPACE, "request": REQUEST}
_AUTHORIZERS: dict[str, Type] = {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}


def variables(*, params: bool = False, authorizer: bool = True) -> dict[str, Type]:
    """The variables of an expression, as ``compile_expression`` takes them."""
    declared = dict(_BASE)
    if params:
        declared["params"] = DYN
    if authorizer:
        declared.update(_AUTHORIZERS)
    return declared
