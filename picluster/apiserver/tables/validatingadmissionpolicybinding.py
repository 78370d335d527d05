"""Bindings of admission policies."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, name_of

COLUMNS = (
    NAME,
    Column("PolicyName", description="PolicyName indicates the policy definition which the policy binding binded to."),
    Column("ParamRef", description="ParamRef indicates the param resource which sets the configration param."),
    AGE,
)


def row(binding: Object, now_s: float) -> list[Any]:
    spec = binding.get("spec") or {}
    return [name_of(binding), spec.get("policyName", ""), _param_ref(spec.get("paramRef")), age(binding, now_s)]


def _param_ref(reference: Object | None) -> str:
    if reference is None:
        return "<unset>"
    namespace, name = reference.get("namespace"), reference.get("name")
    if name:
        return f"{namespace}/{name}" if namespace else str(name)
    return f"{namespace}/*" if namespace else "*"


PRINTER = Printer(COLUMNS, row)
