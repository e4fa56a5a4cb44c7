"""What queries of past orders and fills select: by id, by time, the newest or the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.errors import BAD_COMBINATION, ApiError
from hftmm.sim.binance.params import Params, number, within
from hftmm.sim.ledger import Account
from hftmm.sim.orders import Execution
from hftmm.sim.spec import Spec

Row = TypeVar("Row")

HOUR_MS = 3_600_000


def page(
    rows: Iterable[Row],
    params: Params,
    stamp_ms: Callable[[Row], int],
    row_id: Callable[[Row], int],
    *,
    id_name: str,
    most_hours: int,
    most: int = 1000,
) -> list[Row]:
    """One page of rows in order of id, oldest first.

    With an id or a start time the first ones from there, else the newest.

    Args:
        id_name: parameter of the first id wanted; the venue takes no times beside it.
        most_hours: longest span from `startTime` to `endTime`.
        most: largest `limit`.

    Raises:
        ApiError: the span is too long, or the parameters do not go together.
    """
    limit = within(params, "limit", 500, most)
    first_id = number(params, id_name)
    start_ms, end_ms = number(params, "startTime"), number(params, "endTime")
    if first_id is not None and (start_ms is not None or end_ms is not None):
        raise ApiError(*BAD_COMBINATION)
    if start_ms is not None and end_ms is not None:
        if end_ms < start_ms:
            raise ApiError(400, -1023, "Start time is greater than end time.")
        if end_ms - start_ms > most_hours * HOUR_MS:
            text = f"More than {most_hours} hours between startTime and endTime."
            raise ApiError(400, -1127, text)
    chosen = [
        row
        for row in rows
        if (first_id is None or row_id(row) >= first_id)
        and (start_ms is None or stamp_ms(row) >= start_ms)
        and (end_ms is None or stamp_ms(row) <= end_ms)
    ]
    return chosen[-limit:] if first_id is None and start_ms is None else chosen[:limit]


def page_of_fills(
    account: Account, spec: Spec, params: Params, clock: Clock, most_hours: int
) -> list[Execution]:
    """One page of an instrument's fills, of one order if `orderId` names it; see `page`."""
    order_id = number(params, "orderId")
    fills = [
        fill
        for fill in account.executions
        if fill.order.spec is spec and order_id in (None, fill.order.id)
    ]
    return page(
        fills,
        params,
        lambda fill: clock.ms(fill.ts_ns),
        lambda fill: fill.trade_id,
        id_name="fromId",
        most_hours=most_hours,
    )
