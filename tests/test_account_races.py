"""Orders through faults: manager, session, network and venue agree once the storm is over."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hftmm.core.instrument import Side
from hftmm.core.order import OrderUpdate, TimeInForce
from hftmm.execution.order import Order
from hftmm.venues.account_sink import FillsSince, OneOrder
from tests.managed_account import ManagedDesk
from tests.virtual_account import MS, SECOND, START

VENUES = ("binance", "bybit", "okx")
FAULTS: dict[str, float | None] = {
    "lost_ack": 3,
    "late_ack": 4_000,
    "unknown": 2,
    "late_private": 2_500,
    "late_fill": 1_500,
    "duplicate_fill": 4,
    "fill_on_cancel": 2,
    "order_throttle": 1,
    "throttle": 1,
    "ban": 2,
    "skew": 5,
    "lag": 700,
    "disconnect": None,
    "silence": None,
    "restart": None,
    "farewell": None,
    "garbage": 0.001,
}


def _work(desk: ManagedDesk, fault: str) -> list[Order]:
    """Orders that rest, take and are canceled, before and while the fault lasts."""
    orders: list[Order | None] = []
    for listing in (desk.spot, desk.linear):
        desk.crowd(listing, "sell", "64500", "5")
        orders += [desk.submit(listing, "buy", price) for price in ("64000", "63990")]
    desk.run(SECOND)
    desk.switch(fault, FAULTS[fault])
    for listing in (desk.spot, desk.linear):
        orders.append(desk.submit(listing, "buy", "64500", "0.02", time_in_force=TimeInForce.IOC))
        orders.append(desk.submit(listing, "buy", "63980"))
    known = [order for order in orders if order is not None]
    desk.run(15 * MS)
    for order in known[:4:2]:
        desk.manager.cancel(order.client_id, desk.now_ns)
    desk.run(3 * SECOND)
    desk.crowd(desk.linear, "sell", "63990", "0.004")
    desk.run(SECOND)
    desk.switch("none")
    return known


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_every_order_is_as_the_venue_has_it_and_every_fill_is_booked_once(
    venue: str, fault: str
) -> None:
    desk = ManagedDesk(venue)
    desk.ready()
    orders = _work(desk, fault)
    desk.until(lambda: not list(desk.manager.unsettled(venue)), 60 * SECOND)
    desk.until(lambda: desk.session.state(desk.now_ns).logged_in, 30 * SECOND)
    desk.run(2 * SECOND)
    assert {order.client_id for order in desk.manager.live(venue)} == {
        update.client_id for update in desk.open_orders()
    }
    for order in orders:
        assert order.filled == order.booked
        truth = desk.ask(OneOrder(order.listing, order.client_id))
        if isinstance(truth, OrderUpdate):
            assert (order.filled, order.state.final) == (truth.filled, truth.state.final), order
        else:
            # It never arrived, or went without a trade and out of the venue's memory.
            assert order.state.final
            assert order.filled == 0
    assert any(order.booked for order in orders)
    for listing in (desk.spot, desk.linear):
        fills = desk.ask(FillsSince(listing, START))
        assert isinstance(fills, list)
        side: Side = "buy"
        assert sum(fill.size for fill in fills if fill.side == side) == sum(
            (order.booked for order in orders if order.listing.key == listing.key), Decimal(0)
        )
