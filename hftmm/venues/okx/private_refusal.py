"""What OKX's refusals mean for an order: a class, whether it may have arrived, and in words.

A code may stand over a whole request (`code`) or over one order of it (`sCode`), which then counts
alone. Where a request may have been carried out all the same, it is `unknown`: the order is then
asked for by our id and never sent again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.order import Rejection
from hftmm.venues.okx.wire import MEANINGS, decoded


class Verdict(NamedTuple):
    """What an error answer means."""

    rejection: Rejection
    unknown: bool
    text: str


class Reason(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Why one order of a request was refused; `s_code` is "0" for one that was not."""

    s_code: str = ""
    s_msg: str = ""
    sub_code: str = ""


class _Answer(msgspec.Struct, frozen=True, gc=False):
    code: str | int = ""
    msg: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")


PAUSE_MS: Final = 2_000
"""All limits are counted over two seconds; OKX does not say when one ends."""
_SHOWN: Final = 120
_SUCCESS: Final = 200
_SUCCESSES: Final = frozenset({"", "0", "2"})
_answer = msgspec.json.Decoder(_Answer)
_reasons = msgspec.json.Decoder(list[Reason])
# OKX quotes what it cannot read, a login as well; a page of a proxy may do the same.
_hide = re.compile(
    r"((?:sign|passphrase|apiKey|OK-ACCESS-[A-Z]+)\\*[\"']?\s*[:=]\s*\\*[\"']?)[^\"'\\\s,}<&]+",
    re.IGNORECASE,
).sub

_KEY: Final = "no such key here: copy it anew, and use the hosts of the region of the account"
_NOT_A_PAIR: Final = "the secret does not belong to the key: set the two that were made together"
_THIRD_PART: Final = "wrong passphrase: set the one the key was made with"
_BUG: Final = "OKX does not take the request in this form"

# Codes, what they call for, and in words; "" where the public side has words for them. 50113 is a
# wrong signature and never the clock.
_DOCUMENTED: Final[tuple[tuple[str, Rejection, str], ...]] = (
    ("51511", Rejection.POST_ONLY, "it would have taken"),
    ("51112", Rejection.REDUCE_ONLY, "larger than the position it would reduce"),
    ("51169", Rejection.REDUCE_ONLY, "there is no position that it would reduce"),
    ("51170", Rejection.REDUCE_ONLY, "it would enlarge the position"),
    ("51008 51127 51131", Rejection.BALANCE, "balance or margin left is too little"),
    ("51004 54030 54031", Rejection.BALANCE, "the position would exceed a limit of OKX's"),
    ("51005 51007 51020", Rejection.FILTER, "size out of bounds"),
    ("51120 51121", Rejection.FILTER, "size below the minimum or off the lot"),
    ("51006 51116 51137 51138", Rejection.FILTER, "price beyond the venue's price limit"),
    ("50011 50061 60014", Rejection.RATE, ""),
    ("60023", Rejection.RATE, "too many logins: back off"),
    ("50071 51016", Rejection.DUPLICATE, "an order with this client id is pending"),
    ("51603", Rejection.UNKNOWN_ORDER, "no such order, or not yet where queries look"),
    (
        "51400 51401 51402 51503 51509 51510",
        Rejection.ALREADY_DONE,
        "the order is filled, canceled or was never there: it is asked for",
    ),
    ("50036 50037", Rejection.CLOCK, "it came too late and was not carried out"),
    (
        "50102 50107 50112 60004 60006",
        Rejection.CLOCK,
        "our clock differs from OKX's: it is measured again",
    ),
    ("50027 50028 50029 51024", Rejection.CREDENTIALS, "the account is restricted: ask OKX"),
    ("50100", Rejection.CREDENTIALS, "the key is frozen: make another"),
    (
        "50101",
        Rejection.CREDENTIALS,
        "the key belongs to the other environment: demo keys work in demo, live keys live",
    ),
    ("50105 60024", Rejection.CREDENTIALS, _THIRD_PART),
    ("50110", Rejection.CREDENTIALS, "this address is not on the key's list: add it at OKX > API"),
    ("50111 50119 60005 60032", Rejection.CREDENTIALS, _KEY),
    ("50113 60007", Rejection.CREDENTIALS, _NOT_A_PAIR),
    ("50103 50104 50106", Rejection.CREDENTIALS, _BUG),
    (
        "50114",
        Rejection.CREDENTIALS,
        "the key may not do this: give it the permissions to read and to trade",
    ),
    ("50120", Rejection.CREDENTIALS, "the key may not do this: give it the permission to trade"),
    ("59113", Rejection.CREDENTIALS, "the account is not verified far enough: finish that at OKX"),
    (
        "60009",
        Rejection.CREDENTIALS,
        "the login failed: check key, secret, passphrase, and the key's list of addresses",
    ),
    (
        "50017 50018 50019 50020 50021 50022 50023 51029 51030",
        Rejection.NOT_TRADING,
        "OKX settles or liquidates: wait some seconds and try again",
    ),
    ("51001 51021 51022 51027", Rejection.NOT_TRADING, ""),
    ("51087", Rejection.NOT_TRADING, "the instrument is delisted"),
    (
        "54012",
        Rejection.NOT_TRADING,
        "the book is thin: only post-only orders and cancels are taken",
    ),
    ("50001 50004 50013 50026", Rejection.OTHER, ""),
    ("50002 50014 50115 51111", Rejection.OTHER, _BUG),
    ("51000 54036", Rejection.OTHER, "a parameter is wrong, or does not go with the account mode"),
    ("50072", Rejection.OTHER, "isolated margin is not to be had: the account mode has only cross"),
    ("51010", Rejection.OTHER, "the account mode has no such trading: set it to Futures mode"),
    ("51025", Rejection.OTHER, "too many open orders: cancel some"),
    ("51054", Rejection.OTHER, "the venue timed out"),
    ("51071", Rejection.OTHER, "too many dead-man switches with tags"),
    ("51410", Rejection.OTHER, "it is being canceled already"),
    ("51412", Rejection.OTHER, "the cancel timed out"),
    ("51512", Rejection.OTHER, "the order is twice in one batch"),
    ("51513", Rejection.OTHER, "three changes of the order are under way: wait for them"),
    ("59000", Rejection.OTHER, "settings do not change while there are orders or positions"),
    ("59102", Rejection.OTHER, "the leverage is too high"),
    ("60012 60013 60019 60027 60033", Rejection.OTHER, _BUG),
    ("60008 60018 60028 64001 64002", Rejection.OTHER, "this channel is not served on this URL"),
    ("60011 64003 64004 64008", Rejection.OTHER, ""),
    ("60031", Rejection.OTHER, "this connection is logged in already"),
    ("63999", Rejection.OTHER, "OKX could not check the login: try again"),
    ("64007", Rejection.OTHER, "the venue failed for a reason of its own"),
)
_BY_CODE: Final[Mapping[str, tuple[Rejection, str]]] = {
    code: (rejection, words or MEANINGS[code])
    for codes, rejection, words in _DOCUMENTED
    for code in codes.split()
}
# The venue timed out, broke down or is not done yet: it may have acted.
_UNKNOWN: Final = frozenset(
    {"50001", "50004", "50013", "50026", "51054", "51410", "51412", "64007"}
)
_UNKNOWN_WORDS: Final = "; whether the order arrived is not known, it is asked for"
_STATUS: Final[Mapping[int, str]] = {
    403: "OKX's firewall refuses us: wait minutes, and look at what was asked",
    429: "limit reached: pause for two seconds",
}


