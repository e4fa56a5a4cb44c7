"""Faults between an order and its client, each seen from the client's side."""

from __future__ import annotations

import msgspec
import pytest

from hftmm.sim.broker import Broker
from hftmm.sim.control import Control
from hftmm.sim.faults import FaultyPeer
from hftmm.sim.order_faults import ORDER_AMOUNTS, ORDER_FAULTS
from hftmm.sim.peers import LOST, HttpAnswer, HttpQuery, Matter, Push
from hftmm.sim.statement import statement
from tests.practice_broker import LINEAR, SPOT, Desk, StillMarket
from tests.scripted_peer import ScriptedPeer

MS = 1_000_000
SECOND = 1_000_000_000
PLACE = {
    "binance": b'{"id":7,"method":"order.place","params":{"symbol":"BTCUSDT"}}',
    "bybit": b'{"reqId":"r7","op":"order.create","header":{},"args":[{}]}',
    "okx": b'{"id":"7","op":"order","args":[{}]}',
}
CANCEL = {
    "binance": b'{"id":8,"method":"order.cancel","params":{}}',
    "bybit": b'{"reqId":"r8","op":"order.cancel","args":[{}]}',
    "okx": b'{"id":"8","op":"batch-cancel-orders","args":[{}]}',
}
QUERY = {
    "binance": b'{"id":9,"method":"order.status","params":{}}',
    "bybit": b'{"op":"ping"}',
    "okx": b"ping",
}
VENUES = tuple(PLACE)


class EntryPeer(ScriptedPeer):
    """Answers every frame and request as if it were about an order, by repeating it.

    Attributes:
        slow: True to keep answers until `catch_up`.
    """

    def __init__(self, venue: str) -> None:
        super().__init__(venue)
        self.slow = False
        self._kept: list[bytes] = []

    def received(self, connection: int, frame: bytes, now_ns: int) -> None:
        self.heard.append((connection, frame))
        self._kept.append(frame)
        if not self.slow:
            self.catch_up()

    def catch_up(self) -> None:
        for frame in self._kept:
            self.say(1, frame, matter="ack")
        self._kept.clear()

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        self.asked.append(query)
        matter: Matter = "" if query.method == "GET" else "ack"
        return HttpAnswer(200, b'"done"', matter=matter)


class Client:
    """One connection to a faulty peer, at a time of its own."""

    def __init__(self, venue: str = "binance") -> None:
        self.script = EntryPeer(venue)
        self.peer = FaultyPeer(self.script, 0, seed=1)
        self.now_ns = 0
        assert self.peer.opened(1, "stream", "/", "", 0) is None
        self.heard()

    def switch(self, fault: str, amount: float | None = None) -> None:
        answer = self.peer.switch(fault, self.now_ns, amount)
        assert answer.accepted, answer.text

    def send(self, frame: bytes) -> list[str]:
        self.peer.received(1, frame, self.now_ns)
        return self.heard()

    def news(self, text: str, matter: Matter) -> list[str]:
        self.script.say(1, text.encode(), matter=matter)
        return self.heard()

    def heard(self, after_ms: int = 0) -> list[str]:
        self.now_ns += after_ms * MS
        self.peer.advance(self.now_ns)
        frames = [item.frame.decode() for item in self.peer.outbox if isinstance(item, Push)]
        self.peer.outbox.clear()
        return frames

    def request(self, method: str = "POST", path: str = "/api/v3/order") -> HttpAnswer:
        return self.peer.request(HttpQuery("rest", method, path, "", {}, b""), self.now_ns)


def test_every_fault_of_orders_with_an_amount_says_what_it_counts() -> None:
    assert ORDER_FAULTS.keys() == ORDER_AMOUNTS.keys()
    assert all(f"{ORDER_AMOUNTS[name][0]:g})" in text for name, text in ORDER_FAULTS.items())


def test_a_lost_answer_is_lost_once_and_the_order_reaches_the_venue() -> None:
    client = Client()
    client.switch("lost_ack")
    assert client.send(b"place") == []
    assert client.script.heard == [(1, b"place")]
    assert client.send(b"next") == ["next"]


def test_a_lost_rest_answer_cuts_the_request_after_it_was_carried_out() -> None:
    client = Client()
    client.switch("lost_ack", 2)
    assert [client.request().status for _ in range(3)] == [LOST, LOST, 200]
    assert len(client.script.asked) == 3


def test_queries_are_answered_while_acks_are_lost() -> None:
    client = Client()
    client.switch("lost_ack")
    assert client.request("GET").status == 200
    assert client.news("private", "order") == ["private"]
    assert client.request().status == LOST


