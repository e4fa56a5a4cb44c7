"""The market endpoints of the practice Bybit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.topic import SECOND, BookTopic
from hftmm.sim.peers import HttpAnswer, HttpQuery

CATEGORIES = ("spot", "linear", "inverse", "option")
"""What the venue has; the practice venue lists nothing in the last two."""
CALLS, CALLS_NS = 600, 5 * SECOND
"""Requests an address may make in a rolling window, over all hosts."""


class Refused(Exception):
    """A business error: an answer with HTTP status 200 and this code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class MarketEndpoints:
    """Answers `/v5/market/...`.

    Args:
        instruments: by category and symbol.
        deepest: the 1000-level topic of each, whose ids those of the REST book are.
    """

    def __init__(
        self,
        instruments: Mapping[tuple[str, str], Instrument],
        deepest: Mapping[tuple[str, str], BookTopic],
    ) -> None:
        self._instruments = instruments
        self._deepest = deepest
        self._calls: deque[int] = deque()
        self._routes: dict[str, Callable[[dict[str, str], int, int], dict[str, object]]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._definitions,
            "/v5/market/orderbook": self._book,
            "/v5/market/tickers": self._tickers,
            "/v5/market/recent-trade": self._trades,
        }

    def answer(self, query: HttpQuery, now_ns: int, skew_ns: int) -> HttpAnswer:
        """One request. The venue bans a hasty address for ten minutes, this one until it slows."""
        stamp_ns = now_ns + skew_ns
        while self._calls and self._calls[0] <= now_ns - CALLS_NS:
            self._calls.popleft()
        if len(self._calls) >= CALLS:
            return _answer(403, 10018, "access too frequent", {}, stamp_ns)
        self._calls.append(now_ns)
        route = self._routes.get(query.path)
        if route is None:
            return not_found(stamp_ns)
        if query.method != "GET":
            return _answer(400, 10001, "Request method error", {}, stamp_ns)
        try:
            result = route(dict(parse_qsl(query.query)), stamp_ns, skew_ns)
        except Refused as refused:
            return _answer(200, refused.code, str(refused), {}, stamp_ns)
        headers = {
            "X-Bapi-Limit": str(CALLS),
            "X-Bapi-Limit-Status": str(CALLS - len(self._calls)),
            "X-Bapi-Limit-Reset-Timestamp": str(stamp_ns // MILLISECOND),
        }
        return _answer(200, 0, "OK", result, stamp_ns, headers)

    def _time(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        return {"timeSecond": str(stamp_ns // SECOND), "timeNano": str(stamp_ns)}

    def _definitions(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        """Spot all at once, linear in pages; only what trades is listed unless asked otherwise."""
        category = _category(query)
        found = [
            one
            for one in self._listed(category)
            if query.get("symbol", one.symbol) == one.symbol
            and query.get("baseCoin", one.spec.base) == one.spec.base
            and query.get("status", "Trading") == "Trading"
        ]
        if category == "spot":
            return {"category": category, "list": [one.definition() for one in found]}
        limit = _limit(query, default=500, most=1000)
        start = 0
        if "cursor" in query:
            # Clients send the cursor back as it came, or encoded once more.
            last = unquote(unquote(query["cursor"])).rpartition("last=")[2]
            symbols = [one.symbol for one in found]
            if last not in symbols:
                raise Refused(10001, "params error: cursor invalid")
            start = symbols.index(last) + 1
        page = found[start : start + limit]
        cursor = ""
        if start + limit < len(found):
            cursor = quote(f"first={page[0].symbol}&last={page[-1].symbol}", safe="")
        rows = [one.definition() for one in page]
        return {"category": category, "list": rows, "nextPageCursor": cursor}

    def _book(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        category = _category(query)
        instrument = self._one(category, query)
        if category == "spot":
            limit = _limit(query, default=1, most=200)
        else:
            limit = _limit(query, default=25, most=1000)
        book = self._deepest[category, instrument.symbol]
        book.refresh()
        bids, asks = book.levels(limit)
        stamp_ms = stamp_ns // MILLISECOND
        return {
            "s": instrument.symbol,
            "b": bids,
            "a": asks,
            "ts": stamp_ms,
            "u": book.u,
            "seq": book.seq,
            "cts": stamp_ms,
        }

    def _tickers(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        category = _category(query)
        found = [self._one(category, query)] if "symbol" in query else self._listed(category)
        rows = []
        for one in found:
            row = one.day() | one.touch()
            row |= one.contract() if one.linear else {"usdIndexPrice": ""}
            rows.append(row)
        return {"category": category, "list": rows}

    def _trades(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        """Newest first."""
        category = _category(query)
        instrument = self._one(category, query)
        most = 60 if category == "spot" else 1000
        limit = _limit(query, default=min(500, most), most=most)
        rows = [
            {
                "execId": instrument.trade_id(fill),
                "symbol": instrument.symbol,
                "price": instrument.spec.price(fill.ticks),
                "size": instrument.spec.size(fill.lots),
                "side": "Buy" if fill.taker_side == "buy" else "Sell",
                "time": str((fill.ts_ns + skew_ns) // MILLISECOND),
                "isBlockTrade": False,
                "isRPITrade": False,
                "seq": str(fill.sequence),
            }
            for fill, _ in list(instrument.trades)[-limit:][::-1]
        ]
        return {"category": category, "list": rows}

    def _listed(self, category: str) -> list[Instrument]:
        return [one for key, one in self._instruments.items() if key[0] == category]

    def _one(self, category: str, query: dict[str, str]) -> Instrument:
        instrument = self._instruments.get((category, query.get("symbol", "")))
        if instrument is None:
            raise Refused(10001, "params error: symbol invalid")
        return instrument


def not_found(stamp_ns: int) -> HttpAnswer:
    """The answer to a path the venue does not have."""
    return _answer(404, 10017, "Route not found.", {}, stamp_ns)


def _category(query: dict[str, str]) -> str:
    category = query.get("category", "")
    if category not in CATEGORIES:
        raise Refused(10001, "params error: category invalid")
    return category


def _limit(query: dict[str, str], *, default: int, most: int) -> int:
    """How many rows to give; more than there can be is the most there can be."""
    text = query.get("limit", str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise Refused(10001, "params error: limit invalid")
    return min(int(text), most)


def _answer(
    status: int,
    code: int,
    text: str,
    result: dict[str, object],
    stamp_ns: int,
    headers: Mapping[str, str] | None = None,
) -> HttpAnswer:
    envelope = {
        "retCode": code,
        "retMsg": text,
        "result": result,
        "retExtInfo": {},
        "time": stamp_ns // MILLISECOND,
    }
    return HttpAnswer(status, msgspec.json.encode(envelope), headers or {})
