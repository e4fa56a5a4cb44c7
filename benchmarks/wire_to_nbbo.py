"""CPU a frame from the bytes of a recorded depth frame to books, NBBO and detection.

    python benchmarks/wire_to_nbbo.py CAPTURE [CAPTURE ...] [--rounds N] [--markets 30]

Each round runs every candidate once over the same frames, in turn; the table shows each one's
best round and its ratio to the bare decode of the same round (median over the rounds). Candidates
that are not installed are left out: `pip install ccxt nautilus_trader` to have them.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from hftmm.config import Config
from hftmm.storage.captures import CapturedFrame
from hftmm.storage.replay import Replay
from hftmm.venues.codec import FeedKind

Levels = list[tuple[float, float]]
OkxLevels = list[tuple[float, float, str, str]]


class BinanceDepth(msgspec.Struct, gc=False):
    E: int
    U: int
    u: int
    b: Levels
    a: Levels
    T: int = 0
    pu: int = 0


class BinanceFrame(msgspec.Struct, gc=False):
    stream: str
    data: BinanceDepth


class BybitDepth(msgspec.Struct, gc=False):
    s: str
    b: Levels
    a: Levels
    u: int
    seq: int = 0


class BybitFrame(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: BybitDepth


class OkxDepth(msgspec.Struct, gc=False):
    bids: OkxLevels
    asks: OkxLevels
    ts: int
    checksum: int = 0
    seqId: int = -1  # noqa: N815 - the venue's name
    prevSeqId: int = -1  # noqa: N815 - the venue's name


class OkxFrame(msgspec.Struct, gc=False):
    action: str
    data: list[OkxDepth]


SHAPES: dict[str, type[msgspec.Struct]] = {
    "binance": BinanceFrame,
    "bybit": BybitFrame,
    "okx": OkxFrame,
}


@dataclass
class Bench:
    """One candidate: `run` takes all frames once and returns its CPU nanoseconds."""

    name: str
    run: Callable[[], int]


def cpu(work: Callable[[], None]) -> int:
    """CPU nanoseconds of one call, garbage collection kept out."""
    gc.collect()
    gc.disable()
    begun = time.process_time_ns()
    work()
    spent = time.process_time_ns() - begun
    gc.enable()
    return spent


def depth_frames(replay: Replay) -> list[CapturedFrame]:
    """Frames of the depth streams."""
    keys = {
        (venue, route, key)
        for (venue, route, key), stream in replay.contents.streams.items()
        if stream.feed.kind is FeedKind.DEPTH
    }
    cuts = {venue: session.codec.cut for venue, session in replay.engine.exchanges.sessions.items()}
    found = []
    for frame in replay.contents.frames:
        cut = cuts[frame.venue]
        key = frame.body[cut.start : frame.body.find(cut.stop, cut.start)]
        if (frame.venue, frame.route, key) in keys:
            found.append(frame)
    return found


def bare_decode(frames: Sequence[CapturedFrame]) -> Bench:
    """msgspec into structs, levels as list[tuple[float, float]]: what others begin with."""
    decoders = {venue: msgspec.json.Decoder(kind, strict=False) for venue, kind in SHAPES.items()}
    work = [(decoders[frame.venue].decode, frame.body) for frame in frames]

    def run() -> None:
        for decode, body in work:
            decode(body)

    return Bench("msgspec decode alone", lambda: cpu(run))


class Ours:
    """This engine: decode, sequence, book, consolidated book, NBBO and detection a frame.

    Instrument definitions and snapshots are given before, and not counted.
    """

    def __init__(self, captures: Sequence[Path], markets: int) -> None:
        """
        Args:
            markets: engines of the same recording that take each frame in turn, so that as many
                books compete for the caches.
        """
        self._captures = captures
        self._markets = markets

    def run(self) -> int:
        replays = [Replay(Config(), self._captures) for _ in range(self._markets)]
        work = []
        for replay in replays:
            frames = depth_frames(replay)
            for frame in replay.contents.frames:
                if frame.is_rest:
                    replay.step(frame)
            work.append(
                [
                    (
                        replay.engine.exchanges.sessions[frame.venue].received,
                        replay.links[frame.venue][frame.route],
                        frame.body,
                        frame.received_ns,
                        replay.engine.settle,
                    )
                    for frame in frames
                ]
            )
        turns = [step for steps in zip(*work, strict=True) for step in steps]

        def loop() -> None:
            for received, link, body, now_ns, settle in turns:
                received(link, body, now_ns)
                settle(now_ns)

        spent = cpu(loop) // self._markets
        for replay in replays:
            for session in replay.engine.exchanges:
                for depth in session.depths.values():
                    if depth.sync.gaps or not depth.book.valid:
                        raise SystemExit(f"{depth.feed.listing.key}: {depth.book.reason or 'gap'}")
        return spent


def ccxt_pro(frames: Sequence[CapturedFrame], replay: Replay) -> Bench | None:
    """ccxt.pro from the bytes of the frame to its order book; one Binance linear market."""
    try:
        import ccxt.pro
    except ImportError:
        return None
    decode = json.loads
    exchange = ccxt.pro.binanceusdm({"enableRateLimit": False})
    definitions, snapshots = [], {}
    for frame in replay.contents.frames:
        if frame.is_rest:
            url, body = frame.rest()
            answer = decode(body)
            if "symbols" in answer:
                definitions.extend(answer["symbols"])
            else:
                snapshots[url.partition("symbol=")[2].partition("&")[0]] = answer
    exchange.set_markets([exchange.parse_market(each) for each in definitions])

    class Client:
        url = "wss://fstream.binance.com/public/ws/0"
        subscriptions: ClassVar[dict[str, object]] = {}

        def resolve(self, result: object, message_hash: str) -> None:
            pass

    client = Client()

    def run() -> int:
        for name, snapshot in snapshots.items():
            market = exchange.safe_market(name, None, None, "contract")
            book = exchange.order_book({}, 1000)
            book.reset(
                {
                    "bids": [[float(p), float(q)] for p, q in snapshot["bids"]],
                    "asks": [[float(p), float(q)] for p, q in snapshot["asks"]],
                    "nonce": snapshot["lastUpdateId"],
                    "symbol": market["symbol"],
                }
            )
            exchange.orderbooks[market["symbol"]] = book

        def loop() -> None:
            for frame in frames:
                exchange.handle_message(client, decode(frame.body))

        return cpu(loop)

    return Bench(f"ccxt.pro {ccxt.__version__}", run)


def nautilus(frames: Sequence[CapturedFrame]) -> Bench | None:
    """NautilusTrader's OrderBook.apply_deltas alone: no JSON, its deltas made before."""
    try:
        import nautilus_trader
        from nautilus_trader.model.book import OrderBook
        from nautilus_trader.model.data import BookOrder, OrderBookDelta, OrderBookDeltas
        from nautilus_trader.model.enums import BookAction, BookType, OrderSide
        from nautilus_trader.model.identifiers import InstrumentId
        from nautilus_trader.model.objects import Price, Quantity
    except ImportError:
        return None
    instrument = InstrumentId.from_str("ETHUSDT-PERP.BINANCE")
    batches = []
    for number, frame in enumerate(frames):
        levels = msgspec.json.decode(frame.body)["data"]
        deltas = []
        for side, rows in ((OrderSide.BUY, levels["b"]), (OrderSide.SELL, levels["a"])):
            for price, size in rows:
                gone = float(size) == 0.0
                order = BookOrder(side, Price.from_str(price), Quantity.from_str(size), 0)
                action = BookAction.DELETE if gone else BookAction.UPDATE
                deltas.append(OrderBookDelta(instrument, action, order, 0, number, 0, 0))
        batches.append(OrderBookDeltas(instrument, deltas))

    def run() -> int:
        book = OrderBook(instrument, BookType.L2_MBP)

        def loop() -> None:
            for batch in batches:
                book.apply_deltas(batch)

        return cpu(loop)

    return Bench(f"NautilusTrader {nautilus_trader.__version__} apply_deltas, no JSON", run)


