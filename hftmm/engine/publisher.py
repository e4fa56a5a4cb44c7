"""Pictures of an engine: for the screen, and as a line of status."""

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import Final

import numpy as np

from hftmm.book.consolidated import Member
from hftmm.book.nbbo import NBBO, MarketState
from hftmm.book.order_book import ASKS, BIDS, OrderBook, SideIndex
from hftmm.book.signals import microprice
from hftmm.core.events import Sizes, VenueState
from hftmm.core.fees import BPS
from hftmm.desk.commands import View
from hftmm.desk.snapshot import (
    ArbitrageTotals,
    BestQuote,
    DeskSnapshot,
    Ladder,
    LadderColumn,
    Latency,
    LogRow,
    MarketRow,
    OpportunityRow,
    RiskRow,
    RiskTotals,
    TapeRow,
    VenueQuote,
)
from hftmm.engine import trading_pictures
from hftmm.engine.engine import Engine
from hftmm.engine.market import Market
from hftmm.engine.parameters import parameters
from hftmm.strategy.arbitrage import Opportunity, Outcome

OPPORTUNITIES: Final = 40
REFUSED: Final = 6
TAPE: Final = 60
LOG: Final = 120
_BIT: Final = 1e-6
_MILLISECOND: Final = 1_000_000
_SECOND: Final = 1_000_000_000


def snapshot(engine: Engine, view: View, number: int, now_ns: int) -> DeskSnapshot:
    """The whole screen of one viewer.

    Args:
        number: counts up from one snapshot of the viewer to the next.
    """
    market = engine.markets.get(view.market) or next(iter(engine.markets.values()))
    p50, p99 = engine.latencies.percentiles_us(50, 99)
    order_p50, order_p99 = engine.order_latencies.percentiles_us(50, 99)
    picture = DeskSnapshot(
        number=number,
        ns=now_ns,
        mode=engine.config.engine.mode,
        state=engine.state,
        state_reason=engine.state_reason,
        equity=None,
        day_pnl=None,
        frames_per_s=sum(rate.per_s for rate in engine.exchanges.rates.values()),
        latency=Latency(p50, p99, engine.loop_lag_ms, order_p50, order_p99),
        market=market.symbol,
        markets=tuple(_market_row(each, now_ns) for each in engine.markets.values()),
        venues=tuple(_venue_quotes(engine, market, now_ns)),
        nbbo=_best(market.book.nbbo(now_ns)),
        net=_best(market.book.net(now_ns)),
        ladder=_ladder(market, view),
        opportunities=tuple(_opportunities(engine)),
        arbitrage=_totals(engine),
        risk=tuple(_risk_rows(engine)),
        risk_totals=_risk_totals(engine),
        tape=tuple(_tape(market)),
        log=tuple(_newest_log(engine)),
        parameters=tuple(parameters(engine.config)),
    )
    if engine.trading is None:
        return picture
    return trading_pictures.added(picture, engine.trading, market, now_ns)


