"""What a session does with odd prices, damaged frames, dead streams and changing definitions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftmm.venues.binance import BinanceCodec
from hftmm.venues.bybit import BybitCodec
from hftmm.venues.codec import Feed, FeedKind, Request, VenueCodec
from hftmm.venues.effects import Connect, Disconnect
from hftmm.venues.okx import OkxCodec
from hftmm.venues.routes import LONGEST_DELAY_NS, QUICK_ATTEMPTS, QUICK_DELAY_NS, SPACING_NS
from tests.virtual import LINEAR, MILLISECOND, SECOND, SPOT, STEP_NS, VENUES, World

DEPTH_MARKS = {"binance": b"@depth", "bybit": b'"orderbook.50.', "okx": b'"books"'}
TOP_MARKS = {"binance": b"@bookTicker", "bybit": b'"orderbook.1.', "okx": b'"bbo-tbt"'}

Tamper = Callable[[str, bytes], bytes | None]


def ready(world: World) -> World:
    world.until(world.live, 3 * SECOND)
    world.run(500 * MILLISECOND)
    world.forget()
    return world


def one(venue: str, symbol: str = LINEAR, seed: int = 3) -> World:
    return ready(World(seed, (symbol,), venues=(venue,), tolerance_ns=300 * MILLISECOND))


def is_depth(venue: str, frame: bytes) -> bool:
    """A depth frame with levels, as they follow the snapshot."""
    return DEPTH_MARKS[venue] in frame[:80] and b'"snapshot"' not in frame


def is_top(venue: str, frame: bytes) -> bool:
    return TOP_MARKS[venue] in frame[:80]


def once(chosen: Callable[[str, bytes], bool], change: Callable[[Any], None]) -> Tamper:
    """Changes the first frame of a sort, given as JSON, and lets all others pass."""
    done: list[bool] = []

    def tamper(venue: str, frame: bytes) -> bytes | None:
        if done or not chosen(venue, frame):
            return frame
        done.append(True)
        message = msgspec.json.decode(frame)
        change(message)
        return msgspec.json.encode(message)

    return tamper


def rows(message: Any) -> list[list[str]]:
    """The bids of a depth frame of any venue."""
    data = message["data"]
    levels: list[list[str]] = data[0]["bids"] if isinstance(data, list) else data["b"]
    return levels


# ---- prices off the tick ---------------------------------------------------------------------


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
@pytest.mark.parametrize("venue", VENUES)
def test_a_price_off_the_tick_refines_the_grid_and_the_book_stays_valid(
    venue: str, symbol: str
) -> None:
    world = one(venue, symbol)
    before = world.depth(venue, symbol)
    decimals = before.feed.listing.decimals
    line = world.lines[venue]
    line.requests.clear()
    deep = Decimal("50000.0") + Decimal(5).scaleb(-decimals - 2)

    def add(message: Any) -> None:
        rows(message).append([f"{deep}", "2", "0", "1"])

    world.tamper = once(is_depth, add)
    world.until(lambda: world.depth(venue, symbol) is not before, SECOND)
    depth = world.depth(venue, symbol)
    assert depth.feed.listing.decimals == depth.book.listing.decimals == decimals + 2
    assert depth.feed.listing.tick == before.feed.listing.tick
    assert world.live()
    price, size = world.depth(venue, symbol).book.depth(0, 500)[-1]
    assert (Decimal(str(price)), size) == (deep, 2 * float(before.feed.listing.multiplier))
    world.run(SECOND)
    assert world.live()
    assert depth.book.top is not None or depth.heard_ns > world.now_ns - SECOND // 2
    assert depth.sync.gaps == depth.sync.resyncs == 0
    assert line.session.malformed == {}
    assert any("nstrument" in path or "exchangeInfo" in path for _, path in line.requests)
    # The resting order is cancelled: what remains is the venue's own book, on the finer grid.
    gone = [f"{deep}", "0", "0", "0"]
    world.tamper = once(is_depth, lambda message: rows(message).append(gone))
    world.run(SECOND)
    world.quiesce()
    assert world.differences() == []
    assert world.engine.fallen == []
    assert world.strays == []
    assert [note.event for note in world.engine.notes] == ["finer grid"]


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
def test_a_snapshot_with_prices_off_the_tick_is_taken_whole(symbol: str) -> None:
    world = World(2, (symbol,), venues=("binance",))
    asked: list[Request] = []

    def add(_: str, request: Request, body: bytes) -> bytes:
        if request.purpose != "book":
            return body
        asked.append(request)
        book = msgspec.json.decode(body)
        book["bids"] += [["50000.00005", "3"], ["50000.0000001", "4"]]
        return msgspec.json.encode(book)

    world.tamper_rest = add
    world.until(world.live, 2 * SECOND)
    book = world.depth("binance", symbol).book
    assert book.listing.decimals == 7
    assert book.depth(0, 500)[-2:] == [(50000.00005, 3.0), (50000.0000001, 4.0)]
    assert len(asked) == 1
    sync = world.depth("binance", symbol).sync
    assert (sync.gaps, sync.snapshots) == (0, 1)


@pytest.mark.parametrize("price", ["50000.1234567890123", "9999999.000000000001"])
@pytest.mark.parametrize("venue", VENUES)
def test_a_grid_beyond_reason_is_damage_and_costs_the_book(venue: str, price: str) -> None:
    world = one(venue)
    decimals = world.depth(venue, LINEAR).feed.listing.decimals
    world.tamper = once(is_depth, lambda message: rows(message).append([price, "1", "0", "1"]))
    world.until(lambda: bool(world.engine.fallen), SECOND)
    world.until(world.live, 2 * SECOND)
    assert world.depth(venue, LINEAR).feed.listing.decimals == decimals
    assert list(world.lines[venue].session.malformed) == ["number out of range"]
    world.quiesce()
    assert world.differences() == []


def test_a_grid_that_the_other_prices_do_not_fit_is_damage() -> None:
    world = one("bybit")
    far = ["900000000.0", "1"]
    world.tamper = once(is_depth, lambda message: message["data"]["a"].append(far))
    world.run(200 * MILLISECOND)
    assert world.live()
    world.tamper = once(is_depth, lambda message: rows(message).append(["1.00000000001", "1"]))
    world.until(lambda: bool(world.engine.fallen), SECOND)
    world.until(world.live, 2 * SECOND)
    assert world.depth("bybit", LINEAR).feed.listing.decimals == 1
    world.quiesce()
    assert world.differences() == []


# ---- damaged ids and dead streams ------------------------------------------------------------


@pytest.mark.parametrize("by", [1, 3, 20, 1_000, 10**9])
def test_an_update_id_damaged_upwards_is_found_with_the_next_update(by: int) -> None:
    world = one("binance", SPOT)
    frames: list[int] = []

    def count(venue: str, frame: bytes) -> bool:
        if is_depth(venue, frame):
            frames.append(world.now_ns)
            return True
        return False

    def damage(message: Any) -> None:
        message["data"]["u"] += by

    world.tamper = once(count, damage)
    world.until(lambda: bool(frames), SECOND)
    world.until(lambda: bool(world.engine.fallen), 250 * MILLISECOND)
    world.until(world.live, 2 * SECOND)
    world.quiesce()
    assert world.differences() == []
    assert world.strays == []


@pytest.mark.parametrize("field", ["u", "pu", "seqId", "prevSeqId"])
@pytest.mark.parametrize("by", [-1000, -1, 1, 1000])
@pytest.mark.parametrize("venue", VENUES)
def test_a_damaged_id_never_leaves_a_wrong_book(venue: str, field: str, by: int) -> None:
    world = one(venue)
    hit: list[bool] = []

    def damage(message: Any) -> None:
        data = message["data"]
        data = data[0] if isinstance(data, list) else data
        if field in data:
            data[field] += by
            hit.append(True)

    world.tamper = once(is_depth, damage)
    world.run(2500 * MILLISECOND)
    assert world.live()
    world.quiesce()
    assert world.differences() == []
    assert world.strays == []


@pytest.mark.parametrize("venue", VENUES)
def test_a_quote_whose_id_was_damaged_upwards_does_not_stay(venue: str) -> None:
    world = one(venue)
    world.tolerance_ns = 1300 * MILLISECOND
    ids = {"binance": "u", "bybit": "seq", "okx": "seqId"}

    def damage(message: Any) -> None:
        data = message["data"]
        data = data[0] if isinstance(data, list) else data
        data[ids[venue]] += 10**9

    world.tamper = once(is_top, damage)
    world.run(3 * SECOND)
    assert world.strays == []
    world.quiesce()
    assert world.differences() == []
    assert world.engine.fallen == []
    book = world.depth(venue, LINEAR).book
    assert book.bid == book.depth(0, 1)[0][0]


@pytest.mark.parametrize("venue", VENUES)
def test_a_dead_quote_stream_leaves_no_old_quote_over_a_living_book(venue: str) -> None:
    world = one(venue)
    world.tamper = lambda venue, frame: None if is_top(venue, frame) else frame
    world.run(3 * SECOND)
    assert world.strays == []
    assert world.engine.fallen == []
    assert world.depth(venue, LINEAR).book.top is None


@pytest.mark.parametrize("venue", VENUES)
def test_a_dead_depth_stream_under_a_living_quote_stream_costs_the_book(venue: str) -> None:
    world = one(venue)
    world.tamper = lambda venue, frame: None if DEPTH_MARKS[venue] in frame[:80] else frame
    took_ns = world.until(lambda: bool(world.engine.fallen), 2 * SECOND)
    assert took_ns <= 1600 * MILLISECOND
    assert not world.live()
    world.tamper = lambda _, frame: frame
    world.until(world.live, 2 * SECOND)
    world.quiesce()
    assert world.differences() == []
    assert world.strays == []


def test_a_stream_that_only_repeats_itself_costs_the_book() -> None:
    world = one("bybit")
    held: list[bytes] = []

    def repeat(venue: str, frame: bytes) -> bytes | None:
        if not is_depth(venue, frame):
            return None if is_top(venue, frame) else frame
        held.append(frame)
        return held[0]

    world.tamper = repeat
    world.until(lambda: bool(world.engine.fallen), 2 * SECOND)
    assert world.lost_notes("bybit") == [f"{LINEAR}: every update is older than the book"]
    world.tamper = lambda _, frame: frame
    world.until(world.live, 2 * SECOND)


# ---- changing definitions --------------------------------------------------------------------


def redefine(world: World, venue: str, old: str, new: str) -> None:
    """From now on the venue's definitions say something else, and the session asks for them."""
    world.tamper_rest = lambda _, request, body: (
        body.replace(old.encode(), new.encode()) if request.purpose == "instruments" else body
    )
    world.lines[venue].session._catalogue.surprised(world.now_ns)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"minOrderQty":"0.001"', '"minOrderQty":"0.002"'),
        ('"tickSize":"0.1"', '"tickSize":"0.05"'),
        ('"tickSize":"0.1"', '"tickSize":"1"'),
    ],
)
def test_a_definition_that_the_book_can_show_costs_nothing(old: str, new: str) -> None:
    world = one("bybit")
    redefine(world, "bybit", old, new)
    before = world.depth("bybit", LINEAR).feed.listing
    world.run(SECOND)
    after = world.depth("bybit", LINEAR).feed.listing
    assert after != before
    assert world.depth("bybit", LINEAR).book.listing == after
    assert [note.event for note in world.engine.notes] == ["new definition"]
    assert world.engine.fallen == []
    world.quiesce()
    assert world.differences() == []


