"""The private side of the Bybit codec, answer by answer.

The fixtures are written after the documented shapes.
"""

from __future__ import annotations

import json
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hftmm.core.errors import MalformedFrame
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing
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
from hftmm.venues.bybit import BybitPrivateCodec
from hftmm.venues.bybit.request import signature
from hftmm.venues.private import Credentials, PrivateCodec, SignedRequest, StreamFrame

FIXTURES = Path(__file__).parent / "fixtures" / "bybit"
KEY = Credentials("simkey0001", "sim-secret-0001")
CODEC: PrivateCodec = BybitPrivateCodec()
NOW_MS = 1_750_000_000_000
NOW = NOW_MS * 1_000_000
UUID = "0f3c2a10-51d4-4a7e-9a55-0c1d2e3f4a5b"


def _listing(kind: Kind, symbol: str = "BTCUSDT", settle: str = "USDT") -> Listing:
    spot = kind is Kind.SPOT
    return Listing(
        venue="bybit",
        venue_symbol=symbol,
        symbol="BTC/USDT" if spot else f"BTC/{settle}:{settle}",
        kind=kind,
        base="BTC",
        quote=settle,
        settle="" if spot else settle,
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
    )


SPOT, LINEAR = _listing(Kind.SPOT), _listing(Kind.LINEAR)
LISTINGS = {(one.kind, one.venue_symbol): one for one in (SPOT, LINEAR)}


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes().strip()


def told(name: str, route: str = "private") -> list[AccountEvent]:
    return CODEC.decode_account(route, fixture(name), LISTINGS, NOW)


def with_fields(name: str, **fields: object) -> bytes:
    """A fixture whose first row says something else; fields set to None are left out."""
    frame = json.loads(fixture(name))
    row: dict[str, Any] = frame["data"][0]
    row.update(fields)
    for field in [field for field, value in fields.items() if value is None]:
        del row[field]
    return json.dumps(frame).encode()


def updated(**fields: object) -> OrderUpdate:
    """The update of a linear order with these fields."""
    frame = with_fields("private_order_linear", **fields)
    (event,) = CODEC.decode_account("private", frame, LISTINGS, NOW)
    assert isinstance(event, OrderUpdate)
    return event


def order(
    listing: Listing = LINEAR,
    *,
    post_only: bool = False,
    time_in_force: TimeInForce = TimeInForce.GTC,
    reduce_only: bool = False,
    client_id: str = "abcdmmkq3fz0c2w1x",
) -> OrderRequest:
    price, size = Decimal("60000.0"), Decimal("0.010")
    return OrderRequest(
        client_id, listing, "buy", price, size, post_only, time_in_force, reduce_only
    )


def placed(request: OrderRequest) -> dict[str, Any]:
    """The frame that places an order."""
    frame = CODEC.place(KEY, request, NOW_MS)
    assert isinstance(frame, StreamFrame)
    decoded: dict[str, Any] = json.loads(frame.frame)
    return decoded


def answered(body: bytes, status: int = 200) -> OrderAnswer:
    """What an answer to a placed order means."""
    request = CODEC.place(KEY, order(), NOW_MS, rest=True)
    assert isinstance(request, SignedRequest)
    return CODEC.decode_answer(request, status, body)


def refusal(code: int, text: str = "") -> bytes:
    envelope = {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": NOW_MS}
    return json.dumps(envelope).encode()


def page(*rows: dict[str, object], cursor: str | None = "", category: str = "linear") -> bytes:
    result = {"category": category, "list": rows, "nextPageCursor": cursor}
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS}).encode()


# --- signatures ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "proof"),
    [
        (
            b"category=linear&symbol=BTCUSDT&limit=50",
            "5a9e24dc0389f1a178d3dd71ac058d212ceacdf7fa2b027c9b913d782472efdc",
        ),
        (b"", "19ac2c693effda3663de4cf5e1d17b83bcd5677a8325bb6c39a5e6ba65394994"),
        (
            b'{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit",'
            b'"qty":"0.001","price":"50000","timeInForce":"PostOnly","orderLinkId":"mm-1"}',
            "135a555f58662d99df4b250c3ef189e0e116ef8bac37240fc588fb943d8d9e78",
        ),
    ],
)
def test_time_key_window_and_payload_are_signed_in_this_order(payload: bytes, proof: str) -> None:
    assert signature(KEY, NOW_MS, 5_000, payload) == proof


@pytest.mark.parametrize(("route", "number"), [("private", "req_id"), ("trade", "reqId")])
def test_a_login_signs_the_time_until_which_it_is_valid(route: str, number: str) -> None:
    first = CODEC.login(KEY, route, NOW_MS)[0]
    assert first.route == route
    asked = json.loads(first.frame)
    assert asked["op"] == "auth"
    assert asked["args"] == [
        KEY.key,
        NOW_MS + 10_000,
        "a3be5b7655b8e2b4042b6d4d5c264ffbe3238dda674f502fa382b1f473be8e1b",
    ]
    assert asked[number] == first.request_id


