"""The node agent: makes the pods bound to this node real with Podman, CNI and nftables, and reports what is.

Imports only ``picluster.api``, ``picluster.client`` and ``picluster.util``, so that it stays light on a 1 GB board.
"""