def test_a_contract_of_another_size_begins_the_book_anew() -> None:
    world = one("okx")
    redefine(world, "okx", '"ctVal":"0.01"', '"ctVal":"0.02"')
    world.until(lambda: bool(world.engine.fallen), SECOND)
    assert world.lost_notes("okx") == [f"{LINEAR}: the venue changed its definition"]
    world.until(world.live, 2 * SECOND)
    world.run(SECOND)
    book = world.depth("okx", LINEAR).book
    (true,) = world.market.of("okx")
    world.quiesce()
    sizes = [size for _, size in book.depth(0, 400)]
    levels = true.levels("buy", 400)
    assert sizes == pytest.approx([2 * float(true.spec.lot * level.lots) for level in levels])


# ---- subscriptions ---------------------------------------------------------------------------


class _WithNonsense(BybitCodec):
    """Asks for a topic that the venue does not have."""

    def feeds(self, listing: Any) -> list[Feed]:
        topic = f"nonsense.{listing.venue_symbol}"
        nonsense = Feed(FeedKind.TRADES, "linear.public", topic, topic.encode(), listing)
        feeds = super().feeds(listing)
        return [feeds[0], nonsense, *feeds[1:]]


class _WithOkxNonsense(OkxCodec):
    def feeds(self, listing: Any) -> list[Feed]:
        topic = f"nonsense:{listing.venue_symbol}"
        nonsense = Feed(FeedKind.TRADES, "public", topic, topic.encode(), listing)
        feeds = super().feeds(listing)
        return [feeds[0], nonsense, *feeds[1:]]


