"""Which plugins there are, in Kubernetes' order (``AllOrderedPlugins`` in ``pkg/kubeapiserver/options``)."""

from __future__ import annotations

from picluster.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from picluster.apiserver.admission.chain import Plugin
from picluster.apiserver.admission.claimresize import PersistentVolumeClaimResize
from picluster.apiserver.admission.defaultingressclass import DefaultIngressClass
from picluster.apiserver.admission.defaultstorageclass import DefaultStorageClass
from picluster.apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from picluster.apiserver.admission.limitranger import LimitRanger
from picluster.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from picluster.apiserver.admission.noderestriction import NodeRestriction
from picluster.apiserver.admission.nodetaint import TaintNodesByCondition
from picluster.apiserver.admission.podsecurity import PodSecurity
from picluster.apiserver.admission.podtopologylabels import PodTopologyLabels
from picluster.apiserver.admission.policies.dispatch import PolicyDispatcher
from picluster.apiserver.admission.policies.mutating import MutatingPolicies
from picluster.apiserver.admission.policies.validating import ValidatingPolicies
from picluster.apiserver.admission.priority import Priority
from picluster.apiserver.admission.resourcequota import ResourceQuota
from picluster.apiserver.admission.runtimeclass import RuntimeClass
from picluster.apiserver.admission.serviceaccount import ServiceAccount
from picluster.apiserver.admission.storageprotection import StorageObjectInUseProtection
from picluster.apiserver.admission.webhooks.dispatch import Dispatcher
from picluster.apiserver.admission.webhooks.mutating import MutatingWebhooks
from picluster.apiserver.admission.webhooks.validating import ValidatingWebhooks
from picluster.apiserver.authz.chain import Chain as Authorizers
from picluster.apiserver.registry.store import Store
from picluster.util.clock import Clock


def ordered(
    store: Store,
    clock: Clock,
    authorizers: Authorizers,
    webhooks: Dispatcher,
    policies: PolicyDispatcher,
    *,
    mounts_tokens: bool,
) -> tuple[Plugin, ...]:
    """All of them; ``mounts_tokens`` is whether this server makes tokens for pods."""
    cache = store.cache
    return (
        NamespaceLifecycle(cache),
        LimitRanger(cache),
        ServiceAccount(cache, clock, mounts=mounts_tokens),
        NodeRestriction(cache, authorizers),
        TaintNodesByCondition(),
        PodSecurity(cache),
        Priority(cache),
        DefaultTolerationSeconds(),
        CertificateApproval(authorizers),
        CertificateSigning(authorizers),
        CertificateSubjectRestriction(),
        DefaultStorageClass(cache),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(cache),
        RuntimeClass(cache),
        DefaultIngressClass(cache),
        PodTopologyLabels(cache),
        MutatingPolicies(cache, policies),
        MutatingWebhooks(cache, webhooks),
        ValidatingPolicies(cache, policies),
        ValidatingWebhooks(cache, webhooks),
        ResourceQuota(store, clock),
    )
