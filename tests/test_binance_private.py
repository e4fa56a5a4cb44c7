"""Binance's private codec: signatures, requests, events, answers and refusals, frame by frame."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.errors import ConfigError, MalformedFrame
from hftmm.core.fees import FeeRates
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
from hftmm.sim.binance.keys import ed25519_pem
from hftmm.sim.ledger import DEMO
from hftmm.venues.binance import BinanceCodec, BinancePrivateCodec
from hftmm.venues.binance.request import signed_frame, signed_request, written
from hftmm.venues.private import (
    Credentials,
    Listings,
    Permissions,
    PrivateCodec,
    SignedRequest,
    StreamFrame,
)

FIXTURES = Path(__file__).parent / "fixtures" / "binance"
CODEC: PrivateCodec = BinancePrivateCodec()
NOW_MS = 1_780_000_000_000
MS = 1_000_000
KEYS = Credentials("the-key", "the-secret")
# The example of the venue's documentation.
EXAMPLE = Credentials(
    "documented", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
)
BOTH = frozenset({Kind.SPOT, Kind.LINEAR})


def listing(kind: Kind = Kind.SPOT, name: str = "BTCUSDT") -> Listing:
    symbol = "BTC/USDT" if kind is Kind.SPOT else "BTC/USDT:USDT"
    tick, lot = ("0.01", "0.00001") if kind is Kind.SPOT else ("0.10", "0.001")
    return Listing(
        "binance", name, symbol, kind, "BTC", "USDT", "USDT", Decimal(tick), Decimal(lot)
    )


SPOT, LINEAR = listing(), listing(Kind.LINEAR)
LISTINGS: Listings = {(Kind.SPOT, "BTCUSDT"): SPOT, (Kind.LINEAR, "BTCUSDT"): LINEAR}


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


def altered(name: str, *way: str | int, **changes: object) -> bytes:
    """A fixture with some fields of an inner object changed, or removed where `...`."""
    whole = msgspec.json.decode(fixture(name))
    inner = whole
    for step in way:
        inner = inner[step]
    for field, value in changes.items():
        if value is ...:
            del inner[field]
        else:
            inner[field] = value
    return msgspec.json.encode(whole)


def events(frame: bytes, route: str = "spot.private") -> list[AccountEvent]:
    return CODEC.decode_account(route, frame, LISTINGS, 7)


def spot_update(**changes: object) -> OrderUpdate:
    """The order update of an execution report."""
    told = events(altered("spot_execution_fill", "event", **changes))[-1]
    assert isinstance(told, OrderUpdate)
    return told


def linear_update(**changes: object) -> OrderUpdate:
    told = events(altered("linear_order_trade_update", "o", **changes), "linear.private")[-1]
    assert isinstance(told, OrderUpdate)
    return told


def order(
    where: Listing,
    side: Side = "buy",
    *,
    post_only: bool = False,
    time_in_force: TimeInForce = TimeInForce.GTC,
    reduce_only: bool = False,
) -> OrderRequest:
    return OrderRequest(
        "deskmm1",
        where,
        side,
        Decimal("60000.10"),
        Decimal("0.010"),
        post_only,
        time_in_force,
        reduce_only,
    )


def params(sent: SignedRequest | StreamFrame) -> dict[str, Any]:
    """Parameters of a request, whichever way it goes."""
    if isinstance(sent, StreamFrame):
        given: dict[str, Any] = msgspec.json.decode(sent.frame)["params"]
        return given
    return dict(parse_qsl(sent.path.partition("?")[2]))


def placed(wanted: OrderRequest, *, rest: bool = False) -> dict[str, Any]:
    return params(CODEC.place(KEYS, wanted, NOW_MS, rest=rest))


def answered(
    route: str = "spot.trade", request_id: str = "deskmm1", status: int = 200, **rest: object
) -> AccountEvent:
    """The event of a WebSocket API answer."""
    frame = msgspec.json.encode({"id": request_id, "status": status, "rateLimits": [], **rest})
    (event,) = events(frame, route)
    return event


# --- the contract -------------------------------------------------------------------------


def test_the_verbs_stand_in_the_order_of_the_contract() -> None:
    def verbs(kind: type) -> list[str]:
        return [
            name
            for name, value in vars(kind).items()
            if inspect.isfunction(value) and not name.startswith("_")
        ]

    assert verbs(BinancePrivateCodec) == verbs(PrivateCodec)


@pytest.mark.parametrize("mode", ["live", "demo"])
def test_every_mode_has_a_url_for_every_private_route(mode: str) -> None:
    endpoints = CODEC.private_endpoints(BinanceCodec().hosts(mode), BOTH)
    assert set(endpoints) == {"spot.private", "spot.trade", "linear.private", "linear.trade"}
    assert endpoints["linear.private"].endswith("/private/ws/{key}")
    assert endpoints["linear.trade"].endswith("/ws-fapi/v1")
    assert endpoints["spot.private"] == endpoints["spot.trade"]
    assert endpoints["spot.trade"].endswith("/ws-api/v3")
    only_spot = CODEC.private_endpoints(BinanceCodec().hosts(mode), frozenset({Kind.SPOT}))
    assert set(only_spot) == {"spot.private", "spot.trade"}


# --- signatures ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "written_as", "signature"),
    [
        (
            "LTCBTC",
            "LTCBTC",
            "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
        ),
        (
            "\uff11\uff12\uff13\uff14\uff15\uff16",
            "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96",
            "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
        ),
    ],
)
def test_rest_signs_the_bytes_it_sends_as_the_venue_documents(
    symbol: str, written_as: str, signature: str
) -> None:
    request = signed_request(
        EXAMPLE,
        "spot.rest",
        "POST",
        "/api/v3/order",
        {
            "symbol": symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1",
            "price": "0.1",
            "recvWindow": 5000,
        },
        1_499_827_319_559,
        purpose="answer",
    )
    assert request.path == (
        f"/api/v3/order?symbol={written_as}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1"
        f"&price=0.1&recvWindow=5000&timestamp=1499827319559&signature={signature}"
    )
    assert request.headers == {"X-MBX-APIKEY": "documented"}
    assert request.body == b""


def test_the_websocket_api_signs_sorted_parameters_that_are_not_encoded() -> None:
    name = "\uff11\uff12/USDT"
    frame = signed_frame(
        EXAMPLE, "spot.trade", "order.place", {"symbol": name, "side": "BUY"}, 5, request_id="x"
    )
    sent = msgspec.json.decode(frame.frame)
    payload = f"apiKey=documented&side=BUY&symbol={name}&timestamp=5"
    expected = hmac.new(EXAMPLE.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    assert sent["params"]["signature"] == expected
    assert sent == {"id": "x", "method": "order.place", "params": sent["params"]}


def test_a_signature_in_base64_is_encoded_and_stands_last() -> None:
    keys = Credentials("the-key", ed25519_pem(DEMO))
    for number in range(20):
        (request,) = CODEC.positions(keys, NOW_MS + number)
        query, _, proof = request.path.partition("&signature=")
        assert query.endswith(f"timestamp={NOW_MS + number}")
        assert not set(proof) & set("+/=&")
        assert len(parse_qs(request.path.partition("?")[2])["signature"][0]) == 88


def test_after_its_login_an_ed25519_key_signs_no_spot_order() -> None:
    keys = Credentials("the-key", ed25519_pem(DEMO))
    (login,) = CODEC.login(keys, "spot.trade", NOW_MS)
    assert msgspec.json.decode(login.frame)["method"] == "session.logon"
    logged_on = params(CODEC.place(keys, order(SPOT), NOW_MS))
    assert not {"apiKey", "signature"} & logged_on.keys()
    assert logged_on["timestamp"] == NOW_MS
    for unlogged in (
        CODEC.place(keys, order(LINEAR), NOW_MS),
        CODEC.place(keys, order(SPOT), NOW_MS, rest=True),
    ):
        assert "signature" in params(unlogged)


def test_spot_events_are_subscribed_to_by_a_signature_of_any_key() -> None:
    for secret in ("the-secret", ed25519_pem(DEMO)):
        (frame,) = CODEC.login(Credentials("the-key", secret), "spot.private", NOW_MS)
        sent = msgspec.json.decode(frame.frame)
        assert sent["method"] == "userDataStream.subscribe.signature"
        assert set(sent["params"]) == {"apiKey", "timestamp", "signature"}
    assert CODEC.login(KEYS, "spot.trade", NOW_MS) == []
    assert CODEC.login(KEYS, "linear.private", NOW_MS) == []
    assert CODEC.login(KEYS, "linear.trade", NOW_MS) == []


# --- numbers ------------------------------------------------------------------------------

STEPS = [Decimal(1).scaleb(-places) for places in range(-2, 9)]


@given(
    step=st.sampled_from([*STEPS, Decimal("0.10000000"), Decimal("0.5")]),
    steps=st.integers(1, 10**16),
)
def test_numbers_are_written_without_exponent_or_needless_zeros(step: Decimal, steps: int) -> None:
    amount = step * steps
    text = written(amount)
    assert Decimal(text) == amount
    assert set(text) <= set("0123456789.")
    assert not ("." in text and text[-1] in "0.")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1e-8", "0.00000001"), ("1e8", "100000000"), ("1E+2", "100"), ("0.10", "0.1"), ("7.", "7")],
)
def test_numbers_at_the_edges_are_plain(amount: str, text: str) -> None:
    assert written(Decimal(amount)) == text


# --- orders -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (order(SPOT, post_only=True), {"type": "LIMIT_MAKER"}),
        (order(SPOT), {"type": "LIMIT", "timeInForce": "GTC"}),
        (
            order(SPOT, time_in_force=TimeInForce.IOC, reduce_only=True),
            {"type": "LIMIT", "timeInForce": "IOC"},
        ),
        (order(LINEAR, post_only=True), {"type": "LIMIT", "timeInForce": "GTX"}),
        (
            order(LINEAR, "sell", time_in_force=TimeInForce.IOC, reduce_only=True),
            {"type": "LIMIT", "timeInForce": "IOC", "reduceOnly": "true", "side": "SELL"},
        ),
        (
            order(LINEAR, time_in_force=TimeInForce.FOK),
            {"type": "LIMIT", "timeInForce": "FOK"},
        ),
    ],
)
@pytest.mark.parametrize("rest", [False, True])
def test_an_order_is_written_as_its_market_takes_it(
    wanted: OrderRequest, expected: dict[str, str], rest: bool
) -> None:
    sent = placed(wanted, rest=rest)
    common = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "price": "60000.1",
        "quantity": "0.01",
        "newClientOrderId": "deskmm1",
        "newOrderRespType": "ACK",
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    stamps = {"recvWindow", "timestamp", "apiKey", "signature"}
    assert {name: sent[name] for name in sent.keys() - stamps} == common | expected
    assert int(sent["timestamp"]) == NOW_MS
    assert int(sent["recvWindow"]) == 2000


@pytest.mark.parametrize("where", [SPOT, LINEAR])
@pytest.mark.parametrize("post_only", [False, True])
@pytest.mark.parametrize("time_in_force", list(TimeInForce))
def test_self_trade_prevention_is_set_on_every_order(
    where: Listing, post_only: bool, time_in_force: TimeInForce
) -> None:
    for rest in (False, True):
        sent = placed(order(where, post_only=post_only, time_in_force=time_in_force), rest=rest)
        assert sent["selfTradePreventionMode"] == "EXPIRE_MAKER"


@pytest.mark.parametrize(
    ("where", "rest", "to"),
    [
        (SPOT, False, ("spot.trade", "order.place")),
        (LINEAR, False, ("linear.trade", "order.place")),
        (SPOT, True, ("spot.rest", "POST /api/v3/order")),
        (LINEAR, True, ("linear.rest", "POST /fapi/v1/order")),
    ],
)
def test_orders_go_over_the_api_of_their_market_or_by_rest(
    where: Listing, rest: bool, to: tuple[str, str]
) -> None:
    sent = CODEC.place(KEYS, order(where), NOW_MS, rest=rest)
    assert sent.request_id == "deskmm1"
    if isinstance(sent, StreamFrame):
        name = msgspec.json.decode(sent.frame)["method"]
    else:
        name = f"{sent.method} {sent.path.partition('?')[0]}"
    assert (sent.route, name) == to


def test_the_venues_id_alone_names_an_order_where_it_is_known() -> None:
    for where in (SPOT, LINEAR):
        known = params(CODEC.cancel(KEYS, where, "deskmm1", "9001", NOW_MS))
        assert known["orderId"] == 9001
        assert "origClientOrderId" not in known
        by_ours = params(CODEC.cancel(KEYS, where, "deskmm1", "", NOW_MS))
        assert by_ours["origClientOrderId"] == "deskmm1"
        assert "orderId" not in by_ours


def test_an_amend_of_spot_keeps_our_id_and_one_of_futures_names_all_terms() -> None:
    price, size = Decimal("60000.10"), Decimal("0.005")
    spot = CODEC.amend(KEYS, Amendment("deskmm1", SPOT, "buy", price, size, "9001"), NOW_MS)
    sent = params(spot)
    assert isinstance(spot, StreamFrame)
    assert msgspec.json.decode(spot.frame)["method"] == "order.amend.keepPriority"
    assert (sent["newQty"], sent["newClientOrderId"]) == ("0.005", "deskmm1")
    assert "price" not in sent
    linear = CODEC.amend(KEYS, Amendment("deskmm1", LINEAR, "buy", price, size), NOW_MS)
    sent = params(linear)
    assert isinstance(linear, StreamFrame)
    assert msgspec.json.decode(linear.frame)["method"] == "order.modify"
    assert (sent["side"], sent["price"], sent["quantity"]) == ("BUY", "60000.1", "0.005")
    assert sent["origClientOrderId"] == "deskmm1"


def test_requests_about_one_order_are_told_apart_and_fit_the_venues_ids() -> None:
    name = "a" * 32
    wanted = OrderRequest(name, SPOT, "buy", Decimal(1), Decimal(1))
    ids = {
        CODEC.place(KEYS, wanted, NOW_MS).request_id,
        CODEC.amend(KEYS, Amendment(name, SPOT, "buy", Decimal(1), Decimal(1)), NOW_MS).request_id,
        CODEC.cancel(KEYS, SPOT, name, "", NOW_MS).request_id,
    }
    assert len(ids) == 3
    assert all(len(one) <= 36 for one in ids)
    for one in ids:
        told = answered(request_id=one, result={"orderId": 5})
        assert told == OrderAnswer(one, name, "5", accepted=True)


def test_budgets_hold_for_the_account_and_cancels_count_apart() -> None:
    for kind in BOTH:
        rules = CODEC.rules[kind]
        assert not rules.per_listing
        assert rules.cancel_budget is not None
    orders, per_ns = CODEC.rules[Kind.LINEAR].order_budget
    assert orders <= 300
    assert orders * 60_000_000_000 / per_ns <= 1200
    assert CODEC.rules[Kind.LINEAR].renew_ns <= 30 * 60 * 1_000_000_000
    assert not CODEC.rules[Kind.SPOT].amends_price


# --- answers ------------------------------------------------------------------------------


def test_an_acknowledgement_names_the_venues_id() -> None:
    told = answered(result={"symbol": "BTCUSDT", "orderId": 9, "transactTime": 1})
    assert told == OrderAnswer("deskmm1", "deskmm1", "9", accepted=True)


def test_an_amend_of_spot_is_acknowledged_inside_its_answer() -> None:
    result = {"transactTime": 1, "executionId": 2, "amendedOrder": {"orderId": 9}}
    told = answered(request_id="deskmm1-a", result=result)
    assert isinstance(told, OrderAnswer)
    assert (told.client_id, told.venue_id, told.accepted) == ("deskmm1", "9", True)


def test_a_limit_says_how_long_to_wait() -> None:
    error = {
        "code": -1003,
        "msg": "Too much request weight used.",
        "data": {"serverTime": NOW_MS, "retryAfter": NOW_MS + 1_500},
    }
    told = answered(status=429, error=error)
    assert isinstance(told, OrderAnswer)
    assert told.rejection is Rejection.RATE
    assert told.retry_after_ms == 1_500


@pytest.mark.parametrize("data", [None, "soon", [1], {"retryAfter": "5"}, {"retryAfter": 5}])
def test_an_error_with_other_data_is_still_an_answer(data: object) -> None:
    told = answered(status=429, error={"code": -1003, "msg": "Too many.", "data": data})
    assert isinstance(told, OrderAnswer)
    assert (told.rejection, told.retry_after_ms) == (Rejection.RATE, 0)


def test_a_failure_without_an_error_is_judged_by_its_status() -> None:
    refused, lost = answered(status=400), answered(status=500)
    assert isinstance(refused, OrderAnswer)
    assert isinstance(lost, OrderAnswer)
    assert (refused.accepted, refused.unknown) == (False, False)
    assert (lost.accepted, lost.unknown) == (False, True)


def test_an_answer_that_nobody_asked_for_ends_the_route() -> None:
    frame = b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}'
    (told,) = events(frame, "spot.trade")
    assert isinstance(told, StreamEnded)
    assert told.route == "spot.trade"
    assert "check the key" in told.text


def test_a_login_is_answered_by_readiness() -> None:
    assert answered("spot.private", "log-on", result={"subscriptionId": 0}) == StreamReady(
        "spot.private", ok=True
    )


def test_a_success_without_json_leaves_the_outcome_unknown() -> None:
    request = CODEC.place(KEYS, order(SPOT), NOW_MS, rest=True)
    assert isinstance(request, SignedRequest)
    told = CODEC.decode_answer(request, 200, b"<html>busy</html>")
    assert (told.accepted, told.unknown) == (False, True)


def test_a_refusal_behind_a_success_is_a_refusal() -> None:
    (request,) = CODEC.cancel_all(KEYS, LINEAR, [], NOW_MS)
    assert isinstance(request, SignedRequest)
    done = b'{"code":200,"msg":"The operation of cancel all open order is done."}'
    assert CODEC.decode_answer(request, 200, done).accepted
    failed = CODEC.decode_answer(request, 200, b'{"code":-2012,"msg":"CANCEL_ALL_FAIL"}')
    assert (failed.accepted, failed.unknown) == (False, False)


def test_cancel_all_with_nothing_open_has_done_what_was_asked() -> None:
    (request,) = CODEC.cancel_all(KEYS, SPOT, [], NOW_MS)
    assert isinstance(request, SignedRequest)
    body = b'{"code":-2011,"msg":"Unknown order sent."}'
    told = CODEC.decode_answer(request, 400, body)
    assert (told.accepted, told.text) == (True, "nothing was open")
    refused = CODEC.decode_answer(request, 401, b'{"code":-2015,"msg":"Invalid API-key."}')
    assert (refused.accepted, refused.rejection) == (False, Rejection.CREDENTIALS)
    assert CODEC.decode_answer(request, 200, b"[]").accepted


def test_cancel_all_of_both_markets_goes_by_rest() -> None:
    paths = []
    for where in (SPOT, LINEAR):
        (request,) = CODEC.cancel_all(KEYS, where, [("deskmm1", "9")], NOW_MS)
        assert isinstance(request, SignedRequest)
        paths.append(f"{request.method} {request.path.partition('&')[0]}")
    assert paths == [
        "DELETE /api/v3/openOrders?symbol=BTCUSDT",
        "DELETE /fapi/v1/allOpenOrders?symbol=BTCUSDT",
    ]


# --- spot events --------------------------------------------------------------------------


def test_a_spot_fill_comes_with_its_fee_and_then_the_order() -> None:
    assert events(fixture("spot_execution_fill")) == [
        Fill(
            SPOT,
            "555",
            "deskmm7",
            "9001",
            "buy",
            Decimal(59990),
            Decimal("0.001"),
            Decimal("0.000001"),
            "BTC",
            True,
            1_780_000_000_100 * MS,
            7,
        ),
        OrderUpdate(
            SPOT,
            "deskmm7",
            "9001",
            "buy",
            OrderState.PARTIALLY_FILLED,
            Decimal("0.002"),
            Decimal(59985),
            Decimal(59990),
            Decimal("0.003"),
            None,
            "",
            1_780_000_000_100 * MS,
            7,
        ),
    ]


def test_a_spot_cancel_is_about_the_order_and_not_about_its_own_id() -> None:
    (told,) = events(fixture("spot_execution_cancel"))
    assert isinstance(told, OrderUpdate)
    assert (told.client_id, told.state) == ("deskmm7", OrderState.CANCELED)
    assert told.filled == Decimal("0.002")


def test_a_spot_amend_is_about_the_order_whatever_id_the_request_had() -> None:
    told = spot_update(
        x="REPLACED", X="NEW", c="other", C="deskmm7", q="0.00200000", t=-1, z="0", Z="0"
    )
    assert (told.client_id, told.size) == ("deskmm7", Decimal("0.002"))
    assert told.average is None


@pytest.mark.parametrize(
    ("changes", "state", "rejection"),
    [
        ({"X": "NEW"}, OrderState.OPEN, None),
        ({"X": "FILLED"}, OrderState.FILLED, None),
        ({"X": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, OrderState.REJECTED, Rejection.BALANCE),
        (
            {"X": "REJECTED", "r": "WOULD_MATCH_IMMEDIATELY"},
            OrderState.REJECTED,
            Rejection.POST_ONLY,
        ),
        ({"X": "REJECTED", "r": "NEVER_HEARD_OF"}, OrderState.REJECTED, Rejection.OTHER),
        (
            {"X": "EXPIRED", "f": "IOC", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"},
            OrderState.EXPIRED,
            Rejection.NOTHING_TO_TAKE,
        ),
        ({"X": "EXPIRED", "f": "FOK"}, OrderState.EXPIRED, Rejection.NOTHING_TO_TAKE),
        ({"X": "EXPIRED"}, OrderState.EXPIRED, None),
        (
            {"X": "EXPIRED", "eR": "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"},
            OrderState.EXPIRED,
            Rejection.FILTER,
        ),
        ({"X": "EXPIRED_IN_MATCH"}, OrderState.EXPIRED, Rejection.SELF_TRADE),
        ({"X": "A_NEW_STATUS"}, OrderState.UNKNOWN, None),
    ],
)
def test_a_spot_order_ends_for_the_reason_the_venue_gives(
    changes: Mapping[str, str], state: OrderState, rejection: Rejection | None
) -> None:
    told = spot_update(x="NEW", t=-1, **changes)
    assert (told.state, told.rejection) == (state, rejection)


def test_prevented_self_trades_are_no_fills() -> None:
    frame = altered(
        "spot_execution_fill", "event", x="TRADE_PREVENTION", X="EXPIRED_IN_MATCH", t=-1
    )
    (told,) = events(frame)
    assert isinstance(told, OrderUpdate)
    assert told.state.final


def test_spot_balances_count_what_orders_lock() -> None:
    told = events(fixture("spot_account_position"))
    assert told[1] == Balance(
        "binance",
        "spot",
        "USDT",
        Decimal("859.99"),
        Decimal(800),
        1_780_000_000_100 * MS,
        7,
    )


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}',
            "ended the user data stream",
        ),
        (b'{"event":{"e":"serverShutdown","E":1}}', "announced"),
        (b'{"e":"listenKeyExpired","E":1,"listenKey":"abc"}', "expired"),
        (
            b'{"stream":"abc","data":{"e":"listenKeyExpired","E":1,"listenKey":"abc"}}',
            "expired",
        ),
    ],
)
def test_the_end_of_a_stream_is_told_in_words_without_its_key(frame: bytes, words: str) -> None:
    (told,) = events(frame)
    assert isinstance(told, StreamEnded)
    assert words in told.text
    assert "abc" not in repr(told)


# --- USD-M events -------------------------------------------------------------------------


def test_a_futures_fill_comes_with_its_fee_and_then_the_order() -> None:
    assert events(fixture("linear_order_trade_update"), "linear.private") == [
        Fill(
            LINEAR,
            "888",
            "deskmm8",
            "7001",
            "sell",
            Decimal(60010),
            Decimal("0.001"),
            Decimal("0.012002"),
            "USDT",
            True,
            1_780_000_000_200 * MS,
            7,
        ),
        OrderUpdate(
            LINEAR,
            "deskmm8",
            "7001",
            "sell",
            OrderState.PARTIALLY_FILLED,
            Decimal("0.002"),
            Decimal(60010),
            Decimal(60010),
            Decimal("0.003"),
            None,
            "",
            1_780_000_000_200 * MS,
            7,
        ),
    ]


def test_an_early_fill_is_the_same_trade_without_its_fee() -> None:
    (early,) = events(fixture("linear_trade_lite"), "linear.private")
    full = events(fixture("linear_order_trade_update"), "linear.private")[0]
    assert isinstance(early, Fill)
    assert isinstance(full, Fill)
    assert early.fee is None
    assert msgspec.structs.replace(early, fee=full.fee, fee_asset=full.fee_asset) == full


def test_a_futures_fill_without_a_commission_cost_nothing() -> None:
    frame = altered("linear_order_trade_update", "o", n=..., N=...)
    fill = events(frame, "linear.private")[0]
    assert isinstance(fill, Fill)
    assert (fill.fee, fill.fee_asset) == (Decimal(0), "USDT")


def test_a_fee_in_another_coin_names_it() -> None:
    frame = altered("linear_order_trade_update", "o", n="0.00001", N="BNB")
    fill = events(frame, "linear.private")[0]
    assert isinstance(fill, Fill)
    assert (fill.fee, fill.fee_asset) == (Decimal("0.00001"), "BNB")


def test_a_liquidation_is_a_fill() -> None:
    frame = altered("linear_order_trade_update", "o", x="CALCULATED", c="autoclose-1")
    fill, _ = events(frame, "linear.private")
    assert isinstance(fill, Fill)
    assert fill.client_id == "autoclose-1"


def test_an_event_of_an_order_without_a_trade_is_no_fill() -> None:
    frame = altered("linear_order_trade_update", "o", x="NEW", X="NEW", t=0, l="0", z="0", ap="0")
    (told,) = events(frame, "linear.private")
    assert isinstance(told, OrderUpdate)
    assert told.average is None


def test_the_size_is_the_venues_also_where_it_shrank_the_order() -> None:
    assert linear_update(x="AMENDMENT", t=0, q="0.002").size == Decimal("0.002")


@pytest.mark.parametrize(
    ("changes", "state", "rejection"),
    [
        ({"X": "NEW_ADL"}, OrderState.OPEN, None),
        ({"X": "CANCELED"}, OrderState.CANCELED, None),
        ({"X": "EXPIRED_IN_MATCH", "er": "1"}, OrderState.EXPIRED, Rejection.SELF_TRADE),
        ({"X": "EXPIRED", "er": 2}, OrderState.EXPIRED, Rejection.NOTHING_TO_TAKE),
        ({"X": "EXPIRED", "er": "3"}, OrderState.EXPIRED, Rejection.SELF_TRADE),
        ({"X": "EXPIRED", "er": "4"}, OrderState.EXPIRED, Rejection.REDUCE_ONLY),
        ({"X": "EXPIRED", "er": "7"}, OrderState.EXPIRED, Rejection.NOT_TRADING),
        ({"X": "EXPIRED", "er": "99"}, OrderState.EXPIRED, Rejection.OTHER),
        ({"X": "EXPIRED", "f": "IOC", "er": ...}, OrderState.EXPIRED, Rejection.NOTHING_TO_TAKE),
    ],
)
def test_a_futures_order_ends_for_the_reason_the_venue_gives(
    changes: Mapping[str, object], state: OrderState, rejection: Rejection | None
) -> None:
    told = linear_update(x="EXPIRED", t=0, **changes)
    assert (told.state, told.rejection) == (state, rejection)


def test_an_account_update_tells_wallet_and_position() -> None:
    stamp = 1_780_000_000_200 * MS
    assert events(fixture("linear_account_update"), "linear.private") == [
        Balance(
            "binance",
            "linear",
            "USDT",
            Decimal("999.987998"),
            Decimal("999.987998"),
            stamp,
            7,
        ),
        Position(LINEAR, Decimal("-0.002"), Decimal(60010), Decimal("0.01"), stamp, 7),
    ]


def test_a_position_that_closed_has_no_entry() -> None:
    frame = altered("linear_account_update", "a", "P", 0, pa="0", ep="0.0")
    told = events(frame, "linear.private")[-1]
    assert isinstance(told, Position)
    assert (told.size, told.entry) == (Decimal(0), None)


def test_funding_is_told_apart_from_fills() -> None:
    paid, balance = events(fixture("linear_funding"), "linear.private")
    assert paid == Funding(
        LINEAR, "binance", "USDT", Decimal("-0.012002"), 1_780_000_000_300 * MS, 7
    )
    assert isinstance(balance, Balance)
    anonymous = events(altered("linear_funding", "a", S=...), "linear.private")[0]
    assert isinstance(anonymous, Funding)
    assert anonymous.listing is None


def test_coin_margined_events_are_none_of_ours() -> None:
    for name in ("linear_order_trade_update", "linear_trade_lite", "linear_account_update"):
        assert events(altered(name, st=2), "linear.private") == []
    assert events(altered("linear_order_trade_update", "o", st=2), "linear.private") == []


# --- what is not known --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("spot_execution_fill", ("event",)),
        ("spot_account_position", ("event",)),
        ("linear_order_trade_update", ("o",)),
        ("linear_trade_lite", ()),
        ("linear_account_update", ("a",)),
    ],
)
def test_fields_nobody_has_heard_of_change_nothing(name: str, way: tuple[str, ...]) -> None:
    frame = altered(name, *way, zz={"deep": [1]}, nova="x")
    assert events(frame, "linear.private") == events(fixture(name), "linear.private")


@pytest.mark.parametrize(
    "frame",
    [
        b'{"subscriptionId":0,"event":{"e":"listStatus","E":1}}',
        b'{"subscriptionId":0,"event":{"e":"balanceUpdate","a":"BTC","d":"1"}}',
        b'{"e":"STRATEGY_UPDATE","E":1}',
        b'{"e":"ACCOUNT_CONFIG_UPDATE","ac":{"s":"BTCUSDT","l":5}}',
        b'{"e":"SOMETHING_NEW"}',
        b'{"result":null,"id":3}',
        b"{}",
    ],
)
def test_events_that_are_nothing_to_us_are_nothing(frame: bytes) -> None:
    assert events(frame) == []


def test_symbols_that_are_not_traded_are_left_out() -> None:
    assert events(altered("spot_execution_fill", "event", s="ETHUSDT")) == []
    frame = altered("linear_order_trade_update", "o", s="ETHUSDT")
    assert events(frame, "linear.private") == []
    assert events(altered("linear_trade_lite", s="ETHUSDT"), "linear.private") == []


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"pong",
        b"[1,2]",
        altered("spot_execution_fill", "event", L="NaN"),
        altered("spot_execution_fill", "event", l="1e5"),
        altered("spot_execution_fill", "event", S="HOLD"),
        altered("spot_execution_fill", "event", i="nine"),
        altered("linear_account_update", "a", "B", 0, wb="much"),
    ],
)
def test_a_frame_that_makes_no_sense_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        events(frame, "linear.private")


NAMES = ["executionReport", "ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE", "x"]
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["e", "o", "a", "B", "s", "S", "i", "id"]), inner)
    ),
    max_leaves=8,
)
FRAMES = st.dictionaries(
    st.sampled_from(["e", "event", "data", "o", "a", "id", "status", "error", "result"]), VALUES
).map(msgspec.json.encode) | st.binary(max_size=40)


@given(FRAMES)
def test_whatever_arrives_is_decoded_or_malformed(frame: bytes) -> None:
    with suppress(MalformedFrame):
        assert isinstance(events(frame), list)


# --- queries ------------------------------------------------------------------------------


def test_an_order_is_read_from_the_answer_of_either_market() -> None:
    for name, where, average in (
        ("spot_order", SPOT, Decimal(59985)),
        ("linear_order", LINEAR, Decimal(60010)),
    ):
        ((one,), cursor) = CODEC.decode_orders(fixture(name), LISTINGS, 7)
        ((listed,), _) = CODEC.decode_orders(b"[" + fixture(name) + b"]", LISTINGS, 7)
        assert one == listed
        assert cursor == ""
        assert one.listing is where
        assert (one.state, one.filled) == (OrderState.PARTIALLY_FILLED, Decimal("0.002"))
        assert one.average == average


def test_fills_are_read_from_the_answer_of_either_market() -> None:
    ((spot,), _) = CODEC.decode_fills(fixture("spot_my_trades"), LISTINGS, 7)
    streamed = events(fixture("spot_execution_fill"))[0]
    assert isinstance(streamed, Fill)
    assert msgspec.structs.replace(spot, client_id=streamed.client_id) == streamed
    ((linear,), cursor) = CODEC.decode_fills(fixture("linear_user_trades"), LISTINGS, 7)
    assert (linear.listing, linear.side, linear.maker) == (LINEAR, "sell", True)
    # A rebate.
    assert linear.fee == Decimal("-0.003")
    assert cursor == ""


def test_an_answer_full_of_fills_says_where_to_go_on() -> None:
    row = msgspec.json.decode(fixture("spot_my_trades"))[0]
    rows = [{**row, "id": number, "time": NOW_MS + number // 2} for number in range(1000)]
    fills, cursor = CODEC.decode_fills(msgspec.json.encode(rows), LISTINGS, 7)
    assert len(fills) == 1000
    assert cursor == str(NOW_MS + 499)
    at_once = [{**one, "time": NOW_MS} for one in rows]
    assert CODEC.decode_fills(msgspec.json.encode(at_once), LISTINGS, 7)[1] == str(NOW_MS + 1)


@pytest.mark.parametrize(("where", "hours"), [(SPOT, 24), (LINEAR, 168)])
def test_one_question_for_fills_spans_what_the_venue_allows(where: Listing, hours: int) -> None:
    sent = params(CODEC.fills_since(KEYS, where, NOW_MS, NOW_MS + 5))
    span_ms = int(sent["endTime"]) - int(sent["startTime"])
    assert int(sent["startTime"]) == NOW_MS
    assert span_ms == hours * 3_600_000 - 1
    assert CODEC.rules[where.kind].fills_window_ns == hours * 3_600_000 * MS


def test_a_contract_that_is_not_named_is_flat() -> None:
    ether = listing(Kind.LINEAR, "ETHUSDT")
    listings = {**LISTINGS, (Kind.LINEAR, "ETHUSDT"): ether}
    held, flat = CODEC.decode_positions(fixture("linear_position_risk"), listings, 7)
    assert (held.listing, held.size, held.entry) == (LINEAR, Decimal("-0.002"), Decimal(60010))
    assert (flat.listing, flat.size, flat.entry) == (ether, Decimal(0), None)


def test_two_sides_of_a_hedged_contract_are_one_position() -> None:
    (row,) = msgspec.json.decode(fixture("linear_position_risk"))
    long = {**row, "positionSide": "LONG", "positionAmt": "0.005", "unRealizedProfit": "1"}
    body = msgspec.json.encode([row, long])
    (position,) = CODEC.decode_positions(body, LISTINGS, 7)
    assert (position.size, position.entry) == (Decimal("0.003"), None)
    assert position.unrealised == Decimal("1.01")


def test_balances_are_those_of_the_wallet_that_was_asked_about() -> None:
    spot, linear = CODEC.balances(KEYS, BOTH, NOW_MS)
    (usdt,) = CODEC.decode_balances(spot, fixture("spot_account"), 7)
    assert (usdt.wallet, usdt.total, usdt.available) == ("spot", Decimal("859.99"), Decimal(800))
    usdt, unused = CODEC.decode_balances(linear, fixture("linear_balance"), 7)
    assert (usdt.wallet, usdt.total, usdt.available) == (
        "linear",
        Decimal("999.987998"),
        Decimal("993.9"),
    )
    assert (unused.asset, unused.total) == ("BNB", Decimal(0))


def test_fee_rates_add_up_all_that_spot_takes_and_leave_the_discount_out() -> None:
    request = CODEC.fee_rates(KEYS, SPOT, NOW_MS)
    rates = CODEC.decode_fee_rates(request, fixture("spot_commission"))
    assert rates == FeeRates(Decimal("14"), Decimal("15"))


def test_a_rebate_on_futures_is_a_negative_rate() -> None:
    request = CODEC.fee_rates(KEYS, LINEAR, NOW_MS)
    rates = CODEC.decode_fee_rates(request, fixture("linear_commission"))
    assert rates == FeeRates(Decimal("-0.5"), Decimal("4"))


def test_queries_name_what_they_cost() -> None:
    weights = {
        (request.path.partition("?")[0], "symbol=" in request.path): request.weight
        for kind in (Kind.SPOT, Kind.LINEAR)
        for where in (SPOT if kind is Kind.SPOT else LINEAR, None)
        for request in CODEC.open_orders(KEYS, kind, where, NOW_MS)
    }
    assert weights == {
        ("/api/v3/openOrders", True): 6,
        ("/api/v3/openOrders", False): 80,
        ("/fapi/v1/openOrders", True): 1,
        ("/fapi/v1/openOrders", False): 40,
    }


DECODERS: list[Callable[[bytes], object]] = [
    lambda body: CODEC.decode_orders(body, LISTINGS, 7),
    lambda body: CODEC.decode_fills(body, LISTINGS, 7),
    lambda body: CODEC.decode_positions(body, LISTINGS, 7),
    lambda body: CODEC.decode_balances(CODEC.balances(KEYS, BOTH, NOW_MS)[0], body, 7),
    lambda body: CODEC.decode_balances(CODEC.balances(KEYS, BOTH, NOW_MS)[1], body, 7),
    lambda body: CODEC.decode_fee_rates(CODEC.fee_rates(KEYS, SPOT, NOW_MS), body),
    lambda body: CODEC.decode_fee_rates(CODEC.fee_rates(KEYS, LINEAR, NOW_MS), body),
]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code":-1,"msg":"x"}', b'[{"symbol":1}]'])
def test_an_answer_of_another_shape_is_malformed(
    decoder: Callable[[bytes], object], body: bytes
) -> None:
    with pytest.raises(MalformedFrame):
        decoder(body)


def test_a_listen_key_is_obtained_then_extended_by_the_key_alone() -> None:
    first = CODEC.renew(KEYS, Kind.LINEAR, "", NOW_MS)
    later = CODEC.renew(KEYS, Kind.LINEAR, "abc", NOW_MS)
    assert first is not None
    assert later is not None
    assert (first.method, later.method) == ("POST", "PUT")
    assert first.path == later.path == "/fapi/v1/listenKey"
    assert first.headers == {"X-MBX-APIKEY": "the-key"}
    assert CODEC.decode_renewal(b'{"listenKey":"abc"}') == "abc"
    assert CODEC.decode_renewal(b"{}") == ""
    assert CODEC.renew(KEYS, Kind.SPOT, "", NOW_MS) is None


def test_the_dead_mans_switch_is_armed_for_a_contract() -> None:
    request = CODEC.arm_dead_man(KEYS, LINEAR, 30_000, NOW_MS)
    assert request is not None
    assert request.method == "POST"
    assert request.path.startswith(
        "/fapi/v1/countdownCancelAll?symbol=BTCUSDT&countdownTime=30000&"
    )
    assert request.weight == 10
    assert CODEC.arm_dead_man(KEYS, SPOT, 30_000, NOW_MS) is None


# --- permissions --------------------------------------------------------------------------


def told_of(codec: PrivateCodec, **bodies: bytes) -> Permissions:
    """Permissions by the answers, those not given being all right."""
    answers = []
    for request in codec.permissions(KEYS, NOW_MS):
        path = request.path.partition("?")[0].rpartition("/")[2]
        good = {
            "apiRestrictions": "api_restrictions",
            "accountConfig": "linear_account_config",
            "account": "spot_account",
        }
        answers.append((request, bodies.get(path, fixture(good[path]))))
    return codec.decode_permissions(answers)


def test_a_key_that_may_only_trade_has_no_problem() -> None:
    assert told_of(CODEC) == Permissions(
        read=True, trade_spot=True, trade_linear=True, withdraw=False, one_way=True
    )


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("enableWithdrawals", "may withdraw"),
        ("enableInternalTransfer", "may transfer between accounts"),
        ("permitsUniversalTransfer", "may transfer universally"),
    ],
)
def test_a_key_that_could_move_money_away_is_a_problem(right: str, words: str) -> None:
    told = told_of(CODEC, apiRestrictions=altered("api_restrictions", **{right: True}))
    assert told.withdraw
    (problem,) = told.problems
    assert problem.startswith("binance: the key ")
    assert words in problem
    assert "API Management" in problem


@pytest.mark.parametrize(
    ("right", "words", "kinds"),
    [
        ("enableReading", "may not read", BOTH),
        ("enableSpotAndMarginTrading", "may not trade spot", frozenset({Kind.SPOT})),
        ("enableFutures", "may not trade futures", frozenset({Kind.LINEAR})),
    ],
)
def test_a_right_that_lacks_is_a_problem_where_it_is_needed(
    right: str, words: str, kinds: frozenset[Kind]
) -> None:
    lacking = altered("api_restrictions", **{right: False})
    (problem,) = told_of(BinancePrivateCodec(kinds), apiRestrictions=lacking).problems
    assert words in problem
    if kinds != BOTH:
        others = BinancePrivateCodec(BOTH - kinds)
        assert told_of(others, apiRestrictions=lacking).problems == ()


def test_hedge_mode_is_a_problem_with_its_remedy() -> None:
    hedged = altered("linear_account_config", dualSidePosition=True)
    told = told_of(CODEC, accountConfig=hedged)
    assert not told.one_way
    (problem,) = told.problems
    assert problem.startswith("binance: the futures account is in hedge mode")
    assert "one-way" in problem
    only_spot = BinancePrivateCodec(frozenset({Kind.SPOT}))
    assert len(only_spot.permissions(KEYS, NOW_MS)) == 1


def test_the_demo_is_asked_about_its_accounts_instead() -> None:
    codec = BinancePrivateCodec(restrictions=False)
    asked = [request.path.partition("?")[0] for request in codec.permissions(KEYS, NOW_MS)]
    assert asked == ["/api/v3/account", "/fapi/v1/accountConfig"]
    assert told_of(codec).problems == ()
    barred = told_of(
        codec,
        account=altered("spot_account", canTrade=False),
        accountConfig=altered("linear_account_config", canTrade=False),
    )
    assert not barred.trade_spot
    assert not barred.trade_linear
    assert len(barred.problems) == 2


@pytest.mark.parametrize("body", [b'{"code":-2015,"msg":"Invalid API-key."}', b"<html>no</html>"])
def test_permissions_that_cannot_be_read_are_a_problem(body: bytes) -> None:
    told = told_of(CODEC, apiRestrictions=body)
    (problem,) = told.problems
    assert problem.startswith("binance: /sapi/v1/account/apiRestrictions cannot be read: ")


# --- secrets ------------------------------------------------------------------------------


def test_nothing_shows_key_secret_or_signature() -> None:
    keys = Credentials("KEY" * 8, "SECRET" * 8)
    frame = CODEC.place(keys, order(SPOT), NOW_MS)
    request = CODEC.place(keys, order(LINEAR), NOW_MS, rest=True)
    renewal = CODEC.renew(keys, Kind.LINEAR, "LISTEN" * 8, NOW_MS)
    signatures = [params(frame)["signature"], params(request)["signature"]]
    shown = f"{keys!r} {frame!r} {request!r} {renewal!r} {[frame, request]} {keys}"
    for secret in (keys.key, keys.secret, "LISTEN", *signatures):
        assert secret not in shown


def test_a_page_that_quotes_the_request_is_shown_without_its_proof() -> None:
    page = b"<p>Blocked: /api/v3/order?symbol=X&signature=c0ffee&apiKey=abc</p>"
    text = CODEC.classify(403, page)[2]
    assert "Blocked" in text
    assert "c0ffee" not in text
    assert "abc" not in text


def test_a_private_key_that_cannot_be_read_is_not_quoted() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"
    with pytest.raises(ConfigError) as raised:
        CODEC.login(Credentials("the-key", pem), "spot.trade", NOW_MS)
    assert "c2VjcmV0" not in "".join(traceback.format_exception(raised.value))
