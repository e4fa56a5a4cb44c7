"""Binance's private codec against the practice Binance, without sockets: bytes to bytes."""

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
from hftmm.sim.binance import BinancePeer
from hftmm.sim.binance.keys import ED25519_SUFFIX, ed25519_pem
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.overload import order_request, unknown, unknown_frame
from hftmm.sim.peers import HttpQuery, Push
from hftmm.venues.binance import BinanceCodec, BinancePrivateCodec
from hftmm.venues.private import Credentials, Outgoing, SignedRequest, StreamFrame

MS = 1_000_000
SECOND = 1000 * MS
START = 1_780_000_020 * SECOND
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT")
BOTH = frozenset({Kind.SPOT, Kind.LINEAR})
HOSTS = {
    f"{market}.{host}": f"{scheme}://venue{path}"
    for market, api in (("spot", "/ws-api/v3"), ("linear", "/ws-fapi/v1"))
    for host, scheme, path in (("rest", "http", ""), ("stream", "ws", ""), ("api", "ws", api))
}
HMAC = Credentials(DEMO.key, DEMO.secret)
ED25519 = Credentials(DEMO.key + ED25519_SUFFIX, ed25519_pem(DEMO))

E = TypeVar("E", bound=AccountEvent)


def only(kind: type[E], events: Sequence[AccountEvent]) -> E:
    """The one event of a kind."""
    (event,) = [event for event in events if isinstance(event, kind)]
    return event


def last(kind: type[E], events: Sequence[AccountEvent]) -> E:
    return [event for event in events if isinstance(event, kind)][-1]


