"""A rack, read from its Ansible inventory: who the control plane is, who the nodes are, how SSH and power reach them.

``ansible-inventory`` does the reading, so whatever Ansible understands (group_vars, ranges, plug-ins) is understood
here, and ``picluster`` and the playbooks cannot disagree. What belongs to a rack on the operator's machine is in
``.picluster/`` beside its inventory.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import fabric

LAB_INVENTORY = Path("/var/lib/picluster-lab/inventory/hosts.yml")
DEFAULT_INVENTORY = Path("inventory/hosts.yml")
STATE_DIR_NAME = ".picluster"
KUBECONFIG_NAME = "admin.kubeconfig"
CONTROL_PLANE_GROUP = "control_plane"
NODES_GROUP = "nodes"
OUTLET_KEY = "picluster_outlet"
REGISTRY_KEY = "picluster_registry"
REGISTRY_NAME = "registry.internal"
REGISTRY_PORT = 5000
SSH_PORT = 22
CONNECT_TIMEOUT_S = 5
INVENTORY_TIMEOUT_S = 60
REFERENCE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class RackError(Exception):
    """One sentence: what is wrong with the inventory or the rack, naming host and key, and the cure."""


@dataclass(frozen=True)
class Host:
    """One board as the inventory has it; ``outlet`` is its ``picluster_outlet``, ``None`` without one."""

    name: str
    role: str
    address: str
    user: str = "root"
    port: int = SSH_PORT
    key: Path | None = None
    known_hosts: Path | None = None
    outlet: dict[str, Any] | None = None

    def connect(self) -> fabric.Connection:
        """A connection that is not open yet; it opens at the first command, and closes as a context manager.

        With a known-hosts file in the inventory only those keys are accepted; else a board's first key is, and a
        change of it is refused.
        """
        import fabric
        import paramiko

        # A command on a board never reads this process's standard input.
        config = fabric.Config(overrides={"run": {"in_stream": False}})
        keys: dict[str, Any] = {"key_filename": str(self.key), "look_for_keys": False, "allow_agent": False}
        connection = fabric.Connection(
            self.address,
            user=self.user,
            port=self.port,
            config=config,
            connect_timeout=CONNECT_TIMEOUT_S,
            connect_kwargs=keys if self.key else {},
        )
        if self.known_hosts:
            connection.client.load_host_keys(str(self.known_hosts))
            connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        else:
            connection.client.load_system_host_keys()
        return connection

    def as_root(self, command: str) -> str:
        """``command`` (for a shell) as root's."""
        return command if self.user == "root" else f"sudo -n sh -c {shlex.quote(command)}"

    def ssh_command(self, *command: str) -> list[str]:
        """OpenSSH's command line to this board: its terminal when there is no command."""
        known = [f"-oUserKnownHostsFile={self.known_hosts}", "-oStrictHostKeyChecking=yes"] if self.known_hosts else []
        key = ["-i", str(self.key), "-oIdentitiesOnly=yes"] if self.key else []
        options = [*key, *known, f"-oConnectTimeout={CONNECT_TIMEOUT_S}", "-p", str(self.port)]
        return ["ssh", *options, f"{self.user}@{self.address}", *(["--", *command] if command else [])]


@dataclass(frozen=True)
class RegistryPlace:
    """Where the rack's registry of images runs; ``name`` is what images' names begin with, and its certificate's."""

    board: Host
    name: str
    port: int

    @property
    def host_port(self) -> str:
        return f"{self.name}:{self.port}"


