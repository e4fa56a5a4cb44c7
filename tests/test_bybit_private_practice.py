"""Bybit's private codec against the practice Bybit, without sockets: bytes to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

import pytest

from hftmm.config import PracticeConfig
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import (
    AccountEvent,
    Amendment,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderRequest,
    OrderState,
    OrderUpdate,
    Position,
    Rejection,
    StreamEnded,
    StreamReady,
    TimeInForce,
)
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.overload import order_request, unknown, unknown_frame
from hftmm.sim.peers import Close, HttpQuery, Push
from hftmm.venues.bybit import BybitCodec, BybitPrivateCodec
from hftmm.venues.private import Credentials, Outgoing, SignedRequest, StreamFrame

MS = 1_000_000
SECOND = 1000 * MS
START = 1_780_000_020 * SECOND
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT")
BOTH = frozenset({Kind.SPOT, Kind.LINEAR})
HOSTS = {
    "rest": "http://venue",
    "public_spot": "ws://venue/v5/public/spot",
    "public_linear": "ws://venue/v5/public/linear",
    "private": "ws://venue/v5/private",
    "trade": "ws://venue/v5/trade",
}
KEY = Credentials(DEMO.key, DEMO.secret)

E = TypeVar("E", bound=AccountEvent)


def some(kind: type[E], events: Sequence[AccountEvent]) -> list[E]:
    """The events of a kind."""
    return [event for event in events if isinstance(event, kind)]


def only(kind: type[E], events: Sequence[AccountEvent]) -> E:
    (event,) = some(kind, events)
    return event


class Desk:
    """A codec, its credentials, and the venue behind every route.

    Attributes:
        heard: account events since they were last taken.
        cut: routes the venue closed.
    """

    def __init__(
        self,
        credentials: Credentials = KEY,
        skew_ns: int = 0,
        codec: BybitPrivateCodec | None = None,
    ) -> None:
        specs = [spec for spec in practice_specs(SYMBOLS) if spec.venue == "bybit"]
        self.market = Market(specs, PracticeConfig(seed=7), START)
        for engine in self.market.engines.values():
            highest = engine.levels("sell")[-1].ticks
            engine.place("buy", highest, 10**12, START, immediate=True)
            engine.place("sell", 1, 10**12, START, immediate=True)
        self.peer = BybitPeer(self.market, 7)
        self.now_ns = START
        self.skew_ns = skew_ns
        self.credentials = credentials
        self.codec = codec or BybitPrivateCodec()
        self.listings = self._listings()
        self.spot = self.listings[Kind.SPOT, "BTCUSDT"]
        self.linear = self.listings[Kind.LINEAR, "BTCUSDT"]
        self.heard: list[AccountEvent] = []
        self.cut: list[str] = []
        self.routes: dict[str, int] = {}
        self._connections = 0
        self._last_id = 0

    @property
    def now_ms(self) -> int:
        """Our idea of the venue's clock."""
        return (self.now_ns + self.skew_ns) // MS

    def _listings(self) -> dict[tuple[Kind, str], Listing]:
        public = BybitCodec()
        found = {}
        for request in public.instruments(BOTH):
            path, _, query = request.path.partition("?")
            asked = HttpQuery(request.route, "GET", path, query, {}, b"")
            body = self.peer.request(asked, self.now_ns).body
            for listing in public.decode_instruments(request, body).listings:
                found[listing.kind, listing.venue_symbol] = listing
        return found

    # Time and the market

    def run(self, span_ns: int = 20 * MS) -> None:
        """Lets time pass and decodes what the venue says, which takes it up to 12 ms."""
        self.now_ns += span_ns
        self.market.now_ns = self.now_ns
        self.peer.advance(self.now_ns)
        names = {number: route for route, number in self.routes.items()}
        for out in self.peer.outbox:
            if isinstance(out, Push):
                self.heard += self.codec.decode_account(
                    names[out.connection], out.frame, self.listings, self.now_ns
                )
            elif isinstance(out, Close):
                self.cut.append(names[out.connection])
        self.peer.outbox.clear()

    def take(self) -> list[AccountEvent]:
        """Events since the last call."""
        self.run()
        heard, self.heard = self.heard, []
        return heard

    def crowd(self, listing: Listing, side: Side, price: str, size: str) -> None:
        """Somebody else's limit order."""
        engine = self.market.engines["bybit", listing.kind, listing.venue_symbol]
        ticks, lots = Decimal(price) / engine.spec.tick, Decimal(size) / engine.spec.lot
        engine.place(side, int(ticks), int(lots), self.now_ns)

    # Routes

    def connect(self, route: str) -> list[AccountEvent]:
        """Opens a route and logs in, each frame after the answer to the one before."""
        path = "/" + self.codec.private_endpoints(HOSTS, BOTH)[route].split("/", 3)[3]
        self._connections += 1
        self.routes[route] = self._connections
        assert self.peer.opened(self._connections, route, path, "", self.now_ns) is None
        happened: list[AccountEvent] = []
        for frame in self.codec.login(self.credentials, route, self.now_ms):
            self.write(frame)
            self.run(60 * MS)
            answers, self.heard = self.heard, []
            happened += answers
            if not only(StreamReady, answers).ok:
                break
        return happened

    def connect_all(self) -> None:
        """Opens every route."""
        for route in ("private", "trade"):
            assert all(ready.ok for ready in some(StreamReady, self.connect(route)))

    def write(self, frame: StreamFrame) -> None:
        self.peer.received(self.routes[frame.route], frame.frame, self.now_ns)

    def rest(self, request: SignedRequest) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        path, _, query = request.path.partition("?")
        asked = HttpQuery(request.route, request.method, path, query, request.headers, request.body)
        answer = self.peer.request(asked, self.now_ns)
        return answer.status, answer.body

    def send(self, outgoing: Outgoing) -> OrderAnswer:
        """The answer to an order request, by whichever way it went."""
        if isinstance(outgoing, SignedRequest):
            return self.codec.decode_answer(outgoing, *self.rest(outgoing))
        self.write(outgoing)
        self.run()
        answers = some(OrderAnswer, self.heard)
        (answer,) = [one for one in answers if one.request_id == outgoing.request_id]
        self.heard.remove(answer)
        return answer

    # Orders

    def request(
        self,
        listing: Listing,
        side: Side = "buy",
        price: str = "64000",
        size: str = "0.01",
        *,
        post_only: bool = False,
        time_in_force: TimeInForce = TimeInForce.GTC,
        reduce_only: bool = False,
    ) -> OrderRequest:
        self._last_id += 1
        return OrderRequest(
            f"deskmm{self._last_id}",
            listing,
            side,
            Decimal(price),
            Decimal(size),
            post_only,
            time_in_force,
            reduce_only,
        )

    def place(self, order: OrderRequest, *, rest: bool = False) -> OrderAnswer:
        return self.send(self.codec.place(self.credentials, order, self.now_ms, rest=rest))

    def cancel(
        self, listing: Listing, client_id: str, venue_id: str = "", *, rest: bool = False
    ) -> OrderAnswer:
        return self.send(
            self.codec.cancel(
                self.credentials, listing, client_id, venue_id, self.now_ms, rest=rest
            )
        )

    def ioc(self, listing: Listing, side: Side, price: str, size: str) -> OrderAnswer:
        return self.place(self.request(listing, side, price, size, time_in_force=TimeInForce.IOC))

    def query(self, listing: Listing, client_id: str) -> OrderUpdate | Rejection:
        status, body = self.rest(
            self.codec.order(self.credentials, listing, client_id, self.now_ms)
        )
        updates, cursor = self.codec.decode_orders(body, self.listings, self.now_ns)
        assert cursor == ""
        if not updates:
            return self.codec.classify(status, body)[0]
        (update,) = updates
        return update

    def open_orders(self, kind: Kind, listing: Listing | None = None) -> list[OrderUpdate]:
        """Every page of every request."""
        found = []
        for first in self.codec.open_orders(self.credentials, kind, listing, self.now_ms):
            request: SignedRequest | None = first
            while request is not None:
                body = self.rest(request)[1]
                orders, cursor = self.codec.decode_orders(body, self.listings, self.now_ns)
                found += orders
                request = self._next(request, cursor)
        return found

    def fills(self, listing: Listing) -> list[Fill]:
        request: SignedRequest | None
        request = self.codec.fills_since(self.credentials, listing, START // MS, self.now_ms)
        found: list[Fill] = []
        while request is not None:
            body = self.rest(request)[1]
            fills, cursor = self.codec.decode_fills(body, self.listings, self.now_ns)
            found = fills + found
            request = self._next(request, cursor)
        return found

    def _next(self, request: SignedRequest, cursor: str) -> SignedRequest | None:
        if not cursor:
            return None
        return self.codec.next_page(self.credentials, request, cursor, self.now_ms)

    def balance(self, asset: str) -> Balance:
        (request,) = self.codec.balances(self.credentials, BOTH, self.now_ms)
        balances = self.codec.decode_balances(request, self.rest(request)[1], self.now_ns)
        return next(balance for balance in balances if balance.asset == asset)

    def positions(self) -> list[Position]:
        return [
            position
            for request in self.codec.positions(self.credentials, self.now_ms)
            for position in self.codec.decode_positions(
                self.rest(request)[1], self.listings, self.now_ns
            )
        ]


@pytest.fixture
def desk() -> Desk:
    """A desk with every route open."""
    desk = Desk()
    desk.connect_all()
    return desk


@pytest.fixture(params=["spot", "linear"])
def listing(request: pytest.FixtureRequest, desk: Desk) -> Listing:
    return desk.spot if request.param == "spot" else desk.linear


# --- login --------------------------------------------------------------------------------


def test_a_connection_is_ready_after_login_and_after_its_subscription() -> None:
    desk = Desk()
    assert desk.connect("private") == [StreamReady("private", ok=True)] * 2
    assert desk.connect("trade") == [StreamReady("trade", ok=True)]


@pytest.mark.parametrize("route", ["private", "trade"])
@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (Credentials("nobody", DEMO.secret), "does not know this key on this host"),
        (Credentials(DEMO.key, "wrong"), "the secret does not belong to the key"),
        (Credentials("practice-elsewhere-key", DEMO.secret), "not on the key's list"),
    ],
)
def test_a_login_that_fails_says_why(route: str, credentials: Credentials, words: str) -> None:
    ready = only(StreamReady, Desk(credentials).connect(route))
    assert (ready.ok, ready.rejection) == (False, Rejection.CREDENTIALS)
    assert words in ready.text


