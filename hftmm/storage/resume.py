"""What the journal tells a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, cast

import msgspec

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import (
    Balance,
    Fill,
    Funding,
    OrderRequest,
    OrderState,
    Rejection,
    TimeInForce,
)
from hftmm.execution.client_ids import number
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening, OpenPosition
from hftmm.storage.intents import Intent

OVERLAP_NS: Final = 3_600_000_000_000
"""Trades up to this much older than the last one are told again when fills are asked for."""
_RECENT_IDS: Final = 1_000


class Resume(msgspec.Struct, frozen=True):
    """Where an earlier run stood.

    Attributes:
        last_id: largest number of a client id; see `ClientIds`.
        orders: those that were live or lacked fills, as last known; for `OrderManager.restore`.
        trades: (listing key, trade id) booked lately; for `OrderManager.restore_fills`.
        last_fill_ns: listing key -> venue's stamp of the newest fill booked.
        killed: why the kill latch is pulled; "" if it is not.
        opening: where the books begin, None if there are none yet.
        fills, fundings: booked since; for `Portfolio`, after `open`.
    """

    last_id: int
    orders: tuple[Order, ...]
    trades: tuple[tuple[str, str], ...]
    last_fill_ns: Mapping[str, int]
    killed: str
    opening: Opening | None
    fills: tuple[Fill, ...]
    fundings: tuple[Funding, ...]


def read_resume(connection: sqlite3.Connection, intents: Iterable[Intent]) -> Resume:
    """Reads it.

    Args:
        intents: of the ring; those that the journal does not know were about to be sent.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    listings = _listings(connection)
    orders = _unsettled_orders(connection, listings)
    unwritten = [
        intent
        for intent in intents
        if intent.listing in listings and not _is_written(connection, intent.client_id)
    ]
    orders += [_intended(intent, listings) for intent in unwritten]
    recent = connection.execute(
        "SELECT client_id FROM orders ORDER BY rowid DESC LIMIT ?", (_RECENT_IDS,)
    )
    ids = [number(client_id) for (client_id,) in recent]
    ids += [number(intent.client_id) for intent in unwritten]
    last_fill_ns = dict(
        connection.execute("SELECT listing, max(venue_ns) FROM fills GROUP BY listing")
    )
    opening = _opening(connection, listings)
    # By row, not by stamp: rows stand in the order in which things happened.
    since = connection.execute(
        "SELECT fill_row, funding_row FROM openings ORDER BY ns DESC LIMIT 1"
    ).fetchone() or (0, 0)
    return Resume(
        last_id=max(ids, default=0),
        orders=tuple(orders),
        trades=tuple(_recent_trades(connection, last_fill_ns)),
        last_fill_ns=last_fill_ns,
        killed=_kill_state(connection),
        opening=opening,
        fills=tuple(_fills(connection, listings, since[0])),
        fundings=tuple(_fundings(connection, listings, since[1])),
    )


def _listings(connection: sqlite3.Connection) -> dict[str, Listing]:
    listings: dict[str, Listing] = {}
    for key, definition in connection.execute("SELECT key, definition FROM listings"):
        named = msgspec.json.decode(definition)
        named["kind"] = Kind(named["kind"])
        for amount in ("tick", "lot", "min_size", "min_notional", "multiplier"):
            named[amount] = Decimal(named[amount])
        listings[key] = Listing(**named)
    return listings


def _unsettled_orders(
    connection: sqlite3.Connection, listings: Mapping[str, Listing]
) -> list[Order]:
    orders: list[Order] = []
    rows = connection.execute(
        "SELECT client_id, listing, strategy, side, price, size, post_only, time_in_force,"
        " reduce_only, created_ns, venue_id, state, filled, venue_ns, rejection, text"
        " FROM orders WHERE unsettled ORDER BY rowid"
    ).fetchall()
    for row in rows:
        (client_id, key, strategy, side, price, size, post_only, tif, reduce_only) = row[:9]
        created_ns, venue_id, state, filled, venue_ns, rejection, text = row[9:]
        request = OrderRequest(
            client_id,
            listings[key],
            side,
            Decimal(price),
            Decimal(size),
            bool(post_only),
            TimeInForce(tif),
            bool(reduce_only),
        )
        order = Order(request, strategy, created_ns)
        order.venue_id, order.state, order.venue_ns = venue_id, OrderState(state), venue_ns
        order.seen = venue_ns > 0
        order.rejection = Rejection(rejection) if rejection else None
        order.text = text
        booked = connection.execute(
            "SELECT trade_id, size FROM fills WHERE client_id = ? OR (listing = ? AND"
            " venue_id = ? AND venue_id <> '')",
            (client_id, key, venue_id),
        )
        for trade_id, traded in booked:
            order.trades.add(trade_id)
            order.booked += Decimal(traded)
        order.filled = max(Decimal(filled), order.booked)
        orders.append(order)
    return orders


