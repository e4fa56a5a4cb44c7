"""A practice venue that speaks OKX v5, public side."""

from hftmm.sim.okx.peer import OkxPeer

__all__ = ["OkxPeer"]
