"""The policy where nobody gives another: what people change, and who looks into their pods; no more.

Boards write to SD cards. What nodes, controllers and pods do all day would wear these out and hide what matters, and
costs nothing where it is not logged. Bodies are not logged: the objects are there to be read.
"""

from __future__ import annotations

from typing import Any

POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts"]},
        {
            "level": "None",
            "users": [
                "system:apiserver",
                "system:kube-scheduler",
                "system:kube-controller-manager",
                "system:kube-proxy",
            ],
        },
        {
            "level": "None",
            "resources": [
                {"group": "authorization.k8s.io"},
                {"group": "authentication.k8s.io"},
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io"},
            ],
        },
        {
            "level": "Metadata",
            "resources": [{"group": "", "resources": ["pods/exec", "pods/attach", "pods/portforward", "*/proxy"]}],
        },
        {
            "level": "Metadata",
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}],
        },
        {"level": "None", "verbs": ["get", "list", "watch", "head", "options"]},
        {"level": "None", "nonResourceURLs": ["*"]},
        {"level": "Metadata"},
    ],
}
