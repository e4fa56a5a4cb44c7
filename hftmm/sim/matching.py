"""A price-time matching engine for one instrument at one practice venue.

Prices are integer ticks and sizes integer lots; `Spec` turns them into the venue's strings.
Everything here is exact and deterministic: same calls, same fills, same sequence numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec
from sortedcontainers import SortedDict

from hftmm.core.instrument import Kind, Side


@dataclass(frozen=True, slots=True)
class Spec:
    """One instrument at one practice venue.

    Attributes:
        tick: price step; a price is `ticks * tick`.
        lot: size step in base coins; a size is `lots * lot` base coins.
        contract: base coins in one unit of the venue's own size (OKX swaps: ctVal), else 1.
        code: the venue's numeric id of the instrument (OKX instIdCode).
    """

    venue: str
    kind: Kind
    symbol: str
    venue_symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_size: Decimal
    min_notional: Decimal
    contract: Decimal = Decimal(1)
    code: int = 0

    def price(self, ticks: int) -> str:
        """The price as the venue writes it: plain decimal, on the tick's decimals."""
        return f"{self.tick * ticks:f}"

    def size(self, lots: int) -> str:
        """The size in the venue's own unit, plain decimal."""
        return f"{(self.lot * lots / self.contract).normalize():f}"


