"""Every recording through the whole path, against a book builder that shares nothing with it."""

from __future__ import annotations

import bisect
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from hftmm.config import Config
from hftmm.storage.replay import Replay
from tests import naive
from tests.recordings import recording

LINEAR_4 = "binance_linear_4symbols_20210722.txt.gz"
LINEAR_ETH = "binance_linear_ETHUSDT_20240808.txt.gz"
SPOT_4 = "binance_spot_4symbols_20211012.txt.gz"
SPOT_ETH = "binance_spot_ETHUSDT_20240808.txt.gz"
BYBIT = "bybit_linear_XRPUSDT_20241201.txt.gz"
OKX = "okx_3instruments_checksums_20220513.txt.gz"
RECORDINGS = [LINEAR_4, LINEAR_ETH, SPOT_4, SPOT_ETH, BYBIT, OKX]
BOOKS = {LINEAR_4: 4, LINEAR_ETH: 1, SPOT_4: 4, SPOT_ETH: 1, BYBIT: 1, OKX: 3}
DEPTH = 25

pytestmark = pytest.mark.long


@lru_cache(maxsize=len(RECORDINGS))
def played(path: Path) -> Replay:
    replay = Replay(Config(), [path])
    replay.play()
    return replay


@lru_cache(maxsize=len(RECORDINGS))
def built(path: Path) -> dict[naive.Key, naive.NaiveBook]:
    return naive.books(path)


def reported(name: str) -> list[dict[str, Any]]:
    books = played(recording(name)).report(DEPTH)["books"]
    assert isinstance(books, list)
    assert len(books) == BOOKS[name]
    return books


def naive_book(name: str, book: dict[str, Any]) -> naive.NaiveBook:
    return built(recording(name))[book["venue"], book["route"], book["venue_symbol"]]


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_best_levels_and_the_counts_equal_the_naive_books(name: str) -> None:
    for book in reported(name):
        other = naive_book(name, book)
        for side, best in (("bids", other.best_bids), ("asks", other.best_asks)):
            assert book[side] == [(float(price), float(size)) for price, size in best(DEPTH)]
        assert book["levels"] == [len(other.bids), len(other.asks)]
        assert (book["snapshots"], book["deltas"]) == (other.snapshots, other.deltas)
        assert book["skipped"] == other.skipped


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_level_equals_the_naive_books(name: str) -> None:
    books = played(recording(name)).report(100_000)["books"]
    assert isinstance(books, list)
    for book in books:
        other = naive_book(name, book)
        assert book["bids"] == [(float(p), float(s)) for p, s in other.best_bids(100_000)]
        assert book["asks"] == [(float(p), float(s)) for p, s in other.best_asks(100_000)]


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_gap_no_crossing_and_nothing_malformed(name: str) -> None:
    for book in reported(name):
        assert book["valid"]
        assert book["seeded"]
        assert (book["gaps"], book["crossed"], book["resyncs"]) == (0, 0, 0)
        other = naive_book(name, book)
        assert (other.gaps, other.crossed) == (0, 0)
    sessions = played(recording(name)).engine.exchanges.sessions
    assert not any(session.malformed for session in sessions.values())


@pytest.mark.parametrize("name", RECORDINGS)
def test_only_the_recording_without_definitions_has_its_grid_inferred(name: str) -> None:
    assert {book["inferred"] for book in reported(name)} == {name == BYBIT}


def test_every_recorded_checksum_verifies() -> None:
    books = reported(OKX)
    assert sum(book["checksums_verified"] for book in books) == 290
    assert sum(book["checksum_failures"] for book in books) == 0
    others = built(recording(OKX)).values()
    assert sum(other.verified for other in others) == 290
    assert sum(other.mismatched for other in others) == 0


@pytest.mark.parametrize("name", [LINEAR_ETH, SPOT_ETH, LINEAR_4])
def test_the_touch_equals_the_quote_of_the_same_update_after_every_delta(name: str) -> None:
    """The last `bookTicker` up to a delta's id says what the delta leaves as best."""
    path = recording(name)
    compared = 0
    quotes = naive.tickers(path)
    for key, other in built(path).items():
        said = quotes[key]
        ids = [update_id for update_id, _ in said]
        for update_id, touch in other.touches:
            at = bisect.bisect_right(ids, update_id) - 1
            if at >= 0:
                assert touch == said[at][1], (key, update_id)
                compared += 1
    assert compared > 500


@pytest.mark.parametrize("name", [LINEAR_ETH, SPOT_ETH])
def test_the_touch_after_every_frame_is_that_of_the_newest_of_levels_and_quotes(name: str) -> None:
    path = recording(name)
    replay = Replay(Config(), [path])
    (session,) = replay.engine.exchanges.sessions.values()
    (depth,) = session.depths.values()
    (said,) = naive.tickers(path).values()
    quotes = {update_id: tuple(map(float, quote)) for update_id, quote in said}
    seen = 0
    for frame in replay.contents.frames[:6_000]:
        replay.step(frame)
        book = depth.book
        if book.valid and book.top is not None:
            touch = (book.bid, book.bid_size, book.ask, book.ask_size)
            assert touch == quotes[book.top.sequence_id]
            seen += 1
    assert seen > 1_000


def test_a_damaged_frame_in_the_middle_leaves_no_book_valid_and_wrong() -> None:
    """Binance's book cannot come back without a snapshot, and this recording has no second one."""
    replay = Replay(Config(), [recording(LINEAR_ETH)])
    frames = replay.contents.frames
    at = next(n for n, frame in enumerate(frames) if n > 5_000 and b"@depth" in frame.body)
    for frame in frames[:at]:
        replay.step(frame)
    for frame in frames[at + 1 : at + 200]:
        replay.step(frame)
    books = replay.report(1)["books"]
    assert isinstance(books, list)
    (book,) = books
    assert (book["valid"], book["gaps"]) == (False, 1)
