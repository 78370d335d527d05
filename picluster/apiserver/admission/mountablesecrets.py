"""Which Secrets a pod may refer to when its account lists them (``limitSecretReferences``). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from picluster.api.types import Object

KINDS = (("init container", "initContainers"), ("container", "containers"))
EPHEMERAL = (("ephemeral container", "ephemeralContainers"),)


def refused_reference(spec: Object, account: Object, *, only_ephemeral: bool) -> str:
    """Why a pod with ``spec`` may not be; empty when it only names what ``account`` has."""
    return next(_refusals(spec, account, only_ephemeral=only_ephemeral), "")


def _refusals(spec: Object, account: Object, *, only_ephemeral: bool) -> Iterator[str]:
    mountable = {each.get("name", "") for each in account.get("secrets") or ()}
    name = account["metadata"]["name"]
    end = f"is not allowed because service account {name} does not reference that secret"
    if not only_ephemeral:
        for volume in spec.get("volumes") or ():
            secret = (volume.get("secret") or {}).get("secretName")
            if secret is not None and secret not in mountable:
                yield f'volume with secret.secretName="{secret}" {end}'
    for word, field in EPHEMERAL if only_ephemeral else KINDS:
        for container in spec.get(field) or ():
            for how, secret in _of_container(container):
                if secret not in mountable:
                    which = f"{word} {container.get('name', '')} with {how}"
                    yield f'{which} referencing secret.secretName="{secret}" {end}'
    if not only_ephemeral:
        pulls = {each.get("name", "") for each in account.get("imagePullSecrets") or ()}
        for index, each in enumerate(spec.get("imagePullSecrets") or ()):
            if each.get("name", "") not in pulls:
                yield (
                    f'imagePullSecrets[{index}].name="{each.get("name", "")}" is not allowed because service account '
                    f"{name} does not reference that imagePullSecret"
                )


def _of_container(container: Object) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference is not None:
            yield f"envVar {variable.get('name', '')}", reference.get("name", "")
    for source in container.get("envFrom") or ():
        if (reference := source.get("secretRef")) is not None:
            yield "envFrom", reference.get("name", "")
