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

_URL_FORM = "; desired format: https://host[/path]"


def validate(config: Object, path: str, failures: Failures) -> None:
    """Where a webhook is: a URL, or a Service of the cluster."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        failures.append(required(path, "exactly one of url or service is required"))
    elif url is not None:
        _url(url, f"{path}.url", failures)
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


def _url(url: str, path: str, failures: Failures) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        failures.append(required(path, f"url must be a valid URL: {error}{_URL_FORM}"))
        return
    if parts.scheme != "https":
        detail = f"'https' is the only allowed URL scheme{_URL_FORM}"
        failures.append(invalid_value(path, parts.scheme, detail))
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        failures.append(invalid_value(path, host, f"host must be specified{_URL_FORM}"))
    if at:
        failures.append(invalid_value(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        failures.append(invalid_value(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        failures.append(invalid_value(path, parts.query, "query parameters are not permitted in the URL"))


def _service(service: Object, path: str, failures: Failures) -> None:
    for field in ("name", "namespace"):
        if not service.get(field):
            failures.append(required(f"{path}.{field}", f"service {field} is required"))
    port = service.get("port")
    if port is not None and (messages := names.port_number(port)):
        failures.append(invalid_value(f"{path}.port", port, f"port is not valid: {','.join(messages)}"))
    _url_path(service.get("path") or "", f"{path}.path", failures)


def _url_path(url_path: str, path: str, failures: Failures) -> None:
    if url_path in ("", "/"):
        return
    if url_path == "//":
        failures.append(invalid_value(path, url_path, "segment[0] may not be empty"))
        return
    if not url_path.startswith("/"):
        failures.append(invalid_value(path, url_path, "must start with a '/'"))
    for index, step in enumerate(url_path[1:].removesuffix("/").split("/")):
        if not step:
            failures.append(invalid_value(path, url_path, f"segment[{index}] may not be empty"))
        else:
            for message in names.dns1123_subdomain(step):
                failures.append(invalid_value(path, url_path, f"segment[{index}]: {message}"))
