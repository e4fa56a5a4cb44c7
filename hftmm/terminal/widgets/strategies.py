"""The strategies pane: what each is doing at every venue, and why not more."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from hftmm.desk.snapshot import DeskSnapshot, QuoteRow, StrategyRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.columns import Column, fitting, written
from hftmm.terminal.widgets.lines import Line, Span, width_of
from hftmm.terminal.widgets.pane import Pane
from hftmm.terminal.widgets.tab import MARKET, Names, several_markets

_KEY = Column("", 4, left=True, gap=0, spared=4)
_NAME = Column("strategy", 10, left=True, gap=0, spared=4)
_STATE = Column("state", 10, left=True, gap=1, spared=2)
_WHYS = ("why bid", "why ask")
_STATES = {
    "off": "dim",
    "flat": "plain",
    "watching": "plain",
    "quoting": "good",
    "hedging": "own",
    "blocked": "warning",
}


class _Quoted(NamedTuple):
    """A venue's quotes; the strategy stands before its first one only.

    Attributes:
        whys: of bid and ask, as much of them as stands on this line.
    """

    number: int
    strategy: StrategyRow | None
    quote: QuoteRow
    whys: tuple[str, str]
    decimals: int
    columns: tuple[Column, ...]


class _More(NamedTuple):
    """What of the reasons had no room beside their quotes."""

    quote: QuoteRow
    whys: tuple[str, str]
    columns: tuple[Column, ...]


class _Facts(NamedTuple):
    number: int
    strategy: StrategyRow


class StrategiesPane(Pane):
    """A strategy with its key, then every venue with its quotes and the reasons for them."""

    TITLE = "strategies"
    HELP = (
        "Each strategy behind the key that switches it: ● on, ○ off. Of market making every venue, "
        "with its bid and ask and what decided them, or why there is none; of the others what they "
        "have done. `unhedged` is what is held against the strategy's will, `time to flat` how "
        "long it took to be rid of it."
    )

    def rows(self, picture: Picture) -> Sequence[Hashable]:
        snapshot = picture.shown
        if snapshot is None:
            return []
        if not snapshot.strategies:
            return [((("no strategy runs here"), "dim"),)]
        columns = fitting(_columns(snapshot), self.room[0])
        rows = _rows(snapshot, columns, whole=True)
        # Reasons are cut rather than a strategy pushed out of sight.
        return rows if len(rows) <= self.room[1] else _rows(snapshot, columns, whole=False)

    def draw(self, row: Hashable) -> Line:
        match row:
            case Names():
                return row.line()
            case _Quoted():
                return _quoted_line(row)
            case _More(quote, whys, columns):
                cells = dict.fromkeys((column.name for column in columns), ("", "plain"))
                return written(cells | _whys(quote, whys), columns)
            case _Facts(number, strategy):
                return _facts_line(number, strategy, self.room[0])
            case tuple(line):
                return line
            case _:
                return ()


def _rows(snapshot: DeskSnapshot, columns: tuple[Column, ...], *, whole: bool) -> list[Hashable]:
    """Every strategy's rows; `whole` reasons go on below where they are too long."""
    places = snapshot.ladder.decimals
    rows: list[Hashable] = [Names(columns)]
    for number, one in enumerate(snapshot.strategies, 1):
        head: StrategyRow | None = _bare(one)
        if one.reason or not one.quotes:
            rows.append(_Facts(number, _bare(one)))
            head = None
        # What is not switched on quotes nowhere.
        if not one.on:
            continue
        for quote in sorted(one.quotes, key=lambda quote: quote.market != snapshot.market):
            whys = (fmt.plain(quote.bid_why), fmt.plain(quote.ask_why))
            first, *more = _broken(whys, columns) if whole else [whys]
            rows.append(_Quoted(number, head, quote, first, places, columns))
            rows += [_More(quote, rest, columns) for rest in more]
            head = None
    return rows


