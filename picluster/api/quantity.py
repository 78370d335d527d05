"""Kubernetes quantities (``100m``, ``1.5Gi``, ``1e3``), exactly.

A quantity is at rest what it is on the wire, a string (or a number, as YAML writes it). Computed with, it is an integer
number of nanos: comparable, exact, and as precise as Kubernetes, which rounds anything finer away from zero. Answers
are cached, because the same few quantities come again and again. Source: ``k8s.io/apimachinery/pkg/api/resource``.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

Quantity: TypeAlias = "str | int | float"

NANO = 10**9
_MILLI_IN_NANOS = 10**6
_MAX_NANOS = (2**63 - 1) * NANO

_FORM = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?"
    r"(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = ("", *_BINARY)
_EXPONENT_MAX = 100


class Style(Enum):
    """How a quantity was written, and so how it is written again."""

    DECIMAL = "DecimalSI"
    BINARY = "BinarySI"
    EXPONENT = "DecimalExponent"


@lru_cache(maxsize=16384)
def parse(quantity: Quantity) -> tuple[int, Style]:
    """The value in nanos and the style; ``ValueError`` with Kubernetes' words for anything else."""
    text = _number_text(quantity) if isinstance(quantity, int | float) else quantity
    match = _FORM.fullmatch(text)
    if match is None or not (match["whole"] or match["fraction"]):
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    suffix, fraction = match["suffix"] or "", match["fraction"] or ""
    numerator, denominator = int((match["whole"] or "0") + fraction) * NANO, 10 ** len(fraction)
    style = Style.DECIMAL
    if suffix in _BINARY:
        style, numerator = Style.BINARY, numerator << _BINARY[suffix]
    else:
        if suffix not in _DECIMAL:
            style = Style.EXPONENT
        exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
        exponent = max(-_EXPONENT_MAX, min(exponent, _EXPONENT_MAX))
        if exponent >= 0:
            numerator *= 10**exponent
        else:
            denominator *= 10**-exponent
    nanos = min(-(-numerator // denominator), _MAX_NANOS)
    if style is Style.BINARY and 0 < nanos < NANO:
        style = Style.DECIMAL
    return (-nanos if match["sign"] == "-" else nanos), style


def nanos(quantity: Quantity) -> int:
    """The exact value in units of 10⁻⁹: what quantities are compared and added by."""
    return parse(quantity)[0]


@lru_cache(maxsize=16384)
def milli(quantity: Quantity) -> int:
    """The value in thousandths, rounded up: CPU as the scheduler counts it."""
    return -(-parse(quantity)[0] // _MILLI_IN_NANOS)


@lru_cache(maxsize=16384)
def value(quantity: Quantity) -> int:
    """The value in whole units, rounded up: bytes of memory, numbers of pods."""
    return -(-parse(quantity)[0] // NANO)


@lru_cache(maxsize=16384)
def canonical(quantity: Quantity) -> str:
    """The one way Kubernetes writes this quantity: ``1024Mi`` is ``1Gi``, ``0.5`` is ``500m``."""
    return render(*parse(quantity))


@lru_cache(maxsize=16384)
def canonical_milli(quantity: Quantity) -> str:
    """As ``canonical``, rounded away from zero to thousandths: what a resource list keeps."""
    nano, style = parse(quantity)
    steps = -(-abs(nano) // _MILLI_IN_NANOS) * _MILLI_IN_NANOS
    return render(steps if nano >= 0 else -steps, style)


def render(nano: int, style: Style = Style.DECIMAL) -> str:
    """``nano`` nanos in canonical form: the largest suffix that leaves a whole number."""
    if nano == 0:
        return "0"
    if style is Style.BINARY and abs(nano) >= 1024 * NANO and nano % NANO == 0:
        mantissa, power = nano // NANO, 0
        while mantissa % 1024 == 0 and power < len(_BINARY_SUFFIX) - 1:
            mantissa, power = mantissa // 1024, power + 1
        return f"{mantissa}{_BINARY_SUFFIX[power]}"
    mantissa, exponent = nano, -9
    while mantissa % 1000 == 0 and exponent < 18:
        mantissa, exponent = mantissa // 1000, exponent + 3
    if style is Style.EXPONENT:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIX[exponent]}"


def from_milli(thousandths: int) -> str:
    """The quantity of ``thousandths``: ``from_milli(1500)`` is ``1500m``, ``from_milli(2000)`` is ``2``."""
    return render(thousandths * _MILLI_IN_NANOS)


def from_value(units: int, style: Style = Style.DECIMAL) -> str:
    """The quantity of whole units; bytes are best written with ``Style.BINARY``."""
    return render(units * NANO, style)


def add(left: Quantity, right: Quantity) -> str:
    """The sum, in the style of ``left`` unless that is zero."""
    return _combine(left, right, 1)


def subtract(left: Quantity, right: Quantity) -> str:
    """The difference, in the style of ``left`` unless that is zero."""
    return _combine(left, right, -1)


def _combine(left: Quantity, right: Quantity, sign: int) -> str:
    (left_nanos, left_style), (right_nanos, right_style) = parse(left), parse(right)
    return render(left_nanos + sign * right_nanos, left_style if left_nanos else right_style)


def _number_text(number: int | float) -> str:
    text = repr(number)
    return text.replace("e+", "e") if "e" in text else text
