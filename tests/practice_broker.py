"""A broker over books that hold only what a test puts there, with a mark the test sets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Side
from hftmm.sim.broker import Broker
from hftmm.sim.filters import Rules
from hftmm.sim.ledger import DEMO, Account, Credentials
from hftmm.sim.market import Mark, Market
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.orders import Execution, Order, Refused, Ticket, TimeInForce
from hftmm.sim.spec import Spec

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
START_NS = 1_000 * HOUR
FEES = {
    Kind.SPOT: FeeRates(Decimal(8), Decimal(10)),
    Kind.LINEAR: FeeRates(Decimal(2), Decimal(5)),
}
OTHER = Credentials("other-key", "s", "p", account="other")


def spec(kind: Kind = Kind.LINEAR, base: str = "BTC", venue: str = "okx") -> Spec:
    """Tick 1, lot 0.001, so that prices near 1000 are easy sums."""
    linear = kind is Kind.LINEAR
    return Spec(
        venue=venue,
        kind=kind,
        symbol=f"{base}/USDT:USDT" if linear else f"{base}/USDT",
        venue_symbol=f"{base}-USDT-SWAP" if linear else f"{base}-USDT",
        base=base,
        quote="USDT",
        tick=Decimal(1),
        lot=Decimal("0.001"),
        min_size=Decimal("0.002"),
        min_notional=Decimal(5),
    )


LINEAR, SPOT = spec(), spec(Kind.SPOT)


class StillMarket(Market):
    """Books without order flow.

    Attributes:
        marks: by symbol; 1000 if not set.
        rate: funding of every contract.
    """

    def __init__(self, *specs: Spec) -> None:
        self.now_ns = START_NS
        self.engines = {
            (one.venue, one.kind, one.venue_symbol): MatchingEngine(one) for one in specs
        }
        self.marks: dict[str, float] = {}
        self.rate = 0.0001

    def mark(self, spec: Spec, at_ns: int | None = None) -> Mark:
        price = self.marks.get(spec.symbol, 1000.0)
        return Mark(price, price, self.rate, 0, 8)

    def advance(self, now_ns: int) -> None:
        self.now_ns = now_ns


class Desk:
    """A broker, its account, and a crowd to trade with.

    Args:
        book: whether asks from 1001 and bids from 999 stand ready, 1 base coin each, in all books.
    """

    def __init__(
        self,
        unified: bool = True,
        rules: Mapping[Kind, Rules] | None = None,
        spot_fee_in: Literal["received", "quote"] = "received",
        book: bool = True,
        specs: tuple[Spec, ...] = (LINEAR, SPOT),
        fees: Mapping[Kind, FeeRates] = MappingProxyType(FEES),
    ) -> None:
        self.market = StillMarket(*specs)
        self.broker = Broker(
            "okx",
            self.market,
            unified,
            fees,
            spot_fee_in,
            rules=rules,
            credentials=(DEMO, OTHER),
        )
        self.account = self.broker.accounts["practice"]
        self.other = self.broker.accounts["other"]
        self.now_ns = START_NS
        if book:
            for one in specs:
                for away in range(1, 6):
                    self.crowd("sell", 1000 + away, 1000, one)
                    self.crowd("buy", 1000 - away, 1000, one)

    def engine(self, one: Spec = LINEAR) -> MatchingEngine:
        return self.market.engines[one.venue, one.kind, one.venue_symbol]

    def crowd(self, side: Side, ticks: int, lots: int, one: Spec = LINEAR) -> int:
        """An order of the market's own flow; returns its number."""
        return self.engine(one).place(side, ticks, lots, self.now_ns).order_id

    def ask(
        self,
        side: Side,
        ticks: int | None,
        lots: int = 1000,
        one: Spec = LINEAR,
        account: Account | None = None,
        time_in_force: TimeInForce = "gtc",
        **rest: object,
    ) -> Order | Refused:
        ticket = Ticket(
            spec=one,
            side=side,
            ticks=ticks,
            lots=lots,
            time_in_force=time_in_force,
            **rest,  # type: ignore[arg-type]  # fields of Ticket, as the test names them
        )
        return self.broker.place(account or self.account, ticket, self.now_ns)

    def place(self, side: Side, ticks: int | None, lots: int = 1000, **rest: object) -> Order:
        """An order that must be accepted."""
        placed = self.ask(side, ticks, lots, **rest)  # type: ignore[arg-type]  # as in `ask`
        assert isinstance(placed, Order), placed
        self.broker._check()
        return placed

    def refused(self, side: Side, ticks: int | None, lots: int = 1000, **rest: object) -> str:
        """The rule by which an order is refused; nothing may have changed."""
        before = len(self.account.events), len(self.account.orders)
        refused = self.ask(side, ticks, lots, **rest)  # type: ignore[arg-type]  # as in `ask`
        assert isinstance(refused, Refused), refused
        assert (len(self.account.events), len(self.account.orders)) == before
        self.broker._check()
        return refused.rule

    def pass_time(self, ns: int) -> None:
        self.now_ns += ns
        self.market.advance(self.now_ns)
        self.broker.advance(self.now_ns)
        self.broker._check()

    def fills(self) -> list[tuple[int, int, bool]]:
        """Ticks, lots and whether as a maker, of every execution."""
        return [told(fill) for fill in self.account.executions]


def told(fill: Execution) -> tuple[int, int, bool]:
    return fill.ticks, fill.lots, fill.maker
