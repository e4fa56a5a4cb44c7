"""The palette: everything the terminal does, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from hftmm.desk.commands import Practice
from hftmm.terminal.screens.desk import DeskScreen

if TYPE_CHECKING:
    from hftmm.terminal.app import HftmmApp


class _Entry(NamedTuple):
    name: str
    text: str
    run: Callable[[], object]


class DeskCommands(Provider):
    """Keys from the table, then markets, themes and, on practice venues, faults."""

    async def discover(self) -> Hits:
        for entry in self._entries():
            yield DiscoveryHit(Content(entry.name), entry.run, entry.name, escape(entry.text))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in self._entries():
            score = matcher.match(entry.name)
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(entry.name),
                    entry.run,
                    entry.name,
                    escape(entry.text),
                )

    def _entries(self) -> Iterator[_Entry]:
        screen = self.screen
        if not isinstance(screen, DeskScreen):
            return
        app = cast("HftmmApp", self.app)
        for key in app.table.keys:
            if key.palette:
                yield _Entry(key.text, f"key {key.shown}", partial(app.run_action, key.action))
        for symbol in screen.symbols:
            yield _Entry(f"market {symbol}", "look at this market", partial(screen.look_at, symbol))
        for name in app.themes:
            yield _Entry(f"theme {name}", "draw in these colours", partial(_use, app, name))
        snapshot = screen.picture.shown
        if snapshot is None or snapshot.mode != "sim":
            return
        for venue in (quote.venue for quote in snapshot.venues):
            for fault, text in app.faults.items():
                command = Practice(venue=venue, fault=fault)
                yield _Entry(f"practice {venue} {fault}", text, partial(screen.desk.send, command))


def _use(app: HftmmApp, theme: str) -> None:
    app.theme = theme
