"""The roles and bindings that every cluster has, and what puts them there (``rbac/bootstrappolicy``).

The data is text, one line a rule; ``notation`` reads it. Imported when the server starts, and not needed afterwards.
"""
