"""The practice OKX as a member meets it, in raw REST requests and WebSocket frames: nothing of our
own connector takes part, so that what it believes cannot hide what the venue says."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from hftmm.config import PracticeConfig
from hftmm.core.instrument import Kind, Side
from hftmm.sim.market import Market, practice_specs
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.okx import OkxPeer, TradingOptions
from hftmm.sim.peers import Close, HttpQuery, Push

MS = 1_000_000
SECOND = 1_000_000_000
START = 1_781_784_000_000 * MS
SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
KEY, SECRET, PASSPHRASE = "practice-key", "practice-secret", "practice-passphrase"
CODE = 10459

Json = dict[str, Any]


def sign(secret: str, prehash: str) -> str:
    digest = hmac.new(secret.encode(), prehash.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def iso(ns: int) -> str:
    moment = datetime.fromtimestamp(ns / SECOND, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ns // MS % 1000:03d}Z"


@dataclass
class Venue:
    """A peer, its market standing still, and what its clients received."""

    peer: OkxPeer
    market: Market
    now_ns: int = START
    frames: dict[int, list[Json]] = field(default_factory=dict)
    closes: list[Close] = field(default_factory=list)
    matters: list[str] = field(default_factory=list)
    asked: int = 0

    # -- the socket -----------------------------------------------------------------------------

    def open(self, connection: int = 1, face: str = "private") -> list[Json]:
        self.frames[connection] = []
        path = f"/ws/v5/{face}"
        assert self.peer.opened(connection, face, path, "", self.now_ns) is None
        return []

    def login(
        self, connection: int = 1, face: str = "private", claim: Mapping[str, str] = {}
    ) -> list[Json]:
        """Logs in; `claim` replaces parts of what is claimed."""
        if connection not in self.frames:
            self.open(connection, face)
        stamp = claim.get("timestamp", str(self.now_ns // SECOND))
        claimed = {
            "apiKey": KEY,
            "passphrase": PASSPHRASE,
            "timestamp": stamp,
            "sign": sign(SECRET, f"{stamp}GET/users/self/verify"),
            **claim,
        }
        return self.send({"op": "login", "args": [claimed]}, connection)

    def subscribe(self, *args: Json, connection: int = 1) -> list[Json]:
        """Subscribes; returns the pushes that follow, without events."""
        said = self.send({"op": "subscribe", "args": list(args)}, connection)
        return [frame for frame in said if "event" not in frame]

    def send(self, frame: Json | bytes, connection: int = 1) -> list[Json]:
        """Sends one frame; returns everything said within the venue's latency."""
        raw = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        self.peer.received(connection, raw, self.now_ns)
        return self.wait(5, connection)

    def operate(self, op: str, *args: Json, connection: int = 1, **top: Any) -> list[Json]:
        """An order operation; the answer and the pushes, as they came."""
        self.asked += 1
        return self.send({"id": f"r{self.asked}", "op": op, "args": list(args), **top}, connection)

    def reply(self, op: str, *args: Json, **top: Any) -> Json:
        """An order operation; only its answer."""
        (answer,) = [frame for frame in self.operate(op, *args, **top) if "op" in frame]
        return answer

    def wait(self, ms: int, connection: int = 1) -> list[Json]:
        """Lets time pass for the venue, not for the market."""
        # What has happened by now is noticed now, and told a moment later.
        self.peer.advance(self.now_ns)
        self.now_ns += ms * MS
        self.peer.advance(self.now_ns)
        for outgoing in self.peer.outbox:
            if isinstance(outgoing, Push):
                self.matters.append(outgoing.matter)
                if outgoing.frame != b"pong":
                    decoded = msgspec.json.decode(outgoing.frame)
                    self.frames[outgoing.connection].append(decoded)
            else:
                self.closes.append(outgoing)
        self.peer.outbox.clear()
        return self.taken(connection)

    def taken(self, connection: int = 1) -> list[Json]:
        said, self.frames[connection] = self.frames.get(connection, []), []
        return said

    # -- REST -----------------------------------------------------------------------------------

    def rest(
        self,
        method: str,
        path: str,
        arguments: Any = None,
        headers: Mapping[str, str | None] = {},
    ) -> tuple[int, Json]:
        """A signed call; `headers` replace ours, None leaves one out."""
        query = urlencode(arguments) if method == "GET" and arguments else ""
        body = msgspec.json.encode(arguments) if method == "POST" else b""
        stamp = headers.get("OK-ACCESS-TIMESTAMP") or iso(self.now_ns)
        target = f"/api/v5/{path}" + (f"?{query}" if query else "")
        sent: dict[str, str | None] = {
            "OK-ACCESS-KEY": KEY,
            "OK-ACCESS-PASSPHRASE": PASSPHRASE,
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-SIGN": sign(SECRET, f"{stamp}{method}{target}{body.decode()}"),
            "Content-Type": "application/json",
            **headers,
        }
        given = {name: value for name, value in sent.items() if value is not None}
        asked = HttpQuery("rest", method, f"/api/v5/{path}", query, given, body)
        answer = self.peer.request(asked, self.now_ns)
        self.matters.append(answer.matter)
        decoded: Json = msgspec.json.decode(answer.body) if answer.body else {}
        return answer.status, decoded

    def get(self, path: str, **arguments: str) -> list[Json]:
        """The data of a call that succeeds."""
        status, body = self.rest("GET", path, arguments)
        assert (status, body["code"]) == (200, "0"), body
        rows: list[Json] = body["data"]
        return rows

    def post(self, path: str, arguments: Any) -> Json:
        """The only element of the data of an order call."""
        _, body = self.rest("POST", path, arguments)
        (row,) = body["data"]
        assert body["code"] == ("0" if row["sCode"] == "0" else "1")
        found: Json = row
        return found

    def get_after(self, timeout: str, tag: str = "") -> list[Json]:
        """Arms or disarms cancel-all-after."""
        wanted = {"timeOut": timeout} | ({"tag": tag} if tag else {})
        status, body = self.rest("POST", "trade/cancel-all-after", wanted)
        assert (status, body["code"]) == (200, "0"), body
        rows: list[Json] = body["data"]
        return rows

    # -- the market -----------------------------------------------------------------------------

    def engine(self, name: str = SWAP) -> MatchingEngine:
        kind = Kind.LINEAR if name == SWAP else Kind.SPOT
        return self.market.engines["okx", kind, name]

    def price(self, side: Side, away: int = 0, name: str = SWAP) -> str:
        """The best price of a side, so many ticks away from the other side."""
        best = self.engine(name).best(side)
        assert best is not None
        return self.engine(name).spec.price(best.ticks + (-away if side == "buy" else away))

    def hit(self, side: Side, price: str, lots: int, name: str = SWAP) -> None:
        """Somebody else takes, up to a price."""
        engine = self.engine(name)
        ticks = int(Decimal(price) / engine.spec.tick)
        engine.place(side, ticks, lots, self.now_ns, immediate=True)

    def clear(self, side: Side, price: str, name: str = SWAP) -> None:
        """Takes everything of a side that is better than a price."""
        engine = self.engine(name)
        ticks = int(Decimal(price) / engine.spec.tick)
        better = [
            level.lots
            for level in engine.levels(side)
            if (level.ticks > ticks if side == "buy" else level.ticks < ticks)
        ]
        if better:
            self.hit("sell" if side == "buy" else "buy", price, sum(better), name)

    def lots(self, side: Side, name: str = SWAP) -> int:
        best = self.engine(name).best(side)
        assert best is not None
        return best.lots


