"""Pictures of the screen, compared with stored ones."""

from __future__ import annotations

from typing import Any, Protocol

from textual.pilot import Pilot

from hftmm.desk.snapshot import DeskSnapshot
from hftmm.terminal.screens.desk import DeskScreen
from hftmm.terminal.screens.dialog import Dialog
from tests.fake_desk import FakeDesk, terminal

WIDE = (200, 60)
GOOD = (160, 45)
SMALL = (80, 24)


def named(size: tuple[int, int]) -> str:
    """The name of a size in the names of tests."""
    return f"{size[0]}x{size[1]}"


class Compare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(self, app: object, **options: Any) -> bool: ...


async def drawn(pilot: Pilot[Any]) -> None:
    """Waits until the newest picture stands on the screen, and under a dialog on it."""
    desk = pilot.app.screen_stack[0]
    assert isinstance(desk, DeskScreen)
    # What shows itself is laid out after the first picture.
    for _ in range(2):
        await pilot.pause()
        desk.pull()
        if isinstance(pilot.app.screen, Dialog):
            pilot.app.screen.pull()
    await pilot.pause()


def looks(
    compare: Compare,
    snapshot: DeskSnapshot | None,
    size: tuple[int, int] = WIDE,
    *,
    press: tuple[str, ...] = (),
    owned: bool = False,
    **config: Any,
) -> bool:
    """Whether the app on this snapshot looks as stored, after these keys."""

    async def settled(pilot: Pilot[Any]) -> None:
        await drawn(pilot)
        await pilot.press(*press)
        await drawn(pilot)

    app = terminal(FakeDesk(snapshot), owned=owned, **config)
    return compare(app, terminal_size=size, run_before=settled)
