"""Making our orders at one venue go, and believing it only from the venue's own lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from hftmm.core.instrument import Kind
from hftmm.core.order import OrderAnswer, Rejection
from hftmm.desk.snapshot import VenueKill
from hftmm.risk.brakes import Brakes

_MS: Final = 1_000_000
ANSWER_NS: Final = 3_000 * _MS
"""A list of open orders that takes longer is asked for again."""
PAUSES_NS: Final = tuple(ms * _MS for ms in (100, 200, 400, 800, 1_600, 3_000))
"""Before what still stands is canceled again; the last one repeats."""
HURRY_NS: Final = 500 * _MS
"""Between two tries at least, however often somebody wants one: venues ban who asks too much."""
WATCH_NS: Final = tuple(ms * _MS for ms in (500, 2_000, 10_000))
"""After a venue showed zero, before it is asked once more; the last one repeats."""
_GONE: Final = frozenset({Rejection.UNKNOWN_ORDER, Rejection.ALREADY_DONE})


class Clearing:
    """One venue on its way to zero: canceled, asked, canceled again, until nothing stands.

    Zero is a whole list of the venue's open orders, asked for when nothing new could leave any
    more, without one of ours, while none of ours may still trade. From then on it is watched: what
    appears is canceled too.

    Attributes:
        zero_ns: when it was shown, 0 until then, and again once something appeared.
        shown: orders of ours in the last whole list; None before the first.
        spared: client ids of orders that may stand: those that flatten.
    """

    def __init__(
        self,
        venue: str,
        kinds: Collection[Kind],
        brakes: Brakes,
        *,
        bulk: bool = False,
        watched: bool = False,
        only: frozenset[str] | None = None,
    ) -> None:
        """
        Args:
            kinds: what is traded there; a list of each makes a whole one.
            bulk: clear whole listings too, which others' orders do not survive.
            watched: go on asking after zero.
            only: client ids it is about; None is all of ours, those of the future included.
        """
        self.venue: Final = venue
        self.zero_ns = 0
        self.shown: int | None = None
        self.spared: Final[set[str]] = set()
        self._kinds: Final = frozenset(kinds)
        self._brakes: Final = brakes
        self._bulk: Final = bulk
        self._watched: Final = watched
        self._only: Final = only
        self._began_ns = 0
        self._since_ns = 0
        self._tried_ns = 0
        self._asked_ns = 0
        self._due_ns = 0
        self._round = 0
        self._stood = False
        self._told: Final[dict[Kind, Collection[str]]] = {}
        self._sent: Final[set[str]] = set()
        self._acked: Final[set[str]] = set()
        self._error = ""

    @property
    def verified(self) -> bool:
        """The venue shows no order of ours."""
        return bool(self.zero_ns)

    # ---- what it does -------------------------------------------------------------------------

    def cancel(self, now_ns: int) -> None:
        """The first word; `ask` is the second. Apart, so that cancels of all venues go first."""
        self._began_ns = self._since_ns = now_ns
        self._cancel(now_ns)

    def ask(self, now_ns: int) -> None:
        """Asks for what stands."""
        self._asked_ns = now_ns
        self._stood = bool(self._standing())
        self._due_ns = 0
        self._brakes.ask_open(self.venue, now_ns)

    def hurry(self, now_ns: int) -> None:
        """Whatever it waits for, it tries again now, or as soon as that is wise."""
        self._round = 0
        due_ns = self._tried_ns + HURRY_NS
        if now_ns >= due_ns:
            self._again(now_ns)
        elif not self._due_ns or due_ns < self._due_ns:
            self._due_ns = due_ns

    def tick(self, now_ns: int) -> None:
        """Does what is due."""
        standing = self._standing()
        if self.zero_ns and standing:
            self._appeared(len(standing), now_ns)
        elif self._asked_ns and now_ns - self._asked_ns >= ANSWER_NS:
            waited_s = (now_ns - self._asked_ns) / 1e9
            why = self._brakes.unreachable(self.venue, now_ns)
            self._error = why or f"no list of open orders for {waited_s:.0f} s"
            self._again(now_ns)
        elif self._due_ns and now_ns >= self._due_ns:
            self._again(now_ns)
        elif self._due_ns and self._stood and not standing:
            # The last of them just went, by the venue's news: its list is likely to say so too.
            self.ask(now_ns)

    # ---- what it is told ----------------------------------------------------------------------

    def open_told(
        self, kind: Kind, client_ids: Collection[str], asked_ns: int, now_ns: int
    ) -> None:
        """A list of our open orders there, asked for then; whoever asked."""
        if kind not in self._kinds:
            return
        if asked_ns < self._since_ns:
            # When it was asked for, more could still leave: it says nothing of now.
            if self._asked_ns:
                self._brakes.ask_open(self.venue, now_ns)
            return
        self._told[kind] = self._mine(client_ids)
        if self._told.keys() >= self._kinds:
            self._error = ""
            self._judge(now_ns)

    def failed(self, why: str, now_ns: int) -> None:
        """A question for open orders has no answer."""
        if self._asked_ns:
            self.broke(why, now_ns)

    def broke(self, why: str, now_ns: int) -> None:
        """Something went wrong; it tries again after a pause."""
        self._error = why
        self._later(now_ns)

    def answered(self, client_ids: Collection[str], answer: OrderAnswer) -> None:
        """A cancel of these orders was answered."""
        if answer.accepted or answer.rejection in _GONE:
            self._acked.update(client_ids)
        else:
            self._error = answer.text

    def row(self, now_ns: int, positions: str = "") -> VenueKill:
        """For the screen."""
        standing = self._standing()
        acked = {one for one in self._sent if one in self._acked or one not in standing}
        return VenueKill(
            self.venue,
            len(self._sent),
            len(acked),
            (self.zero_ns - self._began_ns) / _MS if self.zero_ns else None,
            self.shown,
            positions,
            "" if self.zero_ns else self._problem(standing, now_ns),
        )

    # -------------------------------------------------------------------------------------------

    def _standing(self) -> Collection[str]:
        return self._mine(self._brakes.live(self.venue))

    def _mine(self, client_ids: Collection[str]) -> Collection[str]:
        """Each once, in the order given, so that cancels leave in the same order in every run."""
        mine = dict.fromkeys(one for one in client_ids if one not in self.spared)
        return mine if self._only is None else {one: None for one in mine if one in self._only}

    def _cancel(self, now_ns: int) -> None:
        self._tried_ns = now_ns
        standing = self._standing()
        self._sent.update(standing)
        self._brakes.cancel(self.venue, standing, now_ns, bulk=self._bulk)

    def _again(self, now_ns: int) -> None:
        if not self.zero_ns:
            self._cancel(now_ns)
        self.ask(now_ns)

    def _judge(self, now_ns: int) -> None:
        """The list is whole."""
        self._asked_ns = 0
        self.shown = sum(map(len, self._told.values()))
        self._told.clear()
        standing = self._standing()
        if not self.shown and not standing:
            if not self.zero_ns:
                self.zero_ns = now_ns
                self._round = 0
            if self._watched:
                self._due_ns = now_ns + WATCH_NS[min(self._round, len(WATCH_NS) - 1)]
                self._round += 1
        elif self.zero_ns:
            self._appeared(self.shown or len(standing), now_ns)
        else:
            self._later(now_ns)

    def _appeared(self, orders: int, now_ns: int) -> None:
        text = f"{_orders(orders)} of ours appeared after it had shown zero"
        self._brakes.note("error", self.venue, "kill", text, now_ns)
        self.zero_ns = self._round = 0
        self._since_ns = now_ns
        self._again(now_ns)

    def _later(self, now_ns: int) -> None:
        self._asked_ns = 0
        self._due_ns = now_ns + PAUSES_NS[min(self._round, len(PAUSES_NS) - 1)]
        self._round += 1

    def _problem(self, standing: Collection[str], now_ns: int) -> str:
        parts = []
        if why := self._error or self._brakes.unreachable(self.venue, now_ns):
            parts.append(why)
        if self.shown:
            parts.append(f"{_orders(self.shown)} still open there")
        elif standing:
            parts.append(f"{_orders(len(standing))} not known to be gone")
        return "; ".join(parts) or "waiting for its list of open orders"


def verified(clearings: Mapping[str, Clearing]) -> bool:
    """Whether every venue shows zero."""
    return all(clearing.verified for clearing in clearings.values())


def _orders(number: int) -> str:
    return "1 order" if number == 1 else f"{number} orders"
