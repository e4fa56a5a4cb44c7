"""OKX's private codec against the practice OKX, without sockets: bytes to bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import pytest

from hftmm.core.errors import MalformedFrame
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import (
    AccountEvent,
    Amendment,
    Balance,
    Fill,
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
from hftmm.sim.ledger import DEMO
from hftmm.sim.overload import too_many, unknown
from hftmm.sim.peers import HttpQuery, Push
from hftmm.venues.okx import OkxCodec, OkxPrivateCodec
from hftmm.venues.private import Credentials, Listings, Outgoing, SignedRequest, StreamFrame
from tests.okx_members import MS, SECOND, SPOT, START, SWAP, venue

BOTH = frozenset({Kind.SPOT, Kind.LINEAR})
HOSTS = {
    "rest": "http://venue",
    "public": "ws://venue/ws/v5/public",
    "private": "ws://venue/ws/v5/private",
    "business": "ws://venue/ws/v5/business",
}
KEY = Credentials(DEMO.key, DEMO.secret, DEMO.passphrase)
READER = Credentials("practice-read-key", DEMO.secret, DEMO.passphrase)
WITHDRAWER = Credentials("practice-withdraw-key", DEMO.secret, DEMO.passphrase)
ELSEWHERE = Credentials("practice-elsewhere-key", DEMO.secret, DEMO.passphrase)

E = TypeVar("E", bound=AccountEvent)
T = TypeVar("T")


def every(kind: type[E], events: Sequence[AccountEvent]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def only(kind: type[E], events: Sequence[AccountEvent]) -> E:
    """The one event of a kind."""
    (event,) = every(kind, events)
    return event


class Desk:
    """A codec, its credentials, and the venue behind it. Its market stands still."""

    def __init__(
        self,
        credentials: Credentials = KEY,
        *,
        skew_ns: int = 0,
        demo: bool = False,
        start_ns: int = START,
        **trading: Any,
    ) -> None:
        self.venue = venue(start_ns=start_ns, demo=demo, **trading)
        self.peer = self.venue.peer
        self.now_ns = start_ns
        self.skew_ns = skew_ns
        self.credentials = credentials
        self.codec = OkxPrivateCodec(demo=demo)
        self.listings = self._listings()
        self.spot = self.listings[Kind.SPOT, SPOT]
        self.swap = self.listings[Kind.LINEAR, SWAP]
        self.heard: list[AccountEvent] = []
        self._last_id = 0

    @property
    def now_ms(self) -> int:
        """Our idea of the venue's clock."""
        return (self.now_ns + self.skew_ns) // MS

    def _listings(self) -> dict[tuple[Kind, str], Listing]:
        public = OkxCodec()
        found = {}
        for request in public.instruments(BOTH):
            path, _, query = request.path.partition("?")
            asked = HttpQuery("rest", "GET", path, query, {}, b"")
            body = self.peer.request(asked, self.now_ns).body
            for listing in public.decode_instruments(request, body).listings:
                found[listing.kind, listing.venue_symbol] = listing
        return found

    # Time

    def run(self, span_ns: int = 10 * MS) -> None:
        """Lets time pass for the venue, and decodes what it says."""
        self.peer.advance(self.now_ns)
        self.now_ns += span_ns
        self.venue.now_ns = self.now_ns
        self.peer.advance(self.now_ns)
        for out in self.peer.outbox:
            if isinstance(out, Push):
                self.heard += self.codec.decode_account(
                    "private", out.frame, self.listings, self.now_ns
                )
        self.peer.outbox.clear()

    def take(self) -> list[AccountEvent]:
        """Events since the last call."""
        self.run()
        heard, self.heard = self.heard, []
        return heard

    # The stream and REST

    def open(self) -> None:
        assert self.peer.opened(1, "private", "/ws/v5/private", "", self.now_ns) is None

    def connect(self) -> None:
        """Opens the stream and logs in, every frame after the answer to the one before."""
        self.open()
        for frame in self.codec.login(self.credentials, "private", self.now_ms):
            self.write(frame)
            self.run()
            assert every(StreamReady, self.heard) == [StreamReady("private", ok=True)]
            self.heard.clear()

    def write(self, frame: StreamFrame) -> None:
        assert frame.route == "private"
        self.peer.received(1, frame.frame, self.now_ns)

    def rest(self, request: SignedRequest) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        path, _, query = request.path.partition("?")
        asked = HttpQuery("rest", request.method, path, query, request.headers, request.body)
        answer = self.peer.request(asked, self.now_ns)
        return answer.status, answer.body

    def send(self, outgoing: Outgoing) -> OrderAnswer:
        """The answer to an order request, by whichever way it went."""
        if isinstance(outgoing, SignedRequest):
            return self.codec.decode_answer(outgoing, *self.rest(outgoing))
        self.write(outgoing)
        self.run()
        answers = every(OrderAnswer, self.heard)
        (answer,) = [one for one in answers if one.request_id == outgoing.request_id]
        self.heard.remove(answer)
        return answer

    # Orders

    def passive(self, listing: Listing, away: int = 5) -> str:
        """A price at which a buy rests."""
        return self.venue.price("buy", away, listing.venue_symbol)

    def best(self, listing: Listing, side: Side) -> str:
        return self.venue.price(side, 0, listing.venue_symbol)

    def request(
        self,
        listing: Listing,
        side: Side = "buy",
        price: str = "",
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
            Decimal(price or self.passive(listing)),
            Decimal(size),
            post_only,
            time_in_force,
            reduce_only,
        )

    def place(self, order: OrderRequest, *, rest: bool = False) -> OrderAnswer:
        return self.send(self.codec.place(self.credentials, order, self.now_ms, rest=rest))

    def amend(
        self, order: OrderRequest, price: str, size: str, venue_id: str = "", *, rest: bool = False
    ) -> OrderAnswer:
        change = Amendment(
            order.client_id, order.listing, order.side, Decimal(price), Decimal(size), venue_id
        )
        return self.send(self.codec.amend(self.credentials, change, self.now_ms, rest=rest))

    def cancel(
        self, listing: Listing, client_id: str, venue_id: str = "", *, rest: bool = False
    ) -> OrderAnswer:
        return self.send(
            self.codec.cancel(
                self.credentials, listing, client_id, venue_id, self.now_ms, rest=rest
            )
        )

    def ioc(self, listing: Listing, side: Side, size: str = "0.01") -> OrderAnswer:
        price = self.best(listing, "sell" if side == "buy" else "buy")
        return self.place(self.request(listing, side, price, size, time_in_force=TimeInForce.IOC))

    def query(self, listing: Listing, client_id: str) -> OrderUpdate | None:
        request = self.codec.order(self.credentials, listing, client_id, self.now_ms)
        found, _ = self.codec.decode_orders(self.rest(request)[1], self.listings, self.now_ns)
        return found[0] if found else None

    def open_orders(self, kind: Kind, listing: Listing | None = None) -> list[OrderUpdate]:
        """Of every page."""
        (request,) = self.codec.open_orders(self.credentials, kind, listing, self.now_ms)
        return self._pages(request, self.codec.decode_orders)

    def fills(self, listing: Listing, since_ms: int = START // MS) -> list[Fill]:
        """Of every page."""
        request = self.codec.fills_since(self.credentials, listing, since_ms, self.now_ms)
        return self._pages(request, self.codec.decode_fills)

    def _pages(
        self,
        request: SignedRequest,
        decode: Callable[[bytes, Listings, int], tuple[list[T], str]],
    ) -> list[T]:
        found: list[T] = []
        while True:
            page, cursor = decode(self.rest(request)[1], self.listings, self.now_ns)
            found += page
            if not cursor:
                return found
            request = self.codec.next_page(self.credentials, request, cursor, self.now_ms)

    def balance(self, asset: str) -> Balance:
        (request,) = self.codec.balances(self.credentials, BOTH, self.now_ms)
        balances = self.codec.decode_balances(request, self.rest(request)[1], self.now_ns)
        return next(balance for balance in balances if balance.asset == asset)

    def position(self) -> Position:
        (request,) = self.codec.positions(self.credentials, self.now_ms)
        (position,) = self.codec.decode_positions(self.rest(request)[1], self.listings, self.now_ns)
        return position

    def arm(self, timeout_ms: int) -> int:
        request = self.codec.arm_dead_man(self.credentials, self.swap, timeout_ms, self.now_ms)
        assert request is not None
        status, body = self.rest(request)
        assert msgspec.json.decode(body)["code"] == "0", body
        return status


@pytest.fixture
def desk() -> Desk:
    """A desk that is logged in."""
    desk = Desk()
    desk.connect()
    return desk


@pytest.fixture(params=["spot", "swap"])
def listing(request: pytest.FixtureRequest, desk: Desk) -> Listing:
    return desk.spot if request.param == "spot" else desk.swap


# --- login --------------------------------------------------------------------------------


def test_a_login_and_each_subscription_say_that_they_are_ready(desk: Desk) -> None:
    assert desk.place(desk.request(desk.swap)).accepted
    assert only(OrderUpdate, desk.take()).state is OrderState.OPEN


def test_the_account_is_told_whole_when_it_is_subscribed_to() -> None:
    desk = Desk()
    desk.open()
    for frame in desk.codec.login(KEY, "private", desk.now_ms):
        desk.write(frame)
        desk.run()
    told = {balance.asset: balance for balance in every(Balance, desk.heard)}
    assert told["USDT"] == msgspec.structs.replace(
        desk.balance("USDT"),
        venue_ns=told["USDT"].venue_ns,
        received_ns=told["USDT"].received_ns,
    )
    position = only(Position, desk.heard)
    assert (position.listing.key, position.size, position.entry) == (
        desk.swap.key,
        Decimal(0),
        None,
    )


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (Credentials("nobody", DEMO.secret, DEMO.passphrase), "no such key"),
        (Credentials(DEMO.key, "wrong", DEMO.passphrase), "secret does not belong to the key"),
        (Credentials(DEMO.key, DEMO.secret, "wrong"), "wrong passphrase"),
        (ELSEWHERE, "list of addresses"),
    ],
)
def test_a_login_that_fails_says_why(credentials: Credentials, words: str) -> None:
    desk = Desk(credentials)
    desk.open()
    desk.write(desk.codec.login(credentials, "private", desk.now_ms)[0])
    ready = only(StreamReady, desk.take())
    assert not ready.ok
    assert ready.rejection is Rejection.CREDENTIALS
    assert words in ready.text