@pytest.mark.parametrize("venue", VENUES)
def test_an_unknown_outcome_is_in_the_words_of_the_venue_with_the_clients_number(
    venue: str,
) -> None:
    client = Client(venue)
    client.switch("unknown")
    (answer,) = client.send(PLACE[venue])
    assert client.script.heard == [(1, PLACE[venue])]
    told = msgspec.json.decode(answer)
    expected = {
        "binance": (7, 503, -1007),
        "bybit": ("r7", 10016, "order.create"),
        "okx": ("7", "order", "50004"),
    }[venue]
    seen = {
        "binance": lambda: (told["id"], told["status"], told["error"]["code"]),
        "bybit": lambda: (told["reqId"], told["retCode"], told["op"]),
        "okx": lambda: (told["id"], told["op"], told["code"]),
    }[venue]()
    assert [*seen] == [*expected]
    assert client.send(PLACE[venue]) == [PLACE[venue].decode()]


@pytest.mark.parametrize("venue", VENUES)
def test_an_unknown_outcome_strikes_the_request_it_was_meant_for(venue: str) -> None:
    client = Client(venue)
    client.script.slow = True
    client.send(PLACE[venue])
    client.switch("unknown")
    client.send(CANCEL[venue])
    client.script.catch_up()
    first, second = client.heard()
    assert first == PLACE[venue].decode()
    assert second != CANCEL[venue].decode()
    assert "8" in second


@pytest.mark.parametrize(("venue", "status"), [("binance", 503), ("bybit", 200), ("okx", 400)])
def test_an_unknown_outcome_by_rest_is_counted_too(venue: str, status: int) -> None:
    client = Client(venue)
    client.switch("unknown")
    answers = [client.request() for _ in range(2)]
    assert [answer.status for answer in answers] == [status, 200]
    assert len(client.script.asked) == 2
    assert answers[0].body != answers[1].body


def test_a_late_answer_comes_after_the_news_of_the_private_stream() -> None:
    client = Client()
    client.switch("late_ack", 200)
    assert client.send(b"place") == []
    assert client.news("filled", "fill") == ["filled"]
    assert client.heard(199) == []
    assert client.heard(1) == ["place"]
    assert client.request().late_ns == 200 * MS
    client.switch("none")
    assert client.send(b"place") == ["place"]
    assert client.request().late_ns == 0


def test_a_late_private_stream_lets_answers_and_public_frames_pass() -> None:
    client = Client()
    client.switch("late_private", 50)
    for matter in ("order", "fill", "account"):
        assert client.news(matter, matter) == []
    assert client.send(b"place") == ["place"]
    assert client.news("public", "") == ["public"]
    assert client.heard(50) == ["order", "fill", "account"]


def test_a_late_fill_comes_after_the_cancel_that_followed_it() -> None:
    client = Client()
    client.switch("late_fill")
    client.news("fill", "fill")
    assert client.news("canceled", "order") == ["canceled"]
    assert client.heard(300) == ["fill"]


def test_a_late_frame_is_not_heard_on_a_connection_that_closed() -> None:
    client = Client()
    client.switch("late_fill")
    client.news("fill", "fill")
    client.peer.closed(1)
    assert client.heard(300) == []


def test_a_fill_comes_twice_and_nothing_else_does() -> None:
    client = Client()
    client.switch("duplicate_fill", 2)
    assert client.news("new", "order") == ["new"]
    assert client.news("a", "fill") == ["a", "a"]
    assert client.news("b", "fill") == ["b", "b"]
    assert client.news("c", "fill") == ["c"]


@pytest.mark.parametrize("venue", VENUES)
def test_a_throttle_of_orders_refuses_them_before_the_venue_and_lets_queries_pass(
    venue: str,
) -> None:
    client = Client(venue)
    client.now_ns = 5 * SECOND
    client.switch("order_throttle", 2)
    answers = [msgspec.json.decode(client.send(frame[venue])[0]) for frame in (PLACE, CANCEL)]
    assert client.script.heard == []
    for answer, number in zip(answers, (7, 8), strict=True):
        match venue:
            case "binance":
                assert (answer["id"], answer["status"]) == (number, 429)
                assert answer["error"]["data"] == {"serverTime": 5000, "retryAfter": 7000}
            case "bybit":
                assert (answer["reqId"], answer["retCode"]) == (f"r{number}", 10006)
                assert answer["header"]["X-Bapi-Limit-Reset-Timestamp"] == "7000"
            case _:
                assert (answer["id"], answer["code"]) == (str(number), "50011")
    assert client.send(QUERY[venue]) == [QUERY[venue].decode()]
    client.switch("none")
    assert client.send(PLACE[venue]) == [PLACE[venue].decode()]


