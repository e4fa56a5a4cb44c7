"""One synchronous call chain from what a venue said to what is known of the market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook, Member, Quarantine, Trust
from hftmm.book.order_book import OrderBook
from hftmm.config import Config
from hftmm.core.events import MarkPrice, Trade
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing
from hftmm.engine.exchange_manager import ExchangeManager
from hftmm.engine.licence import Licence
from hftmm.engine.market import Market
from hftmm.engine.meters import Latencies, LogBook
from hftmm.engine.trading import Trading
from hftmm.strategy.arbitrage import ArbitrageDetector
from hftmm.venues.account import AccountSession
from hftmm.venues.codec import MILLISECOND, Hosts, VenueCodec
from hftmm.venues.session import Note, VenueSession

REVIEW_EVERY_NS: Final = 20 * MILLISECOND
"""How often every book's age is looked at; touches that move are looked at when they do."""
WATCH_EVERY_NS: Final = 200 * MILLISECOND


class Engine:
    """Books, NBBO and opportunities of every market, fed by the sessions of every venue.

    The driver calls `settle` once after the last frame of a socket read, so that a burst updates
    all books before anybody decides on them.

    Attributes:
        markets: by symbol, in the order of the config.
        trading: what trades, from the start on; None if nothing does (paper, no keys, a recording).
        ending: (state, reason) once it ends: `STOPPING`, `FINISHED`; None until then.
        latencies, order_latencies: from a frame in hand until NBBO and detection are done, and
            until the orders that it led to are with their sockets.
    """

    def __init__(
        self,
        config: Config,
        codecs: dict[str, VenueCodec],
        hosts: dict[str, Hosts],
        jitter: Callable[[], float],
        licence: Licence | None = None,
    ) -> None:
        self.config = config
        self.markets: dict[str, Market] = {}
        self.log = LogBook(config.engine.log_level)
        self.latencies = Latencies()
        self.order_latencies = Latencies()
        self.loop_lag_ms: float | None = None
        self.trading: Trading | None = None
        self.ending: tuple[str, str] | None = None
        self._licence = licence
        self._jitter = jitter
        self._fees: dict[str, FeeRates] = {}
        self._seen = False
        self._members: dict[str, tuple[Market, Member]] = {}
        self._dirty: dict[str, Market] = {}
        self._review_ns = 0
        self._watch_ns = 0
        self.exchanges = ExchangeManager(config, codecs, hosts, self, jitter)
        self._accounts = 0
        self._sessions: tuple[VenueSession | AccountSession, ...] = (*self.exchanges,)
        for symbol in config.markets.symbols:
            self._open(symbol, [])

    def start(self, now_ns: int) -> None:
        """Begins."""
        self.exchanges.start(now_ns)
        if self._licence is not None:
            self.trading = Trading(
                self.config,
                self._licence,
                self.markets,
                self.exchanges,
                self.noted,
                self._rates_told,
                self._jitter,
                now_ns,
            )

    def tick(self, now_ns: int) -> None:
        """Time passed: silence makes books stale, and sessions have timers."""
        self.exchanges.tick(now_ns)
        self.review(now_ns)
        if self.trading is not None:
            self.trading.tick(now_ns)

    def configure(self, config: Config, now_ns: int) -> None:
        """Other parameters hold from now on; see `parameters`."""
        self.config = config
        for market in self.markets.values():
            market.detector.configure(config.arbitrage)
        if self.trading is not None:
            self.trading.configure(config, now_ns)

    @property
    def sessions(self) -> tuple[VenueSession | AccountSession, ...]:
        """Every session, whose outboxes a driver empties after every frame; accounts that start
        are added, and none goes.
        """
        accounts = 0 if self.trading is None else len(self.trading.started)
        if accounts != self._accounts:
            self._accounts = accounts
            mine = () if self.trading is None else self.trading.sessions()
            self._sessions = (*self.exchanges, *mine)
        return self._sessions

    @property
    def orders_sent(self) -> int:
        """Orders and changes given to sessions since the start."""
        return 0 if self.trading is None else self.trading.orders_sent

    @property
    def halted_for_good(self) -> bool:
        """Nothing of ours stands anywhere, after a kill or at the end."""
        return self.trading is None or self.trading.kill.done

    @property
    def state(self) -> str:
        """`STARTING`, `RECOVERING`, `ARMED`, `HALTED`, `KILLED`, or what `ending` says."""
        return self._standing()[0]

    @property
    def state_reason(self) -> str:
        """Why it is not armed, one line; "" if it is."""
        return self._standing()[1]

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
                if self.trading is not None:
                    self.trading.moved(market.symbol, now_ns)

    def settle(self, now_ns: int) -> None:
        """Every book of this read is up to date: look for what can be made of them."""
        trading = self.trading
        if self._dirty:
            for market in self._dirty.values():
                market.detector.check(now_ns)
                if trading is not None:
                    trading.moved(market.symbol, now_ns)
            self._dirty.clear()
        if trading is not None:
            trading.act(now_ns)

    # ---- MarketSink -------------------------------------------------------------------------

    def listed(self, book: OrderBook) -> None:
        listing = book.listing
        market = self.markets.get(listing.symbol)
        members = [] if market is None else list(market.members)
        own = self.config.venues[listing.venue]
        spot = listing.kind is Kind.SPOT
        fees = self._fees.get(listing.key) or FeeRates(
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

    def _rates_told(self, listing: Listing, rates: FeeRates) -> None:
        """The venue's word on its fees goes before the config's."""
        self._fees[listing.key] = rates
        known = self._members.get(listing.key)
        if known is not None:
            known[1].charge(rates)

    def _standing(self) -> tuple[str, str]:
        if self.ending is not None:
            return self.ending
        trading = self.trading
        if trading is not None and trading.risk.killed:
            return "KILLED", trading.risk.killed
        if not self._seen:
            self._seen = any(market.book.eligible for market in self.markets.values())
            if not self._seen:
                return "STARTING", "waiting for the first books"
        if trading is not None:
            if trading.recovering:
                return "RECOVERING", trading.recovering
            if why := trading.licence.records.failure:
                return "HALTED", why
            for venue, why in trading.risk.halted.items():
                return "HALTED", f"{venue}: {why}"
        return "ARMED", ""
