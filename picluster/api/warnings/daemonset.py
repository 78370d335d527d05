"""DaemonSets: the template."""

from picluster.api.warnings.templates import create_template as create
from picluster.api.warnings.templates import update

__all__ = ["create", "update"]
