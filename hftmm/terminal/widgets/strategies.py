"""The strategies pane: what each is doing at every venue, and why not more."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from hftmm.desk.snapshot import DeskSnapshot, QuoteRow, StrategyRow
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.columns import Column, fitting, written
from hftmm.terminal.widgets.lines import Line, Span, flowed
from hftmm.terminal.widgets.pane import Pane
from hftmm.terminal.widgets.tab import MARKET, Names, several_markets

_KEY = Column("", 4, left=True, gap=0, spared=4)
_NAME = Column("strategy", 10, left=True, gap=0, spared=4)
_STATE = Column("state", 10, left=True, gap=1, spared=2)
_INDENT = _KEY.width + _NAME.width + _STATE.width + 1
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
    columns: tuple[Column, ...]


class _More(NamedTuple):
    """What of the reasons had no room beside their quotes."""

    quote: QuoteRow
    whys: tuple[str, str]
    columns: tuple[Column, ...]


class _Facts(NamedTuple):
    """What a strategy says of itself; the strategy stands before its first line only."""

    number: int
    strategy: StrategyRow | None
    said: Line


class _Whole(NamedTuple):
    """Whose words go on below, if one line has no room for them."""

    reasons: bool = True
    facts: bool = True


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
        width, height = self.room
        # Words are cut rather than a strategy pushed out of sight; why something is not quoted goes
        # before what a strategy has done.
        for whole in (_Whole(), _Whole(facts=False), _Whole(reasons=False, facts=False)):
            rows = _rows(snapshot, columns, width, whole)
            if len(rows) <= height:
                break
        return rows

    def draw(self, row: Hashable) -> Line:
        match row:
            case Names():
                return row.line()
            case _Quoted():
                return _quoted_line(row)
            case _More(quote, whys, columns):
                cells = dict.fromkeys((column.name for column in columns), ("", "plain"))
                return written(cells | _whys(quote, whys), columns)
            case _Facts(number, strategy, said):
                head = written(_head(strategy), (_NAME, _STATE))
                return (*_key_spans(number, strategy), *head, (" ", "plain"), *said)
            case tuple(line):
                return line
            case _:
                return ()


def _rows(
    snapshot: DeskSnapshot, columns: tuple[Column, ...], width: int, whole: _Whole
) -> list[Hashable]:
    """Every strategy's rows; what is to be whole goes on below where there are too many words."""
    rows: list[Hashable] = [Names(columns)]
    for number, one in enumerate(snapshot.strategies, 1):
        head: StrategyRow | None = _bare(one)
        if one.reason or one.facts or not one.quotes or not one.on:
            lines = _said(one, width - _INDENT) or [()]
            for line in lines if whole.facts else lines[:1]:
                rows.append(_Facts(number, head, line))
                head = None
        # What is not switched on quotes nowhere.
        if not one.on:
            continue
        for quote in sorted(one.quotes, key=lambda quote: quote.market != snapshot.market):
            whys = (fmt.plain(quote.bid_why), fmt.plain(quote.ask_why))
            first, *more = _broken(whys, columns) if whole.reasons else [whys]
            rows.append(_Quoted(number, head, quote, first, columns))
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
    prices = [fmt.price(price, one.decimals) for one in quotes for price in (one.bid, one.ask)]
    highest = max(map(len, prices), default=0)
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
        "bid": _price(quote.bid, quote.decimals, "bid"),
        "size": (fmt.size_cell(quote.bid_size, 7), "plain"),
        "ask": _price(quote.ask, quote.decimals, "ask"),
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


def _said(strategy: StrategyRow, width: int) -> list[Line]:
    """Why it is off or blocked, then what it has done."""
    parts: list[Line] = [
        ((f"{fmt.plain(label)} ", "dim"), (fmt.plain(value), "plain"))
        for label, value in strategy.facts
    ]
    if strategy.reason:
        role = "warning" if strategy.on else "dim"
        reasons = fmt.wrap(fmt.plain(strategy.reason), max(1, width))
        parts = [*(((line, role),) for line in reasons), *parts]
    return flowed(parts, width)
