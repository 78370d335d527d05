"""The node's own object: registered, kept true, its lease renewed.

``node`` does; the rest is pure: ``registration`` says what a Node is made of and what is put right of one that is
there, ``conditions`` judges, ``events`` tells what has changed, ``images`` and ``features`` fill the status.
Source: ``pkg/kubelet/kubelet_node_status.go`` and ``pkg/kubelet/nodestatus/setters.go``.
"""
