"""Events of the core group, and what both forms of them have in common.

Source: ``pkg/apis/core/validation/events.go``.
"""

from __future__ import annotations

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object
from picluster.api.validation import metadata
from picluster.api.validation.common import named

Failures = list[FieldError]

SHORT_MAX = 128
NOTE_MAX = 1024


def validate(event: Object) -> Failures:
    """A core Event: little is asked of the old form, more of one with ``eventTime``."""
    failures: Failures = []
    metadata.validate(event["metadata"], failures, namespaced=True, name=metadata.subdomain)
    _core(event, failures)
    return failures


def validate_update(new: Object, old: Object) -> Failures:
    failures: Failures = []
    metadata.validate_update(new["metadata"], old["metadata"], failures)
    _core(new, failures)
    return failures


def _core(event: Object, failures: Failures) -> None:
    if not event.get("eventTime"):
        namespace_agrees(event, "involvedObject", failures, others=("default",))
        return
    namespace_agrees(event, "involvedObject", failures, others=("default", "kube-system"))
    reporter(event, "reportingComponent", failures)
    texts(event, "message", failures)


def namespace_agrees(event: Object, field: str, failures: Failures, others: tuple[str, ...]) -> None:
    """An event lives where its object does, or, for objects without a namespace, in one of ``others``.

    Whatever the version calls ``field``, complaints are about the core form, as all of Kubernetes' are.
    """
    namespace = event["metadata"].get("namespace", "")
    of_object = (event.get(field) or {}).get("namespace", "")
    if namespace != of_object if of_object else namespace not in others:
        failures.append(invalid_value("involvedObject.namespace", of_object, "does not match event.namespace"))


def reporter(event: Object, field: str, failures: Failures) -> None:
    controller = event.get(field, "")
    if not controller:
        failures.append(required(field))
    named(names.qualified_name(controller), field, controller, failures)


def texts(event: Object, note: str, failures: Failures) -> None:
    for field in ("reportingInstance", "action", "reason"):
        text = event.get(field, "")
        if not text:
            failures.append(required(field))
        elif len(text) > SHORT_MAX:
            failures.append(invalid_value(field, "", f"can have at most {SHORT_MAX} characters"))
    if len(event.get(note, "")) > NOTE_MAX:
        failures.append(invalid_value("message", "", f"can have at most {NOTE_MAX} characters"))
