"""A person at the desk of a simulated world: does what a schedule says, and puts things right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hftmm.config import Config
from hftmm.desk import commands
from hftmm.desk.commands import Answer, Command
from hftmm.engine.parameters import parameters
from hftmm.engine.trading import Trading
from hftmm.risk.kill_switch import WORD
from hftmm.sim.invariants import Inspector
from hftmm.sim.schedule import SETTINGS, STRATEGIES, Episode
from hftmm.venues.codec import SECOND

PATIENCE_NS: Final = 8 * SECOND
"""How long something stays stopped that stopped by itself."""


class Operator:
    """Kills and re-arms, halts and resumes, switches and sets.

    Attributes:
        leaving: the two strategies that open positions are to stay off from now on.
    """

    def __init__(
        self, config: Config, inspector: Inspector, ask: Callable[[Command], Answer]
    ) -> None:
        """
        Args:
            config: what every engine starts with.
            ask: gives a command to the engine that runs.
        """
        self.leaving = False
        self._inspector: Final = inspector
        self._ask: Final = ask
        self._usual: Final = {each.key: each.value for each in parameters(config)}
        self._armed_again_ns = 0
        # Until when something stays as it is: venues, strategies, keys.
        self._halted: Final[dict[str, int]] = {}
        self._off: Final[dict[str, int]] = {}
        self._set: Final[dict[str, int]] = {}

    def forget(self) -> None:
        """The engine crashed: the next one begins as the config says, but for the kill."""
        self._halted.clear()
        self._off.clear()
        self._set.clear()

    def begin(self, deed: Episode) -> None:
        """Does it."""
        number = int(deed.amount)
        match deed.name:
            case "kill" | "flatten":
                self._armed_again_ns = max(self._armed_again_ns, deed.end_ns)
                self._inspector.latched_ns = self._inspector.latched_ns or deed.start_ns
                self._ask(commands.Kill("a drill", deed.name == "flatten"))
            case "halt":
                self._ask(commands.Halt(deed.venue))
                self._halted[deed.venue] = deed.end_ns
            case "toggle":
                self._switch(STRATEGIES[number % len(STRATEGIES)], on=False)
                self._off[STRATEGIES[number % len(STRATEGIES)]] = deed.end_ns
            case "set":
                key, value = SETTINGS[number % len(SETTINGS)]
                if self._ask(commands.Set(key, value)).accepted:
                    self._set[key] = deed.end_ns

    def tend(self, trading: Trading, now_ns: int) -> None:
        """Undoes what is over, and puts right what stopped by itself; about once a second."""
        for key in [key for key, end_ns in self._set.items() if now_ns >= end_ns]:
            del self._set[key]
            self._ask(commands.Set(key, self._usual[key]))
        if self._inspector.latched_ns:
            if now_ns < self._armed_again_ns or not self._ask(commands.Rearm(WORD)).accepted:
                return
            self._inspector.latched_ns = 0
            self._off.clear()
        if trading.recovering:
            return
        for venue in [*trading.risk.halted]:
            over_ns = self._halted.setdefault(venue, now_ns + PATIENCE_NS)
            flat = trading.hedger.unhedged_ms(now_ns) is None
            if now_ns >= over_ns and flat and self._ask(commands.Resume(venue)).accepted:
                del self._halted[venue]
        for strategy in trading.strategies:
            opens = strategy is not trading.hedger
            if strategy.on:
                if self.leaving and opens:
                    self._switch(strategy.name, on=False)
                continue
            over_ns = self._off.setdefault(strategy.name, now_ns + PATIENCE_NS)
            if (now_ns >= over_ns and not self.leaving) or (self.leaving and not opens):
                del self._off[strategy.name]
                self._switch(strategy.name, on=True)

    def hurry(self) -> None:
        """Whatever lasts is over."""
        self._armed_again_ns = 0
        for lasting in (self._halted, self._off, self._set):
            lasting.update(dict.fromkeys(lasting, 0))

    def _switch(self, name: str, *, on: bool) -> None:
        self._ask(commands.Toggle(name, on))
        self._inspector.restart_clocks()
