"""A kill without the engine, which may hang or be dead: at the venues, by REST, from here.

It leaves the latch for the engine to find, tells the engine if that still listens, and at the same
time has every venue cancel, until each one shows no order of this installation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from itertools import chain, repeat
from pathlib import Path
from typing import Final

from hftmm import paths
from hftmm.assembly import practice
from hftmm.assembly.credentials import credentials_in
from hftmm.assembly.practice import Practice
from hftmm.assembly.rest_account import Denied, Door, RestAccount
from hftmm.config import Config
from hftmm.core.errors import ConfigError, MalformedFrame, Unavailable
from hftmm.core.instrument import Listing, Side
from hftmm.core.order import OrderRequest, OrderUpdate, Position, Rejection, TimeInForce
from hftmm.desk.commands import Kill
from hftmm.desk.snapshot import VenueKill
from hftmm.execution.client_ids import ClientIds
from hftmm.risk.flattening import CODE, TRIES, holdings
from hftmm.risk.kill_switch import told
from hftmm.sim.ledger import DEMO
from hftmm.storage.latch import LatchFile
from hftmm.transport.http import HttpClient
from hftmm.transport.link import ask
from hftmm.venues import registry
from hftmm.venues.private import Credentials

REASON: Final = "hftmm kill --direct"
WITHIN_S: Final = 30.0
ENGINE_S: Final = 0.5
"""How long an engine may take to say that it heard; one that hangs never does."""
CONFIRM_S: Final = 0.25
"""Between the list that shows zero and the one that confirms it: what a hung engine had handed to
its sockets may have been on its way."""
PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.0)
AFTER_TRY_S: Final = 0.3
_GONE: Final = frozenset({Rejection.UNKNOWN_ORDER, Rejection.ALREADY_DONE})

Tell = Callable[[str], None]


def doors(
    settings: Config, venues_file: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Door], list[str]]:
    """What opens the account at every venue there is a key of, and why others stay shut, a line
    each: what is wrong with one key must not keep the kill from the other venues.

    Args:
        venues_file: description of practice venues; None takes those that an engine left word of.

    Raises:
        ConfigError: nothing is known of where to kill, or no key is whole.
    """
    mode = settings.engine.mode
    found: Practice | None = None
    if mode == "sim":
        found = _practised(settings, venues_file)
    codecs = registry.codecs(settings)
    hosts = practice.hosts(settings, codecs, found)
    opened: dict[str, Door] = {}
    shut: list[str] = []
    for name, private in registry.private_codecs(settings, codecs).items():
        try:
            key = credentials_in(mode, name, found, environ) if name in hosts else None
        except ConfigError as error:
            shut.append(str(error))
            continue
        if key is not None:
            opened[name] = Door(codecs[name], private, hosts[name], key)
    if not opened:
        nothing = f"mode {mode}: there is no key of any venue, so that nothing can be canceled"
        raise ConfigError("; ".join(shut) or nothing)
    return opened, shut


def _practised(settings: Config, venues_file: Path | None) -> Practice:
    if venues_file is not None:
        found = practice.read_description(venues_file)
    else:
        noted = practice.read_venues(paths.state_folder(settings.engine.state_dir))
        if noted is None or noted[0] != "sim":
            raise ConfigError(
                "mode sim: no engine left word of its practice venues; name them by --venues, "
                "or another --mode"
            )
        found = Practice(noted[1], "")
    if found.credentials is None:
        found = replace(found, credentials=Credentials(DEMO.key, DEMO.secret, DEMO.passphrase))
    return found


async def kill(
    config: Config,
    doors: Mapping[str, Door],
    state: Path,
    socket: Path,
    tell: Tell,
    *,
    flatten: bool = False,
    within_s: float = WITHIN_S,
) -> bool:
    """Kills at every venue at once; one line for each as it is done.

    Args:
        doors: by venue.
        state: the engine's state folder, where the latch is left.
        socket: where the engine would listen.

    Returns:
        Whether every venue shows zero, and, if it was to be flattened, holds no perpetual.
    """
    try:
        LatchFile(state, config.engine.mode).pull(REASON)
        tell("the latch is on the disk: an engine that starts here, or wakes up, is killed")
    except Unavailable as error:
        tell(f"the latch could not be left for the engine: {error}")
    async with HttpClient() as http, asyncio.TaskGroup() as tasks:
        tasks.create_task(_tell_engine(socket, flatten, tell))
        kills = [VenueKiller(config, door, http, tell) for door in doors.values()]
        ends = [tasks.create_task(one.run(within_s, flatten=flatten)) for one in kills]
    return all(end.result() for end in ends)


async def _tell_engine(socket: Path, flatten: bool, tell: Tell) -> None:
    try:
        async with asyncio.timeout(ENGINE_S):
            answer = await ask(socket, Kill(REASON, flatten))
        tell(f"engine: {answer.text}")
    except (Unavailable, TimeoutError) as error:
        tell(f"engine: {error}" if str(error) else f"engine: no answer within {ENGINE_S:g} s")


class VenueKiller:
    """One venue on its way to zero."""

    def __init__(self, config: Config, door: Door, http: HttpClient, tell: Tell) -> None:
        self._account: Final = RestAccount(door, config.markets.symbols, http, time.time_ns)
        self._ids: Final = ClientIds(config.engine.installation, 0, time.time_ns())
        self._cap: Final = Decimal(repr(config.hedging.flatten_slippage_bps)) / 10_000
        self._tell: Final = tell
        self._sent: Final[set[str]] = set()
        self._acked: Final[set[str]] = set()
        self._began_s = 0.0
        self._zero_ms: float | None = None
        self._open: int | None = None
        self._problem = "not asked yet"
        self._held: list[Position] = []

    async def run(self, within_s: float, *, flatten: bool) -> bool:
        """Cancels, verifies, and flattens if that was asked for; a line for each.

        Returns:
            Whether all of that was done in time.
        """
        self._began_s = time.monotonic()
        left = "not verified in time"
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._until_zero()
                self._tell(self._line())
                left = await self._flatten() if flatten else ""
                if flatten:
                    self._tell(f"{self._account.venue}: {left or 'no perpetual is held'}")
        if self._zero_ms is None:
            self._tell(self._line())
        return not left

    # ---- zero ---------------------------------------------------------------------------------

    async def _until_zero(self) -> None:
        for pause_s in chain(PAUSES_S, repeat(PAUSES_S[-1])):
            wait_s = 0.0
            try:
                if await self._cleared():
                    return
            except (Unavailable, MalformedFrame) as error:
                self._problem = str(error)
                wait_s = _wait_s(error)
            await asyncio.sleep(max(wait_s, pause_s))

    async def _cleared(self) -> bool:
        """One round: whether two lists in a row show no order of ours."""
        standing = await (self._ours() if self._account.listings else self._first_word())
        if standing:
            await self._clear(standing)
            standing = await self._ours()
        if standing:
            self._problem = f"{len(standing)} still open there"
            return False
        zero_ms = (time.monotonic() - self._began_s) * 1000.0
        await asyncio.sleep(CONFIRM_S)
        if await self._ours():
            self._problem = "an order appeared after it had shown none"
            return False
        self._zero_ms = zero_ms
        with suppress(Unavailable):
            self._held = await self._account.positions()
        return True

    async def _first_word(self) -> list[OrderUpdate]:
        """Clears whole listings without knowing what stands there; what stood about then."""
        await self._account.open()
        listed, cleared = await asyncio.gather(
            self._ours(), self._clear(()), return_exceptions=True
        )
        if isinstance(cleared, BaseException):
            raise cleared
        if isinstance(listed, BaseException):
            raise listed
        return listed

    async def _ours(self) -> list[OrderUpdate]:
        orders = await self._account.open_orders()
        ours = [order for order in orders if self._ids.owns(order.client_id)]
        self._open = len(ours)
        return ours

    async def _clear(self, orders: Sequence[OrderUpdate]) -> None:
        """Whole listings, and each order by its id, all at once."""
        self._sent.update(order.client_id for order in orders)

        async def whole(listing: Listing) -> None:
            mine = [order for order in orders if order.listing is listing]
            ids = [(order.client_id, order.venue_id) for order in mine]
            for answer in await self._account.clear(listing, ids):
                if answer.accepted:
                    self._acked.update(order.client_id for order in mine)
                elif answer.rejection not in _GONE:
                    self._problem = answer.text

        async def single(order: OrderUpdate) -> None:
            answer = await self._account.cancel(order)
            if answer.accepted or answer.rejection in _GONE:
                self._acked.add(order.client_id)
            else:
                self._problem = answer.text

        work = [whole(listing) for listing in self._account.listings.values()]
        work += [single(order) for order in orders]
        failures = await asyncio.gather(*work, return_exceptions=True)
        for failure in failures:
            if isinstance(failure, BaseException):
                # Each was tried; the list that follows says what came of them.
                if not isinstance(failure, Unavailable):
                    raise failure
                self._problem = str(failure)

    def _line(self) -> str:
        held = holdings([(one.listing, one.size) for one in self._held])
        row = VenueKill(
            self._account.venue,
            len(self._sent),
            len(self._acked),
            self._zero_ms,
            self._open,
            held,
            "" if self._zero_ms is not None else f"not zero: {self._problem}",
        )
        return told(row)

    # ---- flat ---------------------------------------------------------------------------------

    async def _flatten(self) -> str:
        """Closes the perpetuals; what is left and why, one line, "" if nothing is.

        What was traded of spot only the journal knows: that is left to the engine.
        """
        why: dict[str, str] = {}
        for _ in range(TRIES):
            wait_s = 0.0
            try:
                self._held = await self._account.positions()
                if not self._held:
                    return ""
                for position in self._held:
                    why[position.listing.symbol] = await self._close(position)
            except (Unavailable, MalformedFrame) as error:
                why["venue"] = str(error)
                wait_s = _wait_s(error)
            await asyncio.sleep(max(wait_s, AFTER_TRY_S))
        with suppress(Unavailable, MalformedFrame):
            self._held = await self._account.positions()
        if not self._held:
            return ""
        held = holdings([(one.listing, one.size) for one in self._held])
        reasons = "; ".join(f"{name}: {text}" for name, text in why.items() if text)
        return f"{held} left after {TRIES} tries" + (f": {reasons}" if reasons else "")

    async def _close(self, position: Position) -> str:
        """Sends one reducing order within the cap from the mark; why that went wrong, or ""."""
        listing = position.listing
        side: Side = "sell" if position.size > 0 else "buy"
        size = listing.size(abs(position.size))
        if not size or size < listing.min_size:
            return f"below the smallest order {max(listing.lot, listing.min_size):f}"
        if position.entry is None or position.unrealised is None:
            return "the venue tells no mark price of it"
        mark = position.entry + position.unrealised / position.size
        price = listing.price(mark * (1 - self._cap if side == "sell" else 1 + self._cap), side)
        order = OrderRequest(
            self._ids.next(CODE),
            listing,
            side,
            price,
            size,
            time_in_force=TimeInForce.IOC,
            reduce_only=True,
        )
        answer = await self._account.place(order)
        return "" if answer.accepted else answer.text


def _wait_s(error: Exception) -> float:
    """How long the venue wants to be left alone."""
    return error.wait_s if isinstance(error, Denied) else 0.0