@dataclass(frozen=True)
class Rack:
    inventory: Path
    control_plane: Host
    nodes: tuple[Host, ...]
    registry: RegistryPlace | None = None

    @cached_property
    def hosts(self) -> tuple[Host, ...]:
        """Every board once, the control plane first."""
        return (self.control_plane, *(node for node in self.nodes if node.name != self.control_plane.name))

    @property
    def state_dir(self) -> Path:
        """What belongs to this rack on this machine; private, and there only once something is kept."""
        return state_dir(self.inventory)

    @property
    def kubeconfig(self) -> Path:
        return self.state_dir / KUBECONFIG_NAME

    def host(self, name: str) -> Host:
        """Raises ``RackError`` when the rack has no board of that name."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise RackError(f"{self.inventory} has no board {name}; it has {', '.join(host.name for host in self.hosts)}")

    def outlet(self, name: str) -> dict[str, Any]:
        """The outlet of board ``name``; raises ``RackError`` when it has none."""
        outlet = self.host(name).outlet
        if outlet is None:
            raise RackError(
                f"{name} has no {OUTLET_KEY} in {self.inventory}, so its power cannot be switched;"
                " inventory/hosts.yml shows how an outlet is written"
            )
        return outlet


def state_dir(inventory: Path) -> Path:
    return inventory.absolute().parent / STATE_DIR_NAME


def resolve_inventory(given: Path | None) -> Path:
    """``given``, else a lab's, else ``inventory/hosts.yml`` here. Raises ``RackError`` when that does not exist."""
    if given is not None:
        if not given.exists():
            raise RackError(f"the inventory {given} does not exist; name one with -i or PICLUSTER_INVENTORY")
        return given
    for candidate in (LAB_INVENTORY, DEFAULT_INVENTORY):
        if os.access(candidate, os.F_OK):
            return candidate
    raise RackError(
        "no rack: no lab runs here (sudo picluster lab up) and there is no inventory/hosts.yml;"
        " name an inventory with -i or PICLUSTER_INVENTORY"
    )


def load(inventory: Path | None = None) -> Rack:
    """Read the rack that ``inventory`` describes (see ``resolve_inventory``). Raises ``RackError``."""
    path = resolve_inventory(inventory)
    if not os.access(path, os.R_OK):
        raise RackError(f"{path} cannot be read by this user; run with sudo")
    return parse(path, _list(path))


def parse(path: Path, listed: Mapping[str, Any]) -> Rack:
    """A rack from what ``ansible-inventory --list`` printed for the inventory at ``path``."""
    variables: Mapping[str, Mapping[str, Any]] = listed.get("_meta", {}).get("hostvars", {})
    control_plane = _members(listed, CONTROL_PLANE_GROUP)
    nodes = _members(listed, NODES_GROUP)
    if len(control_plane) != 1:
        found = f"{len(control_plane)} boards ({', '.join(control_plane)})" if control_plane else "no board"
        raise RackError(f"{path}: group {CONTROL_PLANE_GROUP} has {found}; it needs exactly one")
    if not nodes:
        raise RackError(f"{path}: group {NODES_GROUP} has no board; put the boards that run pods into it")
    hosts = {name: _host(path, name, variables.get(name, {}), control_plane[0]) for name in [*control_plane, *nodes]}
    _no_shared_addresses(path, hosts)
    registry = _registry(path, hosts, variables.get(control_plane[0], {}))
    return Rack(path, hosts[control_plane[0]], tuple(hosts[name] for name in nodes), registry)


def _members(listed: Mapping[str, Any], group: str) -> list[str]:
    """Hosts of ``group`` and of the groups in it, each once, in the inventory's order."""
    found: dict[str, None] = {}
    entry = listed.get(group, {})
    for name in entry.get("hosts", []):
        found[name] = None
    for child in entry.get("children", []):
        found.update(dict.fromkeys(_members(listed, child)))
    return list(found)


def _host(path: Path, name: str, variables: Mapping[str, Any], control_plane: str) -> Host:
    key = variables.get("ansible_ssh_private_key_file") or variables.get("ansible_private_key_file")
    user = str(variables.get("ansible_user") or variables.get("ansible_ssh_user") or os.environ.get("USER", "root"))
    try:
        port = int(variables.get("ansible_port", SSH_PORT))
    except (TypeError, ValueError):
        raise RackError(f"{path}: {name}: ansible_port is {variables['ansible_port']!r}, not a number") from None
    return Host(
        name=name,
        role="control-plane" if name == control_plane else "node",
        address=str(variables.get("ansible_host", name)),
        user=user,
        port=port,
        key=_path(path, str(key)) if key else None,
        known_hosts=_known_hosts(path, variables),
        outlet=_outlet(path, name, variables),
    )


