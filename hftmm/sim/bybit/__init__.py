"""Bybit's public side as a practice venue: the server half of v5, spot and linear."""

from hftmm.sim.bybit.peer import BybitPeer

__all__ = ["BybitPeer"]