@pytest.mark.parametrize("skew_ns", [31 * SECOND, -32 * SECOND])
def test_a_wrong_clock_is_told_as_such_by_stream_and_rest(skew_ns: int) -> None:
    desk = Desk(skew_ns=skew_ns)
    desk.open()
    desk.write(desk.codec.login(KEY, "private", desk.now_ms)[0])
    ready = only(StreamReady, desk.take())
    assert (ready.ok, ready.rejection) == (False, Rejection.CLOCK)
    answer = desk.place(desk.request(desk.swap), rest=True)
    assert (answer.accepted, answer.unknown, answer.rejection) == (False, False, Rejection.CLOCK)
    assert "50102" in answer.text


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (Credentials("nobody", DEMO.secret, DEMO.passphrase), "50119"),
        (Credentials(DEMO.key, "wrong", DEMO.passphrase), "50113"),
        (Credentials(DEMO.key, DEMO.secret, "wrong"), "50105"),
        (ELSEWHERE, "50110"),
        (READER, "permission to trade"),
    ],
)
def test_a_key_that_is_refused_by_rest_says_why(credentials: Credentials, words: str) -> None:
    desk = Desk(credentials)
    answer = desk.place(desk.request(desk.spot), rest=True)
    assert (answer.accepted, answer.unknown) == (False, False)
    assert answer.rejection is Rejection.CREDENTIALS
    assert words in answer.text


