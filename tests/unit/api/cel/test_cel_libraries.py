"""Kubernetes' extension libraries, with the examples of its documentation among them."""

from __future__ import annotations

from typing import Any

import pytest

from picluster.api.cel import DYN, Budget, CelBudgetError, CelError, CelLimitError, admission, compile_expression
from picluster.api.cel.access import AccessCheck, AccessDecision, Authorizer, ResourceCheck


def run(source: str) -> Any:
    return compile_expression(source, {"x": DYN}).evaluate({"x": {"q": "100m"}})


@pytest.mark.parametrize(
    ("source", "value"),
    [
        # strings
        ("'hello'.charAt(4)", "o"),
        ("'hello'.charAt(5)", ""),
        ("'hello mellow'.indexOf('')", 0),
        ("'hello mellow'.indexOf('ello')", 1),
        ("'hello mellow'.indexOf('jello')", -1),
        ("'hello mellow'.indexOf('ello', 2)", 7),
        ("'hello mellow'.lastIndexOf('ello')", 7),
        ("'hello mellow'.lastIndexOf('ello', 6)", 1),
        ("'TacoCat'.lowerAscii() + 'tacO é'.upperAscii()", "tacocatTACO é"),
        ("'hello hello'.replace('he', 'we')", "wello wello"),
        ("'hello hello'.replace('he', 'we', 1)", "wello hello"),
        ("'hello hello'.replace('he', 'we', 0)", "hello hello"),
        ("'hello hello hello'.split(' ')", ["hello", "hello", "hello"]),
        ("'hello hello hello'.split(' ', 0)", []),
        ("'hello hello hello'.split(' ', 2)", ["hello", "hello hello"]),
        ("'abc'.split('')", ["a", "b", "c"]),
        ("'tacocat'.substring(4) + 'tacocat'.substring(0, 4)", "cattaco"),
        ("'  \\ttrim\\n '.trim()", "trim"),
        ("['a', 'b'].join() + ['a', 'b'].join('-')", "aba-b"),
        ("strings.quote('a\"b\\n')", '"a\\"b\\n"'),
        ("'%s is %d or %.2f %e %b %x %X %o %%'.format([dyn('a'), 1, 2.5, 1.0, 5, 255, 255, 8])",
         "a is 1 or 2.50 1.000000e+00 101 ff FF 10 %"),
        ("'%s %s %s'.format([dyn([1, 2]), {'k': true}, null])", "[1, 2] {k: true} null"),
        # lists
        ("[1, 3, 4].isSorted() && !['b', 'a'].isSorted() && [].isSorted()", True),
        ("[1, 3].sum() + [].sum() == 4 && [1.0, 3.0].sum() == 4.0", True),
        ("[duration('1m'), duration('1s')].sum() == duration('61s')", True),
        ("[1, 3].min() + [1, 3].max()", 4),
        ("[1, 2, 2, 3].indexOf(2) + ['a', 'b', 'b', 'c'].lastIndexOf('b')", 3),
        ("[1].indexOf(2)", -1),
        ("[1, 2, 3, 4].slice(1, 3) + [1].slice(1, 1)", [2, 3]),
        ("[[1], [2, 3]].flatten()", [1, 2, 3]),
        ("[dyn(1), [2], [[3]]].flatten(2)", [1, 2, 3]),
        ("lists.range(3) + lists.range(0)", [0, 1, 2]),
        ("[1, 2, 2, 3, 3].distinct()", [1, 2, 3]),
        ("[dyn(1), 1.0, 'a', true, [1], {'a': 1}, [1]].distinct().size()", 5),
        ("[5, 3, 1].reverse() + [3, 1, 2].sort()", [1, 3, 5, 1, 2, 3]),
        ("['b', 'a'].sort() + [{'n': 'z'}, {'n': 'y'}].sortBy(e, e.n).map(e, e.n)", ["a", "b", "y", "z"]),
        # sets
        ("sets.contains([1, 2, 3], [2]) && !sets.contains([1], [2]) && sets.contains([], [])", True),
        ("sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1], [1, 2]) && !sets.intersects([], [1])", True),
        # regular expressions
        ("'abc 123'.find('[0-9]+')", "123"),
        ("'abc'.find('[0-9]+')", ""),
        ("'123 abc 456'.findAll('[0-9]+')", ["123", "456"]),
        ("'123 abc 456'.findAll('[0-9]+', 1)", ["123"]),
        ("'foobar'.matches('^fo+') && matches('a', 'a|b') && !'x'.matches('^$')", True),
        # URLs
        ("url('https://example.com:80/').getHost()", "example.com:80"),
        ("url('https://example.com/path with spaces/').getEscapedPath()", "/path%20with%20spaces/"),
        ("url('https://[::1]:80/').getHostname() + url('https://example.com/').getPort()", "::1"),
        ("url('/path').getScheme() + url('https://a.b/').getScheme()", "https"),
        ("url('https://a/?k=a&k=b&z').getQuery()", {"k": ["a", "b"], "z": [""]}),
        ("isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/a')", True),
        ("isURL('../relative-path') || isURL('') || isURL('not a url')", False),
        ("url('https://a/') == url('https://a/')", True),
        # quantities
        ("isQuantity('1.3G') && isQuantity('50k') && !isQuantity('1,3') && !isQuantity('2e')", True),
        ("quantity('50M').add(quantity('20M')) == quantity('70M')", True),
        ("quantity('50M').sub(20) == quantity('49999980')", True),
        ("quantity('200M').compareTo(quantity('0.2G'))", 0),
        ("quantity('150Mi').isGreaterThan(quantity('100Mi')) && quantity('1').isLessThan(quantity('2'))", True),
        ("quantity('50k').asInteger() + quantity('-1').sign()", 49999),
        ("quantity('50.3').isInteger()", False),
        ("quantity('1500m').asApproximateFloat()", 1.5),
        ("quantity(x.q).isLessThan(quantity('1'))", True),
        # addresses
        ("isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP('::ffff:1.2.3.4')", True),
        ("ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')", True),
        ("ip('127.0.0.1').isLoopback() && ip('0.0.0.0').isUnspecified() && ip('fe80::1').isLinkLocalUnicast()", True),
        ("ip('224.0.0.1').isLinkLocalMulticast() && ip('10.0.0.1').isGlobalUnicast()", True),
        ("ip('::1').family() + cidr('10.0.0.0/8').prefixLength()", 14),
        ("string(ip('2001:DB8::1')) + ' ' + string(cidr('10.0.0.1/8').masked())", "2001:db8::1 10.0.0.0/8"),
        ("cidr('192.168.0.0/24').containsIP('192.168.0.1') && cidr('::/0').containsIP(ip('::1'))", True),
        ("cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24')", True),
        ("cidr('10.0.0.0/24').containsCIDR(cidr('10.0.0.0/8'))", False),
        ("cidr('192.168.0.1/24').ip() == ip('192.168.0.1')", True),
        ("isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/33')", True),
        # versions
        ("semver('1.2.3').compareTo(semver('1.2.3-rc.1'))", 1),
        ("semver('1.0.0-alpha.9').isLessThan(semver('1.0.0-alpha.10'))", True),
        ("isSemver('1.0') || isSemver('v1.0.0') || isSemver('01.0.0')", False),
        ("semver('v01.0', true) == semver('1.0.0')", True),
        ("semver('1.2.3').major() + semver('1.2.3').minor() + semver('1.2.3').patch()", 6),
        # formats
        ("format.dns1123Label().validate('my-label-name').hasValue()", False),
        ("format.dns1123LabelPrefix().validate('my-label-prefix-').hasValue()", False),
        ("format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()", False),
        ("format.byte().validate('aGVsbG8=').hasValue() || format.date().validate('2021-01-01').hasValue()", False),
        ("format.datetime().validate('2021-13-01').value()", ["invalid datetime"]),
        ("format.named('dns1035Label').value().validate('1a').hasValue()", True),
        ("format.named('nope').hasValue()", False),
        # times
        ("timestamp('2023-05-06T07:08:09.010Z').getFullYear()", 2023),
        ("timestamp('2023-05-06T07:08:09Z').getMonth() + timestamp('2023-05-06T07:08:09Z').getDate()", 10),
        ("timestamp('2023-05-06T23:30:00Z').getHours('+01:00')", 0),
        ("timestamp('2023-05-07T00:00:00Z').getDayOfWeek()", 0),
        ("timestamp('2023-05-06T07:08:09.010Z').getMilliseconds()", 10),
        ("duration('1h30m').getMinutes() + duration('90s').getSeconds()", 180),
        ("timestamp('2023-01-01T00:00:00Z') + duration('24h') == timestamp('2023-01-02T00:00:00Z')", True),
        ("timestamp('2023-01-02T00:00:00Z') - timestamp('2023-01-01T00:00:00Z') > duration('23h')", True),
        ("string(duration('1h0.5s')) + ' ' + string(timestamp('2023-01-01T01:00:00+01:00'))",
         "3600.5s 2023-01-01T01:00:00+01:00"),
        ("int(timestamp('1970-01-01T00:01:00Z'))", 60),
        # conversions
        ("[string(1.0), string(1.5), string(1e6), string(1e-5), string(123456.0), string(true), string(b'a')]",
         ["1", "1.5", "1e+06", "1e-05", "123456", "true", "a"]),
        ("int('7') + int(7.9) + int(7u) + int(uint('7'))", 28),
        ("bool('true') && !bool('F') && double('1.5') == 1.5 && bytes('é').size() == 2", True),
    ],
)  # fmt: skip
def test_functions(source: str, value: Any) -> None:
    assert run(source) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("[1].slice(0, 2)", "cannot slice(0, 2), list is length 1"),
        ("[1].slice(2, 1)", "cannot slice(2, 1), start index must be less than or equal to end index"),
        ("[dyn(1), 'a'].sortBy(e, e)", "list elements must have the same type"),
        ("lists.range(2000000)", "list has more than 1000000 elements"),
        ("'a'.charAt(2)", "index out of range: 2"),
        ("'abc'.substring(2, 1)", "invalid substring range. start: 2, end: 1"),
        ("[1].filter(i, i > 1).min()", "min called on empty list"),
        (
            "'%d'.format(['a'])",
            "error during formatting: decimal clause can only be used on integers, was given string",
        ),
        ("'%s %s'.format(['a'])", "index 1 out of range"),
        ("quantity('x')", "quantities must match the regular"),
        ("quantity('1.5').asInteger()", "cannot convert value to integer"),
        ("ip('1.2.3')", 'IP Address "1.2.3" parse error during conversion from string: ParseAddr("1.2.3")'),
        ("ip('::ffff:1.2.3.4')", 'IPv4-mapped IPv6 address "::ffff:1.2.3.4" is not allowed'),
        ("ip('fe80::1%eth0')", 'IP address "fe80::1%eth0" with zone value is not allowed'),
        ("cidr('10.0.0.0')", "network address parse error during conversion from string: netip.ParsePrefix"),
        ("url('a b')", 'URL parse error during conversion from string: parse "a b": invalid URI for request'),
        ("'a'.find('(' + x.q)", "Illegal regex: error parsing regexp: missing )"),
        ("'a'.matches('(' + x.q)", "error parsing regexp: missing )"),
        ("timestamp('2023-01-01T00:00:00Z').getHours('Nowhere/Land')", "unknown time zone Nowhere/Land"),
    ],
)
def test_what_functions_refuse(source: str, message: str) -> None:
    with pytest.raises(CelError) as raised:
        run(source)
    assert message in str(raised.value)


