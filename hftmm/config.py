"""config.toml as frozen structs. Every key is documented here, once, beside its default.

What a key allows stands in its type: loading checks it, errors say it, and a test holds the
comments of the shipped config.toml to these docstrings and rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from hftmm.toml.document import Document, Problem
from hftmm.toml.structs import Between, OneOf, Text, read_struct, shown, unknown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

VENUES = ("binance", "bybit", "okx")

_SYMBOL = Text(
    r"[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9]+)?", "BASE/QUOTE for spot, BASE/QUOTE:SETTLE for a perpetual"
)
_FILE = Text(r"[^\0]*", "a path, or empty")
_URL = Text(r"(https?|wss?)://[^\s@/]+(/\S*)?", "a URL that begins with https, wss, http or ws")
_VENUE = Text(r"[a-z][a-z0-9_]*", "the name of a venue")
_AGE_MS = Between(10, 600_000)
_BPS = Between(-1_000, 1_000)
_FEE = Between(-100, 1_000)
_COINS = Between(0, 1_000_000_000)
_MONEY = Between(0, 1_000_000_000_000)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """[engine]: what runs, and what it tells."""

    mode: Annotated[str, OneOf(("sim", "paper", "demo", "live"))] = "sim"
    """sim: practice venues; paper: real data, no orders; demo: the venues' test networks; live."""
    status_every_s: Annotated[float, Between(0.1, 3_600)] = 1.0
    """Seconds between status lines of a headless engine."""
    log_level: Annotated[str, OneOf(("debug", "info", "warning", "error"))] = "info"
    """What the log keeps: this level and worse."""
    state_dir: Annotated[str, _FILE] = ""
    """Folder of sockets, logs, journal and captures; empty = the user's state folder."""
    installation: Annotated[str, Text(r"[a-z][a-z0-9]{3}", "a letter and three of [a-z0-9]")] = (
        "hm01"
    )
    """What every client id of ours begins with; another for each engine that shares an account."""
    on_lost_terminal: Annotated[str, OneOf(("stop", "run"))] = "stop"
    """When the terminal is lost (ssh, a crash): stop = cancel all and end; run = go on headless."""
    stop_within_ms: Annotated[int, Between(100, 600_000)] = 10_000
    """How long an end waits for every venue to show no open order of ours."""


@dataclass(frozen=True, slots=True)
class MarketsConfig:
    """[markets]: what is watched."""

    symbols: Annotated[tuple[str, ...], _SYMBOL] = (
        "BTC/USDT:USDT",
        "BTC/USDT",
        "ETH/USDT:USDT",
        "ETH/USDT",
    )
    """Markets, each on every enabled venue; the first is shown first."""


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """[venues.NAME]: one venue; what it leaves out keeps the default."""

    enabled: bool = True
    """Connect to this venue."""
    max_age_ms: Annotated[int, _AGE_MS] = 2_500
    """A book without a frame for longer, by our clock, is stale."""
    max_lag_ms: Annotated[int, _AGE_MS] = 1_500
    """A book whose venue stamp is older than this when its frame arrives is stale."""
    probe_after_ms: Annotated[int, _AGE_MS] = 500
    """A connection silent for longer is asked for a sign of life."""
    probe_within_ms: Annotated[int, _AGE_MS] = 1_000
    """One that gives none within this is dead and replaced."""
    resubscribe_after_ms: Annotated[int, _AGE_MS] = 10_000
    """A depth stream silent for longer on a living connection is subscribed anew."""
    # Depths that both Binance spot and USD-M serve.
    book_depth: Annotated[int, OneOf((100, 500, 1_000))] = 1_000
    """Levels a side asked for where the snapshot comes by REST (Binance)."""
    spot_maker_bps: Annotated[Decimal, _FEE] = Decimal(10)
    """Maker fee on spot, bps; a rebate is negative."""
    spot_taker_bps: Annotated[Decimal, _FEE] = Decimal(10)
    """Taker fee on spot, bps."""
    linear_maker_bps: Annotated[Decimal, _FEE] = Decimal(2)
    """Maker fee on perpetuals, bps; a rebate is negative."""
    linear_taker_bps: Annotated[Decimal, _FEE] = Decimal(5)
    """Taker fee on perpetuals, bps."""
    max_position: Annotated[Decimal, _COINS] = Decimal("0.5")
    """Position limit at this venue, base coins."""
    max_open_orders: Annotated[int, Between(0, 500)] = 20
    """Open orders allowed at this venue."""
    max_daily_loss: Annotated[Decimal, _MONEY] = Decimal(500)
    """Loss limit of the day at this venue, quote."""
    dead_man: bool = True
    """Have the venue cancel if we fall silent; Bybit only if it granted that to the account."""
    hosts: Annotated[tuple[tuple[str, str], ...], _URL] = ()
    """Base URLs in place of the mode's own, by the names `hftmm venues` prints."""


