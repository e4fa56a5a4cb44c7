"""Every key of config.toml, changed, changes what hftmm does.

One table says for each key a value other than the default and something observable that depends on
it. The value goes the whole way through a config file.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from hftmm.assembly import headless, practice, screen, station
from hftmm.assembly.options import socket_at
from hftmm.config import DEFAULT_VENUES, Config, load
from hftmm.core.errors import Unavailable
from hftmm.desk.snapshot import LogRow
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.peers import HttpQuery
from hftmm.sim.server import PEERS
from hftmm.strategy.arbitrage import Opportunity
from hftmm.terminal.app import HftmmApp
from hftmm.terminal.widgets.ladder import LadderPane
from hftmm.terminal.widgets.lines import text_of
from hftmm.toml.structs import keys
from hftmm.transport.driver import Driver
from hftmm.transport.link import LinkDesk
from hftmm.venues import registry
from hftmm.venues.link import Link
from hftmm.venues.session import Connect, Fetch, Note
from tests.books import MS, SECOND, delta
from tests.engines import NOON, PERP, SPOT, Floor, floor
from tests.fake_desk import Clock, FakeDesk, best_quote, desk_snapshot, ladder
from tests.test_cross_exchange_mm import KEYS as MAKING
from tests.test_hedger import CHANGES as HEDGING
from tests.trading_keys import (
    See,
    client_id,
    hedged,
    on,
    outlives_its_terminal,
    patience_at_the_end,
    quoted,
    shot_at,
    shots_in_a_second,
    verdicts,
)


@dataclass(frozen=True)
class Key:
    """A key under test.

    Attributes:
        value: in TOML.
        see: something that is different with it.
    """

    value: str
    see: See


# What can be seen


def start_of(config: Config, venues: tuple[str, ...] = ()) -> Floor:
    return floor(config, venues)


def toml(value: object) -> str:
    """As it is written in a file."""
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(toml, value))}]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def dead_man(config: Config, venue: str) -> object:
    """What the venue's dead-man switches may be set to."""
    rules = registry.private_codecs(config, registry.codecs(config))[venue].rules
    return {kind: each.dead_man_ns for kind, each in rules.items()}


def hosts(config: Config, _: str) -> object:
    return practice.hosts(config, registry.codecs(config), None)


