"""The language itself: values and failures of expressions, as cel-go has them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api.cel import DYN, INT, STRING, CelError, CelSyntaxError, CelTypeError, compile_expression
from picluster.api.cel.types import list_of, map_of

VARIABLES = {"x": DYN, "n": INT, "s": STRING, "l": list_of(INT), "m": map_of(STRING, INT)}
BINDINGS = {"x": {"a": 1, "b": None, "c": [1, 2], "t": True}, "n": 3, "s": "hé", "l": [3, 1, 2], "m": {"a": 1, "b": 2}}


def run(source: str) -> Any:
    return compile_expression(source, VARIABLES).evaluate(BINDINGS)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3 - 4 / 2", 5),
        ("(1 + 2) * 3", 9),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("0x1F", 31),
        ("1u + 2u", 3),
        ("1.5e1 + .5", 15.5),
        ("-9223372036854775808", -(2**63)),
        ("- - 1", 1),
        ("!!true", True),
        ("1 < 2 && 2 <= 2 && 'b' > 'a' && b'b' >= b'a'", True),
        ("1 < 1.5 && 2u > 1 && 1.0 <= 1", True),
        ("dyn(1) == 1.0 && dyn(1u) == 1 && dyn(1) != '1' && dyn(1) != true", True),
        ("'a' + 'b' == \"ab\" && b'a' + b'b' == b'ab'", True),
        ("r'\\n' == '\\\\n' && '\\u00e9' == 'é' && '\\x41\\101' == 'AA' && b'\\xff' == b'\\377'", True),
        ("'''a\nb''' == 'a\\nb'", True),
        ("[1, 2] + [3] == [1, 2, 3]", True),
        ("{'a': 1}['a'] + {1: 2}[1] + {true: 3}[true]", 6),
        ("{1: 'x'}[dyn(1.0)]", "x"),
        ("{'a': 1} == {'a': 1} && {'a': 1} != {'b': 1} && [1] != [2] && {} == {}", True),
        ("2 in [1, 2] && 'a' in {'a': 1} && !('z' in m) && !(dyn('1') in l)", True),
        ("true ? 1 : 2", 1),
        ("n == 3 ? s : string(n)", "hé"),
        ("size(s) == 2 && s.size() == 2 && size(l) == 3 && size(m) == 2 && size(b'abc') == 3", True),
        ("x.a == 1 && x['a'] == 1 && x.c[1] == 2", True),
        ("has(x.a) && has(x.b) && !has(x.z) && !has(m.z) && has(m.a)", True),
        ("x.b == null", True),
        ("type(1) == int && type('') == string && type(x) == map && type(l) == list && type(int) == type", True),
        ("type(null) == null_type && type(1u) == uint && type(1.0) == double && type(type(1)) == type", True),
        ("type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp", True),
        ("// a comment\n1", 1),
        ("[1, 2, 3,]", [1, 2, 3]),
        ("x.?a.orValue(0) + x.?z.orValue(5)", 6),
        ("x.?c[?7].orValue(9)", 9),
        ("x[?'a'].value()", 1),
        ("x.?z.?y.hasValue()", False),
        ("optional.of(1).or(optional.none()).value()", 1),
        ("optional.ofNonZeroValue('').hasValue()", False),
        ("optional.of(2).optMap(v, v * 2).value()", 4),
        ("optional.of(2).optFlatMap(v, optional.of(v + 1)).value()", 3),
        ("optional.none().optMap(v, v).hasValue()", False),
        ("[?x.?z, ?optional.of(dyn(1))]", [1]),
        ("{?'a': x.?z, 'b': dyn(1)}", {"b": 1}),
        ("l.first().value() + l.last().value()", 5),
        ("optional.unwrap([optional.of(1), optional.none()])", [1]),
    ],
)  # fmt: skip
def test_values(source: str, value: Any) -> None:
    result = run(source)
    assert result == value
    assert type(result) is type(value) or isinstance(value, int)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("l.all(i, i > 0)", True),
        ("l.all(i, i > 1)", False),
        ("[].all(i, i > 1)", True),
        ("l.exists(i, i == 2)", True),
        ("[].exists(i, i == 2)", False),
        ("l.exists_one(i, i > 2)", True),
        ("l.exists_one(i, i > 1)", False),
        ("l.map(i, i * 2)", [6, 2, 4]),
        ("l.map(i, i > 1, i * 2)", [6, 4]),
        ("l.filter(i, i > 1)", [3, 2]),
        ("m.all(k, k != 'z')", True),
        ("m.map(k, m[k])", [1, 2]),
        ("m.filter(k, m[k] > 1)", ["b"]),
        ("l.all(i, v, i < 3 && v > 0)", True),
        ("m.exists(k, v, k == 'b' && v == 2)", True),
        ("m.existsOne(k, v, v > 1)", True),
        ("l.transformList(i, v, i * v)", [0, 1, 4]),
        ("l.transformList(i, v, i > 0, v)", [1, 2]),
        ("m.transformMap(k, v, v + 1)", {"a": 2, "b": 3}),
        ("m.transformMap(k, v, v > 1, k)", {"b": "b"}),
        ("m.transformMapEntry(k, v, {v: k})", {1: "a", 2: "b"}),
        ("l.map(i, l.filter(j, j < i).size())", [2, 0, 1]),
        ("[[1, 2], [3]].map(a, a.map(b, b + 1))", [[2, 3], [4]]),
        ("x.all(k, k.size() == 1)", True),
    ],
)
def test_comprehensions(source: str, value: Any) -> None:
    assert run(source) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("false && 1 / 0 == 0", False),
        ("1 / 0 == 0 && false", False),
        ("true || 1 / 0 == 0", True),
        ("1 / 0 == 0 || true", True),
        ("[0, 1].exists(i, 1 / i == 1)", True),
        ("[0, 2].all(i, 1 / i == 1)", False),
        ("true ? 1 : 1 / 0", 1),
    ],
)
def test_errors_that_what_follows_makes_irrelevant(source: str, value: Any) -> None:
    assert run(source) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "division by zero"),
        ("1 % 0", "modulus by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("-9223372036854775808 - 1", "integer overflow"),
        ("-(-9223372036854775808)", "integer overflow"),
        ("1u - 2u", "unsigned integer overflow"),
        ("x.z", "no such key: z"),
        ("x.a.z", "no such key: z"),
        ("m['z']", "no such key: z"),
        ("l[9]", "index out of bounds: 9"),
        ("l[-1]", "index out of bounds: -1"),
        ("dyn(1) + 'a'", "no such overload"),
        ("x.a.size()", "no such overload: size(int)"),
        ("x.a && true", "no such overload"),
        ("x.a ? 1 : 2", "no such overload"),
        ("x.t < 1", "no such overload"),
        ("1 / 0 == 0 && true", "division by zero"),
        ("[0, 1].all(i, 1 / i == 1)", "division by zero"),
        ("int('x')", "type conversion error from 'string' to 'int'"),
        ("int(1e30)", "integer overflow"),
        ("uint(-1)", "unsigned integer overflow"),
        ("optional.none().value()", "optional.none() dereference"),
        ("{'a': 1, 'a': 2}", "Failed with repeated key"),
        ("dyn(1).all(i, true)", "got 'int', expected iterable type"),
    ],
)
def test_failures(source: str, message: str) -> None:
    with pytest.raises(CelError) as raised:
        run(source)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nope", "1:1: undeclared reference to 'nope' (in container '')"),
        ("nope(1)", "1:5: undeclared reference to 'nope' (in container '')"),
        ("s.nope()", "1:7: undeclared reference to 'nope' (in container '')"),
        ("1 + 'a'", "1:3: found no matching overload for '_+_' applied to '(int, string)'"),
        ("s.startsWith(1)", "1:13: found no matching overload for 'startsWith' applied to 'string.(int)'"),
        ("s == 1", "1:3: found no matching overload for '_==_' applied to '(string, int)'"),
        ("s == null", "1:3: found no matching overload for '_==_' applied to '(string, null)'"),
        ("n && true", "1:3: found no matching overload for '_&&_' applied to '(int, bool)'"),
        ("true ? 1 : 'a'", "1:6: found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
        ("[1, 'a']", "1:5: expected type 'int' but found 'string'"),
        ("{'a': 1, 'b': 'c'}", "1:15: expected type 'int' but found 'string'"),
        ("n.field", "1:2: type 'int' does not support field selection"),
        ("n.all(i, true)", "1:1: expression of type 'int' cannot be range of a comprehension"),
        ("l.all(i, i)", "1:6: found no matching overload for '_&&_' applied to '(bool, int)'"),
        ("l[s]", "1:2: found no matching overload for '_[_]' applied to '(list(int), string)'"),
        ("duration('x')", "1:10: invalid duration argument"),
        ("timestamp('x')", "1:11: invalid timestamp argument"),
        ("s.matches('(')", "1:11: invalid matches argument"),
        ("Object{}", "1:7: undeclared reference to 'Object' (in container '')"),
        ("n < s", "1:3: found no matching overload for '_<_' applied to '(int, string)'"),
        ("timestamp('2020-01-01T00:00:00Z') + 1", "found no matching overload for '_+_' applied to '(timestamp, int)'"),
    ],
)
def test_what_does_not_fit_is_found_before_it_runs(source: str, message: str) -> None:
    with pytest.raises(CelTypeError) as raised:
        run(source)
    assert str(raised.value).startswith("compilation failed: ERROR: <input>:")
    assert message in str(raised.value)


def test_every_mistake_is_shown_with_its_line() -> None:
    with pytest.raises(CelTypeError) as raised:
        run("a +\n  b")
    assert str(raised.value) == (
        "compilation failed: ERROR: <input>:1:1: undeclared reference to 'a' (in container '')\n | a +\n | ^\n"
        "ERROR: <input>:2:3: undeclared reference to 'b' (in container '')\n |   b\n | ..^"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 +", "1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '('"),
        ("", "1:1: Syntax error: mismatched input '<EOF>'"),
        ("(1", "1:3: Syntax error: mismatched input '<EOF>' expecting ')'"),
        ("1 2", "1:3: Syntax error: mismatched input '2' expecting <EOF>"),
        ("'abc", "1:1: Syntax error: token recognition error at: ''abc'"),
        ("x.in", "1:3: Syntax error: no viable alternative at input '.in'"),
        ("for", "1:1: reserved identifier: for"),
        ("has(x)", "1:4: invalid argument to has() macro"),
        ("l.all(1, true)", "1:7: argument must be a simple name"),
        ("9223372036854775808", "1:1: invalid int literal"),
        ("'\\q'", "1:1: unable to unescape string"),
        ("(" * 400 + "1" + ")" * 400, "expression recursion limit exceeded: 250"),
        ("1" + " + 1" * 2000, "expression recursion limit exceeded: 250"),
        ("'" + "a" * 100_000 + "'", "expression code point size exceeds limit: size: 100002, limit 100000"),
    ],
    ids=str.__len__,
)
def test_bad_syntax(source: str, message: str) -> None:
    with pytest.raises(CelSyntaxError) as raised:
        run(source)
    assert message in str(raised.value)


def test_fields_may_have_the_names_of_keywords() -> None:
    bindings = {"x": {"namespace": "a", "package": "b"}}
    assert compile_expression("x.namespace + x.package", {"x": DYN}).evaluate(bindings) == "ab"


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_division_is_gos(left: int, right: int) -> None:
    """Quotient towards zero, remainder with the sign of the dividend."""
    program = compile_expression("[a / b, a % b]", {"a": INT, "b": INT})
    try:
        quotient, remainder = program.evaluate({"a": left, "b": right})
    except CelError as error:
        assert right == 0 or (left == -(2**63) and right == -1), error
        return
    assert quotient * right + remainder == left
    assert abs(remainder) < abs(right)
    assert remainder == 0 or (remainder < 0) == (left < 0)


@given(st.floats(allow_nan=True))
def test_doubles_survive_being_written(number: float) -> None:
    back = compile_expression("double(string(x))", {"x": DYN}).evaluate({"x": number})
    assert back == number or (math.isnan(back) and math.isnan(number))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-10, 10) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, JSON)
def test_equality_is_an_equivalence(one: Any, other: Any) -> None:
    same = compile_expression("[a == a, a == b, b == a, !(a != b) == (a == b)]", {"a": DYN, "b": DYN})
    itself, forth, back, negated = same.evaluate({"a": one, "b": other})
    assert itself
    assert forth == back
    assert negated


@given(st.text(max_size=12))
def test_no_text_does_anything_but_compile_or_be_refused(source: str) -> None:
    try:
        run(source)
    except (CelError, CelSyntaxError, CelTypeError):
        return
