"""Order entry of the practice Bybit: the same for REST requests and frames of the trade socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from hftmm.core.instrument import Kind, Side
from hftmm.sim.broker import Broker
from hftmm.sim.bybit.answers import Refused, Row
from hftmm.sim.bybit.codes import refused
from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.rows import Wish, order_id, order_number
from hftmm.sim.bybit.settings import BAND, Settings
from hftmm.sim.filters import limit_of_band, to_lots, to_ticks
from hftmm.sim.ledger import Account
from hftmm.sim.matching import SelfTrade
from hftmm.sim.orders import Order, Ticket, TimeInForce
from hftmm.sim.orders import Refused as Turned
from hftmm.sim.spec import Spec

Body = Mapping[str, object]

BATCH = {"linear": 20, "spot": 10}
"""Orders in one batch."""
CANCELED_AT_ONCE = 500
RACE_NS = 10 * MILLISECOND
"""For so long after an order filled the front still takes a cancel for it, and finds out after."""

_LINKS = 1_740_000_000_000_000_000
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_LINK = re.compile(r"[A-Za-z0-9_-]{0,36}", re.ASCII)
_SIDES: dict[str, Side] = {"Buy": "buy", "Sell": "sell"}
_SELF_TRADES: dict[str, SelfTrade] = {
    "None": "none",
    "CancelMaker": "expire_maker",
    "CancelTaker": "expire_taker",
    "CancelBoth": "expire_both",
}
_TIMES: dict[str, TimeInForce] = {"GTC": "gtc", "PostOnly": "gtc", "IOC": "ioc", "FOK": "fok"}
# What makes an order wait for a price; this venue holds none that do.
_CONDITIONS = ("triggerPrice", "takeProfit", "stopLoss")


class OrderEntry:
    """Creates, amends and cancels.

    Every method raises Refused with the code of the category.

    Attributes:
        raced: orders whose cancel was taken after they had filled; the streams repeat their end.
    """

    def __init__(
        self,
        broker: Broker,
        instruments: Mapping[tuple[str, str], Instrument],
        settings: Mapping[str, Settings],
    ) -> None:
        self.raced: list[Order] = []
        self.skew_ns = 0
        self._broker = broker
        self._instruments = instruments
        self._settings = settings
        self._links = 0

    def create(self, account: Account, body: Body, now_ns: int) -> Row:
        """Accepted, not more: what becomes of it is on the order stream."""
        instrument = self._instrument(body)
        ticket = self._ticket(account, instrument, body)
        order = self._broker.place(account, ticket, now_ns)
        if isinstance(order, Turned):
            raise self._turned(order, instrument.category, ticket.side)
        return _named(order)

    def amend(self, account: Account, body: Body, now_ns: int) -> Row:
        """Changes price or total quantity; the order keeps its id.

        It keeps its place in the queue if it only becomes smaller. The venue does not say.
        """
        instrument = self._instrument(body)
        category, spec = instrument.category, instrument.spec
        order = self._order(account, spec, body)
        if order is None or not order.open:
            raise refused("unknown_order", category)
        ticks = lots = None
        if _text(body, "price") not in {"", "0"}:
            ticks = _grid(to_ticks(spec, _number(body, "price", category)), category)
            ticks = self._within_band(account, spec, order.side, ticks)
        if _text(body, "qty"):
            lots = _grid(to_lots(spec, _number(body, "qty", category)), category)
        if ticks in {None, order.ticks} and lots in {None, order.lots}:
            raise refused("nothing_to_amend", category)
        smaller = ticks in {None, order.ticks} and lots is not None and lots < order.lots
        amended = self._broker.amend(
            account, order, now_ns, ticks=ticks, lots=lots, keep_priority=smaller
        )
        if isinstance(amended, Turned):
            raise self._turned(amended, category, order.side)
        return _named(amended)

    def cancel(self, account: Account, body: Body, now_ns: int) -> Row:
        """Accepted, not more; one that filled a moment ago is accepted too, and in vain."""
        instrument = self._instrument(body)
        order = self._order(account, instrument.spec, body)
        if order is None:
            raise refused("unknown_order", instrument.category)
        if order.open:
            canceled = self._broker.cancel(account, order.id, instrument.spec, now_ns)
            if not isinstance(canceled, Turned):
                return _named(order)
        if order.state == "filled" and now_ns - order.updated_ns < RACE_NS:
            self.raced.append(order)
            return _named(order)
        raise refused("unknown_order", instrument.category)

    def cancel_all(self, account: Account, body: Body, now_ns: int) -> Row:
        """Everything of a category; on linear of one symbol, base coin or settle coin.

        The venue cancels any 500 of more, this one the oldest.
        """
        category = _order_category(body)
        symbol, base, settle = (_text(body, name) for name in ("symbol", "baseCoin", "settleCoin"))
        if category == "linear" and not (symbol or base or settle):
            raise Refused(10001, "params error: symbol, baseCoin or settleCoin is required")
        if symbol:
            self._instrument(body)
        conditional = _text(body, "orderFilter") not in {"", "Order"}
        found = [
            order
            for order in self._broker.open_orders(account, kind=Kind(category))
            if not conditional
            and symbol in {"", order.spec.venue_symbol}
            and (symbol or base in {"", order.spec.base})
            and (symbol or base or settle in {"", order.spec.quote})
        ][:CANCELED_AT_ONCE]
        for order in found:
            self._broker.cancel(account, order.id, order.spec, now_ns)
        return {"list": [_named(order) for order in found], "success": "1"}

    def batch_size(self, body: Body) -> int:
        """How many orders a batch holds."""
        category = _order_category(body)
        requests = body.get("request")
        if not isinstance(requests, list) or not requests:
            raise Refused(10001, "params error: request invalid")
        if len(requests) > BATCH[category]:
            raise Refused(10001, f"params error: more than {BATCH[category]} orders in a batch")
        return len(requests)

    def batch(
        self, action: str, account: Account, body: Body, granted: int, now_ns: int
    ) -> tuple[Row, Row]:
        """Orders of a batch one after the other, each with a code of its own.

        Args:
            action: `create`, `amend` or `cancel`.
            granted: how many the rate limit lets through; the rest fails.

        Returns:
            The result, and beside it a list of codes in the same order.
        """
        act = {"create": self.create, "amend": self.amend, "cancel": self.cancel}[action]
        requests = body["request"]
        assert isinstance(requests, list)
        rows: list[Row] = []
        verdicts: list[Row] = []
        for number, request in enumerate(requests):
            item = request if isinstance(request, dict) else {}
            row: Row = {
                "category": body["category"],
                "symbol": item.get("symbol", ""),
                "orderId": "",
                "orderLinkId": item.get("orderLinkId", ""),
            }
            created = ""
            try:
                if number >= granted:
                    raise Refused(10006, "Too many visits!")
                row |= act(account, item | {"category": body["category"]}, now_ns)
                created = str((now_ns + self.skew_ns) // MILLISECOND)
                verdicts.append({"code": 0, "msg": "OK"})
            except Refused as error:
                verdicts.append({"code": error.code, "msg": str(error)})
            rows.append(row | {"createAt": created} if action == "create" else row)
        return {"list": rows}, {"list": verdicts}

    def find(self, account: Account, category: str, query: Body) -> Order | None:
        """The order a query names by id or by the client's own name for it."""
        wanted, link = _text(query, "orderId"), _text(query, "orderLinkId")
        for instrument in self._instruments.values():
            symbol = _text(query, "symbol")
            if instrument.category != category or symbol not in {"", instrument.symbol}:
                continue
            order = self._order(account, instrument.spec, {"orderId": wanted, "orderLinkId": link})
            if order is not None:
                return order
        return None

    def _order(self, account: Account, spec: Spec, body: Body) -> Order | None:
        """If both ids are given, the venue's own counts."""
        category = spec.kind.value
        wanted, link = _text(body, "orderId"), _text(body, "orderLinkId")
        if wanted:
            number = order_number(wanted, category)
            return self._broker.order(account, spec, order_id=number) if number else None
        if not link:
            raise Refused(10001, "params error: orderId or orderLinkId is required")
        return self._broker.order(account, spec, client_id=link)

    def _ticket(self, account: Account, instrument: Instrument, body: Body) -> Ticket:
        category, spec = instrument.category, instrument.spec
        side = _SIDES.get(_text(body, "side"))
        if side is None:
            raise refused("side", category)
        order_type = _text(body, "orderType")
        if order_type not in {"Limit", "Market"}:
            raise refused("order_type", category)
        market = order_type == "Market"
        time_in_force = "IOC" if market else _text(body, "timeInForce") or "GTC"
        if time_in_force == "RPI":
            raise refused("rpi", category)
        if time_in_force not in _TIMES:
            raise refused("time_in_force", category)
        if any(_text(body, name) not in {"", "0"} for name in _CONDITIONS):
            raise Refused(10001, "params error: conditional orders are not supported")
        if _text(body, "orderFilter") not in {"", "Order"}:
            raise Refused(10001, "params error: conditional orders are not supported")
        if category == "linear" and _text(body, "positionIdx") not in {"", "0"}:
            raise Refused(10001, "position idx not match position mode")
        smp_type = _text(body, "smpType") or "None"
        if smp_type not in _SELF_TRADES:
            raise Refused(10001, "params error: smpType invalid")
        link = _text(body, "orderLinkId")
        if not _LINK.fullmatch(link):
            raise refused("client_id", category)
        if category == "spot" and not link:
            self._links += 1
            link = str(_LINKS + self._links)
        ticks = None
        if not market:
            ticks = _grid(to_ticks(spec, _number(body, "price", category)), category)
            ticks = self._within_band(account, spec, side, ticks)
        elif _text(body, "slippageToleranceType"):
            ticks = _tolerated(instrument, side, body)
        reduce_only = category == "linear" and body.get("reduceOnly") is True
        amount = None
        lots = 0
        unit = _text(body, "marketUnit")
        if unit not in {"", "baseCoin", "quoteCoin"}:
            raise Refused(10001, "params error: marketUnit invalid")
        # A market buy on spot is by default for so much of the quote coin.
        by_amount = category == "spot" and market and unit != "baseCoin"
        if by_amount and (side == "buy" or unit == "quoteCoin"):
            amount = _number(body, "qty", category)
            if amount % (spec.tick * spec.lot):
                raise refused("amount_step", category)
        elif reduce_only and body.get("closeOnTrigger") is True and _zero(body, "qty"):
            lots = int(abs(account.position(spec).base) / spec.lot)
            if not lots:
                raise refused("reduce_only", category)
        else:
            lots = _grid(to_lots(spec, _number(body, "qty", category)), category)
        if amount is not None and side == "sell":
            lots, amount = _worth(instrument, amount), None
        spent = _text(body, "qty") if amount is not None else ""
        wish = Wish(
            order_type=order_type,
            time_in_force=time_in_force,
            smp_type=smp_type,
            market_unit=("quoteCoin" if amount is not None else "baseCoin")
            if category == "spot" and market
            else "",
            is_leverage=_text(body, "isLeverage") or "0" if category == "spot" else "",
            quantity=spent,
            cap=spec.price(self.edge(spec, side)) if market and instrument.linear else "",
            last_price=instrument.last_price,
        )
        return Ticket(
            spec=spec,
            side=side,
            ticks=ticks,
            lots=lots,
            client_id=link,
            post_only=time_in_force == "PostOnly",
            time_in_force=_TIMES[time_in_force],
            reduce_only=reduce_only,
            self_trade=_SELF_TRADES[smp_type],
            quote_amount=amount,
            note=wish,
        )

    def _within_band(self, account: Account, spec: Spec, side: Side, ticks: int) -> int:
        """The price, or the nearest the venue allows where the account lets it adjust prices."""
        if not self._settings[account.key].adjusts[spec.kind.value]:
            return ticks
        edge = self.edge(spec, side)
        return min(ticks, edge) if side == "buy" else max(ticks, edge)

    def edge(self, spec: Spec, side: Side) -> int:
        """The highest price of a buy, the lowest of a sell, in ticks."""
        return limit_of_band(spec, side, self._broker.mark(spec), BAND)

    def _instrument(self, body: Body) -> Instrument:
        category = _order_category(body)
        instrument = self._instruments.get((category, _text(body, "symbol")))
        if instrument is None:
            raise refused("unknown_symbol", category)
        return instrument

    def _turned(self, turned: Turned, category: str, side: Side) -> Refused:
        rule: str = turned.rule
        if rule == "price_band":
            rule = "price_too_high" if side == "buy" else "price_too_low"
        return refused(rule, category)


