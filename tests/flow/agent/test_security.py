"""Security contexts on a real node: who processes are, and what they may do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from picluster.api.meta import condition_is
from picluster.api.resources import PODS

pytestmark = [pytest.mark.lab]

IMAGE = "localhost/accounts:test"
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n",
    "etc/group": "root:x:0:\nalice:x:1000:\nextra:x:50000:alice\n",
}
CHANGES = ('ENTRYPOINT ["echo","entry"]', 'CMD ["word"]', "VOLUME /data", "WORKDIR /made/by/image", "USER alice")
WHO = "echo $(id -u) $(id -g) $(id -G)"
ID = WHO + "; grep -E 'CapBnd|CapEff|CapPrm|CapAmb|NoNewPrivs|Seccomp:' /proc/self/status"
DEFAULT_CAPABILITIES, ALL_CAPABILITIES = "a80425fb", "ffffffff"


def ready(pod: dict[str, Any]) -> bool:
    return condition_is(pod, "Ready")


def container_id(pod: dict[str, Any], name: str) -> str:
    found = next(one for one in pod["status"]["containerStatuses"] if one["name"] == name)
    return str(found["containerID"]).removeprefix("podman://")


async def logs(node: Any, name: str, container: str) -> str:
    path = f"/api/v1/namespaces/default/pods/{name}/log"
    async with node.client.raw("GET", path, params={"container": container}) as response:
        return str(await response.text())


async def said(node: Any, name: str, *containers: str) -> dict[str, list[str]]:
    """What each container of a pod that is over has written, by lines."""
    await node.when(name, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"))
    return {one: (await logs(node, name, one)).splitlines() for one in containers}


async def no_volumes(node: Any) -> bool:
    return not node.podman.podman("volume", "ls", "--quiet").strip()


def facts(lines: list[str]) -> dict[str, str]:
    return {key: value.strip()[-8:] for key, _, value in (line.partition(":") for line in lines[1:])}


async def test_users_groups_and_capabilities(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-node] Security Context should support …RunAsUser And …RunAsGroup; KEP-3619."""
    shared_node.podman.import_image(IMAGE, FILES, CHANGES)

    def who(name: str, **context: Any) -> dict[str, Any]:
        return box(name, "sh", "-c", ID, image=IMAGE, securityContext=context)

    drop_all = {"drop": ["ALL"]}
    await shared_node.run(
        make_pod(
            "merged",
            who("image"),
            who("root", runAsUser=0),
            who("named", runAsUser=1000, runAsGroup=3000),
            who("nobody", runAsUser=4242, allowPrivilegeEscalation=False),
            who("none", runAsUser=0, capabilities=drop_all),
            who("one", runAsUser=0, capabilities={"add": ["SYS_TIME"], **drop_all}),
            who("privileged", runAsUser=0, privileged=True),
            who("confined", runAsUser=0, seccompProfile={"type": "RuntimeDefault"}),
            restartPolicy="Never",
            securityContext={"supplementalGroups": [4000], "fsGroup": 6000},
        )
    )
    strict = {"supplementalGroups": [4000], "supplementalGroupsPolicy": "Strict"}
    await shared_node.run(make_pod("strict", who("image"), restartPolicy="Never", securityContext=strict))
    names = ("image", "root", "named", "nobody", "none", "one", "privileged", "confined")
    found = await said(shared_node, "merged", *names)
    users = {name: lines[0] for name, lines in found.items()}
    assert users["image"] == "1000 1000 1000 4000 6000 50000"
    assert users["root"] == "0 0 0 4000 6000"
    assert users["named"] == "1000 3000 3000 4000 6000 50000"
    assert users["nobody"] == "4242 0 0 4000 6000"
    assert (await said(shared_node, "strict", "image"))["image"][0] == "1000 1000 1000 4000"
    told = {name: facts(lines) for name, lines in found.items()}
    assert {told["root"][key] for key in ("CapBnd", "CapEff", "CapPrm")} == {DEFAULT_CAPABILITIES}
    assert (told["image"]["CapEff"], told["image"]["CapBnd"]) == ("00000000", DEFAULT_CAPABILITIES)
    assert told["image"]["CapAmb"] == told["root"]["CapAmb"] == "00000000"
    assert told["none"]["CapBnd"] == "00000000"
    assert told["one"]["CapEff"] == "02000000"
    assert told["privileged"]["CapEff"] == told["privileged"]["CapBnd"] != DEFAULT_CAPABILITIES
    assert (told["nobody"]["NoNewPrivs"], told["named"]["NoNewPrivs"]) == ("1", "0")
    assert (told["root"]["Seccomp"], told["confined"]["Seccomp"], told["privileged"]["Seccomp"]) == ("0", "2", "0")


