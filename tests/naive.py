"""A second book builder, deliberately naive: dicts of Decimal, sorted when asked.

It shares nothing with hftmm: its own reading of captures, the standard library's JSON, and each
venue's rule as the venue's documentation numbers it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Key = tuple[str, str, str]
"""(venue, route, the venue's symbol)"""
Side = dict[Decimal, Decimal]


@dataclass(frozen=True)
class Line:
    """One line of a capture."""

    ns: int
    venue: str
    route: str
    body: Any


@dataclass
class NaiveBook:
    """One book.

    Attributes:
        id: the update id applied last, None before a snapshot.
        texts: price as a number -> the strings the level came in, for OKX's checksum.
        touches: (id, best bid and ask with their sizes) after each message applied.
    """

    id: int | None = None
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    texts: dict[Decimal, tuple[str, str]] = field(default_factory=dict)
    held: list[Any] = field(default_factory=list)
    snapshots: int = 0
    deltas: int = 0
    skipped: int = 0
    gaps: int = 0
    crossed: int = 0
    verified: int = 0
    mismatched: int = 0
    touches: list[tuple[int, tuple[Decimal, ...]]] = field(default_factory=list)

    def replace(self, bids: Any, asks: Any) -> None:
        self.bids, self.asks = {}, {}
        self.snapshots += 1
        self.change(bids, asks)

    def change(self, bids: Any, asks: Any) -> None:
        for side, rows in ((self.bids, bids), (self.asks, asks)):
            for price, size, *_ in rows:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                    self.texts[Decimal(price)] = (price, size)
                else:
                    side.pop(Decimal(price), None)
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            self.crossed += 1

    def best_bids(self, depth: int) -> list[tuple[Decimal, Decimal]]:
        return sorted(self.bids.items(), reverse=True)[:depth]

    def best_asks(self, depth: int) -> list[tuple[Decimal, Decimal]]:
        return sorted(self.asks.items())[:depth]

    def note_touch(self) -> None:
        (bid,), (ask,) = self.best_bids(1), self.best_asks(1)
        assert self.id is not None
        self.touches.append((self.id, (*bid, *ask)))

    def checksum(self) -> int:
        """OKX, "Checksum": 25 levels a side, alternating, joined by colons, signed CRC32."""
        bids = [":".join(self.texts[price]) for price, _ in self.best_bids(25)]
        asks = [":".join(self.texts[price]) for price, _ in self.best_asks(25)]
        parts = []
        for k in range(25):
            parts += bids[k : k + 1] + asks[k : k + 1]
        crc = zlib.crc32(":".join(parts).encode())
        return crc if crc < 2**31 else crc - 2**32


def lines(path: Path) -> Iterator[Line]:
    """The lines of a capture."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for text in file:
            ns, venue, route, body = text.rstrip("\n").split(" ", 3)
            yield Line(int(ns), venue, route, json.loads(body))


def books(path: Path) -> dict[Key, NaiveBook]:
    """Every book of a capture, as it stands at its end."""
    built: dict[Key, NaiveBook] = {}
    for line in lines(path):
        match line.venue:
            case "binance":
                _binance(line, built)
            case "bybit":
                _bybit(line, built)
            case "okx":
                _okx(line, built)
    return built


def tickers(path: Path) -> dict[Key, list[tuple[int, tuple[Decimal, ...]]]]:
    """Binance `bookTicker`: (update id, bid, size, ask, size) in the order sent."""
    found: dict[Key, list[tuple[int, tuple[Decimal, ...]]]] = {}
    for line in lines(path):
        if str(line.body.get("stream", "")).endswith("@bookTicker"):
            said = line.body["data"]
            quote = tuple(Decimal(said[name]) for name in ("b", "B", "a", "A"))
            key = (line.venue, line.route, said["s"])
            found.setdefault(key, []).append((said["u"], quote))
    return found


def _binance(line: Line, built: dict[Key, NaiveBook]) -> None:
    market = line.route.split(".")[0]
    if "rest" in line.body:
        url = urlsplit(line.body["rest"])
        if url.path.endswith("/depth"):
            symbol = parse_qs(url.query)["symbol"][0]
            book = built.setdefault((line.venue, f"{market}.public", symbol), NaiveBook())
            _join(book, line.body["body"], linear=market == "linear")
    elif "@depth" in line.body["stream"]:
        event = line.body["data"]
        book = built.setdefault((line.venue, line.route, event["s"]), NaiveBook())
        if book.id is None:
            book.held.append(event)
        else:
            _follow(book, event, linear=market == "linear")


def _join(book: NaiveBook, snapshot: Any, *, linear: bool) -> None:
    """ "How to manage a local order book": drop what the snapshot has, begin at what meets it."""
    last = snapshot["lastUpdateId"]
    fresh = [e for e in book.held if (e["u"] >= last if linear else e["u"] > last)]
    if fresh and fresh[0]["U"] > last + (0 if linear else 1) and fresh[0].get("pu") != last:
        return
    book.skipped += len(book.held) - len(fresh)
    book.held = []
    book.id = last
    book.replace(snapshot["bids"], snapshot["asks"])
    for event in fresh:
        _follow(book, event, linear=linear)


def _follow(book: NaiveBook, event: Any, *, linear: bool) -> None:
    assert book.id is not None
    first = book.deltas == 0
    if event["u"] < book.id or (not linear and event["u"] == book.id):
        book.skipped += 1
        return
    if first:
        connects = event["U"] <= book.id + (0 if linear else 1) or event.get("pu") == book.id
    else:
        connects = event["pu"] == book.id if linear else event["U"] == book.id + 1
    if not connects:
        book.gaps += 1
        return
    book.id = event["u"]
    book.deltas += 1
    book.change(event["b"], event["a"])
    book.note_touch()


def _bybit(line: Line, built: dict[Key, NaiveBook]) -> None:
    if not str(line.body.get("topic", "")).startswith("orderbook."):
        return
    data = line.body["data"]
    book = built.setdefault((line.venue, line.route, data["s"]), NaiveBook())
    if line.body["type"] == "snapshot" or data["u"] == 1:
        book.replace(data["b"], data["a"])
    elif book.id is None or data["u"] != book.id + 1:
        book.gaps += 1
        return
    else:
        book.deltas += 1
        book.change(data["b"], data["a"])
    book.id = data["u"]


def _okx(line: Line, built: dict[Key, NaiveBook]) -> None:
    if line.body.get("arg", {}).get("channel") != "books" or "data" not in line.body:
        return
    book = built.setdefault((line.venue, line.route, line.body["arg"]["instId"]), NaiveBook())
    for row in line.body["data"]:
        if line.body["action"] == "snapshot":
            book.replace(row["bids"], row["asks"])
        else:
            # There were no sequence ids in 2022.
            if row.get("prevSeqId", book.id) != book.id:
                book.gaps += 1
            book.deltas += 1
            book.change(row["bids"], row["asks"])
        book.id = row.get("seqId", 0)
        if row["checksum"] == book.checksum():
            book.verified += 1
        else:
            book.mismatched += 1
