"""Books what happens to orders and money, and keeps it for strategies and the screen."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from hftmm.core.instrument import Listing
from hftmm.core.order import Fill, Funding
from hftmm.execution.client_ids import ClientIds
from hftmm.execution.order import ZERO, Order
from hftmm.risk.portfolio import Opening, Pnl, Portfolio
from hftmm.venues.effects import Note

KEPT_FILLS: Final = 300
KEPT_ENDED: Final = 40


class Records(Protocol):
    """Where everything of orders and money is written; see `Journal`.

    Attributes:
        failure: why new orders must wait, one line; "" while all is well.
    """

    @property
    def failure(self) -> str: ...

    def intended(self, order: Order, now_ns: int) -> None: ...

    def changed(self, order: Order, now_ns: int) -> None: ...

    def filled(self, fill: Fill, now_ns: int) -> None: ...

    def funded(self, funding: Funding, now_ns: int) -> None: ...

    def noted(self, note: Note) -> None: ...

    def killed(self, reason: str, now_ns: int) -> None: ...

    def marked(self, listing: Listing, position: Decimal, pnl: Pnl, now_ns: int) -> None: ...

    def opened(self, opening: Opening) -> None: ...


class Traded(NamedTuple):
    """A trade that somebody must be told of. Attributes: code: whose it is; see `ClientIds`."""

    fill: Fill
    order: Order | None
    code: str


class FeeTold(NamedTuple):
    """The fee of a trade that had been told without it."""

    fill: Fill
    code: str


class BackOffice:
    """The sink of the order manager: journal, portfolio, and a queue for whoever decides.

    Nobody is called back while the order manager works: what happened waits in `news`, and is
    taken when the manager is done.

    Attributes:
        news: orders that changed, and trades, in the order they happened.
        fills: newest first. ended: orders that may not trade any more, newest first.
        trades: how many there were.
    """

    def __init__(
        self,
        records: Records,
        portfolio: Portfolio,
        log: Callable[[Note], None],
        booked: Callable[[Traded, int], None],
    ) -> None:
        """`booked` is called with each trade once the portfolio has it."""
        self.records: Final = records
        self.portfolio: Final = portfolio
        self.news: Final[deque[Order | Traded | FeeTold]] = deque()
        self.fills: Final[deque[Traded]] = deque(maxlen=KEPT_FILLS)
        self.ended: Final[deque[Order]] = deque(maxlen=KEPT_ENDED)
        self.trades = 0
        self.ids: ClientIds | None = None
        self._failing = False
        self._log: Final = log
        self._booked: Final = booked

    def watch(self, now_ns: int) -> None:
        """Tells when the records cannot be written, and when they can again."""
        failure = self.records.failure
        if bool(failure) != self._failing:
            self._failing = bool(failure)
            level, text = ("error", failure) if failure else ("info", "everything is written again")
            self.noted(Note(level, "desk", "journal", text, now_ns, apart=True))

    # ---- OrderSink ----------------------------------------------------------------------------

    def intended(self, order: Order, now_ns: int) -> None:
        self.records.intended(order, now_ns)

    def changed(self, order: Order, now_ns: int) -> None:
        self.records.changed(order, now_ns)
        held = ZERO if order.reduce_only else order.at_risk
        self.portfolio.reserve(order.listing, order.client_id, order.side, order.price, held)
        if order.state.final and (not self.ended or self.ended[0] is not order):
            self.ended.appendleft(order)
        self.news.append(order)

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        self.portfolio.filled(fill, now_ns)
        self.records.filled(fill, now_ns)
        self.trades += 1
        code = "" if self.ids is None else self.ids.strategy(fill.client_id)
        traded = Traded(fill, order, order.strategy if order is not None else code)
        self.fills.appendleft(traded)
        self.news.append(traded)
        self._booked(traded, now_ns)

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        self.portfolio.fee_told(fill, now_ns)
        self.records.filled(fill, now_ns)
        for at, traded in enumerate(self.fills):
            if traded.fill.trade_id == fill.trade_id and traded.fill.listing is fill.listing:
                self.fills[at] = traded._replace(fill=fill)
                self.news.append(FeeTold(fill, traded.code))
                break

    def noted(self, note: Note) -> None:
        self.records.noted(note)
        self._log(note)
