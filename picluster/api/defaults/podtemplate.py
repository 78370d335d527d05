"""Defaults of PodTemplates."""

from __future__ import annotations

from picluster.api.defaults import podspec
from picluster.api.types import Object


def apply(podtemplate: Object) -> None:
    podspec.apply_template(podtemplate)
