"""OKX v5: spot and swaps."""

from hftmm.venues.okx.codec import OkxCodec
from hftmm.venues.okx.private import OkxPrivateCodec

__all__ = ["OkxCodec", "OkxPrivateCodec"]
