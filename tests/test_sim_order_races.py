"""Races between orders and news of them, switched on at each practice venue and seen by its raw
protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from hftmm.sim.faults import FaultyPeer
from hftmm.sim.peers import LOST, HttpQuery
from tests.binance_floor import API, KEY, ORDER, Venue, hmac_hex, maker
from tests.okx_members import member, swap_order, venue
from tests.test_bybit_trading import Client


def binance() -> Venue:
    """A follower of the spot user data stream, behind a network with faults."""
    at = Venue()
    at.peer = FaultyPeer(at.peer, 0, 1)  # type: ignore[assignment]  # a peer like any other
    at.follow_spot()
    return at


def bybit() -> Client:
    """A client logged in for news on 1 and for orders on 2."""
    at = Client()
    at.peer = FaultyPeer(at.peer, 0, 1)  # type: ignore[assignment]  # a peer like any other
    at.private(1, "execution", "order")
    at.trade(2)
    at.said[2].clear()
    return at


def okx() -> Any:
    at = venue()
    at.peer = FaultyPeer(at.peer, 0, 1)  # type: ignore[assignment]  # a peer like any other
    at.login()
    at.subscribe({"channel": "orders", "instType": "ANY"})
    return at


def switch(at: Any, fault: str, amount: float | None = None) -> None:
    assert at.peer.switch(fault, at.now_ns, amount).accepted


def item(at: Client, away: int = -500) -> dict[str, object]:
    price = at.price("linear", "buy", away)
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.010",
        "price": price,
    }


def test_binance_takes_an_order_and_never_answers() -> None:
    at = binance()
    switch(at, "lost_ack", 2)
    payload = urlencode({**maker(newClientOrderId="rest"), "timestamp": at.now_ms})
    query = f"{payload}&signature={hmac_hex(payload)}"
    asked = HttpQuery("spot.rest", "POST", ORDER, query, {"X-MBX-APIKEY": KEY}, b"")
    assert at.peer.request(asked, at.now_ns).status == LOST
    params = _payload(at, maker(newClientOrderId="frame"))
    frame = msgspec.json.encode({"id": 1, "method": "order.place", "params": params})
    at.peer.received(API, frame, at.now_ns)
    told = at.heard(API)
    reports = [one["event"] for one in told if one["event"]["e"] == "executionReport"]
    assert [(one["x"], one["c"]) for one in reports] == [("NEW", "rest"), ("NEW", "frame")]


def test_binance_tells_a_fill_twice_and_late() -> None:
    at = binance()
    at.ask("POST", ORDER, maker())
    at.spot_events()
    switch(at, "duplicate_fill")
    at.someone("spot", "sell", "64000", "0.004")
    told = at.spot_events()
    assert [event["x"] for event in told] == ["TRADE", "TRADE"]
    assert told[0]["t"] == told[1]["t"]
    switch(at, "late_fill", 100)
    at.someone("spot", "sell", "64000", "0.002")
    at.run(20)
    at.ask("DELETE", "/api/v3/openOrders", {"symbol": "BTCUSDT"})
    at.run(150)
    assert [event["x"] for event in at.spot_events()] == ["CANCELED", "TRADE"]


def test_binance_fills_an_order_that_is_to_be_canceled() -> None:
    at = binance()
    placed = at.ask("POST", ORDER, maker())
    switch(at, "fill_on_cancel")
    asked = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert at.refused("DELETE", ORDER, asked) == (400, -2011)
    assert at.ask("GET", ORDER, asked)["status"] == "FILLED"


def test_bybit_takes_an_order_and_never_answers() -> None:
    at = bybit()
    switch(at, "lost_ack")
    at.say(2, reqId="r", header=_header(at), op="order.create", args=[item(at)])
    at.run(100)
    assert at.said.get(2, []) == []
    assert [row["orderStatus"] for row in at.pushed(1, "order")] == ["New"]


def test_bybit_says_that_it_does_not_know_what_became_of_an_order() -> None:
    at = bybit()
    switch(at, "unknown")
    reply = at.send(2, "order.create", item(at))
    assert (reply["reqId"], reply["retCode"]) == ("r-1", 10016)
    at.run(100)
    assert [row["orderStatus"] for row in at.pushed(1, "order")] == ["New"]


def test_bybit_tells_a_fill_before_the_answer_and_twice() -> None:
    at = bybit()
    switch(at, "late_ack", 200)
    switch(at, "duplicate_fill")
    taking = item(at) | {"price": at.price("linear", "sell", 0), "timeInForce": "IOC"}
    at.say(2, reqId="r", header=_header(at), op="order.create", args=[taking])
    at.run(100)
    fills = at.pushed(1, "execution")
    assert fills[0]["execId"] == fills[-1]["execId"]
    assert len(fills) > len({row["execId"] for row in fills})
    assert at.said.get(2, []) == []
    at.run(200)
    assert [reply["retCode"] for reply in at.said[2]] == [0]


def test_okx_takes_an_order_and_never_answers() -> None:
    at = okx()
    switch(at, "lost_ack")
    (push,) = at.operate("order", swap_order(at.price("buy", 5), clOrdId="lost"))
    assert [row["state"] for row in push["data"]] == ["live"]
    switch(at, "lost_ack")
    (push,) = at.operate("cancel-order", {"instIdCode": 10459, "clOrdId": "lost"})
    assert [row["state"] for row in push["data"]] == ["canceled"]


def test_okx_tells_a_fill_twice_and_fills_what_is_to_be_canceled() -> None:
    at = okx()
    switch(at, "duplicate_fill")
    switch(at, "fill_on_cancel")
    at.operate("order", swap_order(at.price("buy", 1), clOrdId="mine"))
    told = at.operate("cancel-order", {"instIdCode": 10459, "clOrdId": "mine"})
    trades = [row["tradeId"] for frame in told if "arg" in frame for row in frame["data"]]
    assert len(trades) > len(set(trades))
    states = [row["state"] for frame in told if "arg" in frame for row in frame["data"]]
    assert states[-1] == "filled"
    assert "canceled" not in states


def test_every_venue_keeps_its_orders_through_a_restart() -> None:
    on_okx, on_bybit, on_binance = member(), Client(), Venue()
    on_okx.operate("order", swap_order(on_okx.price("buy", 5)))
    on_bybit.rest("linear")
    on_binance.ask("POST", ORDER, maker())
    for at in (on_okx, on_bybit, on_binance):
        broker = at.peer.broker
        account = broker.accounts["practice"]
        before = broker.open_orders(account)
        assert len(before) == 1
        at.peer.restart(at.now_ns)
        assert broker.open_orders(account) == before
        broker._check()


def _header(at: Client) -> dict[str, str]:
    return {"X-BAPI-TIMESTAMP": str(at.ms), "X-BAPI-RECV-WINDOW": "5000"}


def _payload(at: Venue, params: Mapping[str, object]) -> dict[str, object]:
    """Parameters of a WebSocket API request, signed."""
    given: dict[str, object] = {**params, "apiKey": KEY, "timestamp": at.now_ms}
    text = "&".join(f"{name}={given[name]}" for name in sorted(given))
    return {**given, "signature": hmac_hex(text)}
