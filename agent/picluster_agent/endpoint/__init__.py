"""The agent's own endpoint, port 10250: what the API server, and whoever may, ask of this node.

``server`` listens, ``access`` says who is let in; each other module adds the routes of one concern and is listed in
``server``. ``lookup`` finds the pod and the container that a path names. Paths and answers are the kubelet's.
"""
