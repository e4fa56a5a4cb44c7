"""The kernel that reads depth frames, held to the general decoders and to the venues' rules."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hftmm.book.kernels import APPLIED, NEVER, STATE_ID, VENUE_MS
from hftmm.book.order_book import OrderBook
from hftmm.config import Config
from hftmm.core.errors import MalformedFrame
from hftmm.core.events import BookDelta, Verdict
from hftmm.storage.captures import read
from hftmm.storage.replay import Survey
from hftmm.venues.codec import Feed, FeedKind, Layout, VenueCodec
from hftmm.venues.scan import DECLINED, LOOK, SIDE_ROOM, DepthScanner
from tests.books import LISTING, delta
from tests.frames import BYBIT, LINEAR, OKX, SPOT, STREAMS, Stream, binance, bybit, compact, okx
from tests.recordings import recording

ROOT = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
NOW = 77

RECORDINGS = [
    "binance_linear_4symbols_20210722.txt.gz",
    "binance_linear_ETHUSDT_20240808.txt.gz",
    "binance_spot_4symbols_20211012.txt.gz",
    "binance_spot_ETHUSDT_20240808.txt.gz",
    "bybit_linear_XRPUSDT_20241201.txt.gz",
    "okx_3instruments_checksums_20220513.txt.gz",
]
DOCUMENTED = [
    (SPOT, "binance/spot_depth.json"),
    (LINEAR, "binance/linear_depth.json"),
    (BYBIT, "bybit/linear_depth_delta.json"),
    (BYBIT, "bybit/linear_depth_snapshot.json"),
    (BYBIT, "bybit/spot_depth_delta.json"),
    (BYBIT, "bybit/spot_depth_snapshot.json"),
    (OKX, "okx/books_snapshot.json"),
    (OKX, "okx/books_update.json"),
    (OKX, "okx/books_heartbeat.json"),
    (OKX, "okx/books_2022.json"),
]


def scanned(codec: VenueCodec, feed: Feed, frame: bytes) -> BookDelta | None:
    """What the kernel alone makes of a frame; None if it leaves it to the general decoder."""
    scanner = DepthScanner(OrderBook(feed.listing), codec.layout(feed.listing))
    # A book that no message follows: the frame is read and not applied.
    flags = scanner.advance(frame)
    assert flags in (DECLINED, LOOK)
    return None if flags == DECLINED else scanner.delta(NOW)


def decoded(codec: VenueCodec, feed: Feed, frame: bytes) -> BookDelta | None:
    """What the general decoder makes of it; None if that is not one book."""
    try:
        events = codec.decode_market(feed, frame, NOW)
    except MalformedFrame:
        return None
    match events:
        case [BookDelta() as event]:
            return event
        case _:
            return None


def values(message: BookDelta) -> tuple[object, ...]:
    """Everything a message says, with its arrays as bytes: 0.1 + 0.2 is not 0.3 here."""
    return (
        message.listing,
        message.ticks.tobytes(),
        message.sizes.tobytes(),
        message.n_bids,
        message.count,
        message.first_id,
        message.final_id,
        message.prev_id,
        message.state_id,
        message.venue_ns,
        message.received_ns,
        message.snapshot,
        message.complete,
        message.checksum,
    )


def in_the_documented_envelope(stream: Stream, frame: bytes) -> bytes:
    """The values of the layout's keys, wherever they stand, in a frame of the documented shape."""
    found: dict[str, Any] = {}
    wanted = {key.decode() for key in _keys(stream.codec.layout(stream.listing)) if key}

    def note(pairs: list[tuple[str, Any]]) -> None:
        for name, value in pairs:
            if name in wanted:
                assert name not in found, f"the kernel took a frame with {name} twice"
                found[name] = value

    json.loads(frame, object_pairs_hook=note)

    def number(name: str) -> int:
        return int(found[name])

    if stream is BYBIT:
        rows = {"b": found["b"], "a": found["a"], "u": number("u"), "seq": number("seq")}
        return compact({"type": found["type"], "ts": number("ts"), "data": rows})
    if stream is OKX:
        row = {"bids": found["bids"], "asks": found["asks"], "ts": str(number("ts"))}
        row |= {"seqId": number("seqId"), "prevSeqId": number("prevSeqId")}
        row |= {"checksum": number("checksum")} if "checksum" in found else {}
        return compact({"action": found["action"], "data": [row]})
    event = {"e": "depthUpdate", "U": number("U"), "u": number("u")}
    event |= {"b": found["b"], "a": found["a"]}
    event |= {"E": number("E")} if stream is SPOT else {"T": number("T"), "pu": number("pu")}
    return compact({"data": event})


