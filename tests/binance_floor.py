"""A practice Binance to trade on: its books hold only what a test puts there."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from hftmm.config import PracticeConfig
from hftmm.core.instrument import Kind, Side
from hftmm.sim.binance import BinancePeer
from hftmm.sim.binance.keys import ed25519_private_key
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.peers import HttpAnswer, HttpQuery, Push

MS = 1_000_000
SECOND = 1000 * MS
MINUTE = 60 * SECOND
# A whole minute, so that rate limit windows begin with the test.
START = 1_780_000_020 * SECOND
SYMBOLS = ("BTC/USDT:USDT", "BTC/USDT", "ETH/USDT:USDT", "ETH/USDT")
KEY, SECRET = DEMO.key, DEMO.secret
ED25519 = f"{KEY}-ed25519"
API, STREAM = 1, 2
Params = Mapping[str, object]


def hmac_hex(payload: str) -> str:
    return hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


def ed25519(payload: str) -> str:
    return base64.b64encode(ed25519_private_key(DEMO).sign(payload.encode())).decode()


def _empty(engine: MatchingEngine, now_ns: int) -> None:
    """Takes everything out of a book."""
    highest = engine.levels("sell")[-1].ticks
    engine.place("buy", highest, 10**12, now_ns, immediate=True)
    engine.place("sell", 1, 10**12, now_ns, immediate=True)


class Venue:
    """A peer whose books hold only what the test puts there."""

    def __init__(self, seed: int = 7, start_ns: int = START) -> None:
        specs = [spec for spec in practice_specs(SYMBOLS) if spec.venue == "binance"]
        self.market = Market(specs, PracticeConfig(seed=seed), start_ns)
        for engine in self.market.engines.values():
            _empty(engine, start_ns)
        self.peer = BinancePeer(self.market, seed)
        self.now_ns = start_ns
        self.frames: dict[int, list[Any]] = {}
        self._asked = 0

    # Time and the market

    @property
    def now_ms(self) -> int:
        return self.now_ns // MS

    def run(self, span_ms: float = 10) -> None:
        """Lets time pass, and gathers what the venue says."""
        end_ns = self.now_ns + round(span_ms * MS)
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, self.now_ns + 5 * MS)
            self.peer.advance(self.now_ns)
        for out in self.peer.outbox:
            if isinstance(out, Push):
                frame = msgspec.json.decode(out.frame)
                self.frames.setdefault(out.connection, []).append(frame)
            else:
                self.frames.setdefault(out.connection, []).append(out)
        self.peer.outbox.clear()

    def jump(self, span_ns: int) -> None:
        """Lets time pass at once."""
        self.now_ns += span_ns
        self.run()

    def engine(self, market: str = "spot", symbol: str = "BTCUSDT") -> MatchingEngine:
        return self.market.engines["binance", Kind(market), symbol]

    def someone(self, market: str, side: Side, price: str, size: str) -> int:
        """Somebody else's limit order; its number."""
        engine = self.engine(market)
        ticks = int(Decimal(price) / engine.spec.tick)
        lots = int(Decimal(size) / engine.spec.lot)
        return engine.place(side, ticks, lots, self.now_ns).order_id

    # REST

    def send(
        self,
        method: str,
        path: str,
        query: str = "",
        body: str = "",
        key: str | None = KEY,
    ) -> tuple[int, Any, HttpAnswer]:
        face = "linear.rest" if path.startswith("/fapi") else "spot.rest"
        headers = {"X-MBX-APIKEY": key} if key is not None else {}
        asked = HttpQuery(face, method, path, query, headers, body.encode())
        answer = self.peer.request(asked, self.now_ns)
        return answer.status, msgspec.json.decode(answer.body), answer

    def signed(
        self, method: str, path: str, params: Params | None = None, key: str = KEY
    ) -> tuple[int, Any, HttpAnswer]:
        """A signed request: parameters in the query string."""
        payload = urlencode({**(params or {}), "timestamp": self.now_ms})
        return self.send(method, path, f"{payload}&signature={hmac_hex(payload)}", key=key)

    def ask(self, method: str, path: str, params: Params | None = None) -> Any:
        """The value of a signed request that succeeds."""
        status, value, _ = self.signed(method, path, params)
        assert status == 200, value
        return value

    def refused(self, method: str, path: str, params: Params | None = None) -> tuple[int, Any]:
        """Status and code of a signed request that does not."""
        status, value, _ = self.signed(method, path, params)
        assert status != 200, value
        return status, value["code"]

    # WebSocket API

    def open(self, connection: int, face: str, path: str, query: str = "") -> None:
        assert self.peer.opened(connection, face, path, query, self.now_ns) is None

    def frame(self, connection: int, method: str, params: Params | None = None) -> Any:
        """The answer to a frame, as it came."""
        self._asked += 1
        message = {"id": f"r{self._asked}", "method": method, "params": params or {}}
        self.peer.received(connection, msgspec.json.encode(message), self.now_ns)
        self.run()
        answers = self.frames[connection]
        answer = next(a for a in answers if isinstance(a, dict) and a.get("id") == message["id"])
        answers.remove(answer)
        return answer

    def signed_frame(
        self, connection: int, method: str, params: Params | None = None, key: str = KEY
    ) -> Any:
        given = {**(params or {}), "apiKey": key, "timestamp": self.now_ms}
        payload = "&".join(f"{name}={given[name]}" for name in sorted(given))
        sign = ed25519 if key.endswith("ed25519") else hmac_hex
        return self.frame(connection, method, {**given, "signature": sign(payload)})

    def heard(self, connection: int) -> list[Any]:
        """What was pushed on a connection since the last call."""
        self.run()
        return self.frames.pop(connection, [])

    def follow_spot(self) -> None:
        """Subscribes connection `API` to the spot user data stream."""
        self.open(API, "spot.api", "/ws-api/v3")
        answer = self.signed_frame(API, "userDataStream.subscribe.signature")
        assert answer["result"] == {"subscriptionId": 0}

    def spot_events(self, kind: str = "executionReport") -> list[Any]:
        frames = self.heard(API)
        assert all(frame["subscriptionId"] == 0 for frame in frames)
        return [f["event"] for f in frames if f["event"]["e"] == kind]

    def follow_linear(self) -> str:
        """Opens connection `STREAM` on the USD-M user data stream; its listen key."""
        status, value, _ = self.send("POST", "/fapi/v1/listenKey")
        assert status == 200
        self.open(STREAM, "linear.stream", "/private/ws", f"listenKey={value['listenKey']}")
        return str(value["listenKey"])


def limit(side: str = "BUY", price: str = "64000", quantity: str = "0.01", **more: str) -> Params:
    return {
        "symbol": "BTCUSDT",
        "side": side,
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": price,
        "quantity": quantity,
        **more,
    }


def maker(side: str = "BUY", price: str = "64000", quantity: str = "0.01", **more: str) -> Params:
    order = {**limit(side, price, quantity, **more), "type": "LIMIT_MAKER"}
    del order["timeInForce"]
    return order


ORDER = "/api/v3/order"
FORDER = "/fapi/v1/order"
BY_ID = {"symbol": "BTCUSDT"}
