"""Which pane is current, which tab is in front, and the keys that go from one to another."""

from __future__ import annotations

from textual.css.query import NoMatches

from hftmm.terminal.bindings import PANES, TABS
from hftmm.terminal.screens.acting import ActingScreen
from hftmm.terminal.widgets.ladder import LadderPane
from hftmm.terminal.widgets.pane import Pane
from hftmm.terminal.widgets.tab import Tab


class PanedScreen(ActingScreen):
    """A screen of panes, one of them current; some share a place as tabs."""

    def pull(self) -> None:
        """Takes the newest snapshot and draws it."""
        raise NotImplementedError

    def action_scroll(self, step: int) -> None:
        """The current pane a row up or down."""
        self._current.scroll_rows(step)
        self.pull()

    def action_page(self, step: int) -> None:
        """The current pane a page up or down."""
        self._current.scroll_rows(step * self._current.page_rows)
        self.pull()

    @property
    def pointed(self) -> Pane:
        return self._current

    @property
    def _current(self) -> Pane:
        try:
            return self.query_one("Pane.-current", Pane)
        except NoMatches:
            return self.query_one(LadderPane)

    def action_pane(self, step: int) -> None:
        """The next pane, or the previous one."""
        shown = self._shown_tab.id
        panes = [name for name in PANES if name not in TABS or name == shown]
        at = panes.index(self._current.id or panes[0])
        self.action_go(panes[(at + step) % len(panes)])

    def action_tab(self, step: int) -> None:
        """The next tab, or the previous one; first the one in sight, if another pane is current."""
        shown = self._shown_tab
        at = TABS.index(shown.id or TABS[0])
        self.action_go(TABS[(at + step * (shown is self._current)) % len(TABS)])

    @property
    def _shown_tab(self) -> Tab:
        return self.query_one("Tab.-shown", Tab)

    def action_go(self, name: str) -> None:
        """The pane of that name, brought to the front where one shows at a time."""
        self._make_current(name)
        pane = self.query_one(f"#{name}", Pane)
        # A pane that was hidden takes the focus only once it is laid out.
        self.call_after_refresh(pane.focus)

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, Pane) and self.focused.id:
            self._make_current(self.focused.id)

    def _make_current(self, name: str) -> None:
        """Marks the pane and the containers around it: the style sheet shows them."""
        chosen = self.query_one(f"#{name}", Pane)
        marked = {chosen, *chosen.ancestors}
        for widget in self.query("Pane, #desk Container, #desk Horizontal, #desk Vertical"):
            widget.set_class(widget in marked, "-current")
        if isinstance(chosen, Tab):
            self._bring(name)
        self.call_after_refresh(self.pull)

    def _bring(self, name: str) -> None:
        """Brings a tab in front of the others; which pane is current stays."""
        for tab in self.query(Tab):
            tab.set_class(tab.id == name, "-shown")