def _keys(layout: Layout) -> list[bytes]:
    return [
        layout.bids,
        layout.asks,
        layout.final_id,
        layout.first_id,
        layout.prev_id,
        layout.state_id,
        layout.venue_ms,
        layout.checksum,
        layout.kind,
    ]


def check(stream: Stream, frame: bytes) -> bool:
    """Holds the kernel to the general decoder; whether the kernel took the frame."""
    mine = scanned(stream.codec, stream.feed, frame)
    if mine is None:
        return False
    theirs = decoded(stream.codec, stream.feed, frame)
    if theirs is None:
        # See the module's docstring: it must be for something the kernel does not look at.
        theirs = decoded(stream.codec, stream.feed, in_the_documented_envelope(stream, frame))
    assert theirs is not None
    assert values(mine) == values(theirs)
    return True


# -- real and documented frames -----------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_frames_are_read_as_the_general_decoder_reads_them(name: str) -> None:
    config = Config()
    path = recording(name)
    contents = Survey(config).look(read(path, tuple(config.venues)))
    streams = {
        (venue, cut): stream.feed
        for (venue, _, cut), stream in contents.streams.items()
        if stream.feed.kind is FeedKind.DEPTH
    }
    codecs = {stream.codec.venue: stream.codec for stream in STREAMS}
    taken = left = 0
    for frame in contents.frames:
        codec = codecs[frame.venue]
        start = codec.cut.start
        feed = streams.get(
            (frame.venue, frame.body[start : frame.body.find(codec.cut.stop, start)])
        )
        if frame.is_rest or feed is None or taken > 1_500:
            continue
        mine, theirs = scanned(codec, feed, frame.body), decoded(codec, feed, frame.body)
        assert theirs is not None
        if mine is None:
            left += 1
        else:
            assert values(mine) == values(theirs)
            taken += 1
    if "okx" in name:
        # Recorded before there were sequence ids: none of it may pass unseen.
        assert (taken, left) == (0, 290)
    elif "bybit" in name:
        assert (taken, left) == (49, 1)
    else:
        assert left == 0
        assert taken >= 150


@pytest.mark.parametrize(("stream", "name"), DOCUMENTED)
def test_documented_frames_are_read_as_the_general_decoder_reads_them(
    stream: Stream, name: str
) -> None:
    frame = (FIXTURES / name).read_bytes().strip()
    assert decoded(stream.codec, stream.feed, frame) is not None
    assert check(stream, frame) is not ("snapshot" in name or "2022" in name)


# -- mutated frames -----------------------------------------------------------------------------

