"""What a venue says is used of its budgets."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """One budget that orders share with other requests, as the venue counts it now.

    Attributes:
        name: of the budget, for a person. used, limit: in the venue's own units.
        left_ms: until it counts from zero again.
    """

    name: str
    used: int
    limit: int
    left_ms: int