@pytest.mark.parametrize("route", ["private", "trade"])
def test_a_login_by_a_clock_that_is_late_says_so(route: str) -> None:
    ready = only(StreamReady, Desk(skew_ns=-30 * SECOND).connect(route))
    assert (ready.ok, ready.rejection) == (False, Rejection.CLOCK)


def test_an_order_on_a_connection_that_has_not_logged_in_is_refused_for_that() -> None:
    desk = Desk(Credentials("nobody", DEMO.secret))
    desk.connect("trade")
    answer = desk.place(desk.request(desk.spot))
    assert (answer.rejection, answer.unknown) == (Rejection.CREDENTIALS, False)


# --- orders -------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [False, True])
def test_a_post_only_order_is_acknowledged_and_its_event_comes(
    desk: Desk, listing: Listing, rest: bool
) -> None:
    order = desk.request(listing, post_only=True)
    answer = desk.place(order, rest=rest)
    assert answer.accepted
    assert answer.client_id == order.client_id
    update = only(OrderUpdate, desk.take())
    assert update.listing is listing
    assert update.venue_id == answer.venue_id
    assert (update.client_id, update.side) == (order.client_id, "buy")
    assert (update.state, update.filled) == (OrderState.OPEN, Decimal(0))
    assert (update.price, update.size) == (order.price, order.size)
    assert update.average is None
    assert update.venue_ns // MS == pytest.approx(desk.now_ms, abs=100)


