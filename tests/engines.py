"""An engine without sockets, whose books a test sets by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hftmm.book.order_book import OrderBook
from hftmm.config import Config, MarketsConfig
from hftmm.core.instrument import Kind, Listing
from hftmm.engine.engine import Engine
from hftmm.venues import registry
from tests.books import Rows, delta

NOON = 1_780_315_200_000_000_000
"""2026-06-01 12:00:00 UTC."""
PERP = "BTC/USDT:USDT"
SPOT = "BTC/USDT"
ROUTES: Mapping[str, tuple[str, str]] = {
    "binance": ("linear.public", "spot.public"),
    "bybit": ("linear.public", "spot.public"),
    "okx": ("public", "public"),
}


def config(*symbols: str, **sections: object) -> Config:
    """Defaults with these markets, and sections by name."""
    return replace(Config(), markets=MarketsConfig(symbols or (PERP,)), **sections)  # type: ignore[arg-type]  # sections of a Config by name


@dataclass
class Floor:
    """An engine and the books that were opened in it.

    Attributes:
        now_ns: what the engine was last told.
        ids: update ids by listing key.
    """

    engine: Engine
    now_ns: int = NOON
    ids: dict[str, int] = field(default_factory=dict)

    def open(
        self, venue: str, symbol: str = PERP, *, tick: str = "0.1", lot: str = "0.001"
    ) -> Listing:
        """The feeds of a listing, as if the venue had told of it and been connected."""
        codec = self.engine.exchanges.sessions[venue].codec
        linear = ":" in symbol
        route = ROUTES[venue][0 if linear else 1]
        name = {"okx": "BTC-USDT-SWAP" if linear else "BTC-USDT"}.get(venue, "BTCUSDT")
        listing = replace(
            codec.infer(route, name, 1),
            symbol=symbol,
            kind=Kind.LINEAR if linear else Kind.SPOT,
            tick=Decimal(tick),
            lot=Decimal(lot),
            multiplier=Decimal(1),
        )
        self.engine.exchanges.sessions[venue].adopt(codec.feeds(listing), self.now_ns)
        return listing

    def book(self, venue: str, symbol: str = PERP) -> OrderBook:
        return self.engine.exchanges.sessions[venue].depths[f"{venue} {symbol}"].book

    def quote(
        self,
        venue: str,
        bids: Rows,
        asks: Rows,
        symbol: str = PERP,
        *,
        venue_ns: int | None = None,
        settle: bool = True,
    ) -> None:
        """Replaces a book; prices in ticks of its grid."""
        key = f"{venue} {symbol}"
        if key not in self.engine.exchanges.sessions[venue].depths:
            self.open(venue, symbol)
        depth = self.engine.exchanges.sessions[venue].depths[key]
        self.ids[key] = self.ids.get(key, 0) + 1
        message = delta(
            bids,
            asks,
            final=self.ids[key],
            of=depth.feed.listing,
            snapshot=True,
            venue_ns=self.now_ns if venue_ns is None else venue_ns,
            received_ns=self.now_ns,
        )
        if depth.sync.live:
            depth.book.apply(message)
        else:
            depth.sync.offer(message)
        self.engine.book_moved(depth.book, self.now_ns)
        if settle:
            self.engine.settle(self.now_ns)

    def lose(self, venue: str, symbol: str = PERP, reason: str = "gap") -> None:
        """A book becomes invalid."""
        depth = self.engine.exchanges.sessions[venue].depths[f"{venue} {symbol}"]
        depth.lose(reason)
        self.engine.book_moved(depth.book, self.now_ns)

    def wait(self, ms: float) -> None:
        """Time passes, and the engine is told."""
        self.now_ns += int(ms * 1_000_000)
        self.engine.tick(self.now_ns)


def floor(settings: Config | None = None, venues: Sequence[str] = ()) -> Floor:
    """An engine on these venues, or all; not started, so that nothing is asked of anybody."""
    settings = settings or config()
    codecs = {
        name: codec
        for name, codec in registry.codecs(settings).items()
        if not venues or name in venues
    }
    hosts = {name: codec.hosts("live") for name, codec in codecs.items()}
    return Floor(Engine(settings, codecs, hosts, lambda: 0.0))