class Desk:
    """A codec, its credentials, and the venue behind every route.

    Attributes:
        heard: account events since they were last taken, by route.
    """

    def __init__(self, credentials: Credentials = HMAC, skew_ns: int = 0) -> None:
        specs = [spec for spec in practice_specs(SYMBOLS) if spec.venue == "binance"]
        self.market = Market(specs, PracticeConfig(seed=7), START)
        for engine in self.market.engines.values():
            highest = engine.levels("sell")[-1].ticks
            engine.place("buy", highest, 10**12, START, immediate=True)
            engine.place("sell", 1, 10**12, START, immediate=True)
        self.peer = BinancePeer(self.market, 7)
        self.now_ns = START
        self.skew_ns = skew_ns
        self.credentials = credentials
        self.codec = BinancePrivateCodec()
        self.listings = self._listings()
        self.spot = self.listings[Kind.SPOT, "BTCUSDT"]
        self.linear = self.listings[Kind.LINEAR, "BTCUSDT"]
        self.heard: list[AccountEvent] = []
        self.routes: dict[str, int] = {}
        self.listen_key = ""
        self._last_id = 0

    @property
    def now_ms(self) -> int:
        """Our idea of the venue's clock."""
        return (self.now_ns + self.skew_ns) // MS

    def _listings(self) -> dict[tuple[Kind, str], Listing]:
        public = BinanceCodec()
        found = {}
        for request in public.instruments(BOTH):
            path, _, query = request.path.partition("?")
            asked = HttpQuery(request.route, "GET", path, query, {}, b"")
            body = self.peer.request(asked, self.now_ns).body
            for listing in public.decode_instruments(request, body).listings:
                found[listing.kind, listing.venue_symbol] = listing
        return found

    # Time and the market

    def run(self, span_ns: int = 10 * MS) -> None:
        """Lets time pass and decodes what the venue says, which takes it up to 4 ms."""
        for step_ns in (span_ns - 5 * MS, 5 * MS):
            self.now_ns += step_ns
            self.market.now_ns = self.now_ns
            self.peer.advance(self.now_ns)
        names = {number: route for route, number in self.routes.items()}
        for out in self.peer.outbox:
            if isinstance(out, Push):
                route = names[out.connection]
                self.heard += self.codec.decode_account(
                    route, out.frame, self.listings, self.now_ns
                )
        self.peer.outbox.clear()

    def take(self) -> list[AccountEvent]:
        """Events since the last call."""
        self.run()
        heard, self.heard = self.heard, []
        return heard

    def crowd(self, listing: Listing, side: Side, price: str, size: str) -> None:
        """Somebody else's limit order."""
        engine = self.market.engines["binance", listing.kind, listing.venue_symbol]
        ticks, lots = Decimal(price) / engine.spec.tick, Decimal(size) / engine.spec.lot
        engine.place(side, int(ticks), int(lots), self.now_ns)

    # Routes

    def connect(self, route: str, key: str = "") -> list[AccountEvent]:
        """Opens a route and logs in; what the venue says to that."""
        url = self.codec.private_endpoints(HOSTS, BOTH)[route].replace("{key}", key)
        path = "/" + url.split("/", 3)[3]
        number = self.routes[route] = len(self.routes) + 1
        face = f"{route.partition('.')[0]}.{'stream' if route == 'linear.private' else 'api'}"
        assert self.peer.opened(number, face, path, "", self.now_ns) is None
        for frame in self.codec.login(self.credentials, route, self.now_ms):
            self.write(frame)
        return self.take()

    def connect_all(self) -> None:
        """Opens every route."""
        for route in ("spot.private", "spot.trade", "linear.trade"):
            self.connect(route)
        obtained = self.codec.renew(self.credentials, Kind.LINEAR, "", self.now_ms)
        assert obtained is not None
        self.listen_key = self.codec.decode_renewal(self.rest(obtained)[1])
        self.connect("linear.private", self.listen_key)

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
        answers = [event for event in self.heard if isinstance(event, OrderAnswer)]
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
        request = self.codec.order(self.credentials, listing, client_id, self.now_ms)
        status, body = self.rest(request)
        if status != 200:
            return self.codec.classify(status, body)[0]
        ((update,), cursor) = self.codec.decode_orders(body, self.listings, self.now_ns)
        assert cursor == ""
        return update

    def open_orders(self, kind: Kind, listing: Listing | None = None) -> list[OrderUpdate]:
        (request,) = self.codec.open_orders(self.credentials, kind, listing, self.now_ms)
        status, body = self.rest(request)
        assert status == 200
        return self.codec.decode_orders(body, self.listings, self.now_ns)[0]

    def fills(self, listing: Listing) -> list[Fill]:
        since_ms = START // MS
        request = self.codec.fills_since(self.credentials, listing, since_ms, self.now_ms)
        status, body = self.rest(request)
        assert status == 200, body
        fills, cursor = self.codec.decode_fills(body, self.listings, self.now_ns)
        assert cursor == ""
        return fills

    def balance(self, kind: Kind, asset: str) -> Balance:
        (request,) = self.codec.balances(self.credentials, frozenset({kind}), self.now_ms)
        status, body = self.rest(request)
        assert status == 200
        balances = self.codec.decode_balances(request, body, self.now_ns)
        return next(balance for balance in balances if balance.asset == asset)

    def position(self) -> Position:
        (request,) = self.codec.positions(self.credentials, self.now_ms)
        status, body = self.rest(request)
        assert status == 200
        positions = self.codec.decode_positions(body, self.listings, self.now_ns)
        return next(one for one in positions if one.listing.key == self.linear.key)

    def arm(self, timeout_ms: int) -> None:
        request = self.codec.arm_dead_man(self.credentials, self.linear, timeout_ms, self.now_ms)
        assert request is not None
        assert self.rest(request)[0] == 200


@pytest.fixture(params=["hmac", "ed25519"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """A desk with every route open, by either kind of key."""
    desk = Desk(HMAC if request.param == "hmac" else ED25519)
    desk.connect_all()
    return desk


@pytest.fixture(params=["spot", "linear"])
def listing(request: pytest.FixtureRequest, desk: Desk) -> Listing:
    return desk.spot if request.param == "spot" else desk.linear


# --- login --------------------------------------------------------------------------------


def test_spot_tells_that_its_user_data_stream_is_ready() -> None:
    assert Desk().connect("spot.private") == [StreamReady("spot.private", ok=True)]


def test_only_an_ed25519_key_logs_the_trading_connection_on() -> None:
    assert Desk(HMAC).connect("spot.trade") == []
    assert Desk(ED25519).connect("spot.trade") == [StreamReady("spot.trade", ok=True)]


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (Credentials("nobody", DEMO.secret), "check the key"),
        (Credentials("no key!", DEMO.secret), "no key of Binance"),
        (Credentials(DEMO.key, "wrong"), "the secret does not belong to the key"),
        (Credentials("practice-elsewhere-key", DEMO.secret), "list of addresses"),
    ],
)
def test_a_login_that_fails_says_why(credentials: Credentials, words: str) -> None:
    ready = only(StreamReady, Desk(credentials).connect("spot.private"))
    assert not ready.ok
    assert ready.rejection is Rejection.CREDENTIALS
    assert words in ready.text


