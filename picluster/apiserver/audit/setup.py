"""What an audit log is configured with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from picluster.apiserver.audit import policy as policies
from picluster.apiserver.audit.log import MIB, AuditLog
from picluster.apiserver.audit.trail import Auditor
from picluster.apiserver.metrics import Metrics
from picluster.util.clock import Clock


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """Without a ``policy``, what people change is logged; ``log`` and its ``backups`` bound what that takes."""

    log: Path
    policy: Path | None = None
    max_size_mib: int = 10
    backups: int = 3


def auditor(config: AuditConfig, metrics: Metrics, clock: Clock) -> Auditor:
    """Raises ``PolicyError``."""
    if config.policy is not None:
        policy = policies.load(config.policy)
    else:
        from picluster.apiserver.audit.default import POLICY

        policy = policies.parse(POLICY, "built in")
    failed = metrics.audit_errors.labels("log")
    log = AuditLog(config.log, config.max_size_mib * MIB, config.backups, metrics.audit_events, failed)
    return Auditor(policy, log, clock)
