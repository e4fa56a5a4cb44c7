"""Spot trading: what the order requests of REST and WebSocket API do, whichever they came by."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

from hftmm.sim.binance.errors import (
    INVALID_SIDE,
    INVALID_TIME_IN_FORCE,
    INVALID_TYPE,
    UNKNOWN_ORDER,
    ApiError,
    illegal,
    invalid,
    missing,
    not_required,
    spot_error,
)
from hftmm.sim.binance.floor import Floor, whole
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.params import Params, decimal, one_of, spot_id, text
from hftmm.sim.binance.spot_view import canceled_row, order_row, placed_row
from hftmm.sim.ledger import Account
from hftmm.sim.orders import Order, Refused, Ticket

MODES = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")
"""Self-trade prevention on offer."""
MOST_DECIMALS = 8
BAND = 5
"""PERCENT_PRICE_BY_SIDE: a price may be so many times the reference, or that part of it."""
MOST_AMENDS = 10

_CONDITIONAL = {
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}
_SHAPES = ("ACK", "RESULT", "FULL")
_NEEDLESS = {
    "LIMIT": ("stopPrice", "trailingDelta", "quoteOrderQty"),
    "LIMIT_MAKER": ("timeInForce", "stopPrice", "trailingDelta", "quoteOrderQty"),
    "MARKET": ("timeInForce", "price", "stopPrice", "trailingDelta"),
}


class SpotFloor(Floor):
    """Spot orders: placed, cancelled, replaced, amended and shown."""

    def place(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /api/v3/order`, `order.place`."""
        self.limits.admit_order(now_ns)
        ticket = self._ticket(params)
        shape = _shape(params)
        return self._enter(account, ticket, shape, now_ns)

    def test(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /api/v3/order/test`: all checks of form, no order."""
        self._ticket(params)
        _shape(params)
        return {}

    def cancel(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`DELETE /api/v3/order`, `order.cancel`."""
        order = self.to_cancel(account, params)
        cancel_id = spot_id(params, "newClientOrderId") or self.fresh_id()
        restriction = params.get("cancelRestrictions")
        if restriction is not None:
            if restriction not in ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
                words = "`cancelRestrictions` has to be either `ONLY_NEW` or "
                raise ApiError(400, -1145, f"{words}`ONLY_PARTIALLY_FILLED`.")
            if restriction.removeprefix("ONLY_").lower() != order.state:
                words = "Order was not canceled due to cancel restrictions."
                raise ApiError(400, -2011, words)
        return self._withdraw(account, order, cancel_id, now_ns)

    def cancel_all(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`DELETE /api/v3/openOrders`, `openOrders.cancelAll`."""
        spec = self.instrument(params).spec
        rows = []
        for order in self.broker.open_orders(account, spec=spec):
            # One that fills on the way is none of the cancelled.
            with suppress(ApiError):
                rows.append(self._withdraw(account, order, self.fresh_id(), now_ns))
        if not rows:
            raise ApiError(*UNKNOWN_ORDER)
        return rows

    def cancel_replace(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`POST /api/v3/order/cancelReplace`, `order.cancelReplace`."""
        mode = text(params, "cancelReplaceMode")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            raise invalid("cancelReplaceMode")
        # Form and filters are looked at before either step.
        ticket, shape = self._ticket(params), _shape(params)
        self.limits.admit_order(now_ns)
        outcome: dict[str, Any] = {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": None,
            "newOrderResponse": None,
        }
        names = ("cancelOrderId", "cancelOrigClientOrderId")
        cancel_id = spot_id(params, "cancelNewClientOrderId") or self.fresh_id()
        try:
            order = self.to_cancel(account, params, *names)
            outcome["cancelResponse"] = self._withdraw(account, order, cancel_id, now_ns)
        except ApiError as error:
            if error.code == -1102:
                raise
            outcome |= {"cancelResult": "FAILURE", "cancelResponse": error.body}
        if outcome["cancelResult"] == "FAILURE" and mode == "STOP_ON_FAILURE":
            outcome["newOrderResult"] = "NOT_ATTEMPTED"
            # The venue counts the order it did not attempt.
            self.limits.count_orders(1, now_ns)
            raise ApiError(400, -2022, "Order cancel-replace failed.", outcome)
        try:
            outcome["newOrderResponse"] = self._enter(account, ticket, shape, now_ns)
        except ApiError as error:
            outcome |= {"newOrderResult": "FAILURE", "newOrderResponse": error.body}
        failures = [outcome["cancelResult"], outcome["newOrderResult"]].count("FAILURE")
        if failures == 2:
            raise ApiError(400, -2022, "Order cancel-replace failed.", outcome)
        if failures:
            raise ApiError(409, -2021, "Order cancel-replace partially failed.", outcome)
        return outcome

    def amend(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`PUT /api/v3/order/amend/keepPriority`, `order.amend.keepPriority`."""
        order = self.to_cancel(account, params)
        instrument = self.of(order)
        lots = self._lots(instrument, decimal(params, "newQty"))
        client_id = spot_id(params, "newClientOrderId") or self.fresh_id()
        if self.amends[order.id] >= MOST_AMENDS:
            raise ApiError(400, -2038, "Filter failure: MAX_NUM_ORDER_AMENDS")
        if lots <= order.filled_lots:
            raise spot_error(Refused("amend_below_filled", ""))
        amended = self.broker.amend(account, order, now_ns, lots=lots, keep_priority=True)
        if isinstance(amended, Refused):
            raise spot_error(amended)
        self.rename(account, order, client_id)
        return {
            "transactTime": self.clock.ms(now_ns),
            "executionId": self.last_execution + 1,
            "amendedOrder": {
                "symbol": instrument.name,
                "orderId": order.id,
                "orderListId": -1,
                "origClientOrderId": self.amended_ids[order.id],
                "clientOrderId": client_id,
                "price": instrument.price(order.ticks or 0),
                "qty": instrument.size(order.lots),
                "executedQty": instrument.size(order.filled_lots),
                "preventedQty": instrument.size(0),
                "quoteOrderQty": instrument.price(0),
                "cumulativeQuoteQty": f"{order.filled_quote:.8f}",
                "status": "NEW" if order.state == "new" else "PARTIALLY_FILLED",
                "timeInForce": order.time_in_force.upper(),
                "type": "LIMIT_MAKER" if order.post_only else "LIMIT",
                "side": order.side.upper(),
                "workingTime": self.clock.ms(order.created_ns),
                "selfTradePreventionMode": order.self_trade.upper(),
            },
        }

    def show(self, account: Account, params: Params, now_ns: int) -> dict[str, Any]:
        """`GET /api/v3/order`, `order.status`."""
        return self._row(self.to_show(account, params, now_ns))

    def show_open(self, account: Account, params: Params, now_ns: int) -> list[dict[str, Any]]:
        """`GET /api/v3/openOrders`, `openOrders.status`."""
        spec = self.instrument(params).spec if "symbol" in params else None
        orders = self.broker.open_orders(account, spec=spec, kind=self.kind)
        return [self._row(order) for order in orders]

    def _row(self, order: Order) -> dict[str, Any]:
        return order_row(self.of(order), order, order.client_id, self.clock)

    def _enter(self, account: Account, ticket: Ticket, shape: str, now_ns: int) -> dict[str, Any]:
        order = self.broker.place(account, ticket, now_ns)
        if isinstance(order, Refused):
            rule = order.rule
            if rule in ("min_size", "max_size", "lot_size") and ticket.ticks is None:
                raise ApiError(400, -1013, "Filter failure: MARKET_LOT_SIZE")
            raise spot_error(order)
        self.limits.count_orders(1, now_ns)
        shape = shape or ("ACK" if order.post_only else "FULL")
        return placed_row(self.of(order), order, order.client_id, self.clock, shape)

    def _withdraw(
        self, account: Account, order: Order, cancel_id: str, now_ns: int
    ) -> dict[str, Any]:
        canceled = self.broker.cancel(account, order.id, order.spec, now_ns)
        if isinstance(canceled, Refused):
            raise spot_error(canceled)
        self.cancel_ids[order.id] = cancel_id
        return canceled_row(self.of(order), order, order.client_id, cancel_id, self.clock)

    def _ticket(self, params: Params) -> Ticket:
        """A new order as its parameters describe it, in whole ticks and lots."""
        instrument = self.instrument(params)
        side = text(params, "side")
        if side not in ("BUY", "SELL"):
            raise ApiError(*INVALID_SIDE)
        kind = text(params, "type")
        if kind in _CONDITIONAL:
            raise ApiError(400, -2010, _CONDITIONAL[kind])
        if kind not in _NEEDLESS:
            raise ApiError(*INVALID_TYPE)
        for name in _NEEDLESS[kind]:
            if name in params:
                raise not_required(name)
        if "icebergQty" in params:
            raise ApiError(400, -2010, "Iceberg orders are not supported for this symbol.")
        time_in_force = "GTC"
        if kind == "LIMIT":
            time_in_force = text(params, "timeInForce")
            if time_in_force not in ("GTC", "IOC", "FOK"):
                raise ApiError(*INVALID_TIME_IN_FORCE)
        ticks, quote_amount, lots = None, None, 0
        if kind != "MARKET":
            ticks = self._ticks(instrument, decimal(params, "price"))
            lots = self._lots(instrument, decimal(params, "quantity"))
        elif "quoteOrderQty" in params:
            if "quantity" in params:
                raise not_required("quantity")
            quote_amount = decimal(params, "quoteOrderQty")
        elif "quantity" in params:
            lots = self._lots(instrument, decimal(params, "quantity"), "MARKET_LOT_SIZE")
        else:
            raise missing("quantity")
        mode = one_of(params, "selfTradePreventionMode", MODES, "EXPIRE_MAKER")
        return Ticket(
            spec=instrument.spec,
            side="buy" if side == "BUY" else "sell",
            ticks=ticks,
            lots=lots,
            client_id=spot_id(params, "newClientOrderId") or self.fresh_id(),
            post_only=kind == "LIMIT_MAKER",
            time_in_force=_TIMES[time_in_force],
            self_trade=_SELF_TRADE[mode],
            quote_amount=quote_amount,
        )

    def _ticks(self, instrument: Instrument, price: Decimal) -> int:
        _check_precision("price", price)
        ticks = whole(price, instrument.spec.tick)
        if not ticks:
            raise ApiError(400, -1013, "Filter failure: PRICE_FILTER")
        reference = self.broker.mark(instrument.spec)
        if not reference / BAND <= price <= reference * BAND:
            raise ApiError(400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE")
        return ticks

    def _lots(self, instrument: Instrument, size: Decimal, rule: str = "LOT_SIZE") -> int:
        _check_precision("quantity", size)
        lots = whole(size, instrument.spec.lot)
        if not lots:
            # A market order has no step of its own: its lots are those of any order.
            raise ApiError(400, -1013, f"Filter failure: {rule if size == 0 else 'LOT_SIZE'}")
        return lots


_TIMES: Any = {"GTC": "gtc", "IOC": "ioc", "FOK": "fok"}
_SELF_TRADE: Any = {mode: mode.lower() for mode in MODES}


def _check_precision(name: str, value: Decimal) -> None:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MOST_DECIMALS:
        raise ApiError(400, -1111, f"Parameter '{name}' has too much precision.")


def _shape(params: Params) -> str:
    shape = params.get("newOrderRespType", "")
    if shape and shape not in _SHAPES:
        raise illegal("newOrderRespType", "^(ACK|RESULT|FULL)$")
    return shape
