"""The palette: everything the terminal does, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.markup import escape

from hftmm.desk.commands import Accept, CancelAll, Command, Halt, Practice, Resume, Toggle
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal.screens.desk import DeskScreen

if TYPE_CHECKING:
    from hftmm.terminal.app import HftmmApp


class _Entry(NamedTuple):
    name: str
    text: str
    run: Callable[[], object]


class DeskCommands(Provider):
    """Keys from the table, then what the engine can be told, markets, themes, practice faults."""

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
        newest = screen.newest
        if newest is not None:
            yield from _commands(screen, newest)
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


def _commands(screen: DeskScreen, snapshot: DeskSnapshot) -> Iterator[_Entry]:
    """Everything an engine can be told, of what it shows now."""

    def entry(name: str, text: str, command: Command) -> _Entry:
        return _Entry(name, text, partial(screen.command, command))

    for strategy in snapshot.strategies:
        turned = "off" if strategy.on else "on"
        text = "its open orders are canceled" if strategy.on else "it may send orders"
        yield entry(f"{strategy.name} {turned}", text, Toggle(strategy.name, on=not strategy.on))
    yield entry("cancel all", "every order of ours, everywhere", CancelAll())
    for row in snapshot.risk:
        venue = row.venue
        yield entry(f"cancel all {venue}", "every order of ours there", CancelAll(venue))
        if row.halted:
            yield entry(f"resume {venue}", f"end its halt: {row.halted}", Resume(venue))
        else:
            yield entry(f"halt {venue}", "cancel its orders, let only reducing pass", Halt(venue))
    for venue in dict.fromkeys(venue for venue, _ in snapshot.differences):
        told = "; ".join(text for other, text in snapshot.differences if other == venue)
        yield entry(f"accept {venue}", f"take the venue's word: {told}", Accept(venue))
    for parameter in snapshot.parameters:
        run = partial(screen.parameter, parameter.key)
        yield _Entry(f"set {parameter.key}", f"now {parameter.value}: {parameter.words}", run)


def _use(app: HftmmApp, theme: str) -> None:
    app.theme = theme