def test_what_is_signed_is_what_is_sent() -> None:
    query = CODEC.fills_since(KEY, LINEAR, NOW_MS, NOW_MS)
    sent = query.path.partition("?")[2].encode()
    assert query.headers["X-BAPI-SIGN"] == signature(KEY, NOW_MS, 5_000, sent)
    assert (query.method, query.body) == ("GET", b"")
    posted = CODEC.cancel(KEY, SPOT, "mm1", "", NOW_MS, rest=True)
    assert isinstance(posted, SignedRequest)
    assert posted.headers["X-BAPI-SIGN"] == signature(KEY, NOW_MS, 5_000, posted.body)
    assert posted.headers["Content-Type"] == "application/json"
    asked, _ = CODEC.permissions(KEY, NOW_MS)[:2]
    assert "?" not in asked.path
    assert asked.headers["X-BAPI-SIGN"] == signature(KEY, NOW_MS, 5_000, b"")


def test_a_cursor_is_signed_and_sent_percent_encoded_as_it_came() -> None:
    (first,) = CODEC.open_orders(KEY, Kind.LINEAR, LINEAR, NOW_MS)
    for cursor in ("a%3D1%2Cb%3D2", "c%3D%253"):
        second = CODEC.next_page(KEY, first, cursor, NOW_MS)
        assert second.path == f"{first.path}&cursor={cursor}"
        query = second.path.partition("?")[2].encode()
        assert second.headers["X-BAPI-SIGN"] == signature(KEY, NOW_MS, 5_000, query)
        again = CODEC.next_page(KEY, second, "z", NOW_MS)
        assert again.path == f"{first.path}&cursor=z"
    assert (second.purpose, second.route) == (first.purpose, first.route)


# --- requests -----------------------------------------------------------------------------


def test_an_order_carries_its_stamp_and_a_short_window_in_its_header() -> None:
    frame = placed(order())
    assert frame["op"] == "order.create"
    assert frame["header"] == {"X-BAPI-TIMESTAMP": str(NOW_MS), "X-BAPI-RECV-WINDOW": "2000"}
    assert frame["args"] == [
        {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.01",
            "price": "60000",
            "timeInForce": "GTC",
            "orderLinkId": "abcdmmkq3fz0c2w1x",
            "smpType": "CancelMaker",
            "positionIdx": 0,
        }
    ]


def test_an_order_on_spot_never_borrows_and_has_no_position() -> None:
    (fields,) = placed(order(SPOT, reduce_only=True))["args"]
    assert (fields["category"], fields["isLeverage"]) == ("spot", 0)
    assert not {"positionIdx", "reduceOnly"} & fields.keys()
    assert fields["smpType"] == "CancelMaker"


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (order(post_only=True), {"timeInForce": "PostOnly"}),
        (order(time_in_force=TimeInForce.IOC), {"timeInForce": "IOC"}),
        (order(time_in_force=TimeInForce.FOK), {"timeInForce": "FOK"}),
        (order(reduce_only=True), {"reduceOnly": True}),
    ],
)
def test_what_an_order_may_do_is_said_in_bybits_words(
    request_: OrderRequest, wanted: dict[str, object]
) -> None:
    (fields,) = placed(request_)["args"]
    assert wanted.items() <= fields.items()


def test_the_same_fields_go_by_rest() -> None:
    request = CODEC.place(KEY, order(), NOW_MS, rest=True)
    assert isinstance(request, SignedRequest)
    assert (request.route, request.method, request.path) == ("rest", "POST", "/v5/order/create")
    assert json.loads(request.body) == placed(order())["args"][0]
    assert request.headers["X-BAPI-RECV-WINDOW"] == "2000"


def test_an_amend_names_the_venues_id_where_it_is_known_and_the_new_total() -> None:
    for venue_id, named in (("", {"orderLinkId": "mm17"}), (UUID, {"orderId": UUID})):
        change = Amendment("mm17", SPOT, "buy", Decimal("1E+1"), Decimal("0.0200"), venue_id)
        frame = CODEC.amend(KEY, change, NOW_MS)
        assert isinstance(frame, StreamFrame)
        asked = json.loads(frame.frame)
        head = {"category": "spot", "symbol": "BTCUSDT"}
        assert asked["args"] == [head | named | {"qty": "0.02", "price": "10"}]


@given(
    client_id=st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True),
    now_ms=st.integers(1_700_000_000_000, 2_000_000_000_000),
)
@example(client_id="z" * 32, now_ms=1_700_000_000_255)
def test_a_request_id_fits_differs_by_verb_and_leads_back_to_the_order(
    client_id: str, now_ms: int
) -> None:
    change = Amendment(client_id, LINEAR, "buy", Decimal(1), Decimal(1))
    requests = [
        CODEC.place(KEY, order(client_id=client_id), now_ms),
        CODEC.amend(KEY, change, now_ms),
        CODEC.cancel(KEY, LINEAR, client_id, "", now_ms),
        CODEC.cancel(KEY, LINEAR, client_id, "", now_ms + 1),
    ]
    ids = [request.request_id for request in requests]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 36
    for request_id in ids:
        frame = fixture("trade_refused").replace(b"mm18-c1977420dcc9", request_id.encode())
        (answer,) = CODEC.decode_account("trade", frame, LISTINGS, NOW)
        assert isinstance(answer, OrderAnswer)
        assert (answer.request_id, answer.client_id) == (request_id, client_id)


def test_open_orders_of_contracts_are_asked_for_by_every_settle_coin() -> None:
    every = CODEC.open_orders(KEY, Kind.LINEAR, None, NOW_MS)
    queries = [dict(parse_qsl(request.path.partition("?")[2])) for request in every]
    assert [query["settleCoin"] for query in queries] == ["USDT", "USDC"]
    assert all(query["openOnly"] == "0" for query in queries)
    (spot,) = CODEC.open_orders(KEY, Kind.SPOT, None, NOW_MS)
    assert "category=spot" in spot.path
    assert "Coin" not in spot.path


