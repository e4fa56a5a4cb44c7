"""OKX v5 in the verbs of `VenueCodec`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.events import (
    Acknowledged,
    BookDelta,
    ControlEvent,
    Farewell,
    MarketEvent,
    Pong,
    Refusal,
    Verdict,
)
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.codec import (
    SECOND,
    Addressed,
    BookAudit,
    Cut,
    Feed,
    FeedKind,
    Hosts,
    Instruments,
    Layout,
    Request,
    StreamRules,
)
from hftmm.venues.okx import market
from hftmm.venues.okx.checksum import ChecksumAudit
from hftmm.venues.okx.listing import INSTRUMENT_TYPES, defined, inferred
from hftmm.venues.okx.wire import (
    MEANINGS,
    Number,
    answer_error,
    answer_rows,
    decoded,
    explained,
    nanoseconds,
)

# On the default port: since 31 October 2026 the old one, 8443, is closed.
_LIVE = "wss://ws.okx.com/ws/v5"
_DEMO = "wss://wspap.okx.com/ws/v5"
_REST = "https://openapi.okx.com"

# Both share the REST host, which tells them apart by a header.
_SIMULATED = ("x-simulated-trading", "1")
_HOSTS: Mapping[str, Hosts] = {
    mode: {
        "rest": _REST,
        "public": f"{base}/public",
        "private": f"{base}/private",
        "business": f"{base}/business",
    }
    for mode, base in (("live", _LIVE), ("demo", _DEMO))
}

_CHANNELS: Mapping[str, FeedKind] = {
    "books": FeedKind.DEPTH,
    "bbo-tbt": FeedKind.TOP,
    "trades": FeedKind.TRADES,
    "mark-price": FeedKind.MARK,
    "funding-rate": FeedKind.MARK,
}


class _Arg(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    channel: str = ""
    instrument: str = msgspec.field(name="instId", default="")
    instrument_type: str = msgspec.field(name="instType", default="")

    @property
    def topic(self) -> str:
        about = self.instrument or self.instrument_type
        return f"{self.channel}:{about}" if about else self.channel


class _Operation(msgspec.Struct, frozen=True, gc=False):
    id: str
    op: str
    args: list[_Arg]


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    event: str | None = None
    arg: _Arg | None = None
    id: str | None = None
    op: str | None = None
    code: Number = None
    msg: str | None = None
    channel: str | None = None


class _ClockRow(msgspec.Struct, frozen=True, gc=False):
    ts: int | str


_envelope = msgspec.json.Decoder(_Envelope)
_clock_row = msgspec.json.Decoder(_ClockRow)
_encoder = msgspec.json.Encoder()


class OkxCodec:
    """OKX v5, public side. A topic is `channel:instId`, as in `books:BTC-USDT`.

    Args:
        demo: requests are about demo trading, whose instruments have numbers of their own.
    """

    venue: str = "okx"
    # {"arg":{"channel":"books","instId":"BTC-USDT"},... : the inside of arg names the stream.
    cut: Cut = Cut(len('{"arg":{'), b"}")
    # The server closes a connection on which nothing was heard for 30 s; any frame counts. It
    # takes 480 control requests an hour: they are large and few.
    stream_rules: StreamRules = StreamRules(
        ping=b"ping",
        ping_after_ns=25 * SECOND,
        ping_when_idle=True,
        topics_per_request=100,
        requests_per_second=3,
        requests_per_hour=480,
    )
    book_by_rest: bool = False

    def __init__(self, *, demo: bool = False) -> None:
        self._headers = (_SIMULATED,) if demo else ()

    def hosts(self, mode: str) -> Hosts:
        """Base URLs of `live` or `demo`, for accounts opened at www.okx.com.

        Those of streams include the path: the three differ in nothing else.
        """
        return _HOSTS[mode]

    def endpoints(self, hosts: Hosts) -> Mapping[str, str]:
        return {"public": hosts["public"], "rest": hosts["rest"]}

    def clock(self) -> Request:
        return Request("rest", "/api/v5/public/time", "clock", 1, headers=self._headers)

    def decode_clock(self, body: bytes) -> int:
        rows = answer_rows(body)
        if not rows:
            raise MalformedFrame("wrong shape", "no time in the answer")
        return nanoseconds(decoded(_clock_row, rows[0]).ts)

    def instruments(self, kinds: frozenset[Kind]) -> list[Request]:
        """One request an instrument type: linear and inverse swaps come in one answer."""
        types = sorted({INSTRUMENT_TYPES[kind] for kind in kinds})
        path = "/api/v5/public/instruments?instType="
        return [
            Request("rest", path + type_, "instruments", 1, headers=self._headers)
            for type_ in types
        ]

    def decode_instruments(self, request: Request, body: bytes) -> Instruments:
        listings: list[Listing] = []
        for row in answer_rows(body):
            try:
                listings.append(defined(row))
            except MalformedFrame:
                # Before an opening the steps are empty: there is nothing to trade yet.
                continue
        return Instruments(listings)

    def feeds(self, listing: Listing) -> list[Feed]:
        channels = ["books", "bbo-tbt", "trades"]
        if listing.kind in (Kind.LINEAR, Kind.INVERSE):
            channels += ["mark-price", "funding-rate"]
        instrument = listing.venue_symbol
        return [
            Feed(
                kind=_CHANNELS[channel],
                route="public",
                topic=f"{channel}:{instrument}",
                key=f'"channel":"{channel}","instId":"{instrument}"'.encode(),
                listing=listing,
            )
            for channel in channels
        ]

    def identify(self, route: str, topic: str) -> tuple[FeedKind, str] | None:
        channel, _, instrument = topic.partition(":")
        kind = _CHANNELS.get(channel)
        return (kind, instrument) if route == "public" and kind and instrument else None

    def infer(self, route: str, venue_symbol: str, decimals: int) -> Listing:
        return inferred(venue_symbol, decimals)

    def subscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        """One request; every topic is acknowledged by itself, with the id.

        Raises:
            ValueError: the id is not what OKX takes, 1 to 32 ASCII letters and digits.
        """
        return _operation("subscribe", feeds, request_id)

    def unsubscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        return _operation("unsubscribe", feeds, request_id)

    def layout(self, listing: Listing) -> Layout:
        return Layout(
            bids=b"bids",
            asks=b"asks",
            final_id=b"seqId",
            prev_id=b"prevSeqId",
            venue_ms=b"ts",
            checksum=b"checksum",
            kind=b"action",
        )

    def decode_envelope(self, route: str, frame: bytes) -> ControlEvent | Addressed | None:
        # The answer to the text "ping" is the bare text "pong", not JSON.
        if frame == b"pong":
            return Pong()
        envelope = decoded(_envelope, frame)
        request_id = envelope.id or ""
        topic = envelope.arg.topic if envelope.arg else ""
        code = "" if envelope.code is None else str(envelope.code)
        match envelope.event:
            case "subscribe" | "unsubscribe":
                return Acknowledged(request_id, topic)
            case "error" | "channel-conn-count-error":
                reason = explained(code, envelope.msg or envelope.event)
                return Refusal(request_id, topic or envelope.channel or "", code, reason)
            case "notice" if code == "64008":
                return Farewell(envelope.msg or MEANINGS[code])
            case str():
                return None
        if topic:
            return Addressed(topic)
        if envelope.op:
            return None
        raise MalformedFrame("not an envelope", frame[:80].decode(errors="replace"))

    def decode_market(self, feed: Feed, frame: bytes, received_ns: int) -> list[MarketEvent]:
        match feed.kind:
            case FeedKind.DEPTH:
                return [*market.depth(feed.listing, frame, received_ns)]
            case FeedKind.TOP:
                return [*market.top(feed.listing, frame, received_ns)]
            case FeedKind.TRADES:
                return [*market.trades(feed.listing, frame, received_ns)]
            case FeedKind.MARK:
                return [*market.mark(feed.listing, frame, received_ns)]

    def rows(self, frame: bytes) -> tuple[list[list[str]], list[list[str]]]:
        """Price and size of each level; the dead third item and the order count are left out."""
        rows = market.depth_push(frame).data
        return (
            [[level.price, level.size] for row in rows for level in row.bids],
            [[level.price, level.size] for row in rows for level in row.asks],
        )

    def request_book(self, listing: Listing) -> Request | None:
        return None

    def decode_book(self, listing: Listing, body: bytes, received_ns: int) -> BookDelta:
        """An answer of `market/books`, whose `seqId` is of the stream's own chain."""
        books = market.rest_book(listing, body, received_ns)
        if not books:
            raise MalformedFrame("wrong shape", "no book in the answer")
        return books[0]

    def recognise(self, route: str, url: str) -> Request | None:
        if "/api/v5/public/instruments" in url:
            return Request(route, url, "instruments", 0)
        return None

    def sequence(self, applied: int, delta: BookDelta, joining: bool) -> Verdict:
        """OKX, "Sequence ID". Ids jump, so only equality with the last one means anything.

        A chain without ids (-1 throughout) passes: every update follows the one before.
        """
        if delta.snapshot:
            return Verdict.SNAPSHOT
        if delta.prev_id == applied:
            # seqId = prevSeqId: a heartbeat, nothing changed.
            # seqId > prevSeqId: the usual case.
            # seqId < prevSeqId: ids begin anew after maintenance; the chain is unbroken.
            return Verdict.APPLY
        if not joining:
            # The last update once more changes nothing.
            return Verdict.SKIP if delta.final_id == applied else Verdict.RESYNC
        # Onto a REST snapshot R: the first kept update has prevSeqId <= R < seqId.
        if delta.final_id <= applied:
            return Verdict.SKIP
        return Verdict.APPLY if delta.prev_id < applied else Verdict.REFETCH

    def audit(self) -> BookAudit | None:
        return ChecksumAudit()

    def decode_error(self, status: int, body: bytes) -> str:
        return answer_error(status, body)


def _operation(op: str, feeds: list[Feed], request_id: str) -> bytes:
    if not (request_id.isascii() and request_id.isalnum() and len(request_id) <= 32):
        raise ValueError(f"OKX takes 1 to 32 letters and digits as a request id: {request_id!r}")
    args = [_Arg(*feed.topic.split(":", 1)) for feed in feeds]
    return _encoder.encode(_Operation(request_id, op, args))
