"""What is held where, what it made, and whether the venues agree."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from hftmm.core.instrument import Kind, Listing, Side
from hftmm.core.order import Balance, Fill, Funding, Position
from hftmm.risk.drift import TOLERANCE, Comparison, Drift, Tolerance
from hftmm.risk.holding import Holding
from hftmm.risk.ledger import Counter, Ledger
from hftmm.risk.reservation import Reservations, Wallet

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


class OpenPosition(msgspec.Struct, frozen=True, gc=False):
    """What a listing began with.

    Attributes:
        entry, mark: quote per base, None if unknown. made: quote, what the day had made by then.
    """

    listing: Listing
    size: Decimal
    entry: Decimal | None
    mark: Decimal | None = None
    made: Decimal = ZERO


class Opening(msgspec.Struct, frozen=True, gc=False):
    """Where the books begin: with it and all fills and fundings since, a restart counts on."""

    ns: int
    balances: tuple[Balance, ...]
    positions: tuple[OpenPosition, ...]
    peak: Decimal = ZERO


class Pnl(msgspec.Struct, frozen=True, gc=False):
    """Quote, since the books were opened. Attributes: fees: paid less rebates."""

    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    funding: Decimal

    @property
    def total(self) -> Decimal:
        return self.realised + self.unrealised - self.fees + self.funding


class Costs(NamedTuple):
    """Of the day, since the books were opened. Attributes: fees: paid less rebates."""

    fees: Decimal
    funding: Decimal


class Portfolio:
    """The books of all venues.

    A spot position is what was traded since the day was opened, less fees taken in the base coin;
    what was held before is a baseline that neither counts as position nor as profit. Every event
    is O(1) in the number of trades.

    Attributes:
        ledger: wallets and what moved them.
        currency: what equity and PnL over several markets are counted in.
        peak: highest PnL of the day, at least 0.
    """

    def __init__(
        self,
        *,
        apart: frozenset[str] = frozenset({"binance"}),
        currency: str = "USDT",
        leverage: Decimal = ONE,
        tolerance: Tolerance = TOLERANCE,
    ) -> None:
        """`apart` are the venues that keep spot and linear in wallets of their own; `leverage` is
        what margin of perpetual orders is reserved by.
        """
        self.ledger: Final = Ledger()
        self.currency: Final = currency
        self.peak = ZERO
        self._apart: Final = apart
        self._leverage: Final = leverage
        self._tolerance: Final = tolerance
        self._holdings: Final[dict[str, Holding]] = {}
        self._listings: Final[dict[str, Listing]] = {}
        self._reserved: Final = Reservations()
        self._told: Final[dict[Wallet, Balance]] = {}
        self._prices: Final[dict[str, Decimal]] = {currency: ONE}
        self._coin_fees: Final[dict[tuple[str, str], Decimal]] = {}
        self._compared: Final[dict[Wallet | str, Comparison]] = {}
        self._payers: Final[dict[str, tuple[Wallet, Wallet]]] = {}

    # ---- what happens -------------------------------------------------------------------------

    def open(self, opening: Opening) -> None:
        """Begins the books, of all venues or of each as it is first seen, before its first fill."""
        for balance in opening.balances:
            self.ledger.post(
                balance.venue, balance.wallet, balance.asset, balance.total, Counter.OPENING
            )
        for position in opening.positions:
            holding = self._holding(position.listing)
            if position.mark is not None:
                self.marked(position.listing, position.mark)
            holding.open(position.size, position.entry, position.made)
        self.peak = max(self.peak, opening.peak)

    def filled(self, fill: Fill, now_ns: int) -> None:
        """Books a fill; each only once, which the order manager sees to."""
        listing = fill.listing
        holding = self._holding(listing)
        realised = holding.traded(fill.side, fill.size, fill.price, fill.venue_ns, fill.trade_id)
        wallet = self._wallet_name(listing)
        if listing.kind is Kind.SPOT:
            signed = fill.size if fill.side == "buy" else -fill.size
            cost = signed * fill.price
            self.ledger.post(listing.venue, wallet, listing.base, signed, Counter.TRADING)
            self.ledger.post(listing.venue, wallet, listing.quote, -cost, Counter.TRADING)
        else:
            self.ledger.post(listing.venue, wallet, listing.settle, realised, Counter.TRADING)
        self.fee_told(fill, now_ns)

    def fee_told(self, fill: Fill, now_ns: int) -> None:
        """Books the fee of a fill that was booked, as soon as the venue says it."""
        if fill.fee is None:
            return
        listing = fill.listing
        holding = self._holding(listing)
        wallet = self._wallet_name(listing)
        self.ledger.post(listing.venue, wallet, fill.fee_asset, -fill.fee, Counter.FEES)
        if fill.fee_asset in {listing.settle, listing.quote}:
            holding.fees += fill.fee
        elif listing.kind is Kind.SPOT and fill.fee_asset == listing.base:
            # Less arrives than was bought: the fee is that much of the position, gone at the
            # price of the fill.
            side: Side = "sell" if fill.fee > 0 else "buy"
            fee_id = f"{fill.trade_id} fee"
            holding.traded(side, abs(fill.fee), fill.price, fill.venue_ns, fee_id)
            holding.fees += fill.fee * fill.price
        else:
            key = (listing.key, fill.fee_asset)
            self._coin_fees[key] = self._coin_fees.get(key, ZERO) + fill.fee
        self._compare(listing, now_ns)

    def funded(self, funding: Funding, now_ns: int) -> None:
        """Books a funding payment: money without a trade."""
        listing = funding.listing
        wallet = "linear" if funding.venue in self._apart else ""
        self.ledger.post(funding.venue, wallet, funding.asset, funding.amount, Counter.FUNDING)
        if listing is not None:
            self._holding(listing).funding += funding.amount
            self._compare(listing, now_ns)

    def marked(self, listing: Listing, price: Decimal) -> None:
        """A mark, or a mid where the venue has none."""
        self._holding(listing).marked(price)
        if listing.kind is Kind.SPOT and listing.quote == self.currency:
            self._prices[listing.base] = price

    def reserve(
        self, listing: Listing, client_id: str, side: Side, price: Decimal, remaining: Decimal
    ) -> None:
        """An order may still trade this much; 0 when it is gone. Reducing orders need none."""
        self._reserved.hold(client_id, *self.needs(listing, side, price, remaining))

    # ---- what the venues say ------------------------------------------------------------------

    def told_balance(self, balance: Balance, now_ns: int) -> Drift | None:
        """The venue's word on a balance; the drift if it differs for too long."""
        wallet = Wallet(balance.venue, balance.wallet, balance.asset)
        known = self._told.get(wallet)
        if known is not None and balance.venue_ns < known.venue_ns:
            return None
        self._told[wallet] = balance
        self._reserved.told(wallet)
        subject = " ".join(word for word in ("balance", balance.wallet, balance.asset) if word)
        comparison = self._comparison(wallet, balance.venue, subject)
        comparison.theirs = balance.total
        return comparison.compare(self.ledger.balance(*wallet), self._tolerance, now_ns)

    def told_position(self, position: Position, now_ns: int) -> Drift | None:
        """The venue's word on a perpetual; the drift if it differs for too long."""
        listing = position.listing
        holding = self._holding(listing)
        comparison = self._comparison(listing.key, listing.venue, f"position {listing.symbol}")
        comparison.theirs = position.size
        return comparison.compare(holding.size, self._tolerance, now_ns)

    def drifts(
        self, now_ns: int, venue: str | None = None, *, at_once: bool = False
    ) -> list[Drift]:
        """Every difference that lasted longer than the grace, of one venue or of all.

        Args:
            at_once: nothing is under way that could explain one: tell all.
        """
        found: list[Drift] = []
        for subject, comparison in self._compared.items():
            if venue is None or comparison.venue == venue:
                drift = comparison.compare(
                    self._ours(subject), self._tolerance, now_ns, at_once=at_once
                )
                if drift is not None:
                    found.append(drift)
        return found

    def accept(self, drift: Drift, now_ns: int) -> None:
        """The operator takes the venue's word: the books follow, and no profit comes of it."""
        for subject, comparison in self._compared.items():
            if (comparison.venue, comparison.subject) != (drift.venue, drift.subject):
                continue
            theirs = comparison.theirs or ZERO
            difference = theirs - self._ours(subject)
            if isinstance(subject, Wallet):
                self.ledger.post(*subject, difference, Counter.ADJUSTMENT)
            else:
                holding = self._holdings[subject]
                price = holding.mark or holding.entry or ZERO
                side: Side = "buy" if difference > 0 else "sell"
                listing = self._listings[subject]
                realised = holding.traded(
                    side, abs(difference), price, now_ns, f"accepted {now_ns}"
                )
                wallet = self._wallet_name(listing)
                self.ledger.post(
                    listing.venue, wallet, listing.settle, realised, Counter.ADJUSTMENT
                )
            comparison.since_ns = None

    # ---- what is known ------------------------------------------------------------------------

    def position(self, listing: Listing) -> Decimal:
        """Base coins, negative is short; of spot what was traded since the day was opened."""
        return self.held(listing.key)

    def held(self, key: str) -> Decimal:
        """The position of a listing, by its key."""
        holding = self._holdings.get(key)
        return ZERO if holding is None else holding.size

    def entry(self, listing: Listing) -> Decimal | None:
        """Average price of what is held, None if flat."""
        holding = self._holdings.get(listing.key)
        return None if holding is None else holding.entry

    def mark(self, listing: Listing) -> Decimal | None:
        """What it is worth, quote per base; None before the first mark."""
        holding = self._holdings.get(listing.key)
        return None if holding is None else holding.mark

    def pnl(self, listing: Listing) -> Pnl:
        """What a listing made, quote; fees in a third coin at its price, as far as known."""
        holding = self._holding(listing)
        fees = holding.fees + self._coin_fees_worth(listing)
        return Pnl(holding.realised, holding.unrealised, fees, holding.funding)

    def day_pnl(self, venue: str | None = None) -> Decimal:
        """What the day made at one venue or at all, in `currency`. O(listings)."""
        total = ZERO
        for key, holding in self._holdings.items():
            listing = self._listings[key]
            if venue is None or listing.venue == venue:
                made = holding.day_pnl - self._coin_fees_worth(listing)
                total += made * self._prices.get(listing.quote, ZERO)
        return total

    def costs(self) -> Costs:
        """Fees and funding that are in `day_pnl`, in `currency`. O(listings)."""
        fees = funding = ZERO
        for key, holding in self._holdings.items():
            worth = self.worth(self._listings[key].quote)
            fees += (holding.fees + self._coin_fees_worth(self._listings[key])) * worth
            funding += holding.funding * worth
        return Costs(fees, funding)

    def worth(self, asset: str) -> Decimal:
        """Of one of an asset in `currency`; 0 while nothing prices it."""
        return self._prices.get(asset, ZERO)

    def drawdown(self) -> Decimal:
        """Fall of the day's PnL from its peak, in `currency`; call it after every change.

        By PnL, not by equity: a withdrawal is no loss, nor is a fall of what is held anyway.
        """
        made = self.day_pnl()
        self.peak = max(self.peak, made)
        return self.peak - made

    def equity(self) -> Decimal:
        """All wallets and open profits in `currency`; see `unvalued`. O(wallets)."""
        total = sum(
            (
                balance * self._prices.get(asset, ZERO)
                for _, _, asset, balance in self.ledger.wallets()
            ),
            ZERO,
        )
        for key, holding in self._holdings.items():
            listing = self._listings[key]
            if listing.kind is not Kind.SPOT:
                total += holding.unrealised * self._prices.get(listing.settle, ZERO)
        return total

    def unvalued(self) -> list[str]:
        """Assets that are held and count nothing in `equity`, because nothing prices them."""
        return sorted(
            {
                asset
                for _, _, asset, balance in self.ledger.wallets()
                if balance and asset not in self._prices
            }
        )

    def available(self, venue: str, wallet: str, asset: str) -> Decimal:
        """Free for new orders: by the venue's word less what it cannot have counted yet, and by
        our own books less all that our orders hold, whichever is less.
        """
        return self.free(Wallet(venue, wallet, asset))

    def free(self, where: Wallet) -> Decimal:
        """`available`, of a wallet as `needs` names it."""
        ours = self.ledger.balance(*where) - self._reserved.total(where)
        told = self._told.get(where)
        if told is not None:
            theirs = told.available - self._reserved.fresh(where)
            ours = theirs if theirs < ours else ours
        return ours if ours > ZERO else ZERO

    def needs(
        self, listing: Listing, side: Side, price: Decimal, size: Decimal
    ) -> tuple[Wallet, Decimal]:
        """The wallet that pays for an order, and how much: the price of a spot buy, the coins of
        a spot sell, the margin of a perpetual.
        """
        payers = self._payers.get(listing.key)
        if payers is None:
            payers = self._payers[listing.key] = self._paying(listing)
        buy, sell = payers
        if listing.kind is not Kind.SPOT:
            return buy, price * size / self._leverage
        return (buy, price * size) if side == "buy" else (sell, size)

    def wallets(self, venue: str) -> list[Wallet]:
        """Wallets of a venue that hold anything."""
        return [
            Wallet(where, wallet, asset)
            for where, wallet, asset, balance in self.ledger.wallets()
            if where == venue and balance
        ]

    def wallet(self, listing: Listing) -> str:
        """The name of the wallet that a listing settles in, "" where a venue has only one."""
        return self._wallet_name(listing)

    def opening(self, now_ns: int) -> Opening:
        """Everything as it stands, as the beginning of new books; for a restart."""
        balances = [
            Balance(venue, wallet, asset, balance, balance, now_ns, now_ns)
            for venue, wallet, asset, balance in self.ledger.wallets()
        ]
        positions = [
            OpenPosition(
                self._listings[key],
                holding.size,
                holding.entry,
                holding.mark,
                holding.day_pnl - self._coin_fees_worth(self._listings[key]),
            )
            for key, holding in self._holdings.items()
        ]
        return Opening(now_ns, tuple(balances), tuple(positions), self.peak)

    def roll(self) -> None:
        """A new day: profits start at zero, spot positions become part of the baseline."""
        for key, holding in self._holdings.items():
            spot = self._listings[key].kind is Kind.SPOT
            holding.open(ZERO if spot else holding.size, holding.entry)
        self._coin_fees.clear()
        self.peak = ZERO

    def _check(self) -> None:
        """Walks every invariant; O(accounts + orders)."""
        self.ledger._check()
        self._reserved._check()
        for holding in self._holdings.values():
            if holding.mark is not None:
                assert holding.pnl == holding.cash + holding.size * holding.mark

    # -------------------------------------------------------------------------------------------

    def _wallet_name(self, listing: Listing) -> str:
        return listing.kind.value if listing.venue in self._apart else ""

    def _paying(self, listing: Listing) -> tuple[Wallet, Wallet]:
        """What a buy and a sell are paid from."""
        spot, wallet = listing.kind is Kind.SPOT, self._wallet_name(listing)
        assets = (listing.quote, listing.base) if spot else (listing.settle, listing.settle)
        buy, sell = (Wallet(listing.venue, wallet, asset) for asset in assets)
        return buy, sell

    def _holding(self, listing: Listing) -> Holding:
        holding = self._holdings.get(listing.key)
        if holding is None:
            holding = self._holdings[listing.key] = Holding()
            self._listings[listing.key] = listing
        return holding

    def _coin_fees_worth(self, listing: Listing) -> Decimal:
        worth = ZERO
        for (key, asset), amount in self._coin_fees.items():
            if key == listing.key:
                worth += amount * self._prices.get(asset, ZERO)
        return worth

    def _comparison(self, subject: Wallet | str, venue: str, words: str) -> Comparison:
        comparison = self._compared.get(subject)
        if comparison is None:
            comparison = self._compared[subject] = Comparison(venue, words)
        return comparison

    def _ours(self, subject: Wallet | str) -> Decimal:
        if isinstance(subject, Wallet):
            return self.ledger.balance(*subject)
        return self._holdings[subject].size

    def _compare(self, listing: Listing, now_ns: int) -> None:
        """Something was booked: equal amounts end a difference right here, not only when asked."""
        wallet = self._wallet_name(listing)
        for asset in (listing.base, listing.quote, listing.settle):
            subject = Wallet(listing.venue, wallet, asset)
            if (known := self._compared.get(subject)) is not None:
                known.compare(self._ours(subject), self._tolerance, now_ns)
        if (known := self._compared.get(listing.key)) is not None:
            known.compare(self._holdings[listing.key].size, self._tolerance, now_ns)
