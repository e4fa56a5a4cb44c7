"""What Bybit's refusals mean for an order: a class, whether it may have arrived, and in words.

Errors of business come with HTTP status 200; contracts and spot have numbers of their own for the
same thing. Where a request may have been carried out all the same it is `unknown`: the order is
then asked for by our id, and never sent again under another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from hftmm.core.order import Rejection


class Verdict(NamedTuple):
    """What an error answer means."""

    rejection: Rejection
    unknown: bool
    text: str


_Meaning = tuple[Rejection, str]

# A wrong signature is answered with what should have been signed, key and all.
_hide = re.compile(r"origin_string\[.*\]", re.DOTALL).sub

_MODE = (
    "the account is in hedge mode there: set the contract to one-way, with no position and no "
    "open order"
)
_ADDRESS = "this address is not on the key's list: add it, or use a key for this address"
_BUG = "Bybit does not take the request in this form"
_BAND = "the price is outside the band Bybit allows now"
_CLOCK = "our clock differs from Bybit's: it is measured again"
_DECIMALS = "price or size has more decimals than the symbol allows"
_FULL = "too many open orders: cancel some"
_KEY = (
    "Bybit does not know this key on this host: copy it anew; live, testnet and demo each have "
    "keys of their own"
)
_LARGE = "the size is above what the symbol allows"
_MARGIN = "the margin left is too little"
_OURS = "too many requests of this account: wait a second"
_REGION = "refused for this region or account: ask Bybit"
_RISK = "the position would exceed what its risk tier or leverage allows"
_MISMATCH = (
    "the secret does not belong to the key: set the two that were made together, of a "
    "system-generated (HMAC) key"
)
_SET = "it is set so already"
_SHUT = "Bybit does not take orders for this symbol now"
_SMALL = "the order is worth or counts too little"
_UNIFIED = "the account is not a unified trading account: upgrade it to one"

_CODES: Final[Mapping[int, _Meaning]] = {
    -2015: (Rejection.CREDENTIALS, "the key expired: make another"),
    -1: (Rejection.CLOCK, _CLOCK),
    429: (Rejection.RATE, "Bybit protects itself from overload"),
    10000: (Rejection.OTHER, "Bybit did not answer itself in time"),
    10001: (Rejection.OTHER, _BUG),
    10002: (Rejection.CLOCK, _CLOCK),
    10003: (Rejection.CREDENTIALS, _KEY),
    10004: (Rejection.CREDENTIALS, _MISMATCH),
    10005: (Rejection.CREDENTIALS, "the key may not do this: give it the right to trade"),
    10006: (Rejection.RATE, _OURS),
    10007: (Rejection.CREDENTIALS, "the key was not accepted: check key and secret"),
    10008: (Rejection.CREDENTIALS, "the account is banned, or of another mode: ask Bybit"),
    10009: (Rejection.CREDENTIALS, _REGION),
    10010: (Rejection.CREDENTIALS, _ADDRESS),
    10014: (Rejection.DUPLICATE, "the request came twice"),
    10016: (Rejection.OTHER, "Bybit failed, or its order service restarts"),
    10017: (Rejection.OTHER, _BUG),
    10018: (Rejection.RATE, "too many requests of this address: wait ten minutes"),
    10019: (Rejection.OTHER, "Bybit's order service restarts: a new connection is needed"),
    10024: (Rejection.CREDENTIALS, _REGION),
    10027: (Rejection.NOT_TRADING, "this account may not trade there now: ask Bybit"),
    10028: (Rejection.CREDENTIALS, _UNIFIED),
    10029: (Rejection.NOT_TRADING, "the key is bound to other symbols: add this one to it"),
    10403: (Rejection.RATE, "too many requests of this address"),
    10404: (Rejection.OTHER, _BUG),
    10429: (Rejection.RATE, "Bybit protects itself from overload"),
    20001: (Rejection.OTHER, "the connection has logged in already"),
    20003: (Rejection.RATE, "too many requests on this connection"),
    20006: (Rejection.OTHER, "the number of the request was used before"),
    30034: (Rejection.OTHER, "Bybit failed"),
    30035: (Rejection.RATE, _OURS),
    30208: (Rejection.FILTER, _BAND),
    30209: (Rejection.FILTER, _BAND),
    30228: (Rejection.NOT_TRADING, "only orders that reduce are taken there now"),
    33004: (Rejection.CREDENTIALS, "the key expired: make another"),
    34040: (Rejection.OTHER, _SET),
    40004: (Rejection.OTHER, "the order changed while it was changed"),
    100028: (Rejection.CREDENTIALS, _UNIFIED),
    110001: (Rejection.UNKNOWN_ORDER, "the order is done, or never was: it is asked for"),
    110003: (Rejection.FILTER, _BAND),
    110004: (Rejection.BALANCE, "the wallet holds too little"),
    110006: (Rejection.BALANCE, _MARGIN),
    110007: (Rejection.BALANCE, _MARGIN),
    110008: (Rejection.ALREADY_DONE, "it is filled or canceled"),
    110009: (Rejection.OTHER, _FULL),
    110010: (Rejection.ALREADY_DONE, "it is canceled"),
    110012: (Rejection.BALANCE, _MARGIN),
    110013: (Rejection.BALANCE, _RISK),
    110017: (Rejection.REDUCE_ONLY, "there is no position that it would reduce"),
    110020: (Rejection.OTHER, _FULL),
    110021: (Rejection.NOT_TRADING, "open interest is at its limit: only reducing is allowed"),
    110022: (Rejection.NOT_TRADING, "open interest is at its limit: only reducing is allowed"),
    110023: (Rejection.NOT_TRADING, "only orders that reduce are taken there now"),
    110024: (Rejection.OTHER, "the position mode cannot change while there is a position"),
    110025: (Rejection.OTHER, _SET),
    110026: (Rejection.OTHER, _SET),
    110027: (Rejection.OTHER, _SET),
    110028: (Rejection.OTHER, "the position mode cannot change while orders are open"),
    110029: (Rejection.OTHER, "there is no hedge mode here"),
    110042: (Rejection.NOT_TRADING, "only orders that reduce are taken there now"),
    110043: (Rejection.OTHER, _SET),
    110044: (Rejection.BALANCE, _MARGIN),
    110045: (Rejection.BALANCE, "the wallet holds too little"),
    110051: (Rejection.BALANCE, "the wallet holds too little"),
    110052: (Rejection.BALANCE, "the wallet holds too little"),
    110053: (Rejection.BALANCE, "the wallet holds too little"),
    110063: (Rejection.NOT_TRADING, "the contract is being settled"),
    110064: (Rejection.OTHER, "no more than is filled already"),
    110066: (Rejection.NOT_TRADING, _SHUT),
    110072: (Rejection.DUPLICATE, "an order with this client id exists"),
    110074: (Rejection.NOT_TRADING, "the contract is not live"),
    110079: (Rejection.OTHER, "the order is being worked on: try again"),
    110086: (Rejection.BALANCE, _RISK),
    110090: (Rejection.BALANCE, _RISK),
    110094: (Rejection.FILTER, _SMALL),
    110095: (Rejection.NOT_TRADING, "the contract is in its auction"),
    110103: (Rejection.OTHER, "only post-only orders are taken there now"),
    110119: (Rejection.OTHER, "the account may not place RPI orders"),
    110120: (Rejection.FILTER, _BAND),
    110121: (Rejection.FILTER, _BAND),
    110132: (Rejection.CREDENTIALS, _REGION),
    130035: (Rejection.RATE, _OURS),
    130150: (Rejection.OTHER, "Bybit failed"),
    170001: (Rejection.OTHER, "Bybit failed"),
    170005: (Rejection.RATE, "too many new orders: wait"),
    170007: (Rejection.OTHER, "Bybit did not answer itself in time"),
    170032: (Rejection.OTHER, "Bybit failed"),
    170033: (Rejection.BALANCE, _MARGIN),
    170105: (Rejection.OTHER, _BUG),
    170115: (Rejection.OTHER, _BUG),
    170116: (Rejection.OTHER, _BUG),
    170117: (Rejection.OTHER, _BUG),
    170121: (Rejection.NOT_TRADING, "Bybit has no such symbol"),
    170124: (Rejection.FILTER, _LARGE),
    170130: (Rejection.OTHER, _BUG),
    170131: (Rejection.BALANCE, "the wallet holds too little"),
    170132: (Rejection.FILTER, _BAND),
    170133: (Rejection.FILTER, _BAND),
    170134: (Rejection.FILTER, _DECIMALS),
    170136: (Rejection.FILTER, _SMALL),
    170137: (Rejection.FILTER, _DECIMALS),
    170139: (Rejection.ALREADY_DONE, "it is filled"),
    170140: (Rejection.FILTER, _SMALL),
    170141: (Rejection.DUPLICATE, "an order with this client id exists"),
    170142: (Rejection.ALREADY_DONE, "it is canceled"),
    170143: (Rejection.UNKNOWN_ORDER, "the order is not on the book: it is asked for"),
    170144: (Rejection.OTHER, "the order is locked"),
    170145: (Rejection.OTHER, "the order cannot be canceled now"),
    170146: (Rejection.OTHER, "creating the order took Bybit too long"),
    170147: (Rejection.OTHER, "canceling the order took Bybit too long"),
    170148: (Rejection.FILTER, _DECIMALS),
    170149: (Rejection.OTHER, "creating the order failed"),
    170150: (Rejection.OTHER, "canceling the order failed"),
    170151: (Rejection.NOT_TRADING, "the pair is not open"),
    170157: (Rejection.NOT_TRADING, "the pair is not to be had by API"),
    170159: (Rejection.NOT_TRADING, "the pair takes no such orders yet"),
    170190: (Rejection.ALREADY_DONE, "it is canceled"),
    170191: (Rejection.OTHER, "the order cannot be canceled now"),
    170192: (Rejection.FILTER, _BAND),
    170193: (Rejection.FILTER, _BAND),
    170194: (Rejection.FILTER, _BAND),
    170197: (Rejection.FILTER, _LARGE),
    170198: (Rejection.FILTER, _LARGE),
    170201: (Rejection.OTHER, _BUG),
    170209: (Rejection.NOT_TRADING, "the pair is not traded in this region"),
    170210: (Rejection.POST_ONLY, "it would have taken"),
    170212: (Rejection.OTHER, "the order is being canceled"),
    170213: (Rejection.UNKNOWN_ORDER, "the order is done, or never was: it is asked for"),
    170217: (Rejection.OTHER, "only post-only orders are taken there now"),
    170218: (Rejection.POST_ONLY, "it would have taken"),
    170222: (Rejection.RATE, "too many requests: wait"),
    170227: (Rejection.NOT_TRADING, "the pair does not support this"),
    170228: (Rejection.FILTER, _LARGE),
    170229: (Rejection.FILTER, _LARGE),
    170310: (Rejection.OTHER, "changing the order took Bybit too long"),
    170311: (Rejection.OTHER, "changing the order failed"),
    170312: (Rejection.OTHER, "the order is being changed"),
    170313: (Rejection.OTHER, "no more than is filled already"),
    170341: (Rejection.FILTER, _LARGE),
    170355: (Rejection.OTHER, "the account may not place RPI orders"),
    170371: (Rejection.FILTER, _BAND),
    170372: (Rejection.FILTER, _BAND),
    170381: (Rejection.FILTER, _LARGE),
    170382: (Rejection.FILTER, _LARGE),
    170810: (Rejection.OTHER, _FULL),
    500000: (Rejection.OTHER, "Bybit failed"),
}

# Limits that the venue documents as refusing before anything is done (10006, 170005) are not here.
_UNKNOWN: Final = frozenset(
    {
        *(429, 10000, 10014, 10016, 10019, 10429, 20006, 30034, 40004, 130150, 500000),
        *(170001, 170007, 170032, 170144, 170145, 170146, 170147, 170149, 170150),
        *(170191, 170212, 170310, 170311, 170312),
    }
)
_SILENT: Final = "the answer does not say what happened"
_UNKNOWN_WORDS: Final = "; whether the request arrived is not known, the order is asked for"

# What 10001 says in words only. The first match counts.
_WORDS: Final = (
    ("position idx", Rejection.OTHER, _MODE),
    ("unchanged", Rejection.OTHER, "the change would change nothing"),
    ("post only", Rejection.POST_ONLY, "it would have taken"),
    ("not authorized", Rejection.CREDENTIALS, "the connection has not logged in"),
    ("symbol", Rejection.NOT_TRADING, "Bybit has no such symbol"),
    ("accounttype", Rejection.CREDENTIALS, _UNIFIED),
    ("price", Rejection.FILTER, "the price is not allowed"),
    ("tick", Rejection.FILTER, "the price is not allowed"),
    ("qty", Rejection.FILTER, "the size is not allowed"),
    ("quantity", Rejection.FILTER, "the size is not allowed"),
    ("contracts", Rejection.FILTER, "the size is not allowed"),
)
# A login on the private stream fails in words without a number, and not always in these.
_LOGIN: Final = (
    ("params", Rejection.CLOCK, "the login was not valid by Bybit's clock: ours is measured again"),
    ("expire", Rejection.CLOCK, "the login was not valid by Bybit's clock: ours is measured again"),
    ("sign", Rejection.CREDENTIALS, _MISMATCH),
    ("ip", Rejection.CREDENTIALS, _ADDRESS),
    ("key", Rejection.CREDENTIALS, _KEY),
)

_STATUSES: Final[Mapping[int, _Meaning]] = {
    400: (Rejection.OTHER, _BUG),
    401: (Rejection.CREDENTIALS, "key or signature are missing or wrong"),
    403: (
        Rejection.RATE,
        "too many requests of this address, or its region is blocked: all requests stop for ten "
        "minutes",
    ),
    404: (Rejection.OTHER, _BUG),
    429: (Rejection.RATE, "Bybit protects itself from overload"),
}

# Statuses of the gateway, and codes that say more than these.
_GATES: Final = (401, 403, 429)
_TELLING: Final = _CODES.keys() - {10001}

BANNED_MS: Final = 600_000
"""How long a banned address (HTTP 403) must stay quiet."""
WINDOW_MS: Final = 1_000
"""What a limit of requests an account counts over."""
_WINDOWED: Final = frozenset({10006, 10403, 20003, 30035, 130035, 170005, 170222})


def judge(status: int, code: int | None, said: str) -> Verdict:
    """What an error answer means.

    Args:
        status: of HTTP; 200 for answers on a stream, and of most errors.
        code: `retCode`; None if the body is not of this venue.
        said: the venue's words.
    """
    if code is None or (status in _GATES and code not in _TELLING):
        if status not in _STATUSES:
            return Verdict(Rejection.OTHER, True, _worded(f"HTTP {status}", "", unknown=True))
        rejection, meaning = _STATUSES[status]
        unknown = status == 429
        text = f"HTTP {status} {said}".rstrip()
        return Verdict(rejection, unknown, _worded(text, meaning, unknown=unknown))
    rejection, meaning = _CODES.get(code, (Rejection.OTHER, ""))
    lowered = said.lower()
    if code == 10001:
        rejection, meaning = _by_words(lowered, _WORDS, (rejection, meaning))
    elif code == 10003 and "session" in lowered:
        rejection, meaning = Rejection.RATE, "the account has too many connections: close some"
    unknown = code in _UNKNOWN or status >= 500
    return Verdict(rejection, unknown, _worded(f"{code} {said}".rstrip(), meaning, unknown=unknown))


def judge_login(code: int | None, said: str) -> Verdict:
    """Why a login failed; the private stream gives no code."""
    if code is not None and code != 10001:
        return judge(200, code, said)
    otherwise = (Rejection.CREDENTIALS, "the login was refused: check key and secret")
    rejection, meaning = _by_words(said.lower(), _LOGIN, otherwise)
    head = said if code is None else f"{code} {said}"
    return Verdict(rejection, False, _worded(head, meaning, unknown=False))


def retry_after_ms(status: int, code: int | None, reset_in_ms: int = 0) -> int:
    """How long to wait, 0 if nothing says.

    Args:
        reset_in_ms: until the limit is whole again, as the answer states; 0 if it does not.
    """
    if status == 403 or code == 10018:
        return BANNED_MS
    if code in _WINDOWED:
        return reset_in_ms if 0 < reset_in_ms <= BANNED_MS else WINDOW_MS
    return 0


def _by_words(
    said: str, table: tuple[tuple[str, Rejection, str], ...], otherwise: _Meaning
) -> _Meaning:
    for words, rejection, meaning in table:
        if words in said:
            return rejection, meaning
    return otherwise


def _worded(said: str, meaning: str, *, unknown: bool) -> str:
    said = _hide("origin_string[...]", said)
    explained = (meaning or _SILENT) + _UNKNOWN_WORDS if unknown else meaning
    return f"{said} ({explained})" if explained else said