def small(frame: CapturedFrame) -> bool:
    """It changes one or two levels."""
    found = msgspec.json.decode(frame.body)["data"]
    found = found[0] if isinstance(found, list) else found
    return 1 <= sum(len(found.get(side, ())) for side in ("b", "a", "bids", "asks")) <= 2


def timer_ns() -> float:
    """What reading the clock twice costs."""
    clock = time.perf_counter_ns
    begun = clock()
    for _ in range(10_000):
        clock()
    return (clock() - begun) / 10_000


def small_frames(captures: Sequence[Path], rounds: int) -> None:
    """Cost of frames of one or two levels, each timed where it stands among the others."""
    base, ours = [], []
    clock = time.perf_counter_ns
    count = 0
    for _ in range(rounds):
        replay = Replay(Config(), captures)
        frames = depth_frames(replay)
        little = {id(frame) for frame in frames if small(frame)}
        count = len(little)
        if not count:
            return
        for frame in replay.contents.frames:
            if frame.is_rest:
                replay.step(frame)
        decoders = {venue: msgspec.json.Decoder(s, strict=False) for venue, s in SHAPES.items()}
        spent = [0.0, 0.0]
        cost = timer_ns()
        gc.collect()
        gc.disable()
        for frame in frames:
            decode, body = decoders[frame.venue].decode, frame.body
            begun = clock()
            decode(body)
            decoded = clock()
            if id(frame) in little:
                spent[0] += decoded - begun - cost
        settle = replay.engine.settle
        for frame in frames:
            received = replay.engine.exchanges.sessions[frame.venue].received
            link, body, now_ns = (
                replay.links[frame.venue][frame.route],
                frame.body,
                frame.received_ns,
            )
            begun = clock()
            received(link, body, now_ns)
            settle(now_ns)
            done = clock()
            if id(frame) in little:
                spent[1] += done - begun - cost
        gc.enable()
        base.append(spent[0] / count)
        ours.append(spent[1] / count)
    ratio = statistics.median(one / other for one, other in zip(ours, base, strict=True))
    print(
        f"{f'frames of 1 or 2 levels ({count}): decode alone':52}{min(base) / 1000:12.2f}{1:8.2f}"
    )
    print(
        f"{'frames of 1 or 2 levels: hftmm, wire to NBBO':52}{min(ours) / 1000:12.2f}{ratio:8.2f}"
    )


