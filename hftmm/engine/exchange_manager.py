"""The sessions of all venues, and how each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hftmm.config import Config
from hftmm.core.events import VenueState
from hftmm.engine.meters import Rate
from hftmm.venues.codec import MILLISECOND, Hosts, VenueCodec
from hftmm.venues.session import MarketSink, Policy, VenueSession

HEALTH_EVERY_NS: Final = 100 * MILLISECOND


class ExchangeManager:
    """Starts, ticks and watches the sessions. A driver carries out what they want done."""

    def __init__(
        self,
        config: Config,
        codecs: dict[str, VenueCodec],
        hosts: dict[str, Hosts],
        sink: MarketSink,
        jitter: Callable[[], float],
    ) -> None:
        """
        Args:
            codecs: of the enabled venues, by name.
            hosts: their base URLs.
            jitter: uniform in [0, 1), for the back-off of reconnects.
        """
        self.sessions: dict[str, VenueSession] = {}
        self.rates: dict[str, Rate] = {}
        self._health_ns = 0
        for venue, codec in codecs.items():
            own = config.venues[venue]
            policy = Policy(
                probe_after_ns=own.probe_after_ms * MILLISECOND,
                probe_within_ns=own.probe_within_ms * MILLISECOND,
                resubscribe_after_ns=own.resubscribe_after_ms * MILLISECOND,
            )
            self.sessions[venue] = VenueSession(
                codec, hosts[venue], config.markets.symbols, sink, jitter, policy
            )
            self.rates[venue] = Rate()

    def __iter__(self) -> Iterator[VenueSession]:
        return iter(self.sessions.values())

    def start(self, now_ns: int) -> None:
        """Begins with every venue."""
        for session in self:
            session.start(now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed."""
        for session in self:
            session.tick(now_ns)
        if now_ns - self._health_ns >= HEALTH_EVERY_NS:
            self._health_ns = now_ns
            for venue, session in self.sessions.items():
                self.rates[venue].mark(session.frames, now_ns)

    def state(self, venue: str) -> tuple[VenueState, str]:
        """State of a venue as a whole: that of its connections."""
        session = self.sessions[venue]
        reason = session.state_reason
        if not reason:
            return VenueState.LIVE, ""
        down = session.connected_once or session.unlisted
        return (VenueState.DOWN if down else VenueState.SYNCING), reason
