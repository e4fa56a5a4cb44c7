"""The practice OKX and what becomes of orders: fills, amendments, cancels, and the money.

Checklist (B) of the protocol notes, in raw requests and frames.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftmm.sim.peers import LOST
from tests.okx_members import (
    CODE,
    MS,
    SECOND,
    SPOT,
    START,
    SWAP,
    Json,
    Venue,
    member,
    of,
    orders,
    spot_order,
    swap_order,
    venue,
)

HOUR = 3_600


def crossing(one: Venue, away: int = 20, name: str = SWAP) -> str:
    """A buy price so many ticks into the asks."""
    return one.price("sell", away, name)


def resting(one: Venue, size: str = "1", **other: Any) -> Json:
    """A swap bid alone at the top of the book, as pushed."""
    price = one.price("sell", -1)
    frames = one.operate("order", swap_order(price, size, **other))
    (row,) = orders(frames)
    assert row["state"] == "live"
    return row


def cancel(row: Json) -> Json:
    return {"instIdCode": CODE, "ordId": row["ordId"]}


# -- how an order ends ----------------------------------------------------------------------------


def test_a_post_only_order_that_would_take_is_accepted_and_then_canceled() -> None:
    one = member()
    ack, push = one.operate("order", swap_order(crossing(one), ordType="post_only"))
    assert (ack["code"], ack["data"][0]["sCode"]) == ("0", "0")
    (row,) = push["data"]
    assert (row["state"], row["cancelSource"], row["accFillSz"]) == ("canceled", "31", "0")


def test_a_fill_before_a_cancel_is_told_before_its_answer() -> None:
    one = member()
    mine = resting(one)
    one.hit("sell", mine["px"], 40)
    fill, ack, end = one.operate("cancel-order", cancel(mine))
    assert fill["data"][0]["state"] == "partially_filled"
    assert ack["data"][0]["sCode"] == "0"
    assert end["data"][0]["state"] == "canceled"


def test_what_an_ioc_order_does_not_fill_is_canceled() -> None:
    one = member()
    price = one.price("sell")
    size = str(Decimal(one.lots("sell")) / 100 + 1)
    rows = orders(one.operate("order", swap_order(price, size, ordType="ioc")))
    assert [row["state"] for row in rows[:1]] == ["live"]
    last = rows[-1]
    assert (last["state"], last["cancelSource"]) == ("canceled", "14")
    assert Decimal(last["accFillSz"]) == Decimal(size) - 1
    assert sum(Decimal(row["fillSz"]) for row in rows) == Decimal(last["accFillSz"])


def test_an_ioc_order_that_meets_nothing_is_canceled_whole() -> None:
    one = member()
    rows = orders(one.operate("order", swap_order(one.price("buy", 5), ordType="ioc")))
    assert (rows[-1]["state"], rows[-1]["cancelSource"]) == ("canceled", "14")


def test_a_fok_order_is_all_or_canceled() -> None:
    one = member()
    size = str(Decimal(one.lots("sell")) / 100 + 1)
    order = swap_order(one.price("sell"), size, ordType="fok")
    rows = orders(one.operate("order", order))
    assert (rows[-1]["state"], rows[-1]["cancelSource"]) == ("canceled", "13")
    assert rows[-1]["accFillSz"] == "0"
    rows = orders(one.operate("order", swap_order(one.price("sell"), "0.01", ordType="fok")))
    assert rows[-1]["state"] == "filled"


@pytest.mark.parametrize(
    ("mode", "maker", "taker"),
    [
        ("cancel_maker", "canceled", "filled"),
        ("cancel_taker", "live", "canceled"),
        ("cancel_both", "canceled", "canceled"),
    ],
)
def test_trading_with_oneself_ends_as_the_taker_asks(mode: str, maker: str, taker: str) -> None:
    one = member()
    mine = resting(one, stpMode="cancel_both")
    sell = swap_order(mine["px"], "0.5", side="sell", stpMode=mode, ordType="ioc")
    if mode == "cancel_maker":
        # Somebody else at the same price, behind us.
        engine = one.engine()
        engine.place("buy", int(Decimal(mine["px"]) / engine.spec.tick), 100, one.now_ns)
    rows = orders(one.operate("order", sell))
    ends = {row["ordId"]: row for row in rows}
    theirs = next(row for key, row in ends.items() if key != mine["ordId"])
    state = one.get("trade/order", instId=SWAP, ordId=mine["ordId"])[0]["state"]
    assert (state, theirs["state"]) == (maker, taker)
    canceled = [row for row in ends.values() if row["state"] == "canceled"]
    assert {row["cancelSource"] for row in canceled} == {"32"}


def test_a_cancel_by_the_user_is_pushed_with_its_source() -> None:
    one = member()
    mine = resting(one)
    ack, push = one.operate("cancel-order", cancel(mine))
    assert ack["data"][0].keys() == {"clOrdId", "ordId", "ts", "sCode", "sMsg"}
    assert (push["data"][0]["state"], push["data"][0]["cancelSource"]) == ("canceled", "1")


@pytest.mark.parametrize("end", ["canceled", "filled", "unknown"])
def test_a_cancel_of_a_finished_order_is_51400_under_code_1(end: str) -> None:
    one = member()
    mine = resting(one, "0.01")
    if end == "canceled":
        one.operate("cancel-order", cancel(mine))
    elif end == "filled":
        one.hit("sell", mine["px"], 1)
    else:
        mine = mine | {"ordId": "2500000000000000077"}
    answer = one.reply("cancel-order", cancel(mine))
    assert (answer["code"], answer["data"][0]["sCode"]) == ("1", "51400")
    row = one.post("trade/cancel-order", {"instId": SWAP, "ordId": mine["ordId"]})
    assert row["sCode"] == "51400"


def test_a_canceled_order_keeps_what_it_had_filled() -> None:
    one = member()
    mine = resting(one)
    one.hit("sell", mine["px"], 40)
    fill, row = orders(one.operate("cancel-order", cancel(mine)))
    assert (fill["state"], fill["fillSz"]) == ("partially_filled", "0.4")
    assert (row["state"], row["accFillSz"], row["fillSz"]) == ("canceled", "0.4", "0")


# -- fills ----------------------------------------------------------------------------------------


def test_each_fill_is_pushed_by_itself_and_the_sums_add_up() -> None:
    one = member()
    mine = resting(one)
    one.hit("sell", mine["px"], 40)
    one.hit("sell", mine["px"], 60)
    first, second = orders(one.wait(5))
    assert (first["state"], first["fillSz"], first["accFillSz"]) == (
        "partially_filled",
        "0.4",
        "0.4",
    )
    assert (second["state"], second["fillSz"], second["accFillSz"]) == ("filled", "0.6", "1")
    assert first["tradeId"] != second["tradeId"]
    assert {first["execType"], second["execType"]} == {"M"}
    assert (first["fillPx"], first["avgPx"]) == (mine["px"], mine["px"])
    assert Decimal(first["fee"]) == Decimal(first["fillFee"]) < 0
    assert Decimal(second["fee"]) == Decimal(first["fillFee"]) + Decimal(second["fillFee"])


def test_a_taker_is_told_live_first_and_every_price_it_paid() -> None:
    one = member()
    size = str(Decimal(one.lots("sell")) / 100 + 1)
    frames = one.operate("order", swap_order(crossing(one, 500), size))
    rows = orders(frames)
    assert rows[0]["state"] == "live"
    fills = rows[1:]
    assert {row["execType"] for row in fills} == {"T"}
    paid = sum(Decimal(row["fillPx"]) * Decimal(row["fillSz"]) for row in fills)
    assert abs(Decimal(rows[-1]["avgPx"]) - paid / Decimal(size)) < Decimal("0.0001")
    assert rows[-1]["state"] == "filled"


def test_fills_over_rest_are_those_that_were_pushed() -> None:
    one = member()
    mine = resting(one, clOrdId="mm1", tag="mm")
    one.hit("sell", mine["px"], 40)
    one.hit("sell", mine["px"], 60)
    pushed = orders(one.wait(5))
    fills = one.get("trade/fills", instType="SWAP")
    assert [row["tradeId"] for row in fills] == [row["tradeId"] for row in reversed(pushed)]
    newest = fills[0]
    assert (newest["clOrdId"], newest["tag"], newest["execType"]) == ("mm1", "mm", "M")
    assert (newest["fee"], newest["feeCcy"]) == (pushed[1]["fillFee"], "USDT")
    assert one.get("trade/fills", ordId=mine["ordId"], before=fills[1]["billId"]) == [newest]
    assert one.get("trade/fills-history", instType="SWAP", after=newest["billId"]) == [fills[1]]
    assert one.get("trade/fills", instType="SPOT") == []
    assert one.get("trade/fills", instType="SWAP", limit="1") == [newest]


def test_a_fill_can_be_pushed_twice_with_another_stamp() -> None:
    one = member(duplicate_fills=True)
    mine = resting(one, "0.01")
    one.hit("sell", mine["px"], 1)
    first, second = orders(one.wait(5))
    assert first.pop("uTime") != second.pop("uTime")
    assert first == second


def test_a_spot_market_order_can_end_with_a_notice_that_is_no_fill() -> None:
    one = member(terminal_notice=True)
    one.post("trade/order", spot_order("", "1000", ordType="market", px=""))
    rows = orders(one.wait(5))
    assert [row["state"] for row in rows[-2:]] == ["partially_filled", "filled"]
    assert (rows[-1]["fillSz"], rows[-1]["tradeId"]) == ("0", "")
    assert rows[-1]["accFillSz"] == rows[-2]["accFillSz"]


def test_a_spot_market_buy_spends_quote_and_a_sale_sells_base() -> None:
    one = member()
    one.post("trade/order", spot_order("", "1000", ordType="market", px=""))
    bought = orders(one.wait(5))[-1]
    assert (bought["state"], bought["sz"], bought["tgtCcy"]) == ("filled", "1000", "quote_ccy")
    spent = Decimal(bought["accFillSz"]) * Decimal(bought["avgPx"])
    assert Decimal("999.9") < spent <= 1000
    one.post("trade/order", spot_order("", "0.02", ordType="market", px="", side="sell"))
    sold = orders(one.wait(5))[-1]
    assert (sold["accFillSz"], sold["tgtCcy"], sold["px"]) == ("0.02", "base_ccy", "")
    both = {"tgtCcy": "quote_ccy", "side": "sell", "ordType": "market", "px": ""}
    one.post("trade/order", spot_order("", "1000") | both)
    got = orders(one.wait(5))[-1]
    assert Decimal("999.9") < Decimal(got["accFillSz"]) * Decimal(got["avgPx"]) <= 1000


def test_trade_ids_are_the_tape_s() -> None:
    one = member()
    one.open(9, "public")
    one.send({"op": "subscribe", "args": [{"channel": "trades", "instId": SWAP}]}, 9)
    mine = resting(one, "0.01")
    one.hit("sell", mine["px"], 1)
    (row,) = orders(one.wait(5))
    assert [trade["tradeId"] for trade in of(one.taken(9), "trades")[-1]["data"]] == [
        row["tradeId"]
    ]


# -- amending -------------------------------------------------------------------------------------


def amend(row: Json, **change: Any) -> Json:
    return {"instIdCode": CODE, "ordId": row["ordId"], **change}


def test_an_amendment_is_acknowledged_and_pushed_with_its_request() -> None:
    one = member()
    mine = resting(one)
    price = one.price("buy", 3)
    ack, push = one.operate("amend-order", amend(mine, newPx=price, newSz="2", reqId="q1"))
    assert ack["data"][0] | {"ts": ""} == {
        "clOrdId": "",
        "ordId": mine["ordId"],
        "ts": "",
        "reqId": "q1",
        "sCode": "0",
        "sMsg": "",
        "subCode": "",
    }
    (row,) = push["data"]
    assert (row["px"], row["sz"], row["state"]) == (price, "2", "live")
    assert (row["reqId"], row["amendResult"], row["amendSource"]) == ("q1", "0", "1")
    one.hit("sell", price, one.lots("buy"))
    later = orders(one.wait(5))[-1]
    assert (later["reqId"], later["amendResult"], later["amendSource"]) == ("", "", "")


def test_a_new_size_is_the_total_with_what_has_filled() -> None:
    one = member()
    mine = resting(one)
    one.hit("sell", mine["px"], 40)
    one.wait(5)
    (row,) = orders(one.operate("amend-order", amend(mine, newSz="0.5")))
    assert (row["sz"], row["accFillSz"], row["state"]) == ("0.5", "0.4", "partially_filled")
    one.hit("sell", mine["px"], 10)
    assert orders(one.wait(5))[-1]["state"] == "filled"


@pytest.mark.parametrize("size", ["0.4", "0.1"])
def test_a_new_size_that_has_filled_already_ends_the_order_as_filled(size: str) -> None:
    one = member()
    mine = resting(one)
    one.hit("sell", mine["px"], 40)
    one.wait(5)
    frames = one.operate("amend-order", amend(mine, newSz=size, reqId="q1"))
    assert frames[0]["code"] == "0"
    (row,) = orders(frames)
    assert (row["state"], row["accFillSz"], row["fillSz"]) == ("filled", "0.4", "0")
    assert (row["reqId"], row["amendResult"], row["cancelSource"]) == ("q1", "0", "")
    assert one.get("trade/orders-pending") == []
    assert one.get("trade/order", instId=SWAP, ordId=mine["ordId"])[0]["state"] == "filled"


def test_an_amendment_that_would_take_breaks_post_only() -> None:
    one = member()
    mine = resting(one, ordType="post_only")
    answer = one.reply("amend-order", amend(mine, newPx=crossing(one)))
    assert (answer["code"], answer["data"][0]["sCode"]) == ("1", "51511")
    (row,) = one.get("trade/orders-pending")
    assert row["px"] == mine["px"]


def test_a_failed_amendment_cancels_the_order_if_asked_so() -> None:
    one = member()
    mine = resting(one, ordType="post_only")
    change = amend(mine, newPx=crossing(one), reqId="q1", cxlOnFail=True)
    ack, push = one.operate("amend-order", change)
    assert ack["data"][0]["sCode"] == "0"
    (row,) = push["data"]
    assert (row["state"], row["amendResult"], row["code"]) == ("canceled", "1", "51511")
    assert row["reqId"] == "q1"


def test_an_amendment_of_a_finished_order_is_51503() -> None:
    one = member()
    mine = resting(one)
    one.operate("cancel-order", cancel(mine))
    answer = one.reply("amend-order", amend(mine, newSz="2"))
    assert answer["data"][0]["sCode"] == "51503"


def test_three_amendments_of_one_order_are_under_way_and_no_more() -> None:
    one = member()
    mine = resting(one)
    changes = [amend(mine, newSz=str(size)) for size in (2, 3, 4, 5)]
    answer = one.reply("batch-amend-orders", *changes)
    assert [row["sCode"] for row in answer["data"]] == ["0", "0", "0", "51513"]
    assert answer["code"] == "2"
    assert one.reply("amend-order", changes[-1])["code"] == "0"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "50014"),
        ({"newPx": "65000.05"}, "51000"),
        ({"newSz": "0.001"}, "51121"),
        ({"newPx": "90000"}, "51006"),
        ({"newSz": "1", "reqId": "no-dash"}, "51000"),
    ],
)
def test_an_amendment_that_breaks_a_rule_changes_nothing(change: Json, code: str) -> None:
    one = member()
    mine = resting(one)
    frames = one.operate("amend-order", amend(mine, **change))
    assert [frame["data"][0]["sCode"] for frame in frames] == [code]
    assert one.get("trade/orders-pending")[0]["sz"] == "1"


def test_rest_amends_and_cancels_one_or_many() -> None:
    one = venue()
    price = one.price("buy", 5, SPOT)
    _, body = one.rest("POST", "trade/batch-orders", [spot_order(price), spot_order(price)])
    first, second = ({"instId": SPOT, "ordId": row["ordId"]} for row in body["data"])
    assert one.post("trade/amend-order", first | {"newSz": "0.02"})["sCode"] == "0"
    _, body = one.rest("POST", "trade/amend-batch-orders", [second | {"newSz": "0.03"}])
    assert body["code"] == "0"
    assert [row["sz"] for row in one.get("trade/orders-pending")] == ["0.03", "0.02"]
    _, body = one.rest("POST", "trade/cancel-batch-orders", [first, second, second])
    assert [row["sCode"] for row in body["data"]] == ["0", "0", "51400"]
    assert body["code"] == "2"


# -- answers and their order ----------------------------------------------------------------------


def test_a_batch_is_answered_in_its_order_with_the_right_code() -> None:
    one = member()
    good, bad = swap_order(one.price("buy", 5), clOrdId="a"), swap_order("1")
    bad |= {"instIdCode": 1, "clOrdId": "b"}
    mixed = one.reply("batch-orders", good, bad)
    assert [row["clOrdId"] for row in mixed["data"]] == ["a", "b"]
    assert [row["sCode"] for row in mixed["data"]] == ["0", "51001"]
    assert mixed["code"] == "2"
    assert one.reply("batch-orders", bad, bad)["code"] == "1"
    assert (
        one.reply("batch-orders", good | {"clOrdId": "c"}, good | {"clOrdId": "d"})["code"] == "0"
    )


def test_a_batch_has_twenty_orders_at_most() -> None:
    one = member()
    order = swap_order(one.price("buy", 5))
    answer = one.reply("batch-orders", *[order] * 21)
    assert (answer["code"], answer["data"]) == ("51111", [])
    cancels = [{"instIdCode": CODE, "clOrdId": "a"}] * 21
    assert one.reply("batch-cancel-orders", *cancels)["code"] == "51000"
    assert one.get("trade/orders-pending") == []


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"id": "1", "op": "order", "args": []}, "60013"),
        ({"id": "1", "op": "order", "args": [{}, {}]}, "60013"),
        ({"id": "1", "op": "order", "args": {}}, "60013"),
    ],
)
def test_an_operation_that_is_unsound_is_refused_as_a_whole(frame: Json, code: str) -> None:
    one = member()
    (answer,) = one.send(frame)
    assert (answer["op"], answer["code"], answer["data"]) == ("order", code, [])


def test_an_operation_nobody_knows_is_an_error_event() -> None:
    one = member()
    (error,) = one.send({"id": "1", "op": "mass-cancel", "args": [{}]})
    assert (error["event"], error["code"]) == ("error", "60012")
    (error,) = one.send(b'{"op": ')
    assert error["code"] == "60012"


def test_the_push_can_come_before_the_answer() -> None:
    one = member(acks="last")
    push, ack = one.operate("order", swap_order(one.price("buy", 5)))
    assert push["data"][0]["ordId"] == ack["data"][0]["ordId"]


def test_the_answer_can_be_lost_while_the_order_lives() -> None:
    one = member(acks="lost")
    order = swap_order(one.price("buy", 5), clOrdId="mm1")
    (push,) = one.operate("order", order)
    assert push["data"][0]["state"] == "live"
    spot = spot_order(one.price("buy", 5, SPOT), clOrdId="mm2")
    assert one.rest("POST", "trade/order", spot) == (LOST, {})
    assert [row["clOrdId"] for row in one.get("trade/orders-pending")] == ["mm2", "mm1"]
    one.peer.acks = "first"
    assert one.reply("order", order)["data"][0]["sCode"] == "51016"


def test_an_answer_takes_a_moment_and_the_same_seed_the_same_moment() -> None:
    def moments() -> list[int]:
        one = member()
        found = []
        for _ in range(4):
            one.peer.received(
                1, b'{"id":"1","op":"cancel-order","args":[{"instIdCode":10459}]}', one.now_ns
            )
            waited = 0
            while not one.wait(1):
                waited += 1
                assert waited < 5
            found.append(waited)
        return found

    assert moments() == moments()
    assert max(moments()) > 0


def test_an_order_filled_while_its_cancel_came_is_told_filled_and_the_cancel_fails() -> None:
    one = member()
    mine = resting(one)
    one.peer.broker.fill_before_cancel = 1
    ack, push = one.operate("cancel-order", cancel(mine))
    assert ack["data"][0]["sCode"] == "51400"
    assert (push["data"][0]["state"], push["data"][0]["accFillSz"]) == ("filled", "1")
    mine = resting(one)
    one.peer.broker.fill_before_cancel = 1
    ack, push = one.operate("amend-order", amend(mine, newSz="2"))
    assert ack["data"][0]["sCode"] == "51503"
    assert (push["data"][0]["state"], push["data"][0]["amendResult"]) == ("filled", "")


def test_every_message_says_what_it_is_about() -> None:
    one = member()
    one.subscribe({"channel": "account"})
    one.operate("order", swap_order(crossing(one)))
    assert set(one.matters) == {"", "account", "ack", "order", "fill"}
    for method, path, matter in (
        ("POST", "trade/order", "ack"),
        ("GET", "trade/order", ""),
        ("POST", "trade/cancel-all-after", ""),
    ):
        one.rest(method, path, {"instId": SWAP, "ordId": "1", "timeOut": "0"})
        assert one.matters[-1] == matter


@pytest.mark.parametrize("late", [True, False])
def test_an_expired_request_places_nothing(late: bool) -> None:
    one = member()
    expiry = str(one.now_ns // MS + (-1 if late else 1_000))
    answer = one.reply("order", swap_order(one.price("buy", 5)), expTime=expiry)
    spot = spot_order(one.price("buy", 5, SPOT))
    _, body = one.rest("POST", "trade/order", spot, {"expTime": expiry})
    wanted = "50036" if late else "0"
    assert (answer["code"], body["code"]) == (wanted, wanted)
    assert len(one.get("trade/orders-pending")) == (0 if late else 2)


# -- how often ------------------------------------------------------------------------------------


def test_sixty_orders_in_two_seconds_shared_by_both_ways() -> None:
    one = venue()
    one.login()
    order = swap_order(one.price("buy", 5), "0.01")
    cancels = {"instIdCode": CODE, "clOrdId": "nobody"}
    for _ in range(30):
        one.operate("order", order)
        assert one.post("trade/order", order | {"instId": SWAP})["sCode"] == "0"
    assert one.reply("order", order)["data"][0]["sCode"] == "50011"
    status, _ = one.rest("POST", "trade/order", order | {"instId": SWAP})
    assert status == 429
    # Cancels have a bucket of their own, and so has every other instrument.
    assert one.reply("cancel-order", cancels)["data"][0]["sCode"] == "51400"
    assert one.post("trade/order", spot_order(one.price("buy", 5, SPOT)))["sCode"] == "0"
    one.wait(2_000)
    assert one.reply("order", order)["code"] == "0"


def test_three_hundred_orders_in_batches_in_two_seconds() -> None:
    one = venue()
    one.login()
    order = swap_order(one.price("buy", 5), "0.01")
    for _ in range(15):
        assert one.reply("batch-orders", *[order] * 20)["code"] == "0"
    answer = one.reply("batch-orders", order, order)
    assert {row["sCode"] for row in answer["data"]} == {"50011"}
    assert one.reply("order", order)["code"] == "0"


def test_a_thousand_new_and_amended_swap_orders_of_the_account_in_two_seconds() -> None:
    one = venue(symbols=("BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT"))
    one.login()
    eth = one.get("public/instruments", instType="SWAP", instId="ETH-USDT-SWAP")[0]["instIdCode"]
    codes: set[str] = set()
    for op in ("batch-orders", "batch-amend-orders"):
        for code in (CODE, eth):
            # They fail, each for a reason of its own, and count all the same.
            order = {"instIdCode": code, "clOrdId": "nobody"}
            for _ in range(15):
                answer = one.reply(op, *[order] * 20)
                codes.add(answer["data"][-1]["sCode"])
    assert "50061" in codes
    assert "50011" not in codes
    order = swap_order(one.price("buy", 5))
    assert one.reply("order", order)["data"][0]["sCode"] == "50061"
    cancels = {"instIdCode": CODE, "clOrdId": "nobody"}
    assert one.reply("cancel-order", cancels)["data"][0]["sCode"] == "51400"
    assert one.post("trade/order", spot_order(one.price("buy", 5, SPOT)))["sCode"] == "0"


def test_a_query_has_its_limit_too() -> None:
    one = venue()
    for _ in range(5):
        one.get("account/config")
    status, body = one.rest("GET", "account/config")
    assert (status, body["code"]) == (429, "50011")
    one.now_ns += 2 * SECOND
    assert one.get("account/config")


# -- dead man -------------------------------------------------------------------------------------


def test_cancel_all_after_cancels_one_by_one_unless_armed_again() -> None:
    one = member()
    for _ in range(3):
        one.operate("order", swap_order(one.price("buy", 5)))
    (row,) = one.get_after("10")
    assert int(row["triggerTime"]) == one.now_ns // MS + 10_000
    one.wait(9_000)
    one.get_after("10")
    assert orders(one.wait(9_990)) == []
    rows = orders([frame for _ in range(10) for frame in one.wait(5)])
    assert [row["cancelSource"] for row in rows] == ["20", "20", "20"]
    assert len({row["uTime"] for row in rows}) == 3


def test_cancel_all_after_can_be_disarmed_and_be_of_one_tag() -> None:
    one = member()
    one.operate("order", swap_order(one.price("buy", 5), tag="mine"))
    one.operate("order", swap_order(one.price("buy", 5), tag="other"))
    one.get_after("10")
    one.now_ns += SECOND
    assert one.get_after("0")[0]["triggerTime"] == "0"
    one.now_ns += SECOND
    one.get_after("10", tag="mine")
    rows = orders(one.wait(10_000) + one.wait(5))
    assert [row["tag"] for row in rows] == ["mine"]
    assert [row["tag"] for row in one.get("trade/orders-pending")] == ["other"]


@pytest.mark.parametrize("timeout", ["9", "121", "soon"])
def test_cancel_all_after_takes_ten_to_a_hundred_and_twenty_seconds(timeout: str) -> None:
    _, body = venue().rest("POST", "trade/cancel-all-after", {"timeOut": timeout})
    assert body["code"] == "51000"


def test_twenty_tags_have_timers_and_no_more() -> None:
    one = venue()
    for number in range(20):
        one.get_after("60", tag=f"t{number}")
        one.now_ns += SECOND
    _, body = one.rest("POST", "trade/cancel-all-after", {"timeOut": "60", "tag": "t20"})
    assert body["code"] == "51071"


# -- queries --------------------------------------------------------------------------------------


def test_pending_orders_are_paged_newest_first() -> None:
    one = venue()
    one.login()
    for number in range(5):
        one.operate("order", swap_order(one.price("buy", 5), clOrdId=f"a{number}"))
    rows = one.get("trade/orders-pending", instType="SWAP", limit="2")
    assert [row["clOrdId"] for row in rows] == ["a4", "a3"]
    rows = one.get("trade/orders-pending", after=rows[-1]["ordId"], limit="2")
    assert [row["clOrdId"] for row in rows] == ["a2", "a1"]
    assert one.get("trade/orders-pending", instType="SPOT") == []
    assert rows[0]["avgPx"] == ""


def test_canceled_orders_without_a_fill_are_forgotten_after_two_hours() -> None:
    one = member()
    mine = resting(one)
    one.operate("cancel-order", cancel(mine))
    filled = resting(one, "0.01")
    one.hit("sell", filled["px"], 1)
    one.wait(5)
    history = [row["ordId"] for row in one.get("trade/orders-history", instType="SWAP")]
    assert history == [filled["ordId"], mine["ordId"]]
    one.now_ns += 2 * HOUR * SECOND
    one.now_ns += SECOND
    for path in ("trade/orders-history", "trade/orders-history-archive"):
        assert [row["ordId"] for row in one.get(path, instType="SWAP")] == [filled["ordId"]]
    _, body = one.rest("GET", "trade/order", {"instId": SWAP, "ordId": mine["ordId"]})
    assert body["code"] == "51603"


def test_history_wants_a_type_of_instrument() -> None:
    assert venue().rest("GET", "trade/orders-history")[1]["code"] == "50014"


# -- money ----------------------------------------------------------------------------------------


def balance(one: Venue, currency: str) -> Json:
    (row,) = one.get("account/balance", ccy=currency)
    (detail,) = row["details"]
    found: Json = detail
    return found


def test_a_spot_buy_pays_its_fee_in_base_and_a_sale_in_quote() -> None:
    one = member()
    before = Decimal(balance(one, "BTC")["cashBal"])
    one.post("trade/order", spot_order(crossing(one, 50, SPOT), "0.01"))
    bought = orders(one.wait(5))[-1]
    assert (bought["feeCcy"], Decimal(bought["fee"])) == ("BTC", Decimal("-0.00001"))
    assert Decimal(balance(one, "BTC")["cashBal"]) - before == Decimal("0.00999")
    sale = spot_order(one.price("buy", 50, SPOT), "0.01", side="sell")
    one.post("trade/order", sale)
    sold = orders(one.wait(5))[-1]
    assert sold["feeCcy"] == "USDT"
    value = Decimal(sold["avgPx"]) * Decimal("0.01")
    assert abs(Decimal(sold["fee"]) + value / 1000) < Decimal("0.0001")


def test_rates_of_fees_are_negative_and_by_group() -> None:
    one = venue()
    (spot,) = one.get("account/trade-fee", instType="SPOT", instId=SPOT)
    (swap,) = one.get("account/trade-fee", instType="SWAP")
    assert [(g["groupId"], g["maker"], g["taker"]) for g in spot["feeGroup"]] == [
        ("1", "-0.0008", "-0.001")
    ]
    assert [(g["groupId"], g["maker"], g["taker"]) for g in swap["feeGroup"]] == [
        ("2", "-0.0002", "-0.0005")
    ]


def test_a_resting_spot_order_freezes_what_it_would_spend() -> None:
    one = member()
    one.subscribe({"channel": "account"})
    price = one.price("buy", 5, SPOT)
    one.post("trade/order", spot_order(price, "0.01"))
    (push,) = of(one.wait(5), "account")
    (detail,) = push["data"][0]["details"]
    assert push["eventType"] == "event_update"
    assert "lastPage" not in push
    assert (detail["ccy"], detail["ordFrozen"]) == ("USDT", f"{Decimal(price) / 100:f}")
    assert Decimal(detail["availBal"]) == Decimal(detail["cashBal"]) - Decimal(price) / 100


def test_a_position_is_signed_contracts_at_the_weighted_average() -> None:
    one = member()
    one.subscribe({"channel": "positions", "instType": "SWAP"})
    frames = one.operate("order", swap_order(crossing(one, 500), "3"))
    order = orders(frames)[-1]
    (push,) = of(frames, "positions")
    (row,) = push["data"]
    assert push["eventType"] == "event_update"
    assert (row["pos"], row["posSide"], row["mgnMode"]) == ("3", "net", "cross")
    assert Decimal(row["avgPx"]) == Decimal(order["avgPx"])
    mark = Decimal(row["markPx"])
    gained = (mark - Decimal(row["avgPx"])) * Decimal("0.03")
    assert abs(Decimal(row["upl"]) - gained) < Decimal("0.01")
    sell = swap_order(one.price("buy", 500), "5", side="sell")
    (push,) = of(one.operate("order", sell), "positions")
    assert push["data"][0]["pos"] == "-2"
    assert one.get("account/positions")[0]["pos"] == "-2"


def test_a_closed_position_is_pushed_as_zero_and_listed_only_by_name() -> None:
    one = member()
    one.operate("order", swap_order(crossing(one)))
    one.subscribe({"channel": "positions", "instType": "ANY"})
    close = swap_order(one.price("buy", 50), "1", side="sell", reduceOnly=True)
    frames = one.operate("order", close)
    (push,) = of(frames, "positions")
    (row,) = push["data"]
    assert (row["pos"], row["avgPx"]) == ("0", "")
    assert orders(frames)[-1]["reduceOnly"] == "true"
    assert Decimal(orders(frames)[-1]["pnl"]) < 0
    assert one.get("account/positions") == []
    assert one.get("account/positions", instId=SWAP)[0]["pos"] == "0"


@pytest.mark.parametrize(
    ("side", "size", "code"),
    [("buy", "0.01", "51170"), ("sell", "1.01", "51112"), ("sell", "1", "0")],
)
def test_a_reduce_only_order_does_nothing_but_reduce(side: str, size: str, code: str) -> None:
    one = member()
    one.operate("order", swap_order(crossing(one)))
    price = one.price("sell", 5) if side == "sell" else one.price("buy", 5)
    order = swap_order(price, size, side=side, reduceOnly=True)
    assert one.reply("order", order)["data"][0]["sCode"] == code


def test_a_resting_reduce_only_order_shrinks_and_ends_with_its_position() -> None:
    one = member()
    one.operate("order", swap_order(crossing(one)))
    far = swap_order(one.price("sell", 50), side="sell", reduceOnly=True)
    (resting_,) = orders(one.operate("order", far))
    less = swap_order(one.price("buy", 50), "0.4", side="sell", ordType="ioc")
    rows = orders(one.operate("order", less))
    (shrunk,) = (row for row in rows if row["ordId"] == resting_["ordId"])
    assert (shrunk["sz"], shrunk["amendSource"], shrunk["state"]) == ("0.6", "2", "live")
    rows = orders(one.operate("order", less | {"sz": "0.6"}))
    (ended,) = (row for row in rows if row["ordId"] == resting_["ordId"])
    assert (ended["state"], ended["cancelSource"]) == ("canceled", "23")


def test_profit_and_fees_of_a_position_begin_anew_when_it_is_opened_again() -> None:
    one = member()
    one.operate("order", swap_order(crossing(one)))
    one.operate("order", swap_order(one.price("buy", 50), "1", side="sell"))
    frames = one.operate("order", swap_order(crossing(one)))
    (row,) = one.get("account/positions")
    assert row["pnl"] == "0"
    assert row["fee"] == orders(frames)[-1]["fee"] == row["realizedPnl"]


def test_cash_and_position_come_together_with_the_trades_that_moved_them() -> None:
    one = member()
    (snapshot,) = one.subscribe({"channel": "balance_and_position"})
    assert snapshot["data"][0]["eventType"] == "snapshot"
    assert snapshot["data"][0]["posData"] == []
    frames = one.operate("order", swap_order(crossing(one), "0.01"))
    (push,) = of(frames, "balance_and_position")
    (row,) = push["data"]
    assert row["eventType"] == "filled"
    assert [cash["ccy"] for cash in row["balData"]] == ["USDT"]
    assert [position["pos"] for position in row["posData"]] == ["0.01"]
    assert row["trades"] == [{"instId": SWAP, "tradeId": orders(frames)[-1]["tradeId"]}]


def test_an_order_that_only_rests_moves_no_cash() -> None:
    one = member()
    one.subscribe({"channel": "balance_and_position"})
    one.post("trade/order", spot_order(one.price("buy", 5, SPOT)))
    assert of(one.wait(5), "balance_and_position") == []


def test_funding_is_charged_at_its_time_and_told_as_such() -> None:
    due_ns = (START // (8 * HOUR * SECOND) + 1) * 8 * HOUR * SECOND
    one = member(start_ns=due_ns - SECOND)
    one.operate("order", swap_order(crossing(one, 500), "3"))
    one.subscribe({"channel": "balance_and_position"})
    one.subscribe({"channel": "positions", "instType": "SWAP"})
    (rate,) = one.get("public/funding-rate", instId=SWAP)
    assert int(rate["fundingTime"]) * MS == due_ns
    one.now_ns = due_ns + MS
    one.market.advance(one.now_ns)
    frames = one.wait(5)
    (push,) = of(frames, "balance_and_position")
    assert push["data"][0]["eventType"] == "funding_fee"
    assert push["data"][0]["trades"] == []
    position = of(frames, "positions")[0]["data"][0]
    (bill,) = one.get("account/bills", type="8")
    assert (bill["balChg"], bill["pnl"]) == (position["fundingFee"], position["fundingFee"])
    assert bill["subType"] == ("173" if Decimal(bill["balChg"]) < 0 else "174")


def test_bills_add_up_to_the_balance() -> None:
    one = member()
    before = {name: Decimal(balance(one, name)["cashBal"]) for name in ("BTC", "USDT")}
    one.post("trade/order", spot_order(crossing(one, 50, SPOT), "0.01"))
    one.operate("order", swap_order(crossing(one)))
    one.operate("order", swap_order(one.price("buy", 50), "1", side="sell"))
    bills = one.get("account/bills", type="2")
    for name, amount in before.items():
        changes = [Decimal(row["balChg"]) for row in bills if row["ccy"] == name]
        assert amount + sum(changes) == Decimal(balance(one, name)["cashBal"])
    (base,) = (row for row in bills if row["ccy"] == "BTC")
    assert (base["fee"], base["balChg"]) == ("-0.00001", "0.00999")
    ids = [int(row["billId"]) for row in bills]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids)


def test_leverage_is_set_and_read_for_swaps_in_cross() -> None:
    one = venue()
    asked = {"instId": SWAP, "mgnMode": "cross"}
    assert one.get("account/leverage-info", **asked)[0]["lever"] == "10"
    status, body = one.rest("POST", "account/set-leverage", asked | {"lever": "5"})
    assert (status, body["code"], body["data"][0]["lever"]) == (200, "0", "5")
    assert one.get("account/leverage-info", **asked)[0]["lever"] == "5"
    _, body = one.rest("POST", "account/set-leverage", asked | {"lever": "999"})
    assert body["code"] == "59102"


def test_the_position_mode_is_locked_while_anything_is_open() -> None:
    one = member()
    hedged = {"posMode": "long_short_mode"}
    resting(one)
    assert one.rest("POST", "account/set-position-mode", hedged)[1]["code"] == "59000"
    net = {"posMode": "net_mode"}
    assert one.rest("POST", "account/set-position-mode", net)[1]["data"] == [net]
    fresh = venue()
    assert fresh.rest("POST", "account/set-position-mode", hedged)[1]["data"] == [hedged]
    assert fresh.get("account/config")[0]["posMode"] == "long_short_mode"


def test_the_largest_size_can_be_placed_and_no_larger_one() -> None:
    one = venue()
    price = one.price("buy", 5, SPOT)
    (row,) = one.get("account/max-size", instId=SPOT, tdMode="cash", px=price)
    assert one.post("trade/order", spot_order(price, row["maxBuy"]))["sCode"] == "0"
    assert one.post("trade/order", spot_order(price, "0.001"))["sCode"] == "51008"
    assert row["maxSell"] == "20"


def test_currencies_are_listed_and_none_can_be_withdrawn() -> None:
    rows = venue().get("asset/currencies")
    assert {"USDT", "BTC"} <= {row["ccy"] for row in rows}
    assert not any(row["canWd"] for row in rows)


# -- the venue's own troubles ---------------------------------------------------------------------


def test_orders_and_money_outlive_a_restart() -> None:
    one = member()
    mine = resting(one)
    one.peer.restart(one.now_ns)
    one.wait(0)
    assert {close.code for close in one.closes} == {1006}
    assert [row["ordId"] for row in one.get("trade/orders-pending")] == [mine["ordId"]]
    one.hit("sell", mine["px"], 100)
    one.wait(0)
    assert one.get("account/positions")[0]["pos"] == "1"


def test_a_wrong_clock_stamps_everything_and_refuses_the_right_one() -> None:
    one = venue()
    one.peer.skew_ns = 40 * SECOND
    assert one.rest("GET", "account/balance")[1]["code"] == "50102"
    assert one.login()[0]["code"] == "60006"
    one.peer.skew_ns = 5 * SECOND
    (row,) = one.get("account/balance")
    assert int(row["uTime"]) == (one.now_ns + 5 * SECOND) // MS


def test_a_planned_end_is_announced_to_members_too() -> None:
    one = member()
    one.peer.farewell(one.now_ns)
    (notice,) = one.wait(0)
    assert (notice["event"], notice["code"]) == ("notice", "64008")


def test_the_books_of_the_venue_add_up_after_a_day_of_everything() -> None:
    one = member()
    for number in range(20):
        mine = resting(one, "0.3", side="buy")
        one.hit("sell", mine["px"], 10 + number)
        one.operate("order", swap_order(one.price("buy", 5), "0.2", side="sell", ordType="ioc"))
        one.operate("cancel-order", cancel(mine))
        one.wait(200)
    one.peer.broker._check()
    fills = one.get("trade/fills", instType="SWAP")
    signed = sum(Decimal(f["fillSz"]) * (1 if f["side"] == "buy" else -1) for f in fills)
    rows = one.get("account/positions", instId=SWAP)
    assert Decimal(rows[0]["pos"]) == signed


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["instIdCode", "instId", "tdMode", "side", "ordType", "px", "sz", "clOrdId", "tag", "stpMode",
     "reduceOnly", "tgtCcy", "posSide", "ordId", "newPx", "newSz", "reqId", "cxlOnFail",
     "pxAmendType", "attachAlgoOrds"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    op=st.sampled_from(["order", "amend-order", "cancel-order", "batch-orders", "subscribe"]),
    change=st.dictionaries(FIELDS, JSON_VALUES, max_size=3),
)
def test_whatever_an_order_says_it_is_answered_and_the_books_add_up(op: str, change: Json) -> None:
    one = member()
    order = swap_order(one.price("sell", 5)) | {"clOrdId": "a", "newSz": "2"} | change
    assert one.operate(op, order)
    spot = spot_order(one.price("sell", 5, SPOT)) | {"clOrdId": "b", "newSz": "2"} | change
    for path in ("trade/order", "trade/amend-order", "trade/cancel-order", "account/set-leverage"):
        status, body = one.rest("POST", path, spot)
        assert status < 500
        assert body.keys() >= {"code", "msg", "data"}
    one.peer.broker._check()


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["rest", "take", "hit", "amend", "cancel", "sell"]),
            st.integers(1, 60),
        ),
        max_size=25,
    )
)
def test_pushes_queries_and_positions_tell_one_story(steps: list[tuple[str, int]]) -> None:
    one = member()
    pushed: list[Json] = []
    for step, lots in steps:
        size = f"{Decimal(lots) / 100:f}"
        bid = one.price("sell", -1)
        pending = one.get("trade/orders-pending")
        match step:
            case "rest":
                frames = one.operate("order", swap_order(bid, size, stpMode="cancel_both"))
            case "take":
                frames = one.operate("order", swap_order(crossing(one), size, ordType="ioc"))
            case "sell":
                low = one.price("buy", 30)
                frames = one.operate("order", swap_order(low, size, side="sell", ordType="ioc"))
            case "hit":
                one.hit("sell", one.price("buy", 5), lots)
                frames = one.wait(5)
            case "amend" if pending:
                frames = one.operate("amend-order", amend(pending[0], newSz=size))
            case "cancel" if pending:
                frames = one.operate("cancel-order", cancel(pending[-1]))
            case _:
                frames = []
        pushed += orders(frames + one.wait(150))
        one.peer.broker._check()
    fills = [row for row in pushed if row["tradeId"]]
    assert len({row["tradeId"] for row in fills}) == len(fills)
    signed = sum(Decimal(row["fillSz"]) * (1 if row["side"] == "buy" else -1) for row in fills)
    positions = one.get("account/positions")
    assert sum(Decimal(row["pos"]) for row in positions) == signed
    last = {row["ordId"]: row for row in pushed}
    for number, row in last.items():
        filled = sum(Decimal(fill["fillSz"]) for fill in fills if fill["ordId"] == number)
        (record,) = one.get("trade/order", instId=SWAP, ordId=number)
        assert (record["state"], record["accFillSz"]) == (row["state"], row["accFillSz"])
        assert Decimal(record["accFillSz"]) == filled
        one.now_ns += 100 * MS
    live = {number for number, row in last.items() if row["state"] in ("live", "partially_filled")}
    assert {row["ordId"] for row in one.get("trade/orders-pending")} == live


def test_queries_are_bounded_by_time() -> None:
    one = member()
    first = resting(one, "0.01")
    one.hit("sell", first["px"], 1)
    middle = str(one.now_ns // MS)
    one.wait(1_000)
    second = resting(one, "0.01")
    one.hit("sell", second["px"], 1)
    one.wait(5)
    for path in ("trade/fills", "trade/orders-history"):
        early = one.get(path, instType="SWAP", end=middle)
        late = one.get(path, instType="SWAP", begin=str(int(middle) + 1))
        assert [row["ordId"] for row in early] == [first["ordId"]]
        assert [row["ordId"] for row in late] == [second["ordId"]]
