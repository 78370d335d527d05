"""CustomResourceDefinitions for tests, and waiting until one is served."""

from __future__ import annotations

import asyncio
from typing import Any

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEADLINE_S = 30.0
POLL_S = 0.005


def version(name: str = "v1", schema: Any = None, *, storage: bool = True, **more: Any) -> dict[str, Any]:
    """A served version; ``schema`` are the properties of the root, ``None`` leaves everything open."""
    whole: dict[str, Any] = {"type": "object", "properties": schema}
    if schema is None:
        whole = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": whole}, **more}


def definition(
    *versions: dict[str, Any], group: str = "example.com", kind: str = "Widget", scope: str = "Namespaced", **spec: Any
) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    names = {"plural": plural, "kind": kind, **spec.pop("names", {})}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": scope, "names": names, "versions": list(versions or [version()]), **spec},
    }


def conditions(crd: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and reason by type."""
    found = crd.get("status", {}).get("conditions") or ()
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in found}


async def define(caller: Any, crd: dict[str, Any]) -> dict[str, Any]:
    """Create ``crd`` and wait until its resources are served."""
    answer = await caller.create(CRDS, crd)
    assert answer.code == 201, answer.body
    return await until(
        caller, crd["metadata"]["name"], lambda now: conditions(now).get("Established", [""])[0] == "True"
    )


async def until(caller: Any, name: str, good: Any) -> dict[str, Any]:
    """The definition, once ``good`` says so of it."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + DEADLINE_S
    while True:
        body: dict[str, Any] = (await caller.get(f"{CRDS}/{name}")).body
        if good(body):
            return body
        assert loop.time() < end_s, body
        await asyncio.sleep(POLL_S)


async def undefine(caller: Any, name: str) -> None:
    """Delete a definition and wait until it has gone."""
    assert (await caller.delete(f"{CRDS}/{name}")).code == 200
    await until(caller, name, lambda now: now.get("code") == 404)


def widget(name: str = "a", api_version: str = "example.com/v1", **body: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": "Widget", "metadata": {"name": name}, **body}