def test_a_key_that_may_only_read_hears_so_on_the_stream() -> None:
    desk = Desk(READER)
    desk.connect()
    order = desk.request(desk.swap)
    answer = desk.place(order)
    assert (answer.client_id, answer.rejection) == (order.client_id, Rejection.CREDENTIALS)
    assert "permission to trade" in answer.text


def test_a_demo_key_is_used_with_the_demo_header_and_demo_numbers() -> None:
    desk = Desk(demo=True)
    desk.connect()
    of_production = desk.request(Desk().swap, price=desk.passive(desk.swap))
    assert of_production.listing.venue_code != desk.swap.venue_code
    assert desk.place(of_production).rejection is Rejection.NOT_TRADING
    assert desk.place(desk.request(desk.swap)).accepted
    assert desk.place(desk.request(desk.swap), rest=True).accepted


def test_an_order_before_the_login_is_refused_and_not_unknown() -> None:
    desk = Desk()
    desk.open()
    order = desk.request(desk.swap)
    answer = desk.place(order)
    assert (answer.client_id, answer.accepted, answer.unknown) == (order.client_id, False, False)
    assert "60011" in answer.text


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
    assert update.listing.key == listing.key
    assert update.venue_id == answer.venue_id
    assert (update.client_id, update.side) == (order.client_id, "buy")
    assert (update.state, update.filled, update.average) == (OrderState.OPEN, Decimal(0), None)
    assert (update.price, update.size) == (order.price, order.size)
    assert update.venue_ns // MS == pytest.approx(desk.now_ms, abs=50)


