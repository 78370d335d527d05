"""ConfigMap ``kube-system/extension-apiserver-authentication``: whom extension API servers may believe.

Source: ``controlplane/controller/clusterauthenticationtrust``.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from picluster.api.types import Object
from picluster.apiserver.frontproxy import EXTRA_PREFIX, GROUP_HEADER, UID_HEADER, USER_HEADER, FrontProxy

NAME = "extension-apiserver-authentication"


def config_map(client_ca: Path, front_proxy: FrontProxy | None) -> Object:
    data = {"client-ca-file": client_ca.read_text()}
    if front_proxy is not None:
        data |= {
            "requestheader-client-ca-file": front_proxy.client_ca.read_text(),
            "requestheader-allowed-names": _list(*front_proxy.allowed_names),
            "requestheader-username-headers": _list(USER_HEADER),
            "requestheader-uid-headers": _list(UID_HEADER),
            "requestheader-group-headers": _list(GROUP_HEADER),
            "requestheader-extra-headers-prefix": _list(EXTRA_PREFIX),
        }
    return {"metadata": {"name": NAME, "namespace": "kube-system"}, "data": data}


def _list(*values: str) -> str:
    return orjson.dumps(values).decode()
