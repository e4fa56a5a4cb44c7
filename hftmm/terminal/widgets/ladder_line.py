"""How the ladder's rows are written: which columns there is room for, and what stands in them."""

from __future__ import annotations

from typing import NamedTuple

from hftmm.desk.snapshot import BestQuote
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import GLYPHS, hue
from hftmm.terminal.widgets.lines import Line, Span, width_of


class Layout(NamedTuple):
    """Widths of the ladder's columns, in cells; 0 is a column there is no room for.

    Attributes:
        venues: nearest the price first; empty if one column holds all of them.
        price: two cells of marks included.
        total: what stands beside the price where the venues do not fit.
        own: our orders, with what is ahead of them in the last `queue` cells of it.
        signs: the state of each venue, as in the NBBO pane.
    """

    venues: tuple[str, ...]
    venue: int
    price: int
    sum: int
    last: int
    total: int = 0
    own: int = 0
    queue: int = 0
    signs: tuple[str, ...] = ()

    def hues(self) -> list[str]:
        """Each venue's role; the sizes of one that is not live are dim, for they do not count."""
        return [
            hue(venue) if sign == GLYPHS["live"] else "dim"
            for venue, sign in zip(self.venues, self.signs, strict=True)
        ]


class Own(NamedTuple):
    """Orders of ours at a price. Attributes: queue: coins ahead of them, None if unknown."""

    size: float
    queue: float | None


class LevelRow(NamedTuple):
    """One price.

    Attributes:
        side: `bid`, `ask`, `both`, or "" between them.
        crossing: `locked` or `crossed` where the sides overlap here.
        bids, asks: each venue's size, in the order of the layout.
        bid_bar, ask_bar: depth, as a part of the longest bar.
        last: size, venue and fading (0 fresh to 2) of a trade at this price.
        own_bid, own_ask: our orders at this price.
        entry: the average price of what we hold is this one.
    """

    price: str
    side: str
    best: bool
    crossing: str
    bids: tuple[float | None, ...]
    asks: tuple[float | None, ...]
    bid_sum: float | None
    ask_sum: float | None
    bid_bar: float
    ask_bar: float
    last: tuple[float, str, int] | None
    own_bid: Own | None = None
    own_ask: Own | None = None
    entry: bool = False


class RuleRow(NamedTuple):
    """The line in the middle.

    Attributes:
        net_bps: what buying at the ask and selling at the bid earns after fees.
        away: rows the market is above (> 0) or below (< 0) what is seen.
        entry: average price of what we hold, None if flat.
    """

    best: BestQuote
    net_bps: float | None
    mid: float | None
    microprice: float | None
    decimals: int
    away: int
    entry: float | None = None


# Venue, sum, last and what the price has beside its digits, from the roomiest to the barest.
_WIDTHS = (
    (11, 16, 10, 4),
    (10, 13, 9, 4),
    (9, 12, 9, 4),
    (9, 10, 9, 4),
    (8, 9, 9, 4),
    (8, 8, 9, 3),
    (8, 9, 0, 3),
    (8, 8, 0, 3),
    (8, 0, 0, 3),
)
_LONGEST_SUM = 26
_NUMBER = 9


_OWN = 8
_QUEUE = 7


def plan(venues: tuple[str, ...], price_digits: int, width: int, *, trades: bool = False) -> Layout:
    """The columns that fit into `width` cells: the last trade goes first, then the sums.

    Args:
        trades: there is a column for our orders; what is ahead of them goes before all others.
    """
    if not trades:
        return _plan(venues, price_digits, width)
    for queue in (_QUEUE, 0):
        own = _OWN + queue
        layout = _plan(venues, price_digits, width - 2 * own)
        if layout.last or (not queue and layout.sum):
            return layout._replace(own=own, queue=queue)
    layout = _plan(venues, price_digits, width - 2 * _OWN)
    return layout._replace(own=_OWN if layout.venues or layout.total else 0)