def cost(source: str, **variables: Any) -> int:
    budget = Budget()
    before = budget.remaining
    compile_expression(source, dict.fromkeys(variables, DYN)).evaluate(variables, budget)
    return before - budget.remaining


ENTRIES = [{"k": "a1", "v": "b1"}, {"k": "a2", "v": "b2"}, {"k": "a3", "v": "b3", "v2": "z"}]
COSTED = {"n": 1, "s": "Rook takes 👑", "l": [1, 2, 3], "m": {"b": 1, "d": 2}, "e": ENTRIES}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("true", 0),
        ("x", 1),
        ("x.n", 2),
        ("x.n == 1", 3),
        ("type(x.n) == int", 4),
        ("has(x.m.b)", 2),
        ("[1, 2] == [1]", 1),
        ("[x]", 11),
        ("{'a': x}", 31),
        ("x.l + [4, 5] == [1, 2, 3, 4, 5]", 4),
        ("1 in x.l", 5),
        ("x.l[0] in x.l", 8),
        ("x.s in ['a', 'b']", 2),
        ("'b' in x.m", 3),
        ("double(5) < 10.0", 1),
        ("duration('1h') + duration('1m') == duration('61m')", 2),
        ("x.s == 'Rook takes 👑'", 4),
        ("x.s.startsWith('Rook')", 4),
        ("x.s.matches('^[^0-9]*$')", 8),
        ("x.s.charAt(3) == 'k'", 4),
        ("x.s.indexOf('o') == 1", 4),
        ("x.s.replace(' ', 'x') == 'Rookxtakesx👑'", 7),
        ("x.s.split(' ') == ['Rook', 'takes', '👑']", 6),
        ("x.s.substring(4, 10).trim() == 'takes'", 6),
        ("x.m.all(k, x.m[k] > 0)", 17),
        ("x.m.exists_one(k, x.m[k] == 2)", 14),
        ("!x.m.exists_one(k, x.m[k] > 0)", 17),
        ("size(x.m.filter(k, x.m[k] > 1)) == 1", 26),
        ("x.e.all(m, m.k.startsWith('a'))", 21),
        ("x.e.all(m, !has(m.v2) || m.v2 == 'z')", 21),
        ("x.e.exists(m, m.k.endsWith('1'))", 13),
        ("x.e.exists_one(m, m.k == 'a3')", 15),
        ("!x.e.all(m, m.k.endsWith('1'))", 18),
        ("!x.e.exists(m, m.v == 'x')", 25),
        ("size(x.e.filter(m, m.k == 'a1')) == 1", 27),
        ("x.e.exists(m, m.k == 'a1' && m.v == 'b1')", 16),
        ("x.e.map(m, m.v).exists(v, v == 'b1')", 55),
        ("x.e.exists(m, has(m.v2) && m.v2 == 'z')", 21),
    ],
)
def test_costs_are_those_of_cel_go(source: str, expected: int) -> None:
    """Those that ``celcoststability_test.go`` in ``apiextensions-apiserver`` holds stable."""
    assert cost(source, x=COSTED) == expected