@pytest.mark.parametrize(("venue", "codec"), [("bybit", _WithNonsense), ("okx", _WithOkxNonsense)])
def test_a_refused_subscription_is_told_once_and_the_rest_goes_on(
    venue: str, codec: Callable[[], VenueCodec]
) -> None:
    world = World(1, (LINEAR,), codecs={venue: codec()}, venues=(venue,))
    world.until(world.live, 3 * SECOND)
    world.run(3 * SECOND)
    world.lines[venue].peer.switch("disconnect", world.now_ns)
    world.run(4 * SECOND)
    assert world.live()
    refused = [note.text for note in world.engine.notes if note.event == "refused"]
    assert len(refused) == 1
    assert "nonsense" in refused[0]
    assert world.engine.trades
    assert world.depth(venue, LINEAR).feed.listing.symbol in world.engine.markets


# ---- whatever comes --------------------------------------------------------------------------


def _captured(venue: str) -> list[tuple[int, bytes]]:
    """Frames of a practice venue, with the link they came on."""
    world = World(1, (LINEAR, SPOT), venues=(venue,))
    session = world.lines[venue].session
    frames: list[tuple[int, bytes]] = []
    original = session.received

    def keep(link: int, frame: bytes, now_ns: int) -> None:
        frames.append((link, frame))
        original(link, frame, now_ns)

    session.received = keep  # type: ignore[method-assign]  # a spy
    world.run(1500 * MILLISECOND)
    return frames


