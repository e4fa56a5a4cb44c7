"""What a picture costs: CPU of the terminal a frame, at several rates of change.

Runs the real app on a desk of invented snapshots, with a driver that takes every byte a terminal
would get and throws it away. Prints one table. `python -m benchmarks.frame [--frames N]`
"""

from __future__ import annotations

import argparse
import asyncio
import time

import msgspec
from textual.drivers.headless_driver import HeadlessDriver

from hftmm.config import TerminalConfig
from hftmm.desk.snapshot import DeskSnapshot, LadderColumn
from hftmm.terminal.app import HftmmApp
from hftmm.terminal.screens.desk import DeskScreen
from tests.fake_desk import (
    NOON,
    SECOND,
    Clock,
    FakeDesk,
    log_row,
    opportunity,
    order,
    tape,
    trading_snapshot,
)

FRAME_NS = SECOND // 10


class NullDriver(HeadlessDriver):
    """Counts the bytes; not headless, so that every frame is encoded as for a terminal."""

    written = 0

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        NullDriver.written += len(data.encode())


def changed(snapshot: DeskSnapshot, frame: int, rows: int) -> DeskSnapshot:
    """The snapshot with about `rows` rows of every pane changed."""
    ladder = snapshot.ladder
    columns = tuple(
        LadderColumn(
            column.venue,
            _resized(column.bids, frame, (rows + 1) // 2),
            _resized(column.asks, frame, rows // 2),
        )
        for column in ladder.columns
    )
    return msgspec.structs.replace(
        snapshot,
        number=frame + 2,
        ns=NOON + frame * FRAME_NS,
        ladder=msgspec.structs.replace(ladder, columns=columns) if rows else ladder,
        venues=tuple(
            msgspec.structs.replace(
                quote, bid_size=round(1 + (frame * 7 + i) % 90 / 100, 2), age_ms=float(frame % 50)
            )
            if i < rows
            else quote
            for i, quote in enumerate(snapshot.venues)
        ),
        nbbo=msgspec.structs.replace(snapshot.nbbo, bid_size=1 + frame % 90 / 100)
        if rows
        else snapshot.nbbo,
        opportunities=tuple(
            opportunity(net_bps=(frame * 3 + i) % 40 / 10, profit=(frame + i) % 300 / 100)
            if i < rows
            else opportunity()
            for i in range(20)
        ),
        risk=tuple(
            msgspec.structs.replace(row, rate_used=(frame + i) % 100 / 100) if i < rows else row
            for i, row in enumerate(snapshot.risk)
        ),
        # New lines push the old ones along: every line in sight is another one.
        tape=tape(40)[-frame % 7 :] if rows >= 10 else snapshot.tape,
        log=tuple(log_row(i, f"line {i}") for i in range(frame, frame + 20))
        if rows >= 10
        else snapshot.log,
        orders=tuple(
            order(f"hm1-{i}", age_ms=1e3 + frame * 100, queue=(frame + i) % 300 / 100)
            if i < rows
            else order(f"hm1-{i}")
            for i in range(20)
        ),
        strategies=tuple(
            msgspec.structs.replace(
                one,
                quotes=tuple(
                    msgspec.structs.replace(
                        quote, bid_why=f"edge {(frame + i) % 30 / 10} bps", ask=65004.0 + frame % 9
                    )
                    for i, quote in enumerate(one.quotes)
                ),
            )
            if rows
            else one
            for one in snapshot.strategies
        ),
    )


def _resized(
    levels: tuple[tuple[float, float], ...], frame: int, rows: int
) -> tuple[tuple[float, float], ...]:
    # Sizes change place among themselves, so that the sums further out stay as they are.
    return tuple(
        (price, round(0.5 + (frame * 13 + i * 7) % 97 / 50, 2)) if i < rows else (price, size)
        for i, (price, size) in enumerate(levels)
    )


async def measure(size: tuple[int, int], rows: int, frames: int) -> tuple[float, float, float]:
    """Milliseconds of CPU, kilobytes and repainted lines of one frame."""
    clock = Clock()
    snapshot = trading_snapshot()
    desk = FakeDesk(snapshot)
    # The benchmark draws; the app's own timer adds a picture a second, in which nothing is new.
    app = HftmmApp(desk, TerminalConfig(frames_per_s=1), now_ns=clock)
    app.driver_class = NullDriver
    running = asyncio.create_task(app.run_async(size=size))
    try:
        await asyncio.sleep(0.5)
        pictures = [changed(snapshot, frame, rows) for frame in range(frames + 20)]
        cpu = lines = 0.0
        for frame, picture in enumerate(pictures):
            if frame == 20:
                NullDriver.written = 0
                cpu, lines = -time.process_time(), 0.0
            desk.shown = picture
            clock.ns += FRAME_NS
            screen = app.screen
            assert isinstance(screen, DeskScreen)
            screen.pull()
            lines += screen.repainted
            # Textual paints at its own next tick, at most 60 times a second.
            await asyncio.sleep(0.02)
        cpu += time.process_time()
        return cpu / frames * 1e3, NullDriver.written / frames / 1e3, lines / frames
    finally:
        app.exit()
        await running


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300, help="frames a measurement")
    frames = parser.parse_args().frames
    print(f"{'terminal':>10} {'rows a pane':>12} {'lines':>7} {'ms CPU':>8} {'kB':>7}   a frame")
    for size in ((200, 60), (160, 45), (80, 24)):
        for rows in (0, 3, 10, 40):
            ms, kilobytes, lines = asyncio.run(measure(size, rows, frames))
            shown = f"{size[0]}x{size[1]}"
            print(f"{shown:>10} {rows:>12} {lines:>7.1f} {ms:>8.2f} {kilobytes:>7.1f}")


if __name__ == "__main__":
    main()
