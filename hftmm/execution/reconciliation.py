"""Whether we and a venue agree: at every start, and after every reconnect of a private stream."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import Balance, Fill, OrderUpdate, Position
from hftmm.execution.action import FetchFills
from hftmm.execution.order import ZERO
from hftmm.execution.order_manager import OrderManager
from hftmm.execution.settling import DEFAULT
from hftmm.risk.drift import Drift
from hftmm.risk.portfolio import Opening, OpenPosition, Portfolio
from hftmm.venues.codec import SECOND

AGAIN_NS: Final = 2 * SECOND
"""Before a venue is asked again about what differs: its queries answer from copies that lag."""
ANSWER_NS: Final = 10 * SECOND
"""A question without an answer for longer is asked again."""
ROUNDS: Final = 3
"""Times that a holding must differ before it takes a person."""


class AskOrders(msgspec.Struct, frozen=True, gc=False):
    """Ask for all open orders of a kind, every page; answer by `orders`."""

    venue: str
    kind: Kind


class AskPositions(msgspec.Struct, frozen=True, gc=False):
    """Ask for the positions; answer by `positions`."""

    venue: str


class AskBalances(msgspec.Struct, frozen=True, gc=False):
    """Ask for the balances of every wallet; answer by `balances`."""

    venue: str


class AskFunding(msgspec.Struct, frozen=True, gc=False):
    """Ask for the funding payments since the books were opened; answer by `funding`, booked."""

    venue: str


Ask: TypeAlias = AskOrders | FetchFills | AskFunding | AskPositions | AskBalances


class Remedy(Enum):
    """What became of a difference, or must."""

    ADOPTED = "adopted"
    ASKED = "asked the venue"
    BOOKED = "booked"
    OPERATOR = "accept it, or put it right at the venue"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that we and a venue saw differently."""

    venue: str
    words: str
    remedy: Remedy

    def __str__(self) -> str:
        return f"{self.venue} {self.words}: {self.remedy.value}"


