"""The composition root: which roles run in this process, on which files, and how they start and stop.

``config`` reads what a process is told, ``standalone`` makes a whole control plane's files from nothing, ``process``
runs the roles until a signal. The scheduler, the controllers and the hollow nodes reach the API server through a
client with an identity of their own, also when all of them share a process.
"""
