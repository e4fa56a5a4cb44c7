"""Both strategies on served practice venues, and what the venues' own books say of it afterwards.

Half a minute of a wild market here. `make soak` sets HFTMM_MARKET_S=600, which is ten minutes of
the market and the parameters that ship, and HFTMM_CLIENTS to the interpreter that has ccxt: then
that reads the accounts as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hftmm.config import VENUES, Config, load
from hftmm.desk.commands import Resume, Status, Toggle, View
from hftmm.desk.snapshot import DeskSnapshot, StrategyRow
from hftmm.transport.link import ask, look
from tests.plain_client import get_json
from tests.processes import Home, Piped

LONG_S = float(os.environ.get("HFTMM_MARKET_S", "0"))
CLIENTS = os.environ.get("HFTMM_CLIENTS", "")
SHORT_S = 12.0
PATIENCE_S = 30.0
BOTH = "[market_making]\nenabled = true\n{making}[arbitrage]\nenabled = true\n"
WILD = BOTH.format(making="min_edge_bps = -2\ncancel_edge_bps = -3\ntarget_spread_bps = 1\n") + (
    "[practice]\ndislocations_per_minute = 60\n"
)
STRATEGIES = {"mm": "cross mm", "ar": "arbitrage", "hg": "hedger"}
FLAT_MS = 1_000.0
CENT = Decimal("0.01")
PLACES = Decimal("1e-7")
"""To which amounts are the same: each fee that is told is rounded to eight places."""
DUST = Decimal(12)
"""Worth in quote of what no venue takes as an order."""
ZERO = Decimal(0)


class Trade(NamedTuple):
    """An execution as its venue has it. Attributes: held: what it changed, base coins."""

    ns: int
    venue: str
    symbol: str
    code: str
    held: Decimal
    maker: bool


class Worth(NamedTuple):
    """An account. Attributes: cash: units by wallet and asset. positions: size and entry."""

    cash: Mapping[str, Mapping[str, Decimal]]
    positions: Mapping[str, tuple[Decimal, Decimal]]
    orders: int


@dataclass
class Peak:
    """The fullest a limit was used. Attributes: at: of what."""

    limit: Decimal
    used: Decimal = ZERO
    at: str = ""

    def seen(self, used: Decimal, at: str) -> None:
        if used > self.used:
            self.used, self.at = used, at

    def __str__(self) -> str:
        return f"{self.used.normalize():f} of {self.limit.normalize():f} ({self.at})"


@dataclass
class Peaks:
    """How full the limits were, by what the venues say and by what the engine says of itself."""

    config: Config
    known: dict[str, Peak] = field(default_factory=dict)

    def seen(self, name: str, limit: Decimal | float, used: Decimal | float, at: str = "") -> None:
        peak = self.known.setdefault(name, Peak(Decimal(str(limit))))
        peak.seen(Decimal(str(used)), at)

    def told(self, desk: DeskSnapshot) -> None:
        """What the engine says."""
        row = desk.risk_totals
        self.seen("told worst case", row.worst_case_limit, row.worst_case, desk.market)
        self.seen("told net", row.position_limit, abs(row.position), desk.market)
        self.seen("told drawdown", row.drawdown_limit, row.drawdown)
        self.seen("told loss", row.loss_limit, -row.day_pnl)
        for venue in desk.risk:
            self.seen("told loss at a venue", venue.loss_limit, -venue.day_pnl, venue.venue)

    def counted(self, accounts: Mapping[str, dict[str, Any]]) -> None:
        """Every open order counts as if it filled, by what the venues say."""
        limits = self.config.limits
        total = 0
        gross: dict[str, Decimal] = {}
        for venue, account in accounts.items():
            own = self.config.venues[venue]
            held: dict[str, Decimal] = {}
            for trade in trades(venue, account):
                held[trade.symbol] = held.get(trade.symbol, ZERO) + trade.held
            sides: dict[tuple[str, str], Decimal] = {}
            for order in account["orders"]:
                key = order["symbol"], order["side"]
                left = Decimal(order["size"]) - Decimal(order["filled"])
                sides[key] = sides.get(key, ZERO) + left
            for symbol in {*held, *(symbol for symbol, _ in sides)}:
                position = held.get(symbol, ZERO)
                most = max(
                    position + sides.get((symbol, "buy"), ZERO),
                    sides.get((symbol, "sell"), ZERO) - position,
                )
                self.seen("position", own.max_position, most, f"{venue} {symbol}")
                gross[symbol] = gross.get(symbol, ZERO) + most
            count = len(account["orders"])
            self.seen("orders at a venue", own.max_open_orders, count, venue)
            total += count
        self.seen("orders", limits.max_open_orders, total)
        for symbol, amount in gross.items():
            self.seen("worst case", limits.max_worst_case, amount, symbol)

    def replayed(self, done: list[Trade]) -> None:
        """What was held after each execution, whenever it was looked at."""
        limits = self.config.limits
        held: dict[tuple[str, str], Decimal] = {}
        for trade in sorted(done):
            key = trade.symbol, trade.venue
            held[key] = held.get(key, ZERO) + trade.held
            own = self.config.venues[trade.venue]
            self.seen("held", own.max_position, abs(held[key]), " ".join(key))
            amounts = [size for (symbol, _), size in held.items() if symbol == trade.symbol]
            self.seen("net", limits.max_total_position, abs(sum(amounts, ZERO)), trade.symbol)
            self.seen("gross", limits.max_worst_case, sum(map(abs, amounts), ZERO), trade.symbol)


class Run:
    """Venues that are served and an engine that trades there."""

    def __init__(self, home: Home, raw: Raw, engine: Piped) -> None:
        self.home = home
        self.raw = raw
        self.engine = engine

    def look(self, market: str = "") -> DeskSnapshot:
        return asyncio.run(look(self._socket, View(market)))

    def status(self) -> dict[str, Any]:
        """Now: a line of status may have waited to be read."""
        found: dict[str, Any] = json.loads(asyncio.run(ask(self._socket, Status())).text)
        return found

    def switch_off(self) -> None:
        """Market making and arbitrage; what is open is still hedged."""
        for code in ("mm", "ar"):
            answer = asyncio.run(ask(self._socket, Toggle(STRATEGIES[code], on=False)))
            assert answer.accepted, answer

    def resume(self, venue: str) -> None:
        """If that is possible yet."""
        asyncio.run(ask(self._socket, Resume(venue)))

    @property
    def _socket(self) -> Path:
        return self.home.folder / "hftmm" / "engine.sock"


def trades(venue: str, account: dict[str, Any]) -> Iterator[Trade]:
    for one in account["executions"]:
        symbol = one["symbol"]
        held = Decimal(one["size"]) * (1 if one["side"] == "buy" else -1)
        if ":" not in symbol and symbol.startswith(f"{one['fee_asset']}/"):
            held -= Decimal(one["fee"])
        yield Trade(one["ts_ns"], venue, symbol, one["client_id"][4:6], held, one["maker"])


def worth(account: dict[str, Any]) -> Worth:
    """Of an account in its venue's own books."""
    cash = {
        wallet: {asset: Decimal(amount["total"]) for asset, amount in assets.items()}
        for wallet, assets in account["balances"].items()
    }
    positions = {
        symbol: (Decimal(held["base"]), Decimal(held["entry"]))
        for symbol, held in account["positions"].items()
        if Decimal(held["base"])
    }
    return Worth(cash, positions, len(account["orders"]))


