"""What must hold in a simulated world whatever goes wrong, counted again from the venues' truth.

The inspector sits where the journal is told and where frames pass, and believes neither the engine
nor what the venues say: it looks into the venues.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, NoReturn

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import Amendment, Fill, Funding
from hftmm.engine.trading import Trading
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening, Pnl
from hftmm.sim.memory_journal import MemoryJournal, Trade
from hftmm.sim.overload import order_request
from hftmm.sim.truth import Truth
from hftmm.strategy.base import BY_HAND, FLATTENING
from hftmm.venues.codec import SECOND
from hftmm.venues.effects import Note
from hftmm.venues.private import SignedRequest

ZERO: Final = Decimal(0)
TOLD_WITHIN_NS: Final = 75 * SECOND
"""A trade is booked within this, once its venue is well: the audits are half a minute apart."""
ZERO_WITHIN_NS: Final = 20 * SECOND
"""A killed venue shows no order within this, once it is well."""
CLOCK_WITHIN_NS: Final = 15 * SECOND
"""What is held without a clock has one within this, once the venues are well."""
REACTION_NS: Final = 1 * SECOND
"""Beyond its deadlines, for exposure to be closed or a venue halted."""
QUIET_NS: Final = 5 * SECOND
"""Without a new order for so long, a desk rests."""
HEDGEABLE: Final = Decimal("0.001")
"""From this on every venue takes it, base coins."""
CENT: Final = Decimal("0.01")
DUST: Final = Decimal("0.00000001")
_PLACING: Final = re.compile(
    r"order\.(place|modify|cancelReplace|amend\.keepPriority|create|amend)(-batch)?"
    r"|order|amend-order|(batch|batch-amend)-orders"
)
_PLACING_PATH: Final = re.compile(
    r"(POST /api/v3/order(/cancelReplace|/amend/keepPriority)?|PUT /api/v3/order/.*"
    r"|(POST|PUT) /fapi/v1/(order|batchOrders)|POST /v5/order/(create|amend)(-batch)?"
    r"|POST /api/v5/trade/(order|amend-order|batch-orders|amend-batch-orders))(\?.*)?"
)


class Violation(Exception):
    """Something that must hold does not.

    Attributes:
        invariant: its name. ns: when it was seen.
    """

    def __init__(self, invariant: str, words: str, ns: int) -> None:
        self.invariant = invariant
        self.ns = ns
        super().__init__(f"{invariant}: {words}")


class Inspector:
    """Is told everything, tells it on to the journal, and looks after every event.

    Implements `Records` and `Sniffer`.

    Attributes:
        calm_ns: by venue, since when nothing is wrong there, 0 while something is.
        latched_ns: since when everything is killed, 0 while it is not.
        placed, traded: how many orders and trades there were, by strategy.
        violation: the first there was.
        skewed: venues whose clock was set.
    """

    failure = ""

    def __init__(
        self,
        journal: MemoryJournal,
        truths: Mapping[str, Truth],
        clock: Callable[[], int],
        tell: Callable[[str], None],
        hash_in: Callable[[bytes], None],
    ) -> None:
        """
        Args:
            clock: now. tell: takes one line for the log. hash_in: takes what passes.
        """
        self.calm_ns: Final = dict.fromkeys(truths, clock())
        self.latched_ns = 0
        self.violation: Violation | None = None
        self.skewed: Final[set[str]] = set()
        self.placed: Final[dict[str, int]] = {}
        self.traded: Final[dict[str, int]] = {}
        self._journal: Final = journal
        self._truths: Final = truths
        self._clock: Final = clock
        self._tell: Final = tell
        self._hash: Final = hash_in
        self._trading: Trading | None = None
        self._began_ns = self._ready_ns = self._sent_ns = 0
        self._ids: Final[set[str]] = set()
        self._booked: dict[Trade, Fill] = {}
        self._paid: dict[str, int] = {}
        self._positions: dict[str, Decimal] = {}
        self._nets: dict[str, Decimal] = {}
        self._parts: dict[str, deque[tuple[Decimal, int]]] = {}
        self._large_ns: dict[str, int] = {}
        self._adrift_ns: dict[str, int] = {}
        self._opened: set[str] = set()
        self._touched: set[str] = set()
        self._leaving: dict[str, Order] = {}
        self._changes: dict[str, Amendment] = {}

    # ---- processes ----------------------------------------------------------------------------

    def crashed(self) -> None:
        """The process is gone."""
        self._trading = None

    def expects(self) -> None:
        """An engine is about to start from the journal."""
        self._began_ns, self._ready_ns = self._clock(), 0
        self._booked = {}
        self._positions, self._nets, self._parts = {}, {}, {}
        self._large_ns, self._adrift_ns = {}, {}
        self._leaving, self._changes = {}, {}
        self._paid = {}
        for trade, fill in self._journal.fills.items():
            self._book(trade, fill)
        for funding in self._journal.fundings.values():
            self._paid[funding.venue] = self._paid.get(funding.venue, 0) + 1

    def begins(self, trading: Trading) -> None:
        """It runs."""
        self._trading = trading
        self._touched = set(self._positions)

    def restart_clocks(self) -> None:
        """The hedger was switched: what is open counts from now on."""
        for symbol in self._parts:
            self._large_ns[symbol] = self._clock()

    # ---- Records ------------------------------------------------------------------------------

    def intended(self, order: Order, now_ns: int) -> None:
        self._tell(f"intended {order!r}")
        if order.client_id in self._ids:
            self._broken("client id", f"{order.client_id} is used twice")
        self._ids.add(order.client_id)
        self._sent_ns = now_ns
        code = order.strategy
        self.placed[code] = self.placed.get(code, 0) + 1
        if self.latched_ns and code != FLATTENING:
            self._broken("kill", f"{order!r} is intended after the kill")
        self._leaving[order.client_id] = order
        if code != FLATTENING:
            # A person asked for that, whatever the limits say.
            self._recount(order.listing, order.side, order.price, order.size)
        self._journal.intended(order, now_ns)

    def changed(self, order: Order, now_ns: int) -> None:
        self._tell(f"changed {order!r}")
        if order.amend is not None and self._changes.get(order.client_id) is not order.amend:
            self._changes[order.client_id] = order.amend
            if order.amend.size > order.size:
                self._recount(order.listing, order.side, order.amend.price, order.amend.size)
        if order.state.final:
            self._leaving.pop(order.client_id, None)
            self._changes.pop(order.client_id, None)
        self._journal.changed(order, now_ns)

    def filled(self, fill: Fill, now_ns: int) -> None:
        self._tell(
            f"filled {fill.listing.key} {fill.trade_id} {fill.client_id} {fill.side} "
            f"{fill.size:f} @ {fill.price:f} fee {fill.fee} {fill.fee_asset}"
        )
        trade = fill.listing.key, fill.trade_id
        known = self._booked.get(trade)
        if known is None:
            self._compare_trade(trade, fill)
            self._book(trade, fill)
            code = fill.client_id[4:6]
            self.traded[code] = self.traded.get(code, 0) + 1
        elif known.fee is None and fill.fee is not None:
            self._fee_told(trade, fill)
        else:
            self._broken("booked once", f"{fill.listing.key} {fill.trade_id} is booked twice")
        self._journal.filled(fill, now_ns)

    def funded(self, funding: Funding, now_ns: int) -> None:
        self._tell(f"funded {funding.venue} {funding.asset} {funding.amount:f}")
        self._paid[funding.venue] = self._paid.get(funding.venue, 0) + 1
        self._journal.funded(funding, now_ns)

    def noted(self, note: Note) -> None:
        self._tell(f"noted {note.level} {note.venue} {note.event}: {note.text}")
        if note.event == "loop" or note.text.startswith("defect"):
            self._broken("defect", note.text)

    def killed(self, reason: str, now_ns: int) -> None:
        self._tell(f"killed {reason or 'no more'}")
        self._journal.killed(reason, now_ns)

    def marked(self, listing: Listing, position: Decimal, pnl: Pnl, now_ns: int) -> None:
        """Nothing to compare it with."""

    def opened(self, opening: Opening) -> None:
        self._opened = {balance.venue for balance in opening.balances}
        self._journal.opened(opening)

    # ---- Sniffer ------------------------------------------------------------------------------

    def sent(self, venue: str, frame: bytes) -> None:
        self._hash(frame)
        if self.latched_ns:
            asked = order_request(venue, frame)
            if asked is not None and _PLACING.fullmatch(asked.op):
                self._left(venue, frame)

    def asked(self, venue: str, request: SignedRequest) -> None:
        self._hash(request.path.encode())
        self._hash(request.body)
        if self.latched_ns and _PLACING_PATH.fullmatch(f"{request.method} {request.path}"):
            self._left(venue, request.path.encode() + request.body)

    def heard(self, venue: str, frame: bytes) -> None:
        self._hash(frame)

    # ---- after every event, and now and then --------------------------------------------------

    def look(self) -> None:
        """After every event: what it touched."""
        if not self._touched or self._trading is None:
            return
        portfolio = self._trading.portfolio
        for key in self._touched:
            booked, held = self._positions.get(key, ZERO), portfolio.held(key)
            if booked != held:
                self._broken("position", f"{key}: fills add up to {booked}, held are {held}")
        self._touched.clear()

    def audit(self) -> None:
        """Everything that lasts, a few times a second."""
        trading = self._trading
        if trading is None:
            return
        now_ns = self._clock()
        if not self._ready_ns and not trading.recovering:
            self._ready_ns = now_ns
        for venue, truth in self._truths.items():
            truth.read()
            self._told_of(venue, truth)
            if venue in self._opened:
                self._balanced(venue, truth)
            if self.latched_ns:
                self._empty(venue, truth)
        if self.latched_ns:
            self._verified()
        if self._ready_ns:
            for symbol in trading.markets:
                self._clocked(symbol)
                self._in_time(symbol)
        for venue, account in trading.accounts.items():
            if account.needs_operator:
                words = "; ".join(account.differences) or account.why
                self._broken("difference", f"{venue}: {words}")

    def rest(self) -> list[str]:
        """What still moves, or differs, though nothing is wrong any more; each in words."""
        trading = self._trading
        if trading is None:
            return ["no engine runs"]
        found = [trading.recovering] if trading.recovering else []
        if self._clock() - self._sent_ns < QUIET_NS:
            found.append("orders are still sent")
        for venue, account in trading.accounts.items():
            truth = self._truths[venue]
            truth.read()
            if account.why:
                found.append(f"{venue}: {account.why}")
            found += [f"{venue}: {order!r}" for order in trading.manager.live(venue)]
            found += [f"{venue} has {order!r}" for order in truth.open_orders()]
            missing = truth.executions.keys() - self._booked.keys()
            found += [f"{venue}: trade {key} {trade_id} is not booked" for key, trade_id in missing]
            for key, position in truth.positions.items():
                if position != trading.portfolio.held(key):
                    held = trading.portfolio.held(key)
                    found.append(f"{key}: the venue has {position}, we hold {held}")
            found += self._unbalanced(venue, truth)
        for symbol, amount in self._nets.items():
            if abs(amount) >= HEDGEABLE:
                found.append(f"{symbol}: {amount} is unhedged")
        return sorted(found)

    # ---- trades -------------------------------------------------------------------------------

    def _book(self, trade: Trade, fill: Fill) -> None:
        self._booked[trade] = fill
        signed = fill.size if fill.side == "buy" else -fill.size
        self._move(fill, signed)
        if fill.fee is not None:
            self._take_fee(fill)

    def _fee_told(self, trade: Trade, fill: Fill) -> None:
        self._booked[trade] = fill
        self._take_fee(fill)

    def _take_fee(self, fill: Fill) -> None:
        listing = fill.listing
        if listing.kind is Kind.SPOT and fill.fee and fill.fee_asset == listing.base:
            self._move(fill, -fill.fee)

    def _move(self, fill: Fill, signed: Decimal) -> None:
        key, symbol = fill.listing.key, fill.listing.symbol
        self._positions[key] = self._positions.get(key, ZERO) + signed
        self._touched.add(key)
        if fill.client_id[4:6] == BY_HAND:
            return
        now_ns = self._clock()
        parts = self._parts.setdefault(symbol, deque())
        left = signed
        while left and parts and (parts[0][0] > 0) is not (left > 0):
            amount, since_ns = parts.popleft()
            if abs(amount) > abs(left):
                parts.appendleft((amount + left, since_ns))
                left = ZERO
            else:
                left += amount
        if left:
            parts.append((left, now_ns))
        before = abs(self._nets.get(symbol, ZERO))
        net = self._nets[symbol] = self._nets.get(symbol, ZERO) + signed
        if before < HEDGEABLE <= abs(net):
            self._large_ns[symbol] = now_ns

    def _compare_trade(self, trade: Trade, fill: Fill) -> None:
        truth = self._truths[fill.listing.venue]
        truth.read()
        real = truth.executions.get(trade)
        if real is None:
            self._broken("booked as traded", f"{trade[0]} has no trade {trade[1]}")
        ours = fill.side, fill.price, fill.size
        theirs = real.order.side, real.price, real.size
        if ours != theirs:
            self._broken("booked as traded", f"{trade[0]} {trade[1]}: {ours} booked, {theirs} true")
        if fill.client_id and fill.client_id != real.order.client_id:
            words = f"{trade[0]} {trade[1]} is of {real.order.client_id}, not {fill.client_id}"
            self._broken("booked as traded", words)

    def _told_of(self, venue: str, truth: Truth) -> None:
        """No trade is missed."""
        if not self._well_for(venue, TOLD_WITHIN_NS):
            return
        latest_ns = self._clock() - TOLD_WITHIN_NS
        for trade in truth.executions.keys() - self._booked.keys():
            if truth.executions[trade].ts_ns < latest_ns:
                self._broken("trades told", f"{trade[0]} {trade[1]} is not booked")

    def _balanced(self, venue: str, truth: Truth) -> None:
        """With every trade booked the ledger is the venue's, to the cent."""
        booked = sum(1 for key, _ in self._booked if key.startswith(venue))
        if booked != len(truth.executions) or not self._well_for(venue, 5 * SECOND):
            return
        paid = truth.account.fundings
        if len(paid) != self._paid.get(venue, 0):
            late_ns = self._clock() - paid[-1].ts_ns
            if late_ns < TOLD_WITHIN_NS or not self._well_for(venue, TOLD_WITHIN_NS):
                return
        if unbalanced := self._unbalanced(venue, truth):
            self._broken("balance", unbalanced[0])

    def _unbalanced(self, venue: str, truth: Truth) -> list[str]:
        assert self._trading is not None
        ledger = self._trading.portfolio.ledger
        found = []
        for wallet, asset, total in truth.balances():
            ours = ledger.balance(venue, wallet, asset)
            if venue in self.skewed and asset == "USDT" and wallet != Kind.SPOT.value:
                ours += self._cost_beyond(venue, truth)
            if abs(ours - total) > (CENT if asset == "USDT" else DUST):
                found.append(f"{venue} {wallet} {asset}: the venue has {total}, we count {ours}")
        return found

    def _cost_beyond(self, venue: str, truth: Truth) -> Decimal:
        """By how much more the venue says that open positions cost. Where its clock was set, the
        order of trades is not to be known by their stamps, and with it what was realised already.
        """
        assert self._trading is not None
        portfolio, beyond = self._trading.portfolio, ZERO
        for listing in self._trading.accounts[venue].listings:
            theirs = truth.account.positions.get(listing.symbol)
            if theirs is not None:
                entry = portfolio.entry(listing) or ZERO
                beyond += theirs.cost - entry * portfolio.position(listing)
        return beyond

    # ---- limits -------------------------------------------------------------------------------

    def _recount(self, listing: Listing, side: Side, price: Decimal, size: Decimal) -> None:
        """An order or a change is about to leave: what could come of all of them?"""
        trading = self._trading
        assert trading is not None
        config = trading.config
        limits = config.limits
        if size > limits.max_order_size or size * price > limits.max_order_notional:
            self._broken("limit", f"an order of {size} @ {price} at {listing.key}")
        ups: dict[str, Decimal] = {}
        downs: dict[str, Decimal] = {}
        for venue, truth in self._truths.items():
            truth.read()
            key = f"{venue} {listing.symbol}"
            position = truth.positions.get(key, ZERO)
            buys, sells = self._standing(truth, key)
            ups[venue], downs[venue] = position + buys, sells - position
        ahead = ups if side == "buy" else downs
        most = config.venues[listing.venue].max_position
        if ahead[listing.venue] > most:
            words = f"{listing.key} may become {ahead[listing.venue]} to the {side} side"
            self._broken("limit", f"{words}, limit {most}")
        if ahead[listing.venue] <= ZERO:
            return
        total = sum(ahead.values(), ZERO)
        if total > limits.max_total_position:
            words = f"{listing.symbol} may become {total} net, limit {limits.max_total_position}"
            self._broken("limit", words)
        gross = sum((max(ups[venue], downs[venue]) for venue in ups), ZERO)
        if gross > limits.max_worst_case:
            words = f"{listing.symbol} may become {gross} gross, limit {limits.max_worst_case}"
            self._broken("limit", words)

    def _standing(self, truth: Truth, key: str) -> tuple[Decimal, Decimal]:
        """Base coins that orders there may still buy and sell, those on their way included."""
        sums = {"buy": ZERO, "sell": ZERO}
        arrived: set[str] = set()
        for order in truth.account.open.values():
            arrived.add(order.client_id)
            if f"{truth.venue} {order.spec.symbol}" == key:
                change = self._changes.get(order.client_id)
                size = order.size if change is None else max(order.size, change.size)
                sums[order.side] += size - order.filled
        for client_id, wanted in [*self._leaving.items()]:
            if wanted.key != key or client_id in arrived:
                continue
            if truth.account.find(None, client_id=client_id) is not None:
                # It has been there, and is over.
                del self._leaving[client_id]
            else:
                sums[wanted.side] += wanted.size
        return sums["buy"], sums["sell"]

    # ---- a kill -------------------------------------------------------------------------------

    def _left(self, venue: str, words: bytes) -> None:
        if FLATTENING.encode() not in words[: words.find(b"hm01") + 6][-2:]:
            self._broken("kill", f"an order left for {venue} after the kill: {words[:300]!r}")

    def _empty(self, venue: str, truth: Truth) -> None:
        if not self._well_for(venue, ZERO_WITHIN_NS):
            return
        since_s = (self._clock() - self.latched_ns) / SECOND
        if since_s * SECOND < ZERO_WITHIN_NS:
            return
        for order in self._ours(truth):
            self._broken("zero", f"{venue} has {order!r} {since_s:.1f} s after the kill")

    def _verified(self) -> None:
        assert self._trading is not None
        row = self._trading.kill.shown(self._clock())
        for told in () if row is None else row.venues:
            if told.zero_ms is not None:
                for order in self._ours(self._truths[told.venue]):
                    self._broken("zero", f"{told.venue} is told to be empty and has {order!r}")

    def _ours(self, truth: Truth) -> list[object]:
        return [order for order in truth.open_orders() if order.client_id[4:6] != FLATTENING]

    # ---- exposure -----------------------------------------------------------------------------

    def _clocked(self, symbol: str) -> None:
        """What strategies hold is what the hedger's clock and the shots under way account for."""
        trading = self._trading
        assert trading is not None
        net = self._nets.get(symbol, ZERO)
        counted = trading.hedger.unhedged.get(symbol, ZERO) + trading.executor.imbalance(symbol)
        if net == counted:
            self._adrift_ns.pop(symbol, None)
            return
        since_ns = self._adrift_ns.setdefault(symbol, self._clock())
        if self._clock() - since_ns > CLOCK_WITHIN_NS and all(
            self._well_for(venue, CLOCK_WITHIN_NS) for venue in self._truths
        ):
            self._broken("clock", f"{symbol}: {net} is held, clocks run for {counted}")

    def _in_time(self, symbol: str) -> None:
        """Old exposure has had its venue halted."""
        trading = self._trading
        assert trading is not None
        parts = self._parts.get(symbol)
        if not parts or abs(self._nets[symbol]) < HEDGEABLE:
            return
        if self.latched_ns or trading.risk.halted or not trading.hedger.on:
            self._large_ns[symbol] = self._clock()
            return
        since_ns = max(parts[0][1], self._large_ns.get(symbol, 0), self._ready_ns)
        config = trading.config
        most_ms = config.hedging.flatten_after_ms + config.arbitrage.leg_deadline_ms
        age_ns = self._clock() - since_ns
        if age_ns > most_ms * SECOND // 1000 + REACTION_NS:
            words = f"{self._nets[symbol]} {symbol} is open for {age_ns / SECOND:.2f} s"
            self._broken("deadline", f"{words}, limit {most_ms} ms, and nothing is halted")

    # -------------------------------------------------------------------------------------------

    def _well_for(self, venue: str, span_ns: int) -> bool:
        """Nothing was wrong there for so long, nor with the engine."""
        since_ns = self.calm_ns[venue]
        now_ns = self._clock()
        return bool(since_ns) and now_ns - max(since_ns, self._began_ns) >= span_ns

    def _broken(self, invariant: str, words: str) -> NoReturn:
        violation = Violation(invariant, words, self._clock())
        # Whoever called may catch what it takes for a defect of its own.
        self.violation = self.violation or violation
        raise violation
