"""The level ``restricted``: the hardening that is best practice for every pod."""

from __future__ import annotations

from picluster.api.podsecurity.common import Check, Pod, Said, context, named, plural, quoted

WINDOWS_SINCE = 25
"""Since then, pods that say they are for Windows need not follow what Linux only has."""
LINUX_ONLY = frozenset({"allowPrivilegeEscalation", "capabilities_restricted", "seccompProfile_restricted"})
VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
USER_NAMESPACES_SINCE = 35


def _allow_privilege_escalation(pod: Pod) -> Said | None:
    bad = [one["name"] for one in pod.containers() if context(one).get("allowPrivilegeEscalation") is not False]
    if not bad:
        return None
    return "allowPrivilegeEscalation != false", f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false"


def _capabilities(pod: Pod) -> Said | None:
    keeping: list[str] = []
    adding: list[str] = []
    added: set[str] = set()
    for container in pod.containers():
        capabilities = context(container).get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            keeping.append(container["name"])
        if forbidden := set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
            adding.append(container["name"])
            added |= forbidden
    said = []
    if keeping:
        said.append(f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        said.append(f"{named(adding)} must not include {quoted(sorted(added))} in securityContext.capabilities.add")
    return ("unrestricted capabilities", "; ".join(said)) if said else None


def _volumes(pod: Pod) -> Said | None:
    bad: list[str] = []
    types: list[str] = []
    for volume in pod.spec.get("volumes") or ():
        kinds = [kind for kind in volume if kind != "name" and volume[kind] is not None]
        if kinds and not VOLUMES.intersection(kinds):
            bad.append(volume["name"])
            types += [kind for kind in kinds if kind not in types]
    if not bad:
        return None
    uses = "uses" if len(bad) == 1 else "use"
    kinds_said = f"restricted volume {plural('type', types)} {quoted(sorted(types))}"
    return "restricted volume types", f"{named(bad, 'volume')} {uses} {kinds_said}"


def _run_as_non_root(pod: Pod) -> Said | None:
    if pod.minor >= USER_NAMESPACES_SINCE and pod.in_user_namespace:
        return None
    of_pod = pod.context.get("runAsNonRoot")
    wrong = [one["name"] for one in pod.containers() if context(one).get("runAsNonRoot") is False]
    silent = [one["name"] for one in pod.containers() if context(one).get("runAsNonRoot") is None]
    said = []
    if of_pod is False:
        said.append("pod")
    if wrong:
        said.append(named(wrong))
    if said:
        return "runAsNonRoot != true", f"{' and '.join(said)} must not set securityContext.runAsNonRoot=false"
    if of_pod is None and silent:
        return "runAsNonRoot != true", f"pod or {named(silent)} must set securityContext.runAsNonRoot=true"
    return None


def _run_as_user(pod: Pod) -> Said | None:
    if pod.minor >= USER_NAMESPACES_SINCE and pod.in_user_namespace:
        return None
    who = ["pod"] if pod.context.get("runAsUser") == 0 else []
    bad = [container["name"] for container in pod.containers() if context(container).get("runAsUser") == 0]
    if bad:
        who.append(named(bad))
    return ("runAsUser=0", f"{' and '.join(who)} must not set runAsUser=0") if who else None


def _seccomp(pod: Pod) -> Said | None:
    allowed = ("RuntimeDefault", "Localhost")
    of_pod = (pod.context.get("seccompProfile") or {}).get("type")
    wrong: list[str] = []
    silent: list[str] = []
    values: set[str] = set()
    for container in pod.containers():
        profile = (context(container).get("seccompProfile") or {}).get("type")
        if profile is None:
            silent.append(container["name"])
        elif profile not in allowed:
            wrong.append(container["name"])
            values.add(profile)
    who = []
    if of_pod is not None and of_pod not in allowed:
        who.append("pod")
        values.add(of_pod)
    if wrong:
        who.append(named(wrong))
    if who:
        set_to = f"securityContext.seccompProfile.type to {quoted(sorted(values))}"
        return "seccompProfile", f"{' and '.join(who)} must not set {set_to}"
    if of_pod is None and silent:
        wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        return "seccompProfile", f"pod or {named(silent)} must set {wanted}"
    return None


CHECKS = (
    Check("allowPrivilegeEscalation", _allow_privilege_escalation, since=8),
    Check("capabilities_restricted", _capabilities, since=22, replaces="capabilities_baseline"),
    Check("restrictedVolumes", _volumes, replaces="hostPathVolumes"),
    Check("runAsNonRoot", _run_as_non_root),
    Check("runAsUser", _run_as_user, since=23),
    Check("seccompProfile_restricted", _seccomp, since=19, replaces="seccompProfile_baseline"),
)
