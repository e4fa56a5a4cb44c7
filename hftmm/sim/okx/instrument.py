"""One instrument as OKX presents it: its ids, its numbers, its rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from random import Random
from typing import TypeAlias

import msgspec

from hftmm.core.instrument import Kind, Side
from hftmm.sim.market import Market
from hftmm.sim.matching import Fill, Level, MatchingEngine
from hftmm.venues.codec import MILLISECOND

HOUR_MS = 3_600_000

LevelRow: TypeAlias = tuple[str, str, str, str]
"""Price, size, the dead "0", number of orders."""
Row: TypeAlias = dict[str, object]

_LISTED_MS = "1606468572000"
_LARGEST = "100000000"
_LARGEST_TAKER = "12000"
_LARGEST_VALUE = "1000000"
_FUNDING_LIMIT = "0.00375"
_DEMO_CODES_FROM = 2_021_000_000_000_000


class TradeRow(msgspec.Struct, gc=False, rename={"inst_id": "instId", "trade_id": "tradeId"}):
    """What one taker order took at one price."""

    inst_id: str
    trade_id: str
    px: str
    sz: str
    side: Side
    ts: str
    count: str
    seq_id: int = msgspec.field(name="seqId")
    source: str = "0"


def milliseconds(ns: int) -> str:
    """A stamp as OKX writes it."""
    return str(ns // MILLISECOND)


class Instrument:
    """An engine's book and trades in OKX's words.

    Attributes:
        inst_type: `SPOT` or `SWAP`.
        code: `instIdCode`; production and demo number their instruments apart.
        feed: key of its depth stream for faults of the book.
    """

    def __init__(
        self, engine: MatchingEngine, market: Market, chance: Random, *, demo: bool = False
    ) -> None:
        self.engine = engine
        self.spec = engine.spec
        self.code = engine.spec.code + (_DEMO_CODES_FROM if demo else 0)
        self.inst_id = engine.spec.venue_symbol
        self.inst_type = "SPOT" if engine.spec.kind is Kind.SPOT else "SWAP"
        self.feed = f"{engine.spec.kind.value} {self.inst_id}"
        self.last_trade: TradeRow | None = None
        self.recent: deque[TradeRow] = deque(maxlen=500)
        """The last trades, newest first."""
        self._market = market
        self._chance = chance
        self._listener = engine.listen()
        self._seq_id = chance.randrange(1_000_000_000, 10_000_000_000)
        self._counted = engine.sequence
        best = engine.best("buy")
        self._last = self._open = self._high = self._low = best.ticks if best else 0
        self._last_lots = self._lots = self._turnover = 0

    @property
    def family(self) -> str:
        """`instFamily`; "" for spot."""
        return f"{self.spec.base}-{self.spec.quote}" if self.inst_type == "SWAP" else ""

    @property
    def largest_value(self) -> Decimal:
        """Most quote a spot market order may trade."""
        return Decimal(_LARGEST_VALUE)

    def largest(self, *, limit: bool) -> Decimal:
        """Largest size of an order with or without a price, in the venue's unit."""
        return Decimal(_LARGEST if limit or self.inst_type == "SPOT" else _LARGEST_TAKER)

    # -- ids ----------------------------------------------------------------------------------

    def seq_id(self) -> int:
        """The id of the book as it stands now: the same for the same state, larger for a later
        one, by steps that mean nothing."""
        if self.engine.sequence != self._counted:
            self._seq_id += self.engine.sequence - self._counted + self._chance.randrange(9)
            self._counted = self.engine.sequence
        return self._seq_id

    def skip_id(self) -> int:
        """An id of its own for a message that no event of the engine caused."""
        self._seq_id += 1 + self._chance.randrange(9)
        return self._seq_id

    def renumber(self) -> None:
        """Ids begin anew from a smaller number, as OKX documents for its maintenance."""
        self._seq_id = self._chance.randrange(1, max(2, self.seq_id() // 2))

    # -- book ---------------------------------------------------------------------------------

    def rows(self, levels: Iterable[Level]) -> list[LevelRow]:
        """Levels as they stand in every book message."""
        spec = self.spec
        return [
            (self.price(level.ticks), spec.size(level.lots), "0", str(level.orders))
            for level in levels
        ]

    def price(self, ticks: int) -> str:
        """A price without trailing zeros, as OKX writes it whatever the tick."""
        return plain(self.spec.tick * ticks)

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Best bids and best asks."""
        return self.engine.levels("buy", depth), self.engine.levels("sell", depth)

    # -- trades -------------------------------------------------------------------------------

    def collect(self, skew_ns: int) -> list[TradeRow]:
        """Trades since the last call."""
        changes = self._listener.take()
        if changes is None or not changes.fills:
            return []
        rows: list[TradeRow] = []
        aggregate: list[Fill] = []
        for fill in changes.fills:
            if aggregate and (fill.taker_order, fill.ticks) != (
                aggregate[0].taker_order,
                aggregate[0].ticks,
            ):
                rows.append(self._traded(aggregate, skew_ns))
                aggregate = []
            aggregate.append(fill)
        rows.append(self._traded(aggregate, skew_ns))
        self.last_trade = rows[-1]
        self.recent.extendleft(rows)
        return rows

    def _traded(self, fills: Sequence[Fill], skew_ns: int) -> TradeRow:
        last, lots = fills[-1], sum(fill.lots for fill in fills)
        self._last, self._last_lots = last.ticks, lots
        if not self._lots:
            self._open = self._high = self._low = last.ticks
        self._high, self._low = max(self._high, last.ticks), min(self._low, last.ticks)
        self._lots += lots
        self._turnover += lots * last.ticks
        return TradeRow(
            inst_id=self.inst_id,
            trade_id=str(last.trade_id),
            px=self.price(last.ticks),
            sz=self.spec.size(lots),
            side=last.taker_side,
            ts=milliseconds(last.ts_ns + skew_ns),
            count=str(len(fills)),
            seq_id=self.seq_id(),
        )

    @property
    def last_ticks(self) -> int:
        """Price of the last trade; before any, of the best bid at the beginning."""
        return self._last

    # -- rows of other channels and of REST ---------------------------------------------------

    def ticker(self, stamp: str) -> Row:
        """Last trade, best bid and offer, and the day so far: a practice day begins with it."""
        spec = self.spec
        ask, bid = self.engine.best("sell"), self.engine.best("buy")
        opened = self.price(self._open)
        base = plain(spec.lot * self._lots)
        turnover = plain(spec.tick * spec.lot * self._turnover)
        spot = self.inst_type == "SPOT"
        return {
            "instType": self.inst_type,
            "instId": self.inst_id,
            "last": self.price(self._last),
            "lastSz": spec.size(self._last_lots),
            "askPx": self.price(ask.ticks) if ask else "",
            "askSz": spec.size(ask.lots) if ask else "0",
            "bidPx": self.price(bid.ticks) if bid else "",
            "bidSz": spec.size(bid.lots) if bid else "0",
            "open24h": opened,
            "high24h": self.price(self._high),
            "low24h": self.price(self._low),
            "volCcy24h": turnover if spot else base,
            "vol24h": base if spot else spec.size(self._lots),
            "sodUtc0": opened,
            "sodUtc8": opened,
            "ts": stamp,
        }

    def mark_price(self, stamp: str) -> Row:
        """Of a swap."""
        return {
            "instType": self.inst_type,
            "instId": self.inst_id,
            "markPx": self.mark(),
            "ts": stamp,
        }

    def index(self) -> str:
        """The index price on the decimals of the tick."""
        return f"{self._market.mark(self.spec).index:.{self._decimals()}f}"

    def mark(self) -> str:
        """The mark price on the decimals of the tick."""
        return f"{self._market.mark(self.spec).mark:.{self._decimals()}f}"

    def _decimals(self) -> int:
        exponent = self.spec.tick.as_tuple().exponent
        return -exponent if isinstance(exponent, int) and exponent < 0 else 0

    def funding_rate(self, stamp: str) -> Row:
        """Of a swap: the current period's rate, settled at `fundingTime`."""
        mark = self._market.mark(self.spec)
        due_ms = mark.next_funding_ns // MILLISECOND
        interval_ms = mark.interval_hours * HOUR_MS
        rate = f"{mark.funding_rate:.10f}"
        return {
            "formulaType": "withRate",
            "fundingRate": rate,
            "fundingTime": str(due_ms),
            "impactValue": "20000",
            "instId": self.inst_id,
            "instType": self.inst_type,
            "interestRate": "0.0001",
            "maxFundingRate": _FUNDING_LIMIT,
            "method": "current_period",
            "minFundingRate": f"-{_FUNDING_LIMIT}",
            "nextFundingRate": "",
            "nextFundingTime": str(due_ms + interval_ms),
            "premium": f"{mark.mark / mark.index - 1:.10f}",
            "prevFundingTime": str(due_ms - interval_ms),
            "settFundingRate": rate,
            "settState": "settled",
            "ts": stamp,
        }

    def definition(self) -> Row:
        """The row of `public/instruments`."""
        spec = self.spec
        swap = self.inst_type == "SWAP"
        family = self.family
        return {
            "alias": "",
            "auctionEndTime": "",
            "baseCcy": "" if swap else spec.base,
            "category": "1",
            "contTdSwTime": _LISTED_MS,
            "ctMult": "1" if swap else "",
            "ctType": "linear" if swap else "",
            "ctVal": plain(spec.contract) if swap else "",
            "ctValCcy": spec.base if swap else "",
            "expTime": "",
            "floatPxLmtPct": "0.03",
            "futureSettlement": False,
            "groupId": "2" if swap else "1",
            "initPxLmtPct": "0.05",
            "instCategory": "1",
            "instFamily": family,
            "instId": self.inst_id,
            "instIdCode": self.code,
            "instType": self.inst_type,
            "lever": "100" if swap else "10",
            "listTime": _LISTED_MS,
            "lotSz": plain(spec.lot / spec.contract),
            "maxIcebergSz": _LARGEST,
            "maxLmtAmt": "20000000",
            "maxLmtSz": _LARGEST,
            "maxMktAmt": "" if swap else _LARGEST_VALUE,
            "maxMktSz": _LARGEST_TAKER if swap else _LARGEST_VALUE,
            "maxPlatOILmt": "",
            "maxPxLmtPct": "0.15",
            "maxStopSz": _LARGEST_TAKER if swap else _LARGEST_VALUE,
            "maxTriggerSz": _LARGEST,
            "maxTwapSz": _LARGEST,
            "minSz": plain(spec.min_size / spec.contract),
            "openType": "",
            "optType": "",
            "posLmtAmt": "",
            "posLmtPct": "",
            "preMktSwTime": "",
            "quoteCcy": "" if swap else spec.quote,
            "ruleType": "normal",
            "settleCcy": spec.quote if swap else "",
            "state": "live",
            "stk": "",
            "tickSz": plain(spec.tick),
            "tradeQuoteCcyList": [] if swap else [spec.quote],
            "uly": family,
            "upcChg": [],
        }


def plain(number: Decimal) -> str:
    """A number as OKX writes it: no exponent, no trailing zeros."""
    return f"{number.normalize():f}"
