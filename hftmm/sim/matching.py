"""A price-time matching engine for one instrument at one practice venue.

Prices are integer ticks and sizes integer lots; `Spec` turns them into the venue's strings.
Everything here is exact and deterministic: same calls, same fills, same sequence numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import msgspec
from sortedcontainers import SortedDict

from hftmm.core.instrument import Side
from hftmm.sim.spec import Spec
from hftmm.sim.tape import Changes, Fill, Level, Listener

__all__ = [
    "EXPIRED",
    "SELF_TRADE",
    "WOULD_TAKE",
    "Changes",
    "Fill",
    "Level",
    "Listener",
    "MatchingEngine",
    "Offer",
    "Placed",
    "SelfTrade",
    "Spec",
]

SelfTrade = Literal["none", "expire_taker", "expire_maker", "expire_both"]
"""What happens instead when an order meets one of the same owner; the taker's word counts."""


Offer: TypeAlias = tuple[int, int, int]
"""Ticks, lots and number of an order that another would match."""


class Placed(msgspec.Struct, frozen=True, gc=False):
    """What became of a new order.

    Attributes:
        order_id: counts up from 1 per instrument; 0 if the order was refused.
        fills: best price first, oldest maker first.
        resting: lots left in the book.
        reason: why lots neither filled nor rest, "" if there are none.
        removed: the owner's own resting orders that expired instead of trading with this one.
    """

    order_id: int
    fills: list[Fill]
    resting: int
    reason: str
    removed: tuple[int, ...] = ()


WOULD_TAKE = "post-only order would take"
EXPIRED = "immediate order expired unfilled"
SELF_TRADE = "order would trade with its owner"


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


class _Guard:
    """Keeps one incoming order from trading with its owner."""

    __slots__ = ("owner", "removed", "removes", "stopped", "stops")

    def __init__(self, owner: str, mode: SelfTrade) -> None:
        self.owner = owner
        self.removes = mode != "expire_taker"
        self.stops = mode != "expire_maker"
        self.stopped = False
        self.removed: list[int] = []


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
        self._watcher: Callable[[Fill], None] | None = None

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
        self_trade: SelfTrade = "none",
    ) -> Placed:
        """A limit order: matches what it can, then rests. O(log levels) plus O(1) a fill.

        Args:
            ticks: limit price, > 0.
            lots: size, > 0.
            owner: whose order it is, kept with it; "" is the market's own flow.
            post_only: refuse it if any part would match at once.
            immediate: what does not match at once expires.
            self_trade: what to do on meeting an order of the same owner, which is not "".

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
        guard = _Guard(owner, self_trade) if owner and self_trade != "none" else None
        while crosses and lots and not (guard and guard.stopped):
            lots = self._match(opposite.peekitem(0)[1], side, order_id, lots, now_ns, fills, guard)
            crosses = bool(opposite) and opposite.peekitem(0)[0] <= limit
        for listener in self._listeners:
            listener.filled(fills)
        removed = tuple(guard.removed) if guard else ()
        if not lots:
            return Placed(order_id, fills, 0, "", removed)
        if guard and guard.stopped:
            return Placed(order_id, fills, 0, SELF_TRADE, removed)
        if immediate:
            return Placed(order_id, fills, 0, EXPIRED, removed)
        self._rest(side, ticks, order_id, lots, owner)
        return Placed(order_id, fills, lots, "", removed)

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

    def reduce(self, order_id: int, lots: int, now_ns: int) -> int:
        """Cuts an order to `lots`, its place in the queue kept; returns the lots taken off.

        Raises:
            ValueError: no order of that id rests with more than `lots`, or `lots` is not positive.
        """
        order = self._orders.get(order_id)
        if order is None or not 0 < lots < order.lots:
            raise ValueError(f"order {order_id} cannot be cut to {lots} lots")
        self.sequence += 1
        self._touch(order.queue)
        cut = order.lots - lots
        order.lots = lots
        order.queue.lots -= cut
        return cut

    def queue_ahead(self, order_id: int) -> int:
        """Lots that trade before the order at its price; 0 if there is no such order. O(queue)."""
        order = self._orders.get(order_id)
        ahead = 0
        if order is not None:
            for other in order.queue.orders.values():
                if other is order:
                    break
                ahead += other.lots
        return ahead

    def crosses(self, side: Side, ticks: int) -> bool:
        """True if an order at this price would find somebody to trade with."""
        best = self.best("sell" if side == "buy" else "buy")
        return best is not None and (best.ticks <= ticks if side == "buy" else best.ticks >= ticks)

    def offers(
        self, side: Side, ticks: int, owner: str = "", self_trade: SelfTrade = "none"
    ) -> Iterator[Offer]:
        """What an order at this price would match, order by order, best first."""
        book, limit = (self._asks, ticks) if side == "buy" else (self._bids, -ticks)
        alert = owner != "" and self_trade != "none"
        for key, queue in book.items():
            if key > limit:
                return
            for order in queue.orders.values():
                if alert and order.owner == owner:
                    if self_trade != "expire_maker":
                        return
                    continue
                yield queue.ticks, order.lots, order.order_id

    def watch(self, watcher: Callable[[Fill], None]) -> None:
        """Calls `watcher` with every fill of a resting order that has an owner, as it happens.

        It may cancel and cut other orders of this book, not place any: the book is consistent at
        that moment, and what it removes is no longer met by the order that is matching.
        """
        self._watcher = watcher

    def open_lots(self, order_id: int) -> int:
        """Lots of the order still resting, 0 if there is no such order (any more)."""
        order = self._orders.get(order_id)
        return order.lots if order is not None else 0

    def orders_of(self, owner: str) -> list[int]:
        """Resting orders of an owner, oldest first. O(orders)."""
        return [number for number, order in self._orders.items() if order.owner == owner]

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
        self,
        queue: _Queue,
        side: Side,
        taker: int,
        lots: int,
        now_ns: int,
        fills: list[Fill],
        guard: _Guard | None,
    ) -> int:
        """Fills `lots` from one level, oldest order first; returns what is left of them."""
        self._touch(queue)
        while lots and queue.orders:
            maker = next(iter(queue.orders.values()))
            if guard is not None and maker.owner == guard.owner:
                if guard.removes:
                    guard.removed.append(maker.order_id)
                    queue.lots -= maker.lots
                    self._forget(maker)
                if guard.stops:
                    guard.stopped = True
                    break
                continue
            traded = min(lots, maker.lots)
            lots -= traded
            maker.lots -= traded
            queue.lots -= traded
            self._last_trade += 1
            fill = Fill(
                self._last_trade,
                self.sequence,
                queue.ticks,
                traded,
                side,
                maker.order_id,
                taker,
                now_ns,
            )
            fills.append(fill)
            if not maker.lots:
                self._forget(maker)
            if maker.owner and self._watcher is not None:
                self._watcher(fill)
        if not queue.orders:
            self._remove(queue)
        return lots

    def _forget(self, order: _Order) -> None:
        del order.queue.orders[order.order_id]
        del self._orders[order.order_id]

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
        # It may be gone already: a watcher can cancel the last order of a level being matched.
        if queue.side == "buy":
            self._bids.pop(-queue.ticks, None)
        else:
            self._asks.pop(queue.ticks, None)

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