def test_fills_are_asked_for_in_spans_no_longer_than_a_week() -> None:
    request = CODEC.fills_since(KEY, SPOT, NOW_MS - 5, NOW_MS)
    query = dict(parse_qsl(request.path.partition("?")[2]))
    span_ms = int(query["endTime"]) - int(query["startTime"])
    assert int(query["startTime"]) == NOW_MS - 5
    assert span_ms == CODEC.rules[Kind.SPOT].fills_window_ns // 1_000_000 == 7 * 86_400_000


def test_nothing_is_renewed_and_a_dead_man_exists_only_where_it_was_granted() -> None:
    assert CODEC.renew(KEY, Kind.LINEAR, "", NOW_MS) is None
    assert CODEC.arm_dead_man(KEY, LINEAR, 10_000, NOW_MS) is None
    assert CODEC.rules[Kind.LINEAR].dead_man_ns == (0, 0)
    granted = BybitPrivateCodec(dead_man=True)
    assert granted.rules[Kind.LINEAR].dead_man_ns == (3_000_000_000, 300_000_000_000)
    assert granted.arm_dead_man(KEY, LINEAR, 0, NOW_MS) is None
    for listing, timeout_ms, body in (
        (LINEAR, 9_001, {"product": "DERIVATIVES", "timeWindow": 10}),
        (SPOT, 1_000, {"product": "SPOT", "timeWindow": 3}),
        (SPOT, 900_000, {"product": "SPOT", "timeWindow": 300}),
    ):
        request = granted.arm_dead_man(KEY, listing, timeout_ms, NOW_MS)
        assert request is not None
        assert json.loads(request.body) == body
    *_, last = granted.login(KEY, "private", NOW_MS)
    assert json.loads(last.frame)["args"] == ["dcp.future", "dcp.spot"]


def test_the_private_stream_is_subscribed_whole_after_its_login() -> None:
    _, subscription = CODEC.login(KEY, "private", NOW_MS)
    asked = json.loads(subscription.frame)
    assert asked["op"] == "subscribe"
    assert asked["args"] == ["order", "execution", "position", "wallet", "execution.fast"]
    assert asked["req_id"] == subscription.request_id
    assert len(CODEC.login(KEY, "trade", NOW_MS)) == 1


def test_the_demo_has_no_trade_stream_no_fast_fills_and_no_fee_rates() -> None:
    demo = BybitPrivateCodec(demo=True)
    hosts = {"rest": "https://h", "private": "wss://h/v5/private"}
    assert demo.private_endpoints(hosts, frozenset(Kind)) == {"private": "wss://h/v5/private"}
    assert isinstance(demo.place(KEY, order(), NOW_MS), SignedRequest)
    assert isinstance(demo.cancel(KEY, SPOT, "mm1", "", NOW_MS), SignedRequest)
    assert b"execution.fast" not in demo.login(KEY, "private", NOW_MS)[1].frame
    request = demo.fee_rates(KEY, LINEAR, NOW_MS)
    refused = refusal(10001, "not supported")
    assert demo.decode_fee_rates(request, refused) == FeeRates(Decimal(2), Decimal("5.5"))
    with pytest.raises(MalformedFrame, match="10001 not supported"):
        CODEC.decode_fee_rates(request, refused)


# --- streams: logins and receipts ----------------------------------------------------------


def test_logins_and_subscriptions_are_told_ready() -> None:
    assert told("private_login") == [StreamReady("private", ok=True)]
    assert told("private_subscribed") == [StreamReady("private", ok=True)]
    assert told("trade_login", "trade") == [StreamReady("trade", ok=True)]


@pytest.mark.parametrize("name", ["private_pong", "trade_pong"])
def test_a_pong_is_no_account_news(name: str) -> None:
    assert told(name) == []


@pytest.mark.parametrize(
    ("said", "rejection"),
    [
        ("Params Error", Rejection.CLOCK),
        ("request expired", Rejection.CLOCK),
        ("API key is invalid.", Rejection.CREDENTIALS),
        ("Error sign, please check", Rejection.CREDENTIALS),
        ("Unmatched IP, please check", Rejection.CREDENTIALS),
        ("whatever", Rejection.CREDENTIALS),
    ],
)
def test_why_a_login_failed_is_read_off_its_words(said: str, rejection: Rejection) -> None:
    frame = fixture("private_login_refused").replace(b"Params Error", said.encode())
    (ready,) = CODEC.decode_account("private", frame, LISTINGS, NOW)
    assert isinstance(ready, StreamReady)
    assert (ready.ok, ready.rejection) == (False, rejection)
    assert ready.text.startswith(said)


@pytest.mark.parametrize(
    ("code", "ok", "rejection"),
    [
        (20001, True, None),
        (10004, False, Rejection.CREDENTIALS),
        (10001, False, Rejection.CREDENTIALS),
        (10003, False, Rejection.CREDENTIALS),
    ],
)
def test_a_login_on_the_trade_stream_has_a_code(
    code: int, ok: bool, rejection: Rejection | None
) -> None:
    frame = {"retCode": code, "retMsg": "no", "op": "auth", "connId": "k"}
    (ready,) = CODEC.decode_account("trade", json.dumps(frame).encode(), LISTINGS, NOW)
    assert isinstance(ready, StreamReady)
    assert (ready.ok, ready.rejection) == (ok, rejection)


