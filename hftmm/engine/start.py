"""How trading begins: from what an earlier run left, with venues that agree with us."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hftmm.engine.account import Account
from hftmm.engine.licence import History
from hftmm.execution.order import ZERO
from hftmm.strategy.base import BY_HAND, FLATTENING
from hftmm.venues.account import AccountSession
from hftmm.venues.codec import SECOND

if TYPE_CHECKING:
    from hftmm.engine.trading import Trading

RECOVERY_NS: Final = 20 * SECOND
"""How long a start waits for a venue that does not answer; then the others begin without it."""


class Start:
    """The first seconds of what trades."""

    def __init__(self, trading: Trading, jitter: Callable[[], float], now_ns: int) -> None:
        self._trading: Final = trading
        self._jitter: Final = jitter
        self._began_ns: Final = now_ns

    def resume(self, history: History, now_ns: int) -> None:
        """Takes up the books and orders of an earlier run."""
        trading = self._trading
        portfolio, manager = trading.portfolio, trading.manager
        if history.opening is not None:
            portfolio.open(history.opening)
            for held in history.opening.positions:
                trading.carried.add(held.listing.symbol, held.size)
        open_amounts: dict[str, tuple[Decimal, str]] = {}
        for fill in history.fills:
            portfolio.filled(fill, now_ns)
            symbol, amount = fill.listing.symbol, fill.held
            code = manager.ids.strategy(fill.client_id)
            if code == BY_HAND or code in trading.others:
                trading.carried.add(symbol, amount)
                continue
            if code == FLATTENING:
                amount = trading.carried.flattened(symbol, amount)
            known, _ = open_amounts.get(symbol, (ZERO, ""))
            open_amounts[symbol] = (known + amount, fill.listing.venue)
        for funding in history.fundings:
            portfolio.funded(funding, now_ns)
        manager.restore_fills(history.trades)
        for order in history.orders:
            manager.restore(order, now_ns)
        trading.office.news.clear()
        for symbol, (amount, venue) in open_amounts.items():
            if amount:
                trading.hedger.restore(symbol, amount, venue, now_ns)
        killed = trading.licence.killed or history.killed
        if killed:
            trading.kill.restore(killed, now_ns)
            if not history.killed:
                trading.licence.records.killed(killed, now_ns)

    def open(self, venue: str, account: Account, now_ns: int) -> None:
        """Opens an account as soon as what it trades is known."""
        trading = self._trading
        session = trading.exchanges.sessions[venue]
        if not session.defined:
            account.why = session.unlisted or "waiting for the instruments"
            return
        listings = session.tradable
        if not listings:
            account.bar("none of the markets is traded there")
            return
        licence = trading.licence
        opened = AccountSession(
            licence.codecs[venue],
            licence.hosts[venue],
            session.codec.stream_rules,
            licence.credentials[venue],
            listings,
            session.clock,
            account,
            self._jitter,
        )
        trading.started[venue] = account
        account.start(opened, listings, now_ns)

    def missing(self, now_ns: int) -> str:
        """Why strategies must wait: not every venue agrees with us, or is given up for now. What an
        earlier run of them left is canceled once they need not.
        """
        trading = self._trading
        late = [venue for venue, account in trading.accounts.items() if account.why]
        for venue in late:
            if now_ns - self._began_ns < RECOVERY_NS and not trading.accounts[venue].stuck:
                return f"{venue}: {trading.accounts[venue].why}"
        for venue in late:
            why = trading.accounts[venue].why
            trading.note("warning", venue, "account", f"left out: {why}", now_ns)
        for venue in trading.accounts:
            for order in trading.manager.live(venue):
                if order.strategy != BY_HAND:
                    # Nobody watches over what an earlier run of a strategy left.
                    trading.manager.cancel(order.client_id, now_ns)
        return ""
