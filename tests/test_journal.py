"""What was written is there after a restart, and what cannot be written stops new orders."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from hftmm.core.errors import Unavailable
from hftmm.core.order import Balance, Fill, Funding, OrderState, Rejection
from hftmm.execution.client_ids import number
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening, OpenPosition, Pnl
from hftmm.storage import journal as journal_module
from hftmm.storage import journal_schema
from hftmm.storage.intents import SLOTS, Intent, IntentRing
from hftmm.storage.journal import Journal
from hftmm.venues.effects import Note
from tests.books import SECOND
from tests.orders import PERPETUAL, SPOT, START, Bench, order_fill, order_intent

SOON = 30.0
"""Seconds within which a thread that is well gets there; only a failing test waits for it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def until(happened: Callable[[], object]) -> None:
    """Waits for another thread."""
    deadline = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def resting() -> Order:
    return Bench().rest()


def traded(order: Order, trade_id: str = "t1", fee: str = "0.01", size: str = "0.4") -> Fill:
    return order_fill(order, size, trade_id, fee=fee)


def test_a_live_order_comes_back_as_it_was_last_known(path: Path) -> None:
    order = resting()
    with Journal(path) as journal:
        journal.intended(order, START)
        order.booked = order.filled = Decimal("0.4")
        order.state = OrderState.PARTIALLY_FILLED
        journal.changed(order, START + 1)
        journal.filled(traded(order), START + 1)
    with Journal(path) as journal:
        (back,) = journal.resume().orders
    assert repr(back) == repr(order)
    assert back.listing == order.listing
    for name in ("venue_id", "booked", "strategy", "created_ns", "seen", "time_in_force"):
        assert getattr(back, name) == getattr(order, name), name
    assert back.trades == {"t1"}


def test_a_final_order_does_not_come_back(path: Path) -> None:
    order = resting()
    with Journal(path) as journal:
        journal.intended(order, START)
        order.state, order.rejection = OrderState.REJECTED, Rejection.BALANCE
        journal.changed(order, START + 1)
        assert journal.wait(SOON)
        assert journal.resume().orders == ()
    assert rows(path, "SELECT state, rejection FROM orders") == [("rejected", "balance or margin")]
    assert rows(path, "SELECT count(*) FROM updates") == [(1,)]


def test_a_final_order_that_lacks_fills_comes_back_so_that_they_are_recognised(
    path: Path,
) -> None:
    order = resting()
    order.state, order.filled = OrderState.CANCELED, Decimal("0.4")
    with Journal(path) as journal:
        journal.changed(order, START)
        assert journal.wait(SOON)
        (back,) = journal.resume().orders
    bench = Bench()
    bench.manager.restore(back, bench.now_ns)
    assert bench.manager.filled(order_fill(order, "0.4", client_id=""), bench.now_ns)


def test_a_restart_knows_ids_trades_fills_fundings_and_the_kill_latch(path: Path) -> None:
    order = resting()
    fill = traded(order, fee="")
    funding = Funding(PERPETUAL, "binance", "USDT", Decimal("-0.2"), START, START)
    with Journal(path) as journal:
        journal.intended(order, START)
        journal.filled(fill, START)
        journal.funded(funding, START)
        journal.funded(funding, START)
        journal.killed("by hand", START)
    with Journal(path) as journal:
        resume = journal.resume()
    assert resume.last_id == number(order.client_id)
    assert resume.trades == ((PERPETUAL.key, "t1"),)
    assert resume.last_fill_ns == {PERPETUAL.key: fill.venue_ns}
    assert resume.fills == (fill,)
    assert resume.fundings == (funding,)
    assert resume.killed == "by hand"
    with Journal(path) as journal:
        journal.killed("", START + 1)
    with Journal(path) as journal:
        assert journal.resume().killed == ""


def test_a_trade_is_written_once_and_its_fee_completes_it(path: Path) -> None:
    order = resting()
    with Journal(path) as journal:
        journal.filled(traded(order, fee=""), START)
        journal.filled(traded(order, fee="0.02"), START + 1)
        journal.filled(traded(order, fee="0.07"), START + 2)
        assert journal.wait(SOON)
        (fill,) = journal.resume().fills
    assert fill.fee == Decimal("0.02")


