"""ServiceAccounts: of the Secrets that one names, the name counts and nothing else is kept."""

from __future__ import annotations

from picluster.api.types import Object


def create(account: Object, now: str) -> None:
    _only_names(account)


def update(new: Object, old: Object) -> None:
    _only_names(new)


def _only_names(account: Object) -> None:
    if account.get("secrets"):
        account["secrets"] = [{"name": each["name"]} if each.get("name") else {} for each in account["secrets"]]
