"""Ansible's progress as JSON lines on a file descriptor, for ``picluster.playbook``, beside its normal output.

The descriptor's number is in ``PICLUSTER_EVENTS_FD``. Events: ``play``, ``task``, ``changed``, ``failed`` (also for an
unreachable host; not for what the playbook ignores), and at the end ``stats``.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: picluster_events
type: notification
short_description: progress as JSON lines
description: Writes what happens to the descriptor in PICLUSTER_EVENTS_FD.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "picluster_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._fd = int(os.environ["PICLUSTER_EVENTS_FD"])

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._emit(event="play", name=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._emit(event="task", name=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        if result._result.get("changed"):
            self._emit(event="changed", host=result._host.get_name(), task=result._task.get_name())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._fail(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if not result._task.ignore_unreachable:
            self._fail(result, "unreachable")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._emit(event="stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})

    def _fail(self, result: Any, kind: str) -> None:
        task = result._task
        self._emit(
            event="failed",
            kind=kind,
            host=result._host.get_name(),
            task=task.get_name(),
            said=task.action in ("fail", "ansible.builtin.fail"),
            message=str(result._result.get("msg", "")),
            rescued=bool(task._parent and getattr(task._parent, "rescue", None)),
        )

    def _emit(self, **event: Any) -> None:
        os.write(self._fd, json.dumps(event).encode() + b"\n")
