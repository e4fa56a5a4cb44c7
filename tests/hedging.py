"""A hedger on a floor of three venues, for tests that tell it what trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hftmm.config import Config
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import Fill, OrderState
from hftmm.execution.hedger import Hedger
from hftmm.execution.order import Order
from tests.books import MS, Rows
from tests.trading_floor import VENUES, Floor

DEEP: Rows = ((10_000, 10.0), (9_990, 100.0))
DEEP_ASKS: Rows = ((10_002, 10.0), (10_012, 100.0))


def config(hedge_exchanges: Sequence[str] = VENUES, **hedging: Any) -> Config:
    """The defaults with other values in [hedging]."""
    made = Config()
    return replace(
        made,
        hedging=replace(made.hedging, **hedging),
        market_making=replace(made.market_making, hedge_exchanges=tuple(hedge_exchanges)),
    )


class HedgeFloor(Floor):
    """Three venues with deep books around 100.01; the hedger acts at the end of every event.

    Attributes:
        halts: (venue, why) of every halt asked for.
    """

    def __init__(
        self,
        settings: Config | None = None,
        *,
        kind: Kind = Kind.LINEAR,
        listings: Mapping[str, Listing] | None = None,
        **hedging: Any,
    ) -> None:
        super().__init__(kind=kind, listings=listings, max_age_ms=600_000)
        self.halts: list[tuple[str, str]] = []
        self.hedger = Hedger(settings or config(**hedging), self, self._halt)
        self.strategies.append(self.hedger)
        self._trades = 0
        for venue in VENUES:
            self.quote(venue, DEEP, DEEP_ASKS, tell=False)
        self.act()

    def act(self) -> None:
        """An event ends."""
        self.hedger.act(self.now_ns)
        self.hedger._check()

    def maker(
        self,
        venue: str,
        side: Side,
        size: str | Decimal,
        price: str = "100.00",
        *,
        fee: str | None = "0",
        fee_asset: str = "USDT",
        act: bool = True,
    ) -> Fill:
        """A quote of market making trades."""
        self._trades += 1
        of = self.listings[venue]
        fill = Fill(
            of,
            f"m{self._trades}",
            f"hm01mm{self._trades}",
            "",
            side,
            Decimal(price),
            Decimal(size),
            None if fee is None else Decimal(fee),
            fee_asset,
            True,
            self.now_ns,
            self.now_ns,
        )
        change = fill.size if side == "buy" else -fill.size
        self.positions[of.key] = self.positions.get(of.key, Decimal(0)) + change
        self.hedger.maker_filled(fill, self.now_ns)
        if act:
            self.act()
        return fill

    def done(self, order: Order, price: str = "") -> None:
        """All of it trades."""
        self.trade(order, order.size - order.booked, price)
        self.act()

    def part(self, order: Order, size: str | Decimal) -> None:
        """An IOC order trades in part, and the rest is canceled."""
        self.trade(order, size)
        self.end(order)

    def end(self, order: Order, state: OrderState = OrderState.CANCELED, **why: Any) -> None:
        """It is over, as far as anybody knows."""
        self.gone(order, state, **why)
        self.act()

    def late(self, order: Order, size: str | Decimal, trade_id: str = "late") -> None:
        """A trade of it is told after its end."""
        amount = Decimal(size)
        change = amount if order.side == "buy" else -amount
        key = order.listing.key
        self.positions[key] = self.positions.get(key, Decimal(0)) + change
        order.booked += amount
        order.filled = max(order.filled, order.booked)
        fill = Fill(
            order.listing,
            trade_id,
            order.client_id,
            order.venue_id,
            order.side,
            order.price,
            amount,
            Decimal(0),
            "USDT",
            False,
            self.now_ns,
            self.now_ns,
        )
        self.hedger.filled(fill, order, self.now_ns)
        self.hedger.changed(order, self.now_ns)
        self.act()

    def wait(self, ms: int, step_ms: int = 20) -> None:
        """Time passes, and is told, in steps of so much at most."""
        end_ns = self.now_ns + ms * MS
        while self.now_ns < end_ns:
            self.now_ns = min(self.now_ns + step_ms * MS, end_ns)
            self.books[self.symbol].review(self.now_ns)
            self.hedger.tick(self.now_ns)
            self.hedger.act(self.now_ns)
        self.hedger._check()

    @property
    def hedges(self) -> list[tuple[str, str, str, str]]:
        """(venue, side, size, price) of every order sent."""
        return [(o.listing.venue, o.side, f"{o.size:f}", f"{o.price:f}") for o in self.submitted]

    @property
    def events(self) -> list[str]:
        return [note.event for note in self.told]

    @property
    def open(self) -> Decimal:
        """What the hedger counts as unhedged."""
        return self.hedger.unhedged.get(self.symbol, Decimal(0))

    @property
    def blocked(self) -> str:
        return self.hedger.blocked(self.symbol)

    def fact(self, label: str) -> str:
        return dict(self.hedger.shown(self.now_ns).facts)[label]

    def _halt(self, venue: str, why: str, now_ns: int) -> None:
        self.halts.append((venue, why))
        self.log.append(("halt", venue))
        self.why_closed[venue] = "halted"
