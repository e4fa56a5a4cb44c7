"""The market endpoints of the practice Bybit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from hftmm.core.instrument import Side
from hftmm.sim.bybit.answers import Refused, answer, category_of, limit_of, page
from hftmm.sim.bybit.instrument import MILLISECOND, Instrument
from hftmm.sim.bybit.topic import SECOND, BookTopic
from hftmm.sim.peers import HttpAnswer, HttpQuery
from hftmm.sim.spec import Spec


class MarketEndpoints:
    """Answers `/v5/market/...`.

    Args:
        instruments: by category and symbol.
        deepest: the 1000-level topic of each, whose ids those of the REST book are.
        edge: the last price a side may have, in ticks.
    """

    def __init__(
        self,
        instruments: Mapping[tuple[str, str], Instrument],
        deepest: Mapping[tuple[str, str], BookTopic],
        edge: Callable[[Spec, Side], int],
    ) -> None:
        self._instruments = instruments
        self._deepest = deepest
        self._edge = edge
        self._routes: dict[str, Callable[[dict[str, str], int, int], dict[str, object]]] = {
            "/v5/market/time": self._time,
            "/v5/market/instruments-info": self._definitions,
            "/v5/market/orderbook": self._book,
            "/v5/market/tickers": self._tickers,
            "/v5/market/recent-trade": self._trades,
            "/v5/market/price-limit": self._price_limit,
        }

    def answer(self, query: HttpQuery, stamp_ns: int, skew_ns: int) -> HttpAnswer | None:
        """One request, None if the path is not one of these.

        Raises:
            Refused: the venue would answer with an error.
        """
        route = self._routes.get(query.path)
        if route is None:
            return None
        if query.method != "GET":
            raise Refused(10001, "Request method error", status=400)
        return answer(route(dict(parse_qsl(query.query)), stamp_ns, skew_ns), stamp_ns)

    def _time(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        return {"timeSecond": str(stamp_ns // SECOND), "timeNano": str(stamp_ns)}

    def _definitions(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        """Spot all at once, linear in pages; only what trades is listed unless asked otherwise."""
        category = category_of(query)
        found = [
            one
            for one in self._listed(category)
            if query.get("symbol", one.symbol) == one.symbol
            and query.get("baseCoin", one.spec.base) == one.spec.base
            and query.get("status", "Trading") == "Trading"
        ]
        if category == "spot":
            return {"category": category, "list": [one.definition() for one in found]}
        limit = limit_of(query, default=500, most=1000)
        chosen, cursor = page(found, lambda one: one.symbol, query, limit)
        rows = [one.definition() for one in chosen]
        return {"category": category, "list": rows, "nextPageCursor": cursor}

    def _book(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        category = category_of(query)
        instrument = self._one(category, query)
        if category == "spot":
            limit = limit_of(query, default=1, most=200)
        else:
            limit = limit_of(query, default=25, most=1000)
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
        category = category_of(query)
        found = [self._one(category, query)] if "symbol" in query else self._listed(category)
        rows = []
        for one in found:
            row = one.day() | one.touch()
            row |= one.contract() if one.linear else {"usdIndexPrice": ""}
            rows.append(row)
        return {"category": category, "list": rows}

    def _trades(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        """Newest first."""
        category = category_of(query)
        instrument = self._one(category, query)
        most = 60 if category == "spot" else 1000
        limit = limit_of(query, default=min(500, most), most=most)
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

    def _price_limit(self, query: dict[str, str], stamp_ns: int, skew_ns: int) -> dict[str, object]:
        """The authority on price bands; linear if no category is named."""
        instrument = self._one(category_of({"category": "linear"} | query), query)
        spec = instrument.spec
        return {
            "symbol": instrument.symbol,
            "buyLmt": spec.price(self._edge(spec, "buy")),
            "sellLmt": spec.price(self._edge(spec, "sell")),
            "ts": str(stamp_ns // MILLISECOND),
        }

    def _listed(self, category: str) -> list[Instrument]:
        return [one for key, one in self._instruments.items() if key[0] == category]

    def _one(self, category: str, query: dict[str, str]) -> Instrument:
        instrument = self._instruments.get((category, query.get("symbol", "")))
        if instrument is None:
            raise Refused(10001, "params error: symbol invalid")
        return instrument
