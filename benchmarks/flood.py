"""Recorded depth frames without end: load for an engine beyond what practice venues make.

    python -m benchmarks.flood CAPTURE --rate 4000

A process of its own sends them at a steady rate over one connection for each of three venues; its
first line is its URL. An engine under test calls `join`: the frames then arrive in its own event
loop and run through a driver, books, NBBO and every strategy of a second desk, whose orders nobody
sends.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.wire_to_decision import Taker, desk
from benchmarks.wire_to_nbbo import depth_frames
from hftmm.config import VENUES, Config
from hftmm.storage.replay import Replay
from hftmm.transport.driver import Driver
from hftmm.transport.websocket import OnFrame, StreamConnection

LEAD = 20
"""Frames that a desk is given before; the first of a recording are older than its snapshot."""
ROUND = 400
"""Frames that are sent over and over."""
BACKLOG = 256 * 1024
"""Bytes that may wait for an engine that was stopped."""
IDS = re.compile(rb'"U":\d+,"u":(\d+),"pu":\d+')


def endless(capture: Path) -> Iterator[bytes]:
    """Frames that follow each other for ever. After each round one frame puts every level back to
    where it was before.
    """
    frames = [frame.body for frame in depth_frames(Replay(Config(), [capture]))]
    past, kept = frames[:LEAD], frames[LEAD : LEAD + ROUND]
    found = IDS.search(past[-1])
    assert found is not None
    last = int(found[1])
    parts = [(body[: ids.start()], body[ids.end() :]) for body, ids in _with_ids([*kept])]
    head, _ = parts[-1]
    parts.append((head, _undone(capture, past, kept)))
    while True:
        for head, tail in parts:
            yield b'%b"U":%d,"u":%d,"pu":%d%b' % (head, last + 1, last + 1, last, tail)
            last += 1


def _with_ids(frames: list[bytes]) -> Iterator[tuple[bytes, re.Match[bytes]]]:
    for body in frames:
        found = IDS.search(body)
        assert found is not None
        yield body, found


def _undone(capture: Path, past: list[bytes], kept: list[bytes]) -> bytes:
    """The levels of a frame that takes back what a round changed, as they stand behind its ids."""
    before: Mapping[str, dict[str, str]] = {"b": {}, "a": {}}
    for frame in Replay(Config(), [capture]).contents.frames:
        if frame.is_rest:
            _, body = frame.rest()
            snapshot = msgspec.json.decode(body)
            if "lastUpdateId" in snapshot:
                before["b"].update(snapshot["bids"])
                before["a"].update(snapshot["asks"])
    for body in past:
        levels = msgspec.json.decode(body)["data"]
        for side, known in before.items():
            known.update(levels[side])
    changed: Mapping[str, dict[str, str]] = {"b": {}, "a": {}}
    for body in kept:
        levels = msgspec.json.decode(body)["data"]
        for side, known in changed.items():
            known.update({price: before[side].get(price, "0.000") for price, _ in levels[side]})
    rows = [msgspec.json.encode([*changed[side].items()]) for side in ("b", "a")]
    return b',"b":%b,"a":%b}}' % tuple(rows)


async def join(capture: Path, url: str) -> list[int]:
    """Takes the frames in this event loop; a list of one number, how many there were so far."""
    second = desk(capture, VENUES)
    second.turns = [
        turn
        for venue in VENUES
        for turn in [turn for turn in second.turns if turn[0].venue == venue][:LEAD]
    ]
    second.run()
    driver = Driver(second.engine)
    count = [0]

    def counted(on_frame: OnFrame) -> OnFrame:
        def taken(frame: bytes, last_in_read: bool) -> None:
            on_frame(frame, last_in_read)
            count[0] += 1
            if Taker.answers:
                second.hear(driver.clock())

        return taken

    for (venue, _), on_frame in (await second.connected(driver)).items():
        await StreamConnection.connect(f"{url}/{venue}", counted(on_frame), lambda _: None)
    return count


class Flood(WSListener):
    """One connection."""

    def __init__(self, frames: Iterator[bytes], open_to: list[Flood]) -> None:
        self._frames = frames
        self._open_to = open_to
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._open_to.append(self)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._open_to.remove(self)

    def send(self) -> None:
        transport = self._transport
        assert transport is not None
        if transport.underlying_transport.get_write_buffer_size() < BACKLOG:
            transport.send(WSMsgType.TEXT, next(self._frames))


async def serve(capture: Path, rate: float) -> None:
    """Sends for ever."""
    open_to: list[Flood] = []

    def listener(_: WSUpgradeRequest) -> Flood:
        return Flood(endless(capture), open_to)

    server = await ws_create_server(listener, "127.0.0.1", 0)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    loop = asyncio.get_running_loop()
    begun, sent = loop.time(), 0
    while True:
        await asyncio.sleep(0.001)
        due = int((loop.time() - begun) * rate)
        # What this process missed while others had the processor is not made up for in one burst.
        sent = max(sent, due - 50)
        for _ in range(due - sent):
            sent += 1
            if open_to:
                open_to[sent % len(open_to)].send()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("capture", type=Path)
    parser.add_argument("--rate", type=float, default=4_000.0)
    options = parser.parse_args()
    asyncio.run(serve(options.capture, options.rate))


if __name__ == "__main__":
    main()
