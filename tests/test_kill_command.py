"""`hftmm kill` against an engine that listens: what it says, and when it is content."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hftmm.assembly.kill import kill
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Answer, Command, Kill, View
from hftmm.desk.snapshot import DeskSnapshot, KillRow, VenueKill
from hftmm.transport.link import LinkServer
from tests.fake_desk import desk_snapshot


def shows(
    zero_ms: float | None, *, positions: str = "", problem: str = "", done: bool = False
) -> KillRow:
    row = VenueKill("okx", 4, 3, zero_ms, 0, positions, problem)
    return KillRow("hftmm kill", 1, (row,), flattening="okx flat", done=done)


@asynccontextmanager
async def engine(
    folder: Path, pictures: Sequence[KillRow | None], *, accepts: bool = True
) -> AsyncIterator[tuple[Path, list[Command]]]:
    """An engine that shows these kills one after the other, the last one for good."""
    heard: list[Command] = []
    path = folder / "engine.sock"

    def scripted() -> Iterator[DeskSnapshot]:
        for killed in pictures:
            yield desk_snapshot(kill=killed)
        while True:
            yield desk_snapshot(kill=pictures[-1])

    script = scripted()

    def asked(viewer: int, command: Command) -> Answer:
        heard.append(command)
        return Answer(accepts, "killed" if accepts else "this engine does not trade")

    def picture(view: View) -> DeskSnapshot | None:
        return next(script)

    server = LinkServer(path, picture, asked)
    await server.start()
    try:
        yield path, heard
    finally:
        await server.close()


async def test_it_ends_well_once_every_venue_shows_zero(tmp_path: Path) -> None:
    said: list[str] = []
    pictures = [shows(None, problem="4 orders still open there"), shows(38.4, done=True)]
    async with engine(tmp_path, pictures) as (path, heard):
        assert await kill(path, said.append, flatten=False)
    assert heard == [Kill("hftmm kill")]
    assert said == ["engine: killed", "okx: 4 sent, 3 acked, zero at 38 ms"]


async def test_it_tells_what_is_missing_when_its_time_is_over(tmp_path: Path) -> None:
    said: list[str] = []
    async with engine(tmp_path, [shows(None, problem="not connected")]) as (path, _):
        assert not await kill(path, said.append, flatten=False, within_s=0.2)
    assert said[1:] == [
        "okx: 4 sent, 3 acked, not connected",
        "engine: not done within 0.2 s",
    ]


@pytest.mark.parametrize("held", ["", "BTC/USDT:USDT +0.01"])
async def test_flattening_is_waited_for_and_what_is_left_is_a_failure(
    tmp_path: Path, held: str
) -> None:
    said: list[str] = []
    pictures = [shows(38.4, positions="much"), shows(38.4, positions=held, done=True)]
    async with engine(tmp_path, pictures) as (path, heard):
        assert await kill(path, said.append, flatten=True) is not bool(held)
    assert heard == [Kill("hftmm kill", flatten=True)]
    assert said[-1] == "flatten: okx flat"


async def test_an_engine_that_does_not_trade_or_was_rearmed_meanwhile_is_a_failure(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    async with engine(tmp_path, [None], accepts=False) as (path, _):
        assert not await kill(path, said.append, flatten=False)
    async with engine(tmp_path, [None]) as (path, _):
        assert not await kill(path, said.append, flatten=False)
    assert said == [
        "engine: this engine does not trade",
        "engine: killed",
        "engine: it was re-armed meanwhile",
    ]


async def test_without_an_engine_it_says_that_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no engine runs here"):
        await kill(tmp_path / "engine.sock", print, flatten=False)
