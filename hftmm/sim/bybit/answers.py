"""How the practice Bybit words its answers: the envelope, refusals, pages, headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote, unquote

import msgspec

from hftmm.sim.bybit.instrument import MILLISECOND
from hftmm.sim.peers import HttpAnswer

CATEGORIES = ("spot", "linear", "inverse", "option")
"""What the venue has; the practice venue lists nothing in the last two."""

Row = dict[str, object]
_T = TypeVar("_T")


class Refused(Exception):
    """An error of the venue: this code and text, HTTP status 200 if it is one of business."""

    def __init__(self, code: int, text: str, *, status: int = 200) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


def answer(
    result: Row,
    stamp_ns: int,
    *,
    extra: Row | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpAnswer:
    """Success: the result in the venue's envelope."""
    return _enveloped(200, 0, "OK", result, extra or {}, stamp_ns, headers or {})


def refusal(
    refused: Refused, stamp_ns: int, headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """An error in the venue's envelope."""
    code, text = refused.code, str(refused)
    return _enveloped(refused.status, code, text, {}, {}, stamp_ns, headers or {})


def not_found(stamp_ns: int) -> HttpAnswer:
    """The answer to a path the venue does not have."""
    return refusal(Refused(10017, "Route not found.", status=404), stamp_ns)


def category_of(query: Mapping[str, str]) -> str:
    """Raises Refused if the request names no category of the venue."""
    category = query.get("category", "")
    if category not in CATEGORIES:
        raise Refused(10001, "params error: category invalid")
    return category


def limit_of(query: Mapping[str, str], *, default: int, most: int) -> int:
    """How many rows to give; more than there can be is the most there can be."""
    text = query.get("limit", str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise Refused(10001, "params error: limit invalid")
    return min(int(text), most)


def page(
    found: Sequence[_T], key: Callable[[_T], str], query: Mapping[str, str], limit: int
) -> tuple[Sequence[_T], str]:
    """One page and the cursor to the next, "" after the last.

    The cursor is percent-encoded, as the venue's is: whoever decodes it between signing and
    sending breaks the signature.
    """
    start = 0
    if query.get("cursor"):
        # Clients send the cursor back as it came, or encoded once more.
        last = unquote(unquote(query["cursor"])).rpartition("last=")[2]
        keys = [key(one) for one in found]
        if last not in keys:
            raise Refused(10001, "params error: cursor invalid")
        start = keys.index(last) + 1
    chosen = found[start : start + limit]
    if start + limit >= len(found):
        return chosen, ""
    return chosen, quote(f"first={key(chosen[0])}&last={key(chosen[-1])}", safe="")


def _enveloped(
    status: int,
    code: int,
    text: str,
    result: Row,
    extra: Row,
    stamp_ns: int,
    headers: Mapping[str, str],
) -> HttpAnswer:
    envelope = {
        "retCode": code,
        "retMsg": text,
        "result": result,
        "retExtInfo": extra,
        "time": stamp_ns // MILLISECOND,
    }
    return HttpAnswer(status, msgspec.json.encode(envelope), headers)
