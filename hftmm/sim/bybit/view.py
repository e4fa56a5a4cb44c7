"""What the practice Bybit knows of an account beyond what its broker keeps, and rows of both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from hftmm.sim.broker import Broker
from hftmm.sim.bybit.answers import Row
from hftmm.sim.bybit.holdings import CoinView, PositionView, position_row, wallet_row
from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.rows import (
    Wish,
    execution_id,
    execution_row,
    fast_row,
    funding_row,
    order_id,
    order_row,
    plain,
    side,
)
from hftmm.sim.ledger import (
    COLLATERAL,
    Account,
    BalanceChanged,
    BrokerEvent,
    Funding,
    OrderChanged,
    PositionChanged,
)
from hftmm.sim.orders import Execution, Order
from hftmm.sim.spec import Spec

LOG_KEPT = 10_000
"""Rows of the transaction log of one account."""

# What a venue may add any day.
_NOVEL_ORDER: Row = {"placeType": "novel", "rejectReason": "EC_Novelty", "novelField": {"a": 1}}
_NOVEL_FILL: Row = {"stopOrderType": "NovelStop", "novelField": [1]}

_UNKNOWN = Wish(order_type="Market", time_in_force="IOC")


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A line of what an account executed: a fill, or funding.

    Attributes:
        key: its execution id.
        ts_ns: when it happened.
        row: as REST shows it.
    """

    key: str
    spec: Spec
    order: Order | None
    ts_ns: int
    row: Row