def _named(order: Order) -> Row:
    return {"orderId": order_id(order), "orderLinkId": order.client_id}


def _order_category(body: Body) -> str:
    category = _text(body, "category")
    if category not in BATCH:
        raise Refused(10001, "params error: category invalid")
    return category


def _text(body: Body, name: str) -> str:
    """A field as text; numbers, which the venue takes where it documents them, become text."""
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str | int):
        return str(value)
    raise Refused(10001, f"params error: {name} invalid")


def _number(body: Body, name: str, category: str) -> Decimal:
    """A positive decimal, which must come as a string."""
    value = body.get(name)
    if isinstance(value, str) and _NUMBER.fullmatch(value) and Decimal(value) > 0:
        return Decimal(value)
    raise refused("quantity" if name == "qty" else name, category)


def _zero(body: Body, name: str) -> bool:
    value = body.get(name)
    return isinstance(value, str) and bool(_NUMBER.fullmatch(value)) and not Decimal(value)


def _grid(found: int | Turned, category: str) -> int:
    if isinstance(found, Turned):
        raise refused(found.rule, category)
    return found


def _tolerated(instrument: Instrument, side: Side, body: Body) -> int:
    """The worst price a market order may take, so far from the best one."""
    kind = _text(body, "slippageToleranceType")
    text = _text(body, "slippageTolerance")
    if not _NUMBER.fullmatch(text):
        raise Refused(10001, "params error: slippageTolerance invalid")
    tolerance = Decimal(text)
    best = instrument.engine.best("sell" if side == "buy" else "buy")
    if best is None:
        raise refused("no_liquidity", instrument.category)
    if kind == "TickSize" and 1 <= tolerance <= 10_000 and tolerance == int(tolerance):
        away = int(tolerance)
    elif kind == "Percent" and Decimal("0.01") <= tolerance <= 10:
        away = int((best.ticks * tolerance / 100).to_integral_value(ROUND_FLOOR))
    else:
        raise Refused(10001, "params error: slippageTolerance invalid")
    return best.ticks + away if side == "buy" else max(1, best.ticks - away)


def _worth(instrument: Instrument, amount: Decimal) -> int:
    """Lots that sell for an amount of the quote coin at the best bid."""
    best = instrument.engine.best("buy")
    if best is None:
        raise refused("no_liquidity", instrument.category)
    return int(amount / (instrument.spec.tick * best.ticks * instrument.spec.lot))
