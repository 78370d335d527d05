"""The ``picluster`` command. One file per command family; each is imported only when its command runs.

``COMMANDS`` is the whole table, so that ``picluster --help`` prints without importing a single command.
"""

from __future__ import annotations

import importlib

import click

from picluster import VERSION

COMMANDS: dict[str, tuple[str, str, str]] = {
    # name: (section, "module:attribute", one line of help)
    "lab": ("Lab", "picluster.cli.lab:lab", "Boot, switch and remove stand-in boards on this machine."),
    "bootstrap": ("Rack", "picluster.cli.bootstrap:bootstrap", "Provision every board of an inventory over SSH."),
    "status": ("Rack", "picluster.cli.status:status", "Show rack, power, nodes and workloads in one look."),
    "node": ("Rack", "picluster.cli.node:node", "List nodes, or run a command on one over SSH."),
    "power": ("Rack", "picluster.cli.power:power", "Switch a board's outlet, and read it back."),
    "backup": ("Rack", "picluster.cli.backup:backup", "Save the control plane into one file."),
    "restore": ("Rack", "picluster.cli.backup:restore", "Make the control plane what it was."),
    "token": ("Rack", "picluster.cli.token:token", "Let boards join with a token, without Ansible."),
    "image": ("Rack", "picluster.cli.image:image", "Load a container image onto the nodes."),
    "drill": ("Drills", "picluster.cli.drill:drill", "Cause a failure, time the healing, report."),
    "kubeconfig": ("Cluster", "picluster.cli.kubeconfig:kubeconfig", "Print what kubectl needs to reach the cluster."),
    "get": ("Cluster", "picluster.cli.get:get", "List objects as a table."),
    "describe": ("Cluster", "picluster.cli.describe:describe", "Show one object with its events."),
    "apply": ("Cluster", "picluster.cli.apply:apply", "Create or update what a manifest says."),
    "delete": ("Cluster", "picluster.cli.delete:delete", "Delete objects."),
    "logs": ("Cluster", "picluster.cli.logs:logs", "Print a container's log."),
    "scale": ("Cluster", "picluster.cli.scale:scale", "Set the number of replicas."),
    "secrets": ("Cluster", "picluster.cli.secrets:secrets", "Write Secrets anew with the newest key."),
    "server": ("Processes", "picluster.cli.server:server", "Run the control plane, or a part of it."),
    "store": ("Processes", "picluster.cli.store:store", "Check, shrink or move a control plane's store."),
    "pki": ("Processes", "picluster.cli.pki:pki", "Make the cluster's certificates."),
}


EXIT_CODES = "Exit code 0: done; 1: refused, not there, or no answer; 2: wrong use or input."


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module_name, _, attribute = COMMANDS[cmd_name][1].partition(":")
        command = getattr(importlib.import_module(module_name), attribute)
        assert isinstance(command, click.Command)
        say_exit_codes(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (section, _, help_line) in COMMANDS.items():
            sections.setdefault(section, []).append((name, help_line))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


def say_exit_codes(command: click.Command) -> None:
    """End the help of every command with its exit codes, those that have their own to tell aside."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            say_exit_codes(inner)
    elif "xit code" not in (command.help or ""):
        command.epilog = EXIT_CODES


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="picluster", message="%(prog)s %(version)s")
def main() -> None:
    """Kubernetes on a rack of Raspberry Pi boards, or of stand-ins, whose power is really cut.

    \b
    Example:
      sudo picluster lab up
      picluster status
      picluster drill run power-cut --yes
    """
