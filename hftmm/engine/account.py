"""One venue's account: its session, and whether we and the venue agree, so that it may trade."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import (
    Amendment,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderRequest,
    OrderUpdate,
    Position,
)
from hftmm.execution.action import Action, Amend, Cancel, FetchFills, Place, Query, SyncClock
from hftmm.execution.order_manager import OrderManager
from hftmm.execution.reconciliation import (
    Ask,
    AskBalances,
    AskFunding,
    AskOrders,
    AskPositions,
    Reconciliation,
)
from hftmm.execution.settling import DEFAULT
from hftmm.risk.portfolio import Portfolio
from hftmm.venues.account import AccountSession
from hftmm.venues.account_sink import (
    Balances,
    Cancellation,
    Clearance,
    Errand,
    FillsSince,
    FundingSince,
    OneOrder,
    OpenOrders,
    Positions,
    Question,
    Rates,
    Rights,
)
from hftmm.venues.codec import MILLISECOND, SECOND
from hftmm.venues.effects import Note
from hftmm.venues.private import Permissions
from hftmm.venues.rights import objections
from hftmm.venues.usage import Usage

AUDIT_EVERY_NS: Final = 30 * SECOND
"""How often a venue is asked for its own word while all is well."""
FUNDING_SPAN_NS: Final = 6 * 86_400 * SECOND
"""Venues tell the funding of a week."""
SAME_FUNDING_NS: Final = 600 * SECOND
"""Stamps of one payment differ by less from stream to query, those of two by hours."""
AGAIN_NS: Final = 5 * SECOND
"""Before a question about the key that failed is asked again."""


class AccountHouse(Protocol):
    """Whom an account reports to."""

    def funded(self, funding: Funding, now_ns: int) -> None: ...

    def rates_told(self, listing: Listing, rates: FeeRates, now_ns: int) -> None: ...

    def canceled(self, venue: str, client_ids: Sequence[str], answer: OrderAnswer) -> None:
        """A cancel of these orders was answered."""
        ...

    def open_told(
        self, venue: str, kind: Kind, client_ids: Sequence[str], asked_ns: int, now_ns: int
    ) -> None:
        """The venue's whole list of open orders of ours, asked for at `asked_ns`."""
        ...

    def open_untold(self, venue: str, why: str, now_ns: int) -> None:
        """The question for open orders has no answer."""
        ...

    def back(self, venue: str, now_ns: int) -> None:
        """A venue can be reached again."""
        ...

    def opened(self, now_ns: int) -> None:
        """Books of a venue were begun with its word."""
        ...

    def noted(self, note: Note) -> None: ...


@dataclass(slots=True)
class Past:
    """What is known of a venue from before: see `Reconciliation`.

    Attributes:
        opened_ns: when its books were opened, 0 if they are not.
        fundings: booked since.
    """

    last_fill_ns: Mapping[str, int]
    opened_ns: int
    fundings: list[Funding] = field(default_factory=list)

    @property
    def opened(self) -> bool:
        return self.opened_ns > 0


