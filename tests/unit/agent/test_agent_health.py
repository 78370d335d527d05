"""The board's sensors, read from made-up trees, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from picluster_agent.health import sensors
from picluster_agent.health.decide import CLOCK_PATIENCE_S, QUIET_S, TYPES, Track, decide
from picluster_agent.health.model import Filesystem, Readings, Storage
from picluster_agent.health.report import METRICS, exposition

FINE = Readings(
    at_s=0.0,
    model="Raspberry Pi 4 Model B Rev 1.4",
    throttled=0,
    voltage_alarm=False,
    temperatures_c=(("thermal_zone0", 45.5),),
    storage=(Storage("mmcblk0", "SD64G", 4096, 1, 1),),
    filesystems=(Filesystem("mmcblk0p2", 1 << 30, 0),),
    read_only=(),
    clock_synchronized=True,
)


def board(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def statuses(tracks: dict[str, Track]) -> dict[str, str]:
    return {track.told.kind: track.told.condition()["status"] for track in tracks.values()}


def test_a_raspberry_pi_is_read_whole(tmp_path: Path) -> None:
    root = board(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/mounts": "/dev/root / ext4 ro,noatime 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/sda1 /var/lib ext4 rw 0 0\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
            "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
            "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n",
            "sys/class/thermal/thermal_zone0/temp": "81250\n",
            "sys/class/thermal/thermal_zone1/temp": "-273000\n",
            "sys/block/mmcblk0/stat": "1 2 3 4 5 6 1000 8 9 10 11\n",
            "sys/block/mmcblk0/device/name": "DG4064\n",
            "sys/block/mmcblk0/device/life_time": "0x01 0x0b\n",
            "sys/block/mmcblk0/device/pre_eol_info": "0x02\n",
            "sys/block/loop0/stat": "1 2 3 4 5 6 7 8\n",
            "sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes": "2048\n",
            "sys/fs/ext4/mmcblk0p2/errors_count": "3\n",
            "run/systemd/timesync/synchronized": "",
        },
    )
    found = sensors.read(root, 7.0, (Path("/var/lib/picluster"), Path("/")))
    assert found == Readings(
        at_s=7.0,
        model="Raspberry Pi 4 Model B Rev 1.4",
        throttled=0x50005,
        voltage_alarm=True,
        temperatures_c=(("thermal_zone0", 81.25),),
        storage=(Storage("mmcblk0", "DG4064", 512_000, 11, 2),),
        filesystems=(Filesystem("mmcblk0p2", 2 << 20, 3),),
        read_only=("/",),
        clock_synchronized=True,
    )
    bad = statuses(decide(replace(found, clock_synchronized=False), {}))
    assert bad == {**dict.fromkeys(TYPES, "True"), "ClockUnsynchronized": "False"}


def test_a_board_without_sensors_says_nothing(tmp_path: Path) -> None:
    found = sensors.read(tmp_path, 1.0, (Path("/"),))
    assert found == Readings(at_s=1.0)
    assert decide(found, {}) == {}
    assert exposition(found) == ""


def test_the_firmware_is_asked_where_the_kernel_has_no_file(tmp_path: Path) -> None:
    program = board(tmp_path, {"usr/bin/vcgencmd": '#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x20002\n'})
    (program / "usr/bin/vcgencmd").chmod(0o755)
    assert sensors.read(tmp_path, 1.0, ()).throttled == 0x20002
    (program / "usr/bin/vcgencmd").write_text("#!/bin/sh\nexit 1\n")
    assert sensors.read(tmp_path, 1.0, ()).throttled is None


def test_a_board_in_a_container_has_no_clock_of_its_own(tmp_path: Path) -> None:
    root = board(tmp_path, {"run/systemd/timesync/clock": ""})
    assert sensors.read(root, 1.0, ()).clock_synchronized is False
    assert sensors.read(board(tmp_path, {"run/systemd/container": "nspawn"}), 1.0, ()).clock_synchronized is None


def test_this_machines_sensors_can_be_read() -> None:
    found = sensors.read(Path("/"), 1.0, (Path("/"),))
    assert (found.clock_synchronized is None) == Path("/run/systemd/container").exists()
    assert found.read_only is not None


def test_a_fine_board_has_every_condition_false() -> None:
    tracks = decide(FINE, {})
    assert statuses(tracks) == dict.fromkeys(TYPES, "False")
    assert tracks["UnderVoltage"].told.condition() == {
        "type": "UnderVoltage",
        "status": "False",
        "reason": "SupplyVoltageSufficient",
        "message": "the supply voltage is sufficient",
    }


@pytest.mark.parametrize(
    ("change", "kind", "reason", "words"),
    [
        ({"throttled": 0x1}, "UnderVoltage", "SupplyVoltageLow", "too low"),
        ({"throttled": None, "voltage_alarm": True}, "UnderVoltage", "SupplyVoltageLow", "power supply"),
        ({"throttled": 0x2}, "Throttled", "ProcessorThrottled", "its frequency is capped"),
        ({"throttled": 0xC}, "Throttled", "ProcessorThrottled", "it is throttled, the soft temperature limit"),
        ({"temperatures_c": (("a", 20.0), ("b", 80.0))}, "HighTemperature", "BoardIsHot", "hotter than 80 °C"),
        ({"storage": (Storage("mmcblk0", life_used=10),)}, "StorageWornOut", "StorageNearEndOfLife", "mmcblk0"),
        ({"storage": (Storage("mmcblk0", pre_end_of_life=3),)}, "StorageWornOut", "StorageNearEndOfLife", "mmcblk0"),
        ({"read_only": ("/",)}, "ReadOnlyFilesystem", "FilesystemIsReadOnly", "read-only: /;"),
        ({"filesystems": (Filesystem("sda1", 0, 1),)}, "FilesystemErrors", "FilesystemHasErrors", "sda1"),
    ],
)
def test_trouble_is_told_at_once_and_taken_back_after_a_while(
    change: dict[str, object], kind: str, reason: str, words: str
) -> None:
    fine = decide(FINE, {})
    bad = decide(replace(FINE, at_s=15.0, **change), fine)  # type: ignore[arg-type]
    assert bad[kind].told.bad
    assert bad[kind].told.reason == reason
    assert words in bad[kind].told.message
    soon = decide(replace(FINE, at_s=30.0), bad)
    assert soon[kind].told.bad
    flickering = decide(replace(FINE, at_s=45.0, **change), soon)  # type: ignore[arg-type]
    quiet = decide(replace(FINE, at_s=60.0), flickering)
    assert decide(replace(FINE, at_s=60.0 + QUIET_S - 1), quiet)[kind].told.bad
    assert not decide(replace(FINE, at_s=60.0 + QUIET_S), quiet)[kind].told.bad


def test_what_happened_since_boot_is_in_the_message_only() -> None:
    tracks = decide(replace(FINE, throttled=0xF0000), {})
    assert statuses(tracks) == dict.fromkeys(TYPES, "False")
    assert tracks["UnderVoltage"].told.message.endswith("was too low since the board booted")
    assert tracks["Throttled"].told.message.endswith("was slowed down since the board booted")


def test_a_hot_board_stays_hot_until_it_is_cool() -> None:
    hot = decide(replace(FINE, temperatures_c=(("a", 82.0),)), {})
    warm = decide(replace(FINE, at_s=1000.0, temperatures_c=(("a", 77.0),)), hot)
    assert warm["HighTemperature"].told.bad
    assert warm["HighTemperature"].turned_s is None


def test_a_clock_has_time_to_be_set() -> None:
    first = decide(replace(FINE, clock_synchronized=False), {})
    assert not first["ClockUnsynchronized"].told.bad
    assert not decide(replace(FINE, clock_synchronized=False, at_s=CLOCK_PATIENCE_S - 1), first)[
        "ClockUnsynchronized"
    ].told.bad
    late = decide(replace(FINE, clock_synchronized=False, at_s=CLOCK_PATIENCE_S), first)
    assert late["ClockUnsynchronized"].told.bad


def test_every_metric_is_written_for_a_whole_board() -> None:
    text = exposition(replace(FINE, throttled=0x10001))
    assert all(f"# TYPE picluster_board_{name} " in text for name in METRICS)
    assert 'picluster_board_throttled{kind="under_voltage"} 1\n' in text
    assert 'picluster_board_throttled_since_boot{kind="throttled"} 0\n' in text
    assert 'picluster_board_storage_life_used_ratio{device="mmcblk0"} 0.1\n' in text
    assert 'picluster_board_temperature_celsius{zone="thermal_zone0"} 45.5\n' in text
