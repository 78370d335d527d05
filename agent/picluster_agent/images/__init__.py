"""Container images: what their names mean, who may use one, and how it gets onto the board.

``manager.Images`` is the way in. ``reference``, ``credentials``, ``verification``, ``progress``, ``errors`` are pure;
``puller`` asks Podman, ``records`` remembers on the disk with whose credentials an image was pulled, ``secrets`` reads
those of a pod. Credentials go to Podman with each pull: they are neither written nor logged.
"""
