"""How many pods a second are decided: no API, no I/O, the queue aside.

``python tests/bench/scheduler.py NODES TEMPLATES PODS NAIVE``: the class way places PODS pods of TEMPLATES templates on
NODES nodes of three sizes in three zones: *cold* (every template is new, its pods follow each other), *apart* (the same
templates again, their pods still together, as ReplicaSets make them) and *mixed* (every next pod is of another
template). The naive way places NAIVE pods. Rates are per second of CPU. JSON on standard output.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from picluster.scheduler.classes import Classes
from picluster.scheduler.decide import Unschedulable, decide
from picluster.scheduler.model import PodInfo, pod_info
from picluster.scheduler.snapshot import Snapshot

SIZES = (("4", "8Gi"), ("8", "16Gi"), ("16", "64Gi"))
SHAPES = (("50m", "64Mi"), ("100m", "128Mi"), ("250m", "256Mi"), ("10m", "32Mi"))
SEED = 7

Way = Callable[[PodInfo, Snapshot, Callable[[Sequence[str]], str]], str | Unschedulable]


def node(number: int) -> dict[str, Any]:
    cpu, memory = SIZES[number % len(SIZES)]
    name = f"node-{number:04d}"
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 3}"}
    amounts = {"cpu": cpu, "memory": memory, "pods": "110"}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": {"allocatable": amounts}}


def pod(number: int, template: int) -> PodInfo:
    cpu, memory = SHAPES[template % len(SHAPES)]
    container = {"name": "c", "image": f"app{template}:1", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    owner = {"kind": "ReplicaSet", "uid": f"owner-{template}", "controller": True}
    name = f"app{template}-{number}"
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": {"app": f"app{template}"}}
    return pod_info({"metadata": {**metadata, "ownerReferences": [owner]}, "spec": {"containers": [container]}})


def cluster(nodes: int) -> Snapshot:
    snapshot = Snapshot()
    for number in range(nodes):
        snapshot.set_node(node(number))
    return snapshot


def measure(way: Way, snapshot: Snapshot, pods: Sequence[PodInfo]) -> dict[str, float]:
    rng, slowest_s = random.Random(SEED), 0.0
    begin_s = time.process_time()
    for subject in pods:
        begin_one_s = time.process_time()
        answer = way(subject, snapshot, rng.choice)
        assert isinstance(answer, str), answer.message()
        snapshot.assume(subject, answer)
        slowest_s = max(slowest_s, time.process_time() - begin_one_s)
    took_s = time.process_time() - begin_s
    return {"pods": len(pods), "per_s": round(len(pods) / took_s, 1), "slowest_ms": round(slowest_s * 1000, 2)}


def main(nodes: int, templates: int, pods: int, naive: int) -> dict[str, Any]:
    each = pods // templates

    def apart(first: int) -> list[PodInfo]:
        return [pod(number, template) for template in range(templates) for number in range(first, first + each)]

    mixed = [pod(number, template) for number in range(2 * each, 3 * each) for template in range(templates)]
    classes, snapshot = Classes(), cluster(nodes)
    return {
        "nodes": nodes,
        "templates": templates,
        "cold": measure(classes.decide, snapshot, apart(0)),
        "apart": measure(classes.decide, snapshot, apart(each)),
        "mixed": measure(classes.decide, snapshot, mixed),
        "naive": measure(decide, snapshot, [pod(3 * each + number, number % templates) for number in range(naive)]),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:5]))))
