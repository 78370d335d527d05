"""Init containers and sidecars: which of them is due. Pure; the kubelet's ``computeInitContainerActions``.

They start one after the other; a sidecar (an init container that always restarts, KEP-753) lets the next begin once it
has started, and from then on is kept running beside everything that follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from picluster.api.types import Object
from picluster_agent.sync.model import PodView, Seen, State, latest
from picluster_agent.sync.spec import containers, init_containers, is_sidecar


@dataclass(frozen=True, slots=True)
class Progress:
    """``due``: names to start, in order; ``done``: the other containers may run."""

    due: list[str] = field(default_factory=list)
    done: bool = False


def progress(view: PodView, pod: Object) -> Progress:
    """Looked at from the last one back: what comes later has begun only because all before it had been through."""
    made = [one for one in view.seen if one.sandbox == view.sandbox]
    here = [one for one in made if one.state is not State.CREATED]
    done = begun = any(latest(made, container["name"]) for container in containers(pod))
    listed = init_containers(pod)
    due: list[str] = []
    for index in reversed(range(len(listed))):
        container = listed[index]
        last = latest(here, container["name"])
        if last is None:
            if begun and is_sidecar(container):
                due.append(container["name"])
            continue
        through = _through(view, container, last)
        if not last.running and (is_sidecar(container) or (not through and not begun)):
            due.append(container["name"])
        if through and not begun:
            if index + 1 < len(listed):
                due.append(listed[index + 1]["name"])
            else:
                done = True
        begun = True
    if not begun and listed:
        due.append(listed[0]["name"])
    return Progress(list(dict.fromkeys(reversed(due))), done or not listed)


def _through(view: PodView, container: Object, last: Seen) -> bool:
    """Whether the one after ``container`` may begin."""
    if is_sidecar(container):
        return last.running and last.id in view.started
    return last.state is State.EXITED and last.exit_code == 0
