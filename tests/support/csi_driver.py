"""A driver of the Container Storage Interface that really mounts: ``csi_driver.py NAME STATE REGISTRY [option …]``.

It serves Node and plugin registration with grpcio and Google's protobuf, so nothing of the agent's client is used on
this side. Volumes are directories below ``STATE/volumes``, bound to where they are wanted. Every call is a line of JSON
in ``STATE/calls``; ``STATE/fail`` may hold ``METHOD CODE message`` for the next call of that method. Options: ``stage``
(volumes are staged first), ``slow`` (each publish takes a second).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

TYPES = {"string": 9, "int64": 3, "int32": 5, "bool": 8}
MESSAGES: dict[str, dict[str, dict[str, tuple[int, str]]]] = {
    "csi.v1": {
        "Empty": {},
        "NodeGetInfoResponse": {
            "node_id": (1, "string"),
            "max_volumes_per_node": (2, "int64"),
            "accessible_topology": (3, "Topology"),
        },
        "Topology": {"segments": (1, "map")},
        "NodeGetCapabilitiesResponse": {"capabilities": (1, "*Capability")},
        "Capability": {"rpc": (1, "Rpc")},
        "Rpc": {"type": (1, "int32")},
        "AccessMode": {"mode": (1, "int32")},
        "MountVolume": {"fs_type": (1, "string"), "mount_flags": (2, "*string"), "volume_mount_group": (3, "string")},
        "VolumeCapability": {"block": (1, "Empty"), "mount": (2, "MountVolume"), "access_mode": (3, "AccessMode")},
        "NodeStageVolumeRequest": {
            "volume_id": (1, "string"),
            "publish_context": (2, "map"),
            "staging_target_path": (3, "string"),
            "volume_capability": (4, "VolumeCapability"),
            "secrets": (5, "map"),
            "volume_context": (6, "map"),
        },
        "NodeUnstageVolumeRequest": {"volume_id": (1, "string"), "staging_target_path": (2, "string")},
        "NodePublishVolumeRequest": {
            "volume_id": (1, "string"),
            "publish_context": (2, "map"),
            "staging_target_path": (3, "string"),
            "target_path": (4, "string"),
            "volume_capability": (5, "VolumeCapability"),
            "readonly": (6, "bool"),
            "secrets": (7, "map"),
            "volume_context": (8, "map"),
        },
        "CapacityRange": {"required_bytes": (1, "int64"), "limit_bytes": (2, "int64")},
        "NodeExpandVolumeRequest": {
            "volume_id": (1, "string"),
            "volume_path": (2, "string"),
            "capacity_range": (3, "CapacityRange"),
            "staging_target_path": (4, "string"),
            "volume_capability": (5, "VolumeCapability"),
            "secrets": (6, "map"),
        },
        "NodeExpandVolumeResponse": {"capacity_bytes": (1, "int64")},
        "NodeUnpublishVolumeRequest": {"volume_id": (1, "string"), "target_path": (2, "string")},
    },
    "pluginregistration": {
        "Empty": {},
        "PluginInfo": {
            "type": (1, "string"),
            "name": (2, "string"),
            "endpoint": (3, "string"),
            "supported_versions": (4, "*string"),
        },
        "RegistrationStatus": {"plugin_registered": (1, "bool"), "error": (2, "string")},
    },
}


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for package, messages in MESSAGES.items():
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for field, (number, kind) in fields.items():
                _field(message, package, field, number, kind)
        pool.Add(file)
    return pool


def _field(message: Any, package: str, name: str, number: int, kind: str) -> None:
    one = message.field.add(name=name, number=number, label=3 if kind[0] == "*" or kind == "map" else 1)
    kind = kind.removeprefix("*")
    if kind == "map":
        title = "".join(part.title() for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=title)
        entry.options.map_entry = True
        for index, part in enumerate(("key", "value"), 1):
            entry.field.add(name=part, number=index, label=1, type=9)
        one.type, one.type_name = 11, f".{package}.{message.name}.{title}"
    elif kind in TYPES:
        one.type = TYPES[kind]
    else:
        one.type, one.type_name = 11, f".{package}.{kind}"


POOL = _pool()


def message_class(name: str) -> Any:
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))


class Failure(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_mount(path: str) -> bool:
    return subprocess.run(["mountpoint", "-q", path]).returncode == 0


def bind(source: Path, target: str, *, read_only: bool = False) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    if not is_mount(target):
        subprocess.run(["mount", "--bind", str(source), target], check=True)
        if read_only:
            subprocess.run(["mount", "-o", "remount,ro,bind", target], check=True)


def unbind(target: str) -> None:
    while is_mount(target):
        subprocess.run(["umount", target], check=True)
    if Path(target).is_dir():
        Path(target).rmdir()
    else:
        Path(target).unlink(missing_ok=True)


class Driver:
    def __init__(self, name: str, state: Path, registry: Path, options: set[str]) -> None:
        self.name, self.state, self.registry, self.options = name, state, registry, options
        self._lock = threading.Lock()

    def serve(self) -> None:
        (self.state / "volumes").mkdir(parents=True, exist_ok=True)
        own, registrar = self.state / "csi.sock", self.registry / f"{self.name}-reg.sock"
        own.unlink(missing_ok=True)
        registrar.unlink(missing_ok=True)
        methods = {
            "NodeGetInfo": ("Empty", "NodeGetInfoResponse"),
            "NodeGetCapabilities": ("Empty", "NodeGetCapabilitiesResponse"),
            "NodeExpandVolume": ("NodeExpandVolumeRequest", "NodeExpandVolumeResponse"),
            **{f"Node{step}Volume": (f"Node{step}VolumeRequest", "Empty") for step in STEPS},
        }
        typed = {name: (f"csi.v1.{one}", f"csi.v1.{two}") for name, (one, two) in methods.items()}
        server = self._server(own, "csi.v1.Node", typed)
        package = "pluginregistration"
        registration = {
            "GetInfo": (f"{package}.Empty", f"{package}.PluginInfo"),
            "NotifyRegistrationStatus": (f"{package}.RegistrationStatus", f"{package}.Empty"),
        }
        other = self._server(registrar, f"{package}.Registration", registration)
        over = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: over.set())
        over.wait()
        registrar.unlink(missing_ok=True)
        server.stop(0.2).wait()
        other.stop(0.2).wait()

    def _server(self, socket: Path, service: str, methods: dict[str, tuple[str, str]]) -> Any:
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._handler(name, message_class(answer)),
                request_deserializer=message_class(request).FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name, (request, answer) in methods.items()
        }
        server = grpc.server(futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        return server

    def _handler(self, name: str, answer: Any) -> Any:
        def handle(request: Any, context: Any) -> Any:
            said = json_format.MessageToDict(request, preserving_proto_field_name=True)
            try:
                with self._lock:
                    self._note(name, said)
                    self._fail(name)
                    return json_format.ParseDict(getattr(self, name)(said) or {}, answer())
            except Failure as failure:
                context.abort(getattr(grpc.StatusCode, failure.code), str(failure))

        return handle

    def _note(self, name: str, said: dict[str, Any]) -> None:
        with (self.state / "calls").open("a") as log:
            log.write(json.dumps({"method": name, **said}) + "\n")

    def _fail(self, name: str) -> None:
        wish = self.state / "fail"
        if wish.exists() and (words := wish.read_text().split(" ", 2))[0] == name:
            wish.unlink()
            raise Failure(words[1], words[2])

    def GetInfo(self, _: Any) -> dict[str, Any]:  # noqa: N802 - the names of the protocol
        endpoint = str(self.state / "csi.sock")
        return {"type": "CSIPlugin", "name": self.name, "endpoint": endpoint, "supported_versions": ["1.0.0"]}

    def NotifyRegistrationStatus(self, _: Any) -> None: ...  # noqa: N802

    def NodeGetInfo(self, _: Any) -> dict[str, Any]:  # noqa: N802
        topology = {"segments": {f"{self.name}/node": "here"}}
        return {"node_id": "node-of-the-test", "max_volumes_per_node": 7, "accessible_topology": topology}

    def NodeGetCapabilities(self, _: Any) -> dict[str, Any]:  # noqa: N802
        kinds = [1, 3] if "stage" in self.options else []
        return {"capabilities": [{"rpc": {"type": kind}} for kind in kinds]}

    def _volume(self, identity: str) -> Path:
        place = self.state / "volumes" / identity
        place.mkdir(exist_ok=True)
        return place

    def NodeStageVolume(self, said: dict[str, Any]) -> None:  # noqa: N802
        if "block" not in said["volume_capability"]:
            bind(self._volume(said["volume_id"]), said["staging_target_path"])

    def NodeUnstageVolume(self, said: dict[str, Any]) -> None:  # noqa: N802
        unbind(said["staging_target_path"])

    def NodePublishVolume(self, said: dict[str, Any]) -> None:  # noqa: N802
        if "slow" in self.options:
            time.sleep(1.0)
        source = said.get("staging_target_path")
        if "block" in said["volume_capability"]:
            Path(said["target_path"]).touch()
            subprocess.run(["mount", "--bind", said["volume_context"]["device"], said["target_path"]], check=True)
            return
        if source and not is_mount(source):
            raise Failure("FAILED_PRECONDITION", "the volume is not staged")
        place = Path(source) if source else self._volume(said["volume_id"])
        bind(place, said["target_path"], read_only=bool(said.get("readonly")))

    def NodeExpandVolume(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if not is_mount(said["volume_path"]):
            raise Failure("NOT_FOUND", "the volume is not there")
        return {"capacity_bytes": said["capacity_range"]["required_bytes"]}

    def NodeUnpublishVolume(self, said: dict[str, Any]) -> None:  # noqa: N802
        unbind(said["target_path"])


STEPS = ("Stage", "Unstage", "Publish", "Unpublish")


class DriverProcess:
    """A driver running beside the test."""

    def __init__(self, name: str, state: Path, registry: Path, *options: str) -> None:
        self.name, self.state = name, state
        self._words = [sys.executable, __file__, name, str(state), str(registry), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "log").open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None

    def calls(self, method: str = "") -> list[dict[str, Any]]:
        path = self.state / "calls"
        said = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [one for one in said if method in ("", one["method"])]

    def fail(self, method: str, code: str, message: str) -> None:
        """The next call of ``method`` fails."""
        (self.state / "fail").write_text(f"{method} {code} {message}")


if __name__ == "__main__":
    Driver(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), set(sys.argv[4:])).serve()
