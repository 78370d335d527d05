"""The Kubernetes API as values: resource table, schemas, defaults, validation, patches, selectors, errors.

PURE. Objects go in and out as plain dicts as they are on the wire; nothing in here does I/O, reads a clock or knows who
asks. The API server, the controllers, the agent and the CLI all speak through these definitions.
"""
