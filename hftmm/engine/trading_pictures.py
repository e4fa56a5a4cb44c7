"""Pictures of what trades: orders, fills, holdings, strategies, limits, and the brakes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec

from hftmm.core.instrument import Listing
from hftmm.desk.snapshot import (
    BalanceRow,
    DeskSnapshot,
    FillRow,
    OrderRow,
    OwnLevel,
    PositionRow,
    RiskRow,
    RiskTotals,
)
from hftmm.engine.market import Market
from hftmm.engine.trading import Trading
from hftmm.execution.hedger import trade_key
from hftmm.execution.order import ZERO
from hftmm.risk.drift import Drift
from hftmm.strategy.base import NAMES
from hftmm.venues.account_sink import Protection

ORDERS: Final = 80
FILLS: Final = 80
_MILLISECOND: Final = 1_000_000
_DEAD_MAN: Final = {
    Protection.ARMED: "on",
    Protection.OFF: "off",
    Protection.NONE: "none",
}


def added(picture: DeskSnapshot, trading: Trading, market: Market, now_ns: int) -> DeskSnapshot:
    """A picture of a market with everything that trades in it."""
    listings = {member.venue: member.book.listing for member in market.members}
    return msgspec.structs.replace(
        picture,
        trades=True,
        equity=float(trading.portfolio.equity()),
        day_pnl=float(trading.portfolio.day_pnl()),
        ladder=msgspec.structs.replace(
            picture.ladder, own=own_levels(trading, market), entry=entry(trading, market)
        ),
        risk=tuple(
            with_account(row, trading, listings.get(row.venue), now_ns) for row in picture.risk
        ),
        risk_totals=totals(picture.risk_totals, trading, market, now_ns),
        orders=tuple(orders(trading, now_ns)),
        fills=tuple(fills(trading)),
        fills_total=trading.office.trades,
        positions=tuple(positions(trading, now_ns)),
        balances=tuple(balances(trading, now_ns)),
        strategies=tuple(strategy.shown(now_ns) for strategy in trading.strategies),
        kill=trading.kill.shown(now_ns),
        pnl_line=tuple(trading.results.line),
        pnl_parts=trading.results.parts(),
        differences=tuple(
            (venue, words)
            for venue, account in trading.accounts.items()
            for words in account.differences
        ),
    )


def status(trading: Trading, now_ns: int) -> dict[str, object]:
    """What trades, ready for JSON; money and amounts are decimal text.

    Returns:
        `trading` with `equity`, `day_pnl`, `drawdown`; `strategies` by name with `on`, `state`,
        `reason`; `accounts` by venue with `ready`, `reason`, `halted`, `open_orders`, `day_pnl`,
        `dead_man`, `rate_used`; `positions` and `unhedged` by symbol, base coins, positions by
        venue in it; `fills`; `differences`; `kill`: null, or `reason` and `venues` with `sent`,
        `acked`, `zero_ms`, `problem`.
    """
    portfolio, kill = trading.portfolio, trading.kill.shown(now_ns)
    accounts: dict[str, object] = {}
    held: dict[str, dict[str, str]] = {}
    for venue, account in trading.accounts.items():
        started = venue in trading.started
        accounts[venue] = {
            "ready": started and not account.why,
            "reason": account.why,
            "halted": trading.risk.halted.get(venue, ""),
            "open_orders": trading.manager.open_count(venue),
            "day_pnl": _short(portfolio.day_pnl(venue)),
            "dead_man": _DEAD_MAN[account.session.state(now_ns).protection] if started else "none",
            "rate_used": round(trading.throttles[venue].used(now_ns), 3),
        }
        for listing in account.listings:
            if size := portfolio.position(listing):
                held.setdefault(listing.symbol, {})[venue] = f"{size:f}"
    return {
        "trading": {
            "equity": _short(portfolio.equity()),
            "day_pnl": _short(portfolio.day_pnl()),
            "drawdown": _short(portfolio.drawdown()),
            "strategies": {
                row.name: {"on": row.on, "state": row.state, "reason": row.reason}
                for row in (strategy.shown(now_ns) for strategy in trading.strategies)
            },
            "accounts": accounts,
            "positions": held,
            "unhedged": {
                symbol: f"{amount:f}" for symbol, amount in trading.hedger.unhedged.items()
            },
            "fills": trading.office.trades,
            "differences": [
                words for account in trading.accounts.values() for words in account.differences
            ],
            "kill": None
            if kill is None
            else {
                "reason": kill.reason,
                "flattening": kill.flattening,
                "venues": {
                    row.venue: {
                        "sent": row.sent,
                        "acked": row.acked,
                        "zero_ms": row.zero_ms,
                        "problem": row.problem,
                    }
                    for row in kill.venues
                },
            },
        }
    }


def orders(trading: Trading, now_ns: int) -> Iterator[OrderRow]:
    """Live ones newest first, then those that ended lately."""
    live = [order for venue in trading.accounts for order in trading.live(venue)]
    live.sort(key=lambda order: -order.created_ns)
    for order in islice((*live, *trading.office.ended), ORDERS):
        yield OrderRow(
            ns=order.created_ns,
            venue=order.listing.venue,
            market=order.listing.symbol,
            side=order.side,
            price=_price(order.price, order.listing),
            size=_short(order.size),
            filled=_short(order.filled),
            state=order.state.value,
            age_ms=(now_ns - order.created_ns) / _MILLISECOND,
            strategy=NAMES.get(order.strategy, order.strategy),
            queue=trading.results.queue(order) if order.live else None,
            client_id=order.client_id,
            live=order.live,
            text=order.text,
        )


def fills(trading: Trading) -> Iterator[FillRow]:
    """Newest first."""
    for fill, _, code in islice(trading.office.fills, FILLS):
        yield FillRow(
            ns=fill.venue_ns,
            venue=fill.listing.venue,
            market=fill.listing.symbol,
            side=fill.side,
            price=_price(fill.price, fill.listing),
            size=_short(fill.size),
            fee="" if fill.fee is None else _short(fill.fee),
            fee_asset=fill.fee_asset,
            maker=fill.maker,
            strategy=NAMES.get(code, code),
            client_id=fill.client_id,
            trade_id=fill.trade_id,
            markout_bps=trading.results.markout(fill),
            hedge=trading.hedger.hedge_of(trade_key(fill)),
        )


def positions(trading: Trading, now_ns: int) -> Iterator[PositionRow]:
    """Of every listing that is held, was traded, or differs."""
    portfolio = trading.portfolio
    drifts = _drifts(trading, now_ns)
    for account in trading.started.values():
        for listing in account.listings:
            size = portfolio.position(listing)
            pnl = portfolio.pnl(listing)
            drift = drifts.get((listing.venue, f"position {listing.symbol}"))
            if not size and not pnl.realised and not pnl.fees and drift is None:
                continue
            entry, mark = portfolio.entry(listing), portfolio.mark(listing)
            yield PositionRow(
                venue=listing.venue,
                market=listing.symbol,
                size=_short(size),
                entry=None if entry is None else float(entry),
                mark=None if mark is None else float(mark),
                realised=float(pnl.realised),
                unrealised=float(pnl.unrealised),
                fees=float(pnl.fees),
                funding=float(pnl.funding),
                drift="" if drift is None else _difference(drift),
                decimals=listing.decimals,
            )


def balances(trading: Trading, now_ns: int) -> Iterator[BalanceRow]:
    """Of every wallet that holds anything."""
    portfolio = trading.portfolio
    drifts = _drifts(trading, now_ns)
    for venue in trading.accounts:
        for where in portfolio.wallets(venue):
            subject = " ".join(word for word in ("balance", where.wallet, where.asset) if word)
            drift = drifts.get((venue, subject))
            yield BalanceRow(
                venue=venue,
                wallet=where.wallet,
                asset=where.asset,
                total=_short(portfolio.ledger.balance(*where)),
                available=_short(portfolio.available(*where)),
                drift="" if drift is None else _difference(drift),
            )


def own_levels(trading: Trading, market: Market) -> tuple[OwnLevel, ...]:
    """Our resting orders in a market, orders of one side and price together."""
    sizes: dict[tuple[str, Decimal], Decimal] = {}
    queues: dict[tuple[str, Decimal], float | None] = {}
    for venue in trading.accounts:
        for order in trading.live(venue):
            if order.listing.symbol == market.symbol and order.seen:
                at = (order.side, order.price)
                sizes[at] = sizes.get(at, ZERO) + order.at_risk
                queues[at] = trading.results.queue(order) if at not in queues else None
    return tuple(
        OwnLevel(side, float(price), float(size), queues[side, price])
        for (side, price), size in sizes.items()
    )


def entry(trading: Trading, market: Market) -> float | None:
    """Average price of what is long over all venues, or of what is short, whichever is more; None
    if they are even but for what no venue would take.
    """
    listings = [member.book.listing for member in market.members]
    held = {listing: trading.portfolio.position(listing) for listing in listings}
    net = sum(held.values(), ZERO)
    if abs(net) < max((each.lot for each in listings), default=ZERO) or not net:
        return None
    size = worth = ZERO
    for listing, amount in held.items():
        at = trading.portfolio.entry(listing)
        if at is not None and amount * net > 0:
            size += amount
            worth += amount * at
    return float(worth / size) if size else None


def with_account(row: RiskRow, trading: Trading, listing: Listing | None, now_ns: int) -> RiskRow:
    """A venue's row with what its account adds to it."""
    venue = row.venue
    account = trading.accounts.get(venue)
    if account is None:
        return msgspec.structs.replace(row, account="no key: it is only watched")
    protection = Protection.NONE
    reconnects = row.reconnects
    if venue in trading.started:
        protection = account.session.state(now_ns).protection
        reconnects += account.session.reconnects
    held = ZERO if listing is None else trading.portfolio.position(listing)
    return msgspec.structs.replace(
        row,
        position=float(held),
        open_orders=trading.manager.open_count(venue),
        day_pnl=float(trading.portfolio.day_pnl(venue)),
        rate_used=trading.throttles[venue].used(now_ns),
        dead_man=_DEAD_MAN[protection],
        reconnects=reconnects,
        account=account.why,
        halted=trading.risk.halted.get(venue, ""),
    )