PRICES = ["60000.0", "60000.10", "59999.99", "0.01", "123456.7", "0060000.50", "7"]
AMOUNTS = ["0", "0.000", "1.5", "0.00000001", "340", "12345678.87654321", "0.1", "0.3"]
TOKENS = [
    *(bytes([c]) for c in b'"[]{},:0159.-+eE \\tn\x00\x7f\xff'),
    b'"u":7,',
    b'"b":[],',
    b'"pu":-1,',
    b'"type":"snapshot",',
    b'"x":null,',
    b'"x":{"y":[true,-0.5,{}]},',
    b"null",
    b"true",
    b"1e5",
    b"9" * 17,
    b"9" * 30,
    "é".encode(),
    b"\\u0062",
    b"[]",
    b'[["1","2"]]',
    b'["1","2"],',
    b"0.000000000000000000000001",
]
rows = st.lists(st.tuples(st.sampled_from(PRICES), st.sampled_from(AMOUNTS)), max_size=4)
places = st.floats(0, 1, exclude_max=True)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("byte"), places, st.integers(0, 255)),
        st.tuples(st.just("digit"), places, st.integers(0, 9)),
        st.tuples(st.just("insert"), places, st.sampled_from(TOKENS)),
        st.tuples(st.just("over"), places, st.sampled_from(TOKENS)),
        st.tuples(st.just("delete"), places, st.integers(1, 12)),
        st.tuples(st.just("double"), places, st.integers(1, 30)),
        st.tuples(st.just("cut"), places, st.just(0)),
        st.tuples(st.just("space"), places, st.just(0)),
        st.tuples(st.just("keys"), places, st.integers(0, 99)),
        st.tuples(st.just("name"), places, st.sampled_from([b"b", b"u", b"ts", b"zz", b""])),
        st.tuples(
            st.just("number"),
            places,
            st.sampled_from([b"0", b"1", b"-1", b"01", b"1.5", b"1e3", b"9" * 18, b"9" * 19]),
        ),
    ),
    max_size=3,
)
Edit = tuple[str, float, Any]


def written(
    stream: Stream,
    ids: tuple[int, int],
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
) -> bytes:
    return stream.write(*ids, bids, asks)


def mutated(frame: bytes, changes: list[Edit]) -> bytes:
    for kind, place, how in changes:
        at = int(place * len(frame))
        match kind:
            case "byte":
                frame = frame[:at] + bytes([how]) + frame[at + 1 :]
            case "digit":
                digits = [i for i, c in enumerate(frame) if 48 <= c <= 57]
                if digits:
                    at = digits[int(place * len(digits))]
                    frame = frame[:at] + b"%d" % how + frame[at + 1 :]
            case "insert":
                frame = frame[:at] + how + frame[at:]
            case "over":
                frame = frame[:at] + how + frame[at + len(how) :]
            case "delete":
                frame = frame[:at] + frame[at + how :]
            case "double":
                frame = frame[: at + how] + frame[at:]
            case "cut":
                frame = frame[:at]
            case "space":
                frame = frame.replace(b",", b", ", 1 + int(place * 5))
            case "keys":
                frame = _shuffled(frame, how)
            case "name":
                names = [part for part in frame.split(b'"') if part.isalpha()]
                if names:
                    frame = frame.replace(names[int(place * len(names))], how, 1)
            case "number":
                starts = [
                    i + 1 for i in range(len(frame)) if frame[i : i + 1] == b":" and _bare(frame, i)
                ]
                if starts:
                    start = starts[int(place * len(starts))]
                    stop = start
                    while frame[stop : stop + 1].isdigit() or frame[stop : stop + 1] == b"-":
                        stop += 1
                    frame = frame[:start] + how + frame[stop:]
    return frame


def _bare(frame: bytes, colon: int) -> bool:
    after = frame[colon + 1 : colon + 2]
    return after.isdigit() or after == b"-"


def _shuffled(frame: bytes, seed: int) -> bytes:
    chance = random.Random(seed)

    def shuffle(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffle(inner)) for name, inner in value.items()]
            chance.shuffle(items)
            return dict(items)
        return [shuffle(inner) for inner in value] if isinstance(value, list) else value

    try:
        return compact(shuffle(json.loads(frame)))
    except (ValueError, RecursionError):
        return frame


@settings(max_examples=1_500)
@given(
    st.sampled_from(STREAMS),
    st.tuples(st.integers(0, 10**15), st.integers(1, 10**15)),
    rows,
    rows,
    edits,
)
@example(OKX, (5, 6), [("60000.0", "1.5")], [], [("name", 0.99, b"zz")])
@example(LINEAR, (5, 6), [("60000.0", "1.5")], [], [("number", 0.3, b"0")])
def test_a_frame_the_kernel_takes_is_read_as_the_general_decoder_reads_it(
    stream: Stream,
    ids: tuple[int, int],
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
    changes: list[Edit],
) -> None:
    frame = mutated(written(stream, ids, bids, asks), changes)
    took = check(stream, frame)
    if not changes:
        assert took is (ids[1] > 1)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_mutated_frames_are_neither_all_taken_nor_all_declined(stream: Stream) -> None:
    taken = sum(check(stream, frame) for frame in mutations(stream, 600))
    assert 50 < taken < 550


