"""Who this node is to the API server, and who its own server is: certificates that are renewed before they end.

A board that was provisioned over SSH brings its certificates along. One that joins with a token (``join``) finds the
cluster by it and asks for an identity (``requests``, ``bootstrap``), which it keeps in its kubeconfig (``kubeconfig``).
Both are renewed (``rotation``); ``serving`` is what the agent's server shows. Keys are made by ``openssl`` in a process
of its own, and never leave the board.
"""