def judge(code: str, message: str, sub_code: str = "", status: int = _SUCCESS) -> Verdict:
    """What a code means.

    Args:
        code: `sCode` of an order or `code` of a request; "" where a body had none.
        sub_code: of OKX's refinement of some codes, or "".
        status: of HTTP; `_SUCCESS` for what came over a stream.
    """
    head = f"{code} ({sub_code})" if sub_code else code or f"HTTP {status}"
    said = f"{head} {scrubbed(message)}".rstrip()
    known = _BY_CODE.get(code)
    if known is None:
        return _unheard_of(status, said, code)
    rejection, meaning = known
    unknown = code in _UNKNOWN
    if unknown:
        meaning += _UNKNOWN_WORDS
    return Verdict(rejection, unknown, f"{said} ({meaning})")


def judge_body(status: int, body: bytes) -> Verdict:
    """What an error answer of REST means; `sCode` of its first refused order goes before `code`."""
    try:
        answer = decoded(_answer, body)
    except MalformedFrame:
        return judge("", " ".join(body[:_SHOWN].decode(errors="replace").split()), status=status)
    code, reasons = str(answer.code), _refused(answer.data)
    if reasons:
        first = reasons[0]
        return judge(first.s_code, first.s_msg, first.sub_code, status)
    return judge(code, answer.msg or "", status=status)


def retry_after_ms(verdict: Verdict) -> int:
    """How long to wait before the next try, 0 if there is nothing to wait for."""
    return PAUSE_MS if verdict.rejection is Rejection.RATE else 0


def scrubbed(message: str) -> str:
    """Words of the venue on one line, without what proves who we are, should it quote that."""
    return _hide(r"\1...", " ".join(message.split()))[:_SHOWN]


def _refused(data: msgspec.Raw) -> list[Reason]:
    """The refused orders of an answer; errors may have anything where the rows would be."""
    try:
        reasons = decoded(_reasons, data)
    except MalformedFrame:
        return []
    return [reason for reason in reasons if reason.s_code not in ("", "0")]


def _unheard_of(status: int, said: str, code: str) -> Verdict:
    """A code that is not documented, or a page of a firewall or proxy without any."""
    if status in _STATUS:
        return Verdict(Rejection.RATE, False, f"{said} ({_STATUS[status]})")
    # A refusal in OKX's own form is one; only an error of ours is certain to have had no effect.
    # A success without a word of the order is neither.
    if (code not in _SUCCESSES and status == _SUCCESS) or 400 <= status < 500:
        return Verdict(Rejection.OTHER, False, said)
    words = f"the answer does not say what happened{_UNKNOWN_WORDS}"
    return Verdict(Rejection.OTHER, True, f"{said} ({words})")
