"""Kills on whole accounts in virtual time: the venue itself says that nothing stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal

import pytest

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import OrderIntent, Position, TimeInForce
from hftmm.execution.order import Order
from hftmm.execution.throttle import Denial
from hftmm.risk.approval import Approved
from hftmm.risk.kill_switch import WORD, KillSwitch
from hftmm.venues.account_sink import Clearance, OpenOrders, Positions
from tests.managed_account import ManagedDesk
from tests.virtual_account import MS, SECOND, STEP_NS

VENUES = ("binance", "bybit", "okx")
KINDS = (Kind.SPOT, Kind.LINEAR)


class Braked(ManagedDesk):
    """A desk that passes on what its venue says of open orders and cancels."""

    kill: KillSwitch | None = None

    def __init__(self, venue: str) -> None:
        self._asks: dict[Kind, int] = {}
        self._seen = (0, 0, 0, 0)
        super().__init__(venue)

    def ask_open(self) -> None:
        for kind in KINDS:
            self.asked.setdefault(kind, self.now_ns)
            self._asks.setdefault(kind, self.now_ns)
            self.session.ask(OpenOrders(kind), self.now_ns)

    def clear(self) -> None:
        for listing in (self.spot, self.linear):
            known = [one for one in self.manager.live(self.venue) if one.key == listing.key]
            ids = tuple((order.client_id, order.venue_id) for order in known)
            self.session.send(Clearance(listing, ids), self.now_ns)

    def flush(self) -> None:
        for action in self.manager.drain():
            self._do(action)
        self._carry_out()

    def step(self, step_ns: int = STEP_NS) -> None:
        super().step(step_ns)
        kill, told = self.kill, self.told
        if kill is None:
            return
        seen = self._seen
        findings, failures = told.findings[seen[0] :], told.failures[seen[1] :]
        answers, returns = told.answers[seen[2] :], told.returns[seen[3] :]
        self._seen = (
            len(told.findings),
            len(told.failures),
            len(told.answers),
            len(told.returns),
        )
        for question, found in findings:
            if isinstance(question, OpenOrders) and isinstance(found, list):
                ids = [one.client_id for one in found if self.manager.ids.owns(one.client_id)]
                asked_ns = self._asks.pop(question.kind, 0)
                kill.open_told(self.venue, question.kind, ids, asked_ns, self.now_ns)
        for failed, why in failures:
            if isinstance(failed, OpenOrders):
                self._asks.pop(failed.kind, None)
                kill.failed(self.venue, why, self.now_ns)
        for errand, answer in answers:
            if isinstance(errand, Clearance):
                kill.answered(self.venue, [client_id for client_id, _ in errand.orders], answer)
        if returns:
            kill.back(self.venue, self.now_ns)


class Floor:
    """Desks at several venues that share their time, and the brakes of all of them."""

    def __init__(self, *venues: str) -> None:
        self.desks: Mapping[str, Braked] = {venue: Braked(venue).ready() for venue in venues}  # type: ignore[misc]  # itself
        self.latched = ""
        self.notes: list[str] = []
        newest_ns = max(desk.now_ns for desk in self.desks.values())
        for desk in self.desks.values():
            desk.run(newest_ns - desk.now_ns)
        self.kill = KillSwitch(dict.fromkeys(venues, KINDS), self, 100.0)
        for desk in self.desks.values():
            desk.kill = self.kill

    @property
    def now_ns(self) -> int:
        return max(desk.now_ns for desk in self.desks.values())

    def run(self, ns: int) -> None:
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns:
            for desk in self.desks.values():
                desk.step()
            self.kill.tick(self.now_ns)
            for desk in self.desks.values():
                desk.flush()

    def until(self, condition: Callable[[], object], within_ns: int = 30 * SECOND) -> None:
        end_ns = self.now_ns + within_ns
        while not condition():
            assert self.now_ns < end_ns, self.kill.report(self.now_ns)
            self.run(STEP_NS)

    def pull(self, *, flatten: bool = False) -> None:
        self.kill.kill("operator", self.now_ns, flatten=flatten)
        for desk in self.desks.values():
            desk.flush()

    def rest(self, desk: Braked, number: int = 2) -> list[Order]:
        """Orders that stand on both of a venue's listings, as it has told."""
        orders = [
            desk.submit(listing, "buy", str(64_000 - 10 * one))
            for listing in (desk.spot, desk.linear)
            for one in range(number)
        ]
        self.run(SECOND)
        return [order for order in orders if order is not None]

    def nothing_stands(self) -> bool:
        """By the word of every venue, asked anew, of every kind."""
        for desk in self.desks.values():
            told = desk.told.findings
            for kind in KINDS:
                known, question = len(told), OpenOrders(kind)
                desk.session.ask(question, self.now_ns)
                self.until(lambda: question in [asked for asked, _ in told[known:]])  # noqa: B023  # at once
                if [orders for asked, orders in told[known:] if asked == question and orders]:
                    return False
            if desk.manager.live(desk.venue):
                return False
        return True

    # ---- Brakes -----------------------------------------------------------------------------

    def latch(self, why: str) -> None:
        self.latched = why

    def hold(self, venue: str, why: str) -> None:
        self.latched = why

    def let_go(self, venue: str) -> str:
        self.latched = ""
        return ""

    def persist(self, why: str, now_ns: int) -> None:
        pass

    def cancel(self, venue: str, client_ids: Collection[str], now_ns: int, *, bulk: bool) -> None:
        desk = self.desks[venue]
        for client_id in client_ids:
            desk.manager.cancel(client_id, now_ns, forced=True)
        desk.flush()
        if bulk:
            desk.clear()

    def ask_open(self, venue: str, now_ns: int) -> None:
        self.desks[venue].ask_open()

    def live(self, venue: str) -> Collection[str]:
        return [order.client_id for order in self.desks[venue].manager.live(venue)]

    def settled(self, venue: str) -> bool:
        return not list(self.desks[venue].manager.unsettled(venue))

    def unreachable(self, venue: str, now_ns: int) -> str:
        return self.desks[venue].session.state(now_ns).missing

    def positions(self, venue: str) -> Sequence[tuple[Listing, Decimal]]:
        desk = self.desks[venue]
        held = {desk.spot.key: Decimal(0), desk.linear.key: Decimal(0)}
        for fill in desk.witness.fills:
            held[fill.listing.key] += fill.size if fill.side == "buy" else -fill.size
        return [(listing, held[listing.key]) for listing in (desk.spot, desk.linear)]

    def touch(self, listing: Listing, side: Side, now_ns: int) -> float | None:
        engines = self.desks[listing.venue].market.engines
        engine = engines[listing.venue, listing.kind, listing.venue_symbol]
        levels = engine.levels("sell" if side == "buy" else "buy")
        return float(levels[0].ticks * engine.spec.tick) if levels else None

    def send(self, order: Approved[OrderIntent], now_ns: int) -> str:
        sent = self.desks[order.intent.listing.venue].manager.submit(order, now_ns)
        return str(sent) if isinstance(sent, Denial) else ""

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        self.notes.append(f"{venue} {event}: {text}")