_FRAMES: dict[str, list[tuple[int, bytes]]] = {}


def captured(venue: str) -> list[tuple[int, bytes]]:
    if venue not in _FRAMES:
        _FRAMES[venue] = _captured(venue)
    return _FRAMES[venue]


SPLICES = [
    b"", b"null", b"-1", b'""', b"[]", b"{}", b"1e999", b"9" * 25, b"[" * 3000, b'{"a":' * 3000,
    b'"9999999999999999999999"', b"\xff\xfe", b"NaN", b'"0.00000000000000000001"', b'"snapshot"',
    b"18446744073709551616", b'"-5"', b"true", b'\\u0000',
]  # fmt: skip


def mutated(frame: bytes, chance: Random) -> bytes:
    """A frame with some bytes or a whole value other than sent."""
    match chance.randrange(5):
        case 0:
            at = chance.randrange(len(frame))
            return frame[:at] + bytes([chance.randrange(256)]) + frame[at + 1 :]
        case 1:
            return frame[: chance.randrange(len(frame))]
        case 2:
            at, end = sorted(chance.randrange(len(frame)) for _ in range(2))
            return frame[:at] + frame[end:]
        case 3:
            at, end = sorted(chance.randrange(len(frame)) for _ in range(2))
            return frame[:at] + chance.choice(SPLICES) + frame[end:]
        case _:
            colons = [i for i, byte in enumerate(frame) if byte == 0x3A]
            if not colons:
                return chance.choice(SPLICES)
            at = chance.choice(colons) + 1
            end = min(
                (i for i in (frame.find(b",", at), frame.find(b"}", at)) if i > 0), default=at
            )
            return frame[:at] + chance.choice(SPLICES) + frame[end:]


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_no_frame_in_no_state_makes_a_session_raise(venue: str, seed: int) -> None:
    chance = Random(seed)
    frames = captured(venue)
    world = World(1, (LINEAR, SPOT), venues=(venue,))
    session = world.lines[venue].session
    world.run(chance.choice((0, 20, 40, 60, 90, 150, 400)) * MILLISECOND)
    if chance.random() < 0.3:
        for route in list(session._routes.routes):
            session.replace(route, "a test")
        world.run(chance.randrange(0, 100, 5) * MILLISECOND)
    for _ in range(40):
        _, frame = chance.choice(frames)
        for _ in range(chance.randrange(3)):
            frame = mutated(frame, chance) or b"x"
        for link in list(session._links):
            session.received(link, frame, world.now_ns)
        if chance.random() < 0.1:
            world.step()
    world.until(world.live, 20 * SECOND)


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=60)
@given(
    body=st.binary(max_size=80) | st.sampled_from(SPLICES), status=st.sampled_from([0, 200, 429])
)
def test_no_answer_makes_a_session_raise(venue: str, body: bytes, status: int) -> None:
    world = World(1, (LINEAR,), venues=(venue,))
    session = world.lines[venue].session
    world.run(150 * MILLISECOND)
    requests = [session.codec.clock(), *session.codec.instruments(frozenset())]
    for listing in session._catalogue.listings.values():
        requests += [session.codec.request_book(listing) or Request("rest", "", "book", 1)]
    for request in requests:
        session.responded(request, status, body, world.now_ns)
    session.clock_answered(body, world.now_ns, world.now_ns)
    world.run(20 * MILLISECOND)