def compare(benches: Sequence[Bench], frames: int, rounds: int) -> None:
    """Runs the rounds and prints the table; ratios are to the first candidate."""
    spent: dict[str, list[int]] = {bench.name: [] for bench in benches}
    for _ in range(rounds):
        for bench in benches:
            spent[bench.name].append(bench.run())
    base = spent[benches[0].name]
    print(f"{'':52}{'us a frame':>12}{'ratio':>8}")
    for name, values in spent.items():
        ratio = statistics.median(one / other for one, other in zip(values, base, strict=True))
        print(f"{name:52}{min(values) / frames / 1000:12.2f}{ratio:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--markets", type=int, default=30)
    options = parser.parse_args()
    for capture in options.captures:
        replay = Replay(Config(), [capture])
        frames = depth_frames(replay)
        levels = sum(frame.body.count(b'","') for frame in frames) / max(1, len(frames))
        print(f"\n{capture.name}: {len(frames)} depth frames, about {levels:.0f} levels each")
        benches = [
            bare_decode(frames),
            Bench("hftmm, wire to NBBO and detection", Ours([capture], 1).run),
            Bench(
                f"hftmm, {options.markets} such recordings at once",
                Ours([capture], options.markets).run,
            ),
        ]
        if {frame.route for frame in frames} == {"linear.public"} and "ETHUSDT" in capture.name:
            benches += [each for each in (ccxt_pro(frames, replay), nautilus(frames)) if each]
        compare(benches, len(frames), options.rounds)
        small_frames([capture], options.rounds)


if __name__ == "__main__":
    main()
