"""Volumes of pods: what a container sees as a directory or file, made under ``<data_dir>/pods/<uid>/``.

``payload`` is pure: it turns ConfigMaps, Secrets and a pod's own fields into file contents. ``atomic`` puts them on
disk so that a reader sees the old or the new, never a mixture. ``manager`` mounts, refreshes and takes all away
again, also what an earlier agent or a power cut left.
"""
