"""`hftmm drill`: something goes wrong on purpose, on practice venues, and what must follow does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from hftmm.assembly.choice import Choice
from hftmm.assembly.drill_stage import LOOK_S, Sight, Stage
from hftmm.core.errors import Unavailable

Probe: TypeAlias = Callable[[Sight], tuple[bool, str]]
"""Whether a sight is as it must be, and what it shows, in a few words."""
Tell: TypeAlias = Callable[[str], None]

WIDTH: Final = 62
LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Do:
    """Something is done. Attributes: words: what."""

    words: str
    action: Callable[[Stage], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Expect:
    """Something must happen.

    Attributes:
        words: what must be so.
        within_s: after what was last done; it may be a number of the config.
        stays_s: how long it must then stay so.
    """

    words: str
    probe: Probe
    within_s: float | Callable[[Sight], float]
    stays_s: float = 0.0


Step: TypeAlias = Do | Expect


@dataclass(frozen=True, slots=True)
class Drill:
    """Attributes:
    name: what it is called on the command line.
    summary: what goes wrong.
    screen: what an operator sees meanwhile.
    config: values in place of the config's own.
    """

    name: str
    summary: str
    screen: str
    steps: Sequence[Step]
    config: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an expectation. Attributes: took_s: from what was done until it was so."""

    wanted: str
    good: bool
    shown: str
    took_s: float

    def __str__(self) -> str:
        verdict = "pass" if self.good else "FAIL"
        shown = self.shown if len(self.shown) <= LONGEST else f"{self.shown[:LONGEST]}…"
        return f"  {verdict}  {self.wanted:<{WIDTH}}  {self.took_s:5.1f} s  {shown}"


@dataclass(slots=True)
class Card:
    """The result of one drill."""

    drill: Drill
    findings: list[Finding] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def good(self) -> bool:
        return bool(self.findings) and all(finding.good for finding in self.findings)

    def __str__(self) -> str:
        held = sum(finding.good for finding in self.findings)
        verdict = "PASS" if self.good else "FAIL"
        return (
            f"{verdict}  {self.drill.name:<20} {held:>2} of {len(self.findings)} held"
            f"  {self.took_s:5.1f} s  {self.drill.summary}"
        )


class Watch:
    """Looks at a stage until something is so, and remembers how far limits were used."""

    def __init__(self, stage: Stage) -> None:
        self._stage: Final = stage
        self._before: Sight | None = None
        self._done_s = time.monotonic()
        self._worst: dict[str, tuple[float, float]] = {}

    async def done(self, step: Do) -> None:
        """Does it; from here on time counts."""
        self._before = await self._look()
        await step.action(self._stage)
        self._done_s = time.monotonic()

    async def met(self, step: Expect) -> Finding:
        """Waits until it is so, and as long as it must stay so."""
        sight = await self._look()
        within_s = step.within_s(sight) if callable(step.within_s) else step.within_s
        words = f"{step.words} within {within_s:g} s" if within_s else step.words
        good_s: float | None = None
        while True:
            good, shown = step.probe(sight)
            now_s = time.monotonic() - self._done_s
            if not good and (good_s is not None or now_s > within_s):
                return Finding(words, False, shown, now_s)
            if good:
                good_s = now_s if good_s is None else good_s
                if now_s - good_s >= step.stays_s:
                    return Finding(words, True, shown, good_s)
            await asyncio.sleep(LOOK_S)
            sight = await self._look()

    def limits(self) -> Finding:
        """Whether any limit was exceeded in what was looked at."""
        over = [name for name, (used, limit) in self._worst.items() if used > limit]
        shown = ", ".join(
            f"{name} {used:g} of {limit:g}" for name, (used, limit) in self._worst.items()
        )
        return Finding("no limit was ever exceeded", not over, shown, 0.0)

    async def _look(self) -> Sight:
        sight = await self._stage.sight(self._before)
        totals = sight.desk.risk_totals
        for name, used, limit in (
            ("worst case", totals.worst_case, totals.worst_case_limit),
            ("net position", abs(totals.position), totals.position_limit),
            ("open orders", totals.open_orders, totals.order_limit),
        ):
            highest, _ = self._worst.get(name, (0.0, 0.0))
            self._worst[name] = max(highest, used), limit
        return sight


async def play(drill: Drill, closing: Sequence[Step], base: Choice, seed: int, tell: Tell) -> Card:
    """Plays one drill; a line for each thing that was done and for what came of it.

    Args:
        closing: steps after its own; they are also taken once one of its own has failed.

    Raises:
        ConfigError: the config cannot be.
    """
    card = Card(drill)
    tell(f"{drill.name}: {drill.summary}")
    tell(f"  see   {drill.screen}")
    begun_s = time.monotonic()
    stage = Stage(base, drill.config, seed)

    def found(finding: Finding) -> None:
        card.findings.append(finding)
        tell(str(finding))

    try:
        async with stage:
            await stage.start()
            watch = Watch(stage)
            for steps in (drill.steps, closing):
                for step in steps:
                    if isinstance(step, Do):
                        tell(f"  do    {step.words}")
                        await watch.done(step)
                        continue
                    finding = await watch.met(step)
                    found(finding)
                    if not finding.good:
                        break
            found(watch.limits())
            defects = stage.logged(" defect ")
            found(Finding("no defect is in the log", not defects, "; ".join(defects[:1]), 0.0))
            stage.keep = not card.good
    except Unavailable as error:
        found(Finding("engine and venues answer", False, str(error), 0.0))
    card.took_s = time.monotonic() - begun_s
    if stage.keep:
        tell(f"  kept  config, logs and journal in {stage.folder}")
    return card


async def drill(
    drills: Sequence[Drill], closing: Sequence[Step], base: Choice, seed: int, tell: Tell
) -> bool:
    """Plays them one after the other and shows a card of all; whether everything held.

    Raises:
        ConfigError: the config cannot be.
    """
    cards = [await play(each, closing, base, seed, tell) for each in drills]
    tell("")
    for card in cards:
        tell(str(card))
        for finding in card.findings:
            if not finding.good:
                tell(str(finding))
    return all(card.good for card in cards)
