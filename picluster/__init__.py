"""picluster: Kubernetes in Python for a rack of Raspberry Pi boards, or stand-ins on one machine.

The API server is the only meeting point; everything else is a client of it. ``docs/ARCHITECTURE.md`` walks the way
of a request through these packages; the import contracts in ``pyproject.toml`` hold their order.
"""

__version__ = "0.1.0"
KUBERNETES_VERSION = "1.36.0"
VERSION = f"v{KUBERNETES_VERSION}+picluster.{__version__}"
"""What ``/version``, the nodes and ``picluster version`` report."""
