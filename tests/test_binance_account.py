"""The practice Binance around its orders: changes, streams, settings, limits and faults."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from hftmm.core.instrument import Kind
from hftmm.sim.faults import FaultyPeer
from hftmm.sim.ledger import DEMO, Credentials
from hftmm.sim.peers import LOST, Close, HttpQuery, Push
from tests.binance_floor import (
    API,
    BY_ID,
    ED25519,
    FORDER,
    KEY,
    MINUTE,
    ORDER,
    SECOND,
    START,
    STREAM,
    Params,
    Venue,
    hmac_hex,
    limit,
    maker,
)

REPLACE = "/api/v3/order/cancelReplace"
AMEND = "/api/v3/order/amend/keepPriority"
BATCH = "/fapi/v1/batchOrders"


@pytest.fixture
def venue() -> Venue:
    return Venue()


def status_of(venue: Venue, order_id: int, path: str = ORDER) -> str:
    return str(venue.ask("GET", path, {**BY_ID, "orderId": order_id})["status"])


# --- 11.2.16: cancel-replace and amend ------------------------------------------------------


def replacing(order_id: int, mode: str = "STOP_ON_FAILURE", **more: str) -> Params:
    return {**limit(**more), "cancelReplaceMode": mode, "cancelOrderId": order_id}


def test_an_order_is_replaced_by_another(venue: Venue) -> None:
    old = venue.ask("POST", ORDER, limit(newClientOrderId="old"))["orderId"]
    answer = venue.ask("POST", REPLACE, replacing(old, price="63000"))
    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert answer["cancelResponse"]["origClientOrderId"] == "old"
    assert status_of(venue, old) == "CANCELED"
    assert status_of(venue, answer["newOrderResponse"]["orderId"]) == "NEW"


def test_without_the_old_order_the_new_one_is_not_attempted(venue: Venue) -> None:
    status, value, _ = venue.signed("POST", REPLACE, replacing(999))
    assert (status, value["code"], value["msg"]) == (400, -2022, "Order cancel-replace failed.")
    data = value["data"]
    assert (data["cancelResult"], data["newOrderResult"]) == ("FAILURE", "NOT_ATTEMPTED")
    assert data["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
    assert data["newOrderResponse"] is None
    assert venue.ask("GET", "/api/v3/openOrders") == []


def test_one_failure_of_two_answers_409(venue: Venue) -> None:
    text = "Order cancel-replace partially failed."
    status, value, _ = venue.signed("POST", REPLACE, replacing(999, "ALLOW_FAILURE"))
    assert (status, value["code"], value["msg"]) == (409, -2021, text)
    assert value["data"]["newOrderResult"] == "SUCCESS"
    old = value["data"]["newOrderResponse"]["orderId"]
    # The new order wants more than there is, the old one is gone all the same.
    poor = replacing(old, quantity="100")
    status, value, _ = venue.signed("POST", REPLACE, poor)
    assert (status, value["code"], value["data"]["cancelResult"]) == (409, -2021, "SUCCESS")
    assert value["data"]["newOrderResponse"]["code"] == -2010
    assert status_of(venue, old) == "CANCELED"


def test_two_failures_answer_400(venue: Venue) -> None:
    poor = replacing(999, "ALLOW_FAILURE", quantity="100")
    status, value, _ = venue.signed("POST", REPLACE, poor)
    assert (status, value["code"]) == (400, -2022)
    assert value["data"]["newOrderResult"] == "FAILURE"


def test_filters_are_looked_at_before_the_old_order_is_touched(venue: Venue) -> None:
    old = venue.ask("POST", ORDER, limit())["orderId"]
    assert venue.refused("POST", REPLACE, replacing(old, price="64000.001")) == (400, -1013)
    assert status_of(venue, old) == "NEW"


def test_an_amended_order_keeps_its_place_and_gets_a_new_name(venue: Venue) -> None:
    venue.follow_spot()
    order = venue.ask("POST", ORDER, maker(newClientOrderId="old"))["orderId"]
    venue.someone("spot", "buy", "64000", "1")
    asked = {**BY_ID, "orderId": order, "newQty": "0.004", "newClientOrderId": "new"}
    amended = venue.ask("PUT", AMEND, asked)["amendedOrder"]
    assert (amended["origClientOrderId"], amended["clientOrderId"]) == ("old", "new")
    assert (amended["qty"], amended["status"]) == ("0.00400000", "NEW")
    # Still in front of the bid that came later.
    venue.someone("spot", "sell", "64000", "0.004")
    row = venue.ask("GET", ORDER, {**BY_ID, "origClientOrderId": "new"})
    assert (row["orderId"], row["status"]) == (order, "FILLED")
    assert venue.refused("GET", ORDER, {**BY_ID, "origClientOrderId": "old"}) == (400, -2013)
    new, replaced, trade = venue.spot_events()
    assert (new["c"], new["C"]) == ("old", "")
    assert (replaced["x"], replaced["X"], replaced["c"], replaced["C"], replaced["q"]) == (
        "REPLACED",
        "NEW",
        "new",
        "old",
        "0.00400000",
    )
    assert (trade["x"], trade["c"], trade["C"]) == ("TRADE", "new", "")


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        ("0.02", "Order amend (quantity increase) is not supported."),
        ("0.01", "The requested action would change no state; rejecting."),
    ],
)
def test_an_amend_only_makes_an_order_smaller(venue: Venue, quantity: str, text: str) -> None:
    order = venue.ask("POST", ORDER, limit())["orderId"]
    asked = {**BY_ID, "orderId": order, "newQty": quantity}
    status, value, _ = venue.signed("PUT", AMEND, asked)
    assert (status, value) == (400, {"code": -2038, "msg": text})


def test_an_order_is_amended_only_so_often(venue: Venue) -> None:
    order = venue.ask("POST", ORDER, limit(quantity="0.1"))["orderId"]
    for step in range(1, 11):
        quantity = str(Decimal("0.1") - Decimal("0.001") * step)
        venue.ask("PUT", AMEND, {**BY_ID, "orderId": order, "newQty": quantity})
    asked = {**BY_ID, "orderId": order, "newQty": "0.05"}
    assert venue.refused("PUT", AMEND, asked) == (400, -2038)


# --- 11.2.17: modify, batches ---------------------------------------------------------------


def changing(order_id: int, price: str, quantity: str = "0.01") -> Params:
    return {**BY_ID, "orderId": order_id, "side": "BUY", "price": price, "quantity": quantity}


def test_a_modified_order_loses_its_place(venue: Venue) -> None:
    venue.follow_linear()
    order = venue.ask("POST", FORDER, limit())["orderId"]
    venue.someone("linear", "buy", "64100", "0.01")
    answer = venue.ask("PUT", FORDER, changing(order, "64100"))
    assert (answer["orderId"], answer["price"]) == (order, "64100.0")
    assert not answer.keys() & {"avgPrice", "cumQuote"}
    venue.someone("linear", "sell", "64100", "0.01")
    assert status_of(venue, order, FORDER) == "NEW"
    changes = [event["o"]["x"] for event in venue.heard(STREAM)]
    assert changes == ["NEW", "AMENDMENT"]


def test_a_change_of_nothing_is_refused_in_words(venue: Venue) -> None:
    order = venue.ask("POST", FORDER, limit())["orderId"]
    status, value, _ = venue.signed("PUT", FORDER, changing(order, "64000"))
    assert (status, value) == (400, {"code": -5027, "msg": "No need to modify the order."})


def test_a_change_to_no_more_than_is_filled_cancels(venue: Venue) -> None:
    order = venue.ask("POST", FORDER, limit())["orderId"]
    venue.someone("linear", "sell", "64000", "0.004")
    answer = venue.ask("PUT", FORDER, changing(order, "64000", "0.004"))
    assert (answer["status"], answer["executedQty"]) == ("CANCELED", "0.004")


def test_a_post_only_order_moved_into_the_market_is_cancelled(venue: Venue) -> None:
    order = venue.ask("POST", FORDER, limit(timeInForce="GTX"))["orderId"]
    venue.someone("linear", "sell", "64500", "1")
    venue.ask("PUT", FORDER, changing(order, "64500"))
    assert status_of(venue, order, FORDER) == "CANCELED"
    assert venue.ask("GET", "/fapi/v3/account")["positions"] == []


def test_a_batch_answers_element_by_element(venue: Venue) -> None:
    venue.someone("linear", "sell", "64500", "1")
    orders = [
        limit(price="63000"),
        limit(price="64500", timeInForce="GTX"),
        limit(price="63100", symbol="NOPE"),
    ]
    text = msgspec.json.encode(orders).decode()
    first, second, third = venue.ask("POST", BATCH, {"batchOrders": text})
    assert (first["status"], second["code"], third["code"]) == ("NEW", -5022, -1121)
    ids = msgspec.json.encode([first["orderId"], 999]).decode()
    canceled, unknown = venue.ask("DELETE", BATCH, {**BY_ID, "orderIdList": ids})
    assert (canceled["status"], unknown["code"]) == ("CANCELED", -2011)
    six = msgspec.json.encode([limit()] * 6).decode()
    assert venue.refused("POST", BATCH, {"batchOrders": six}) == (400, -1130)
    assert venue.refused("POST", BATCH, {"batchOrders": "['no json']"}) == (400, -1135)


def test_a_batch_of_changes_and_of_cancels_by_client_id(venue: Venue) -> None:
    for name in ("one", "two"):
        venue.ask("POST", FORDER, limit(newClientOrderId=name))
    change = {"symbol": "BTCUSDT", "side": "BUY", "price": "63000", "quantity": "0.02"}
    changes = [{**change, "origClientOrderId": name} for name in ("one", "none")]
    text = msgspec.json.encode(changes).decode()
    changed, unknown = venue.ask("PUT", BATCH, {"batchOrders": text})
    assert (changed["price"], changed["origQty"], unknown["code"]) == ("63000.0", "0.020", -2013)
    names = {**BY_ID, "origClientOrderIdList": '["one","two"]'}
    rows = venue.ask("DELETE", BATCH, names)
    assert [row["status"] for row in rows] == ["CANCELED", "CANCELED"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"side": "SELL"}, -1117),
        ({"price": "90000"}, -4016),
        ({"quantity": "1000"}, -2019),
        ({"price": "64000.05"}, -4014),
        ({"orderId": 999}, -2013),
    ],
)
def test_a_change_that_is_refused_leaves_the_order_as_it_was(
    venue: Venue, change: Params, code: int
) -> None:
    order = venue.ask("POST", FORDER, limit())["orderId"]
    asked = {**changing(order, "63000"), **change}
    assert venue.refused("PUT", FORDER, asked) == (400, code)
    row = venue.ask("GET", "/fapi/v1/openOrder", {**BY_ID, "orderId": order})
    assert (row["price"], row["origQty"]) == ("64000.0", "0.010")
    venue.ask("DELETE", FORDER, {**BY_ID, "orderId": order})
    gone = venue.refused("GET", "/fapi/v1/openOrder", {**BY_ID, "orderId": order})
    assert gone == (400, -2013)


# --- 11.2.18, 20: unknown outcomes, overload ------------------------------------------------


@pytest.mark.parametrize("path", [ORDER, FORDER])
@pytest.mark.parametrize(("fault", "status"), [("unknown", 503), ("lost_ack", LOST)])
def test_an_order_may_be_live_though_its_answer_says_nothing(
    venue: Venue, path: str, fault: str, status: int
) -> None:
    network = FaultyPeer(venue.peer, 0, 7)
    assert network.switch(fault, venue.now_ns).accepted
    payload = urlencode({**limit(newClientOrderId="lost"), "timestamp": venue.now_ms})
    query = f"{payload}&signature={hmac_hex(payload)}"
    face = "spot.rest" if path == ORDER else "linear.rest"
    asked = HttpQuery(face, "POST", path, query, {"X-MBX-APIKEY": KEY}, b"")
    assert network.request(asked, venue.now_ns).status == status
    row = venue.ask("GET", path, {**BY_ID, "origClientOrderId": "lost"})
    assert row["status"] == "NEW"
    duplicate = venue.refused("POST", path, limit(newClientOrderId="lost"))
    assert duplicate == (400, -2010 if path == ORDER else -4116)


def test_what_a_message_is_about_is_said_with_it(venue: Venue) -> None:
    venue.follow_spot()
    venue.follow_linear()
    venue.someone("spot", "sell", "64500", "0.01")
    venue.someone("linear", "sell", "64500", "0.01")
    for path in (ORDER, FORDER):
        _, _, answer = venue.signed("POST", path, limit(price="64500"))
        assert (answer.matter, answer.late_ns > 0) == ("ack", True)
    assert venue.signed("GET", ORDER, BY_ID)[2].matter == ""
    venue.peer.advance(venue.now_ns + SECOND)
    matters: dict[int, list[str]] = {API: [], STREAM: []}
    for out in venue.peer.outbox:
        assert isinstance(out, Push)
        matters[out.connection].append(out.matter)
    assert matters == {
        API: ["order", "account", "fill", "account"],
        STREAM: ["order", "fill", "fill", "account"],
    }


def test_an_overloaded_usd_m_takes_only_what_lowers_risk(venue: Venue) -> None:
    order = venue.ask("POST", FORDER, limit())["orderId"]
    venue.someone("linear", "sell", "64500", "0.01")
    venue.ask("POST", FORDER, limit(price="64500", timeInForce="IOC"))
    venue.peer.trading.disturbances.overloaded = True
    assert venue.refused("POST", FORDER, limit()) == (503, -1008)
    assert venue.ask("DELETE", FORDER, {**BY_ID, "orderId": order})["status"] == "CANCELED"
    venue.ask("POST", FORDER, limit("SELL", price="65500", reduceOnly="true"))


# --- 11.2.19: rate limits -------------------------------------------------------------------


def test_a_spot_order_costs_nothing_unless_it_fails(venue: Venue) -> None:
    _, _, answer = venue.signed("POST", ORDER, limit())
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert answer.headers["X-MBX-ORDER-COUNT-1D"] == "1"
    _, _, answer = venue.signed("POST", ORDER, limit(price="0"))
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    _, _, answer = venue.signed("GET", "/api/v3/account")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "21"


def test_orders_are_counted_in_windows_of_the_clock(venue: Venue) -> None:
    venue.ask("POST", FORDER, limit())
    venue.jump(9 * SECOND)
    _, _, answer = venue.signed("POST", FORDER, limit())
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "2"
    venue.jump(SECOND)
    _, _, answer = venue.signed("POST", FORDER, limit())
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert answer.headers["X-MBX-ORDER-COUNT-1M"] == "3"


def test_the_first_fill_gives_an_order_back_to_the_limit(venue: Venue) -> None:
    venue.ask("POST", ORDER, limit())
    counts = {row["interval"]: row["count"] for row in venue.ask("GET", "/api/v3/rateLimit/order")}
    assert counts == {"SECOND": 1, "DAY": 1}
    venue.someone("spot", "sell", "64000", "0.004")
    venue.someone("spot", "sell", "64000", "0.004")
    venue.run()
    rows = venue.ask("GET", "/api/v3/rateLimit/order")
    assert [row["count"] for row in rows] == [0, 0]


def test_too_many_orders_are_refused_until_the_window_ends(venue: Venue) -> None:
    for _ in range(100):
        order = venue.ask("POST", ORDER, limit())["orderId"]
        venue.ask("DELETE", ORDER, {**BY_ID, "orderId": order})
    order = venue.ask
    status, value, answer = venue.signed("POST", ORDER, limit())
    text = "Too many new orders; current limit is 100 orders per 10 SECOND."
    assert (status, value) == (429, {"code": -1015, "msg": text})
    assert 1 <= int(answer.headers["Retry-After"]) <= 11
    venue.jump(10 * SECOND)
    order("POST", ORDER, limit())


def test_weight_beyond_the_limit_is_refused_and_then_banned(venue: Venue) -> None:
    def account() -> tuple[int, Any, Any]:
        return venue.signed("GET", "/api/v3/account")

    for _ in range(300):
        assert account()[0] == 200
    status, value, answer = account()
    assert (status, value["code"]) == (429, -1003)
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    for _ in range(50):
        status, value, answer = account()
    assert (status, value["code"]) == (418, -1003)
    assert value["msg"].startswith("Way too much request weight used; IP banned until ")
    assert int(answer.headers["Retry-After"]) > 60
    venue.jump(MINUTE)
    assert account()[0] == 418
    venue.jump(2 * MINUTE)
    assert account()[0] == 200


def test_frames_count_against_the_same_weight_and_say_so(venue: Venue) -> None:
    venue.open(API, "spot.api", "/ws-api/v3")
    venue.ask("GET", "/api/v3/account")
    answer = venue.frame(API, "time")
    (weight,) = answer["rateLimits"]
    assert (weight["rateLimitType"], weight["count"]) == ("REQUEST_WEIGHT", 2 + 20 + 1)
    answer = venue.signed_frame(API, "order.place", limit())
    kinds = [(row["rateLimitType"], row["interval"]) for row in answer["rateLimits"]]
    assert kinds == [("ORDERS", "SECOND"), ("ORDERS", "DAY"), ("REQUEST_WEIGHT", "MINUTE")]
    assert "rateLimits" not in venue.frame(API, "time", {"returnRateLimits": False})


def test_a_frame_over_the_limit_says_when_to_come_back(venue: Venue) -> None:
    venue.open(API, "spot.api", "/ws-api/v3")
    for _ in range(75):
        venue.signed_frame(API, "openOrders.status")
    answer = venue.signed_frame(API, "openOrders.status")
    assert (answer["status"], answer["error"]["code"]) == (429, -1003)
    data = answer["error"]["data"]
    assert data["serverTime"] < data["retryAfter"] <= data["serverTime"] + 60_000
    assert data["retryAfter"] % 60_000 == 0


# --- 11.2.21, 22: fees and funding ----------------------------------------------------------


def test_commission_is_taken_from_what_was_received(venue: Venue) -> None:
    venue.someone("spot", "sell", "64000", "0.01")
    venue.someone("spot", "buy", "63000", "0.01")
    bought = venue.ask("POST", ORDER, limit(timeInForce="IOC"))["fills"][0]
    sold = venue.ask("POST", ORDER, limit("SELL", "63000", timeInForce="IOC"))["fills"][0]
    assert (bought["commission"], bought["commissionAsset"]) == ("0.00001000", "BTC")
    assert (sold["commission"], sold["commissionAsset"]) == ("0.63000000", "USDT")
    trades = venue.ask("GET", "/api/v3/myTrades", BY_ID)
    assert [(t["isBuyer"], t["isMaker"], t["commission"]) for t in trades] == [
        (True, False, "0.00001000"),
        (False, False, "0.63000000"),
    ]
    newest = venue.ask("GET", "/api/v3/myTrades", {**BY_ID, "fromId": trades[1]["id"]})
    assert newest == trades[1:]


def test_the_rates_charged_are_the_rates_shown(venue: Venue) -> None:
    shown = venue.ask("GET", "/api/v3/account/commission", BY_ID)["standardCommission"]
    assert (shown["maker"], shown["taker"]) == ("0.00100000", "0.00100000")
    (fee,) = venue.ask("GET", "/sapi/v1/asset/tradeFee", BY_ID)
    assert (fee["symbol"], Decimal(fee["takerCommission"])) == ("BTCUSDT", Decimal("0.001"))
    linear = venue.ask("GET", "/fapi/v1/commissionRate", BY_ID)
    assert (linear["makerCommissionRate"], linear["takerCommissionRate"]) == ("0.0002", "0.0005")


def test_funding_moves_the_wallet_and_no_position() -> None:
    funding_ns = 8 * 60 * MINUTE
    venue = Venue(start_ns=(START // funding_ns + 1) * funding_ns - MINUTE)
    venue.someone("linear", "sell", "64500", "0.1")
    venue.ask("POST", FORDER, limit(price="64500", quantity="0.1"))
    _, premium, _ = venue.send("GET", "/fapi/v1/premiumIndex", "symbol=BTCUSDT")
    venue.follow_linear()
    venue.now_ns = premium["nextFundingTime"] * 1_000_000
    venue.market.advance(venue.now_ns)
    (event,) = [e for e in venue.heard(STREAM) if e["e"] == "ACCOUNT_UPDATE"]
    assert event["T"] == premium["nextFundingTime"]
    assert (event["a"]["m"], event["a"]["P"], event["a"]["S"]) == ("FUNDING_FEE", [], "BTCUSDT")
    (change,) = event["a"]["B"]
    (income,) = venue.ask("GET", "/fapi/v1/income", {"incomeType": "FUNDING_FEE"})
    assert Decimal(change["bc"]) == Decimal(income["income"]) != 0


# --- 11.2.23: positions, modes --------------------------------------------------------------


def test_a_position_is_the_sum_of_its_fills(venue: Venue) -> None:
    venue.someone("linear", "sell", "64500", "0.03")
    venue.someone("linear", "buy", "64400", "0.01")
    venue.ask("POST", FORDER, limit(price="64500", quantity="0.03"))
    sold = venue.ask("POST", FORDER, limit("SELL", "64400"))
    (trade,) = venue.ask("GET", "/fapi/v1/userTrades", {**BY_ID, "orderId": sold["orderId"]})
    assert (trade["realizedPnl"], trade["commissionAsset"]) == ("-1.00000000", "USDT")
    (row,) = venue.ask("GET", "/fapi/v3/positionRisk")
    assert (row["positionAmt"], row["entryPrice"], row["positionSide"]) == (
        "0.020",
        "64500",
        "BOTH",
    )
    risk = {r["symbol"]: r for r in venue.ask("GET", "/fapi/v2/positionRisk")}
    assert (risk["BTCUSDT"]["positionAmt"], risk["ETHUSDT"]["positionAmt"]) == ("0.020", "0.000")
    (balance,) = venue.ask("GET", "/fapi/v3/balance")
    paid = Decimal("0.9675") + Decimal("1") + Decimal("0.322")
    assert Decimal(balance["balance"]) == 1_000_000 - paid
    account = venue.ask("GET", "/fapi/v2/account")
    assert Decimal(account["totalWalletBalance"]) == 1_000_000 - paid


def test_a_reduce_only_order_shrinks_to_the_position(venue: Venue) -> None:
    reducing = limit("SELL", "64600", "0.05", reduceOnly="true")
    assert venue.refused("POST", FORDER, reducing) == (400, -2022)
    venue.someone("linear", "sell", "64500", "0.01")
    venue.ask("POST", FORDER, limit(price="64500"))
    row = venue.ask("POST", FORDER, reducing)
    assert (row["origQty"], row["reduceOnly"]) == ("0.010", True)


def test_leverage_is_set_for_a_symbol(venue: Venue) -> None:
    answer = venue.ask("POST", "/fapi/v1/leverage", {**BY_ID, "leverage": 5})
    assert (answer["symbol"], answer["leverage"]) == ("BTCUSDT", 5)
    (config,) = venue.ask("GET", "/fapi/v1/symbolConfig", BY_ID)
    assert (config["leverage"], config["isAutoAddMargin"]) == (5, False)
    assert venue.refused("POST", "/fapi/v1/leverage", {**BY_ID, "leverage": 500}) == (400, -4028)
    brackets = venue.ask("GET", "/fapi/v1/leverageBracket", BY_ID)["brackets"]
    assert brackets[0]["initialLeverage"] >= 5


def test_modes_say_why_they_do_not_change(venue: Venue) -> None:
    dual, hedge = "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}
    margin, isolated = "/fapi/v1/marginType", {**BY_ID, "marginType": "ISOLATED"}
    assert venue.ask("GET", dual) == {"dualSidePosition": False}
    assert venue.refused("POST", dual, {"dualSidePosition": "false"}) == (400, -4059)
    assert venue.refused("POST", margin, {**isolated, "marginType": "CROSSED"}) == (400, -4046)
    assert venue.refused("POST", dual, hedge) == (400, -1020)
    order = venue.ask("POST", FORDER, limit())["orderId"]
    assert venue.refused("POST", dual, hedge) == (400, -4067)
    assert venue.refused("POST", margin, isolated) == (400, -4047)
    venue.someone("linear", "sell", "64000", "0.01")
    assert status_of(venue, order, FORDER) == "FILLED"
    assert venue.refused("POST", dual, hedge) == (400, -4068)
    assert venue.refused("POST", margin, isolated) == (400, -4048)


# --- 11.2.24: dead man's switch -------------------------------------------------------------


def test_a_dead_mans_switch_cancels_one_symbol(venue: Venue) -> None:
    key = venue.follow_linear()
    order = venue.ask("POST", FORDER, limit())["orderId"]
    other = {**limit(price="2600", quantity="0.1"), "symbol": "ETHUSDT"}
    venue.ask("POST", FORDER, other)
    path = "/fapi/v1/countdownCancelAll"
    armed = venue.ask("POST", path, {**BY_ID, "countdownTime": 2000})
    assert armed == {"symbol": "BTCUSDT", "countdownTime": "2000"}
    venue.jump(1900 * 1_000_000)
    venue.ask("POST", path, {**BY_ID, "countdownTime": 2000})
    venue.jump(1900 * 1_000_000)
    assert status_of(venue, order, FORDER) == "NEW"
    venue.jump(200 * 1_000_000)
    assert status_of(venue, order, FORDER) == "CANCELED"
    canceled = [e for e in venue.heard(STREAM) if e["o"]["x"] == "CANCELED"]
    assert [event["o"]["i"] for event in canceled] == [order]
    assert [row["symbol"] for row in venue.ask("GET", "/fapi/v1/openOrders")] == ["ETHUSDT"]
    order = venue.ask("POST", FORDER, limit())["orderId"]
    venue.ask("POST", path, {**BY_ID, "countdownTime": 1000})
    assert venue.ask("POST", path, {**BY_ID, "countdownTime": 0})["countdownTime"] == "0"
    venue.jump(5 * SECOND)
    assert status_of(venue, order, FORDER) == "NEW"
    assert key


# --- 11.2.25: listen keys -------------------------------------------------------------------


def test_a_listen_key_lasts_an_hour_from_the_last_word(venue: Venue) -> None:
    key = venue.follow_linear()
    assert venue.send("POST", "/fapi/v1/listenKey")[1] == {"listenKey": key}
    venue.jump(50 * MINUTE)
    assert venue.send("PUT", "/fapi/v1/listenKey")[0] == 200
    venue.jump(50 * MINUTE)
    venue.ask("POST", FORDER, limit())
    assert [event["e"] for event in venue.heard(STREAM)] == ["ORDER_TRADE_UPDATE"]
    venue.jump(10 * MINUTE)
    (event,) = venue.heard(STREAM)
    assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
    status, value, _ = venue.send("PUT", "/fapi/v1/listenKey")
    assert (status, value) == (400, {"code": -1125, "msg": "This listenKey does not exist."})
    # The connection stays, and is mute.
    venue.ask("POST", FORDER, limit())
    assert venue.heard(STREAM) == []
    assert venue.send("POST", "/fapi/v1/listenKey")[1]["listenKey"] != key


def test_a_listen_key_can_be_closed(venue: Venue) -> None:
    venue.follow_linear()
    assert venue.send("DELETE", "/fapi/v1/listenKey")[:2] == (200, {})
    assert venue.send("DELETE", "/fapi/v1/listenKey")[1]["code"] == -1125
    venue.ask("POST", FORDER, limit())
    assert venue.heard(STREAM) == []


@pytest.mark.parametrize(
    ("path", "query", "wrapped"),
    [
        ("/private/ws", "listenKey={key}", False),
        ("/private/ws/{key}", "", False),
        ("/ws/{key}", "", False),
        ("/private/stream", "streams={key}", True),
        ("/stream", "streams={key}", True),
    ],
)
def test_a_user_data_stream_is_found_on_every_path(
    venue: Venue, path: str, query: str, wrapped: bool
) -> None:
    key = venue.send("POST", "/fapi/v1/listenKey")[1]["listenKey"]
    venue.open(STREAM, "linear.stream", path.format(key=key), query.format(key=key))
    venue.ask("POST", FORDER, limit())
    (event,) = venue.heard(STREAM)
    if wrapped:
        assert event["stream"] == key
        event = event["data"]
    assert event["e"] == "ORDER_TRADE_UPDATE"


@pytest.mark.parametrize(("path", "heard"), [("/ws", 1), ("/private/ws", 1), ("/public/ws", 0)])
def test_a_listen_key_can_be_subscribed_to(venue: Venue, path: str, heard: int) -> None:
    key = venue.send("POST", "/fapi/v1/listenKey")[1]["listenKey"]
    venue.open(STREAM, "linear.stream", path)
    frame = msgspec.json.encode({"method": "SUBSCRIBE", "params": [key], "id": 1})
    venue.peer.received(STREAM, frame, venue.now_ns)
    assert venue.heard(STREAM) == [{"result": None, "id": 1}]
    venue.ask("POST", FORDER, limit())
    assert len(venue.heard(STREAM)) == heard


def test_usd_m_listen_keys_come_by_frame_too(venue: Venue) -> None:
    venue.open(API, "linear.api", "/ws-fapi/v1")
    key = venue.send("POST", "/fapi/v1/listenKey")[1]["listenKey"]
    for method in ("userDataStream.start", "userDataStream.ping"):
        assert venue.frame(API, method, {"apiKey": KEY})["result"] == {"listenKey": key}
    assert venue.frame(API, "userDataStream.stop", {"apiKey": KEY})["status"] == 200
    answer = venue.frame(API, "userDataStream.ping", {"apiKey": KEY})
    assert answer["error"]["code"] == -1125


# --- 11.2.26: spot sessions and user data ---------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_spot_listen_keys_are_gone(venue: Venue, method: str) -> None:
    status, value, _ = venue.send(method, "/api/v3/userDataStream")
    assert (status, value["code"]) == (410, -1016)


def test_a_session_takes_ed25519_keys_only(venue: Venue) -> None:
    venue.open(API, "spot.api", "/ws-api/v3")
    answer = venue.signed_frame(API, "session.logon")
    assert (answer["status"], answer["error"]["code"]) == (400, -4056)
    assert venue.frame(API, "userDataStream.subscribe")["error"]["code"] == -2015
    answer = venue.signed_frame(API, "session.logon", key=ED25519)
    assert answer["result"].keys() == {
        "apiKey",
        "authorizedSince",
        "connectedSince",
        "returnRateLimits",
        "serverTime",
        "userDataStream",
    }
    assert venue.frame(API, "userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    assert venue.frame(API, "userDataStream.subscribe")["error"]["code"] == -2035
    placed = venue.frame(API, "order.place", {**limit(), "timestamp": venue.now_ms})
    assert placed["result"]["status"] == "NEW"
    late = venue.frame(API, "order.place", {**limit(), "timestamp": venue.now_ms - 6000})
    assert late["error"]["code"] == -1021
    events = venue.spot_events()
    assert [event["i"] for event in events] == [placed["result"]["orderId"]]
    assert venue.frame(API, "session.logout")["result"]["apiKey"] is None
    bare = venue.frame(API, "order.place", {**limit(), "timestamp": venue.now_ms})
    assert bare["error"]["code"] == -1102


def test_a_subscription_ends_when_it_is_told_to(venue: Venue) -> None:
    venue.follow_spot()
    assert venue.frame(API, "session.subscriptions")["result"] == [{"subscriptionId": 0}]
    assert venue.frame(API, "userDataStream.unsubscribe")["status"] == 200
    assert venue.frame(API, "userDataStream.unsubscribe")["error"]["code"] == -2036
    venue.ask("POST", ORDER, limit())
    assert venue.heard(API) == []


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"no json", -1135),
        (b"[]", -1102),
        (b'{"id":1,"method":"order.place","params":[]}', -1135),
        (b'{"id":{},"method":"time"}', -1100),
        (b'{"id":1,"method":"no.such.method"}', -5000),
    ],
)
def test_a_frame_that_is_no_request_is_refused(venue: Venue, frame: bytes, code: int) -> None:
    venue.open(API, "spot.api", "/ws-api/v3")
    venue.peer.received(API, frame, venue.now_ns)
    (answer,) = venue.heard(API)
    assert (answer["status"], answer["error"]["code"]) == (400, code)


def test_the_websocket_api_does_what_rest_does(venue: Venue) -> None:
    venue.open(API, "spot.api", "/ws-api/v3")
    placed = venue.signed_frame(API, "v3/order.place", limit(newClientOrderId="mine"))["result"]
    which = {**BY_ID, "orderId": placed["orderId"]}
    assert venue.signed_frame(API, "order.status", which)["result"]["clientOrderId"] == "mine"
    assert len(venue.signed_frame(API, "openOrders.status", BY_ID)["result"]) == 1
    replacing_it = {**replacing(placed["orderId"], price="63000"), "symbol": "BTCUSDT"}
    replaced = venue.signed_frame(API, "order.cancelReplace", replacing_it)["result"]
    which["orderId"] = replaced["newOrderResponse"]["orderId"]
    amended = {**which, "newQty": "0.005"}
    assert venue.signed_frame(API, "order.amend.keepPriority", amended)["status"] == 200
    assert venue.signed_frame(API, "order.cancel", which)["result"]["status"] == "CANCELED"
    assert venue.signed_frame(API, "openOrders.cancelAll", BY_ID)["error"]["code"] == -2011
    status = venue.signed_frame(API, "account.status", {"omitZeroBalances": "true"})
    assert {row["asset"] for row in status["result"]["balances"]} >= {"BTC", "USDT"}
    failed = venue.signed_frame(API, "order.cancelReplace", replacing(999))
    assert (failed["status"], failed["error"]["code"]) == (400, -2022)
    assert failed["error"]["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    book = venue.frame(API, "depth", {"symbol": "BTCUSDT", "limit": 5})["result"]
    assert book.keys() == {"lastUpdateId", "bids", "asks"}
    assert venue.frame(API, "ping")["result"] == {}
    names = venue.frame(API, "exchangeInfo", {"symbols": ["ETHUSDT"]})["result"]["symbols"]
    assert [row["symbol"] for row in names] == ["ETHUSDT"]


def test_the_usd_m_websocket_api_trades(venue: Venue) -> None:
    venue.open(API, "linear.api", "/ws-fapi/v1")
    placed = venue.signed_frame(API, "order.place", limit())["result"]
    assert not placed.keys() & {"avgPrice", "cumQuote"}
    change = changing(placed["orderId"], "63000")
    assert venue.signed_frame(API, "order.modify", change)["result"]["price"] == "63000.0"
    which = {**BY_ID, "orderId": placed["orderId"]}
    assert venue.signed_frame(API, "order.status", which)["result"]["status"] == "NEW"
    (row,) = venue.signed_frame(API, "v2/account.position")["result"]
    assert row["positionAmt"] == "0.000"
    assert venue.signed_frame(API, "order.cancel", which)["result"]["status"] == "CANCELED"
    assert venue.signed_frame(API, "v2/account.position")["result"] == []
    assert len(venue.signed_frame(API, "account.position")["result"]) == 2
    (balance,) = venue.signed_frame(API, "v2/account.balance")["result"]
    assert balance["asset"] == "USDT"
    assert venue.signed_frame(API, "v2/account.status")["result"]["assets"]
    # Cancelling everything is not to be had here.
    assert venue.signed_frame(API, "openOrders.cancelAll", BY_ID)["error"]["code"] == -5000


# --- 11.2.27: self-trades -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "resting", "taking"),
    [
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "NEW"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        ("NONE", "FILLED", "FILLED"),
    ],
)
@pytest.mark.parametrize("path", [ORDER, FORDER])
def test_the_takers_mode_decides_a_self_trade(
    venue: Venue, path: str, mode: str, resting: str, taking: str
) -> None:
    venue.follow_spot()
    venue.follow_linear()
    passive = venue.ask(
        "POST", path, limit("SELL", "64500", selfTradePreventionMode="EXPIRE_BOTH")
    )["orderId"]
    active = venue.ask("POST", path, limit(price="64500", selfTradePreventionMode=mode))["orderId"]
    assert status_of(venue, passive, path) == resting
    assert status_of(venue, active, path) == taking
    if path == ORDER:
        ended = [r["i"] for r in venue.spot_events() if r["x"] == "TRADE_PREVENTION"]
    else:
        ended = [e["o"]["i"] for e in venue.heard(STREAM) if e.get("o", {}).get("er") == "1"]
    expected = [(passive, resting), (active, taking)]
    assert ended == [order for order, state in expected if state == "EXPIRED_IN_MATCH"]


# --- 11.2.1, 29, 30 and the account ---------------------------------------------------------


def test_the_key_tells_what_it_may_do(venue: Venue) -> None:
    path = "/sapi/v1/account/apiRestrictions"
    own = venue.ask("GET", path)
    assert (own["enableReading"], own["enableSpotAndMarginTrading"], own["enableFutures"]) == (
        True,
        True,
        True,
    )
    assert own["enableWithdrawals"] is own["enableInternalTransfer"] is False
    _, other, _ = venue.signed("GET", path, key="practice-withdraw-key")
    assert other["enableWithdrawals"] is True
    _, reader, _ = venue.signed("GET", path, key="practice-read-key")
    assert (reader["enableFutures"], reader["enableSpotAndMarginTrading"]) == (False, False)


def test_a_resting_order_locks_what_it_may_cost(venue: Venue) -> None:
    venue.ask("POST", ORDER, limit())
    rows = {row["asset"]: row for row in venue.ask("GET", "/api/v3/account")["balances"]}
    assert (rows["USDT"]["free"], rows["USDT"]["locked"]) == ("999360.00000000", "640.00000000")


def test_lists_a_client_reads_at_start_are_there(venue: Venue) -> None:
    coins = venue.ask("GET", "/sapi/v1/capital/config/getall")
    assert {coin["coin"] for coin in coins} >= {"BTC", "USDT"}
    assert not any(coin["withdrawAllEnable"] for coin in coins)
    assert venue.ask("GET", "/sapi/v1/margin/allPairs") == []
    assert venue.ask("GET", "/sapi/v1/margin/isolated/allPairs") == []


def test_a_tested_order_is_not_placed(venue: Venue) -> None:
    for path in (ORDER, FORDER):
        assert venue.ask("POST", f"{path}/test", limit()) == {}
        assert venue.signed("POST", f"{path}/test", limit(price="0"))[0] == 400
    assert venue.ask("GET", "/api/v3/openOrders") == venue.ask("GET", "/fapi/v1/openOrders") == []


def test_a_market_order_spends_a_quote_amount(venue: Venue) -> None:
    venue.someone("spot", "sell", "64000", "1")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "1000"}
    row = venue.ask("POST", ORDER, order)
    assert (row["status"], row["executedQty"]) == ("FILLED", "0.01562000")
    assert row["origQuoteOrderQty"] == "1000.00000000"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"price": "64000", "quantity": "1"}, -1106),
        ({"quoteOrderQty": "1000", "quantity": "1"}, -1106),
        ({}, -1102),
        ({"quantity": "0"}, -1013),
    ],
)
def test_a_market_order_takes_one_size_and_no_price(venue: Venue, order: Params, code: int) -> None:
    market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", **order}
    assert venue.refused("POST", ORDER, market) == (400, code)


def test_a_market_order_that_finds_nobody_expires(venue: Venue) -> None:
    venue.someone("spot", "sell", "64000", "0.004")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    row = venue.ask("POST", ORDER, order)
    assert (row["status"], row["expiryReason"]) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")
    assert row["executedQty"] == "0.00400000"


def test_the_same_parameter_twice_is_refused(venue: Venue) -> None:
    query = f"timestamp={venue.now_ms}&timestamp={venue.now_ms}"
    assert venue.send("GET", "/api/v3/account", query)[1]["code"] == -1101


def test_settings_that_are_only_read(venue: Venue) -> None:
    assert venue.ask("GET", "/fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": False}
    assert venue.ask("GET", "/fapi/v1/feeBurn") == {"feeBurn": False}
    assert venue.ask("GET", "/fapi/v1/accountConfig")["dualSidePosition"] is False
    assert venue.ask("GET", "/fapi/v1/apiTradingStatus")["indicators"] == {}
    windows = venue.ask("GET", "/fapi/v1/rateLimit/order")
    assert [(w["interval"], w["limit"]) for w in windows] == [("SECOND", 300), ("MINUTE", 1200)]
    assert venue.ask("GET", "/api/v3/myPreventedMatches", BY_ID) == []


def test_deposits_are_told_apart_from_trades(venue: Venue) -> None:
    venue.follow_spot()
    venue.follow_linear()
    broker = venue.peer.broker
    (account,) = broker.accounts.values()
    for kind in (Kind.SPOT, Kind.LINEAR):
        broker.clearing.deposit(account, kind, "USDT", Decimal(5), venue.now_ns)
    (update,) = venue.spot_events("balanceUpdate")
    assert (update["a"], update["d"]) == ("USDT", "5.00000000")
    (event,) = venue.heard(STREAM)
    assert (event["a"]["m"], event["a"]["B"][0]["bc"]) == ("DEPOSIT", "5.00000000")


def test_history_is_read_by_the_page(venue: Venue) -> None:
    placed = [venue.ask("POST", ORDER, limit())["orderId"] for _ in range(3)]
    path = "/api/v3/allOrders"
    newest = venue.ask("GET", path, {**BY_ID, "limit": 2})
    assert [row["orderId"] for row in newest] == placed[1:]
    onward = venue.ask("GET", path, {**BY_ID, "orderId": placed[0], "limit": 2})
    assert [row["orderId"] for row in onward] == placed[:2]
    day = 86_400_000
    wide = {**BY_ID, "startTime": venue.now_ms - 2 * day, "endTime": venue.now_ms}
    assert venue.refused("GET", path, wide) == (400, -1127)
    assert len(venue.ask("GET", "/fapi/v1/allOrders", wide)) == 0


def test_events_missed_while_away_are_not_told_again(venue: Venue) -> None:
    venue.follow_spot()
    key = venue.follow_linear()
    for connection in (API, STREAM):
        venue.peer.closed(connection)
    venue.ask("POST", ORDER, limit())
    venue.ask("POST", FORDER, limit())
    venue.run()
    venue.frames.clear()
    venue.open(API, "spot.api", "/ws-api/v3")
    venue.signed_frame(API, "userDataStream.subscribe.signature")
    venue.open(STREAM, "linear.stream", f"/private/ws/{key}")
    assert venue.heard(API) == venue.heard(STREAM) == []


def test_orders_outlive_a_restart_of_the_venue(venue: Venue) -> None:
    venue.follow_spot()
    order = venue.ask("POST", ORDER, limit())["orderId"]
    venue.heard(API)
    venue.peer.restart(venue.now_ns)
    (cut,) = venue.heard(API)
    assert isinstance(cut, Close)
    assert status_of(venue, order) == "NEW"


def test_a_shutdown_is_announced_on_the_spot_api(venue: Venue) -> None:
    venue.follow_spot()
    venue.peer.farewell(venue.now_ns)
    (notice,) = venue.heard(API)
    assert notice["event"]["e"] == "serverShutdown"
    venue.jump(6 * SECOND)
    assert [type(frame) for frame in venue.heard(API)] == [Close]


def test_no_connection_lives_longer_than_a_day(venue: Venue) -> None:
    venue.follow_spot()
    venue.open(STREAM, "spot.stream", "/ws/0")
    venue.jump(24 * 60 * MINUTE - SECOND)
    assert venue.heard(API) == venue.heard(STREAM) == []
    venue.jump(SECOND)
    for connection in (API, STREAM):
        assert [type(frame) for frame in venue.heard(connection)] == [Close]


def test_events_may_have_fields_nobody_has_heard_of(venue: Venue) -> None:
    venue.peer.trading.disturbances.unknown_fields = True
    venue.follow_spot()
    venue.follow_linear()
    venue.ask("POST", ORDER, limit())
    venue.ask("POST", FORDER, limit())
    assert all("zz" in frame["event"] for frame in venue.heard(API))
    assert all("zz" in event for event in venue.heard(STREAM))


def test_a_key_added_later_is_known(venue: Venue) -> None:
    assert venue.signed("GET", "/api/v3/account", key="new-key")[0] == 401
    venue.peer.broker.credentials["new-key"] = Credentials("new-key", DEMO.secret, "")
    assert venue.signed("GET", "/api/v3/account", key="new-key")[0] == 200


def test_answers_and_events_take_their_seeded_time(venue: Venue) -> None:
    def first_of(seed: int) -> list[str]:
        """For some orders by frame, whether the event or the answer came first."""
        venue = Venue(seed)
        venue.follow_spot()
        order = []
        for _ in range(20):
            venue.frames.clear()
            payload = {**limit(), "apiKey": KEY, "timestamp": venue.now_ms}
            text = "&".join(f"{name}={payload[name]}" for name in sorted(payload))
            params = {**payload, "signature": hmac_hex(text)}
            frame = {"id": 1, "method": "order.place", "params": params}
            venue.peer.received(API, msgspec.json.encode(frame), venue.now_ns)
            assert venue.peer.outbox == []
            order.append("event" if "event" in venue.heard(API)[0] else "answer")
        return order

    seen = first_of(7)
    assert seen == first_of(7)
    assert set(seen) == {"event", "answer"}


def test_stamps_of_events_never_run_backwards(venue: Venue) -> None:
    venue.follow_linear()
    venue.someone("linear", "sell", "64500", "0.004")
    venue.ask("POST", FORDER, limit(price="64500"))
    venue.someone("linear", "sell", "64500", "0.006")
    venue.jump(SECOND)
    events = venue.heard(STREAM)
    assert all(event["E"] >= event["T"] for event in events)
    assert [event["E"] for event in events] == sorted(event["E"] for event in events)


def test_the_books_of_the_broker_balance(venue: Venue) -> None:
    venue.someone("spot", "sell", "64500", "0.004")
    venue.someone("linear", "sell", "64500", "0.004")
    for path in (ORDER, FORDER):
        venue.ask("POST", path, limit(price="64500"))
        venue.ask("POST", path, limit("SELL", price="64600"))
    venue.peer.broker._check()


def test_the_faces_are_where_clients_look_for_them(venue: Venue) -> None:
    assert venue.peer.url("spot.api", "127.0.0.1:1") == "ws://127.0.0.1:1/ws-api/v3"
    assert venue.peer.url("linear.api", "127.0.0.1:2") == "ws://127.0.0.1:2/ws-fapi/v1"
    refusal = venue.peer.opened(9, "spot.api", "/ws", "", venue.now_ns)
    assert refusal is not None
    assert refusal.status == 404
    asked = HttpQuery("spot.rest", "GET", "/api/v3/none", "", {}, b"")
    assert venue.peer.request(asked, venue.now_ns).status == 404
