"""The Roles of the system namespaces (``namespace_policy.go``)."""

SYSTEM = """
extension-apiserver-authentication-reader
    get list watch | core | configmaps | extension-apiserver-authentication
system:controller:bootstrap-signer
    get list watch | core | secrets
system:controller:cloud-provider
    create get list watch | core | configmaps
system:controller:token-cleaner
    delete get list watch | core | secrets
    create patch update | core events.k8s.io | events
system::leader-locking-kube-controller-manager
    watch | core | configmaps
    get update | core | configmaps | kube-controller-manager
system::leader-locking-kube-scheduler
    watch | core | configmaps
    get update | core | configmaps | kube-scheduler
"""

PUBLIC = """
kubeadm:bootstrap-signer-clusterinfo
    get | core | configmaps | cluster-info
system:controller:bootstrap-signer
    get list watch | core | configmaps
    update | core | configmaps | cluster-info
    create patch update | core events.k8s.io | events
"""
