"""The trading side of the practice Bybit, spoken to in its own protocol: bytes in, bytes out."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hftmm.config import PracticeConfig
from hftmm.core.instrument import Kind
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.ledger import PRACTICE_KEYS, Account, Credentials
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery

MS = 1_000_000
SECOND = 1_000 * MS
HOUR = 3_600 * SECOND
START = 1_750_000_000_000_000_000
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT", "ETH/USDT:USDT", "ETH/USDT")
KEY, READ_ONLY, WITHDRAWING, ELSEWHERE = PRACTICE_KEYS
VECTORS = Credentials("simkey0001", "sim-secret-0001", "")
BOTH = ("spot", "linear")

both = pytest.mark.parametrize("category", BOTH)


def sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Client:
    """A client of the peer, its market and the time."""

    def __init__(self, seed: int = 3) -> None:
        self.market = Market(practice_specs(SYMBOLS), PracticeConfig(seed=seed), START)
        self.peer = BybitPeer(self.market, seed)
        self.now_ns = START
        self.said: dict[int, list[dict[str, Any]]] = {}
        self.cut: list[int] = []
        self.key = KEY
        self.requests = 0
        self.run(50)

    @property
    def ms(self) -> int:
        return self.now_ns // MS

    @property
    def account(self) -> Account:
        return self.peer.broker.accounts["practice"]

    def engine(self, category: str, symbol: str = "BTCUSDT") -> MatchingEngine:
        return self.market.engines["bybit", Kind(category), symbol]

    def run(self, ms: int = 30, *, step_ms: int = 5, flow: bool = False) -> None:
        """Lets time pass; without `flow` nobody else trades."""
        end = self.now_ns + ms * MS
        while self.now_ns < end:
            self.now_ns = min(end, self.now_ns + step_ms * MS)
            if flow:
                self.market.advance(self.now_ns)
            self.peer.advance(self.now_ns)
            self.drain()

    def drain(self) -> None:
        for out in self.peer.outbox:
            if isinstance(out, Close):
                self.cut.append(out.connection)
                self.peer.closed(out.connection)
            else:
                self.said.setdefault(out.connection, []).append(json.loads(out.frame))
        self.peer.outbox.clear()

    # REST

    def headers(self, payload: str, **changed: str) -> dict[str, str]:
        stamp = changed.get("timestamp", str(self.ms))
        window = changed.get("recv_window", "5000")
        signature = sign(self.key.secret, f"{stamp}{self.key.key}{window}{payload}")
        headers = {
            "X-BAPI-API-KEY": self.key.key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-SIGN": changed.get("signature", signature),
        }
        if window:
            headers["X-BAPI-RECV-WINDOW"] = window
        return headers

    def answer(self, method: str, path: str, payload: str, **changed: str) -> HttpAnswer:
        headers = self.headers(payload, **changed)
        asked = (payload, b"") if method == "GET" else ("", payload.encode())
        query = HttpQuery("rest", method, path, asked[0], headers, asked[1])
        return self.peer.request(query, self.now_ns)

    def get(self, path: str, **query: object) -> Any:
        return json.loads(self.answer("GET", path, urlencode(query)).body)

    def post(self, path: str, **body: object) -> Any:
        return json.loads(self.answer("POST", path, json.dumps(body)).body)

    def ok(self, envelope: Any) -> Any:
        assert (envelope["retCode"], envelope["retMsg"]) == (0, "OK"), envelope
        return envelope["result"]

    def create(self, category: str, **changed: object) -> Any:
        """A small order that rests well below the market, unless told otherwise."""
        order: dict[str, object] = {
            "category": category,
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.010",
            "price": self.price(category, "buy", -500),
        }
        order |= changed
        return self.post("/v5/order/create", **{k: v for k, v in order.items() if v is not None})

    def rest(self, category: str, **changed: object) -> str:
        return str(self.ok(self.create(category, **changed))["orderId"])

    def price(self, category: str, side: str, away: int) -> str:
        """Ticks from the best price of a side."""
        engine = self.engine(category)
        best = engine.best("buy" if side == "buy" else "sell")
        assert best is not None
        return engine.spec.price(best.ticks + away)

    def order(self, category: str, order_id: str) -> Any:
        answer = self.get("/v5/order/realtime", category=category, orderId=order_id)
        (row,) = self.ok(answer)["list"]
        return row

    def executions(self, category: str, **query: object) -> Any:
        return self.ok(self.get("/v5/execution/list", category=category, **query))["list"]

    def coin(self, coin: str) -> Any:
        answer = self.get("/v5/account/wallet-balance", accountType="UNIFIED", coin=coin)
        (account,) = self.ok(answer)["list"]
        (row,) = account["coin"]
        return row

    # WebSocket

    def open(self, number: int, face: str, query: str = "") -> None:
        assert self.peer.opened(number, face, f"/v5/{face}", query, self.now_ns) is None

    def say(self, number: int, **message: Any) -> None:
        self.peer.received(number, json.dumps(message).encode(), self.now_ns)

    def auth(
        self, number: int, *, ahead_ms: int = 5_000, forged: bool = False, **changed: Any
    ) -> dict[str, Any]:
        end = self.ms + ahead_ms
        signature = sign("" if forged else self.key.secret, f"GET/realtime{end}")
        self.say(number, op="auth", args=[self.key.key, end, signature], **changed)
        self.run()
        return self.said[number][-1]

    def private(self, number: int, *topics: str) -> None:
        self.open(number, "private")
        assert self.auth(number)["success"] is True
        self.say(number, op="subscribe", args=list(topics), req_id="s")
        self.run(60)
        assert self.said[number][-1]["success"] is True, self.said[number]
        self.said[number].clear()

    def trade(self, number: int) -> None:
        self.open(number, "trade")
        assert self.auth(number)["retCode"] == 0

    def send(self, number: int, op: str, *args: Mapping[str, object], **changed: Any) -> Any:
        """One order frame and what it was answered."""
        self.requests += 1
        frame: dict[str, Any] = {
            "reqId": f"r-{self.requests}",
            "header": {"X-BAPI-TIMESTAMP": str(self.ms), "X-BAPI-RECV-WINDOW": "5000"},
            "op": op,
            "args": list(args),
        }
        frame |= changed
        before = len(self.said.get(number, []))
        self.say(number, **{name: value for name, value in frame.items() if value is not None})
        self.run()
        (reply,) = self.said[number][before:]
        return reply

    def pushed(self, number: int, topic: str) -> list[dict[str, Any]]:
        """Rows of a topic, oldest first."""
        messages = [one for one in self.said.get(number, []) if one.get("topic") == topic]
        return [row for one in messages for row in one["data"]]

    def topics(self, number: int) -> list[str]:
        return [one["topic"] for one in self.said.get(number, []) if "topic" in one]


SHARED = Client()
"""For tests of many examples that leave nothing to each other but time."""


@pytest.fixture
def client() -> Client:
    return Client()


# Identity


def vectors() -> Client:
    client = Client()
    client.peer.broker.credentials[VECTORS.key] = VECTORS
    client.key = VECTORS
    client.now_ns = START
    return client


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        (
            "category=linear&symbol=BTCUSDT&limit=50",
            "5a9e24dc0389f1a178d3dd71ac058d212ceacdf7fa2b027c9b913d782472efdc",
        ),
        ("", "19ac2c693effda3663de4cf5e1d17b83bcd5677a8325bb6c39a5e6ba65394994"),
    ],
)
def test_a_query_is_signed_as_documented(payload: str, signature: str) -> None:
    path = "/v5/order/realtime" if payload else "/v5/user/query-api"
    answer = vectors().answer("GET", path, payload, timestamp="1750000000000", signature=signature)
    assert json.loads(answer.body)["retCode"] == 0


def test_a_body_is_signed_as_documented() -> None:
    body = (
        '{"category":"spot","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001",'
        '"price":"50000","timeInForce":"PostOnly","orderLinkId":"mm-1"}'
    )
    signature = "135a555f58662d99df4b250c3ef189e0e116ef8bac37240fc588fb943d8d9e78"
    answer = vectors().answer(
        "POST", "/v5/order/create", body, timestamp="1750000000000", signature=signature
    )
    # The price is outside the band of today's market; the signature is right.
    assert json.loads(answer.body)["retCode"] in {0, 170193}


def test_the_signature_is_over_the_bytes_of_the_query_as_sent(client: Client) -> None:
    for _ in range(3):
        client.rest("linear")
    first = client.ok(
        client.get("/v5/order/realtime", category="linear", symbol="BTCUSDT", limit=2)
    )
    cursor = first["nextPageCursor"]
    assert "%" in cursor
    query = f"category=linear&symbol=BTCUSDT&limit=2&cursor={cursor}"
    envelope = json.loads(client.answer("GET", "/v5/order/realtime", query).body)
    assert len(client.ok(envelope)["list"]) == 1
    headers = client.headers(query)
    changed = HttpQuery("rest", "GET", "/v5/order/realtime", unquote(query), headers, b"")
    assert json.loads(client.peer.request(changed, client.now_ns).body)["retCode"] == 10004


def test_a_wrong_signature_an_unknown_key_and_no_key_at_all_are_told_apart(client: Client) -> None:
    wrong = client.answer("GET", "/v5/account/info", "", signature="00")
    assert json.loads(wrong.body)["retCode"] == 10004
    client.key = Credentials("nobody", "practice-secret", "")
    assert client.get("/v5/account/info")["retCode"] == 10003
    bare = HttpQuery("rest", "GET", "/v5/account/info", "", {}, b"")
    answer = client.peer.request(bare, client.now_ns)
    assert (answer.status, json.loads(answer.body)["retCode"]) == (401, 10001)


def test_a_key_bound_to_another_address_is_refused(client: Client) -> None:
    client.key = ELSEWHERE
    assert client.get("/v5/account/info")["retCode"] == 10010


def test_a_key_that_only_reads_cannot_trade(client: Client) -> None:
    client.key = READ_ONLY
    assert client.create("spot")["retCode"] == 10005
    assert client.post("/v5/order/cancel-all", category="spot")["retCode"] == 10005
    assert client.get("/v5/account/info")["retCode"] == 0


@pytest.mark.parametrize(
    ("offset_ms", "window", "code"),
    [
        (0, "", 0),
        (-5_000, "", 0),
        (-5_001, "", 10002),
        (-5_001, "6000", 0),
        (-101, "100", 10002),
        (999, "5000", 0),
        (1_000, "60000", 10002),
    ],
)
def test_a_stamp_must_lie_within_the_window_and_not_a_second_ahead(
    client: Client, offset_ms: int, window: str, code: int
) -> None:
    stamp = str(client.ms + offset_ms)
    answer = client.answer("GET", "/v5/account/info", "", timestamp=stamp, recv_window=window)
    assert json.loads(answer.body)["retCode"] == code


def test_time_is_judged_by_the_clock_of_the_venue(client: Client) -> None:
    client.peer.skew_ns = 5 * SECOND
    assert client.get("/v5/account/info")["retCode"] == 0
    client.peer.skew_ns = 6 * SECOND
    assert client.get("/v5/account/info")["retCode"] == 10002
    client.peer.skew_ns = -SECOND
    assert client.get("/v5/account/info")["retCode"] == 10002


def test_a_query_with_a_body_and_an_unknown_path_are_refused(client: Client) -> None:
    headers = client.headers("")
    query = HttpQuery("rest", "GET", "/v5/account/info", "", headers, b"{}")
    assert client.peer.request(query, client.now_ns).status == 403
    assert client.answer("GET", "/v5/account/withdraw", "").status == 404
    assert client.answer("GET", "/v5/order/create", "").status == 400


@pytest.mark.parametrize("body", ["", "[]", "null", '{"category":', '"text"', '{"category":"x"}'])
def test_a_body_that_is_no_order_is_a_parameter_error(client: Client, body: str) -> None:
    answer = client.answer("POST", "/v5/order/create", body)
    assert (answer.status, json.loads(answer.body)["retCode"]) == (200, 10001)


def test_a_private_socket_says_why_a_login_failed_only_roughly(client: Client) -> None:
    client.open(1, "private")
    late = client.auth(1, ahead_ms=0)
    assert (late["success"], late["ret_msg"], late["op"]) == (False, "Params Error", "auth")
    assert client.auth(1, forged=True)["success"] is False
    welcome = client.auth(1, req_id="a-1")
    assert (welcome["success"], welcome["ret_msg"], welcome["req_id"]) == (True, "", "a-1")


def test_the_documented_login_signature_is_accepted() -> None:
    client = vectors()
    client.open(1, "private")
    signature = "a3be5b7655b8e2b4042b6d4d5c264ffbe3238dda674f502fa382b1f473be8e1b"
    client.say(1, op="auth", args=["simkey0001", 1750000010000, signature])
    client.run()
    assert client.said[1][-1]["success"] is True


def test_a_trade_socket_answers_a_login_with_a_code(client: Client) -> None:
    client.open(1, "trade")
    assert client.auth(1, forged=True)["retCode"] == 10004
    assert client.auth(1, ahead_ms=-1)["retCode"] == 10001
    welcome = client.auth(1, reqId="a-1")
    assert (welcome["retCode"], welcome["op"], welcome["reqId"]) == (0, "auth", "a-1")
    assert client.auth(1)["retCode"] == 20001


def test_nothing_private_is_said_before_the_login(client: Client) -> None:
    client.open(1, "private")
    client.say(1, op="subscribe", args=["order"])
    client.open(2, "trade")
    client.run(60)
    assert client.said[1][-1]["success"] is False
    client.rest("linear")
    client.run()
    assert client.topics(1) == []
    refused = client.send(2, "order.create", {"category": "linear"})
    assert refused["retCode"] == 10001


# Heartbeat


def test_each_private_face_has_a_pong_of_its_own(client: Client) -> None:
    client.open(1, "private")
    client.open(2, "trade")
    client.say(1, op="ping", req_id="p")
    client.say(2, op="ping")
    client.run()
    private, trade = client.said[1][-1], client.said[2][-1]
    assert (private["op"], private["req_id"]) == ("pong", "p")
    assert private["args"][0].isdigit()
    assert (trade["op"], trade["retCode"], trade["retMsg"]) == ("pong", 0, "OK")
    assert trade["data"][0].isdigit()


@pytest.mark.parametrize(
    ("query", "alive_s", "dead_s"),
    [
        ("", 599, 631),
        ("max_active_time=1m", 59, 91),
        ("max_active_time=30s", 29, 61),
        ("max_active_time=29s", 599, 631),
        ("max_active_time=11m", 599, 631),
    ],
)
@pytest.mark.parametrize("face", ["private", "trade"])
def test_an_idle_connection_is_cut_after_its_active_time_and_a_scan(
    client: Client, face: str, query: str, alive_s: int, dead_s: int
) -> None:
    client.open(1, face, query)
    client.run(alive_s * 1000, step_ms=1000)
    assert client.cut == []
    client.run((dead_s - alive_s) * 1000, step_ms=1000)
    assert client.cut == [1]


# Creating


@both
def test_an_order_is_acknowledged_with_its_ids_and_nothing_else(
    client: Client, category: str
) -> None:
    result = client.ok(client.create(category, orderLinkId="mm-1"))
    assert set(result) == {"orderId", "orderLinkId"}
    assert result["orderLinkId"] == "mm-1"


def test_ids_are_uuids_on_linear_and_numbers_on_spot(client: Client) -> None:
    linear, spot = client.ok(client.create("linear")), client.ok(client.create("spot"))
    assert [len(part) for part in linear["orderId"].split("-")] == [8, 4, 4, 4, 12]
    assert linear["orderLinkId"] == ""
    assert spot["orderId"].isdigit()
    assert len(spot["orderId"]) == 19
    assert spot["orderLinkId"].isdigit()


@both
def test_a_resting_order_can_be_read_back_by_either_id(client: Client, category: str) -> None:
    order_id = client.rest(category, orderLinkId="mm-1", timeInForce="PostOnly")
    row = client.order(category, order_id)
    query = {"category": category, "symbol": "BTCUSDT", "orderLinkId": "mm-1"}
    (by_link,) = client.ok(client.get("/v5/order/realtime", **query))["list"]
    assert row == by_link
    expected = {
        "orderStatus": "New",
        "side": "Buy",
        "orderType": "Limit",
        "timeInForce": "PostOnly",
        "qty": "0.01",
        "leavesQty": "0.01",
        "cumExecQty": "0",
        "cumFeeDetail": {},
        "rejectReason": "EC_NoError",
        "positionIdx": 0,
    }
    assert {name: row[name] for name in expected} == expected
    assert ("tpslMode" in row) == (category == "linear")
    assert ("createType" in row) == (category == "linear")


REFUSALS: list[tuple[dict[str, object], int, int]] = [
    ({"symbol": "NOPEUSDT"}, 10001, 170121),
    ({"side": "buy"}, 10001, 170117),
    ({"orderType": "Stop"}, 10001, 170116),
    ({"timeInForce": "GTD"}, 10001, 170115),
    ({"timeInForce": "RPI"}, 110119, 170355),
    ({"qty": None}, 10001, 170130),
    ({"qty": 0.01}, 10001, 170130),
    ({"qty": "-1"}, 10001, 170130),
    ({"qty": "1e3"}, 10001, 170130),
    ({"price": None}, 10001, 170130),
    ({"price": "NaN"}, 10001, 170130),
    ({"price": "60000.05"}, 10001, 170134),
    ({"qty": "0.0100001"}, 10001, 170137),
    ({"qty": "0.001", "price": "0.1"}, 110094, 170140),
    ({"qty": "2000000"}, 10001, 170124),
    ({"qty": "500"}, 110007, 170131),
    ({"orderLinkId": "x" * 37}, 10001, 170130),
    ({"orderLinkId": "a b"}, 10001, 170130),
    ({"smpType": "CancelAll"}, 10001, 10001),
    ({"triggerPrice": "1"}, 10001, 10001),
]


@pytest.mark.parametrize(("changed", "linear", "spot"), REFUSALS)
def test_what_is_refused_has_a_code_of_its_category(
    client: Client, changed: dict[str, object], linear: int, spot: int
) -> None:
    assert client.create("linear", **changed)["retCode"] == linear
    assert client.create("spot", **changed)["retCode"] == spot
    assert client.account.open == {}


@pytest.mark.parametrize("category", ["inverse", "option", "swap", ""])
def test_only_spot_and_linear_take_orders(client: Client, category: str) -> None:
    order = item(client) | {"category": category}
    assert client.post("/v5/order/create", **order)["retCode"] == 10001
    assert client.post("/v5/order/cancel-all", category=category)["retCode"] == 10001


@both
def test_a_client_id_names_one_order_for_ever(client: Client, category: str) -> None:
    code = {"linear": 110072, "spot": 170141}[category]
    order_id = client.rest(category, orderLinkId="mm-1")
    assert client.create(category, orderLinkId="mm-1")["retCode"] == code
    client.ok(
        client.post("/v5/order/cancel", category=category, symbol="BTCUSDT", orderId=order_id)
    )
    assert client.create(category, orderLinkId="mm-1")["retCode"] == code


def test_spot_refuses_a_price_outside_the_band(client: Client) -> None:
    bid, ask = client.price("spot", "buy", 0), client.price("spot", "sell", 0)
    high, low = (f"{Decimal(ask) * Decimal('1.2'):.1f}", f"{Decimal(bid) * Decimal('0.8'):.1f}")
    assert client.create("spot", price=high, qty="0.001")["retCode"] == 170193
    assert client.create("spot", side="Sell", price=low, qty="0.001")["retCode"] == 170194
    # A bid far below is only far away.
    assert client.create("spot", price=low, qty="0.001")["retCode"] == 0


def test_linear_moves_a_price_into_the_band_unless_told_to_refuse_it(client: Client) -> None:
    low = f"{Decimal(client.price('linear', 'buy', 0)) * Decimal('0.8'):.1f}"
    sell = {"side": "Sell", "price": low, "timeInForce": "PostOnly"}
    row = client.order("linear", client.rest("linear", **sell))
    mark = client.peer.broker.mark(client.engine("linear").spec)
    assert Decimal(row["price"]) >= mark * Decimal("0.95")
    config = client.ok(client.get("/v5/account/user-setting-config"))
    assert (config["lpaSpot"], config["lpaPerp"]) == (False, False)
    body = {"category": "linear", "modifyEnable": False}
    client.ok(client.post("/v5/account/set-limit-px-action", **body))
    assert client.ok(client.get("/v5/account/user-setting-config"))["lpaPerp"] is True
    assert client.create("linear", **sell)["retCode"] == 110003


@both
def test_the_price_limit_is_where_orders_begin_to_be_refused(client: Client, category: str) -> None:
    body = {"category": category, "modifyEnable": False}
    client.ok(client.post("/v5/account/set-limit-px-action", **body))
    limit = client.ok(client.get("/v5/market/price-limit", category=category, symbol="BTCUSDT"))
    spec = client.engine(category).spec
    beyond = f"{Decimal(limit['buyLmt']) + spec.tick}"
    tight = {"timeInForce": "IOC", "qty": "0.001"}
    assert client.create(category, price=beyond, **tight)["retCode"] in {110003, 170193}
    assert client.create(category, price=limit["buyLmt"], **tight)["retCode"] == 0
    beyond = f"{Decimal(limit['sellLmt']) - spec.tick}"
    sell = tight | {"side": "Sell"}
    assert client.create(category, price=beyond, **sell)["retCode"] in {110003, 170194}
    assert client.create(category, price=limit["sellLmt"], **sell)["retCode"] == 0


# Post-only, IOC, FOK, market


@both
def test_a_post_only_order_that_would_cross_is_accepted_and_then_canceled(
    client: Client, category: str
) -> None:
    client.private(1, "order")
    crossing = client.price(category, "sell", 0)
    order_id = client.rest(category, price=crossing, timeInForce="PostOnly")
    client.run()
    (row,) = client.pushed(1, "order")
    assert (row["orderId"], row["orderStatus"]) == (order_id, "Cancelled")
    assert row["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    assert client.executions(category) == []


@both
def test_what_an_ioc_order_cannot_take_is_canceled(client: Client, category: str) -> None:
    client.private(1, "order")
    client.rest(category, timeInForce="IOC")
    client.run()
    (row,) = client.pushed(1, "order")
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_NoImmediateQtyToFill")
    best = client.engine(category).best("sell")
    assert best is not None
    size = client.engine(category).spec.size(best.lots + 1)
    client.rest(category, timeInForce="IOC", price=client.price(category, "sell", 0), qty=size)
    client.run()
    row = client.pushed(1, "order")[-1]
    half = "PartiallyFilledCanceled" if category == "spot" else "Cancelled"
    assert row["orderStatus"] == half
    assert row["cumExecQty"] == client.engine(category).spec.size(best.lots)
    assert row["leavesQty"] == "0"


@both
def test_a_fok_order_fills_all_or_nothing(client: Client, category: str) -> None:
    best = client.engine(category).best("sell")
    assert best is not None
    spec, price = client.engine(category).spec, client.price(category, "sell", 0)
    fok = {"timeInForce": "FOK", "price": price}
    missed = client.order(category, client.rest(category, qty=spec.size(best.lots + 1), **fok))
    assert (missed["orderStatus"], missed["cumExecQty"]) == ("Cancelled", "0")
    assert missed["rejectReason"] == "EC_NoEnoughQtyToFill"
    hit = client.order(category, client.rest(category, qty=spec.size(best.lots), **fok))
    assert (hit["orderStatus"], hit["avgPrice"]) == ("Filled", str(Decimal(price).normalize()))


def test_a_market_order_on_linear_is_an_ioc_at_the_end_of_the_band(client: Client) -> None:
    order_id = client.rest("linear", orderType="Market", price=None)
    row = client.order("linear", order_id)
    assert (row["orderType"], row["timeInForce"], row["orderStatus"]) == ("Market", "IOC", "Filled")
    assert Decimal(row["price"]) > Decimal(row["avgPrice"])


def test_a_market_buy_on_spot_spends_an_amount_and_leaves_dust(client: Client) -> None:
    order_id = client.rest("spot", orderType="Market", price=None, qty="1000")
    row = client.order("spot", order_id)
    assert (row["orderStatus"], row["qty"], row["marketUnit"]) == (
        "PartiallyFilledCanceled",
        "1000",
        "quoteCoin",
    )
    spent = Decimal(row["cumExecValue"])
    assert Decimal(999) < spent < Decimal(1000)


def test_a_market_order_on_spot_counts_coins_if_it_says_so(client: Client) -> None:
    market = {"orderType": "Market", "price": None, "qty": "0.01"}
    bought = client.rest("spot", marketUnit="baseCoin", **market)
    sold = client.rest("spot", side="Sell", **market)
    assert [client.order("spot", one)["cumExecQty"] for one in (bought, sold)] == ["0.01", "0.01"]
    worth = {"side": "Sell", "marketUnit": "quoteCoin", "qty": "1000"}
    row = client.order("spot", client.rest("spot", **(market | worth)))
    assert Decimal(990) < Decimal(row["cumExecValue"]) <= Decimal(1000)


def test_a_market_order_takes_no_worse_than_its_slippage_tolerance(client: Client) -> None:
    best = client.engine("linear").best("sell")
    assert best is not None
    tolerance = {"slippageToleranceType": "TickSize", "slippageTolerance": "1"}
    order_id = client.rest("linear", orderType="Market", price=None, qty="50", **tolerance)
    worst = max(Decimal(row["execPrice"]) for row in client.executions("linear", orderId=order_id))
    assert worst <= client.engine("linear").spec.tick * (best.ticks + 1)
    wrong = tolerance | {"slippageTolerance": "0.5"}
    assert client.create("linear", orderType="Market", price=None, **wrong)["retCode"] == 10001


# Canceling and amending


@both
def test_a_cancel_is_acknowledged_and_then_told(client: Client, category: str) -> None:
    client.private(1, "order")
    order_id = client.rest(category, orderLinkId="mm-1")
    body = {"category": category, "symbol": "BTCUSDT", "orderLinkId": "mm-1"}
    assert client.ok(client.post("/v5/order/cancel", **body))["orderId"] == order_id
    client.run()
    statuses = [(row["orderStatus"], row["cancelType"]) for row in client.pushed(1, "order")]
    assert statuses == [("New", "UNKNOWN"), ("Cancelled", "CancelByUser")]
    again = client.post("/v5/order/cancel", **body)["retCode"]
    assert again == {"linear": 110001, "spot": 170213}[category]


@both
@pytest.mark.parametrize("unknown", ["0b7b1700-0000-4000-8000-0000000000ff", "x", "7" * 19])
def test_an_unknown_order_can_be_neither_canceled_nor_amended(
    client: Client, category: str, unknown: str
) -> None:
    code = {"linear": 110001, "spot": 170213}[category]
    body = {"category": category, "symbol": "BTCUSDT", "orderId": unknown}
    assert client.post("/v5/order/cancel", **body)["retCode"] == code
    assert client.post("/v5/order/amend", qty="1", **body)["retCode"] == code


@both
def test_a_partly_filled_order_keeps_its_fills_when_canceled(client: Client, category: str) -> None:
    best = client.engine(category).best("sell")
    assert best is not None
    spec, price = client.engine(category).spec, client.price(category, "sell", 0)
    order_id = client.rest(category, price=price, qty=spec.size(best.lots + 20_000))
    assert client.order(category, order_id)["orderStatus"] == "PartiallyFilled"
    client.ok(
        client.post("/v5/order/cancel", category=category, symbol="BTCUSDT", orderId=order_id)
    )
    row = client.order(category, order_id)
    ended = {"linear": "Cancelled", "spot": "PartiallyFilledCanceled"}[category]
    assert (row["orderStatus"], row["cumExecQty"]) == (ended, spec.size(best.lots))


@both
def test_an_order_that_filled_as_its_cancel_came_is_told_filled_twice(
    client: Client, category: str
) -> None:
    client.private(1, "order")
    taking = {"price": client.price(category, "sell", 0), "timeInForce": "IOC", "qty": "0.001"}
    order_id = client.rest(category, **taking)
    body = {"category": category, "symbol": "BTCUSDT", "orderId": order_id}
    client.ok(client.post("/v5/order/cancel", **body))
    client.run()
    rows = client.pushed(1, "order")
    assert [(row["orderStatus"], row["cancelType"], row["rejectReason"]) for row in rows] == [
        ("Filled", "UNKNOWN", "EC_NoError"),
        ("Filled", "CancelByUser", "EC_OrigClOrdIDDoesNotExist"),
    ]
    assert len(client.executions(category)) == 1
    assert client.post("/v5/order/cancel", **body)["retCode"] in {110001, 170213}


@both
def test_a_fill_a_moment_before_its_cancel_is_no_refusal(client: Client, category: str) -> None:
    client.private(1, "order", "execution")
    order_id = client.rest(category)
    client.peer.broker.fill_before_cancel = 1
    body = {"category": category, "symbol": "BTCUSDT", "orderId": order_id}
    assert client.ok(client.post("/v5/order/cancel", **body))["orderId"] == order_id
    client.run()
    statuses = [row["orderStatus"] for row in client.pushed(1, "order")]
    assert statuses == ["New", "Filled", "Filled"]
    assert [row["execQty"] for row in client.pushed(1, "execution")] == ["0.01"]


@both
def test_an_amended_order_keeps_its_id_and_status(client: Client, category: str) -> None:
    client.private(1, "order")
    order_id = client.rest(category)
    body = {"category": category, "symbol": "BTCUSDT", "orderId": order_id}
    price = client.price(category, "buy", -400)
    assert client.ok(client.post("/v5/order/amend", price=price, **body))["orderId"] == order_id
    client.ok(client.post("/v5/order/amend", qty="0.005", **body))
    client.run()
    rows = client.pushed(1, "order")
    assert [row["orderStatus"] for row in rows] == ["New"] * 3
    assert [row["qty"] for row in rows] == ["0.01", "0.01", "0.005"]
    assert rows[-1]["price"] == price
    assert client.post("/v5/order/amend", qty="0.005", **body)["retCode"] == 10001


@both
def test_a_quantity_not_above_what_filled_is_refused(client: Client, category: str) -> None:
    best = client.engine(category).best("sell")
    assert best is not None
    spec, price = client.engine(category).spec, client.price(category, "sell", 0)
    order_id = client.rest(category, price=price, qty=spec.size(best.lots + 20_000))
    body = {"category": category, "symbol": "BTCUSDT", "orderId": order_id}
    refused = client.post("/v5/order/amend", qty=spec.size(best.lots), **body)
    assert refused["retCode"] == {"linear": 110064, "spot": 170313}[category]


def test_a_shrunk_order_keeps_its_place_and_a_moved_one_loses_it(client: Client) -> None:
    price = client.price("linear", "buy", -500)
    first = client.rest("linear", price=price, qty="0.020")
    client.rest("linear", price=price)
    body = {"category": "linear", "symbol": "BTCUSDT", "orderId": first}
    order = next(one for one in client.account.open.values() if one.lots == 20)
    client.ok(client.post("/v5/order/amend", qty="0.015", **body))
    assert client.peer.broker.queue_ahead(order) == 0
    client.ok(client.post("/v5/order/amend", qty="0.030", **body))
    assert client.peer.broker.queue_ahead(order) == 10


def test_cancel_all_wants_a_scope_on_linear(client: Client) -> None:
    client.rest("linear")
    assert client.post("/v5/order/cancel-all", category="linear")["retCode"] == 10001
    for scope, count in (("symbol", 1), ("baseCoin", 1), ("settleCoin", 1)):
        value = {"symbol": "BTCUSDT", "baseCoin": "BTC", "settleCoin": "USDT"}[scope]
        client.rest("spot")
        result = client.ok(client.post("/v5/order/cancel-all", category="linear", **{scope: value}))
        assert (len(result["list"]), result["success"]) == (count, "1")
        client.rest("linear")
    spot = client.ok(client.post("/v5/order/cancel-all", category="spot"))
    assert len(spot["list"]) == 3


# Batches


def batch(client: Client, *orders: dict[str, object], category: str = "linear") -> Any:
    return client.post("/v5/order/create-batch", category=category, request=list(orders))


def item(client: Client, category: str = "linear", **changed: object) -> dict[str, object]:
    return {
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.010",
        "price": client.price(category, "buy", -500),
    } | changed


def test_a_batch_answers_with_two_lists_in_the_order_asked(client: Client) -> None:
    good, bad = item(client, orderLinkId="mm-1"), item(client, qty="9.99999", orderLinkId="mm-2")
    envelope = batch(client, good, bad, item(client, orderLinkId="mm-3"))
    rows, codes = envelope["result"]["list"], envelope["retExtInfo"]["list"]
    assert envelope["retCode"] == 0
    assert [row["orderLinkId"] for row in rows] == ["mm-1", "mm-2", "mm-3"]
    assert [bool(row["orderId"]) for row in rows] == [True, False, True]
    assert [row["createAt"] for row in rows] == [str(client.ms), "", str(client.ms)]
    assert [code["code"] for code in codes] == [0, 10001, 0]
    cancel = [{"symbol": "BTCUSDT", "orderId": row["orderId"]} for row in rows if row["orderId"]]
    cancel.append({"symbol": "BTCUSDT", "orderLinkId": "mm-2"})
    envelope = client.post("/v5/order/cancel-batch", category="linear", request=cancel)
    assert [code["code"] for code in envelope["retExtInfo"]["list"]] == [0, 0, 110001]
    assert client.account.open == {}


def test_orders_are_amended_in_a_batch(client: Client) -> None:
    ids = [client.rest("spot") for _ in range(2)]
    wanted = [{"symbol": "BTCUSDT", "orderId": one, "qty": "0.004"} for one in ids]
    envelope = client.post("/v5/order/amend-batch", category="spot", request=wanted)
    assert [code["code"] for code in envelope["retExtInfo"]["list"]] == [0, 0]
    assert [client.order("spot", one)["qty"] for one in ids] == ["0.004", "0.004"]


@pytest.mark.parametrize(("category", "most"), [("linear", 20), ("spot", 10)])
def test_a_batch_has_a_largest_size(client: Client, category: str, most: int) -> None:
    orders = [item(client, category) for _ in range(most + 1)]
    assert batch(client, *orders, category=category)["retCode"] == 10001
    assert batch(client, category=category)["retCode"] == 10001


def test_what_a_batch_asks_beyond_the_rate_limit_fails_alone(client: Client) -> None:
    envelope = batch(client, *(item(client) for _ in range(12)))
    codes = [code["code"] for code in envelope["retExtInfo"]["list"]]
    assert codes == [0] * 10 + [10006] * 2
    assert [row["orderId"] for row in envelope["result"]["list"]][10:] == ["", ""]


# Rate limits


def test_requests_of_an_account_are_counted_by_endpoint_and_second(client: Client) -> None:
    body = json.dumps(item(client) | {"category": "linear"})
    answers = [client.answer("POST", "/v5/order/create", body) for _ in range(11)]
    left = [answer.headers["X-Bapi-Limit-Status"] for answer in answers]
    assert left == [str(n) for n in range(9, -1, -1)] + ["0"]
    codes = [json.loads(answer.body)["retCode"] for answer in answers]
    assert codes == [0] * 10 + [10006]
    reset_ms = int(answers[-1].headers["X-Bapi-Limit-Reset-Timestamp"])
    assert reset_ms == client.ms + 1000
    assert client.create("spot")["retCode"] == 0
    client.run(1000)
    assert client.create("linear")["retCode"] == 0


@pytest.mark.parametrize(
    ("endpoint", "linear", "spot"),
    [
        ("create", 10, 20),
        ("amend", 10, 10),
        ("cancel", 10, 20),
        ("cancel-all", 10, 20),
        ("create-batch", 10, 20),
        ("amend-batch", 10, 20),
        ("cancel-batch", 10, 20),
    ],
)
def test_each_endpoint_has_its_limit_by_category(
    client: Client, endpoint: str, linear: int, spot: int
) -> None:
    for category, limit in (("linear", linear), ("spot", spot)):
        body = item(client) | {"category": category, "orderId": "x", "request": [{}]}
        answer = client.answer("POST", f"/v5/order/{endpoint}", json.dumps(body))
        assert answer.headers["X-Bapi-Limit"] == str(limit)
        assert answer.headers["X-Bapi-Limit-Status"] == str(limit - 1)


def test_rest_and_the_trade_socket_share_a_limit(client: Client) -> None:
    client.trade(1)
    for _ in range(10):
        client.rest("linear")
    refused = client.send(1, "order.create", item(client) | {"category": "linear"})
    assert (refused["retCode"], refused["header"]["X-Bapi-Limit-Status"]) == (10006, "0")


def test_an_address_that_asks_too_often_gets_403_also_on_private_paths(client: Client) -> None:
    bare = HttpQuery("rest", "GET", "/v5/market/time", "", {}, b"")
    for _ in range(600):
        client.peer.request(bare, client.now_ns)
    assert client.answer("GET", "/v5/account/info", "").status == 403
    client.now_ns += 5 * SECOND
    assert client.answer("GET", "/v5/account/info", "").status == 200


# The trade socket


def test_an_order_by_websocket_is_acknowledged_with_limit_headers(client: Client) -> None:
    client.trade(1)
    order = item(client, orderLinkId="mm-17") | {"category": "linear"}
    reply = client.send(1, "order.create", order, reqId="r-17")
    assert (reply["reqId"], reply["retCode"], reply["op"]) == ("r-17", 0, "order.create")
    assert reply["data"]["orderLinkId"] == "mm-17"
    assert set(reply["header"]) == {
        "X-Bapi-Limit",
        "X-Bapi-Limit-Status",
        "X-Bapi-Limit-Reset-Timestamp",
        "Traceid",
        "Timenow",
    }
    named = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "mm-17"}
    assert client.send(1, "order.amend", named | {"qty": "0.004"})["retCode"] == 0
    assert client.send(1, "order.cancel", named)["retCode"] == 0
    missing = client.send(1, "order.cancel", named)
    assert (missing["retCode"], missing["data"]) == (110001, {})


def test_batches_go_over_the_trade_socket_too(client: Client) -> None:
    client.trade(1)
    body = {"category": "spot", "request": [item(client, "spot"), item(client, "spot", qty="0")]}
    reply = client.send(1, "order.create-batch", body)
    assert [code["code"] for code in reply["retExtInfo"]["list"]] == [0, 170130]
    order_id = reply["data"]["list"][0]["orderId"]
    body = {"category": "spot", "request": [{"symbol": "BTCUSDT", "orderId": order_id}]}
    assert client.send(1, "order.cancel-batch", body)["retExtInfo"]["list"] == [
        {"code": 0, "msg": "OK"}
    ]


def test_a_request_without_a_number_is_answered_without_one(client: Client) -> None:
    client.trade(1)
    reply = client.send(1, "order.create", item(client) | {"category": "linear"}, reqId=None)
    assert reply["retCode"] == 0
    assert "reqId" not in reply


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"op": "order.query"}, 10404),
        ({"args": [{"category": "swap"}]}, 10404),
        ({"args": []}, 10001),
        ({"reqId": "x" * 37}, 10001),
        ({"header": {}}, 10001),
        ({"header": {"X-BAPI-TIMESTAMP": str(START // MS - 60_000)}}, 10002),
        ({"header": {"X-BAPI-TIMESTAMP": START // MS + 60_000}}, 10002),
    ],
)
def test_the_trade_socket_refuses_malformed_requests(
    client: Client, changed: dict[str, Any], code: int
) -> None:
    client.trade(1)
    order = item(client) | {"category": "linear"}
    op = changed.pop("op", "order.create")
    reply = client.send(1, op, order, **changed)
    assert reply["retCode"] == code
    assert client.account.open == {}


def test_a_request_number_may_not_come_twice(client: Client) -> None:
    client.trade(1)
    order = item(client) | {"category": "linear"}
    assert client.send(1, "order.create", order, reqId="r-1")["retCode"] == 0
    assert client.send(1, "order.create", order, reqId="r-1")["retCode"] == 20006
    assert len(client.account.open) == 1


def test_an_answer_takes_some_milliseconds(client: Client) -> None:
    client.trade(1)
    before = len(client.said[1])
    client.say(1, op="ping")
    client.run(8, step_ms=1)
    assert len(client.said[1]) == before
    client.run(6, step_ms=1)
    assert len(client.said[1]) == before + 1


def test_a_subscription_is_answered_later_and_nothing_overtakes_it(client: Client) -> None:
    client.open(1, "private")
    client.auth(1)
    client.open(2, "private")
    client.auth(2)
    client.say(1, op="subscribe", args=["order"])
    client.say(1, op="ping")
    client.say(2, op="ping")
    client.run(40)
    assert [client.said[n][-1]["op"] for n in (1, 2)] == ["auth", "pong"]
    client.run(20)
    assert [one["op"] for one in client.said[1]] == ["auth", "subscribe", "pong"]


@pytest.mark.parametrize("first", [True, False])
def test_the_stream_may_be_ahead_of_the_acknowledgement(client: Client, first: bool) -> None:
    client.private(1, "order")
    client.trade(2)
    client.peer.acks_first = first
    said: list[int] = []
    client.say(
        2,
        op="order.create",
        header={"X-BAPI-TIMESTAMP": str(client.ms)},
        args=[item(client) | {"category": "linear"}],
    )
    client.now_ns += 20 * MS
    client.peer.advance(client.now_ns)
    said = [out.connection for out in client.peer.outbox]
    assert said == ([2, 1] if first else [1, 2])


# Private streams


def test_a_fill_tells_of_execution_order_position_and_wallet(client: Client) -> None:
    client.private(1, "order", "execution", "execution.fast", "position", "wallet")
    taking = {"price": client.price("linear", "sell", 0), "timeInForce": "IOC", "qty": "0.002"}
    order_id = client.rest("linear", orderLinkId="mm-1", **taking)
    client.run()
    assert client.topics(1) == ["execution.fast", "execution", "order", "position", "wallet"]
    (fill,), (order,) = client.pushed(1, "execution"), client.pushed(1, "order")
    (fast,), (position,) = client.pushed(1, "execution.fast"), client.pushed(1, "position")
    assert (fill["orderId"], fill["orderLinkId"], fill["execType"]) == (order_id, "mm-1", "Trade")
    assert (fill["isMaker"], fill["feeCurrency"], fill["feeRate"]) == (False, "USDT", "0.00055")
    value = Decimal(fill["execPrice"]) * Decimal(fill["execQty"])
    assert Decimal(fill["execFee"]) == value * Decimal("0.00055")
    assert order["orderStatus"] == "Filled"
    assert order["cumFeeDetail"] == {"USDT": fill["execFee"]}
    assert (fast["execId"], fast["orderLinkId"]) == (fill["execId"], "mm-1")
    assert (position["side"], position["size"]) == ("Buy", "0.002")
    assert Decimal(position["entryPrice"]) == Decimal(fill["execPrice"])
    assert position["seq"] == fill["seq"] == fast["seq"]


def test_orders_may_be_pushed_before_their_fills(client: Client) -> None:
    client.private(1, "order", "execution")
    client.peer.private.executions_first = False
    taking = {"price": client.price("spot", "sell", 0), "timeInForce": "IOC", "qty": "0.001"}
    client.rest("spot", **taking)
    client.run()
    assert client.topics(1) == ["order", "execution"]


def test_a_maker_fill_has_no_client_id_on_the_fast_topic(client: Client) -> None:
    client.private(1, "execution", "execution.fast", "order")
    engine = client.engine("linear")
    price = client.price("linear", "buy", 1)
    client.rest("linear", price=price, timeInForce="PostOnly", orderLinkId="mm-1")
    best = engine.best("buy")
    assert best is not None
    engine.place("sell", best.ticks, 4, client.now_ns, immediate=True)
    client.run()
    (fill,), (fast,) = client.pushed(1, "execution"), client.pushed(1, "execution.fast")
    assert (fill["isMaker"], fill["orderLinkId"], fill["leavesQty"]) == (True, "mm-1", "0.006")
    assert (fast["isMaker"], fast["orderLinkId"]) == (True, "")
    assert fill["feeRate"] == "0.0002"
    assert client.pushed(1, "order")[-1]["orderStatus"] == "PartiallyFilled"


def test_spot_fees_are_paid_in_what_was_received(client: Client) -> None:
    taking = {"timeInForce": "IOC", "qty": "0.001"}
    client.rest("spot", price=client.price("spot", "sell", 0), **taking)
    client.rest("spot", side="Sell", price=client.price("spot", "buy", 0), **taking)
    sold, bought = client.executions("spot")
    assert (bought["feeCurrency"], bought["execFee"]) == ("BTC", "0.000001")
    assert sold["feeCurrency"] == "USDT"
    assert Decimal(sold["execFee"]) == Decimal(sold["execValue"]) * Decimal("0.001")
    assert client.coin("BTC")["walletBalance"] == "19.999999"


def test_topics_come_whole_or_by_category_but_not_both_in_one_request(client: Client) -> None:
    client.private(1, "order.spot", "execution.linear")
    client.open(2, "private")
    client.auth(2)
    for args in (["order", "order.spot"], ["position.spot"], ["trades"]):
        client.say(2, op="subscribe", args=args)
        client.run(60)
        assert client.said[2][-1]["success"] is False
    client.rest("linear")
    spot = client.rest("spot")
    client.run()
    assert [row["orderId"] for row in client.pushed(1, "order.spot")] == [spot]
    assert client.topics(1) == ["order.spot"]


def test_a_subscription_begins_with_nothing_and_ends_when_asked(client: Client) -> None:
    client.rest("linear")
    client.run()
    client.private(1, "order", "position", "wallet")
    client.run(1000)
    assert client.topics(1) == []
    client.say(1, op="unsubscribe", args=["order", "position", "wallet"])
    client.run()
    client.rest("linear")
    client.run()
    assert client.topics(1) == []


def test_the_position_is_pushed_with_every_change_of_an_order(client: Client) -> None:
    client.private(1, "position")
    order_id = client.rest("linear")
    body = {"category": "linear", "symbol": "BTCUSDT", "orderId": order_id}
    client.ok(client.post("/v5/order/amend", qty="0.020", **body))
    client.ok(client.post("/v5/order/cancel", **body))
    client.rest("spot")
    client.run()
    rows = client.pushed(1, "position")
    assert [(row["side"], row["size"], row["seq"]) for row in rows] == [("", "0", -1)] * 3


def test_the_wallet_is_silent_while_only_prices_move(client: Client) -> None:
    client.rest("linear", orderType="Market", price=None)
    client.private(1, "wallet")
    client.run(3000, flow=True)
    assert client.pushed(1, "wallet") == []
    client.rest("spot")
    client.run()
    (row,) = client.pushed(1, "wallet")
    usdt = next(coin for coin in row["coin"] if coin["coin"] == "USDT")
    assert Decimal(usdt["locked"]) > 0
    assert row["accountType"] == "UNIFIED"


@pytest.mark.parametrize(
    ("smp", "maker", "taker"),
    [
        ("CancelMaker", "Cancelled", "New"),
        ("CancelTaker", "New", "Cancelled"),
        ("CancelBoth", "Cancelled", "Cancelled"),
        ("None", "Filled", "Filled"),
    ],
)
def test_self_trade_is_prevented_as_the_taker_says(
    client: Client, smp: str, maker: str, taker: str
) -> None:
    client.private(1, "order")
    price = client.price("linear", "buy", 1)
    first = client.rest("linear", price=price, qty="0.010")
    second = client.rest("linear", side="Sell", price=price, qty="0.010", smpType=smp)
    rows = [client.order("linear", one) for one in (first, second)]
    assert [row["orderStatus"] for row in rows] == [maker, taker]
    for row, other in zip(rows, (second, first), strict=True):
        if row["orderStatus"] == "Cancelled":
            assert (row["cancelType"], row["smpOrderId"]) == ("CancelBySmp", other)


# Positions


def test_reduce_only_needs_a_position_and_never_flips_it(client: Client) -> None:
    assert client.create("linear", reduceOnly=True)["retCode"] == 110017
    client.rest("linear", orderType="Market", price=None, qty="0.010")
    reduce = {"side": "Sell", "reduceOnly": True, "orderType": "Market", "price": None}
    row = client.order("linear", client.rest("linear", qty="0.050", **reduce))
    assert (row["cumExecQty"], row["reduceOnly"]) == ("0.01", True)
    (flat,) = client.ok(client.get("/v5/position/list", category="linear", symbol="BTCUSDT"))[
        "list"
    ]
    assert (flat["side"], flat["size"], flat["positionIdx"]) == ("", "0", 0)


def test_a_resting_reduce_only_order_goes_with_the_position(client: Client) -> None:
    client.private(1, "order")
    client.rest("linear", orderType="Market", price=None, qty="0.010")
    far = client.price("linear", "sell", 300)
    resting = client.rest("linear", side="Sell", price=far, qty="0.010", reduceOnly=True)
    client.rest("linear", side="Sell", orderType="Market", price=None, qty="0.010")
    client.run()
    ended = [row for row in client.pushed(1, "order") if row["orderId"] == resting][-1]
    assert (ended["orderStatus"], ended["cancelType"]) == ("Cancelled", "CancelByReduceOnly")


def test_a_zero_quantity_closes_a_position_if_it_says_so_twice(client: Client) -> None:
    client.rest("linear", orderType="Market", price=None, qty="0.010")
    close = {"side": "Sell", "orderType": "Market", "price": None, "qty": "0", "reduceOnly": True}
    assert client.create("linear", **close)["retCode"] == 10001
    client.rest("linear", closeOnTrigger=True, **close)
    listed = client.get("/v5/position/list", category="linear", settleCoin="USDT")
    assert client.ok(listed)["list"] == []


def test_only_the_one_way_index_is_known(client: Client) -> None:
    assert client.create("linear", positionIdx=1)["retCode"] == 10001
    assert client.create("linear", positionIdx=0)["retCode"] == 0


def test_position_rows_show_entry_margin_and_profit(client: Client) -> None:
    client.rest("linear", orderType="Market", price=None, qty="0.010")
    assert client.get("/v5/position/list", category="linear")["retCode"] == 10001
    listed = client.get("/v5/position/list", category="linear", settleCoin="USDT")
    (row,) = client.ok(listed)["list"]
    (fill,) = client.executions("linear")
    assert (row["side"], row["size"]) == ("Buy", "0.01")
    assert Decimal(row["avgPrice"]) == Decimal(fill["execPrice"])
    gained = (Decimal(row["markPrice"]) - Decimal(row["avgPrice"])) * Decimal("0.01")
    assert abs(Decimal(row["unrealisedPnl"]) - gained) < Decimal("0.001")
    assert Decimal(row["positionIM"]) > 0


def test_leverage_is_set_and_the_same_again_is_not_modified(client: Client) -> None:
    body = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "5", "sellLeverage": "5"}
    client.ok(client.post("/v5/position/set-leverage", **body))
    assert client.post("/v5/position/set-leverage", **body)["retCode"] == 110043
    one_sided = body | {"sellLeverage": "6"}
    assert client.post("/v5/position/set-leverage", **one_sided)["retCode"] == 10001
    too_much = body | {"buyLeverage": "500", "sellLeverage": "500"}
    assert client.post("/v5/position/set-leverage", **too_much)["retCode"] == 10001
    listed = client.get("/v5/position/list", category="linear", symbol="BTCUSDT")
    assert client.ok(listed)["list"][0]["leverage"] == "5"


def test_the_position_mode_stays_one_way(client: Client) -> None:
    body = {"category": "linear", "symbol": "BTCUSDT"}
    assert client.post("/v5/position/switch-mode", mode=0, **body)["retCode"] == 110025
    assert client.post("/v5/position/switch-mode", mode=3, **body)["retCode"] == 110029
    client.rest("linear")
    assert client.post("/v5/position/switch-mode", mode=3, **body)["retCode"] == 110028
    client.rest("linear", orderType="Market", price=None)
    assert client.post("/v5/position/switch-mode", mode=3, **body)["retCode"] == 110024


def test_funding_is_an_execution_that_moves_no_position(client: Client) -> None:
    client.private(1, "execution")
    client.rest("linear", orderType="Market", price=None, qty="0.010")
    client.run()
    client.said[1].clear()
    due = (client.now_ns // (8 * HOUR) + 1) * 8 * HOUR
    client.now_ns = due
    client.market.now_ns = due
    client.peer.advance(due)
    client.drain()
    (row,) = client.pushed(1, "execution")
    assert (row["execType"], row["orderLinkId"], row["execQty"]) == ("Funding", "", "0.01")
    assert row in [{"category": "linear"} | one for one in client.executions("linear")]
    listed = client.get("/v5/position/list", category="linear", symbol="BTCUSDT")
    assert client.ok(listed)["list"][0]["size"] == "0.01"
    (logged,) = client.ok(client.get("/v5/account/transaction-log", type="SETTLEMENT"))["list"]
    assert Decimal(logged["funding"]) == -Decimal(row["execFee"])


# Questions


def test_open_orders_are_listed_newest_first_in_pages(client: Client) -> None:
    ids = [client.rest("linear") for _ in range(5)]
    assert client.get("/v5/order/realtime", category="linear")["retCode"] == 10001
    seen: list[str] = []
    cursor = ""
    while True:
        query = f"category=linear&settleCoin=USDT&limit=2&cursor={cursor}"
        result = client.ok(json.loads(client.answer("GET", "/v5/order/realtime", query).body))
        seen += [row["orderId"] for row in result["list"]]
        cursor = result["nextPageCursor"]
        if not cursor:
            break
    assert seen == ids[::-1]


def test_a_cursor_may_come_back_encoded_once_more(client: Client) -> None:
    for _ in range(3):
        client.rest("spot")
    first = client.ok(client.get("/v5/order/realtime", category="spot", limit=2))
    query = f"category=spot&limit=2&cursor={quote(first['nextPageCursor'], safe='')}"
    envelope = json.loads(client.answer("GET", "/v5/order/realtime", query).body)
    assert len(client.ok(envelope)["list"]) == 1
    assert client.get("/v5/order/realtime", category="spot", cursor="junk")["retCode"] == 10001


@both
def test_closed_orders_are_listed_if_asked_for_until_the_venue_restarts(
    client: Client, category: str
) -> None:
    order_id = client.rest(category)
    scope = {"category": category, "symbol": "BTCUSDT"}
    client.ok(client.post("/v5/order/cancel", orderId=order_id, **scope))

    def listed(path: str, **query: object) -> list[str]:
        return [row["orderId"] for row in client.ok(client.get(path, **scope, **query))["list"]]

    assert listed("/v5/order/realtime") == []
    assert listed("/v5/order/realtime", openOnly=1) == [order_id]
    assert listed("/v5/order/realtime", orderId=order_id) == [order_id]
    client.run()
    client.peer.restart(client.now_ns)
    assert listed("/v5/order/realtime", openOnly=1) == []
    assert listed("/v5/order/realtime", orderId=order_id) == []
    assert listed("/v5/order/history") == [order_id]


def test_history_forgets_what_never_traded_after_a_day(client: Client) -> None:
    order_id = client.rest("linear")
    filled = client.rest("linear", orderType="Market", price=None)
    scope = {"category": "linear", "symbol": "BTCUSDT"}
    client.ok(client.post("/v5/order/cancel", orderId=order_id, **scope))

    def history() -> list[str]:
        rows = client.ok(client.get("/v5/order/history", **scope))["list"]
        return [row["orderId"] for row in rows]

    assert history() == [filled, order_id]
    client.now_ns += 25 * HOUR
    assert history() == [filled]
    week = {"startTime": 1, "endTime": 8 * 86_400_000}
    assert client.get("/v5/order/history", **scope, **week)["retCode"] == 10001


def test_executions_are_filtered_by_order_and_time(client: Client) -> None:
    market = {"orderType": "Market", "price": None, "qty": "0.001"}
    first = client.rest("linear", orderLinkId="mm-1", **market)
    client.run(10_000)
    second = client.rest("linear", **market)
    assert {row["orderId"] for row in client.executions("linear")} == {first, second}
    by_link = client.executions("linear", orderLinkId="mm-1")
    assert {row["orderId"] for row in by_link} == {first}
    late = client.executions("linear", startTime=client.ms - 5_000)
    assert {row["orderId"] for row in late} == {second}
    assert client.executions("linear", execType="Funding") == []
    assert client.executions("spot") == []


def test_the_wallet_locks_what_spot_orders_hold_and_counts_margin_apart(client: Client) -> None:
    client.rest("spot", qty="0.1")
    usdt = client.coin("USDT")
    price = Decimal(client.price("spot", "buy", -500))
    assert Decimal(usdt["locked"]) == price * Decimal("0.1")
    assert usdt["totalOrderIM"] == "0"
    assert usdt["availableToWithdraw"] == ""
    client.rest("linear", qty="0.100")
    margin = Decimal(client.price("linear", "buy", -500)) / 100
    assert abs(Decimal(client.coin("USDT")["totalOrderIM"]) - margin) < Decimal("0.01")
    assert client.get("/v5/account/wallet-balance", accountType="SPOT")["retCode"] == 10001


def test_every_change_of_a_balance_is_in_the_transaction_log(client: Client) -> None:
    client.rest("linear", orderType="Market", price=None, qty="0.010")
    client.rest("spot", orderType="Market", price=None, qty="1000")
    start = {
        name: Decimal(1_000_000) if name == "USDT" else Decimal(20) for name in ("USDT", "BTC")
    }
    rows = client.ok(client.get("/v5/account/transaction-log", limit=50))["list"]
    for name, before in start.items():
        moved = sum(Decimal(row["change"]) for row in rows if row["currency"] == name)
        assert Decimal(client.coin(name)["walletBalance"]) == before + moved


def test_fee_rates_are_those_that_are_charged(client: Client) -> None:
    (linear,) = client.ok(client.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT"))[
        "list"
    ]
    assert (linear["makerFeeRate"], linear["takerFeeRate"]) == ("0.0002", "0.00055")
    spot = client.ok(client.get("/v5/account/fee-rate", category="spot"))["list"]
    assert {row["takerFeeRate"] for row in spot} == {"0.001"}


def test_a_key_tells_what_it_may_do_and_hides_its_secret(client: Client) -> None:
    key = client.ok(client.get("/v5/user/query-api"))
    assert (key["readOnly"], key["uta"], key["secret"]) == (0, 1, "")
    assert key["permissions"]["Spot"] == ["SpotTrade"]
    assert key["permissions"]["ContractTrade"] == ["Order", "Position"]
    assert "Withdraw" not in key["permissions"]["Wallet"]
    client.key = WITHDRAWING
    assert "Withdraw" in client.ok(client.get("/v5/user/query-api"))["permissions"]["Wallet"]
    client.key = READ_ONLY
    assert client.ok(client.get("/v5/user/query-api"))["readOnly"] == 1
    client.peer.accounts.unified = False
    assert client.ok(client.get("/v5/user/query-api"))["uta"] == 0
    assert client.ok(client.get("/v5/account/info"))["unifiedMarginStatus"] == 1


def test_coins_are_described_and_cannot_be_withdrawn(client: Client) -> None:
    rows = client.ok(client.get("/v5/asset/coin/query-info", coin="BTC"))["rows"]
    assert [(row["coin"], row["chains"][0]["chainWithdraw"]) for row in rows] == [("BTC", "0")]


# The dead-man switch


def armed(client: Client, *topics: str) -> None:
    for product in ("SPOT", "DERIVATIVES"):
        body = {"product": product, "timeWindow": 5}
        client.ok(client.post("/v5/order/disconnected-cancel-all", **body))
    client.private(1, *topics)
    client.rest("linear")
    client.rest("spot")


def test_the_switch_cancels_a_category_when_its_last_connection_is_gone_for_the_window(
    client: Client,
) -> None:
    armed(client, "dcp.future")
    client.private(2, "dcp.future")
    client.peer.closed(1)
    client.run(6_000)
    assert len(client.account.open) == 2
    client.private(3, "order")
    client.peer.closed(2)
    client.run(4_900)
    assert len(client.account.open) == 2
    client.run(200)
    (row,) = client.pushed(3, "order")
    assert (row["category"], row["cancelType"]) == ("linear", "CancelByDCP")
    assert [order.spec.kind for order in client.account.open.values()] == [Kind.SPOT]


def test_a_connection_back_in_time_holds_the_switch_again(client: Client) -> None:
    armed(client, "dcp.future", "dcp.spot")
    client.peer.closed(1)
    client.run(4_000)
    client.private(2, "dcp.future", "dcp.spot")
    client.run(10_000)
    assert len(client.account.open) == 2


def test_a_connection_without_the_topic_arms_nothing(client: Client) -> None:
    armed(client, "order")
    client.peer.closed(1)
    client.run(20_000, step_ms=100)
    assert len(client.account.open) == 2


def test_the_window_is_three_to_three_hundred_seconds_of_a_product_traded(client: Client) -> None:
    path = "/v5/order/disconnected-cancel-all"
    for body in ({"timeWindow": 10}, {"product": "SPOT", "timeWindow": 2}, {"product": "SPOT"}):
        assert client.post(path, **body)["retCode"] == 10001
    client.ok(client.post(path, product="SPOT", timeWindow=300))
    infos = client.ok(client.get("/v5/account/query-dcp-info"))["dcpInfos"]
    assert {one["product"]: one["timeWindow"] for one in infos} == {
        "SPOT": "300",
        "DERIVATIVES": "10",
    }


# What can be switched, restarts, and everything at once


def test_a_trade_service_that_restarts_takes_no_more_orders_on_old_connections(
    client: Client,
) -> None:
    client.trade(1)
    client.peer.restart_trade()
    order = item(client) | {"category": "linear"}
    assert client.send(1, "order.create", order)["retCode"] == 10019
    assert client.cut == [1]
    assert client.account.open == {}
    client.trade(2)
    assert client.send(2, "order.create", order)["retCode"] == 0


def test_what_rest_tells_of_orders_may_lag_behind_the_streams(client: Client) -> None:
    client.private(1, "order")
    client.peer.views.lag_ns = SECOND
    order_id = client.rest("linear")
    scope = {"category": "linear", "symbol": "BTCUSDT"}

    def known() -> list[str]:
        rows = client.ok(client.get("/v5/order/realtime", orderId=order_id, **scope))["list"]
        return [row["orderStatus"] for row in rows]

    client.run(500)
    assert known() == []
    client.ok(client.post("/v5/order/cancel", orderId=order_id, **scope))
    client.run(600)
    assert [row["orderStatus"] for row in client.pushed(1, "order")] == ["New", "Cancelled"]
    assert known() == ["New"]
    client.run(500)
    assert known() == ["Cancelled"]


def test_orders_and_fills_may_carry_what_nobody_has_heard_of(client: Client) -> None:
    client.private(1, "order", "execution")
    client.peer.views.novel = True
    client.rest("linear", orderType="Market", price=None)
    client.run()
    order, fill = client.pushed(1, "order")[-1], client.pushed(1, "execution")[-1]
    assert (order["rejectReason"], order["novelField"]) == ("EC_Novelty", {"a": 1})
    assert (fill["stopOrderType"], fill["novelField"]) == ("NovelStop", [1])


def test_an_answer_about_an_account_takes_a_moment(client: Client) -> None:
    late = {client.answer("GET", "/v5/account/info", "").late_ns for _ in range(8)}
    assert len(late) > 1
    assert all(0 <= one < 2 * MS for one in late)


def test_messages_say_what_they_are_about(client: Client) -> None:
    client.private(1, "order", "execution", "execution.fast", "position", "wallet")
    client.trade(2)
    body = json.dumps(item(client) | {"category": "linear"})
    assert client.answer("POST", "/v5/order/create", body).matter == "ack"
    assert client.answer("POST", "/v5/order/create", "{}").matter == "ack"
    assert client.answer("GET", "/v5/account/info", "").matter == ""
    taking = item(client, price=client.price("linear", "sell", 0)) | {"category": "linear"}
    stamp = {"X-BAPI-TIMESTAMP": client.ms}
    client.drain()
    client.say(2, op="order.create", header=stamp, args=[taking])
    client.now_ns += 20 * MS
    client.peer.advance(client.now_ns)
    matters = [out.matter for out in client.peer.outbox if not isinstance(out, Close)]
    assert matters == ["ack", "fill", "fill", "order", "account", "account"]


def test_orders_outlive_a_restart_and_logins_do_not(client: Client) -> None:
    client.private(1, "order")
    client.trade(2)
    order_id = client.rest("linear")
    client.peer.restart(client.now_ns)
    client.drain()
    assert client.cut == [1, 2]
    assert client.order("linear", order_id)["orderStatus"] == "New"
    client.private(3, "order")
    assert client.auth(3)["success"] is True


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        ["spot", "linear", "BTCUSDT", "Buy", "Limit", "Market", "0", "1", "1e9", "-1"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "category",
        "symbol",
        "side",
        "orderType",
        "qty",
        "price",
        "timeInForce",
        "orderLinkId",
        "orderId",
        "marketUnit",
        "reduceOnly",
        "closeOnTrigger",
        "smpType",
        "positionIdx",
        "slippageToleranceType",
        "slippageTolerance",
        "request",
        "settleCoin",
        "product",
        "timeWindow",
        "buyLeverage",
        "mode",
        "modifyEnable",
    ]
)
WRITES = st.sampled_from(
    [
        *(f"order/{act}{many}" for act in ("create", "amend", "cancel") for many in ("", "-batch")),
        "order/cancel-all",
        "order/disconnected-cancel-all",
        "position/set-leverage",
        "position/switch-mode",
        "account/set-limit-px-action",
    ]
)
READS = st.sampled_from(
    [
        "order/realtime",
        "order/history",
        "execution/list",
        "position/list",
        "account/wallet-balance",
        "account/fee-rate",
        "account/transaction-log",
        "asset/coin/query-info",
        "user/query-api",
    ]
)


@settings(max_examples=150)
@given(path=WRITES, changed=st.dictionaries(FIELDS, ANYTHING, max_size=4))
def test_whatever_is_asked_for_is_answered(path: str, changed: dict[str, object]) -> None:
    client = SHARED
    client.now_ns += SECOND
    body = item(client) | {"category": "linear"} | changed
    answer = client.answer("POST", f"/v5/{path}", json.dumps(body))
    assert (answer.status, type(json.loads(answer.body)["retCode"])) == (200, int)
    if path.startswith("order/") and path != "order/cancel-all" and "disconnected" not in path:
        if 3 not in client.said:
            client.trade(3)
        op = path.replace("/", ".")
        client.said[3].clear()
        client.say(3, op=op, header={"X-BAPI-TIMESTAMP": client.ms}, args=[body])
        client.run()
        assert type(client.said[3][-1]["retCode"]) is int
    client.peer.broker._check()


@settings(max_examples=150)
@given(path=READS, changed=st.dictionaries(FIELDS, st.text(max_size=20), max_size=4))
def test_whatever_is_queried_is_answered(path: str, changed: dict[str, str]) -> None:
    client = SHARED
    client.now_ns += SECOND
    query = urlencode({"category": "linear", "symbol": "BTCUSDT"} | changed, errors="replace")
    answer = client.answer("GET", f"/v5/{path}", query)
    assert (answer.status, type(json.loads(answer.body)["retCode"])) == (200, int)


@pytest.mark.parametrize("face", ["private", "trade"])
@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b"\xff\xfe", b'{"op":1}', b'{"args":{}}', b"[" * 5000, b"1" * 5000]
)
def test_a_frame_that_cannot_be_read_is_answered_in_the_style_of_its_socket(
    client: Client, face: str, frame: bytes
) -> None:
    client.open(1, face)
    client.peer.received(1, frame, client.now_ns)
    client.run()
    (reply,) = client.said[1]
    assert reply.get("success", reply.get("retCode")) in {False, 10001}


def test_bytes_that_are_no_text_only_make_a_signature_wrong(client: Client) -> None:
    payload = "category=spot&symbol=\udcff"
    headers = client.headers("") | {"X-BAPI-SIGN": "\udcff"}
    query = HttpQuery("rest", "GET", "/v5/order/realtime", payload, headers, b"")
    assert json.loads(client.peer.request(query, client.now_ns).body)["retCode"] == 10004


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=25))
def test_streams_and_queries_always_agree(steps: list[tuple[int, int]]) -> None:
    client = Client()
    client.private(1, "order", "execution", "position")
    ids: list[tuple[str, str]] = []
    for action, choice in steps:
        category = BOTH[choice % 2]
        side = ("Buy", "Sell")[choice // 2]
        near = {"Buy": ("buy", 1), "Sell": ("sell", -1)}[side]
        order: dict[str, object] = {"side": side, "price": client.price(category, *near)}
        match action:
            case 0 | 1:
                answer = client.create(category, **order)
            case 2:
                answer = client.create(category, **order, timeInForce="PostOnly")
            case 3:
                answer = client.create(category, **order | {"orderType": "Market", "price": None})
            case 4 if ids:
                held, order_id = ids[choice % len(ids)]
                scope = {"category": held, "symbol": "BTCUSDT", "orderId": order_id}
                answer = client.post("/v5/order/cancel", **scope)
            case 5 if ids:
                held, order_id = ids[choice % len(ids)]
                scope = {"category": held, "symbol": "BTCUSDT", "orderId": order_id}
                answer = client.post("/v5/order/amend", qty="0.007", **scope)
            case _:
                client.run(200, flow=True)
                continue
        if answer["retCode"] == 0 and action < 4:
            ids.append((category, answer["result"]["orderId"]))
        client.run(150)
    client.run(20)
    client.peer.broker._check()
    last = {row["orderId"]: row for row in client.pushed(1, "order")}
    fills = client.pushed(1, "execution")
    assert len({row["execId"] for row in fills}) == len(fills)
    for category, order_id in ids:
        row = client.order(category, order_id)
        assert last[order_id]["orderStatus"] == row["orderStatus"]
        booked = sum(Decimal(one["execQty"]) for one in fills if one["orderId"] == order_id)
        assert booked == Decimal(row["cumExecQty"]) == Decimal(last[order_id]["cumExecQty"])
    signed = sum(
        Decimal(one["execQty"]) * (1 if one["side"] == "Buy" else -1)
        for one in fills
        if one["category"] == "linear"
    )
    position = client.ok(client.get("/v5/position/list", category="linear", symbol="BTCUSDT"))[
        "list"
    ][0]
    assert Decimal(position["size"]) * (-1 if position["side"] == "Sell" else 1) == signed