class Level(msgspec.Struct, frozen=True, gc=False):
    """One price level."""

    ticks: int
    lots: int
    orders: int


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One match.

    Attributes:
        trade_id: counts up by one per instrument.
        sequence: engine sequence number of the event that made it.
    """

    trade_id: int
    sequence: int
    ticks: int
    lots: int
    taker_side: Side
    maker_order: int
    taker_order: int
    ts_ns: int


class Placed(msgspec.Struct, frozen=True, gc=False):
    """What became of a new order.

    Attributes:
        order_id: counts up from 1 per instrument; 0 if the order was refused.
        fills: best price first, oldest maker first.
        resting: lots left in the book.
        reason: why lots neither filled nor rest, "" if there are none.
    """

    order_id: int
    fills: list[Fill]
    resting: int
    reason: str


class Changes(msgspec.Struct, frozen=True, gc=False):
    """What happened to a book between two takes of one listener.

    Attributes:
        first_sequence, last_sequence: events covered; the next `Changes` of the same listener
            begins at `last_sequence + 1`.
        levels: current totals of the levels that differ from the last take, in the order they
            were first touched; lots 0 is a level that is gone.
        fills: every match, oldest first.
    """

    first_sequence: int
    last_sequence: int
    levels: list[tuple[Side, Level]]
    fills: list[Fill]


WOULD_TAKE = "post-only order would take"
EXPIRED = "immediate order expired unfilled"


class _Order:
    __slots__ = ("lots", "order_id", "owner", "queue")

    def __init__(self, order_id: int, lots: int, owner: str, queue: _Queue) -> None:
        self.order_id = order_id
        self.lots = lots
        self.owner = owner
        self.queue = queue


class _Queue:
    """The orders of one price, oldest first: a dict keeps insertion order and removes in O(1)."""

    __slots__ = ("lots", "orders", "side", "ticks")

    def __init__(self, side: Side, ticks: int) -> None:
        self.side = side
        self.ticks = ticks
        self.lots = 0
        self.orders: dict[int, _Order] = {}


class Listener:
    """Collects what changes in one book; made by `MatchingEngine.listen`.

    It remembers every level touched and every fill since the last take, so it has to be taken
    regularly, or closed.
    """

    __slots__ = ("_asks", "_bids", "_engine", "_fills", "_sequence")

    def __init__(self, engine: MatchingEngine) -> None:
        self._engine = engine
        self._sequence = engine.sequence
        # Lots a touched level had at the last take, by ticks.
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._fills: list[Fill] = []

    def take(self) -> Changes | None:
        """Everything since the last take, or None if the book and the trades are as they were.

        After None the sequence numbers seen in between belong to the next `Changes`, so that
        consecutive ones never leave a hole.
        """
        engine = self._engine
        if engine.sequence == self._sequence:
            return None
        levels: list[tuple[Side, Level]] = []
        if self._bids:
            levels += engine.differing("buy", self._bids)
            self._bids.clear()
        if self._asks:
            levels += engine.differing("sell", self._asks)
            self._asks.clear()
        if not levels and not self._fills:
            return None
        changes = Changes(self._sequence + 1, engine.sequence, levels, self._fills)
        self._sequence = engine.sequence
        self._fills = []
        return changes

    def close(self) -> None:
        """Stops listening; `take` yields nothing new from here on."""
        self._engine.unlisten(self)

    def touched(self, side: Side, ticks: int, lots_before: int) -> None:
        """Called by the engine before it changes a level."""
        (self._bids if side == "buy" else self._asks).setdefault(ticks, lots_before)

    def filled(self, fills: list[Fill]) -> None:
        """Called by the engine after a match."""
        self._fills += fills


class MatchingEngine:
    """One limit order book.

    Attributes:
        sequence: number of the last event that changed the book; every such event adds one.
    """

    def __init__(self, spec: Spec, sequence: int = 1) -> None:
        self.spec = spec
        self.sequence = sequence
        # Keyed by -ticks and +ticks, so that on both sides the first key is the best price.
        self._bids: SortedDict = SortedDict()
        self._asks: SortedDict = SortedDict()
        self._orders: dict[int, _Order] = {}
        self._last_order = 0
        self._last_trade = 0
        self._listeners: list[Listener] = []

    def place(
        self,
        side: Side,
        ticks: int,
        lots: int,
        now_ns: int,
        *,
        owner: str = "",
        post_only: bool = False,
        immediate: bool = False,
    ) -> Placed:
        """A limit order: matches what it can, then rests. O(log levels) plus O(1) a fill.

        Args:
            ticks: limit price, > 0.
            lots: size, > 0.
            owner: whose order it is, kept with it.
            post_only: refuse it if any part would match at once.
            immediate: what does not match at once expires.

        Raises:
            ValueError: price or size is not positive; the caller checks the venue's filters.
        """
        if ticks <= 0 or lots <= 0:
            raise ValueError(f"order of {lots} lots at {ticks} ticks")
        if side == "buy":
            opposite, sign = self._asks, 1
        else:
            opposite, sign = self._bids, -1
        limit = sign * ticks
        crosses = bool(opposite) and opposite.peekitem(0)[0] <= limit
        if crosses and post_only:
            return Placed(0, [], 0, WOULD_TAKE)
        if immediate and not crosses:
            return Placed(0, [], 0, EXPIRED)
        self.sequence += 1
        self._last_order += 1
        order_id = self._last_order
        fills: list[Fill] = []
        while crosses and lots:
            lots = self._match(opposite.peekitem(0)[1], side, order_id, lots, now_ns, fills)
            crosses = bool(opposite) and opposite.peekitem(0)[0] <= limit
        for listener in self._listeners:
            listener.filled(fills)
        if not lots:
            return Placed(order_id, fills, 0, "")
        if immediate:
            return Placed(order_id, fills, 0, EXPIRED)
        self._rest(side, ticks, order_id, lots, owner)
        return Placed(order_id, fills, lots, "")

    def cancel(self, order_id: int, now_ns: int) -> int:
        """Lots removed, 0 if there is no such order (any more). O(log levels)."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return 0
        self.sequence += 1
        queue = order.queue
        self._touch(queue)
        del queue.orders[order_id]
        queue.lots -= order.lots
        if not queue.orders:
            self._remove(queue)
        return order.lots

    def open_lots(self, order_id: int) -> int:
        """Lots of the order still resting, 0 if there is no such order (any more)."""
        order = self._orders.get(order_id)
        return order.lots if order is not None else 0

    def best(self, side: Side) -> Level | None:
        """The best level of a side, None if it is empty."""
        book = self._bids if side == "buy" else self._asks
        return _level(book.peekitem(0)[1]) if book else None

    def levels(self, side: Side, depth: int | None = None) -> list[Level]:
        """The levels of a side, best first, at most `depth` of them."""
        book = self._bids if side == "buy" else self._asks
        return [_level(queue) for queue in book.values()[:depth]]

    def level(self, side: Side, ticks: int) -> Level:
        """The level at a price; lots 0 if nothing rests there."""
        queue = self._bids.get(-ticks) if side == "buy" else self._asks.get(ticks)
        return _level(queue) if queue is not None else Level(ticks, 0, 0)

    def listen(self) -> Listener:
        """A new listener, which sees what happens from now on."""
        listener = Listener(self)
        self._listeners.append(listener)
        return listener

    def unlisten(self, listener: Listener) -> None:
        """Forgets a listener; `Listener.close` is the way to call it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def differing(self, side: Side, before: dict[int, int]) -> list[tuple[Side, Level]]:
        """Levels of a side whose total is not what `before` (ticks to lots) says."""
        return [
            (side, level)
            for ticks, lots in before.items()
            if (level := self.level(side, ticks)).lots != lots
        ]

    def _match(
        self, queue: _Queue, side: Side, taker: int, lots: int, now_ns: int, fills: list[Fill]
    ) -> int:
        """Fills `lots` from one level, oldest order first; returns what is left of them."""
        self._touch(queue)
        while lots and queue.orders:
            maker = next(iter(queue.orders.values()))
            traded = min(lots, maker.lots)
            lots -= traded
            maker.lots -= traded
            queue.lots -= traded
            self._last_trade += 1
            fills.append(
                Fill(
                    self._last_trade,
                    self.sequence,
                    queue.ticks,
                    traded,
                    side,
                    maker.order_id,
                    taker,
                    now_ns,
                )
            )
            if not maker.lots:
                del queue.orders[maker.order_id]
                del self._orders[maker.order_id]
        if not queue.orders:
            self._remove(queue)
        return lots

    def _rest(self, side: Side, ticks: int, order_id: int, lots: int, owner: str) -> None:
        book, key = (self._bids, -ticks) if side == "buy" else (self._asks, ticks)
        queue = book.get(key)
        if queue is None:
            queue = book[key] = _Queue(side, ticks)
        self._touch(queue)
        order = _Order(order_id, lots, owner, queue)
        queue.orders[order_id] = self._orders[order_id] = order
        queue.lots += lots

    def _touch(self, queue: _Queue) -> None:
        for listener in self._listeners:
            listener.touched(queue.side, queue.ticks, queue.lots)

    def _remove(self, queue: _Queue) -> None:
        if queue.side == "buy":
            del self._bids[-queue.ticks]
        else:
            del self._asks[queue.ticks]

    def _check(self) -> None:
        """Walks every invariant; AssertionError names the one that does not hold."""
        seen: dict[int, _Order] = {}
        sides: tuple[tuple[Side, SortedDict, int], ...] = (
            ("buy", self._bids, -1),
            ("sell", self._asks, 1),
        )
        for side, book, sign in sides:
            book._check()
            for key, queue in book.items():
                _hold(queue.side == side, f"{queue.side} queue among {side}")
                _hold(key == sign * queue.ticks, f"key {key} of {queue.ticks} ticks")
                _hold(bool(queue.orders), f"empty level at {queue.ticks}")
                total = sum(order.lots for order in queue.orders.values())
                _hold(queue.lots == total, f"level of {queue.lots} lots holds {total}")
                _hold(list(queue.orders) == sorted(queue.orders), "a younger order stands first")
                for order_id, order in queue.orders.items():
                    _hold(order.order_id == order_id, f"order {order.order_id} filed as {order_id}")
                    _hold(order.lots > 0, f"order {order_id} rests without lots")
                    _hold(order.queue is queue, f"order {order_id} points to another level")
                seen.update(queue.orders)
        _hold(seen == self._orders, "orders and levels disagree on what rests")
        _hold(max(seen, default=0) <= self._last_order, "an order id was never given")
        if self._bids and self._asks:
            bid, ask = -self._bids.peekitem(0)[0], self._asks.peekitem(0)[0]
            _hold(bid < ask, f"crossed: bid {bid}, ask {ask}")


def _level(queue: _Queue) -> Level:
    return Level(queue.ticks, queue.lots, len(queue.orders))


def _hold(invariant: bool, broken: str) -> None:
    if not invariant:
        raise AssertionError(broken)
