"""The journal: what was sent, what became of it, what was traded, in SQLite.

The caller only appends to a queue; a thread of its own writes. Nothing but our own structs of
orders, fills and money comes here, none of which has a place for a credential.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, TypeAlias

import msgspec

from hftmm.core.errors import Unavailable
from hftmm.core.instrument import Listing
from hftmm.core.order import Fill, Funding, OrderState
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening, Pnl
from hftmm.storage import journal_schema as schema
from hftmm.storage.intents import Intent, IntentRing
from hftmm.storage.resume import Resume, read_resume
from hftmm.venues.effects import Note

BACKLOG: Final = 20_000
"""Entries in memory from which on the disk counts as too slow."""
BATCH: Final = 200
"""Entries a transaction. Small, so that the thread lets go of the interpreter often."""
GATHER_S: Final = 0.01
"""How long entries gather before the thread looks. Woken by each, it would take the interpreter
from the very order that it writes down; what was sent is safe in the ring meanwhile.
"""
RETRY_S: Final = 0.25
_BUSY_S: Final = 0.25
_CLOSING_TRIES: Final = 8
_KEPT_STATES: Final = frozenset(
    state for state in OrderState if state.final or state is OrderState.PENDING_NEW
)
"""States of which a slow disk drops no row: without one an order would not be found again."""

Value: TypeAlias = str | int | Decimal | None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One statement. Attributes: kept: it is kept in memory even when the disk is too slow.
    durable: it is forced through to the disk, not only to the kernel.
    """

    statement: str
    values: tuple[Value, ...]
    kept: bool = True
    durable: bool = False


