"""What a first look at a recording finds out before its books are built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hftmm.config import Config
from hftmm.core.errors import CaptureError
from hftmm.storage.replay import Replay
from tests.frames import binance, bybit, compact

SECOND = 1_000_000_000
DEFINITION = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5.0"},
    ],
}
URL = "https://api.binance.com/api/v3"


def rest(path: str, body: Any) -> bytes:
    return compact({"rest": URL + path, "body": body})


def snapshot(bids: list[list[str]], asks: list[list[str]], final: int = 10) -> bytes:
    body = {"lastUpdateId": final, "bids": bids, "asks": asks}
    return rest("/depth?symbol=BTCUSDT&limit=1000", body)


def spot(before: int, final: int, bids: list[tuple[str, str]]) -> bytes:
    return binance(first=before + 1, final=final, prev=-1, bids=bids)


def replayed(folder: Path, *lines: tuple[str, str, bytes]) -> dict[str, Any]:
    """The one book of a capture of these (venue, route, body)."""
    path = folder / "capture.txt"
    text = [f"{(n + 1) * SECOND} {v} {r} {b.decode()}\n" for n, (v, r, b) in enumerate(lines)]
    path.write_text("".join(text))
    replay = Replay(Config(), [path])
    replay.play()
    books = replay.report(5)["books"]
    assert isinstance(books, list)
    (book,) = books
    assert isinstance(book, dict)
    return book


def test_a_snapshot_with_orders_off_the_tick_has_its_book_on_a_finer_grid(tmp_path: Path) -> None:
    book = replayed(
        tmp_path,
        ("binance", "spot.rest", snapshot([["100.01", "1"], ["99.0055", "2"]], [["101", "1"]])),
        ("binance", "spot.rest", rest("/exchangeInfo", {"symbols": [DEFINITION]})),
        ("binance", "spot.public", spot(9, 11, [("100.02", "1")])),
        ("binance", "spot.rest", snapshot([["100.01", "1"], ["99.0055", "2"]], [["101", "1"]])),
    )
    assert (book["valid"], book["inferred"], book["snapshots"]) == (True, False, 1)
    assert book["bids"] == [(100.02, 1.0), (100.01, 1.0), (99.0055, 2.0)]


def test_zeros_behind_the_last_digit_make_no_grid_finer(tmp_path: Path) -> None:
    path = tmp_path / "capture.txt"
    frames = [
        bybit(final=5, bids=[("1.2300", "1")], asks=[("1.5000", "1")], kind="snapshot"),
        bybit(final=6, bids=[("1.2340", "1")]),
    ]
    path.write_text(
        "".join(f"{n} bybit linear.public {frame.decode()}\n" for n, frame in enumerate(frames))
    )
    replay = Replay(Config(), [path])
    (stream,) = replay.contents.streams.values()
    assert (stream.feed.listing.decimals, stream.feed.listing.inferred) == (3, True)


def test_an_undefined_instrument_gets_the_grid_of_all_its_frames(tmp_path: Path) -> None:
    book = replayed(
        tmp_path,
        ("bybit", "linear.public", bybit(final=5, bids=[("1", "1")], kind="snapshot")),
        ("bybit", "linear.public", bybit(final=6, bids=[("1.5", "1")])),
        ("bybit", "linear.public", bybit(final=7, bids=[("1.50001", "1")])),
    )
    assert (book["valid"], book["inferred"], book["seeded"]) == (True, True, True)
    assert book["bids"] == [(1.50001, 1.0), (1.5, 1.0), (1.0, 1.0)]
    assert book["deltas"] == 2


def test_a_damaged_frame_tells_nothing_about_the_grid(tmp_path: Path) -> None:
    damaged = bybit(final=7, bids=[("1.5001", "1"), ("one", "1")])
    path = tmp_path / "capture.txt"
    frames = [bybit(final=5, bids=[("1.2", "1")], kind="snapshot"), damaged]
    path.write_text(
        "".join(f"{n} bybit linear.public {frame.decode()}\n" for n, frame in enumerate(frames))
    )
    replay = Replay(Config(), [path])
    (stream,) = replay.contents.streams.values()
    assert stream.feed.listing.decimals == 1
    replay.play()
    books = replay.report(1)["books"]
    assert isinstance(books, list)
    assert not books[0]["valid"]


def test_a_stream_without_any_snapshot_begins_with_its_first_delta(tmp_path: Path) -> None:
    book = replayed(
        tmp_path,
        ("binance", "spot.public", spot(9, 10, [("100.02", "1")])),
        ("binance", "spot.public", spot(10, 11, [("100.1", "2")])),
    )
    assert (book["seeded"], book["valid"], book["snapshots"], book["deltas"]) == (
        False,
        True,
        0,
        2,
    )
    assert book["skipped"] == 0, "what the book begins with is applied, and nothing else is"
    assert book["bids"] == [(100.1, 2.0), (100.02, 1.0)]


def test_a_stream_without_any_snapshot_may_begin_with_a_damaged_frame(tmp_path: Path) -> None:
    book = replayed(
        tmp_path,
        ("binance", "spot.public", spot(8, 9, [("one", "1")])),
        ("binance", "spot.public", spot(9, 10, [("100.02", "1")])),
    )
    assert (book["seeded"], book["valid"], book["deltas"]) == (False, True, 1)


def test_a_snapshot_is_one_wherever_its_frame_says_so(tmp_path: Path) -> None:
    data = {"s": "BTCUSDT", "b": [[f"1{n}.0", "1"] for n in range(100)], "a": [], "u": 5, "seq": 5}
    frame = {"topic": "orderbook.1000.BTCUSDT", "data": data, "ts": 1, "type": "snapshot"}
    book = replayed(tmp_path, ("bybit", "spot.public", compact(frame)))
    assert (book["seeded"], book["snapshots"], book["deltas"]) == (True, 1, 0)


def test_of_two_depths_of_one_instrument_the_first_makes_its_book(tmp_path: Path) -> None:
    def deeper(final: int, kind: str, price: str) -> tuple[str, str, bytes]:
        frame = bybit(final=final, bids=[(price, "5")], kind=kind)
        return "bybit", "linear.public", frame.replace(b"orderbook.50.", b"orderbook.500.")

    book = replayed(
        tmp_path,
        ("bybit", "linear.public", bybit(final=5, bids=[("100.1", "1")], kind="snapshot")),
        deeper(5, "snapshot", "90"),
        deeper(6, "delta", "91"),
        ("bybit", "linear.public", bybit(final=6, bids=[("100.2", "1")])),
    )
    assert (book["snapshots"], book["deltas"], book["skipped"], book["gaps"]) == (1, 1, 0, 0)
    assert book["bids"] == [(100.2, 1.0), (100.1, 1.0)]


def test_after_a_gap_without_a_later_snapshot_the_book_ends_invalid(tmp_path: Path) -> None:
    book = replayed(
        tmp_path,
        ("binance", "spot.public", spot(9, 10, [("100.02", "1")])),
        ("binance", "spot.public", spot(20, 21, [("100.1", "2")])),
    )
    assert (book["valid"], book["gaps"]) == (False, 1)


def test_definitions_that_cannot_be_read_are_an_error_in_words(tmp_path: Path) -> None:
    path = tmp_path / "capture.txt"
    line = rest("/exchangeInfo", {"symbols": 5}).decode()
    path.write_text(f"1 binance spot.rest {line}\n")
    with pytest.raises(CaptureError, match="instrument definitions cannot be read"):
        Replay(Config(), [path])


def test_a_request_refused_at_first_is_read_from_its_later_answer(tmp_path: Path) -> None:
    refusal = {"code": -1003, "msg": "Too many requests."}
    book = replayed(
        tmp_path,
        ("binance", "spot.rest", rest("/exchangeInfo", refusal)),
        ("binance", "spot.rest", rest("/exchangeInfo", {"symbols": [DEFINITION]})),
        ("binance", "spot.rest", rest("/depth?symbol=BTCUSDT&limit=1000", refusal)),
        ("binance", "spot.public", spot(9, 11, [("100.02", "1")])),
    )
    assert (book["inferred"], book["valid"]) == (False, True)
    assert (book["seeded"], book["snapshots"]) == (False, 0), "a refusal is no snapshot"


def test_a_capture_of_nothing_we_know_is_an_error_in_words(tmp_path: Path) -> None:
    path = tmp_path / "capture.txt"
    path.write_text(f"1 binance spot.public {json.dumps({'stream': 'x@kline_1m'})}\n")
    with pytest.raises(CaptureError, match="nothing in the capture"):
        Replay(Config(), [path])