def test_a_topic_that_is_refused_is_told_with_its_name() -> None:
    frame = {"success": False, "ret_msg": "error:handler not found,topic:x", "op": "subscribe"}
    (ready,) = CODEC.decode_account("private", json.dumps(frame).encode(), LISTINGS, NOW)
    assert isinstance(ready, StreamReady)
    assert (ready.ok, ready.rejection) == (False, Rejection.OTHER)
    assert "topic:x" in ready.text


def test_an_acknowledgement_is_a_receipt_and_nothing_more() -> None:
    assert told("trade_ack", "trade") == [
        OrderAnswer("mm17-n1977420dcc8", "mm17", UUID, accepted=True)
    ]


def test_a_refusal_on_the_trade_stream_leads_back_to_its_order() -> None:
    (answer,) = told("trade_refused", "trade")
    assert isinstance(answer, OrderAnswer)
    assert (answer.client_id, answer.accepted, answer.unknown) == ("mm18", False, False)
    assert answer.rejection is Rejection.UNKNOWN_ORDER
    assert answer.text.startswith("110001 order not exists or too late to cancel (")


def test_a_limit_says_when_it_is_whole_again() -> None:
    (answer,) = told("trade_limited", "trade")
    assert isinstance(answer, OrderAnswer)
    assert (answer.rejection, answer.unknown) == (Rejection.RATE, False)
    assert answer.retry_after_ms == 700


def test_an_answer_to_nobody_ends_the_trade_stream() -> None:
    frame = {"retCode": 10001, "retMsg": "error:invalid request", "op": "", "connId": "k"}
    (ended,) = CODEC.decode_account("trade", json.dumps(frame).encode(), LISTINGS, NOW)
    assert isinstance(ended, StreamEnded)
    assert "error:invalid request" in ended.text


# --- streams: orders ------------------------------------------------------------------------


def test_a_new_order_is_told_in_full() -> None:
    assert told("private_order_linear") == [
        OrderUpdate(
            listing=LINEAR,
            client_id="mm17",
            venue_id=UUID,
            side="buy",
            state=OrderState.OPEN,
            filled=Decimal(0),
            average=None,
            price=Decimal("59990.0"),
            size=Decimal("0.010"),
            rejection=None,
            text="",
            venue_ns=1_750_000_000_204_000_000,
            received_ns=NOW,
        )
    ]


def test_a_spot_order_canceled_half_filled_keeps_its_fills() -> None:
    (update,) = told("private_order_spot")
    assert isinstance(update, OrderUpdate)
    assert (update.listing, update.state) == (SPOT, OrderState.CANCELED)
    assert (update.filled, update.average) == (Decimal("0.005"), Decimal(60010))
    assert (update.rejection, update.text) == (None, "")


@pytest.mark.parametrize("status", ["Cancelled", "Rejected"])
def test_a_post_only_reject_is_one_in_either_form(status: str) -> None:
    update = updated(orderStatus=status, rejectReason="EC_PostOnlyWillTakeLiquidity")
    assert update.state.final
    assert update.rejection is Rejection.POST_ONLY


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("New", OrderState.OPEN),
        ("PartiallyFilled", OrderState.PARTIALLY_FILLED),
        ("Filled", OrderState.FILLED),
        ("Cancelled", OrderState.CANCELED),
        ("PartiallyFilledCanceled", OrderState.CANCELED),
        ("Rejected", OrderState.REJECTED),
        ("Deactivated", OrderState.CANCELED),
        ("Created", OrderState.PENDING_NEW),
        ("Untriggered", OrderState.OPEN),
        ("Triggered", OrderState.OPEN),
        ("Teleported", OrderState.UNKNOWN),
    ],
)
def test_every_status_has_a_state(status: str, state: OrderState) -> None:
    assert updated(orderStatus=status).state is state


def test_a_rejected_order_with_fills_was_there_and_ended() -> None:
    update = updated(orderStatus="Rejected", cumExecQty="0.005", cumExecValue="299.95")
    assert (update.state, update.filled) == (OrderState.CANCELED, Decimal("0.005"))
    assert update.average == Decimal("59990")


