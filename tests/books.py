"""Builders of listings, messages and books for the tests of everything that reads a book."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from hftmm.book.order_book import OrderBook
from hftmm.core.events import BookDelta, TopOfBook
from hftmm.core.instrument import Kind, Listing

MS = 1_000_000
SECOND = 1_000_000_000

Rows = Iterable[tuple[int, float]]
"""(tick, size)"""


def listing(
    venue: str = "binance",
    *,
    kind: Kind = Kind.SPOT,
    tick: str = "0.01",
    lot: str = "0.001",
    min_size: str = "0",
    min_notional: str = "0",
) -> Listing:
    """BTC/USDT or its perpetual."""
    linear = kind is Kind.LINEAR
    return Listing(
        venue=venue,
        venue_symbol="BTCUSDT",
        symbol="BTC/USDT:USDT" if linear else "BTC/USDT",
        kind=kind,
        base="BTC",
        quote="USDT",
        settle="USDT" if linear else "",
        tick=Decimal(tick),
        lot=Decimal(lot),
        min_size=Decimal(min_size),
        min_notional=Decimal(min_notional),
    )


LISTING = listing()


def delta(
    bids: Rows = (),
    asks: Rows = (),
    *,
    final: int = 1,
    first: int | None = None,
    prev: int = -1,
    state: int | None = None,
    of: Listing = LISTING,
    snapshot: bool = False,
    complete: bool = True,
    venue_ns: int = 0,
    received_ns: int = 0,
) -> BookDelta:
    """A message; ids follow `final` unless given."""
    rows, n_bids = [*bids], len([*bids])
    rows += asks
    return BookDelta(
        listing=of,
        tick_buffer=np.array([tick for tick, _ in rows], dtype=np.int64),
        size_buffer=np.array([size for _, size in rows], dtype=np.float64),
        n_bids=n_bids,
        count=len(rows),
        first_id=final if first is None else first,
        final_id=final,
        prev_id=prev,
        state_id=final if state is None else state,
        venue_ns=venue_ns,
        received_ns=received_ns,
        snapshot=snapshot,
        complete=complete,
    )


def top(
    bid: float,
    bid_size: float,
    ask: float,
    ask_size: float,
    sequence_id: int,
    *,
    of: Listing = LISTING,
    venue_ns: int = 0,
    received_ns: int = 0,
) -> TopOfBook:
    """A frame of the fast best bid and offer."""
    return TopOfBook(of, bid, bid_size, ask, ask_size, sequence_id, venue_ns, received_ns)


def book(
    bids: Rows = ((10_000, 1.0),),
    asks: Rows = ((10_002, 2.0),),
    *,
    final: int = 1,
    of: Listing = LISTING,
    complete: bool = True,
    venue_ns: int = 0,
    received_ns: int = 0,
) -> OrderBook:
    """A valid book; prices are ticks of 0.01."""
    made = OrderBook(of)
    made.apply(
        delta(
            bids,
            asks,
            final=final,
            of=of,
            snapshot=True,
            complete=complete,
            venue_ns=venue_ns,
            received_ns=received_ns,
        )
    )
    return made
