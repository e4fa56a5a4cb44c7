"""Every error hftmm raises on purpose.

    HftmmError
    ├── ConfigError      a config file or command line says something we cannot do
    ├── MalformedFrame   a venue sent bytes that are not what its documentation says
    ├── CaptureError     a capture file cannot be read
    └── Unavailable      something outside (a port, a host, a socket file) is not to be had

Expected outcomes are not errors but values with a reason: see `Verdict` and `Refused`.
"""

from __future__ import annotations


class HftmmError(Exception):
    """Root of the tree; its message is one line for a person."""


class ConfigError(HftmmError):
    """`FILE:LINE: section.key: what is wrong, what is allowed`."""


class MalformedFrame(HftmmError):
    """A frame that cannot be decoded; the session counts it and goes on.

    Attributes:
        kind: short stable name of what is wrong, the key under which it is counted and logged.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


class CaptureError(HftmmError):
    """`FILE:LINE: what is wrong`."""


class Unavailable(HftmmError):
    """What could not be reached, why, and what to do."""
