"""Rows of what governs the API itself: access, identity, admission, extension, fairness."""

from __future__ import annotations

from picluster.api.resources.resource import Resource

_ADMISSION = "io.k8s.api.admissionregistration.v1."
_RBAC = "io.k8s.api.rbac.v1."
_FLOWCONTROL = "io.k8s.api.flowcontrol.v1."
_AUTHENTICATION = "io.k8s.api.authentication.v1."
_AUTHORIZATION = "io.k8s.api.authorization.v1."
_CLUSTER_FIELDS = ("metadata.name",)


def _admission(kind: str, plural: str, subresources: tuple[str, ...] = ()) -> Resource:
    return Resource(
        "admissionregistration.k8s.io", "v1", kind, plural, _ADMISSION + kind, namespaced=False,
        categories=("api-extensions",), subresources=subresources, fields=_CLUSTER_FIELDS,
    )  # fmt: skip


def _review(group: str, kind: str, plural: str, package: str, *, namespaced: bool = False) -> Resource:
    return Resource(
        group, "v1", kind, plural, package + kind, namespaced=namespaced, verbs=("create",), stored=False, fields=()
    )


ROLES = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles", _RBAC + "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", _RBAC + "RoleBinding")
CLUSTER_ROLES = Resource(
    "rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", _RBAC + "ClusterRole", namespaced=False,
    fields=_CLUSTER_FIELDS,
)  # fmt: skip
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", _RBAC + "ClusterRoleBinding",
    namespaced=False, fields=_CLUSTER_FIELDS,
)  # fmt: skip
CERTIFICATE_SIGNING_REQUESTS = Resource(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests",
    "io.k8s.api.certificates.v1.CertificateSigningRequest", namespaced=False, short_names=("csr",),
    subresources=("approval", "status"), fields=("metadata.name", "spec.signerName"),
)  # fmt: skip
MUTATING_WEBHOOK_CONFIGURATIONS = _admission("MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
VALIDATING_WEBHOOK_CONFIGURATIONS = _admission("ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
VALIDATING_ADMISSION_POLICIES = _admission("ValidatingAdmissionPolicy", "validatingadmissionpolicies", ("status",))
VALIDATING_ADMISSION_POLICY_BINDINGS = _admission(
    "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"
)
MUTATING_ADMISSION_POLICIES = _admission("MutatingAdmissionPolicy", "mutatingadmissionpolicies")
MUTATING_ADMISSION_POLICY_BINDINGS = _admission("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings")
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition", namespaced=False,
    short_names=("crd", "crds"), categories=("api-extensions",), subresources=("status",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
API_SERVICES = Resource(
    "apiregistration.k8s.io", "v1", "APIService", "apiservices",
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService", namespaced=False, categories=("api-extensions",),
    subresources=("status",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
FLOW_SCHEMAS = Resource(
    "flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", _FLOWCONTROL + "FlowSchema", namespaced=False,
    subresources=("status",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
PRIORITY_LEVEL_CONFIGURATIONS = Resource(
    "flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations",
    _FLOWCONTROL + "PriorityLevelConfiguration", namespaced=False, subresources=("status",), fields=_CLUSTER_FIELDS,
)  # fmt: skip
TOKEN_REVIEWS = _review("authentication.k8s.io", "TokenReview", "tokenreviews", _AUTHENTICATION)
SELF_SUBJECT_REVIEWS = _review("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", _AUTHENTICATION)
SUBJECT_ACCESS_REVIEWS = _review("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", _AUTHORIZATION)
LOCAL_SUBJECT_ACCESS_REVIEWS = _review(
    "authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", _AUTHORIZATION, namespaced=True
)
SELF_SUBJECT_ACCESS_REVIEWS = _review(
    "authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", _AUTHORIZATION
)
SELF_SUBJECT_RULES_REVIEWS = _review(
    "authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews", _AUTHORIZATION
)