@pytest.mark.parametrize("skew_ns", [5 * SECOND, -10 * SECOND])
def test_a_login_by_a_wrong_clock_says_so(skew_ns: int) -> None:
    ready = only(StreamReady, Desk(skew_ns=skew_ns).connect("spot.private"))
    assert (ready.ok, ready.rejection) == (False, Rejection.CLOCK)


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
    assert update.venue_id == answer.venue_id
    assert (update.client_id, update.side) == (order.client_id, "buy")
    assert (update.state, update.filled) == (OrderState.OPEN, Decimal(0))
    assert (update.price, update.size) == (order.price, order.size)
    assert update.average is None
    assert update.venue_ns // MS == pytest.approx(desk.now_ms, abs=50)


def test_a_post_only_order_that_would_take_is_refused_as_such(desk: Desk, listing: Listing) -> None:
    desk.crowd(listing, "sell", "64000", "1")
    answer = desk.place(desk.request(listing, price="64000", post_only=True))
    assert not answer.accepted
    assert answer.rejection is Rejection.POST_ONLY
    assert not answer.unknown


@pytest.mark.parametrize("rest", [False, True])
def test_a_cancel_by_either_id_ends_the_order_under_our_id(
    desk: Desk, listing: Listing, rest: bool
) -> None:
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


@pytest.mark.parametrize("rest", [False, True])
def test_an_amend_makes_the_order_smaller_under_the_same_id(
    desk: Desk, listing: Listing, rest: bool
) -> None:
    order = desk.request(listing, size="0.03", post_only=True)
    placed = desk.place(order)
    desk.take()
    price = order.price if listing.kind is Kind.SPOT else order.price - 10
    change = Amendment(
        order.client_id, listing, "buy", price, Decimal("0.02"), venue_id=placed.venue_id
    )
    answer = desk.send(desk.codec.amend(desk.credentials, change, desk.now_ms, rest=rest))
    assert answer.accepted
    assert (answer.client_id, answer.venue_id) == (order.client_id, placed.venue_id)
    update = last(OrderUpdate, desk.take())
    assert (update.client_id, update.state) == (order.client_id, OrderState.OPEN)
    assert (update.price, update.size) == (price, Decimal("0.02"))
    queried = desk.query(listing, order.client_id)
    assert isinstance(queried, OrderUpdate)
    assert queried.size == Decimal("0.02")


def test_an_amend_of_spot_to_more_is_refused(desk: Desk) -> None:
    order = desk.request(desk.spot, post_only=True)
    desk.place(order)
    change = Amendment(order.client_id, desk.spot, "buy", order.price, Decimal("0.02"))
    answer = desk.send(desk.codec.amend(desk.credentials, change, desk.now_ms))
    assert not answer.accepted
    assert "cancel it and place anew" in answer.text


def test_an_ioc_order_takes_and_its_fill_has_a_fee(desk: Desk, listing: Listing) -> None:
    desk.crowd(listing, "sell", "64000", "0.004")
    assert desk.ioc(listing, "buy", "64000", "0.01").accepted
    events = desk.take()
    fills = [event for event in events if isinstance(event, Fill)]
    fill = fills[-1]
    assert {(one.trade_id, one.price, one.size) for one in fills} == {
        (fill.trade_id, Decimal(64000), Decimal("0.004"))
    }
    assert not fill.maker
    assert fill.client_id == "deskmm1"
    if listing.kind is Kind.SPOT:
        # Paid in what was bought.
        assert (fill.fee, fill.fee_asset) == (Decimal("0.000004"), "BTC")
    else:
        assert (fill.fee, fill.fee_asset) == (Decimal("0.128"), "USDT")
        assert [one.fee for one in fills] == [None, Decimal("0.128")]
    ended = last(OrderUpdate, events)
    assert (ended.state, ended.filled) == (OrderState.EXPIRED, Decimal("0.004"))
    assert ended.average == 64000
    assert ended.rejection is Rejection.NOTHING_TO_TAKE
    (queried,) = desk.fills(listing)
    assert (queried.trade_id, queried.fee, queried.fee_asset, queried.maker) == (
        fill.trade_id,
        fill.fee,
        fill.fee_asset,
        False,
    )
    assert (queried.venue_id, queried.side) == (fill.venue_id, "buy")


