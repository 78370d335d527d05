"""What a label selector selects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from picluster.api import errors, names
from picluster.api.selectors.grammar import Clause, SelectorSyntaxError, parse
from picluster.api.types import Object

Labels = Mapping[str, str]
_NO_LABELS: Labels = {}

_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """``operator`` is one of ``in notin = == != exists ! gt lt``; ``values`` are sorted and without duplicates."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        return _predicate(self)(labels)

    def __str__(self) -> str:
        match self.operator:
            case "!":
                return f"!{self.key}"
            case "exists":
                return self.key
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(self.values) or ','})"
            case "gt":
                return f"{self.key}>{self.values[0]}"
            case "lt":
                return f"{self.key}<{self.values[0]}"
        return f"{self.key}{self.operator}{self.values[0]}"


class LabelSelector:
    """All of its requirements must hold; without any it selects everything."""

    __slots__ = ("_equal", "_nothing", "_others", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda requirement: requirement.key))
        self._nothing = nothing
        self._equal = tuple((r.key, r.values[0]) for r in self.requirements if _is_equality(r))
        self._others = tuple(_predicate(r) for r in self.requirements if not _is_equality(r))

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self._nothing and not self.requirements

    def matches(self, labels: Labels | None) -> bool:
        if self._nothing:
            return False
        if labels is None:
            labels = _NO_LABELS
        for key, value in self._equal:
            if labels.get(key) != value:
                return False
        return all(predicate(labels) for predicate in self._others)

    def matches_object(self, obj: Object) -> bool:
        return self.matches(obj["metadata"].get("labels"))

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelSelector):
            return NotImplemented
        return self.requirements == other.requirements and self._nothing == other._nothing

    def __hash__(self) -> int:
        return hash((self.requirements, self._nothing))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


@lru_cache(maxsize=512)
def parse_labels(text: str) -> LabelSelector:
    """The selector of a ``labelSelector`` parameter: ``a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2``."""
    try:
        clauses = parse(text)
    except SelectorSyntaxError as error:
        raise errors.bad_request(str(error)) from error
    return LabelSelector([_checked(clause) for clause in clauses])


def from_object(selector: Object | None) -> LabelSelector:
    """The selector of a ``metav1.LabelSelector``: ``None`` selects nothing, an empty one everything."""
    if selector is None:
        return NOTHING
    requirements = [Requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise errors.bad_request(f'"{expression.get("operator", "")}" is not a valid label selector operator')
        values = tuple(sorted(set(expression.get("values") or ())))
        requirements.append(Requirement(expression.get("key", ""), operator, values))
    return LabelSelector(requirements)


def from_map(labels: Labels | None) -> LabelSelector:
    """The selector of a plain map, as Services have it: ``None`` and an empty map select nothing."""
    if not labels:
        return NOTHING
    return LabelSelector([Requirement(key, "=", (value,)) for key, value in labels.items()])


def _checked(clause: Clause) -> Requirement:
    problem = next(_problems(clause), None)
    if problem is not None:
        raise errors.bad_request(f"unable to parse requirement: {problem}")
    return Requirement(clause.key, clause.operator, clause.values)


def _problems(clause: Clause) -> Iterator[errors.FieldError]:
    for message in names.qualified_name(clause.key):
        yield errors.invalid_value("key", clause.key, message)
    if clause.operator in ("in", "notin") and not clause.values:
        yield errors.invalid_value("values", [], "for 'in', 'notin' operators, values set can't be empty")
    for index, value in enumerate(clause.values):
        if clause.operator in ("gt", "lt") and _integer(value) is None:
            detail = "for 'Gt', 'Lt' operators, the value must be an integer"
            yield errors.invalid_value(f"values[{index}]", value, detail)
        for message in names.label_value(value):
            yield errors.invalid_value(f"values[{index}][{clause.key}]", value, message)


def _is_equality(requirement: Requirement) -> bool:
    return requirement.operator in ("=", "==") or (requirement.operator == "in" and len(requirement.values) == 1)


def _integer(text: str | None) -> int | None:
    if text is None or not text.removeprefix("-").removeprefix("+").isdecimal() or not text.isascii():
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


def _predicate(requirement: Requirement) -> Callable[[Labels], bool]:
    key, values = requirement.key, frozenset(requirement.values)
    match requirement.operator:
        case "in" | "=" | "==":
            return lambda labels: labels.get(key) in values
        case "notin" | "!=":
            return lambda labels: labels.get(key) not in values
        case "exists":
            return lambda labels: key in labels
        case "!":
            return lambda labels: key not in labels
        case "gt":
            limit = int(requirement.values[0])
            return lambda labels: (number := _integer(labels.get(key))) is not None and number > limit
        case "lt":
            limit = int(requirement.values[0])
            return lambda labels: (number := _integer(labels.get(key))) is not None and number < limit
    raise ValueError(f"unknown operator {requirement.operator!r}")
