"""The NBBO pane: every venue's best quote and health, and the best over all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import msgspec

from hftmm.desk.snapshot import BestQuote, VenueQuote
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, glyph, hue
from hftmm.terminal.widgets.columns import Column, cell, fitting, header
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, width_of
from hftmm.terminal.widgets.pane import Pane

_WORDS = {"locked": "LOCKED", "crossed": "CROSSED", "one-sided": "ONE-SIDED", "empty": "EMPTY"}
_LABEL = 12
_RULE = 3


class _Names(NamedTuple):
    columns: tuple[Column, ...]


class _Venue(NamedTuple):
    quote: VenueQuote
    decimals: int
    columns: tuple[Column, ...]


class _Best(NamedTuple):
    label: str
    best: BestQuote
    decimals: int
    strong: bool
    columns: tuple[Column, ...]


class _Health(NamedTuple):
    """Why a venue is not live, or else its mark price and funding; how often its book broke."""

    quote: VenueQuote
    funding_in: str
    decimals: int
    mark_width: int


class NbboPane(Pane):
    """A venue a row, then the best quotes before and after fees, then what is wrong with whom."""

    TITLE = "nbbo"
    HELP = (
        "Each venue's best quote. ● live, ◌ stale, ◐ syncing, ✕ down, ⊘ quarantined; only live "
        "venues count. `age` is the time since the book last changed, `lag` how late its frames "
        "come. NBBO is the best of all, `after fees` the best once taker fees are paid; LOCKED and "
        "CROSSED are said in words. Below: why a venue is not live, or its mark price and funding; "
        "how often its book had a gap and was built anew, and frames nobody could read (bad)."
    )

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None:
            return []
        decimals = snapshot.ladder.decimals
        columns = fitting(_columns(_price_width(snapshot.venues, decimals)), self.room[0])
        quotes = [
            _Names(columns),
            *(_Venue(quote, decimals, columns) for quote in snapshot.venues),
        ]
        best = [
            _Best("NBBO", snapshot.nbbo, decimals, True, columns),
            _Best("after fees", snapshot.net, decimals, False, columns),
        ]
        health = _health(snapshot.venues, decimals, snapshot.ns)
        blanks = self.room[1] - len(quotes) - len(best) - len(health)
        if blanks < 0:
            # What is wrong with a venue is worth more than what is right with another.
            health.sort(key=lambda row: row.quote.state == "live" and not row.quote.reason)
        return [
            *quotes,
            *([()] if blanks >= 2 else []),
            *best,
            *([()] if blanks >= 1 else []),
            *health,
        ]

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Names(columns):
                return header(columns)
            case _Venue():
                return _venue_line(row)
            case _Best():
                return _best_line(row, self.room[0])
            case _Health():
                return _health_line(row, self.room[0])
            case _:
                return ()


def _price_width(venues: Sequence[VenueQuote], decimals: int) -> int:
    longest = max((quote.ask or quote.bid or 0.0 for quote in venues), default=0.0)
    return max(9, len(fmt.price(longest, decimals)) + 2)


def _columns(price_width: int) -> tuple[Column, ...]:
    return (
        Column("venue", _LABEL, left=True),
        Column("size", 8),
        Column("bid", price_width),
        Column("", _RULE),
        Column("ask", price_width),
        Column("size", 8),
        Column("age", 6),
        Column("lag", 6),
        Column("fr/s", 5),
    )


def _venue_line(row: _Venue) -> Line:
    quote, decimals, columns = row
    sign, role = glyph(quote.state)
    live = quote.state == "live"
    aged = "dim" if live else role
    cells: tuple[Span, ...] = (
        (fmt.size_cell(quote.bid_size, 8), "live plain" if live else "dim"),
        (fmt.price(quote.bid, decimals), "live bid" if live else "dim"),
        (" │", "dim"),
        (fmt.price(quote.ask, decimals), "live ask" if live else "dim"),
        (fmt.size_cell(quote.ask_size, 8), "live plain" if live else "dim"),
        (fmt.age(quote.age_ms), aged),
        (fmt.age(quote.lag_ms), "dim"),
        (fmt.rate(quote.frames_per_s), "dim" if live else role),
    )
    name = fmt.fit(fmt.plain(quote.venue), _LABEL - 2)
    return (
        (f"{sign} ", role),
        (name, hue(quote.venue)),
        *(cell(text, column, one) for (text, one), column in zip(cells, columns[1:], strict=False)),
    )


def _best_line(row: _Best, width: int) -> Line:
    label, best, decimals, strong, columns = row
    bold = "bold " if strong else ""
    cells: tuple[Span, ...] = (
        (fmt.size_cell(best.bid_size, 8), "live plain"),
        (fmt.price(best.bid, decimals), f"live {bold}bid"),
        (" │", "dim"),
        (fmt.price(best.ask, decimals), f"live {bold}ask"),
        (fmt.size_cell(best.ask_size, 8), "live plain"),
    )
    line: list[Span] = [(f"  {label}".ljust(_LABEL), "bold bright" if strong else "dim")]
    line += [
        cell(text, column, role) for (text, role), column in zip(cells, columns[1:], strict=False)
    ]
    tail = best_tail(best, width - width_of(line))
    word = _WORDS.get(best.state)
    if word and not tail:
        line[0] = (f"  {word}".ljust(_LABEL), "bold warning")
    return (*line, *tail)


def _health(venues: Sequence[VenueQuote], decimals: int, now_ns: int) -> list[_Health]:
    width = max((len(fmt.price(quote.mark, decimals)) for quote in venues), default=0)
    return [
        # What is drawn elsewhere is left out, so that this line changes only when it has to.
        _Health(
            msgspec.structs.replace(
                quote, bid=None, bid_size=None, ask=None, ask_size=None,
                age_ms=None, lag_ms=None, frames_per_s=0.0,
            ),
            fmt.until(quote.next_funding_ns, now_ns),
            decimals,
            width,
        )
        for quote in venues
    ]  # fmt: skip


def _health_line(row: _Health, width: int) -> Line:
    """The reason, or else mark and funding; then the counters there is room for."""
    quote = row.quote
    sign, role = glyph(quote.state)
    name = fmt.fit(fmt.plain(quote.venue), _LABEL - 2)
    wrong = quote.state != "live" or quote.reason
    line: list[Span] = [(f"{sign} " if wrong else "  ", role), (name, hue(quote.venue))]
    room = width - width_of(line)
    if wrong:
        text = quote.state + (f": {fmt.plain(quote.reason)}" if quote.reason else "")
        line.append((fmt.fit(text, room).rstrip(), role))
    elif quote.mark is not None or quote.funding_bps is not None:
        mark = fmt.price(quote.mark, row.decimals).rjust(row.mark_width)
        due = f" bps in {row.funding_in}" if row.funding_in else " bps"
        line += [("mark ", "dim"), (mark, "plain"), ("  funding ", "dim")]
        line += [(fmt.bps(quote.funding_bps, 2) or "-", "plain"), (due, "dim")]
    for label, count in (
        ("gaps", quote.gaps),
        ("resyncs", quote.resyncs),
        ("bad", quote.malformed),
    ):
        part: list[Span] = [(f"  {label} ", "dim"), (f"{count}", "warning" if count else "dim")]
        if width_of(line) + width_of(part) > width:
            break
        line += part
    return tuple(line)


def best_tail(best: BestQuote, width: int) -> list[Span]:
    """What stands behind a best quote: its state if it is not normal, spread, venues.

    The fullest of several ways to write it that fits into `width` cells.
    """
    word = _WORDS.get(best.state)
    state: list[Span] = [(f"  {word}", "bold warning")] if word else []
    spread: list[Span] = []
    if best.spread_bps is not None:
        spread = [(f"  {best.spread_bps:.2f} bps", "plain")]
    ways = (
        [*state, *spread, *_all(best)],
        [*state, *spread, *_all(best, letters=3)],
        [*state, *_all(best, letters=3)],
        [*state, *_first(best, letters=3)],
        [*state, *spread],
        state,
    )
    return next((way for way in ways if width_of(way) <= width), [])


def _all(best: BestQuote, *, letters: int = 16) -> list[Span]:
    """Every venue at the best prices: binance+okx / bybit."""
    spans: list[Span] = []
    for venues, gap in ((best.bid_venues, "  "), (best.ask_venues, " / ")):
        for i, venue in enumerate(venues):
            spans += [("+" if i else gap, "dim"), (fmt.plain(venue)[:letters], hue(venue))]
    return spans


def _first(best: BestQuote, *, letters: int) -> list[Span]:
    """The largest venue at each best price and how many others: bin+1 / byb."""
    spans: list[Span] = []
    for venues, gap in ((best.bid_venues, "  "), (best.ask_venues, " / ")):
        if venues:
            name = fmt.plain(venues[0])[:letters]
            spans += [(gap, "dim"), (name, hue(venues[0]))]
        if len(venues) > 1:
            spans.append((f"+{len(venues) - 1}", "dim"))
    return spans


class NbboLine(LineWidget):
    """The best quote in one line, for when its pane is not on the screen."""

    GROUND = "raised"

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        snapshot = picture.shown
        best = picture.best()
        if snapshot is None or best is None:
            self.show([()], picture.now_ns)
            return
        label = "after fees" if picture.view.net else "nbbo"
        self.show([(label, best, snapshot.ladder.decimals, self.size.width)], picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        match row:
            case (str(label), BestQuote() as best, int(decimals), int(width)):
                spans: list[Span] = [
                    (f" {label} ", "dim"),
                    (f"{fmt.size(best.bid_size)} ", "plain"),
                    (fmt.price(best.bid, decimals) or "-", "live bold bid"),
                    (" │ ", "dim"),
                    (fmt.price(best.ask, decimals) or "-", "live bold ask"),
                    (f" {fmt.size(best.ask_size)}", "plain"),
                ]
                spans += best_tail(best, width - width_of(spans))
            case _:
                spans = [(" nbbo", "dim")]
        return tuple((text, f"{role} on raised") for text, role in spans)