async def test_what_an_image_says_holds_until_the_pod_says_otherwise(shared_node: Any, make_pod: Any, box: Any) -> None:
    """[sig-node] Containers should be able to override the image's default command and arguments."""
    shared_node.podman.import_image(IMAGE, FILES, CHANGES)

    def of_image(name: str, **fields: Any) -> dict[str, Any]:
        return {"name": name, "image": IMAGE, **fields}

    script = "pwd; touch /data/x && echo kept; env; cat /etc/hostname; head -c 9 /etc/hosts; touch /etc/resolv.conf"
    await shared_node.run(
        make_pod(
            "image",
            of_image("plain"),
            of_image("args", args=["other"]),
            of_image("command", command=["echo", "own"]),
            of_image("both", command=["echo"], args=["$(HOSTNAME)", "$$(HOME)"]),
            of_image("places", command=["sh", "-c", script], securityContext={"runAsUser": 0}),
            of_image("elsewhere", command=["pwd"], workingDir="/not/there/yet"),
            of_image(
                "fixed",
                command=["sh", "-c", "touch /tmp/x /run/x /x; touch /data/x /dev/shm/x && echo writable"],
                securityContext={"readOnlyRootFilesystem": True, "runAsUser": 0},
            ),
            restartPolicy="Never",
            hostname="board",
        )
    )
    found = await said(shared_node, "image", "plain", "args", "command", "both", "places", "elsewhere", "fixed")
    assert found["plain"] == ["entry word"]
    assert found["args"] == ["entry other"]
    assert found["command"] == ["own"]
    assert found["both"] == ["$(HOSTNAME) $(HOME)"]
    assert found["elsewhere"] == ["/not/there/yet"]
    places = found["places"]
    assert places[:2] == ["/made/by/image", "kept"]
    assert "HOSTNAME=board" in places and "board" in places and "# Kubern" in places[-1] + places[-2]
    assert not any(line.startswith(("container=", "TERM=")) for line in places)
    assert "writable" in found["fixed"]
    assert sum("Read-only file system" in line for line in found["fixed"]) == 3
    await shared_node.client.delete(PODS, "image", namespace="default")
    await shared_node.gone("image")
    await shared_node.eventually(lambda: no_volumes(shared_node), "the image's volumes to go with their containers")


async def test_an_init_container_writes_the_environment_of_the_next(shared_node: Any, make_pod: Any, box: Any) -> None:
    """KEP-3721."""
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    script = "printf \"WORD='from a file' # so\\n\" > /v/env"
    origin = {"fileKeyRef": {"volumeName": "v", "path": "env", "key": "WORD"}}
    await shared_node.run(
        make_pod(
            "web",
            box("web", "sh", "-c", "echo $WORD", env=[{"name": "WORD", "valueFrom": origin}]),
            initContainers=[box("init", "sh", "-c", script, **mount)],
            volumes=[{"name": "v", "emptyDir": {}}],
            restartPolicy="Never",
        )
    )
    assert (await said(shared_node, "web", "web"))["web"] == ["from a file"]


async def test_what_cannot_be_started_safely_is_not(shared_node: Any, make_pod: Any, box: Any) -> None:
    rooted = box("rooted", securityContext={"runAsNonRoot": True})
    lost = {"type": "Localhost", "localhostProfile": "none.json"}
    pod = await shared_node.run(
        make_pod("web", rooted, box("profile", securityContext={"seccompProfile": lost}), restartPolicy="Never")
    )

    def waits(pod: dict[str, Any]) -> dict[str, Any]:
        return {one["name"]: one["state"].get("waiting", {}) for one in pod["status"].get("containerStatuses", ())}

    pod = await shared_node.when(
        "web", lambda pod: all(one.get("message") for one in waits(pod).values()) and waits(pod)
    )
    place = shared_node.root / "data" / "seccomp" / "none.json"
    assert waits(pod)["rooted"] == {
        "reason": "CreateContainerConfigError",
        "message": "container has runAsNonRoot and image will run as root "
        f'(pod: "web_default({pod["metadata"]["uid"]})", container: rooted)',
    }
    assert waits(pod)["profile"]["reason"] == "CreateContainerError"
    assert f"open {place}: no such file or directory" in waits(pod)["profile"]["message"]


async def test_seccomp_profiles_of_the_node_and_masks(shared_node: Any, make_pod: Any, box: Any) -> None:
    """A profile that forbids mkdir; what is hidden below /proc, unless the container may see it."""
    profiles = shared_node.root / "data" / "seccomp" / "sub"
    profiles.mkdir(parents=True, exist_ok=True)
    forbid = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [forbid]}
    (profiles / "strict.json").write_text(json.dumps(profile))
    local = {"seccompProfile": {"type": "Localhost", "localhostProfile": "sub/strict.json"}}
    masks = "cat /proc/self/mountinfo | grep -c ' /proc/'; touch /sys/x 2>&1; ls /dev/mem /dev/null"
    await shared_node.run(
        make_pod(
            "web",
            box("forbidden", "sh", "-c", "mkdir /tmp/x || echo refused", securityContext=local),
            box("masked", "sh", "-c", masks),
            box("privileged", "sh", "-c", masks, securityContext={"privileged": True}),
            restartPolicy="Never",
        )
    )
    found = await said(shared_node, "web", "forbidden", "masked", "privileged")
    assert "refused" in found["forbidden"]
    assert int(found["masked"][0]) >= 5 and any("Read-only" in line for line in found["masked"])
    assert int(found["privileged"][0]) == 0


async def test_apparmor_is_not_pretended(shared_node: Any, make_pod: Any, box: Any) -> None:
    """Where the kernel has none, a pod that asks for it is refused; where it has, it runs."""
    with_profile = {"appArmorProfile": {"type": "RuntimeDefault"}}
    await shared_node.run(make_pod("web", box("web"), securityContext=with_profile))
    pod = await shared_node.when("web", lambda pod: pod["status"].get("phase") in ("Running", "Failed"))
    if pod["status"]["phase"] == "Failed":
        assert pod["status"]["reason"] == "AppArmor"
        assert "Cannot enforce AppArmor: AppArmor is not enabled on the host" in pod["status"]["message"]
