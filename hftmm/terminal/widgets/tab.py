"""A tab: one of the panes that share a place, whose titles stand side by side in its frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal.bindings import TABS
from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.columns import Column, header
from hftmm.terminal.widgets.lines import Line, Span
from hftmm.terminal.widgets.pane import Pane


class Names(NamedTuple):
    """The row of the columns' names."""

    columns: tuple[Column, ...]

    def line(self) -> Line:
        """The names above their columns."""
        return header(self.columns)


class Tab(Pane):
    """A pane with the titles of all tabs in its frame; a click on one brings it here.

    Attributes:
        EMPTY: what stands in the pane while there is nothing to list.
    """

    BRIGHTENS = False
    EMPTY: ClassVar[str] = ""

    def title(self, picture: Picture) -> Line:
        counts = {} if picture.shown is None else _counts(picture.shown)
        spans: list[Span] = [(" ", "line")]
        for name in TABS:
            role = "bold accent" if name == self.TITLE else f"dim @screen.go('{name}')"
            spans.append((f"{name} {count}" if (count := counts.get(name)) else name, role))
            if name in counts and picture.shown is not None and _drifts(picture.shown, name):
                spans.append((" !", "bold warning"))
            spans.append(("   ", "line"))
        spans[-1] = (" ", "line")
        return tuple(spans)

    def empty(self, picture: Picture) -> Sequence[Line]:
        """The rows of a list without entries."""
        if picture.shown is None:
            return []
        trades = picture.shown.trades or not self.EMPTY
        return [((self.EMPTY if trades else "this engine does not trade", "dim"),)]


def _counts(snapshot: DeskSnapshot) -> dict[str, int]:
    return {
        "orders": sum(order.live for order in snapshot.orders),
        "fills": snapshot.fills_total or len(snapshot.fills),
        "positions": len(snapshot.positions),
        "balances": 0,
    }


def _drifts(snapshot: DeskSnapshot, name: str) -> bool:
    """Whether the venues' word on what a tab lists differs from ours."""
    match name:
        case "positions":
            return any(row.drift for row in snapshot.positions)
        case "balances":
            return any(row.drift for row in snapshot.balances)
        case _:
            return False


def several_markets(markets: Sequence[str], shown: str) -> bool:
    """Whether a list must name its markets: not all of its rows are of the one on view."""
    return any(market != shown for market in markets)


MARKET = Column("market", 10, left=True, spared=1)
"""Named only where `several_markets`."""
