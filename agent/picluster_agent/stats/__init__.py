"""What the node, its pods and their containers use: read when somebody asks, from the kernel's files, not from Podman.

``collector`` reads (control groups, ``/proc``) at most once a second, and nothing while nobody asks; ``disks`` measures
directories, which is slow, at most once a minute. What they found (``model``) becomes the kubelet's summary
(``summary``), its resource metrics (``resource``) or cAdvisor's (``cadvisor``), all pure.
"""