def _plan(venues: tuple[str, ...], price_digits: int, width: int) -> Layout:
    for venue, total, last, beside in _WIDTHS:
        price = price_digits + beside
        used = 2 * (len(venues) * venue + total) + price + last
        if used <= width:
            grown = min(_LONGEST_SUM, total + (width - used) // 2) if total else 0
            return Layout(venues, venue, price, grown, last)
    for total, summed in ((_NUMBER, _NUMBER), (_NUMBER, 0)):
        if 2 * (total + summed) + price <= width:
            return Layout((), 0, price, summed, 0, total)
    return Layout((), 0, price, 0, 0)


def names(layout: Layout) -> Line:
    """The names above the columns."""
    right = [
        (_name(venue, sign, layout.venue), role)
        for venue, sign, role in zip(layout.venues, layout.signs, layout.hues(), strict=True)
    ]
    total = [("size".rjust(layout.total), "dim")] if layout.total else []
    own = (_own_name(layout), "dim")
    return (
        own,
        ("Σ".rjust(layout.sum - 3).ljust(layout.sum) if layout.sum else "", "dim"),
        *total,
        *reversed(right),
        ("price".rjust(layout.price - 2).ljust(layout.price), "dim"),
        *right,
        *total,
        ("Σ".rjust(min(_NUMBER, layout.sum) - 3).ljust(layout.sum) if layout.sum else "", "dim"),
        own,
        ("last".rjust(layout.last) if layout.last else "", "dim"),
    )


def _own_name(layout: Layout) -> str:
    if not layout.own:
        return ""
    if layout.queue:
        return "own".rjust(layout.own - layout.queue) + "ahead".rjust(layout.queue)
    return "own".rjust(layout.own)


def _name(venue: str, sign: str, width: int) -> str:
    """A venue's name over its sizes, behind the sign of its state unless it is live."""
    shown = fmt.plain(venue) if sign == GLYPHS["live"] else f"{sign}{fmt.plain(venue)}"
    return fmt.fit(shown, width - 1).rstrip().rjust(width)


def level(row: LevelRow, layout: Layout) -> Line:
    """A price with what stands at it."""
    on = " on crossing" if row.crossing else ""
    asks = _sizes(row.asks, layout, on)
    bids = _sizes(row.bids, layout, on)
    bids.reverse()
    return (
        *_own(row.own_bid, layout, on),
        *_bid_sum(row, layout, on),
        *bids,
        *_price(row, layout, on),
        *asks,
        *_ask_sum(row, layout, on),
        *_own(row.own_ask, layout, on),
        _last(row, layout, on),
    )


def _sizes(sizes: tuple[float | None, ...], layout: Layout, on: str) -> list[Span]:
    if layout.venues:
        width = layout.venue
        return [
            (fmt.size_cell(size, width), f"live {role}{on}")
            for role, size in zip(layout.hues(), sizes, strict=True)
        ]
    if not layout.total:
        return []
    known = [size for size in sizes if size is not None]
    return [(fmt.size_cell(sum(known) if known else None, layout.total), f"live plain{on}")]


def _own(own: Own | None, layout: Layout, on: str) -> tuple[Span, ...]:
    """Our size, and behind it what is ahead of it."""
    if not layout.own:
        return ()
    if own is None:
        return ((" " * layout.own, f"plain{on}"),)
    size = fmt.size_cell(own.size, layout.own - layout.queue)
    ahead = fmt.size_cell(own.queue, layout.queue)
    return (size, f"live bold own{on}"), (ahead, f"dim{on}")


def _price(row: LevelRow, layout: Layout, on: str) -> tuple[Span, Span]:
    """The price, and behind it whether we hold at this average and whether it traded last."""
    traded = row.last is not None and not layout.last
    marks = ("◂" if row.entry else " ") + ("•" if traded else " ")
    text = row.price.rjust(layout.price - len(marks))
    match row.side:
        case "bid" | "ask" as side if row.best:
            role = f"bold bright on touch_{side}"
        case "bid" | "ask" as side:
            role = f"{side}{on}"
        case "both":
            role = f"bold bright{on}"
        case _:
            role = "dim"
    ground = role.partition(" on ")[2]
    mark = "bold own" if row.entry else role.partition(" on ")[0]
    return (text, role), (marks, f"{mark} on {ground}" if ground else mark)


def _bid_sum(row: LevelRow, layout: Layout, on: str) -> tuple[Span, ...]:
    """Right-aligned, its bar growing leftwards from the bids; a crossing has the ground itself."""
    width = layout.sum
    if not width:
        return ()
    text = fmt.size_cell(row.bid_sum, width)
    if row.crossing:
        return ((text, f"plain{on}"),)
    empty = width - round(row.bid_bar * width)
    return (text[:empty], "plain"), (text[empty:], "plain on bid_bar")


def _ask_sum(row: LevelRow, layout: Layout, on: str) -> tuple[Span, ...]:
    width = layout.sum
    if not width:
        return ()
    text = fmt.size_cell(row.ask_sum, min(_NUMBER, width)).ljust(width)
    if row.crossing:
        return ((text, f"plain{on}"),)
    full = round(row.ask_bar * width)
    return (text[:full], "plain on ask_bar"), (text[full:], "plain")


def _last(row: LevelRow, layout: Layout, on: str) -> Span:
    if row.last is None or not layout.last:
        return " " * layout.last, f"plain{on}"
    size, venue, faded = row.last
    role = ("bold bright", hue(venue), "dim")[faded]
    return fmt.size_cell(size, layout.last), f"{role}{on}"


def rule(row: RuleRow, width: int) -> Line:
    """Spread, mid and micro-price on a line across the ladder; the last of them go first."""
    parts = _rule_parts(row)
    while parts and sum(map(width_of, parts)) + 3 * len(parts) + 2 > width:
        parts.pop()
    used = sum(map(width_of, parts)) + 3 * max(0, len(parts) - 1)
    left = max(0, (width - used - 2) // 2)
    spans: list[Span] = [("─" * left + " ", "line")]
    for i, part in enumerate(parts):
        spans += [(" ─ ", "line"), *part] if i else part
    return (*spans, (" " + "─" * max(0, width - used - left - 2), "line"))


def _rule_parts(row: RuleRow) -> list[list[Span]]:
    best = row.best
    parts: list[list[Span]] = []
    if row.away:
        where = "above" if row.away > 0 else "below"
        sign = "▲" if row.away > 0 else "▼"
        parts.append([(f"{sign} market {abs(row.away)} rows {where}, space", "bold warning")])
    if best.state in {"locked", "crossed"}:
        parts.append([(best.state.upper(), "bold warning")])
    if best.bid is not None and best.ask is not None and best.spread_bps is not None:
        spread = fmt.price(best.ask - best.bid, row.decimals)
        parts.append(
            [("spread ", "dim"), (spread, "bright"), (f" {best.spread_bps:.2f} bps", "plain")]
        )
    elif best.state != "normal":
        parts.append([(best.state, "warning")])
    if row.net_bps is not None:
        role = "bold good" if row.net_bps > 0 else "warning"
        parts.append([("net ", "dim"), (f"{fmt.bps(row.net_bps)} bps", role)])
    if row.mid is not None:
        parts.append([("mid ", "dim"), (fmt.price(row.mid, row.decimals + 1), "bright")])
    if row.microprice is not None:
        parts.append([("micro ", "dim"), (fmt.price(row.microprice, row.decimals + 1), "plain")])
    if row.entry is not None:
        parts.append([("avg ", "dim"), (fmt.price(row.entry, row.decimals + 1), "own")])
    return parts