def test_an_evaluation_that_costs_too_much_is_cancelled() -> None:
    program = compile_expression("x.all(i, x.all(j, x.all(k, i + j + k > -1)))", {"x": DYN})
    budget = Budget()
    with pytest.raises(CelLimitError, match="operation cancelled: actual cost limit exceeded"):
        program.evaluate({"x": list(range(1000))}, budget)
    assert 0 < 10_000_000 - budget.remaining < 1_100_000


def test_a_shared_budget_runs_out() -> None:
    program, budget = compile_expression("x.a == 1", {"x": DYN}), Budget(5)
    assert program.evaluate({"x": {"a": 1}}, budget)
    with pytest.raises(CelBudgetError, match="running out of cost budget"):
        program.evaluate({"x": {"a": 1}}, budget)


def test_a_catastrophic_pattern_is_not_one() -> None:
    assert not compile_expression("x.matches('^(a+)+$')", {"x": DYN}).evaluate({"x": "a" * 5000 + "b"})


def test_results_do_not_outgrow_their_cost() -> None:
    with pytest.raises(CelError, match="string is longer than"):
        compile_expression("x.replace('a', x)", {"x": DYN}).evaluate({"x": "a" * 50_000})


class Rights:
    """Somebody who may read, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[AccessCheck] = []

    def decide(self, check: AccessCheck) -> AccessDecision:
        self.asked.append(check)
        return AccessDecision(check.verb == "get", f"for {check.verb}", "odd" if check.name == "odd" else "")


PODS = "authorizer.group('').resource('pods')"


@pytest.mark.parametrize(
    ("source", "value", "asked"),
    [
        ("authorizer.path('/healthz').check('get').allowed()", True, {"path": "/healthz"}),
        (f"{PODS}.check('get').reason()", "for get", {"resource": "pods"}),
        (
            f"{PODS}.subresource('log').namespace('n').name('x').check('get').allowed()",
            True,
            {"resource": "pods", "subresource": "log", "namespace": "n", "name": "x"},
        ),
        (
            f"{PODS}.fieldSelector('a=b').labelSelector('c').check('get').allowed()",
            True,
            {"resource": "pods", "field_selector": "a=b", "label_selector": "c"},
        ),
        (f"{PODS}.name('odd').check('get').errored()", True, {"resource": "pods", "name": "odd"}),
        (f"{PODS}.name('odd').check('get').error()", "odd", {"resource": "pods", "name": "odd"}),
        ("authorizer.requestResource.check('get').allowed()", True, {"group": "apps", "resource": "deployments"}),
        (
            "authorizer.serviceAccount('n', 'a').path('/x').check('get').allowed()",
            True,
            {
                "path": "/x",
                "user": "system:serviceaccount:n:a",
                "groups": ("system:serviceaccounts", "system:serviceaccounts:n"),
            },
        ),
    ],
)
def test_questions_about_rights(source: str, value: Any, asked: dict[str, Any]) -> None:
    rights = Rights()
    authorizer = Authorizer(rights)
    bindings = {
        "authorizer": authorizer,
        "authorizer.requestResource": ResourceCheck(authorizer, "apps", "deployments"),
    }
    assert compile_expression(source, admission.variables()).evaluate(bindings) == value
    assert rights.asked == [AccessCheck("get", **asked)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("authorizer.path(' ').check('get').allowed()", "path must not be empty"),
        ("authorizer.group('').resource('').check('get').allowed()", "resource must not be empty"),
        ("authorizer.serviceAccount('n', 'A!').path('/x').check('get').allowed()", "Invalid service account name"),
        ("authorizer.serviceAccount('N', 'a').path('/x').check('get').allowed()", "Invalid service account namespace"),
    ],
)
def test_questions_that_cannot_be_asked(source: str, message: str) -> None:
    with pytest.raises(CelError, match=message):
        compile_expression(source, admission.variables()).evaluate({"authorizer": Authorizer(Rights())})


def test_only_two_checks_fit_into_one_evaluation() -> None:
    checks = " && ".join(f"{PODS}.name('{name}').check('get').allowed()" for name in "abc")
    with pytest.raises(CelLimitError):
        compile_expression(checks, admission.variables()).evaluate({"authorizer": Authorizer(Rights())})
