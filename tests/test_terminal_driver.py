"""A terminal that goes away while it is written to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, cast

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from hftmm.terminal.driver import Lasting, TerminalDriver
from tests.fake_desk import FakeDesk, terminal


class Lost(io.StringIO):
    """A terminal whose window was closed after so many writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes
        self.tried = 0

    def write(self, text: str, /) -> int:
        self.tried += 1
        if not self.left:
            raise OSError(5, "Input/output error")
        self.left -= 1
        return super().write(text)


def test_what_is_written_arrives() -> None:
    window = Lost(writes=2)
    lasting = Lasting(window)
    assert lasting.write("a") == 1
    lasting.write("b")
    lasting.flush()
    assert (window.getvalue(), lasting.gone) == ("ab", False)


def test_a_terminal_that_is_gone_is_written_to_no_more() -> None:
    window = Lost(writes=1)
    lasting = Lasting(window)
    for _ in range(4):
        assert lasting.write("x") == 1
    assert (window.getvalue(), window.tried, lasting.gone) == ("x", 2, True)


def test_a_terminal_lost_with_text_still_to_be_flushed_is_gone(tmp_path: Path) -> None:
    with (tmp_path / "tty").open("w") as window:
        lasting = Lasting(window)
        lasting.write("x")

        def fail() -> None:
            raise OSError(5, "Input/output error")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(window, "flush", fail)
            lasting.flush()
        assert lasting.gone
        assert lasting.fileno() == window.fileno()
        assert not lasting.isatty()


def test_writers_never_wait_for_a_terminal_that_is_gone() -> None:
    window = Lost(writes=0)
    writer = WriterThread(cast("IO[str]", Lasting(window)))
    writer.start()
    for _ in range(3 * MAX_QUEUED_WRITES):
        writer.write("x")
    writer.stop()
    assert not writer.is_alive()


def test_the_app_draws_on_a_terminal_that_may_go_away() -> None:
    assert terminal(FakeDesk()).get_driver_class() is TerminalDriver
