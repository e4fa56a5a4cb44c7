"""One synchronous call chain from what a venue said to what is known of the market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook, Member, Quarantine, Trust
from hftmm.book.order_book import OrderBook
from hftmm.config import Config
from hftmm.core.events import MarkPrice, Trade
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.engine.exchange_manager import ExchangeManager
from hftmm.engine.market import Market
from hftmm.engine.meters import Latencies, LogBook
from hftmm.strategy.arbitrage import ArbitrageDetector
from hftmm.venues.codec import MILLISECOND, Hosts, VenueCodec
from hftmm.venues.session import Note

REVIEW_EVERY_NS: Final = 20 * MILLISECOND
"""How often every book's age is looked at; touches that move are looked at when they do."""
WATCH_EVERY_NS: Final = 200 * MILLISECOND


class Engine:
    """Books, NBBO and opportunities of every market, fed by the sessions of every venue.

    The driver calls `settle` once after the last frame of a socket read, so that a burst updates
    all books before anybody decides on them.

    Attributes:
        markets: by symbol, in the order of the config.
        state, state_reason: `STARTING` until a market has a best bid and ask, then `ARMED`.
    """

    def __init__(
        self,
        config: Config,
        codecs: dict[str, VenueCodec],
        hosts: dict[str, Hosts],
        jitter: Callable[[], float],
    ) -> None:
        self.config = config
        self.markets: dict[str, Market] = {}
        self.log = LogBook(config.engine.log_level)
        self.latencies = Latencies()
        self.loop_lag_ms: float | None = None
        self.state = "STARTING"
        self.state_reason = "waiting for the first books"
        self._members: dict[str, tuple[Market, Member]] = {}
        self._dirty: dict[str, Market] = {}
        self._review_ns = 0
        self._watch_ns = 0
        self.exchanges = ExchangeManager(config, codecs, hosts, self, jitter)
        for symbol in config.markets.symbols:
            self._open(symbol, [])

    def start(self, now_ns: int) -> None:
        """Begins."""
        self.exchanges.start(now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed: silence makes books stale, and sessions have timers."""
        self.exchanges.tick(now_ns)
        self.review(now_ns)

    def review(self, now_ns: int) -> None:
        """Looks at every book's age, if it is time to."""
        if now_ns - self._review_ns >= REVIEW_EVERY_NS:
            self._review_ns = now_ns
            watch = now_ns - self._watch_ns >= WATCH_EVERY_NS
            if watch:
                self._watch_ns = now_ns
            for market in self.markets.values():
                if watch:
                    self._follow_clocks(market)
                    market.book.watch(now_ns)
                else:
                    market.book.review(now_ns)
                market.detector.check(now_ns)
            if self.state == "STARTING":
                self._arm()

    def settle(self, now_ns: int) -> None:
        """Every book of this read is up to date: look for what can be made of them."""
        if self._dirty:
            for market in self._dirty.values():
                market.detector.check(now_ns)
            self._dirty.clear()

    # ---- MarketSink -------------------------------------------------------------------------

    def listed(self, book: OrderBook) -> None:
        listing = book.listing
        market = self.markets.get(listing.symbol)
        members = [] if market is None else list(market.members)
        own = self.config.venues[listing.venue]
        spot = listing.kind is Kind.SPOT
        fees = FeeRates(
            own.spot_maker_bps if spot else own.linear_maker_bps,
            own.spot_taker_bps if spot else own.linear_taker_bps,
        )
        trust = Trust(own.max_age_ms * MILLISECOND, own.max_lag_ms * MILLISECOND)
        members = [member for member in members if member.venue != listing.venue]
        members.append(Member(book, trust, fees))
        order = list(self.config.venues)
        members.sort(key=lambda member: order.index(member.venue))
        self._open(listing.symbol, members)

    def book_moved(self, book: OrderBook, now_ns: int) -> None:
        market, member = self._members[book.listing.key]
        market.book.moved(member, now_ns)
        self._dirty[market.symbol] = market

    def traded(self, trade: Trade) -> None:
        self.markets[trade.listing.symbol].traded(trade)

    def marked(self, mark: MarkPrice) -> None:
        self.markets[mark.listing.symbol].marked(mark)

    def noted(self, note: Note) -> None:
        self.log.note(note)

    # -----------------------------------------------------------------------------------------

    def _open(self, symbol: str, members: list[Member]) -> None:
        rules = self.config.book
        quarantine = Quarantine(
            rules.quarantine_deviations,
            rules.quarantine_floor_bps,
            rules.quarantine_release_ms * MILLISECOND,
        )
        book = ConsolidatedBook(symbol, members, quarantine)
        known = self.markets.get(symbol)
        if known is None:
            known = Market(book, ArbitrageDetector(book, self.config.arbitrage))
            self.markets[symbol] = known
        else:
            known.book = known.detector.book = book
        for member in members:
            self._members[member.book.listing.key] = (known, member)

    def _follow_clocks(self, market: Market) -> None:
        for member in market.members:
            session = self.exchanges.sessions.get(member.venue)
            if session is not None and session.clock_offset_ns is not None:
                member.clock_offset_ns = session.clock_offset_ns

    def _arm(self) -> None:
        if any(market.book.eligible for market in self.markets.values()):
            self.state, self.state_reason = "ARMED", ""
