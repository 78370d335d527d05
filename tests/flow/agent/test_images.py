"""Images from a registry for real: with a secret, without, by digest, slowly, or not at all."""

from __future__ import annotations

import base64
import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from registry import PASSWORD, USER, Relay, TestRegistry, missing_here, silent_registry

from picluster.api.meta import condition_is
from picluster.api.resources import PODS, SECRETS

pytestmark = [pytest.mark.lab]

SLOW_BYTES = 24_000_000


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestRegistry]:
    if missing := missing_here():
        pytest.skip(f"left out, there is no registry to pull from: {missing}")
    made = TestRegistry(tmp_path_factory.mktemp("registry"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


async def give(node: Any, name: str, document: dict[str, Any]) -> None:
    content = base64.b64encode(json.dumps(document).encode()).decode()
    secret = {
        "metadata": {"name": name, "namespace": "default"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": content},
    }
    await node.client.create(SECRETS, secret)


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def waiting(pod: dict[str, Any], reason: str) -> str:
    """The message of the one container that waits for ``reason``."""
    for one in pod["status"].get("containerStatuses", ()):
        state = one["state"].get("waiting") or {}
        if state.get("reason") == reason:
            return str(state.get("message"))
    return ""


async def test_images_come_by_secret_and_digest_and_failures_say_why(
    shared_node: Any, registry: TestRegistry, make_pod: Any, box: Any
) -> None:
    node = shared_node
    registry.trust(node.podman.home)
    digest = registry.put("team/app", {})
    await give(node, "good", registry.auths())
    await give(node, "wrong", registry.auths("wrong", at=f"{registry.host}/team"))
    app = f"{registry.host}/team/app"

    def pod(name: str, image: str, *secrets: str, policy: str = "IfNotPresent") -> dict[str, Any]:
        made = make_pod(name, box("web", image=image, imagePullPolicy=policy))
        made["spec"]["imagePullSecrets"] = [{"name": one} for one in secrets]
        return dict(made)

    await node.run(pod("first", app, "nowhere", "wrong", "good"))
    first = await node.when("first", ready)
    await node.event(
        "first",
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (nowhere); attempting to pull the image may not succeed.",
    )
    await node.event("first", "Pulling", f'Pulling image "{app}"')
    pulled = await node.event("first", "Pulled", "Successfully pulled")
    assert pulled["involvedObject"]["fieldPath"] == "spec.containers{web}"
    size = r"\d+(\.\d+)?m?s"
    said = rf'Successfully pulled image "{app}" in {size} \({size} including waiting\)\. Image size: \d+ bytes\.'
    assert re.fullmatch(said, pulled["message"])
    assert first["status"]["containerStatuses"][0]["image"] == app

    wishes = [
        pod("holder", app, "good"),
        pod("stranger", app, "wrong"),
        pod("digest", f"{app}:other@{digest}", "good", policy="Always"),
        pod("tag", f"{app}:nope", "good"),
        pod("refused", "127.0.0.1:1/app"),
        pod("badname", "Team/App"),
        pod("never", f"{app}:nope", policy="Never"),
        pod("local", "localhost/nothing:1"),
    ]
    for wish in wishes:
        await node.run(wish)
    await node.when("holder", ready)
    await node.event("holder", "Pulled", f'Container image "{app}" already present on machine and can be accessed by')
    await node.when("digest", ready)
    await node.event("digest", "Pulled", f'Successfully pulled image "{app}:other@{digest}" in')
    expected = {
        "stranger": ("ErrImagePull", app, "unauthorized: authentication required"),
        "tag": ("ErrImagePull", f"{app}:nope", "manifest unknown"),
        "refused": ("RegistryUnavailable", "127.0.0.1:1/app", "connect: connection refused"),
        "local": ("ErrImagePull", "localhost/nothing:1", "the image is not on this node"),
    }
    for name, (reason, image, why) in expected.items():
        await node.event(name, "Failed", f'Failed to pull image "{image}": ')
        await node.event(name, "Failed", f"Error: {reason}")
        found = await node.when(name, lambda one: waiting(one, "ImagePullBackOff"))
        message = waiting(found, "ImagePullBackOff")
        assert message.startswith(f'Back-off pulling image "{image}": {reason}: ') and why in message
        assert (await node.event(name, "BackOff", f'Back-off pulling image "{image}"'))["type"] == "Normal"
        await node.event(name, "Failed", "Error: ImagePullBackOff")
    found = await node.when("badname", lambda one: waiting(one, "InvalidImageName"))
    message = waiting(found, "InvalidImageName")
    assert message.startswith('Failed to apply default image tag "Team/App": couldn\'t parse image name "Team/App": ')
    await node.event("badname", "InspectFailed", message)
    await node.event("badname", "Failed", "Error: InvalidImageName")
    found = await node.when("never", lambda one: waiting(one, "ErrImageNeverPull"))
    message = f'Container image "{app}:nope" is not present with pull policy of Never'
    assert waiting(found, "ErrImageNeverPull") == message
    await node.event("never", "ErrImageNeverPull", message)
    await node.event("never", "Failed", "Error: ErrImageNeverPull")
    async with node.client.raw("GET", "/api/v1/nodes/test-node/proxy/metrics") as response:
        counted = (await response.text()).splitlines()
    wanted = 'kubelet_image_manager_ensure_image_requests_total{pull_policy="ifnotpresent",present_locally='
    for line in (
        f'{wanted}"true",pull_required="true"}}',
        f'{wanted}"false",pull_required="true"}}',
        'kubelet_imagemanager_image_mustpull_checks_total{result="credentialRecordFound"}',
        'kubelet_imagemanager_image_mustpull_checks_total{result="mustAuthenticate"}',
        'kubelet_image_pull_duration_seconds_count{image_size_in_bytes="0-10MB"}',
    ):
        assert any(one.startswith(line) for one in counted), line
    for log in (node.log, node.podman.root / "service.log"):
        assert PASSWORD not in log.read_text() and base64.b64encode(PASSWORD.encode()).decode() not in log.read_text()


async def test_two_pods_share_a_slow_pull_that_tells_how_far_it_is(
    shared_node: Any, registry: TestRegistry, make_pod: Any, box: Any
) -> None:
    node = shared_node
    registry.put("team/slow", {}, SLOW_BYTES)
    async with Relay(registry, bytes_per_s=SLOW_BYTES // 11) as relay:
        registry.trust(node.podman.home, relay.host)
        await give(node, "good", registry.auths(at=relay.host))
        for name in ("one", "two"):
            pod = make_pod(name, box("web", image=f"{relay.host}/team/slow:latest"))
            await node.run({**pod, "spec": {**pod["spec"], "imagePullSecrets": [{"name": "good"}]}})
        for name in ("one", "two"):
            told = await node.event(name, "Pulling", f'Still pulling image "{relay.host}/team/slow:latest" after ')
            assert re.search(r" after 1\ds: \d+\.\d MB of 2\d\.\d MB$", told["message"]), told["message"]
            await node.when(name, ready)
            await node.event(name, "Pulled", "Successfully pulled")
        assert SLOW_BYTES < relay.taken_bytes < 1.5 * SLOW_BYTES


async def test_a_silent_registry_holds_nothing_up_and_the_nodes_credentials_are_everybodys(
    node: Any, registry: TestRegistry, make_pod: Any, box: Any
) -> None:
    registry.trust(node.podman.home)
    registry.put("team/node", {}, tag="1")
    credentials = node.root / "credentials.json"
    credentials.write_text(json.dumps(registry.auths()))
    node.settings["max_parallel_image_pulls"] = 3
    node.settings["image_pull_progress_deadline"] = "5s"
    node.settings["image_credentials"] = str(credentials)
    node.stop(signal.SIGKILL)
    node.start()
    with silent_registry() as silent:
        for name in ("hung", "deleted"):
            await node.run(make_pod(name, box("web", image=f"{silent}/{name}")))
        await node.run(make_pod("mine", box("web", image=f"{registry.host}/team/node:1")))
        await node.event("deleted", "Pulling")
        await node.client.delete(PODS, "deleted", namespace="default")
        await node.gone("deleted", 4.5)
        await node.when("mine", ready)
        await node.event("hung", "Failed", "no progress for 5s, latest progress: nothing has come yet")
        await node.when("hung", lambda one: waiting(one, "ImagePullBackOff"))
    credentials.unlink()
    await node.run(make_pod("yours", box("web", image=f"{registry.host}/team/node:1")))
    await node.when("yours", ready)
    assert USER not in "".join(file.read_text() for file in (node.root / "data" / "images" / "pulled").iterdir())
