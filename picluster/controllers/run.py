"""All controllers in one process, one of several such processes at a time where leader election is on."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from picluster.api.profiles import PROFILES
from picluster.api.resources import PODS
from picluster.client import Client
from picluster.controllers.attachdetach import AttachDetachController
from picluster.controllers.bootstrapsigner import BootstrapSigner
from picluster.controllers.clusterroleaggregation import ClusterRoleAggregationController
from picluster.controllers.csrapproving import CsrApprovingController
from picluster.controllers.csrcleaner import CsrCleanerController
from picluster.controllers.csrsigning import CsrSigningController
from picluster.controllers.deployment import DeploymentController
from picluster.controllers.endpoints import EndpointsController
from picluster.controllers.endpointslice import EndpointSliceController
from picluster.controllers.ephemeralvolume import EphemeralVolumeController
from picluster.controllers.expand import ExpandController
from picluster.controllers.garbagecollector import GarbageCollector
from picluster.controllers.localpath import LocalPathProvisioner
from picluster.controllers.namespace import NamespaceController
from picluster.controllers.node_lifecycle import NodeLifecycleController
from picluster.controllers.nodeipam import NodeIpamController
from picluster.controllers.persistentvolume import PersistentVolumeBinder
from picluster.controllers.podgc import PodGarbageCollector
from picluster.controllers.pvcprotection import PvcProtectionController
from picluster.controllers.pvprotection import PvProtectionController
from picluster.controllers.replicaset import ReplicaSetController
from picluster.controllers.replicationcontroller import ReplicationControllerController
from picluster.controllers.resourcequota import ResourceQuotaController
from picluster.controllers.rootcacertpublisher import RootCaPublisher
from picluster.controllers.serviceaccount import ServiceAccountController
from picluster.controllers.servicecidr import ServiceCidrController
from picluster.controllers.shared.slim import slim_pod
from picluster.controllers.tainteviction import TaintEvictionController
from picluster.controllers.tokencleaner import TokenCleaner
from picluster.controllers.tokens import TokensController
from picluster.controllers.vacprotection import VacProtectionController
from picluster.pki.kubeconfig import without_identity
from picluster.power.outlet import load_all
from picluster.runtime import Controller, LeaderElector, Manager
from picluster.util.clock import Clock

LEASE = "kube-controller-manager"
TRANSFORMS = {PODS.id: slim_pod}


class Settings(Protocol):
    """What the controllers read of the server's configuration."""

    @property
    def cluster_cidr(self) -> str: ...

    @property
    def profile(self) -> str: ...

    @property
    def outlets(self) -> Path | None:
        """The file with each node's outlet."""
        ...

    @property
    def pki_dir(self) -> Path:
        """Where the cluster's certificates and keys are."""
        ...

    @property
    def signing_key(self) -> Path:
        """What service account tokens are signed with."""
        ...

    @property
    def public_url(self) -> str:
        """Where other boards reach the API server."""
        ...

    @property
    def ssh_config(self) -> Path | None:
        """How to restart a node's agent over SSH."""
        ...


async def run(client: Client, config: Settings, clock: Clock, *, elect_leader: bool = False) -> None:
    """Run every controller until cancelled.

    With ``elect_leader``, wait for the lease first; raises ``LeadershipLost`` when that is lost, and all have stopped.
    """

    async def lead() -> None:
        manager = Manager(client, clock, TRANSFORMS)
        for controller in all_controllers(config):
            manager.add(controller)
        await manager.run()

    if not elect_leader:
        await lead()
        return
    identity = f"{socket.gethostname()}_{os.getpid()}"
    await LeaderElector(client, LEASE, identity, clock=clock).run(lead)


def all_controllers(config: Settings) -> Iterator[Controller]:
    """One of each, those first that keep applications alive."""
    yield ReplicaSetController()
    outlets = load_all(config.outlets) if config.outlets is not None else {}
    yield NodeLifecycleController(PROFILES[config.profile], outlets, config.ssh_config)
    yield EndpointSliceController()
    yield EndpointsController()
    yield DeploymentController()
    yield ReplicationControllerController()
    yield NodeIpamController(config.cluster_cidr)
    yield TaintEvictionController()
    yield PodGarbageCollector()
    yield ServiceAccountController()
    yield ServiceCidrController()
    yield ClusterRoleAggregationController()
    authority = (config.pki_dir / "ca.crt").read_text()
    yield RootCaPublisher(authority)
    yield TokensController(config.signing_key, authority)
    yield CsrApprovingController()
    yield CsrSigningController(config.pki_dir)
    yield CsrCleanerController()
    yield BootstrapSigner(without_identity(config.public_url, authority))
    yield TokenCleaner()
    yield ResourceQuotaController()
    yield PersistentVolumeBinder()
    yield LocalPathProvisioner()
    yield AttachDetachController()
    yield ExpandController()
    yield EphemeralVolumeController()
    yield PvcProtectionController()
    yield PvProtectionController()
    yield VacProtectionController()
    yield NamespaceController()
    yield GarbageCollector()
