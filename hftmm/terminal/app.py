"""The terminal's Textual app: themes, keys and palette around one desk screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import ModalScreen

from hftmm.config import TerminalConfig
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import LogRow
from hftmm.paths import themes_folders
from hftmm.terminal.bindings import KeyTable
from hftmm.terminal.driver import TerminalDriver
from hftmm.terminal.palette import DeskCommands
from hftmm.terminal.screens.desk import DeskScreen
from hftmm.terminal.screens.leaving import LeavingScreen
from hftmm.terminal.themes import load_themes


class HftmmApp(App[str]):
    """Shows a desk until the operator leaves.

    Its result is what was not verified at the venues when the operator left an engine of their
    own before its end, "" if nothing was left open.

    Args:
        owned: leaving ends the engine, and waits for it; otherwise it goes on.
        now_ns: the viewer's clock, ns since the epoch.
        faults: practice faults the palette offers, what each does by name.
        folders: where theme files are, later folders win; those of `hftmm.paths` if not given.
    """

    TITLE = "hftmm"
    CSS_PATH = "app.tcss"
    # Textual annotates these two in a way that takes no ClassVar.
    HORIZONTAL_BREAKPOINTS = [(0, "-single"), (100, "-stacked"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-middling"), (40, "-high"), (48, "-tall")]  # noqa: RUF012
    # The key table binds the palette; Textual would bind it a second time.
    ENABLE_COMMAND_PALETTE = False
    COMMANDS: ClassVar = {DeskCommands}

    def __init__(
        self,
        desk: Desk,
        config: TerminalConfig,
        *,
        owned: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
        faults: Mapping[str, str] | None = None,
        folders: Iterable[Path] | None = None,
    ) -> None:
        super().__init__()
        self.use_command_palette = True
        self.faults = dict(faults or {})
        self.table = KeyTable.of(config.keys)
        self.themes, failures = load_themes(themes_folders() if folders is None else folders)
        for theme in self.themes.values():
            self.register_theme(theme.textual())
        problems = [*self.table.problems, *failures]
        if config.theme in self.themes:
            self.theme = config.theme
        else:
            self.theme = next(iter(self.themes))
            known = ", ".join(self.themes)
            problems.append(f"terminal.theme: no theme {config.theme!r}; known: {known}")
        self._desk_screen = DeskScreen(
            desk,
            config,
            owned=owned,
            now_ns=now_ns,
            table=self.table,
            themes=self.themes,
            notes=_notes(problems, now_ns()),
        )

    def get_driver_class(self) -> type[Driver]:
        chosen = super().get_driver_class()
        return TerminalDriver if chosen is LinuxDriver else chosen

    def get_default_screen(self) -> DeskScreen:
        return self._desk_screen

    def on_mount(self) -> None:
        self.set_keymap({key.name: key.heard for key in self.table.keys})

    async def on_event(self, event: events.Event) -> None:
        # A binding of the app, even one with priority, is lost to an input that has the focus.
        if isinstance(event, events.Key) and not event.is_forwarded:
            action = self.table.everywhere.get(event.key)
            if action is not None:
                await self.run_action(action)
                return
        await super().on_event(event)

    def action_kill(self) -> None:
        """Kills, whatever lies over the desk."""
        self._desk_screen.kill(f"key {self.table.named('kill').shown}")
        # What lies over the desk hides what matters from now on.
        while isinstance(self.screen, ModalScreen) and not isinstance(self.screen, LeavingScreen):
            self.pop_screen()

    def leave(self, reason: str) -> None:
        """What the key q does, for whoever else ends the terminal: a signal, a lost connection."""
        self._desk_screen.leave(reason)


def _notes(problems: Iterable[str], ns: int) -> tuple[LogRow, ...]:
    """Log lines of the terminal itself; they have no number, which the engine gives."""
    return tuple(LogRow(0, ns, "warning", "terminal", problem) for problem in problems)
