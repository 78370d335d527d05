"""Gives every node its type, resolves names and overloads, and collects what does not fit (cel-go's ``checker``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from picluster.api.cel import types
from picluster.api.cel.errors import Issue
from picluster.api.cel.functions import functions
from picluster.api.cel.functions.regex import compiled
from picluster.api.cel.functions.signatures import Overload
from picluster.api.cel.times import parse_duration, parse_timestamp
from picluster.api.cel.tree import (
    Call,
    Fold,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Node,
    OptionalFold,
    Select,
    StructLiteral,
)
from picluster.api.cel.types import ObjectType, ParamType, Type, list_of, map_of, optional_of, type_of
from picluster.api.cel.unify import Bound, assignable, assignable_all, is_dynamic, most_general, substitute
from picluster.api.cel.values import type_of as value_type

OBJECT, JSON_PATCH = "Object", "JSONPatch"
_PATCH_FIELDS = {"op": types.STRING, "path": types.STRING, "from": types.STRING, "value": types.DYN}
_LITERALS: dict[str, Callable[[str], object]] = {
    "duration": parse_duration, "timestamp": parse_timestamp, "matches": compiled,
}  # fmt: skip
_COMPARABLE = frozenset(
    (types.INT, types.UINT, types.DOUBLE, types.BOOL, types.DURATION, types.TIMESTAMP, types.STRING, types.BYTES)
)
_LOGIC = ("_&&_", "_||_")
_DENOTED: dict[str, Type] = {
    **{each.name: each for each in (
        types.BOOL, types.INT, types.UINT, types.DOUBLE, types.STRING, types.BYTES, types.NULL, types.TIMESTAMP,
        types.DURATION, types.QUANTITY, types.URL, types.IP, types.CIDR, types.SEMVER, types.FORMAT,
        types.AUTHORIZER, types.PATH_CHECK, types.GROUP_CHECK, types.RESOURCE_CHECK, types.DECISION,
    )},
    "list": list_of(types.DYN), "map": map_of(types.DYN, types.DYN), "type": types.TYPE,
    "optional_type": optional_of(types.DYN), "dyn": types.DYN,
}  # fmt: skip


class Checker:
    """Checks one tree, in place; what is wrong is in ``issues``."""

    def __init__(self, variables: Mapping[str, Type], *, patches: bool) -> None:
        self.issues: list[Issue] = []
        self._variables = variables
        self._patches = patches
        self._functions = functions(patches=patches)
        self._scopes: list[dict[str, Type]] = []
        self._bound: Bound = {}
        self._fresh = 0

    def check(self, node: Node) -> Type:
        """The type of ``node``, which is noted in it."""
        node.type = self._type(node)
        return node.type

    def final(self, type_: Type) -> Type:
        return substitute(self._bound, type_, final=True)

    def _type(self, node: Node) -> Type:
        match node:
            case Literal():
                return value_type(node.value)
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListLiteral():
                return self._list(node)
            case MapLiteral():
                return self._map(node)
            case StructLiteral():
                return self._struct(node)
            case Fold():
                return self._fold(node)
            case OptionalFold():
                return self._optional_fold(node)

    def _say(self, at: int, message: str) -> Type:
        self.issues.append(Issue(at, message))
        return types.ERROR

    def _known(self, type_: Type) -> Type:
        return substitute(self._bound, type_)

    def _variable(self) -> Type:
        self._fresh += 1
        return ParamType(f"_var{self._fresh}")

    def _lookup(self, name: str, *, absolute: bool = False) -> Type | None:
        if not absolute:
            for scope in reversed(self._scopes):
                if name in scope:
                    return scope[name]
        found = self._variables.get(name)
        if found is not None:
            return found
        denoted = _DENOTED.get(name) or self._patch_type(name)
        return None if denoted is None else type_of(denoted)

    def _patch_type(self, name: str) -> Type | None:
        if self._patches and (name in (OBJECT, JSON_PATCH) or name.startswith(f"{OBJECT}.")):
            return Type(name)
        return None

    def _ident(self, node: Ident) -> Type:
        found = self._lookup(node.name, absolute=node.absolute)
        if found is None:
            return self._say(node.at, f"undeclared reference to '{node.name}' (in container '')")
        return found

    def _qualified(self, node: Node) -> str | None:
        """The dotted name that ``node`` may be, unless it begins with a local variable."""
        if isinstance(node, Ident):
            return None if any(node.name in scope for scope in self._scopes) else node.name
        if isinstance(node, Select) and not node.test and not node.optional:
            before = self._qualified(node.operand)
            return None if before is None else f"{before}.{node.field}"
        return None

    def _select(self, node: Select) -> Type:
        name = self._qualified(node)
        if name is not None and (found := self._lookup(name)) is not None:
            node.operand, node.field = Ident(node.at, name, absolute=True, type=found), ""
            return found
        operand = self._known(self.check(node.operand))
        inner = operand.params[0] if operand.name == "optional_type" else operand
        result = self._field(node, inner)
        if node.test:
            return types.BOOL
        return optional_of(result) if node.optional or inner is not operand else result

    def _field(self, node: Select, inner: Type) -> Type:
        if inner.name == "map" and inner.params:
            return inner.params[1]
        if isinstance(inner, ObjectType):
            field = inner.fields.get(node.field)
            return field.type if field is not None else self._say(node.at, f"undefined field '{node.field}'")
        if isinstance(inner, ParamType):
            assignable(self._bound, types.DYN, inner)
            return types.DYN
        if self._patch_type(inner.name) is not None:
            return self._patch_field(node.at, inner.name, node.field)
        if not is_dynamic(inner):
            self._say(node.at, f"type '{inner.format()}' does not support field selection")
        return types.DYN

    def _patch_field(self, at: int, struct: str, field: str) -> Type:
        if struct != JSON_PATCH:
            return types.DYN
        return _PATCH_FIELDS.get(field) or self._say(at, f"undefined field '{field}'")

    def _call(self, node: Call) -> Type:
        for arg in node.args:
            self.check(arg)
        if node.function in _LOGIC:
            return self._logic(node)
        if node.function == "_?_:_":
            return self._conditional(node)
        if node.target is not None:
            name = self._qualified(node.target)
            if name is not None and f"{name}.{node.function}" in self._functions:
                node.function, node.target = f"{name}.{node.function}", None
            else:
                self.check(node.target)
        overloads = self._functions.get(node.function)
        if overloads is None:
            return self._say(node.at, f"undeclared reference to '{node.function}' (in container '')")
        return self._resolve(node, overloads)

    def _resolve(self, node: Call, overloads: Sequence[Overload]) -> Type:
        args = node.args if node.target is None else [node.target, *node.args]
        given = [self._known(arg.type) for arg in args]
        result: Type | None = None
        fitting: list[Overload] = []
        for each in overloads:
            if each.member != (node.target is not None) or len(each.params) != len(given):
                continue
            renamed: Bound = {}
            params = [self._renamed(param, renamed) for param in each.params]
            trial = dict(self._bound)
            if not assignable_all(trial, given, params):
                continue
            self._bound = trial
            fitting.append(each)
            found = self._known(self._renamed(each.result, renamed))
            result = found if result is None or result == found else types.DYN
        if result is None:
            return self._no_overload(node, given)
        node.signatures = tuple(fitting)
        self._check_literal(node)
        return result

    def _check_literal(self, node: Call) -> None:
        """Durations, timestamps and regular expressions that are written out must be sound (``ASTValidators``)."""
        checked = _LITERALS.get(node.function)
        last = node.args[-1] if node.args else None
        if checked is None or not isinstance(last, Literal) or not isinstance(last.value, str):
            return
        try:
            checked(last.value)
        except ValueError:
            self._say(last.at, f"invalid {node.function} argument")

    def _renamed(self, type_: Type, renamed: Bound) -> Type:
        """``type_`` with the type variables of its signature made fresh."""
        if isinstance(type_, ParamType):
            if type_.name not in renamed:
                renamed[type_.name] = self._variable()
            return renamed[type_.name]
        if not type_.params:
            return type_
        return Type(type_.name, *(self._renamed(param, renamed) for param in type_.params))

    def _no_overload(self, node: Call, given: Sequence[Type]) -> Type:
        shown = [self._known(type_).format() for type_ in given]
        signature = f"({', '.join(shown)})"
        if node.target is not None:
            signature = f"{shown[0]}.({', '.join(shown[1:])})"
        return self._say(node.at, f"found no matching overload for '{node.function}' applied to '{signature}'")

    def _logic(self, node: Call) -> Type:
        given = [self._known(arg.type) for arg in node.args]
        if not all(assignable(self._bound, type_, types.BOOL) for type_ in given):
            return self._no_overload(node, given)
        return types.BOOL

    def _conditional(self, node: Call) -> Type:
        condition, then, otherwise = (self._known(arg.type) for arg in node.args)
        trial = dict(self._bound)
        variable = self._variable()
        if not assignable_all(trial, (condition, then, otherwise), (types.BOOL, variable, variable)):
            return self._no_overload(node, (condition, then, otherwise))
        self._bound = trial
        return self._known(variable)

    def _joined(self, at: int, previous: Type | None, current: Type) -> Type:
        if previous is None:
            return current
        if assignable(self._bound, previous, current):
            return most_general(previous, current)
        return self._say(at, f"expected type '{previous.format()}' but found '{self._known(current).format()}'")

    def _list(self, node: ListLiteral) -> Type:
        element: Type | None = None
        for position, item in enumerate(node.elements):
            found = self._known(self.check(item))
            if position in node.optional:
                found = self._unwrapped(item, found)
            element = self._joined(item.at, element, found)
        return list_of(element or self._variable())

    def _unwrapped(self, node: Node, found: Type) -> Type:
        """The type of what an optional entry holds."""
        if found.name == "optional_type":
            return found.params[0]
        if not is_dynamic(found):
            self._say(node.at, f"expected type 'optional_type({found.format()})' but found '{found.format()}'")
        return types.DYN

    def _map(self, node: MapLiteral) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            key = self._joined(entry.key.at, key, self._known(self.check(entry.key)))
            found = self._known(self.check(entry.value))
            if entry.optional:
                found = self._unwrapped(entry.value, found)
            value = self._joined(entry.value.at, value, found)
        return map_of(key or self._variable(), value or self._variable())

    def _struct(self, node: StructLiteral) -> Type:
        made = self._patch_type(node.name)
        if made is None:
            return self._no_struct(node)
        for init in node.fields:
            found = self._known(self.check(init.value))
            if init.optional:
                found = self._unwrapped(init.value, found)
            wanted = self._patch_field(init.at, node.name, init.name)
            if not assignable(self._bound, wanted, found):
                what = f"is '{wanted.format()}' but provided type is '{found.format()}'"
                self._say(init.at, f"expected type of field '{init.name}' {what}")
        return made

    def _no_struct(self, node: StructLiteral) -> Type:
        found = self._lookup(node.name)
        if found is None:
            return self._say(node.at, f"undeclared reference to '{node.name}' (in container '')")
        if found.name != "type":
            return self._say(node.at, f"'{node.name}' is not a type")
        return self._say(node.at, f"'{node.name}' is not a message type")

    def _range(self, node: Fold) -> tuple[Type, Type]:
        """The types of what is run over: of keys or indexes, and of elements."""
        over = self._known(self.check(node.range))
        if over.name == "list" and over.params:
            return types.INT, over.params[0]
        if over.name == "map" and over.params:
            return over.params[0], over.params[1]
        if isinstance(over, ParamType):
            assignable(self._bound, types.DYN, over)
        elif not is_dynamic(over):
            what = f"expression of type '{over.format()}' cannot be range of a comprehension"
            self._say(node.range.at, f"{what} (must be list, map, or dynamic)")
            return types.ERROR, types.ERROR
        return types.DYN, types.DYN

    def _fold(self, node: Fold) -> Type:
        key, value = self._range(node)
        if len(node.variables) == 2:
            scope = dict(zip(node.variables, (key, value), strict=True))
        else:
            over = self._known(node.range.type)
            scope = {node.variables[0]: key if over.name == "map" else value}
        self._scopes.append(scope)
        try:
            return self._fold_body(node, scope)
        finally:
            self._scopes.pop()

    def _fold_body(self, node: Fold, scope: Mapping[str, Type]) -> Type:
        if node.condition is not None:
            condition = self._known(self.check(node.condition))
            if not assignable(self._bound, types.BOOL, condition):
                self._condition_failure(node, condition)
        results = [self._known(self.check(result)) for result in node.results]
        match node.kind:
            case "all" | "exists" | "exists_one":
                return types.BOOL
            case "sortBy":
                return self._sorted(node, results[0], scope)
            case "filter":
                return list_of(scope[node.variables[0]])
            case "map" | "transformList":
                return list_of(results[0])
            case "transformMap":
                return map_of(scope[node.variables[0]], results[0])
        if results[0].name != "map" and not is_dynamic(results[0]):
            self._say(node.results[0].at, f"expected type 'map(_, _)' but found '{results[0].format()}'")
        return results[0] if results[0].params else map_of(types.DYN, types.DYN)

    def _sorted(self, node: Fold, key: Type, scope: Mapping[str, Type]) -> Type:
        if key not in _COMPARABLE and not is_dynamic(key) and not isinstance(key, ParamType):
            what = f"list({self._known(scope[node.variables[0]]).format()}).(list({key.format()}))"
            self._say(node.at, f"found no matching overload for '@sortByAssociatedKeys' applied to '{what}'")
        return list_of(scope[node.variables[0]])

    def _condition_failure(self, node: Fold, condition: Type) -> None:
        assert node.condition is not None
        shown = condition.format()
        if node.kind in ("all", "exists"):
            sign = "_&&_" if node.kind == "all" else "_||_"
            self._say(node.at, f"found no matching overload for '{sign}' applied to '(bool, {shown})'")
        else:
            self._say(node.at, f"found no matching overload for '_?_:_' applied to '({shown}, dyn, dyn)'")

    def _optional_fold(self, node: OptionalFold) -> Type:
        target = self._known(self.check(node.target))
        inner: Type = types.DYN
        if target.name == "optional_type":
            inner = target.params[0]
        elif not is_dynamic(target):
            self._say(node.at, f"found no matching overload for 'hasValue' applied to '{target.format()}.()'")
        self._scopes.append({node.variable: inner})
        result = self._known(self.check(node.result))
        self._scopes.pop()
        if not node.flat:
            return optional_of(result)
        if result.name != "optional_type" and not is_dynamic(result):
            what = f"(bool, {result.format()}, optional_type(dyn))"
            self._say(node.at, f"found no matching overload for '_?_:_' applied to '{what}'")
        return result