class Record:
    """What is remembered of one account.

    Attributes:
        entries: fills and fundings, oldest first.
        log: rows of the transaction log, oldest first.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.log: deque[Row] = deque(maxlen=LOG_KEPT)
        self.sequences: dict[str, int] = {}
        self.partners: dict[int, str] = {}
        self.past: dict[int, list[Order]] = {}
        self.fundings = 0
        self.logged = 0


class Views:
    """Rows of every account.

    `learn` has to see every event of an account once, in order, before rows of it are asked for.

    Attributes:
        lag_ns: how far what REST tells of orders is behind the streams, from when it is set.
        novel: orders and fills carry words and fields that no client has heard of.
    """

    def __init__(self, broker: Broker, instruments: Mapping[tuple[str, str], Instrument]) -> None:
        self.skew_ns = 0
        self.lag_ns = 0
        self.novel = False
        self._broker = broker
        self._instruments = instruments
        self._records: dict[str, Record] = {}

    def record(self, account: Account) -> Record:
        """What is remembered of the account."""
        return self._records.setdefault(account.key, Record())

    def learn(self, account: Account, events: Iterable[BrokerEvent]) -> list[Entry]:
        """Takes note of what happened; returns the new fills and fundings, oldest first."""
        record = self.record(account)
        fresh: list[Entry] = []
        cause: OrderChanged | Funding | None = None
        for event in events:
            match event:
                case OrderChanged():
                    cause = event
                    if self.lag_ns:
                        record.past.setdefault(event.order.id, []).append(event.order)
                    if event.order.reason == "self_trade":
                        self._pair(account, record, event.order)
                    if event.execution is not None:
                        fresh.append(self._fill(record, event.order, event.execution))
                case Funding():
                    cause = event
                    fresh.append(self._funding(account, record, event))
                case BalanceChanged():
                    if event.delta:
                        self._log(record, event, cause)
                case PositionChanged():
                    pass
        record.entries += fresh
        return fresh

    def seen(self, account: Account, order: Order, now_ns: int) -> Order | None:
        """The order as REST knows it by now, None if it does not know it yet."""
        past = self.record(account).past.get(order.id)
        if not self.lag_ns or past is None:
            return order
        known = [one for one in past if one.updated_ns <= now_ns - self.lag_ns]
        return known[-1] if known else None

    def order(self, account: Account, order: Order) -> Row:
        """An order as it is now."""
        wish = order.note if isinstance(order.note, Wish) else _UNKNOWN
        partner = self.record(account).partners.get(order.id, "")
        row = order_row(order, wish, partner, self.skew_ns)
        return row | _NOVEL_ORDER if self.novel else row

    def fast(self, fill: Execution) -> Row:
        """A fill for the fast topic."""
        instrument = self._instrument(fill.order.spec)
        return fast_row(fill, instrument.sequence_of(fill.trade_id), self.skew_ns)

    def position(self, account: Account, spec: Spec, *, stream: bool) -> Row:
        """The position in a contract, flat if there is none."""
        return position_row(self._position(account, spec), stream=stream, skew_ns=self.skew_ns)

    def wallet(self, account: Account, coins: frozenset[str] = frozenset()) -> Row:
        """The account and the coins it has, or those asked for."""
        views = []
        for coin, balance in account.balances.items():
            if coin not in coins if coins else not (balance.total or balance.locked):
                continue
            view = CoinView(
                coin=coin,
                total=balance.total,
                locked=balance.locked,
                price=self._broker.price(coin),
            )
            if coin == COLLATERAL:
                view = self._margined(account, view)
            views.append(view)
        return wallet_row(views)

    def contracts(self) -> list[Instrument]:
        """The linear instruments."""
        return [one for one in self._instruments.values() if one.linear]

    def _position(self, account: Account, spec: Spec) -> PositionView:
        position = account.position(spec)
        return PositionView(
            spec=spec,
            base=position.base,
            entry=position.entry,
            mark=self._broker.mark(spec).quantize(spec.tick / 10),
            leverage=account.leverage_of(spec),
            unrealised=self._broker.unrealised(account, spec),
            realised=position.realised - position.fees - position.funding,
            sequence=self.record(account).sequences.get(spec.symbol, -1),
            updated_ns=position.updated_ns,
        )

    def _margined(self, account: Account, view: CoinView) -> CoinView:
        """The settle coin carries profits and margins of every contract."""
        positions = [self._position(account, one.spec) for one in self.contracts()]
        zero = Decimal(0)
        return msgspec.structs.replace(
            view,
            unrealised=sum((one.unrealised for one in positions), zero),
            realised=sum((one.realised for one in positions), zero),
            order_margin=sum(
                (self._broker.margins(account, one.spec)[1] for one in positions), zero
            ),
            position_margin=sum((one.margin for one in positions), zero),
            maintenance=sum((one.value / 200 for one in positions), zero),
        )

    def _fill(self, record: Record, order: Order, fill: Execution) -> Entry:
        """The order is a copy from right after the fill."""
        spec = order.spec
        sequence = self._instrument(spec).sequence_of(fill.trade_id)
        record.sequences[spec.symbol] = sequence
        rates = self._broker.fees[spec.kind]
        wish = order.note if isinstance(order.note, Wish) else _UNKNOWN
        row = execution_row(
            fill,
            wish,
            order.remaining_lots if order.open else 0,
            sequence,
            (rates.maker_bps if fill.maker else rates.taker_bps) / 10_000,
            self.skew_ns,
        )
        if self.novel:
            row |= _NOVEL_FILL
        return Entry(execution_id(fill), spec, fill.order, fill.ts_ns, row)

    def _funding(self, account: Account, record: Record, paid: Funding) -> Entry:
        record.fundings += 1
        mark = self._broker.mark(paid.spec).quantize(paid.spec.tick / 10)
        row = funding_row(
            paid,
            account.position(paid.spec).base,
            mark,
            self._instrument(paid.spec).engine.sequence,
            record.fundings,
            self.skew_ns,
        )
        return Entry(str(row["execId"]), paid.spec, None, paid.ts_ns, row)

    def _log(
        self, record: Record, moved: BalanceChanged, cause: OrderChanged | Funding | None
    ) -> None:
        """One line of the transaction log; what a trade and its fee moved are lines apart."""
        record.logged += 1
        row: Row = {
            "id": f"{record.logged}",
            "symbol": cause_spec.venue_symbol if (cause_spec := _spec(cause)) else "",
            "category": cause_spec.kind.value if cause_spec else "",
            "side": "",
            "type": "SETTLEMENT" if moved.cause == "funding" else "TRADE",
            "transactionTime": str((moved.ts_ns + self.skew_ns) // MILLISECOND),
            "qty": "0",
            "size": "0",
            "currency": moved.asset,
            "tradePrice": "0",
            "funding": plain(moved.delta) if moved.cause == "funding" else "",
            "fee": plain(-moved.delta) if moved.cause == "fee" else "0",
            "cashFlow": plain(moved.delta) if moved.cause == "trade" else "0",
            "change": plain(moved.delta),
            "cashBalance": plain(moved.total),
            "feeRate": "",
            "bonusChange": "0",
            "tradeId": "",
            "orderId": "",
            "orderLinkId": "",
        }
        if isinstance(cause, OrderChanged) and cause.execution is not None:
            fill = cause.execution
            row |= {
                "side": side(cause.order.side),
                "qty": cause.order.spec.size(fill.lots),
                "tradePrice": cause.order.spec.price(fill.ticks),
                "tradeId": execution_id(fill),
                "orderId": order_id(cause.order),
                "orderLinkId": cause.order.client_id,
            }
        record.log.append(row)

    def _pair(self, account: Account, record: Record, order: Order) -> None:
        """Which own orders ended, or were left, because they would have traded with each other."""
        newest = max(account.orders, default=0)
        if newest != order.id:
            # A resting order went; it was the newest that met it.
            record.partners[order.id] = order_id(account.orders[newest])
            record.partners[newest] = order_id(order)
            return
        others = [
            one
            for one in account.open.values()
            if one.spec.symbol == order.spec.symbol and one.side != order.side and one.ticks
        ]
        if order.id not in record.partners and others:
            sign = 1 if order.side == "buy" else -1
            met = min(others, key=lambda one: (sign * (one.ticks or 0), one.id))
            record.partners[order.id] = order_id(met)

    def _instrument(self, spec: Spec) -> Instrument:
        return self._instruments[spec.kind.value, spec.venue_symbol]


def _spec(cause: OrderChanged | Funding | None) -> Spec | None:
    if isinstance(cause, OrderChanged):
        return cause.order.spec
    return cause.spec if cause is not None else None
