"""All venues of one market: who may be believed, and the best of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from hftmm.book.nbbo import NBBO, best
from hftmm.book.order_book import OrderBook
from hftmm.book.signals import Deviation, distance_bps
from hftmm.core.events import VenueState
from hftmm.core.fees import NO_FEES, FeeRates

NEVER_NS: Final = 2**63 - 1
_MILLISECOND: Final = 1_000_000
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Trust:
    """When a venue's book is too old to be believed.

    Attributes:
        max_age_ns: since we last heard of the book, our clock.
        max_lag_ns: from the venue's stamp to our receipt, clock offset removed.
    """

    max_age_ns: int
    max_lag_ns: int


@dataclass(frozen=True, slots=True)
class Quarantine:
    """When a venue strays: more than `deviations` of its usual distance, and than `floor_bps`."""

    deviations: float
    floor_bps: float
    release_ns: int


class Member:
    """One venue in a market.

    Attributes:
        state, reason: whether it counts, and one line why not.
        clock_offset_ns: the venue's clock less ours.
    """

    __slots__ = (
        "_calm_since_ns",
        "book",
        "buy_cost",
        "clock_offset_ns",
        "deviation",
        "eligible",
        "fees",
        "quarantined",
        "reason",
        "sell_yield",
        "state",
        "trust",
        "venue",
    )

    def __init__(self, book: OrderBook, trust: Trust, fees: FeeRates = NO_FEES) -> None:
        self.venue = book.listing.venue
        self.book = book
        self.trust = trust
        self.charge(fees)
        self.state = VenueState.SYNCING
        self.reason = book.reason
        self.eligible = False
        self.clock_offset_ns = 0
        self.deviation = Deviation()
        self.quarantined = False
        self._calm_since_ns = NEVER_NS

    def charge(self, fees: FeeRates) -> None:
        """These are the venue's fees from now on."""
        self.fees = fees
        self.buy_cost = 1.0 + fees.taker
        self.sell_yield = 1.0 - fees.taker

    @property
    def mid(self) -> float | None:
        """None unless both sides are quoted."""
        book = self.book
        if book.bid_size <= 0.0 or book.ask_size <= 0.0:
            return None
        return (book.bid + book.ask) / 2.0

    @property
    def lag_ns(self) -> int | None:
        """From the venue's stamp to our receipt; None if the venue sent no stamp."""
        venue_ns = self.book.venue_ns
        if not venue_ns:
            return None
        return self.book.received_ns - venue_ns + self.clock_offset_ns

    def judge(self, now_ns: int) -> None:
        """Decides anew whether this venue counts."""
        book = self.book
        age_ns = now_ns - book.received_ns
        if not book.valid:
            self.state, self.reason = VenueState.SYNCING, book.reason
        elif age_ns > self.trust.max_age_ns:
            self.state = VenueState.STALE
            limit_ms = self.trust.max_age_ns // _MILLISECOND
            self.reason = f"nothing heard for {age_ns // _MILLISECOND} ms, limit {limit_ms}"
        elif (lag_ns := self.lag_ns) is not None and lag_ns > self.trust.max_lag_ns:
            self.state = VenueState.STALE
            limit_ms = self.trust.max_lag_ns // _MILLISECOND
            self.reason = f"{lag_ns // _MILLISECOND} ms behind the venue, limit {limit_ms}"
        elif self.quarantined:
            self.state = VenueState.QUARANTINED
            self.reason = (
                f"mid {self.deviation.bps:+.1f} bps from the others,"
                f" usual {self.deviation.usual_bps:.1f}"
            )
        else:
            self.state, self.reason = VenueState.LIVE, ""
        self.eligible = self.state is VenueState.LIVE

    def strays(self, mid: float, others: float, rule: Quarantine) -> bool:
        """Whether its mid is further from the median of the others' than it may be."""
        return abs(distance_bps(mid, others)) > self._limit_bps(rule)

    def watch(
        self, mid: float, others: float, seconds: float, rule: Quarantine, now_ns: int
    ) -> None:
        """Quarantines a venue that strays from the median of the others, and lets it return."""
        limit = self._limit_bps(rule)
        deviation = self.deviation
        straying = self.quarantined or self.strays(mid, others, rule)
        deviation.measure(mid, others, seconds, straying=straying)
        if abs(deviation.bps) > limit:
            self.quarantined = True
            self._calm_since_ns = NEVER_NS
        elif self.quarantined:
            if abs(deviation.bps) > limit / 2.0:
                self._calm_since_ns = NEVER_NS
            else:
                self._calm_since_ns = min(self._calm_since_ns, now_ns)
                self.quarantined = now_ns - self._calm_since_ns < rule.release_ns

    def _limit_bps(self, rule: Quarantine) -> float:
        return max(rule.floor_bps, rule.deviations * self.deviation.usual_bps)


