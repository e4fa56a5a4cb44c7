from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hftmm.config import Config
from hftmm.desk.commands import Practice, Status, Stop, View
from hftmm.storage.playback import SLICE_S, Playback
from hftmm.storage.replay import Replay
from hftmm.transport.inline import InlineDesk

START = 1_780_315_200_000_000_000
SECOND = 1_000_000_000
SWAP = "BTC/USDT:USDT"


def frame(number: int, at_s: float) -> str:
    """A line of a capture: the OKX book number `number`, a snapshot if it is the first."""
    rows = {
        "bids": [[f"{100 + number}.0", "1", "0", "1"]],
        "asks": [["200.5", "2", "0", "1"]],
        "ts": str(START // 1_000_000),
        "checksum": 0,
        "prevSeqId": number - 1 if number else -1,
        "seqId": number,
    }
    book = {
        "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"},
        "action": "update" if number else "snapshot",
        "data": [rows],
    }
    ns = START + int(at_s * SECOND)
    return f"{ns} okx public {json.dumps(book, separators=(',', ':'))}"


def recorded(folder: Path, *times_s: float) -> Replay:
    """A recording with a frame at each of these times."""
    path = folder / "capture.txt"
    path.write_text("\n".join(frame(number, at) for number, at in enumerate(times_s)) + "\n")
    return Replay(Config(), [path])


class Loop:
    """A loop's clock that moves only when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s = 50.0
        self.seen: list[tuple[float, int]] = []
        self.replay: Replay | None = None
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    def time(self) -> float:
        return self.s

    async def sleep(self, seconds: float) -> None:
        self.s += seconds
        if self.replay is not None:
            self.seen.append((self.s - seconds - 50.0, self.replay.frames))


@pytest.mark.parametrize("speed", [1.0, 0.5, 20.0])
def test_frames_come_when_they_came_at_the_speed_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    times = [0.0, 0.1, 0.2, 1.0]
    replay = recorded(tmp_path, *times)
    loop = Loop(monkeypatch)
    loop.replay = replay
    player = Playback(replay, speed)
    run(player)
    assert replay.frames == len(times)
    for elapsed_s, played in loop.seen:
        due = sum(at <= elapsed_s * speed + 1e-6 for at in times)
        late = sum(at <= elapsed_s * speed - 1e-6 for at in times)
        assert late <= played <= due
    assert loop.seen[-1][0] == pytest.approx(1.0 / speed, abs=SLICE_S)


def run(player: Playback) -> None:
    """Runs a coroutine that never really waits, without a loop."""
    try:
        player.run().send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for something")


def test_the_clock_is_that_of_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = recorded(tmp_path, 0.0, 2.0)
    Loop(monkeypatch)
    player = Playback(replay, 1.0)
    assert player.now_ns == START
    run(player)
    assert player.now_ns == START + 2 * SECOND


async def test_a_recording_that_ended_stays_to_be_looked_at(tmp_path: Path) -> None:
    replay = recorded(tmp_path, 0.0, 0.01)
    player = Playback(replay, 100.0)
    desk = InlineDesk(replay.engine, lambda: player.now_ns, player.command)
    async with asyncio.timeout(20):
        await player.run()
    shown = desk.snapshot()
    assert shown is not None
    assert (shown.mode, shown.state) == ("replay", "FINISHED")
    assert shown.state_reason == "the recording ends here"
    assert (shown.market, shown.nbbo.bid, shown.nbbo.ask) == (SWAP, 101.0, 200.5)
    assert [(quote.venue, quote.state) for quote in shown.venues] == [("okx", "live")]
    assert desk.connected


def test_a_recording_is_only_looked_at(tmp_path: Path) -> None:
    player = Playback(recorded(tmp_path, 0.0), 1.0)
    assert player.command(View(market=SWAP)).accepted
    assert player.command(View()).accepted
    refused = player.command(View(market="DOGE/USDT"))
    assert (refused.accepted, refused.text) == (False, "DOGE/USDT is not in the recording")
    for command in (Status(), Stop("enough"), Practice("okx", "gap")):
        assert not player.command(command).accepted


def test_a_desk_of_this_process_shows_what_it_is_told_to(tmp_path: Path) -> None:
    replay = recorded(tmp_path, 0.0, 0.1)
    replay.play()
    player = Playback(replay, 1.0)
    desk = InlineDesk(replay.engine, lambda: player.now_ns, player.command)
    first = desk.snapshot()
    assert first is not None
    desk.send(View(market=SWAP, group=10))
    grouped = desk.snapshot()
    assert grouped is not None
    assert (grouped.number, grouped.ladder.group) == (first.number + 1, first.ladder.group * 10)
    desk.send(View(market="DOGE/USDT", group=100))
    again = desk.snapshot()
    assert again is not None
    assert again.ladder.group == grouped.ladder.group
    desk.failed = "the practice venues ended by SIGKILL"
    assert (desk.connected, desk.failure) == (False, "the practice venues ended by SIGKILL")
