"""The money side of a practice venue: what orders hold, what fills cost, what margin is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Side
from hftmm.sim.ledger import (
    COLLATERAL,
    ZERO,
    Account,
    Balance,
    BalanceChanged,
    Cause,
    Funding,
    OpenValue,
    OrderChanged,
    Position,
    PositionChanged,
)
from hftmm.sim.listings import coin
from hftmm.sim.market import FUNDING_HOURS, Market
from hftmm.sim.orders import Execution, Order, Refused
from hftmm.sim.spec import Spec

MAINTENANCE = Decimal("0.005")
"""Of a position's notional; an account whose equity falls below it is liquidated."""
_BPS = Decimal(10_000)
_PRICE_PLACES = 8
_FUNDING_NS = FUNDING_HOURS * 3_600 * 1_000_000_000


class Clearing:
    """Settles fills and keeps the balances, positions and margin of accounts.

    Linear contracts are margined in one currency across all of them, profit not yet realised
    included. One-way: what an order may add is the larger of its side's worst case and the
    position, so an order that reduces needs no margin.
    """

    def __init__(
        self,
        market: Market,
        specs: Sequence[Spec],
        fees: Mapping[Kind, FeeRates],
        fee_in_received: bool,
        places: int,
        start_ns: int,
    ) -> None:
        self._market = market
        self._rates = {
            (kind, maker): (rates.maker_bps if maker else rates.taker_bps) / _BPS
            for kind, rates in fees.items()
            for maker in (True, False)
        }
        self._fee_in_received = fee_in_received
        self._grain = Decimal(1).scaleb(-places)
        self._contracts = [spec for spec in specs if spec.kind is Kind.LINEAR]
        self._listed: dict[str, Spec] = {}
        for spec in specs:
            self._listed.setdefault(spec.base, spec)
        self._marks: dict[str, tuple[int, Decimal]] = {}
        self._last_execution = 0
        self._funding_due_ns = (start_ns // _FUNDING_NS + 1) * _FUNDING_NS

    def mark(self, spec: Spec) -> Decimal:
        """Mark price of a perpetual, index of a spot pair."""
        known = self._marks.get(spec.symbol)
        if known is not None and known[0] == self._market.now_ns:
            return known[1]
        seen = self._market.mark(spec)
        price = seen.mark if spec.kind is Kind.LINEAR else seen.index
        mark = Decimal(repr(round(price, _PRICE_PLACES)))
        self._marks[spec.symbol] = self._market.now_ns, mark
        return mark

    def price(self, asset: str) -> Decimal:
        """What one unit of an asset is worth in the collateral."""
        if asset == COLLATERAL:
            return Decimal(1)
        spec = self._listed.get(asset)
        if spec is None:
            return Decimal(repr(coin(asset).price))
        return Decimal(repr(round(self._market.mark(spec).index, _PRICE_PLACES)))

    def unrealised(self, account: Account, spec: Spec) -> Decimal:
        """Profit of the open position at the mark."""
        position = account.positions.get(spec.symbol)
        if position is None or not position.base:
            return ZERO
        return position.base * self.mark(spec) - position.cost

    def position_margin(self, account: Account, spec: Spec) -> Decimal:
        """Initial margin of the position, at the mark."""
        return self._margins(account, spec)[0]

    def order_margin(self, account: Account, spec: Spec) -> Decimal:
        """Initial margin that the open orders need beyond the position's."""
        return self._margins(account, spec)[1]

    def equity(self, account: Account, asset: str, kind: Kind) -> Decimal:
        """The balance with, for the collateral, unrealised profit."""
        balance = account.wallet(kind).get(asset, Balance())
        if asset != COLLATERAL or not (account.unified or kind is Kind.LINEAR):
            return balance.total
        return balance.total + sum(
            (self.unrealised(account, spec) for spec in self._margined(account)), ZERO
        )

    def available(self, account: Account, asset: str, kind: Kind) -> Decimal:
        """What a new order of a kind may use; never below 0.

        Unrealised profit is good for margin, not for buying spot; an unrealised loss is neither.
        """
        return max(ZERO, self._spare(account, asset, kind))

    def below_maintenance(self, account: Account) -> bool:
        """True if the account's positions have to be closed."""
        need = sum(
            (
                abs(account.positions[spec.symbol].base) * self.mark(spec)
                for spec in self._margined(account)
                if spec.symbol in account.positions
            ),
            ZERO,
        )
        if not need:
            return False
        return self.equity(account, COLLATERAL, Kind.LINEAR) < need * MAINTENANCE

    def lack(
        self, account: Account, spec: Spec, side: Side, lots: int, value: Decimal, freed: Decimal
    ) -> Refused | None:
        """Why an order cannot be paid for, None if it can.

        Args:
            lots: spot sells need them in base coins.
            value: quote value of the order.
            freed: what an amended order holds already, in the asset it needs, or in quote value.
        """
        if spec.kind is Kind.LINEAR:
            more = value - freed
            held = account.open_value.get(spec.symbol) or OpenValue()
            wanted = OpenValue(held.buys, held.sells)
            if side == "buy":
                wanted.buys += more
            else:
                wanted.sells += more
            position = account.positions.get(spec.symbol)
            notional = position.base * self.mark(spec) if position is not None else ZERO
            extra = _exposure(notional, wanted) - _exposure(notional, held)
            need = extra / account.leverage_of(spec)
            spare = self._spare(account, COLLATERAL, Kind.LINEAR)
            if need <= 0 or need <= spare:
                return None
            return Refused("margin", f"margin of {need} {COLLATERAL} needed, {spare} available")
        asset, need = (spec.quote, value) if side == "buy" else (spec.base, spec.lot * lots)
        need -= freed
        spare = self._spare(account, asset, Kind.SPOT)
        if need <= 0 or need <= spare:
            return None
        return Refused("balance", f"{need} {asset} needed, {spare} available")

    def hold(self, account: Account, order: Order, lots: int, now_ns: int) -> None:
        """Sets aside what so many resting lots may cost; negative lots give it back."""
        if self._set_aside(account, order, lots):
            asset = order.spec.quote if order.side == "buy" else order.spec.base
            self._tell(account, Kind.SPOT, asset, ZERO, "lock", now_ns)

    def held(self, order: Order, lots: int) -> Decimal:
        """What so many resting lots of an order hold: asset on spot, value on linear."""
        if order.spec.kind is Kind.SPOT and order.side == "sell":
            return order.spec.lot * lots
        return ZERO if order.reduce_only else order.value(lots)

    def settle(
        self,
        account: Account,
        order: Order,
        ticks: int,
        lots: int,
        trade_id: int,
        maker: bool,
        now_ns: int,
    ) -> None:
        """Books one fill: order, balances, position, fee and the events of all, in this order."""
        spec = order.spec
        size = spec.lot * lots
        price = spec.tick * ticks
        value = price * size
        rate = self._rates[spec.kind, maker]
        if maker:
            self._set_aside(account, order, -lots)
        realised = ZERO
        position: Position | None = None
        fee_asset, fee = spec.quote, value * rate
        if spec.kind is Kind.LINEAR:
            fee_asset = COLLATERAL
            position = account.positions.setdefault(spec.symbol, Position())
            realised = position.trade(order.side, size, price, self._grain)
            position.updated_ns = now_ns
        elif self._fee_in_received and order.side == "buy":
            fee_asset, fee = spec.base, size * rate
        fee = fee.quantize(self._grain)
        self._last_execution += 1
        execution = Execution(
            id=self._last_execution,
            trade_id=trade_id,
            order=order,
            ticks=ticks,
            lots=lots,
            maker=maker,
            fee=fee,
            fee_asset=fee_asset,
            realised=realised,
            ts_ns=now_ns,
        )
        account.executions.append(execution)
        order.fills.append(execution)
        order.filled_lots += lots
        order.filled_quote += value
        order.state = "filled" if order.filled_lots == order.lots else "partially_filled"
        order.updated_ns = now_ns
        account.events.append(OrderChanged(order.snapshot(), execution, "trade", now_ns))
        if position is not None:
            position.fees += fee
            self._post(account, Kind.LINEAR, COLLATERAL, realised, "trade", now_ns)
        elif order.side == "buy":
            self._post(account, Kind.SPOT, spec.base, size, "trade", now_ns)
            self._post(account, Kind.SPOT, spec.quote, -value, "trade", now_ns)
        else:
            self._post(account, Kind.SPOT, spec.base, -size, "trade", now_ns)
            self._post(account, Kind.SPOT, spec.quote, value, "trade", now_ns)
        self._post(account, spec.kind, fee_asset, -fee, "fee", now_ns)
        if position is not None:
            self._show(account, spec, position, "trade", now_ns)

    def fund_due(self, accounts: Iterable[Account], until_ns: int) -> None:
        """Books all funding due up to then, each at the mark of its own moment."""
        while self._funding_due_ns <= until_ns:
            due_ns = self._funding_due_ns
            self._funding_due_ns += _FUNDING_NS
            for account in accounts:
                for spec in self._contracts:
                    if account.position(spec).base:
                        self._fund(account, spec, due_ns)

    def deposit(
        self, account: Account, kind: Kind, asset: str, amount: Decimal, now_ns: int
    ) -> None:
        """Adds to a wallet from outside; a negative amount takes away."""
        account.deposits.append((account.wallet_name(kind), asset, amount))
        self._post(account, kind, asset, amount, "transfer", now_ns)

    def _fund(self, account: Account, spec: Spec, due_ns: int) -> None:
        position = account.positions[spec.symbol]
        seen = self._market.mark(spec, due_ns)
        rate = Decimal(repr(seen.funding_rate))
        mark = Decimal(repr(round(seen.mark, _PRICE_PLACES)))
        amount = -(position.base * mark * rate).quantize(self._grain)
        position.funding -= amount
        position.updated_ns = due_ns
        funding = Funding(spec, rate, amount, due_ns)
        account.fundings.append(funding)
        account.events.append(funding)
        self._post(account, Kind.LINEAR, COLLATERAL, amount, "funding", due_ns)
        self._show(account, spec, position, "funding", due_ns)

    def _margins(self, account: Account, spec: Spec) -> tuple[Decimal, Decimal]:
        """Initial margin of position and orders."""
        position = account.positions.get(spec.symbol)
        notional = position.base * self.mark(spec) if position is not None else ZERO
        held = account.open_value.get(spec.symbol)
        leverage = account.leverage_of(spec)
        own = abs(notional) / leverage
        if held is None:
            return own, ZERO
        return own, _exposure(notional, held) / leverage - own

    def _margined(self, account: Account) -> list[Spec]:
        """Contracts with a position or orders."""
        return [
            spec
            for spec in self._contracts
            if spec.symbol in account.positions or spec.symbol in account.open_value
        ]

    def _spare(self, account: Account, asset: str, kind: Kind) -> Decimal:
        balance = account.wallet(kind).get(asset)
        spare = balance.total - balance.locked if balance is not None else ZERO
        if asset != COLLATERAL or not (account.unified or kind is Kind.LINEAR):
            return spare
        profit = ZERO
        for spec in self._contracts:
            position = account.positions.get(spec.symbol)
            held = account.open_value.get(spec.symbol)
            notional = ZERO
            if position is not None and position.base:
                notional = position.base * self.mark(spec)
                profit += notional - position.cost
            if held is not None and (held.buys or held.sells):
                spare -= _exposure(notional, held) / account.leverage_of(spec)
            elif notional:
                spare -= abs(notional) / account.leverage_of(spec)
        return spare + (profit if kind is Kind.LINEAR else min(profit, ZERO))

    def _set_aside(self, account: Account, order: Order, lots: int) -> bool:
        """Holds without telling; True if a balance is concerned."""
        spec = order.spec
        amount = self.held(order, lots)
        if spec.kind is Kind.SPOT:
            asset = spec.quote if order.side == "buy" else spec.base
            account.spot.setdefault(asset, Balance()).locked += amount
            return True
        held = account.open_value.setdefault(spec.symbol, OpenValue())
        if order.side == "buy":
            held.buys += amount
        else:
            held.sells += amount
        return False

    def _post(
        self, account: Account, kind: Kind, asset: str, delta: Decimal, cause: Cause, now_ns: int
    ) -> None:
        if delta:
            account.wallet(kind).setdefault(asset, Balance()).total += delta
            self._tell(account, kind, asset, delta, cause, now_ns)

    def _tell(
        self, account: Account, kind: Kind, asset: str, delta: Decimal, cause: Cause, now_ns: int
    ) -> None:
        balance = account.wallet(kind)[asset]
        account.events.append(
            BalanceChanged(
                asset,
                account.wallet_name(kind),
                balance.total,
                balance.locked,
                self.available(account, asset, kind),
                delta,
                cause,
                now_ns,
            )
        )

    def _show(
        self, account: Account, spec: Spec, position: Position, cause: Cause, now_ns: int
    ) -> None:
        account.events.append(
            PositionChanged(
                spec,
                position.base,
                position.entry,
                position.realised,
                self.unrealised(account, spec),
                cause,
                now_ns,
            )
        )


def _exposure(notional: Decimal, held: OpenValue) -> Decimal:
    """The largest absolute value the position could have if one side's orders all filled."""
    return max(abs(notional), abs(notional + held.buys), abs(notional - held.sells))
