"""The messages of CSI and of plugin registration, as tables. Pure data.

Sources: ``csi.proto`` (v1) of the Container Storage Interface; the kubelet's ``pkg/apis/pluginregistration/v1``.
"""

from __future__ import annotations

from dataclasses import dataclass

from picluster_agent.grpc.protobuf import Field, Table


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    request: Table
    answer: Table


STAGE_UNSTAGE_VOLUME = 1
EXPAND_VOLUME = 3
SINGLE_NODE_MULTI_WRITER = 5
VOLUME_MOUNT_GROUP = 6

EMPTY: Table = {}
_RANGE: Table = {1: Field("required_bytes", "int"), 2: Field("limit_bytes", "int")}
_MOUNT: Table = {
    1: Field("fs_type", "text"),
    2: Field("mount_flags", "text", repeated=True),
    3: Field("volume_mount_group", "text"),
}
_CAPABILITY: Table = {
    1: Field("block", EMPTY),
    2: Field("mount", _MOUNT),
    3: Field("access_mode", {1: Field("mode", "int")}),
}

GET_INFO = Call(
    "/pluginregistration.Registration/GetInfo",
    EMPTY,
    {
        1: Field("type", "text"),
        2: Field("name", "text"),
        3: Field("endpoint", "text"),
        4: Field("supported_versions", "text", repeated=True),
    },
)
NOTIFY = Call(
    "/pluginregistration.Registration/NotifyRegistrationStatus",
    {1: Field("plugin_registered", "bool"), 2: Field("error", "text")},
    EMPTY,
)
NODE_GET_INFO = Call(
    "/csi.v1.Node/NodeGetInfo",
    EMPTY,
    {
        1: Field("node_id", "text"),
        2: Field("max_volumes_per_node", "int"),
        3: Field("accessible_topology", {1: Field("segments", "map")}),
    },
)
NODE_GET_CAPABILITIES = Call(
    "/csi.v1.Node/NodeGetCapabilities",
    EMPTY,
    {1: Field("capabilities", {1: Field("rpc", {1: Field("type", "int")})}, repeated=True)},
)
NODE_STAGE = Call(
    "/csi.v1.Node/NodeStageVolume",
    {
        1: Field("volume_id", "text"),
        2: Field("publish_context", "map"),
        3: Field("staging_target_path", "text"),
        4: Field("volume_capability", _CAPABILITY),
        5: Field("secrets", "map"),
        6: Field("volume_context", "map"),
    },
    EMPTY,
)
NODE_UNSTAGE = Call(
    "/csi.v1.Node/NodeUnstageVolume", {1: Field("volume_id", "text"), 2: Field("staging_target_path", "text")}, EMPTY
)
NODE_PUBLISH = Call(
    "/csi.v1.Node/NodePublishVolume",
    {
        1: Field("volume_id", "text"),
        2: Field("publish_context", "map"),
        3: Field("staging_target_path", "text"),
        4: Field("target_path", "text"),
        5: Field("volume_capability", _CAPABILITY),
        6: Field("readonly", "bool"),
        7: Field("secrets", "map"),
        8: Field("volume_context", "map"),
    },
    EMPTY,
)
NODE_UNPUBLISH = Call(
    "/csi.v1.Node/NodeUnpublishVolume", {1: Field("volume_id", "text"), 2: Field("target_path", "text")}, EMPTY
)
NODE_EXPAND = Call(
    "/csi.v1.Node/NodeExpandVolume",
    {
        1: Field("volume_id", "text"),
        2: Field("volume_path", "text"),
        3: Field("capacity_range", _RANGE),
        4: Field("staging_target_path", "text"),
        5: Field("volume_capability", _CAPABILITY),
        6: Field("secrets", "map"),
    },
    {1: Field("capacity_bytes", "int")},
)
