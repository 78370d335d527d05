"""What webhooks and policies do, in metrics (``admission/metrics``, ``policy/{validating,mutating}/metrics``).

Nothing is counted where none is configured. ``type`` is ``admit`` or ``validating`` for webhooks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from picluster.api import errors
from picluster.api.cel import CelError

ADMIT, VALIDATING = "admit", "validating"
CODE_MAX = 600
SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25)
CHECK_SECONDS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
CONDITION_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25)
_CALL = ("name", "type", "operation")
_CHECK = ("policy", "policy_binding", "error_type")
_CONDITION = ("name", "kind", "type", "operation")


class FailedCalling(Exception):
    """A webhook without a usable answer, which its ``failurePolicy`` decides upon; ``code`` is how it failed."""

    def __init__(self, webhook: str, why: str, code: int = 503) -> None:
        super().__init__(f'failed calling webhook "{webhook}": {why}')
        self.code = code


class Rejection(errors.ApiError):
    """What a webhook has said no with."""


class AdmissionFigures:
    def __init__(self, registry: CollectorRegistry) -> None:
        webhook = "apiserver_admission_webhook"
        self._called = Histogram(
            f"{webhook}_admission_duration_seconds", "Time that webhooks took.", (*_CALL, "rejected"), buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        self._calls = Counter(
            f"{webhook}_request_total", "Calls of webhooks.", (*_CALL, "code", "rejected"), registry=registry
        )
        # Counted, but called a gauge: the library gives every counter a name that ends in "_total".
        self._rejections = Gauge(
            f"{webhook}_rejection_count", "Requests that webhooks, or their failures, have refused.",
            (*_CALL, "error_type", "rejection_code"), registry=registry,
        )  # fmt: skip
        self._opened = Gauge(
            f"{webhook}_fail_open_count", "Failures of webhooks that let requests pass.", _CALL[:2], registry=registry
        )
        condition = "apiserver_admission_match_condition"
        self._conditions = Histogram(
            f"{condition}_evaluation_seconds", "Time that match conditions took.", _CONDITION,
            buckets=CONDITION_SECONDS, registry=registry,
        )  # fmt: skip
        self._condition_errors = Counter(
            f"{condition}_evaluation_errors_total", "Match conditions that failed.", _CONDITION, registry=registry
        )
        self._exclusions = Counter(
            f"{condition}_exclusions_total", "Requests that match conditions left out.", _CONDITION, registry=registry
        )
        self._validating = _Checks("validating", (*_CHECK, "enforcement_action"), registry)
        self._mutating = _Checks("mutating", _CHECK, registry)

    @contextmanager
    def call(self, name: str, kind: str, operation: str, *, fails_open: bool) -> Iterator[None]:
        """Around one call of a webhook, and what is made of its answer."""
        started_s, rejected, code = perf_counter(), False, 200
        try:
            yield
        except FailedCalling as failure:
            rejected, code = not fails_open, failure.code
            if fails_open:
                self._opened.labels(name, kind).inc()
            else:
                self._reject(name, kind, operation, "calling_webhook_error", code)
            raise
        except Rejection as refusal:
            rejected, code = True, refusal.code
            self._reject(name, kind, operation, "no_error", code)
            raise
        except errors.ApiError:
            rejected, code = True, 0
            self._reject(name, kind, operation, "apiserver_internal_error", code)
            raise
        finally:
            said = str(rejected).lower()
            self._called.labels(name, kind, operation, said).observe(perf_counter() - started_s)
            self._calls.labels(name, kind, operation, str(min(code, CODE_MAX)), said).inc()

    @contextmanager
    def conditions(self, name: str, kind: str, type_: str, operation: str) -> Iterator[None]:
        """Around the evaluation of the match conditions of a webhook or policy (``kind``)."""
        labels, started_s = (name, kind, type_, operation), perf_counter()
        try:
            yield
        except CelError:
            self._condition_errors.labels(*labels).inc()
            raise
        finally:
            self._conditions.labels(*labels).observe(perf_counter() - started_s)

    def excluded(self, name: str, kind: str, type_: str, operation: str) -> None:
        self._exclusions.labels(name, kind, type_, operation).inc()

    def validated(self, policy: str, binding: str, problem: str, action: str, seconds: float) -> None:
        """A validation that does not hold, or failed; ``problem`` is its message, ``action`` what comes of it."""
        self._validating.add((policy, binding, _error_type(problem), action), seconds)

    def mutated(self, policy: str, binding: str, problem: str, seconds: float) -> None:
        """A policy that was run; ``problem`` is empty when it did what it should."""
        self._mutating.add((policy, binding, _error_type(problem)), seconds)

    def _reject(self, name: str, kind: str, operation: str, error_type: str, code: int) -> None:
        self._rejections.labels(name, kind, operation, error_type, str(min(code, CODE_MAX))).inc()


class _Checks:
    def __init__(self, kind: str, labels: tuple[str, ...], registry: CollectorRegistry) -> None:
        prefix = f"apiserver_{kind}_admission_policy_check"
        self._count = Counter(f"{prefix}_total", "What policies were run, and how it ended.", labels, registry=registry)
        self._seconds = Histogram(
            f"{prefix}_duration_seconds", "Time that policies took.", labels, buckets=CHECK_SECONDS, registry=registry
        )

    def add(self, labels: tuple[str, ...], seconds: float) -> None:
        self._count.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)


def _error_type(problem: str) -> str:
    if not problem:
        return "no_error"
    if problem.startswith("compilation"):
        return "compile_error"
    return "out_of_budget" if "out of cost budget" in problem else "invalid_error"
