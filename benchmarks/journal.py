"""What the journal costs the path of an order, and what it sustains.

Order events arrive at a fixed rate: an approval, an ack, an update, a fill, an update, each timed
from the call into the order manager to its return. Once without a journal, once with one on the
file system of `--folder`. Prints one table. `python -m benchmarks.journal [--rate N] [--seconds S]`
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from hftmm.core.order import Fill, OrderState
from hftmm.execution.order import Order
from hftmm.storage.journal import Journal
from hftmm.venues.effects import Note
from tests.orders import START, Bench, Witness, accepted, approved, order_fill, order_intent
from tests.orders import order_update as update


class Journalled(Witness):
    """Passes everything on to a journal; without one, to nobody."""

    def __init__(self, journal: Journal | None) -> None:
        super().__init__()
        self.journal = journal

    def intended(self, order: Order, now_ns: int) -> None:
        if self.journal is not None:
            self.journal.intended(order, now_ns)

    def changed(self, order: Order, now_ns: int) -> None:
        if self.journal is not None:
            self.journal.changed(order, now_ns)

    def filled(self, fill: Fill, order: Order | None, now_ns: int) -> None:
        if self.journal is not None:
            self.journal.filled(fill, now_ns)

    def noted(self, note: Note) -> None:
        if self.journal is not None:
            self.journal.noted(note)


class Orders:
    """The five events of one order after another."""

    def __init__(self, journal: Journal | None) -> None:
        self.bench = Bench(witness=Journalled(journal))
        self.intent = approved(order_intent())
        self.count = 0
        self.order: Order | None = None
        self.name = ""

    def event(self, now_ns: int) -> None:
        manager = self.bench.manager
        step = self.count % 5
        self.count += 1
        if step == 0:
            order = manager.submit(self.intent, now_ns)
            assert isinstance(order, Order), str(order)
            self.order, self.name = order, f"v{self.count}"
            self.place = manager.drain()[0]
            return
        assert self.order is not None
        if step == 1:
            manager.answered(self.place, accepted(self.order, self.name), now_ns)  # type: ignore[arg-type]  # a Place
        elif step == 2:
            manager.updated(update(self.order, OrderState.OPEN, at=now_ns), now_ns)
        elif step == 3:
            manager.filled(order_fill(self.order, "1", f"t{self.count}"), now_ns)
        else:
            manager.updated(update(self.order, OrderState.FILLED, "1", at=now_ns), now_ns)


def measure(journal: Journal | None, rate: int, seconds: float) -> tuple[list[float], int]:
    """Microseconds of each event at the rate, and the largest backlog."""
    orders = Orders(journal)
    taken: list[float] = []
    backlog = 0
    started = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        while (now := time.perf_counter()) < due:
            time.sleep(min(due - now, 0.001))
        begun = time.perf_counter()
        orders.event(START + number * 1_000_000_000 // rate)
        taken.append((time.perf_counter() - begun) * 1e6)
        if journal is not None:
            backlog = max(backlog, journal.backlog)
            assert not journal.failure, journal.failure
    return sorted(taken[len(taken) // 10 :]), backlog


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2_000, help="order events a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--folder", type=Path, default=None, help="where the journal is written")
    wanted = parser.parse_args()
    print(f"{wanted.rate} order events a second for {wanted.seconds:g} s, microseconds an event")
    print(f"{'':>14} {'p50':>7} {'p90':>7} {'p99':>7} {'p99.9':>8} {'max':>8} {'backlog':>8}")
    for name in ("no journal", "with journal"):
        with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
            if name == "no journal":
                row(name, *measure(None, wanted.rate, wanted.seconds))
                continue
            journal = Journal(Path(folder) / "journal.db")
            row(name, *measure(journal, wanted.rate, wanted.seconds))
            begun = time.perf_counter()
            missing = journal.close()
            ended = (time.perf_counter() - begun) * 1e3
            print(f"all written {ended:.0f} ms after the last event, {missing} missing")


def row(name: str, taken: list[float], backlog: int) -> None:
    """One line of the table."""
    marks = [taken[min(int(len(taken) * share), len(taken) - 1)] for share in (0.5, 0.9, 0.99)]
    marks += [taken[min(int(len(taken) * 0.999), len(taken) - 1)], taken[-1]]
    print(
        f"{name:>14} {marks[0]:>7.1f} {marks[1]:>7.1f} {marks[2]:>7.1f} {marks[3]:>8.1f} "
        f"{marks[4]:>8.1f} {backlog:>8}"
    )


if __name__ == "__main__":
    main()
