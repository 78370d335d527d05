"""The metrics API is there without anybody's doing, and gives way to a metrics-server that somebody installs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from server_process import ServerProcess

from picluster.api.errors import ApiError
from picluster.api.resources import API_SERVICES, CLUSTER_ROLES
from picluster.client import Client, ClientConfig, PatchType

NAME = "v1beta1.metrics.k8s.io"
NODES = "/apis/metrics.k8s.io/v1beta1/nodes"


async def read(client: Client, path: str, accept: str = "application/json") -> Any:
    async with client.raw("GET", path, headers={"Accept": accept}) as response:
        return await response.json()


async def test_a_metrics_server_takes_over_and_hands_back(server_process: Callable[..., ServerProcess]) -> None:
    server = server_process("--role", "apiserver")
    server.start()
    async with Client(ClientConfig.from_kubeconfig(server.kubeconfig)) as client:
        assert (await read(client, NODES))["items"] == []
        assert (await read(client, NODES))["kind"] == "NodeMetricsList"
        table = await read(client, NODES, "application/json;as=Table;v=v1;g=meta.k8s.io")
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
        document = await read(client, "/openapi/v3/apis/metrics.k8s.io/v1beta1")
        assert "io.k8s.metrics.v1beta1.PodMetrics" in document["components"]["schemas"]
        role = await client.get(CLUSTER_ROLES, "system:aggregated-metrics-reader")
        assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"

        spec = {"service": {"name": "metrics-server", "namespace": "kube-system"}, "insecureSkipTLSVerify": True}
        await client.patch(API_SERVICES, NAME, {"spec": spec}, kind=PatchType.MERGE)
        with pytest.raises(ApiError) as refused:
            await read(client, NODES)
        assert refused.value.code == 503
        assert (await client.get(API_SERVICES, NAME))["spec"]["service"]["name"] == "metrics-server"

        await client.delete(API_SERVICES, NAME)
        async with asyncio.timeout(10):
            while True:
                try:
                    ours = "service" not in (await client.get(API_SERVICES, NAME))["spec"]
                    if ours and (await read(client, NODES))["items"] == []:
                        break
                except ApiError:
                    pass  # nobody's, for a moment
                await asyncio.sleep(0.02)