def venue(
    seed: int = 1,
    symbols: tuple[str, ...] = ("BTC/USDT:USDT", "BTC/USDT"),
    start_ns: int = START,
    **trading: Any,
) -> Venue:
    """A venue nobody has called yet."""
    specs = [spec for spec in practice_specs(symbols) if spec.venue == "okx"]
    market = Market(specs, PracticeConfig(seed=seed), start_ns)
    return Venue(OkxPeer(market, seed, trading=TradingOptions(**trading)), market, start_ns)


def member(**trading: Any) -> Venue:
    """A venue with one connection that is logged in and hears of all orders."""
    one = venue(**trading)
    one.login()
    one.subscribe({"channel": "orders", "instType": "ANY"})
    return one


def swap_order(price: str, size: str = "1", **other: Any) -> Json:
    return {
        "instIdCode": CODE,
        "tdMode": "cross",
        "side": "buy",
        "ordType": "limit",
        "px": price,
        "sz": size,
        **other,
    }


def spot_order(price: str, size: str = "0.01", **other: Any) -> Json:
    return {
        "instId": SPOT,
        "tdMode": "cash",
        "side": "buy",
        "ordType": "limit",
        "px": price,
        "sz": size,
        **other,
    }


def orders(frames: list[Json]) -> list[Json]:
    """The rows of the orders channel among frames."""
    return [
        row
        for frame in frames
        if frame.get("arg", {}).get("channel") == "orders"
        for row in frame["data"]
    ]


def of(frames: list[Json], channel: str) -> list[Json]:
    return [frame for frame in frames if frame.get("arg", {}).get("channel") == channel]