@dataclass(frozen=True, slots=True)
class BookConfig:
    """[book]: when a book is trusted."""

    gap_policy: Annotated[str, OneOf(("strict", "warn"))] = "strict"
    """strict: a Bybit update id that skips is a gap; warn: it is only counted."""
    quarantine_deviations: Annotated[float, Between(1, 1_000)] = 8.0
    """A venue whose mid strays from the others' by more standard deviations is quarantined."""
    quarantine_floor_bps: Annotated[float, Between(0, 10_000)] = 60.0
    """It never is while it strays less than this, bps."""
    quarantine_release_ms: Annotated[int, Between(0, 600_000)] = 3_000
    """It returns after this long within half the distance."""


@dataclass(frozen=True, slots=True)
class MarketMakingConfig:
    """[market_making]: quotes on every quote venue, each worth its hedge on another one."""

    enabled: bool = False
    """Quote from the start; otherwise its key does it."""
    markets: Annotated[tuple[str, ...], _SYMBOL] = ()
    """Markets quoted, of those that are watched; empty = the first."""
    quote_exchanges: Annotated[tuple[str, ...], _VENUE] = VENUES
    """Where to quote, of the enabled venues."""
    hedge_exchanges: Annotated[tuple[str, ...], _VENUE] = VENUES
    """Where a fill may be hedged, of the enabled venues."""
    order_size: Annotated[float, _COINS] = 0.01
    """Size of a quote, base coins."""
    min_edge_bps: Annotated[float, _BPS] = 0.5
    """Least profit of a quote after its hedge and all fees, bps; it is priced to have it."""
    cancel_edge_bps: Annotated[float, _BPS] = 0.1
    """A quote whose edge falls below this is moved or canceled at once, bps."""
    target_spread_bps: Annotated[float, Between(0, 10_000)] = 4.0
    """A quote stands at least half of this from the mid of the NBBO, bps."""
    hedge_slippage_bps: Annotated[float, Between(0, 1_000)] = 0.5
    """What a hedge is taken to cost beyond the book as it stands, bps."""
    inventory_skew_bps: Annotated[float, Between(0, 1_000)] = 3.0
    """How far quotes move against the market's net position when it is at its limit, bps."""
    requote_ticks: Annotated[int, Between(0, 1_000_000)] = 20
    """A quote that drifted by no more than this many ticks from where it should be stays."""
    max_age_ms: Annotated[int, _AGE_MS] = 1_500
    """A hedge book not heard of for longer backs no quote, our clock."""


@dataclass(frozen=True, slots=True)
class HedgingConfig:
    """[hedging]: what fills leave open goes out on the best other venue."""

    enabled: bool = True
    """Hedge fills; without it market making does not quote."""
    hedge_immediately: bool = True
    """Hedge every fill as it comes; otherwise only from `hedge_above` on."""
    hedge_above: Annotated[float, _COINS] = 0.01
    """Unhedged amount, base coins, that is hedged when hedges are not immediate."""
    max_slippage_bps: Annotated[float, Between(0, 1_000)] = 5.0
    """Price cap of the first hedge order, from the touch it takes, bps."""
    widen_bps: Annotated[float, Between(0, 1_000)] = 10.0
    """How much wider the cap is at each further step of the ladder, bps."""
    step_ms: Annotated[int, Between(10, 60_000)] = 150
    """How long a step may take before what it did is asked for and the next begins."""
    alarm_after_ms: Annotated[int, Between(10, 600_000)] = 1_000
    """Exposure older than this is an alarm."""
    stop_quoting_after_ms: Annotated[int, Between(10, 600_000)] = 2_000
    """Exposure older than this stops new quotes of its market."""
    flatten_after_ms: Annotated[int, Between(10, 600_000)] = 5_000
    """Exposure older than this is flattened where it was filled, and the venue halted."""
    flatten_slippage_bps: Annotated[float, Between(0, 10_000)] = 100.0
    """Price cap of a flatten, from the touch it takes, bps."""
    max_residual: Annotated[float, _COINS] = 0.01
    """What is too small to hedge may grow to this, base coins; more stops new quotes."""


