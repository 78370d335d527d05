"""The sync loop: from the pods that should run here and the containers that do, to the next step, again and again.

    informer (pods bound to this node) ─┐
                                        ├─► PodView ─► plan (pure) ─► worker: hooks ─► Podman, mounts, CNI
    Podman's list (truth), its events ──┘                               └► status (pure) ─► status writer ─► API server

One worker per pod. It never acts on an event: it reads the world, asks ``plan`` what to do now, does it, and looks
again. So the agent may be killed at any line; what it finds at its next start is a world like any other.

A pod's *sandbox* is its network, IPC and UTS namespaces, pinned under the run directory (a tmpfs) with an id of their
own, which each container carries as a label. A container of another sandbox is from before a power cut: it cannot run
any more, whatever Podman remembers of it.
"""