def test_a_resting_order_is_filled_as_maker(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing, post_only=True)
    desk.place(order)
    desk.take()
    desk.crowd(listing, "sell", "64000", "0.01")
    events = desk.take()
    assert last(Fill, events).maker
    assert last(OrderUpdate, events).state is OrderState.FILLED


def test_a_fok_order_that_cannot_fill_has_found_nothing_to_take(
    desk: Desk, listing: Listing
) -> None:
    order = desk.request(listing, time_in_force=TimeInForce.FOK)
    answer = desk.place(order)
    if answer.accepted:
        assert last(OrderUpdate, desk.take()).rejection is Rejection.NOTHING_TO_TAKE
    else:
        assert answer.rejection is Rejection.NOTHING_TO_TAKE


def test_an_order_that_meets_ours_lets_the_quote_go(desk: Desk, listing: Listing) -> None:
    quote = desk.request(listing, "sell", "64010", post_only=True)
    if listing.kind is Kind.SPOT:
        desk.crowd(listing, "sell", "64005", "0.01")
        desk.ioc(listing, "buy", "64005", "0.01")
        quote = desk.request(listing, "sell", "64010", "0.005", post_only=True)
    assert desk.place(quote).accepted
    desk.take()
    assert desk.ioc(listing, "buy", "64010", "0.01").accepted
    updates = [event for event in desk.take() if isinstance(event, OrderUpdate)]
    gone = next(update for update in updates if update.client_id == quote.client_id)
    assert gone.state is OrderState.EXPIRED
    assert gone.rejection is Rejection.SELF_TRADE


@pytest.mark.parametrize(
    ("market", "price", "size", "rejection"),
    [
        ("spot", "64000", "50", Rejection.BALANCE),
        ("spot", "64000", "0.00001", Rejection.FILTER),
        ("spot", "64000.001", "0.01", Rejection.FILTER),
        ("spot", "1", "100", Rejection.FILTER),
        ("linear", "64000", "900", Rejection.BALANCE),
        ("linear", "15000", "0.001", Rejection.FILTER),
        ("linear", "64000.01", "0.01", Rejection.FILTER),
        ("linear", "99000", "0.01", Rejection.FILTER),
    ],
)
def test_an_order_the_venue_does_not_allow_is_refused_by_class(
    market: str, price: str, size: str, rejection: Rejection
) -> None:
    desk = Desk()
    desk.connect_all()
    listing = desk.spot if market == "spot" else desk.linear
    answer = desk.place(desk.request(listing, price=price, size=size))
    assert (answer.accepted, answer.rejection, answer.unknown) == (False, rejection, False)


def test_a_reduce_only_order_without_a_position_is_refused(desk: Desk) -> None:
    answer = desk.place(desk.request(desk.linear, reduce_only=True))
    assert answer.rejection is Rejection.REDUCE_ONLY


def test_a_client_id_used_twice_is_a_duplicate(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing, post_only=True)
    assert desk.place(order).accepted
    desk.run()
    assert desk.place(order).rejection is Rejection.DUPLICATE


def test_an_answer_that_nobody_knows_the_outcome_is_unknown_and_a_query_settles_it(
    desk: Desk, listing: Listing
) -> None:
    by_frame, by_rest = desk.request(listing), desk.request(listing)
    frame = desk.codec.place(desk.credentials, by_frame, desk.now_ms)
    assert isinstance(frame, StreamFrame)
    asked = order_request("binance", frame.frame)
    assert asked is not None
    lost = unknown_frame("binance", asked)
    (told,) = desk.codec.decode_account(frame.route, lost, desk.listings, desk.now_ns)
    assert isinstance(told, OrderAnswer)
    request = desk.codec.place(desk.credentials, by_rest, desk.now_ms, rest=True)
    assert isinstance(request, SignedRequest)
    page = unknown("binance")
    for order, answer in (
        (by_frame, told),
        (by_rest, desk.codec.decode_answer(request, page.status, page.body)),
    ):
        assert (answer.accepted, answer.unknown) == (False, True)
        assert answer.client_id == order.client_id
        assert desk.query(listing, order.client_id) is Rejection.UNKNOWN_ORDER
        assert desk.place(order).accepted
        assert isinstance(desk.query(listing, order.client_id), OrderUpdate)


