"""What really happened at a practice venue, in the words of the engine: its own trade list, orders
and balances, read past every fault.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from hftmm.core.instrument import Kind
from hftmm.sim.broker import Broker
from hftmm.sim.bybit.rows import execution_id
from hftmm.sim.ledger import DEMO, Account
from hftmm.sim.orders import Execution, Order

ZERO: Final = Decimal(0)


class Truth:
    """One venue's account.

    Attributes:
        executions: by listing key and the trade id that the venue tells.
        positions: by listing key: what was traded, less fees taken in the base coin.
    """

    def __init__(self, venue: str, broker: Broker) -> None:
        self.venue: Final = venue
        self.account: Final[Account] = broker.accounts[DEMO.account]
        self.executions: Final[dict[tuple[str, str], Execution]] = {}
        self.positions: Final[dict[str, Decimal]] = {}
        self._read = 0

    def read(self) -> None:
        """Takes in what was traded since the last call."""
        executions = self.account.executions
        while self._read < len(executions):
            execution = executions[self._read]
            self._read += 1
            spec = execution.order.spec
            key = f"{self.venue} {spec.symbol}"
            self.executions[key, self._trade_id(execution)] = execution
            signed = execution.size if execution.order.side == "buy" else -execution.size
            if spec.kind is Kind.SPOT and execution.fee_asset == spec.base:
                signed -= execution.fee
            self.positions[key] = self.positions.get(key, ZERO) + signed

    def open_orders(self) -> list[Order]:
        """Oldest first."""
        return [*self.account.open.values()]

    def balances(self) -> list[tuple[str, str, Decimal]]:
        """Kind of the wallet (both are one where the venue keeps them so), asset, total."""
        kinds = (Kind.SPOT,) if self.account.unified else (Kind.SPOT, Kind.LINEAR)
        return [
            ("" if self.account.unified else kind.value, asset, balance.total)
            for kind in kinds
            for asset, balance in self.account.wallet(kind).items()
        ]

    def _trade_id(self, execution: Execution) -> str:
        return execution_id(execution) if self.venue == "bybit" else str(execution.trade_id)
