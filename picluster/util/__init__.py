"""Clock, back-off, tasks, logging: what every part needs and what knows no Kubernetes words.

Nothing in here imports another picluster package.
"""
