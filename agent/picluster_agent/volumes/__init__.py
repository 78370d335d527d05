"""Volumes of pods: what a container sees as a directory, a file or a device, made under ``<data_dir>/pods/<uid>/``.

    <data_dir>/pods/<uid>/volumes/kubernetes.io~<plugin>/<volume>      the kubelet's layout, which storage drivers know
    <data_dir>/pods/<uid>/volume-subpaths/<volume>/<container>/<n>     what a subPath means, bound before each start
    <data_dir>/plugins/kubernetes.io/csi/…                             volumes staged by CSI drivers
    <data_dir>/plugins_registry/                                       where drivers make themselves known

``layout``, ``claims`` and ``payload`` are pure. ``atomic`` changes files together, ``subpath`` opens paths that a
container may not lead astray, ``ownership`` is fsGroup, ``removal`` never deletes through a mount. ``manager`` mounts
what needs nobody's help, ``persistent`` what a PersistentVolume says, ``csi`` asks drivers. All that blocks is meant
for a thread; whom to ask for objects is the business of ``sync.hooks.volumes``.
"""
