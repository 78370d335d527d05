"""What conversion webhooks do, in metrics (``apiserver/conversion/metrics.go`` in apiextensions-apiserver)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

CALL = "conversion_webhook_call_failure"
MALFORMED = "conversion_webhook_malformed_response_failure"
PARTIAL = "conversion_webhook_partial_response_failure"
INVALID = "conversion_webhook_invalid_converted_object_failure"
"""How a conversion may fail, as ``failure_type`` says it."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
_RESULT = ("result", "failure_type")


class ConversionFigures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "apiserver_conversion_webhook_request_total", "Conversions by webhooks.", _RESULT, registry=registry
        )
        self._seconds = Histogram(
            "apiserver_conversion_webhook_duration_seconds", "Time that conversions by webhooks took.", _RESULT,
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._by_definition = Histogram(
            "apiserver_crd_conversion_webhook_duration_seconds", "The same, by definition and versions.",
            ("crd_name", "from_version", "to_version", "succeeded"), buckets=SECONDS, registry=registry,
        )  # fmt: skip

    def converted(self, definition: str, before: str, after: str, failure: str, seconds: float) -> None:
        """One call, between versions; ``failure`` is empty when it succeeded."""
        labels = ("failure" if failure else "success", failure)
        self._calls.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)
        self._by_definition.labels(definition, before, after, str(not failure).lower()).observe(seconds)
