"""Mutating admission policies."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of
from picluster.apiserver.tables.validatingadmissionpolicy import param_kind

COLUMNS = (
    NAME,
    Column("Mutations", "integer", description="Mutation specifies the number of mutations defined in this policy."),
    Column("ParamKind", description="ParamKind specifies the kind of resources used to parameterize this policy."),
    AGE,
)


def row(policy: Object, now_s: float) -> list[Any]:
    mutations = (policy.get("spec") or {}).get("mutations") or ()
    return [name_of(policy), len(mutations), param_kind(policy), age(policy, now_s)]


PRINTER = Printer(COLUMNS, row)
