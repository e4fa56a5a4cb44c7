"""The control face of the practice venues: what a tester asks that no real venue would answer.

GET  /faults                            every fault with its meaning, and what is in force
POST /faults {"venue", "fault", "amount"?}
GET  /truth?venue=&kind=&symbol=&depth= the matching engine's own book, now
GET  /account?venue=&account=           balances, positions, orders and executions, now
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

import msgspec

from hftmm.core.instrument import Kind, Side
from hftmm.desk.commands import Answer
from hftmm.sim.faults import FAULTS, FaultyPeer
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.peers import HttpAnswer
from hftmm.sim.statement import statement

Switch = Callable[[str, str, float | None], Answer]


class _Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    venue: str
    fault: str
    amount: float | None = None


class Control:
    """Answers control requests; no socket of its own."""

    def __init__(self, market: Market, peers: Mapping[str, FaultyPeer], switch: Switch) -> None:
        self._market = market
        self._peers = peers
        self._switch = switch

    def request(self, method: str, path: str, query: str, body: bytes) -> HttpAnswer:
        """One answer; what is wrong with a request is in `error`, with status 400 or 404."""
        match method, path:
            case "GET", "/faults":
                return _json(200, self._faults())
            case "POST", "/faults":
                return self._fault(body)
            case "GET", "/truth":
                return self._truth(query)
            case "GET", "/account":
                return self._account(query)
        return _error(404, "there are GET /faults, POST /faults, GET /truth and GET /account")

    def _faults(self) -> dict[str, object]:
        active = {venue: dict(peer.active) for venue, peer in self._peers.items()}
        return {"faults": dict(FAULTS), "active": active}

    def _fault(self, body: bytes) -> HttpAnswer:
        try:
            wish = msgspec.json.decode(body, type=_Wish)
        except msgspec.DecodeError as error:
            return _error(400, f'expected {{"venue", "fault", "amount"?}}: {error}')
        answer = self._switch(wish.venue, wish.fault, wish.amount)
        if not answer.accepted:
            return _error(400, answer.text)
        return _json(200, {"accepted": True, "text": answer.text})

    def _account(self, query: str) -> HttpAnswer:
        asked = _parameters(query)
        peer = self._peers.get(asked.get("venue", ""))
        if peer is None or peer.broker is None:
            return _error(404, f"no such venue; there are: {', '.join(self._peers)}")
        accounts = peer.broker.accounts
        account = accounts.get(asked.get("account", DEMO.account))
        if account is None:
            return _error(404, f"no such account; there are: {', '.join(accounts)}")
        return _json(200, statement(peer.broker, account))

    def _truth(self, query: str) -> HttpAnswer:
        asked = _parameters(query)
        depth = asked.get("depth", "")
        if depth and not depth.isdecimal():
            return _error(400, f"depth: {depth!r} is not a number of levels")
        for engine in self._market.engines.values():
            spec = engine.spec
            if (
                spec.venue == asked.get("venue")
                and spec.kind == asked.get("kind", spec.kind)
                and asked.get("symbol") in {spec.symbol, spec.venue_symbol}
            ):
                return _json(200, self._book(engine, int(depth) if depth else None))
        known = ", ".join(
            f"{kind.value} {symbol} at {venue}" for venue, kind, symbol in self._market.engines
        )
        return _error(404, f"no such market; there are: {known}")

    def _book(self, engine: MatchingEngine, depth: int | None) -> dict[str, object]:
        """Prices and sizes as decimal strings, sizes in base coins whatever the venue counts in."""
        spec = engine.spec

        def side(which: Side) -> list[tuple[str, str]]:
            return [
                (spec.price(level.ticks), f"{(spec.lot * level.lots).normalize():f}")
                for level in engine.levels(which, depth)
            ]

        mark = self._market.mark(spec) if spec.kind is Kind.LINEAR else None
        return {
            "venue": spec.venue,
            "kind": spec.kind.value,
            "symbol": spec.symbol,
            "venue_symbol": spec.venue_symbol,
            "ns": self._market.now_ns,
            "sequence": engine.sequence,
            "bids": side("buy"),
            "asks": side("sell"),
            "mark": mark,
        }


def _parameters(query: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(query).items()}


def _json(status: int, value: object) -> HttpAnswer:
    return HttpAnswer(status, msgspec.json.encode(value))


def _error(status: int, text: str) -> HttpAnswer:
    return _json(status, {"error": text})
