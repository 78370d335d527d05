"""ValidatingAdmissionPolicies. Source: ``pkg/apis/admissionregistration/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, duplicate, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import admission, expressions, metadata, policies
from picluster.api.validation.common import named
from picluster.api.validation.conditions import conditions

Failures = list[FieldError]

AUDIT_ANNOTATIONS_MAX = 20
VALUE_EXPRESSION_MAX_BYTES = 5 * 1024
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")


def validate(policy: Object) -> Failures:
    return policies.create(policy, _contents)


def validate_update(new: Object, old: Object) -> Failures:
    return policies.update(new, old, _contents)


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    status = new.get("status") or {}
    warnings = (status.get("typeChecking") or {}).get("expressionWarnings") or ()
    for index, warning in enumerate(warnings):
        path = f"status.typeChecking.expressionWarnings[{index}]"
        for field in ("warning", "fieldRef"):
            if not (warning.get(field) or "").strip():
                failures.append(required(f"{path}.{field}"))
    conditions(status.get("conditions") or (), "status.conditions", failures)
    return failures


def _contents(policy: Object, failures: Failures) -> None:
    spec = policy.get("spec") or {}
    policies.common_spec(spec, failures)
    expressions.validating_policy(spec, failures)
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        detail = "validations or auditAnnotations must contain at least one item"
        failures.append(required("spec.validations", detail))
        failures.append(required("spec.auditAnnotations", detail))
    for index, validation in enumerate(validations):
        _validation(validation, f"spec.validations[{index}]", failures)
    if len(annotations) > AUDIT_ANNOTATIONS_MAX:
        detail = f"must not have more than {AUDIT_ANNOTATIONS_MAX} auditAnnotations"
        failures.append(invalid_value("spec.auditAnnotations", annotations, detail))
    keys = [annotation.get("key") or "" for annotation in annotations]
    for index, annotation in enumerate(annotations):
        path = f"spec.auditAnnotations[{index}]"
        _audit_annotation(annotation, policy["metadata"].get("name") or "", path, failures)
        if keys[index] in keys[:index]:
            failures.append(duplicate(f"{path}.key", keys[index]))


def _validation(validation: Object, path: str, failures: Failures) -> None:
    expression, message, message_expression = (
        validation.get(field) or "" for field in ("expression", "message", "messageExpression")
    )
    if not expression.strip():
        failures.append(required(f"{path}.expression", "expression is not specified"))
    if message_expression and not message_expression.strip():
        detail = "must be non-empty if specified"
        failures.append(invalid_value(f"{path}.messageExpression", message_expression, detail))
    trimmed = message.strip()
    if message and not trimmed:
        failures.append(invalid_value(f"{path}.message", message, "message must be non-empty if specified"))
    elif "\n" in trimmed or "\r" in trimmed:
        failures.append(invalid_value(f"{path}.message", message, "message must not contain line breaks"))
    admission.choice(validation, "reason", REASONS, path, failures)


def _audit_annotation(annotation: Object, policy_name: str, path: str, failures: Failures) -> None:
    key, expression = annotation.get("key") or "", (annotation.get("valueExpression") or "").strip()
    if policy_name:
        whole = f"{policy_name}/{key}"
        named(names.qualified_name(whole), f"{path}.key", whole, failures)
    else:
        failures.append(invalid_value(f"{path}.key", key, "requires metadata.name be non-empty"))
    if not expression:
        failures.append(required(f"{path}.valueExpression", "valueExpression is not specified"))
    elif len(expression.encode()) > VALUE_EXPRESSION_MAX_BYTES:
        detail = f"must not exceed {VALUE_EXPRESSION_MAX_BYTES} bytes in length"
        failures.append(required(f"{path}.valueExpression", detail))
