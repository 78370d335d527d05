"""All pods of the node: who has a worker, and who must be told what."""

from __future__ import annotations

import logging
from pathlib import Path

from picluster.api.meta import key_of
from picluster.api.resources import PODS
from picluster.api.types import Object
from picluster.client import Informer
from picluster.util.tasks import Tasks
from picluster_agent.podman import translate
from picluster_agent.probes.state import Kind, Result, told
from picluster_agent.sync.context import PodContext, Runtime
from picluster_agent.sync.mirrors import Mirrors, is_mirror, is_mirror_of
from picluster_agent.sync.staticpods import StaticPods
from picluster_agent.sync.worker import PodWorker
from picluster_agent.sync.writer import StatusWriter

log = logging.getLogger(__name__)


class PodManager:
    """Starts a worker for every pod that is bound to this node, and for every pod that has left something here."""

    def __init__(self, runtime: Runtime, static_pod_path: Path) -> None:
        self._runtime = runtime
        self.informer = Informer(runtime.client, PODS, field_selector=f"spec.nodeName={runtime.node.name}")
        self._writer = StatusWriter(runtime.client, runtime.clock)
        self._workers: dict[str, PodWorker] = {}
        self._names: dict[str, str] = {}
        """Namespace and name of each pod that has a worker, to its uid: two never run at one time."""
        self._adopted = False
        self._static: dict[str, Object] = {}
        node = runtime.node.name
        self._files = StaticPods(static_pod_path, node, runtime.clock, self._static_changed)
        self._mirrors = Mirrors(runtime.client, node, self._mirrored, self._found_mirrors)
        self._tasks = Tasks("pods")

    def start(self) -> None:
        self._runtime.prober.listen(self._wake, self._probe_told)
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
        """The worker of the pod that the API server knows by this name, or that a file of this node does."""
        key = f"{namespace}/{name}"
        pod = self.informer.get(key)
        if pod is not None and not is_mirror(pod):
            return self._workers.get(pod["metadata"]["uid"])
        return self._workers.get(self._names.get(key, ""))

    def workers(self) -> list[PodWorker]:
        return list(self._workers.values())

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Pods wait in the informer until Podman has said what runs already."""
        for pod in (old, new):
            if pod is not None and is_mirror(pod):
                self._show_mirror(key_of(pod))
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            worker = self._workers.get(old["metadata"]["uid"])
            if worker is not None:
                worker.context.pod = old
                worker.update(None)
        if new is not None and self._adopted and not is_mirror(new):
            self._take(new)

    def _take(self, pod: Object) -> None:
        """Run ``pod``, or have it wait until an earlier pod of the same name has left this node."""
        holder = self._names.get(key_of(pod))
        if holder in (None, pod["metadata"]["uid"]) or holder not in self._workers:
            self._worker(pod).update(pod)

    def _static_changed(self, pods: dict[str, Object]) -> None:
        gone = self._static.keys() - pods.keys()
        self._static = pods
        for uid in gone:
            if worker := self._workers.get(uid):
                worker.update(None)
        for pod in pods.values():
            self._take_static(pod)
        self._mirrors.poke()

    def _take_static(self, pod: Object) -> None:
        """A static pod runs with the status that its mirror remembers."""
        mirror = self.informer.get(key_of(pod))
        status = (mirror or {}).get("status") if mirror and is_mirror_of(mirror, pod) else None
        self._take({**pod, "status": status or {}})
        if worker := self._workers.get(pod["metadata"]["uid"]):
            worker.context.mirror = mirror if status is not None else None
            worker.wake()

    def _show_mirror(self, key: str) -> None:
        pod = self._static.get(self._names.get(key, ""))
        if pod is not None:
            self._take_static(pod)
        self._mirrors.poke()

    def _mirrored(self) -> dict[str, Object]:
        """Static pods that run, by namespace and name."""
        return {key_of(pod): pod for uid, pod in self._static.items() if self._names.get(key_of(pod)) == uid}

    def _found_mirrors(self) -> list[Object]:
        """Mirrors but those of pods that are ending here."""
        mirrors = [pod for pod in self.informer.values() if is_mirror(pod)]
        return [pod for pod in mirrors if self._names.get(key_of(pod), "") in {"", *self._static}]

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
        self._files.look()
        self._tasks.spawn(self._files.run(), "files")
        self._tasks.spawn(self._mirrors.run(), "mirrors")
        await self.informer.wait_synced()
        self._adopted = True
        self._mirrors.poke()
        for pod in sorted(self.informer.values(), key=_age):
            if not is_mirror(pod):
                self._take(pod)
        found = (self._runtime.actual.uids(), self._runtime.places.known(), self._runtime.groups.known())
        for uid in set().union(*found):
            self._orphan(uid)

    def _orphan(self, uid: str) -> None:
        """A pod that has something here, but that the API server does not know: take it down."""
        if uid in self._workers or any(pod["metadata"]["uid"] == uid for pod in self.informer.values()):
            return
        if uid in self._static:
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
            context = PodContext(uid=uid, pod=pod, paths=self._runtime.places.pod(uid), static=uid in self._static)
            self._names[key_of(pod)] = uid
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
        """The name of the pod is free: another pod may have waited for it."""
        worker = self._workers.pop(uid, None)
        if worker is None:
            return
        key = f"{worker.context.namespace}/{worker.context.name}"
        if self._names.get(key) == uid:
            del self._names[key]
        for pod in self._static.values():
            if key_of(pod) == key:
                self._take_static(pod)
        waiting = self.informer.get(key)
        if waiting is not None and self._adopted and not is_mirror(waiting) and waiting["metadata"]["uid"] != uid:
            self._take(waiting)
        self._mirrors.poke()

    def _wake(self, uid: str) -> None:
        if uid in self._workers:
            self._workers[uid].wake()

    def _probe_told(self, uid: str, container: str, kind: Kind, result: Result) -> None:
        if worker := self._workers.get(uid):
            reason, text = told(kind, result)
            worker.context.event(self._runtime, "Warning", reason, text, container)


def _age(pod: Object) -> tuple[str, str]:
    """The order in which pods came."""
    return str(pod["metadata"].get("creationTimestamp", "")), key_of(pod)