def test_two_pushes_of_one_filled_order_are_alike() -> None:
    filled = {"orderStatus": "Filled", "cumExecQty": "0.010", "cumExecValue": "599.9"}
    raced = {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
    assert updated(**filled) == updated(**filled | raced)
    assert updated(**filled | raced).rejection is None


@pytest.mark.parametrize(
    ("cancel_type", "reason", "rejection"),
    [
        ("CancelByUser", "EC_PerCancelRequest", None),
        ("CancelByUser", "EC_NoError", None),
        ("UNKNOWN", "", None),
        ("CancelBySmp", "EC_NoError", Rejection.SELF_TRADE),
        ("CancelByReduceOnly", "EC_NoError", Rejection.REDUCE_ONLY),
        ("CancelByDCP", "EC_PerCancelRequest", Rejection.OTHER),
        ("CancelByAdmin", "EC_NoError", Rejection.OTHER),
        ("CancelBySettle", "EC_NoError", Rejection.NOT_TRADING),
        ("UNKNOWN", "EC_NoImmediateQtyToFill", Rejection.NOTHING_TO_TAKE),
        ("UNKNOWN", "EC_NoEnoughQtyToFill", Rejection.NOTHING_TO_TAKE),
        ("UNKNOWN", "EC_CancelForNoFullFill", Rejection.NOTHING_TO_TAKE),
        ("CancelByMoonlight", "EC_Moonlight", Rejection.OTHER),
    ],
)
def test_why_an_order_ended_is_told_by_class(
    cancel_type: str, reason: str, rejection: Rejection | None
) -> None:
    update = updated(orderStatus="Cancelled", cancelType=cancel_type, rejectReason=reason)
    assert update.rejection is rejection
    assert bool(update.text) == (rejection is not None)


def test_an_open_order_has_no_reason_to_have_ended() -> None:
    for reason in ("EC_TooLateToCancel", "EC_Moonlight"):
        update = updated(cancelType="CancelBySmp", rejectReason=reason)
        assert (update.state, update.rejection) == (OrderState.OPEN, None)


def test_numbers_left_empty_are_absent_and_never_an_error() -> None:
    update = updated(cumExecQty="", cumExecValue="", avgPrice="", price="", updatedTime="")
    assert (update.filled, update.average, update.price, update.venue_ns) == (
        Decimal(0),
        None,
        None,
        0,
    )
    lean = updated(cumExecValue=None, avgPrice="59980.5", cumExecQty="0.001", rejectReason=None)
    assert lean.average == Decimal("59980.5")


def test_a_market_buy_for_an_amount_of_money_has_no_size() -> None:
    assert updated(marketUnit="quoteCoin", qty="500").size is None


@pytest.mark.parametrize(
    "fields", [{"category": "inverse"}, {"category": "option"}, {"symbol": "DOGEUSDT"}]
)
def test_what_is_not_traded_here_is_nothing_to_us(fields: dict[str, object]) -> None:
    for name in ("private_order_linear", "private_execution_fast", "private_position"):
        assert CODEC.decode_account("private", with_fields(name, **fields), LISTINGS, NOW) == []


# --- streams: fills, positions, wallet -------------------------------------------------------


def test_fills_have_the_fee_in_the_coin_bybit_names_and_a_rebate_is_negative() -> None:
    linear, spot = told("private_executions")
    assert linear == Fill(
        listing=LINEAR,
        trade_id="e-1",
        client_id="mm17",
        venue_id=UUID,
        side="buy",
        price=Decimal("59990.0"),
        size=Decimal("0.004"),
        fee=Decimal("0.047992"),
        fee_asset="USDT",
        maker=True,
        venue_ns=1_750_000_000_999_000_000,
        received_ns=NOW,
    )
    assert isinstance(spot, Fill)
    assert (spot.listing, spot.fee, spot.fee_asset) == (SPOT, Decimal("-0.000001"), "BTC")


@pytest.mark.parametrize(
    ("category", "side", "rate", "asset"),
    [
        ("linear", "Buy", "0.0002", "USDT"),
        ("linear", "Sell", "-0.0002", "USDT"),
        ("spot", "Buy", "0.001", "BTC"),
        ("spot", "Sell", "0.001", "USDT"),
        ("spot", "Buy", "-0.001", "USDT"),
        ("spot", "Sell", "-0.001", "BTC"),
    ],
)
def test_where_bybit_does_not_name_the_fees_coin_the_rule_does(
    category: str, side: str, rate: str, asset: str
) -> None:
    frame = json.loads(fixture("private_executions"))
    row = frame["data"][0] | {"category": category, "side": side, "feeRate": rate}
    frame["data"] = [row | {"feeCurrency": ""}]
    (fill,) = CODEC.decode_account("private", json.dumps(frame).encode(), LISTINGS, NOW)
    assert isinstance(fill, Fill)
    assert fill.fee_asset == asset


def test_the_fast_copy_of_a_fill_has_its_trade_id_and_no_fee_yet() -> None:
    (fast,) = told("private_execution_fast")
    full = told("private_executions")[0]
    assert isinstance(fast, Fill)
    assert isinstance(full, Fill)
    assert (fast.fee, fast.fee_asset) == (None, "")
    assert (fast.client_id, fast.venue_id) == ("", full.venue_id)
    assert (fast.trade_id, fast.price, fast.size) == (full.trade_id, full.price, full.size)


def test_funding_is_paid_and_not_filled() -> None:
    (paid,) = told("private_funding")
    assert paid == Funding(
        LINEAR, "bybit", "USDT", Decimal("-0.024004"), 1_750_003_200_000_000_000, NOW
    )
    rows = json.loads(fixture("private_funding"))["data"]
    assert CODEC.decode_fills(page(*rows), LISTINGS, NOW) == ([], "")


def test_executions_that_move_no_position_of_ours_are_no_fills() -> None:
    for kind in ("CorporateAction", "UNKNOWN", "SomethingNew"):
        frame = with_fields("private_execution_fast", execType=kind)
        assert CODEC.decode_account("private", frame, LISTINGS, NOW) == []
    for kind in ("AdlTrade", "BustTrade"):
        frame = with_fields("private_execution_fast", execType=kind)
        assert len(CODEC.decode_account("private", frame, LISTINGS, NOW)) == 1


def test_a_short_position_is_negative() -> None:
    assert told("private_position") == [
        Position(
            listing=LINEAR,
            size=Decimal("-0.004"),
            entry=Decimal(59990),
            unrealised=Decimal("-0.04448"),
            venue_ns=1_750_000_001_000_000_000,
            received_ns=NOW,
        )
    ]


def test_a_flat_position_has_no_side_and_no_entry() -> None:
    frame = with_fields(
        "private_position", side="", size="0", entryPrice="0", unrealisedPnl="", updatedTime=""
    )
    (flat,) = CODEC.decode_account("private", frame, LISTINGS, NOW)
    assert isinstance(flat, Position)
    assert (flat.size, flat.entry, flat.unrealised) == (Decimal(0), None, Decimal(0))
    assert flat.venue_ns == 1_750_000_001_001_000_000


def test_both_rows_of_hedge_mode_are_read_in_a_query_and_none_on_the_stream() -> None:
    (both,) = CODEC.decode_positions(fixture("rest_positions_hedge"), LISTINGS, NOW)
    assert (both.size, both.entry, both.unrealised) == (Decimal("0.006"), None, Decimal("1.0"))
    frame = with_fields("private_position", positionIdx=2)
    assert CODEC.decode_account("private", frame, LISTINGS, NOW) == []


def test_a_wallet_tells_what_is_ours_and_what_is_free() -> None:
    stamp = 1_750_000_001_002_000_000
    assert told("private_wallet") == [
        Balance("bybit", "", "USDT", Decimal("9999.5"), Decimal("9840.0"), stamp, NOW),
        Balance("bybit", "", "BTC", Decimal("1.0"), Decimal("1.0"), stamp, NOW),
    ]


def test_more_held_than_there_is_leaves_nothing_free() -> None:
    frame = fixture("private_wallet").replace(b'"locked":"100"', b'"locked":"20000"')
    usdt = CODEC.decode_account("private", frame, LISTINGS, NOW)[0]
    assert isinstance(usdt, Balance)
    assert usdt.available == 0


# --- queries --------------------------------------------------------------------------------


def test_rows_of_a_query_are_of_the_category_of_their_page() -> None:
    row = json.loads(fixture("private_order_linear"))["data"][0]
    del row["category"]
    for category, listing in (("spot", SPOT), ("linear", LINEAR)):
        (update,), cursor = CODEC.decode_orders(
            page(row, cursor="p%3D1", category=category), LISTINGS, NOW
        )
        assert (update.listing, cursor) == (listing, "p%3D1")


def test_the_last_page_is_one_without_cursor_or_without_rows() -> None:
    row = json.loads(fixture("private_order_linear"))["data"][0]
    for body in (page(row, cursor=""), page(row, cursor=None), page(cursor="more")):
        assert CODEC.decode_orders(body, LISTINGS, NOW)[1] == ""
    assert CODEC.decode_fills(page(cursor="more"), LISTINGS, NOW) == ([], "")


def test_fills_of_a_page_come_oldest_first() -> None:
    newer, older = json.loads(fixture("private_executions"))["data"]
    fills, _ = CODEC.decode_fills(page(newer, older), LISTINGS, NOW)
    assert [fill.trade_id for fill in fills] == [older["execId"], newer["execId"]]


def test_an_order_that_is_unknown_is_an_empty_answer_and_classified_as_such() -> None:
    assert CODEC.decode_orders(page(), LISTINGS, NOW) == ([], "")
    rejection, unknown, text = CODEC.classify(200, page())
    assert (rejection, unknown) == (Rejection.UNKNOWN_ORDER, False)
    assert "no such order" in text


def test_a_refused_query_is_told_in_words() -> None:
    body = refusal(10005, "Permission denied")
    for decode in (CODEC.decode_orders, CODEC.decode_fills, CODEC.decode_positions):
        with pytest.raises(MalformedFrame, match="10005 Permission denied"):
            decode(body, LISTINGS, NOW)
    with pytest.raises(MalformedFrame, match="10005"):
        CODEC.decode_balances(CODEC.balances(KEY, frozenset(Kind), NOW_MS)[0], body, NOW)


def test_more_positions_than_a_page_holds_are_an_error_and_not_cut_off() -> None:
    row = json.loads(fixture("rest_positions_hedge"))["result"]["list"][0]
    assert CODEC.decode_positions(page(row, cursor="x"), LISTINGS, NOW)
    with pytest.raises(MalformedFrame, match="too many positions"):
        CODEC.decode_positions(page(*[row] * 200, cursor="x"), LISTINGS, NOW)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"pong",
        b"[1]",
        b'{"topic":"order","data":[{"symbol":1}]}',
        b'{"topic":"order","data":{}}',
        b'{"topic":"wallet","data":[{"coin":"x"}]}',
        b"[" * 100_000,
        with_fields("private_order_linear", price="NaN"),
        with_fields("private_order_linear", cumExecQty="1e9"),
        with_fields("private_order_linear", side="Both"),
        with_fields("private_execution_fast", execPrice="Infinity"),
        with_fields("private_position", size="-"),
    ],
)
def test_a_frame_that_cannot_be_decoded_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        CODEC.decode_account("private", frame, LISTINGS, NOW)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_malformed_or_nothing(frame: bytes) -> None:
    for route in ("private", "trade"):
        try:
            CODEC.decode_account(route, frame, LISTINGS, NOW)
        except MalformedFrame:
            continue


