"""What Binance's error answers mean."""

from __future__ import annotations

import msgspec

from hftmm.venues.binance.wire import REFUSED

_STATUS = {
    403: "the venue's firewall refuses us: wait minutes, and look at what was asked",
    418: "this address is banned: stop all requests until the time given",
    429: "request limit exceeded: wait as long as Retry-After says",
}
_CODES = {
    -1000: "the venue failed for a reason it does not know",
    -1001: "the venue lost its own connection: try again",
    -1003: "too many requests from this address",
    -1007: "the venue's back end did not answer in time",
    -1008: "the venue is overloaded: try again later",
    -1021: "our clock differs from the venue's",
    -1100: "a parameter holds a character it must not",
    -1102: "a parameter is missing or empty",
    -1121: "the venue has no such symbol",
    -1130: "a parameter has a value it must not",
    -1220: "the symbol is not in the trading state asked for",
    -4021: "the venue does not offer this depth",
}


class _Error(msgspec.Struct):
    code: int | None = None
    msg: str = ""


_decode = msgspec.json.Decoder(_Error).decode


def in_words(status: int, body: bytes) -> str:
    """`429 -1003 Too many requests (this address ...)`; a body that is no JSON is shown as text.

    A 403 comes from a firewall and 5xx from proxies, both with pages of HTML.
    """
    try:
        error = _decode(body)
    except REFUSED:
        text = " ".join(body[:120].decode("utf-8", "replace").split())
        error = _Error(msg=text)
    said = " ".join(str(part) for part in (status, error.code, error.msg) if part not in (None, ""))
    meaning = _STATUS.get(status) or _CODES.get(error.code or 0, "")
    return f"{said} ({meaning})" if meaning else said
