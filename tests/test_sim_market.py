"""The practice market: reproducible, and as lively as it says."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from hftmm.config import VENUES, MarketsConfig, PracticeConfig
from hftmm.core.errors import ConfigError
from hftmm.core.instrument import Kind
from hftmm.sim.listings import coin
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import Level, MatchingEngine

pytestmark = pytest.mark.long

MS = 1_000_000
SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
SYMBOLS = MarketsConfig().symbols
# Taker fees of both sides together, fraction of notional: the defaults of VenueConfig.
FEES = {Kind.SPOT: 20e-4, Kind.LINEAR: 10e-4}


def market(config: PracticeConfig | None = None, symbols: Sequence[str] = SYMBOLS) -> Market:
    return Market(practice_specs(symbols), config or PracticeConfig(), START_NS)


Books = dict[tuple[str, Kind, str], tuple[int, list[Level], list[Level]]]


def books(of: Market) -> Books:
    return {
        key: (engine.sequence, engine.levels("buy"), engine.levels("sell"))
        for key, engine in of.engines.items()
    }


def mid(engine: MatchingEngine) -> float:
    bid, ask = engine.best("buy"), engine.best("sell")
    assert bid is not None
    assert ask is not None
    return (bid.ticks + ask.ticks) / 2 * float(engine.spec.tick)


@dataclass
class Watched:
    """What a consolidated view of one market showed, sampled every 10 ms."""

    samples: int = 0
    locked: int = 0
    crossed: int = 0
    lasted_ms: list[int] = field(default_factory=list)
    quiet_ms: list[int] = field(default_factory=list)
    since: int = 0
    profitable: bool = False

    def see(self, engines: list[MatchingEngine], fees: float) -> None:
        bids, asks = [], []
        for engine in engines:
            bid, ask = engine.best("buy"), engine.best("sell")
            assert bid is not None, "makers never leave a side empty"
            assert ask is not None, "makers never leave a side empty"
            assert bid.ticks < ask.ticks, "a venue's own book is never crossed"
            bids.append(bid.ticks * engine.spec.tick)
            asks.append(ask.ticks * engine.spec.tick)
        self.samples += 1
        self.locked += max(bids) == min(asks)
        self.crossed += max(bids) > min(asks)
        profitable = float(max(bids) / min(asks)) - 1 > fees
        self.since += 10
        if profitable is not self.profitable:
            (self.lasted_ms if self.profitable else self.quiet_ms).append(self.since)
            self.profitable, self.since = profitable, 0


MINUTES = 2


def watch(config: PracticeConfig) -> dict[str, Watched]:
    simulated = market(config)
    watched = {symbol: Watched() for symbol in SYMBOLS}
    engines: dict[str, list[MatchingEngine]] = {symbol: [] for symbol in SYMBOLS}
    for engine in simulated.engines.values():
        engines[engine.spec.symbol].append(engine)
    for number in range(1, MINUTES * 6_000 + 1):
        simulated.advance(START_NS + number * 10 * MS)
        for symbol, seen in watched.items():
            seen.see(engines[symbol], FEES[engines[symbol][0].spec.kind])
    for engine in simulated.engines.values():
        engine._check()
    return watched


@pytest.mark.parametrize("seed", [7, 1, 2])
def test_profitable_crossings_come_several_a_minute_with_quiet_between(seed: int) -> None:
    watched = watch(PracticeConfig(seed=seed))
    for symbol, seen in watched.items():
        a_minute = len(seen.lasted_ms) / MINUTES
        assert 1 <= a_minute <= 15, symbol
        assert max(seen.quiet_ms) >= 10_000, symbol
        assert sum(seen.lasted_ms) / (seen.samples * 10) < 0.15, symbol
        assert 30 <= statistics.median(seen.lasted_ms) <= 1_500, symbol
        assert max(seen.lasted_ms) <= 6_000, symbol
        assert 0.01 <= seen.crossed / seen.samples <= 0.3, symbol
    total = sum(len(seen.lasted_ms) for seen in watched.values())
    assert 2.5 <= total / MINUTES / len(SYMBOLS) <= 10
    assert sum(seen.locked for seen in watched.values()) > 0


def test_without_dislocations_profitable_crossings_are_rare() -> None:
    watched = watch(PracticeConfig(dislocations_per_minute=0))
    assert sum(len(seen.lasted_ms) for seen in watched.values()) <= MINUTES * len(SYMBOLS)


def test_the_way_time_is_sliced_changes_nothing() -> None:
    whole, fine, ragged = market(), market(), market()
    end_ns = START_NS + 12 * SECOND
    whole.advance(end_ns)
    for now_ns in range(START_NS, end_ns, 5 * MS):
        fine.advance(now_ns)
    fine.advance(end_ns)
    for now_ns in range(START_NS, end_ns, 777_777_777):
        ragged.advance(now_ns)
        for engine in ragged.engines.values():
            ragged.mark(engine.spec)
    ragged.advance(end_ns)
    assert books(whole) == books(fine) == books(ragged)


def test_the_same_seed_is_the_same_market_and_another_is_not() -> None:
    runs = [market(PracticeConfig(seed=seed)) for seed in (3, 3, 4)]
    for run in runs:
        run.advance(START_NS + 3 * SECOND)
    assert books(runs[0]) == books(runs[1])
    assert books(runs[0]) != books(runs[2])


def test_time_never_goes_back() -> None:
    run = market()
    run.advance(START_NS + SECOND)
    before = books(run)
    run.advance(START_NS)
    assert run.now_ns == START_NS + SECOND
    assert books(run) == before


def test_one_market_more_leaves_the_others_as_they_were() -> None:
    few, many = market(symbols=["BTC/USDT"]), market(symbols=["ETH/USDT", "BTC/USDT"])
    for run in (few, many):
        run.advance(START_NS + 3 * SECOND)
    key = ("bybit", Kind.SPOT, "BTCUSDT")
    assert books(few)[key] == books(many)[key]


def test_the_book_is_deep_from_the_start_and_thins_out() -> None:
    run = market()
    for at_ns in (START_NS, START_NS + 30 * SECOND):
        run.advance(at_ns)
        for key, (_, bids, asks) in books(run).items():
            for levels in (bids, asks):
                assert len(levels) >= 85, key
                near, half, far = (levels[index].ticks for index in (0, len(levels) // 2, -1))
                assert abs(far - half) > 1.5 * abs(half - near), key


def test_order_flow_is_about_what_intensity_says() -> None:
    events = []
    for intensity in (0.5, 1.0, 4.0):
        run = market(PracticeConfig(intensity=intensity))
        before = sum(engine.sequence for engine in run.engines.values())
        run.advance(START_NS + 30 * SECOND)
        after = sum(engine.sequence for engine in run.engines.values())
        events.append((after - before) / 30 / len(run.engines))
    assert events[0] < events[1] < events[2]
    assert 40 <= events[1] <= 120
    assert events[2] > 1.6 * events[1]


def test_takers_trade_within_the_spread_of_their_reach() -> None:
    run = market()
    listeners = {key: engine.listen() for key, engine in run.engines.items()}
    run.advance(START_NS + 20 * SECOND)
    for key, listener in listeners.items():
        changes = listener.take()
        assert changes is not None
        assert {fill.taker_side for fill in changes.fills} == {"buy", "sell"}, key
        assert 0.3 <= len(changes.fills) / 20 <= 20, key


def test_a_venue_sees_the_price_by_its_lag_later() -> None:
    config = PracticeConfig(
        dislocations_per_minute=0, lag_ms=(("binance", 0), ("bybit", 0), ("okx", 2_000))
    )
    run = market(config, ["BTC/USDT"])
    fast, slow = run.of("binance")[0], run.of("okx")[0]
    seen = []
    for second in range(1, 181):
        run.advance(START_NS + second * SECOND)
        seen.append((mid(fast), mid(slow)))
    at_once = statistics.mean(abs(a / b - 1) for a, b in seen)
    delayed = statistics.mean(
        abs(a / b - 1) for (a, _), (_, b) in zip(seen, seen[2:], strict=False)
    )
    assert delayed < at_once / 2


def test_spot_and_perpetual_are_tied_by_a_basis() -> None:
    run = market()
    spot, linear = run.of("bybit")[1], run.of("bybit")[0]
    assert (spot.spec.symbol, linear.spec.symbol) == ("BTC/USDT", "BTC/USDT:USDT")
    for second in range(1, 60):
        run.advance(START_NS + second * SECOND)
        mark = run.mark(linear.spec)
        assert abs(mark.mark / mark.index - 1) < 20e-4
        assert abs(mid(linear) / mark.mark - 1) < 60e-4
        assert abs(mid(spot) / mark.index - 1) < 60e-4


def test_funding_is_within_the_formula_and_due_at_the_next_eighth_hour() -> None:
    hours_ns = 8 * 3600 * SECOND
    due_ns = START_NS // hours_ns * hours_ns
    run = Market(practice_specs(SYMBOLS), PracticeConfig(), due_ns - SECOND)
    spec = run.of("okx")[0].spec
    mark = run.mark(spec)
    premium = mark.mark / mark.index - 1
    assert abs(mark.funding_rate - premium) <= 5e-4 + 1e-8
    assert (mark.interval_hours, mark.next_funding_ns) == (8, due_ns)
    run.advance(due_ns)
    assert run.mark(spec).next_funding_ns == due_ns + hours_ns


def test_every_symbol_is_listed_at_every_venue_as_the_venue_writes_it() -> None:
    specs = practice_specs(["BTC/USDT:USDT", "ETH/USDT"])
    assert [(spec.venue, spec.kind, spec.venue_symbol) for spec in specs] == [
        ("binance", Kind.LINEAR, "BTCUSDT"),
        ("bybit", Kind.LINEAR, "BTCUSDT"),
        ("okx", Kind.LINEAR, "BTC-USDT-SWAP"),
        ("binance", Kind.SPOT, "ETHUSDT"),
        ("bybit", Kind.SPOT, "ETHUSDT"),
        ("okx", Kind.SPOT, "ETH-USDT"),
    ]
    swap = specs[2]
    assert (swap.contract, swap.lot / swap.contract, swap.code) == (
        specs[2].lot * 100,
        specs[2].lot * 100,
        10459,
    )


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USD", "BTC/USD:BTC", "/USDT", ""])
def test_a_symbol_the_practice_venues_do_not_list_is_a_config_error(symbol: str) -> None:
    with pytest.raises(ConfigError, match="is not traded at the practice venues"):
        practice_specs([symbol])


def test_thirty_markets_run_on_plausible_grids() -> None:
    bases = ["BTC", "ETH", "SOL", "XRP", "DOGE", *(f"COIN{number}" for number in range(10))]
    symbols = [symbol for base in bases for symbol in (f"{base}/USDT", f"{base}/USDT:USDT")]
    run = market(symbols=symbols)
    run.advance(START_NS + SECOND)
    assert len(run.engines) == 30 * len(VENUES)
    for engine in run.engines.values():
        spec = engine.spec
        price = mid(engine)
        assert abs(price / coin(spec.base).price - 1) < 0.02
        assert float(spec.tick) / price < 2e-4
        assert float(spec.lot) * price < 100
        assert spec.lot % spec.contract == 0 or spec.contract % spec.lot == 0
        engine._check()
    codes = {engine.spec.code for engine in run.of("okx")}
    assert len(codes) == 30


def test_a_changed_key_changes_the_market() -> None:
    base = PracticeConfig()
    for changed in (
        replace(base, dislocation_bps=5.0),
        replace(base, dislocations_per_minute=30.0),
        replace(base, lag_ms=(("binance", 400), ("bybit", 9), ("okx", 25))),
    ):
        plain, other = market(base), market(changed)
        for run in (plain, other):
            run.advance(START_NS + 40 * SECOND)
        assert books(plain) != books(other), changed
