"""What nobody needs any more: dead containers and images (``kuberuntime_gc.go``, ``image_gc_manager.go``).

``containers`` and ``images`` decide (pure); ``collector`` looks now and then, at once when the disk is short.
What a pod left behind that is gone is its worker's to remove; groups, mounts and directories of pods that nobody knows
are found at the agent's start.
"""
