"""All pods of the node: who has a worker, and who must be told what."""

from __future__ import annotations

import logging

from picluster.api.resources import PODS
from picluster.api.types import Object
from picluster.client import Informer
from picluster.util.tasks import Tasks
from picluster_agent.podman import translate
from picluster_agent.probes.state import Kind
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.worker import PodWorker
from picluster_agent.sync.writer import StatusWriter

log = logging.getLogger(__name__)


class PodManager:
    """Starts a worker for every pod that is bound to this node, and for every pod that has left something here."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.informer = Informer(runtime.client, PODS, field_selector=f"spec.nodeName={runtime.node.name}")
        self._writer = StatusWriter(runtime.client, runtime.clock)
        self._workers: dict[str, PodWorker] = {}
        self._tasks = Tasks("pods")

    def start(self) -> None:
        self._runtime.prober.listen(self._wake, self._probe_failed)
        self._runtime.resources.listen(self._wake)
        self._runtime.actual.start(self._containers_changed)
        self.informer.add_handler(self._pod_changed)
        self._tasks.spawn(self.informer.run(), "informer")
        self._tasks.spawn(self._adopt(), "adopt")

    async def close(self) -> None:
        """Stop working; every container keeps running."""
        await self._tasks.close()
        await self._writer.close()
        await self._runtime.prober.close()
        await self._runtime.actual.close()

    def worker(self, uid: str) -> PodWorker | None:
        return self._workers.get(uid)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of the pod that the API server knows by this name."""
        pod = self.informer.get(f"{namespace}/{name}")
        return self._workers.get(pod["metadata"]["uid"]) if pod else None

    def workers(self) -> list[PodWorker]:
        return list(self._workers.values())

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Pods wait in the informer until Podman has said what runs already."""
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            worker = self._workers.get(old["metadata"]["uid"])
            if worker is not None:
                worker.context.pod = old
                worker.update(None)
        if new is not None and self._runtime.actual.listed.is_set():
            self._worker(new).update(new)

    def _containers_changed(self, uid: str) -> None:
        if uid in self._workers:
            self._workers[uid].wake()
        elif self.informer.synced:
            self._orphan(uid)

    async def _adopt(self) -> None:
        """At the start: every pod of the API server's first list, then whatever else was found on this node.

        Only a list that succeeded says that a pod is not wanted; while the API server is away, nothing is removed.
        """
        await self._runtime.actual.listed.wait()
        for pod in list(self.informer.values()):
            self._worker(pod).update(pod)
        await self.informer.wait_synced()
        found = (self._runtime.actual.uids(), self._runtime.places.known(), self._runtime.groups.known())
        for uid in set().union(*found):
            self._orphan(uid)

    def _orphan(self, uid: str) -> None:
        """A pod that has something here, but that the API server does not know: take it down."""
        if uid in self._workers or any(pod["metadata"]["uid"] == uid for pod in self.informer.values()):
            return
        labels = self._runtime.actual.labels(uid)
        name, namespace = labels.get(translate.LABEL_POD, uid), labels.get(translate.LABEL_NAMESPACE, "")
        log.info("pod %s/%s is unknown to the API server: removing what it left", namespace, name)
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "spec": {
                "containers": [],
                "terminationGracePeriodSeconds": float(labels.get(translate.LABEL_GRACE, 30.0)),
            },
        }
        self._worker(pod).update(None)

    def _worker(self, pod: Object) -> PodWorker:
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is None:
            context = PodContext(uid=uid, pod=pod, paths=self._runtime.places.pod(uid))
            worker = self._workers[uid] = PodWorker(self._runtime, self._writer, context, self._ended)
            self._tasks.spawn(self._keep(worker), f"worker {pod['metadata']['name']}")
        return worker

    async def _keep(self, worker: PodWorker) -> None:
        """A worker that fails by a mistake of ours must not leave its pod alone: it is started again, unhurriedly."""
        while True:
            try:
                await worker.run()
                return
            except Exception:  # any bug: log it with its trace, and look at the world afresh
                log.exception("the worker of pod %s failed", worker.context.uid)
                await self._runtime.clock.sleep(5.0)

    def _ended(self, uid: str) -> None:
        self._workers.pop(uid, None)

    def _wake(self, uid: str) -> None:
        if uid in self._workers:
            self._workers[uid].wake()

    def _probe_failed(self, uid: str, container: str, kind: Kind, message: str) -> None:
        if worker := self._workers.get(uid):
            text = f"{kind.value} probe failed: {message}"
            worker.context.event(self._runtime, "Warning", "Unhealthy", text, container)
