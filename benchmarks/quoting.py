"""CPU of market making after a frame: how often it is quiet, and what a decision costs.

    python -m benchmarks.quoting CAPTURE [--rounds N] [--lag FRAMES]

The depth frames of a recording of one market are played on three venues, each some frames behind
the one before, and market making is told after every one whose touch moved, as an engine does. Its
orders are made, and answered at once; no byte of them is sent. Ratios are to the
bare decode of the same frames (see `wire_to_nbbo.py`) in the same round.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from benchmarks.wire_to_nbbo import bare_decode, depth_frames
from hftmm.book.consolidated import ConsolidatedBook, Member, Quarantine, Trust
from hftmm.book.order_book import MOVED, OrderBook
from hftmm.config import VENUES, Config
from hftmm.core.events import BookDelta
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import AmendIntent, Amendment, OrderIntent, OrderRequest, OrderState
from hftmm.execution.order import Order
from hftmm.risk.headroom import Headroom
from hftmm.storage.replay import Replay
from hftmm.strategy.cross_exchange_mm import CrossExchangeMM
from hftmm.venues import registry
from hftmm.venues.private import PrivateRules

FOREVER_NS = 2**62
RULES = PrivateRules(order_budget=(1_000, 1_000_000_000))


class Venues:
    """A `Trader` whose venues do at once what they are asked."""

    def __init__(self, book: ConsolidatedBook) -> None:
        self.orders: dict[str, Order] = {}
        self.sent = 0
        self._book = book

    def submit(self, intent: OrderIntent, now_ns: int) -> Order:
        self.sent += 1
        request = OrderRequest(
            f"bench{self.sent}", intent.listing, intent.side, intent.price, intent.size, True
        )
        order = self.orders[request.client_id] = Order(request, intent.strategy, now_ns)
        order.state = OrderState.OPEN
        return order

    def amend(self, intent: AmendIntent, now_ns: int) -> Amendment:
        self.sent += 1
        order = self.orders[intent.client_id]
        order.price, order.size = intent.price, intent.size
        return Amendment(intent.client_id, intent.listing, intent.side, intent.price, intent.size)

    def cancel(self, client_id: str, now_ns: int) -> bool:
        self.sent += 1
        self.orders[client_id].cancel_wanted = True
        return True

    def order(self, client_id: str) -> Order | None:
        return self.orders.get(client_id)

    def live(self, venue: str) -> Sequence[Order]:
        return [each for each in self.orders.values() if each.live and each.listing.venue == venue]

    def position(self, listing: Listing) -> Decimal:
        return Decimal(0)

    def headroom(self, listing: Listing, side: Side, now_ns: int) -> Headroom:
        return Headroom(Decimal(100), "")

    def closed(self, listing: Listing) -> str:
        return ""

    def rules(self, listing: Listing) -> PrivateRules:
        return RULES

    def book(self, symbol: str) -> ConsolidatedBook | None:
        return self._book

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        pass


@dataclass
class Played:
    """Nanoseconds of one run, by what was done; and how often."""

    spent: Counter[str]
    times: Counter[str]

    def share(self, names: Sequence[str]) -> float:
        """Nanoseconds a frame."""
        return sum(self.spent[name] for name in names) / self.times["frame"]


def recorded(capture: Path) -> tuple[BookDelta, list[BookDelta]]:
    """The snapshot of the market in a recording, and what follows it."""
    replay = Replay(Config(), [capture])
    frames = depth_frames(replay)
    venue = frames[0].venue
    codec = registry.codec(venue, Config(), Config().venues[venue])
    feeds = [s.feed for s in replay.contents.streams.values() if s.feed.kind.value == "depth"]
    if len(feeds) != 1:
        raise SystemExit(f"{capture.name}: {len(feeds)} markets, one is wanted")
    listing = feeds[0].listing
    for frame in replay.contents.frames:
        if frame.is_rest:
            url, body = frame.rest()
            request = codec.recognise(frame.route, url)
            if request is not None and request.purpose == "book":
                snapshot = codec.decode_book(listing, body, frame.received_ns).copy()
    deltas = []
    for frame in frames:
        (event,) = codec.decode_market(feeds[0], frame.body, frame.received_ns)
        if isinstance(event, BookDelta) and event.final_id > snapshot.state_id:
            deltas.append(event.copy())
    return snapshot, deltas


def clock_cost_ns() -> float:
    """What reading the CPU clock twice costs."""
    clock = time.thread_time_ns
    begun = clock()
    for _ in range(10_000):
        clock()
    return (clock() - begun) / 10_000


def play(snapshot: BookDelta, deltas: Sequence[BookDelta], lag: int) -> Played:
    """One run over all frames."""
    config = Config()
    listing = snapshot.listing
    members = []
    for name in VENUES:
        book = OrderBook(replace(listing, venue=name, status="live"))
        book.apply(snapshot)
        own = config.venues[name]
        fees = FeeRates(own.linear_maker_bps, own.linear_taker_bps)
        members.append(Member(book, Trust(FOREVER_NS, FOREVER_NS), fees))
    market = ConsolidatedBook(listing.symbol, members, Quarantine(1e9, 1e9, 0))
    trader = Venues(market)
    making = replace(config.market_making, markets=(listing.symbol,), max_age_ms=600_000)
    mm = CrossExchangeMM(replace(config, market_making=making), trader, lambda _: "")
    now_ns = deltas[0].received_ns
    market.review(now_ns)
    mm.switch(True, "", now_ns)
    spent: Counter[str] = Counter()
    times: Counter[str] = Counter()
    clock, cost = time.thread_time_ns, clock_cost_ns()
    looked_ns = 0
    gc.collect()
    gc.disable()
    for at, delta in enumerate(deltas):
        now_ns = delta.received_ns
        for behind, member in enumerate(members):
            late = at - behind * lag
            if late < 0:
                continue
            times["frame"] += 1
            if not member.book.apply(deltas[late]) & MOVED:
                continue
            market.moved(member, now_ns)
            before, looks = trader.sent, mm.looks
            begun = clock()
            mm.moved(listing.symbol, now_ns)
            took = clock() - begun - cost
            if trader.sent > before:
                what = "moved its quotes"
            else:
                what = "decided to stay" if mm.looks > looks else "quiet"
            spent[what] += int(took)
            times[what] += 1
        if now_ns - looked_ns > 20_000_000:
            looked_ns = now_ns
            begun = clock()
            mm.tick(now_ns)
            spent["tick"] += int(clock() - begun - cost)
            times["tick"] += 1
    gc.enable()
    return Played(spent, times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("capture", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--lag", type=int, default=1)
    options = parser.parse_args()
    snapshot, deltas = recorded(options.capture)
    frames = depth_frames(Replay(Config(), [options.capture]))
    decode = bare_decode(frames)
    runs, bases = [], []
    for _ in range(options.rounds):
        bases.append(decode.run() / len(frames))
        runs.append(play(snapshot, deltas, options.lag))
    print(f"{options.capture.name}: {runs[0].times['frame']} depth frames over three venues")
    print(f"{'':28}{'times':>8}{'us each':>10}{'us a frame':>12}{'ratio':>8}")
    print(f"{'bare decode':28}{len(frames):8}{'':10}{min(bases) / 1e3:12.2f}{1:8.2f}")
    names = ("quiet", "decided to stay", "moved its quotes")
    for name in names:
        each = min(run.spent[name] / max(1, run.times[name]) for run in runs)
        shown(name, runs[0].times[name], each, [run.share((name,)) for run in runs], bases)
    shown("after a frame", 0, 0.0, [run.share(names) for run in runs], bases)
    ticks = min(run.spent["tick"] / run.times["tick"] for run in runs) / 1e3
    print(f"and a tick, of which there are a few in 100 ms: {ticks:.0f} us")


def shown(
    name: str, times: int, each: float, shares: Sequence[float], bases: Sequence[float]
) -> None:
    """One row: the best round, and the median of the ratios to the decode of the same round."""
    ratio = statistics.median(a / b for a, b in zip(shares, bases, strict=True))
    counts = f"{times:8}{each / 1e3:10.2f}" if times else " " * 18
    print(f"{name:28}{counts}{min(shares) / 1e3:12.2f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
