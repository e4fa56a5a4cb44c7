"""One instrument of the practice Bybit: its trades, its figures of the day, its definition."""

from __future__ import annotations

import zlib
from collections import deque
from decimal import Decimal

from hftmm.core.instrument import Kind, decimal_places
from hftmm.sim.market import Market
from hftmm.sim.matching import MatchingEngine
from hftmm.sim.tape import Fill

MILLISECOND = 1_000_000
TRADES_KEPT = 1_000
"""The longest list `/v5/market/recent-trade` gives."""
OPEN_INTEREST = Decimal(50_000)
"""Coins; nothing depends on it, but clients read it."""


class Instrument:
    """An engine as the venue presents it.

    Attributes:
        category: `spot` or `linear`; with the symbol it names the instrument.
        trades: newest last, with the tick direction each had.
    """

    def __init__(self, market: Market, engine: MatchingEngine) -> None:
        self.engine = engine
        self.spec = engine.spec
        self.category = engine.spec.kind.value
        self.symbol = engine.spec.venue_symbol
        self.trades: deque[tuple[Fill, str]] = deque(maxlen=TRADES_KEPT)
        self._market = market
        self._fresh: list[tuple[Fill, str]] = []
        self._listener = engine.listen()
        self._trade_prefix = f"{zlib.crc32(self.symbol.encode()):08x}-0000-4000-8000-"
        self._first = self._last = self._low = self._high = self._middle()
        self._direction = "PlusTick"
        self._lots = 0
        self._turnover = 0

    @property
    def linear(self) -> bool:
        return self.spec.kind is Kind.LINEAR

    @property
    def last_price(self) -> str:
        """Of the last trade."""
        return self.spec.price(self._last)

    def collect(self) -> None:
        """Takes note of the trades since the last call."""
        changes = self._listener.take()
        if changes is None:
            return
        fresh = []
        for fill in changes.fills:
            if fill.ticks != self._last:
                self._direction = "PlusTick" if fill.ticks > self._last else "MinusTick"
            elif not self._direction.startswith("Zero"):
                self._direction = f"Zero{self._direction}"
            self._last = fill.ticks
            self._low, self._high = min(self._low, fill.ticks), max(self._high, fill.ticks)
            self._lots += fill.lots
            self._turnover += fill.lots * fill.ticks
            fresh.append((fill, self._direction))
        self.trades += fresh
        self._fresh += fresh

    def take_fresh(self) -> list[tuple[Fill, str]]:
        """Trades not taken yet, oldest first, with their tick directions."""
        self.collect()
        fresh, self._fresh = self._fresh, []
        return fresh

    def sequence_of(self, trade_id: int) -> int:
        """Engine sequence of a trade; that of now for one too old to be remembered."""
        self.collect()
        if self.trades:
            place = trade_id - self.trades[0][0].trade_id
            if 0 <= place < len(self.trades):
                return self.trades[place][0].sequence
        return self.engine.sequence

    def trade_id(self, fill: Fill) -> str:
        """A UUID on linear, a number on spot, as the venue has them."""
        if self.linear:
            return f"{self._trade_prefix}{fill.trade_id:012x}"
        return f"22900000000{fill.trade_id:08d}"

    def day(self) -> dict[str, str]:
        """What both tickers have: last price, and the day, which began with the venue."""
        spec = self.spec
        return {
            "symbol": self.symbol,
            "lastPrice": spec.price(self._last),
            "prevPrice24h": spec.price(self._first),
            "price24hPcnt": f"{self._last / self._first - 1:.6f}",
            "highPrice24h": spec.price(self._high),
            "lowPrice24h": spec.price(self._low),
            "turnover24h": f"{self._turnover * spec.lot * spec.tick:f}",
            "volume24h": f"{self._lots * spec.lot:f}",
        }

    def touch(self) -> dict[str, str]:
        """Best bid and ask; an empty side is empty strings."""
        bid, ask = self.engine.best("buy"), self.engine.best("sell")
        spec = self.spec
        return {
            "bid1Price": spec.price(bid.ticks) if bid else "",
            "bid1Size": spec.size(bid.lots) if bid else "",
            "ask1Price": spec.price(ask.ticks) if ask else "",
            "ask1Size": spec.size(ask.lots) if ask else "",
        }

    def contract(self) -> dict[str, str]:
        """What only the ticker of a contract has."""
        mark = self._market.mark(self.spec)
        places = decimal_places(self.spec.tick) + 1
        value = float(OPEN_INTEREST) * mark.mark
        return {
            "tickDirection": self._direction,
            "prevPrice1h": self.spec.price(self._first),
            "markPrice": f"{mark.mark:.{places}f}",
            "indexPrice": f"{mark.index:.{places}f}",
            "openInterest": f"{OPEN_INTEREST}",
            "openInterestValue": f"{value:.2f}",
            "singleOpenInterest": f"{OPEN_INTEREST / 2:f}",
            "singleOpenInterestValue": f"{value / 2:.2f}",
            "fundingIntervalHour": f"{mark.interval_hours}",
            "fundingCap": "0.00375",
            "nextFundingTime": f"{mark.next_funding_ns // MILLISECOND}",
            "fundingRate": f"{mark.funding_rate:.8f}",
        }

    def definition(self) -> dict[str, object]:
        """The row of instruments-info, with every field the venue documents."""
        spec = self.spec
        common: dict[str, object] = {
            "symbol": self.symbol,
            "status": "Trading",
            "baseCoin": spec.base,
            "quoteCoin": spec.quote,
            "symbolId": zlib.crc32(f"{self.category} {self.symbol}".encode()) % 100_000,
            "symbolType": "",
            "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
        }
        if not self.linear:
            quote_step = spec.tick * spec.lot
            return common | {
                "innovation": "0",
                "marginTrading": "utaOnly",
                "stTag": "0",
                "xstockMultiplier": "",
                "lotSizeFilter": {
                    "basePrecision": f"{spec.lot:f}",
                    "quotePrecision": f"{quote_step:f}",
                    "minOrderQty": f"{spec.min_size:f}",
                    "maxOrderQty": f"{spec.lot * 10**9:f}",
                    "minOrderAmt": f"{spec.min_notional:f}",
                    "maxOrderAmt": "8000000",
                    "maxLimitOrderQty": f"{spec.lot * 10**9:f}",
                    "maxMarketOrderQty": f"{spec.lot * 10**8:f}",
                    "postOnlyMaxLimitOrderSize": f"{spec.lot * 10**9:f}",
                },
                "priceFilter": {"tickSize": f"{spec.tick:f}"},
            }
        return common | {
            "contractType": "LinearPerpetual",
            "launchTime": "1585526400000",
            "deliveryTime": "0",
            "deliveryFeeRate": "",
            "priceScale": f"{decimal_places(spec.tick)}",
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "priceFilter": {
                "minPrice": f"{spec.tick:f}",
                "maxPrice": f"{spec.tick * 20_000_000:f}",
                "tickSize": f"{spec.tick:f}",
            },
            "lotSizeFilter": {
                "maxOrderQty": f"{spec.lot * 10**6:f}",
                "minOrderQty": f"{spec.min_size:f}",
                "qtyStep": f"{spec.lot:f}",
                "postOnlyMaxOrderQty": f"{spec.lot * 10**6:f}",
                "maxMktOrderQty": f"{spec.lot * 10**5:f}",
                "minNotionalValue": f"{spec.min_notional:f}",
            },
            "unifiedMarginTrade": True,
            "fundingInterval": 480,
            "settleCoin": spec.quote,
            "copyTrading": "none",
            "upperFundingRate": "0.00375",
            "lowerFundingRate": "-0.00375",
            "displayName": "",
            "isPreListing": False,
            "preListingInfo": None,
            "skipCallAuction": False,
        }

    def _middle(self) -> int:
        """Ticks between the best bid and ask, for want of a first trade."""
        levels = [one for one in (self.engine.best("buy"), self.engine.best("sell")) if one]
        return sum(one.ticks for one in levels) // len(levels) if levels else 1
