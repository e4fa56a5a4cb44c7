"""Numbers as venues send them, exactly: prices as whole ticks, sizes as the nearest double."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from hftmm.core.errors import MalformedFrame, OffGrid

MOST_DECIMALS: Final = 12
"""The finest grid a price may ask for; no venue quotes finer, and prices must fit an int64."""
MOST_DIGITS: Final = 18
"""Any number of 18 digits fits an int64."""
_LARGEST_SIZE: Final = 1e30
"""No coin has so many units; beyond it sums of sizes stop being numbers."""
_SHOWN: Final = 40

_is_plain = re.compile(r"([0-9]+)(?:\.([0-9]*))?").fullmatch
_is_decimal = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?").fullmatch


def ticks(text: str, decimals: int) -> int:
    """A price as a whole number of 10**-decimals.

    Raises:
        OffGrid: it has a place there that 10**-decimals does not reach.
        MalformedFrame: it is no decimal, finer than `MOST_DECIMALS`, or beyond an int64.
    """
    whole, fraction = _parts(text)
    if len(fraction) > decimals:
        needed = len(fraction.rstrip("0"))
        if needed > decimals:
            if needed > MOST_DECIMALS or len(whole.lstrip("0")) + needed > MOST_DIGITS:
                raise MalformedFrame("number out of range", text[:_SHOWN])
            raise OffGrid(text[:_SHOWN], needed)
        fraction = fraction[:decimals]
    digits = (whole + fraction.ljust(decimals, "0")).lstrip("0")
    if len(digits) > MOST_DIGITS:
        raise MalformedFrame("number out of range", text[:_SHOWN])
    return int(digits or "0")


def size(text: str) -> float:
    """A size, or any other number that is not negative, as the nearest double.

    Raises:
        MalformedFrame: it is no decimal, or larger than any size.
    """
    if _is_decimal(text) is None:
        raise MalformedFrame("not a number", text[:_SHOWN])
    value = float(text)
    if value >= _LARGEST_SIZE:
        raise MalformedFrame("number out of range", text[:_SHOWN])
    return value


def _parts(text: str) -> tuple[str, str]:
    """Digits before and behind the point."""
    plain = _is_plain(text)
    if plain is not None:
        return plain[1], plain[2] or ""
    if _is_decimal(text) is None:
        raise MalformedFrame("not a number", text[:_SHOWN])
    number = Decimal(text)
    # Written out, 1e999 would be a thousand digits.
    if abs(number.adjusted()) > MOST_DIGITS:
        raise MalformedFrame("number out of range", text[:_SHOWN])
    whole, _, fraction = f"{number:f}".partition(".")
    return whole, fraction