class Account:
    """One venue's account. The session tells it what the venue says.

    Attributes:
        why: why no new order may go there, one line; "" if it may.
        differences: what the last pass of reconciliation found, each in words.
    """

    def __init__(
        self,
        venue: str,
        manager: OrderManager,
        portfolio: Portfolio,
        house: AccountHouse,
        past: Past,
    ) -> None:
        self.venue: Final = venue
        self.why = "not connected yet"
        self.differences: list[str] = []
        self._manager: Final = manager
        self._portfolio: Final = portfolio
        self._house: Final = house
        self._past: Final = past
        self._session: AccountSession | None = None
        self._listings: Collection[Listing] = ()
        self._pass: Reconciliation | None = None
        self._wanted = True
        self._told_differences = 0
        self._objections: tuple[str, ...] | None = None
        self._rights_ns = 0
        self._barred = False
        self._asked: Final[dict[Kind, int]] = {}
        self._audit_ns = 0

    @property
    def session(self) -> AccountSession:
        assert self._session is not None
        return self._session

    def start(
        self, session: AccountSession, listings: Mapping[tuple[Kind, str], Listing], now_ns: int
    ) -> None:
        """Begins. Attributes: listings: of the venue, kept up to date by whoever owns them."""
        self._session = session
        self._listings = listings.values()
        session.start(now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed."""
        session = self.session
        session.tick(now_ns)
        state = session.state(now_ns)
        self._barred = state.refused
        if not state.logged_in:
            self.why = state.missing
            return
        if self._objections is None:
            self.why = "asking what the key may do"
            if now_ns >= self._rights_ns:
                self._rights_ns = now_ns + AGAIN_NS
                session.ask(Rights(), now_ns)
            return
        if self._objections:
            self.why = self._objections[0]
            return
        if self._wanted:
            self._begin_pass(now_ns)
        if self._pass is not None:
            self._go_on(self._pass, now_ns)
        elif now_ns >= self._audit_ns:
            self._audit(now_ns)

    def perform(self, action: Action, now_ns: int) -> None:
        """Does for the order manager what it drained."""
        session = self.session
        match action:
            case Place(request):
                session.send(request, now_ns)
            case Amend(change):
                session.send(change, now_ns)
            case Cancel(listing, client_id, venue_id):
                session.send(Cancellation(listing, client_id, venue_id), now_ns)
            case Query(listing, client_id):
                session.ask(OneOrder(listing, client_id), now_ns)
            case FetchFills(listing, since_ns):
                session.ask(FillsSince(listing, since_ns), now_ns)
            case SyncClock():
                session.sync_clock(now_ns)

    def ask_open(self, now_ns: int) -> None:
        """Asks for every open order."""
        for kind in self._kinds():
            self._asked.setdefault(kind, now_ns)
            self.session.ask(OpenOrders(kind), now_ns)

    def clear(self, listing: Listing, now_ns: int) -> None:
        """Cancels every order of a listing at once, whoever follows them."""
        known = tuple(
            (order.client_id, order.venue_id)
            for order in self._manager.live(self.venue)
            if order.key == listing.key
        )
        self.session.send(Clearance(listing, known), now_ns)

    @property
    def listings(self) -> Collection[Listing]:
        return self._listings

    @property
    def needs_operator(self) -> bool:
        """What stands in the way only a person can put right: differences, or rights of the key."""
        return bool(self._objections) or (
            self._pass is not None and bool(self._pass.needs_operator)
        )

    @property
    def stuck(self) -> bool:
        """No time will open it, only a person."""
        return self._barred or self.needs_operator or bool(self._objections)

    def bar(self, why: str) -> None:
        """It cannot begin as things are configured."""
        self.why, self._barred = why, True

    def accept(self, now_ns: int) -> list[str]:
        """The operator takes the venue's word; what that was about."""
        if self._pass is None:
            return []
        words = [str(drift) for drift in self._pass.needs_operator]
        self._pass.accept(now_ns)
        if words:
            self._house.opened(now_ns)
            self._go_on(self._pass, now_ns)
        return words

    # ---- AccountSink --------------------------------------------------------------------------

    def answered(self, errand: Errand, answer: OrderAnswer, now_ns: int) -> None:
        match errand:
            case Clearance(_, orders):
                self._house.canceled(self.venue, [one for one, _ in orders], answer)
            case Cancellation(_, client_id):
                self._house.canceled(self.venue, (client_id,), answer)
                self._manager.answered(_request(errand), answer, now_ns)
            case _:
                self._manager.answered(_request(errand), answer, now_ns)

    def unanswered(self, errand: Errand, why: str, now_ns: int) -> None:
        if not isinstance(errand, Clearance):
            self._manager.unanswered(_request(errand), why, now_ns)

    def updated(self, update: OrderUpdate, now_ns: int) -> None:
        self._manager.updated(update, now_ns)

    def filled(self, fill: Fill, now_ns: int) -> None:
        self._manager.filled(fill, now_ns)

    def balance_told(self, balance: Balance, now_ns: int) -> None:
        if self._past.opened:
            self._portfolio.told_balance(balance, now_ns)

    def position_told(self, position: Position, now_ns: int) -> None:
        if self._past.opened:
            self._portfolio.told_position(position, now_ns)

    def funded(self, funding: Funding, now_ns: int) -> None:
        if not any(_same(funding, known) for known in self._past.fundings):
            self._past.fundings.append(funding)
            self._house.funded(funding, now_ns)

    def orders_found(
        self, question: OpenOrders, orders: Sequence[OrderUpdate], now_ns: int
    ) -> None:
        kind = question.kind
        asked_ns = self._asked.pop(kind, now_ns)
        if self._pass is not None:
            self._pass.orders(AskOrders(self.venue, kind), orders, now_ns)
        else:
            self._manager.settle_open(self.venue, kind, orders, asked_ns, now_ns)
        owns = self._manager.ids.owns
        ours = [
            order.client_id for order in orders if owns(order.client_id) and not order.state.final
        ]
        self._house.open_told(self.venue, kind, ours, asked_ns, now_ns)

    def order_found(self, question: OneOrder, order: OrderUpdate | None, now_ns: int) -> None:
        if order is None:
            self._manager.not_found(Query(question.listing, question.client_id), now_ns)
        else:
            self._manager.updated(order, now_ns, answer=True)

    def fills_found(self, question: FillsSince, fills: Sequence[Fill], now_ns: int) -> None:
        if self._pass is not None:
            self._pass.fills(FetchFills(question.listing, question.since_ns), fills, now_ns)
        else:
            for fill in fills:
                self._manager.filled(fill, now_ns)

    def funding_found(
        self, question: FundingSince, fundings: Sequence[Funding], now_ns: int
    ) -> None:
        for funding in fundings:
            if funding.venue_ns > self._past.opened_ns:
                self.funded(funding, now_ns)
        if self._pass is not None:
            self._pass.funding()

    def positions_found(self, positions: Sequence[Position], now_ns: int) -> None:
        if self._pass is not None:
            self._pass.positions(positions, now_ns)
            return
        for position in positions:
            self._portfolio.told_position(position, now_ns)

    def balances_found(self, balances: Sequence[Balance], now_ns: int) -> None:
        if self._pass is not None:
            self._pass.balances(balances, now_ns)
            return
        for balance in balances:
            self._portfolio.told_balance(balance, now_ns)

    def rates_found(self, listing: Listing, rates: FeeRates, now_ns: int) -> None:
        self._house.rates_told(listing, rates, now_ns)

    def rights_found(self, rights: Permissions, now_ns: int) -> None:
        kinds = frozenset(self._kinds())
        self._objections = tuple(objections(self.venue, rights, kinds))
        for words in self._objections:
            self._note("error", "key", words, now_ns)
        if not self._objections:
            for listing in self._listings:
                self.session.ask(Rates(listing), now_ns)

    def failed(self, question: Question, why: str, now_ns: int) -> None:
        match question:
            case OneOrder(listing, client_id):
                self._manager.unanswered(Query(listing, client_id), why, now_ns)
            case OpenOrders(kind):
                self._asked.pop(kind, None)
                self._house.open_untold(self.venue, why, now_ns)
                self._failed(AskOrders(self.venue, kind), now_ns)
            case FillsSince(listing, since_ns):
                self._failed(FetchFills(listing, since_ns), now_ns)
            case FundingSince():
                self._failed(AskFunding(self.venue), now_ns)
            case Positions():
                self._failed(AskPositions(self.venue), now_ns)
            case Balances():
                self._failed(AskBalances(self.venue), now_ns)
            case Rates(listing):
                words = f"fee rates of {listing.symbol} are not told: {why}; those of the config"
                self._note("warning", "fees", words, now_ns)
            case Rights():
                self._note("warning", "key", f"the rights of the key are not told: {why}", now_ns)

    def lost(self, venue: str, kinds: frozenset[Kind], why: str, now_ns: int) -> None:
        # What happens from here on is not told: only a new pass can say what did.
        self._wanted = True
        self._pass = None
        for kind in kinds:
            self._manager.lost(venue, now_ns, kind)

    def back(self, venue: str, kinds: frozenset[Kind], now_ns: int) -> None:
        self._wanted = True
        self._pass = None
        self._house.back(venue, now_ns)

    def clock_synced(self, venue: str, now_ns: int) -> None:
        self._manager.clock_synced(venue, now_ns)

    def usage_told(self, venue: str, usage: Usage, now_ns: int) -> None:
        ends_ns = now_ns + usage.left_ms * MILLISECOND
        throttle = self._manager.throttles[venue]
        throttle.told_weight(usage.name, usage.used, usage.limit, ends_ns, now_ns)

    def noted(self, note: Note) -> None:
        self._house.noted(note)

    # -------------------------------------------------------------------------------------------

    def _kinds(self) -> list[Kind]:
        return list(dict.fromkeys(listing.kind for listing in self._listings))

    def _begin_pass(self, now_ns: int) -> None:
        self._wanted = False
        self._told_differences = 0
        self._pass = Reconciliation(
            self.venue,
            self._listings,
            self._manager,
            self._portfolio,
            self._past.last_fill_ns,
            opened=self._past.opened,
        )
        self.why = "comparing orders, fills and balances with the venue"
        self._carry(self._pass.begin(now_ns), now_ns)

    def _go_on(self, reconciling: Reconciliation, now_ns: int) -> None:
        self._carry(reconciling.tick(now_ns), now_ns)
        for difference in reconciling.differences[self._told_differences :]:
            self._note("warning", "reconciliation", str(difference), now_ns)
        self._told_differences = len(reconciling.differences)
        if reconciling.began and not self._past.opened:
            self._past.opened_ns = now_ns
            self._house.opened(now_ns)
        self.differences = [str(drift) for drift in reconciling.needs_operator]
        if self.differences:
            self.why = f"{self.differences[0]}: accept it, or put it right there"
        if reconciling.settled:
            self._pass = None
            self.why = ""
            self._audit_ns = now_ns + AUDIT_EVERY_NS
            self._note("info", "account", "orders, fills and balances agree", now_ns)

    def _audit(self, now_ns: int) -> None:
        """Asks for the venue's word. A difference that lasts starts a pass, and stops trading."""
        self._audit_ns = now_ns + AUDIT_EVERY_NS
        drifts = self._portfolio.drifts(now_ns, self.venue)
        if drifts:
            self._note("warning", "drift", str(drifts[0]), now_ns)
            self._wanted = True
            return
        self.ask_open(now_ns)
        for listing in self._listings:
            self.session.ask(
                FillsSince(listing, now_ns - AUDIT_EVERY_NS - DEFAULT.overlap_ns), now_ns
            )
        self.session.ask(Positions(), now_ns)
        self.session.ask(Balances(), now_ns)
        if Kind.LINEAR in self._kinds():
            self._carry([AskFunding(self.venue)], now_ns)

    def _carry(self, asks: Sequence[Ask], now_ns: int) -> None:
        for ask in asks:
            match ask:
                case AskOrders(_, kind):
                    self._asked[kind] = now_ns
                    self.session.ask(OpenOrders(kind), now_ns)
                case FetchFills(listing, since_ns):
                    self.session.ask(FillsSince(listing, since_ns), now_ns)
                case AskFunding():
                    since_ns = max(self._past.opened_ns, now_ns - FUNDING_SPAN_NS)
                    self.session.ask(FundingSince(since_ns), now_ns)
                case AskPositions():
                    self.session.ask(Positions(), now_ns)
                case AskBalances():
                    self.session.ask(Balances(), now_ns)

    def _failed(self, ask: Ask, now_ns: int) -> None:
        if self._pass is not None:
            self._pass.failed(ask, now_ns)

    def _note(self, level: str, event: str, text: str, now_ns: int) -> None:
        self._house.noted(Note(level, self.venue, event, text, now_ns))


def _same(one: Funding, other: Funding) -> bool:
    """Told twice: some streams do not say which listing it was for."""
    known = one.listing is None or other.listing is None or one.listing.key == other.listing.key
    return (
        known
        and (one.asset, one.amount) == (other.asset, other.amount)
        and abs(one.venue_ns - other.venue_ns) < SAME_FUNDING_NS
    )


def _request(errand: OrderRequest | Amendment | Cancellation) -> Place | Amend | Cancel:
    match errand:
        case OrderRequest():
            return Place(errand)
        case Amendment():
            return Amend(errand)
        case Cancellation(listing, client_id, venue_id):
            return Cancel(listing, client_id, venue_id)