def test_the_push_may_come_before_the_answer() -> None:
    desk = Desk(acks="last")
    desk.connect()
    order = desk.request(desk.swap)
    frame = desk.codec.place(KEY, order, desk.now_ms)
    assert isinstance(frame, StreamFrame)
    desk.write(frame)
    kinds = [type(event) for event in desk.take() if not isinstance(event, Balance | Position)]
    assert kinds == [OrderUpdate, OrderAnswer]


@pytest.mark.parametrize("rest", [False, True])
def test_a_post_only_order_that_would_take_is_accepted_and_then_canceled_as_such(
    desk: Desk, listing: Listing, rest: bool
) -> None:
    order = desk.request(listing, price=desk.best(listing, "sell"), post_only=True)
    assert desk.place(order, rest=rest).accepted
    update = only(OrderUpdate, desk.take())
    assert (update.client_id, update.state) == (order.client_id, OrderState.CANCELED)
    assert update.rejection is Rejection.POST_ONLY
    assert not every(Fill, desk.take())


@pytest.mark.parametrize("rest", [False, True])
def test_an_amended_order_has_its_new_price_and_size(
    desk: Desk, listing: Listing, rest: bool
) -> None:
    order = desk.request(listing, post_only=True)
    desk.place(order)
    desk.take()
    price = desk.passive(listing, 9)
    answer = desk.amend(order, price, "0.02", rest=rest)
    assert (answer.accepted, answer.client_id) == (True, order.client_id)
    update = only(OrderUpdate, desk.take())
    assert (update.price, update.size) == (Decimal(price), Decimal("0.02"))
    assert update.state is OrderState.OPEN


def test_an_amend_into_the_market_of_a_post_only_order_is_refused(
    desk: Desk, listing: Listing
) -> None:
    order = desk.request(listing, post_only=True)
    desk.place(order)
    answer = desk.amend(order, desk.best(listing, "sell"), "0.01")
    assert (answer.accepted, answer.rejection) == (False, Rejection.POST_ONLY)
    known = desk.query(listing, order.client_id)
    assert known is not None
    assert (known.state, known.price) == (OrderState.OPEN, order.price)


@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize("by_venue_id", [False, True])
def test_a_canceled_order_says_so(
    desk: Desk, listing: Listing, rest: bool, by_venue_id: bool
) -> None:
    order = desk.request(listing)
    venue_id = desk.place(order).venue_id
    desk.take()
    answer = desk.cancel(listing, order.client_id, venue_id if by_venue_id else "", rest=rest)
    assert (answer.accepted, answer.client_id) == (True, order.client_id)
    update = only(OrderUpdate, desk.take())
    assert (update.state, update.rejection, update.text) == (OrderState.CANCELED, None, "")


@pytest.mark.parametrize("rest", [False, True])
def test_a_cancel_or_amend_of_a_finished_order_says_that_it_is_done(
    desk: Desk, listing: Listing, rest: bool
) -> None:
    order = desk.request(listing)
    desk.place(order)
    desk.cancel(listing, order.client_id)
    for answer in (
        desk.cancel(listing, order.client_id, rest=rest),
        desk.amend(order, desk.passive(listing, 8), "0.01", rest=rest),
    ):
        assert (answer.accepted, answer.unknown) == (False, False)
        assert answer.rejection is Rejection.ALREADY_DONE
        assert answer.client_id == order.client_id


def test_an_ioc_order_on_spot_takes_and_pays_its_fee_in_what_it_bought(desk: Desk) -> None:
    before = desk.balance("BTC")
    assert desk.ioc(desk.spot, "buy").accepted
    heard = desk.take()
    fill = only(Fill, heard)
    assert (fill.side, fill.size, fill.maker) == ("buy", Decimal("0.01"), False)
    assert fill.price == Decimal(desk.best(desk.spot, "sell"))
    assert (fill.fee, fill.fee_asset) == (Decimal("0.00001"), "BTC")
    last = every(OrderUpdate, heard)[-1]
    assert (last.state, last.filled, last.average) == (OrderState.FILLED, fill.size, fill.price)
    told = next(one for one in every(Balance, heard) if one.asset == "BTC")
    assert told.total == before.total + fill.size - (fill.fee or 0)
    assert told.total == desk.balance("BTC").total


def test_an_ioc_order_on_a_swap_is_sized_in_contracts_and_told_in_coins(desk: Desk) -> None:
    assert desk.swap.multiplier == Decimal("0.01")
    desk.ioc(desk.swap, "sell", "0.0123")
    heard = desk.take()
    fill = only(Fill, heard)
    assert (fill.side, fill.size, fill.fee_asset) == ("sell", Decimal("0.0123"), "USDT")
    # 5 bp of the notional.
    assert fill.fee == pytest.approx(
        fill.price * fill.size * Decimal("0.0005"), rel=Decimal("0.001")
    )
    position = every(Position, heard)[-1]
    assert (position.size, position.entry) == (Decimal("-0.0123"), fill.price)
    queried = desk.position()
    assert (queried.size, queried.entry) == (position.size, position.entry)