def gained(before: Worth, after: Worth, marks: Mapping[str, Decimal]) -> Decimal:
    """What an account gained, USDT, at the marks of its venue by symbol."""
    total = ZERO
    for wallet, assets in after.cash.items():
        for asset, amount in assets.items():
            change = amount - before.cash[wallet].get(asset, ZERO)
            if change:
                total += change * (Decimal(1) if asset == "USDT" else marks[f"{asset}/USDT"])
    for symbol, (size, entry) in after.positions.items():
        total += size * (marks[symbol] - entry)
    return total


class Reader(Protocol):
    """Says what the three accounts are worth."""

    def read(self) -> dict[str, Worth]: ...


class Ccxt:
    """The reader in the environment of the third-party clients."""

    def __init__(self, file: Path) -> None:
        script = Path(__file__).parent / "clients" / "wealth.py"
        self.process = subprocess.Popen(  # noqa: S603  # our own script
            [CLIENTS, str(script), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> dict[str, Worth]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("now\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the reader ended"
        return {
            venue: Worth(
                {
                    wallet: {asset: Decimal(amount) for asset, amount in assets.items()}
                    for wallet, assets in account["cash"].items()
                },
                {
                    symbol: (Decimal(size), Decimal(entry))
                    for symbol, (size, entry) in account["positions"].items()
                },
                account["orders"],
            )
            for venue, account in json.loads(line).items()
        }

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Raw:
    """The venues' own books, without a client."""

    def __init__(self, control: str) -> None:
        self._control = control

    def read(self) -> dict[str, Worth]:
        return {venue: worth(account) for venue, account in self.accounts().items()}

    def accounts(self) -> dict[str, dict[str, Any]]:
        return {venue: get_json(f"{self._control}/account?venue={venue}") for venue in VENUES}

    def close(self) -> None:
        """Nothing is kept open."""


@contextmanager
def running(folder: Path, config: str) -> Iterator[tuple[Run, dict[Reader, dict[str, Worth]]]]:
    """A run that trades, and what each reader said of the accounts before it began."""
    home = Home.made(folder, config)
    with home.started("venues") as serving, ExitStack() as stack:
        assert serving.process.stdout is not None
        file = folder / "described.json"
        file.write_text(serving.process.stdout.readline())
        raw = Raw(json.loads(file.read_text())["control"])
        readers: list[Reader] = [raw]
        if CLIENTS:
            readers.append(stack.enter_context(closing(Ccxt(file))))
        before = {reader: reader.read() for reader in readers}
        with home.started("--headless", "--venues", str(file)) as engine:
            engine.armed()
            yield Run(home, raw, engine), before
            assert engine.end() == 0, engine.error.read_text()


def settled(run: Run) -> tuple[DeskSnapshot, dict[str, dict[str, Any]]]:
    """Engine and venues once nothing of ours is under way."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        before, desk, accounts = run.raw.accounts(), run.look(), run.raw.accounts()
        hedger = strategy(desk, "hg")
        moving = [row.client_id for row in desk.orders if row.live]
        quiet = not any(account["orders"] for account in accounts.values())
        if quiet and not moving and hedger.state != "hedging" and same(before, accounts):
            return desk, accounts
        assert time.monotonic() < deadline, (moving, hedger)


def same(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> bool:
    return all(len(one[v]["executions"]) == len(other[v]["executions"]) for v in VENUES)


def strategy(desk: DeskSnapshot, code: str) -> StrategyRow:
    return next(row for row in desk.strategies if row.name == STRATEGIES[code])


def check_hedged(desk: DeskSnapshot, done: list[Trade]) -> None:
    """What strategies traded nets to dust, and each fill of a quote says how."""
    net: dict[str, Decimal] = {}
    for trade in done:
        net[trade.symbol] = net.get(trade.symbol, ZERO) + trade.held
    marks = {row.market: Decimal(repr(row.mark)) for row in desk.positions if row.mark}
    for symbol, amount in net.items():
        assert abs(amount) * marks[symbol] < DUST, (symbol, amount)
    for row in desk.fills:
        if row.strategy == STRATEGIES["mm"]:
            assert row.hedge.startswith(("hedged", "netted")) or "residual" in row.hedge, row


def check_money(desk: DeskSnapshot, before: Mapping[str, Worth], after: Mapping[str, Worth]) -> str:
    """Positions, wallets and profit are what the venues say; how far they are apart."""
    rows = {(row.venue, row.market): row for row in desk.positions}
    wallets = {(row.venue, row.wallet or "unified", row.asset): row for row in desk.balances}
    furthest = gain = ZERO
    for venue, account in after.items():
        assert account.orders == 0
        ours = {
            symbol: Decimal(row.size)
            for (where, symbol), row in rows.items()
            if where == venue and ":" in symbol and Decimal(row.size)
        }
        assert ours == {symbol: size for symbol, (size, _) in account.positions.items()}, venue
        for wallet, assets in account.cash.items():
            for asset, amount in assets.items():
                row = wallets.get((venue, wallet, asset))
                ours_there = ZERO if row is None else Decimal(row.total)
                furthest = max(furthest, abs(ours_there - amount))
                assert abs(ours_there - amount) <= PLACES, (venue, wallet, asset)
        marks = {s: Decimal(repr(row.mark)) for (v, s), row in rows.items() if v == venue}
        gain += gained(before[venue], account, marks)
    assert desk.day_pnl is not None
    assert abs(gain - Decimal(repr(desk.day_pnl))) < CENT, (gain, desk.day_pnl)
    return f"gained {gain:.6f}, by our books {desk.day_pnl:.6f}; wallets within {furthest:f}"


def watch(run: Run, peaks: Peaks, seconds: float) -> list[str]:
    """Looks once a second, and resumes what was halted; what it was halted for.

    A machine that is busy with other things may keep a venue from answering in time.
    """
    symbols = peaks.config.markets.symbols
    reasons: list[str] = []
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        run.engine.line()
        line = run.status()
        assert line["state"] in {"ARMED", "HALTED"}, line["state_reason"]
        for row in line["trading"]["strategies"].values():
            assert row["on"], row
        for venue, account in line["trading"]["accounts"].items():
            if account["halted"]:
                reasons.append(f"{venue} halted: {account['halted']}")
                run.resume(venue)
        for symbol in symbols:
            peaks.told(run.look(symbol))
        peaks.counted(run.raw.accounts())
    return reasons


def test_what_is_traded_is_hedged_and_paid_for_as_the_venues_say(tmp_path: Path) -> None:
    config = BOTH.format(making="") if LONG_S else WILD
    with running(tmp_path, config) as (run, before):
        peaks = Peaks(load(tmp_path / "config.toml"))
        reasons = watch(run, peaks, LONG_S or SHORT_S)
        run.switch_off()
        desk, accounts = settled(run)
        done = [*chain.from_iterable(trades(venue, accounts[venue]) for venue in VENUES)]
        by_code = {code: [each for each in done if each.code == code] for code in STRATEGIES}
        money = [
            f"{type(reader).__name__}: {check_money(desk, begun, reader.read())}"
            for reader, begun in before.items()
        ]
        peaks.replayed(done)
        facts = dict(strategy(desk, "hg").facts)
        log = run.engine.error.read_text().splitlines()
    report = [
        *(f"{name}: {len(by_code[code])} trades" for code, name in STRATEGIES.items()),
        f"shots: {desk.arbitrage}",
        f"profit: {desk.pnl_parts}",
        *money,
        *(f"{name}: {value}" for name, value in facts.items()),
        *(f"{name}: {peak}" for name, peak in peaks.known.items()),
        *reasons,
        f"log: {len(log)} lines, of them {sum(' WARNING ' in line for line in log)} warnings and"
        f" {sum(' ERROR ' in line for line in log)} errors",
    ]
    sys.stdout.write("\n".join(report) + "\n")
    check_hedged(desk, done)
    assert len(by_code["mm"]) > 0
    assert len(by_code["ar"]) > 0
    assert {each.code for each in done} <= STRATEGIES.keys()
    for name, peak in peaks.known.items():
        assert peak.used <= peak.limit, (name, peak)
    if LONG_S:
        assert float(facts["time to flat p99"].removesuffix(" ms")) < FLAT_MS
