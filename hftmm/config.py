"""config.toml as frozen structs. Every key is documented here, once, beside its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

VENUES = ("binance", "bybit", "okx")


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """[engine]"""

    mode: str = "sim"
    """sim | paper | demo | live: which hosts the venues are."""
    status_every_s: float = 1.0
    """Seconds between status lines of a headless engine."""
    log_level: str = "info"
    """debug | info | warning | error: what the log keeps."""
    state_dir: str = ""
    """Folder of sockets, logs and captures; empty = the user's state folder."""


@dataclass(frozen=True, slots=True)
class MarketsConfig:
    """[markets]"""

    symbols: tuple[str, ...] = ("BTC/USDT:USDT", "BTC/USDT", "ETH/USDT:USDT", "ETH/USDT")
    """Markets to watch, the first is shown first; BTC/USDT is spot, BTC/USDT:USDT the perpetual."""


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """[venues.NAME]"""

    enabled: bool = True
    """Connect to this venue."""
    max_age_ms: int = 2_500
    """A book without a frame for longer, by our clock, is stale."""
    max_lag_ms: int = 1_500
    """A book whose venue stamp is older than this when its frame arrives is stale."""
    resubscribe_after_ms: int = 10_000
    """A feed silent for longer is subscribed anew, then its connection is replaced."""
    book_depth: int = 1_000
    """Levels a side asked for in a REST snapshot (Binance)."""
    spot_maker_bps: Decimal = Decimal(10)
    """Maker fee on spot."""
    spot_taker_bps: Decimal = Decimal(10)
    """Taker fee on spot."""
    linear_maker_bps: Decimal = Decimal(2)
    """Maker fee on perpetuals."""
    linear_taker_bps: Decimal = Decimal(5)
    """Taker fee on perpetuals."""
    max_position: Decimal = Decimal("0.5")
    """Position limit at this venue, base coins."""
    max_open_orders: int = 20
    """Open orders allowed at this venue."""
    max_daily_loss: Decimal = Decimal(500)
    """Loss limit of the day at this venue, quote."""
    hosts: tuple[tuple[str, str], ...] = ()
    """Base URLs in place of the mode's own, e.g. "linear.stream" = "wss://..."."""


@dataclass(frozen=True, slots=True)
class BookConfig:
    """[book]"""

    gap_policy: str = "strict"
    """strict: a Bybit update id that skips is a gap; warn: it is only counted."""
    quarantine_deviations: float = 8.0
    """A venue whose mid strays from the others' by more standard deviations is quarantined."""
    quarantine_floor_bps: float = 25.0
    """It never is while it strays less than this."""
    quarantine_release_ms: int = 3_000
    """It returns after this long within half the distance."""


@dataclass(frozen=True, slots=True)
class ArbitrageConfig:
    """[arbitrage]"""

    min_profit_bps: float = 1.0
    """Net edge from which a crossing counts as an opportunity."""
    max_quantity: float = 1.0
    """Largest size considered, base coins."""
    min_quantity: float = 0.001
    """Smallest size considered, base coins."""
    max_age_ms: int = 1_000
    """Neither book may be older than this, our clock."""
    keep: int = 200
    """Past opportunities kept for the screen."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """[limits]"""

    max_total_position: Decimal = Decimal("1.0")
    """Net position over all venues, base coins."""
    max_worst_case: Decimal = Decimal("2.0")
    """Position if every open order filled, base coins."""
    max_daily_loss: Decimal = Decimal(1000)
    """Loss of the day over all venues, quote."""
    max_drawdown: Decimal = Decimal(1000)
    """Fall from the day's peak, quote."""


@dataclass(frozen=True, slots=True)
class PracticeConfig:
    """[practice]"""

    seed: int = 7
    """Seed of the market; the same seed is the same order flow."""
    intensity: float = 1.0
    """Order flow, 1 is about 60 book events a second and instrument."""
    dislocation_bps: float = 14.0
    """Size of a typical dislocation between venues."""
    dislocations_per_minute: float = 6.0
    """How often one begins."""
    lag_ms: tuple[tuple[str, int], ...] = (("binance", 4), ("bybit", 9), ("okx", 25))
    """How long each venue's messages take."""


@dataclass(frozen=True, slots=True)
class TerminalConfig:
    """[terminal]"""

    theme: str = "dark"
    """Name of a theme file: dark, light, amber, colourblind, or one of your own."""
    frames_per_s: int = 10
    """Pictures a second."""
    auto_centre: bool = False
    """Keep the ladder centred; otherwise the space key does it."""
    keys: tuple[tuple[str, str], ...] = ()
    """[terminal.keys]: action = "key", in place of the key table's own."""


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """[record]"""

    file: str = ""
    """Record every received frame here while running; .gz compresses; empty = off."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole config.toml, validated."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    markets: MarketsConfig = field(default_factory=MarketsConfig)
    venues: dict[str, VenueConfig] = field(default_factory=dict)
    book: BookConfig = field(default_factory=BookConfig)
    arbitrage: ArbitrageConfig = field(default_factory=ArbitrageConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    practice: PracticeConfig = field(default_factory=PracticeConfig)
    terminal: TerminalConfig = field(default_factory=TerminalConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
