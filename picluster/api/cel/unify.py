"""Whether one type may stand where another is wanted, and what type variables are then.

The rules, and the order in which they are tried, are those of cel-go's ``checker/types.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from picluster.api.cel import types
from picluster.api.cel.types import ParamType, Type

Bound = dict[str, Type]
_NULLABLE = frozenset((types.NULL, types.TIMESTAMP, types.DURATION))
_SCALARS = frozenset(
    (types.BOOL, types.INT, types.UINT, types.DOUBLE, types.STRING, types.BYTES, types.NULL, types.DYN, types.ERROR,
     types.LIST, types.MAP)
)  # fmt: skip


def is_dynamic(type_: Type) -> bool:
    return type_ in (types.DYN, types.ERROR)


def substitute(bound: Bound, type_: Type, *, final: bool = False) -> Type:
    """``type_`` with its variables replaced by what they are; in the end, by ``dyn`` if they are nothing."""
    if isinstance(type_, ParamType):
        found = bound.get(type_.name)
        if found is not None:
            return substitute(bound, found, final=final)
        return types.DYN if final else type_
    if not has_variables(type_):
        return type_
    return Type(type_.name, *(substitute(bound, param, final=final) for param in type_.params))


def has_variables(type_: Type) -> bool:
    return isinstance(type_, ParamType) or any(map(has_variables, type_.params))


def assignable(bound: Bound, one: Type, other: Type) -> bool:
    """Whether the types agree; ``bound`` learns what the variables must be, also when the answer is no."""
    if isinstance(other, ParamType):
        valid, had = _stands_for(bound, one, other)
        if valid:
            return True
        if had:
            return False
    if isinstance(one, ParamType):
        return _stands_for(bound, other, one)[0]
    if is_dynamic(one) or is_dynamic(other):
        return True
    if one == types.NULL or other == types.NULL:
        return _nullable(other if one == types.NULL else one)
    if one.name == other.name == "type":
        return True
    if one.name != other.name or len(one.params) != len(other.params):
        return False
    if one.params:
        return assignable_all(bound, one.params, other.params)
    return one == other


def assignable_all(bound: Bound, ones: Sequence[Type], others: Sequence[Type]) -> bool:
    return len(ones) == len(others) and all(
        assignable(bound, one, other) for one, other in zip(ones, others, strict=True)
    )


def most_general(one: Type, other: Type) -> Type:
    return one if _as_general(one, other) else other


def _nullable(type_: Type) -> bool:
    """Whether null may stand for it: messages, abstract types, times (``isLegacyNullable``)."""
    if type_ in _NULLABLE or isinstance(type_, types.ObjectType):
        return True
    return type_ not in _SCALARS and type_.name not in ("list", "map", "type")


def _stands_for(bound: Bound, one: Type, variable: Type) -> tuple[bool, bool]:
    """Whether ``variable`` may be ``one``, and whether it was something already (``isValidTypeSubstitution``)."""
    if one == variable:
        return True, True
    known = bound.get(variable.name)
    if known is None:
        if _occurs(bound, variable, one):
            return False, False
        bound[variable.name] = one
        return True, False
    if one == known:
        return True, True
    if not assignable(bound, one, known):
        return False, True
    general = most_general(one, known)
    if not _occurs(bound, variable, general):
        bound[variable.name] = general
    return True, True


def _occurs(bound: Bound, variable: Type, within: Type) -> bool:
    if within == variable:
        return True
    if isinstance(within, ParamType):
        known = bound.get(within.name)
        return known is not None and _occurs(bound, variable, known)
    return any(_occurs(bound, variable, param) for param in within.params)


def _as_general(one: Type, other: Type) -> bool:
    """``isEqualOrLessSpecific``."""
    if is_dynamic(one) or isinstance(one, ParamType):
        return True
    if is_dynamic(other) or isinstance(other, ParamType):
        return False
    if one.name != other.name or len(one.params) != len(other.params):
        return False
    if one.params:
        return all(_as_general(ours, theirs) for ours, theirs in zip(one.params, other.params, strict=True))
    return one == other
