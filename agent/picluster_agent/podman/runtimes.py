"""The OCI runtimes that this machine has, by the names that handlers of runtime classes have."""

from __future__ import annotations

import os
import shutil

KNOWN = ("crun", "runc", "krun", "youki", "runsc")
"""Those that Podman finds by their name alone."""
PLACES = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"


def installed() -> tuple[str, ...]:
    places = f"{os.environ.get('PATH', '')}:{PLACES}"
    return tuple(name for name in KNOWN if shutil.which(name, path=places))