def test_an_overloaded_venue_turns_orders_away_for_certain(desk: Desk) -> None:
    order = desk.request(desk.linear, post_only=True)
    assert desk.place(order).accepted
    desk.peer.trading.disturbances.overloaded = True
    answer = desk.place(desk.request(desk.linear, post_only=True))
    assert (answer.rejection, answer.unknown) == (Rejection.RATE, False)
    assert desk.cancel(desk.linear, order.client_id).accepted


def test_too_many_orders_say_when_to_come_back(desk: Desk) -> None:
    answers = [desk.place(desk.request(desk.spot, size="0.001")) for _ in range(101)]
    assert answers[-2].accepted
    assert answers[-1].rejection is Rejection.RATE
    assert not answers[-1].unknown
    assert 0 < answers[-1].retry_after_ms <= 10_000


# --- credentials that do not suffice ------------------------------------------------------


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize(
    ("credentials", "rejection"),
    [
        (Credentials("nobody", DEMO.secret), Rejection.CREDENTIALS),
        (Credentials(DEMO.key, "wrong"), Rejection.CREDENTIALS),
        (Credentials("practice-read-key", DEMO.secret), Rejection.CREDENTIALS),
    ],
)
def test_an_order_by_a_key_that_may_not_is_refused(
    credentials: Credentials, rejection: Rejection, rest: bool
) -> None:
    desk = Desk(credentials)
    for route in ("spot.trade", "linear.trade"):
        desk.connect(route)
    for listing in (desk.spot, desk.linear):
        answer = desk.place(desk.request(listing), rest=rest)
        assert (answer.accepted, answer.rejection) == (False, rejection)


@pytest.mark.parametrize("skew_ns", [5 * SECOND, -10 * SECOND])
def test_an_order_by_a_wrong_clock_is_refused_as_such(skew_ns: int) -> None:
    desk = Desk()
    desk.connect_all()
    desk.skew_ns = skew_ns
    for listing in (desk.spot, desk.linear):
        answer = desk.place(desk.request(listing))
        assert (answer.rejection, answer.unknown) == (Rejection.CLOCK, False)
        assert "clock" in answer.text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (DEMO.key, []),
        ("practice-withdraw-key", ["may withdraw", "may transfer", "may transfer universally"]),
        ("practice-read-key", ["may not trade spot", "may not trade futures"]),
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
        assert problem.startswith("binance: the key ")
        assert word in problem


# --- queries ------------------------------------------------------------------------------


def test_open_orders_are_listed_for_one_listing_and_for_all(desk: Desk, listing: Listing) -> None:
    first, second = (desk.request(listing, price=price) for price in ("63000", "63500"))
    desk.place(first)
    desk.place(second, rest=True)
    for chosen in (listing, None):
        orders = desk.open_orders(listing.kind, chosen)
        assert {order.client_id for order in orders} == {first.client_id, second.client_id}
        assert all(order.listing is listing for order in orders)


def test_an_order_of_any_end_can_be_asked_for(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing)
    placed = desk.place(order)
    desk.cancel(listing, order.client_id, placed.venue_id)
    queried = desk.query(listing, order.client_id)
    assert isinstance(queried, OrderUpdate)
    assert (queried.state, queried.client_id) == (OrderState.CANCELED, order.client_id)
    assert desk.query(listing, "deskmm99") is Rejection.UNKNOWN_ORDER


def test_a_fill_moves_balances_and_the_position(desk: Desk) -> None:
    before = desk.balance(Kind.LINEAR, "USDT")
    assert desk.position().size == 0
    desk.crowd(desk.linear, "buy", "64000", "0.01")
    desk.ioc(desk.linear, "sell", "64000", "0.01")
    events = desk.take()
    told = only(Position, events)
    assert (told.size, told.entry) == (Decimal("-0.01"), Decimal(64000))
    assert only(Balance, events).total == before.total - Decimal("0.32")
    asked = desk.position()
    assert (asked.size, asked.entry) == (told.size, told.entry)
    assert desk.balance(Kind.LINEAR, "USDT").available < before.available


def test_a_resting_spot_order_locks_what_it_would_pay(desk: Desk) -> None:
    before = desk.balance(Kind.SPOT, "USDT")
    desk.place(desk.request(desk.spot))
    told = next(
        event for event in desk.take() if isinstance(event, Balance) and event.asset == "USDT"
    )
    asked = desk.balance(Kind.SPOT, "USDT")
    assert told.total == asked.total == before.total
    assert told.available == asked.available == before.available - 640