_ANSWERS: dict[str, list[tuple[Request, bytes]]] = {}


def answers(venue: str) -> list[tuple[Request, bytes]]:
    """Answers of a practice venue to what a session asks it."""
    if venue not in _ANSWERS:
        known = _ANSWERS[venue] = []
        world = World(1, (LINEAR, SPOT), venues=(venue,))

        def keep(_: str, request: Request, body: bytes) -> bytes:
            known.append((request, body))
            return body

        world.tamper_rest = keep
        world.run(500 * MILLISECOND)
    return _ANSWERS[venue]


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_no_damaged_answer_makes_a_session_raise(venue: str, seed: int) -> None:
    chance = Random(seed)
    world = World(1, (LINEAR, SPOT), venues=(venue,))
    session = world.lines[venue].session
    world.run(chance.choice((0, 50, 100, 300)) * MILLISECOND)
    for _ in range(20):
        request, body = chance.choice(answers(venue))
        for _ in range(chance.randrange(1, 3)):
            body = mutated(body, chance) or b"x"
        session.responded(request, 200, body, world.now_ns)
        session.clock_answered(body, world.now_ns - 5, world.now_ns)
        if chance.random() < 0.1:
            world.run(20 * MILLISECOND)


@pytest.mark.parametrize("venue", VENUES)
def test_damaged_answers_are_asked_for_again(venue: str) -> None:
    world = World(1, (LINEAR, SPOT), venues=(venue,))
    chance = Random(5)
    world.tamper_rest = lambda _, request, body: body[: chance.randrange(len(body))]
    world.run(3 * SECOND)
    assert not world.live()
    world.tamper_rest = lambda *given: given[2]
    world.until(world.live, 5 * SECOND)
    world.quiesce()
    assert world.differences() == []


# ---- backing off -----------------------------------------------------------------------------


def test_the_back_off_doubles_within_its_bounds() -> None:
    world = World(1, (LINEAR,), venues=("okx",))
    line = world.lines["okx"]
    world.until(world.live, SECOND)
    line.session._routes._jitter = lambda: 0.999
    line.peer.switch("refuse", world.now_ns)
    line.peer.switch("disconnect", world.now_ns)
    line.dials.clear()
    session, now_ns = line.session, world.now_ns
    world.run(50 * MILLISECOND)
    waits = []
    for _ in range(QUICK_ATTEMPTS + 12):
        session.outbox.clear()
        began_ns = now_ns = max(now_ns, world.now_ns) + STEP_NS
        while not any(isinstance(output, Connect) for output in session.outbox):
            now_ns += STEP_NS
            session.tick(now_ns)
        link = next(output.link for output in session.outbox if isinstance(output, Connect))
        waits.append(now_ns - began_ns)
        session.lost(link, "refused", now_ns)
    steps = 3 * STEP_NS
    assert all(SPACING_NS - steps <= wait <= LONGEST_DELAY_NS + steps for wait in waits[1:])
    assert max(waits[:QUICK_ATTEMPTS]) <= QUICK_DELAY_NS + steps
    assert waits[-1] > LONGEST_DELAY_NS - SECOND
    assert all(after - before >= -2 * STEP_NS for before, after in pairwise(waits[1:]))


# ---- connections -----------------------------------------------------------------------------


