"""A person at the app: presses keys, and sees lines of text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from hftmm.desk.commands import Command, View
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal.app import HftmmApp
from hftmm.terminal.screens.desk import DeskScreen
from hftmm.terminal.widgets.ladder import LadderPane
from hftmm.terminal.widgets.lines import LineWidget, text_of
from tests.fake_desk import Clock, FakeDesk, desk_snapshot, terminal

SIZE = (200, 60)


class Operator:
    """A person at the app: presses keys, and sees lines of text."""

    def __init__(self, pilot: Pilot[str], desk: FakeDesk, clock: Clock) -> None:
        self.pilot = pilot
        self.desk = desk
        self.clock = clock

    @property
    def app(self) -> HftmmApp:
        assert isinstance(self.pilot.app, HftmmApp)
        return self.pilot.app

    @property
    def screen(self) -> DeskScreen:
        screen = self.app.screen
        assert isinstance(screen, DeskScreen)
        return screen

    async def settle(self) -> None:
        await self.pilot.pause()
        if isinstance(self.app.screen, DeskScreen):
            self.screen.pull()
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    def text(self, widget: type[LineWidget]) -> list[str]:
        return [text_of(line) for line in self.screen.query_one(widget).lines]

    @property
    def told(self) -> list[Command]:
        """What the engine was told, but for what is looked at."""
        return [command for command in self.desk.sent if not isinstance(command, View)]

    @property
    def view(self) -> View:
        return self.desk.views[-1]

    @property
    def prices(self) -> list[str]:
        """The ladder's price column."""
        lines = self.screen.query_one(LadderPane).lines
        roles = {"bid", "ask", "dim", "bold bright on touch_bid", "bold bright on touch_ask"}
        return [
            text.strip(" •")
            for line in lines[1:]
            for text, role in line
            if role in roles and "." in text and text.strip(" •").startswith("6")
        ]

    @property
    def focused(self) -> str | None:
        return self.screen.focused.id if self.screen.focused is not None else None


Check = Callable[[Operator], Awaitable[None]]


async def operate(
    check: Check,
    size: tuple[int, int] = SIZE,
    *,
    shown: DeskSnapshot | None = None,
    owned: bool = False,
    **config: object,
) -> None:
    """Runs a check against the app on a desk that shows this, a normal market if not given."""
    clock = Clock()
    desk = FakeDesk(shown or desk_snapshot())
    app = terminal(desk, clock=clock, owned=owned, **config)
    async with app.run_test(size=size) as pilot:
        operator = Operator(pilot, desk, clock)
        await operator.settle()
        await check(operator)
