"""What the hedger tells those who quote, and the screen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from hftmm.config import HedgingConfig
from hftmm.execution.exposure_clock import plain
from hftmm.execution.hedge_routes import HedgeRoutes
from hftmm.execution.hedged_market import HedgedMarket

_MILLISECOND = 1_000_000
_SECOND = 1_000_000_000


def why_blocked(market: HedgedMarket, routes: HedgeRoutes, now_ns: int) -> str:
    """Why nobody may open more of a market, one line; "" if they may."""
    hedging = routes.config.hedging
    open_ = plain(market.clock.amount)
    age_ms = market.age_ns(now_ns) / _MILLISECOND
    if age_ms >= hedging.stop_quoting_after_ms:
        return f"unhedged {open_} for {age_ms:.0f} ms, limit {hedging.stop_quoting_after_ms}"
    if market.residual_ns and abs(market.clock.amount) > Decimal(repr(hedging.max_residual)):
        return f"residual {open_} above {hedging.max_residual:g}"
    if market.obstacle:
        return market.obstacle
    whys = {member.venue: routes.shut(member) for member in routes.allowed(market.symbol)}
    if not all(whys.values()):
        return ""
    text = "; ".join(f"{venue} {why}" for venue, why in whys.items())
    return f"no hedge venue open: {text or 'none allowed'}"


def facts(
    markets: Mapping[str, HedgedMarket],
    took_ms: Collection[float],
    hedging: HedgingConfig,
    now_ns: int,
) -> Iterator[tuple[str, str]]:
    """(label, value), most important first.

    Args:
        took_ms: times from the first open unit until nothing was.
    """
    exposed = [market for market in markets.values() if market.age_ns(now_ns) or market.exposed_ns]
    amounts = [f"{plain(market.clock.amount)} {market.symbol}" for market in exposed]
    yield "unhedged", ", ".join(amounts) or "none"
    if exposed:
        age_ms = max(market.age_ns(now_ns) for market in exposed) / _MILLISECOND
        yield "age", f"{age_ms:.0f} of {hedging.flatten_after_ms} ms"
    took = sorted(took_ms)
    for share in (50, 99) if took else ():
        yield f"time to flat p{share}", f"{took[len(took) * share // 100]:.0f} ms"
    for market in markets.values():
        if market.residual_ns:
            age_s = (now_ns - market.residual_ns) / _SECOND
            amount = f"{plain(market.clock.amount)} {market.symbol}"
            yield "residual", f"{amount} of {hedging.max_residual:g}, {age_s:.0f} s"
    newest = max(markets.values(), key=lambda market: market.engaged_ns, default=None)
    if newest is not None and newest.last:
        yield "last step", newest.last