def _broken(whys: tuple[str, str], columns: Sequence[Column]) -> list[tuple[str, str]]:
    """The reasons of bid and ask in lines that fit their columns."""
    widths = {column.name: column.width - column.gap for column in columns}
    lines = [
        fmt.wrap(why, widths[name]) if name in widths else [""]
        for why, name in zip(whys, _WHYS, strict=True)
    ]
    return [(bid, ask) for bid, ask in zip_longest(*lines, fillvalue="")]


def _bare(strategy: StrategyRow) -> StrategyRow:
    """The strategy without its quotes, which are rows of their own."""
    return StrategyRow(
        strategy.name, strategy.on, strategy.state, strategy.reason, facts=strategy.facts
    )


def _columns(snapshot: DeskSnapshot) -> list[Column]:
    quotes = [quote for one in snapshot.strategies for quote in one.quotes]
    prices = [price for one in quotes for price in (one.bid, one.ask) if price is not None]
    highest = len(fmt.price(max(prices, default=0.0), snapshot.ladder.decimals))
    several = several_markets([quote.market for quote in quotes], snapshot.market)
    return [
        _KEY,
        _NAME,
        _STATE,
        Column("venue", 9, left=True, gap=1, spared=4),
        *([MARKET] if several else []),
        Column("bid", max(9, highest + 1), spared=3),
        Column("size", 8),
        Column(_WHYS[0], 30, left=True, stretch=True, spared=3),
        Column("ask", max(9, highest + 1), spared=3),
        Column("size ", 8),
        Column(_WHYS[1], 30, left=True, stretch=True, spared=3),
    ]


def _head(strategy: StrategyRow | None) -> dict[str, Span]:
    if strategy is None:
        return dict.fromkeys(("strategy", "state"), ("", "plain"))
    return {
        "strategy": (fmt.plain(strategy.name), "bright" if strategy.on else "dim"),
        "state": (fmt.plain(strategy.state), _STATES.get(strategy.state, "plain")),
    }


def _key_spans(number: int, strategy: StrategyRow | None) -> tuple[Span, ...]:
    if strategy is None:
        return ((" " * _KEY.width, "plain"),)
    sign, role = ("●", "good") if strategy.on else ("○", "dim")
    return (f"{number} ", "bold accent"), (f"{sign} ", role)


def _quoted_line(row: _Quoted) -> Line:
    quote = row.quote
    cells = _head(row.strategy) | {
        "venue": (fmt.plain(quote.venue), hue(quote.venue)),
        "market": (fmt.plain(fmt.market_name(quote.market)), "plain"),
        "bid": _price(quote.bid, row.decimals, "bid"),
        "size": (fmt.size_cell(quote.bid_size, 7), "plain"),
        "ask": _price(quote.ask, row.decimals, "ask"),
        "size ": (fmt.size_cell(quote.ask_size, 7), "plain"),
        **_whys(quote, row.whys),
    }
    return (*_key_spans(row.number, row.strategy), *written(cells, row.columns[1:]))


def _whys(quote: QuoteRow, whys: tuple[str, str]) -> dict[str, Span]:
    """Why there is a quote is for those who look; why there is none is for everyone."""
    prices = (quote.bid, quote.ask)
    return {
        name: (why, "warning" if price is None else "dim")
        for name, why, price in zip(_WHYS, whys, prices, strict=True)
    }


def _price(price: float | None, decimals: int, role: str) -> Span:
    return ("-", "dim") if price is None else (fmt.price(price, decimals), f"live {role}")


def _facts_line(number: int, strategy: StrategyRow, width: int) -> Line:
    line: list[Span] = [
        *_key_spans(number, strategy),
        *written(_head(strategy), (_NAME, _STATE)),
        (" ", "plain"),
    ]
    if strategy.reason:
        room = max(0, width - width_of(line))
        role = "warning" if strategy.on else "dim"
        return (*line, (fmt.fit(fmt.plain(strategy.reason), room).rstrip(), role))
    for i, (label, value) in enumerate(strategy.facts):
        part: list[Span] = [
            ("   " if i else "", "plain"),
            (f"{fmt.plain(label)} ", "dim"),
            (fmt.plain(value), "plain"),
        ]
        if width_of(line) + width_of(part) > width:
            break
        line += part
    return tuple(line)
