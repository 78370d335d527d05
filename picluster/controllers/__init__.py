"""The controllers: each brings one kind of thing to what it should be, and is a client like any other.

``run`` starts them all in one process. One file per controller; deciding is pure, in the same file or in a sibling
whose name begins the same; ``shared`` is what several need. Controllers do not know each other: they meet at the API
server.
"""

from picluster.controllers.run import Settings, run

__all__ = ["Settings", "run"]
