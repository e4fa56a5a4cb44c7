"""All venues of a market: who counts, who does not and why, and the best of those who do."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hftmm.book.consolidated import ConsolidatedBook, Member, Quarantine, Trust
from hftmm.book.kernels import STATE_ID, VENUE_MS
from hftmm.book.nbbo import MarketState
from hftmm.core.events import VenueState
from hftmm.core.fees import NO_FEES, FeeRates
from tests.books import MS, SECOND, book, delta, listing, top

VENUES = ("binance", "bybit", "okx")
TRUST = Trust(max_age_ns=1_000 * MS, max_lag_ns=500 * MS)
RULE = Quarantine(deviations=8.0, floor_bps=20.0, release_ns=3 * SECOND)
START = 1_000 * SECOND


def member(
    venue: str,
    bid: int = 10_000,
    ask: int = 10_002,
    *,
    size: float = 1.0,
    fees: FeeRates = NO_FEES,
    now_ns: int = START,
    venue_ns: int = 0,
) -> Member:
    held = book(
        [(bid, size)], [(ask, size)], of=listing(venue), received_ns=now_ns, venue_ns=venue_ns
    )
    return Member(held, TRUST, fees)


def market(*members: Member, now_ns: int = START) -> ConsolidatedBook:
    consolidated = ConsolidatedBook("BTC/USDT", members, RULE)
    consolidated.review(now_ns)
    return consolidated


def move(of: Member, bid: int, ask: int, now_ns: int, size: float = 1.0) -> None:
    held = of.book
    old = [(tick, 0.0) for tick in held.levels(0)[0].tolist()]
    gone = [(tick, 0.0) for tick in held.levels(1)[0].tolist()]
    held.apply(
        delta(
            [*old, (bid, size)],
            [*gone, (ask, size)],
            final=int(held.ints[0, STATE_ID]) + 1,
            of=held.listing,
            received_ns=now_ns,
        )
    )


# -- who counts ---------------------------------------------------------------------------------


def test_a_venue_without_a_book_is_syncing_and_says_what_it_waits_for() -> None:
    waiting = member("okx")
    waiting.book.invalidate("gap: update 5 is followed by 9")
    both = market(waiting, member("binance"))
    assert (waiting.state, waiting.eligible) == (VenueState.SYNCING, False)
    assert waiting.reason == "gap: update 5 is followed by 9"
    assert both.nbbo(START).bid_venues == ("binance",)


def test_a_book_that_turns_invalid_leaves_in_the_same_call() -> None:
    best, other = member("okx", 10_001, 10_002), member("binance", 9_999, 10_003)
    both = market(best, other)
    assert both.best_bid == 100.01
    best.book.invalidate("gap")
    both.moved(best, START + 1)
    assert (both.best_bid, both.best_ask) == (99.99, 100.03)
    assert both.nbbo(START + 1).bid_venues == ("binance",)
    assert (best.state, best.reason) == (VenueState.SYNCING, "gap")


def test_a_book_that_is_valid_again_returns_in_the_same_call() -> None:
    lost = member("okx")
    lost.book.invalidate("gap")
    alone = market(lost)
    assert alone.nbbo(START).state is MarketState.EMPTY
    lost.book.apply(
        delta(
            [(10_000, 1.0)],
            [(10_002, 1.0)],
            of=lost.book.listing,
            snapshot=True,
            received_ns=START + 5,
        )
    )
    alone.moved(lost, START + 5)
    assert (lost.state, lost.reason, alone.best_bid) == (VenueState.LIVE, "", 100.0)


def test_a_book_not_heard_of_for_too_long_is_stale_without_any_event() -> None:
    quiet = member("okx")
    alone = market(quiet)
    alone.review(START + TRUST.max_age_ns)
    assert quiet.eligible
    alone.review(START + TRUST.max_age_ns + 1)
    assert (quiet.state, quiet.eligible) == (VenueState.STALE, False)
    assert quiet.reason == "nothing heard for 1000 ms, limit 1000"
    assert alone.best_bid == 0.0


def test_a_book_goes_stale_when_another_moves_as_well() -> None:
    quiet, busy = member("okx", 10_001, 10_002), member("binance")
    both = market(quiet, busy)
    late = START + TRUST.max_age_ns + 1
    move(busy, 9_998, 10_004, late)
    both.moved(busy, late)
    assert not quiet.eligible
    assert (both.best_bid, both.best_ask) == (99.98, 100.04)


def test_a_stale_book_that_is_heard_of_again_is_live() -> None:
    quiet = member("okx")
    alone = market(quiet)
    late = START + 5 * SECOND
    alone.review(late)
    assert not quiet.eligible
    move(quiet, 10_000, 10_003, late)
    alone.moved(quiet, late)
    assert quiet.state is VenueState.LIVE


def test_a_book_too_far_behind_its_venue_is_stale_however_often_we_hear_of_it() -> None:
    behind = member("okx", venue_ns=START - 501 * MS)
    alone = market(behind)
    assert (behind.state, behind.lag_ns) == (VenueState.STALE, 501 * MS)
    assert behind.reason == "501 ms behind the venue, limit 500"
    assert alone.nbbo(START).state is MarketState.EMPTY


def test_the_difference_of_the_clocks_is_not_lag() -> None:
    ahead = member("okx", venue_ns=START + 400 * MS)
    ahead.clock_offset_ns = 600 * MS
    market(ahead)
    assert (ahead.lag_ns, ahead.eligible) == (200 * MS, True)
    ahead.clock_offset_ns = 901 * MS
    market(ahead)
    assert not ahead.eligible


def test_a_venue_without_stamps_has_no_lag() -> None:
    unstamped = member("binance")
    market(unstamped)
    assert (unstamped.lag_ns, unstamped.eligible) == (None, True)


def test_a_newer_quote_counts_as_hearing_of_the_book() -> None:
    quoted = member("okx")
    alone = market(quoted)
    late = START + 900 * MS
    quoted.book.quote(top(100.01, 1.0, 100.02, 1.0, 9, of=quoted.book.listing, received_ns=late))
    alone.moved(quoted, late)
    alone.review(START + 1_500 * MS)
    assert quoted.eligible
    assert alone.best_bid == 100.01


# -- after fees -----------------------------------------------------------------------------------


def test_the_net_prices_are_those_a_taker_gets_and_pays() -> None:
    cheap = member("binance", 10_000, 10_010, fees=FeeRates(Decimal(0), Decimal(1)))
    dear = member("okx", 10_003, 10_008, fees=FeeRates(Decimal(0), Decimal(10)))
    both = market(cheap, dear)
    assert (both.nbbo(START).bid_venues, both.nbbo(START).ask_venues) == (("okx",), ("okx",))
    net = both.net(START)
    assert net.net
    assert (net.bid_venues, net.ask_venues) == (("binance",), ("binance",))
    assert net.bid == pytest.approx(100.0 * (1 - 0.0001))
    assert net.ask == pytest.approx(100.10 * (1 + 0.0001))


# -- quarantine -----------------------------------------------------------------------------------


def keep_watching(
    consolidated: ConsolidatedBook, seconds: float, start_ns: int, step: float = 0.2
) -> int:
    """Watches for so long, every book heard of each time; the time at the end."""
    now_ns = start_ns
    while now_ns < start_ns + int(seconds * SECOND):
        now_ns += int(step * SECOND)
        for each in consolidated.members:
            each.book.received_ns = now_ns
        consolidated.review(now_ns)
        consolidated.watch(now_ns)
    return now_ns


@pytest.mark.parametrize("strayed", VENUES)
def test_the_one_of_three_that_strays_is_quarantined_whatever_its_place(strayed: str) -> None:
    members = [member(venue) for venue in VENUES]
    market_of_three = market(*members)
    now_ns = keep_watching(market_of_three, 2.0, START)
    for each in members:
        if each.venue == strayed:
            move(each, 10_100, 10_102, now_ns)
    now_ns = keep_watching(market_of_three, 0.2, now_ns)
    assert {each.venue for each in members if each.quarantined} == {strayed}
    (out,) = (each for each in members if each.quarantined)
    assert (out.state, out.eligible) == (VenueState.QUARANTINED, False)
    assert out.reason == "mid +100.0 bps from the others, usual 0.0"
    assert strayed not in market_of_three.nbbo(now_ns).bid_venues


def test_less_than_the_floor_is_no_straying_however_unusual() -> None:
    members = [member(venue) for venue in VENUES]
    three = market(*members)
    now_ns = keep_watching(three, 2.0, START)
    move(members[0], 10_019, 10_021, now_ns)
    keep_watching(three, 1.0, now_ns)
    assert not any(each.quarantined for each in members)


def test_what_is_usual_for_a_venue_is_no_straying() -> None:
    members = [member(venue) for venue in VENUES]
    # Always 10 bps away: 8 times that is within its own limit.
    move(members[2], 10_010, 10_012, START)
    three = market(*members)
    now_ns = keep_watching(three, 30.0, START)
    move(members[2], 10_060, 10_062, now_ns)
    now_ns = keep_watching(three, 0.2, now_ns)
    assert not any(each.quarantined for each in members)
    move(members[2], 10_120, 10_122, now_ns)
    keep_watching(three, 0.2, now_ns)
    assert [each.quarantined for each in members] == [False, False, True]


def test_a_venue_returns_once_it_was_near_the_others_for_long_enough() -> None:
    members = [member(venue) for venue in VENUES]
    three = market(*members)
    now_ns = keep_watching(three, 1.0, START)
    move(members[1], 10_100, 10_102, now_ns)
    now_ns = keep_watching(three, 1.0, now_ns)
    assert members[1].quarantined
    # Within the limit, but not within half of it.
    move(members[1], 10_015, 10_017, now_ns)
    now_ns = keep_watching(three, 5.0, now_ns)
    assert members[1].quarantined
    move(members[1], 10_000, 10_002, now_ns)
    now_ns = keep_watching(three, 2.0, now_ns)
    assert members[1].quarantined
    now_ns = keep_watching(three, 1.4, now_ns)
    assert not members[1].quarantined
    assert members[1].eligible


def test_straying_again_before_that_begins_the_wait_anew() -> None:
    members = [member(venue) for venue in VENUES]
    three = market(*members)
    now_ns = keep_watching(three, 1.0, START)
    for bid in (10_100, 10_000, 10_100, 10_000):
        move(members[1], bid, bid + 2, now_ns)
        now_ns = keep_watching(three, 2.0, now_ns)
    assert members[1].quarantined


def test_of_two_venues_none_is_quarantined() -> None:
    members = [member("binance"), member("okx")]
    two = market(*members)
    now_ns = keep_watching(two, 1.0, START)
    move(members[0], 20_000, 20_002, now_ns)
    keep_watching(two, 1.0, now_ns)
    assert not any(each.quarantined for each in members)


def test_with_the_third_in_quarantine_the_other_two_may_part() -> None:
    members = [member(venue) for venue in VENUES]
    three = market(*members)
    now_ns = keep_watching(three, 1.0, START)
    move(members[0], 10_500, 10_502, now_ns)
    now_ns = keep_watching(three, 1.0, now_ns)
    move(members[1], 10_060, 10_062, now_ns)
    now_ns = keep_watching(three, 1.0, now_ns)
    assert [each.quarantined for each in members] == [True, False, False]


def test_a_venue_that_is_stale_or_one_sided_is_no_judge_and_is_not_judged() -> None:
    members = [member(venue) for venue in VENUES]
    three = market(*members)
    now_ns = keep_watching(three, 1.0, START)
    members[2].book.apply(delta([(10_000, 0.0)], final=2, of=members[2].book.listing))
    assert members[2].mid is None
    move(members[0], 11_000, 11_002, now_ns)
    keep_watching(three, 1.0, now_ns)
    assert not any(each.quarantined for each in members)


def test_two_of_five_that_stray_are_both_found() -> None:
    members = [member(venue) for venue in (*VENUES, "fourth", "fifth")]
    five = market(*members)
    now_ns = keep_watching(five, 1.0, START)
    move(members[0], 10_300, 10_302, now_ns)
    move(members[3], 9_500, 9_502, now_ns)
    keep_watching(five, 0.2, now_ns)
    assert [each.quarantined for each in members] == [True, False, False, True, False]


# -- against a scan -------------------------------------------------------------------------------


class ConsolidatedAgainstScan(RuleBasedStateMachine):
    """After every event the best prices are those of a scan over whoever may be believed."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = START
        self.members = [
            member(venue, fees=FeeRates(Decimal(0), Decimal(n))) for n, venue in enumerate(VENUES)
        ]
        self.market = market(*self.members)

    @rule(
        n=st.integers(0, 2),
        bid=st.integers(9_990, 10_005),
        spread=st.integers(1, 10),
        size=st.sampled_from([0.0, 1.0, 2.0]),
        lag_ms=st.sampled_from([0, 10, 499]),
    )
    def move(self, n: int, bid: int, spread: int, size: float, lag_ms: int) -> None:
        each = self.members[n]
        if each.book.valid:
            move(each, bid, bid + spread, self.now_ns, size)
            each.book.ints[0, VENUE_MS] = (self.now_ns - lag_ms * MS) // MS
            self.market.moved(each, self.now_ns)

    @rule(n=st.integers(0, 2))
    def lose(self, n: int) -> None:
        self.members[n].book.invalidate("test")
        self.market.moved(self.members[n], self.now_ns)

    @rule(n=st.integers(0, 2), bid=st.integers(9_990, 10_005))
    def recover(self, n: int, bid: int) -> None:
        each = self.members[n]
        each.book.apply(
            delta(
                [(bid, 1.0)],
                [(bid + 3, 1.0)],
                of=each.book.listing,
                snapshot=True,
                received_ns=self.now_ns,
                venue_ns=self.now_ns,
            )
        )
        self.market.moved(each, self.now_ns)

    @rule(ms=st.integers(1, 700))
    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.market.review(self.now_ns)

    @rule(ms=st.integers(1, 700))
    def watch(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.market.watch(self.now_ns)

    @invariant()
    def best_equals_a_scan(self) -> None:
        believed = [
            each
            for each in self.members
            if each.book.valid
            and self.now_ns - each.book.received_ns <= TRUST.max_age_ns
            and (each.lag_ns is None or each.lag_ns <= TRUST.max_lag_ns)
            and not each.quarantined
        ]
        assert list(self.market.eligible) == believed
        bids = [each.book.bid for each in believed if each.book.bid_size]
        asks = [each.book.ask for each in believed if each.book.ask_size]
        assert self.market.best_bid == max(bids, default=0.0)
        assert self.market.best_ask == min(asks, default=float("inf"))
        formed, net = self.market.nbbo(self.now_ns), self.market.net(self.now_ns)
        assert formed.bid == max(bids, default=0.0)
        assert formed.ask == min(asks, default=0.0)
        assert net.bid == max(
            (e.book.bid * (1 - e.fees.taker) for e in believed if e.book.bid_size), default=0.0
        )
        assert net.ask == min(
            (e.book.ask * (1 + e.fees.taker) for e in believed if e.book.ask_size), default=0.0
        )


TestConsolidatedAgainstScan = ConsolidatedAgainstScan.TestCase
TestConsolidatedAgainstScan.settings = settings(stateful_step_count=40)
