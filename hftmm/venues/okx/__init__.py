"""OKX v5: spot and swaps, public side."""

from hftmm.venues.okx.codec import OkxCodec

__all__ = ["OkxCodec"]
