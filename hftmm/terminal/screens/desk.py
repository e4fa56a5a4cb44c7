"""The desk: the screen the operator works at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Input

from hftmm.config import TerminalConfig
from hftmm.desk.commands import Cancel, View
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import DeskSnapshot, LogRow
from hftmm.terminal.bindings import KeyTable
from hftmm.terminal.grouping import finer, sensible, wider
from hftmm.terminal.picture import SILENT_AFTER_NS, Picture
from hftmm.terminal.screens.help import HelpScreen
from hftmm.terminal.screens.markets import MarketsScreen
from hftmm.terminal.screens.paned import PanedScreen
from hftmm.terminal.themes import Ink, Theme
from hftmm.terminal.widgets.alarm import Alarm
from hftmm.terminal.widgets.arbitrage import ArbitragePane
from hftmm.terminal.widgets.banner import Banner
from hftmm.terminal.widgets.differences import Differences
from hftmm.terminal.widgets.fills import FillsPane
from hftmm.terminal.widgets.footer import KeyBar
from hftmm.terminal.widgets.header import Header
from hftmm.terminal.widgets.holdings import BalancesPane, PositionsPane
from hftmm.terminal.widgets.ladder import LadderPane
from hftmm.terminal.widgets.lines import LineWidget
from hftmm.terminal.widgets.log import LogPane
from hftmm.terminal.widgets.nbbo import NbboLine, NbboPane
from hftmm.terminal.widgets.orders import OrdersPane
from hftmm.terminal.widgets.pane import Pane
from hftmm.terminal.widgets.pnl import PnlPane
from hftmm.terminal.widgets.risk import RiskLine, RiskPane
from hftmm.terminal.widgets.strategies import StrategiesPane
from hftmm.terminal.widgets.tab import Tab
from hftmm.terminal.widgets.tape import TapePane

# Price groups asked for a side beyond those in sight, so that a scroll finds them there.
_SPARE_ROWS = 20
_UNDER_DIALOG_NS = 500_000_000


class DeskScreen(PanedScreen):
    """Pulls the newest snapshot and draws what changed, `frames_per_s` times a second.

    Args:
        owned: leaving ends the engine.
        now_ns: the viewer's clock, ns since the epoch.
        themes: by name; the key `t` goes through them in this order.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*KeyTable.of().bindings()]
    AUTO_FOCUS = "#ladder"

    def __init__(
        self,
        desk: Desk,
        config: TerminalConfig,
        *,
        owned: bool,
        now_ns: Callable[[], int],
        table: KeyTable,
        themes: Mapping[str, Theme],
        notes: tuple[LogRow, ...],
    ) -> None:
        super().__init__(desk, now_ns, owned=owned)
        self.view = View()
        self._config = config
        self._table = table
        self._themes = themes
        self._notes = notes
        self._widgets: list[LineWidget] = []
        self._inks: dict[tuple[str, bool], Ink] = {}
        self._groups: dict[tuple[str, bool], int] = {}
        self._shown: DeskSnapshot | None = None
        self._traded = False
        self._newest_number: int | None = None
        self._newest_ns = now_ns()
        self._drawn_ns = 0
        self._frozen_since: int | None = None
        self._frozen_view = self.view

    def compose(self) -> ComposeResult:
        yield Header(id="header")
        yield Alarm(id="alarm")
        yield NbboLine(id="nbbo-line")
        yield Differences(id="differences")
        with Vertical(id="desk"):
            with Container(id="upper"):
                with Vertical(id="left"):
                    yield LadderPane(auto_centre=self._config.auto_centre, id="ladder")
                    yield StrategiesPane(id="strategies")
                with Vertical(id="right"):
                    yield NbboPane(id="nbbo")
                    yield ArbitragePane(id="arbitrage")
                    yield RiskPane(id="risk")
            with Horizontal(id="lower"):
                with Container(id="tabs"):
                    yield OrdersPane(id="orders")
                    yield FillsPane(id="fills")
                    yield PositionsPane(id="positions")
                    yield BalancesPane(id="balances")
                    yield LogPane(id="log")
                    yield PnlPane(id="pnl")
                yield TapePane(id="tape")
        yield Input(
            placeholder="log lines that contain: enter keeps, escape clears; K kills here too",
            id="filter",
        )
        yield RiskLine(id="risk-line")
        yield KeyBar(self._table)
        yield Banner(id="banner")

    def on_mount(self) -> None:
        self._widgets = list(self.query(LineWidget))
        self.query_one("#filter").display = False
        self._bring("log")
        self._make_current("ladder")
        self.app.theme_changed_signal.subscribe(self, lambda _: self.pull())
        self.call_after_refresh(self.pull)
        self.set_interval(1 / self._config.frames_per_s, self._tick)

    def on_resize(self) -> None:
        self.call_after_refresh(self.pull)

    # The picture

    @property
    def picture(self) -> Picture:
        """What there is to draw at this moment."""
        now_ns = self._now_ns()
        quiet_ns = now_ns - self._newest_ns
        finished = self._shown is not None and self._shown.state == "FINISHED"
        silent = self._newest_number is not None and not finished and quiet_ns >= SILENT_AFTER_NS
        return Picture(
            shown=self._shown,
            now_ns=now_ns,
            silent_ns=quiet_ns if silent else 0,
            connected=self.desk.connected,
            failure=self.desk.failure,
            frozen_ns=None if self._frozen_since is None else now_ns - self._frozen_since,
            view=self.view if self._frozen_since is None else self._frozen_view,
            notes=self._notes,
            notice=self.notices.shown(now_ns),
        )

    def _tick(self) -> None:
        """A picture, unless a dialog lies over it and the last one is still young.

        Textual blends the whole screen anew under a dialog, which costs four pictures.
        """
        if self.is_active or self._now_ns() - self._drawn_ns >= _UNDER_DIALOG_NS:
            self.pull()

    def pull(self) -> None:
        """Takes the newest snapshot and draws it."""
        snapshot = self.desk.snapshot()
        if snapshot is not None and snapshot.number != self._newest_number:
            self._newest_number = snapshot.number
            self._newest_ns = self._now_ns()
            self._settle_view(snapshot)
            self.notices.hear(snapshot.log, self._newest_ns)
            self._mark_kill(snapshot)
            if snapshot.trades and not self._traded:
                self._traded = True
                # Orders come first, but for what the log has to say and who reads there.
                if not self._notes and not isinstance(self._current, Tab):
                    self._bring("orders")
            if self._frozen_since is None:
                self._shown = snapshot
        picture = self.picture
        self._drawn_ns = picture.now_ns
        plain, grey = self._ink(grey=False), self._ink(grey=picture.grey)
        with self.app.batch_update():
            for widget in self._painted():
                # The frame of the screen stays readable when what it holds no longer is.
                widget.use(grey if isinstance(widget, Pane | NbboLine | RiskLine) else plain)
                widget.paint(picture)

    def _mark_kill(self, snapshot: DeskSnapshot) -> None:
        """Frames the whole screen while killed; the moment of a kill ends a held picture."""
        killed = snapshot.state == "KILLED"
        if killed == self.has_class("-killed"):
            return  # A title set anew, even to the same, repaints the whole screen.
        if killed:
            self._frozen_since = None
        self.set_class(killed, "-killed")
        self.border_title = "✕ KILLED ✕" if killed else ""
        self.border_subtitle = f"{self._table.named('rearm').shown} re-arms" if killed else ""

    @property
    def repainted(self) -> int:
        """Lines the last picture repainted."""
        return sum(widget.repainted for widget in self._painted())

    def _painted(self) -> Iterator[LineWidget]:
        """Every line widget in sight, and those that show themselves."""
        for widget in self._widgets:
            if widget.SHOWS_ITSELF or (widget.size and widget.region):
                yield widget

    def _ink(self, *, grey: bool) -> Ink:
        key = (self.app.theme, grey)
        if key not in self._inks:
            theme = self._themes.get(self.app.theme) or next(iter(self._themes.values()))
            self._inks[key] = Ink(theme, grey=grey)
        return self._inks[key]

    # What the operator looks at

    def _settle_view(self, snapshot: DeskSnapshot) -> None:
        """Chooses a price group for a market seen for the first time, and rows for the size."""
        market = self.view.market or snapshot.market
        group = self._groups.get((market, self.view.net))
        best = snapshot.net if self.view.net else snapshot.nbbo
        if group is None and best.bid and best.ask and market == snapshot.market:
            rows = self.query_one(LadderPane).room[1] or self.size.height
            group = sensible(snapshot.ladder, best, rows)
            self._groups[market, self.view.net] = group
        rows = self._wanted_rows()
        self._look(market=market, group=group or self.view.group, rows=rows)

    def _wanted_rows(self) -> int:
        tens = (self.size.height + _SPARE_ROWS) // 10 * 10
        return max(View().rows, tens)

    def _look(
        self,
        *,
        market: str | None = None,
        group: int | None = None,
        rows: int | None = None,
        net: bool | None = None,
    ) -> None:
        """Tells the engine what is looked at, if that is something else than before."""
        wanted = {"market": market, "group": group, "rows": rows, "net": net}
        view = msgspec.structs.replace(
            self.view, **{name: value for name, value in wanted.items() if value is not None}
        )
        if view != self.view:
            self.view = view
            self.desk.send(view)

    @property
    def symbols(self) -> list[str]:
        """The markets there are."""
        return [] if self._shown is None else [market.symbol for market in self._shown.markets]

    def look_at(self, symbol: str) -> None:
        """Puts another market on view, in the price group it was last seen in."""
        self._look(market=symbol, group=self._groups.get((symbol, self.view.net), 1))

    def action_market(self, step: int) -> None:
        """The next market, or the previous one; after the last comes the first."""
        symbols = self.symbols
        if symbols:
            market = self.view.market or (self._shown.market if self._shown else "")
            at = symbols.index(market) if market in symbols else 0
            self.look_at(symbols[(at + step) % len(symbols)])

    def action_markets(self) -> None:
        """The list of markets."""
        if self._shown is not None:
            chosen = MarketsScreen(self._shown.markets, self.view.market or self._shown.market)
            self.app.push_screen(chosen, self._chosen)

    def _chosen(self, symbol: str | None) -> None:
        if symbol is not None:
            self.look_at(symbol)

    def action_group(self, step: int) -> None:
        """Wider price groups, or finer ones."""
        group = wider(self.view.group) if step > 0 else finer(self.view.group)
        if self.view.market:
            self._groups[self.view.market, self.view.net] = group
        self._look(group=group)

    def action_net(self) -> None:
        """Prices after taker fees, on and off; each has a price group of its own."""
        net = not self.view.net
        self._look(net=net, group=self._groups.get((self.view.market, net)))
        if self._shown is not None:
            self._settle_view(self._shown)

    def action_recentre(self) -> None:
        """The market in the middle of the ladder."""
        self.query_one(LadderPane).recentre()
        self.pull()

    # Orders

    def action_cancel(self) -> None:
        """Cancels the selected order; without one, goes to the orders and selects the newest."""
        pane = self.query_one(OrdersPane)
        order = pane.selected
        if order is not None and order.live and self._current is pane:
            self.command(Cancel(order.client_id))
            return
        self.action_go("orders")
        if order is None:
            pane.select_first()

    # The desk

    def action_freeze(self) -> None:
        """Holds the picture, or lets it go on."""
        self._frozen_since = self._now_ns() if self._frozen_since is None else None
        self._frozen_view = self.view
        if self._frozen_since is None:
            self._shown = self.desk.snapshot() or self._shown
        self.pull()

    def action_filter(self) -> None:
        """Asks for the text log lines must contain."""
        self.action_go("log")
        entry = self.query_one("#filter", Input)
        entry.display = True
        self.call_after_refresh(entry.focus)

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(LogPane).filter = event.value
        self.pull()

    def on_input_submitted(self) -> None:
        self._close_filter()

    def key_escape(self) -> None:
        """Clears the filter, from wherever the focus is."""
        self.escaped_ns = self._now_ns()
        self.query_one("#filter", Input).value = ""
        self._close_filter()

    def _close_filter(self) -> None:
        entry = self.query_one("#filter", Input)
        if entry.display:
            entry.display = False
            self.action_go("log")

    def action_theme(self) -> None:
        """The next theme."""
        names = list(self._themes)
        at = names.index(self.app.theme) if self.app.theme in names else -1
        self.app.theme = names[(at + 1) % len(names)]

    def action_palette(self) -> None:
        """Everything by name."""
        self.app.action_command_palette()

    def action_help(self) -> None:
        """All keys, and how to read each pane."""
        self.app.push_screen(HelpScreen(self._table, list(self.query(Pane))))