@dataclass(frozen=True, slots=True)
class ArbitrageConfig:
    """[arbitrage]: which crossings of two venues count, and which are taken."""

    enabled: bool = False
    """Take opportunities from the start; otherwise its key does it."""
    markets: Annotated[tuple[str, ...], _SYMBOL] = ()
    """Markets where they are taken; empty = all that are watched."""
    max_slippage_bps: Annotated[float, Between(0, 1_000)] = 1.0
    """How far beyond the price it counted on a leg may fill, bps."""
    leg_deadline_ms: Annotated[int, Between(50, 60_000)] = 500
    """An imbalance between the legs is closed within this, or its venue halted."""
    cooldown_ms: Annotated[int, Between(0, 600_000)] = 250
    """Pause between two shots at the same pair of venues."""
    max_shots: Annotated[int, Between(1, 100)] = 2
    """Shots under way at once."""
    min_profit_bps: Annotated[float, Between(-1_000, 1_000)] = 1.0
    """Net edge, bps, from which a crossing counts as an opportunity."""
    max_quantity: Annotated[float, _COINS] = 1.0
    """Largest size considered, base coins."""
    min_quantity: Annotated[float, _COINS] = 0.001
    """Smallest size considered, base coins."""
    max_age_ms: Annotated[int, _AGE_MS] = 1_000
    """Neither book may be older than this, our clock."""
    keep: Annotated[int, Between(1, 10_000)] = 200
    """Past opportunities kept for the screen."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """[limits]: limits over all venues together."""

    max_total_position: Annotated[Decimal, _COINS] = Decimal("1.0")
    """Net position over all venues if every order of one side filled, base coins."""
    max_worst_case: Annotated[Decimal, _COINS] = Decimal("2.0")
    """Positions of all venues added up, long or short, if every order filled, base coins."""
    max_daily_loss: Annotated[Decimal, _MONEY] = Decimal(1000)
    """Loss of the day over all venues, quote."""
    max_drawdown: Annotated[Decimal, _MONEY] = Decimal(1000)
    """Fall from the day's peak, quote."""
    max_order_size: Annotated[Decimal, _COINS] = Decimal("0.5")
    """Largest single order, base coins."""
    max_order_notional: Annotated[Decimal, _MONEY] = Decimal(50_000)
    """Largest single order, quote."""
    collar_bps: Annotated[float, Between(0, 10_000)] = 150.0
    """An order priced further through the NBBO than this is refused, bps."""
    max_orders_per_s: Annotated[int, Between(1, 10_000)] = 50
    """New and changed orders in any second over all venues; hedges and cancels are not held."""
    max_open_orders: Annotated[int, Between(0, 2_000)] = 60
    """Open orders over all venues."""
    duplicate_ms: Annotated[int, Between(0, 60_000)] = 20
    """The same order again within this is refused as a duplicate."""
    max_repeats: Annotated[int, Between(1, 100_000)] = 300
    """Fills of a strategy on one side of a market in a minute; more switch it off for a person."""


@dataclass(frozen=True, slots=True)
class PracticeConfig:
    """[practice]: the market the practice venues make."""

    seed: Annotated[int, Between(0, 4_294_967_295)] = 7
    """Seed of the market; the same seed is the same order flow."""
    intensity: Annotated[float, Between(0.01, 100)] = 1.0
    """Order flow, 1 is about 80 book events a second and instrument."""
    dislocation_bps: Annotated[float, Between(0, 1_000)] = 14.0
    """Size of a typical dislocation between venues, bps."""
    dislocations_per_minute: Annotated[float, Between(0, 600)] = 6.0
    """How often one begins."""
    lag_ms: Annotated[tuple[tuple[str, int], ...], Between(0, 60_000)] = (
        ("binance", 4),
        ("bybit", 9),
        ("okx", 25),
    )
    """How long each venue's messages take, ms."""


