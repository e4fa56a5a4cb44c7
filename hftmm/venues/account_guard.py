"""The venue's dead-man switch: it cancels our orders when we fall silent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import Rejection
from hftmm.venues.account_outlet import AccountOutlet
from hftmm.venues.account_sink import Protection
from hftmm.venues.codec import MILLISECOND, SECOND
from hftmm.venues.private import SignedRequest

TIMEOUT_NS: Final = 30 * SECOND
"""After so long without a word of ours, within what the venue takes."""
AGAIN_NS: Final = 2 * SECOND
"""After a refusal for the time stamp or for too many: by then the clock was measured."""
_PASSING: Final = frozenset({Rejection.CLOCK, Rejection.RATE})


class AccountGuard:
    """Arms the switches of all listings, and refreshes each at a third of its time.

    A kind is guarded from its first log-in on, for as long as the venue takes the key.
    """

    def __init__(
        self, outlet: AccountOutlet, listings: Iterable[Listing], timeout_ns: int = TIMEOUT_NS
    ) -> None:
        self._outlet: Final = outlet
        self._timeouts: Final[dict[Kind, int]] = {}
        self._listings: Final[list[Listing]] = []
        for listing in listings:
            rules = outlet.codec.rules.get(listing.kind)
            if rules is not None and rules.dead_man_ns[1]:
                shortest, longest = rules.dead_man_ns
                self._timeouts[listing.kind] = min(max(timeout_ns, shortest), longest)
                self._listings.append(listing)
        self._kinds: frozenset[Kind] = frozenset()
        self._until: Final[dict[str, int]] = {}
        self._calls: Final[dict[int, tuple[SignedRequest, int]]] = {}
        self._due_ns = 0
        self._failing = False

    def protection(self, now_ns: int) -> Protection:
        """Whether every switch there is runs."""
        if not self._listings:
            return Protection.NONE
        armed = self._until and all(until_ns > now_ns for until_ns in self._until.values())
        whole = self._kinds >= self._timeouts.keys()
        return Protection.ARMED if armed and whole else Protection.OFF

    def guard(self, kinds: frozenset[Kind]) -> None:
        """Orders of these kinds may stand from now on."""
        if not kinds <= self._kinds:
            self._kinds |= kinds
            self._due_ns = 0

    def give_up(self, kinds: frozenset[Kind]) -> None:
        """The venue takes nothing more from us for these kinds."""
        self._kinds -= kinds

    def tick(self, now_ns: int) -> None:
        """Arms or refreshes what is due."""
        outlet = self._outlet
        if now_ns < self._due_ns or outlet.wait_ns(now_ns):
            return
        if not self._timeouts.keys() & self._kinds:
            return
        self._due_ns = now_ns + min(self._timeouts.values()) // 3
        # What has not been answered by now no longer counts.
        self._calls.clear()
        for request, kind in self._requests(now_ns, on=True):
            self._until.setdefault(request.request_id, 0)
            until_ns = now_ns + self._timeouts[kind]
            self._calls[id(request)] = (outlet.call(request), until_ns)

    def responded(self, request: SignedRequest, status: int, body: bytes, now_ns: int) -> bool:
        """An answer came; False if it is to no request that was made here and counts."""
        known = self._calls.pop(id(request), None)
        if known is None:
            return request.purpose == "dead_man"
        refused = False
        if status == 0:
            why = body.decode("latin-1") or "no answer"
        else:
            try:
                answer = self._outlet.codec.decode_answer(request, status, body)
                why = "" if answer.accepted else answer.text
                refused = answer.rejection is Rejection.CREDENTIALS
                if answer.rejection is Rejection.CLOCK:
                    self._outlet.clock.doubt()
                if answer.rejection in _PASSING:
                    self._due_ns = now_ns + AGAIN_NS
            except MalformedFrame as error:
                why = str(error)
        if not why:
            self._until[request.request_id] = known[1]
        elif not self._failing and not refused:
            # What is wrong with a key is told once, by whoever looks at its rights.
            self._outlet.note("error", "dead-man switch", f"not armed: {why}", now_ns)
        self._failing = bool(why)
        return True

    def disarm(self, now_ns: int) -> None:
        """An orderly end: orders that are meant to stay, stay."""
        for request, _ in self._requests(now_ns, on=False):
            self._outlet.call(request)
        self._until.clear()

    def _requests(self, now_ns: int, *, on: bool) -> list[tuple[SignedRequest, Kind]]:
        """One for each switch: some venues have one for all listings."""
        outlet = self._outlet
        found: dict[str, tuple[SignedRequest, Kind]] = {}
        for listing in self._listings:
            if listing.kind not in self._kinds:
                continue
            timeout_ms = self._timeouts[listing.kind] // MILLISECOND if on else 0
            request = outlet.codec.arm_dead_man(
                outlet.credentials, listing, timeout_ms, outlet.now_ms(now_ns)
            )
            if request is not None:
                found.setdefault(request.request_id, (request, listing.kind))
        return list(found.values())
