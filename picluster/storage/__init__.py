"""Keys, bytes and revisions that survive a power cut: SQLite on one board, etcd for many, memory for tests.

``backend.py`` says what the API server needs; each backend is one file, and one contract suite runs against all of
them. Nothing but the API server imports this package, and nothing in here knows what a pod is.
"""