def test_a_post_only_order_that_would_take_is_accepted_and_then_told_as_such(
    desk: Desk, listing: Listing
) -> None:
    desk.crowd(listing, "sell", "64000", "1")
    order = desk.request(listing, price="64000", post_only=True)
    assert desk.place(order).accepted
    update = only(OrderUpdate, desk.take())
    assert (update.client_id, update.rejection) == (order.client_id, Rejection.POST_ONLY)
    assert update.state.final
    assert update.filled == 0


@pytest.mark.parametrize("rest", [False, True])
def test_a_cancel_by_either_id_ends_the_order(desk: Desk, listing: Listing, rest: bool) -> None:
    for by_venue in (False, True):
        order = desk.request(listing, post_only=True)
        placed = desk.place(order)
        desk.take()
        answer = desk.cancel(
            listing, order.client_id, placed.venue_id if by_venue else "", rest=rest
        )
        assert answer.accepted
        assert answer.client_id == order.client_id
        update = only(OrderUpdate, desk.take())
        assert (update.client_id, update.state) == (order.client_id, OrderState.CANCELED)
        assert update.rejection is None


def test_a_cancel_of_what_is_not_there_is_an_unknown_order(desk: Desk, listing: Listing) -> None:
    answer = desk.cancel(listing, "deskmm99")
    assert (answer.accepted, answer.rejection) == (False, Rejection.UNKNOWN_ORDER)
    assert answer.client_id == "deskmm99"


