"""APIServices. Source: ``kube-aggregator/pkg/apis/apiregistration/validation``."""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import named

Failures = list[FieldError]

GROUP_PRIORITY_MAX = 20000
VERSION_PRIORITY_MAX = 1000


def validate(apiservice: Object) -> Failures:
    failures: Failures = []
    spec = apiservice.get("spec") or {}
    wanted = f"{spec.get('version') or ''}.{spec.get('group') or ''}"

    def name_rule(name: str) -> names.Messages:
        detail = f'must be `spec.version+"."+spec.group`: "{wanted}"'
        return names.path_segment_name(name) or (() if name == wanted else (detail,))

    metadata.validate(apiservice["metadata"], failures, namespaced=False, name=name_rule)
    _spec(spec, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    return failures + validate(new)


def validate_status(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    for index, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        if condition.get("status") not in ("True", "False", "Unknown"):
            path = f"status.conditions[{index}].status"
            failures.append(invalid_value(path, condition.get("status") or "", "must be True, False or Unknown"))
    return failures


def _spec(spec: Object, failures: Failures) -> None:
    group, version = spec.get("group") or "", spec.get("version") or ""
    if not group and version != "v1":
        detail = "only v1 may have an empty group and it better be legacy kube"
        failures.append(required("spec.group", detail))
    if group:
        named(names.dns1123_subdomain(group), "spec.group", group, failures)
    named(names.dns1035_label(version), "spec.version", version, failures)
    for field, largest in (("groupPriorityMinimum", GROUP_PRIORITY_MAX), ("versionPriority", VERSION_PRIORITY_MAX)):
        priority = spec.get(field) or 0
        if not 0 < priority <= largest:
            detail = f"must be positive and less than {largest}"
            failures.append(invalid_value(f"spec.{field}", priority, detail))
    service = spec.get("service")
    if service is None:
        _local(spec, failures)
    else:
        _remote(spec, service, failures)


def _local(spec: Object, failures: Failures) -> None:
    bundle = spec.get("caBundle") or ""
    if bundle:
        size_bytes = len(bundle) * 3 // 4 - bundle[-2:].count("=")
        detail = "local APIServices may not have a caBundle"
        failures.append(invalid_value("spec.caBundle", f"{size_bytes} bytes", detail))
    if spec.get("insecureSkipTLSVerify"):
        detail = "local APIServices may not have insecureSkipTLSVerify"
        failures.append(invalid_value("spec.insecureSkipTLSVerify", True, detail))


def _remote(spec: Object, service: Object, failures: Failures) -> None:
    for field in ("namespace", "name"):
        if not service.get(field):
            failures.append(required(f"spec.service.{field}"))
    port = service.get("port") or 0
    if messages := names.port_number(port):
        failures.append(invalid_value("spec.service.port", port, f"port is not valid: {', '.join(messages)}"))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        detail = "may not be true if caBundle is present"
        failures.append(invalid_value("spec.insecureSkipTLSVerify", True, detail))