@pytest.mark.parametrize("venue", VENUES)
def test_what_rests_is_gone_by_the_venues_own_word(venue: str) -> None:
    floor = Floor(venue)
    floor.rest(floor.desks[venue])
    floor.pull()
    floor.until(lambda: floor.kill.done, SECOND)
    (line,) = floor.kill.report(floor.now_ns)
    assert line.startswith(f"{venue}: 4 sent, 4 acked, zero at ")
    assert floor.nothing_stands()


@pytest.mark.parametrize("venue", VENUES)
def test_orders_on_their_way_at_the_kill_do_not_survive_it(venue: str) -> None:
    floor = Floor(venue)
    desk = floor.desks[venue]
    for price in ("64000", "63990"):
        desk.submit(desk.linear, "buy", price)
        desk.submit(desk.spot, "buy", price)
    desk.flush()
    unsent = desk.submit(desk.linear, "buy", "63980")
    floor.pull()
    assert unsent is not None
    assert unsent.state.final
    floor.until(lambda: floor.kill.done)
    floor.run(3 * SECOND)
    assert floor.kill.done
    assert floor.nothing_stands()


@pytest.mark.parametrize(
    ("fault", "amount"),
    [
        ("lost_ack", 6),
        ("unknown", 6),
        ("late_private", 2_500),
        ("late_ack", 4_000),
        ("fill_on_cancel", 2),
        ("order_throttle", 1),
        ("throttle", 1),
        ("ban", 2),
        ("skew", 5),
        ("lag", 700),
        ("disconnect", None),
        ("silence", None),
        ("restart", None),
        ("refuse", None),
    ],
)
@pytest.mark.parametrize("venue", VENUES)
def test_no_fault_of_a_venue_leaves_an_order_there(
    venue: str, fault: str, amount: float | None
) -> None:
    floor = Floor(venue)
    desk = floor.desks[venue]
    floor.rest(desk)
    desk.switch(fault, amount)
    desk.submit(desk.linear, "buy", "63950")
    desk.flush()
    floor.run(5 * MS)
    floor.pull()
    floor.run(3 * SECOND)
    zero_under_fault = floor.kill.done
    desk.switch("none")
    floor.until(lambda: floor.kill.done, 60 * SECOND)
    floor.until(lambda: desk.session.state(desk.now_ns).logged_in, 30 * SECOND)
    floor.run(2 * SECOND)
    assert floor.nothing_stands()
    assert floor.kill.done
    # Zero is shown only when it is true: while nobody could be asked, it was not.
    assert not (zero_under_fault and fault in {"refuse", "ban"})
    assert floor.kill.rearm(WORD, floor.now_ns) == ""


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_that_fills_during_the_kill_is_booked_and_flattened(venue: str) -> None:
    floor = Floor(venue)
    desk = floor.desks[venue]
    orders = floor.rest(desk)
    desk.crowd(desk.linear, "buy", "63900", "1")
    desk.switch("fill_on_cancel", 1)
    floor.pull(flatten=True)
    floor.until(lambda: floor.kill.done)
    assert [order for order in orders if order.booked]
    shown = floor.kill.shown(floor.now_ns)
    assert shown is not None
    told = desk.ask(Positions())
    assert isinstance(told, list)
    held = [one for one in told if isinstance(one, Position) and one.size]
    assert not held, (shown.flattening, held)
    assert floor.nothing_stands()


