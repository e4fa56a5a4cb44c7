"""The bills of an account: every change of a balance, and which fill it belongs to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal

from hftmm.sim.ledger import BalanceChanged, BrokerEvent, Funding, OrderChanged
from hftmm.sim.okx.instrument import Instrument, Row, milliseconds, plain
from hftmm.sim.okx.records import bill_id, note_of, order_id
from hftmm.sim.orders import Execution

_KEPT = 10_000
_FILL_EMPTY = dict.fromkeys(
    ("earnAmt", "earnApr", "fillFwdPx", "fillMarkVol", "fillPxUsd", "fillPxVol", "from", "notes",
     "to"),
    "",
)  # fmt: skip


class Statement:
    """Keeps the last bills, newest first.

    A fill moves one balance of a swap and two of spot; its fee is part of the bill of the same
    currency.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self.bills: deque[Row] = deque(maxlen=_KEPT)
        self._instruments = instruments
        self._last = 0
        self._of_fill: dict[int, int] = {}

    def bill_of(self, fill: Execution) -> int:
        """Number of the first bill of a fill; bills and fills are paged by it."""
        return self._of_fill.get(fill.id, 0)

    def enter(self, events: Iterable[BrokerEvent], skew_ns: int) -> None:
        """Writes the bills of events, in their order."""
        fill: Execution | None = None
        funding: Funding | None = None
        of_fill: dict[str, Row] = {}
        for event in events:
            match event:
                case OrderChanged():
                    fill, funding, of_fill = event.execution, None, {}
                    if fill is not None:
                        self._last += 1
                        self._of_fill[fill.id] = self._last
                case Funding():
                    fill, funding = None, event
                case BalanceChanged(cause="lock"):
                    pass
                case BalanceChanged():
                    row = of_fill.get(event.asset)
                    if fill is None or row is None:
                        row = self._begin(event, fill if not of_fill else None, skew_ns)
                        if fill is not None:
                            row |= self._traded(fill)
                            of_fill[event.asset] = row
                        elif funding is not None:
                            row |= self._funded(funding)
                        self.bills.appendleft(row)
                    self._add(row, event)

    def _begin(self, event: BalanceChanged, fill: Execution | None, skew_ns: int) -> Row:
        if fill is None:
            self._last += 1
        number = self._last if fill is None else self._of_fill[fill.id]
        return {
            **_FILL_EMPTY,
            "bal": plain(event.total),
            "balChg": "0",
            "billId": bill_id(number),
            "ccy": event.asset,
            "clOrdId": "",
            "execType": "",
            "fee": "0",
            "fillIdxPx": "",
            "fillMarkPx": "",
            "fillTime": "",
            "instId": "",
            "instType": "",
            "interest": "0",
            "mgnMode": "",
            "ordId": "",
            "pnl": "0",
            "posBal": "0",
            "posBalChg": "0",
            "px": "",
            "subType": "11",
            "sz": plain(abs(event.delta)),
            "tag": "",
            "tradeId": "",
            "ts": milliseconds(event.ts_ns + skew_ns),
            "type": "1",
        }

    def _traded(self, fill: Execution) -> Row:
        order = fill.order
        one = self._instruments[order.spec.venue_symbol]
        note = note_of(order)
        row: Row = {
            "clOrdId": order.client_id,
            "execType": "M" if fill.maker else "T",
            "fillIdxPx": one.index(),
            "fillTime": milliseconds(fill.ts_ns),
            "instId": one.inst_id,
            "instType": one.inst_type,
            "mgnMode": note.td_mode,
            "ordId": order_id(order),
            "pnl": plain(fill.realised),
            "px": one.price(fill.ticks),
            "subType": "1" if order.side == "buy" else "2",
            "tag": note.tag,
            "tradeId": str(fill.trade_id),
            "type": "2",
        }
        if one.inst_type == "SWAP":
            row |= {"sz": one.spec.size(fill.lots), "fillMarkPx": one.mark()}
        return row

    def _funded(self, funding: Funding) -> Row:
        one = self._instruments[funding.spec.venue_symbol]
        return {
            "instId": one.inst_id,
            "instType": one.inst_type,
            "mgnMode": "cross",
            "pnl": plain(funding.amount),
            "px": one.mark(),
            "subType": "174" if funding.amount > 0 else "173",
            "type": "8",
        }

    def _add(self, row: Row, event: BalanceChanged) -> None:
        row["bal"] = plain(event.total)
        row["balChg"] = plain(Decimal(str(row["balChg"])) + event.delta)
        if event.cause == "fee":
            row["fee"] = plain(event.delta)
