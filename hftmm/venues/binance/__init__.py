"""Binance: spot and USD-M linear futures."""

from hftmm.venues.binance.codec import BinanceCodec

__all__ = ["BinanceCodec"]
