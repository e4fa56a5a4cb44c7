"""Random venues against the kill switch: zero is never shown while an order of ours stands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import OrderIntent
from hftmm.risk.approval import Approved
from hftmm.risk.kill_switch import WORD, KillSwitch
from tests.books import MS, SECOND

VENUE = "okx"
START = 1_750_000_000 * SECOND
LONGEST_NS = 60 * SECOND


@dataclass
class Wire:
    """A venue and the way to it.

    Attributes:
        standing: orders of ours that the venue has. travelling: those that may reach it yet.
        live: what we think may still trade. canceling: cancels on their way.
        answers: lists made by the venue and not delivered: (kind, ids, asked at).
        questions: lists not made yet: (kind, asked at).
    """

    standing: set[str] = field(default_factory=set)
    travelling: set[str] = field(default_factory=set)
    live_ids: set[str] = field(default_factory=set)
    canceling: list[str] = field(default_factory=list)
    questions: list[tuple[Kind, int]] = field(default_factory=list)
    answers: list[tuple[Kind, frozenset[str], int]] = field(default_factory=list)
    latched: str = ""
    held: str = ""

    def latch(self, why: str) -> None:
        self.latched = why

    def hold(self, venue: str, why: str) -> None:
        self.held = why

    def let_go(self, venue: str) -> str:
        self.held = ""
        return ""

    def persist(self, why: str, now_ns: int) -> None:
        pass

    def cancel(self, venue: str, client_ids: Collection[str], now_ns: int, *, bulk: bool) -> None:
        self.canceling += client_ids

    def ask_open(self, venue: str, now_ns: int) -> None:
        # Equal questions under way are one, as a session has it.
        asked = {kind for kind, _ in self.questions} | {kind for kind, _, _ in self.answers}
        self.questions += [(kind, now_ns) for kind in Kind if kind.tradable and kind not in asked]

    def live(self, venue: str) -> Collection[str]:
        return self.live_ids

    def settled(self, venue: str) -> bool:
        return True

    def unreachable(self, venue: str, now_ns: int) -> str:
        return ""

    def positions(self, venue: str) -> list[tuple[Listing, Decimal]]:
        return []

    def touch(self, listing: Listing, side: Side, now_ns: int) -> float | None:
        return None

    def send(self, order: Approved[OrderIntent], now_ns: int) -> str:
        return "nothing is held"

    def note(self, level: str, venue: str, event: str, text: str, now_ns: int) -> None:
        pass


class KillMachine(RuleBasedStateMachine):
    """Every message may be late or lost; the venue alone decides what stands."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.now_ns = START
        kinds = (Kind.SPOT, Kind.LINEAR)
        self.switch = KillSwitch({VENUE: kinds}, self.wire, 100.0)
        self.orders = 0

    # ---- before the kill ----------------------------------------------------------------------

    @precondition(lambda self: not self.wire.latched)
    @rule()
    def place(self) -> None:
        self.orders += 1
        self.wire.travelling.add(name := f"o{self.orders}")
        self.wire.live_ids.add(name)

    @precondition(lambda self: not self.wire.latched and self.wire.standing)
    @rule()
    def forget(self) -> None:
        """An order that stands there and that nobody follows: only a list can tell of it."""
        self.wire.live_ids.discard(min(self.wire.standing))

    @rule()
    def kill(self) -> None:
        self.now_ns += MS
        self.switch.kill("operator", self.now_ns)
        assert self.wire.latched == "operator"

    @precondition(lambda self: not self.wire.latched)
    @rule()
    def reconcile(self) -> None:
        self.wire.ask_open(VENUE, self.now_ns)

    # ---- the venue ----------------------------------------------------------------------------

    @precondition(lambda self: self.wire.travelling)
    @rule(lost=st.booleans())
    def arrive(self, lost: bool) -> None:
        name = min(self.wire.travelling)
        self.wire.travelling.remove(name)
        if not lost:
            self.wire.standing.add(name)

    @precondition(lambda self: self.wire.canceling)
    @rule(lost=st.booleans())
    def cancel_arrives(self, lost: bool) -> None:
        name = self.wire.canceling.pop(0)
        if not lost:
            self.wire.standing.discard(name)

    @precondition(lambda self: self.wire.questions)
    @rule()
    def lists_are_made(self) -> None:
        wire = self.wire
        for kind, asked_ns in wire.questions:
            ids = wire.standing if kind is Kind.LINEAR else ()
            wire.answers.append((kind, frozenset(ids), asked_ns))
        wire.questions.clear()

    # ---- what we hear -------------------------------------------------------------------------

    @precondition(lambda self: self.wire.answers)
    @rule(lost=st.booleans())
    def lists_arrive(self, lost: bool) -> None:
        answers, self.wire.answers = self.wire.answers, []
        for kind, ids, asked_ns in answers:
            self.now_ns += MS
            if lost:
                self.switch.failed(VENUE, "no answer", self.now_ns)
            else:
                # Who follows orders takes up those it did not know of, before the list is told.
                self.wire.live_ids |= ids & self.wire.standing
                self.switch.open_told(VENUE, kind, ids, asked_ns, self.now_ns)

    @rule()
    def settle(self) -> None:
        """The stream, or a query, tells of one order that is gone for good."""
        gone = self.wire.live_ids - self.wire.standing - self.wire.travelling
        self.wire.live_ids -= {min(gone)} if gone else set()

    @rule(ms=st.sampled_from([5, 50, 500, 5_000]))
    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.switch.tick(self.now_ns)

    @rule(word=st.sampled_from(["", WORD]))
    def rearm(self, word: str) -> None:
        stands = bool(self.wire.standing | self.wire.travelling)
        killed = self.switch.killed
        if not self.switch.rearm(word, self.now_ns):
            assert killed
            assert word == WORD
            assert not stands

    # ---- what must hold -----------------------------------------------------------------------

    @invariant()
    def zero_is_true(self) -> None:
        shown = self.switch.shown(self.now_ns)
        if shown is not None and shown.venues[0].zero_ms is not None:
            assert not self.wire.standing, shown
            assert not self.wire.travelling, shown

    @invariant()
    def killed_is_latched(self) -> None:
        assert bool(self.wire.latched) == self.switch.killed

    def teardown(self) -> None:
        """Once nothing is lost any more, every kill reaches zero."""
        wire = self.wire
        end_ns = self.now_ns + LONGEST_NS
        while self.switch.killed and not self.switch.done:
            assert self.now_ns < end_ns, self.switch.report(self.now_ns)
            while wire.travelling:
                self.arrive(lost=False)
            while wire.canceling:
                self.cancel_arrives(lost=False)
            self.lists_are_made()
            self.lists_arrive(lost=False)
            wire.live_ids &= wire.standing
            self.wait(50)
            self.zero_is_true()


TestKillMachine = KillMachine.TestCase
TestKillMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
