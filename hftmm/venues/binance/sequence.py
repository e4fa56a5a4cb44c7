"""Binance's two procedures "How to manage a local order book correctly"."""

from __future__ import annotations

from hftmm.core.events import BookDelta, Verdict


def spot(applied: int, delta: BookDelta, *, joining: bool) -> Verdict:
    """Spot. Ids count every change of the book, so successive events touch: `U == last u + 1`.

    1. Open the diff stream, buffer its events.
    2. Fetch a snapshot; if its `lastUpdateId` is older than the first event's `U`, fetch again.
    3. Discard buffered events with `u <= lastUpdateId`.
    4. The book is the snapshot, its id is `lastUpdateId`.
    5. Of every event: `u` below the book's id, ignore it; `U` above the id + 1, an event was
       missed and the book must be built anew; otherwise apply it, the book's id is `u`.

    Once joined to its snapshot a stream is asked for more than step 5 does: since events touch,
    one that reaches back behind the book's id proves that id wrong. By the letter a single damaged
    `u` would have every later event ignored, and the book would stand still unnoticed.
    """
    if joining:
        if delta.final_id <= applied:  # 3
            return Verdict.SKIP
        return Verdict.APPLY if delta.first_id <= applied + 1 else Verdict.REFETCH  # 2
    if delta.first_id == applied + 1 <= delta.final_id:
        return Verdict.APPLY
    return Verdict.SKIP if delta.final_id == applied else Verdict.RESYNC


def linear(applied: int, delta: BookDelta, *, joining: bool) -> Verdict:
    """USD-M futures. Ids are shared by the whole market, so a book's own have holes.

    1. Open the diff stream, buffer its events.
    2. Fetch a snapshot.
    3. Drop events with `u < lastUpdateId`.
    4. The first event processed should have `U <= lastUpdateId` and `u >= lastUpdateId`. An
       event whose `pu` is `lastUpdateId` follows the snapshot as well. If the oldest event has
       `U > lastUpdateId`, the snapshot is too old.
    5. Each further event's `pu` should equal the `u` before it; otherwise begin again at 2.

    A repetition of the last event is skipped: it changes nothing.
    """
    if delta.prev_id == applied:  # 4 while joining, 5 afterwards
        return Verdict.APPLY
    if joining:
        if delta.final_id < applied:  # 3
            return Verdict.SKIP
        return Verdict.APPLY if delta.first_id <= applied else Verdict.REFETCH  # 4
    return Verdict.SKIP if delta.final_id == applied else Verdict.RESYNC  # 5
