"""The verbs of Bybit v5."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, assert_never
from urllib.parse import quote

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.events import (
    Acknowledged,
    BookDelta,
    ControlEvent,
    MarketEvent,
    Pong,
    Refusal,
    Verdict,
)
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.bybit.listing import decode_listing, infer_listing
from hftmm.venues.bybit.market import (
    decode_depth,
    decode_mark,
    decode_rest_book,
    decode_rows,
    decode_top,
    decode_trades,
)
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

GapPolicy = Literal["strict", "warn"]

_ROUTES = {
    Kind.SPOT: "spot.public",
    Kind.LINEAR: "linear.public",
    Kind.DATED: "linear.public",
}
_DEPTHS = frozenset({"50", "200", "500", "1000"})
"""Depths a capture may hold; 500 was withdrawn in September 2025."""

_LIVE: Hosts = MappingProxyType(
    {
        "rest": "https://api.bybit.com",
        "public_spot": "wss://stream.bybit.com/v5/public/spot",
        "public_linear": "wss://stream.bybit.com/v5/public/linear",
        "private": "wss://stream.bybit.com/v5/private",
        "trade": "wss://stream.bybit.com/v5/trade",
    }
)
# Demo money trades at mainnet prices: it has no public host of its own, and no order socket.
_DEMO: Hosts = MappingProxyType(
    {
        "rest": "https://api-demo.bybit.com",
        "public_spot": _LIVE["public_spot"],
        "public_linear": _LIVE["public_linear"],
        "private": "wss://stream-demo.bybit.com/v5/private",
    }
)
_HOSTS: Mapping[str, Hosts] = MappingProxyType({"live": _LIVE, "demo": _DEMO})

_ERRORS: Mapping[int, str] = MappingProxyType(
    {
        -1: "request expired",
        10000: "the venue timed out; the outcome is unknown",
        10001: "a parameter is wrong",
        10002: "our clock is outside the venue's window",
        10003: "the key is invalid, or belongs to another environment",
        10004: "the signature is wrong",
        10005: "the key lacks the permission",
        10006: "too many requests for this account",
        10009: "refused for this region",
        10010: "this address is not on the key's list",
        10016: "the venue failed internally; the outcome is unknown",
        10017: "no such path",
        10024: "refused by compliance",
        10403: "too many requests from this address",
        10429: "the venue protects itself from overload",
    }
)
_STATUSES: Mapping[int, str] = MappingProxyType(
    {
        400: "bad request",
        401: "bad key or missing headers",
        403: "too many requests from this address, or region blocked; wait ten minutes",
        404: "no such path",
        429: "the venue protects itself from overload",
    }
)

_LAYOUT = Layout(bids=b"b", asks=b"a", final_id=b"u", state_id=b"seq", venue_ms=b"ts", kind=b"type")

# A frame nested too deep for the decoder is as unreadable as one that is cut off.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Envelope(msgspec.Struct, gc=False):
    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class _Answer(msgspec.Struct, gc=False):
    code: int = msgspec.field(name="retCode")
    text: str = msgspec.field(name="retMsg", default="")
    result: msgspec.Raw = msgspec.Raw()


class _Clock(msgspec.Struct, gc=False):
    ns: int = msgspec.field(name="timeNano")


class _Page(msgspec.Struct, gc=False):
    rows: list[msgspec.Raw] = msgspec.field(name="list")
    cursor: str | None = msgspec.field(name="nextPageCursor", default=None)


_envelope = msgspec.json.Decoder(_Envelope)
_answer = msgspec.json.Decoder(_Answer)
_clock = msgspec.json.Decoder(_Clock, strict=False)
_page = msgspec.json.Decoder(_Page)


class BybitCodec:
    """Bybit v5 public data.

    Args:
        gap_policy: the venue does not promise that update ids of a depth topic are consecutive,
            though they are. `strict` takes a skipped id for a gap; `warn` applies the message, and
            leaves it to the caller to count that `delta.final_id > applied + 1`.
    """

    venue = "bybit"
    cut = Cut(start=len(b'{"topic":"'), stop=b'"')
    # Ten topics a request is the limit of spot; linear has none, and ten do there as well.
    stream_rules = StreamRules(
        ping=b'{"op":"ping"}',
        ping_after_ns=20 * SECOND,
        topics_per_request=10,
    )
    book_by_rest = False

    def __init__(self, gap_policy: GapPolicy = "strict") -> None:
        self._strict = gap_policy == "strict"

    def hosts(self, mode: str) -> Hosts:
        """Base URLs of `live` or `demo`; streams with their path. Demo has no `trade`."""
        return _HOSTS[mode]

    def endpoints(self, hosts: Hosts) -> Mapping[str, str]:
        """Route -> URL of the public routes."""
        return {
            "rest": hosts["rest"],
            "spot.public": hosts["public_spot"],
            "linear.public": hosts["public_linear"],
        }

    def clock(self) -> Request:
        """Asks for the venue's time."""
        return Request(route="rest", path="/v5/market/time", purpose="clock", weight=1)

    def decode_clock(self, body: bytes) -> int:
        """Venue time, ns since the epoch."""
        try:
            return _clock.decode(self._result(body)).ns
        except _UNREADABLE as error:
            raise MalformedFrame("bad clock answer", str(error)) from error

    def instruments(self, kinds: frozenset[Kind]) -> list[Request]:
        """One request for spot, one for linear, whose category also holds the dated futures."""
        requests = []
        if Kind.SPOT in kinds:
            requests.append(_instruments_request("category=spot"))
        if Kind.LINEAR in kinds or Kind.DATED in kinds:
            requests.append(_instruments_request("category=linear&limit=1000"))
        return requests

    def decode_instruments(self, request: Request, body: bytes) -> Instruments:
        """Listings in an answer, and the next page: linear has more symbols than fit into one."""
        try:
            page = _page.decode(self._result(body))
        except _UNREADABLE as error:
            raise MalformedFrame("bad instruments answer", str(error)) from error
        listings = [listing for row in page.rows if (listing := decode_listing(row)) is not None]
        more = None
        if page.cursor and page.rows:
            # The cursor comes percent-encoded and goes back as it came.
            query = request.path.partition("?")[2].partition("&cursor=")[0]
            more = _instruments_request(f"{query}&cursor={quote(page.cursor, safe='%')}")
        return Instruments(listings, more)

    def feeds(self, listing: Listing) -> list[Feed]:
        """Depth, best bid and offer, trades, and on contracts mark price and funding."""
        route = _ROUTES.get(listing.kind)
        if route is None:
            return []
        topics = [
            (FeedKind.DEPTH, "orderbook.50"),
            (FeedKind.TOP, "orderbook.1"),
            (FeedKind.TRADES, "publicTrade"),
        ]
        if listing.kind is not Kind.SPOT:
            topics.append((FeedKind.MARK, "tickers"))
        return [
            Feed(kind, route, topic, topic.encode(), listing)
            for kind, stream in topics
            for topic in (f"{stream}.{listing.venue_symbol}",)
        ]

    def identify(self, route: str, topic: str) -> tuple[FeedKind, str] | None:
        """Kind and venue symbol of a topic; None for those that carry nothing for us."""
        if route not in _ROUTES.values():
            return None
        match topic.split("."):
            case ["orderbook", "1", symbol]:
                return FeedKind.TOP, symbol
            case ["orderbook", depth, symbol] if depth in _DEPTHS:
                return FeedKind.DEPTH, symbol
            case ["publicTrade", symbol]:
                return FeedKind.TRADES, symbol
            case ["tickers", symbol] if route == "linear.public":
                return FeedKind.MARK, symbol
        return None

    def infer(self, route: str, venue_symbol: str, decimals: int) -> Listing:
        """A listing read off the symbol: `XRPUSDT`, `BTCPERP` (USDC), `BTC-26DEC25`."""
        return infer_listing(venue_symbol, decimals, contract=route == "linear.public")

    def subscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        """One request for at most ten topics; the answer echoes the id and names no topic."""
        return _control("subscribe", feeds, request_id)

    def unsubscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        """The inverse."""
        return _control("unsubscribe", feeds, request_id)

    def layout(self, listing: Listing) -> Layout:
        """The same for spot and linear, whose frames differ only in the order of keys.

        Each depth counts its own `u`; only `seq` compares between them. The stamp is `ts`, the
        gateway's, on every feed: the engine's `cts` is that of the last change, and would make a
        best bid and offer that is sent again after 3 s without one look late.
        """
        return _LAYOUT

    def decode_envelope(self, route: str, frame: bytes) -> ControlEvent | Addressed | None:
        """A pong, the answer to a request of ours, a market frame with its keys moved, or None."""
        try:
            envelope = _envelope.decode(frame)
        except msgspec.ValidationError as error:
            raise MalformedFrame("not an envelope", str(error)) from error
        except _UNREADABLE as error:
            raise MalformedFrame("not JSON", str(error)) from error
        # Public pongs carry op "ping" and say it in ret_msg; private ones say it in op.
        if envelope.ret_msg == "pong" or envelope.op == "pong":
            return Pong()
        if envelope.topic:
            return Addressed(envelope.topic)
        if envelope.success is False:
            topic = envelope.ret_msg.rpartition("topic:")
            return Refusal(envelope.req_id, topic[2] if topic[1] else "", "", envelope.ret_msg)
        if envelope.success and envelope.op in {"subscribe", "unsubscribe"}:
            return Acknowledged(envelope.req_id)
        return None

    def decode_market(self, feed: Feed, frame: bytes, received_ns: int) -> list[MarketEvent]:
        """Events of one frame; none for a ticker without mark or funding news."""
        try:
            match feed.kind:
                case FeedKind.TOP:
                    return decode_top(feed.listing, frame, received_ns)
                case FeedKind.DEPTH:
                    depth = int(feed.topic.split(".")[1])
                    return [decode_depth(feed.listing, depth, frame, received_ns)]
                case FeedKind.TRADES:
                    return decode_trades(feed.listing, frame, received_ns)
                case FeedKind.MARK:
                    return decode_mark(feed.listing, frame, received_ns)
                case unknown:
                    assert_never(unknown)
        except msgspec.ValidationError as error:
            raise MalformedFrame(f"bad {feed.kind.value} frame", str(error)) from error
        except _UNREADABLE as error:
            raise MalformedFrame("not JSON", str(error)) from error

    def rows(self, frame: bytes) -> tuple[list[list[str]], list[list[str]]]:
        """Bid and ask levels of a depth frame exactly as sent."""
        try:
            return decode_rows(frame)
        except _UNREADABLE as error:
            raise MalformedFrame("bad depth frame", str(error)) from error

    def request_book(self, listing: Listing) -> Request | None:
        """None: every subscription begins with a snapshot.

        The ids of the REST book are those of the 1000-level topic, so that it could not repair the
        50-level one; after a gap the topic is subscribed anew.
        """
        return None

    def decode_book(self, listing: Listing, body: bytes, received_ns: int) -> BookDelta:
        """An answer of `/v5/market/orderbook`, for study only: see `request_book`."""
        try:
            return decode_rest_book(listing, self._result(body), received_ns)
        except _UNREADABLE as error:
            raise MalformedFrame("bad book answer", str(error)) from error

    def recognise(self, route: str, url: str) -> Request | None:
        """Only definitions: the ids of a REST book are those of another stream, see above."""
        _, found, path = url.partition("/v5/market/instruments-info")
        return _instruments_request(path.removeprefix("?")) if found else None

    def sequence(self, applied: int, delta: BookDelta, joining: bool) -> Verdict:
        """Bybit, "Orderbook": process snapshot and delta, with consecutive ids (see `__init__`)."""
        if delta.snapshot:  # may come at any time and is always the newest
            return Verdict.SNAPSHOT
        if delta.final_id == 1:  # the service restarted: overwrite, whatever the type says
            return Verdict.SNAPSHOT
        if delta.final_id <= applied:  # sent twice, or late
            return Verdict.SKIP
        if delta.final_id > applied + 1 and self._strict:
            return Verdict.RESYNC
        return Verdict.APPLY

    def audit(self) -> BookAudit | None:
        """None: Bybit sends no checksums."""
        return None

    def decode_error(self, status: int, body: bytes) -> str:
        """The venue's code and message and what it means; business errors come with status 200."""
        try:
            answer = _answer.decode(body)
        except _UNREADABLE:
            if status >= 500:
                return f"HTTP {status}: the venue failed internally; the outcome is unknown"
            return f"HTTP {status}: {_STATUSES.get(status, 'an answer that is not of this venue')}"
        meaning = _ERRORS.get(answer.code, "")
        said = f"{answer.code}: {answer.text}" if answer.text else f"{answer.code}"
        return f"{said} ({meaning})" if meaning else said

    def _result(self, body: bytes) -> msgspec.Raw:
        """The payload of a REST answer; raises `MalformedFrame` with the refusal in words."""
        try:
            answer = _answer.decode(body)
        except _UNREADABLE as error:
            raise MalformedFrame("not an answer", str(error)) from error
        if answer.code != 0:
            raise MalformedFrame("refused", self.decode_error(200, body))
        return answer.result


def _instruments_request(query: str) -> Request:
    return Request(
        route="rest",
        path=f"/v5/market/instruments-info?{query}",
        purpose="instruments",
        weight=1,
    )


def _control(op: str, feeds: list[Feed], request_id: str) -> bytes:
    return msgspec.json.encode(
        {"req_id": request_id, "op": op, "args": [feed.topic for feed in feeds]}
    )
