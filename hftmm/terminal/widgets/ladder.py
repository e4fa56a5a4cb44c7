"""The ladder: the consolidated book by price, every venue in its own column."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import compress
from types import MappingProxyType
from typing import NamedTuple

from hftmm.desk.snapshot import BestQuote, DeskSnapshot, Ladder
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, glyph
from hftmm.terminal.widgets.ladder_line import (
    Layout,
    LevelRow,
    Own,
    RuleRow,
    level,
    names,
    plan,
    rule,
)
from hftmm.terminal.widgets.lines import Line
from hftmm.terminal.widgets.pane import Pane

# A price that was computed (grouped, or net of fees) may miss its group by float noise.
_NOISE = 1e-6
_FADES_MS = (1_000, 5_000)
# The bars' scale follows the depth only when it left this band, so that they do not all tremble.
_SCALE_SLACK = 1.15
_SCALE_SHRINKS = 0.6


_SIDES = {(True, True): "both", (True, False): "bid", (False, True): "ask", (False, False): ""}


class _Touch(NamedTuple):
    """Best bid and ask as group numbers; None where a side is empty."""

    bid: int | None
    ask: int | None

    @property
    def centre(self) -> int | None:
        """The group just under the middle of the market."""
        if self.bid is None:
            return None if self.ask is None else self.ask - 1
        return self.bid if self.ask is None else (self.bid + self.ask) // 2

    def parted(self, under: int) -> bool:
        """Whether a line just above this group has all bids below it and all asks above."""
        return (self.bid is None or self.bid <= under) and (self.ask is None or self.ask > under)


class _Ours(NamedTuple):
    """Our orders by group number, and the group of what we hold."""

    bids: Mapping[int, Own] = MappingProxyType({})
    asks: Mapping[int, Own] = MappingProxyType({})
    entry: int | None = None


class LadderPane(Pane):
    """Prices stand still until the ladder is centred anew, sizes move, and so does the rule between
    bids and asks.

    Args:
        auto_centre: keep the market in the middle.
    """

    TITLE = "ladder"
    HELP = (
        "The book of all venues by price: bids to the left, asks to the right, each venue in its "
        "hue, Σ what the live ones have from the best price to here, drawn behind it. Prices "
        "stand still: space centres them, arrows look further out. The rule stands between bids "
        "and asks and shows the spread, what a crossing would earn after fees (net), the middle "
        "and the size-weighted middle (micro), and says LOCKED or CROSSED: rows with bids and "
        "asks have a ground of their own. "
        "`last` is the last trade, fading. `own` is what we have resting at a price, `ahead` what "
        "stands before it in the venues' queues, ◂ the average price of what we hold; they are "
        "gross, and left out after fees."
    )

    def __init__(self, *, auto_centre: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(id=id)
        self._auto_centre = auto_centre
        self._anchor: int | None = None
        self._looking = False
        self._under: int | None = None
        self._above = 0
        self._shown: Hashable = None
        self._layout: Layout | None = None
        self._scale = 0.0

    def recentre(self) -> None:
        """Centres on the market at the next picture, and follows it again."""
        self._anchor = self._under = None
        self._looking = False

    def scroll_rows(self, rows: int) -> None:
        if self._anchor is not None:
            self._anchor -= rows
            self._looking = True
            self._moved = True

    @property
    def page_rows(self) -> int:
        return max(1, (self.room[1] - 2) // 2)

    def label(self, picture: Picture) -> Line:
        snapshot = picture.shown
        if snapshot is None:
            return ()
        group = fmt.price(snapshot.ladder.group, snapshot.ladder.decimals)
        fees = ("after fees", "warning") if picture.view.net else ("gross", "dim")
        return ((f"{fmt.plain(snapshot.market)} · group {group} · ", "dim"), fees)

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot, best = picture.shown, picture.best()
        width, height = self.room
        if snapshot is None or best is None or height < 2:
            return []
        ladder = snapshot.ladder
        touch = _touch(best, ladder.group)
        shown = (snapshot.market, ladder.group, picture.view.net)
        upper = (height - 2) // 2
        lower = height - 2 - upper
        if shown != self._shown:
            self._shown = shown
            self.recentre()
        self._follow(touch, upper, lower)
        anchor = 0 if self._anchor is None else self._anchor
        ours = _Ours() if picture.view.net else _ours(ladder)
        layout = _layout(snapshot, (anchor + upper) * ladder.group, width)
        if layout != self._layout:
            self._layout = layout
            self.forget()
        groups = range(anchor + upper, anchor - lower, -1)
        rows = self._levels(snapshot, best, touch, ours, groups)
        above = upper if self._under is None else min(max(0, groups[0] - self._under), len(rows))
        if above != self._above:
            self._above = above
            self._moved = True
        line = RuleRow(
            best=snapshot.nbbo,
            net_bps=None if snapshot.net.spread_bps is None else -snapshot.net.spread_bps,
            mid=ladder.mid,
            microprice=ladder.microprice,
            decimals=ladder.decimals,
            away=_away(touch, anchor - lower + 1, anchor + upper),
            entry=None if picture.view.net else ladder.entry,
        )
        return [layout, *rows[:above], line, *rows[above:]]

    def draw(self, row: Hashable) -> Line:
        match row:
            case Layout():
                return names(row)
            case RuleRow():
                return rule(row, self.room[0])
            case LevelRow() if self._layout is not None:
                return level(row, self._layout)
            case _:
                return ()

    def _follow(self, touch: _Touch, upper: int, lower: int) -> None:
        """Puts the anchor and the rule on the market where they have to be there."""
        centre = touch.centre
        if centre is None:
            return
        # The rule moves only when it has to: prices about it would tremble with the market.
        if self._under is None or not touch.parted(self._under):
            self._under = centre
        anchor = self._anchor
        if anchor is None or (self._auto_centre and not self._looking):
            moved = True
        else:
            # A ladder nobody scrolled is of no use once the market has left it altogether.
            seen = range(anchor - lower + 1, anchor + upper + 1)
            moved = not self._looking and touch.bid not in seen and touch.ask not in seen
        if moved and centre != anchor:
            self._anchor = self._under = centre
            self._moved = True

    def _levels(
        self,
        snapshot: DeskSnapshot,
        best: BestQuote,
        touch: _Touch,
        ours: _Ours,
        groups: Sequence[int],
    ) -> list[LevelRow]:
        ladder = snapshot.ladder
        bids = [_by_group(column.bids, ladder.group) for column in ladder.columns]
        asks = [_by_group(column.asks, ladder.group) for column in ladder.columns]
        live = {quote.venue for quote in snapshot.venues if quote.state == "live"}
        counted = [column.venue in live for column in ladder.columns]
        bid_sums = _sums(list(compress(bids, counted)), reverse=True)
        ask_sums = _sums(list(compress(asks, counted)), reverse=False)
        last = _last(snapshot)
        crossing = best.state if best.state in {"locked", "crossed"} else ""
        bid_depth = _depth(bid_sums, groups)
        ask_depth = _depth(ask_sums, groups[::-1])[::-1]
        self._rescale(max((*bid_depth, *ask_depth), default=0.0))
        scale = self._scale or 1.0
        # Rows are compared as values: a bar is kept in eighths of its column, not as a float.
        rows: list[LevelRow] = []
        for i, group in enumerate(groups):
            is_bid = touch.bid is not None and group <= touch.bid
            is_ask = touch.ask is not None and group >= touch.ask
            rows.append(
                LevelRow(
                    # No price is invented before the first quote, nor below nothing.
                    price=fmt.price(group * ladder.group, ladder.decimals)
                    if group > 0 and self._anchor is not None
                    else "",
                    side=_SIDES[is_bid, is_ask],
                    best=group in {touch.bid, touch.ask},
                    crossing=crossing if is_bid and is_ask else "",
                    bids=tuple([sizes.get(group) for sizes in bids]),
                    asks=tuple([sizes.get(group) for sizes in asks]),
                    bid_sum=bid_sums.get(group),
                    ask_sum=ask_sums.get(group),
                    bid_bar=round(bid_depth[i] / scale, 2),
                    ask_bar=round(ask_depth[i] / scale, 2),
                    last=last[1] if last is not None and last[0] == group else None,
                    own_bid=ours.bids.get(group),
                    own_ask=ours.asks.get(group),
                    entry=group == ours.entry,
                )
            )
        return rows

    def _rescale(self, deepest: float) -> None:
        if deepest > self._scale or deepest < self._scale * _SCALE_SHRINKS:
            self._scale = deepest * _SCALE_SLACK


def _touch(best: BestQuote, group: float) -> _Touch:
    return _Touch(
        None if best.bid is None else math.floor(best.bid / group + _NOISE),
        None if best.ask is None else math.ceil(best.ask / group - _NOISE),
    )


def _ours(ladder: Ladder) -> _Ours:
    """Orders of one group together; of what is ahead of them the most counts, if all is known."""
    sides: tuple[dict[int, Own], dict[int, Own]] = ({}, {})
    for one in ladder.own:
        buys = one.side == "buy"
        count = one.price / ladder.group
        group = math.floor(count + _NOISE) if buys else math.ceil(count - _NOISE)
        side = sides[0 if buys else 1]
        before = side.get(group)
        if before is None:
            side[group] = Own(one.size, one.queue)
        else:
            known = before.queue is not None and one.queue is not None
            queue = max(before.queue or 0.0, one.queue or 0.0) if known else None
            side[group] = Own(before.size + one.size, queue)
    entry = None if ladder.entry is None else round(ladder.entry / ladder.group)
    return _Ours(*sides, entry)


def _away(touch: _Touch, lowest: int, highest: int) -> int:
    """Rows the market is above (> 0) or below (< 0) the groups in sight."""
    if touch.centre is None:
        return 0
    return max(0, touch.centre - highest) or min(0, touch.centre - lowest)


def _layout(snapshot: DeskSnapshot, highest: float, width: int) -> Layout:
    ladder = snapshot.ladder
    signs = {quote.venue: glyph(quote.state)[0] for quote in snapshot.venues}
    venues = tuple(column.venue for column in ladder.columns)
    digits = len(fmt.price(highest, ladder.decimals))
    layout = plan(venues, digits, width, trades=snapshot.trades or bool(ladder.own))
    return layout._replace(signs=tuple([signs.get(venue, "?") for venue in layout.venues]))


def _by_group(levels: Sequence[tuple[float, float]], group: float) -> dict[int, float]:
    return {round(price / group): size for price, size in levels}


def _sums(venues: Sequence[dict[int, float]], *, reverse: bool) -> dict[int, float]:
    """Size from the best group of a side to each of its groups, over these venues."""
    total: dict[int, float] = {}
    for sizes in venues:
        for group, size in sizes.items():
            total[group] = total.get(group, 0.0) + size
    running = 0.0
    for group in sorted(total, reverse=reverse):
        running += total[group]
        total[group] = running
    return total


def _depth(sums: dict[int, float], groups: Sequence[int]) -> list[float]:
    """The sum at each group, or that of the last group before it that has one.

    `groups` run away from the market: what lies beyond the last known level is unknown, and 0.
    """
    last = (min(sums) if groups[0] > groups[-1] else max(sums)) if sums and groups else 0
    running = 0.0
    depths: list[float] = []
    for group in groups:
        running = sums.get(group, running)
        known = group >= last if groups[0] > groups[-1] else group <= last
        depths.append(running if known else 0.0)
    return depths


def _last(snapshot: DeskSnapshot) -> tuple[int, tuple[float, str, int]] | None:
    """The last trade's group, and its size, venue and how far it has faded (0 to 2)."""
    ladder = snapshot.ladder
    if ladder.last is None or ladder.last_size is None:
        return None
    age_ms = (snapshot.ns - ladder.last_ns) / 1e6
    faded = sum(age_ms >= fade for fade in _FADES_MS)
    group = math.floor(ladder.last / ladder.group + _NOISE)
    return group, (ladder.last_size, ladder.last_venue, faded)
