"""The public REST calls under /api/v5."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from hftmm.sim.broker import Broker
from hftmm.sim.okx.entry import price_limit_row
from hftmm.sim.okx.instrument import Instrument, Row, TradeRow
from hftmm.sim.okx.refusal import Refusal, missing, unknown_instrument, wrong
from hftmm.sim.okx.topics import BOOK_DEPTH
from hftmm.sim.peers import HttpAnswer, HttpQuery

_PREFIX = "/api/v5/"
INSTRUMENT_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"})
_CONTRACT_TYPES = INSTRUMENT_TYPES - {"SPOT"}
_SIZE = re.compile(r"[0-9]{1,3}")
_NOT_FOUND = {
    "code": 404,
    "data": {},
    "detailMsg": "",
    "error_code": "404",
    "error_message": "Not Found",
    "msg": "Not Found",
}


class PublicRest:
    """Answers public calls from the instruments as they stand."""

    def __init__(self, instruments: Mapping[str, Instrument], broker: Broker) -> None:
        self._instruments = instruments
        self._broker = broker
        self._calls: Mapping[str, Callable[[Mapping[str, str], str], Sequence[Row | TradeRow]]] = {
            "public/time": lambda _, stamp: [{"ts": stamp}],
            "public/instruments": self._definitions,
            "public/mark-price": self._mark_prices,
            "public/funding-rate": self._funding_rates,
            "public/price-limit": self._price_limit,
            "market/books": self._book,
            "market/ticker": self._ticker,
            "market/trades": self._trades,
            "market/tickers": self._tickers,
            "system/status": lambda _, __: [],
        }

    def answer(self, query: HttpQuery, stamp: str) -> HttpAnswer:
        """Business errors come with status 200 and a code, as they do at OKX."""
        call = self._calls.get(query.path.removeprefix(_PREFIX))
        if call is None or not query.path.startswith(_PREFIX):
            return HttpAnswer(404, msgspec.json.encode(_NOT_FOUND))
        if query.method != "GET":
            return _answer(405, "50115", "Invalid request method.", [])
        try:
            return _answer(200, "0", "", call(dict(parse_qsl(query.query)), stamp))
        except Refusal as refused:
            return _answer(refused.status, refused.code, refused.message, [])

    def _definitions(self, asked: Mapping[str, str], stamp: str) -> list[Row]:
        return [found.definition() for found in self._found(asked, INSTRUMENT_TYPES)]

    def _tickers(self, asked: Mapping[str, str], stamp: str) -> list[Row]:
        return [found.ticker(stamp) for found in self._found(asked, INSTRUMENT_TYPES)]

    def _ticker(self, asked: Mapping[str, str], stamp: str) -> list[Row]:
        return [self._named(asked).ticker(stamp)]

    def _mark_prices(self, asked: Mapping[str, str], stamp: str) -> list[Row]:
        return [found.mark_price(stamp) for found in self._found(asked, _CONTRACT_TYPES)]

    def _funding_rates(self, asked: Mapping[str, str], stamp: str) -> list[Row]:
        swaps = [found for found in self._instruments.values() if found.inst_type == "SWAP"]
        if asked.get("instId") != "ANY":
            swaps = [found for found in swaps if found is self._named(asked)]
            if not swaps:
                raise wrong("instId")
        return [found.funding_rate(stamp) for found in swaps]

    def _book(self, asked: Mapping[str, str], stamp: str) -> list[Row]:
        instrument = self._named(asked)
        size = asked.get("sz", "1")
        if not (_SIZE.fullmatch(size) and 1 <= int(size) <= BOOK_DEPTH):
            raise wrong("sz")
        bids, asks = instrument.top(int(size))
        row: Row = {
            "asks": instrument.rows(asks),
            "bids": instrument.rows(bids),
            "ts": stamp,
            "seqId": instrument.seq_id(),
        }
        return [row]

    def _price_limit(self, asked: Mapping[str, str], stamp: str) -> list[Row]:
        return [price_limit_row(self._named(asked), self._broker, stamp)]

    def _trades(self, asked: Mapping[str, str], stamp: str) -> list[TradeRow]:
        instrument = self._named(asked)
        limit = asked.get("limit", "100")
        if not _SIZE.fullmatch(limit):
            raise wrong("limit")
        return list(instrument.recent)[: int(limit)]

    def _named(self, asked: Mapping[str, str]) -> Instrument:
        """The instrument `instId` names."""
        name = _required(asked, "instId")
        found = self._instruments.get(name)
        if found is None:
            raise unknown_instrument()
        return found

    def _found(self, asked: Mapping[str, str], allowed: frozenset[str]) -> list[Instrument]:
        """The instruments of `instType`, narrowed by `instId`, `instFamily` or `uly`."""
        type_ = _required(asked, "instType")
        if type_ not in allowed:
            raise wrong("instType")
        found = [one for one in self._instruments.values() if one.inst_type == type_]
        if asked.get("instId"):
            named = self._named(asked)
            found = [one for one in found if one is named]
        family = asked.get("instFamily") or asked.get("uly")
        if family:
            found = [one for one in found if one.definition()["instFamily"] == family]
        return found


def _required(asked: Mapping[str, str], name: str) -> str:
    value = asked.get(name, "")
    if not value:
        raise missing(name)
    return value


def _answer(status: int, code: str, message: str, rows: Sequence[Row | TradeRow]) -> HttpAnswer:
    body = msgspec.json.encode({"code": code, "msg": message, "data": rows})
    return HttpAnswer(status, body)
