"""How much more may be ordered, and that the rules agree."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.instrument import Side
from hftmm.core.order import OrderState
from hftmm.risk.approval import Refused
from tests.orders import START
from tests.risk_desk import ASK, VENUES, ZERO, Desk


@pytest.mark.parametrize(
    ("limits", "venue", "money", "size", "reason"),
    [
        ({}, {"max_position": Decimal("0.25")}, "1000", "0.05", "position 80% of limit"),
        ({"max_total_position": Decimal("0.4")}, {}, "1000", "0.1", "total position 75% of limit"),
        ({"max_worst_case": Decimal("0.4")}, {}, "1000", "0.1", "worst case 75% of limit"),
        ({"max_order_size": Decimal("0.02")}, {}, "1000", "0.02", "order size up to 0.02"),
        ({"max_order_notional": Decimal("10.002")}, {}, "99", "0.1", "order notional up to 10.002"),
        ({}, {}, "25.002", "0.05", "balance 5.001 USDT"),
        ({}, {"max_position": Decimal("0.1")}, "1000", "0", "position 200% of limit"),
        ({}, {"max_position": ZERO}, "1000", "0", "position limit 0"),
    ],
)
def test_headroom_names_the_nearest_limit_with_its_numbers(
    limits: dict[str, Decimal], venue: dict[str, Decimal], money: str, size: str, reason: str
) -> None:
    desk = Desk(limits=limits, venue=venue, money=money)
    desk.hold("0.1", "binance")
    desk.hold("0.1")
    desk.rest(desk.intent("0.1", price="100"))
    if "balance" in reason:
        # 10 are held by the order, and 10 of what is left by the margin of the position.
        order = desk.rest(desk.intent("0.1", "sell", "100.01"))
        desk.bench.update(order, OrderState.OPEN)
    headroom = desk.risk.headroom(desk.of["okx"], "buy", START)
    assert (headroom.size.quantize(Decimal("0.001")), headroom.reason) == (Decimal(size), reason)


def test_headroom_without_a_book_is_that_of_the_positions() -> None:
    desk = Desk(venue={"max_position": Decimal("0.1")}, money="0")
    desk.books.clear()
    headroom = desk.risk.headroom(desk.of["okx"], "sell", START)
    assert headroom == (Decimal("0.1"), "position 0% of limit")


held = st.integers(-400, 400).map(lambda n: Decimal(n) / 1000)
lots = st.integers(0, 300).map(lambda n: Decimal(n) / 1000)


@given(
    positions=st.lists(held, min_size=3, max_size=3),
    resting=st.lists(st.tuples(lots, lots), min_size=3, max_size=3),
    money=st.sampled_from(["5", "17", "40", "1000000"]),
    spot=st.booleans(),
    side=st.sampled_from(["buy", "sell"]),
)
def test_headroom_is_exactly_what_the_rules_let_pass(
    positions: list[Decimal],
    resting: list[tuple[Decimal, Decimal]],
    money: str,
    spot: bool,
    side: Side,
) -> None:
    desk = Desk(
        limits={"max_total_position": Decimal("0.6"), "max_worst_case": Decimal("1.2")},
        money=money,
        coins="1",
    )
    for venue, position, (bids, asks) in zip(VENUES, positions, resting, strict=True):
        if position:
            desk.hold(str(position), venue, spot=spot)
        if bids:
            desk.rest(desk.intent(bids, venue=venue, spot=spot))
        if asks:
            desk.rest(desk.intent(asks, "sell", venue=venue, spot=spot))
    of = (desk.spot if spot else desk.of)["okx"]
    room = of.size(desk.risk.headroom(of, side, START).size)
    if room > 0:
        fitting = desk.intent(room, side, ASK, spot=spot)
        assert desk.review(fitting) in {"", "self_cross"}
    # A sell is worth less than the dearer side of the NBBO, which it is counted at.
    beyond = desk.intent(room + of.lot, side, ASK, spot=spot)
    verdict = desk.ask(beyond)
    assert isinstance(verdict, Refused)
    assert verdict.rule in {
        "venue_position",
        "total_position",
        "worst_case",
        "order_size",
        "balance",
    }
