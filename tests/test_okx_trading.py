"""The practice OKX and its members: who may call, what they may subscribe to, what they may place.

Checklist (B) of the protocol notes, in raw requests and frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from hftmm.sim.ledger import Credentials
from tests.okx_members import (
    CODE,
    PASSPHRASE,
    SECOND,
    SECRET,
    SPOT,
    START,
    SWAP,
    Json,
    iso,
    member,
    of,
    orders,
    sign,
    spot_order,
    swap_order,
    venue,
)

# -- who calls: REST ------------------------------------------------------------------------------


def test_the_documented_prehash_signs_query_and_body_as_sent() -> None:
    sample = "22582BD0CFF14C41EDBF1AB98506286D"
    prehash = "2020-12-08T09:08:57.715ZGET/api/v5/account/balance?ccy=BTC"
    assert sign(sample, prehash) == "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="


def test_a_signed_call_is_answered() -> None:
    assert venue().get("account/balance", ccy="BTC")[0]["details"][0]["ccy"] == "BTC"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"OK-ACCESS-KEY": None}, 401, "50103"),
        ({"OK-ACCESS-PASSPHRASE": None}, 401, "50104"),
        ({"OK-ACCESS-SIGN": None}, 401, "50106"),
        ({"OK-ACCESS-TIMESTAMP": ""}, 401, "50107"),
        ({"OK-ACCESS-TIMESTAMP": "1781784000"}, 401, "50112"),
        ({"OK-ACCESS-TIMESTAMP": iso(START - 31 * SECOND)}, 401, "50102"),
        ({"OK-ACCESS-TIMESTAMP": iso(START + 31 * SECOND)}, 401, "50102"),
        ({"OK-ACCESS-KEY": "somebody-else"}, 401, "50119"),
        ({"x-simulated-trading": "1"}, 401, "50101"),
        ({"OK-ACCESS-KEY": "practice-elsewhere-key"}, 401, "50110"),
        ({"OK-ACCESS-PASSPHRASE": "wrong"}, 401, "50105"),
        ({"OK-ACCESS-SIGN": "AAAA"}, 401, "50113"),
    ],
)
def test_a_call_that_does_not_prove_its_key_is_refused_by_code(
    headers: dict[str, str | None], status: int, code: str
) -> None:
    answered, body = venue().rest("GET", "account/balance", headers=headers)
    assert (answered, body["code"], body["data"]) == (status, code, [])


def test_a_stamp_within_thirty_seconds_is_accepted() -> None:
    stamp = {"OK-ACCESS-TIMESTAMP": iso(START - 29 * SECOND)}
    assert venue().rest("GET", "account/balance", headers=stamp)[0] == 200


def test_the_query_string_is_part_of_what_is_signed() -> None:
    one = venue()
    stamp = iso(one.now_ns)
    unsigned = {"OK-ACCESS-SIGN": sign(SECRET, f"{stamp}GET/api/v5/account/balance")}
    assert one.rest("GET", "account/balance", {"ccy": "BTC"}, unsigned)[1]["code"] == "50113"


def test_the_status_for_an_unknown_key_can_be_the_documented_one() -> None:
    one = venue(unknown_key_status=200)
    status, body = one.rest("GET", "account/balance", headers={"OK-ACCESS-KEY": "nobody"})
    assert (status, body["code"]) == (200, "50119")


def test_a_demo_key_needs_the_demo_header_and_demo_numbers_instruments_apart() -> None:
    one = venue(demo=True)
    assert one.rest("GET", "account/config")[1]["code"] == "50101"
    demo = {"x-simulated-trading": "1"}
    _, body = one.rest("GET", "account/instruments", {"instType": "SWAP"}, demo)
    code = body["data"][0]["instIdCode"]
    assert code != CODE
    assert code > 2**32
    one.login()
    price = one.price("buy", 5)
    assert one.reply("order", swap_order(price))["data"][0]["sCode"] == "51001"
    assert one.reply("order", swap_order(price) | {"instIdCode": code})["data"][0]["sCode"] == "0"


def test_a_key_that_may_only_read_cannot_trade() -> None:
    one = venue()
    reader = {"OK-ACCESS-KEY": "practice-read-key"}
    price = one.price("buy", 5, SPOT)
    assert one.rest("GET", "account/balance", headers=reader)[0] == 200
    status, body = one.rest("POST", "trade/order", spot_order(price), reader)
    assert (status, body["code"]) == (401, "50120")
    one.login(claim={"apiKey": "practice-read-key"})
    assert one.reply("order", swap_order(one.price("buy", 5)))["code"] == "50120"


def test_a_key_that_may_do_nothing_reads_nothing() -> None:
    blind = Credentials("blind", SECRET, PASSPHRASE, frozenset())
    status, body = venue(credentials=(blind,)).rest(
        "GET", "account/balance", headers={"OK-ACCESS-KEY": "blind"}
    )
    assert (status, body["code"]) == (401, "50114")


def test_the_configuration_tells_what_the_key_may_do() -> None:
    one = venue()
    (row,) = one.get("account/config")
    assert (row["acctLv"], row["posMode"], row["perm"]) == ("2", "net_mode", "read_only,trade")
    headers = {"OK-ACCESS-KEY": "practice-withdraw-key"}
    _, body = one.rest("GET", "account/config", headers=headers)
    assert body["data"][0]["perm"] == "read_only,withdraw,trade"


def test_a_wrong_method_and_a_body_that_is_no_json_are_refused() -> None:
    one = venue()
    assert one.rest("POST", "account/balance", {})[1]["code"] == "50115"
    assert one.rest("POST", "trade/order", [])[1]["code"] == "50002"


# -- who calls: WebSocket -------------------------------------------------------------------------


def test_a_login_is_acknowledged_with_code_zero() -> None:
    (ack,) = venue().login()
    assert {name: ack[name] for name in ("event", "code", "msg")} == {
        "event": "login",
        "code": "0",
        "msg": "",
    }
    assert ack["connId"]


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"apiKey": ""}, "60005"),
        ({"timestamp": "now"}, "60004"),
        ({"timestamp": "1781784000000"}, "60006"),
        ({"timestamp": "1781783969"}, "60006"),
        ({"apiKey": "somebody"}, "60032"),
        ({"apiKey": "practice-elsewhere-key"}, "60009"),
        ({"passphrase": "wrong"}, "60024"),
        ({"sign": "AAAA"}, "60007"),
    ],
)
def test_a_login_that_fails_says_why_and_ends_the_connection(
    claim: dict[str, str], code: str
) -> None:
    one = venue()
    (event,) = one.login(claim=claim)
    assert (event["event"], event["code"]) == ("error", code)
    assert [(close.connection, close.code) for close in one.closes] == [(1, 4001)]


def test_a_second_login_is_an_error_and_leaves_the_first() -> None:
    one = venue()
    one.login()
    assert one.login()[0]["code"] == "60031"
    assert one.closes == []
    assert one.reply("order", swap_order(one.price("buy", 5)))["code"] == "0"


def test_nothing_private_is_served_before_login() -> None:
    one = venue()
    one.open()
    (error,) = one.send({"id": "7", "op": "subscribe", "args": [{"channel": "account"}]})
    assert (error["event"], error["code"], error["id"]) == ("error", "60011", "7")
    (error,) = one.operate("order", swap_order("1"))
    assert error["code"] == "60011"


def test_business_takes_a_login_and_its_own_channels_only() -> None:
    one = venue()
    assert one.login(face="business")[0]["event"] == "login"
    algo = {"channel": "orders-algo", "instType": "SWAP"}
    (ack,) = one.send({"op": "subscribe", "args": [algo]})
    assert (ack["event"], ack["arg"]) == ("subscribe", algo)
    (error,) = one.send({"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]})
    assert error["code"] == "64002"
    (error,) = one.send({"op": "subscribe", "args": [{"channel": "nonsense"}]})
    assert error["code"] == "60018"


def test_every_path_is_served_on_every_host() -> None:
    one = venue()
    one.frames[5] = []
    assert one.peer.opened(5, "public", "/ws/v5/private", "", one.now_ns) is None
    assert one.login(5)[0]["event"] == "login"


def test_a_book_for_high_tiers_needs_a_login_and_then_a_tier() -> None:
    one = venue()
    one.open(face="public")
    wanted = {"op": "subscribe", "args": [{"channel": "books-l2-tbt", "instId": SWAP}]}
    assert one.send(wanted)[0]["code"] == "60011"
    one.login()
    assert one.send(wanted)[0]["code"] == "64003"


def test_the_fills_channel_needs_a_higher_tier() -> None:
    one = venue()
    one.login()
    (error,) = one.send({"op": "subscribe", "args": [{"channel": "fills"}]})
    assert error["code"] == "64003"


def test_a_member_who_says_nothing_for_thirty_seconds_is_closed_with_4004() -> None:
    one = member()
    one.wait(30_000)
    assert [close.code for close in one.closes] == [4004]


def test_logins_and_subscriptions_are_counted_for_an_hour() -> None:
    one = member()
    arg = {"channel": "orders", "instType": "SWAP"}
    for _ in range(478):
        one.send({"op": "subscribe", "args": [arg]})
    assert one.send({"op": "subscribe", "args": [arg]})[0]["code"] == "60014"


# -- channels -------------------------------------------------------------------------------------


def test_each_arg_is_acknowledged_and_its_connections_are_counted() -> None:
    one = venue()
    one.login()
    one.login(2)
    args = [{"channel": "orders", "instType": "ANY"}, {"channel": "account"}]
    one.send({"op": "subscribe", "args": args}, 2)
    said = one.send({"id": "a1", "op": "subscribe", "args": args})
    acks = [frame for frame in said if frame.get("event") == "subscribe"]
    assert [(ack["id"], ack["arg"]) for ack in acks] == [("a1", arg) for arg in args]
    counts = [frame for frame in said if frame.get("event") == "channel-conn-count"]
    assert [(c["channel"], c["connCount"]) for c in counts] == [("orders", "2"), ("account", "2")]


def test_a_channel_has_thirty_connections_and_the_next_is_dead() -> None:
    one = venue()
    arg = {"channel": "account"}
    for connection in range(1, 31):
        one.login(connection)
        one.subscribe(arg, connection=connection)
    one.login(31)
    ack, error = one.send({"op": "subscribe", "args": [arg]}, 31)
    assert (ack["event"], error["event"]) == ("subscribe", "channel-conn-count-error")
    one.send({"op": "unsubscribe", "args": [arg]}, 30)
    assert one.subscribe(arg, connection=31)


def test_orders_have_no_snapshot() -> None:
    one = venue()
    one.login()
    one.operate("order", swap_order(one.price("buy", 5)))
    assert one.subscribe({"channel": "orders", "instType": "ANY"}) == []


def test_the_account_begins_with_a_snapshot_in_pages() -> None:
    one = venue(rows_per_page=2)
    one.login()
    pages = one.subscribe({"channel": "account"})
    assert [page["eventType"] for page in pages] == ["snapshot"] * len(pages)
    assert [page["curPage"] for page in pages] == list(range(1, len(pages) + 1))
    assert [page["lastPage"] for page in pages] == [False] * (len(pages) - 1) + [True]
    currencies = [row["ccy"] for page in pages for row in page["data"][0]["details"]]
    assert {"USDT", "BTC"} <= set(currencies)
    assert len(currencies) == len(set(currencies))


def test_positions_begin_with_an_empty_last_page_if_there_are_none() -> None:
    one = venue()
    one.login()
    (page,) = one.subscribe({"channel": "positions", "instType": "ANY"})
    assert (page["curPage"], page["lastPage"], page["data"]) == (1, True, [])


def test_snapshots_come_again_every_five_seconds_unless_switched_off() -> None:
    one = venue()
    one.login()
    one.login(2)
    one.subscribe({"channel": "account"})
    one.subscribe({"channel": "account", "extraParams": '{"updateInterval":"0"}'}, connection=2)
    said = one.wait(5_010) + one.wait(5)
    assert [frame["eventType"] for frame in of(said, "account")] == ["snapshot"]
    assert one.taken(2) == []


def test_a_channel_says_whose_it_is_and_echoes_what_was_asked() -> None:
    one = venue()
    one.login()
    (snapshot,) = one.subscribe({"channel": "account", "ccy": "USDT"})
    assert snapshot["arg"]["uid"]
    assert snapshot["arg"] | {"uid": ""} == {"channel": "account", "ccy": "USDT", "uid": ""}
    assert [row["ccy"] for row in snapshot["data"][0]["details"]] == ["USDT"]


def test_a_subscription_to_one_instrument_hears_of_no_other() -> None:
    one = venue()
    one.login()
    one.subscribe({"channel": "orders", "instType": "SPOT"})
    assert orders(one.operate("order", swap_order(one.price("buy", 5)))) == []
    one.post("trade/order", spot_order(one.price("buy", 5, SPOT)))
    assert [row["instId"] for row in orders(one.wait(5))] == [SPOT]


def test_an_unknown_channel_or_instrument_is_60018() -> None:
    one = venue()
    one.login()
    for arg in (
        {"channel": "elsewhere"},
        {"channel": "orders"},
        {"channel": "orders", "instType": "SWAP", "instId": "NO-SUCH-SWAP"},
    ):
        (error,) = one.send({"op": "subscribe", "args": [arg]})
        assert error["code"] == "60018"


# -- placing --------------------------------------------------------------------------------------


def test_an_order_is_acknowledged_and_then_pushed_live() -> None:
    one = member()
    price = one.price("buy", 5)
    ack, push = one.operate("order", swap_order(price, clOrdId="mm1", tag="mm"))
    assert (ack["op"], ack["code"], ack["msg"]) == ("order", "0", "")
    assert "event" not in ack
    (row,) = ack["data"]
    assert (row["sCode"], row["clOrdId"], row["tag"], row["subCode"]) == ("0", "mm1", "mm", "")
    (live,) = push["data"]
    assert (live["ordId"], live["clOrdId"], live["state"]) == (row["ordId"], "mm1", "live")
    assert (live["px"], live["sz"], live["accFillSz"], live["avgPx"]) == (price, "1", "0", "0")
    assert (live["tradeId"], live["fillSz"], live["reduceOnly"]) == ("", "0", "false")
    assert (live["posSide"], live["tdMode"], live["lever"]) == ("net", "cross", "10")


def test_the_answer_carries_microseconds_of_coming_and_going() -> None:
    one = member()
    answer = one.reply("order", swap_order(one.price("buy", 5)))
    assert len(answer["inTime"]) == len(answer["outTime"]) == 16
    assert int(answer["inTime"]) < int(answer["outTime"])


def test_without_an_instrument_code_an_order_fails_whatever_its_name() -> None:
    one = member()
    order = swap_order(one.price("buy", 5), instId=SWAP)
    del order["instIdCode"]
    answer = one.reply("order", order)
    (row,) = answer["data"]
    assert (answer["code"], row["sCode"]) == ("1", "50014")
    assert row["sMsg"] == "Parameter instIdCode can not be empty."


@pytest.mark.parametrize(("code", "refusal"), [(999, "51001"), ("10459", "51000")])
def test_an_instrument_code_that_is_unknown_or_no_number_is_refused(
    code: object, refusal: str
) -> None:
    one = member()
    answer = one.reply("order", swap_order(one.price("buy", 5)) | {"instIdCode": code})
    assert answer["data"][0]["sCode"] == refusal


def test_rest_names_the_instrument_and_answers_in_the_same_shape() -> None:
    one = venue()
    row = one.post("trade/order", spot_order(one.price("buy", 5, SPOT), clOrdId="a1"))
    assert row.keys() == {"clOrdId", "ordId", "tag", "ts", "sCode", "sMsg", "subCode"}
    status, body = one.rest("POST", "trade/order", spot_order("1") | {"instId": "NO-PAIR"})
    assert (status, body["code"], body["msg"]) == (200, "1", "All operations failed")
    assert body["data"][0]["sCode"] == "51001"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"px": "65000.05"}, "51000"),
        ({"px": ""}, "51000"),
        ({"sz": "0.001"}, "51121"),
        ({"sz": "0"}, "51020"),
        ({"sz": "-1"}, "51000"),
        ({"sz": 1}, "51000"),
        ({"sz": "100000001"}, "51005"),
        ({"sz": "900000"}, "51008"),
        ({"px": "70000"}, "51006"),
        ({"side": "long"}, "51000"),
        ({"ordType": "gtd"}, "51000"),
        ({"tdMode": "cash"}, "51000"),
        ({"tdMode": "isolated"}, "51000"),
        ({"tdMode": ""}, "50014"),
        ({"posSide": "long"}, "51000"),
        ({"clOrdId": "with-dash"}, "51000"),
        ({"clOrdId": "x" * 33}, "51000"),
        ({"tag": "x" * 17}, "51000"),
        ({"stpMode": "never"}, "51000"),
        ({"ordType": "fok", "stpMode": "cancel_both"}, "54036"),
        ({"side": "sell", "reduceOnly": True}, "51169"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused_by_code_and_never_pushed(
    change: Json, code: str
) -> None:
    one = member()
    frames = one.operate("order", swap_order(one.price("buy", 5)) | change)
    assert [frame["data"][0]["sCode"] for frame in frames] == [code]
    assert one.get("trade/orders-pending") == []


def test_too_little_money_says_which_kind_in_the_sub_code() -> None:
    one = venue()
    row = one.post("trade/order", spot_order(one.price("buy", 5, SPOT), "99"))
    assert (row["sCode"], row["subCode"]) == ("51008", "1000")
    assert "USDT" in row["sMsg"]


def test_posside_net_is_accepted_and_nothing_else_is() -> None:
    one = member()
    order = swap_order(one.price("buy", 5), posSide="net")
    assert one.reply("order", order)["code"] == "0"


def test_a_price_beyond_the_limit_is_clamped_if_asked_so() -> None:
    one = member()
    (limits,) = one.get("public/price-limit", instId=SWAP)
    price = str(Decimal(limits["sellLmt"]) - 100)
    order = swap_order(price, side="sell", ordType="limit", sz="0.01")
    assert one.reply("order", order)["data"][0]["sCode"] == "51006"
    frames = one.operate("order", order | {"pxAmendType": "1"})
    assert orders(frames)[0]["px"] == limits["sellLmt"]


def test_an_account_in_spot_mode_trades_no_swaps() -> None:
    one = member(account_level="1")
    assert one.reply("order", swap_order(one.price("buy", 5)))["data"][0]["sCode"] == "51010"
    assert one.post("trade/order", spot_order(one.price("buy", 5, SPOT)))["sCode"] == "0"


def test_an_account_in_long_short_mode_wants_a_position_side() -> None:
    one = member(position_mode="long_short_mode")
    assert one.get("account/config")[0]["posMode"] == "long_short_mode"
    assert one.reply("order", swap_order(one.price("buy", 5)))["data"][0]["sCode"] == "51000"


def test_spot_in_multi_currency_mode_is_cross() -> None:
    one = venue(account_level="3")
    order = spot_order(one.price("buy", 5, SPOT))
    assert one.post("trade/order", order)["sCode"] == "51000"
    assert one.post("trade/order", order | {"tdMode": "cross"})["sCode"] == "0"


def test_five_hundred_orders_are_pending_and_no_more() -> None:
    one = member()
    price = one.price("buy", 5)
    for _ in range(25):
        one.operate("batch-orders", *[swap_order(price, "0.01") for _ in range(20)])
        one.wait(200)
    answer = one.reply("order", swap_order(price, "0.01"))
    assert answer["data"][0]["sCode"] == "51025"


# -- client ids -----------------------------------------------------------------------------------


def test_a_pending_client_id_is_taken_and_a_finished_one_is_free() -> None:
    one = member()
    order = swap_order(one.price("buy", 5), clOrdId="mm1")
    first = one.reply("order", order)["data"][0]
    again = one.reply("order", order)["data"][0]
    assert (again["sCode"], again["clOrdId"], again["ordId"]) == ("51016", "mm1", "")
    one.operate("cancel-order", {"instIdCode": CODE, "clOrdId": "mm1"})
    second = one.reply("order", order)["data"][0]
    assert second["sCode"] == "0"
    assert second["ordId"] != first["ordId"]
    assert one.get("trade/order", instId=SWAP, clOrdId="mm1")[0]["ordId"] == second["ordId"]


def test_client_ids_differ_by_case() -> None:
    one = member()
    price = one.price("buy", 5)
    assert one.reply("order", swap_order(price, clOrdId="Mm1"))["code"] == "0"
    assert one.reply("order", swap_order(price, clOrdId="mM1"))["code"] == "0"


def test_an_unknown_order_is_51603() -> None:
    one = venue()
    for name in ({"clOrdId": "nobody"}, {"ordId": "1"}, {"ordId": "2500000000000000009"}):
        _, body = one.rest("GET", "trade/order", {"instId": SWAP, **name})
        assert (body["code"], body["data"]) == ("51603", [])


# -- shapes ---------------------------------------------------------------------------------------


def test_a_login_stamp_may_be_a_number() -> None:
    one = venue()
    one.open()
    stamp = START // SECOND
    claim = {
        "apiKey": "practice-key",
        "passphrase": PASSPHRASE,
        "timestamp": stamp,
        "sign": sign(SECRET, f"{stamp}GET/users/self/verify"),
    }
    assert one.send({"op": "login", "args": [claim]})[0]["event"] == "login"


def types(row: Json, but: Mapping[str, type]) -> dict[str, type]:
    """Fields of a row that are neither text nor what they are said to be."""
    return {
        name: type(value) for name, value in row.items() if type(value) is not but.get(name, str)
    }


def test_every_field_of_an_order_push_has_the_documented_type() -> None:
    one = member()
    frames = one.operate("order", swap_order(one.price("sell", 5), reduceOnly=False))
    frames += one.operate("order", swap_order(one.price("buy", 5)))
    others = {"attachAlgoOrds": list, "linkedAlgoOrd": dict}
    for row in orders(frames):
        assert types(row, others) == {}
        assert (row["reduceOnly"], row["isTpLimit"]) == ("false", "false")
        assert len(row["uTime"]) == len(row["cTime"]) == 13
    record = one.get("trade/orders-history", instType="SWAP")[0]
    assert types(record, others) == {}
    (fill, *_) = one.get("trade/fills")
    assert types(fill, {}) == {}
    for frame in frames:
        if "op" in frame:
            assert types(frame, {"data": list}) == {}
            assert types(frame["data"][0], {}) == {}


def test_every_field_of_balances_and_positions_has_the_documented_type() -> None:
    one = member()
    one.operate("order", swap_order(one.price("sell", 5)))
    said = one.subscribe({"channel": "account"}, {"channel": "positions", "instType": "ANY"})
    for frame in said:
        assert (type(frame["curPage"]), type(frame["lastPage"])) == (int, bool)
    (account,) = of(said, "account")[0]["data"]
    assert types(account, {"details": list}) == {}
    switches = {"collateralEnabled": bool, "collateralRestrict": bool}
    for detail in account["details"]:
        assert types(detail, switches) == {}
    (position,) = of(said, "positions")[0]["data"]
    assert types(position, {"closeOrderAlgo": list}) == {}
    (limits,) = one.get("public/price-limit", instId=SWAP)
    assert types(limits, {"enabled": bool}) == {}
    (bill,) = one.get("account/bills", type="2")
    assert types(bill, {}) == {}
