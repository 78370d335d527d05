"""Which pod and which container a request's path means."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aiohttp import web

from picluster_agent.logs.rotation import Written
from picluster_agent.sync import spec
from picluster_agent.sync.manager import PodManager
from picluster_agent.sync.model import Seen
from picluster_agent.sync.worker import PodWorker


class Lookup:
    """``seen`` tells the containers of a pod, by its uid."""

    def __init__(self, pods: PodManager, seen: Callable[[str], tuple[Seen, ...]]) -> None:
        self.pods = pods
        self.seen = seen

    def pod(self, request: web.Request) -> PodWorker:
        """The worker of ``/…/{namespace}/{pod}[/{uid}]``; raises 404."""
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self.pods.find(namespace, name)
        if worker is None:
            raise web.HTTPNotFound(text="pod does not exist")
        if request.match_info.get("uid", worker.context.uid) != worker.context.uid:
            raise web.HTTPNotFound(text="pod not found")
        return worker

    def find(self, request: web.Request) -> tuple[PodWorker, str]:
        """The worker and the container's name of ``/…/{namespace}/{pod}[/{uid}]/{container}``; raises 404."""
        worker = self.pod(request)
        container = request.match_info["container"]
        if spec.container(worker.context.pod, container) is None:
            name = worker.context.name
            raise web.HTTPNotFound(text=f'container "{container}" not found in pod "{name}"\n')
        return worker, container

    def logged(self, request: web.Request) -> tuple[PodWorker, str]:
        """The same for a log, where the kubelet names the pod that is not there."""
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        if self.pods.find(namespace, name) is None:
            raise web.HTTPNotFound(text=f'pod "{name}" does not exist\n')
        return self.find(request)

    def written_logs(self) -> Iterator[Written]:
        """The logs of all running containers."""
        for worker in self.pods.workers():
            for one in self.seen(worker.context.uid):
                if one.running:
                    yield Written(one.id, worker.context.paths.log(one.name, one.attempt))

    def runs(self, worker: PodWorker, container_id: str) -> bool:
        return any(one.id == container_id and one.running for one in self.seen(worker.context.uid))


def flag(text: str) -> bool:
    """A query parameter that is true or false."""
    return text.lower() in ("1", "t", "true")
