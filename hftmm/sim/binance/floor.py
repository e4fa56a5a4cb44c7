"""One market's trading floor: its instruments and orders as requests name them."""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from hftmm.core.instrument import Kind
from hftmm.sim.binance.clock import Clock
from hftmm.sim.binance.errors import INVALID_SYMBOL, NO_SUCH_ORDER, UNKNOWN_ORDER, ApiError
from hftmm.sim.binance.instrument import Instrument
from hftmm.sim.binance.limits import Limits
from hftmm.sim.binance.params import Params, number, text
from hftmm.sim.broker import Broker
from hftmm.sim.ledger import Account
from hftmm.sim.orders import Order
from hftmm.sim.spec import Spec

_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 22


class Disturbances:
    """Moods of the venue itself, switched on by whoever drives it.

    Attributes:
        overloaded: USD-M turns new orders away, but neither cancels nor what reduces a position.
        read_lag_ns: queries do not know an order younger than this.
        unknown_fields: events of user data streams have a field nobody has heard of.
    """

    __slots__ = ("overloaded", "read_lag_ns", "unknown_fields")

    def __init__(self) -> None:
        self.overloaded = False
        self.read_lag_ns = 0
        self.unknown_fields = False


class Floor:
    """What spot and USD-M have in common.

    Attributes:
        cancel_ids: client id of the cancel request, by order, until its event is written.
        amended_ids: the client id an order had before it was amended, until that event is written.
        amends: how often each order was amended.
        last_execution: number of the last event of any order, `I` of spot.
    """

    def __init__(
        self,
        kind: Kind,
        broker: Broker,
        instruments: Mapping[tuple[str, str], Instrument],
        clock: Clock,
        rng: random.Random,
        disturbances: Disturbances,
    ) -> None:
        self.kind = kind
        self.market = "spot" if kind is Kind.SPOT else "linear"
        self.broker = broker
        self.clock = clock
        self.limits = Limits(self.market)
        self.disturbances = disturbances
        self.cancel_ids: dict[int, str] = {}
        self.amended_ids: dict[int, str] = {}
        self.last_execution = 0
        self.amends: Counter[int] = Counter()
        self._rng = rng
        self._by_name = {
            name: entry for (where, name), entry in instruments.items() if where == self.market
        }
        self._by_symbol = {entry.spec.symbol: entry for entry in self._by_name.values()}

    @property
    def instruments(self) -> list[Instrument]:
        return list(self._by_name.values())

    def instrument(self, params: Params) -> Instrument:
        """The instrument of the mandatory `symbol`."""
        found = self._by_name.get(text(params, "symbol"))
        if found is None:
            raise ApiError(*INVALID_SYMBOL)
        return found

    def chosen(self, params: Params) -> list[Instrument]:
        """The instrument of `symbol`, all without it."""
        return [self.instrument(params)] if "symbol" in params else self.instruments

    def listed(self, spec: Spec) -> Instrument:
        return self._by_symbol[spec.symbol]

    def of(self, order: Order) -> Instrument:
        return self.listed(order.spec)

    def fresh_id(self) -> str:
        """A client order id for a request that brought none."""
        return "".join(self._rng.choices(_ID_ALPHABET, k=_ID_LENGTH))

    def named(
        self,
        account: Account,
        params: Params,
        id_name: str = "orderId",
        client_name: str = "origClientOrderId",
    ) -> Order | None:
        """The order a request names by id, by client id or by both; None if there is none.

        Raises:
            ApiError: neither is there, or they are of different orders.
        """
        spec = self.instrument(params).spec
        order_id, client_id = number(params, id_name), params.get(client_name, "")
        if order_id is None and not client_id:
            text = f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!"
            raise ApiError(400, -1102, text)
        if order_id is not None:
            order = self.broker.order(account, spec, order_id=order_id)
            if order is not None and client_id and order.client_id != client_id:
                mismatch = "Client order ID is not correct for this order ID."
                raise ApiError(400, -2039, mismatch)
            return order
        return self.broker.order(account, spec, client_id=client_id)

    def to_cancel(self, account: Account, params: Params, *names: str) -> Order:
        """An open order; ApiError -2011 if there is none (any more)."""
        order = self.named(account, params, *names)
        if order is None or not order.open:
            raise ApiError(*UNKNOWN_ORDER)
        return order

    def to_show(self, account: Account, params: Params, now_ns: int) -> Order:
        """An order of any state; ApiError -2013 if the read path does not know it (yet)."""
        order = self.named(account, params)
        if order is None or now_ns - order.created_ns < self.disturbances.read_lag_ns:
            raise ApiError(*NO_SUCH_ORDER)
        return order

    def rename(self, account: Account, order: Order, client_id: str) -> None:
        """Gives an order another client id; it no longer answers to the old one."""
        wallet = account.wallet_name(order.spec.kind)
        account.client_ids.pop((wallet, order.client_id), None)
        account.client_ids[wallet, client_id] = order
        self.amended_ids[order.id] = order.client_id
        self.amends[order.id] += 1
        order.client_id = client_id


def whole(amount: Decimal, step: Decimal) -> int | None:
    """How many steps an amount is, None if it lies between two."""
    steps = amount / step
    count = int(steps)
    return count if count == steps else None