# --- permissions ----------------------------------------------------------------------------


def _permissions(**groups: list[str]) -> tuple[bool, tuple[str, ...]]:
    """Whether money may leave, and the problems, of a key with these groups of rights."""
    body = json.loads(fixture("rest_key"))
    body["result"]["permissions"].update(groups)
    request = CODEC.permissions(KEY, NOW_MS)[0]
    told_ = CODEC.decode_permissions([(request, json.dumps(body).encode())])
    return told_.withdraw, told_.problems


def test_a_key_that_can_only_trade_has_no_problem() -> None:
    assert _permissions() == (False, ())
    assert _permissions(Derivatives=[]) == (False, ())
    assert _permissions(ContractTrade=[]) == (False, ())


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"Wallet": ["Withdraw"]}, "may withdraw"),
        ({"Wallet": ["AccountTransfer"]}, "may transfer between accounts"),
        ({"Wallet": ["SubMemberTransfer"]}, "may transfer to sub-accounts"),
        ({"Wallet": ["Teleport"]}, "may use Wallet Teleport"),
        ({"FiatP2P": ["FiatP2POrder"]}, "may use FiatP2P"),
    ],
)
def test_a_key_by_which_money_can_leave_is_refused(
    groups: dict[str, list[str]], words: str
) -> None:
    withdraw, (problem,) = _permissions(**groups)
    assert withdraw
    assert words in problem


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"Spot": []}, "may not trade spot"),
        ({"ContractTrade": ["Order"], "Derivatives": []}, "may not trade contracts"),
    ],
)
def test_a_key_that_may_not_trade_says_what_it_lacks(
    groups: dict[str, list[str]], words: str
) -> None:
    withdraw, (problem,) = _permissions(**groups)
    assert not withdraw
    assert words in problem


