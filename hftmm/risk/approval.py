"""The answer to an intent: approved, or refused with the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Generic, TypeVar

from hftmm.core.order import AmendIntent, OrderIntent

I = TypeVar("I", OrderIntent, AmendIntent)  # noqa: E741  # I for intent

_SEAL: Final = object()


class Approved(Generic[I]):
    """An intent that passed every rule; only a review can make one.

    The order manager takes nothing else, so that no path to a venue goes around the rules.
    """

    __slots__ = ("intent",)

    def __init__(self, intent: I, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only a review approves")
        self.intent: Final[I] = intent


def approve(intent: I) -> Approved[I]:
    """For reviews, after their last rule."""
    return Approved(intent, _SEAL)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an intent does not leave.

    Attributes:
        rule: its stable name.
        limit, actual: what is allowed and what was wanted; None where the rule has no number.
        words: what the numbers cannot say, one line.
    """

    rule: str
    limit: Decimal | None = None
    actual: Decimal | None = None
    words: str = ""

    def __str__(self) -> str:
        if self.limit is None or self.actual is None:
            return f"{self.rule}: {self.words}"
        tail = f", {self.words}" if self.words else ""
        return f"{self.rule}: {self.actual:f} against {self.limit:f}{tail}"
