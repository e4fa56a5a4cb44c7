"""Everything that trades: accounts, orders, risk, strategies, and the brakes."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from hftmm.book.consolidated import ConsolidatedBook
from hftmm.book.order_book import OrderBook
from hftmm.config import Config
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing, Side, kind_of
from hftmm.core.order import AmendIntent, Amendment, Funding, OrderAnswer, OrderIntent
from hftmm.engine.account import Account, Past
from hftmm.engine.back_office import BackOffice, FeeTold, Traded
from hftmm.engine.brakes import EngineBrakes
from hftmm.engine.carried import Carried
from hftmm.engine.day import Day
from hftmm.engine.exchange_manager import ExchangeManager
from hftmm.engine.licence import Licence
from hftmm.engine.market import Market
from hftmm.engine.results import Results
from hftmm.engine.start import Start
from hftmm.execution.action import Amend, Cancel, Place, Query, SyncClock
from hftmm.execution.client_ids import ClientIds
from hftmm.execution.hedger import Hedger
from hftmm.execution.order import ZERO, Order
from hftmm.execution.order_manager import OrderManager
from hftmm.execution.throttle import Denial, Throttle
from hftmm.risk.approval import Refused
from hftmm.risk.headroom import Headroom
from hftmm.risk.kill_switch import KillSwitch
from hftmm.risk.portfolio import Portfolio
from hftmm.risk.risk_manager import RiskManager
from hftmm.strategy.arbitrage import ArbitrageDetector
from hftmm.strategy.arbitrage_executor import ArbitrageExecutor
from hftmm.strategy.base import (
    ARBITRAGE,
    BY_HAND,
    HEDGING,
    MARKET_MAKING,
    Strategy,
)
from hftmm.strategy.cross_exchange_mm import CrossExchangeMM
from hftmm.strategy.registry import made
from hftmm.venues.account import AccountSession
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.effects import Note
from hftmm.venues.private import PrivateRules

WATCH_EVERY_NS: Final = 100 * MILLISECOND
TICK_EVERY_NS: Final = 20 * MILLISECOND
ROUNDS: Final = 32
"""What happens may make something else happen; more rounds than this are a loop."""


class Trading:
    """One call chain from a book that moved, or a word of a venue, to the orders that follow.

    Implements `Trader` for the strategies, and is the house of the accounts.

    Attributes:
        accounts: of the venues with a key; those that are started have a session.
        strategies: in the order of their keys. others: those of other packages, by code, which
            nobody hedges.
        recovering: why strategies wait after a start, one line; "" when they do not.
        orders_sent: how many orders and changes went to sessions since the start.
    """

    def __init__(
        self,
        config: Config,
        licence: Licence,
        markets: Mapping[str, Market],
        exchanges: ExchangeManager,
        log: Callable[[Note], None],
        fees: Callable[[Listing, FeeRates], None],
        jitter: Callable[[], float],
        now_ns: int,
    ) -> None:
        """
        Args:
            markets: of the engine, which keeps them.
            fees: told what a venue says its fees are.
        """
        self.config = config
        self.licence: Final = licence
        self.markets: Final = markets
        self.exchanges: Final = exchanges
        self.portfolio: Final = Portfolio()
        self.results: Final = Results(self.portfolio, self._mid, self.order_book)
        self.office: Final = BackOffice(licence.records, self.portfolio, log, self._booked)
        history = licence.history
        self.throttles: Final = {
            venue: Throttle(venue, licence.codecs[venue].rules) for venue in licence.credentials
        }
        ids = ClientIds(config.engine.installation, history.last_id, now_ns)
        self.manager: Final = OrderManager(ids, self.throttles, self.office)
        self.office.ids = ids
        self.risk: Final = RiskManager(config, self.portfolio, self.manager, self.book)
        self.hedger: Final = Hedger(config, self, self.halt)
        self.maker: Final = CrossExchangeMM(config, self, self.hedger.blocked)
        self.executor: Final = ArbitrageExecutor(
            config, self, self._detector, self.hedger.take_over, self.halt
        )
        self.others: Final = made(licence.strategies, config, self)
        self.strategies: Final[tuple[Strategy, ...]] = (
            self.maker,
            self.executor,
            self.hedger,
            *self.others.values(),
        )
        self.carried: Final = Carried()
        self._by_code: Final = {strategy.code: strategy for strategy in self.strategies}
        opened_ns = (
            {balance.venue: history.opening.ns for balance in history.opening.balances}
            if history.opening
            else {}
        )
        self.accounts: Final = {
            venue: Account(
                venue,
                self.manager,
                self.portfolio,
                self,
                Past(
                    history.last_fill_ns,
                    opened_ns.get(venue, 0),
                    [funding for funding in history.fundings if funding.venue == venue],
                ),
            )
            for venue in licence.credentials
        }
        self.started: Final[dict[str, Account]] = {}
        kinds = frozenset(map(kind_of, config.markets.symbols))
        self.kill: Final = KillSwitch(
            dict.fromkeys(self.accounts, kinds),
            EngineBrakes(self),
            config.hedging.flatten_slippage_bps,
        )
        self.orders_sent = 0
        self.recovering = "waiting for the accounts" if self.accounts else ""
        self._log: Final = log
        self._fees: Final = fees
        self._tick_ns = 0
        self._watch_ns = 0
        self._day: Final = Day(history.opening.ns if history.opening else now_ns, now_ns)
        self._start: Final = Start(self, jitter, now_ns)
        self._start.resume(history, now_ns)

    # ---- what the engine tells ----------------------------------------------------------------

    def moved(self, symbol: str, now_ns: int) -> None:
        """A book of this market moved."""
        if not self.recovering:
            self.maker.moved(symbol, now_ns)
            self.executor.moved(symbol, now_ns)
            self.hedger.moved(symbol, now_ns)
            for strategy in self.others.values():
                strategy.moved(symbol, now_ns)

    def act(self, now_ns: int) -> None:
        """All news of this event is in: decide, and send."""
        news = self.office.news
        for _ in range(ROUNDS):
            while news:
                self._tell(news.popleft(), now_ns)
            if not self.recovering:
                self.hedger.act(now_ns)
            self.flush(now_ns)
            if not news:
                return
        raise RuntimeError(f"orders still change after {ROUNDS} rounds")

    def defect(self, error: Exception, now_ns: int) -> None:
        """Something here is wrong, and nobody knows what it does next: everything stops."""
        if self.kill.killed:
            return
        *_, place = traceback.extract_tb(error.__traceback__) or [None]
        where = "" if place is None else f" at {place.filename.rpartition('/')[2]}:{place.lineno}"
        self.stop_all(f"defect: {error!r}{where}", now_ns)
        self.flush(now_ns)

    def flush(self, now_ns: int) -> None:
        """Gives the sessions what the order manager wants sent, cancels first."""
        for action in self.manager.drain():
            if isinstance(action, Place | Amend):
                self.orders_sent += 1
            venue = action.venue if isinstance(action, SyncClock) else action.listing.venue
            account = self.started.get(venue)
            if account is not None:
                account.perform(action, now_ns)
            elif isinstance(action, Cancel | Query):
                # Of an earlier run's order, at a venue that cannot be reached yet.
                self.manager.unanswered(action, self.accounts[venue].why, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed."""
        for venue, account in self.accounts.items():
            if venue in self.started:
                account.tick(now_ns)
            else:
                self._start.open(venue, account, now_ns)
        self.manager.tick(now_ns)
        self.kill.tick(now_ns)
        if now_ns - self._tick_ns >= TICK_EVERY_NS:
            self._tick_ns = now_ns
            if self.recovering:
                self.recovering = self._start.missing(now_ns)
            else:
                for strategy in self.strategies:
                    strategy.tick(now_ns)
        if now_ns - self._watch_ns >= WATCH_EVERY_NS:
            self._watch_ns = now_ns
            self._watch(now_ns)
        self.act(now_ns)

    def configure(self, config: Config, now_ns: int) -> None:
        """Other parameters hold from now on."""
        self.config = config
        self.risk.configure(config)
        self.kill.flatten_slippage_bps = config.hedging.flatten_slippage_bps
        for strategy in self.strategies:
            strategy.configure(config, now_ns)

    def stop(self, now_ns: int) -> None:
        """An orderly end: dead-man switches off, connections closed."""
        for account in self.started.values():
            account.session.stop(now_ns)

    def sessions(self) -> Iterator[AccountSession]:
        """The sessions of the accounts, for the driver."""
        return (account.session for account in self.started.values())

    # ---- Trader -------------------------------------------------------------------------------

    def submit(self, intent: OrderIntent, now_ns: int) -> Order | Refused | Denial:
        if why := self.shut(intent.listing, urgent=intent.urgent):
            return Refused("account", words=why)
        verdict = self.risk.review(intent, now_ns)
        return verdict if isinstance(verdict, Refused) else self.manager.submit(verdict, now_ns)

    def amend(self, intent: AmendIntent, now_ns: int) -> Amendment | Refused | Denial:
        if why := self.shut(intent.listing, urgent=intent.urgent):
            return Refused("account", words=why)
        verdict = self.risk.review(intent, now_ns)
        return verdict if isinstance(verdict, Refused) else self.manager.amend(verdict, now_ns)

    def cancel(self, client_id: str, now_ns: int) -> bool:
        return self.manager.cancel(client_id, now_ns)

    def order(self, client_id: str) -> Order | None:
        return self.manager.order(client_id)

    def live(self, venue: str) -> Sequence[Order]:
        return self.manager.live(venue)

    def position(self, listing: Listing) -> Decimal:
        return self.portfolio.position(listing)

    def headroom(self, listing: Listing, side: Side, now_ns: int) -> Headroom:
        return self.risk.headroom(listing, side, now_ns)

    def closed(self, listing: Listing) -> str:
        halted = self.risk.halted.get(listing.venue)
        return (
            self.risk.killed
            or self.shut(listing, urgent=False)
            or (f"halted: {halted}" if halted else self.recovering)
        )

    def rules(self, listing: Listing) -> PrivateRules:
        return self.licence.codecs[listing.venue].rules[listing.kind]

    def book(self, symbol: str) -> ConsolidatedBook | None:
        market = self.markets.get(symbol)
        return None if market is None else market.book

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        self.office.noted(Note(level, venue, event, text, now_ns))

    # ---- what stops ---------------------------------------------------------------------------

    def halt(self, venue: str, why: str, now_ns: int) -> None:
        """Cancels what a venue has of ours; only reducing orders pass there, until `resume`."""
        if venue not in self.accounts or self.risk.halted.get(venue):
            return
        self.kill.halt(venue, why, now_ns)

    def stop_all(self, why: str, now_ns: int, *, flatten: bool = False) -> str:
        """Kills: see `KillSwitch.kill`. What it did, one line."""
        did = self.kill.kill(why, now_ns, flatten=flatten)
        for strategy in self.strategies:
            try:
                strategy.switch(False, "since the kill", now_ns)
            except Exception as error:
                # It may be what the kill is for, and nothing of it leaves any more.
                self.note("error", "", "defect", f"{strategy.name}: {error!r}", now_ns)
        return did

    # ---- AccountHouse -------------------------------------------------------------------------

    def funded(self, funding: Funding, now_ns: int) -> None:
        self.portfolio.funded(funding, now_ns)
        self.licence.records.funded(funding, now_ns)
        where = funding.venue if funding.listing is None else funding.listing.symbol
        text = f"{where} {funding.amount:+f} {funding.asset}"
        self.note("info", funding.venue, "funding", text, now_ns)

    def rates_told(self, listing: Listing, rates: FeeRates, now_ns: int) -> None:
        self._fees(listing, rates)

    def canceled(self, venue: str, client_ids: Sequence[str], answer: OrderAnswer) -> None:
        self.kill.answered(venue, client_ids, answer)

    def open_told(
        self, venue: str, kind: Kind, client_ids: Sequence[str], asked_ns: int, now_ns: int
    ) -> None:
        self.kill.open_told(venue, kind, client_ids, asked_ns, now_ns)

    def open_untold(self, venue: str, why: str, now_ns: int) -> None:
        self.kill.failed(venue, why, now_ns)

    def back(self, venue: str, now_ns: int) -> None:
        self.kill.back(venue, now_ns)

    def opened(self, now_ns: int) -> None:
        for market in self.markets.values():
            # Also at a venue that told nothing of its listings yet.
            keys = (f"{venue} {market.symbol}" for venue in self.accounts)
            held = sum(map(self.portfolio.held, keys), ZERO)
            strategies = self.hedger.unhedged.get(market.symbol, ZERO)
            strategies += self.executor.imbalance(market.symbol)
            self.carried.set(market.symbol, held - strategies)
        self.licence.records.opened(self.portfolio.opening(now_ns))

    def noted(self, note: Note) -> None:
        if note.level in {"warning", "error"}:
            self.licence.records.noted(note)
        self._log(note)

    # ---- as things happen ---------------------------------------------------------------------

    def shut(self, listing: Listing, *, urgent: bool) -> str:
        """Why nothing can be sent there, one line; what takes risk off need not wait for agreement
        of the books.
        """
        account = self.accounts.get(listing.venue)
        if account is None:
            return f"no key for {listing.venue}: it is only watched"
        if listing.venue not in self.started:
            return account.why
        if urgent:
            return ""
        return account.why or self.licence.records.failure

    def _tell(self, news: Order | Traded | FeeTold, now_ns: int) -> None:
        if isinstance(news, Order):
            strategy = self._by_code.get(news.strategy)
            if strategy is not None:
                strategy.changed(news, now_ns)
            if news.state.final:
                self.results.gone(news)
            return
        if isinstance(news, FeeTold):
            if news.code == ARBITRAGE:
                self.executor.fee_told(news.fill, now_ns)
            else:
                self.hedger.fee_told(news.fill, now_ns)
            return
        fill, order, code = news
        strategy = self._by_code.get(code)
        if strategy is not None:
            strategy.filled(fill, order, now_ns)
            if why := self.risk.filled(code, fill, now_ns):
                strategy.switch(False, why, now_ns)
        if code == MARKET_MAKING:
            self.hedger.maker_filled(fill, now_ns)
        elif code == BY_HAND or code in self.others:
            self.carried.add(fill.listing.symbol, fill.held)
        elif code not in {ARBITRAGE, HEDGING}:
            listing = fill.listing
            if amount := self.carried.flattened(listing.symbol, fill.held):
                self.hedger.take_over(listing.symbol, amount, listing.venue, "flattened", now_ns)

    def _booked(self, traded: Traded, now_ns: int) -> None:
        self.results.booked(traded, now_ns)

    def _watch(self, now_ns: int) -> None:
        """Marks, profits, and the limits on them."""
        for market in self.markets.values():
            for member in market.members:
                mark = market.marks.get(member.venue)
                price = member.mid if mark is None or mark.mark is None else mark.mark
                if price is not None:
                    self.portfolio.marked(member.book.listing, Decimal(repr(price)))
        if self._day.over(now_ns, ready=self._closable(now_ns)):
            self.portfolio.roll()
            self.results.roll()
            self.opened(now_ns)
        self.results.watch(now_ns)
        self.office.watch(now_ns)
        for halt in self.risk.watch(now_ns):
            if halt.venue in self.accounts:
                self.kill.halt(halt.venue, halt.why, now_ns)

    def _closable(self, now_ns: int) -> bool:
        """Whether new books can begin: they say what is held, not what of it is to be hedged."""
        hedged = self.hedger.unhedged_ms(now_ns) is None
        return hedged and not any(map(self.executor.imbalance, self.markets))

    def _mid(self, symbol: str) -> float | None:
        """Between the best bid and ask of all venues."""
        book = self.book(symbol)
        if book is None or book.best_bid <= 0.0 or book.best_ask == float("inf"):
            return None
        return (book.best_bid + book.best_ask) / 2.0

    def order_book(self, listing: Listing) -> OrderBook | None:
        """The book of a listing; None if it is not watched."""
        book = self.book(listing.symbol)
        members = () if book is None else book.members
        return next((each.book for each in members if each.venue == listing.venue), None)

    def _detector(self, symbol: str) -> ArbitrageDetector | None:
        market = self.markets.get(symbol)
        return None if market is None else market.detector
