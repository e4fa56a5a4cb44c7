"""Where a drill plays: practice venues and an engine in processes and a folder of their own."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Final, Self

import msgspec

from hftmm.assembly.choice import Choice
from hftmm.assembly.practice import PATIENCE_S, described
from hftmm.config import VENUES, Config
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Answer, Command, Toggle
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.toml.document import Document
from hftmm.toml.writing import written
from hftmm.transport.children import Child
from hftmm.transport.http import HttpClient
from hftmm.transport.link import ask, look

TRADERS: Final = ("cross mm", "arbitrage")
LOOK_S: Final = 0.03
ZERO: Final = Decimal(0)

TRAFFIC: Final[Mapping[str, object]] = {
    "market_making.enabled": False,
    "market_making.markets": [],
    "market_making.quote_exchanges": list(VENUES),
    "market_making.hedge_exchanges": list(VENUES),
    "market_making.min_edge_bps": -6,
    "market_making.cancel_edge_bps": -8,
    "market_making.target_spread_bps": 0.5,
    "arbitrage.enabled": False,
    "arbitrage.markets": [],
    "limits.max_repeats": 100_000,
    "practice.intensity": 2,
    "practice.dislocations_per_minute": 60,
    "engine.mode": "sim",
    "engine.log_level": "info",
    "engine.on_lost_terminal": "stop",
    "record.file": "",
}
"""What drills put in place of the config's own: quotes that trade, at a loss, within seconds."""


class Order(msgspec.Struct, frozen=True):
    """An open order as its venue has it."""

    client_id: str
    side: str
    symbol: str
    created_ns: int


class Execution(msgspec.Struct, frozen=True):
    """A trade as its venue has it; amounts are base coins, the fee is of `fee_asset`."""

    client_id: str
    symbol: str
    side: str
    size: Decimal
    maker: bool
    fee: Decimal
    fee_asset: str
    ts_ns: int

    @property
    def held(self) -> Decimal:
        """What it changed of what is held, base coins."""
        base = self.symbol.partition("/")[0]
        signed = self.size if self.side == "buy" else -self.size
        spot = ":" not in self.symbol
        return signed - self.fee if spot and self.fee_asset == base else signed


class Amount(msgspec.Struct, frozen=True):
    """A balance. Attributes: total: units of the asset."""

    total: Decimal


class Held(msgspec.Struct, frozen=True):
    """A position. Attributes: base: base coins, negative is short."""

    base: Decimal


class Truth(msgspec.Struct, frozen=True):
    """An account in its venue's own books. Attributes: balances: by wallet and asset."""

    orders: list[Order]
    executions: list[Execution]
    balances: dict[str, dict[str, Amount]]
    positions: dict[str, Held]


_truth: Final = msgspec.json.Decoder(Truth)


class Sight(msgspec.Struct, frozen=True):
    """Engine and venues at one moment.

    Attributes:
        desk: what a terminal would show; the last picture, if the engine is gone.
        truth: by venue, what is so.
        ns: when the accounts were asked for, ns since the epoch.
        ended: how the engine ended, as the rest of a sentence; "" while it runs.
        config: what the engine runs with.
        before: the sight before the last thing that was done; None before the first.
    """

    desk: DeskSnapshot
    truth: Mapping[str, Truth]
    ns: int
    ended: str
    config: Config
    before: Sight | None = None

    @property
    def open_orders(self) -> int:
        """Ours at the venues."""
        return sum(len(account.orders) for account in self.truth.values())

    @property
    def trades(self) -> int:
        """Executions at the venues since they are served."""
        return sum(len(account.executions) for account in self.truth.values())

    def net(self) -> dict[str, Decimal]:
        """What all executions together left, by symbol, base coins."""
        sums: dict[str, Decimal] = {}
        for account in self.truth.values():
            for one in account.executions:
                sums[one.symbol] = sums.get(one.symbol, ZERO) + one.held
        return sums


