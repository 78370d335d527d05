"""What the node does when something runs out: memory, disk, processes (``pkg/kubelet/eviction``).

``thresholds`` says which limits are crossed, for how long, and which of the node's conditions follow; ``ranking`` who
goes first; ``localstorage`` who uses more of the disk than it may; ``texts`` what is said. Those are pure. ``observe``
measures, ``manager`` does: first what hurts nobody (dead containers, unused images), then one pod at a time.
"""