def test_a_replacement_that_fails_is_tried_again_while_the_old_connection_lives() -> None:
    world = one("okx")
    line = world.lines["okx"]
    line.dials.clear()
    line.peer.switch("farewell", world.now_ns)
    line.peer.switch("refuse", world.now_ns)
    world.run(2 * SECOND)
    assert world.live()
    assert 2 <= len(line.dials) <= 7
    line.peer.switch("none", world.now_ns)
    world.run(5 * SECOND)
    assert world.engine.fallen == []
    assert world.strays == []
    assert world.depth("okx", LINEAR).sync.gaps == 0
    assert [note.event for note in world.engine.notes][-1] == "reconnected"


@pytest.mark.parametrize("after_ms", range(0, 200, 15))
@pytest.mark.parametrize("venue", VENUES)
def test_an_old_connection_may_die_at_any_moment_of_its_replacement(
    venue: str, after_ms: int
) -> None:
    world = one(venue)
    line = world.lines[venue]
    first = dict(line.connections)
    line.session.replace("public" if venue == "okx" else "linear.public", "a test")
    world.run(after_ms * MILLISECOND)
    for connection, link in first.items():
        if line.connections.pop(connection, None) is not None:
            line.peer.closed(connection)
            line.session.lost(link, "cut", world.now_ns)
    world.until(world.live, 2 * SECOND)
    world.quiesce()
    assert world.differences() == []
    assert world.strays == []
    assert len(line.session._links) == len(line.session._routes.routes)


def test_a_handshake_without_an_answer_is_given_up() -> None:
    world = World(1, (LINEAR,), venues=("bybit",))
    dialled = world._dialled
    world._dialled = lambda *_: None  # type: ignore[method-assign]  # the network swallows it
    line = world.lines["bybit"]
    world.until(lambda: bool(line.dials), SECOND)
    assert line.session.state_reason == "linear.public is not connected"
    world._dialled = dialled  # type: ignore[method-assign]
    world.until(world.live, 12 * SECOND)
    assert world.now_ns - line.dials[0][0] > 10 * SECOND
    assert "no answer to the handshake" in world.engine.notes[0].text
    assert line.session.state_reason == ""
    # The handshake that nobody waits for any more is over at last: the connection is not wanted.
    line.session.connected(1, world.now_ns)
    assert line.session.outbox == [Disconnect(1)]
    line.session.lost(1, "closed", world.now_ns)
    line.session.received(1, b"late", world.now_ns)
    assert world.live()


def test_a_depth_stream_that_went_silent_is_subscribed_anew_with_growing_patience() -> None:
    world = one("bybit")
    quiet = (DEPTH_MARKS["bybit"], TOP_MARKS["bybit"])
    world.tamper = lambda _, frame: None if any(m in frame[:80] for m in quiet) else frame
    silent_ns = world.now_ns
    world.run(45 * SECOND)
    renewed = [
        (note.ns - silent_ns) // SECOND
        for note in world.engine.notes
        if note.event == "silent feed"
    ]
    assert renewed[:2] == [10, 30]
    assert len(renewed) == 2
    assert not world.live()
    world.tamper = lambda _, frame: frame
    world.until(world.live, SECOND)


# ---- snapshots and definitions ---------------------------------------------------------------


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
def test_a_book_whose_known_depth_is_nearly_used_up_gets_a_deeper_snapshot_and_goes_on(
    symbol: str,
) -> None:
    world = World(3, (symbol,), codecs={"binance": BinanceCodec(100)}, venues=("binance",))
    ready(world)
    for _ in range(8):
        world.run(3 * SECOND)
        world.quiesce()
        assert world.differences() == []
    sync = world.depth("binance", symbol).sync
    assert sync.snapshots > 1
    assert (sync.gaps, sync.resyncs) == (0, 0)
    assert world.engine.fallen == []
    assert world.strays == []


@pytest.mark.parametrize("symbol", [LINEAR, SPOT])
def test_a_touch_beyond_the_known_depth_is_not_believed(symbol: str) -> None:
    world = World(3, (symbol,), codecs={"binance": BinanceCodec(10)}, venues=("binance",))
    ready(world)
    for _ in range(5):
        world.run(3 * SECOND)
        world.until(world.live, 2 * SECOND)
    assert f"{symbol}: the touch left the known depth" in world.lost_notes("binance")
    assert world.strays == []