def test_an_order_can_be_asked_to_go_twice_on_one_connection(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing)
    desk.place(order)
    assert desk.cancel(listing, order.client_id).accepted
    again = desk.cancel(listing, order.client_id)
    assert again.rejection is Rejection.UNKNOWN_ORDER
    assert not again.unknown


def test_an_order_that_filled_as_its_cancel_came_is_told_filled_twice_alike(desk: Desk) -> None:
    order = desk.request(desk.linear, post_only=True)
    desk.place(order)
    desk.take()
    desk.crowd(desk.linear, "sell", "64000", "0.01")
    cancel = desk.codec.cancel(
        desk.credentials, desk.linear, order.client_id, "", desk.now_ms, rest=True
    )
    assert desk.send(cancel).accepted
    first, second = some(OrderUpdate, desk.take())
    assert first == second
    assert (first.state, first.filled, first.rejection) == (
        OrderState.FILLED,
        Decimal("0.01"),
        None,
    )


@pytest.mark.parametrize("rest", [False, True])
def test_an_amend_moves_and_grows_the_order_under_the_same_ids(
    desk: Desk, listing: Listing, rest: bool
) -> None:
    order = desk.request(listing, size="0.02", post_only=True)
    placed = desk.place(order)
    desk.take()
    price = order.price - 10
    change = Amendment(
        order.client_id, listing, "buy", price, Decimal("0.03"), venue_id=placed.venue_id
    )
    answer = desk.send(desk.codec.amend(desk.credentials, change, desk.now_ms, rest=rest))
    assert answer.accepted
    assert (answer.client_id, answer.venue_id) == (order.client_id, placed.venue_id)
    update = only(OrderUpdate, desk.take())
    assert (update.client_id, update.state) == (order.client_id, OrderState.OPEN)
    assert (update.price, update.size) == (price, Decimal("0.03"))
    queried = desk.query(listing, order.client_id)
    assert isinstance(queried, OrderUpdate)
    assert (queried.price, queried.size) == (price, Decimal("0.03"))


def test_an_amend_that_changes_nothing_is_refused_in_words(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing)
    desk.place(order)
    change = Amendment(order.client_id, listing, "buy", order.price, order.size)
    answer = desk.send(desk.codec.amend(desk.credentials, change, desk.now_ms))
    assert (answer.accepted, answer.rejection) == (False, Rejection.OTHER)
    assert "would change nothing" in answer.text


def test_an_ioc_order_takes_and_its_fill_has_a_fee(desk: Desk, listing: Listing) -> None:
    desk.crowd(listing, "sell", "64000", "0.004")
    assert desk.ioc(listing, "buy", "64000", "0.01").accepted
    events = desk.take()
    early, fill = some(Fill, events)
    assert (early.trade_id, early.price, early.size) == (fill.trade_id, fill.price, fill.size)
    assert (early.fee, early.fee_asset) == (None, "")
    assert (fill.listing, fill.price, fill.size) == (listing, Decimal(64000), Decimal("0.004"))
    assert (fill.client_id, fill.maker) == ("deskmm1", False)
    if listing.kind is Kind.SPOT:
        # Paid in what was bought.
        assert (fill.fee, fill.fee_asset) == (Decimal("0.000004"), "BTC")
    else:
        assert (fill.fee, fill.fee_asset) == (Decimal("0.1408"), "USDT")
    ended = some(OrderUpdate, events)[-1]
    assert (ended.state, ended.filled) == (OrderState.CANCELED, Decimal("0.004"))
    assert (ended.average, ended.rejection) == (Decimal(64000), Rejection.NOTHING_TO_TAKE)
    (queried,) = desk.fills(listing)
    assert (queried.trade_id, queried.fee, queried.fee_asset, queried.maker) == (
        fill.trade_id,
        fill.fee,
        fill.fee_asset,
        False,
    )
    assert (queried.client_id, queried.venue_id, queried.side) == ("deskmm1", fill.venue_id, "buy")


