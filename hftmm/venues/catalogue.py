"""The listings a session wants, as the venue defines them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from hftmm.core.instrument import Kind, Listing
from hftmm.venues.codec import SECOND, Instruments, Request, VenueCodec
from hftmm.venues.decimals import MOST_DECIMALS
from hftmm.venues.effects import Fetch, Outlet

EVERY_NS: Final = 3600 * SECOND
MISSING_NS: Final = 60 * SECOND
"""How soon the venue is asked again for a market that it does not have."""
SURPRISE_NS: Final = 60 * SECOND
"""Least time between two questions that a surprise gave rise to."""


class Catalogue:
    """Asks for instrument definitions, and keeps those that are wanted.

    Attributes:
        listings: by symbol, what is known of the wanted ones.
        tradable: the same by kind and venue symbol, for whoever trades; kept up to date.
        defined: every definition asked for has been answered once.
    """

    __slots__ = (
        "_again",
        "_codec",
        "_due_ns",
        "_kinds",
        "_outlet",
        "_surprised_ns",
        "_told",
        "_under_way",
        "_wanted",
        "defined",
        "listings",
        "tradable",
    )

    def __init__(self, codec: VenueCodec, symbols: Iterable[str], outlet: Outlet) -> None:
        self.listings: dict[str, Listing] = {}
        self.tradable: dict[tuple[Kind, str], Listing] = {}
        self.defined = False
        self._codec = codec
        self._outlet = outlet
        self._wanted = frozenset(symbols)
        self._kinds = frozenset(Kind.LINEAR if ":" in s else Kind.SPOT for s in self._wanted)
        self._due_ns = 0
        self._surprised_ns = -SURPRISE_NS
        self._again: list[tuple[int, Request]] = []
        self._under_way = 0
        self._told: set[str] = set()

    def tick(self, now_ns: int) -> None:
        """Asks, if it is time to."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + EVERY_NS
            self._again.clear()
            requests = self._codec.instruments(self._kinds)
            self._under_way = len(requests)
            self._outlet.outbox.extend(Fetch(request) for request in requests)
        elif self._again:
            due = [request for due_ns, request in self._again if due_ns <= now_ns]
            if due:
                self._again = [entry for entry in self._again if entry[0] > now_ns]
                self._outlet.outbox.extend(Fetch(request) for request in due)

    def retry(self, request: Request, due_ns: int) -> None:
        """A question failed."""
        self._again.append((due_ns, request))

    def surprised(self, now_ns: int) -> None:
        """The venue does what its definitions do not say: it may have new ones."""
        if now_ns - self._surprised_ns >= SURPRISE_NS:
            self._surprised_ns = self._due_ns = now_ns

    def answered(self, answer: Instruments, now_ns: int) -> list[Listing]:
        """Takes definitions; returns the wanted listings that are new or other than before."""
        changed = []
        for defined in answer.listings:
            if defined.symbol not in self._wanted or defined.status != "live":
                continue
            if not _usable(defined):
                text = f"{defined.symbol}: tick {defined.tick} cannot be traded here"
                self._tell(defined.symbol, text, now_ns)
                continue
            known = self.listings.get(defined.symbol)
            listing = defined
            if known is not None:
                # Orders that stand keep their price when the tick becomes coarser.
                coarser = defined.decimals < known.decimals
                listing = replace(defined, grid=known.decimals if coarser else known.grid)
            if listing != known:
                self.listings[defined.symbol] = listing
                self.tradable[listing.kind, listing.venue_symbol] = listing
                changed.append(listing)
        if answer.more is not None:
            self._outlet.outbox.append(Fetch(answer.more))
            return changed
        self._under_way -= 1
        self.defined = self.defined or self._under_way == 0
        missing = sorted(self._wanted - self.listings.keys())
        if self._under_way == 0 and missing:
            self._due_ns = min(self._due_ns, now_ns + MISSING_NS)
            for symbol in missing:
                self._tell(symbol, f"{symbol} is not listed or not trading", now_ns)
        return changed

    def _tell(self, symbol: str, why: str, now_ns: int) -> None:
        """Says once why there is no market."""
        if symbol not in self._told:
            self._told.add(symbol)
            self._outlet.note("warning", f"no {symbol}", why, now_ns)


def _usable(listing: Listing) -> bool:
    """Whether its prices and sizes fit the arithmetic of a book."""
    multiplier = float(listing.multiplier)
    return listing.decimals <= MOST_DECIMALS and 0.0 < multiplier < 1e12 and listing.tick > 0
