"""What is said of a key: why a venue refuses it, and why we do.

The check and the engine say the same, each behind the name of the venue.
"""

from __future__ import annotations

from hftmm.core.instrument import Kind
from hftmm.core.order import Rejection
from hftmm.venues.private import Permissions


def objections(venue: str, rights: Permissions, kinds: frozenset[Kind]) -> list[str]:
    """Why no order may be sent with a key, one line each with the remedy; [] if nothing speaks
    against it.

    Args:
        kinds: what shall be traded.
    """
    if rights.problems:
        return [problem.removeprefix(f"{venue}: ") for problem in rights.problems]
    # The codec of a registered venue may tell no more than this.
    found = []
    if rights.withdraw:
        found.append("the key may withdraw: take that right from it, or make another")
    if not rights.read:
        found.append("the key may not read: give it that right")
    if Kind.SPOT in kinds and not rights.trade_spot:
        found.append("the key may not trade spot: give it that right")
    if Kind.LINEAR in kinds and not rights.trade_linear:
        found.append("the key may not trade perpetuals: give it that right")
    if Kind.LINEAR in kinds and not rights.one_way:
        found.append("the account is in hedge mode: set its position mode to one-way")
    return found


def advice(rights: Permissions) -> list[str]:
    """What is unwise about a key, and keeps nobody from trading with it."""
    if rights.bound:
        return []
    return ["any address may use the key, and venues end such keys early: bind it to yours"]


def why_refused(rejection: Rejection | None, text: str) -> str:
    """A refusal of what is asked for with a key, in one line with the remedy.

    Args:
        rejection: the class of it, None if not known.
        text: the venue's words and ours for them, as `PrivateCodec.classify` has them.
    """
    match rejection:
        case Rejection.CREDENTIALS:
            return f"key refused: {text}"
        case Rejection.CLOCK:
            return f"time refused: {text}; set this machine's clock (NTP)"
        case Rejection.RATE:
            return f"refused for now: {text}; ask less, and later"
        case _:
            return f"refused: {text}"
