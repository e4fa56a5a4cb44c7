"""What dialogs are made of: a frame, fields, and the answers of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from hftmm.desk.commands import Command
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import DeskSnapshot, LogRow
from hftmm.terminal import format as fmt
from hftmm.terminal.notice import answers, newest

Result = TypeVar("Result")

_PULLS_PER_S = 4
_LEVELS = {"warning": "$warning", "error": "$error"}


class Dialog(ModalScreen[Result]):
    """A framed dialog over the desk that shows the newest snapshot, never a frozen one.

    Subclasses say what stands in it (`fields`) and follow the engine (`paint`).

    Attributes:
        TITLE: in the frame's top. HINT: in its bottom: the keys.
    """

    TITLE = ""
    HINT = "escape closes"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "close")]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    @property
    def snapshot(self) -> DeskSnapshot | None:
        """What the engine shows now."""
        return self.desk.snapshot()

    def fields(self) -> ComposeResult:
        """What stands in the frame."""
        raise NotImplementedError

    def paint(self, snapshot: DeskSnapshot | None) -> None:
        """Draws what the engine shows now."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            box.border_title = self.TITLE
            box.border_subtitle = self.HINT
            yield from self.fields()

    def on_mount(self) -> None:
        self.pull()
        self.set_interval(1 / _PULLS_PER_S, self.pull)

    def pull(self) -> None:
        """Takes the newest snapshot and draws it, unless something lies over this dialog."""
        if self.is_current:
            self.paint(self.snapshot)

    def write(self, where: str, content: Content | str) -> None:
        """Puts text into the Static of that id, if it is new there."""
        static = self.query_one(f"#{where}", Static)
        text = Content(content) if isinstance(content, str) else content
        if static.content != text:
            static.update(text)


class Conversation:
    """A command that was sent, and what the engine answered since."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._since: int | None = None

    def send(self, command: Command) -> None:
        """Passes a command on; answers are those that come after it."""
        snapshot = self._desk.snapshot()
        self._since = newest(snapshot.log) if snapshot is not None else 0
        self._desk.send(command)

    def heard(self, snapshot: DeskSnapshot | None) -> Sequence[LogRow]:
        """The last answers, oldest first."""
        if snapshot is None or self._since is None:
            return ()
        return answers(snapshot.log, self._since)[-3:]

    @property
    def sent(self) -> bool:
        """Whether anything was sent."""
        return self._since is not None


def answered(rows: Sequence[LogRow]) -> Content:
    """Answers, a line each; a refusal has a sign and the colour of its level."""
    return Content("\n").join(
        Content.styled(
            f"{'✕' if row.level in _LEVELS else '·'} {fmt.plain(row.text)}",
            _LEVELS.get(row.level, "$foreground"),
        )
        for row in rows
    )


class Entry(Input):
    """A line to type in that takes only the characters it needs; others stay keys.

    Args:
        characters: those it takes; all if "".
    """

    def __init__(self, value: str = "", *, characters: str = "", id: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(value, id=id, compact=True)
        self._characters = characters

    def replace(self, text: str, start: int, end: int) -> None:
        """Puts typed or pasted text in, without what has no place here."""
        super().replace("".join(filter(self._takes, text)), start, end)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return super().check_consume_key(key, character) and self._takes(character or "")

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and not self._takes(event.character or ""):
            event.prevent_default()

    def _takes(self, character: str) -> bool:
        return not self._characters or character in self._characters


class Choice(Static, can_focus=True):
    """One of a few values; left and right, space or a click go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "previous"),
        Binding("right,space", "step(1)", "next"),
    ]

    class Changed(Message):
        """Another value was chosen."""

    def __init__(self, values: Sequence[str], value: str = "", *, id: str | None = None) -> None:  # noqa: A002 - Textual's own argument
        super().__init__(id=id, markup=False)
        self.values = tuple(values)
        self._at = self.values.index(value) if value in self.values else 0

    @property
    def value(self) -> str:
        """The value chosen; "" if there is none to choose."""
        return self.values[self._at] if self.values else ""

    @value.setter
    def value(self, value: str) -> None:
        if value in self.values and value != self.value:
            self._at = self.values.index(value)
            self._tell()

    def on_mount(self) -> None:
        self.update(f"‹ {self.value} ›")

    def on_click(self) -> None:
        self.action_step(1)

    def action_step(self, step: int) -> None:
        """The next value, or the previous one."""
        if len(self.values) > 1:
            self._at = (self._at + step) % len(self.values)
            self._tell()

    def _tell(self) -> None:
        self.update(f"‹ {self.value} ›")
        self.post_message(self.Changed())