def mutations(stream: Stream, count: int) -> list[bytes]:
    """Frames changed in one to three places, the same every time."""
    chance = random.Random(f"{stream.name} mutations")
    frames = []
    for n in range(count):
        both = [
            [(chance.choice(PRICES), chance.choice(AMOUNTS)) for _ in range(chance.randrange(4))]
            for _ in range(2)
        ]
        changes: list[Edit] = []
        for _ in range(chance.randrange(1, 4)):
            kind = chance.choice(["byte", "digit", "digit", "insert", "over", "keys", "name"])
            how: Any = chance.choice(TOKENS)
            if kind == "byte":
                how = chance.randrange(256)
            elif kind in ("digit", "keys"):
                how = chance.randrange(10)
            changes.append((kind, chance.random(), how))
        frames.append(mutated(stream.write(n, n + 1, both[0], both[1]), changes))
    return frames


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_frame_cut_off_anywhere_is_declined(stream: Stream) -> None:
    frame = stream.write(5, 6, [("60000.0", "1.5")], [("60001.0", "0")])
    assert all(scanned(stream.codec, stream.feed, frame[:n]) is None for n in range(len(frame)))
    assert scanned(stream.codec, stream.feed, frame + b"}") is None


@pytest.mark.parametrize(
    ("price", "size"),
    [
        ("1e5", "1"),
        ("-1", "1"),
        ("+1", "1"),
        (".5", "1"),
        ("5.", "1"),
        ("", "1"),
        ("1_0", "1"),
        ("60000.001", "1"),
        ("9" * 18, "1"),
        ("1", "1e2"),
        ("1", "-1"),
        ("1", ""),
        ("1", "."),
        ("1", "9" * 17),
        ("1", "9007199254740993"),
        ("1", "0." + "0" * 18 + "1"),
        ("٣", "1"),
    ],
)
def test_a_number_that_is_not_plain_is_left_to_the_general_decoder(price: str, size: str) -> None:
    for stream in STREAMS:
        frame = stream.write(5, 6, [(price, size)], [])
        assert scanned(stream.codec, stream.feed, frame) is None


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (b"true", True),
        (b"false", True),
        (b"null", True),
        (b"-0.5", True),
        (b"0", True),
        (b'"text"', True),
        (b'{"y":[]}', True),
        (b"tru", False),
        (b"falsy", False),
        (b"nul", False),
        (b"1.", False),
        (b"01", False),
        (b"-", False),
        (b"1e5", False),
        (b"", False),
        (b"[1,]", False),
        (b"[1}", False),
        (b'"\t"', False),
    ],
)
def test_what_no_one_asked_for_must_still_be_json(value: bytes, valid: bool) -> None:
    for stream in STREAMS:
        frame = stream.write(5, 6, [("1", "1")], []).replace(b"{", b'{"x":' + value + b",", 1)
        assert check(stream, frame) is valid


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_stamp_of_zero_is_left_to_the_general_decoder_which_may_know_another(
    stream: Stream,
) -> None:
    frame = stream.write(5, 6, [], [])
    for name in (b'"E":7', b'"T":5', b'"ts":5', b'"ts":"5"'):
        frame = frame.replace(name, name.replace(b"7", b"0").replace(b"5", b"0"))
    assert scanned(stream.codec, stream.feed, frame) is None
    assert decoded(stream.codec, stream.feed, frame) is not None


def test_zeros_beyond_the_grid_are_on_it() -> None:
    message = scanned(SPOT.codec, SPOT.feed, SPOT.write(5, 6, [("60000.01000000", "0.5000")], []))
    assert message is not None
    assert (message.ticks.tolist(), message.sizes.tolist()) == ([6_000_001], [0.5])


def test_the_largest_mantissa_a_double_holds_is_read_exactly() -> None:
    message = scanned(SPOT.codec, SPOT.feed, SPOT.write(5, 6, [("1", "90071992.54740992")], []))
    assert message is not None
    assert message.sizes[0] == float("90071992.54740992")


