"""What is asked of a venue by REST: page after page, window after window, as fast as it allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind
from hftmm.core.order import Balance, Fill, Funding, OrderUpdate, Position, Rejection
from hftmm.venues.account_outlet import TOO_MANY, AccountOutlet
from hftmm.venues.account_sink import (
    Balances,
    FillsSince,
    FundingSince,
    OneOrder,
    OpenOrders,
    Positions,
    Question,
    Rates,
    Rights,
)
from hftmm.venues.codec import MILLISECOND
from hftmm.venues.private import SignedRequest

MOST_AT_ONCE: Final = 4
AFTER_PAUSE_NS: Final = 50 * MILLISECOND
"""After a pause cancels go first: questions wait so much longer."""

_Build: TypeAlias = Callable[[int], SignedRequest]
"""Makes a request signed at a time of the venue's clock, ms."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One request of a question. Attributes: again: it was refused for its time stamp before."""

    build: _Build
    again: bool = False


@dataclass(slots=True, eq=False)
class _Task:
    """A question under way.

    Attributes:
        steps: requests still to be made.
        asked: how many are under way.
        window_ms: where the window ends that is asked about; 0 if there are no windows.
    """

    question: Question
    steps: deque[_Step] = field(default_factory=deque)
    asked: int = 0
    window_ms: int = 0
    orders: list[OrderUpdate] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    fundings: list[Funding] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    answers: list[tuple[SignedRequest, bytes]] = field(default_factory=list)