def _intended(intent: Intent, listings: Mapping[str, Listing]) -> Order:
    request = OrderRequest(
        intent.client_id,
        listings[intent.listing],
        cast("Side", intent.side),
        Decimal(intent.price),
        Decimal(intent.size),
        intent.post_only,
        TimeInForce(intent.time_in_force),
        intent.reduce_only,
    )
    return Order(request, intent.strategy, intent.ns)


def _is_written(connection: sqlite3.Connection, client_id: str) -> bool:
    found = connection.execute("SELECT 1 FROM orders WHERE client_id = ?", (client_id,))
    return found.fetchone() is not None


def _recent_trades(
    connection: sqlite3.Connection, last_fill_ns: Mapping[str, int]
) -> list[tuple[str, str]]:
    trades: list[tuple[str, str]] = []
    for key, last_ns in last_fill_ns.items():
        trades += connection.execute(
            "SELECT listing, trade_id FROM fills WHERE listing = ? AND venue_ns >= ?",
            (key, last_ns - OVERLAP_NS),
        )
    return trades


def _kill_state(connection: sqlite3.Connection) -> str:
    row = connection.execute(
        "SELECT reason FROM kill_states ORDER BY rowid DESC LIMIT 1"
    ).fetchone()
    return "" if row is None else str(row[0])


def _opening(connection: sqlite3.Connection, listings: Mapping[str, Listing]) -> Opening | None:
    row = connection.execute("SELECT ns, peak FROM openings ORDER BY ns DESC LIMIT 1").fetchone()
    if row is None:
        return None
    ns, peak = row
    balances = [
        Balance(venue, wallet, asset, Decimal(total), Decimal(total), ns, ns)
        for venue, wallet, asset, total in connection.execute(
            "SELECT venue, wallet, asset, total FROM opening_balances WHERE ns = ?", (ns,)
        )
    ]
    positions = [
        OpenPosition(listings[key], Decimal(size), _decimal(entry), _decimal(mark), Decimal(made))
        for key, size, entry, mark, made in connection.execute(
            "SELECT listing, size, entry, mark, made FROM opening_positions WHERE ns = ?", (ns,)
        )
    ]
    return Opening(ns, tuple(balances), tuple(positions), Decimal(peak))


def _fills(
    connection: sqlite3.Connection, listings: Mapping[str, Listing], after: int
) -> list[Fill]:
    rows = connection.execute(
        "SELECT listing, trade_id, client_id, venue_id, side, price, size, fee, fee_asset, maker,"
        " venue_ns, received_ns FROM fills WHERE rowid > ? ORDER BY rowid",
        (after,),
    )
    fills: list[Fill] = []
    for row in rows:
        key, trade_id, client_id, venue_id, side, price, size = row[:7]
        fee, fee_asset, maker, venue_ns, received_ns = row[7:]
        fills.append(
            Fill(
                listings[key],
                trade_id,
                client_id,
                venue_id,
                side,
                Decimal(price),
                Decimal(size),
                _decimal(fee),
                fee_asset,
                bool(maker),
                venue_ns,
                received_ns,
            )
        )
    return fills


def _fundings(
    connection: sqlite3.Connection, listings: Mapping[str, Listing], after: int
) -> list[Funding]:
    rows = connection.execute(
        "SELECT listing, venue, asset, amount, venue_ns, received_ns FROM fundings"
        " WHERE rowid > ? ORDER BY rowid",
        (after,),
    )
    return [
        Funding(listings.get(key), venue, asset, Decimal(amount), venue_ns, received_ns)
        for key, venue, asset, amount, venue_ns, received_ns in rows
    ]


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
