"""Reads the parts of a depth frame where they stand in its bytes.

Every reader takes the frame, where to begin and where the frame ends, and returns the index behind
what it read, -1 if that is not beyond doubt what it should be: no white space, no escapes, no
exponents, no characters beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numba
import numpy as np

from hftmm.book.kernels import kernel
from hftmm.core.events import Sizes, Ticks

_MANTISSA: Final = 2**53
_POWERS = np.array([10.0**i for i in range(23)])
"""10**22 is the largest power of ten that is an exact double, and an integer up to 2**53 is one,
so their quotient is the correctly rounded value of the decimal."""
_MOST_DIGITS: Final = 18

QUOTE, COMMA, MINUS, DOT, COLON, BACKSLASH = 34, 44, 45, 46, 58, 92
ZERO, NINE = 48, 57
OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = 91, 93, 123, 125

BYTES = numba.types.Bytes(numba.uint8, 1, "C", readonly=True)
INT, FLOAT = numba.int64, numba.float64
INTS, FLOATS = numba.int64[::1], numba.float64[::1]
_tuple_of: Callable[..., Callable[..., object]] = numba.types.UniTuple


@kernel(INT(BYTES, INT, INT))
def byte_at(frame: bytes, i: int, end: int) -> int:
    """The byte at `i`, 0 past the end: no JSON we accept contains a 0."""
    return frame[i] if i < end else 0


@kernel(INT(BYTES, INT, INT))
def string_end(frame: bytes, i: int, end: int) -> int:
    """Index of the quote that closes a string of plain ASCII, -1 if it is not plain."""
    while i < end:
        c = frame[i]
        if c == QUOTE:
            return i
        if c < 32 or c > 126 or c == BACKSLASH:
            return -1
        i += 1
    return -1


@kernel(_tuple_of(INT, 2)(BYTES, INT, INT))
def integer(frame: bytes, i: int, end: int) -> tuple[int, int]:
    """(index behind it, value) of a JSON integer, bare or quoted; index -1 if it is not one."""
    quoted = byte_at(frame, i, end) == QUOTE
    if quoted:
        i += 1
    negative = byte_at(frame, i, end) == MINUS
    if negative:
        i += 1
    start = i
    value = 0
    while i < end and ZERO <= frame[i] <= NINE:
        value = value * 10 + (int(frame[i]) - ZERO)
        i += 1
        if i - start > _MOST_DIGITS:
            return -1, 0
    if i == start or (frame[start] == ZERO and (i - start > 1 or negative)):
        return -1, 0
    c = byte_at(frame, i, end)
    if quoted:
        if c != QUOTE:
            return -1, 0
        i += 1
    elif c not in (COMMA, CLOSE_OBJECT, CLOSE_LIST):
        return -1, 0
    return i, -value if negative else value


@kernel(INT(BYTES, INT, INT))
def number_end(frame: bytes, i: int, end: int) -> int:
    """Index behind a JSON number of any kind without an exponent, -1 if it is not one."""
    if byte_at(frame, i, end) == MINUS:
        i += 1
    start = i
    while ZERO <= byte_at(frame, i, end) <= NINE:
        i += 1
    if i == start or (frame[start] == ZERO and i - start > 1):
        return -1
    if byte_at(frame, i, end) == DOT:
        i += 1
        start = i
        while ZERO <= byte_at(frame, i, end) <= NINE:
            i += 1
        if i == start:
            return -1
    return i


@kernel(INT(BYTES, INT, INT))
def literal_end(frame: bytes, i: int, end: int) -> int:
    """Index behind `true`, `false` or `null`, -1 if it is none."""
    c = byte_at(frame, i, end)
    if c == 116 and i + 4 <= end:
        if frame[i + 1] == 114 and frame[i + 2] == 117 and frame[i + 3] == 101:
            return i + 4
    elif c == 110 and i + 4 <= end:
        if frame[i + 1] == 117 and frame[i + 2] == 108 and frame[i + 3] == 108:
            return i + 4
    elif (
        c == 102
        and i + 5 <= end
        and frame[i + 1] == 97
        and frame[i + 2] == 108
        and frame[i + 3] == 115
        and frame[i + 4] == 101
    ):
        return i + 5
    return -1


@kernel(_tuple_of(INT, 2)(BYTES, INT, INT, INT, FLOAT, INTS, FLOATS, INT, INT))
def levels(
    frame: bytes,
    i: int,
    end: int,
    decimals: int,
    multiplier: float,
    ticks: Ticks,
    sizes: Sizes,
    at: int,
    room: int,
) -> tuple[int, int]:
    """Reads `[["price","size",...],...]` into the arrays from `at` on.

    Returns:
        (index behind it, levels); index -1 if anything about it is unusual.
    """
    if byte_at(frame, i, end) != OPEN_LIST:
        return -1, 0
    i += 1
    if byte_at(frame, i, end) == CLOSE_LIST:
        return i + 1, 0
    n = 0
    while True:
        if n == room or byte_at(frame, i, end) != OPEN_LIST or byte_at(frame, i + 1, end) != QUOTE:
            return -1, 0
        i += 2
        start = i
        value = 0
        while i < end and ZERO <= frame[i] <= NINE:
            value = value * 10 + (int(frame[i]) - ZERO)
            i += 1
        whole = i - start
        places = 0
        if byte_at(frame, i, end) == DOT:
            i += 1
            start = i
            while i < end and ZERO <= frame[i] <= NINE:
                digit = int(frame[i]) - ZERO
                if places < decimals:
                    value = value * 10 + digit
                    places += 1
                elif digit != 0:
                    return -1, 0
                i += 1
            if i == start:
                return -1, 0
        if whole == 0 or whole + decimals > _MOST_DIGITS:
            return -1, 0
        while places < decimals:
            value *= 10
            places += 1
        ticks[at + n] = value
        if (
            byte_at(frame, i, end) != QUOTE
            or byte_at(frame, i + 1, end) != COMMA
            or byte_at(frame, i + 2, end) != QUOTE
        ):
            return -1, 0
        i += 3
        start = i
        value = 0
        while i < end and ZERO <= frame[i] <= NINE:
            value = value * 10 + (int(frame[i]) - ZERO)
            i += 1
        whole = i - start
        places = 0
        if byte_at(frame, i, end) == DOT:
            i += 1
            start = i
            while i < end and ZERO <= frame[i] <= NINE:
                value = value * 10 + (int(frame[i]) - ZERO)
                i += 1
            places = i - start
            if places == 0:
                return -1, 0
        if whole == 0 or whole + places > _MOST_DIGITS or value > _MANTISSA:
            return -1, 0
        sizes[at + n] = float(value) / _POWERS[places] * multiplier
        n += 1
        if byte_at(frame, i, end) != QUOTE:
            return -1, 0
        i += 1
        while byte_at(frame, i, end) == COMMA:
            if byte_at(frame, i + 1, end) != QUOTE:
                return -1, 0
            i = string_end(frame, i + 2, end)
            if i < 0:
                return -1, 0
            i += 1
        if byte_at(frame, i, end) != CLOSE_LIST:
            return -1, 0
        i += 1
        c = byte_at(frame, i, end)
        i += 1
        if c == CLOSE_LIST:
            return i, n
        if c != COMMA:
            return -1, 0