def test_more_levels_than_the_scratch_holds_are_left_to_the_general_decoder() -> None:
    most = [(f"{k}.00", "1") for k in range(1, SIDE_ROOM + 1)]
    assert check(SPOT, SPOT.write(5, 6, most, most))
    assert not check(SPOT, SPOT.write(5, 6, [*most, ("9999.00", "1")], []))
    assert not check(SPOT, SPOT.write(5, 6, [], [*most, ("9999.00", "1")]))


def test_asks_before_bids_are_put_behind_them() -> None:
    frame = okx(prev=5, final=6, bids=[("2", "1")], asks=[("4", "3"), ("5", "6")])
    assert frame.index(b"asks") < frame.index(b"bids")
    message = scanned(OKX.codec, OKX.feed, frame)
    assert message is not None
    assert (message.n_bids, message.ticks.tolist()) == (1, [200, 400, 500])


def test_a_nesting_too_deep_is_left_to_the_general_decoder() -> None:
    frame = SPOT.write(5, 6, [], [])
    nested = frame.replace(b'"e":', b'"x":' + b"[" * 40 + b"]" * 40 + b',"e":')
    assert scanned(SPOT.codec, SPOT.feed, nested) is None
    shallow = frame.replace(b'"e":', b'"x":' + b"[" * 20 + b"]" * 20 + b',"e":')
    assert check(SPOT, shallow)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_missing_id_is_left_to_the_general_decoder(stream: Stream) -> None:
    layout = stream.codec.layout(stream.listing)
    frame = stream.write(5, 6, [("1", "1")], [])
    for key in _keys(layout):
        if key and key != layout.checksum:
            without = frame.replace(b'"' + key + b'":', b'"other":', 1)
            assert without != frame
            assert scanned(stream.codec, stream.feed, without) is None


def test_a_key_longer_than_the_table_is_refused() -> None:
    layout = Layout(bids=b"b" * 24, asks=b"a", final_id=b"u")
    with pytest.raises(ValueError, match="longer than 23"):
        DepthScanner(OrderBook(LISTING), layout)


def test_a_snapshot_is_left_to_the_general_decoder_which_knows_whether_it_is_complete() -> None:
    for stream, frame in (
        (BYBIT, bybit(final=6, bids=[("1", "1")], kind="snapshot")),
        (OKX, okx(final=6, prev=5, bids=[("1", "1")], kind="snapshot")),
    ):
        book = OrderBook(stream.listing)
        book.ints[0, APPLIED] = 5
        scanner = DepthScanner(book, stream.codec.layout(stream.listing))
        assert scanner.advance(frame) == LOOK
        assert scanner.delta(NOW) is None


# -- what may be applied past the rule ----------------------------------------------------------

ids = st.one_of(st.integers(0, 6), st.integers(10**14, 10**14 + 3))


@settings(max_examples=600)
@given(
    stream=st.sampled_from(STREAMS),
    applied=st.one_of(ids, st.just(NEVER), st.just(-1)),
    first=ids,
    final=ids,
    prev=ids,
    checksum=st.sampled_from([0, 0, 0, 1, -5]),
    kind=st.sampled_from(["delta", "delta", "snapshot"]),
    bids=rows,
)
def test_only_what_the_rule_would_apply_is_applied_past_it(
    stream: Stream,
    applied: int,
    first: int,
    final: int,
    prev: int,
    checksum: int,
    kind: str,
    bids: list[tuple[str, str]],
) -> None:
    if stream is BYBIT:
        frame = bybit(final=final, bids=bids, kind=kind)
    elif stream is OKX:
        word = "update" if kind == "delta" else kind
        frame = okx(prev=prev, final=final, bids=bids, checksum=checksum, kind=word)
    else:
        chain = -1 if stream is SPOT else prev
        frame = binance(first=first, final=final, prev=chain, bids=bids)
    message = stream.decoded(frame, NOW)
    book, twin = (OrderBook(stream.listing) for _ in range(2))
    for held in (book, twin):
        held.apply(delta([(1, 1.0)], [(10**9, 1.0)], of=stream.listing, snapshot=True))
        held.ints[0, APPLIED] = applied
    scanner = DepthScanner(book, stream.codec.layout(stream.listing))
    flags = scanner.advance(frame)
    if flags == LOOK:
        assert int(book.ints[0, APPLIED]) == applied
        follows = prev if stream in (LINEAR, OKX) else message.first_id - 1
        plain = follows == applied and final > max(applied, 1) and not checksum
        assert not plain or message.snapshot
        return
    assert 0 <= flags < LOOK
    assert stream.codec.sequence(applied, message, False) is Verdict.APPLY
    assert (message.checksum, message.snapshot) == (0, False)
    assert int(book.ints[0, APPLIED]) == final
    # And it did to the book what the general way does.
    assert book.settle(flags) == twin.apply(message)
    for field in (STATE_ID, VENUE_MS):
        assert book.ints[0, field] == twin.ints[0, field]
    for side in (0, 1):
        for mine, theirs in zip(book.levels(side), twin.levels(side), strict=True):
            assert np.array_equal(mine, theirs)
    book._check()