def test_books_go_on_from_the_last_opening(path: Path) -> None:
    order = resting()
    balance = Balance("binance", "linear", "USDT", Decimal(1000), Decimal(1000), START, START)
    held = OpenPosition(PERPETUAL, Decimal(2), Decimal(50), None, Decimal("1.5"))
    with Journal(path) as journal:
        assert journal.resume().opening is None
        journal.filled(traded(order, "before"), START)
        journal.opened(Opening(START, (balance,), (held,), Decimal(3)))
        journal.filled(traded(order, "after"), START)
    with Journal(path) as journal:
        resume = journal.resume()
    assert resume.opening == Opening(START, (balance,), (held,), Decimal(3))
    assert [fill.trade_id for fill in resume.fills] == ["after"]
    assert {trade_id for _, trade_id in resume.trades} == {"before", "after"}


def test_notes_and_marks_are_kept_for_whoever_asks_later(path: Path) -> None:
    pnl = Pnl(Decimal(1), Decimal(2), Decimal(3), Decimal(4))
    with Journal(path) as journal:
        journal.noted(Note("warning", "okx", "refused", "total_position: 2 > 1", START))
        journal.marked(SPOT, Decimal("0.5"), pnl, START)
    assert rows(path, "SELECT event, text FROM notes") == [("refused", "total_position: 2 > 1")]
    assert rows(path, "SELECT position, realised, funding FROM pnl_marks") == [("0.5", "1", "4")]


