"""Bybit v5, spot and linear.

Both share their messages and even their symbols (`BTCUSDT` is both). On the public side they differ
in the connection a message arrives on, in the order of its keys and in a few field names; on the
private side in the category each row names.
"""

from hftmm.venues.bybit.codec import BybitCodec
from hftmm.venues.bybit.private import BybitPrivateCodec

__all__ = ["BybitCodec", "BybitPrivateCodec"]