def test_an_id_of_one_is_never_applied_past_the_rule_since_it_begins_anew_at_bybit() -> None:
    book = OrderBook(BYBIT.listing)
    book.apply(delta([(1, 1.0)], of=BYBIT.listing, snapshot=True))
    book.ints[0, APPLIED] = 0
    scanner = DepthScanner(book, BYBIT.codec.layout(BYBIT.listing))
    assert scanner.advance(bybit(final=1)) == LOOK


def test_a_frame_that_the_table_of_far_levels_has_no_room_for_is_not_half_applied() -> None:
    book = OrderBook(SPOT.listing)
    book.apply(delta([(10**9, 1.0)], [(10**9 + 1, 1.0)], of=SPOT.listing, snapshot=True))
    book.ints[0, APPLIED] = 5
    scanner = DepthScanner(book, SPOT.codec.layout(SPOT.listing))
    many = [(f"{k}.00", "1") for k in range(1, SIDE_ROOM)]
    more = [(f"{k}.50", "1") for k in range(1, SIDE_ROOM)]
    assert scanner.advance(SPOT.write(5, 6, many, [])) == 0
    assert scanner.advance(SPOT.write(6, 7, more, [])) == LOOK
    assert (book.count(0), int(book.ints[0, APPLIED])) == (SIDE_ROOM, 6)


# -- the same source without compilation ----------------------------------------------------------


def digest() -> str:
    """What a few hundred frames, whole and mutated, do to a book of each stream."""
    seen = hashlib.sha256()
    for stream in STREAMS:
        book = OrderBook(stream.listing)
        scanner = DepthScanner(book, stream.codec.layout(stream.listing))
        start = [(6_000_000 - k, 1.0) for k in range(9)], [(6_000_001 + k, 1.0) for k in range(9)]
        book.apply(delta(*start, of=stream.listing, snapshot=True))
        book.ints[0, APPLIED] = 5
        chance = random.Random(7)
        for n in range(60):
            middle = 60_000 + 30 * n
            bids = [(f"{middle - chance.randrange(1, 50)}.5", f"{chance.randrange(5)}.25")]
            asks = [(f"{middle + chance.randrange(50)}", f"0.{chance.randrange(3)}")]
            sweep = [(f"{middle + k}", "0") for k in range(-30, 0)]
            frame = stream.write(n + 5, n + 6, bids, asks + sweep)
            flags = scanner.advance(frame)
            moved = book.settle(flags)
            taken = [float(part) for part in book.walk("buy", 3.0)]
            seen.update(f"{flags:d} {moved:d} {taken}".encode())
            for side in (0, 1):
                for array in book.levels(side):
                    seen.update(array.tobytes())
        for frame in mutations(stream, 100):
            message = scanned(stream.codec, stream.feed, frame)
            seen.update(repr(message and values(message)[1:]).encode())
    return seen.hexdigest()


def test_the_kernels_do_the_same_as_plain_python() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    plain = subprocess.run(
        [sys.executable, "-c", "from tests.test_scan import digest; print(digest())"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.strip() == digest()
