"""The audit log: who asked for what, when, and how it was answered, one JSON event a line (``audit.k8s.io/v1``).

``policy`` decides how much of a request is logged, ``event`` says it in Kubernetes' words, ``trail`` follows one
request through its stages, ``log`` writes beside the event loop, within bounds. Secrets, tokens and what asks for
tokens are never in it, whatever the policy says.
"""
