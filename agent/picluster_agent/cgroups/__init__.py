"""Control groups of pods: where they are, what they are given, what they use. Version 1 and version 2 behind one face.

``hierarchy`` finds what this machine mounts; ``names`` (pure) says which group is whose; ``usage`` reads, ``groups``
makes, limits, empties and removes. Everything is file work of microseconds on a file system without a disk. Deciding
what a pod is given is ``podman.limits``' part; nothing here knows of Podman's API or of the API server.
"""