def test_hedge_mode_stands_in_the_way_of_contracts_only() -> None:
    asked = CODEC.permissions(KEY, NOW_MS)
    assert [request.path.partition("?")[0] for request in asked] == [
        "/v5/user/query-api",
        "/v5/account/info",
        "/v5/position/list",
    ]
    info = {"retCode": 0, "retMsg": "OK", "result": {"unifiedMarginStatus": 5}, "time": NOW_MS}
    bodies = [fixture("rest_key"), json.dumps(info).encode(), fixture("rest_positions_hedge")]
    both = CODEC.decode_permissions(list(zip(asked, bodies, strict=True)))
    assert not both.one_way
    (problem,) = both.problems
    assert "hedge mode" in problem
    spot = BybitPrivateCodec(frozenset({Kind.SPOT}))
    assert len(spot.permissions(KEY, NOW_MS)) == 2
    assert spot.decode_permissions(list(zip(asked, bodies, strict=True))).problems == ()


def test_an_answer_that_is_a_refusal_is_a_problem_in_words() -> None:
    request = CODEC.permissions(KEY, NOW_MS)[0]
    told_ = CODEC.decode_permissions([(request, refusal(33004, "expired"))])
    assert not told_.read
    (problem,) = told_.problems
    assert "make another" in problem


# --- refusals -------------------------------------------------------------------------------

_CLASSES = {
    Rejection.POST_ONLY: "170210 170218",
    Rejection.REDUCE_ONLY: "110017",
    Rejection.BALANCE: (
        "110004 110006 110007 110012 110044 110045 110051 110052 110053 110090 110013 110086 "
        "170131 170033"
    ),
    Rejection.FILTER: (
        "110003 110120 110121 30208 30209 110094 170124 170381 170382 170341 170132 170133 170192 "
        "170193 170194 170371 170372 170134 170137 170148 170136 170140 170197 170198 170228 170229"
    ),
    Rejection.RATE: "429 10006 10018 10403 10429 20003 30035 130035 170005 170222",
    Rejection.DUPLICATE: "10014 110072 170141",
    Rejection.UNKNOWN_ORDER: "110001 170143 170213",
    Rejection.ALREADY_DONE: "110008 110010 170139 170142 170190",
    Rejection.CLOCK: "-1 10002",
    Rejection.CREDENTIALS: (
        "10003 10004 10005 10007 10008 10009 10010 10024 10028 100028 110132 33004 -2015"
    ),
    Rejection.NOT_TRADING: (
        "10027 10029 110066 110021 110022 110023 110042 30228 110063 110074 110095 170121 170151 "
        "170157 170159 170209 170227"
    ),
    Rejection.OTHER: (
        "10000 10001 10016 10017 10019 10404 20001 20006 30034 130150 40004 110020 110009 110024 "
        "110025 110026 110027 110028 110029 110043 34040 110064 110079 110103 110119 170001 170007 "
        "170032 170105 170115 170116 170117 170130 170144 170145 170146 170147 170149 170150 "
        "170191 170201 170212 170217 170310 170311 170312 170313 170355 170810 500000"
    ),
}
_UNKNOWN = {
    *("429", "10000", "10014", "10016", "10019", "10429", "20006", "30034", "40004"),
    *("130150", "170001", "170007", "170032", "170144", "170145", "170146", "170147", "170149"),
    *("170150", "170191", "170212", "170310", "170311", "170312", "500000"),
}


@pytest.mark.parametrize(
    ("code", "rejection"),
    [(code, rejection) for rejection, codes in _CLASSES.items() for code in codes.split()],
)
def test_every_code_has_its_class_its_certainty_and_words(code: str, rejection: Rejection) -> None:
    answer = answered(refusal(int(code), "said"))
    assert not answer.accepted
    assert answer.rejection is rejection
    assert answer.unknown == (code in _UNKNOWN)
    assert answer.text.startswith(f"{code} said (")
    assert CODEC.classify(200, refusal(int(code), "said")) == (
        rejection,
        code in _UNKNOWN,
        answer.text,
    )