class Journal:
    """Writes everything of orders and money, from a thread of its own.

    When the disk is full, locked, gone or too slow, `failure` says so: no new order may leave
    while it does. What was taken stays in memory and is tried again; of what a slow disk drops,
    only repetitions of states and marks, `dropped` keeps the count. A failure that passes clears
    itself.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the file, mode 0600, and its ring of intents beside it.

        Raises:
            Unavailable: it cannot be had, is no journal, or one of a newer hftmm.
        """
        self.path: Final = path
        self.dropped = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror or error}") from error
        self._connection = _opened(path)
        self._intents: Final = IntentRing(path.with_name(f"{path.name}.intents"))
        self._listings: Final[dict[str, Listing]] = {}
        self._queue: Final[SimpleQueue[Entry | threading.Event | None]] = SimpleQueue()
        # Each is counted by one thread alone, so that they need no lock.
        self._taken = 0
        self._written = 0
        self._disk = ""
        self._slow = False
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def failure(self) -> str:
        """Why new orders must wait, one line; "" while all is well."""
        if self._disk:
            return self._disk
        if self._slow:
            if self.backlog > BACKLOG // 2:
                return f"{self.path}: the disk is too slow, {self.backlog} entries wait"
            self._slow = False
        return ""

    @property
    def backlog(self) -> int:
        """Entries taken and not on disk yet."""
        return self._taken - self._written

    # ---- what is written ----------------------------------------------------------------------

    def intended(self, order: Order, now_ns: int) -> None:
        """An order is about to leave. When this returns, a kill of the process cannot lose it; the
        row of it comes with `changed`.
        """
        self._intents.write(
            Intent(
                now_ns,
                order.client_id,
                self._known(order.listing),
                order.strategy,
                order.side,
                str(order.price),
                str(order.size),
                order.post_only,
                order.time_in_force,
                order.reduce_only,
            )
        )

    def changed(self, order: Order, now_ns: int) -> None:
        """An order changed."""
        kept = order.state in _KEPT_STATES
        self._take(Entry(schema.ORDER, self._order(order, now_ns), kept))
        self._take(
            Entry(
                schema.UPDATE,
                (
                    now_ns,
                    order.client_id,
                    order.state.value,
                    order.filled,
                    order.price,
                    order.size,
                    order.text,
                ),
                kept=False,
            )
        )

    def filled(self, fill: Fill, now_ns: int) -> None:
        """A trade of ours, or its fee that was told later; written once by its id."""
        self._take(
            Entry(
                schema.FILL,
                (
                    self._known(fill.listing),
                    fill.trade_id,
                    fill.client_id,
                    fill.venue_id,
                    fill.side,
                    fill.price,
                    fill.size,
                    fill.fee,
                    fill.fee_asset,
                    fill.maker,
                    fill.venue_ns,
                    fill.received_ns,
                    now_ns,
                ),
            )
        )

    def funded(self, funding: Funding, now_ns: int) -> None:
        """A funding payment."""
        listing = "" if funding.listing is None else self._known(funding.listing)
        stamps = (funding.venue_ns, funding.received_ns, now_ns)
        money = (funding.venue, listing, funding.asset, funding.amount)
        self._take(Entry(schema.FUNDING, (*money, *stamps)))

    def noted(self, note: Note) -> None:
        """A refusal, a limit, anything of risk that a person may ask about later."""
        self._take(Entry(schema.NOTE, (note.ns, note.level, note.venue, note.event, note.text)))

    def killed(self, reason: str, now_ns: int) -> None:
        """The kill latch was pulled (a reason) or armed again (""); forced through to the disk."""
        self._take(Entry(schema.KILL, (now_ns, reason), durable=True))

    def marked(self, listing: Listing, position: Decimal, pnl: Pnl, now_ns: int) -> None:
        """What a listing has made by now."""
        made = (pnl.realised, pnl.unrealised, pnl.fees, pnl.funding)
        values = (now_ns, self._known(listing), position, *made)
        self._take(Entry(schema.PNL, values, kept=False))

    def opened(self, opening: Opening) -> None:
        """New books: a restart counts from here."""
        ns = opening.ns
        for balance in opening.balances:
            values = (ns, balance.venue, balance.wallet, balance.asset, balance.total)
            self._take(Entry(schema.OPENING_BALANCE, values))
        for held in opening.positions:
            key = self._known(held.listing)
            row = (ns, key, held.size, held.entry, held.mark, held.made)
            self._take(Entry(schema.OPENING_POSITION, row))
        # Last: the books count from the moment that this row is there, with all that came before.
        self._take(Entry(schema.OPENING, (ns, opening.peak), durable=True))

    # ---- reading and ending -------------------------------------------------------------------

    def resume(self) -> Resume:
        """What a restart needs to know; call it before anything is written.

        Raises:
            Unavailable: the file cannot be read.
        """
        connection = sqlite3.connect(self.path, timeout=5, isolation_level=None)
        try:
            return read_resume(connection, self._intents.read())
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from error
        finally:
            connection.close()

    def wait(self, seconds: float) -> bool:
        """Waits until everything taken so far is written; False if that took longer."""
        done = threading.Event()
        self._queue.put(done)
        self._hurry.set()
        return done.wait(seconds)

    def close(self) -> int:
        """Writes what is left. May be called again.

        Returns:
            Entries that could not be written. Fills among them are not lost: they were never
            booked here, so that the next start asks the venue for them.
        """
        if not self._closing.is_set():
            self._closing.set()
            self._queue.put(None)
            self._hurry.set()
        self._thread.join()
        self._intents.close()
        return self.backlog

    # -------------------------------------------------------------------------------------------

    def _take(self, entry: Entry) -> None:
        if not self._slow and self.backlog > BACKLOG:
            self._slow = True
        if self._slow and not entry.kept and self.failure:
            self.dropped += 1
            return
        self._taken += 1
        self._queue.put(entry)
        if entry.durable:
            self._hurry.set()

    def _known(self, listing: Listing) -> str:
        """Writes the definition of a listing before the first row that names it."""
        if self._listings.get(listing.key) is not listing:
            self._listings[listing.key] = listing
            named = {f.name: getattr(listing, f.name) for f in fields(listing) if f.init}
            text = msgspec.json.encode(named).decode()
            self._take(Entry(schema.LISTING, (listing.key, text)))
        return listing.key

    def _order(self, order: Order, now_ns: int) -> tuple[Value, ...]:
        return (
            order.client_id,
            self._known(order.listing),
            order.strategy,
            order.side,
            order.price,
            order.size,
            order.post_only,
            order.time_in_force.value,
            order.reduce_only,
            order.created_ns,
            order.venue_id,
            order.state.value,
            # A final one is wanted back too while trades of it are missing: a fill that does not
            # carry our id could not be recognised without it.
            order.live or order.filled > order.booked,
            order.filled,
            order.venue_ns,
            "" if order.rejection is None else order.rejection.value,
            order.text,
            now_ns,
        )

    def _run(self) -> None:
        """The thread: batches of whatever waits, each one transaction, until it is written."""
        queue = self._queue
        ended = False
        while not ended:
            batch: list[Entry] = []
            waiters: list[threading.Event] = []
            while not ended and not waiters and len(batch) < BATCH:
                try:
                    item = queue.get_nowait()
                except Empty:
                    break
                if item is None:
                    ended = True
                elif isinstance(item, threading.Event):
                    waiters.append(item)
                else:
                    batch.append(item)
            if not batch and not waiters and not ended:
                self._hurry.wait(GATHER_S)
                self._hurry.clear()
                continue
            if not self._write_until_done(batch):
                break
            for waiter in waiters:
                waiter.set()
        self._connection.close()

    def _write_until_done(self, batch: list[Entry]) -> bool:
        tries = 0
        while batch:
            try:
                self._write(batch)
                break
            except sqlite3.Error as error:
                self._disk = f"{self.path}: {error}; new orders wait, nothing is lost"
                tries = tries + 1 if self._closing.is_set() else 0
                if tries >= _CLOSING_TRIES:
                    return False
                self._reopen()
                if not self._closing.wait(RETRY_S):
                    continue
                time.sleep(RETRY_S)
        self._written += len(batch)
        self._disk = ""
        return True

    def _write(self, batch: list[Entry]) -> None:
        connection = self._connection
        durable = any(entry.durable for entry in batch)
        if durable:
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for entry in batch:
                plain = [str(value) if type(value) is Decimal else value for value in entry.values]
                connection.execute(entry.statement, plain)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            if durable:
                connection.execute("PRAGMA synchronous = NORMAL")

    def _reopen(self) -> None:
        """A connection that failed may stay broken after the disk is well again."""
        try:
            fresh = _connected(self.path)
        except sqlite3.Error:
            return
        self._connection.close()
        self._connection = fresh


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a journal of this version, made or migrated as needed."""
    try:
        connection = _connected(path)
    except sqlite3.Error as error:
        raise Unavailable(f"{path}: {error}") from error
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != schema.APPLICATION:
            raise Unavailable(f"{path}: a database, but no journal of hftmm; name another file")
        if version > schema.VERSION:
            raise Unavailable(
                f"{path}: written by a newer hftmm (journal {version}, this one knows "
                f"{schema.VERSION}); update hftmm or name another file"
            )
        for number, script in enumerate(schema.MIGRATIONS[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; "
                f"PRAGMA application_id = {schema.APPLICATION}; COMMIT;"
            )
    except sqlite3.Error as error:
        connection.close()
        raise Unavailable(f"{path}: {error}") from error
    except Unavailable:
        connection.close()
        raise
    return connection
