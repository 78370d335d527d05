"""Who this node is to the API server: a certificate that it asks for itself, and renews before it ends.

A board that was provisioned over SSH brings its certificate along, and nothing here runs. One that joins with a token
(``join``) finds the cluster by it, asks for an identity (``requests``), keeps it in its kubeconfig (``kubeconfig``) and
renews it (``rotation``). Keys are made by ``openssl`` in a process of its own, and never leave the board.
"""
