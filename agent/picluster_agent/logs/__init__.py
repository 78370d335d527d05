"""What containers have said: the files of their logs, read by ``logfile`` and rotated by ``rotation``.

``segments`` knows which files make up one log, and their order. conmon writes the newest; nobody else writes. That a
request asked for it is ``endpoint.logs``' matter.
"""
