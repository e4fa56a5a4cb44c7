"""The kill switch's hands in an engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hftmm.core.instrument import Listing, Side
from hftmm.core.order import OrderIntent
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Approved

if TYPE_CHECKING:
    from hftmm.engine.trading import Trading


class EngineBrakes:
    """Implements `Brakes` on what trades. Cancels leave with the call, not with the next event."""

    def __init__(self, trading: Trading) -> None:
        self._trading: Final = trading

    def latch(self, why: str) -> None:
        self._trading.risk.killed = why

    def hold(self, venue: str, why: str) -> None:
        self._trading.risk.halt(venue, why)

    def let_go(self, venue: str) -> str:
        return self._trading.risk.resume(venue)

    def persist(self, why: str, now_ns: int) -> None:
        self._trading.licence.records.killed(why, now_ns)

    def cancel(self, venue: str, client_ids: Collection[str], now_ns: int, *, bulk: bool) -> None:
        trading = self._trading
        account = trading.started.get(venue)
        if account is None:
            return
        for client_id in client_ids:
            trading.manager.cancel(client_id, now_ns, forced=True)
        trading.flush(now_ns)
        if bulk:
            for listing in account.listings:
                account.clear(listing, now_ns)

    def ask_open(self, venue: str, now_ns: int) -> None:
        account = self._trading.started.get(venue)
        if account is not None:
            account.ask_open(now_ns)

    def live(self, venue: str) -> Collection[str]:
        return [order.client_id for order in self._trading.manager.live(venue)]

    def settled(self, venue: str) -> bool:
        return not any(True for _ in self._trading.manager.unsettled(venue))

    def unreachable(self, venue: str, now_ns: int) -> str:
        account = self._trading.accounts[venue]
        if venue not in self._trading.started:
            return account.why
        return account.session.state(now_ns).missing

    def positions(self, venue: str) -> Sequence[tuple[Listing, Decimal]]:
        account = self._trading.started.get(venue)
        portfolio = self._trading.portfolio
        listings = () if account is None else account.listings
        return [(listing, portfolio.position(listing)) for listing in listings]

    def touch(self, listing: Listing, side: Side, now_ns: int) -> float | None:
        book = self._trading.order_book(listing)
        if book is None or not book.valid:
            return None
        size, price = (book.ask_size, book.ask) if side == "buy" else (book.bid_size, book.bid)
        return price if size > 0.0 else None

    def send(self, order: Approved[OrderIntent], now_ns: int) -> str:
        trading = self._trading
        if why := trading.shut(order.intent.listing, urgent=True):
            return why
        sent = trading.manager.submit(order, now_ns)
        return str(sent) if isinstance(sent, Denial) else ""

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        self._trading.note(level, venue, event, text, now_ns)
