"""Account news: what the private and trade streams say, and the rows that queries share."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from hftmm.core.instrument import Listing
from hftmm.core.order import (
    AccountEvent,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderUpdate,
    Position,
    Rejection,
    StreamEnded,
    StreamReady,
)
from hftmm.venues.bybit import private_wire as wire
from hftmm.venues.bybit.private_wire import decode
from hftmm.venues.bybit.refusal import judge, judge_login, retry_after_ms
from hftmm.venues.bybit.request import client_id_of
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.private import Listings

VENUE: Final = "bybit"
RESTARTING: Final = 10019
_LOGGED_IN: Final = (0, 20001)
_FUNDING: Final = "Funding"
# Executions that moved the position; kinds Bybit adds show as drift against its own position.
_MOVES: Final = frozenset(
    {"Trade", "AdlTrade", "BustTrade", "BlockTrade", "MovePosition", "Delivery", "Settle"}
)
# The early copy of a fill, without its fee and for makers without our id.
_FAST: Final = "execution.fast"


def events(route: str, frame: bytes, listings: Listings, received_ns: int) -> list[AccountEvent]:
    """Everything a frame says; [] for what is nothing to us.

    Raises:
        MalformedFrame: it cannot be decoded.
    """
    said = decode(wire.decode_frame, frame)
    if said.topic:
        return _news(said, listings, received_ns)
    if said.op == "pong":
        return []
    if said.code is not None:
        return _trade_answer(route, said)
    return _private_answer(route, said)


def receipt(request_id: str, venue_id: str) -> OrderAnswer:
    """The venue took a request for processing."""
    return OrderAnswer(request_id, client_id_of(request_id), venue_id, accepted=True)


def refusal(
    request_id: str, status: int, code: int | None, text: str, reset_in_ms: int = 0
) -> OrderAnswer:
    """The venue refused a request, or failed over it."""
    verdict = judge(status, code, text)
    return OrderAnswer(
        request_id,
        client_id_of(request_id),
        "",
        accepted=False,
        rejection=verdict.rejection,
        unknown=verdict.unknown,
        text=verdict.text,
        retry_after_ms=(
            retry_after_ms(status, code, reset_in_ms) if verdict.rejection is Rejection.RATE else 0
        ),
    )


def half_done(request_id: str) -> OrderAnswer:
    """A cancel-all was taken, and failed for some of the orders."""
    text = "not all orders were canceled: those open are asked for"
    return OrderAnswer(
        request_id, "", "", accepted=False, rejection=Rejection.OTHER, unknown=True, text=text
    )


def _private_answer(route: str, said: wire.Frame) -> list[AccountEvent]:
    if said.success is None or said.op not in ("auth", "subscribe"):
        return []
    if said.success:
        return [StreamReady(route, ok=True)]
    rejection, text = Rejection.OTHER, f"not subscribed: {said.ret_msg}"
    if said.op == "auth":
        rejection, _, text = judge_login(None, said.ret_msg)
    return [StreamReady(route, ok=False, rejection=rejection, text=text)]


def _trade_answer(route: str, said: wire.Frame) -> list[AccountEvent]:
    code = said.code
    if said.op == "auth":
        if code in _LOGGED_IN:
            return [StreamReady(route, ok=True)]
        verdict = judge_login(code, said.text)
        return [StreamReady(route, ok=False, rejection=verdict.rejection, text=verdict.text)]
    happened: list[AccountEvent] = []
    if said.request_id and not code:
        venue_id = decode(wire.decode_receipt, said.data).venue_id if said.data else ""
        happened.append(receipt(said.request_id, venue_id))
    elif said.request_id:
        happened.append(refusal(said.request_id, 200, code, said.text, said.header.reset_in_ms))
    # An answer to nobody: a frame of ours was illegible.
    if code == RESTARTING or (code and not said.request_id):
        happened.append(StreamEnded(route, judge(200, code, said.text).text))
    return happened


def _news(said: wire.Frame, listings: Listings, received_ns: int) -> list[AccountEvent]:
    # `order` of all, or `order.linear`.
    topic, _, _ = said.topic.partition(".")
    if topic == "order":
        orders = decode(wire.decode_order_rows, said.data)
        return [*order_updates(orders, "", listings, received_ns)]
    if topic == "execution":
        executions = decode(wire.decode_execution_rows, said.data)
        fast = said.topic.startswith(_FAST)
        return executed(executions, "", listings, received_ns, fast=fast)
    if topic == "position":
        return _positions(said, listings, received_ns)
    if topic == "wallet":
        wallets = decode(wire.decode_wallet_rows, said.data)
        return [*balances(wallets, said.created_ms * MILLISECOND, received_ns)]
    return []


# --- rows ---------------------------------------------------------------------------------


def order_updates(
    rows: Sequence[wire.OrderRow], category: str, listings: Listings, received_ns: int
) -> list[OrderUpdate]:
    """Orders of what is traded here.

    Args:
        category: of rows that do not name theirs.
    """
    updates = []
    for row in rows:
        listing = wire.find(listings, row.category or category, row.symbol)
        if listing is not None:
            updates.append(_order(listing, row, received_ns))
    return updates


def _order(listing: Listing, row: wire.OrderRow, received_ns: int) -> OrderUpdate:
    filled, value = wire.amount(row.cum_exec_qty), wire.amount(row.cum_exec_value)
    state = wire.state(row.order_status, filled)
    rejection, text = wire.reason(state, row.cancel_type, row.reject_reason)
    average = value / filled if filled and value else wire.amount(row.avg_price)
    return OrderUpdate(
        listing=listing,
        client_id=row.order_link_id,
        venue_id=row.order_id,
        side=wire.side(row.side),
        state=state,
        filled=filled,
        average=average or None,
        price=wire.amount(row.price) or None,
        # A market buy of somebody else may be for an amount of money.
        size=None if row.market_unit == "quoteCoin" else wire.amount(row.qty),
        rejection=rejection,
        text=text,
        venue_ns=wire.stamp(row.updated_time) * MILLISECOND,
        received_ns=received_ns,
    )


def executed(
    rows: Sequence[wire.ExecutionRow],
    category: str,
    listings: Listings,
    received_ns: int,
    *,
    fast: bool = False,
) -> list[AccountEvent]:
    """Fills and funding payments; what else Bybit lists among them moves no position of ours.

    Args:
        category: of rows that do not name theirs.
        fast: they come without fees, which follow.
    """
    happened: list[AccountEvent] = []
    for row in rows:
        listing = wire.find(listings, row.category or category, row.symbol)
        if row.exec_type == _FUNDING:
            # The size is that of the whole position, and nothing of it was traded.
            happened.append(
                Funding(
                    listing,
                    VENUE,
                    row.fee_currency or (listing.settle if listing is not None else ""),
                    -wire.amount(row.exec_fee),
                    wire.stamp(row.exec_time) * MILLISECOND,
                    received_ns,
                )
            )
        elif listing is not None and row.exec_type in _MOVES:
            happened.append(_fill(listing, row, received_ns, fast=fast))
    return happened


def _fill(listing: Listing, row: wire.ExecutionRow, received_ns: int, *, fast: bool) -> Fill:
    told = bool(row.exec_fee) and not fast
    return Fill(
        listing=listing,
        trade_id=row.exec_id,
        client_id=row.order_link_id,
        venue_id=row.order_id,
        side=wire.side(row.side),
        price=wire.amount(row.exec_price),
        size=wire.amount(row.exec_qty),
        fee=wire.amount(row.exec_fee) if told else None,
        fee_asset=(row.fee_currency or _fee_asset(listing, row)) if told else "",
        maker=row.is_maker,
        venue_ns=wire.stamp(row.exec_time) * MILLISECOND,
        received_ns=received_ns,
    )


def _fee_asset(listing: Listing, row: wire.ExecutionRow) -> str:
    """What a fee is in where the venue does not say: what was received, for a maker's rebate on
    spot what was given.
    """
    if listing.settle:
        return listing.settle
    rebate = row.is_maker and wire.amount(row.fee_rate) < 0
    return listing.base if (row.side == "Buy") != rebate else listing.quote


def _positions(said: wire.Frame, listings: Listings, received_ns: int) -> list[AccountEvent]:
    happened: list[AccountEvent] = []
    for row in decode(wire.decode_position_rows, said.data):
        listing = wire.find(listings, row.category, row.symbol)
        # An account in hedge mode is refused at the start: its two positions are none of ours.
        if listing is not None and not row.position_idx:
            happened.append(position(listing, [row], said.created_ms, received_ns))
    return happened


def position(
    listing: Listing, rows: Sequence[wire.PositionRow], now_ms: int, received_ns: int
) -> Position:
    """The position in a contract: its one row, or in hedge mode the difference of its two.

    Args:
        now_ms: when the venue said so, for rows without a time.
    """
    held = [row for row in rows if wire.amount(row.size)]
    size = sum((_signed(row) for row in held), wire.NOTHING)
    # A flat one has none, "".
    gains = [row.unrealised_pnl for row in held if row.unrealised_pnl]
    updated = max((wire.stamp(row.updated_time) for row in rows), default=0)
    entry = wire.amount(held[0].entry_price or held[0].avg_price) if len(held) == 1 else None
    return Position(
        listing=listing,
        size=size,
        entry=entry or None,
        unrealised=sum(map(wire.amount, gains), wire.NOTHING) if gains or not held else None,
        venue_ns=(updated or now_ms) * MILLISECOND,
        received_ns=received_ns,
    )


def _signed(row: wire.PositionRow) -> Decimal:
    size = wire.amount(row.size)
    return size if wire.side(row.side) == "buy" else -size


def balances(rows: Sequence[wire.WalletRow], venue_ns: int, received_ns: int) -> list[Balance]:
    """Coins of the unified wallet, which spot and contracts share.

    What is borrowed is not ours. What open orders and positions hold is not available; as cross
    margin may draw on other coins as well, what is left is the least that is.
    """
    told = []
    for wallet in rows:
        for coin in wallet.coins:
            total = wire.amount(coin.wallet_balance) - wire.amount(coin.spot_borrow)
            held = sum(
                map(wire.amount, (coin.locked, coin.order_margin, coin.position_margin)),
                wire.NOTHING,
            )
            available = max(wire.NOTHING, total - held)
            told.append(Balance(VENUE, "", coin.coin, total, available, venue_ns, received_ns))
    return told
