"""Custom resource definitions (``apiextensions-apiserver/pkg/apis/apiextensions/validation``)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from picluster.api import meta, names
from picluster.api.errors import (
    FieldError,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_many,
)
from picluster.api.structural import approval, defaulted, fieldpath, openapi, shape
from picluster.api.types import Object
from picluster.api.validation import clientconfig, metadata
from picluster.api.validation.common import named

SCOPES = ("Cluster", "Namespaced")
STRATEGIES = ("None", "Webhook")
REVIEW_VERSIONS = ("v1", "v1beta1")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SELECTABLE_MAX = 8
DEPRECATION_MAX = 256
_ROOT_FIELDS = {
    "description": "Description", "type": "Type", "format": "Format", "title": "Title", "maximum": "Maximum",
    "exclusiveMaximum": "ExclusiveMaximum", "minimum": "Minimum", "exclusiveMinimum": "ExclusiveMinimum",
    "maxLength": "MaxLength", "minLength": "MinLength", "pattern": "Pattern", "maxItems": "MaxItems",
    "minItems": "MinItems", "uniqueItems": "UniqueItems", "multipleOf": "MultipleOf", "required": "Required",
    "items": "Items", "properties": "Properties", "externalDocs": "ExternalDocs", "example": "Example",
    "x-kubernetes-preserve-unknown-fields": "XPreserveUnknownFields", "x-kubernetes-validations": "XValidations",
}  # fmt: skip
"""What may stand at the root of a schema whose status is validated apart, and how Kubernetes lists it."""

Failures = list[FieldError]


def validate(definition: Object) -> Failures:
    failures: Failures = []
    spec = definition["spec"]
    wanted = f"{spec['names'].get('plural', '')}.{spec.get('group', '')}"

    def name(given: str) -> names.Messages:
        wrong = () if given == wanted else ('must be spec.names.plural+"."+spec.group',)
        return (*names.dns1123_subdomain(given), *wrong)

    metadata.validate(definition["metadata"], failures, namespaced=False, name=name, own_finalizers=True)
    _spec(spec, failures, may_have_bad_bundle=True)
    _status(definition, failures)
    _stored_versions(definition, failures)
    _approval(definition, None, failures)
    _preserve(spec, None, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures, own_finalizers=True)
    spec, old_spec = new["spec"], old["spec"]
    established = meta.condition_is(old, "Established")
    _spec(spec, failures, may_have_bad_bundle=not established or _has_bad_bundle(old_spec))
    if established:
        metadata.immutable(spec.get("scope"), old_spec.get("scope"), "spec.scope", failures)
        metadata.immutable(spec["names"].get("kind"), old_spec["names"].get("kind"), "spec.names.kind", failures)
    metadata.immutable(spec.get("group"), old_spec.get("group"), "spec.group", failures)
    metadata.immutable(spec["names"].get("plural"), old_spec["names"].get("plural"), "spec.names.plural", failures)
    _status(new, failures)
    _stored_versions(new, failures)
    _approval(new, old, failures)
    _preserve(spec, old_spec, failures)
    return failures


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures, own_finalizers=True)
    _status(new, failures)
    return failures


def _spec(spec: Object, failures: Failures, *, may_have_bad_bundle: bool) -> None:
    _group(spec.get("group") or "", failures)
    _one_of(spec.get("scope"), SCOPES, "spec.scope", failures)
    versions = spec.get("versions") or []
    for index, version in enumerate(versions):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            where = f"spec.versions[{index}].schema.openAPIV3Schema"
            failures.append(required(where, "schemas are required"))
    for index, version in enumerate(versions):
        _version(version, f"spec.versions[{index}]", failures)
    listed = [version.get("name") for version in versions]
    if len(set(listed)) != len(listed):
        failures.append(invalid_value("spec.versions", versions, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        failures.append(invalid_value("spec.versions", versions, why))
    for field in ("plural", "singular", "kind", "listKind"):
        if not spec["names"].get(field):
            failures.append(required(f"spec.names.{field}"))
    _names(spec["names"], "spec.names", failures)
    _conversion(spec.get("conversion"), failures, may_have_bad_bundle)


def _group(group: str, failures: Failures) -> None:
    if not group:
        failures.append(required("spec.group"))
    elif messages := names.dns1123_subdomain(group):
        failures.append(invalid_value("spec.group", group, ",".join(messages)))
    elif "." not in group:
        failures.append(invalid_value("spec.group", group, "should be a domain with at least one dot"))


def _one_of(value: str | None, choices: Sequence[str], path: str, failures: Failures) -> None:
    if not value:
        failures.append(required(path))
    elif value not in choices:
        failures.append(not_supported(path, value, choices))


def _version(version: Object, path: str, failures: Failures) -> None:
    if messages := names.dns1035_label(version.get("name") or ""):
        failures.append(invalid_value(f"{path}.name", version.get("name") or "", ",".join(messages)))
    _deprecation(version, f"{path}.deprecationWarning", failures)
    subresources = version.get("subresources") or {}
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is not None:
        _schema(schema, f"{path}.schema.openAPIV3Schema", "status" in subresources, failures)
    if "scale" in subresources:
        _scale(subresources["scale"], f"{path}.subresources.scale", failures)
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        _column(column, f"{path}.additionalPrinterColumns[{index}]", failures)
    if fields := version.get("selectableFields"):
        _selectable(fields, schema, f"{path}.selectableFields", failures)


def _deprecation(version: Object, path: str, failures: Failures) -> None:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    if not version.get("deprecated"):
        failures.append(invalid_value(path, warning, "can only be set for deprecated versions"))
        return
    if len(warning.encode()) > DEPRECATION_MAX:
        failures.append(invalid_value(path, warning, f"must be <= {DEPRECATION_MAX} characters long"))
    if not warning:
        failures.append(invalid_value(path, warning, "must not be an empty string"))
    for index, character in enumerate(warning):
        if character != " " and unicodedata.category(character)[0] in "CZ":
            why = f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
            failures.append(invalid_value(path, warning, why))
            break


def _schema(schema: Object, path: str, has_status: bool, failures: Failures) -> None:
    before = len(failures)
    if has_status:
        _root(schema, path, failures)
    if schema.get("nullable"):
        failures.append(forbidden_field(f"{path}.nullable", "nullable cannot be true at the root"))
    structural = shape.failures(schema, path) or defaulted.failures(schema, path)
    failures.extend(structural)
    failures.extend(openapi.failures(schema, path, compile_rules=not structural and len(failures) == before))


def _root(schema: Object, path: str, failures: Failures) -> None:
    for field, value in schema.items():
        if field == "type" and value != "object":
            why = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
            failures.append(invalid_value(f"{path}.type", value, why))
            return
        if field not in _ROOT_FIELDS and value:
            listed = " ".join(_ROOT_FIELDS.values())
            why = f"only [{listed}] fields are allowed at the root of the schema if the status subresource is enabled"
            failures.append(invalid_value(path, schema, why))
            return


def _scale(scale: Object, path: str, failures: Failures) -> None:
    for field, below in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        where, value = f"{path}.{field}", scale.get(field) or ""
        if not value:
            failures.append(required(where))
        elif _simple_path(value, where, failures) and not value.startswith(f"{below}."):
            failures.append(invalid_value(where, value, f"should be a json path under {below}"))
    where, value = f"{path}.labelSelectorPath", scale.get("labelSelectorPath")
    if value and _simple_path(value, where, failures) and not value.startswith((".spec.", ".status.")):
        failures.append(invalid_value(where, value, "should be a json path under either .spec or .status"))


def _simple_path(value: str, path: str, failures: Failures) -> bool:
    if not value.startswith("."):
        failures.append(invalid_value(path, value, "must be a simple json path starting with ."))
        return False
    return True


def _column(column: Object, path: str, failures: Failures) -> None:
    if not column.get("name"):
        failures.append(required(f"{path}.name"))
    kind, form = column.get("type") or "", column.get("format") or ""
    why = f"must be one of {','.join(COLUMN_TYPES)}"
    if not kind:
        failures.append(required(f"{path}.type", why))
    elif kind not in COLUMN_TYPES:
        failures.append(invalid_value(f"{path}.type", kind, why))
    if form and form not in COLUMN_FORMATS:
        failures.append(invalid_value(f"{path}.format", form, f"must be one of {','.join(COLUMN_FORMATS)}"))
    if not column.get("jsonPath"):
        failures.append(required(f"{path}.JSONPath"))
    else:
        _simple_path(column["jsonPath"], f"{path}.JSONPath", failures)


def _selectable(fields: list[Object], schema: Object | None, path: str, failures: Failures) -> None:
    if schema is None:
        why = "selectableFields may only be set when version.schema.openAPIV3Schema is not included"
        failures.append(invalid_value(path, "", why))
        return
    seen: set[str] = set()
    for index, field in enumerate(fields):
        where, given = f"{path}[{index}].jsonPath", field.get("jsonPath") or ""
        if not given:
            failures.append(required(where))
            continue
        try:
            shown, found = fieldpath.resolve(given, schema, brackets=False)
        except fieldpath.FieldPathError as error:
            failures.append(invalid_value(where, given, f"is an invalid path: {error}"))
            continue
        if shown.partition(".")[0] == "metadata":
            failures.append(invalid_value(where, given, "must not point to fields in metadata"))
        if found.get("type") not in ("string", "boolean", "integer"):
            why = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats"
            )
            failures.append(invalid_value(where, given, f"{why} are allowed."))
        if shown in seen:
            failures.append(duplicate(where, given))
        seen.add(shown)
    if len(seen) > SELECTABLE_MAX:
        failures.append(too_many(path, len(seen), SELECTABLE_MAX))


def _names(given: Object, path: str, failures: Failures) -> None:
    for field in ("plural", "singular"):
        if (value := given.get(field)) and (messages := names.dns1035_label(value)):
            failures.append(invalid_value(f"{path}.{field}", value, ",".join(messages)))
    for field in ("kind", "listKind"):
        if (value := given.get(field)) and (messages := names.dns1035_label(value.lower())):
            why = f"may have mixed case, but should otherwise match: {','.join(messages)}"
            failures.append(invalid_value(f"{path}.{field}", value, why))
    for index, word in enumerate(given.get("shortNames") or ()):
        _label(word, f"{path}.shortNames[{index}]", failures)
    if given.get("kind") and given["kind"] == given.get("listKind"):
        why = "kind and listKind may not be the same"
        failures.append(invalid_value(f"{path}.listKind", given["listKind"], why))
    for index, word in enumerate(given.get("categories") or ()):
        _label(word, f"{path}.categories[{index}]", failures)


def _label(word: str, path: str, failures: Failures) -> None:
    if messages := names.dns1035_label(word):
        failures.append(invalid_value(path, word, ",".join(messages)))


def _conversion(conversion: Object | None, failures: Failures, may_have_bad_bundle: bool) -> None:
    if conversion is None:
        return
    path, strategy = "spec.conversion", conversion.get("strategy")
    _one_of(strategy, STRATEGIES, f"{path}.strategy", failures)
    webhook = conversion.get("webhook") or {}
    config, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        for field, given in (("webhookClientConfig", config), ("conversionReviewVersions", reviews)):
            if given:
                why = "should not be set when strategy is not set to Webhook"
                failures.append(forbidden_field(f"{path}.{field}", why))
        return
    if config is None:
        failures.append(required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook"))
    else:
        clientconfig.validate(config, f"{path}.webhookClientConfig", failures)
        if config.get("caBundle") and not may_have_bad_bundle:
            clientconfig.bundle(config["caBundle"], f"{path}.webhookClientConfig.caBundle", failures)
    _reviews(reviews, f"{path}.conversionReviewVersions", failures)


def _reviews(versions: list[str], path: str, failures: Failures) -> None:
    if not versions:
        failures.append(required(path))
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            failures.append(invalid_value(f"{path}[{index}]", version, "duplicate version"))
        else:
            named(names.dns1035_label(version), f"{path}[{index}]", version, failures)
    if not set(versions) & set(REVIEW_VERSIONS):
        why = f"must include at least one of {', '.join(REVIEW_VERSIONS)}"
        failures.append(invalid_value(path, versions, why))


def _has_bad_bundle(spec: Object) -> bool:
    config = ((spec.get("conversion") or {}).get("webhook") or {}).get("clientConfig") or {}
    found: Failures = []
    if config.get("caBundle"):
        clientconfig.bundle(config["caBundle"], "", found)
    return bool(found)


def _status(definition: Object, failures: Failures) -> None:
    accepted = (definition.get("status") or {}).get("acceptedNames") or {}
    _names(accepted, "status.acceptedNames", failures)


def _stored_versions(definition: Object, failures: Failures) -> None:
    path, stored = "status.storedVersions", (definition.get("status") or {}).get("storedVersions") or []
    if not stored:
        failures.append(invalid_value(path, stored, "must have at least one stored version"))
        return
    versions = definition["spec"].get("versions") or ()
    for version in versions:
        if version.get("storage") and version.get("name") not in stored:
            failures.append(invalid_value(path, stored, f"must have the storage version {version.get('name')}"))
    known = {version.get("name") for version in versions}
    for index, name in enumerate(stored):
        if name not in known:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions"
                f" until a storage migration ensures no data remains persisted in {name} and removes {name} from"
                " status.storedVersions"
            )
            failures.append(invalid_value(f"{path}[{index}]", name, why))


def _approval(new: Object, old: Object | None, failures: Failures) -> None:
    if not approval.is_protected(new["spec"].get("group") or ""):
        return
    state, why = approval.state(new["metadata"])
    if old is not None and approval.state(old["metadata"])[0] == state:
        return
    path = f"metadata.annotations[{approval.ANNOTATION}]"
    if state == approval.MISSING:
        failures.append(required(path, why))
    elif state == approval.INVALID:
        failures.append(invalid_value(path, new["metadata"]["annotations"][approval.ANNOTATION], why))


def _preserve(spec: Object, old: Any, failures: Failures) -> None:
    if spec.get("preserveUnknownFields") and not (old or {}).get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        failures.append(invalid_value("spec.preserveUnknownFields", True, why))