def test_a_code_nobody_has_heard_of_is_a_firm_refusal() -> None:
    answer = answered(refusal(987654, "Novel"))
    assert (answer.rejection, answer.unknown) == (Rejection.OTHER, False)
    assert answer.text == "987654 Novel"


@pytest.mark.parametrize(
    ("said", "rejection"),
    [
        ("position idx not match position mode", Rejection.OTHER),
        ("The order remains unchanged as the parameters entered match", Rejection.OTHER),
        ("params error: post only would take", Rejection.POST_ONLY),
        ("params error: symbol invalid", Rejection.NOT_TRADING),
        ("The number of contracts is less than the minimum limit allowed", Rejection.FILTER),
        ("params error: qty invalid", Rejection.FILTER),
        ("accountType only support UNIFIED.", Rejection.CREDENTIALS),
        ("Request parameter error.", Rejection.OTHER),
    ],
)
def test_a_parameter_error_is_told_apart_by_its_words(said: str, rejection: Rejection) -> None:
    assert answered(refusal(10001, said)).rejection is rejection


def test_too_many_sessions_are_no_wrong_key() -> None:
    assert answered(refusal(10003, "Too many sessions under the same UID")).rejection is (
        Rejection.RATE
    )


@pytest.mark.parametrize(
    ("status", "body", "rejection", "unknown", "retry_ms"),
    [
        (403, b"<html>access too frequent</html>", Rejection.RATE, False, 600_000),
        (403, refusal(10018, "access too frequent"), Rejection.RATE, False, 600_000),
        (401, b"", Rejection.CREDENTIALS, False, 0),
        (401, refusal(10001, "Request parameter error."), Rejection.CREDENTIALS, False, 0),
        (401, refusal(10004, "error sign!"), Rejection.CREDENTIALS, False, 0),
        (404, b"", Rejection.OTHER, False, 0),
        (400, refusal(10001, "params error: qty invalid"), Rejection.FILTER, False, 0),
        (429, b"slow down", Rejection.RATE, True, 0),
        (200, refusal(10006, "Too many visits!"), Rejection.RATE, False, 1_000),
        (200, b"<html>", Rejection.OTHER, True, 0),
        (500, b"", Rejection.OTHER, True, 0),
        (502, b"<html>", Rejection.OTHER, True, 0),
        (503, refusal(0, "OK"), Rejection.OTHER, True, 0),
    ],
)
def test_answers_of_the_gateway_are_classified(
    status: int, body: bytes, rejection: Rejection, unknown: bool, retry_ms: int
) -> None:
    answer = answered(body, status)
    assert (answer.accepted, answer.rejection, answer.unknown) == (False, rejection, unknown)
    assert answer.retry_after_ms == retry_ms
    assert "<html>" not in answer.text


def test_a_cancel_all_that_failed_for_some_is_unknown() -> None:
    (request,) = CODEC.cancel_all(KEY, SPOT, [], NOW_MS)
    assert isinstance(request, SignedRequest)
    assert json.loads(request.body) == {
        "category": "spot",
        "symbol": "BTCUSDT",
        "orderFilter": "Order",
    }
    for success, accepted in (("1", True), ("0", False)):
        result = {"list": [], "success": success}
        body = json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS})
        answer = CODEC.decode_answer(request, 200, body.encode())
        assert (answer.accepted, answer.unknown) == (accepted, not accepted)
        assert answer.client_id == ""


# --- secrets --------------------------------------------------------------------------------


def test_nothing_that_is_shown_has_key_secret_or_signature() -> None:
    change = Amendment("mm1", LINEAR, "buy", Decimal(1), Decimal(1))
    outgoing = [
        *CODEC.login(KEY, "private", NOW_MS),
        *CODEC.login(KEY, "trade", NOW_MS),
        CODEC.place(KEY, order(), NOW_MS),
        CODEC.place(KEY, order(), NOW_MS, rest=True),
        CODEC.amend(KEY, change, NOW_MS, rest=True),
        CODEC.cancel(KEY, SPOT, "mm1", "", NOW_MS, rest=True),
        *CODEC.cancel_all(KEY, SPOT, [], NOW_MS),
        *CODEC.permissions(KEY, NOW_MS),
        *CODEC.balances(KEY, frozenset(Kind), NOW_MS),
        *CODEC.positions(KEY, NOW_MS),
    ]
    proofs = [one.headers["X-BAPI-SIGN"] for one in outgoing if isinstance(one, SignedRequest)]
    proofs += [str(json.loads(one.frame)["args"][-1]) for one in CODEC.login(KEY, "trade", NOW_MS)]
    shown = repr(outgoing) + repr(KEY) + repr(CODEC)
    # Bybit repeats what should have been signed, which begins with time and key.
    said = f"error sign! origin_string[{NOW_MS}{KEY.key}5000{{}}]"
    refused = refusal(10004, said)
    shown += repr(answered(refused)) + repr(CODEC.classify(200, refused))
    login = {"success": False, "ret_msg": said, "op": "auth"}
    shown += repr(CODEC.decode_account("private", json.dumps(login).encode(), LISTINGS, NOW))
    try:
        CODEC.decode_orders(refused, LISTINGS, NOW)
    except MalformedFrame as error:
        shown += "".join(traceback.format_exception(error))
    assert "error sign! origin_string[...]" in shown
    for secret in (KEY.key, KEY.secret, *proofs):
        assert secret not in shown