def test_what_an_ioc_order_could_not_take_is_canceled_as_such(desk: Desk, listing: Listing) -> None:
    price = desk.best(listing, "sell")
    size = desk.venue.lots("sell", listing.venue_symbol) * listing.lot + listing.lot
    order = desk.request(listing, price=price, size=str(size), time_in_force=TimeInForce.IOC)
    desk.place(order)
    heard = desk.take()
    last = every(OrderUpdate, heard)[-1]
    assert (last.state, last.rejection) == (OrderState.CANCELED, Rejection.NOTHING_TO_TAKE)
    assert last.filled == sum(fill.size for fill in every(Fill, heard)) == size - listing.lot


def test_a_fok_order_that_cannot_be_filled_whole_is_canceled_whole(desk: Desk) -> None:
    price = desk.best(desk.swap, "sell")
    size = desk.venue.lots("sell") * desk.swap.lot + desk.swap.lot
    order = desk.request(desk.swap, price=price, size=str(size), time_in_force=TimeInForce.FOK)
    desk.place(order)
    heard = desk.take()
    last = every(OrderUpdate, heard)[-1]
    assert (last.state, last.rejection) == (OrderState.CANCELED, Rejection.NOTHING_TO_TAKE)
    assert last.filled == 0
    assert not every(Fill, heard)


def test_a_maker_fill_says_so(desk: Desk, listing: Listing) -> None:
    name = listing.venue_symbol
    order = desk.request(listing, price=desk.venue.price("buy", -1, name), post_only=True)
    desk.place(order)
    desk.venue.hit("sell", str(order.price), 10**6, name)
    fill = only(Fill, desk.take())
    assert (fill.maker, fill.client_id, fill.size) == (True, order.client_id, order.size)
    assert fill.fee is not None
    assert fill.fee > 0


def test_a_fill_told_twice_has_one_trade_id() -> None:
    desk = Desk(duplicate_fills=True)
    desk.connect()
    desk.ioc(desk.swap, "buy")
    fills = every(Fill, desk.take())
    assert len(fills) == 2
    assert len({fill.trade_id for fill in fills}) == 1


def test_an_order_that_meets_one_of_ours_takes_and_the_quote_goes(desk: Desk) -> None:
    quote = desk.request(desk.swap, price=desk.venue.price("buy", -1), post_only=True)
    desk.place(quote)
    desk.take()
    desk.place(desk.request(desk.swap, "sell", str(quote.price), time_in_force=TimeInForce.IOC))
    ended = {update.client_id: update for update in every(OrderUpdate, desk.take())}
    assert ended[quote.client_id].rejection is Rejection.SELF_TRADE


def test_a_reduce_only_order_without_a_position_is_refused(desk: Desk) -> None:
    answer = desk.place(desk.request(desk.swap, reduce_only=True))
    assert (answer.accepted, answer.rejection) == (False, Rejection.REDUCE_ONLY)


@pytest.mark.parametrize("rest", [False, True])
def test_refusals_of_orders_are_told_by_class(desk: Desk, listing: Listing, rest: bool) -> None:
    order = desk.request(listing)
    beyond = str(listing.price(order.price * 2, "buy"))
    wrong = {
        Rejection.FILTER: desk.request(listing, price=beyond),
        Rejection.BALANCE: desk.request(listing, size="2000"),
        Rejection.DUPLICATE: order,
    }
    assert desk.place(order, rest=rest).accepted
    for rejection, request in wrong.items():
        answer = desk.place(request, rest=rest)
        assert (answer.accepted, answer.unknown) == (False, False)
        assert answer.rejection is rejection, answer.text
        assert answer.client_id == request.client_id


def test_a_size_below_the_minimum_names_the_cause(desk: Desk, listing: Listing) -> None:
    answer = desk.place(desk.request(listing, size=str(listing.lot / 10)))
    assert answer.rejection is Rejection.FILTER
    assert "51" in answer.text


def test_an_order_that_took_too_long_is_not_placed(desk: Desk) -> None:
    frame = desk.codec.place(KEY, desk.request(desk.swap), desk.now_ms - 2_001)
    answer = desk.send(frame)
    assert (answer.accepted, answer.unknown, answer.rejection) == (False, False, Rejection.CLOCK)
    assert not desk.open_orders(Kind.LINEAR)


