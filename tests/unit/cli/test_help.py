"""Every command explains itself: an example, its exit codes, JSON where it prints data, a place in ``docs/cli.md``."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from picluster.cli import COMMANDS, main

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "cli.md"
WITHOUT_DATA = {
    "lab ssh", "lab logs", "node ssh", "kubeconfig", "describe", "delete", "logs", "scale", "server", "pki sign",
}  # fmt: skip
"""They print no data of their own, or text and files as they are; ``get -o json`` has the objects."""
INTRODUCTION = """# Commands

What `picluster --help` and each command's `--help` say, in one page. Every command takes `-h`, which also explains
options and arguments. A test keeps this page true (`pytest tests/unit/cli/test_help.py --rewrite` writes it).
"""


def walk(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its words, groups before what is in them."""
    if path:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walk(inner, *path, name)


ALL = dict(walk(main))
LEAVES = {name: command for name, command in ALL.items() if not isinstance(command, click.Group)}


def text_of(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def example(command: click.Command) -> list[str]:
    """The lines of the example in a command's help."""
    _, found, rest = text_of(command).partition("\b\nExample:\n")
    assert found, "its help has no paragraph '\\b', 'Example:'"
    return [line.strip() for line in rest.partition("\n\n")[0].splitlines() if line.strip()]


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_an_example_that_uses_it(name: str) -> None:
    lines = example(ALL[name])
    assert any(f"picluster {name}" in line for line in lines), lines


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_says_what_its_exit_codes_mean(name: str) -> None:
    command = LEAVES[name]
    assert "xit code" in f"{command.help} {command.epilog}"


@pytest.mark.parametrize("name", sorted(set(LEAVES) - WITHOUT_DATA))
def test_what_prints_data_prints_json(name: str) -> None:
    types = [parameter.type for parameter in LEAVES[name].params if parameter.name == "output"]
    assert any(isinstance(one, click.Choice) and "json" in one.choices for one in types)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_of_them_says_of_itself(name: str) -> None:
    """``picluster --help`` reads a table, so that nothing is imported; the table must not lie."""
    assert COMMANDS[name][2].endswith(".")
    assert (ALL[name].help or "").strip()


def test_every_option_is_explained() -> None:
    silent = [
        f"{name} {parameter.opts[0]}"
        for name, command in ALL.items()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help and parameter.name not in ("output", "help")
    ]
    assert silent == []


def reference() -> str:
    """``docs/cli.md``."""
    parts, section = [INTRODUCTION], ""
    for name, command in ALL.items():
        head = name.split()[0]
        if COMMANDS[head][0] != section:
            section = COMMANDS[head][0]
            parts.append(f"## {section}\n")
        line = text_of(command).split("\n\n")[0].replace("\n", " ")
        if isinstance(command, click.Group):
            parts.append(f"### picluster {name}\n\n{line}\n")
            continue
        parts.append(f"### picluster {name}\n\n{' '.join(line.split())}\n")
        parts.append("\n".join(f"    {text}" for text in example(command)) + "\n")
    return "\n".join(parts)


def test_the_docs_have_every_command(golden: Callable[[Path, str], None]) -> None:
    golden(REFERENCE, reference())


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, json\n"
        "from picluster.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    loaded = set(json.loads(done.stderr))
    heavy = {
        "aiohttp",
        "ansible",
        "rich",
        "yaml",
        "orjson",
        "msgspec",
        "asyncio",
        "ssl",
        "paramiko",
        "fabric",
        "uvloop",
    }
    assert loaded & heavy == set()
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


def test_an_unknown_command_is_said_in_a_sentence() -> None:
    with pytest.raises(click.UsageError, match="No such command 'potato'"):
        main(["potato"], standalone_mode=False)