def test_a_resting_order_is_filled_as_maker_and_its_early_copy_has_only_the_venues_id(
    desk: Desk, listing: Listing
) -> None:
    order = desk.request(listing, post_only=True)
    placed = desk.place(order)
    desk.take()
    desk.crowd(listing, "sell", "64000", "0.01")
    events = desk.take()
    early, fill = some(Fill, events)
    assert (early.client_id, early.venue_id) == ("", placed.venue_id)
    assert (fill.client_id, fill.venue_id) == (order.client_id, placed.venue_id)
    assert fill.maker
    assert some(OrderUpdate, events)[-1].state is OrderState.FILLED


def test_spot_and_linear_of_one_symbol_are_told_apart_on_one_stream(desk: Desk) -> None:
    orders = [desk.request(listing) for listing in (desk.spot, desk.linear)]
    for order in orders:
        desk.place(order)
    told = {update.client_id: update.listing for update in some(OrderUpdate, desk.take())}
    assert told == {order.client_id: order.listing for order in orders}


def test_a_fok_order_that_cannot_fill_has_found_nothing_to_take(
    desk: Desk, listing: Listing
) -> None:
    assert desk.place(desk.request(listing, time_in_force=TimeInForce.FOK)).accepted
    assert only(OrderUpdate, desk.take()).rejection is Rejection.NOTHING_TO_TAKE


def test_an_order_that_meets_ours_lets_the_quote_go(desk: Desk) -> None:
    quote = desk.request(desk.linear, "sell", "64010", post_only=True)
    assert desk.place(quote).accepted
    desk.take()
    assert desk.ioc(desk.linear, "buy", "64010", "0.01").accepted
    updates = some(OrderUpdate, desk.take())
    gone = next(update for update in updates if update.client_id == quote.client_id)
    assert (gone.state, gone.rejection) == (OrderState.CANCELED, Rejection.SELF_TRADE)


@pytest.mark.parametrize(
    ("market", "price", "size", "rejection"),
    [
        ("spot", "64000", "50", Rejection.BALANCE),
        ("spot", "64000", "0.00001", Rejection.FILTER),
        ("spot", "64000.0001", "0.01", Rejection.FILTER),
        ("spot", "99000", "0.001", Rejection.FILTER),
        ("linear", "64000", "900", Rejection.BALANCE),
        ("linear", "64000", "0.0001", Rejection.FILTER),
        ("linear", "64000.01", "0.01", Rejection.FILTER),
    ],
)
def test_an_order_the_venue_does_not_allow_is_refused_by_class(
    desk: Desk, market: str, price: str, size: str, rejection: Rejection
) -> None:
    listing = desk.spot if market == "spot" else desk.linear
    answer = desk.place(desk.request(listing, price=price, size=size))
    assert (answer.accepted, answer.rejection, answer.unknown) == (False, rejection, False)


def test_where_linear_moves_a_price_into_its_band_the_order_tells_the_price(desk: Desk) -> None:
    assert desk.place(desk.request(desk.linear, price="10000")).accepted
    update = only(OrderUpdate, desk.take())
    assert update.price == Decimal(10000)
    desk.crowd(desk.linear, "sell", "90000", "0.01")
    order = desk.request(desk.linear, price="99000")
    desk.place(order)
    moved = next(one for one in some(OrderUpdate, desk.take()) if one.client_id == order.client_id)
    assert moved.price is not None
    assert moved.price < 99000