@dataclass(frozen=True, slots=True)
class TerminalConfig:
    """[terminal]: the screen."""

    theme: Annotated[str, Text(r"[\w.-]+", "the name of a theme file without its ending")] = "dark"
    """The colours: dark, light, amber, colourblind, or one of your own."""
    frames_per_s: Annotated[int, Between(1, 60)] = 10
    """Pictures a second."""
    auto_centre: bool = False
    """Keep the ladder centred; otherwise the space key does it."""
    keys: Annotated[tuple[tuple[str, str], ...], Text(r"\S+", "the name of a key")] = ()
    """Keys in place of the key table's own: action = "key"."""


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """[record]: captures."""

    file: Annotated[str, _FILE] = ""
    """Record every received frame here while running; .gz compresses; empty = off."""


DEFAULT_VENUES: Final[Mapping[str, VenueConfig]] = MappingProxyType(
    {
        "binance": VenueConfig(),
        "bybit": VenueConfig(linear_taker_bps=Decimal("5.5"), dead_man=False),
        "okx": VenueConfig(spot_maker_bps=Decimal(8)),
    }
)
"""The venues of a config that says nothing about them: entry-tier fees as published."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole config.toml, validated."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    markets: MarketsConfig = field(default_factory=MarketsConfig)
    venues: dict[str, VenueConfig] = field(default_factory=lambda: dict(DEFAULT_VENUES))
    book: BookConfig = field(default_factory=BookConfig)
    market_making: MarketMakingConfig = field(default_factory=MarketMakingConfig)
    hedging: HedgingConfig = field(default_factory=HedgingConfig)
    arbitrage: ArbitrageConfig = field(default_factory=ArbitrageConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    practice: PracticeConfig = field(default_factory=PracticeConfig)
    terminal: TerminalConfig = field(default_factory=TerminalConfig)
    record: RecordConfig = field(default_factory=RecordConfig)


def load(
    path: Path | None,
    overrides: Mapping[str, object] = MappingProxyType({}),
    venues: Collection[str] = VENUES,
    further: Callable[[Config], Iterable[Problem]] = lambda _: (),
) -> Config:
    """Reads and checks a config file; what it does not say keeps its default.

    Args:
        path: None for the defaults alone.
        overrides: values of the command line by dotted key, `{"engine.mode": "live"}`.
        venues: names of the registered venues; one beyond the three takes part if the file has a
            table for it.
        further: what else is wrong with it, by rules of those who use it.

    Raises:
        ConfigError: the first thing wrong, by line, with what is allowed.
    """
    document = Document.read(path) if path is not None else Document("defaults")
    document.override(overrides)
    if problems := list(_secrets(document.tree)):
        raise document.error(problems)
    config = _read(document.tree, venues, problems)
    if not problems:
        problems.extend(contradictions(config))
    if not problems:
        problems.extend(further(config))
    if problems:
        raise document.error(problems)
    return config


T = TypeVar("T", bound="DataclassInstance")


def _read(tree: Mapping[str, object], venues: Collection[str], problems: list[Problem]) -> Config:
    sections = [entry.name for entry in fields(Config)]
    problems.extend(unknown("section", (name,), sections) for name in tree if name not in sections)

    def read(name: str, base: T) -> T:
        return read_struct(base, tree.get(name, {}), (name,), problems)

    return Config(
        engine=read("engine", EngineConfig()),
        markets=read("markets", MarketsConfig()),
        venues=_read_venues(tree.get("venues", {}), venues, problems),
        book=read("book", BookConfig()),
        market_making=read("market_making", MarketMakingConfig()),
        hedging=read("hedging", HedgingConfig()),
        arbitrage=read("arbitrage", ArbitrageConfig()),
        limits=read("limits", LimitsConfig()),
        practice=read("practice", PracticeConfig()),
        terminal=read("terminal", TerminalConfig()),
        record=read("record", RecordConfig()),
    )


def _read_venues(
    tables: object, venues: Collection[str], problems: list[Problem]
) -> dict[str, VenueConfig]:
    read = dict(DEFAULT_VENUES)
    if not isinstance(tables, Mapping):
        problems.append(Problem(("venues",), f"is {shown(tables)}", "tables [venues.NAME]"))
        return read
    for name, table in tables.items():
        if name in venues:
            base = DEFAULT_VENUES.get(name, VenueConfig())
            read[name] = read_struct(base, table, ("venues", name), problems)
        else:
            problems.append(unknown("venue", ("venues", name), venues))
    return read


def contradictions(config: Config) -> Iterator[Problem]:
    """What no key alone can tell."""
    if not any(venue.enabled for venue in config.venues.values()):
        name = next(iter(config.venues))
        yield Problem(
            ("venues", name, "enabled"), "no venue is enabled", "false while another is true"
        )
    if not config.markets.symbols:
        yield Problem(("markets", "symbols"), "is empty", "at least one symbol")
    seen: set[str] = set()
    for at, symbol in enumerate(config.markets.symbols):
        if symbol in seen:
            yield Problem(("markets", "symbols", at), f"{shown(symbol)} is given twice", "once")
        seen.add(symbol)
    if config.arbitrage.min_quantity > config.arbitrage.max_quantity:
        yield Problem(
            ("arbitrage", "min_quantity"),
            f"{config.arbitrage.min_quantity:g} is above max_quantity",
            f"up to {config.arbitrage.max_quantity:g}",
        )
    yield from _contradictory_strategies(config)
    for name, _ in config.practice.lag_ms:
        if name not in config.venues:
            yield unknown("venue", ("practice", "lag_ms", name), config.venues)


def _contradictory_strategies(config: Config) -> Iterator[Problem]:
    making, hedging = config.market_making, config.hedging
    named = {
        ("market_making", "markets"): (making.markets, config.markets.symbols),
        ("arbitrage", "markets"): (config.arbitrage.markets, config.markets.symbols),
        ("market_making", "quote_exchanges"): (making.quote_exchanges, config.venues),
        ("market_making", "hedge_exchanges"): (making.hedge_exchanges, config.venues),
    }
    for (section, key), (names, known) in named.items():
        for at, name in enumerate(names):
            if name not in known:
                what = f"{shown(name)} is not among the configured ones"
                yield Problem((section, key, at), what, ", ".join(known))
    if making.cancel_edge_bps > making.min_edge_bps:
        what = f"{making.cancel_edge_bps:g} is above min_edge_bps"
        yield Problem(("market_making", "cancel_edge_bps"), what, f"up to {making.min_edge_bps:g}")
    clocks = ("alarm_after_ms", "stop_quoting_after_ms", "flatten_after_ms")
    for first, then in pairwise(clocks):
        if getattr(hedging, first) > getattr(hedging, then):
            what = f"{getattr(hedging, first)} is above {then}"
            yield Problem(("hedging", first), what, f"up to {getattr(hedging, then)}")


_SECRET = re.compile(
    r"secret|pass_?(phrase|word|wd)|token|credential|(^|_)(api|access|private|secret)_?key|^key$",
    re.IGNORECASE,
)


def _secrets(tree: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Keys that look like credentials; their values are never read, let alone shown."""
    for name, value in tree.items():
        here = (*path, name)
        if _SECRET.search(name.replace("-", "_")):
            yield Problem(
                here,
                "a secret does not belong in a file",
                f"in the environment as {_variable(here)}",
            )
        elif isinstance(value, Mapping):
            yield from _secrets(value, here)


def _variable(path: tuple[str, ...]) -> str:
    """The environment variable for a credential found at a path."""
    where = "_".join(path).lower()
    venue = next((name for name in VENUES if name in where), "VENUE")
    kind = "PASSPHRASE" if "pass" in where else "SECRET" if "secret" in where else "KEY"
    return f"HFTMM_{venue.upper()}_{kind}"
