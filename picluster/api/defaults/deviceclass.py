"""Defaults of DeviceClasses."""

from __future__ import annotations

from picluster.api.types import Object


def apply(deviceclass: Object) -> None:
    deviceclass.setdefault("spec", {})
