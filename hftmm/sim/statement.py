"""An account as its broker knows it, written out for whoever checks a client against it."""

from __future__ import annotations

from decimal import Decimal

from hftmm.core.instrument import Kind
from hftmm.sim.broker import Broker
from hftmm.sim.ledger import Account, Balance
from hftmm.sim.orders import Execution, Order


def statement(broker: Broker, account: Account) -> dict[str, object]:
    """Balances by wallet, positions by symbol, open orders and executions, oldest first.

    Amounts are plain decimal strings, sizes in base coins whatever the venue counts in; ids are the
    broker's own, `client_id` what the client gave.
    """
    linear = [spec for spec in broker.specs if spec.symbol in account.positions]
    return {
        "venue": broker.venue,
        "account": account.key,
        "balances": {
            account.wallet_name(kind): {
                asset: _balance(balance) for asset, balance in account.wallet(kind).items()
            }
            for kind in (Kind.SPOT, Kind.LINEAR)
        },
        "positions": {
            spec.symbol: {
                "base": _plain(account.position(spec).base),
                "entry": _plain(account.position(spec).entry),
                "realised": _plain(account.position(spec).realised),
                "fees": _plain(account.position(spec).fees),
                "funding": _plain(account.position(spec).funding),
                "unrealised": _plain(broker.unrealised(account, spec)),
                "mark": _plain(broker.mark(spec)),
            }
            for spec in linear
        },
        "orders": [_order(order) for order in account.open.values()],
        "executions": [_execution(execution) for execution in account.executions],
    }


def _balance(balance: Balance) -> dict[str, str]:
    return {"total": _plain(balance.total), "locked": _plain(balance.locked)}


def _order(order: Order) -> dict[str, object]:
    return {
        "id": order.id,
        "client_id": order.client_id,
        "symbol": order.spec.symbol,
        "side": order.side,
        "price": None if order.price is None else _plain(order.price),
        "size": _plain(order.size),
        "filled": _plain(order.filled),
        "state": order.state,
        "reduce_only": order.reduce_only,
        "created_ns": order.created_ns,
    }


def _execution(execution: Execution) -> dict[str, object]:
    order = execution.order
    return {
        "id": execution.id,
        "trade_id": execution.trade_id,
        "order": order.id,
        "client_id": order.client_id,
        "symbol": order.spec.symbol,
        "side": order.side,
        "price": _plain(execution.price),
        "size": _plain(execution.size),
        "maker": execution.maker,
        "fee": _plain(execution.fee),
        "fee_asset": execution.fee_asset,
        "realised": _plain(execution.realised),
        "ts_ns": execution.ts_ns,
    }


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
