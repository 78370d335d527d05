"""Certificate signing requests."""

from __future__ import annotations

from typing import Any

from picluster.api.types import Object
from picluster.apiserver.tables.columns import AGE, NAME, Column, Printer, age, human_duration, name_of

COLUMNS = (
    NAME,
    AGE,
    Column("SignerName", description="signerName indicates the requested signer, and is a qualified name."),
    Column("Requestor", description="username contains the name of the user that created the request."),
    Column("RequestedDuration", description="expirationSeconds is the requested duration of validity of the issued"
           " certificate."),
    Column("Condition", description="The state of the request: approval, and what became of it."),
)  # fmt: skip


def row(csr: Object, now_s: float) -> list[Any]:
    spec, status = csr.get("spec") or {}, csr.get("status") or {}
    duration_s = spec.get("expirationSeconds")
    return [
        name_of(csr),
        age(csr, now_s),
        spec.get("signerName") or "<none>",
        spec.get("username", ""),
        "<none>" if duration_s is None else human_duration(duration_s),
        _state(status),
    ]


def _state(status: Object) -> str:
    kinds = [condition.get("type") for condition in status.get("conditions") or ()]
    if "Denied" in kinds:
        state = "Denied"
    elif "Approved" in kinds:
        state = "Approved"
    else:
        state = "Pending"
    if "Failed" in kinds:
        state += ",Failed"
    return state + (",Issued" if status.get("certificate") else "")


PRINTER = Printer(COLUMNS, row)
