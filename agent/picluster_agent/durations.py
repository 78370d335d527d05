"""Durations as Go prints them, cut to milliseconds: ``393ms``, ``1.2s``, ``1m2.5s``, ``1h0m2s``. Pure."""

from __future__ import annotations


def go_duration(seconds: float) -> str:
    """``time.Duration.String`` after ``Truncate(time.Millisecond)``."""
    ms = int(seconds * 1000 + 1e-6)
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    minutes, rest_ms = divmod(ms, 60_000)
    text = f"{rest_ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
