"""Numbers, answers and errors as OKX writes them.

Every number is a quoted decimal, ids of books and counters aside. An empty string means "not
applicable" and is never zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from math import inf
from typing import TypeAlias, TypeVar

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.decimals import size

T = TypeVar("T")

Number: TypeAlias = int | str | None
"""An integer as it may come: bare, quoted, empty or not at all."""

MEANINGS: Mapping[str, str] = {
    "50001": "the service is unavailable, back off",
    "50004": "the endpoint timed out, whether it acted is unknown",
    "50011": "rate limit of this endpoint reached, pause it for 2 s",
    "50013": "the system is busy, back off",
    "50014": "a required parameter is empty",
    "50026": "system error at the venue, back off",
    "50061": "order rate of the sub-account reached, pause new orders for 2 s",
    "50101": "the key belongs to the other environment: live and demo keys are separate",
    "50102": "the request's timestamp has expired, check the clock",
    "50105": "wrong passphrase",
    "50110": "this address is not on the key's list of allowed addresses",
    "50111": "invalid key",
    "50112": "invalid timestamp, check the clock",
    "50113": "invalid signature",
    "50119": "no such key in this region: a key works only where its account was opened",
    "50120": "the key lacks a permission this call needs",
    "51000": "a parameter is wrong",
    "51001": "no such instrument",
    "51021": "the contract is about to be listed",
    "51022": "the contract is suspended",
    "51027": "the contract has expired",
    "60008": "this channel is not served on this URL",
    "60011": "log in first",
    "60012": "illegal request",
    "60014": "too many requests, back off",
    "60018": "wrong URL or channel, or no such instrument",
    "64000": "a subscription parameter is no longer supported",
    "64001": "this channel has moved to the business URL",
    "64003": "the fee tier is too low for this channel",
    "64004": "this channel conflicts with another book channel of the instrument",
    "64008": "the connection closes soon for an upgrade",
}

_INTEGER = re.compile(r"-?[0-9]{1,18}")


class _Answer(msgspec.Struct, frozen=True, gc=False):
    """The frame of every REST answer; errors may have an object where the rows would be."""

    code: str | int
    msg: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")


_answer = msgspec.json.Decoder(_Answer)
_rows = msgspec.json.Decoder(list[msgspec.Raw])


def decoded(decoder: msgspec.json.Decoder[T], frame: bytes | msgspec.Raw) -> T:
    """What the decoder makes of a frame, or `MalformedFrame`."""
    try:
        return decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise MalformedFrame("wrong shape", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedFrame("not JSON", str(error)) from error


def answer_rows(body: bytes) -> list[msgspec.Raw]:
    """The data of a REST answer.

    Raises:
        MalformedFrame: it is none, or an error (OKX sends most of them with status 200).
    """
    answer = decoded(_answer, body)
    if str(answer.code) != "0":
        raise MalformedFrame("error answer", explained(str(answer.code), answer.msg or ""))
    return decoded(_rows, answer.data)


def answer_error(status: int, body: bytes) -> str:
    """An error answer in one line."""
    try:
        answer = decoded(_answer, body)
    except MalformedFrame:
        return f"HTTP {status}: {body[:80].decode(errors='replace')}"
    return explained(str(answer.code), answer.msg or f"HTTP {status}")


def explained(code: str, message: str) -> str:
    """The venue's code and message, and what the code means where we know it."""
    said = f"{code} {message}".strip()
    meaning = MEANINGS.get(code)
    return f"{said} ({meaning})" if meaning else said


def integer(value: Number, absent: int) -> int:
    """An id or a stamp; `absent` for a missing or an empty one."""
    if value is None or value == "":
        return absent
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise MalformedFrame("not an integer", value[:40])
        return int(value)
    if not -(2**63) <= value < 2**63:
        raise MalformedFrame("not an integer", "beyond 64 bits")
    return value


def nanoseconds(milliseconds: Number) -> int:
    """A stamp of the venue; 0 for a missing or an empty one."""
    return integer(milliseconds, 0) * MILLISECOND


def finite(x: float) -> float:
    """`x`, if a price or a size can be it."""
    if not 0.0 <= x < inf:
        raise MalformedFrame("not a number", repr(x))
    return x


def fraction(text: str) -> float | None:
    """A number of either sign; None for an empty one."""
    if not text:
        return None
    return -size(text[1:]) if text[0] == "-" else size(text)


def step(text: str) -> Decimal:
    """A tick, a lot, a contract value: a plain decimal above zero."""
    if not _plain(text) or not (number := Decimal(text)):
        raise MalformedFrame("not a step", text[:40])
    return number


def _plain(text: str) -> bool:
    """True for ASCII digits with at most one point among them."""
    return text.isascii() and text.replace(".", "", 1).isdigit()
