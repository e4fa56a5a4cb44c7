"""The list of markets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from hftmm.desk.snapshot import MarketRow
from hftmm.terminal import format as fmt


class MarketsScreen(ModalScreen[str | None]):
    """Every market with its best quotes, and its spread after fees; returns the chosen symbol."""

    BINDINGS: ClassVar = [Binding("escape,q,m", "dismiss", "close")]

    def __init__(self, markets: Sequence[MarketRow], current: str) -> None:
        super().__init__()
        self._markets = markets
        self._current = current

    def compose(self) -> ComposeResult:
        rows = [Option(_row(one), id=one.symbol) for one in self._markets]
        options = OptionList(*rows, id="markets")
        options.border_title = "markets"
        options.border_subtitle = "enter shows, escape closes"
        symbols = [one.symbol for one in self._markets]
        options.highlighted = symbols.index(self._current) if self._current in symbols else None
        yield options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


def _row(market: MarketRow) -> Content:
    best = market.nbbo
    spread = "" if best.spread_bps is None else f"{best.spread_bps:.2f} bps"
    bid, ask = (fmt.price(price, market.decimals) or "-" for price in (best.bid, best.ask))
    net = market.net.spread_bps
    crossing = "" if net is None else f"net {fmt.bps(-net)} bps"
    state = "" if best.state == "normal" else best.state
    live = f"{market.venues_live}/{market.venues_total} live"
    return Content(
        f"{fmt.fit(fmt.plain(market.symbol), 14)} {live:>8} {bid:>11} │ {ask:<11} {spread:>9} "
        f"{crossing:>14}  {state}"
    )
