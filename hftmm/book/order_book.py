"""One venue's book of one instrument."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np

from hftmm.book import kernels
from hftmm.book.kernels import (
    APPLIED,
    ASK_MOVED,
    BASE,
    BEST,
    BID_MOVED,
    CROSSED,
    FAR,
    FAR_ROOM,
    FAR_SIZES,
    FIELDS,
    FREE,
    LEVELS,
    NEVER,
    RECENTRE,
    ROOM,
    ROWS,
    SIZE,
    STATE_ID,
    TICK,
    USED,
    VENUE_MS,
    WIDTH,
    WINDOW,
    WORK,
)
from hftmm.core.events import BookDelta, Sizes, Ticks, TopOfBook
from hftmm.core.instrument import Listing, Side

MOVED: Final = BID_MOVED | ASK_MOVED
MILLISECOND: Final = 1_000_000

_apply = kernels.native(kernels.apply)
_load = kernels.native(kernels.load)
_gather = kernels.native(kernels.gather)
_walk = kernels.native(kernels.walk)

SideIndex = Literal[0, 1]
BIDS: Final[SideIndex] = 0
ASKS: Final[SideIndex] = 1


class Taken(NamedTuple):
    """What a walk through a book would get.

    Attributes:
        size: base coins, less than asked for if the known depth ran out.
        vwap: average price, quote per base; 0.0 if nothing was taken.
        worst: price of the last level touched; 0.0 if nothing was taken.
    """

    size: float
    vwap: float
    worst: float


class OrderBook:
    """Levels of one listing, and its touch.

    `bid`, `bid_size`, `ask`, `ask_size` are the touch as best known: of the levels, or of the
    venue's top-of-book stream where that is newer. A side without levels has size 0.0.
    A book that is not `valid` keeps its levels for the eye, and nobody trades on them.

    Attributes:
        reason: why it is not valid; "" if it is.
        received_ns: when we last heard of it, our clock.
        top: what the top-of-book stream said, while it is newer than the levels.
        bid_floor, ask_ceiling: ticks beyond which a depth-limited snapshot left levels unknown;
            None if everything is known.
        ints, floats: the blocks `kernels` works on, laid out as described there.
    """

    __slots__ = (
        "_ask_touch",
        "_bid_touch",
        "_brought",
        "_scale",
        "_top_ns",
        "ask",
        "ask_ceiling",
        "ask_size",
        "bid",
        "bid_floor",
        "bid_size",
        "floats",
        "ints",
        "listing",
        "reason",
        "received_ns",
        "top",
        "valid",
    )

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.valid = False
        self.reason = "no snapshot yet"
        self.bid = self.bid_size = self.ask = self.ask_size = 0.0
        self.received_ns = 0
        self.bid_floor: int | None = None
        self.ask_ceiling: int | None = None
        self._brought = (0, 0)
        self._scale = float(10**listing.decimals)
        self.top: TopOfBook | None = None
        self._top_ns = 0
        self.ints: Ticks = np.zeros((ROWS, FIELDS), dtype=np.int64)
        self.ints[:WORK, BEST] = -1
        self.ints[0, APPLIED] = NEVER
        self.floats: Sizes = np.zeros((ROWS, FAR_SIZES), dtype=np.float64)
        self._grow(FAR_ROOM)

    @property
    def venue_ns(self) -> int:
        """The venue's stamp of the newest state seen, 0 if it sends none."""
        return max(int(self.ints[0, VENUE_MS]) * MILLISECOND, self._top_ns)

    def apply(self, delta: BookDelta) -> int:
        """Applies a snapshot, which makes the book valid, or the delta that follows.

        Returns:
            Flags of `kernels`: BID_MOVED and ASK_MOVED if price or size of the touch changed,
            CROSSED if the levels now cross, which the caller must treat as corruption.
        """
        # Ids that began anew (OKX after maintenance) make a quote of before look new for ever.
        renumbered = delta.state_id < self.ints[0, STATE_ID]
        if delta.snapshot:
            flags = self._replace(delta)
        else:
            flags = _apply(
                delta.tick_buffer,
                delta.size_buffer,
                delta.n_bids,
                delta.count,
                self.ints,
                self.floats,
            )
            if flags & ROOM:
                self._rebuild(delta.count)
                flags = _apply(
                    delta.tick_buffer,
                    delta.size_buffer,
                    delta.n_bids,
                    delta.count,
                    self.ints,
                    self.floats,
                )
        self.ints[0, STATE_ID] = delta.state_id
        self.ints[0, VENUE_MS] = delta.venue_ns // MILLISECOND
        self.received_ns = delta.received_ns
        flags = self.settle(flags)
        if renumbered and self.top is not None:
            self.top = None
            flags |= self._show_levels()
        return flags

    def settle(self, flags: int) -> int:
        """Brings the touch up to date after the levels changed, here or in a fused kernel.

        Args:
            flags: what the kernel returned.

        Returns:
            Flags as `apply`.
        """
        if flags & RECENTRE:
            self._rebuild(0)
            flags = kernels.settle(self.ints, self.floats)
        if self.top is not None:
            if self.ints[0, STATE_ID] < self.top.sequence_id:
                return flags & CROSSED
            self.top = None
            return self._show_levels() | (flags & CROSSED)
        if flags & BID_MOVED:
            tick, self.bid_size = self._bid_touch.tolist()
            self.bid = tick / self._scale
        if flags & ASK_MOVED:
            tick, self.ask_size = self._ask_touch.tolist()
            self.ask = tick / self._scale
        return flags

    def quote(self, top: TopOfBook) -> int:
        """Takes the venue's fast best bid and offer, if it is newer than the levels.

        Returns:
            Flags as `apply`; 0 if it was old news, or crossed, which no venue's own book is.
        """
        newest = self.ints[0, STATE_ID] if self.top is None else self.top.sequence_id
        if top.sequence_id <= newest or not self.valid:
            return 0
        if top.bid >= top.ask and top.bid_size > 0.0 and top.ask_size > 0.0:
            return 0
        self.top = top
        self._top_ns = top.venue_ns
        self.received_ns = top.received_ns
        return self._show(top.bid, top.bid_size, top.ask, top.ask_size)

    def invalidate(self, reason: str) -> None:
        """Nobody trades on this book until the next snapshot."""
        self.valid = False
        self.reason = reason
        self.ints[0, APPLIED] = NEVER

    def levels(self, side: SideIndex, depth: int | None = None) -> tuple[Ticks, Sizes]:
        """Ticks and sizes of the levels, best first; copies.

        Complexity:
            O(depth + gaps) within the window, O(n log n) of the far levels beyond it.
        """
        row = self.ints[side]
        inside, total = int(row[LEVELS]), int(row[LEVELS] + row[FAR])
        wanted = total if depth is None else min(depth, total)
        keys = np.empty(total, dtype=np.int64)
        sizes = np.empty(total, dtype=np.float64)
        n = _gather(wanted, row, self.floats[side], keys, sizes)
        if n > inside:
            order = np.argsort(-keys[inside:n])
            keys[inside:n] = keys[inside:n][order]
            sizes[inside:n] = sizes[inside:n][order]
        n = min(n, wanted)
        return (keys[:n] if side == BIDS else -keys[:n]), sizes[:n]

    def count(self, side: SideIndex) -> int:
        """Levels of a side."""
        return int(self.ints[side, LEVELS] + self.ints[side, FAR])

    def near_edge(self, levels: int) -> bool:
        """The known depth of a side is nearly used up: fewer levels than this are left of it.

        A side that came with fewer is near its edge only below what it came with: another
        snapshot would bring no more.
        """
        for side, edge in ((BIDS, self.bid_floor), (ASKS, self.ask_ceiling)):
            fewest = min(levels, self._brought[side])
            if edge is not None and fewest:
                ticks, _ = self.levels(side, fewest)
                if len(ticks) < fewest:
                    return True
                last = int(ticks[-1])
                if last < edge if side == BIDS else last > edge:
                    return True
        return False

    def depth(self, side: SideIndex, levels: int) -> list[tuple[float, float]]:
        """(price, size) of the best levels as best known, the newer of book and top first."""
        if self.top is None:
            return self._priced(side, levels)
        first = (self.bid, self.bid_size) if side == BIDS else (self.ask, self.ask_size)
        if first[1] <= 0.0:
            return []
        fetched = levels
        while True:
            known = self._priced(side, fetched)
            if side == BIDS:
                behind = [level for level in known if level[0] < first[0]]
            else:
                behind = [level for level in known if level[0] > first[0]]
            # The touch may have walked past any number of levels that the book still shows.
            if len(behind) >= levels - 1 or len(known) < fetched:
                return [first, *behind][:levels]
            fetched *= 2

    def walk(self, taker: Side, quantity: float) -> Taken:
        """What taking `quantity` base coins would get now: a buy walks the asks.

        Only the window is walked, which is where the known depth of a liquid book is; a walk that
        would leave it, or pass the edge of a depth-limited snapshot, comes back short.
        """
        if taker == "buy":
            side, sign, price, size, edge = ASKS, -1, self.ask, self.ask_size, self.ask_ceiling
        else:
            side, sign, price, size, edge = BIDS, 1, self.bid, self.bid_size, self.bid_floor
        if size <= 0.0 or quantity <= 0.0:
            return Taken(0.0, 0.0, 0.0)
        taken, cost, last = _walk(
            sign,
            quantity,
            sign * round(price * self._scale),
            size,
            FREE if edge is None else sign * edge,
            self.ints[side],
            self.floats[side],
        )
        return Taken(taken, cost / taken / self._scale, last / self._scale)

    def _priced(self, side: SideIndex, depth: int) -> list[tuple[float, float]]:
        ticks, sizes = self.levels(side, depth)
        return list(zip((ticks / self._scale).tolist(), sizes.tolist(), strict=True))

    def _replace(self, delta: BookDelta) -> int:
        ticks, sizes, n = delta.ticks, delta.sizes, delta.n_bids
        whole = delta.complete
        self.bid_floor = None if whole or not n else int(ticks[:n].min())
        self.ask_ceiling = None if whole or n == delta.count else int(ticks[n:].max())
        self._grow(4 * max(n, delta.count - n))
        self._load(BIDS, ticks[:n], sizes[:n])
        self._load(ASKS, -ticks[n:], sizes[n:])
        if any(self.ints[side, BEST] < 0 < self.ints[side, FAR] for side in (BIDS, ASKS)):
            # The best level came a second time, with size 0: the window is centred on nothing.
            self._rebuild(0)
        self._brought = (self.count(BIDS), self.count(ASKS))
        self.valid = True
        self.reason = ""
        self.top = None
        # Even a touch equal to the old one is news after a time without a book.
        self.floats[:WORK, SIZE] = -1.0
        return int(kernels.settle(self.ints, self.floats))

    def _load(self, side: SideIndex, keys: Ticks, sizes: Sizes) -> None:
        _load(
            np.ascontiguousarray(keys),
            np.ascontiguousarray(sizes),
            self.ints[side],
            self.floats[side],
        )

    def _grow(self, slots: int) -> None:
        """Makes the hash tables at least so large, a power of two; their content is lost."""
        room = max(FAR_ROOM, 1 << max(0, slots - 1).bit_length())
        if room > self.ints.shape[1] - FIELDS:
            ints = np.full((ROWS, FIELDS + room), FREE, dtype=np.int64)
            ints[:, :FIELDS] = self.ints[:, :FIELDS]
            ints[WORK, : self.ints.shape[1]] = self.ints[WORK]
            floats = np.zeros((ROWS, FAR_SIZES + room), dtype=np.float64)
            floats[:, :FAR_SIZES] = self.floats[:, :FAR_SIZES]
            floats[WORK, : self.floats.shape[1]] = self.floats[WORK]
            self.ints, self.floats = ints, floats
            self._bid_touch: Sizes = floats[BIDS, :WINDOW]
            self._ask_touch: Sizes = floats[ASKS, :WINDOW]

    def _rebuild(self, more: int) -> None:
        """Centres both windows on their touch and makes room for `more` levels."""
        bid_ticks, bid_sizes = self.levels(BIDS)
        ask_ticks, ask_sizes = self.levels(ASKS)
        self._grow(4 * (max(len(bid_ticks), len(ask_ticks)) + more))
        self._load(BIDS, bid_ticks, bid_sizes)
        self._load(ASKS, -ask_ticks, ask_sizes)

    def _show_levels(self) -> int:
        bid, bid_size = self._bid_touch.tolist()
        ask, ask_size = self._ask_touch.tolist()
        return self._show(bid / self._scale, bid_size, ask / self._scale, ask_size)

    def _show(self, bid: float, bid_size: float, ask: float, ask_size: float) -> int:
        flags = 0
        if bid != self.bid or bid_size != self.bid_size:
            self.bid, self.bid_size = bid, bid_size
            flags |= BID_MOVED
        if ask != self.ask or ask_size != self.ask_size:
            self.ask, self.ask_size = ask, ask_size
            flags |= ASK_MOVED
        return flags

    def _check(self) -> None:
        """Walks every invariant of the structure; the stress tests call it after each step."""
        for side in (BIDS, ASKS):
            row = self.ints[side]
            window = self.floats[side, WINDOW:FAR_SIZES]
            occupied = np.flatnonzero(window)
            assert np.all(window >= 0.0)
            assert row[LEVELS] == len(occupied)
            assert row[BEST] == (occupied[-1] if len(occupied) else -1)
            far_keys, far_sizes = row[FIELDS:], self.floats[side, FAR_SIZES:]
            taken = far_keys != FREE
            alive = taken & (far_sizes > 0.0)
            assert row[USED] == np.count_nonzero(taken)
            assert row[FAR] == np.count_nonzero(alive)
            assert len(np.unique(far_keys[taken])) == row[USED]
            below = far_keys[taken] < row[BASE]
            above = far_keys[taken] >= row[BASE] + WIDTH
            assert np.all(below | above)
            if alive.any():
                assert len(occupied), "the touch is outside the window"
                assert far_keys[alive].max() < row[BASE]
            ticks, sizes = self.levels(side)
            assert len(ticks) == self.count(side)
            touch = (self.floats[side, TICK], self.floats[side, SIZE])
            assert touch == ((ticks[0], sizes[0]) if len(ticks) else (0.0, 0.0))
