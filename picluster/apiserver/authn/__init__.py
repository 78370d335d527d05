"""Who asks: the connection's client certificate, else the request's bearer token, else nobody.

``authenticator`` is the way in, once per request: a certificate was read when its connection was made, a token is
verified once and remembered, and only what it is bound to is looked at each time (in the watch cache, never the store).
``serviceaccounts`` and ``bootstraptokens`` know the two kinds of token, ``tokenrequest`` makes tokens, ``tokenreview``
and ``oidc`` let others verify them. What somebody may do is not decided here.
"""

from picluster.apiserver.authn.user import (
    ANONYMOUS,
    AUTHENTICATED,
    NODE_PREFIX,
    NODES_GROUP,
    UNAUTHENTICATED,
    User,
    user_of,
)

__all__ = ["ANONYMOUS", "AUTHENTICATED", "NODES_GROUP", "NODE_PREFIX", "UNAUTHENTICATED", "User", "user_of"]
