"""The practice Binance: public REST and streams, spot and USD-M futures."""

from hftmm.sim.binance.peer import BinancePeer

__all__ = ["BinancePeer"]
