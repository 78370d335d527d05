"""Validating admission policies."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("Validations", "integer", description="Validations indicates the number of validation rules defined in this"
           " configuration."),
    Column("ParamKind", description="ParamKind specifies the kind of resources used to parameterize this policy."),
    AGE,
)  # fmt: skip


def param_kind(policy: Object) -> str:
    kind = (policy.get("spec") or {}).get("paramKind")
    return "<unset>" if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def row(policy: Object, now_s: float) -> list[Any]:
    validations = (policy.get("spec") or {}).get("validations") or ()
    return [name_of(policy), len(validations), param_kind(policy), age(policy, now_s)]


PRINTER = Printer(COLUMNS, row)
