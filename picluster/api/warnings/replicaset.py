"""ReplicaSets: the name and the template."""

from picluster.api.warnings.templates import create, update

__all__ = ["create", "update"]
