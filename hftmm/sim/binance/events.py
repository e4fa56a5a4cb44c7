"""What happens to an account, as its user data streams tell it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hftmm.core.instrument import Kind
from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.floor import Floor
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.linear_account import break_even
from hftmm.sim.binance.linear_view import eight, lite_event, order_event, plain
from hftmm.sim.binance.spot_view import balances, execution_report
from hftmm.sim.ledger import (
    COLLATERAL,
    Account,
    BalanceChanged,
    BrokerEvent,
    Funding,
    OrderChanged,
    PositionChanged,
)

Emit = Callable[[str, dict[str, Any]], None]
"""Takes the market and one event."""


class Teller:
    """Turns the events of the broker into those of the venue.

    An order event comes first, then, in one event, what it did to balances and positions.
    """

    def __init__(self, spot: Floor, linear: Floor, clock: Clock) -> None:
        self._floors: dict[Kind, Floor] = {Kind.SPOT: spot, Kind.LINEAR: linear}
        self._clock = clock

    def tell(self, account: Account, now_ns: int, emit: Emit) -> None:
        """Takes the account's events and says them, oldest first."""
        events = account.take_events()
        begin = 0
        for index in range(1, len(events) + 1):
            ends = index == len(events) or isinstance(events[index], OrderChanged | Funding)
            if ends:
                self._group(account, events[begin:index], now_ns, emit)
                begin = index

    def _group(self, account: Account, events: list[BrokerEvent], now_ns: int, emit: Emit) -> None:
        """An order's change or a funding, and all that came of it."""
        first = events[0]
        if isinstance(first, OrderChanged):
            if first.order.spec.kind is Kind.SPOT:
                self._spot_order(account, first, now_ns, emit)
            else:
                self._linear_order(account, first, events, now_ns, emit)
        elif isinstance(first, Funding):
            self._funding(account, first, now_ns, emit)
        else:
            self._moved(account, events, now_ns, emit)

    def _spot_order(self, account: Account, changed: OrderChanged, now_ns: int, emit: Emit) -> None:
        floor, order, fill = self._floors[Kind.SPOT], changed.order, changed.execution
        instrument = floor.of(order)
        floor.last_execution += 1
        ids = (order.client_id, "")
        if changed.change == "canceled" and order.id in floor.cancel_ids:
            ids = (floor.cancel_ids.pop(order.id), order.client_id)
        elif changed.change == "amended" and order.id in floor.amended_ids:
            now_named = account.orders[order.id].client_id
            ids = (now_named, floor.amended_ids.pop(order.id))
        if changed.change == "trade" and order.filled_lots == (fill.lots if fill else 0):
            # The first fill gives the order back to the limit of unfilled ones.
            floor.limits.count_orders(-1, now_ns)
        stamps = self._clock.ms(now_ns), self._clock.ms(changed.ts_ns)
        emit(
            "spot",
            execution_report(
                instrument,
                order,
                changed.change,
                fill,
                ids,
                floor.last_execution,
                stamps,
                self._clock,
            ),
        )
        assets = [instrument.spec.base, instrument.spec.quote]
        emit(
            "spot",
            {
                "e": "outboundAccountPosition",
                "E": stamps[0],
                "u": stamps[1],
                "B": balances(account, assets),
            },
        )

    def _linear_order(
        self,
        account: Account,
        changed: OrderChanged,
        events: list[BrokerEvent],
        now_ns: int,
        emit: Emit,
    ) -> None:
        floor, order, fill = self._floors[Kind.LINEAR], changed.order, changed.execution
        instrument = floor.of(order)
        floor.cancel_ids.pop(order.id, None)
        stamps = self._clock.ms(now_ns), self._clock.ms(changed.ts_ns)
        if fill is not None:
            emit("linear", lite_event(instrument, order, fill, stamps))
        value = account.open_value.get(order.spec.symbol)
        open_value = (value.buys, value.sells) if value else (Decimal(0), Decimal(0))
        emit(
            "linear",
            order_event(instrument, order, changed.change, fill, open_value, stamps),
        )
        if fill is not None:
            self._account_update(account, "ORDER", events, stamps, emit)

    def _funding(self, account: Account, funding: Funding, now_ns: int, emit: Emit) -> None:
        """Cross margin: the wallet moves, no position does."""
        wallet = eight(account.linear[COLLATERAL].total)
        change = {"a": COLLATERAL, "wb": wallet, "cw": wallet, "bc": eight(funding.amount)}
        update = {"m": "FUNDING_FEE", "B": [change], "P": [], "S": funding.spec.venue_symbol}
        stamps = self._clock.ms(now_ns), self._clock.ms(funding.ts_ns)
        emit("linear", {"e": "ACCOUNT_UPDATE", "E": stamps[0], "T": stamps[1], "a": update})

    def _moved(self, account: Account, events: list[BrokerEvent], now_ns: int, emit: Emit) -> None:
        """Balances that no order moved: transfers."""
        for event in events:
            if not isinstance(event, BalanceChanged) or not event.delta:
                continue
            stamps = self._clock.ms(now_ns), self._clock.ms(event.ts_ns)
            if event.wallet == "linear":
                self._account_update(account, "DEPOSIT", [event], stamps, emit)
                continue
            change = {
                "e": "balanceUpdate",
                "E": stamps[0],
                "a": event.asset,
                "d": eight(event.delta),
                "T": stamps[1],
            }
            emit("spot", change)

    def _account_update(
        self,
        account: Account,
        reason: str,
        events: list[BrokerEvent],
        stamps: tuple[int, int],
        emit: Emit,
    ) -> None:
        totals: dict[str, Decimal] = {}
        deposits: dict[str, Decimal] = {}
        positions = []
        for event in events:
            if isinstance(event, BalanceChanged) and event.cause != "lock":
                totals[event.asset] = event.total
                if event.cause == "transfer":
                    deposits[event.asset] = event.delta
            elif isinstance(event, PositionChanged):
                positions.append(self._position(event))
        rows = [
            {
                "a": asset,
                "wb": eight(total),
                "cw": eight(total),
                "bc": eight(deposits.get(asset, Decimal(0))),
            }
            for asset, total in totals.items()
        ]
        update = {"m": reason, "B": rows, "P": positions}
        emit("linear", {"e": "ACCOUNT_UPDATE", "E": stamps[0], "T": stamps[1], "a": update})

    def _position(self, moved: PositionChanged) -> dict[str, Any]:
        instrument: Instrument = self._floors[Kind.LINEAR].listed(moved.spec)
        return {
            "s": instrument.name,
            "pa": instrument.written_size(moved.base),
            "ep": plain(round(moved.entry, 8)),
            "bep": plain(round(break_even(moved.base, moved.entry), 8)),
            "cr": eight(moved.realised),
            "up": eight(moved.unrealised),
            "mt": "cross",
            "iw": "0",
            "ps": "BOTH",
        }
