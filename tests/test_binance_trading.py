"""The practice Binance takes orders: raw requests and frames, answers word for word."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import quote, urlencode

import pytest

from tests.binance_floor import (
    API,
    BY_ID,
    ED25519,
    FORDER,
    KEY,
    ORDER,
    SECOND,
    STREAM,
    Params,
    Venue,
    ed25519,
    hmac_hex,
    limit,
    maker,
)


@pytest.fixture
def venue() -> Venue:
    return Venue()


# --- 11.2.2: signatures ---------------------------------------------------------------------


@pytest.mark.parametrize("market", ["spot", "linear"])
@pytest.mark.parametrize("where", ["query", "body", "both"])
def test_a_request_is_signed_over_query_and_body_without_a_separator(
    venue: Venue, market: str, where: str
) -> None:
    path = ORDER if market == "spot" else FORDER
    first = urlencode(limit())
    second = urlencode({"recvWindow": 5000, "timestamp": venue.now_ms})
    query, body = {
        "query": (f"{first}&{second}", ""),
        "body": ("", f"{first}&{second}"),
        "both": (first, second),
    }[where]
    signature = f"&signature={hmac_hex(query + body)}"
    if body:
        status, value, _ = venue.send("POST", path, query, body + signature)
    else:
        status, value, _ = venue.send("POST", path, query + signature)
    assert status == 200, value


@pytest.mark.parametrize("path", ["/api/v3/account", "/fapi/v2/account"])
def test_an_ed25519_signature_is_base64_and_percent_encoded(venue: Venue, path: str) -> None:
    payload = urlencode({"timestamp": venue.now_ms})
    signature = quote(ed25519(payload), safe="")
    status, value, _ = venue.send("GET", path, f"{payload}&signature={signature}", key=ED25519)
    assert status == 200, value
    status, value, _ = venue.send("GET", path, f"{payload}&signature=AAAA", key=ED25519)
    assert (status, value["code"]) == (400, -1022)


def test_the_hex_of_an_hmac_signature_may_be_in_capitals(venue: Venue) -> None:
    payload = f"timestamp={venue.now_ms}"
    signature = hmac_hex(payload).upper()
    assert venue.send("GET", "/api/v3/account", f"{payload}&signature={signature}")[0] == 200


def test_what_is_signed_before_it_is_percent_encoded_is_refused(venue: Venue) -> None:
    payload = f"symbol=BTC/USDT&timestamp={venue.now_ms}"
    sent = payload.replace("/", "%2F")
    query = f"{sent}&signature={hmac_hex(payload)}"
    status, value, _ = venue.send("GET", "/api/v3/openOrders", query)
    assert (status, value) == (
        400,
        {"code": -1022, "msg": "Signature for this request is not valid."},
    )
    # The same, signed after encoding: now only the symbol is wrong.
    query = f"{sent}&signature={hmac_hex(sent)}"
    assert venue.send("GET", "/api/v3/openOrders", query)[1]["code"] == -1121


def test_on_usd_m_the_signature_comes_last(venue: Venue) -> None:
    payload = f"symbol=BTCUSDT&timestamp={venue.now_ms}"
    signature = f"signature={hmac_hex(payload)}"
    path = "/fapi/v1/openOrders"
    assert venue.send("GET", path, f"{payload}&{signature}")[0] == 200
    assert venue.send("GET", path, f"{signature}&{payload}")[1]["code"] == -1022


@pytest.mark.parametrize(
    ("key", "path", "status", "code"),
    [
        (None, "/api/v3/account", 401, -2014),
        ("not a key!", "/api/v3/account", 401, -2014),
        ("unheard-of", "/api/v3/account", 401, -2015),
        ("practice-elsewhere-key", "/api/v3/account", 401, -2015),
        ("unheard-of", "/fapi/v3/account", 401, -2015),
        (None, "/fapi/v1/listenKey", 401, -2014),
    ],
)
def test_a_key_that_is_missing_or_unknown_is_refused(
    venue: Venue, key: str | None, path: str, status: int, code: int
) -> None:
    payload = f"timestamp={venue.now_ms}"
    query = f"{payload}&signature={hmac_hex(payload)}"
    method = "POST" if path.endswith("listenKey") else "GET"
    answered, value, _ = venue.send(method, path, query, key=key)
    assert (answered, value["code"]) == (status, code)


def test_a_key_that_may_only_read_places_no_order(venue: Venue) -> None:
    assert venue.signed("GET", "/api/v3/account", key="practice-read-key")[0] == 200
    status, value, _ = venue.signed("POST", ORDER, limit(), key="practice-read-key")
    assert (status, value["code"]) == (401, -2015)


@pytest.mark.parametrize("missing", ["timestamp", "signature"])
def test_a_request_without_timestamp_or_signature_names_what_is_missing(
    venue: Venue, missing: str
) -> None:
    query = f"timestamp={venue.now_ms}" if missing == "signature" else "signature=00"
    status, value, _ = venue.send("GET", "/api/v3/account", query)
    text = f"Mandatory parameter '{missing}' was not sent, was empty/null, or malformed."
    assert (status, value) == (400, {"code": -1102, "msg": text})


def test_frames_are_signed_sorted_and_raw(venue: Venue) -> None:
    venue.open(API, "spot.api", "/ws-api/v3")
    order = {**limit(newClientOrderId="z-1"), "apiKey": KEY, "timestamp": venue.now_ms}
    unsorted = "&".join(f"{name}={value}" for name, value in order.items())
    answer = venue.frame(API, "order.place", {**order, "signature": hmac_hex(unsorted)})
    assert (answer["status"], answer["error"]["code"]) == (400, -1022)
    order["timestamp"] = venue.now_ms
    payload = "&".join(f"{name}={order[name]}" for name in sorted(order))
    answer = venue.frame(API, "order.place", {**order, "signature": hmac_hex(payload)})
    assert answer["status"] == 200
    assert answer["result"]["status"] == "NEW"


# --- 11.2.3: timestamps ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset_ms", "window", "code"),
    [
        (999, None, None),
        (1000, None, -1021),
        (-5000, None, None),
        (-5001, None, -1021),
        (-60000, "60000", None),
        (0, "60000.001", -1131),
        (0, "60001", -1131),
        (-7, "6.5", -1021),
        (0, "abc", -1100),
    ],
)
@pytest.mark.parametrize("path", ["/api/v3/account", "/fapi/v2/account"])
def test_the_timestamp_rule_holds_to_the_millisecond(
    venue: Venue, path: str, offset_ms: int, window: str | None, code: int | None
) -> None:
    params: dict[str, object] = {"timestamp": venue.now_ms + offset_ms}
    if window is not None:
        params["recvWindow"] = window
    payload = urlencode(params)
    status, value, _ = venue.send("GET", path, f"{payload}&signature={hmac_hex(payload)}")
    assert (status, value.get("code") if status != 200 else None) == (
        200 if code is None else 400,
        code,
    )


def test_a_timestamp_ahead_and_one_behind_get_their_own_words(venue: Venue) -> None:
    texts = []
    for offset in (5000, -10_000):
        payload = f"timestamp={venue.now_ms + offset}"
        query = f"{payload}&signature={hmac_hex(payload)}"
        texts.append(venue.send("GET", "/api/v3/account", query)[1]["msg"])
    assert texts == [
        "Timestamp for this request was 1000ms ahead of the server's time.",
        "Timestamp for this request is outside of the recvWindow.",
    ]


def test_a_timestamp_may_be_in_microseconds(venue: Venue) -> None:
    payload = f"timestamp={venue.now_ns // 1000}"
    query = f"{payload}&signature={hmac_hex(payload)}"
    assert venue.send("GET", "/api/v3/account", query)[0] == 200


def test_a_skewed_clock_refuses_honest_timestamps(venue: Venue) -> None:
    venue.peer.skew_ns = 10 * SECOND
    assert venue.refused("GET", "/api/v3/account") == (400, -1021)


# --- 11.2.9: matching, post-only, FOK, IOC --------------------------------------------------


def test_a_post_only_order_that_would_take_is_refused_on_spot(venue: Venue) -> None:
    venue.someone("spot", "sell", "64500", "1")
    status, value, _ = venue.signed("POST", ORDER, maker(price="64500"))
    assert (status, value) == (
        400,
        {"code": -2010, "msg": "Order would immediately match and take."},
    )
    assert venue.ask("GET", "/api/v3/openOrders", BY_ID) == []
    assert venue.ask("POST", ORDER, maker(price="64499.99")).keys() == {
        "symbol",
        "orderId",
        "orderListId",
        "clientOrderId",
        "transactTime",
    }


def test_a_post_only_order_that_would_take_leaves_no_trace_on_usd_m(venue: Venue) -> None:
    venue.someone("linear", "sell", "64500", "1")
    status, value, _ = venue.signed("POST", FORDER, limit(price="64500", timeInForce="GTX"))
    assert (status, value["code"]) == (400, -5022)
    assert "executed as maker" in value["msg"]
    assert venue.ask("GET", "/fapi/v1/allOrders", BY_ID) == []


def test_a_fill_or_kill_order_expires_on_spot_and_is_refused_on_usd_m(venue: Venue) -> None:
    venue.someone("spot", "sell", "64500", "0.005")
    venue.someone("linear", "sell", "64500", "0.005")
    row = venue.ask("POST", ORDER, limit(price="64500", timeInForce="FOK"))
    assert (row["status"], row["expiryReason"]) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
    assert row["executedQty"] == "0.00000000"
    status = venue.refused("POST", FORDER, limit(price="64500", timeInForce="FOK"))
    assert status == (400, -5021)
    assert venue.ask("GET", "/fapi/v1/allOrders", BY_ID) == []


@pytest.mark.parametrize("path", [ORDER, FORDER])
def test_what_an_immediate_order_does_not_fill_expires(venue: Venue, path: str) -> None:
    venue.someone("spot" if path == ORDER else "linear", "sell", "64500", "0.004")
    placed = venue.ask("POST", path, limit(price="64600", timeInForce="IOC"))
    row = venue.ask("GET", path, {**BY_ID, "orderId": placed["orderId"]})
    assert (row["status"], Decimal(row["executedQty"])) == ("EXPIRED", Decimal("0.004"))


def test_orders_match_by_price_then_time(venue: Venue) -> None:
    venue.someone("spot", "sell", "64500", "0.01")
    mine = venue.ask("POST", ORDER, maker("SELL", "64500"))["orderId"]
    better = venue.ask("POST", ORDER, maker("SELL", "64499"))["orderId"]
    venue.someone("spot", "buy", "64500", "0.02")
    rows = {row["orderId"]: row["status"] for row in venue.ask("GET", "/api/v3/allOrders", BY_ID)}
    assert rows == {mine: "NEW", better: "FILLED"}


# --- 11.2.10: filters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "code", "text"),
    [
        (limit(price="64000.001"), -1013, "Filter failure: PRICE_FILTER"),
        (limit(price="0"), -1013, "Filter failure: PRICE_FILTER"),
        (limit(price="900000"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (limit("SELL", price="1000"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (limit(quantity="0.000001"), -1013, "Filter failure: LOT_SIZE"),
        (limit(quantity="0"), -1013, "Filter failure: LOT_SIZE"),
        (limit(quantity="0.00001"), -1013, "Filter failure: NOTIONAL"),
        (limit(quantity="0.000000001"), -1111, "Parameter 'quantity' has too much precision."),
        (
            limit(quantity="100"),
            -2010,
            "Account has insufficient balance for requested action.",
        ),
        (limit(side="HOLD"), -1117, "Invalid side."),
        (limit(type="GUESS"), -1116, "Invalid orderType."),
        (limit(timeInForce="GTX"), -1115, "Invalid timeInForce."),
        (limit(symbol="NOPE"), -1121, "Invalid symbol."),
        (
            limit(price="1e5"),
            -1100,
            "Illegal characters found in parameter 'price'; "
            "legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'.",
        ),
        (
            {**maker(), "timeInForce": "GTC"},
            -1106,
            "Parameter 'timeInForce' sent when not required.",
        ),
        (
            limit(type="STOP_LOSS"),
            -2010,
            "Stop loss orders are not supported for this symbol.",
        ),
        (
            limit(newClientOrderId="not legal!"),
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; "
            "legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
    ],
)
def test_spot_refuses_in_its_own_words(venue: Venue, order: Params, code: int, text: str) -> None:
    status, value, _ = venue.signed("POST", ORDER, order)
    assert (status, value) == (400, {"code": code, "msg": text})
    assert venue.ask("GET", "/api/v3/allOrders", BY_ID) == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (limit(price="64000.05"), -4014),
        (limit(price="64000.001"), -1111),
        (limit(price="0"), -4001),
        (limit(price="90000"), -4016),
        (limit("SELL", price="40000"), -4024),
        (limit(quantity="0.0105"), -4023),
        (limit(quantity="0.00001"), -1111),
        (limit(quantity="0"), -4003),
        (limit(price="62000", quantity="0.0001"), -4023),
        (limit(quantity="1000"), -2019),
        (limit(newClientOrderId="x" * 37), -4015),
        (limit(positionSide="LONG"), -4061),
        (limit(type="STOP_MARKET"), -4120),
        (limit(reduceOnly="true"), -2022),
        (limit(timeInForce="DAY"), -1115),
    ],
)
def test_usd_m_refuses_by_its_own_codes(venue: Venue, order: Params, code: int) -> None:
    assert venue.refused("POST", FORDER, order) == (400, code)
    assert venue.ask("GET", "/fapi/v1/allOrders", BY_ID) == []


def test_usd_m_names_the_least_notional(venue: Venue) -> None:
    order = {**limit(price="2600", quantity="0.001"), "symbol": "ETHUSDT"}
    _, value, _ = venue.signed("POST", FORDER, order)
    text = "Order's notional must be no smaller than 20 (unless you choose reduce only)."
    assert value == {"code": -4164, "msg": text}


# --- 11.2.11: what an answer holds ----------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "shape"),
    [
        (limit(price="64500", timeInForce="IOC"), "FULL"),
        (maker(), "ACK"),
        (maker(newOrderRespType="RESULT"), "RESULT"),
        (limit(newOrderRespType="ACK"), "ACK"),
    ],
)
def test_the_shape_of_a_spot_answer_follows_type_and_wish(
    venue: Venue, order: Params, shape: str
) -> None:
    venue.someone("spot", "sell", "64500", "1")
    row = venue.ask("POST", ORDER, order)
    assert ("status" in row, "fills" in row) == (shape != "ACK", shape == "FULL")


def test_a_full_answer_lists_fills_and_their_commission(venue: Venue) -> None:
    venue.someone("spot", "sell", "64500", "0.004")
    venue.someone("spot", "sell", "64600", "1")
    row = venue.ask("POST", ORDER, limit(price="64700", newClientOrderId="mine-1"))
    assert row["clientOrderId"] == "mine-1"
    assert (row["status"], row["cummulativeQuoteQty"]) == ("FILLED", "645.60000000")
    first, second = row["fills"]
    assert (first["price"], first["qty"]) == ("64500.00000000", "0.00400000")
    assert (first["commission"], first["commissionAsset"]) == ("0.00000400", "BTC")
    assert second["tradeId"] == first["tradeId"] + 1


def test_a_usd_m_answer_tells_no_price_of_fills(venue: Venue) -> None:
    venue.someone("linear", "sell", "64500", "1")
    ack = venue.ask("POST", FORDER, limit(price="64500"))
    assert not ack.keys() & {"avgPrice", "cumQuote"}
    assert (ack["status"], Decimal(ack["executedQty"])) == ("NEW", Decimal(0))
    row = venue.ask("POST", FORDER, limit(price="64500", newOrderRespType="RESULT"))
    assert (row["status"], row["executedQty"]) == ("FILLED", "0.010")
    shown = venue.ask("GET", FORDER, {**BY_ID, "orderId": row["orderId"]})
    assert (Decimal(shown["avgPrice"]), shown["cumQuote"]) == (Decimal(64500), "645")


# --- 11.2.12, 13: events --------------------------------------------------------------------


def _words(text: str) -> set[str]:
    return set(text.split())


REPORT = _words("e E s c S o f q p P F g C x X r i l z L n N T t I w m M O Z Y Q W V")
UPDATE = _words("s c S o f q p ap sp x X i l z L T t b a m R wt ot ps cp rp pP si ss V pm gtd er")


def test_an_order_tells_its_life_on_spot(venue: Venue) -> None:
    venue.follow_spot()
    placed = venue.ask("POST", ORDER, maker(newClientOrderId="mine-1"))
    venue.someone("spot", "sell", "64000", "0.004")
    venue.someone("spot", "sell", "64000", "0.006")
    events = [frame["event"] for frame in venue.heard(API)]
    reports = [event for event in events if event["e"] == "executionReport"]
    assert [(r["x"], r["X"], r["z"]) for r in reports] == [
        ("NEW", "NEW", "0.00000000"),
        ("TRADE", "PARTIALLY_FILLED", "0.00400000"),
        ("TRADE", "FILLED", "0.01000000"),
    ]
    assert all(set(report) == REPORT for report in reports)
    assert all((r["c"], r["C"], r["i"]) == ("mine-1", "", placed["orderId"]) for r in reports)
    new, part, last = reports
    assert (new["t"], new["N"], new["w"], new["o"]) == (-1, None, True, "LIMIT_MAKER")
    assert (part["m"], part["n"], part["N"]) == (True, "0.00000400", "BTC")
    assert (last["l"], last["L"], last["Z"], last["w"]) == (
        "0.00600000",
        "64000.00000000",
        "640.00000000",
        False,
    )
    assert last["I"] > part["I"] > new["I"]
    # Each report is followed by the balances it moved.
    kinds = [event["e"] for event in events]
    assert kinds == ["executionReport", "outboundAccountPosition"] * 3
    assert {row["a"]: (row["f"], row["l"]) for row in events[-1]["B"]} == {
        "BTC": ("20.00999000", "0.00000000"),
        "USDT": ("999360.00000000", "0.00000000"),
    }


def test_a_cancel_bears_its_own_id_and_the_orders(venue: Venue) -> None:
    venue.follow_spot()
    venue.ask("POST", ORDER, maker(newClientOrderId="mine-1"))
    answer = venue.ask(
        "DELETE", ORDER, {**BY_ID, "origClientOrderId": "mine-1", "newClientOrderId": "stop-1"}
    )
    assert (answer["origClientOrderId"], answer["clientOrderId"]) == ("mine-1", "stop-1")
    report = venue.spot_events()[-1]
    assert (report["x"], report["X"], report["c"], report["C"]) == (
        "CANCELED",
        "CANCELED",
        "stop-1",
        "mine-1",
    )
    assert (report["t"], report["N"]) == (-1, None)


def test_a_taken_order_reports_new_trade_and_expiry_on_spot(venue: Venue) -> None:
    venue.follow_spot()
    venue.someone("spot", "sell", "64500", "0.004")
    venue.ask("POST", ORDER, limit(price="64500", timeInForce="IOC"))
    reports = venue.spot_events()
    assert [(r["x"], r["X"]) for r in reports] == [
        ("NEW", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("EXPIRED", "EXPIRED"),
    ]
    assert (reports[-1]["eR"], reports[1]["m"]) == ("UNFILLED_IOC_QUANTITY_EXPIRED", False)


def test_a_fill_is_told_lightly_first_and_then_in_full_on_usd_m(venue: Venue) -> None:
    venue.follow_linear()
    venue.someone("linear", "sell", "64500", "0.004")
    placed = venue.ask("POST", FORDER, limit(price="64500", timeInForce="IOC"))
    events = venue.heard(STREAM)
    assert [event["e"] for event in events] == [
        "ORDER_TRADE_UPDATE",
        "TRADE_LITE",
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE",
    ]
    new, lite, trade, account, expired = events
    assert [event["o"]["x"] for event in (new, trade, expired)] == ["NEW", "TRADE", "EXPIRED"]
    assert set(new["o"]) == UPDATE
    assert set(trade["o"]) == UPDATE | {"n", "N"}
    assert (lite["t"], lite["i"]) == (trade["o"]["t"], placed["orderId"])
    # 258 USDT at 0.05 %.
    assert (trade["o"]["n"], trade["o"]["N"], trade["o"]["m"]) == ("0.12900000", "USDT", False)
    assert expired["o"]["er"] == "2"
    update = account["a"]
    assert (update["m"], update["B"][0]["wb"], update["B"][0]["bc"]) == (
        "ORDER",
        "999999.87100000",
        "0.00000000",
    )
    (position,) = update["P"]
    assert (position["s"], position["pa"], position["ep"]) == ("BTCUSDT", "0.004", "64500")


def test_an_order_that_does_not_trade_moves_no_account_on_usd_m(venue: Venue) -> None:
    venue.follow_linear()
    placed = venue.ask("POST", FORDER, limit(timeInForce="GTX"))
    venue.ask("DELETE", FORDER, {**BY_ID, "orderId": placed["orderId"]})
    events = venue.heard(STREAM)
    assert [(event["e"], event["o"]["x"]) for event in events] == [
        ("ORDER_TRADE_UPDATE", "NEW"),
        ("ORDER_TRADE_UPDATE", "CANCELED"),
    ]
    assert events[0]["o"]["f"] == "GTX"
    assert (events[0]["o"]["b"], events[1]["o"]["b"]) == ("640", "0")


# --- 11.2.14, 15: ids and lookups -----------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [(ORDER, -2010, "Duplicate order sent."), (FORDER, -4116, "ClientOrderId is duplicated.")],
)
def test_a_client_id_in_use_is_refused(venue: Venue, path: str, code: int, text: str) -> None:
    venue.ask("POST", path, limit(newClientOrderId="twice"))
    status, value, _ = venue.signed("POST", path, limit(newClientOrderId="twice"))
    assert (status, value) == (400, {"code": code, "msg": text})


@pytest.mark.parametrize("path", [ORDER, FORDER])
def test_a_cancel_of_what_is_not_open_is_an_unknown_order(venue: Venue, path: str) -> None:
    placed = venue.ask("POST", path, limit())
    which = {**BY_ID, "orderId": placed["orderId"]}
    assert venue.ask("DELETE", path, which)["status"] == "CANCELED"
    for asked in (which, {**BY_ID, "origClientOrderId": "never"}):
        status, value, _ = venue.signed("DELETE", path, asked)
        assert (status, value) == (400, {"code": -2011, "msg": "Unknown order sent."})
    status, value, _ = venue.signed("GET", path, {**BY_ID, "orderId": 987654})
    assert (status, value) == (400, {"code": -2013, "msg": "Order does not exist."})
    assert venue.refused("GET", path, BY_ID) == (400, -1102)


def test_ids_that_belong_to_different_orders_are_refused(venue: Venue) -> None:
    first = venue.ask("POST", ORDER, limit(newClientOrderId="one"))
    venue.ask("POST", ORDER, limit(newClientOrderId="two"))
    which = {**BY_ID, "orderId": first["orderId"], "origClientOrderId": "two"}
    assert venue.refused("DELETE", ORDER, which) == (400, -2039)


@pytest.mark.parametrize("path", [ORDER, FORDER])
def test_the_read_path_may_lag_behind_a_new_order(venue: Venue, path: str) -> None:
    venue.peer.trading.disturbances.read_lag_ns = SECOND
    placed = venue.ask("POST", path, limit())
    which = {**BY_ID, "orderId": placed["orderId"]}
    assert venue.refused("GET", path, which) == (400, -2013)
    venue.jump(SECOND)
    assert venue.ask("GET", path, which)["status"] == "NEW"


def test_a_cancel_may_be_restricted_to_untouched_orders(venue: Venue) -> None:
    placed = venue.ask("POST", ORDER, limit())
    venue.someone("spot", "sell", "64000", "0.004")
    which = {**BY_ID, "orderId": placed["orderId"], "cancelRestrictions": "ONLY_NEW"}
    status, value, _ = venue.signed("DELETE", ORDER, which)
    assert (status, value["code"]) == (400, -2011)
    assert value["msg"] == "Order was not canceled due to cancel restrictions."
    which["cancelRestrictions"] = "ONLY_PARTIALLY_FILLED"
    assert venue.ask("DELETE", ORDER, which)["executedQty"] == "0.00400000"


def test_all_orders_of_a_symbol_are_cancelled_at_once(venue: Venue) -> None:
    for price in ("63000", "63100"):
        venue.ask("POST", ORDER, limit(price=price))
        venue.ask("POST", FORDER, limit(price=price))
    venue.ask("POST", ORDER, {**limit(price="2600", quantity="1"), "symbol": "ETHUSDT"})
    rows = venue.ask("DELETE", "/api/v3/openOrders", BY_ID)
    assert [row["status"] for row in rows] == ["CANCELED", "CANCELED"]
    assert venue.refused("DELETE", "/api/v3/openOrders", BY_ID) == (400, -2011)
    assert [row["symbol"] for row in venue.ask("GET", "/api/v3/openOrders")] == ["ETHUSDT"]
    done = {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert venue.ask("DELETE", "/fapi/v1/allOpenOrders", BY_ID) == done
    assert venue.ask("GET", "/fapi/v1/openOrders") == []