@pytest.mark.parametrize("venue", VENUES)
def test_what_is_held_is_flattened_at_the_venue(venue: str) -> None:
    floor = Floor(venue)
    desk = floor.desks[venue]
    for listing in (desk.spot, desk.linear):
        desk.crowd(listing, "sell", "64500", "1")
        desk.crowd(listing, "buy", "64400", "1")
        desk.submit(listing, "buy", "64500", "0.02", time_in_force=TimeInForce.IOC)
    floor.run(SECOND)
    assert [size for _, size in floor.positions(venue)] == [Decimal("0.02")] * 2
    floor.pull(flatten=True)
    floor.until(lambda: floor.kill.done)
    shown = floor.kill.shown(floor.now_ns)
    assert shown is not None
    assert shown.flattening == f"{venue} flat"
    assert not any(size for _, size in floor.positions(venue))


def test_a_venue_that_is_down_keeps_no_other_waiting_and_is_canceled_once_it_is_back() -> None:
    floor = Floor(*VENUES)
    for desk in floor.desks.values():
        floor.rest(desk, 1)
    down = floor.desks["bybit"]
    down.switch("refuse")
    down.switch("disconnect")
    floor.pull()
    floor.run(5 * SECOND)
    shown = floor.kill.shown(floor.now_ns)
    assert shown is not None
    rows = {row.venue: row for row in shown.venues}
    for venue in ("binance", "okx"):
        zero_ms = rows[venue].zero_ms
        assert zero_ms is not None
        assert zero_ms < 300
    assert rows["bybit"].zero_ms is None
    assert rows["bybit"].problem
    assert floor.kill.rearm(WORD, floor.now_ns).startswith("not re-armed: bybit")
    down.switch("none")
    floor.until(lambda: floor.kill.done)
    assert floor.nothing_stands()


@pytest.mark.parametrize("venue", VENUES)
def test_cancels_of_a_kill_pass_a_budget_that_is_used_up(venue: str) -> None:
    floor = Floor(venue)
    desk = floor.desks[venue]
    orders = floor.rest(desk)
    throttle = desk.manager.throttles[venue]
    for listing in (desk.spot, desk.linear):
        throttle.told_orders(listing, 10_000, 0, floor.now_ns)
    sent = len(desk.outputs)
    floor.pull()
    assert all(order.cancels == 1 for order in orders)
    assert len(desk.outputs) > sent
    floor.until(lambda: floor.kill.done, SECOND)


@pytest.mark.parametrize("venue", VENUES)
def test_a_halt_clears_one_venue_and_leaves_the_others_alone(venue: str) -> None:
    other = next(one for one in VENUES if one != venue)
    floor = Floor(venue, other)
    for desk in floor.desks.values():
        floor.rest(desk, 1)
    floor.kill.halt(venue, "daily loss", floor.now_ns)
    floor.until(lambda: not floor.kill.resume(venue, floor.now_ns))
    assert not floor.desks[venue].open_orders()
    assert len(floor.desks[other].open_orders()) == 2


@pytest.mark.parametrize("venue", VENUES)
def test_an_orderly_end_leaves_nothing_behind(venue: str) -> None:
    floor = Floor(venue)
    floor.rest(floor.desks[venue])
    floor.kill.wind_down(floor.now_ns)
    floor.until(lambda: floor.kill.done, SECOND)
    assert floor.nothing_stands()
