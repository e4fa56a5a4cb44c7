"""What the parts of one account's session share: the key, the venue's time, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hftmm.venues.account_sink import AccountSink
from hftmm.venues.clock import VenueClock
from hftmm.venues.codec import MILLISECOND, SECOND
from hftmm.venues.effects import AccountOutput, Call, Note
from hftmm.venues.private import Credentials, Listings, PrivateCodec, SignedRequest

PAUSE_NS: Final = 10 * SECOND
"""How long a venue is left alone that refuses requests for their number and does not say so."""
TOO_MANY: Final = 429
_BANNED: Final = (403, 418)


class AccountOutlet:
    """Where the parts of an account's session put what they want done, and what should be known.

    Attributes:
        outbox: what the driver must do next, in order. The driver empties it, nobody replaces it.
        listings: what is traded, by kind and venue symbol.
        last_error: what went wrong last, one line; "" if nothing did.
        paused_until_ns: until then the venue wants no REST requests.
        banned: it wants no cancels either.
    """

    def __init__(
        self,
        codec: PrivateCodec,
        credentials: Credentials,
        listings: Listings,
        clock: VenueClock,
        sink: AccountSink,
        jitter: Callable[[], float],
    ) -> None:
        self.codec: Final = codec
        self.venue: Final = codec.venue
        self.credentials: Final = credentials
        self.listings: Final = listings
        self.clock: Final = clock
        self.sink: Final = sink
        self.jitter: Final = jitter
        self.outbox: Final[list[AccountOutput]] = []
        self.last_error = ""
        self.paused_until_ns = 0
        self.banned = False

    def now_ms(self, now_ns: int) -> int:
        """The venue's clock, by which requests are signed."""
        return (now_ns + (self.clock.offset_ns or 0)) // MILLISECOND

    def measured_since(self, ns: int) -> bool:
        """Whether the venue's clock is known by a question asked no earlier than that."""
        return self.clock.measured_ns >= max(1, ns)

    def call(self, request: SignedRequest) -> SignedRequest:
        """Has a request made; the answer is known by this very value."""
        self.outbox.append(Call(request))
        return request

    def note(self, level: str, event: str, text: str, now_ns: int) -> None:
        """Tells the operator."""
        if level != "info":
            self.last_error = text
        self.sink.noted(Note(level, self.venue, event, text, now_ns))

    def heard(self, status: int, retry_after_s: float, now_ns: int) -> None:
        """A request was answered: one too many stops all others for the time the venue states."""
        if status != TOO_MANY and status not in _BANNED:
            return
        wait_ns = int(retry_after_s * SECOND) or PAUSE_NS
        fresh = now_ns >= self.paused_until_ns
        self.banned = status in _BANNED or (self.banned and not fresh)
        self.paused_until_ns = max(self.paused_until_ns, now_ns + wait_ns)
        if fresh:
            text = f"too many requests ({status}): none by REST for {wait_ns / SECOND:g} s"
            self.note("warning", "rate limit", text, now_ns)

    def wait_ns(self, now_ns: int, *, cancel: bool = False) -> int:
        """How long a REST request must wait; one that cancels waits for nothing but a ban."""
        if cancel and not self.banned:
            return 0
        return max(0, self.paused_until_ns - now_ns)
