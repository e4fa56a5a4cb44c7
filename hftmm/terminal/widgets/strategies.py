"""The strategies pane: what each is doing at every venue, and why not more."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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
_STATES = {
    "off": "dim",
    "flat": "plain",
    "watching": "plain",
    "quoting": "good",
    "hedging": "own",
    "blocked": "warning",
}


class _Quoted(NamedTuple):
    """A venue's quotes; the strategy stands before its first one only."""

    number: int
    strategy: StrategyRow | None
    quote: QuoteRow | None
    decimals: int
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
        rows: list[Hashable] = [Names(columns)]
        for number, one in enumerate(snapshot.strategies, 1):
            quotes = sorted(one.quotes, key=lambda quote: quote.market != snapshot.market)
            # What is not switched on quotes nowhere: its reason is worth more than empty rows.
            if not quotes or not one.on:
                rows.append(_Facts(number, _bare(one)))
                continue
            places = snapshot.ladder.decimals
            head = _bare(one)
            rows += [
                _Quoted(number, head if i == 0 else None, quote, places, columns)
                for i, quote in enumerate(quotes)
            ]
        return rows

    def draw(self, row: Hashable) -> Line:
        match row:
            case Names():
                return row.line()
            case _Quoted():
                return _quoted_line(row)
            case _Facts(number, strategy):
                return _facts_line(number, strategy, self.room[0])
            case tuple(line):
                return line
            case _:
                return ()


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
        Column("why bid", 30, left=True, stretch=True, spared=3),
        Column("ask", max(9, highest + 1), spared=3),
        Column("size ", 8),
        Column("why ask", 30, left=True, stretch=True, spared=3),
    ]


def _head(number: int, strategy: StrategyRow | None) -> dict[str, Span]:
    if strategy is None:
        return dict.fromkeys(("", "strategy", "state"), ("", "plain"))
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
    if quote is None:
        return ()
    cells = _head(row.number, row.strategy) | {
        "venue": (fmt.plain(quote.venue), hue(quote.venue)),
        "market": (fmt.plain(fmt.market_name(quote.market)), "plain"),
        "bid": _price(quote.bid, row.decimals, "bid"),
        "size": (fmt.size_cell(quote.bid_size, 7), "plain"),
        "why bid": (fmt.plain(quote.bid_why), "dim" if quote.bid is not None else "warning"),
        "ask": _price(quote.ask, row.decimals, "ask"),
        "size ": (fmt.size_cell(quote.ask_size, 7), "plain"),
        "why ask": (fmt.plain(quote.ask_why), "dim" if quote.ask is not None else "warning"),
    }
    return (*_key_spans(row.number, row.strategy), *written(cells, row.columns[1:]))


def _price(price: float | None, decimals: int, role: str) -> Span:
    return ("-", "dim") if price is None else (fmt.price(price, decimals), f"live {role}")


def _facts_line(number: int, strategy: StrategyRow, width: int) -> Line:
    line: list[Span] = [
        *_key_spans(number, strategy),
        *written(_head(number, strategy), (_NAME, _STATE)),
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
