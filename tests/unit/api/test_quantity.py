"""Quantities, against the table of apimachinery and against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picluster.api import quantity

SUFFIXES = ["n", "u", "m", "", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "e3", "E-3", "e0"]
TEXTS = st.builds(
    lambda sign, number, suffix: sign + number + suffix,
    st.sampled_from(["", "+", "-"]),
    st.from_regex(r"(0|[1-9][0-9]{0,2})(\.[0-9]{0,4})?", fullmatch=True),
    st.sampled_from(SUFFIXES),
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Ki", "0"),
        ("100m", "100m"),
        ("0.1", "100m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("1024", "1024"),
        ("1024Mi", "1Gi"),
        ("1Ki", "1Ki"),
        ("1.5Gi", "1536Mi"),
        ("1023", "1023"),
        ("0.5Ki", "512"),
        ("0.0001Ki", "102400u"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1000e0", "1e3"),
        ("12e6", "12e6"),
        ("1.2e2", "120"),
        ("1E", "1E"),
        ("-1.5", "-1500m"),
        ("+2", "2"),
        (".5", "500m"),
        ("5.", "5"),
        ("0.0000000001", "1n"),
        ("100E", "9223372036854775807"),
        (1, "1"),
        (0.5, "500m"),
        (1500, "1500"),
    ],
)
def test_canonical_form(text: str | float, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["", "a", "1x", "1 Gi", "--1", "1.2.3", "Gi", "1KI", "1e", "٣", "1Gi\n"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("text", "milli", "value"),
    [("1", 1000, 1), ("1500m", 1500, 2), ("1n", 1, 1), ("1Gi", 1024**3 * 1000, 1024**3), ("-1500m", -1500, -1)],
)
def test_counting_units(text: str, milli: int, value: int) -> None:
    assert quantity.milli(text) == milli
    assert quantity.value(text) == value


@given(TEXTS)
def test_canonical_form_is_stable_and_says_the_same(text: str) -> None:
    canonical = quantity.canonical(text)
    assert quantity.canonical(canonical) == canonical
    assert quantity.nanos(canonical) == quantity.nanos(text)


@given(TEXTS)
def test_values_are_exact_to_a_nano_rounded_away_from_zero(text: str) -> None:
    exact = _oracle(text) * 10**9
    nanos = quantity.nanos(text)
    assert abs(nanos) >= abs(exact) > abs(nanos) - 1 or nanos == exact == 0


@given(TEXTS, TEXTS)
def test_sums_and_differences(left: str, right: str) -> None:
    total = quantity.add(left, right)
    assert quantity.nanos(total) == quantity.nanos(left) + quantity.nanos(right)
    assert quantity.nanos(quantity.subtract(total, right)) == quantity.nanos(left)


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [("1Gi", "1Gi", "2Gi"), ("500m", "0.5", "1"), ("0", "1Gi", "1Gi"), ("1Gi", "1", "1073741825")],
)
def test_a_sum_keeps_the_style(left: str, right: str, total: str) -> None:
    assert quantity.add(left, right) == total


def test_making_quantities() -> None:
    assert quantity.from_milli(2000) == "2"
    assert quantity.from_milli(1500) == "1500m"
    assert quantity.from_value(4 * 1024**3, quantity.Style.BINARY) == "4Gi"
    assert quantity.from_value(110) == "110"


def test_resource_lists_round_up_to_thousandths() -> None:
    assert quantity.canonical_milli("1n") == "1m"
    assert quantity.canonical_milli("-1n") == "-1m"
    assert quantity.canonical_milli("1Gi") == "1Gi"


def _oracle(text: str) -> Fraction:
    units = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
    binary = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
    if text[-2:] in binary:
        return Fraction(_number(text[:-2])) * 2 ** binary[text[-2:]]
    if text[-1:] in units:
        return Fraction(_number(text[:-1])) * Fraction(10) ** units[text[-1]]
    return Fraction(_number(text))


def _number(text: str) -> str:
    mantissa, mark, exponent = text.replace("E", "e").partition("e")
    return mantissa.rstrip(".") + mark + exponent if mantissa.endswith(".") else mantissa + mark + exponent
