"""Client ids: whose order it is, readable after a restart, never used twice."""

from __future__ import annotations

import re
from typing import Final

INSTALLATION: Final = re.compile(r"[a-z][a-z0-9]{3}")
STRATEGY: Final = re.compile(r"[a-z0-9]{2}")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
_HEAD: Final = 4
_PREFIX: Final = 6


class ClientIds:
    """Makes `iiiissn...`: installation, strategy, a number in base 36; about 17 characters.

    The narrowest venue allows 32 of `[A-Za-z0-9]` (OKX). An installation begins with a letter:
    some venues give orders without an id a number for one.

    Attributes:
        last: the number used last; the journal keeps it.
    """

    __slots__ = ("installation", "last")

    def __init__(self, installation: str, last: int, now_ns: int) -> None:
        """Numbers go on from the larger of the journal's last one and the clock's microseconds, so
        that neither a lost journal nor a clock set back repeats one.

        Raises:
            ValueError: the installation is not a letter and three letters or digits.
        """
        if not INSTALLATION.fullmatch(installation):
            raise ValueError(f"installation {installation!r}: a letter, then three of [a-z0-9]")
        self.installation: Final = installation
        self.last = max(last, now_ns // 1_000)

    def next(self, strategy: str) -> str:
        """An id never given before.

        Raises:
            ValueError: the strategy is not two letters or digits.
        """
        if not STRATEGY.fullmatch(strategy):
            raise ValueError(f"strategy {strategy!r}: two of [a-z0-9]")
        self.last += 1
        return f"{self.installation}{strategy}{_base36(self.last)}"

    def owns(self, client_id: str) -> bool:
        """Whether this installation made it."""
        return len(client_id) > _PREFIX and client_id.startswith(self.installation)

    def strategy(self, client_id: str) -> str:
        """Whose it is, of an id that is ours."""
        return client_id[_HEAD:_PREFIX]


def number(client_id: str) -> int:
    """The number in an id of ours, 0 if there is none."""
    try:
        return int(client_id[_PREFIX:], 36)
    except ValueError:
        return 0


def _base36(value: int) -> str:
    """In full pairs of digits: half as many divisions, on the path of every order."""
    digits = ""
    while value:
        value, pair = divmod(value, 1296)
        digits = _PAIRS[pair] + digits
    return digits
