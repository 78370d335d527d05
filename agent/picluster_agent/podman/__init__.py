"""Podman, and nothing of Kubernetes' API server: the libpod REST service on its unix socket, and its create bodies.

``client`` speaks to the socket; ``translate`` and ``env`` are pure and turn a pod's container into what Podman creates.
"""
