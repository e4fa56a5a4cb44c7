"""The depth path: price levels straight out of the bytes of a frame, without decoding the rest.

`DepthScanner` walks a frame once and, where it is plainly the next one, applies it to the book in
the same call. It accepts only what it fully understands: JSON without white space, escapes,
exponents or characters beyond ASCII, each key of the layout exactly once, ids from 0 and stamps
from 1, plain decimals on the listing's grid. Anything else it declines, and the codec's general
decoder has the say.

Where both accept, their results are equal bit for bit. In two ways the kernel asks for less than
a decoder may, and neither can make a book wrong, since every number that reaches the book stands
in the frame under its own name, once:

* It looks at the keys of the layout only, wherever they stand. How the objects around them are
  called, and what other keys hold, it does not see; which stream a frame belongs to was decided
  before, by the venue's name for it.
* It reads an id or a stamp in quotes as well as a bare one.

A property test holds this on mutated frames: put into the documented envelope, what the kernel
read must be what the general decoder reads.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

from hftmm.book.kernels import APPLIED, ROOM, WORK, apply, kernel, native
from hftmm.book.kernels import STATE_ID as BOOK_STATE_ID
from hftmm.book.kernels import VENUE_MS as BOOK_VENUE_MS
from hftmm.book.order_book import OrderBook
from hftmm.core.events import BookDelta, Sizes, Ticks
from hftmm.venues.codec import MILLISECOND, Layout
from hftmm.venues.tokens import (
    BACKSLASH,
    BYTES,
    CLOSE_LIST,
    CLOSE_OBJECT,
    COLON,
    COMMA,
    FLOATS,
    INT,
    INTS,
    MINUS,
    NINE,
    OPEN_LIST,
    OPEN_OBJECT,
    QUOTE,
    ZERO,
    byte_at,
    integer,
    levels,
    literal_end,
    number_end,
    string_end,
)

SIDE_ROOM: Final = 1536
"""Levels a side that a book has room for; a larger frame goes to the general decoder."""

FIRST_ID, FINAL_ID, PREV_ID, STATE_ID, VENUE_MS, CHECKSUM, KIND, BIDS, ASKS = range(9)
SLOTS: Final = 9
N_BIDS, COUNT = BIDS, ASKS
"""What stands among the numbers in the places of the two level arrays."""

DECLINED: Final = -1
LOOK: Final = 64

REQUIRED, PLACES, CHAINED, KEYS = range(4)
_ROW: Final = 25
NUMBERS: Final = KEYS + SLOTS * _ROW
TICKS: Final = NUMBERS + SLOTS
SIZES: Final = 1
"""The work rows of a book, since every array of its own would cost each frame its conversion.
Integers: bits of the slots that must be there, decimal places of the grid, 1 if a message names the
id before it; a row a slot with the length of its key, the key's last bytes as one number, and all
its bytes; from NUMBERS on the numbers of the frame, from TICKS on the ticks of its levels. Floats:
the multiplier, and from SIZES on the sizes of its levels.
"""
_LONGEST_NAME: Final = _ROW - 2
_TAIL: Final = 2**56 - 1
"""The last seven bytes of a key as one number: all of most keys."""
_DEEPEST: Final = 30

_KEY, _FIRST_KEY, _VALUE, _FIRST_VALUE, _AFTER = range(5)

_blocks, _float_blocks = numba.int64[:, ::1], numba.float64[:, ::1]


@kernel(INT(BYTES, INT, INT, INT, INTS))
def _match(frame: bytes, start: int, stop: int, tail: int, plan: Ticks) -> int:
    """Slot of the key frame[start:stop] that ends in `tail`, -1 if it is none of ours."""
    length = stop - start
    for slot in range(SLOTS):
        row = KEYS + slot * _ROW
        if tail == plan[row + 1] and length == plan[row]:
            i = 0
            while i < length - 7 and frame[start + i] == plan[row + 2 + i]:
                i += 1
            if i >= length - 7:
                return slot
    return -1


@kernel(INT(BYTES, INT, INT))
def _kind(frame: bytes, start: int, stop: int) -> int:
    """1 for `snapshot`, 2 for `delta` or `update`, 0 for anything else."""
    snapshot, delta, update = b"snapshot", b"delta", b"update"
    for kind, word in ((1, snapshot), (2, delta), (2, update)):
        if stop - start == len(word):
            i = 0
            while i < len(word) and frame[start + i] == word[i]:
                i += 1
            if i == len(word):
                return kind
    return 0


@kernel(INT(BYTES, INTS, FLOATS))
def scan(frame: bytes, work: Ticks, work_sizes: Sizes) -> int:
    """Walks one frame.

    Args:
        work, work_sizes: see NUMBERS.

    Returns:
        Bits of the slots seen, with the levels, bids first, and the numbers in the work rows; -1
        if declined, with those undefined.
    """
    plan = work[:NUMBERS]
    numbers = work[NUMBERS:TICKS]
    ticks = work[TICKS:]
    sizes = work_sizes[SIZES:]
    multiplier = work_sizes[0]
    decimals = plan[PLACES]
    end = len(frame)
    if end == 0 or frame[0] != OPEN_OBJECT:
        return -1
    i = 1
    depth = 1
    objects = 2  # bit per depth: is it an object
    phase = _FIRST_KEY
    slot = -1
    seen = 0
    n_bids = 0
    n_asks = 0
    while True:
        c = byte_at(frame, i, end)
        if phase == _AFTER:
            inside_object = (objects >> depth) & 1
            if c == COMMA:
                phase = _KEY if inside_object else _VALUE
            elif c == (CLOSE_OBJECT if inside_object else CLOSE_LIST):
                depth -= 1
                if depth == 0:
                    if i + 1 != end:
                        return -1
                    break
            else:
                return -1
            i += 1
        elif phase == _FIRST_KEY and c == CLOSE_OBJECT:
            phase = _AFTER
        elif phase in (_KEY, _FIRST_KEY):
            if c != QUOTE:
                return -1
            stop = i + 1
            tail = 0
            c = byte_at(frame, stop, end)
            while c != QUOTE:
                if c < 32 or c > 126 or c == BACKSLASH:
                    return -1
                tail = (tail << 8 | c) & _TAIL
                stop += 1
                c = byte_at(frame, stop, end)
            if byte_at(frame, stop + 1, end) != COLON:
                return -1
            slot = _match(frame, i + 1, stop, tail, plan)
            if slot >= 0:
                if (seen >> slot) & 1:
                    return -1
                seen |= 1 << slot
            i = stop + 2
            phase = _VALUE
        elif phase == _FIRST_VALUE and c == CLOSE_LIST:
            phase = _AFTER
        else:
            if slot == BIDS:
                i, n_bids = levels(frame, i, end, decimals, multiplier, ticks, sizes, 0, SIDE_ROOM)
            elif slot == ASKS:
                at = n_bids if (seen >> BIDS) & 1 else SIDE_ROOM
                i, n_asks = levels(frame, i, end, decimals, multiplier, ticks, sizes, at, SIDE_ROOM)
            elif slot == KIND:
                stop = string_end(frame, i + 1, end) if c == QUOTE else -1
                if stop < 0:
                    return -1
                numbers[KIND] = _kind(frame, i + 1, stop)
                if numbers[KIND] == 0:
                    return -1
                i = stop + 1
            elif slot >= 0:
                i, numbers[slot] = integer(frame, i, end)
                if numbers[slot] < 0 and slot != CHECKSUM:
                    return -1
            elif c == QUOTE:
                i = string_end(frame, i + 1, end) + 1
                if i == 0:
                    return -1
            elif c in (OPEN_OBJECT, OPEN_LIST):
                depth += 1
                if depth > _DEEPEST:
                    return -1
                if c == OPEN_OBJECT:
                    objects |= 1 << depth
                    phase = _FIRST_KEY
                else:
                    objects &= ~(1 << depth)
                    phase = _FIRST_VALUE
                i += 1
                continue
            elif c == MINUS or ZERO <= c <= NINE:
                i = number_end(frame, i, end)
            else:
                i = literal_end(frame, i, end)
            if i < 0:
                return -1
            slot = -1
            phase = _AFTER
    if seen & plan[REQUIRED] != plan[REQUIRED]:
        return -1
    if n_asks and at == SIDE_ROOM:
        for j in range(n_asks):
            ticks[n_bids + j] = ticks[SIDE_ROOM + j]
            sizes[n_bids + j] = sizes[SIDE_ROOM + j]
    if not (seen >> FIRST_ID) & 1:
        numbers[FIRST_ID] = numbers[FINAL_ID]
    if not (seen >> PREV_ID) & 1:
        numbers[PREV_ID] = -1
    if not (seen >> STATE_ID) & 1:
        numbers[STATE_ID] = numbers[FINAL_ID]
    if not (seen >> VENUE_MS) & 1:
        numbers[VENUE_MS] = 0
    elif numbers[VENUE_MS] == 0:
        return -1
    if not (seen >> CHECKSUM) & 1:
        numbers[CHECKSUM] = 0
    if not (seen >> KIND) & 1:
        numbers[KIND] = 2
    numbers[N_BIDS] = n_bids
    numbers[COUNT] = n_bids + n_asks
    return seen


@kernel(INT(BYTES, _blocks, _float_blocks))
def advance(frame: bytes, ints: Ticks, floats: Sizes) -> int:
    """Scans one frame and applies it, if it is beyond doubt the book's next.

    Args:
        ints, floats: the book.

    Returns:
        Flags of `kernels.apply`; DECLINED if the general decoder must have the frame; LOOK if it
        was scanned, but whether it follows is for the venue's rule to say.
    """
    work = ints[WORK]
    sizes = floats[WORK]
    if scan(frame, work, sizes) < 0:
        return DECLINED
    numbers = work[NUMBERS:TICKS]
    applied = ints[0, APPLIED]
    final = numbers[FINAL_ID]
    before = numbers[PREV_ID] if work[CHAINED] else numbers[FIRST_ID] - 1
    # An id of 1 begins anew at Bybit, whatever came before it.
    if (
        before != applied
        or final <= applied
        or final == 1
        or numbers[CHECKSUM] != 0
        or numbers[KIND] == 1
    ):
        return LOOK
    flags = apply(work[TICKS:], sizes[SIZES:], numbers[N_BIDS], numbers[COUNT], ints, floats)
    if flags & ROOM:
        return LOOK
    ints[0, APPLIED] = final
    ints[0, BOOK_STATE_ID] = numbers[STATE_ID]
    ints[0, BOOK_VENUE_MS] = numbers[VENUE_MS]
    return flags


advance_frame = native(advance)
"""`advance`, to be called with a frame and the blocks of its book."""


class DepthScanner:
    """Scans the depth frames of one book."""

    __slots__ = ("_book",)

    def __init__(self, book: OrderBook, layout: Layout) -> None:
        """Writes the plan into the book's work row.

        Raises:
            ValueError: a key of the layout is longer than the kernel's table.
        """
        keys = (
            layout.first_id,
            layout.final_id,
            layout.prev_id,
            layout.state_id,
            layout.venue_ms,
            layout.checksum,
            layout.kind,
            layout.bids,
            layout.asks,
        )
        self._book = book
        plan = book.ints[WORK, :NUMBERS]
        plan[:] = 0
        plan[PLACES] = book.listing.decimals
        plan[CHAINED] = bool(layout.prev_id)
        book.floats[WORK, 0] = float(book.listing.multiplier)
        for slot, key in enumerate(keys):
            if len(key) > _LONGEST_NAME:
                raise ValueError(f"layout key {key!r} is longer than {_LONGEST_NAME} bytes")
            row = KEYS + slot * _ROW
            # A slot without a key has the length no key has.
            plan[row] = len(key) or -1
            plan[row + 1] = int.from_bytes(key) & _TAIL
            plan[row + 2 : row + 2 + len(key)] = np.frombuffer(key, dtype=np.uint8)
            if key and slot != CHECKSUM:
                plan[REQUIRED] |= 1 << slot

    def advance(self, frame: bytes) -> int:
        """Applies the frame to the book if it plainly follows; see `advance`."""
        return advance_frame(frame, self._book.ints, self._book.floats)

    def delta(self, received_ns: int) -> BookDelta | None:
        """The delta scanned last, on arrays that the next frame overwrites.

        None for a snapshot, or what may be one (Bybit's id 1): whether it is complete is for the
        general decoder to say.
        """
        work = self._book.ints[WORK]
        first, final, prev, state, ms, checksum, kind, n_bids, count = work[NUMBERS:TICKS].tolist()
        if kind == 1 or final == 1:
            return None
        return BookDelta(
            self._book.listing,
            work[TICKS:],
            self._book.floats[WORK, SIZES:],
            n_bids,
            count,
            first,
            final,
            prev,
            state,
            ms * MILLISECOND,
            received_ns,
            False,
            True,
            checksum,
        )
