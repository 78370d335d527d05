"""The only way anything talks to the API server: transport, kubeconfig, watches, caches, leases, events.

Light on purpose: an agent on a 1 GB board lives on it. Failures are ``api.errors.ApiError`` when the server answered,
``TransportError`` when it did not, ``ConfigError`` when a kubeconfig cannot be used. Nothing here decides anything.
"""

from picluster.client.config import ClientConfig, ConfigError
from picluster.client.events import EventRecorder
from picluster.client.informer import Informer
from picluster.client.lease import LeaseRenewer
from picluster.client.transport import Client, PatchType, TransportError, list_all
from picluster.client.watch import WatchEvent

__all__ = [
    "Client",
    "ClientConfig",
    "ConfigError",
    "EventRecorder",
    "Informer",
    "LeaseRenewer",
    "PatchType",
    "TransportError",
    "WatchEvent",
    "list_all",
]
