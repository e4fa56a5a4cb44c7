"""The inner loops of an order book, compiled by numba.

One side of a book is an array around the touch plus a hash table for the levels far from it. Both
sides run the same code: a level's *key* is its tick on the bid side and minus its tick on the ask
side, so that the best level is always the one with the greatest key.

A book is two blocks, since every array costs a call its conversion. Row 0 is the bids, row 1 the
asks:

    ints[side, BASE]       key of window slot 0
    ints[side, BEST]       window slot of the best level, -1 if the window is empty
    ints[side, LEVELS]     levels in the window
    ints[side, FAR]        levels in the hash table
    ints[side, USED]       slots of the hash table taken, removed levels included
    ints[0, APPLIED]       update id applied last, NEVER while no message may be applied unseen
    ints[0, STATE_ID]      where the levels stand, comparable with the top-of-book stream
    ints[0, VENUE_MS]      the venue's stamp
    ints[side, FIELDS:]    hash table: key or FREE
    floats[side, TICK]     touch as last reported: its tick
    floats[side, SIZE]     and its size, 0 if the side is empty
    floats[side, WINDOW:]  size at key BASE + slot, WIDTH of them, 0 if none
    floats[side, FAR_SIZES:]  size of each slot of the hash table, 0 if it was removed

    ints[WORK], floats[WORK]  room for whoever scans frames into the book, see `venues/scan.py`

With `NUMBA_DISABLE_JIT=1` the same source runs as plain Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

from hftmm.core.events import Sizes, Ticks

F = TypeVar("F", bound=Callable[..., Any])

WIDTH: Final = 4096
"""Ticks an array spans: 87 % of the changes of a recorded ETHUSDT day, and it stays in cache."""
TOUCH_SLOT: Final = WIDTH - WIDTH // 8
"""Where centring puts the touch: the depth is behind it, so most of the window is."""
LOW_SLOT: Final = WIDTH // 8
"""A touch below this slot has walked far enough to centre again."""
FREE: Final = np.iinfo(np.int64).min
FAR_ROOM: Final = 4096
"""Slots of a new hash table, a power of two."""

BASE: Final = 0
BEST: Final = 1
LEVELS: Final = 2
FAR: Final = 3
USED: Final = 4
APPLIED: Final = 5
STATE_ID: Final = 6
VENUE_MS: Final = 7
FIELDS: Final = 8

TICK: Final = 0
SIZE: Final = 1
WINDOW: Final = 2
FAR_SIZES: Final = WINDOW + WIDTH

WORK: Final = 2
ROWS: Final = 3

NEVER: Final = -(2**62)
"""An update id that no message follows."""

BID_MOVED: Final = 1
ASK_MOVED: Final = 2
CROSSED: Final = 4
RECENTRE: Final = 8
ROOM: Final = 16

_BLOCKS = "int64[:,::1], float64[:,::1]"


def kernel(signature: object) -> Callable[[F], F]:
    """Compiles a function for one signature and keeps the machine code on disk."""
    return cast(
        "Callable[[F], F]",
        numba.njit(signature, cache=True, error_model="numpy", boundscheck=False),
    )


def native(function: F) -> F:
    """The compiled entry point itself.

    A numba dispatcher looks up its argument types on every call, which costs as much as all of a
    one-level frame's work. These kernels have one signature each, so there is nothing to look up.
    """
    overloads = getattr(function, "overloads", None)
    if not overloads:
        return function
    return cast("F", next(iter(overloads.values())).entry_point)


@kernel("boolean(int64, int64[::1], float64[::1], int64, int64, int64[::1], float64[::1])")
def _change(
    sign: int,
    ticks: Ticks,
    sizes: Sizes,
    start: int,
    stop: int,
    state: Ticks,
    floats: Sizes,
) -> bool:
    """Sets levels `start` to `stop` of one side, key = sign * tick; size 0 removes.

    The counters live in locals and the arrays are rows: passed a level at a time, or indexed in
    two dimensions, the same work took twenty times as long.

    Returns:
        True if the touch is, or may be, outside the window; keys above it are in the hash table.
    """
    window = floats[WINDOW:FAR_SIZES]
    far_keys = state[FIELDS:]
    far_sizes = floats[FAR_SIZES:]
    base = state[BASE]
    best = state[BEST]
    levels = state[LEVELS]
    far = state[FAR]
    used = state[USED]
    mask = far_keys.shape[0] - 1
    above = False
    for i in range(start, stop):
        key = sign * ticks[i]
        size = sizes[i]
        slot = key - base
        if 0 <= slot < WIDTH:
            had = window[slot] > 0.0
            window[slot] = size
            if size > 0.0:
                if not had:
                    levels += 1
                best = max(best, slot)
            elif had:
                levels -= 1
                if slot == best:
                    best = slot - 1 if levels > 0 else -1
                    while best >= 0 and window[best] == 0.0:
                        best -= 1
            continue
        above |= slot >= WIDTH and size > 0.0
        # Fibonacci hashing on 31 bits, which cannot overflow: far levels come in dense runs, and
        # runs that share slots would make linear probing walk them all.
        j = (((key & 0x7FFFFFFF) * 0x9E3779B1) >> 24) & mask
        while far_keys[j] not in (FREE, key):
            j = (j + 1) & mask
        if far_keys[j] == FREE:
            if size == 0.0:
                continue
            far_keys[j] = key
            far_sizes[j] = 0.0
            used += 1
        if size > 0.0 and far_sizes[j] == 0.0:
            far += 1
        elif size == 0.0 and far_sizes[j] > 0.0:
            far -= 1
        far_sizes[j] = size
    state[BEST] = best
    state[LEVELS] = levels
    state[FAR] = far
    state[USED] = used
    return above or (best < LOW_SLOT and far > 0)


@kernel(f"int64({_BLOCKS})")
def settle(ints: Ticks, floats: Sizes) -> int:
    """Notes the touch of both sides; flags what changed in it."""
    flags = 0
    for side in range(2):
        tick = 0.0
        size = 0.0
        best = ints[side, BEST]
        if best >= 0:
            key = ints[side, BASE] + best
            tick = float(key if side == 0 else -key)
            size = floats[side, WINDOW + best]
        if tick != floats[side, TICK] or size != floats[side, SIZE]:
            floats[side, TICK] = tick
            floats[side, SIZE] = size
            flags |= BID_MOVED if side == 0 else ASK_MOVED
    if floats[0, SIZE] > 0.0 and floats[1, SIZE] > 0.0 and floats[0, TICK] >= floats[1, TICK]:
        flags |= CROSSED
    return flags


@kernel(f"int64(int64[::1], float64[::1], int64, int64, {_BLOCKS})")
def apply(ticks: Ticks, sizes: Sizes, n_bids: int, count: int, ints: Ticks, floats: Sizes) -> int:
    """Applies a delta, bids first, and keeps the touch.

    Returns:
        Flags. ROOM: nothing was done, the hash tables must grow first. RECENTRE: the levels are
        in, but the touch is outside the window; rebuild before reading it.
    """
    room = (ints.shape[1] - FIELDS) // 2
    if ints[0, USED] + n_bids > room or ints[1, USED] + count - n_bids > room:
        return ROOM
    above = _change(1, ticks, sizes, 0, n_bids, ints[0], floats[0])
    above |= _change(-1, ticks, sizes, n_bids, count, ints[1], floats[1])
    if above:
        return RECENTRE
    return settle(ints, floats)


@kernel("void(int64[::1], float64[::1], int64[::1], float64[::1])")
def load(keys: Ticks, sizes: Sizes, state: Ticks, floats: Sizes) -> None:
    """Replaces one side, given as rows of the blocks, by these levels in any order, and centres
    its window on the best. The hash table must have more than twice as many slots as there are
    levels.
    """
    floats[WINDOW:FAR_SIZES] = 0.0
    state[FIELDS:] = FREE
    state[BEST] = -1
    state[LEVELS] = 0
    state[FAR] = 0
    state[USED] = 0
    best = FREE
    for i in range(keys.shape[0]):
        if sizes[i] > 0.0 and keys[i] > best:
            best = keys[i]
    if best != FREE:
        state[BASE] = best - TOUCH_SLOT
        _change(1, keys, sizes, 0, keys.shape[0], state, floats)


@kernel("int64(int64, int64[::1], float64[::1], int64[::1], float64[::1])")
def gather(depth: int, state: Ticks, floats: Sizes, keys: Ticks, sizes: Sizes) -> int:
    """Copies up to `depth` levels of a side out: the window's best first, then the far unordered.

    Returns:
        How many. Far levels are copied all or not at all, and only if the window did not fill
        `depth`; `keys` and `sizes` must have room for LEVELS + FAR.
    """
    n = 0
    slot = state[BEST]
    left = min(depth, state[LEVELS])
    while left > 0:
        size = floats[WINDOW + slot]
        if size > 0.0:
            keys[n] = state[BASE] + slot
            sizes[n] = size
            n += 1
            left -= 1
        slot -= 1
    if n < depth and state[FAR] > 0:
        for i in range(state.shape[0] - FIELDS):
            if state[FIELDS + i] != FREE and floats[FAR_SIZES + i] > 0.0:
                keys[n] = state[FIELDS + i]
                sizes[n] = floats[FAR_SIZES + i]
                n += 1
    return n


@kernel("UniTuple(float64, 3)(int64, float64, int64, float64, int64, int64[::1], float64[::1])")
def walk(
    sign: int,
    quantity: float,
    first_key: int,
    first_size: float,
    last_key: int,
    state: Ticks,
    floats: Sizes,
) -> tuple[float, float, float]:
    """Takes `quantity` base coins out of one side, best first, within the window.

    Args:
        sign: 1 for bids, -1 for asks.
        first_key, first_size: the best level, which a top-of-book stream may know better than the
            window; window levels at or above it are passed over.
        last_key: levels below it are unknown and not walked; FREE if all are known.

    Returns:
        (base coins taken, sum of ticks x coins, last tick touched).
    """
    taken = min(quantity, first_size)
    cost = taken * first_key * sign
    last = first_key
    slot = min(first_key - 1 - state[BASE], WIDTH - 1)
    edge = 0 if last_key == FREE else max(0, last_key - state[BASE])
    while taken < quantity and slot >= edge:
        size = floats[WINDOW + slot]
        if size > 0.0:
            last = state[BASE] + slot
            part = min(size, quantity - taken)
            taken += part
            cost += part * last * sign
        slot -= 1
    return taken, cost, float(last * sign)