def test_a_cancel_goes_however_long_it_took(desk: Desk) -> None:
    order = desk.request(desk.swap)
    desk.place(order)
    late_ms = desk.now_ms - 10_000
    frame = desk.codec.cancel(KEY, desk.swap, order.client_id, "", late_ms)
    assert desk.send(frame).accepted


def test_an_instrument_without_a_number_is_traded_by_rest(desk: Desk) -> None:
    nameless = dataclasses.replace(desk.swap, venue_code=None)
    order = desk.request(nameless, price=desk.passive(desk.swap))
    sent = desk.codec.place(KEY, order, desk.now_ms)
    assert isinstance(sent, SignedRequest)
    assert desk.send(sent).accepted


def test_too_many_orders_are_refused_with_a_time_to_wait(desk: Desk) -> None:
    answers = [desk.place(desk.request(desk.swap, size="0.0001"), rest=True) for _ in range(61)]
    assert all(answer.accepted for answer in answers[:60])
    last = answers[60]
    assert (last.rejection, last.unknown, last.retry_after_ms) == (Rejection.RATE, False, 2_000)


# --- cancel-all and the dead-man switch -----------------------------------------------------


def test_everything_is_canceled_in_batches_of_twenty(desk: Desk, listing: Listing) -> None:
    placed = [desk.request(listing) for _ in range(23)]
    ids = [(order.client_id, desk.place(order).venue_id) for order in placed]
    desk.cancel(listing, placed[0].client_id)
    ids[1] = (ids[1][0], "")
    desk.take()
    batches = desk.codec.cancel_all(KEY, listing, ids, desk.now_ms)
    assert len(batches) == 2
    answers = [desk.send(batch) for batch in batches]
    assert [answer.accepted for answer in answers] == [True, True]
    assert answers[0].text == "1 of 20 were done already"
    ended = {update.client_id for update in every(OrderUpdate, desk.take())}
    assert ended == {order.client_id for order in placed[1:]}
    assert not desk.open_orders(listing.kind)


def test_nothing_is_asked_where_there_is_nothing_to_cancel(desk: Desk) -> None:
    assert desk.codec.cancel_all(KEY, desk.swap, [], desk.now_ms) == []


def test_a_batch_that_is_refused_as_a_whole_is_no_success() -> None:
    desk = Desk(READER)
    (batch,) = desk.codec.cancel_all(READER, desk.swap, [("deskmm1", "")], desk.now_ms)
    answer = desk.send(batch)
    assert (answer.accepted, answer.rejection) == (False, Rejection.CREDENTIALS)


def test_the_dead_man_switch_cancels_our_orders_and_nobody_elses(desk: Desk) -> None:
    stranger = OkxPrivateCodec(tag="other")
    theirs = desk.request(desk.swap)
    ours = desk.request(desk.swap)
    assert desk.send(stranger.place(KEY, theirs, desk.now_ms)).accepted
    assert desk.place(ours).accepted
    desk.take()
    assert desk.arm(10_000) == 200
    desk.run(9 * SECOND)
    assert not every(OrderUpdate, desk.take())
    desk.run(2 * SECOND)
    update = only(OrderUpdate, desk.take())
    assert (update.client_id, update.state) == (ours.client_id, OrderState.CANCELED)
    assert "dead-man" in update.text
    assert [one.client_id for one in desk.open_orders(Kind.LINEAR)] == [theirs.client_id]


def test_the_dead_man_switch_is_refreshed_and_disarmed(desk: Desk) -> None:
    desk.place(desk.request(desk.spot))
    desk.take()
    desk.arm(10_000)
    desk.run(8 * SECOND)
    desk.arm(9_001)
    desk.run(8 * SECOND)
    assert len(desk.open_orders(Kind.SPOT)) == 1
    desk.arm(0)
    desk.run(60 * SECOND)
    assert len(desk.open_orders(Kind.SPOT)) == 1


# --- queries ------------------------------------------------------------------------------


def test_an_order_is_found_by_our_id_with_its_end(desk: Desk, listing: Listing) -> None:
    order = desk.request(listing, price=desk.best(listing, "sell"), post_only=True)
    desk.place(order)
    known = desk.query(listing, order.client_id)
    assert known is not None
    assert (known.state, known.rejection) == (OrderState.CANCELED, Rejection.POST_ONLY)


def test_an_unknown_order_is_no_order_and_no_error(desk: Desk, listing: Listing) -> None:
    assert desk.query(listing, "deskmmnever") is None
    request = desk.codec.order(KEY, listing, "deskmmnever", desk.now_ms)
    rejection, is_unknown, text = desk.codec.classify(*desk.rest(request))
    assert (rejection, is_unknown) == (Rejection.UNKNOWN_ORDER, False)
    assert "51603" in text


