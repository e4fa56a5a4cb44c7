"""The verbs of Binance, spot and USD-M; where the markets differ, the listing's kind decides.

Streams are always the combined ones, so every market frame begins `{"stream":"NAME"`. USD-M
splits its streams over routes: depth and best quotes on `/public`, trades and mark prices on
`/market`; a stream asked for on the wrong route is acknowledged and stays silent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.events import (
    Acknowledged,
    BookDelta,
    ControlEvent,
    Farewell,
    MarketEvent,
    MarkPrice,
    Pong,
    Refusal,
    TopOfBook,
    Trade,
    Verdict,
)
from hftmm.core.instrument import Kind, Listing
from hftmm.venues.binance import levels, listings, sequence, wire
from hftmm.venues.binance.errors import in_words
from hftmm.venues.codec import (
    MILLISECOND,
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

_HOSTS: Mapping[str, Hosts] = {
    "live": {
        "spot.rest": "https://api.binance.com",
        "spot.stream": "wss://stream.binance.com:9443",
        "spot.api": "wss://ws-api.binance.com:443/ws-api/v3",
        "linear.rest": "https://fapi.binance.com",
        "linear.stream": "wss://fstream.binance.com",
        "linear.api": "wss://ws-fapi.binance.com/ws-fapi/v1",
    },
    "demo": {
        "spot.rest": "https://demo-api.binance.com",
        "spot.stream": "wss://demo-stream.binance.com",
        "spot.api": "wss://demo-ws-api.binance.com/ws-api/v3",
        "linear.rest": "https://demo-fapi.binance.com",
        "linear.stream": "wss://demo-fstream.binance.com",
        # No demo host is documented for USD-M order entry; the testnet is being merged into it.
        "linear.api": "wss://testnet.binancefuture.com/ws-fapi/v1",
    },
}

# (largest limit, request weight), ascending.
_SPOT_DEPTHS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_LINEAR_DEPTHS = ((5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20))

_KINDS = {
    "bookTicker": FeedKind.TOP,
    "trade": FeedKind.TRADES,
    "aggTrade": FeedKind.TRADES,
    "markPrice": FeedKind.MARK,
    "markPrice@1s": FeedKind.MARK,
}
_is_diff_depth = re.compile(r"depth(?:@[0-9]+ms)?").fullmatch
_FAREWELL = "serverShutdown"
_OFF_THE_BOOK = ("INSURANCE_FUND", "ADL", "NA")


class BinanceCodec:
    """Binance spot and USD-M.

    Args:
        book_depth: levels a side asked for in snapshots; raised to what USD-M offers (5, 10, 20,
            50, 100, 500 or 1000) and lowered to the venue's largest (spot 5000).
    """

    venue = "binance"
    cut = Cut(len(b'{"stream":"'), b'"')
    stream_rules = StreamRules(
        # The venue pings by itself; this is the cheapest question it answers.
        probe=b'{"method":"LIST_SUBSCRIPTIONS","id":0}',
        # Replaced an hour before the venue would cut it after 24.
        lifetime_ns=23 * 3600 * SECOND,
        topics_per_request=100,
        # Spot allows 5 messages a second; pongs and probes count.
        requests_per_second=3,
    )
    book_by_rest = True

    def __init__(self, book_depth: int = 1000) -> None:
        self.book_depth = book_depth

    def hosts(self, mode: str) -> Hosts:
        return _HOSTS[mode]

    def endpoints(self, hosts: Hosts) -> Mapping[str, str]:
        return {
            "spot.public": f"{hosts['spot.stream']}/stream",
            "linear.public": f"{hosts['linear.stream']}/public/stream",
            "linear.market": f"{hosts['linear.stream']}/market/stream",
            "spot.rest": hosts["spot.rest"],
            "linear.rest": hosts["linear.rest"],
        }

    def clock(self) -> Request:
        return Request("spot.rest", "/api/v3/time", "clock", 1)

    def decode_clock(self, body: bytes) -> int:
        return wire.decode(wire.decode_server_time, body).serverTime * MILLISECOND

    def instruments(self, kinds: frozenset[Kind]) -> list[Request]:
        requests = []
        if Kind.SPOT in kinds:
            # The permission sets are most of the answer's megabytes, and nothing to us.
            path = "/api/v3/exchangeInfo?showPermissionSets=false"
            requests.append(Request("spot.rest", path, "instruments", 20))
        if Kind.LINEAR in kinds or Kind.DATED in kinds:
            requests.append(Request("linear.rest", "/fapi/v1/exchangeInfo", "instruments", 1))
        return requests

    def decode_instruments(self, request: Request, body: bytes) -> Instruments:
        spot = request.route == "spot.rest"
        return Instruments(listings.decode_exchange_info(body, spot=spot))

    def feeds(self, listing: Listing) -> list[Feed]:
        if listing.kind is Kind.SPOT:
            topics = [
                (FeedKind.DEPTH, "spot.public", "depth@100ms"),
                (FeedKind.TOP, "spot.public", "bookTicker"),
                (FeedKind.TRADES, "spot.public", "aggTrade"),
            ]
        else:
            topics = [
                (FeedKind.DEPTH, "linear.public", "depth@100ms"),
                (FeedKind.TOP, "linear.public", "bookTicker"),
                (FeedKind.TRADES, "linear.market", "aggTrade"),
                (FeedKind.MARK, "linear.market", "markPrice@1s"),
            ]
        name = listing.venue_symbol.lower()
        return [
            Feed(kind, route, topic := f"{name}@{stream}", topic.encode(), listing)
            for kind, route, stream in topics
        ]

    def identify(self, route: str, topic: str) -> tuple[FeedKind, str] | None:
        name, _, stream = topic.partition("@")
        kind = FeedKind.DEPTH if _is_diff_depth(stream) else _KINDS.get(stream)
        return (kind, name.upper()) if kind and name else None

    def infer(self, route: str, venue_symbol: str, decimals: int) -> Listing:
        return listings.infer(venue_symbol, decimals, spot=route.startswith("spot"))

    def subscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        return _control("SUBSCRIBE", feeds, request_id)

    def unsubscribe(self, feeds: list[Feed], request_id: str) -> bytes:
        return _control("UNSUBSCRIBE", feeds, request_id)

    def layout(self, listing: Listing) -> Layout:
        if listing.kind is Kind.SPOT:
            return Layout(bids=b"b", asks=b"a", final_id=b"u", first_id=b"U", venue_ms=b"E")
        return Layout(
            bids=b"b", asks=b"a", final_id=b"u", first_id=b"U", prev_id=b"pu", venue_ms=b"T"
        )

    def decode_envelope(self, route: str, frame: bytes) -> ControlEvent | Addressed | None:
        message = wire.decode_any(frame)
        if not isinstance(message, dict):
            raise MalformedFrame("not an envelope", repr(frame[:80]))
        if "stream" in message:
            return decode_combined(message)
        if "code" in message or "error" in message:
            return decode_refusal(message)
        if "result" in message:
            if isinstance(message["result"], list):  # answers the probe
                return Pong()
            return Acknowledged(_text(message.get("id")))
        if message.get("e") == _FAREWELL:
            return Farewell("the venue announced its shutdown")
        if "e" in message:
            return None
        raise MalformedFrame("not an envelope", repr(frame[:80]))

    def decode_market(self, feed: Feed, frame: bytes, received_ns: int) -> list[MarketEvent]:
        # Best quotes first: nine frames in ten are theirs.
        if feed.kind is FeedKind.TOP:
            return _top_of_book(feed.listing, frame, received_ns)
        if feed.kind is FeedKind.DEPTH:
            return _depth(feed.listing, frame, received_ns)
        if feed.kind is FeedKind.TRADES:
            return _trade(feed.listing, frame, received_ns)
        return _mark_price(feed.listing, frame, received_ns)

    def rows(self, frame: bytes) -> tuple[list[list[str]], list[list[str]]]:
        depth = wire.decode(wire.decode_rows_frame, frame).data
        return (
            [[level.price, level.size] for level in depth.b],
            [[level.price, level.size] for level in depth.a],
        )

    def request_book(self, listing: Listing) -> Request | None:
        limit, weight = self._depth(listing)
        symbol = listing.venue_symbol
        if listing.kind is Kind.SPOT:
            path = f"/api/v3/depth?symbol={symbol}&limit={limit}"
            return Request("spot.rest", path, "book", weight, listing.key)
        path = f"/fapi/v1/depth?symbol={symbol}&limit={limit}"
        return Request("linear.rest", path, "book", weight, listing.key)

    def decode_book(self, listing: Listing, body: bytes, received_ns: int) -> BookDelta:
        book = wire.decode(wire.decode_snapshot, body)
        limit, _ = self._depth(listing)
        return levels.snapshot(listing, book, limit, received_ns)

    def recognise(self, route: str, url: str) -> Request | None:
        path, _, query = url.partition("?")
        if path.endswith("/exchangeInfo"):
            return Request(route, url, "instruments", 0)
        if path.endswith("/depth"):
            return Request(route, url, "book", 0, parse_qs(query).get("symbol", [""])[0])
        return None

    def sequence(self, applied: int, delta: BookDelta, joining: bool) -> Verdict:
        if delta.snapshot:
            return Verdict.SNAPSHOT
        rule = sequence.spot if delta.listing.kind is Kind.SPOT else sequence.linear
        return rule(applied, delta, joining=joining)

    def audit(self) -> BookAudit | None:
        return None

    def decode_error(self, status: int, body: bytes) -> str:
        return in_words(status, body)

    def _depth(self, listing: Listing) -> tuple[int, int]:
        """Limit and weight of a snapshot request."""
        if listing.kind is Kind.SPOT:
            limit = min(self.book_depth, _SPOT_DEPTHS[-1][0])
            return limit, next(weight for most, weight in _SPOT_DEPTHS if limit <= most)
        return next(
            (row for row in _LINEAR_DEPTHS if self.book_depth <= row[0]), _LINEAR_DEPTHS[-1]
        )


def _control(method: str, feeds: list[Feed], request_id: str) -> bytes:
    # Numbers were the only ids USD-M took for years; strings are younger.
    number = int(request_id) if request_id.isdecimal() and len(request_id) < 19 else request_id
    params = [feed.topic for feed in feeds]
    return msgspec.json.encode({"method": method, "params": params, "id": number})


def _text(value: object) -> str:
    """An id as we sent it; "" for null."""
    return "" if value is None else str(value)


def decode_combined(message: dict[str, Any]) -> Addressed | Farewell:
    """A `{"stream", "data"}` frame."""
    topic = message["stream"]
    if not isinstance(topic, str):
        raise MalformedFrame("not an envelope", repr(topic)[:80])
    if topic == f"!{_FAREWELL}":
        return Farewell("the venue announced its shutdown")
    return Addressed(topic)


def decode_refusal(message: dict[str, Any]) -> Refusal:
    """`{"code", "msg", "id"}`, or the same inside `error`."""
    inner = message.get("error")
    error = inner if isinstance(inner, dict) else message
    return Refusal(
        request_id=_text(message.get("id")),
        topic="",
        code=_text(error.get("code")),
        message=_text(error.get("msg")),
    )


def _top_of_book(listing: Listing, frame: bytes, received_ns: int) -> list[MarketEvent]:
    try:
        quote = wire.decode_book_ticker_frame(frame).data
    except wire.REFUSED as error:
        raise wire.malformed(error) from error
    if quote.st == wire.COIN_MARGINED or quote.e != "bookTicker":
        return []
    return [
        TopOfBook(
            listing,
            quote.b,
            quote.B,
            quote.a,
            quote.A,
            quote.u,
            quote.T * MILLISECOND,
            received_ns,
        )
    ]


def _depth(listing: Listing, frame: bytes, received_ns: int) -> list[MarketEvent]:
    depth = wire.decode(wire.decode_depth_frame, frame).data
    if depth.st == wire.COIN_MARGINED or depth.e != "depthUpdate":
        return []
    return [levels.update(listing, depth, received_ns)]


def _trade(listing: Listing, frame: bytes, received_ns: int) -> list[MarketEvent]:
    trade = wire.decode(wire.decode_trade_frame, frame).data
    if trade.st == wire.COIN_MARGINED or trade.e not in ("trade", "aggTrade"):
        return []
    if trade.X in _OFF_THE_BOOK:
        return []
    return [
        Trade(
            listing=listing,
            price=trade.p,
            size=trade.q,
            side="sell" if trade.m else "buy",
            trade_id=str(trade.t if trade.e == "trade" else trade.a),
            venue_ns=trade.T * MILLISECOND,
            received_ns=received_ns,
        )
    ]


def _mark_price(listing: Listing, frame: bytes, received_ns: int) -> list[MarketEvent]:
    mark = wire.decode(wire.decode_mark_price_frame, frame).data
    if mark.st == wire.COIN_MARGINED or mark.e != "markPriceUpdate":
        return []
    return [
        MarkPrice(
            listing=listing,
            mark=_number(mark.p),
            index=_number(mark.i),
            funding_rate=_number(mark.r),
            next_funding_ns=mark.T * MILLISECOND or None,
            venue_ns=mark.E * MILLISECOND,
            received_ns=received_ns,
        )
    ]


_signed_decimal = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?").fullmatch


def _number(text: str) -> float | None:
    """A decimal string, negative for some funding rates; None for the empty one."""
    if not text:
        return None
    if not _signed_decimal(text):
        raise MalformedFrame("not a number", text[:40])
    return float(text)