def pause_between_lines(config: Config, _: str) -> list[float]:
    """How long the teller of status sleeps between two lines."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise asyncio.CancelledError

    async def tell() -> None:
        driver = Driver(start_of(config).engine)
        await headless._tell(driver, None, config.engine.status_every_s)  # type: ignore[arg-type]  # nothing is said before the first pause

    with patch("asyncio.sleep", sleep), suppress(asyncio.CancelledError):
        asyncio.run(tell())
    return slept


def logged(config: Config, _: str) -> list[LogRow]:
    at = start_of(config)
    at.engine.noted(Note("info", "okx", "event", "text", NOON))
    return list(at.engine.log.rows)


def socket(config: Config, _: str) -> Path:
    return socket_at(config, None)


def markets(config: Config, _: str) -> list[str]:
    return list(start_of(config).engine.markets)


def connected_to(config: Config, _: str) -> list[str]:
    return list(registry.codecs(config))


def still_believed(config: Config, venue: str) -> bool:
    """After 1.2 s of silence."""
    at = start_of(config)
    at.quote(venue, [(1000, 1.0)], [(1002, 1.0)])
    at.wait(1_200)
    return bool(at.engine.markets[PERP].book.eligible)


def believed_late(config: Config, venue: str) -> bool:
    """With news that took 1.2 s."""
    at = start_of(config)
    at.quote(venue, [(1000, 1.0)], [(1002, 1.0)], venue_ns=NOON - 1_200 * MS)
    return bool(at.engine.markets[PERP].book.eligible)


def end_of_a_silent_connection(config: Config, venue: str) -> tuple[int, int]:
    """Milliseconds of silence until the first sign of life is asked for, and until the end."""
    session = start_of(config).engine.exchanges.sessions[venue]
    policy, link = session.policy, Link(1, "public", "", session.codec, NOON)
    link.opened(NOON)
    asked = 0
    for ms in range(0, 5_000, 5):
        reason = link.tick(NOON + ms * MS, policy.probe_after_ns, policy.probe_within_ns)
        asked = asked or (ms if link.outgoing else 0)
        if reason:
            return asked, ms
    return asked, 0


def subscribed_anew(config: Config, venue: str) -> bool:
    """After 5 s in which one book of a living connection was silent."""
    at = start_of(config, (venue,))
    session = at.engine.exchanges.sessions[venue]
    market = Market(practice_specs(config.markets.symbols), config.practice, NOON)
    peer = PEERS[venue](market, 1)
    session.start(NOON)
    links = set()
    for ms in range(0, 5_000, 100):
        now_ns = NOON + ms * MS
        outputs = session.outbox.copy()
        session.outbox.clear()
        for output in outputs:
            match output:
                case Fetch(request=request) if request.purpose == "instruments":
                    path, _, query = request.path.partition("?")
                    asked = HttpQuery(request.route, "GET", path, query, {}, b"")
                    session.responded(request, 200, peer.request(asked, now_ns).body, now_ns)
                case Connect(link=link):
                    links.add(link)
                    session.connected(link, now_ns)
                case _:
                    pass
        for link in links:
            session.received(link, b'{"event":"heard"}', now_ns)
        session.tick(now_ns)
    assert links
    return any("silent feed" in row.text for row in at.engine.log.rows)


def book_request(config: Config, _: str) -> object:
    at = start_of(config)
    return at.engine.exchanges.sessions["binance"].codec.request_book(at.open("binance"))


def fees(kind: str, side: str) -> See:
    def see(config: Config, venue: str) -> float:
        at = start_of(replace(config, markets=replace(config.markets, symbols=(PERP, SPOT))))
        symbol = PERP if kind == "linear" else SPOT
        at.open(venue, symbol)
        rates = at.engine.markets[symbol].members[0].fees
        return rates.maker if side == "maker" else rates.taker

    return see


def bybit_gap(config: Config, _: str) -> object:
    """What an update id that skips means."""
    at = start_of(config)
    codec = at.engine.exchanges.sessions["bybit"].codec
    return codec.sequence(5, delta([(1, 1.0)], final=9, of=at.open("bybit")), False)


def quarantine(jitter_bps: int) -> See:
    """States of a venue that strays by 80 bps for four seconds, and returns.

    Args:
        jitter_bps: by which it strays all the time.
    """

    def see(config: Config, _: str) -> list[str]:
        at = start_of(config)
        states = []
        for step in range(60):
            away = 80 if 20 <= step < 40 else 0
            for venue in ("binance", "bybit", "okx"):
                mid = 10_000 + (away + step % 2 * jitter_bps if venue == "okx" else 0)
                at.quote(venue, [(mid - 1, 1.0)], [(mid + 1, 1.0)])
            at.wait(210)
            states.append(str(at.engine.markets[PERP].members[2].state))
        return states

    return see


def crossings(config: Config, _: str) -> list[Opportunity]:
    """Three of 60 bps, fees 10; the second small, the last after 1.5 s without news."""
    at = start_of(config, ("binance", "okx"))
    found: list[Opportunity] = []
    for wait_ms, size in ((1, 3.0), (1, 0.2), (1_500, 3.0)):
        at.quote("binance", [(900, 3.0)], [(1000, size)])
        at.now_ns += wait_ms * MS
        at.quote("okx", [(1006, size)], [(1100, 3.0)])
        at.quote("okx", [(950, 3.0)], [(1100, 3.0)])
    found.extend(at.engine.markets[PERP].detector.past)
    return found


def practice_market(config: Config, _: str) -> object:
    """Every book after three minutes of its market, best levels only."""
    market = Market(practice_specs((PERP,)), config.practice, NOON)
    market.advance(NOON + 30 * SECOND)
    return [
        (engine.sequence, engine.levels("buy", 3), engine.levels("sell", 3))
        for engine in market.engines.values()
    ]


def theme(config: Config, _: str) -> str:
    return HftmmApp(FakeDesk(), config.terminal).theme


def pictures_asked_for(config: Config, _: str) -> list[float]:
    asked: list[float] = []

    async def connect(path: Path, *, frames_per_s: float) -> LinkDesk:
        asked.append(frames_per_s)
        raise Unavailable("enough seen")

    with patch.object(LinkDesk, "connect", connect), suppress(Unavailable):
        asyncio.run(screen.attached(config, Path("engine.sock")))
    return asked


def ladder_after_a_move(config: Config, _: str) -> list[str]:
    """The ladder once the market has walked away from where it was."""

    async def walk() -> list[str]:
        clock, desk = Clock(), FakeDesk(desk_snapshot())
        app = HftmmApp(desk, config.terminal, now_ns=clock)
        async with app.run_test(size=(200, 60)) as pilot:
            await pilot.pause()
            app.get_default_screen().pull()
            desk.show(ladder=ladder(65004.5, 65005.0), nbbo=best_quote(bid=65004.5, ask=65005.0))
            app.get_default_screen().pull()
            await pilot.pause()
            pane = app.get_default_screen().query_one(LadderPane)
            return [text_of(line) for line in pane.lines]

    return asyncio.run(walk())


def bindings(config: Config, _: str) -> str:
    return HftmmApp(FakeDesk(), config.terminal).table.named("theme").keys


def capture(config: Config, _: str) -> Path | None:
    return station._capture(config) if config.record.file else None


VENUE: dict[str, Key] = {
    "enabled": Key("false", connected_to),
    "max_age_ms": Key("900", still_believed),
    "max_lag_ms": Key("900", believed_late),
    "probe_after_ms": Key("800", end_of_a_silent_connection),
    "probe_within_ms": Key("300", end_of_a_silent_connection),
    "resubscribe_after_ms": Key("1000", subscribed_anew),
    "spot_maker_bps": Key("-1.5", fees("spot", "maker")),
    "spot_taker_bps": Key("3", fees("spot", "taker")),
    "linear_maker_bps": Key("-0.5", fees("linear", "maker")),
    "linear_taker_bps": Key("3", fees("linear", "taker")),
    "max_position": Key("0.1", verdicts),
    "max_open_orders": Key("1", verdicts),
    "max_daily_loss": Key("10", verdicts),
}
HOSTS = {
    "binance": '{"linear.rest" = "http://127.0.0.1:9"}',
    "bybit": '{rest = "http://127.0.0.1:9"}',
    "okx": '{rest = "http://127.0.0.1:9"}',
}
TABLE: dict[str, Key] = {
    "engine.mode": Key('"demo"', hosts),
    "engine.status_every_s": Key("0.5", pause_between_lines),
    "engine.log_level": Key('"error"', logged),
    "engine.installation": Key('"else"', client_id),
    "engine.on_lost_terminal": Key('"run"', outlives_its_terminal),
    "engine.stop_within_ms": Key("500", patience_at_the_end),
    "engine.state_dir": Key('"elsewhere"', socket),
    "markets.symbols": Key('["SOL/USDT"]', markets),
    **{f"venues.{venue}.{name}": key for venue in DEFAULT_VENUES for name, key in VENUE.items()},
    **{
        f"venues.{venue}.dead_man": Key(toml(not own.dead_man), dead_man)
        for venue, own in DEFAULT_VENUES.items()
    },
    **{f"venues.{venue}.hosts": Key(urls, hosts) for venue, urls in HOSTS.items()},
    "venues.binance.book_depth": Key("100", book_request),
    "book.gap_policy": Key('"warn"', bybit_gap),
    "book.quarantine_deviations": Key("1", quarantine(40)),
    "book.quarantine_floor_bps": Key("500", quarantine(3)),
    "book.quarantine_release_ms": Key("200", quarantine(3)),
    **{f"market_making.{name}": Key(toml(key.value), quoted(name)) for name, key in MAKING.items()},
    "market_making.enabled": Key("true", quoted("enabled")),
    **{f"hedging.{name}": Key(toml(value), hedged(name)) for name, (value, _) in HEDGING.items()},
    "arbitrage.enabled": Key("true", shot_at),
    "arbitrage.markets": Key('["ETH/USDT"]', on(shot_at)),
    "arbitrage.max_slippage_bps": Key("20", on(shot_at)),
    "arbitrage.leg_deadline_ms": Key("200", on(shot_at)),
    "arbitrage.max_shots": Key("1", on(shot_at)),
    "arbitrage.cooldown_ms": Key("0", on(shots_in_a_second)),
    "arbitrage.min_profit_bps": Key("75", crossings),
    "arbitrage.max_quantity": Key("0.5", crossings),
    "arbitrage.min_quantity": Key("0.5", crossings),
    "arbitrage.max_age_ms": Key("5_000", crossings),
    "arbitrage.keep": Key("2", crossings),
    "limits.max_total_position": Key("0.1", verdicts),
    "limits.max_worst_case": Key("0.15", verdicts),
    "limits.max_daily_loss": Key("10", verdicts),
    "limits.max_drawdown": Key("10", verdicts),
    "limits.max_order_size": Key("0.1", verdicts),
    "limits.max_order_notional": Key("10", verdicts),
    "limits.collar_bps": Key("10", verdicts),
    "limits.max_orders_per_s": Key("1", verdicts),
    "limits.max_open_orders": Key("1", verdicts),
    "limits.duplicate_ms": Key("500", verdicts),
    "limits.max_repeats": Key("2", verdicts),
    "practice.seed": Key("8", practice_market),
    "practice.intensity": Key("2", practice_market),
    "practice.dislocation_bps": Key("40", practice_market),
    "practice.dislocations_per_minute": Key("60", practice_market),
    "practice.lag_ms": Key("{okx = 900}", practice_market),
    "terminal.theme": Key('"amber"', theme),
    "terminal.frames_per_s": Key("3", pictures_asked_for),
    "terminal.auto_centre": Key("true", ladder_after_a_move),
    "terminal.keys": Key('{theme = "f9"}', bindings),
    "record.file": Key('"captured.gz"', capture),
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's is read or written."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_has_every_key_of_the_config() -> None:
    known = {
        f"{entry.name}.{key}"
        for entry in fields(Config)
        if entry.name != "venues"
        for key in keys(type(getattr(Config(), entry.name)))
    }
    for venue, codec in registry.codecs(Config()).items():
        own = keys(type(DEFAULT_VENUES[venue]))
        # Its comment says that it is about snapshots by REST.
        known |= {
            f"venues.{venue}.{key}" for key in own if key != "book_depth" or codec.book_by_rest
        }
    assert set(TABLE) == known


def plain(seen: object) -> Any:
    """Something that compares by value."""
    return seen.tolist() if isinstance(seen, np.ndarray) else seen


@pytest.mark.parametrize("name", TABLE)
def test_a_key_that_is_changed_changes_what_is_seen(name: str, home: Path) -> None:
    key = TABLE[name]
    *table, last = name.split(".")
    venue = table[1] if table[0] == "venues" else ""
    before = load(None)
    file = home / "config.toml"
    file.write_text(f"[{'.'.join(table)}]\n{last} = {key.value}\n")
    after = load(file)
    assert plain(key.see(before, venue)) == plain(key.see(before, venue)), "not to be relied on"
    assert plain(key.see(after, venue)) != plain(key.see(before, venue))