def test_a_reduce_only_order_without_a_position_is_refused(desk: Desk) -> None:
    answer = desk.place(desk.request(desk.linear, reduce_only=True))
    assert answer.rejection is Rejection.REDUCE_ONLY


def test_a_client_id_used_twice_is_a_duplicate(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing, post_only=True)
    assert desk.place(order).accepted
    assert desk.place(order).rejection is Rejection.DUPLICATE


def test_an_answer_that_nobody_knows_the_outcome_is_unknown_and_a_query_settles_it(
    desk: Desk, listing: Listing
) -> None:
    by_frame, by_rest = desk.request(listing), desk.request(listing)
    frame = desk.codec.place(desk.credentials, by_frame, desk.now_ms)
    assert isinstance(frame, StreamFrame)
    asked = order_request("bybit", frame.frame)
    assert asked is not None
    (told,) = desk.codec.decode_account(
        frame.route, unknown_frame("bybit", asked), desk.listings, desk.now_ns
    )
    assert isinstance(told, OrderAnswer)
    assert told.request_id == frame.request_id
    request = desk.codec.place(desk.credentials, by_rest, desk.now_ms, rest=True)
    assert isinstance(request, SignedRequest)
    page = unknown("bybit")
    for order, answer in (
        (by_frame, told),
        (by_rest, desk.codec.decode_answer(request, page.status, page.body)),
    ):
        assert (answer.accepted, answer.unknown) == (False, True)
        assert answer.client_id == order.client_id
        assert desk.query(listing, order.client_id) is Rejection.UNKNOWN_ORDER
        assert desk.place(order).accepted
        assert isinstance(desk.query(listing, order.client_id), OrderUpdate)


def test_too_many_orders_say_when_to_come_back(desk: Desk) -> None:
    frames = [
        desk.codec.place(desk.credentials, desk.request(desk.linear), desk.now_ms)
        for _ in range(11)
    ]
    for frame in frames:
        assert isinstance(frame, StreamFrame)
        desk.write(frame)
    answers = some(OrderAnswer, desk.take())
    assert [answer.accepted for answer in answers] == [True] * 10 + [False]
    late = answers[-1]
    assert (late.rejection, late.unknown) == (Rejection.RATE, False)
    assert 0 < late.retry_after_ms <= 1_000
    by_rest = desk.place(desk.request(desk.linear), rest=True)
    assert (by_rest.rejection, by_rest.retry_after_ms) == (Rejection.RATE, 1_000)


def test_a_trade_service_that_restarts_ends_the_connection_and_leaves_the_order_unknown(
    desk: Desk,
) -> None:
    desk.peer.restart_trade()
    order = desk.request(desk.spot)
    answer = desk.place(order)
    assert answer.unknown
    ended = only(StreamEnded, desk.take())
    assert ended.route == "trade"
    assert desk.cut == ["trade"]
    assert desk.query(desk.spot, order.client_id) is Rejection.UNKNOWN_ORDER
    desk.connect("trade")
    assert desk.place(order).accepted


# --- credentials that do not suffice ------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (Credentials("nobody", DEMO.secret), "does not know this key on this host"),
        (Credentials(DEMO.key, "wrong"), "the secret does not belong to the key"),
        (Credentials("practice-read-key", DEMO.secret), "give it the right to trade"),
        (Credentials("practice-elsewhere-key", DEMO.secret), "not on the key's list"),
    ],
)
def test_an_order_by_a_key_that_may_not_is_refused(credentials: Credentials, words: str) -> None:
    desk = Desk(credentials)
    for listing in (desk.spot, desk.linear):
        answer = desk.place(desk.request(listing), rest=True)
        assert (answer.accepted, answer.rejection) == (False, Rejection.CREDENTIALS)
        assert words in answer.text
        assert not answer.unknown


def test_a_key_that_may_only_read_places_nothing_on_the_trade_stream_either() -> None:
    desk = Desk(Credentials("practice-read-key", DEMO.secret))
    desk.connect("trade")
    answer = desk.place(desk.request(desk.spot))
    assert (answer.accepted, answer.rejection) == (False, Rejection.CREDENTIALS)


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("skew_ns", [5 * SECOND, -8 * SECOND])
def test_an_order_by_a_wrong_clock_is_refused_as_such(desk: Desk, skew_ns: int, rest: bool) -> None:
    desk.skew_ns = skew_ns
    for listing in (desk.spot, desk.linear):
        answer = desk.place(desk.request(listing), rest=rest)
        assert (answer.rejection, answer.unknown) == (Rejection.CLOCK, False)
        assert "clock" in answer.text