def test_fee_rates_are_those_of_the_account(desk: Desk, listing: Listing) -> None:
    request = desk.codec.fee_rates(desk.credentials, listing, desk.now_ms)
    status, body = desk.rest(request)
    assert status == 200
    rates = desk.codec.decode_fee_rates(request, body)
    expected = (Decimal(10), Decimal(10)) if listing.kind is Kind.SPOT else (Decimal(2), Decimal(5))
    assert (rates.maker_bps, rates.taker_bps) == expected


def test_funding_is_no_fill(desk: Desk) -> None:
    desk.crowd(desk.linear, "buy", "64000", "0.01")
    desk.ioc(desk.linear, "sell", "64000", "0.01")
    desk.take()
    desk.run(8 * 3600 * SECOND)
    events = desk.take()
    paid = only(Funding, events)
    assert paid.asset == "USDT"
    assert paid.amount
    assert paid.listing is desk.linear
    assert not [event for event in events if isinstance(event, Fill)]


# --- ends ---------------------------------------------------------------------------------


def test_cancel_all_ends_every_order_of_a_listing(desk: Desk, listing: Listing) -> None:
    orders = [desk.request(listing, price=price) for price in ("63000", "63500")]
    for order in orders:
        desk.place(order)
    desk.take()
    ids = [(order.client_id, "") for order in orders]
    (request,) = desk.codec.cancel_all(desk.credentials, listing, ids, desk.now_ms)
    assert desk.send(request).accepted
    gone = [event for event in desk.take() if isinstance(event, OrderUpdate)]
    assert {(one.client_id, one.state) for one in gone} == {
        (order.client_id, OrderState.CANCELED) for order in orders
    }
    assert desk.open_orders(listing.kind) == []
    (again,) = desk.codec.cancel_all(desk.credentials, listing, [], desk.now_ms)
    assert desk.send(again).accepted


def test_the_dead_mans_switch_cancels_unless_it_is_refreshed(desk: Desk) -> None:
    order = desk.request(desk.linear, post_only=True)
    desk.place(order)
    desk.arm(5_000)
    desk.run(4 * SECOND)
    desk.arm(5_000)
    desk.run(4 * SECOND)
    assert len(desk.open_orders(Kind.LINEAR)) == 1
    desk.run(2 * SECOND)
    ended = last(OrderUpdate, desk.take())
    assert (ended.client_id, ended.state) == (order.client_id, OrderState.CANCELED)


def test_a_disarmed_switch_cancels_nothing(desk: Desk) -> None:
    desk.place(desk.request(desk.linear, post_only=True))
    desk.arm(5_000)
    desk.arm(0)
    desk.run(10 * SECOND)
    assert len(desk.open_orders(Kind.LINEAR)) == 1


def test_spot_has_no_dead_mans_switch(desk: Desk) -> None:
    assert desk.codec.arm_dead_man(desk.credentials, desk.spot, 5_000, desk.now_ms) is None


def test_a_listen_key_lives_as_long_as_it_is_renewed_and_no_longer(desk: Desk) -> None:
    every_ns = desk.codec.rules[Kind.LINEAR].renew_ns
    for _ in range(3):
        desk.run(every_ns)
        renewed = desk.codec.renew(desk.credentials, Kind.LINEAR, desk.listen_key, desk.now_ms)
        assert renewed is not None
        assert desk.rest(renewed)[0] == 200
    assert not [event for event in desk.take() if isinstance(event, StreamEnded)]
    desk.run(3601 * SECOND)
    ended = only(StreamEnded, desk.take())
    assert ended.route == "linear.private"
    late = desk.codec.renew(desk.credentials, Kind.LINEAR, desk.listen_key, desk.now_ms)
    assert late is not None
    status, body = desk.rest(late)
    assert "a new one is needed" in desk.codec.classify(status, body)[2]
    assert desk.codec.renew(desk.credentials, Kind.SPOT, "", desk.now_ms) is None


def test_a_shutdown_that_spot_announces_ends_its_routes(desk: Desk) -> None:
    desk.peer.farewell(desk.now_ns)
    ended = [event for event in desk.take() if isinstance(event, StreamEnded)]
    assert {event.route for event in ended} == {"spot.private", "spot.trade"}