def test_open_orders_are_listed_by_kind_and_listing_over_pages(desk: Desk) -> None:
    placed = []
    for number in range(120):
        order = desk.request(desk.swap, size="0.0001")
        assert desk.place(order).accepted
        placed.append(order.client_id)
        if number % 50 == 49:
            desk.run(3 * SECOND)
    desk.run(3 * SECOND)
    listed = desk.open_orders(Kind.LINEAR)
    assert [order.client_id for order in reversed(listed)] == placed
    assert {order.size for order in listed} == {Decimal("0.0001")}
    assert desk.open_orders(Kind.LINEAR, desk.swap) == listed
    assert desk.open_orders(Kind.SPOT) == []


def test_fills_over_rest_are_those_of_the_stream(desk: Desk, listing: Listing) -> None:
    desk.ioc(listing, "buy", "0.02")
    desk.ioc(listing, "sell")
    pushed = every(Fill, desk.take())
    assert len(pushed) >= 2
    asked = desk.fills(listing)

    def told(fills: list[Fill]) -> list[Fill]:
        return [msgspec.structs.replace(fill, received_ns=0) for fill in fills]

    assert told(asked) == told(pushed)[::-1]


def test_fills_are_listed_over_pages(desk: Desk) -> None:
    pushed = []
    for _ in range(105):
        desk.ioc(desk.spot, "buy", "0.0001")
        pushed += [fill.trade_id for fill in every(Fill, desk.take())]
        desk.run(100 * MS)
    assert [fill.trade_id for fill in reversed(desk.fills(desk.spot))] == pushed
    assert len(pushed) > 100


def test_older_fills_are_in_another_list(desk: Desk) -> None:
    desk.ioc(desk.swap, "buy")
    (fill,) = every(Fill, desk.take())
    desk.run(4 * 86_400 * SECOND)
    since_ms = START // MS
    request = desk.codec.fills_since(KEY, desk.swap, since_ms, desk.now_ms)
    assert request.path.startswith("/api/v5/trade/fills-history?")
    assert [one.trade_id for one in desk.fills(desk.swap, since_ms)] == [fill.trade_id]


def test_a_contract_without_a_position_is_flat(desk: Desk) -> None:
    position = desk.position()
    assert (position.listing.key, position.size, position.entry) == (
        desk.swap.key,
        Decimal(0),
        None,
    )


def test_a_closed_position_is_told_as_flat(desk: Desk) -> None:
    desk.ioc(desk.swap, "buy")
    desk.take()
    desk.ioc(desk.swap, "sell")
    position = every(Position, desk.take())[-1]
    assert (position.size, position.entry) == (Decimal(0), None)


def test_a_spot_order_holds_what_it_would_spend(desk: Desk) -> None:
    order = desk.request(desk.spot, size="0.5")
    desk.place(order)
    balance = desk.balance("USDT")
    assert balance.wallet == ""
    assert balance.available == balance.total - order.price * order.size


def test_fee_rates_are_in_basis_points_and_costs_are_positive(desk: Desk) -> None:
    rates = {}
    for listing in (desk.spot, desk.swap):
        request = desk.codec.fee_rates(KEY, listing, desk.now_ms)
        rates[listing.kind] = desk.codec.decode_fee_rates(request, desk.rest(request)[1])
    assert rates[Kind.SPOT] == FeeRates(Decimal(8), Decimal(10))
    assert rates[Kind.LINEAR] == FeeRates(Decimal(2), Decimal(5))


@pytest.mark.parametrize(
    ("credentials", "trade", "withdraw", "words"),
    [
        (KEY, True, False, []),
        (READER, False, False, ["may not trade"]),
        (WITHDRAWER, True, True, ["may withdraw"]),
    ],
)
def test_a_key_tells_what_it_may_do(
    credentials: Credentials, trade: bool, withdraw: bool, words: list[str]
) -> None:
    desk = Desk(credentials)
    asked = desk.codec.permissions(credentials, desk.now_ms)
    answers = [(request, desk.rest(request)[1]) for request in asked]
    found = desk.codec.decode_permissions(answers)
    assert (found.read, found.withdraw, found.one_way) == (True, withdraw, True)
    assert (found.trade_spot, found.trade_linear) == (trade, trade)
    assert [word in problem for word, problem in zip(words, found.problems, strict=True)] == [
        True
    ] * len(words)


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (Credentials("nobody", DEMO.secret, DEMO.passphrase), "no such key"),
        (Credentials(DEMO.key, "wrong", DEMO.passphrase), "secret does not belong"),
        (Credentials(DEMO.key, DEMO.secret, "wrong"), "wrong passphrase"),
    ],
)
def test_a_key_that_is_wrong_is_a_problem_in_words(credentials: Credentials, words: str) -> None:
    desk = Desk(credentials)
    (request,) = desk.codec.permissions(credentials, desk.now_ms)
    found = desk.codec.decode_permissions([(request, desk.rest(request)[1])])
    granted = [found.read, found.trade_spot, found.trade_linear, found.withdraw]
    assert granted == [False] * 4
    (problem,) = found.problems
    assert words in problem