def test_an_order_refused_for_the_clock_can_be_sent_again_under_its_id(desk: Desk) -> None:
    order = desk.request(desk.spot)
    desk.skew_ns = 5 * SECOND
    assert desk.place(order).rejection is Rejection.CLOCK
    desk.skew_ns = 0
    assert desk.place(order).accepted


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (DEMO.key, []),
        ("practice-withdraw-key", ["may withdraw", "may transfer between accounts"]),
        ("practice-read-key", ["may not trade spot", "may not trade contracts"]),
    ],
)
def test_permissions_say_what_stands_in_the_way(key: str, words: list[str]) -> None:
    desk = Desk(Credentials(key, DEMO.secret))
    asked = desk.codec.permissions(desk.credentials, desk.now_ms)
    told = desk.codec.decode_permissions([(one, desk.rest(one)[1]) for one in asked])
    assert told.read
    assert told.one_way
    assert told.withdraw == ("withdraw" in key)
    assert told.trade_spot == told.trade_linear == ("read" not in key)
    assert len(told.problems) == len(words)
    for problem, word in zip(told.problems, words, strict=True):
        assert problem.startswith("bybit: the key ")
        assert word in problem


def test_an_account_that_is_not_unified_stands_in_the_way() -> None:
    desk = Desk()
    desk.peer.accounts.unified = False
    asked = desk.codec.permissions(desk.credentials, desk.now_ms)
    told = desk.codec.decode_permissions([(one, desk.rest(one)[1]) for one in asked])
    (problem,) = told.problems
    assert "not a unified trading account" in problem


# --- queries ------------------------------------------------------------------------------


def test_open_orders_are_listed_for_one_listing_and_for_all(desk: Desk, listing: Listing) -> None:
    first, second = (desk.request(listing, price=price) for price in ("63000", "63500"))
    desk.place(first)
    desk.place(second, rest=True)
    for chosen in (listing, None):
        orders = desk.open_orders(listing.kind, chosen)
        assert {order.client_id for order in orders} == {first.client_id, second.client_id}
        assert all(order.listing is listing for order in orders)


def test_open_orders_beyond_a_page_are_found_by_its_cursor(desk: Desk) -> None:
    sent = set()
    for _ in range(53):
        order = desk.request(desk.spot, price="63000", size="0.001")
        assert desk.place(order).accepted
        desk.run(100 * MS)
        sent.add(order.client_id)
    assert {order.client_id for order in desk.open_orders(Kind.SPOT)} == sent


def test_an_order_of_any_end_can_be_asked_for(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing)
    placed = desk.place(order)
    desk.cancel(listing, order.client_id, placed.venue_id)
    queried = desk.query(listing, order.client_id)
    assert isinstance(queried, OrderUpdate)
    assert (queried.state, queried.client_id) == (OrderState.CANCELED, order.client_id)
    assert desk.query(listing, "deskmm99") is Rejection.UNKNOWN_ORDER


def test_a_fill_moves_wallet_and_position(desk: Desk) -> None:
    before = desk.balance("USDT")
    assert desk.positions() == []
    desk.crowd(desk.linear, "buy", "64000", "0.01")
    desk.ioc(desk.linear, "sell", "64000", "0.01")
    events = desk.take()
    told = some(Position, events)[-1]
    assert (told.listing, told.size, told.entry) == (desk.linear, Decimal("-0.01"), Decimal(64000))
    wallet = [balance for balance in some(Balance, events) if balance.asset == "USDT"][-1]
    assert wallet.total == before.total - Decimal("0.352")
    (asked,) = desk.positions()
    assert (asked.size, asked.entry) == (told.size, told.entry)
    now = desk.balance("USDT")
    assert (now.wallet, now.total) == ("", wallet.total)
    assert now.available < before.available


def test_a_resting_spot_order_locks_what_it_would_pay(desk: Desk) -> None:
    before = desk.balance("USDT")
    desk.place(desk.request(desk.spot))
    asked = desk.balance("USDT")
    assert asked.total == before.total
    assert asked.available == before.available - 640


