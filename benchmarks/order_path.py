"""CPU from a decision to the bytes of its order at the socket, for each venue and kind.

    python -m benchmarks.order_path [--rounds 30] [--clients .venv-clients/bin/python]

A headless engine with its journal, logged in at served practice venues. A decision is an
`OrderIntent`; then come the review of every risk rule, the order manager, the journal's intent, the
venue's frame and its signature, and the write to the connection's socket. The same for a cancel.
Orders leave in bursts that the venues' rate limits allow. Nothing waits on this path, so that the
median of elapsed time is CPU; the clock of the thread's own CPU time costs more than a stage here.
Beside it what ccxt.pro spends on the same order, in a loop of nothing else, from create_order_ws to
the text it would send, where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import uvloop

from hftmm.assembly.choice import Choice
from hftmm.assembly.station import assemble
from hftmm.core.instrument import Listing
from hftmm.core.order import OrderIntent
from hftmm.engine.trading import Trading
from hftmm.execution.order import Order
from hftmm.strategy.base import BY_HAND
from hftmm.transport.driver import Driver

TARGET_US = 60.0
BURST = 7
"""Orders of a listing at once: what the narrowest budget allows a strategy in a second."""
PAUSE_S = 2.0
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT")
CONFIG = f"""
[engine]
log_level = "error"
[markets]
symbols = {json.dumps(SYMBOLS)}
[limits]
max_orders_per_s = 10_000
max_open_orders = 2_000
max_worst_case = 100
""" + "".join(f"[venues.{name}]\nmax_open_orders = 500\n" for name in ("binance", "bybit", "okx"))
STAGES = ("risk", "manager, journal", "frame, signature", "socket")


@dataclass
class Spent:
    """Microseconds by stage, of each order, and of each cancel."""

    stages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})
    orders: list[float] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)


async def measure(driver: Driver, rounds: int) -> dict[str, Spent]:
    """Medians are taken of what this gathers, by venue and kind."""
    # An engine says its state when asked, and calls nobody.
    while driver.engine.state != "ARMED":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    trading = driver.engine.trading
    assert trading is not None
    listings = [listing for account in trading.accounts.values() for listing in account.listings]
    found = {f"{each.venue} {each.kind.value}": Spent() for each in listings}
    # As a headless engine does once it stands.
    gc.collect()
    gc.freeze()
    number = 0
    for turn in range(rounds):
        placed: list[Order] = []
        # The first of a burst finds nothing in the caches: each listing takes its turn.
        for at in range(len(listings)):
            listing = listings[(turn + at) % len(listings)]
            for _ in range(BURST):
                number += 1
                spent = found[f"{listing.venue} {listing.kind.value}"]
                placed.append(_order(driver, trading, listing, number, spent))
        await asyncio.sleep(PAUSE_S / 2)
        for order in placed:
            listing = order.listing
            _cancel(driver, trading, order, found[f"{listing.venue} {listing.kind.value}"])
        await asyncio.sleep(PAUSE_S / 2)
        refused = [order for order in placed if not order.state.final or not order.seen]
        assert not refused, refused
    return found


def _order(driver: Driver, trading: Trading, listing: Listing, number: int, spent: Spent) -> Order:
    book = trading.order_book(listing)
    assert book is not None
    price = listing.price(book.depth(0, 1)[0][0] * (0.99 - number % 500 * 1e-5), "buy")
    intent = OrderIntent(BY_HAND, listing, "buy", price, Decimal("0.01"), post_only=True)
    clock, cpu_ns = driver.clock, time.perf_counter_ns
    began = cpu_ns()
    now_ns = clock()
    assert not trading.shut(listing, urgent=False)
    verdict = trading.risk.review(intent, now_ns)
    reviewed = cpu_ns()
    order = trading.manager.submit(verdict, now_ns)  # type: ignore[arg-type]  # checked below
    submitted = cpu_ns()
    trading.flush(now_ns)
    built = cpu_ns()
    driver._carry_out_all()
    sent = cpu_ns()
    assert isinstance(order, Order), order
    moments = (began, reviewed, submitted, built, sent)
    for name, begun, ended in zip(STAGES, moments, moments[1:], strict=False):
        spent.stages[name].append((ended - begun) / 1e3)
    spent.orders.append((sent - began) / 1e3)
    return order


def _cancel(driver: Driver, trading: Trading, order: Order, spent: Spent) -> None:
    began = time.perf_counter_ns()
    now_ns = driver.clock()
    assert trading.cancel(order.client_id, now_ns)
    trading.flush(now_ns)
    driver._carry_out_all()
    spent.cancels.append((time.perf_counter_ns() - began) / 1e3)


def beside(clients: Path, description: Path, rounds: int) -> dict[str, float]:
    """What ccxt.pro spends; empty where it is not installed."""
    if not clients.exists():
        return {}
    script = Path(__file__).with_name("ccxt_orders.py")
    done = subprocess.run(  # noqa: S603 - our own script
        [clients, script, description, str(rounds)], stdout=subprocess.PIPE, check=False
    )
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--clients", type=Path, default=Path(".venv-clients/bin/python"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.toml"
        config.write_text(CONFIG)
        os.environ["XDG_STATE_HOME"] = name
        venues = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hftmm", "venues", "--config", str(config), stdout=subprocess.PIPE
        )
        assert venues.stdout is not None
        description = folder / "described.json"
        description.write_bytes(await venues.stdout.readline())
        choice = Choice(config)
        async with AsyncExitStack() as stack:
            stack.callback(venues.terminate)
            driver = await assemble(choice.load(), choice, description, stack)
            running = asyncio.create_task(driver.run())
            found = await measure(driver, options.rounds)
            driver.stopping.set()
            await running
            rival = await asyncio.to_thread(
                beside, options.clients, description, options.rounds * BURST
            )
    _print(found, rival)


def _print(found: dict[str, Spent], rival: dict[str, float]) -> None:
    print(f"decision to bytes, us, median of {len(next(iter(found.values())).orders)}")
    columns = (*STAGES, "order", "p90", "cancel", "ccxt.pro")
    print(f"{'':16}" + "".join(f"{name:>18}" for name in columns))
    for name, spent in found.items():
        median = statistics.median
        values = [median(spent.stages[stage]) for stage in STAGES]
        values += [median(spent.orders), statistics.quantiles(spent.orders, n=10)[8]]
        row = "".join(f"{value:18.1f}" for value in (*values, median(spent.cancels)))
        ccxt = f"{rival[name]:18.1f}" if name in rival else f"{'n/a':>18}"
        print(f"{name:16}{row}{ccxt}")
    worst = max(statistics.median(spent.orders) for spent in found.values())
    print(f"slowest {worst:.1f} us, target {TARGET_US:.0f} us")


if __name__ == "__main__":
    uvloop.run(main())