def test_long_short_mode_is_a_problem_in_words(desk: Desk) -> None:
    mode = {"posMode": "long_short_mode"}
    assert desk.venue.rest("POST", "account/set-position-mode", mode)[0] == 200
    (request,) = desk.codec.permissions(KEY, desk.now_ms)
    found = desk.codec.decode_permissions([(request, desk.rest(request)[1])])
    assert not found.one_way
    assert "set its position mode to net" in found.problems[0]


# --- what goes wrong ------------------------------------------------------------------------


def test_a_planned_disconnect_is_told_as_the_end_of_the_stream(desk: Desk) -> None:
    desk.peer.farewell(desk.now_ns)
    ended = only(StreamEnded, desk.take())
    assert ended.route == "private"
    assert "64008" in ended.text


def test_an_outcome_that_is_not_known_is_told_as_such(desk: Desk) -> None:
    sent = desk.codec.place(KEY, desk.request(desk.spot), desk.now_ms, rest=True)
    assert isinstance(sent, SignedRequest)
    answered = unknown("okx")
    answer = desk.codec.decode_answer(sent, answered.status, answered.body)
    assert (answer.accepted, answer.unknown) == (False, True)
    answered = too_many("okx", 429, 2.0)
    answer = desk.codec.decode_answer(sent, answered.status, answered.body)
    assert (answer.unknown, answer.rejection) == (False, Rejection.RATE)


def test_a_query_that_is_refused_is_an_error_in_words(desk: Desk) -> None:
    wrong = Credentials(DEMO.key, "wrong", DEMO.passphrase)
    (request,) = desk.codec.open_orders(wrong, Kind.SPOT, None, desk.now_ms)
    status, body = desk.rest(request)
    with pytest.raises(MalformedFrame, match="50113"):
        desk.codec.decode_orders(body, desk.listings, desk.now_ns)
    assert desk.codec.classify(status, body)[0] is Rejection.CREDENTIALS


def test_funding_is_told_by_the_ledger() -> None:
    eight_hours_ns = 8 * 3600 * SECOND
    due_ns = (START // eight_hours_ns + 1) * eight_hours_ns
    desk = Desk(start_ns=due_ns - SECOND)
    desk.connect()
    desk.ioc(desk.swap, "buy", "0.1")
    before = desk.balance("USDT").total
    desk.now_ns = due_ns + MS
    desk.venue.market.advance(desk.now_ns)
    desk.take()
    request = desk.codec.funding_since(KEY, START // MS, desk.now_ms)
    body = desk.rest(request)[1]
    (payment,), cursor = desk.codec.decode_funding(body, desk.listings, desk.now_ns)
    assert cursor == ""
    assert (payment.listing, payment.asset) == (desk.swap, "USDT")
    assert payment.venue_ns == pytest.approx(due_ns, abs=SECOND)
    assert payment.amount != 0
    assert desk.balance("USDT").total - before == payment.amount


def test_secrets_are_in_no_event_and_no_representation(desk: Desk) -> None:
    secrets = [DEMO.secret, DEMO.passphrase]
    frames = desk.codec.login(KEY, "private", desk.now_ms)
    asked = desk.codec.permissions(KEY, desk.now_ms)
    placed = desk.codec.place(KEY, desk.request(desk.spot), desk.now_ms, rest=True)
    assert isinstance(placed, SignedRequest)
    sign = msgspec.json.decode(frames[0].frame)["args"][0]["sign"]
    secrets += [sign, placed.headers["OK-ACCESS-SIGN"], KEY.key]
    # A log-in that OKX cannot read it quotes.
    desk.peer.received(1, frames[0].frame.replace(b'"login"', b'"logon"'), desk.now_ns)
    quoted = only(StreamReady, desk.take())
    assert "60012" in quoted.text
    shown = repr([KEY, frames, asked, placed, quoted, str(placed)])
    assert [secret for secret in secrets if secret in shown] == []