def status(engine: Engine, now_ns: int) -> dict[str, object]:
    """One line of a headless engine, ready for JSON.

    Returns:
        `ts` (seconds since the epoch), `mode`, `state`, `state_reason`; `venues` by name with
        `state`, `reason`, `age_ms`, `lag_ms`, `frames_per_s`, `bid`, `ask` (of the first market),
        `clock_offset_ms`, `reconnects`, `gaps`, `resyncs`, `malformed`; `markets` by symbol with
        `nbbo` and `net` (`bid`, `bid_size`, `bid_venues`, `ask`, `ask_size`, `ask_venues`,
        `spread_bps`, `state`), `locked`, `crossed`, `venues_live`; `opportunities` with `count`
        and `best_net_bps` of the run, `live`; of an engine that trades also `trading`, see
        `trading_pictures.status`; `latency` in microseconds. What does not exist is null.
    """
    p50, p99 = engine.latencies.percentiles_us(50, 99)
    first = next(iter(engine.markets.values()))
    totals = _totals(engine)
    venues: dict[str, object] = {}
    for quote, risk in zip(_venue_quotes(engine, first, now_ns), _risk_rows(engine), strict=True):
        venues[quote.venue] = {
            "state": quote.state,
            "reason": quote.reason,
            "age_ms": quote.age_ms,
            "lag_ms": quote.lag_ms,
            "frames_per_s": round(quote.frames_per_s, 1),
            "bid": quote.bid,
            "ask": quote.ask,
            "clock_offset_ms": risk.clock_offset_ms,
            "reconnects": risk.reconnects,
            "gaps": quote.gaps,
            "resyncs": quote.resyncs,
            "malformed": quote.malformed,
        }
    markets: dict[str, object] = {}
    for market in engine.markets.values():
        row = _market_row(market, now_ns)
        markets[market.symbol] = {
            "nbbo": row.nbbo,
            "net": row.net,
            "locked": row.nbbo.state == MarketState.LOCKED,
            "crossed": row.nbbo.state == MarketState.CROSSED,
            "venues_live": row.venues_live,
        }
    return {
        "ts": now_ns / _SECOND,
        "mode": engine.config.engine.mode,
        "state": engine.state,
        "state_reason": engine.state_reason,
        "venues": venues,
        "markets": markets,
        "opportunities": {
            "count": totals.seen,
            "best_net_bps": totals.best_net_bps,
            "live": sum(len(market.detector.live) for market in engine.markets.values()),
        },
        **({} if engine.trading is None else trading_pictures.status(engine.trading, now_ns)),
        "latency": {
            "wire_to_nbbo_p50_us": p50,
            "wire_to_nbbo_p99_us": p99,
            "loop_lag_ms": engine.loop_lag_ms,
        },
    }


def _best(quote: NBBO) -> BestQuote:
    return BestQuote(
        quote.bid if quote.bid_venues else None,
        quote.bid_size if quote.bid_venues else None,
        quote.bid_venues,
        quote.ask if quote.ask_venues else None,
        quote.ask_size if quote.ask_venues else None,
        quote.ask_venues,
        quote.spread_bps,
        quote.state,
    )


def _market_row(market: Market, now_ns: int) -> MarketRow:
    return MarketRow(
        market.symbol,
        market.kind,
        _best(market.book.nbbo(now_ns)),
        _best(market.book.net(now_ns)),
        len(market.book.eligible),
        len(market.members),
        _decimals(market),
    )


def _decimals(market: Market) -> int:
    """Of the finest grid."""
    return max((member.book.listing.decimals for member in market.members), default=0)


def _venue_quotes(engine: Engine, market: Market, now_ns: int) -> list[VenueQuote]:
    members = {member.venue: member for member in market.members}
    return [
        _venue_quote(engine, market, venue, members.get(venue), now_ns)
        for venue in engine.exchanges.sessions
    ]


def _venue_quote(
    engine: Engine, market: Market, venue: str, member: Member | None, now_ns: int
) -> VenueQuote:
    session = engine.exchanges.sessions[venue]
    state, reason = engine.exchanges.state(venue)
    malformed = sum(session.malformed.values())
    rate = engine.exchanges.rates[venue].per_s
    if member is None:
        if state is VenueState.LIVE:
            state, reason = VenueState.DOWN, f"{market.symbol} is not traded there"
        return VenueQuote(
            venue, state, reason, None, None, None, None, None, None, rate, 0, 0, malformed
        )
    book = member.book
    # A book that was never connected and is heard of all the same comes out of a recording.
    recorded = state is VenueState.SYNCING and book.received_ns > 0
    if recorded or VenueState.LIVE in (state, member.state):
        state, reason = member.state, member.reason
    # A recording has no clock offset: what its stamps are behind by is nobody's lag.
    lag_ns = None if engine.config.engine.mode == "replay" else member.lag_ns
    mark = market.marks.get(venue)
    sync = session.depths[book.listing.key].sync
    return VenueQuote(
        venue=venue,
        state=state,
        reason=reason,
        bid=book.bid if book.bid_size else None,
        bid_size=book.bid_size or None,
        ask=book.ask if book.ask_size else None,
        ask_size=book.ask_size or None,
        age_ms=(now_ns - book.received_ns) / _MILLISECOND if book.received_ns else None,
        lag_ms=None if lag_ns is None else lag_ns / _MILLISECOND,
        frames_per_s=rate,
        gaps=sync.gaps,
        resyncs=sync.resyncs,
        malformed=malformed,
        mark=None if mark is None else mark.mark,
        funding_bps=None if mark is None or mark.funding_rate is None else mark.funding_rate * BPS,
        next_funding_ns=None if mark is None else mark.next_funding_ns,
    )


