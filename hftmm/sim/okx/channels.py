"""The channels of members: who listens to what, and what they are told when something happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hftmm.sim.ledger import (
    Account,
    BalanceChanged,
    BrokerEvent,
    Funding,
    OrderChanged,
    PositionChanged,
)
from hftmm.sim.okx.instrument import Instrument, Row
from hftmm.sim.okx.records import order_push
from hftmm.sim.okx.refusal import Refusal
from hftmm.sim.okx.topics import Arg, encode
from hftmm.sim.okx.wealth import Wealth
from hftmm.sim.peers import Push
from hftmm.venues.codec import MILLISECOND, SECOND

COUNTED = ("orders", "account", "positions", "balance_and_position")
CONNECTIONS = 30
"""Connections of one account that may have the same channel."""

_SNAPSHOT_NS = 5 * SECOND
_PACES = {"0": 0, "2000": 2 * SECOND, "3000": 3 * SECOND, "4000": 4 * SECOND}
_TYPES: dict[str, tuple[str, ...]] = {
    "orders": ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "ANY")
}
_TYPES["positions"] = _TYPES["orders"][1:]


class _Push(msgspec.Struct, gc=False, rename="camel", omit_defaults=True):
    arg: Arg
    data: Sequence[Row]
    event_type: str = ""
    cur_page: int = 0
    last_page: bool | None = None


class _Extra(msgspec.Struct, rename="camel"):
    update_interval: str = ""


class Subscription(msgspec.Struct, eq=False):
    """One channel of one connection.

    Attributes:
        arg: as the client wrote it.
        every_ns: between snapshots of their own accord; 0 for none.
    """

    connection: int
    arg: Arg
    every_ns: int
    due_ns: int

    @property
    def channel(self) -> str:
        return self.arg["channel"]

    def wants(self, one: Instrument) -> bool:
        """True if the instrument is among those subscribed to."""
        arg = self.arg
        return (
            arg.get("instType", "ANY") in ("ANY", one.inst_type)
            and arg.get("instId", "") in ("", one.inst_id)
            and arg.get("instFamily", "") in ("", one.family)
        )


class Channels:
    """Knows every subscription and words every push; says nothing by itself.

    Args:
        rows_per_page: currencies or positions in one frame of a snapshot.
        duplicate_fills: every fill is pushed twice, the second time with another `uTime`.
        terminal_notice: a spot market order ends with one more push, `filled` with `fillSz` 0.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        account: Account,
        wealth: Wealth,
        user: str,
        *,
        rows_per_page: int,
        duplicate_fills: bool,
        terminal_notice: bool,
    ) -> None:
        self._instruments = instruments
        self._account = account
        self._wealth = wealth
        self._user = user
        self._rows_per_page = rows_per_page
        self._duplicate_fills = duplicate_fills
        self._terminal_notice = terminal_notice
        self._subscriptions: list[Subscription] = []

    # -- who listens --------------------------------------------------------------------------

    def subscribe(self, connection: int, arg: Arg, now_ns: int) -> Subscription | None:
        """A new subscription, None if the channel has all the connections it may have.

        Raises:
            Refusal: there is no such channel for members.
        """
        channel = arg.get("channel", "")
        self._check(channel, arg)
        self.unsubscribe(connection, arg)
        if self.connections(channel, but=connection) >= CONNECTIONS:
            return None
        every_ns = _pace(arg) if channel in ("account", "positions") else 0
        made = Subscription(connection, arg, every_ns, now_ns + every_ns)
        self._subscriptions.append(made)
        return made

    def unsubscribe(self, connection: int, arg: Arg) -> None:
        self._subscriptions = [
            one
            for one in self._subscriptions
            if one.connection != connection or _subject(one.arg) != _subject(arg)
        ]

    def leave(self, connection: int) -> None:
        """The connection is gone, and with it all it subscribed to."""
        self._subscriptions = [one for one in self._subscriptions if one.connection != connection]

    def connections(self, channel: str, *, but: int = 0) -> int:
        """How many connections have a channel."""
        return len(
            {
                one.connection
                for one in self._subscriptions
                if one.channel == channel and one.connection != but
            }
        )

    def _check(self, channel: str, arg: Arg) -> None:
        known = channel in COUNTED and arg.get("instType", "") in _TYPES.get(
            channel, (arg.get("instType", ""),)
        )
        name = arg.get("instId", "")
        if channel == "fills":
            raise Refusal(
                "64003", "Your trading fee tier doesn't meet the requirement to access this channel"
            )
        if not known or (name and name not in self._instruments):
            detail = "".join(f",{key}:{value}" for key, value in arg.items() if key != "channel")
            raise Refusal(
                "60018",
                f"Wrong URL or channel:{channel}{detail} doesn't exist. Please use the correct "
                "URL, channel and parameters referring to API document.",
            )

    # -- what they are told -------------------------------------------------------------------

    def greeting(self, one: Subscription, stamp: str) -> list[Push]:
        """What a subscriber is told at once: everything, except of orders."""
        arg = self._arg(one)
        wealth = self._wealth
        match one.channel:
            case "account":
                only = set(one.arg["ccy"].split(",")) if one.arg.get("ccy") else None
                row = wealth.balance(stamp, only)
                details = row["details"]
                assert isinstance(details, list)
                pages = [[row | {"details": page}] for page in self._pages(details)]
            case "positions":
                positions = [
                    wealth.position(swap, stamp)
                    for swap in wealth.swaps(flat=False)
                    if one.wants(swap)
                ]
                pages = self._pages(positions)
            case "balance_and_position":
                row = {
                    "pTime": stamp,
                    "eventType": "snapshot",
                    "balData": [wealth.cash(asset, stamp) for asset in wealth.currencies()],
                    "posData": [wealth.holding(swap) for swap in wealth.swaps(flat=False)],
                    "trades": [],
                }
                return [_account(one, _Push(arg, [row]))]
            case _:
                return []
        return [
            _account(one, _Push(arg, page, "snapshot", number, number == len(pages)))
            for number, page in enumerate(pages, 1)
        ]

    def due(self, now_ns: int, stamp: str) -> list[Push]:
        """Snapshots whose time has come again."""
        frames: list[Push] = []
        for one in self._subscriptions:
            if one.every_ns and one.due_ns <= now_ns:
                one.due_ns = now_ns + one.every_ns
                frames += self.greeting(one, stamp)
        return frames

    def tell(self, events: Sequence[BrokerEvent], stamp: str, skew_ns: int) -> list[Push]:
        """What follows from events: orders one by one, then balances and positions as they
        stand after them."""
        # A post-only order that would take is never live: all that is heard of it is its end.
        stillborn = {
            event.order.id
            for event in events
            if isinstance(event, OrderChanged) and event.order.reason == "post_only"
        }
        frames: list[Push] = []
        assets: dict[str, None] = {}
        moved: dict[str, None] = {}
        cash: dict[str, None] = {}
        trades: list[Row] = []
        cause = "filled"
        for event in events:
            match event:
                case OrderChanged(change="new") if event.order.id in stillborn:
                    pass
                case OrderChanged():
                    frames += self._order(event, skew_ns)
                    if event.order.reason == "liquidation":
                        cause = "liquidation"
                    if event.execution is not None:
                        name = event.order.spec.venue_symbol
                        trades.append({"instId": name, "tradeId": str(event.execution.trade_id)})
                case BalanceChanged():
                    assets[event.asset] = None
                    if event.delta:
                        cash[event.asset] = None
                case PositionChanged():
                    moved[event.spec.venue_symbol] = None
                case Funding():
                    cause = "funding_fee"
        swaps = [self._instruments[name] for name in moved]
        for one in self._subscriptions:
            push = self._sums(one, assets, cash, swaps, trades, cause, stamp)
            if push is not None:
                frames.append(_account(one, push))
        return frames

    def _order(self, event: OrderChanged, skew_ns: int) -> list[Push]:
        """The pushes of one change of one order."""
        instrument = self._instruments[event.order.spec.venue_symbol]
        leverage = self._account.leverage_of(event.order.spec)
        changes = [(event, skew_ns)]
        last = event.execution is not None and event.order.state == "filled"
        market_spot = instrument.inst_type == "SPOT" and event.order.ticks is None
        if self._terminal_notice and last and market_spot:
            before = event.order.snapshot()
            before.state = "partially_filled"
            changes = [
                (msgspec.structs.replace(event, order=before), skew_ns),
                (msgspec.structs.replace(event, execution=None), skew_ns),
            ]
        if self._duplicate_fills and event.execution is not None:
            changes.insert(1, (changes[0][0], skew_ns + MILLISECOND))
        rows = [order_push(instrument, change, leverage, skew) for change, skew in changes]
        if self._duplicate_fills and event.execution is not None:
            # The same fill; only when the record was written differs.
            rows[1] = rows[0] | {"uTime": rows[1]["uTime"]}
        return [
            Push(
                one.connection,
                encode(_Push(self._arg(one), [row])),
                matter="fill" if row["tradeId"] else "order",
            )
            for row in rows
            for one in self._subscriptions
            if one.channel == "orders" and one.wants(instrument)
        ]

    def _sums(
        self,
        one: Subscription,
        assets: Iterable[str],
        cash: Iterable[str],
        swaps: Sequence[Instrument],
        trades: list[Row],
        cause: str,
        stamp: str,
    ) -> _Push | None:
        """What one subscriber is told of balances and positions, None for nothing."""
        arg, wealth = self._arg(one), self._wealth
        match one.channel:
            case "account":
                wanted = one.arg.get("ccy", "")
                named = [a for a in assets if not wanted or a in wanted.split(",")]
                return _Push(arg, [wealth.balance(stamp, named)], "event_update") if named else None
            case "positions":
                rows = [wealth.position(swap, stamp) for swap in swaps if one.wants(swap)]
                return _Push(arg, rows, "event_update") if rows else None
            case "balance_and_position":
                row: Row = {
                    "pTime": stamp,
                    "eventType": cause,
                    "balData": [wealth.cash(asset, stamp) for asset in cash],
                    "posData": [wealth.holding(swap) for swap in swaps],
                    "trades": trades,
                }
                return _Push(arg, [row]) if row["balData"] or row["posData"] else None
        return None

    def _arg(self, one: Subscription) -> Arg:
        return one.arg | {"uid": self._user}

    def _pages(self, rows: Sequence[Row]) -> list[list[Row]]:
        """At least one page, even of nothing."""
        size = self._rows_per_page
        return [list(rows[k : k + size]) for k in range(0, max(1, len(rows)), size)]


def _account(one: Subscription, push: _Push) -> Push:
    """A frame about balances or positions."""
    return Push(one.connection, encode(push), matter="account")


def _subject(arg: Arg) -> dict[str, str]:
    """What a subscription is to; how often it is told is no part of it."""
    return {key: value for key, value in arg.items() if key != "extraParams"}


def _pace(arg: Arg) -> int:
    extra = arg.get("extraParams", "")
    if not extra:
        return _SNAPSHOT_NS
    try:
        return _PACES.get(msgspec.json.decode(extra, type=_Extra).update_interval, _SNAPSHOT_NS)
    except msgspec.DecodeError:
        raise Refusal("60013", "Invalid args") from None
