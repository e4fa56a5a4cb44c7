"""The NBBO pane: every venue's best quote and health, and the best over all of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

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


class _Funding(NamedTuple):
    """Of each venue: mark price and the rate of its next funding."""

    venues: tuple[tuple[str, float | None, float | None], ...]
    until: str
    decimals: int


class _Reason(NamedTuple):
    venue: str
    state: str
    reason: str


class NbboPane(Pane):
    """A venue a row, then the best quotes before and after fees, then what is wrong with whom."""

    TITLE = "nbbo"
    HELP = (
        "Each venue's best quote. ● live, ◌ stale, ◐ syncing, ✕ down, ⊘ quarantined; only live "
        "venues count. `age` is the time since the book last changed, `lag` how late its frames "
        "come. NBBO is the best of all, `after fees` the best once taker fees are paid; LOCKED and "
        "CROSSED are said in words."
    )

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None:
            return []
        decimals = snapshot.ladder.decimals
        columns = fitting(_columns(_price_width(snapshot.venues, decimals)), self.room[0])
        reasons = [
            _Reason(quote.venue, quote.state, quote.reason)
            for quote in snapshot.venues
            if quote.state != "live" or quote.reason
        ]
        return [
            _Names(columns),
            *(_Venue(quote, decimals, columns) for quote in snapshot.venues),
            (),
            _Best("NBBO", snapshot.nbbo, decimals, True, columns),
            _Best("after fees", snapshot.net, decimals, False, columns),
            *reasons,
        ]

    # Names, a blank line, and the two best quotes.
    _BESIDE_VENUES = 4

    def foot(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None or all(quote.funding_bps is None for quote in snapshot.venues):
            return ()
        venues = snapshot.venues
        wrong = sum(quote.state != "live" or bool(quote.reason) for quote in venues)
        if self._BESIDE_VENUES + len(venues) + wrong >= self.room[1]:
            return ()  # what is wrong with a venue goes before its funding
        nexts = [quote.next_funding_ns for quote in snapshot.venues if quote.next_funding_ns]
        return (
            _Funding(
                tuple((quote.venue, quote.mark, quote.funding_bps) for quote in snapshot.venues),
                fmt.until(min(nexts, default=None), snapshot.ns),
                snapshot.ladder.decimals,
            ),
        )

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Names(columns):
                return header(columns)
            case _Venue():
                return _venue_line(row)
            case _Best():
                return _best_line(row, self.room[0])
            case _Funding():
                return _funding_line(row, self.room[0])
            case _Reason(venue, state, reason):
                sign, role = glyph(state)
                text = f" {state}" + (f": {fmt.plain(reason)}" if reason else "")
                width = max(0, self.room[0] - len(fmt.plain(venue)) - 2)
                return (
                    (f"{sign} ", role),
                    (fmt.plain(venue), hue(venue)),
                    (fmt.fit(text, width), role),
                )
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


def _funding_line(row: _Funding, width: int) -> Line:
    """Mark prices and funding rates, or only the rates where there is no room for both."""
    for marks in (True, False):
        line: list[Span] = [("mark, funding" if marks else "funding", "dim")]
        for venue, mark, rate in row.venues:
            shown = fmt.price(mark, row.decimals) if marks else ""
            line += [
                (f"  {fmt.plain(venue)} ", hue(venue)),
                (f"{shown} ".lstrip(), "dim"),
                (fmt.bps(rate, 2) or "-", "plain"),
            ]
        line.append((f" bps in {row.until}" if row.until else " bps", "dim"))
        if width_of(line) <= width:
            return tuple(line)
    return ()


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
