"""Every error hftmm raises on purpose.

    HftmmError
    ├── ConfigError      a config file or command line says something we cannot do
    │   └── FileError    a line of a config file does
    ├── MalformedFrame   a venue sent bytes that are not what its documentation says
    │   └── OffGrid      a price between two steps of the grid that its listing has
    ├── CaptureError     a capture file cannot be read
    └── Unavailable      something outside (a port, a host, a socket file) is not to be had

Expected outcomes are not errors but values with a reason: see `Verdict` and `Refused`.
"""

from __future__ import annotations


class HftmmError(Exception):
    """Root of the tree; its message is one line for a person."""


class ConfigError(HftmmError):
    """What was asked for cannot be done, and what could be."""


class FileError(ConfigError):
    """`FILE:LINE: section.key: what is wrong, what is allowed`, to be shown as it stands."""


class MalformedFrame(HftmmError):
    """A frame that cannot be decoded; the session counts it and goes on.

    Attributes:
        kind: short stable name of what is wrong, the key under which it is counted and logged.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


class OffGrid(MalformedFrame):
    """A price that the listing's grid has no place for.

    Orders that stood before a venue made its tick coarser keep their price, so this is news about
    the listing as often as it is damage.

    Attributes:
        decimals: decimal places the price needs.
    """

    def __init__(self, price: str, decimals: int) -> None:
        super().__init__("off-grid price", price)
        self.decimals = decimals


class CaptureError(HftmmError):
    """`FILE:LINE: what is wrong`."""


class Unavailable(HftmmError):
    """What could not be reached, why, and what to do."""