def _ladder(market: Market, view: View) -> Ladder:
    decimals = _decimals(market)
    unit = 10**decimals
    # The finest tick, in units of the finest decimal place.
    ticks = [round(float(member.book.listing.tick) * unit) for member in market.members]
    step = min(ticks, default=1)
    group = step * view.group
    columns = tuple(
        LadderColumn(
            member.venue,
            _grouped(member.book, BIDS, view, member.sell_yield, unit, group),
            _grouped(member.book, ASKS, view, member.buy_cost, unit, group),
        )
        for member in market.members
    )
    books = [member.book for member in market.book.eligible]
    best_bid = max((book.bid for book in books if book.bid_size), default=None)
    best_ask = min((book.ask for book in books if book.ask_size), default=None)
    mid = micro = None
    if best_bid is not None and best_ask is not None:
        mid = (best_bid + best_ask) / 2.0
        bid_size = sum(book.bid_size for book in books if book.bid == best_bid)
        ask_size = sum(book.ask_size for book in books if book.ask == best_ask)
        micro = microprice(best_bid, bid_size, best_ask, ask_size)
    last = market.trades[-1][0] if market.trades else None
    return Ladder(
        group=group / unit,
        step=step / unit,
        decimals=decimals,
        columns=columns,
        mid=mid,
        microprice=micro,
        last=None if last is None else last.price,
        last_size=None if last is None else last.size,
        last_venue="" if last is None else last.listing.venue,
        last_ns=0 if last is None else last.received_ns,
    )


def _grouped(
    book: OrderBook, side: SideIndex, view: View, factor: float, unit: int, group: int
) -> tuple[tuple[float, float], ...]:
    """Levels of one side as (group price, size), bids grouped down and asks up, best first."""
    if not book.valid:
        return ()
    # Ungrouped, a level is a row. Any wider group may hold any number of levels, and one that was
    # cut short would show less size than there is.
    plain = view.group == 1 and not view.net
    prices, sizes = _levels(book, side, view.rows if plain else None)
    if not len(prices):
        return ()
    if view.net:
        prices = prices * factor
    units = prices * (unit / group)
    # Prices on the grid come out whole but for the last bit; taken exactly, that bit would put a
    # level into the neighbouring group.
    keys = np.floor(units + _BIT) if side == BIDS else np.ceil(units - _BIT)
    starts = np.flatnonzero(np.diff(keys, prepend=np.nan))[: view.rows + 1]
    last = starts[view.rows] if len(starts) > view.rows else len(keys)
    starts = starts[: view.rows]
    totals = np.add.reduceat(sizes[:last], starts)
    groups = (keys[starts] * group / unit).tolist()
    return tuple(zip(groups, totals.tolist(), strict=True))


def _levels(book: OrderBook, side: SideIndex, depth: int | None) -> tuple[Sizes, Sizes]:
    """Prices and sizes of a side as best known, best first; see `OrderBook.depth`."""
    # The touch may have walked past any number of the levels below it.
    ticks, sizes = book.levels(side, depth if book.top is None else None)
    prices = ticks / 10**book.listing.decimals
    if book.top is None:
        return prices, sizes
    price, size = (book.bid, book.bid_size) if side == BIDS else (book.ask, book.ask_size)
    if size <= 0.0:
        return prices[:0], sizes[:0]
    behind = prices < price if side == BIDS else prices > price
    return np.append(price, prices[behind]), np.append(size, sizes[behind])


