"""USD-M trading: what the order requests of REST and WebSocket API do, whichever they came by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hftmm.core.instrument import Side, decimal_places
from hftmm.sim.binance.errors import (
    INVALID_SIDE,
    INVALID_TIME_IN_FORCE,
    INVALID_TYPE,
    OVERLOADED,
    ApiError,
    invalid,
    linear_error,
    not_required,
)
from hftmm.sim.binance.floor import Floor, whole
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.linear_view import ack_row, just_accepted, order_row
from hftmm.sim.binance.params import (
    Params,
    decimal,
    flag,
    from_json,
    json_list,
    linear_id,
    number,
    one_of,
    text,
)
from hftmm.sim.filters import limit_of_band
from hftmm.sim.ledger import Account
from hftmm.sim.orders import Order, Refused, Ticket

MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
BAND = Decimal("0.05")
"""PERCENT_PRICE: how far above the mark a buy may be, and a sell below it."""
MOST_PLACED = 5
MOST_CANCELED = 10
MILLISECOND = 1_000_000

_CONDITIONAL = (
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
_TIMES: Any = {"GTC": "gtc", "GTX": "gtc", "IOC": "ioc", "FOK": "fok"}
_SELF_TRADE: Any = {mode: mode.lower() for mode in MODES}
_ALL_CANCELED = {"code": 200, "msg": "The operation of cancel all open order is done."}


class LinearFloor(Floor):
    """USD-M orders: placed, changed, cancelled and shown."""

    def place(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /fapi/v1/order`, `order.place`."""
        self.limits.admit_order(now_ns)
        return self._enter(account, params, now_ns)

    def test(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /fapi/v1/order/test`: all checks of form, no order."""
        self._ticket(params)
        return {}

    def place_batch(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`POST /fapi/v1/batchOrders`: an order or an error for each, in the order given."""
        entries = self._entries(params)
        self.limits.admit_order(now_ns)
        return [_each(self._enter, account, entry, now_ns) for entry in entries]

    def modify(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`PUT /fapi/v1/order`, `order.modify`: it loses its place in the queue."""
        order = self.named(account, params)
        if order is None or not order.open:
            raise ApiError(400, -2013, "Order does not exist.")
        instrument = self.of(order)
        if text(params, "side") != order.side.upper():
            raise ApiError(*INVALID_SIDE)
        ticks = _ticks(instrument, decimal(params, "price"))
        lots = _lots(instrument, decimal(params, "quantity"))
        self.limits.count_orders(1, now_ns)
        # Nothing left to trade: the venue takes the change for a cancel. A change that would
        # make a post-only order take ends the order, and only the change is answered for.
        if lots <= order.filled_lots or (order.post_only and self._crosses(order, ticks)):
            return self._withdraw(account, order, now_ns)
        amended = self.broker.amend(
            account, order, now_ns, ticks=ticks, lots=lots, keep_priority=False
        )
        if isinstance(amended, Refused):
            raise self._refusal(amended, instrument, order.side)
        return ack_row(instrument, order, self.clock)

    def modify_batch(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`PUT /fapi/v1/batchOrders`."""
        return [_each(self.modify, account, entry, now_ns) for entry in self._entries(params)]

    def cancel(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`DELETE /fapi/v1/order`, `order.cancel`."""
        return self._withdraw(account, self.to_cancel(account, params), now_ns)

    def cancel_all(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`DELETE /fapi/v1/allOpenOrders`: says that it was done, not what."""
        self.broker.cancel_all(account, self.instrument(params).spec, self.kind, now_ns)
        return dict(_ALL_CANCELED)

    def cancel_batch(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`DELETE /fapi/v1/batchOrders`: an order or an error for each, in the order given."""
        symbol = self.instrument(params).name
        by_id = "orderIdList" in params
        asked = json_list(params, "orderIdList" if by_id else "origClientOrderIdList")
        if not 1 <= len(asked) <= MOST_CANCELED:
            raise invalid("orderIdList" if by_id else "origClientOrderIdList")
        name = "orderId" if by_id else "origClientOrderId"
        entries = [{"symbol": symbol, name: str(value)} for value in asked]
        return [_each(self.cancel, account, entry, now_ns) for entry in entries]

    def count_down(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /fapi/v1/countdownCancelAll`: a dead man's switch, 0 disarms it."""
        instrument = self.instrument(params)
        text(params, "countdownTime")
        time_ms = number(params, "countdownTime") or 0
        self.broker.arm_dead_man(account, instrument.spec, time_ms * MILLISECOND, now_ns)
        return {"symbol": instrument.name, "countdownTime": str(time_ms)}

    def show(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/order`, `order.status`."""
        return self._row(self.to_show(account, params, now_ns))

    def show_if_open(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /fapi/v1/openOrder`."""
        order = self.to_show(account, params, now_ns)
        if not order.open:
            raise ApiError(400, -2013, "Order does not exist.")
        return self._row(order)

    def show_open(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /fapi/v1/openOrders`."""
        spec = self.instrument(params).spec if "symbol" in params else None
        orders = self.broker.open_orders(account, spec=spec, kind=self.kind)
        return [self._row(order) for order in orders]

    def band(self, instrument: Instrument) -> tuple[str, str]:
        """Lowest price a sell and highest price a buy may have now."""
        reference = self.broker.mark(instrument.spec)
        low = limit_of_band(instrument.spec, "sell", reference, BAND)
        return instrument.price(low), instrument.price(
            limit_of_band(instrument.spec, "buy", reference, BAND)
        )

    def _row(self, order: Order) -> dict[str, Any]:
        return order_row(self.of(order), order, self.clock)

    def _entries(self, params: Params) -> list[dict[str, str]]:
        """Orders of a batch, each as parameters."""
        given = json_list(params, "batchOrders")
        if not 1 <= len(given) <= MOST_PLACED:
            raise invalid("batchOrders")
        entries = []
        for entry in given:
            if not isinstance(entry, dict):
                raise ApiError(400, -1135, "JSON sent for parameter 'batchOrders' is not valid")
            entries.append(from_json(entry))
        return entries

    def _enter(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        ticket = self._ticket(params)
        shape = one_of(params, "newOrderRespType", ("ACK", "RESULT"), "ACK")
        if self.disturbances.overloaded and not ticket.reduce_only:
            raise ApiError(*OVERLOADED)
        order = self.broker.place(account, ticket, now_ns)
        instrument = self.instrument(params)
        if isinstance(order, Refused):
            raise self._refusal(order, instrument, ticket.side)
        self.limits.count_orders(1, now_ns)
        row = ack_row(instrument, order, self.clock)
        return row if shape == "RESULT" else just_accepted(row)

    def _withdraw(self, account: Account, order: Order, now_ns: int) -> dict[str, Any]:
        canceled = self.broker.cancel(account, order.id, order.spec, now_ns)
        if isinstance(canceled, Refused):
            raise linear_error(canceled)
        return ack_row(self.of(order), order, self.clock)

    def _refusal(self, refused: Refused, instrument: Instrument, side: Side) -> ApiError:
        low, high = self.band(instrument)
        if refused.rule == "price_band" and side == "sell":
            return ApiError(400, -4024, f"Limit price can't be lower than {low}.")
        notional = f"{instrument.spec.min_notional:f}"
        return linear_error(refused, upper=high, notional=notional)

    def _crosses(self, order: Order, ticks: int) -> bool:
        """True if an order at this price would take."""
        engine = self.of(order).engine
        best = engine.best("sell" if order.side == "buy" else "buy")
        if best is None:
            return False
        return ticks >= best.ticks if order.side == "buy" else ticks <= best.ticks

    def _ticket(self, params: Params) -> Ticket:
        """A new order as its parameters describe it, in whole ticks and lots."""
        instrument = self.instrument(params)
        side = text(params, "side")
        if side not in ("BUY", "SELL"):
            raise ApiError(*INVALID_SIDE)
        kind = text(params, "type")
        if kind in _CONDITIONAL:
            words = "Order type not supported for this endpoint. Please use the Algo Order API "
            raise ApiError(400, -4120, f"{words}endpoints instead.")
        if kind not in ("LIMIT", "MARKET"):
            raise ApiError(*INVALID_TYPE)
        if one_of(params, "positionSide", ("BOTH", "LONG", "SHORT"), "BOTH") != "BOTH":
            words = "Order's position side does not match user's setting."
            raise ApiError(400, -4061, words)
        time_in_force, ticks = "GTC", None
        if kind == "LIMIT":
            time_in_force = text(params, "timeInForce")
            if time_in_force not in _TIMES:
                raise ApiError(*INVALID_TIME_IN_FORCE)
            ticks = _ticks(instrument, decimal(params, "price"))
        else:
            for name in ("price", "timeInForce"):
                if name in params:
                    raise not_required(name)
        mode = one_of(params, "selfTradePreventionMode", MODES, "EXPIRE_MAKER")
        return Ticket(
            spec=instrument.spec,
            side="buy" if side == "BUY" else "sell",
            ticks=ticks,
            lots=_lots(instrument, decimal(params, "quantity")),
            client_id=linear_id(params, "newClientOrderId") or self.fresh_id(),
            post_only=time_in_force == "GTX",
            time_in_force=_TIMES[time_in_force],
            reduce_only=flag(params, "reduceOnly"),
            self_trade=_SELF_TRADE[mode],
        )


def _ticks(instrument: Instrument, price: Decimal) -> int:
    tick = instrument.spec.tick
    _check_precision(price, decimal_places(tick) + 1)
    if price <= 0:
        raise ApiError(400, -4001, "Price less than 0.")
    ticks = whole(price, tick)
    if not ticks:
        raise linear_error(Refused("price_filter", ""))
    return ticks


def _lots(instrument: Instrument, size: Decimal) -> int:
    lot = instrument.spec.lot
    _check_precision(size, decimal_places(lot) + 1)
    if size <= 0:
        raise ApiError(400, -4003, "Quantity less than or equal to zero.")
    lots = whole(size, lot)
    if lots is None:
        raise linear_error(Refused("lot_size", ""))
    return lots


def _check_precision(value: Decimal, places: int) -> None:
    """The venue's precisions are one decimal finer than its steps."""
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        raise ApiError(400, -1111, "Precision is over the maximum defined for this asset.")


def _each(action: Any, account: Account, entry: Params, now_ns: int) -> dict[str, Any]:
    """The answer to one element of a batch: an error is an element like any other."""
    try:
        row: dict[str, Any] = action(account, entry, now_ns)
    except ApiError as error:
        return error.body
    return row