class Stage:
    """What a drill can do and see. An async context manager; what it started ends with it.

    Attributes:
        folder: config, logs and journal.
        keep: whether the folder stays at the end.
        config: what the engine runs with.
    """

    def __init__(self, base: Choice, overrides: Mapping[str, object], seed: int) -> None:
        """
        Args:
            base: whose limits and parameters are drilled.
            overrides: what this drill puts in place of them and of `TRAFFIC`.

        Raises:
            ConfigError: the config cannot be.
        """
        self.folder: Final = Path(tempfile.mkdtemp(prefix="hftmm-"))
        self.keep = True
        self._file: Final = self.folder / "config.toml"
        self._socket: Final = self.folder / "engine.sock"
        self._described: Final = self.folder / "described.json"
        self._file.write_text(_config(base, overrides, seed, self.folder))
        self.config: Final = Choice(self._file).load()
        self._http: Final = HttpClient()
        self._stack = AsyncExitStack()
        self._control = ""
        self._engine: Child | None = None
        self._desk: DeskSnapshot | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._http)
            log = stack.enter_context((self.folder / "venues.log").open("wb"))
            words = ["venues", "--child", "--config", str(self._file)]
            venues = await Child.start("practice venues", words, log.fileno())
            stack.push_async_callback(venues.stop)
            line = await venues.first_line(PATIENCE_S)
            self._control = described(line, venues).control
            self._described.write_bytes(line)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._engine is not None:
            await self._engine.stop(self.config.engine.stop_within_ms / 1000 + 2)
        await self._stack.aclose()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- what can be done ---------------------------------------------------------------------

    async def start(self) -> None:
        """Starts an engine and waits until each venue agrees with its books.

        Raises:
            Unavailable: that did not happen; one line.
        """
        words = ["--headless", "--child", "--config", str(self._file)]
        words += ["--venues", str(self._described), "--socket", str(self._socket)]
        with (self.folder / "engine.log").open("ab") as log:
            self._engine = await Child.start("engine", words, log.fileno())
        await self._engine.first_line(PATIENCE_S)
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            desk = await self.desk()
            waits = [f"{row.venue}: {row.account}" for row in desk.risk if row.account]
            if desk.trades and desk.state not in {"STARTING", "RECOVERING"} and not waits:
                return
            if time.monotonic() > deadline_s:
                raise Unavailable(f"the engine is {desk.state}; {'; '.join(waits)}")
            await asyncio.sleep(LOOK_S)

    async def trade(self, on: bool) -> None:
        """Switches market making and arbitrage."""
        for name in TRADERS:
            await self.ask(Toggle(name, on))

    async def ask(self, command: Command) -> Answer:
        """
        Raises:
            Unavailable: the engine does not answer, or refuses; one line.
        """
        answer = await ask(self._socket, command)
        if not answer.accepted:
            raise Unavailable(f"the engine refuses: {answer.text}")
        return answer

    async def fault(self, name: str, *venues: str, amount: float | None = None) -> None:
        """Switches a fault of practice venues; `none` ends those that last.

        Raises:
            Unavailable: they do not answer, or know no such fault.
        """
        for venue in venues:
            wish = {"venue": venue, "fault": name, "amount": amount}
            reply = await self._http.request(
                f"{self._control}/faults", method="POST", body=msgspec.json.encode(wish)
            )
            if reply.status != 200:
                raise Unavailable(f"{venue}: {name}: {reply.body.decode(errors='replace')}")

    async def crash(self) -> None:
        """Ends the engine by SIGKILL."""
        assert self._engine is not None
        self._engine.process.kill()
        await self._engine.process.wait()

    async def freeze(self, seconds: float) -> None:
        """Stops the engine for a while; its sockets stay open."""
        assert self._engine is not None
        self._engine.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._engine.process.send_signal(signal.SIGCONT)

    async def lose_terminal(self) -> None:
        """Closes what ties the engine to the terminal that started it."""
        assert self._engine is not None
        assert self._engine.process.stdin is not None
        self._engine.process.stdin.close()

    # ---- what can be seen ---------------------------------------------------------------------

    async def sight(self, before: Sight | None = None) -> Sight:
        """How things are.

        Raises:
            Unavailable: the engine lives and does not answer, or the venues do not.
        """
        desk = await self.desk()
        ns = time.time_ns()
        truth: dict[str, Truth] = {}
        for venue in VENUES:
            reply = await self._http.request(f"{self._control}/account?venue={venue}")
            truth[venue] = _truth.decode(reply.body)
        return Sight(desk, truth, ns, self._ended, self.config, before)

    @property
    def _ended(self) -> str:
        return "" if self._engine is None else self._engine.ended

    def logged(self, word: str) -> list[str]:
        """Lines of the engine's log with a word in them."""
        text = (self.folder / "engine.log").read_text(errors="replace")
        return [line for line in text.splitlines() if word in line]

    async def desk(self) -> DeskSnapshot:
        """What a terminal would show; the last picture, if the engine is gone.

        Raises:
            Unavailable: the engine lives and does not answer.
        """
        try:
            self._desk = await look(self._socket)
        except Unavailable:
            # One that is ending leaves its socket before its process is gone.
            if self._desk is None or not await self._ending():
                raise
        return self._desk

    async def _ending(self) -> bool:
        assert self._engine is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._engine.process.wait()
        return bool(self._ended)


def _config(base: Choice, overrides: Mapping[str, object], seed: int, folder: Path) -> str:
    """The base's own config with what the drill needs, as TOML."""
    document = Document.read(base.path)
    first = base.load().markets.symbols[0]
    own = {"practice.seed": seed, "engine.state_dir": str(folder)}
    document.override({**TRAFFIC, "markets.symbols": [first], **overrides, **own})
    # A drill meets no venue but those that it serves.
    for name in base.load().venues:
        document.override({f"venues.{name}.enabled": name in VENUES, f"venues.{name}.hosts": {}})
    return written(document.tree)
