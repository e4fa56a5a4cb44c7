"""Plays a recording at the pace it was made, or a multiple of it."""

from __future__ import annotations

import asyncio
from typing import Final

from hftmm.desk.commands import Answer, Command, Status, View
from hftmm.storage.replay import Replay

SLICE_S: Final = 0.01
"""Frames due within one slice are played together; then whoever watches has its turn."""


class Playback:
    """Steps a replay through time. `now_ns` is the recording's clock."""

    def __init__(self, replay: Replay, speed: float) -> None:
        """
        Args:
            speed: 1.0 is as recorded, 10.0 ten times as fast.
        """
        self.replay = replay
        self.now_ns = replay.contents.frames[0].received_ns
        self._speed = speed

    async def run(self) -> None:
        """Until the last frame; the engine's state is FINISHED then."""
        frames = self.replay.contents.frames
        loop = asyncio.get_running_loop()
        began_s, began_ns = loop.time(), frames[0].received_ns
        at = 0
        while at < len(frames):
            due_ns = began_ns + int((loop.time() - began_s) * self._speed * 1e9)
            while at < len(frames) and frames[at].received_ns <= due_ns:
                self.replay.step(frames[at])
                at += 1
            self.now_ns = min(due_ns, frames[-1].received_ns)
            await asyncio.sleep(SLICE_S)
        self.replay.engine.ending = ("FINISHED", "the recording ends here")

    def command(self, command: Command) -> Answer:
        """A recording is only looked at."""
        match command:
            case View(market=market):
                known = not market or market in self.replay.engine.markets
                return Answer(known, "" if known else f"{market} is not in the recording")
            case Status():
                return Answer(False, "a recording has no status: use replay --json")
            case _:
                return Answer(False, "a recording can only be looked at")
