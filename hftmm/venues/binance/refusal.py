"""What Binance's refusals mean for an order: a class, whether it may have arrived, and in words.

Codes are keyed by market where spot and USD-M give them different meanings. Where a request may
have been carried out all the same, it is `unknown`: the order is then asked for by our id and
never sent again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from hftmm.core.order import Rejection
from hftmm.venues.binance.wire import REFUSED


class Verdict(NamedTuple):
    """What an error answer means."""

    rejection: Rejection
    unknown: bool
    text: str


class ApiError(msgspec.Struct, frozen=True, gc=False):
    """`{"code", "msg", "data"?}`, the body of REST errors and `error` of WebSocket API answers.

    Attributes:
        data: of a limit `serverTime` and `retryAfter`, when to come back, both by the venue's clock
            in milliseconds; of other errors, other things.
    """

    code: int | None = None
    msg: str = ""
    data: Any = None


_SHOWN: Final = 120
_decode = msgspec.json.Decoder(ApiError).decode
# A page of a firewall may quote the request.
_hide = re.compile(r"(signature|apiKey|listenKey)=[^&\s'\"<]*").sub

_CHECK_KEY = (
    "Binance does not know this key, or not from this address or for this action: check the key, "
    "its list of addresses, and that it may read and trade"
)
_CHECK_SECRET = "the secret does not belong to the key: set the two that were made together"  # noqa: S105
_CLOCK = "our clock differs from Binance's: it is measured again"
_BUG = "Binance does not take the request in this form"

_SHARED: Final[dict[int, tuple[Rejection, str]]] = {
    -1002: (Rejection.CREDENTIALS, _CHECK_KEY),
    -1003: (Rejection.RATE, "request limit exceeded: wait until the time given"),
    -1004: (Rejection.RATE, "Binance is overloaded: try again later"),
    -1008: (Rejection.RATE, "Binance is overloaded: try again later"),
    -1013: (Rejection.FILTER, "the order breaks a filter of the symbol"),
    -1014: (Rejection.OTHER, _BUG),
    -1015: (Rejection.RATE, "order limit exceeded: cancels still go"),
    -1016: (Rejection.OTHER, "Binance ended this service"),
    -1020: (Rejection.OTHER, "Binance does not support this here"),
    -1021: (Rejection.CLOCK, _CLOCK),
    -1022: (Rejection.CREDENTIALS, _CHECK_SECRET),
    -1099: (Rejection.CREDENTIALS, _CHECK_KEY),
    -1100: (Rejection.OTHER, _BUG),
    -1101: (Rejection.OTHER, _BUG),
    -1102: (Rejection.OTHER, _BUG),
    -1103: (Rejection.OTHER, _BUG),
    -1104: (Rejection.OTHER, _BUG),
    -1105: (Rejection.OTHER, _BUG),
    -1106: (Rejection.OTHER, _BUG),
    -1111: (Rejection.FILTER, "price or size has more decimals than the symbol allows"),
    -1115: (Rejection.OTHER, _BUG),
    -1116: (Rejection.OTHER, _BUG),
    -1117: (Rejection.OTHER, _BUG),
    -1121: (Rejection.NOT_TRADING, "Binance has no such symbol"),
    -1125: (Rejection.OTHER, "the listen key is gone: a new one is needed"),
    -1128: (Rejection.OTHER, _BUG),
    -1130: (Rejection.OTHER, _BUG),
    -1131: (Rejection.OTHER, _BUG),
    -2011: (Rejection.UNKNOWN_ORDER, "the order is done, or never was: it is asked for"),
    -2013: (Rejection.UNKNOWN_ORDER, "no such order, or not yet where queries look"),
    -2014: (Rejection.CREDENTIALS, "this is no key of Binance: copy it anew"),
    -2015: (Rejection.CREDENTIALS, _CHECK_KEY),
    -2025: (Rejection.OTHER, "too many open orders: cancel some"),
}

_SPOT: Final[dict[int, tuple[Rejection, str]]] = {
    -2010: (Rejection.OTHER, ""),
    -2021: (Rejection.OTHER, "cancel-replace was done by half"),
    -2022: (Rejection.OTHER, "cancel-replace was not done"),
    -2026: (Rejection.UNKNOWN_ORDER, "the order is archived: it ended unfilled long ago"),
    -2035: (Rejection.OTHER, "the user data stream is subscribed to already"),
    -2036: (Rejection.OTHER, "the user data stream is not subscribed to"),
    -2038: (Rejection.OTHER, "an amend can only make an order smaller: cancel it and place anew"),
    -2039: (Rejection.OTHER, "the two ids are of different orders"),
    -2042: (Rejection.OTHER, "the user data stream is not subscribed to"),
    -4056: (Rejection.CREDENTIALS, "only an Ed25519 key can log a connection on"),
}

_LINEAR: Final[dict[int, tuple[Rejection, str]]] = {
    -1109: (Rejection.CREDENTIALS, "there is no futures account: open it"),
    -2012: (Rejection.OTHER, "cancel-all failed: the orders are canceled one by one"),
    -2017: (Rejection.CREDENTIALS, "the key is locked: make a new one"),
    -2018: (Rejection.BALANCE, "the futures wallet holds too little"),
    -2019: (Rejection.BALANCE, "the margin left is too little"),
    -2020: (Rejection.NOTHING_TO_TAKE, "nothing to fill it with"),
    -2021: (Rejection.OTHER, "it would trigger at once"),
    -2022: (Rejection.REDUCE_ONLY, "there is no position that it would reduce"),
    -2024: (Rejection.REDUCE_ONLY, "the position is smaller"),
    -2026: (Rejection.REDUCE_ONLY, "this type cannot be reduce-only"),
    -2027: (Rejection.BALANCE, "the position would exceed what the leverage allows"),
    -2028: (Rejection.BALANCE, "the leverage is too low for the margin there is"),
    -4001: (Rejection.FILTER, "price out of bounds"),
    -4002: (Rejection.FILTER, "price out of bounds"),
    -4003: (Rejection.FILTER, "size out of bounds"),
    -4004: (Rejection.FILTER, "size out of bounds"),
    -4005: (Rejection.FILTER, "size out of bounds"),
    -4006: (Rejection.FILTER, "price out of bounds"),
    -4013: (Rejection.FILTER, "price out of bounds"),
    -4014: (Rejection.FILTER, "price off the tick"),
    -4015: (Rejection.OTHER, "the client id is not valid"),
    -4016: (Rejection.FILTER, "price too far above the mark"),
    -4023: (Rejection.FILTER, "size off the lot"),
    -4024: (Rejection.FILTER, "price too far below the mark"),
    -4028: (Rejection.OTHER, "leverage not valid"),
    -4046: (Rejection.OTHER, "the margin type is this already"),
    -4059: (Rejection.OTHER, "the position mode is this already"),
    -4061: (
        Rejection.OTHER,
        "the account is in hedge mode: set its position mode to one-way, flat and without orders",
    ),
    -4067: (Rejection.OTHER, "the position mode cannot change while orders are open"),
    -4068: (Rejection.OTHER, "the position mode cannot change while there is a position"),
    -4108: (Rejection.NOT_TRADING, "the contract does not trade now"),
    -4116: (Rejection.DUPLICATE, "an order with this client id exists"),
    -4120: (Rejection.OTHER, "conditional orders have an endpoint of their own"),
    -4131: (Rejection.FILTER, "the best price is too far from the mark"),
    -4164: (Rejection.FILTER, "the order is worth too little"),
    -4400: (Rejection.NOT_TRADING, "Binance's quantitative rules allow only reducing orders now"),
    -4531: (Rejection.OTHER, "the position modes of the futures accounts differ: set one-way"),
    -5021: (Rejection.NOTHING_TO_TAKE, "it could not be filled at once and whole"),
    -5022: (Rejection.POST_ONLY, "it would have taken"),
    -5026: (Rejection.OTHER, "the order was changed too often: cancel it and place anew"),
    -5027: (Rejection.OTHER, "the change would change nothing"),
    -5028: (Rejection.CLOCK, "it reached the matching engine too late, and was not carried out"),
}

# What spot says in words only, behind -2010, -2011, -1013 and -2038. The first match counts.
_WORDS: Final = (
    ("immediately match and take", Rejection.POST_ONLY, "it would have taken"),
    ("Duplicate order sent", Rejection.DUPLICATE, "an order with this client id exists"),
    ("insufficient balance", Rejection.BALANCE, "the spot wallet holds too little"),
    ("Market is closed", Rejection.NOT_TRADING, "the symbol does not trade now"),
    ("trading is not enabled", Rejection.NOT_TRADING, "Binance takes no orders on this host"),
    ("disabled on this account", Rejection.CREDENTIALS, "the account may not do this"),
    ("may not place or cancel", Rejection.CREDENTIALS, "the account may not trade"),
    ("for this account", Rejection.CREDENTIALS, "the account may not trade this symbol"),
    ("MAX_NUM_ORDER_AMENDS", Rejection.OTHER, "the order was changed too often"),
    ("MAX_NUM", Rejection.OTHER, "too many open orders: cancel some"),
    ("MAX_POSITION", Rejection.BALANCE, "holdings and open buys would exceed the symbol's limit"),
    ("Price * QTY is zero", Rejection.FILTER, "the order is worth too little"),
    ("less than LOT_SIZE", Rejection.NOTHING_TO_TAKE, "nothing to fill it with"),
)
_WORDED: Final = frozenset({-2010, -2011, -1013, -2038})

_UNKNOWN: Final[Mapping[int, str]] = {
    -1000: "Binance failed for a reason it does not know",
    -1001: "Binance lost a connection of its own",
    -1006: "Binance's back end answered nonsense",
    -1007: "Binance's back end did not answer in time",
}
_UNKNOWN_WORDS = "; whether the order arrived is not known, it is asked for"

# 503 of USD-M with these words says that nothing was done.
_DEFINITE: Final = ("Service Unavailable", "Internal error; unable to process your request")

_BY_MARKET: Final[Mapping[str, Mapping[int, tuple[Rejection, str]]]] = {
    "spot": _SHARED | _SPOT,
    "linear": _SHARED | _LINEAR,
    # Of the codes in both, spot's are about requests that are never made here.
    "": _SHARED | _SPOT | _LINEAR,
}


def parse(body: bytes) -> ApiError:
    """An error body; one that is no JSON comes from a proxy or firewall, its text is kept."""
    try:
        return _decode(body)
    except REFUSED:
        text = " ".join(body[:_SHOWN].decode("utf-8", "replace").split())
        return ApiError(msg=_hide(r"\1=...", text))


def unreadable(body: bytes) -> bool:
    """True for a page of some proxy."""
    try:
        msgspec.json.decode(body)
    except REFUSED:
        return True
    return False


def judge(market: str, status: int, error: ApiError) -> Verdict:
    """What an error answer means.

    Args:
        market: `spot`, `linear`, or "" if not known.
        status: of HTTP, or `status` of a WebSocket API answer.
    """
    code, said = error.code, error.msg
    known = _BY_MARKET[market].get(code or 0)
    if status in (403, 418) or (status == 429 and known is None):
        return _verdict(status, error, Rejection.RATE, _LIMITS[status])
    if known is not None:
        rejection, meaning = known
        if code in _WORDED:
            rejection, meaning = _by_words(said, rejection, meaning)
        return _verdict(status, error, rejection, meaning)
    if status == 503 and market == "linear" and any(words in said for words in _DEFINITE):
        return _verdict(status, error, Rejection.OTHER, "nothing was done: try again")
    # Only an error of ours is certain to have had no effect.
    if code in _UNKNOWN or status == 408 or not 400 <= status < 500:
        cause = _UNKNOWN.get(code or 0, "the answer does not say what happened")
        return _verdict(status, error, Rejection.OTHER, cause + _UNKNOWN_WORDS, unknown=True)
    return _verdict(status, error, Rejection.OTHER, "")


def retry_after_ms(error: ApiError) -> int:
    """How long to wait, 0 if the answer does not say."""
    data = error.data if isinstance(error.data, dict) else {}
    now, until = data.get("serverTime"), data.get("retryAfter")
    return max(1, until - now) if isinstance(now, int) and isinstance(until, int) else 0


_LIMITS: Final[Mapping[int, str]] = {
    403: "Binance's firewall refuses us: wait minutes, and look at what was asked",
    418: "this address is banned: all requests stop until the time given",
    429: "limit exceeded: wait until the time given",
}


def _by_words(said: str, rejection: Rejection, meaning: str) -> tuple[Rejection, str]:
    for words, narrower, means in _WORDS:
        if words in said:
            return narrower, means
    return rejection, meaning


def _verdict(
    status: int, error: ApiError, rejection: Rejection, meaning: str, *, unknown: bool = False
) -> Verdict:
    head = str(status) if error.code is None else f"{error.code}"
    said = f"{head} {error.msg}".rstrip()
    return Verdict(rejection, unknown, f"{said} ({meaning})" if meaning else said)