class AccountQueries:
    """Questions and their answers; equal questions under way are one."""

    def __init__(self, outlet: AccountOutlet, kinds: frozenset[Kind]) -> None:
        self._outlet: Final = outlet
        self._kinds: Final = kinds
        self._tasks: Final[dict[Question, _Task]] = {}
        self._calls: Final[dict[int, tuple[SignedRequest, _Step, _Task]]] = {}
        self._after_clock_ns = 0

    def ask(self, question: Question, now_ns: int) -> None:
        """Takes a question; it leaves with the next tick that the venue allows it."""
        if question in self._tasks:
            return
        task = self._tasks[question] = _Task(question)
        task.steps.extend(map(_Step, self._builds(task)))
        if not task.steps:
            self._finish(task, now_ns)

    def tick(self, now_ns: int) -> None:
        """Makes the requests that may be made now; single orders first, they wait to be known."""
        outlet = self._outlet
        if not outlet.measured_since(self._after_clock_ns):
            return
        if now_ns < outlet.paused_until_ns + AFTER_PAUSE_NS:
            return
        waiting = [task for task in self._tasks.values() if task.steps]
        waiting.sort(key=lambda task: not isinstance(task.question, OneOrder))
        for task in waiting:
            while task.steps and len(self._calls) < MOST_AT_ONCE:
                step = task.steps.popleft()
                request = outlet.call(step.build(outlet.now_ms(now_ns)))
                self._calls[id(request)] = (request, step, task)
                task.asked += 1

    def responded(self, request: SignedRequest, status: int, body: bytes, now_ns: int) -> bool:
        """An answer came; False if it is to no question of ours."""
        known = self._calls.pop(id(request), None)
        if known is None:
            return False
        _, step, task = known
        task.asked -= 1
        if self._tasks.get(task.question) is not task:
            return True
        if status == 200:
            if isinstance(task.question, Rights) and self._not_now(body):
                self._refused(task, step, status, body, "", now_ns)
                return True
            try:
                self._take(task, request, body, now_ns)
            except MalformedFrame as error:
                self._refused(task, step, status, body, str(error), now_ns)
                return True
            if not task.steps and not task.asked:
                self._next_window(task, now_ns)
        elif status == 0:
            self._fail(task, body.decode("latin-1") or "no answer", now_ns)
        else:
            self._refused(task, step, status, body, "", now_ns)
        return True

    # -------------------------------------------------------------------------------------------

    def _builds(self, task: _Task) -> list[_Build]:
        codec, key, kinds = self._outlet.codec, self._outlet.credentials, self._kinds
        question = task.question
        match question:
            case OpenOrders(kind):
                return _each(lambda ms: codec.open_orders(key, kind, None, ms))
            case OneOrder(listing, client_id):
                return [lambda ms: codec.order(key, listing, client_id, ms)]
            case FillsSince(_, since_ns):
                task.window_ms = since_ns // MILLISECOND
                return [self._window(question, task)]
            case FundingSince(since_ns):
                since_ms = since_ns // MILLISECOND
                return [lambda ms: codec.funding_since(key, since_ms, ms)]
            case Positions():
                return _each(lambda ms: codec.positions(key, ms))
            case Balances():
                return _each(lambda ms: codec.balances(key, kinds, ms))
            case Rates(listing):
                return [lambda ms: codec.fee_rates(key, listing, ms)]
            case Rights():
                return _each(lambda ms: codec.permissions(key, ms))

    def _window(self, question: FillsSince, task: _Task) -> _Build:
        """The next window of fills: from where the last one ended."""
        codec, listing = self._outlet.codec, question.listing
        since_ms = task.window_ms
        window_ms = codec.rules[listing.kind].fills_window_ns // MILLISECOND
        task.window_ms = since_ms + window_ms if window_ms else 0
        return lambda ms: codec.fills_since(self._outlet.credentials, listing, since_ms, ms)

    def _next_window(self, task: _Task, now_ns: int) -> None:
        question = task.question
        more = 0 < task.window_ms <= self._outlet.now_ms(now_ns)
        if isinstance(question, FillsSince) and more:
            task.steps.append(_Step(self._window(question, task)))
        else:
            self._finish(task, now_ns)

    def _take(self, task: _Task, request: SignedRequest, body: bytes, now_ns: int) -> None:
        codec, listings = self._outlet.codec, self._outlet.listings
        cursor = ""
        match task.question:
            case OpenOrders() | OneOrder():
                orders, cursor = codec.decode_orders(body, listings, now_ns)
                task.orders += orders
            case FillsSince():
                fills, cursor = codec.decode_fills(body, listings, now_ns)
                task.fills += fills
            case FundingSince():
                fundings, cursor = codec.decode_funding(body, listings, now_ns)
                task.fundings += fundings
            case Positions():
                task.positions += codec.decode_positions(body, listings, now_ns)
            case Balances():
                task.balances += codec.decode_balances(request, body, now_ns)
            case Rates() | Rights():
                task.answers.append((request, body))
                if isinstance(task.question, Rates):
                    codec.decode_fee_rates(request, body)
        if cursor and not isinstance(task.question, OneOrder):
            key = self._outlet.credentials
            task.steps.append(_Step(lambda ms: codec.next_page(key, request, cursor, ms)))

    def _finish(self, task: _Task, now_ns: int) -> None:
        del self._tasks[task.question]
        codec, sink, question = self._outlet.codec, self._outlet.sink, task.question
        match question:
            case OpenOrders():
                sink.orders_found(question, task.orders, now_ns)
            case OneOrder(_, client_id):
                found = (order for order in task.orders if order.client_id == client_id)
                sink.order_found(question, next(found, None), now_ns)
            case FillsSince():
                sink.fills_found(question, task.fills, now_ns)
            case FundingSince():
                sink.funding_found(question, task.fundings, now_ns)
            case Positions():
                sink.positions_found(task.positions, now_ns)
            case Balances():
                sink.balances_found(task.balances, now_ns)
            case Rates(listing):
                rates = codec.decode_fee_rates(*task.answers[0])
                sink.rates_found(listing, rates, now_ns)
            case Rights():
                try:
                    rights = codec.decode_permissions(task.answers)
                except MalformedFrame as error:
                    sink.failed(question, str(error), now_ns)
                else:
                    sink.rights_found(rights, now_ns)

    def _refused(
        self, task: _Task, step: _Step, status: int, body: bytes, why: str, now_ns: int
    ) -> None:
        """The answer is an error, or `why` it cannot be read."""
        rejection, _, text = self._outlet.codec.classify(status, body)
        if rejection is Rejection.UNKNOWN_ORDER and isinstance(task.question, OneOrder):
            self._finish(task, now_ns)
        elif rejection is Rejection.RATE:
            if status == 200:
                # Refused by its code alone: no time is stated.
                self._outlet.heard(TOO_MANY, 0.0, now_ns)
            task.steps.appendleft(step)
        elif rejection is Rejection.CLOCK and not step.again:
            task.steps.appendleft(_Step(step.build, again=True))
            self._after_clock_ns = now_ns
            self._outlet.clock.doubt()
        else:
            self._fail(task, why or text, now_ns)

    def _not_now(self, body: bytes) -> bool:
        """Whether an answer about the key, which may be an error that tells something, is one that
        tells nothing: some venues say so with HTTP 200.
        """
        rejection, _, _ = self._outlet.codec.classify(200, body)
        return rejection in {Rejection.CLOCK, Rejection.RATE}

    def _fail(self, task: _Task, why: str, now_ns: int) -> None:
        del self._tasks[task.question]
        self._outlet.sink.failed(task.question, why, now_ns)


def _each(build: Callable[[int], list[SignedRequest]]) -> list[_Build]:
    """A step for each request that a verb makes; they are signed when they leave."""

    def one(number: int) -> _Build:
        return lambda ms: build(ms)[number]

    return [one(number) for number in range(len(build(0)))]
