"""The practice Binance: REST, streams and WebSocket API, spot and USD-M futures."""

from hftmm.sim.binance.peer import BinancePeer

__all__ = ["BinancePeer"]
