"""The board's readings as metrics, ``picluster_board_*``. PURE."""

from __future__ import annotations

from picluster_agent.health.model import (
    FREQUENCY_CAPPED,
    SINCE_BOOT_SHIFT,
    SOFT_TEMPERATURE_LIMIT,
    THROTTLED,
    UNDER_VOLTAGE,
    Readings,
)
from picluster_agent.stats.exposition import Family, joined, label_text

KINDS = {
    "under_voltage": UNDER_VOLTAGE,
    "frequency_capped": FREQUENCY_CAPPED,
    "throttled": THROTTLED,
    "soft_temperature_limit": SOFT_TEMPERATURE_LIMIT,
}
METRICS = {
    "info": ("gauge", "The board's model. The count is always 1."),
    "throttled": ("gauge", "Whether the firmware slows the board down now, by kind"),
    "throttled_since_boot": ("gauge", "Whether it has done so since the board booted, by kind"),
    "under_voltage": ("gauge", "Whether the supply voltage is too low now"),
    "temperature_celsius": ("gauge", "The temperature of each thermal zone"),
    "storage_written_bytes_total": ("counter", "Bytes written to each disk since the board booted"),
    "storage_life_used_ratio": ("gauge", "How much of the life of an eMMC is used, by its own estimate"),
    "storage_pre_end_of_life": ("gauge", "An eMMC's spare blocks: 1 normal, 2 warning, 3 urgent"),
    "filesystem_written_bytes_total": ("counter", "Bytes written to each ext4 file system since it was made"),
    "filesystem_errors": ("gauge", "Errors that ext4 has found in each file system"),
    "filesystem_read_only": ("gauge", "Whether the root file system or that of the pods is mounted read-only"),
    "clock_synchronized": ("gauge", "Whether a time server has set the clock"),
}


def exposition(readings: Readings) -> str:
    """What the board has sensors for."""
    families = {name: Family(f"picluster_board_{name}", kind, what) for name, (kind, what) in METRICS.items()}

    def add(name: str, value: float, **labels: str) -> None:
        families[name].add(value, label_text(labels))

    if readings.model:
        add("info", 1, model=readings.model)
    if (bits := readings.throttled) is not None:
        for kind, bit in KINDS.items():
            add("throttled", int(bool(bits & bit)), kind=kind)
            add("throttled_since_boot", int(bool(bits >> SINCE_BOOT_SHIFT & bit)), kind=kind)
    if readings.throttled is not None or readings.voltage_alarm is not None:
        add("under_voltage", int(bool(readings.voltage_alarm or (readings.throttled or 0) & UNDER_VOLTAGE)))
    for zone, celsius in readings.temperatures_c:
        add("temperature_celsius", celsius, zone=zone)
    for one in readings.storage:
        add("storage_written_bytes_total", one.written_bytes, device=one.device)
        if one.life_used:
            add("storage_life_used_ratio", min(one.life_used / 10, 1.0), device=one.device)
        if one.pre_end_of_life:
            add("storage_pre_end_of_life", one.pre_end_of_life, device=one.device)
    for system in readings.filesystems:
        add("filesystem_written_bytes_total", system.lifetime_written_bytes, device=system.device)
        add("filesystem_errors", system.errors, device=system.device)
    if readings.read_only is not None:
        add("filesystem_read_only", int(bool(readings.read_only)))
    if readings.clock_synchronized is not None:
        add("clock_synchronized", int(readings.clock_synchronized))
    return joined(families.values())