class ConsolidatedBook:
    """One market over all its venues.

    `best_bid` and `best_ask` are kept on every move of a touch; `nbbo()` and `net()` say who
    stands there.

    Attributes:
        best_bid: 0.0 if nobody eligible bids; best_ask: infinite if nobody offers.
    """

    __slots__ = (
        "_next_expiry_ns",
        "_quarantine",
        "_watched_ns",
        "best_ask",
        "best_bid",
        "eligible",
        "members",
        "symbol",
    )

    def __init__(self, symbol: str, members: Sequence[Member], quarantine: Quarantine) -> None:
        self.symbol = symbol
        self.members = tuple(members)
        self.eligible: tuple[Member, ...] = ()
        self.best_bid = 0.0
        self.best_ask = float("inf")
        self._quarantine = quarantine
        self._next_expiry_ns = 0
        self._watched_ns = 0

    def moved(self, member: Member, now_ns: int) -> None:
        """A member's touch moved, or its book came or went."""
        if now_ns >= self._next_expiry_ns or member.eligible is not member.book.valid:
            self.review(now_ns)
            return
        self._rank()

    def review(self, now_ns: int) -> None:
        """Judges every member anew. Called on time as well as on events, since silence is one."""
        expiry = NEVER_NS
        eligible = []
        for member in self.members:
            member.judge(now_ns)
            if member.eligible:
                eligible.append(member)
                expiry = min(expiry, member.book.received_ns + member.trust.max_age_ns + 1)
        self.eligible = tuple(eligible)
        self._next_expiry_ns = expiry
        self._rank()

    def watch(self, now_ns: int) -> None:
        """Compares the venues' mids, to quarantine one that strays; call it a few times a second.

        With fewer than three venues nobody can tell which of them strays: none is quarantined,
        and one that is stays so.
        """
        seconds = (now_ns - self._watched_ns) / _SECOND if self._watched_ns else 0.0
        self._watched_ns = now_ns
        rule = self._quarantine
        mids = {
            member: mid
            for member in self.members
            if member.state in (VenueState.LIVE, VenueState.QUARANTINED)
            and (mid := member.mid) is not None
        }
        trusted = [member for member in mids if not member.quarantined]
        # One that strays draws the median of the others away from each of them: the furthest is
        # judged first, and the rest without it.
        while len(trusted) >= 3:
            medians = {
                member: median(mids[other] for other in trusted if other is not member)
                for member in trusted
            }
            furthest = max(trusted, key=lambda m: abs(distance_bps(mids[m], medians[m])))
            if not furthest.strays(mids[furthest], medians[furthest], rule):
                break
            furthest.watch(mids[furthest], medians[furthest], seconds, rule, now_ns)
            trusted.remove(furthest)
            del mids[furthest]
        for member, mid in mids.items():
            others = [mids[other] for other in trusted if other is not member]
            if len(others) >= 2:
                member.watch(mid, median(others), seconds, rule, now_ns)
        self.review(now_ns)

    def nbbo(self, now_ns: int) -> NBBO:
        """Best prices as quoted."""
        books = [(member.venue, member.book) for member in self.eligible]
        return best(
            [(venue, b.bid, b.bid_size, b.ask, b.ask_size) for venue, b in books], False, now_ns
        )

    def net(self, now_ns: int) -> NBBO:
        """Best prices after each venue's taker fee: what a taker would really get and pay."""
        quotes = []
        for member in self.eligible:
            b = member.book
            quotes.append(
                (
                    member.venue,
                    b.bid * member.sell_yield,
                    b.bid_size,
                    b.ask * member.buy_cost,
                    b.ask_size,
                )
            )
        return best(quotes, True, now_ns)

    def _rank(self) -> None:
        best_bid = 0.0
        best_ask = float("inf")
        for member in self.eligible:
            book = member.book
            if book.bid > best_bid and book.bid_size > 0.0:
                best_bid = book.bid
            if book.ask < best_ask and book.ask_size > 0.0:
                best_ask = book.ask
        self.best_bid = best_bid
        self.best_ask = best_ask