def _opportunities(engine: Engine) -> list[OpportunityRow]:
    """Live ones, best first; then those that were worth taking and a few that never were, each
    newest first.
    """
    detectors = [market.detector for market in engine.markets.values()]
    live = [each for detector in detectors for each in detector.live.values()]
    live.sort(key=lambda each: -each.net_bps)
    # Each market's are newest first already.
    past = list(merge(*(detector.past for detector in detectors), key=lambda each: -each.last_ns))
    refused = list(islice((each for each in past if not each.counted), REFUSED))
    room = max(0, OPPORTUNITIES - len(live) - len(refused))
    worth = islice((each for each in past if each.counted), room)
    rows = [_opportunity_row(each, live=True) for each in live]
    rows += [_opportunity_row(each, live=False) for each in (*worth, *refused)]
    return rows[:OPPORTUNITIES]


def _opportunity_row(each: Opportunity, live: bool) -> OpportunityRow:
    """A live crossing as it is now, a past one as it was at its best."""
    shown = each.now if live else each.best
    if each.attempt is not None:
        result = each.attempt.result
    elif live:
        result = shown.reason or each.untaken or "open"
    elif each.counted:
        result = each.untaken or "gone untaken"
    else:
        result = shown.reason
    return OpportunityRow(
        market=each.market,
        buy_venue=each.buy,
        sell_venue=each.sell,
        size=shown.size,
        gross_bps=shown.gross_bps,
        net_bps=shown.net_bps,
        profit=shown.profit,
        lasted_ms=each.lasted_ms,
        live=live,
        result=result,
    )


def _totals(engine: Engine) -> ArbitrageTotals:
    totals = [market.detector.totals for market in engine.markets.values()]
    return ArbitrageTotals(
        seen=sum(each.seen for each in totals),
        gross_only=sum(each.gross_only for each in totals),
        best_net_bps=max(
            (each.best_net_bps for each in totals if each.best_net_bps is not None), default=None
        ),
        expected=sum(each.expected for each in totals),
        shots=sum(each.shots for each in totals),
        filled=sum(each.outcomes[Outcome.FILLED] for each in totals),
        unwound=sum(each.outcomes[Outcome.UNWOUND] for each in totals),
        missed=sum(each.outcomes[Outcome.MISSED] for each in totals),
        counted_on=float(sum(each.counted_on for each in totals)),
        realised=float(sum(each.realised for each in totals)),
    )


def _risk_rows(engine: Engine) -> list[RiskRow]:
    rows = []
    for venue, session in engine.exchanges.sessions.items():
        own = engine.config.venues[venue]
        state, reason = engine.exchanges.state(venue)
        offset_ns = session.clock_offset_ns
        rows.append(
            RiskRow(
                venue=venue,
                state=state,
                reason=reason,
                position=0.0,
                position_limit=float(own.max_position),
                open_orders=0,
                order_limit=own.max_open_orders,
                day_pnl=0.0,
                loss_limit=float(own.max_daily_loss),
                rate_used=0.0,
                dead_man="none",
                clock_offset_ms=None if offset_ns is None else offset_ns / _MILLISECOND,
                reconnects=session.reconnects,
            )
        )
    return rows


def _risk_totals(engine: Engine) -> RiskTotals:
    limits = engine.config.limits
    return RiskTotals(
        position=0.0,
        position_limit=float(limits.max_total_position),
        worst_case=0.0,
        worst_case_limit=float(limits.max_worst_case),
        unhedged=0.0,
        day_pnl=0.0,
        loss_limit=float(limits.max_daily_loss),
        drawdown=0.0,
        drawdown_limit=float(limits.max_drawdown),
    )


def _tape(market: Market) -> list[TapeRow]:
    newest = list(market.trades)[: -TAPE - 1 : -1]
    return [
        TapeRow(trade.received_ns, trade.listing.venue, trade.price, trade.size, trade.side, large)
        for trade, large in newest
    ]


def _newest_log(engine: Engine) -> list[LogRow]:
    return list(engine.log.rows)[-LOG:]
