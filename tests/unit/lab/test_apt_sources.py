from __future__ import annotations

from pathlib import Path

import pytest

from picluster.lab.apt import sources

DEB822 = """# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
"""
KEY = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"sources.list.d/debian.sources": DEB822},
            [
                f"deb {KEY} http://mirror.example/debian bookworm main",
                f"deb {KEY} http://mirror.example/debian bookworm-updates main",
                "deb http://mirror.example/debian-security/ bookworm-security main",
            ],
        ),
        (
            {"sources.list": "deb [arch=amd64 signed-by=/k.gpg] http://m/debian bookworm main # a\n#deb x y z\n"},
            ["deb [signed-by=/k.gpg] http://m/debian bookworm main"],
        ),
        (
            {
                "sources.list": "deb http://m/debian bookworm main\n",
                "sources.list.d/docker.list": "deb https://download.docker.com/linux/debian bookworm stable\n",
                "sources.list.d/raspi.list": "deb http://archive.raspberrypi.com/debian/ bookworm main\n",
                "sources.list.d/off.sources.disabled": DEB822,
            },
            ["deb http://m/debian bookworm main"],
        ),
    ],
)
def test_this_machines_mirrors_of_debian_are_taken(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert sources("bookworm", tmp_path) == expected


def test_a_machine_of_another_release_takes_the_public_mirror(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://m/debian trixie main\n")
    lines = sources("bookworm", tmp_path)
    assert [line.split()[-2:] for line in lines] == [
        ["bookworm", "main"],
        ["bookworm-updates", "main"],
        ["bookworm-security", "main"],
    ]
    assert all("deb.debian.org" in line for line in lines)
