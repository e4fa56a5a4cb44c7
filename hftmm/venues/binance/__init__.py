"""Binance: spot and USD-M linear futures."""

from hftmm.venues.binance.codec import BinanceCodec
from hftmm.venues.binance.private import BinancePrivateCodec

__all__ = ["BinanceCodec", "BinancePrivateCodec"]
