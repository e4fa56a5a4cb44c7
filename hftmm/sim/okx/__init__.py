"""A practice venue that speaks OKX v5: market data, accounts and orders."""

from hftmm.sim.okx.peer import OkxPeer
from hftmm.sim.okx.trading import TradingOptions

__all__ = ["OkxPeer", "TradingOptions"]
