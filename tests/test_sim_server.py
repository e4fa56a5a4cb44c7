"""The practice venues over real loopback sockets: one thin layer above the peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType, web

from hftmm.config import DEFAULT_VENUES, Config, MarketsConfig, PracticeConfig
from hftmm.core.errors import Unavailable
from hftmm.core.instrument import Kind, Side
from hftmm.sim import server
from hftmm.sim.control import Control
from hftmm.sim.faults import FAULTS, FaultyPeer
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.peers import HttpAnswer, Push
from hftmm.sim.server import PracticeVenues, serve
from tests.scripted_peer import ScriptedPeer

CONFIG = Config(
    markets=MarketsConfig(symbols=("BTC/USDT:USDT",)),
    practice=PracticeConfig(lag_ms=(("binance", 0), ("bybit", 0), ("okx", 0))),
)
PATIENCE_S = 20


@dataclass
class Served:
    """Venues whose `binance` is scripted, and a client."""

    venues: PracticeVenues
    peer: ScriptedPeer
    client: aiohttp.ClientSession

    def url(self, face: str) -> str:
        faces = self.venues.description["binance"]
        assert isinstance(faces, dict)
        url = faces[face]
        assert isinstance(url, str)
        return url

    @property
    def control(self) -> str:
        return str(self.venues.description["control"])

    async def connect(self, path: str = "/") -> aiohttp.ClientWebSocketResponse[Any]:
        """A stream whose greeting has been read."""
        socket = await self.client.ws_connect(self.url("stream") + path, autoping=False)
        assert (await socket.receive()).data.startswith("hello")
        return socket


@asynccontextmanager
async def served(config: Config = CONFIG) -> AsyncIterator[Served]:
    peer = ScriptedPeer()
    async with (
        asyncio.timeout(PATIENCE_S),
        PracticeVenues(config, peers={"binance": lambda _market, _seed: peer}) as venues,
        aiohttp.ClientSession() as client,
    ):
        yield Served(venues, peer, client)


async def test_a_stream_is_greeted_and_echoed_with_its_path_and_query() -> None:
    async with served() as at:
        socket = await at.client.ws_connect(at.url("stream") + "/ws/a?b=c%20d")
        assert (await socket.receive()).data == "hello stream /ws/a?b=c%20d"
        await socket.send_str("text")
        assert (await socket.receive()).data == "text"
        await socket.send_bytes(b"\x00binary")
        answer = await socket.receive()
        assert (answer.type, answer.data) == (WSMsgType.BINARY, b"\x00binary")
        assert socket._response.headers.get("Sec-WebSocket-Extensions") is None


async def test_a_refused_handshake_gets_the_peers_answer() -> None:
    async with served() as at:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await at.client.ws_connect(at.url("stream") + "/refused")
        assert refused.value.status == 403


async def test_a_request_reaches_the_peer_as_it_was_sent() -> None:
    async with served() as at:
        url = at.url("rest") + "/api?x=1&y=%2B"
        async with at.client.post(url, data=b"{}", headers={"X-Key": "k"}) as answer:
            assert await answer.json() == {"number": 1}
            assert answer.headers["X-Weight"] == "1"
        asked = at.peer.asked[0]
        assert (asked.face, asked.method, asked.path) == ("rest", "POST", "/api")
        assert (asked.query, asked.body) == ("x=1&y=%2B", b"{}")
        assert asked.headers["x-key"] == "k"


async def test_a_lost_answer_ends_the_connection_after_the_request_was_carried_out() -> None:
    async with served() as at:
        assert at.venues.switch("binance", "lost_ack").accepted
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await at.client.post(at.url("rest") + "/order")
        assert [asked.path for asked in at.peer.asked] == ["/order"]
        async with at.client.post(at.url("rest") + "/order") as answer:
            assert await answer.json() == {"number": 2}


async def test_frames_pushed_as_time_moves_reach_every_client_in_order() -> None:
    async with served() as at:
        first, second = await at.connect(), await at.connect()
        for number in range(200):
            for connection in at.peer.connections:
                at.peer.say(connection, str(number).encode(), "book")
        for socket in (first, second):
            assert [(await socket.receive()).data for _ in range(200)] == [
                str(number) for number in range(200)
            ]


async def test_a_frame_said_before_the_handshake_is_over_comes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare = web.WebSocketResponse.prepare
    peers: list[ScriptedPeer] = []

    async def late(self: web.WebSocketResponse, request: web.BaseRequest) -> object:
        # Two moves: the first may have been under way when the handshake arrived.
        for _ in range(2):
            peers[0].moved.clear()
            await peers[0].moved.wait()
        return await prepare(self, request)

    async with served() as at:
        peers.append(at.peer)
        monkeypatch.setattr(web.WebSocketResponse, "prepare", late)
        await at.connect()


async def test_what_is_said_to_a_client_that_has_left_is_lost_quietly() -> None:
    async with served() as at:
        socket = await at.connect()
        gone = at.peer.connections[0]
        await socket.close()
        await at.peer.gone.wait()
        at.peer.every_advance = [Push(gone, b"late")]
        at.peer.moved.clear()
        await at.peer.moved.wait()
        await at.connect()
        assert not at.venues.driver.done()


async def test_a_ping_is_answered_with_its_payload() -> None:
    async with served() as at:
        socket = await at.connect()
        await socket.ping(b"payload")
        answer = await socket.receive()
        assert (answer.type, answer.data) == (WSMsgType.PONG, b"payload")


async def test_a_silent_connection_does_not_even_pong(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()
    silent = FaultyPeer.silent

    def noticed(self: FaultyPeer, connection: int) -> bool:
        asked.set()
        return silent(self, connection)

    monkeypatch.setattr(FaultyPeer, "silent", noticed)
    async with served() as at:
        socket = await at.connect()
        assert at.venues.switch("binance", "silence").accepted
        await socket.ping(b"payload")
        await asked.wait()
        assert at.venues.switch("binance", "none").accepted
        await socket.send_str("after")
        assert (await socket.receive()).data == "after"


async def test_a_close_is_sent_with_its_code_and_reason() -> None:
    async with served() as at:
        socket = await at.connect()
        at.peer.hang_up(at.peer.connections[0], 4001, "login failed")
        closed = await socket.receive()
        assert (closed.type, closed.data, closed.extra) == (
            WSMsgType.CLOSE,
            4001,
            "login failed",
        )
        await at.peer.gone.wait()
        assert at.peer.connections == []


async def test_a_disconnect_leaves_no_closing_handshake() -> None:
    async with served() as at:
        socket = await at.connect()
        assert at.venues.switch("binance", "disconnect").accepted
        closed = await socket.receive()
        assert closed.type in {WSMsgType.CLOSED, WSMsgType.ERROR}
        assert socket.close_code in {1006, None}
        await at.peer.gone.wait()


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with served() as at:
        socket = await at.connect()
        await socket.close()
        await at.peer.gone.wait()
        assert at.peer.connections == []


async def test_a_client_that_does_not_read_is_cut_and_blocks_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "MAX_BUFFERED", 2**16)
    async with served() as at:
        address = urlsplit(at.url("stream"))
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**10)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert b"101" in await reader.readline()
        slow = at.peer.connections[0]
        fast = await at.connect()
        at.peer.every_advance = [
            Push(slow, b"x" * 2**20),
            Push(at.peer.connections[1], b"quick"),
        ]
        await at.peer.gone.wait()
        assert slow not in at.peer.connections
        assert (await fast.receive()).data == "quick"
        writer.close()


async def test_clients_are_told_when_the_venues_end() -> None:
    async with served() as at:
        socket = await at.connect()
        await at.venues.__aexit__(None, None, None)
        closed = await socket.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1001)


async def test_a_port_in_use_is_one_clear_line() -> None:
    async with served() as at:
        port = urlsplit(at.control).port
        assert port is not None
        with pytest.raises(Unavailable, match=f"port {port} on 127.0.0.1 is in use"):
            async with PracticeVenues(CONFIG, control_port=port, peers={}):
                pass


def addresses(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [address for inner in value.values() for address in addresses(inner)]
    return [str(value)]


async def test_the_description_names_every_face_of_every_venue() -> None:
    async with asyncio.timeout(PATIENCE_S), PracticeVenues(CONFIG) as venues:
        described = venues.description
        assert msgspec.json.decode(msgspec.json.encode(described)) == described
        shape = {
            name: {
                face: sorted(inner) if isinstance(inner, dict) else None
                for face, inner in value.items()
            }
            if isinstance(value, dict)
            else None
            for name, value in described.items()
        }
        both = {"spot": ["api", "rest", "stream"], "linear": ["api", "rest", "stream"]}
        assert shape == {
            "binance": both,
            "bybit": dict.fromkeys(("rest", "public_spot", "public_linear", "private", "trade")),
            "okx": dict.fromkeys(("rest", "public", "private", "business")),
            "credentials": dict.fromkeys(("key", "secret", "passphrase")),
            "control": None,
            "run": None,
        }
        faces = {name: value for name, value in described.items() if name in DEFAULT_VENUES}
        served_faces = {**faces, "control": described["control"]}
        hosts = [urlsplit(address) for address in addresses(served_faces)]
        assert {host.hostname for host in hosts} == {"127.0.0.1"}
        assert len({host.port for host in hosts}) == len(hosts)


async def test_every_venue_tells_its_time_opens_its_order_faces_and_shows_its_account() -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        PracticeVenues(CONFIG) as venues,
        aiohttp.ClientSession() as client,
    ):
        described: Any = venues.description
        for url in (
            described["binance"]["spot"]["rest"] + "/api/v3/time",
            described["binance"]["linear"]["rest"] + "/fapi/v1/time",
            described["bybit"]["rest"] + "/v5/market/time",
            described["okx"]["rest"] + "/api/v5/public/time",
        ):
            async with client.get(url) as answer:
                assert answer.status == 200, url
        for url in (
            described["binance"]["spot"]["api"],
            described["binance"]["linear"]["api"],
            described["bybit"]["private"],
            described["bybit"]["trade"],
            described["okx"]["private"],
            described["okx"]["business"],
        ):
            async with client.ws_connect(url) as socket:
                assert not socket.closed
        for venue in ("binance", "bybit", "okx"):
            async with client.get(f"{described['control']}/account?venue={venue}") as answer:
                account = await answer.json()
            wallets = {"spot", "linear"} if venue == "binance" else {"unified"}
            assert account["balances"].keys() == wallets
            assert all(one["USDT"]["total"] == "1000000" for one in account["balances"].values())
            assert venues.switch(venue, "fill_on_cancel").accepted


async def test_the_market_moves_with_the_clock() -> None:
    async with served() as at:
        before_ns = at.venues.market.now_ns
        at.peer.moved.clear()
        await at.peer.moved.wait()
        assert at.venues.market.now_ns > before_ns


async def test_a_fault_is_switched_over_the_control_face() -> None:
    async with served() as at:
        wish = {"venue": "binance", "fault": "skew", "amount": 2}
        async with at.client.post(at.control + "/faults", json=wish) as answer:
            assert answer.status == 200
            assert (await answer.json())["accepted"] is True
        assert at.peer.skew_ns == 2_000_000_000
        async with at.client.get(at.control + "/faults") as answer:
            listed = await answer.json()
        assert listed["active"] == {"binance": {"skew": 2.0}}
        assert listed["faults"] == dict(FAULTS)


async def test_serve_announces_the_description_once_and_ends_in_time() -> None:
    announced: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        await serve(CONFIG, announced.append, duration_s=0)
    assert len(announced) == 1
    assert "\n" not in announced[0]
    assert set(msgspec.json.decode(announced[0])) == {
        "binance",
        "bybit",
        "okx",
        "credentials",
        "control",
        "run",
    }


async def test_a_failure_of_a_peer_ends_the_venues_with_its_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken() -> None:
        async with served() as at:
            at.peer.broken = True
            await asyncio.wait([at.venues.driver])

    with pytest.raises(RuntimeError, match="the peer is broken"):
        await broken()
    assert "practice venues stopped" in caplog.text


async def test_serve_does_not_outlive_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Market, now_ns: int) -> None:
        raise RuntimeError("the market is broken")

    monkeypatch.setattr(Market, "advance", fail)
    with pytest.raises(RuntimeError, match="the market is broken"):
        async with asyncio.timeout(PATIENCE_S):
            await serve(CONFIG, lambda _: None)


class Faults:
    """A control face over a market that stands still."""

    def __init__(self) -> None:
        self.market = Market(
            practice_specs(["BTC/USDT", "BTC/USDT:USDT"]), PracticeConfig(), 10**18
        )
        self.peers = {"okx": FaultyPeer(ScriptedPeer("okx"), 0, 1)}
        self.control = Control(
            self.market,
            self.peers,
            lambda venue, fault, amount: self.peers[venue].switch(fault, 0, amount),
        )

    def ask(self, method: str, path: str, query: str = "", body: bytes = b"") -> HttpAnswer:
        return self.control.request(method, path, query, body)

    def error(self, method: str, path: str, query: str = "", body: bytes = b"") -> tuple[int, str]:
        answer = self.ask(method, path, query, body)
        return answer.status, str(msgspec.json.decode(answer.body)["error"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "expected"),
        (b"{", "expected"),
        (b'{"venue":"okx"}', "fault"),
        (b'{"venue":"okx","fault":"gap","amuont":1}', "amuont"),
        (b'{"venue":"okx","fault":"gap","amount":"1"}', "amount"),
        (b'{"venue":"okx","fault":"earthquake"}', "earthquake"),
        (b'{"venue":"okx","fault":"drop","amount":2}', "amount 2"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_answered_with_the_reason(body: bytes, words: str) -> None:
    status, text = Faults().error("POST", "/faults", body=body)
    assert status == 400
    assert words in text


async def test_a_fault_for_an_unknown_venue_is_refused() -> None:
    async with served() as at:
        answer = at.venues.switch("kraken", "gap")
        assert not answer.accepted
        assert "binance" in answer.text


def test_the_truth_is_the_engines_own_book_in_base_coins() -> None:
    at = Faults()
    engine = at.market.engines["okx", Kind.LINEAR, "BTC-USDT-SWAP"]
    answer = at.ask("GET", "/truth", "venue=okx&kind=linear&symbol=BTC-USDT-SWAP")
    truth = msgspec.json.decode(answer.body)
    assert truth["sequence"] == engine.sequence
    assert (truth["ns"], truth["symbol"]) == (10**18, "BTC/USDT:USDT")
    sides: tuple[tuple[Side, str], ...] = (("buy", "bids"), ("sell", "asks"))
    for side, name in sides:
        assert [(Decimal(price), Decimal(size)) for price, size in truth[name]] == [
            (level.ticks * engine.spec.tick, level.lots * engine.spec.lot)
            for level in engine.levels(side)
        ]
    assert truth["mark"]["interval_hours"] == 8


def test_the_truth_is_cut_at_the_depth_asked_for_and_spot_has_no_mark() -> None:
    answer = Faults().ask("GET", "/truth", "venue=binance&symbol=BTC/USDT&depth=3")
    truth = msgspec.json.decode(answer.body)
    assert (len(truth["bids"]), len(truth["asks"]), truth["mark"]) == (3, 3, None)
    assert truth["kind"] == "spot"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 404, "BTC-USDT-SWAP at okx"),
        ("venue=okx&symbol=DOGE-USDT", 404, "no such market"),
        ("venue=okx&kind=inverse&symbol=BTC-USDT", 404, "no such market"),
        ("venue=okx&symbol=BTC-USDT&depth=-1", 400, "depth"),
    ],
)
def test_a_question_for_no_market_names_those_there_are(
    query: str, status: int, words: str
) -> None:
    answered, text = Faults().error("GET", "/truth", query)
    assert answered == status
    assert words in text


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("DELETE", "/faults"), ("POST", "/truth")]
)
def test_anything_else_is_told_what_there_is(method: str, path: str) -> None:
    status, text = Faults().error(method, path)
    assert status == 404
    assert "GET /truth" in text
