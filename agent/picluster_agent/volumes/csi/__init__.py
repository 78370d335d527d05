"""Volumes of drivers of the Container Storage Interface (CSI 1.x), as the kubelet has them (``pkg/volume/csi``).

A driver makes itself known by a socket in ``plugins_registry``; ``watch`` finds it, ``registration`` talks to it and
keeps the node's CSINode true. ``driver`` is its Node service; ``manager`` stages, publishes and takes away, and keeps
on disk what an agent that has forgotten everything needs for the latter (``record``). ``request`` says what a driver is
told of a volume, ``messages`` is the protocol as data.

Only ``watch`` is loaded at the start; the rest, and the HTTP/2 library below it, when there is a driver.
"""
