"""One attempt to take a crossing: its orders, what they left open, and what they made."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import Fill, OrderState, Rejection
from hftmm.execution.order import ZERO, Order
from hftmm.strategy.arbitrage import Outcome, Totals

BPS: Final = Decimal(10_000)
MILLISECOND: Final = 1_000_000


class Leg:
    """An order of a shot.

    Attributes:
        way: how it evens the legs out; "" if it is one of them.
        booked: base coins of the fills that were told.
        abandoned: it stood unsettled at the deadline, and its venue was halted.
    """

    __slots__ = ("abandoned", "booked", "order", "way")

    def __init__(self, order: Order, way: str) -> None:
        self.order: Final = order
        self.way: Final = way
        self.booked = ZERO
        self.abandoned = False

    @property
    def traded(self) -> Decimal:
        """Base coins, by the fills or by the venue's word, whichever came first."""
        return max(self.order.filled, self.booked)

    @property
    def pending(self) -> Decimal:
        """Base coins that may still trade; all that is left of an order nobody vouches for."""
        return ZERO if self.order.state.final else max(self.order.size - self.traded, ZERO)


class Shot:
    """Two legs sent at once, and whatever it took to even them out.

    Attributes:
        buy, sell: where. size: of each leg, base coins. counted_on: quote.
        deadline_ns: when it must be even. patient_ns: until when an order on its way is waited
            for before what it left open so far is closed.
        legs: all orders, by client id. rounds: how often it was evened out.
        refusal: why a leg could not be sent. trouble: what keeps it from being closed.
        closed: nothing is open, and nothing under way.
    """

    def __init__(
        self,
        symbol: str,
        buy: Listing,
        sell: Listing,
        size: Decimal,
        counted_on: Decimal,
        taker_bps: Mapping[str, Decimal],
        totals: Totals,
        now_ns: int,
        deadline_ns: int,
    ) -> None:
        """`taker_bps` are the configured fees by venue, counted where the venue does not say."""
        self.symbol: Final = symbol
        self.buy: Final = buy
        self.sell: Final = sell
        self.size: Final = size
        self.counted_on: Final = counted_on
        self.started_ns: Final = now_ns
        self.deadline_ns: Final = deadline_ns
        self.patient_ns = now_ns
        self.legs: Final[dict[str, Leg]] = {}
        self.rounds = 0
        self.refusal = ""
        self.trouble = ""
        self.closed_ns = 0
        self._taker_bps: Final = taker_bps
        self._totals: Final = totals
        self._ways: Final[dict[str, None]] = {}
        self._cash = ZERO
        self._coin_fees = ZERO
        self._handed = ZERO
        self._handed_worth = ZERO
        self._guessed: Final[dict[tuple[str, str], Decimal]] = {}
        self._filed: Outcome | None = None
        self._filed_realised = ZERO

    # ---- what happens -------------------------------------------------------------------------

    def sent(self, order: Order, way: str = "") -> None:
        """An order of it left; see `Leg.way`."""
        self.legs[order.client_id] = Leg(order, way)
        if way:
            self._ways[way] = None

    def booked(self, client_id: str, fill: Fill) -> None:
        """One of its orders traded."""
        self.legs[client_id].booked += fill.size
        worth = fill.price * fill.size
        self._cash += worth if fill.side == "sell" else -worth
        if fill.fee is None:
            guess = worth * self._taker_bps.get(fill.listing.venue, ZERO) / BPS
            self._guessed[fill.listing.key, fill.trade_id] = guess
            self._cash -= guess
        else:
            self._pay(fill, fill.fee)

    def fee_told(self, fill: Fill) -> None:
        """The fee of a fill that came without one."""
        guess = self._guessed.pop((fill.listing.key, fill.trade_id), None)
        if guess is not None and fill.fee is not None:
            self._cash += guess
            self._pay(fill, fill.fee)

    def handed_over(self, amount: Decimal, price: Decimal) -> None:
        """Somebody else takes care of so many base coins, + if too many were bought.

        What that will cost is theirs: here they count at `price`.
        """
        self._handed += amount
        self._handed_worth += amount * price
        self._ways["handed over"] = None

    def file(self) -> None:
        """Counts it in the totals, or what came after it was counted."""
        totals, outcome, realised = self._totals, self.outcome, self.realised
        if self._filed is None:
            totals.counted_on += self.counted_on
        if self._filed is not outcome:
            if self._filed is not None:
                totals.outcomes[self._filed] -= 1
            totals.outcomes[outcome] += 1
            self._filed = outcome
        totals.realised += realised - self._filed_realised
        self._filed_realised = realised

    # ---- what is known ------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self.closed_ns > 0

    @property
    def position(self) -> Decimal:
        """Base coins that it bought too many, - too few, as far as is known."""
        return self._of("buy") - self._of("sell") - self._coin_fees - self._handed

    @property
    def certain(self) -> Decimal:
        """Of the position, what is left whatever its orders still do."""
        position = self.position
        if position > ZERO:
            return max(position - self._pending("sell"), ZERO)
        return min(position + self._pending("buy"), ZERO)

    @property
    def under_way(self) -> bool:
        """An order of it may still trade."""
        return any(not leg.order.state.final for leg in self.legs.values())

    @property
    def moving(self) -> bool:
        """An order of it is on its way, and will be told of in the usual time."""
        return any(
            not leg.order.state.final and leg.order.state is not OrderState.UNKNOWN
            for leg in self.legs.values()
        )

    @property
    def told(self) -> bool:
        """Every trade that the venues count was told."""
        return all(leg.booked >= leg.order.filled for leg in self.legs.values())

    @property
    def realised(self) -> Decimal:
        """Quote after fees: cash of all its trades, and what was handed over at its price."""
        return self._cash + self._handed_worth

    def age_ms(self, now_ns: int) -> int:
        """Since it began."""
        return (now_ns - self.started_ns) // MILLISECOND

    @property
    def price(self) -> Decimal:
        """About what a coin costs, quote."""
        return next(iter(self.legs.values())).order.price

    @property
    def outcome(self) -> Outcome:
        bought, sold = self._leg_traded("buy"), self._leg_traded("sell")
        if bought != sold:
            return Outcome.UNWOUND
        return Outcome.FILLED if bought else Outcome.MISSED

    @property
    def result(self) -> str:
        """What came of it, one line."""
        if not self.closed:
            return self.trouble or ("evening out" if self.rounds else "shooting")
        bought, sold = self._leg_traded("buy"), self._leg_traded("sell")
        made = f"{self.realised:+.2f}" if self.told else "(trades not told yet)"
        if bought != sold:
            lagging = self.buy if bought < sold else self.sell
            share = min(bought, sold) / self.size
            ways = "".join(f", {way}" for way in self._ways)
            return f"{lagging.venue} leg {share:.0%}{ways} {made}"
        if not bought:
            return f"missed: {self.refusal or self._rejections() or 'both legs untaken'}"
        part = "" if bought >= self.size else f"{bought / self.size:.0%} "
        return f"filled {part}{made}"

    def way(self, venue: str, side: Side) -> str:
        """What an order there would do about the legs."""
        lagging, leading = (self.buy, self.sell) if side == "buy" else (self.sell, self.buy)
        if venue == lagging.venue:
            return "finished"
        return "unwound" if venue == leading.venue else f"closed at {venue}"

    def where(self, amount: Decimal) -> str:
        """The venue where most of such a position was traded."""
        side: Side = "buy" if amount > ZERO else "sell"
        legs = [leg for leg in self.legs.values() if leg.order.side == side]
        most = max(legs, key=lambda leg: leg.traded, default=None)
        listing = self.buy if side == "buy" else self.sell
        return listing.venue if most is None else most.order.listing.venue

    def _check(self) -> None:
        assert self.legs, self.symbol
        assert all(leg.booked <= leg.traded for leg in self.legs.values())
        if self.closed and self.told:
            assert self._filed is self.outcome
            assert self._filed_realised == self.realised
        assert not self.closed or self.certain == ZERO

    # -------------------------------------------------------------------------------------------

    def _of(self, side: Side) -> Decimal:
        return sum((leg.traded for leg in self.legs.values() if leg.order.side == side), ZERO)

    def _pending(self, side: Side) -> Decimal:
        return sum((leg.pending for leg in self.legs.values() if leg.order.side == side), ZERO)

    def _pay(self, fill: Fill, fee: Decimal) -> None:
        listing = fill.listing
        if fill.fee_asset in {listing.quote, listing.settle}:
            self._cash -= fee
        elif listing.kind is Kind.SPOT and fill.fee_asset == listing.base:
            # Less arrives than was bought: the fee leaves the legs uneven, and evening them out
            # is what it costs.
            self._coin_fees += fee
        else:
            # In a coin of which nothing here knows the price.
            rate = self._taker_bps.get(listing.venue, ZERO)
            self._cash -= fill.price * fill.size * rate / BPS

    def _leg_traded(self, side: Side) -> Decimal:
        legs = [leg for leg in self.legs.values() if not leg.way and leg.order.side == side]
        return sum((leg.traded for leg in legs), ZERO)

    def _rejections(self) -> str:
        """What the venues had against it, beyond that somebody else was first."""
        return ", ".join(
            f"{leg.order.listing.venue}: {leg.order.text or leg.order.rejection.value}"
            for leg in self.legs.values()
            if leg.order.rejection not in {None, Rejection.NOTHING_TO_TAKE}
            and leg.order.rejection is not None
        )