def _registry(path: Path, hosts: Mapping[str, Host], variables: Mapping[str, Any]) -> RegistryPlace | None:
    board = variables.get(REGISTRY_KEY)
    if not board:
        return None
    if board not in hosts:
        raise RackError(f"{path}: {REGISTRY_KEY} is {board!r}, which is no board; it has {', '.join(hosts)}")
    name, port = variables.get(f"{REGISTRY_KEY}_name"), str(variables.get(f"{REGISTRY_KEY}_port") or REGISTRY_PORT)
    if not port.isdigit():
        raise RackError(f"{path}: {REGISTRY_KEY}_port is {port!r}, not a number")
    return RegistryPlace(hosts[board], str(name or REGISTRY_NAME), int(port))


def _outlet(path: Path, name: str, variables: Mapping[str, Any]) -> dict[str, Any] | None:
    outlet = variables.get(OUTLET_KEY)
    if outlet is None:
        return None
    if not isinstance(outlet, dict) or not isinstance(outlet.get("driver"), str):
        raise RackError(f"{path}: {name}: {OUTLET_KEY} must be a mapping with a driver, such as {{driver: http, …}}")
    return {key: _filled_in(path, f"{name}: {OUTLET_KEY}.{key}", value, variables) for key, value in outlet.items()}


def _filled_in(path: Path, where: str, value: Any, variables: Mapping[str, Any]) -> Any:
    """``ansible-inventory`` leaves ``{{ name }}`` as it is; a plain reference to another variable is followed here."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    reference = REFERENCE.fullmatch(value.strip())
    if reference is None or reference[1] not in variables:
        raise RackError(f"{path}: {where} is {value!r}; write the value itself, or {{{{ the name of a variable }}}}")
    return variables[reference[1]]


def _known_hosts(path: Path, variables: Mapping[str, Any]) -> Path | None:
    arguments = " ".join(str(variables.get(name, "")) for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"))
    found = re.search(r"UserKnownHostsFile[= ](\S+)", arguments)
    return _path(path, found[1].strip("\"'")) if found and found[1] != "/dev/null" else None


def _path(inventory: Path, text: str) -> Path:
    """As ssh takes it, with ``{{ inventory_dir }}`` filled in."""
    return Path(re.sub(r"\{\{\s*inventory_dir\s*\}\}", str(inventory.absolute().parent), text)).expanduser()


def _no_shared_addresses(path: Path, hosts: Mapping[str, Host]) -> None:
    seen: dict[tuple[str, int], str] = {}
    for host in hosts.values():
        other = seen.setdefault((host.address, host.port), host.name)
        if other != host.name:
            raise RackError(f"{path}: {other} and {host.name} have one address, {host.address}; correct ansible_host")


def _list(path: Path) -> dict[str, Any]:
    environment = os.environ | {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
        "ANSIBLE_DUPLICATE_YAML_DICT_KEY": "error",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
    }
    argv = [ansible_program("ansible-inventory"), "-i", str(path), "--list"]
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=INVENTORY_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise RackError(f"ansible-inventory did not read {path} within {INVENTORY_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise RackError(f"ansible-inventory cannot read {path}: {_why(done.stderr)}")
    listed = json.loads(done.stdout)
    assert isinstance(listed, dict)
    return listed


def _why(stderr: str) -> str:
    """The sentence in Ansible's output that says what is wrong."""
    text = " ".join(stderr.split())
    found = re.search(r"(?:ERROR!|\[ERROR\]:)\s*(.*)", text)
    return (found[1] if found else text or "it said nothing")[:400]


def ansible_program(name: str) -> str:
    """Ansible's program beside this Python, where ``pip`` put it, else on the path. Raises ``RackError``."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise RackError(f"{name} is missing; pip install 'picluster[cli]'")
    return found
