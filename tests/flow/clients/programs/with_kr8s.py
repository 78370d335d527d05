"""A program with kr8s: a Deployment is made, waited for, scaled, labelled and deleted; nodes are watched."""

import asyncio
import sys

import kr8s
import kr8s.asyncio
from application import NAMESPACE, WAIT_S, deployment, until
from kr8s.objects import Deployment


def run_an_application(kubeconfig: str) -> None:
    api = kr8s.api(kubeconfig=kubeconfig)
    made = Deployment(deployment("kr8s"), api=api)
    made.create()
    made.wait("condition=Available", timeout=WAIT_S)
    assert len(list(api.get("pods", namespace=NAMESPACE, label_selector="app=kr8s"))) == 2
    made.scale(3)
    until("three pods", lambda: len(made.pods()) == 3)
    pod = made.pods()[0]
    pod.label({"extra": "label"})
    pod.refresh()
    assert pod.labels["extra"] == "label"
    made.delete()
    until("no deployment", lambda: not made.exists())


async def watch_nodes(kubeconfig: str) -> None:
    api = await kr8s.asyncio.api(kubeconfig=kubeconfig)
    seen = 0
    async for event, _ in api.watch("nodes"):
        assert event == "ADDED"
        seen += 1
        if seen == 3:
            return


run_an_application(sys.argv[1])
asyncio.run(asyncio.wait_for(watch_nodes(sys.argv[1]), WAIT_S))
print("done")
