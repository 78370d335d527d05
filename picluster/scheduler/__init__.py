"""Puts pods on nodes: a queue and a snapshot around a pure ``decide``.

Way in: ``run(client, clock)``, with leader election where several run. ``decide`` (pure) asks ``filters/<x>`` which
nodes can take a pod and ``scores/<x>`` which one should; ``classes`` lets pods of one template share those answers;
``queue`` says which pod is next; ``binder`` does what was decided. Semantics are those of Kubernetes' default scheduler
profile.
"""

from __future__ import annotations

from picluster.scheduler.loop import run

__all__ = ["run"]