def totals(row: RiskTotals, trading: Trading, market: Market, now_ns: int) -> RiskTotals:
    """The same of all venues."""
    held = sum((trading.portfolio.position(each.book.listing) for each in market.members), ZERO)
    return msgspec.structs.replace(
        row,
        position=float(held),
        worst_case=float(trading.risk.worst_case(market.symbol).gross),
        unhedged=float(trading.hedger.unhedged.get(market.symbol, ZERO)),
        day_pnl=float(trading.portfolio.day_pnl()),
        drawdown=float(trading.portfolio.drawdown()),
        open_orders=sum(trading.manager.open_count(venue) for venue in trading.accounts),
        order_limit=trading.config.limits.max_open_orders,
        unhedged_ms=trading.hedger.unhedged_ms(now_ns),
        unhedged_limit_ms=float(trading.config.hedging.flatten_after_ms),
    )


def _drifts(trading: Trading, now_ns: int) -> dict[tuple[str, str], Drift]:
    return {(drift.venue, drift.subject): drift for drift in trading.portfolio.drifts(now_ns)}


def _difference(drift: Drift) -> str:
    more = drift.theirs - drift.ours
    return f"the venue says {_short(drift.theirs)}, {'+' if more > 0 else ''}{_short(more)}"


def _price(price: Decimal, listing: Listing) -> str:
    """On the listing's grid; a price off it is not shortened."""
    on_grid = price.quantize(Decimal(1).scaleb(-listing.decimals))
    return f"{on_grid if on_grid == price else price:f}"


def _short(amount: Decimal) -> str:
    """Without the zeros that arithmetic leaves behind, and no finer than eight places."""
    return f"{amount.quantize(Decimal('1e-8')).normalize():f}"
