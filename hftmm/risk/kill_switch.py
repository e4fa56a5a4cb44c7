"""The kill switch: everything canceled everywhere, verified with the venues, latched until a person
re-arms; and, by the same means, one venue halted, and an orderly end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from hftmm.core.instrument import Kind
from hftmm.core.order import OrderAnswer
from hftmm.desk.snapshot import KillRow, VenueKill
from hftmm.risk.brakes import Brakes
from hftmm.risk.clearing import Clearing, verified
from hftmm.risk.flattening import Flattening, holdings

WORD: Final = "ARM"
ENDING: Final = "the engine is ending"


class KillSwitch:
    """Brakes, and proof that they held.

    The order of a kill: 1 the latch: nothing new leaves from that call on; 2 the latch goes to the
    disk while cancels go to every venue, bulk and by id; 3 each venue is asked for its open orders
    until it shows none of ours, and what stands is canceled again; 4 fills that come late are
    booked by whoever books fills; 5 what is held is flattened, if that was asked for; 6 `shown`
    tells how it goes; 7 `rearm` ends it, by a typed word.

    Whoever owns it calls `tick` every few milliseconds, sends what gathers after each call, and
    passes on what the venues say: `open_told`, `failed`, `answered`, `back`.

    Attributes:
        reason: why everything is stopped, one line; "" while it is not.
        flatten_slippage_bps: how far from the touch a flattening order may trade.
    """

    def __init__(
        self, venues: Mapping[str, Collection[Kind]], brakes: Brakes, flatten_slippage_bps: float
    ) -> None:
        """
        Args:
            venues: those with an account of ours, and what is traded there.
        """
        self.reason = ""
        self.flatten_slippage_bps = flatten_slippage_bps
        self._venues: Final = venues
        self._brakes: Final = brakes
        self._killed_ns = 0
        self._ending = False
        self._clearings: dict[str, Clearing] = {}
        self._halts: Final[dict[str, Clearing]] = {}
        self._flattenings: dict[str, Flattening] = {}

    # ---- everything ---------------------------------------------------------------------------

    def kill(self, reason: str, now_ns: int, *, flatten: bool = False) -> str:
        """Stops everything. During a kill it hurries the venues that do not show zero yet, and may
        add the flattening; what was done is not done twice.

        Returns:
            What it did, one line.
        """
        if self.reason:
            for clearing in self._clearings.values():
                if not clearing.verified:
                    clearing.hurry(now_ns)
            if flatten:
                self._flatten(now_ns)
            return f"killed already: {self.reason}{'; flattening' if flatten else ''}"
        self._latch(reason, now_ns, persist=True)
        if flatten:
            self._flatten(now_ns)
        return f"killed: cancels are on their way to {_and(self._venues)}"

    def restore(self, reason: str, now_ns: int) -> None:
        """Takes up the kill of an earlier run: still latched, and verified anew."""
        self._latch(reason, now_ns, persist=False)

    def rearm(self, word: str, now_ns: int) -> str:
        """Ends a kill: the venues take orders again.

        Returns:
            "" if done, else why not, and what is wanted; one line.
        """
        if not self.reason:
            return "nothing is killed"
        missing = [venue for venue, one in self._clearings.items() if not one.verified]
        if missing:
            row = self._clearings[missing[0]].row(now_ns)
            return f"not re-armed: {row.venue} is not verified zero: {row.problem}"
        for venue, flattening in self._flattenings.items():
            if not flattening.done:
                return f"not re-armed: {venue} is being flattened: {flattening.words}"
        if word.strip() != WORD:
            return f"type {WORD} to re-arm"
        self.reason = ""
        self._killed_ns = 0
        self._clearings = {}
        self._flattenings = {}
        self._brakes.persist("", now_ns)
        self._brakes.latch(ENDING if self._ending else "")
        self._brakes.note("warning", "risk", "kill", "re-armed", now_ns)
        return ""

    def wind_down(self, now_ns: int) -> None:
        """An orderly end: nothing new leaves, our orders are canceled by their ids, and each venue
        must show zero; a restart is not killed by it.
        """
        if self._ending:
            return
        self._ending = True
        if not self.reason:
            self._brakes.latch(ENDING)
            self._clear(now_ns, bulk=False)

    @property
    def killed(self) -> bool:
        return bool(self.reason)

    @property
    def done(self) -> bool:
        """Every venue shows zero, and what was to be flattened is as flat as it gets."""
        flattened = all(flattening.done for flattening in self._flattenings.values())
        return verified(self._clearings) and flattened

    # ---- one venue ----------------------------------------------------------------------------

    def halt(self, venue: str, why: str, now_ns: int) -> None:
        """Stops one venue: the orders that stand there now are canceled, verified; only reducing
        ones pass until `resume`. Once more while they are being canceled, it only names why.
        """
        self._brakes.hold(venue, why)
        self._brakes.note("warning", venue, "halt", why, now_ns)
        kinds, known = self._venues.get(venue), self._halts.get(venue)
        if kinds is None or venue in self._clearings or (known is not None and not known.verified):
            return
        only = frozenset(self._brakes.live(venue))
        clearing = self._halts[venue] = Clearing(venue, kinds, self._brakes, only=only)
        clearing.cancel(now_ns)
        clearing.ask(now_ns)

    def resume(self, venue: str, now_ns: int) -> str:
        """Ends a halt; why not, one line, "" if it did."""
        if self.reason:
            return f"{venue} stays: everything is killed: {self.reason}"
        halt = self._halts.get(venue)
        if halt is not None and not halt.verified:
            return f"{venue} stays halted: {halt.row(now_ns).problem}"
        if why := self._brakes.let_go(venue):
            return f"{venue} stays halted: {why}"
        self._halts.pop(venue, None)
        self._brakes.note("info", venue, "halt", "resumed", now_ns)
        return ""

    def halts(self, now_ns: int) -> tuple[VenueKill, ...]:
        """How the cancels of halted venues go."""
        return tuple(clearing.row(now_ns) for clearing in self._halts.values())

    # ---- what the venues say ------------------------------------------------------------------

    def open_told(
        self, venue: str, kind: Kind, client_ids: Collection[str], asked_ns: int, now_ns: int
    ) -> None:
        """Our open orders of a kind, all of them, as a venue listed them when asked then.

        Orders among them that nobody follows must be followed (`Brakes.live`) before this call.
        """
        for clearing in self._of(venue):
            clearing.open_told(kind, client_ids, asked_ns, now_ns)

    def failed(self, venue: str, why: str, now_ns: int) -> None:
        """A venue has no answer to the question for open orders."""
        for clearing in self._of(venue):
            clearing.failed(why, now_ns)

    def answered(self, venue: str, client_ids: Collection[str], answer: OrderAnswer) -> None:
        """A venue answered a cancel of these orders."""
        for clearing in self._of(venue):
            clearing.answered(client_ids, answer)

    def back(self, venue: str, now_ns: int) -> None:
        """A venue can be reached again: it is not kept waiting."""
        for clearing in self._of(venue):
            if not clearing.verified:
                clearing.hurry(now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed."""
        for clearing in (*self._clearings.values(), *self._halts.values()):
            self._guarded(clearing, Clearing.tick, now_ns)
        for venue, flattening in self._flattenings.items():
            if self._clearings[venue].verified:
                flattening.tick(self.flatten_slippage_bps, now_ns)

    # ---- what is shown ------------------------------------------------------------------------

    def shown(self, now_ns: int) -> KillRow | None:
        """For the screen; None while nothing is killed and nothing ends."""
        if not self.reason and not self._ending:
            return None
        flattening = "; ".join(f"{venue} {one.words}" for venue, one in self._flattenings.items())
        rows, rearm = self._rows(now_ns), self._next(now_ns)
        return KillRow(self.reason or ENDING, self._killed_ns, rows, flattening, rearm, self.done)

    def report(self, now_ns: int) -> list[str]:
        """One line a venue: `binance: 4 sent, 4 acked, zero at 38 ms`."""
        return [told(row) for row in self._rows(now_ns)]

    # -------------------------------------------------------------------------------------------

    def _latch(self, reason: str, now_ns: int, *, persist: bool) -> None:
        self.reason = reason
        self._killed_ns = now_ns
        self._brakes.latch(reason)
        if persist:
            self._brakes.persist(reason, now_ns)
        self._halts.clear()
        self._clear(now_ns, bulk=True)
        self._brakes.note("error", "risk", "kill", reason, now_ns)

    def _clear(self, now_ns: int, *, bulk: bool) -> None:
        """Cancels to every venue, and only then the questions."""
        self._clearings = {
            venue: Clearing(venue, kinds, self._brakes, bulk=bulk, watched=True)
            for venue, kinds in self._venues.items()
        }
        for word in (Clearing.cancel, Clearing.ask):
            for clearing in self._clearings.values():
                self._guarded(clearing, word, now_ns)

    def _guarded(
        self, clearing: Clearing, word: Callable[[Clearing, int], None], now_ns: int
    ) -> None:
        try:
            word(clearing, now_ns)
        except Exception as error:
            # Whatever is wrong with one venue must not keep the cancels from the others; its own
            # are tried again.
            clearing.broke(f"defect: {error!r}", now_ns)
            self._brakes.note("error", clearing.venue, "kill", f"defect: {error!r}", now_ns)

    def _flatten(self, now_ns: int) -> None:
        for venue, clearing in self._clearings.items():
            known = self._flattenings.get(venue)
            if known is None or known.done:
                self._flattenings[venue] = Flattening(venue, self._brakes, clearing.spared)
        self._brakes.note("warning", "risk", "flatten", "once no order stands", now_ns)

    def _of(self, venue: str) -> list[Clearing]:
        found = (self._clearings.get(venue), self._halts.get(venue))
        return [clearing for clearing in found if clearing is not None]

    def _rows(self, now_ns: int) -> tuple[VenueKill, ...]:
        return tuple(
            clearing.row(now_ns, holdings(list(self._brakes.positions(venue))))
            for venue, clearing in self._clearings.items()
        )

    def _next(self, now_ns: int) -> str:
        if self.done:
            return f"type {WORD}: venues take orders again, strategies stay off until switched on"
        waiting = [row.venue for row in self._rows(now_ns) if row.zero_ms is None]
        shows = "shows" if len(waiting) == 1 else "show"
        return f"not before {_and(waiting)} {shows} zero" if waiting else "not before it is flat"


def told(row: VenueKill) -> str:
    """How it went at one venue, one line."""
    end = row.problem if row.zero_ms is None else f"zero at {row.zero_ms:.0f} ms"
    held = f", holds {row.positions}" if row.positions else ""
    return f"{row.venue}: {row.sent} sent, {row.acked} acked, {end}{held}"


def _and(names: Iterable[str]) -> str:
    *others, last = [*names] or ["no venue"]
    return f"{', '.join(others)} and {last}" if others else last