@pytest.mark.parametrize(
    ("method", "path", "refused"),
    [
        ("POST", "/api/v3/order", True),
        ("DELETE", "/api/v3/openOrders", True),
        ("POST", "/api/v3/order/test", False),
        ("GET", "/api/v3/order", False),
        ("POST", "/api/v3/userDataStream", False),
        ("PUT", "/fapi/v1/order", True),
        ("POST", "/fapi/v1/batchOrders", True),
        ("POST", "/fapi/v1/countdownCancelAll", False),
        ("POST", "/v5/order/cancel-all", True),
        ("POST", "/v5/order/create-batch", True),
        ("POST", "/v5/order/disconnected-cancel-all", False),
        ("POST", "/api/v5/trade/batch-orders", True),
        ("POST", "/api/v5/trade/cancel-batch-orders", True),
        ("POST", "/api/v5/trade/cancel-all-after", False),
        ("GET", "/api/v5/trade/order", False),
    ],
)
def test_which_rest_requests_are_about_orders(method: str, path: str, refused: bool) -> None:
    client = Client()
    client.switch("order_throttle", 3)
    answer = client.request(method, path)
    assert (answer.status == 429) is refused
    assert (answer.headers.get("Retry-After") == "3") is refused


def test_recovery_ends_what_is_counted() -> None:
    client = Client()
    for fault in ("lost_ack", "unknown", "duplicate_fill"):
        client.switch(fault, 5)
    client.switch("none")
    assert client.send(PLACE["binance"]) == [PLACE["binance"].decode()]
    assert client.news("a", "fill") == ["a"]


def test_a_fill_before_a_cancel_is_the_brokers_to_arrange() -> None:
    client = Client()
    refused = client.peer.switch("fill_on_cancel", 0)
    assert not refused.accepted
    client.script.broker = Desk().broker
    client.switch("fill_on_cancel", 3)
    assert client.script.broker.fill_before_cancel == 3
    client.switch("none")
    assert client.script.broker.fill_before_cancel == 0


def broker_of(desk: Desk) -> tuple[Control, Broker]:
    script = ScriptedPeer("okx")
    script.broker = desk.broker
    market = StillMarket(LINEAR)
    peers = {"okx": FaultyPeer(script, 0, 1), "binance": FaultyPeer(ScriptedPeer(), 0, 1)}
    return Control(market, peers, lambda *_: pytest.fail("no fault was asked for")), desk.broker


def test_the_control_face_shows_an_account_as_its_broker_knows_it() -> None:
    desk = Desk(unified=False)
    desk.place("buy", 1001, 1500, client_id="long")
    desk.place("sell", 1100, 2000, one=SPOT, client_id="ask")
    control, broker = broker_of(desk)
    answer = control.request("GET", "/account", "venue=okx", b"")
    assert answer.status == 200
    told = msgspec.json.decode(answer.body)
    assert told == msgspec.to_builtins(statement(broker, desk.account))
    assert told["balances"]["spot"]["BTC"] == {"total": "20", "locked": "2"}
    assert told["balances"]["linear"]["USDT"]["total"] == "999999.4995"
    position = told["positions"]["BTC/USDT:USDT"]
    assert (position["base"], position["entry"], position["unrealised"]) == ("1", "1001", "-1")
    assert [(one["client_id"], one["filled"], one["price"]) for one in told["orders"]] == [
        ("long", "1", "1001"),
        ("ask", "0", "1100"),
    ]
    (fill,) = told["executions"]
    assert (fill["size"], fill["fee"], fill["maker"]) == ("1", "0.5005", False)
    other = msgspec.json.decode(
        control.request("GET", "/account", "venue=okx&account=other", b"").body
    )
    assert (other["account"], other["orders"]) == ("other", [])


@pytest.mark.parametrize(
    ("query", "named"),
    [("venue=mars", "okx"), ("venue=binance", "okx"), ("venue=okx&account=x", "practice")],
)
def test_an_account_that_is_not_there_is_a_404_that_names_what_is(query: str, named: str) -> None:
    control, _ = broker_of(Desk())
    answer = control.request("GET", "/account", query, b"")
    assert answer.status == 404
    assert named.encode() in answer.body
