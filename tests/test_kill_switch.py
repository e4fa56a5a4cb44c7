"""The kill switch: latched first, verified with every venue, ended by a typed word."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import OrderAnswer, OrderIntent, Rejection, TimeInForce
from hftmm.desk.snapshot import VenueKill
from hftmm.risk.approval import Approved
from hftmm.risk.clearing import ANSWER_NS, HURRY_NS
from hftmm.risk.flattening import PAUSE_NS, TRIES
from hftmm.risk.kill_switch import WORD, KillSwitch, told
from tests.books import MS, SECOND, listing

START = 1_750_000_000 * SECOND
BOTH = (Kind.SPOT, Kind.LINEAR)
VENUES = ("binance", "bybit", "okx")
PERPETUAL = listing("okx", kind=Kind.LINEAR, min_size="0.01")
SPOT = listing("okx", min_notional="10")


@dataclass
class Pads:
    """Brakes that note what was done, in order, and say what a test has them say."""

    log: list[str] = field(default_factory=list)
    orders: dict[str, set[str]] = field(default_factory=dict)
    down: dict[str, str] = field(default_factory=dict)
    held: dict[str, list[tuple[Listing, Decimal]]] = field(default_factory=dict)
    book: float | None = 100.0
    unsettled: set[str] = field(default_factory=set)
    sent: list[OrderIntent] = field(default_factory=list)
    refusal: str = ""
    broken: str = ""
    losing: dict[str, str] = field(default_factory=dict)

    def latch(self, why: str) -> None:
        self.log.append(f"latch {why}")

    def hold(self, venue: str, why: str) -> None:
        self.log.append(f"hold {venue} {why}")

    def let_go(self, venue: str) -> str:
        if venue not in self.losing:
            self.log.append(f"hold {venue} ")
        return self.losing.get(venue, "")

    def persist(self, why: str, now_ns: int) -> None:
        self.log.append(f"persist {why}")

    def cancel(self, venue: str, client_ids: Collection[str], now_ns: int, *, bulk: bool) -> None:
        if venue == self.broken:
            raise RuntimeError("a defect")
        self.log.append(f"cancel {venue} {','.join(sorted(client_ids))}{' bulk' if bulk else ''}")

    def ask_open(self, venue: str, now_ns: int) -> None:
        self.log.append(f"ask {venue}")

    def live(self, venue: str) -> Collection[str]:
        return self.orders.get(venue, set())

    def settled(self, venue: str) -> bool:
        return venue not in self.unsettled

    def unreachable(self, venue: str, now_ns: int) -> str:
        return self.down.get(venue, "")

    def positions(self, venue: str) -> list[tuple[Listing, Decimal]]:
        return self.held.get(venue, [])

    def touch(self, listing: Listing, side: Side, now_ns: int) -> float | None:
        return self.book

    def send(self, order: Approved[OrderIntent], now_ns: int) -> str:
        if not self.refusal:
            self.sent.append(order.intent)
            self.orders.setdefault(order.intent.listing.venue, set()).add(f"fl{len(self.sent)}")
        return self.refusal

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        self.log.append(f"{level}: {venue} {event}: {text}")

    def taken(self) -> list[str]:
        """What was done since the last look."""
        log, self.log = self.log, []
        return [line for line in log if ": " not in line]


class Desk:
    """A kill switch on such brakes, and time."""

    def __init__(self, *venues: str, **orders: str) -> None:
        self.now_ns = START
        self.pads = Pads(orders={venue: set(ids.split()) for venue, ids in orders.items()})
        self.switch = KillSwitch(dict.fromkeys(venues or VENUES, BOTH), self.pads, 100.0)

    def kill(self, *, flatten: bool = False) -> str:
        return self.switch.kill("operator", self.now_ns, flatten=flatten)

    def wait(self, ns: int) -> list[str]:
        """Lets time pass, and tells what was done."""
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns:
            self.now_ns = min(self.now_ns + 10 * MS, end_ns)
            self.switch.tick(self.now_ns)
        return self.pads.taken()

    def lists(self, venue: str, ids: str = "", *, after_ns: int = 38 * MS) -> None:
        """The venue lists what is open, spot empty; it was asked at the moment of the last wait."""
        asked_ns, self.now_ns = self.now_ns, self.now_ns + after_ns
        self.switch.open_told(venue, Kind.SPOT, (), asked_ns, self.now_ns)
        self.switch.open_told(venue, Kind.LINEAR, ids.split(), asked_ns, self.now_ns)

    def empty(self, *venues: str) -> None:
        """Every order there is gone, and the lists say so."""
        for venue in venues or VENUES:
            self.pads.orders.pop(venue, None)
            self.lists(venue)

    def row(self, venue: str) -> VenueKill:
        shown = self.switch.shown(self.now_ns)
        assert shown is not None
        return next(row for row in shown.venues if row.venue == venue)


# ---- the first call ---------------------------------------------------------------------------


def test_a_kill_latches_first_then_cancels_everywhere_and_only_then_asks() -> None:
    desk = Desk(binance="a b", okx="c")
    assert desk.kill() == "killed: cancels are on their way to binance, bybit and okx"
    assert desk.pads.taken() == [
        "latch operator",
        "persist operator",
        "cancel binance a,b bulk",
        "cancel bybit  bulk",
        "cancel okx c bulk",
        "ask binance",
        "ask bybit",
        "ask okx",
    ]


def test_a_defect_at_one_venue_does_not_keep_the_cancels_from_the_others() -> None:
    desk = Desk(binance="a", okx="c")
    desk.pads.broken = "binance"
    desk.kill()
    assert "cancel okx c bulk" in desk.pads.taken()
    desk.pads.broken = ""
    desk.lists("binance", "a")
    assert desk.row("binance").problem.endswith("1 order still open there")
    assert "cancel binance a bulk" in desk.wait(SECOND)


def test_a_kill_during_a_kill_hurries_those_that_are_not_at_zero_and_does_nothing_twice() -> None:
    desk = Desk(binance="a", okx="c")
    desk.kill()
    desk.empty("binance", "bybit")
    desk.wait(HURRY_NS)
    for _ in range(30):
        assert desk.kill() == "killed already: operator"
    assert desk.pads.taken() == ["cancel okx c bulk", "ask okx"]
    assert desk.wait(HURRY_NS) == ["cancel okx c bulk", "ask okx"]
    shown = desk.switch.shown(desk.now_ns)
    assert shown is not None
    assert shown.ns == START


# ---- zero, and what is not --------------------------------------------------------------------


def test_a_venue_is_at_zero_once_a_whole_list_shows_none_of_our_orders() -> None:
    desk = Desk(binance="a b")
    desk.kill()
    del desk.pads.orders["binance"]
    desk.now_ns += 38 * MS
    desk.switch.open_told("binance", Kind.SPOT, (), START, desk.now_ns)
    assert desk.row("binance").zero_ms is None
    desk.switch.open_told("binance", Kind.LINEAR, (), START, desk.now_ns)
    assert told(desk.row("binance")) == "binance: 2 sent, 2 acked, zero at 38 ms"
    assert not desk.switch.done


def test_what_a_venue_still_shows_is_canceled_again_after_growing_pauses() -> None:
    desk = Desk("okx", okx="c")
    desk.kill()
    desk.pads.taken()
    pauses = []
    for _ in range(4):
        desk.lists("okx", "c")
        since_ns = desk.now_ns
        while not (done := desk.wait(10 * MS)):
            assert desk.now_ns < since_ns + 10 * SECOND
        assert done == ["cancel okx c bulk", "ask okx"]
        pauses.append((desk.now_ns - since_ns) // MS)
    assert pauses == sorted(set(pauses))
    row = desk.row("okx")
    assert (row.sent, row.acked, row.open, row.problem) == (1, 0, 1, "1 order still open there")


def test_as_soon_as_the_last_order_is_known_to_be_gone_the_list_is_asked_for() -> None:
    desk = Desk("okx", okx="c d")
    desk.kill()
    desk.lists("okx", "c d")
    desk.pads.taken()
    desk.pads.orders["okx"] = {"d"}
    assert desk.wait(10 * MS) == []
    desk.pads.orders.clear()
    assert desk.wait(10 * MS) == ["ask okx"]
    desk.lists("okx", "d")
    assert desk.wait(10 * MS) == []


def test_an_order_of_which_nobody_knows_stands_in_the_way_of_zero() -> None:
    desk = Desk("okx", okx="c")
    desk.kill()
    desk.lists("okx")
    assert desk.row("okx").problem == "1 order not known to be gone"
    desk.pads.orders.clear()
    desk.wait(100 * MS)
    desk.lists("okx")
    assert desk.switch.done


def test_a_list_asked_for_before_the_kill_proves_nothing() -> None:
    desk = Desk("okx")
    desk.kill()
    desk.pads.taken()
    for kind in BOTH:
        desk.switch.open_told("okx", kind, (), START - 1, START + MS)
    assert not desk.switch.done
    assert desk.pads.taken() == ["ask okx", "ask okx"]
    desk.lists("okx")
    assert desk.switch.done


def test_an_order_that_appears_after_zero_is_canceled_and_the_venue_is_no_longer_at_zero() -> None:
    desk = Desk("okx")
    desk.kill()
    desk.empty("okx")
    assert desk.switch.done
    desk.wait(SECOND)
    desk.pads.orders["okx"] = {"late"}
    assert "cancel okx late bulk" in desk.wait(10 * MS)
    assert not desk.switch.done
    desk.pads.orders.clear()
    desk.lists("okx")
    assert desk.switch.done
    assert desk.row("okx").zero_ms == pytest.approx((desk.now_ns - START) / MS)


def test_a_venue_at_zero_is_asked_on_and_a_list_that_shows_an_order_ends_zero() -> None:
    desk = Desk("okx")
    desk.kill()
    desk.empty("okx")
    desk.pads.taken()
    assert desk.wait(SECOND) == ["ask okx"]
    desk.pads.orders["okx"] = {"orphan"}
    desk.lists("okx", "orphan")
    assert "cancel okx orphan bulk" in desk.pads.taken()
    assert not desk.switch.done


def test_a_venue_that_is_down_says_so_and_is_asked_as_soon_as_it_is_back() -> None:
    desk = Desk("okx", okx="c")
    desk.pads.down["okx"] = "not connected"
    desk.kill()
    desk.pads.taken()
    assert desk.wait(ANSWER_NS) == ["cancel okx c bulk", "ask okx"]
    assert desk.row("okx").problem == "not connected; 1 order not known to be gone"
    desk.pads.down.clear()
    desk.wait(HURRY_NS)
    desk.switch.back("okx", desk.now_ns)
    assert desk.pads.taken() == ["cancel okx c bulk", "ask okx"]
    desk.empty("okx")
    assert desk.switch.done
    assert desk.row("okx").problem == ""


def test_answers_that_take_longer_than_patience_count_nevertheless() -> None:
    desk = Desk("okx")
    desk.kill()
    asked_ns = desk.now_ns
    desk.wait(ANSWER_NS + SECOND)
    for kind in BOTH:
        desk.switch.open_told("okx", kind, (), asked_ns, desk.now_ns)
    assert desk.switch.done


def test_a_question_that_fails_is_asked_again_and_the_reason_shown_until_then() -> None:
    desk = Desk("okx")
    desk.kill()
    desk.switch.failed("okx", "50011: too many requests", desk.now_ns)
    assert desk.row("okx").problem == "50011: too many requests"
    desk.pads.taken()
    assert "ask okx" in desk.wait(100 * MS)
    desk.lists("okx")
    assert desk.switch.done


def test_cancels_count_as_acknowledged_by_the_venues_word_or_once_the_order_is_gone() -> None:
    desk = Desk("okx", okx="a b c d")
    desk.kill()

    def says(client_id: str, rejection: Rejection | None) -> None:
        answer = OrderAnswer("", client_id, "", rejection is None, rejection, text="no")
        desk.switch.answered("okx", [client_id], answer)

    says("a", None)
    says("b", Rejection.UNKNOWN_ORDER)
    assert desk.row("okx").problem == "4 orders not known to be gone"
    says("c", Rejection.RATE)
    desk.pads.orders["okx"].discard("d")
    row = desk.row("okx")
    assert (row.sent, row.acked) == (4, 3)
    assert row.problem == "no; 3 orders not known to be gone"


# ---- the latch --------------------------------------------------------------------------------


def test_only_the_typed_word_rearms_and_only_once_every_venue_is_at_zero() -> None:
    desk = Desk(okx="c")
    assert desk.switch.rearm(WORD, START) == "nothing is killed"
    desk.kill()
    desk.empty("binance", "bybit")
    refusal = desk.switch.rearm(WORD, desk.now_ns)
    assert refusal.startswith("not re-armed: okx is not verified zero: ")
    desk.empty("okx")
    assert desk.switch.rearm("", desk.now_ns) == "type ARM to re-arm"
    assert desk.switch.killed
    desk.pads.taken()
    assert desk.switch.rearm(" ARM ", desk.now_ns) == ""
    assert desk.pads.taken() == ["persist ", "latch "]
    assert not desk.switch.killed
    assert desk.switch.shown(desk.now_ns) is None
    assert desk.wait(5 * SECOND) == []


def test_a_restart_stays_killed_without_writing_it_down_again_and_verifies_anew() -> None:
    desk = Desk("okx", okx="c")
    desk.switch.restore("operator", START)
    assert desk.pads.taken() == ["latch operator", "cancel okx c bulk", "ask okx"]
    assert desk.switch.rearm(WORD, START).startswith("not re-armed: okx")
    desk.empty("okx")
    assert desk.switch.rearm(WORD, desk.now_ns) == ""


def test_what_rearming_waits_for_is_on_the_screen() -> None:
    desk = Desk()
    desk.kill()
    desk.empty("binance")
    shown = desk.switch.shown(desk.now_ns)
    assert shown is not None
    assert shown.rearm == "not before bybit and okx show zero"
    desk.empty("bybit", "okx")
    shown = desk.switch.shown(desk.now_ns)
    assert shown is not None
    assert shown.rearm.startswith("type ARM: ")


# ---- flattening -------------------------------------------------------------------------------


def holding(desk: Desk, **sizes: str) -> None:
    held = {"spot": SPOT, "linear": PERPETUAL}
    desk.pads.held["okx"] = [(held[kind], Decimal(size)) for kind, size in sizes.items()]


def test_what_is_held_is_flattened_within_the_cap_by_reducing_orders_that_do_not_rest() -> None:
    desk = Desk("okx")
    holding(desk, linear="0.5", spot="-0.25")
    desk.kill(flatten=True)
    desk.wait(50 * MS)
    assert desk.pads.sent == []
    desk.lists("okx")
    desk.wait(10 * MS)
    long, short = desk.pads.sent
    assert (long.side, long.size, long.price) == ("sell", Decimal("0.5"), Decimal("99.00"))
    assert (short.side, short.size, short.price) == ("buy", Decimal("0.25"), Decimal("101.00"))
    assert (long.reduce_only, short.reduce_only) == (True, False)
    assert long.time_in_force is TimeInForce.IOC
    assert long.urgent


def test_its_own_orders_are_neither_canceled_nor_in_the_way_of_zero() -> None:
    desk = Desk("okx")
    holding(desk, linear="0.5")
    desk.kill(flatten=True)
    desk.lists("okx")
    desk.wait(10 * MS)
    assert desk.pads.orders["okx"] == {"fl1"}
    assert not any(line.startswith("cancel") for line in desk.wait(2 * SECOND))
    assert desk.row("okx").zero_ms is not None
    assert len(desk.pads.sent) == 1


def test_the_next_try_waits_for_fills_and_is_for_what_is_left() -> None:
    desk = Desk("okx")
    holding(desk, linear="0.5")
    desk.kill(flatten=True)
    desk.lists("okx")
    desk.wait(10 * MS)
    desk.pads.orders.clear()
    desk.pads.unsettled.add("okx")
    desk.wait(2 * PAUSE_NS)
    assert len(desk.pads.sent) == 1
    assert flattening(desk) == "okx try 1 of 5, waits for fills"
    holding(desk, linear="0.2")
    desk.pads.unsettled.clear()
    desk.wait(PAUSE_NS)
    assert [intent.size for intent in desk.pads.sent] == [Decimal("0.5"), Decimal("0.2")]
    holding(desk, linear="0")
    desk.pads.orders.clear()
    desk.wait(PAUSE_NS)
    assert desk.switch.done
    assert flattening(desk) == "okx flat"


def flattening(desk: Desk) -> str:
    shown = desk.switch.shown(desk.now_ns)
    assert shown is not None
    return shown.flattening


def test_it_gives_up_after_its_tries_says_what_is_left_and_may_be_asked_again() -> None:
    desk = Desk("okx")
    holding(desk, linear="0.5")
    desk.pads.refusal = "the venue wants no orders for 9 s"
    desk.kill(flatten=True)
    desk.lists("okx")
    desk.wait((TRIES + 1) * PAUSE_NS)
    assert flattening(desk) == (
        "okx BTC/USDT:USDT +0.5 left after 5 tries: BTC/USDT:USDT the venue wants no orders for 9 s"
    )
    desk.pads.refusal = ""
    desk.kill(flatten=True)
    desk.wait(10 * MS)
    assert len(desk.pads.sent) == 1


@pytest.mark.parametrize(
    ("sizes", "why"),
    [
        ({"linear": "0.004"}, "BTC/USDT:USDT is below the smallest order 0.01"),
        ({"linear": "0.0004"}, "BTC/USDT:USDT is below the lot 0.001"),
        ({"spot": "0.05"}, "BTC/USDT is worth 5.00, below the smallest order 10"),
    ],
)
def test_what_is_too_small_to_trade_is_left_with_the_reason(
    sizes: dict[str, str], why: str
) -> None:
    desk = Desk("okx")
    holding(desk, **sizes)
    desk.kill(flatten=True)
    desk.lists("okx")
    desk.wait(10 * MS)
    assert desk.switch.done
    assert desk.pads.sent == []
    assert why in flattening(desk)


def test_without_a_book_it_waits_and_says_so() -> None:
    desk = Desk("okx")
    desk.pads.book = None
    holding(desk, linear="0.5")
    desk.kill(flatten=True)
    desk.lists("okx")
    desk.wait(10 * MS)
    assert flattening(desk) == "okx BTC/USDT:USDT has no book to price it by"
    assert desk.switch.rearm(WORD, desk.now_ns).startswith("not re-armed: okx is being flattened")
    desk.pads.book = 100.0
    desk.wait(PAUSE_NS)
    assert len(desk.pads.sent) == 1


def test_flattening_may_be_added_to_a_kill_and_is_not_done_unasked() -> None:
    desk = Desk("okx")
    holding(desk, linear="0.5")
    desk.kill()
    desk.lists("okx")
    desk.wait(5 * SECOND)
    assert desk.pads.sent == []
    assert desk.row("okx").positions == "BTC/USDT:USDT +0.5"
    assert desk.kill(flatten=True) == "killed already: operator; flattening"
    desk.wait(10 * MS)
    assert len(desk.pads.sent) == 1


# ---- one venue, and the end -------------------------------------------------------------------


def test_a_halt_cancels_what_stands_there_then_and_lets_reducing_orders_pass() -> None:
    desk = Desk(okx="c")
    desk.switch.halt("okx", "daily loss", START)
    assert desk.pads.taken() == ["hold okx daily loss", "cancel okx c", "ask okx"]
    desk.switch.halt("okx", "exposure", START)
    assert desk.pads.taken() == ["hold okx exposure"]
    desk.pads.orders["okx"] = {"c", "hedge"}
    assert "hedge" not in "".join(desk.wait(5 * SECOND))
    assert desk.switch.resume("okx", desk.now_ns).startswith("okx stays halted: ")
    desk.pads.orders["okx"] = {"hedge"}
    desk.lists("okx", "hedge")
    (row,) = desk.switch.halts(desk.now_ns)
    assert told(row).startswith("okx: 1 sent, 1 acked, zero at ")
    desk.pads.losing["okx"] = "venue loss 600 against 500"
    said = desk.switch.resume("okx", desk.now_ns)
    assert said == "okx stays halted: venue loss 600 against 500"
    desk.pads.losing.clear()
    assert desk.switch.resume("okx", desk.now_ns) == ""
    assert desk.pads.taken()[-1] == "hold okx "
    assert desk.switch.shown(desk.now_ns) is None


def test_a_halted_venue_stays_so_through_a_kill() -> None:
    desk = Desk(okx="c")
    desk.switch.halt("okx", "daily loss", START)
    desk.kill()
    assert desk.switch.resume("okx", START) == "okx stays: everything is killed: operator"
    assert not any(line.startswith("hold") for line in desk.pads.taken()[3:])


def test_an_orderly_end_cancels_ours_alone_is_verified_and_kills_no_restart() -> None:
    desk = Desk("binance", "okx", binance="a")
    desk.switch.wind_down(START)
    desk.switch.wind_down(START)
    assert desk.pads.taken() == [
        "latch the engine is ending",
        "cancel binance a",
        "cancel okx ",
        "ask binance",
        "ask okx",
    ]
    assert not desk.switch.killed
    assert not desk.switch.done
    desk.empty("binance", "okx")
    assert desk.switch.done
    assert desk.switch.report(desk.now_ns) == [
        "binance: 1 sent, 1 acked, zero at 38 ms",
        "okx: 0 sent, 0 acked, zero at 76 ms",
    ]


def test_a_kill_during_an_orderly_end_is_a_kill_and_nothing_leaves_after_rearming() -> None:
    desk = Desk("okx", okx="c")
    desk.switch.wind_down(START)
    desk.pads.taken()
    desk.kill()
    assert desk.pads.taken()[:3] == ["latch operator", "persist operator", "cancel okx c bulk"]
    desk.empty("okx")
    assert desk.switch.rearm(WORD, desk.now_ns) == ""
    assert desk.pads.taken()[-1] == "latch the engine is ending"