def test_fee_rates_are_those_of_the_account(desk: Desk, listing: Listing) -> None:
    request = desk.codec.fee_rates(desk.credentials, listing, desk.now_ms)
    rates = desk.codec.decode_fee_rates(request, desk.rest(request)[1])
    spot = listing.kind is Kind.SPOT
    expected = (Decimal(10), Decimal(10)) if spot else (Decimal(2), Decimal("5.5"))
    assert (rates.maker_bps, rates.taker_bps) == expected


def test_funding_is_no_fill(desk: Desk) -> None:
    desk.crowd(desk.linear, "buy", "64000", "0.01")
    desk.ioc(desk.linear, "sell", "64000", "0.01")
    desk.take()
    desk.run(8 * 3600 * SECOND)
    events = desk.take()
    paid = only(Funding, events)
    assert (paid.listing, paid.asset) == (desk.linear, "USDT")
    assert paid.amount
    assert not some(Fill, events)
    wallet = [balance for balance in some(Balance, events) if balance.asset == "USDT"][-1]
    assert wallet.total == desk.balance("USDT").total
    assert len(desk.fills(desk.linear)) == 1


def test_words_nobody_has_heard_of_change_nothing(desk: Desk, listing: Listing) -> None:
    desk.peer.views.novel = True
    desk.crowd(listing, "sell", "64000", "0.01")
    assert desk.ioc(listing, "buy", "64000", "0.01").accepted
    events = desk.take()
    assert some(OrderUpdate, events)[-1].state is OrderState.FILLED
    assert len({fill.trade_id for fill in some(Fill, events)}) == 1


# --- ends ---------------------------------------------------------------------------------


def test_cancel_all_ends_every_order_of_a_listing_and_no_other(
    desk: Desk, listing: Listing
) -> None:
    other = desk.linear if listing is desk.spot else desk.spot
    spared = desk.request(other)
    orders = [desk.request(listing, price=price) for price in ("63000", "63500")]
    for order in (spared, *orders):
        desk.place(order)
    desk.take()
    ids = [(order.client_id, "") for order in orders]
    (request,) = desk.codec.cancel_all(desk.credentials, listing, ids, desk.now_ms)
    answer = desk.send(request)
    assert (answer.accepted, answer.client_id) == (True, "")
    gone = some(OrderUpdate, desk.take())
    assert {(one.client_id, one.state) for one in gone} == {
        (order.client_id, OrderState.CANCELED) for order in orders
    }
    assert desk.open_orders(listing.kind) == []
    assert [order.client_id for order in desk.open_orders(other.kind)] == [spared.client_id]
    (again,) = desk.codec.cancel_all(desk.credentials, listing, [], desk.now_ms)
    assert desk.send(again).accepted


def test_the_dead_mans_switch_cancels_when_the_private_stream_is_gone_for_the_window() -> None:
    desk = Desk(codec=BybitPrivateCodec(dead_man=True))
    desk.connect_all()
    desk.place(desk.request(desk.linear))
    request = desk.codec.arm_dead_man(desk.credentials, desk.linear, 5_000, desk.now_ms)
    assert request is not None
    assert desk.codec.decode_answer(request, *desk.rest(request)).accepted
    desk.take()
    desk.peer.closed(desk.routes["private"])
    desk.run(4 * SECOND)
    assert len(desk.open_orders(Kind.LINEAR)) == 1
    desk.run(2 * SECOND)
    assert desk.open_orders(Kind.LINEAR) == []
    ended = desk.query(desk.linear, "deskmm1")
    assert isinstance(ended, OrderUpdate)
    assert "dead-man" in ended.text


def test_on_the_demo_orders_go_by_rest_and_no_trade_stream_is_opened() -> None:
    desk = Desk(codec=BybitPrivateCodec(demo=True))
    assert set(desk.codec.private_endpoints(HOSTS, BOTH)) == {"private"}
    desk.connect("private")
    desk.crowd(desk.spot, "sell", "64000", "0.01")
    assert desk.ioc(desk.spot, "buy", "64000", "0.01").accepted
    assert only(Fill, desk.take()).fee is not None
