"""A floor with a crossed market and an arbitrage executor, for the tests of its shots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from hftmm.book.kernels import VENUE_MS
from hftmm.config import ArbitrageConfig, Config, MarketsConfig
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import Fill, OrderIntent, OrderState, Rejection
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Refused
from hftmm.strategy.arbitrage import ArbitrageDetector, Opportunity
from hftmm.strategy.arbitrage_executor import ArbitrageExecutor
from tests.books import MS, Rows
from tests.trading_floor import VENUES, Floor

FREE = FeeRates(Decimal(0), Decimal(0))
CONFIG = ArbitrageConfig(enabled=True, max_quantity=10.0)


class Given(NamedTuple):
    """What was handed over."""

    amount: Decimal
    venue: str
    why: str


class Gallery(Floor):
    """Binance bids 101.00 for 2 coins, okx offers 3 at 100.00, bybit quotes 99.90 at 101.10.

    Attributes:
        given: what was handed to the hedger. halts: (venue, why).
        refuse_second: what the second order comes to.
        held: orders have not left when they are canceled.
        stamped: books carry the time of their venue.
    """

    def __init__(
        self,
        config: ArbitrageConfig = CONFIG,
        *,
        kind: Kind = Kind.LINEAR,
        fees: Mapping[str, FeeRates] | None = None,
        listings: Mapping[str, Listing] | None = None,
        crossed: bool = True,
    ) -> None:
        free = dict.fromkeys(VENUES, FREE) | dict(fees or {})
        super().__init__(kind=kind, fees=free, listings=listings)
        self.given: list[Given] = []
        self.halts: list[tuple[str, str]] = []
        self.refuse_second: Refused | None = None
        self.held = False
        self.stamped = False
        self.config = Config(markets=MarketsConfig(symbols=(self.symbol,)), arbitrage=config)
        self.detector = ArbitrageDetector(self.books[self.symbol], config)
        self.executor = ArbitrageExecutor(
            self.config,
            self,
            {self.symbol: self.detector}.get,
            lambda symbol, amount, venue, why, _: self.given.append(Given(amount, venue, why)),
            lambda venue, why, _: self.halts.append((venue, why)),
        )
        self.strategies.append(self.executor)
        self.quote("bybit", [(9_990, 9.0)], [(10_110, 9.0)])
        self.quote("okx", [(9_990, 9.0)], [(10_000, 3.0)])
        if crossed:
            self.cross()

    def cross(self) -> None:
        """Binance bids 101.00 for 2 coins."""
        self.quote("binance", [(10_100, 2.0)], [(10_120, 9.0)])

    def part(self) -> None:
        """Binance bids no more than okx: nothing is crossed."""
        self.quote("binance", [(9_990, 9.0)], [(10_120, 9.0)])

    def quote(
        self, venue: str, bids: Rows, asks: Rows, *, tell: bool = True, age_ms: int = 0
    ) -> None:
        """Made so long ago; by its stamp if it has one, else by when it was heard."""
        super().quote(venue, bids, asks, tell=False)
        held = self.members[venue].book
        if self.stamped:
            held.ints[0, VENUE_MS] = self.now_ns // MS - age_ms
        else:
            held.received_ns = self.now_ns - age_ms * MS
        if tell:
            self.move()

    def move(self) -> None:
        self.detector.check(self.now_ns)
        super().move()

    def wait(self, ms: int) -> None:
        for _ in range(0, ms, 20):
            super().wait(min(20, ms))
            self.executor._check()

    def set(self, **keys: object) -> None:
        """Other parameters hold from now on."""
        config = replace(self.config.arbitrage, **keys)  # type: ignore[arg-type]  # keys of it
        self.config = replace(self.config, arbitrage=config)
        self.detector.configure(config)
        self.executor.configure(self.config, self.now_ns)

    def own(self, venue: str, side: Side, price: str, size: str = "1") -> Order:
        """An order of another strategy that rests there."""
        intent = OrderIntent("mm", self.listings[venue], side, Decimal(price), Decimal(size))
        order = self.submit(intent, self.now_ns)
        assert isinstance(order, Order)
        self.rest(order)
        self.submitted.remove(order)
        self.intents.remove(intent)
        return order

    def end(
        self,
        order: Order,
        filled: str | Decimal = "0",
        price: str = "",
        rejection: Rejection | None = None,
    ) -> None:
        """An IOC order traded so much, and is over."""
        if Decimal(filled):
            self.trade(order, filled, price)
        if order.live:
            self.gone(order, OrderState.CANCELED, rejection)
        self.executor._check()

    def fill(self, order: Order, size: str, *, fee: Decimal | None, asset: str = "USDT") -> Fill:
        """A trade with any fee, told the usual way."""
        amount = Decimal(size)
        fill = Fill(
            order.listing, f"f{len(order.trades)}-{order.client_id}", order.client_id, "",
            order.side, order.price, amount, fee, asset, False, self.now_ns, self.now_ns,
        )  # fmt: skip
        order.trades.add(fill.trade_id)
        order.booked += amount
        order.filled = max(order.filled, order.booked)
        if order.live and order.filled == order.size:
            order.state = OrderState.FILLED
        self.executor.filled(fill, order, self.now_ns)
        self.executor.changed(order, self.now_ns)
        return fill

    def settle(self, order: Order, filled: Decimal, *, state_first: bool) -> None:
        """An order traded so much, its fees not told, and is over; its end may be told first."""
        all_of_it = order.filled + filled == order.size
        done = OrderState.FILLED if all_of_it else OrderState.CANCELED
        if filled:
            signed = filled if order.side == "buy" else -filled
            self.positions[order.key] = self.position(order.listing) + signed
        if state_first:
            order.filled = filled
            self.gone(order, done)
        if filled:
            self.fill(order, f"{filled:f}", fee=None)
        if order.live:
            self.gone(order, done)
        self.executor._check()

    def submit(self, intent: OrderIntent, now_ns: int) -> Order | Refused | Denial:
        if self.refuse_second is not None and len(self.submitted) == 1:
            self.answers.append(self.refuse_second)
            self.refuse_second = None
        return super().submit(intent, now_ns)

    def cancel(self, client_id: str, now_ns: int) -> bool:
        if self.held:
            self.gone(self.orders[client_id], OrderState.CANCELED, text="not sent")
        return super().cancel(client_id, now_ns)

    @property
    def pair(self) -> tuple[Order, Order]:
        """The two legs of the first shot: bought, sold."""
        buy, sell = self.submitted[:2]
        assert (buy.side, sell.side) == ("buy", "sell")
        return buy, sell

    @property
    def seen(self) -> Opportunity:
        """The newest crossing of okx and binance, live or past."""
        found = self.detector.live.get(("okx", "binance"))
        return found if found is not None else self.detector.past[0]

    @property
    def result(self) -> str:
        """What came of it."""
        return self.seen.untaken if self.seen.attempt is None else self.seen.attempt.result

    @property
    def traded(self) -> Decimal:
        """Base coins that all trades left open, of all venues together."""
        return sum(self.positions.values(), Decimal(0))