class Reconciliation:
    """One pass over one venue, in this order: open orders and missed fills; every order that is
    still unknown; and only then, when nothing is under way, positions and balances.

    The session carries out what `begin` and `tick` return. Nobody trades on the venue before
    `settled`.

    Attributes:
        differences: what was found, in the order it was.
        began: books of this venue were begun here, because there were none: write
            `Portfolio.opening` to the journal.
    """

    def __init__(
        self,
        venue: str,
        listings: Collection[Listing],
        manager: OrderManager,
        portfolio: Portfolio,
        last_fill_ns: Mapping[str, int],
        *,
        opened: bool,
    ) -> None:
        """
        Args:
            listings: all that are traded there.
            last_fill_ns: listing key -> venue's stamp of the newest fill booked.
            opened: the portfolio has books of this venue; otherwise they begin with its word.
        """
        self.venue: Final = venue
        self.differences: Final[list[Difference]] = []
        self.began = False
        self._listings: Final = {listing.key: listing for listing in listings}
        self._manager: Final = manager
        self._portfolio: Final = portfolio
        self._last_fill_ns: Final = last_fill_ns
        self._opened = opened
        self._pays_funding: Final = any(one.kind is not Kind.SPOT for one in listings)
        self._waiting: Final[dict[Ask, int]] = {}
        self._told_positions: list[Position] = []
        self._told_balances: list[Balance] = []
        self._compares = False
        self._compare_ns = 0
        self._round = 0
        self._drifts: list[Drift] = []
        self._settled = False

    @property
    def settled(self) -> bool:
        """We and the venue agree, or the operator took its word."""
        return self._settled

    @property
    def needs_operator(self) -> list[Drift]:
        """Differences that only a person can settle; see `accept`."""
        return self._drifts

    def begin(self, now_ns: int) -> list[Ask]:
        """The first questions."""
        kinds = {listing.kind: None for listing in self._listings.values()}
        asks: list[Ask] = [AskOrders(self.venue, kind) for kind in kinds]
        for key, listing in self._listings.items():
            last_ns = self._last_fill_ns.get(key)
            # Without any fill of ours yet, those of orders sent in the last minute are enough.
            since_ns = (now_ns if last_ns is None else last_ns) - DEFAULT.overlap_ns
            asks.append(FetchFills(listing, since_ns))
        return self._ask(asks, now_ns)

    def tick(self, now_ns: int) -> list[Ask]:
        """Time passed, or an answer came: what to ask next."""
        if self._settled:
            return []
        late = [ask for ask, asked_ns in self._waiting.items() if now_ns - asked_ns >= ANSWER_NS]
        if late or self._waiting:
            return self._ask(late, now_ns)
        if any(True for _ in self._manager.unsettled(self.venue)):
            return []
        if not self._compares:
            if now_ns < self._compare_ns:
                return []
            self._compares = True
            asks: list[Ask] = [AskPositions(self.venue), AskBalances(self.venue)]
            if self._opened and self._pays_funding:
                asks.append(AskFunding(self.venue))
            return self._ask(asks, now_ns)
        self._compares = False
        return self._compare(now_ns)

    # ---- answers ------------------------------------------------------------------------------

    def orders(self, ask: AskOrders, told: Sequence[OrderUpdate], now_ns: int) -> None:
        """All open orders of a kind."""
        asked_ns = self._waiting.pop(ask, None)
        if asked_ns is None:
            return
        known = {order.client_id for order in self._manager.live(self.venue)}
        missing = self._manager.settle_open(self.venue, ask.kind, told, asked_ns, now_ns)
        for order in self._manager.live(self.venue):
            if order.client_id not in known:
                self._found(f"{order!r} of an earlier run was open", Remedy.ADOPTED)
        for order in missing:
            self._found(f"{order!r} is not among the open orders", Remedy.ASKED)

    def fills(self, ask: FetchFills, told: Iterable[Fill], now_ns: int) -> None:
        """Fills of a listing since the moment asked for; those already booked are welcome."""
        self._waiting.pop(ask, None)
        for fill in told:
            if self._manager.filled(fill, now_ns):
                words = (
                    f"{fill.listing.symbol} trade {fill.trade_id}, {fill.side} {fill.size:f} @ "
                    f"{fill.price:f}, was missed"
                )
                self._found(words, Remedy.BOOKED)

    def funding(self) -> None:
        """Every funding payment of these books is booked."""
        self._waiting.pop(AskFunding(self.venue), None)

    def positions(self, told: Sequence[Position], now_ns: int) -> None:
        """All positions; what is not among them is flat."""
        self._waiting.pop(AskPositions(self.venue), None)
        mine = {position.listing.key: position for position in told}
        self._told_positions = [
            mine.get(key, Position(listing, ZERO, None, None, now_ns, now_ns))
            for key, listing in self._listings.items()
            if listing.kind is not Kind.SPOT
        ]

    def balances(self, told: Sequence[Balance], now_ns: int) -> None:
        """All balances; what is not among them is zero."""
        self._waiting.pop(AskBalances(self.venue), None)
        named = {(balance.wallet, balance.asset) for balance in told}
        gone = [
            Balance(*wallet, ZERO, ZERO, now_ns, now_ns)
            for wallet in self._portfolio.wallets(self.venue)
            if (wallet.wallet, wallet.asset) not in named
        ]
        self._told_balances = [*told, *gone]

    def failed(self, ask: Ask, now_ns: int) -> None:
        """A question failed; it is asked again after a pause."""
        if ask in self._waiting:
            self._waiting[ask] = now_ns - ANSWER_NS + AGAIN_NS

    def accept(self, now_ns: int) -> None:
        """The operator takes the venue's word on every difference that is left."""
        for drift in self._drifts:
            self._portfolio.accept(drift, now_ns)
        self._settled = self._settled or bool(self._drifts)
        self._drifts = []

    # -------------------------------------------------------------------------------------------

    def _ask(self, asks: Sequence[Ask], now_ns: int) -> list[Ask]:
        for ask in asks:
            self._waiting[ask] = now_ns
        return list(asks)

    def _found(self, words: str, remedy: Remedy) -> None:
        self.differences.append(Difference(self.venue, words, remedy))

    def _compare(self, now_ns: int) -> list[Ask]:
        if not self._opened:
            self._open(now_ns)
        for balance in self._told_balances:
            self._portfolio.told_balance(balance, now_ns)
        for position in self._told_positions:
            self._portfolio.told_position(position, now_ns)
        drifts = self._portfolio.drifts(now_ns, self.venue, at_once=True)
        self._round += 1
        if not drifts:
            self._settled = True
            self._drifts = []
        elif self._round < ROUNDS:
            self._compare_ns = now_ns + AGAIN_NS
            # Before anybody is troubled: the fill that explains it may have been told by now.
            return self._ask(
                [
                    FetchFills(listing, now_ns - DEFAULT.overlap_ns)
                    for listing in self._listings.values()
                ],
                now_ns,
            )
        else:
            known = {difference.words for difference in self.differences}
            for drift in drifts:
                words = str(drift).removeprefix(f"{self.venue} ")
                if words not in known:
                    self._found(words, Remedy.OPERATOR)
            self._drifts = drifts
            # It goes on looking: what is put right at the venue needs nobody here.
            self._compare_ns = now_ns + ANSWER_NS
        return []

    def _open(self, now_ns: int) -> None:
        """First books of this venue: its word, whatever it is, of which the fills that were booked
        meanwhile are a part.
        """
        balances = [
            msgspec.structs.replace(
                told,
                total=told.total
                - self._portfolio.ledger.balance(told.venue, told.wallet, told.asset),
            )
            for told in self._told_balances
        ]
        positions = [
            OpenPosition(told.listing, told.size, told.entry) for told in self._told_positions
        ]
        self._portfolio.open(Opening(now_ns, tuple(balances), tuple(positions)))
        self._opened = self.began = True
