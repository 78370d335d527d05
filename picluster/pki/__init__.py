"""The cluster's certificates: one EC P-256 authority, and who may be signed as what.

``bundle.ensure`` is the way in: it completes a directory to a whole PKI and tells what it wrote. ``authority`` signs,
``profiles`` decide subject and extensions (never the request), ``kubeconfig`` writes what clients read, ``files`` makes
each file appear whole or not at all. Nothing in here opens a socket or asks what time it is but through a ``Clock``.
"""