def test_a_message_that_no_snapshot_can_catch_up_with_is_let_go() -> None:
    world = World(3, (SPOT,), venues=("binance",))
    line = world.lines["binance"]

    def damage(message: Any) -> None:
        message["data"]["U"] += 10**9
        message["data"]["u"] += 10**9

    world.tamper = once(is_depth, damage)
    world.until(world.live, 4 * SECOND)
    world.quiesce()
    assert world.differences() == []
    assert 3 < sum("/depth" in path for _, path in line.requests) < 8


def test_a_market_the_venue_does_not_have_is_told_and_asked_for_again_later() -> None:
    world = World(1, (LINEAR, SPOT), venues=("bybit",))
    world.tamper_rest = lambda _, request, body: (
        body.replace(b'"BTCUSDT"', b'"BTCEUR"').replace(b'"quoteCoin":"USDT"', b'"quoteCoin":"EUR"')
        if "category=spot" in request.path
        else body
    )
    world.run(2 * SECOND)
    line = world.lines["bybit"]
    line.session._catalogue.surprised(world.now_ns)
    world.run(SECOND)
    told = [note.event for note in world.engine.notes]
    assert told == [f"no {SPOT}"]
    assert list(world.lines["bybit"].session.depths) == [f"bybit {LINEAR}"]
    world.tamper_rest = lambda *given: given[2]
    world.until(world.live, 61 * SECOND)


def test_a_grid_too_fine_for_a_book_is_told_and_not_traded() -> None:
    world = World(1, (LINEAR,), venues=("bybit",))
    fine = b'"tickSize":"0.0000000000001"'
    world.tamper_rest = lambda _, request, body: body.replace(b'"tickSize":"0.1"', fine)
    world.run(SECOND)
    assert {note.event for note in world.engine.notes} == {f"no {LINEAR}"}
    assert world.lines["bybit"].session.depths == {}
    assert world.lines["bybit"].session.state_reason == "waiting for the instruments"


def test_every_page_of_the_definitions_is_asked_for() -> None:
    world = World(1, (LINEAR,), venues=("bybit",))
    pages: list[str] = []
    last: list[bytes] = []

    def page(_: str, request: Request, body: bytes) -> bytes:
        if request.purpose != "instruments":
            return body
        pages.append(request.path)
        if last:
            return last[0]
        last.append(body)
        answer = msgspec.json.decode(body)
        for row in answer["result"]["list"]:
            row["symbol"] = row["baseCoin"] = "OTHER"
        answer["result"]["nextPageCursor"] = "second%3Dpage"
        return msgspec.json.encode(answer)

    world.tamper_rest = page
    world.until(world.live, SECOND)
    assert [path.endswith("&cursor=second%3Dpage") for path in pages] == [False, True]
    assert world.engine.notes == []


def test_definitions_that_come_late_join_the_connection_that_is_open() -> None:
    world = World(1, (LINEAR, SPOT), venues=("okx",))
    world.tamper_rest = lambda _, request, body: b"" if "SPOT" in request.path else body
    world.until(
        lambda: world.depth("okx", LINEAR).book.valid if world.depths("okx") else False, SECOND
    )
    world.tamper_rest = lambda *given: given[2]
    world.until(world.live, 2 * SECOND)
    assert len(world.lines["okx"].dials) == 1
    world.quiesce()
    assert world.differences() == []


def test_an_answer_about_a_book_that_is_not_wanted_is_passed_over() -> None:
    world = one("binance")
    session = world.lines["binance"].session
    request = Request("linear.rest", "/fapi/v1/depth", "book", 1, "binance XRP/USDT:USDT")
    session.responded(request, 200, b"{}", world.now_ns)
    session.responded(request, 500, b"{}", world.now_ns)
    world.run(SECOND)
    assert world.live()


def test_a_venue_that_refuses_without_saying_for_how_long_is_left_alone_for_a_while() -> None:
    world = one("binance")
    line = world.lines["binance"]
    line.session.responded(line.session.codec.clock(), 429, b"{}", world.now_ns)
    line.requests.clear()
    world.lines["binance"].peer.switch("disconnect", world.now_ns)
    world.run(9 * SECOND)
    assert line.requests == []
    world.until(world.live, 3 * SECOND)