def test_nobody_else_can_read_it(path: Path) -> None:
    with Journal(path) as journal:
        journal.noted(Note("info", "okx", "x", "y", START))
        assert journal.wait(SOON)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert {"journal.db", "journal.db-wal", "journal.db.intents"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_order_about_to_leave_survives_the_kill_of_the_process(path: Path) -> None:
    source = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from hftmm.storage.journal import Journal\n"
        "from tests.orders import START, Bench\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "bench = Bench()\n"
        "journal.intended(bench.submit(), START)\n"
        "assert journal.wait(30)\n"
        # From here on the thread gets nothing to the disk: only the ring is left.
        "journal._take = lambda entry: None\n"
        "for n in range(20):\n"
        "    journal.intended(bench.submit(), START + n)\n"
        "print(bench.ids.last, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", source, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    with Journal(path) as journal:
        resume = journal.resume()
    assert len(resume.orders) == 21
    assert resume.last_id == int(done.stdout)
    assert {order.state for order in resume.orders} == {OrderState.PENDING_NEW}
    assert resume.orders[-1].request.size == 1


def intent(ns: int, client_id: str = "instmm1") -> Intent:
    return Intent(ns, client_id, "k", "mm", "buy", "1", "2", False, "gtc", False)


def test_the_ring_keeps_the_newest_and_goes_on_after_them_when_opened_again(path: Path) -> None:
    path.parent.mkdir()
    ring = IntentRing(path)
    for ns in range(SLOTS + 5):
        ring.write(intent(ns + 1))
    ring.close()
    again = IntentRing(path)
    again.write(intent(SLOTS + 6))
    stamps = [found.ns for found in again.read()]
    again.close()
    assert stamps == list(range(7, SLOTS + 7))


def test_a_slot_that_was_torn_is_not_read(path: Path) -> None:
    path.parent.mkdir()
    ring = IntentRing(path)
    ring.write(intent(1))
    ring.write(intent(2))
    ring._memory[340:] = bytes(len(ring._memory) - 340)
    assert [found.ns for found in ring.read()] == [1]
    ring.close()


def test_a_locked_file_stops_new_orders_and_nothing_is_lost(path: Path) -> None:
    order = resting()
    with Journal(path) as journal:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        journal.filled(traded(order), START)
        until(lambda: journal.failure)
        assert "locked" in journal.failure
        assert str(path) in journal.failure
        journal.filled(traded(order, "t2"), START)
        other.execute("ROLLBACK")
        other.close()
        assert journal.wait(SOON)
        assert journal.failure == ""
        assert {fill.trade_id for fill in journal.resume().fills} == {"t1", "t2"}


def test_a_full_disk_stops_new_orders_and_loses_no_fill(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = resting()
    real = journal_module._connected
    pages = {"limit": 40}

    def limited(file: Path) -> sqlite3.Connection:
        connection = real(file)
        connection.execute(f"PRAGMA max_page_count = {pages['limit']}")
        return connection

    monkeypatch.setattr(journal_module, "_connected", limited)
    with Journal(path) as journal:
        for count in range(3_000):
            journal.filled(traded(order, f"t{count}"), START)
        until(lambda: journal.failure)
        assert "full" in journal.failure
        pages["limit"] = 1_000_000
        assert journal.wait(SOON)
        assert journal.failure == ""
        assert journal.dropped == 0
        assert len(journal.resume().fills) == 3_000


def test_a_disk_that_is_too_slow_drops_repetitions_and_keeps_what_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "BACKLOG", 50)
    order = resting()
    with Journal(path) as journal:
        journal.intended(order, START)
        assert journal.wait(SOON)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for count in range(40):
            journal.changed(order, START + count)
        journal.filled(traded(order), START)
        assert journal._slow
        assert journal.dropped > 0
        assert journal.failure
        other.execute("ROLLBACK")
        other.close()
        assert journal.wait(SOON)
        assert journal.failure == ""
        assert [fill.trade_id for fill in journal.resume().fills] == ["t1"]


def test_a_journal_that_cannot_be_written_at_the_end_says_how_much_is_missing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.001)
    monkeypatch.setattr(journal_module, "_BUSY_S", 0.001)
    journal = Journal(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    journal.noted(Note("info", "okx", "x", "y", START))
    journal.noted(Note("info", "okx", "x", "z", START))
    assert journal.close() == 2
    assert "locked" in journal.failure
    other.close()


def test_a_newer_journal_another_database_and_a_broken_file_are_refused_in_words(
    path: Path,
) -> None:
    Journal(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {journal_schema.VERSION + 1}")
    connection.close()
    with pytest.raises(Unavailable, match="newer hftmm"):
        Journal(path)
    other = path.with_name("other.db")
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(Unavailable, match="no journal of hftmm"):
        Journal(other)
    noise = path.with_name("noise.db")
    noise.write_bytes(b"not a database at all, but long enough to be one" * 50)
    with pytest.raises(Unavailable, match="not a database"):
        Journal(noise)
    with pytest.raises(Unavailable, match="Is a directory"):
        Journal(path.parent)


def test_a_second_close_is_harmless(path: Path) -> None:
    journal = Journal(path)
    journal.noted(Note("info", "okx", "x", "y", START))
    assert journal.close() == 0
    assert journal.close() == 0


def test_nothing_that_is_journalled_has_a_place_for_a_credential() -> None:
    kept = (Fill, Funding, Note, Opening, OpenPosition, Pnl, Intent)
    names = {name for value in kept for name in value.__struct_fields__} | {*Order.__slots__}
    assert not names & {"key", "secret", "passphrase", "signature", "headers", "body"}


def test_a_resumed_order_is_taken_back_by_the_manager(path: Path) -> None:
    first, second = Bench(), Bench()
    order = first.rest(order_intent("2"))
    with Journal(path) as journal:
        journal.intended(order, START)
        journal.changed(order, START)
        fill = msgspec.structs.replace(traded(order, size="0.5"), client_id="")
        journal.filled(fill, START)
        assert journal.wait(SOON)
        resume = journal.resume()
    second.now_ns += SECOND
    second.manager.restore_fills(resume.trades)
    for back in resume.orders:
        second.manager.restore(back, second.now_ns)
    assert not second.manager.filled(fill, second.now_ns)
    restored = second.manager.order(order.client_id)
    assert restored is not None
    assert (restored.state, restored.at_risk) == (OrderState.UNKNOWN, Decimal("1.5"))
    second.manager._check()
