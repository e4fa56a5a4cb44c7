"""Bybit v5, spot and linear: the wire format of the public side.

Spot and linear share their messages and even their symbols (`BTCUSDT` is both); they differ in the
connection a message arrives on, in the order of its keys and in a few field names.
"""

from hftmm.venues.bybit.codec import BybitCodec

__all__ = ["BybitCodec"]
