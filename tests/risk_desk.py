"""A desk to review orders at: three venues, their books, real orders and real portfolio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from hftmm.book.consolidated import ConsolidatedBook, Member, Quarantine, Trust
from hftmm.config import Config
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import AmendIntent, Balance, Fill, OrderIntent, OrderState, TimeInForce
from hftmm.execution.order import Order
from hftmm.risk import risk_manager
from hftmm.risk.approval import Approved, Refused
from hftmm.risk.losses import LOSSES
from hftmm.risk.portfolio import Opening, Portfolio
from hftmm.risk.risk_manager import RiskManager
from hftmm.risk.rules import RULES
from tests.books import MS, SECOND, book, listing
from tests.orders import START, Bench, Witness

VENUES = ("binance", "bybit", "okx")
BID, ASK = Decimal("100.00"), Decimal("100.02")
ZERO = Decimal(0)


class Bookkeeper(Witness):
    """Books fills and holds what orders need, as an engine does."""

    def __init__(self, portfolio: Portfolio) -> None:
        super().__init__()
        self.portfolio = portfolio

    def changed(self, order: Order, now_ns: int) -> None:
        super().changed(order, now_ns)
        held = ZERO if order.reduce_only else order.at_risk
        self.portfolio.reserve(order.listing, order.client_id, order.side, order.price, held)

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        super().filled(fill, order, now_ns)
        self.portfolio.filled(fill, now_ns)


class Desk:
    """A risk manager with everything that it asks; 100.00 bid, 100.02 asked at every venue.

    Attributes:
        of: listings by venue; perpetuals, or spot by `spot`.
    """

    def __init__(
        self,
        *,
        limits: dict[str, Any] | None = None,
        venue: dict[str, Any] | None = None,
        listed: dict[str, Any] | None = None,
        money: str = "1000000",
        coins: str = "1000",
        margin: str = "",
    ) -> None:
        """At each venue: `money` and `coins` in the wallet of spot; in that of perpetuals `margin`,
        as much as `money` if it is not said.
        """
        config = Config()
        open_all = {"duplicate_ms": 0, "max_orders_per_s": 10_000}
        self.config = replace(
            config,
            limits=replace(config.limits, **open_all | (limits or {})),
            venues={name: replace(one, **venue or {}) for name, one in config.venues.items()},
        )
        words = listed or {}
        self.of = {name: listing(name, kind=Kind.LINEAR, **words) for name in VENUES}
        self.spot = {name: listing(name, **words) for name in VENUES}
        self.books = {
            listings["okx"].symbol: consolidated(list(listings.values()))
            for listings in (self.of, self.spot)
        }
        self.portfolio = Portfolio(apart=frozenset(VENUES))
        self.portfolio.open(Opening(START, tuple(_wallets(money, coins, margin or money)), ()))
        self.bench = Bench(witness=Bookkeeper(self.portfolio))
        self.risk = RiskManager(self.config, self.portfolio, self.bench.manager, self.books.get)
        self.trades = 0

    def review(self, wanted: OrderIntent | AmendIntent, *, after_ms: int = 0) -> str:
        """The name of the rule that refuses it, "" if none does."""
        verdict = self.ask(wanted, after_ms=after_ms)
        return verdict.rule if isinstance(verdict, Refused) else ""

    def ask(
        self, wanted: OrderIntent | AmendIntent, *, after_ms: int = 0
    ) -> Approved[Any] | Refused:
        """The verdict, some time from the start."""
        return self.risk.review(wanted, START + after_ms * MS)

    def intent(
        self,
        size: str | Decimal = "0.1",
        side: Side = "buy",
        price: str | Decimal | None = None,
        *,
        venue: str = "okx",
        spot: bool = False,
        strategy: str = "mm",
        ioc: bool = False,
        urgent: bool = False,
        reduce_only: bool = False,
    ) -> OrderIntent:
        """A quote well behind the touch, unless said otherwise."""
        quiet = "99" if side == "buy" else "101"
        tif = TimeInForce.IOC if ioc else TimeInForce.GTC
        of = self.spot if spot else self.of
        return OrderIntent(
            strategy,
            of[venue],
            side,
            Decimal(price or quiet),
            Decimal(size),
            False,
            tif,
            reduce_only,
            urgent,
        )

    def change(self, order: Order, size: str, price: str | None = None) -> AmendIntent:
        wanted = order.price if price is None else Decimal(price)
        return AmendIntent(order.client_id, order.listing, order.side, wanted, Decimal(size))

    def rest(self, wanted: OrderIntent) -> Order:
        """An order that rests, whatever the rules say of it."""
        return self.bench.rest(wanted, f"v{len(self.bench.witness.intents)}")

    def fill(self, order: Order, size: str | Decimal) -> None:
        """A trade of it, at its price."""
        self.trades += 1
        assert self.bench.fill(order, str(size), f"t{self.trades}")

    def hold(self, size: str, venue: str = "okx", *, spot: bool = False) -> None:
        """A position, traded at 100; negative is short."""
        side: Side = "sell" if size.startswith("-") else "buy"
        size = size.lstrip("-")
        order = self.rest(self.intent(size, side, "100", venue=venue, spot=spot))
        self.fill(order, size)
        self.bench.update(order, OrderState.FILLED, size)

    def mark(self, price: str, *venues: str) -> None:
        for name in venues or VENUES:
            self.portfolio.marked(self.of[name], Decimal(price))


def disable(rule: str, patch: pytest.MonkeyPatch) -> None:
    """Reviews and watches go on without this rule."""
    for name, table in (("RULES", RULES), ("LOSSES", LOSSES)):
        left = {other: one for other, one in table.items() if other != rule}
        patch.setattr(risk_manager, name, left)


def consolidated(listings: list[Listing]) -> ConsolidatedBook:
    """Their market, as of the start."""
    trust = Trust(10 * SECOND, 10 * SECOND)
    members = [Member(book(of=of, received_ns=START), trust) for of in listings]
    market = ConsolidatedBook(listings[0].symbol, members, Quarantine(8, 60, 0))
    market.review(START)
    return market


def _wallets(money: str, coins: str, margin: str) -> Iterator[Balance]:
    for venue in VENUES:
        for wallet, asset, amount in (
            (Kind.SPOT, "USDT", Decimal(money)),
            (Kind.SPOT, "BTC", Decimal(coins)),
            (Kind.LINEAR, "USDT", Decimal(margin)),
        ):
            yield Balance(venue, wallet.value, asset, amount, amount, START, START)
