"""Where a webhook is: a URL or a Service, and whom to trust (``k8s.io/apiserver/pkg/util/webhook/validation.go``)."""

from __future__ import annotations

import base64
import binascii
import ssl
from urllib.parse import urlsplit

from picluster.api import names
from picluster.api.errors import FieldError, invalid_value, required
from picluster.api.types import Object

Failures = list[FieldError]


def validate(config: Object, path: str, failures: Failures, *, may_be_local: bool) -> None:
    """A ``clientConfig``; ``may_be_local`` allows a URL that leads to this machine."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        failures.append(required(path, "exactly one of url or service is required"))
    elif url is not None:
        _url(url, f"{path}.url", failures, may_be_local)
    elif service is not None:
        _service(service, f"{path}.service", failures)


def bundle(text: str, path: str, failures: Failures) -> None:
    """A ``caBundle``: base64 of PEM certificates."""
    try:
        pem = base64.b64decode(text, validate=True).decode("ascii")
        ssl.create_default_context(cadata=pem)
    except (binascii.Error, ValueError, ssl.SSLError):
        why = "unable to load root certificates: unable to parse bytes as PEM block"
        failures.append(invalid_value(path, text, why))


def _url(url: str, path: str, failures: Failures, may_be_local: bool) -> None:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        failures.append(required(path, f"url must be a valid URL: {error}{form}"))
        return
    if parts.scheme != "https":
        why = f"'https' is the only allowed URL scheme{form}"
        failures.append(invalid_value(path, parts.scheme, why))
    if not parts.netloc:
        failures.append(invalid_value(path, parts.netloc, f"host must be specified{form}"))
    if parts.username is not None:
        user = parts.netloc.rpartition("@")[0]
        failures.append(invalid_value(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        failures.append(invalid_value(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        failures.append(invalid_value(path, parts.query, "query parameters are not permitted in the URL"))
    if not may_be_local and (parts.hostname or "").lower() in ("localhost", "127.0.0.1", "::1"):
        failures.append(invalid_value(path, parts.hostname, "must not be a loopback address"))


def _service(service: Object, path: str, failures: Failures) -> None:
    for field in ("name", "namespace"):
        if not service.get(field):
            failures.append(required(f"{path}.{field}", f"service {field} is required"))
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        why = "port is not valid: must be between 1 and 65535, inclusive"
        failures.append(invalid_value(f"{path}.port", port, why))
    where = service.get("path")
    if where is not None:
        _path(where, f"{path}.path", failures)


def _path(where: str, path: str, failures: Failures) -> None:
    if not where.startswith("/"):
        failures.append(invalid_value(path, where, "must start with a '/'"))
        return
    steps = where[1:].split("/")
    if steps[-1] == "":
        steps.pop()
    for index, step in enumerate(steps):
        if not step:
            failures.append(invalid_value(path, where, f"segment[{index}] may not be empty"))
        for message in names.dns1123_subdomain(step) if step else ():
            failures.append(invalid_value(path, where, f"segment[{index}]: {message}"))
