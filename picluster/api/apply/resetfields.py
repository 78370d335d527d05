"""The fields that an endpoint leaves as they are, and that nobody owns by writing to it (``GetResetFields``).

An object's own endpoint does not write its status, the status endpoint nothing but the status; a few kinds keep more.
"""

from __future__ import annotations

from picluster.api.apply.fieldsets import FieldSet
from picluster.api.resources import (
    API_SERVICES,
    CERTIFICATE_SIGNING_REQUESTS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    FLOW_SCHEMAS,
    PODS,
    PRIORITY_LEVEL_CONFIGURATIONS,
    RESOURCE_CLAIMS,
    VALIDATING_ADMISSION_POLICIES,
    VOLUME_ATTACHMENTS,
    Resource,
)  # fmt: skip

NOTHING: FieldSet = {}
STATUS: FieldSet = {"f:status": {}}
SPEC: FieldSet = {"f:spec": {}}
METADATA_AND_SPEC: FieldSet = {"f:metadata": {}, "f:spec": {}}
OF_STATUS: dict[Resource, FieldSet] = {
    PODS: {**SPEC, "f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}}},
    DEPLOYMENTS: {**SPEC, "f:metadata": {"f:labels": {}}},
    API_SERVICES: METADATA_AND_SPEC,
    CUSTOM_RESOURCE_DEFINITIONS: METADATA_AND_SPEC,
    FLOW_SCHEMAS: METADATA_AND_SPEC,
    PRIORITY_LEVEL_CONFIGURATIONS: METADATA_AND_SPEC,
    RESOURCE_CLAIMS: METADATA_AND_SPEC,
    VALIDATING_ADMISSION_POLICIES: METADATA_AND_SPEC,
    VOLUME_ATTACHMENTS: METADATA_AND_SPEC,
    CERTIFICATE_SIGNING_REQUESTS: SPEC,
}
APPROVAL: FieldSet = {**SPEC, "f:status": {"f:certificate": {}}}


def of(resource: Resource, subresource: str) -> FieldSet:
    """The trees that a write to ``subresource`` (empty for the object itself) leaves alone."""
    if subresource == "status":
        return OF_STATUS.get(resource, SPEC if resource.schema else METADATA_AND_SPEC)
    if subresource == "approval":
        return APPROVAL
    return STATUS if resource.has_status else NOTHING
