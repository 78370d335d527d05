"""Looks at one board and prints what it found as JSON; changes nothing.

Runs on the board as root, over SSH, from standard input, in one go: a playbook that asked Ansible's fact modules and a
task for each thing would take ten times as long on a Pi. It must run under Python 3.7 too, so that it can report an old
one. Its one argument is JSON: ``ports`` (listening ports to explain), ``reach`` ("host:port" to connect to),
``packages``, ``units``, ``files`` (mode and hash of each), ``sysctls``.
"""

import configparser
import ctypes
import hashlib
import json
import os
import platform
import shutil
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

CONNECT_TIMEOUT_S = 3.0
COMMAND_TIMEOUT_S = 20
LISTEN = "0A"
UNSYNCHRONIZED_US = 16000000


def read(path):
    try:
        return Path(path).read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def output(*command):
    """Standard output of a program that may be missing or fail."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def operating_system():
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read_string("[os]\n" + read("/etc/os-release"))
    found = {key: value.strip('"') for key, value in parser["os"].items()}
    return {
        "id": found.get("ID", ""),
        "like": found.get("ID_LIKE", ""),
        "version": found.get("VERSION_ID", ""),
        "name": found.get("PRETTY_NAME", "an unknown system"),
    }


def container():
    """Whether the kernel is somebody else's: then its modules, clock and swap are not this board's to set."""
    return bool(read("/run/systemd/container") or read("/run/host/container-manager"))


def memory_cgroup():
    """The version mounted, and whether it limits memory."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return {"version": 2, "memory": "memory" in read("/sys/fs/cgroup/cgroup.controllers").split()}
    mounted = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
    return {"version": 1 if Path("/sys/fs/cgroup").exists() else 0, "memory": mounted}


def listeners(ports):
    """For each of ``ports`` that something listens on: the program, and its systemd unit."""
    inodes = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in read(table).splitlines()[1:]:
            fields = line.split()
            port = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == LISTEN and port in ports:
                inodes[f"socket:[{fields[9]}]"] = port
    found = {str(port): {"program": "an unknown program", "pid": 0, "unit": ""} for port in inodes.values()}
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            links = [os.readlink(str(link)) for link in (process / "fd").iterdir()]  # noqa: PTH115 - Python 3.9
        except OSError:
            continue
        for link in links:
            if link in inodes:
                found[str(inodes[link])] = {
                    "program": read(process / "comm"),
                    "pid": int(process.name),
                    "unit": unit_of(read(process / "cgroup")),
                }
    return found


def unit_of(cgroups):
    parts = [part for line in cgroups.splitlines() for part in line.split("/") if part.endswith(".service")]
    return parts[-1] if parts else ""


def reach(targets):
    """Why each of ``targets`` cannot be reached; a refused connection came from there, so it can."""
    found = {}
    for target in targets:
        host, _, port = target.rpartition(":")
        try:
            socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
        except ConnectionRefusedError:
            pass
        except OSError as error:
            timed_out = isinstance(error, socket.timeout)
            silence = f"no answer within {CONNECT_TIMEOUT_S:.0f} s"
            found[target] = silence if timed_out else error.strerror or str(error)
    return found


def missing_packages(names):
    lines = output("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names).splitlines() if names else []
    installed = {line.split()[0] for line in lines if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def units(names):
    """State of each unit, as "enabled active" when all is well, "" when there is none."""
    found = {}
    for name in names:
        shown = output("systemctl", "show", "-p", "UnitFileState", "-p", "ActiveState", "--", name)
        state = dict(line.partition("=")[::2] for line in shown.splitlines())
        known = state.get("UnitFileState", "")
        found[name] = known and known + " " + state.get("ActiveState", "")
    return found


def clock():
    """Whether something disciplines the kernel's clock, found as systemd-timedated does: adjtimex(2)."""
    timex = ctypes.create_string_buffer(512)
    ctypes.CDLL(None).adjtimex(timex)
    maxerror_us = struct.unpack_from("@Illl", timex)[3]
    return {"synchronized": maxerror_us < UNSYNCHRONIZED_US}


def addresses():
    lines = output("ip", "-o", "-4", "addr", "show").splitlines()
    return [line.split()[3].partition("/")[0] for line in lines if len(line.split()) > 3]


def libc():
    """The version of the GNU C library, "" under another."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION").split()[-1]
    except (AttributeError, OSError, ValueError):
        return ""


def state(path):
    """Mode and content, as "0644 SHA256" or "0755 directory", "" when there is nothing."""
    place = Path(path)
    try:
        mode = f"{stat.S_IMODE(place.lstat().st_mode):04o} "
        return mode + ("directory" if place.is_dir() else hashlib.sha256(place.read_bytes()).hexdigest())
    except OSError:
        return ""


def last_line(path, ending):
    lines = [line for line in read(path).splitlines() if line.endswith(ending)]
    return lines[-1] if lines else ""


def free_mib(path):
    place = Path(path)
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(str(place)).free >> 20


def meminfo(key):
    for line in read("/proc/meminfo").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) >> 10
    return 0


def main():
    wanted = json.loads(sys.argv[1])
    found = {
        "hostname": socket.gethostname(),
        "uid": os.geteuid(),
        "os": operating_system(),
        "python": ".".join(str(part) for part in sys.version_info[:2]),
        "glibc": libc(),
        "arch": platform.machine(),
        "bits": struct.calcsize("P") * 8,
        "model": read("/proc/device-tree/model"),
        "container": container(),
        "systemd": Path("/run/systemd/system").is_dir(),
        "cgroup": memory_cgroup(),
        "memory_mib": meminfo("MemTotal"),
        "free_mib": {path: free_mib(path) for path in ("/", "/opt", "/var/lib")},
        "addresses": addresses(),
        "listeners": listeners(wanted["ports"]),
        "unreachable": reach(wanted["reach"]),
        "missing_packages": missing_packages(wanted["packages"]),
        "units": units(wanted["units"]),
        "clock": clock(),
        "swap": [line.split()[0] for line in read("/proc/swaps").splitlines()[1:]],
        "files": {path: state(path) for path in wanted["files"]},
        "sysctls": {name: read("/proc/sys/" + name.replace(".", "/")) for name in wanted["sysctls"]},
        "ssh_host_key": read("/etc/ssh/ssh_host_ed25519_key.pub").rpartition(" ")[0],
        "known_hosts": read("/etc/picluster/ssh/known_hosts"),
        "restart_key": read("/etc/picluster/ssh/restart.pub"),
        "restart_line": last_line("/root/.ssh/authorized_keys", " picluster-restart"),
        "venv": os.path.realpath("/opt/picluster/venv").rpartition("/")[2],
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
