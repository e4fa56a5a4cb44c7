"""The private verbs of Bybit: a unified account with spot and linear, in one-way mode.

One private and one trade stream serve both categories, which their rows name. An acknowledgement
says that an order was taken for processing; what became of it comes on the private stream, before
or after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from hftmm.core.errors import MalformedFrame
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import (
    AccountEvent,
    Amendment,
    Balance,
    Fill,
    Funding,
    OrderAnswer,
    OrderRequest,
    OrderUpdate,
    Position,
    Rejection,
)
from hftmm.venues.bybit import account, usage
from hftmm.venues.bybit import private_wire as wire
from hftmm.venues.bybit.order_entry import (
    AMEND,
    CANCEL,
    CREATE,
    changed_order,
    named,
    new_order,
    send,
)
from hftmm.venues.bybit.permissions import ACCOUNT, KEY, POSITIONS, permissions
from hftmm.venues.bybit.refusal import judge
from hftmm.venues.bybit.request import (
    PRIVATE,
    TRADE,
    Params,
    category,
    get,
    login,
    post,
    signed_get,
    subscription,
)
from hftmm.venues.codec import MILLISECOND, SECOND, Hosts
from hftmm.venues.private import (
    Credentials,
    Listings,
    Outgoing,
    Permissions,
    PrivateRules,
    SignedRequest,
    StreamFrame,
)
from hftmm.venues.usage import Usage

BOTH: Final = frozenset({Kind.SPOT, Kind.LINEAR})

_SETTLED_IN: Final = ("USDT", "USDC")
_TOPICS: Final = ("order", "execution", "position", "wallet")
_FAST: Final = "execution.fast"
_DCP: Final = {"spot": ("dcp.spot", "SPOT"), "linear": ("dcp.future", "DERIVATIVES")}
_DCP_S: Final = (3, 300)
_ALL: Final = "all"
_REALTIME: Final = "/v5/order/realtime"
_MOST_ORDERS: Final = 50
_MOST_FILLS: Final = 100
_MOST_POSITIONS: Final = 200
_WEEK_NS: Final = 7 * 24 * 3600 * SECOND
_BPS: Final = Decimal(10_000)
# Whoever has no discounts pays this; the demo does not tell fee rates (10001).
_FEES: Final = {
    "spot": FeeRates(Decimal(10), Decimal(10)),
    "linear": FeeRates(Decimal(2), Decimal("5.5")),
}


class BybitPrivateCodec:
    """Bybit's unified account, in one-way mode.

    Args:
        kinds: what is traded; `permissions` tells about nothing else.
        demo: there is no trade stream, no fast copy of fills, and no word about fees: orders go by
            REST.
        dead_man: the account was granted Disconnect-Cancel-All, which only institutions are. It
            fires when the private stream is gone for the window set.
    """

    venue = account.VENUE

    def __init__(
        self, kinds: frozenset[Kind] = BOTH, *, demo: bool = False, dead_man: bool = False
    ) -> None:
        shortest, longest = _DCP_S
        self.kinds = kinds
        self.demo = demo
        self.dead_man = dead_man
        # Requests a second of the account. Amends have a limit of their own, on spot half of that
        # of new orders: one budget for both keeps to the smaller.
        self.rules: Mapping[Kind, PrivateRules] = {
            kind: PrivateRules(
                order_budget=(10, SECOND),
                cancel_budget=(20 if kind is Kind.SPOT else 10, SECOND),
                dead_man_ns=(shortest * SECOND, longest * SECOND) if dead_man else (0, 0),
                per_listing=False,
                fills_window_ns=_WEEK_NS,
            )
            for kind in BOTH
        }

    def private_endpoints(self, hosts: Hosts, kinds: frozenset[Kind]) -> Mapping[str, str]:
        """`private` and `trade`, each for spot and linear together."""
        endpoints = {PRIVATE: hosts["private"]}
        if not self.demo:
            endpoints[TRADE] = hosts["trade"]
        return endpoints

    def login(self, credentials: Credentials, route: str, now_ms: int) -> list[StreamFrame]:
        frames = [login(credentials, route, now_ms)]
        if route == TRADE:
            return frames
        topics = [*_TOPICS] if self.demo else [*_TOPICS, _FAST]
        frames.append(subscription(topics, "topics"))
        if self.dead_man:
            switches = sorted(_DCP[category(kind)][0] for kind in self.kinds)
            frames.append(subscription(switches, "switches"))
        return frames

    def renew(
        self, credentials: Credentials, kind: Kind, key: str, now_ms: int
    ) -> SignedRequest | None:
        """None: a stream lives as long as its connection."""
        return None

    def decode_renewal(self, body: bytes) -> str:
        """ "": nothing is renewed."""
        return ""

    def place(
        self, credentials: Credentials, order: OrderRequest, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        body = new_order(order)
        return send(credentials, CREATE, body, now_ms, order.client_id, rest=rest or self.demo)

    def amend(
        self, credentials: Credentials, change: Amendment, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        """Changes price and total size. Whether it keeps its place in the queue is not told."""
        body = changed_order(change)
        return send(credentials, AMEND, body, now_ms, change.client_id, rest=rest or self.demo)

    def cancel(
        self,
        credentials: Credentials,
        listing: Listing,
        client_id: str,
        venue_id: str,
        now_ms: int,
        *,
        rest: bool = False,
    ) -> Outgoing:
        body = named(listing, client_id, venue_id)
        return send(credentials, CANCEL, body, now_ms, client_id, rest=rest or self.demo)

    def cancel_all(
        self,
        credentials: Credentials,
        listing: Listing,
        orders: Sequence[tuple[str, str]],
        now_ms: int,
    ) -> list[Outgoing]:
        """One REST request, which ends up to 500 orders; conditional ones, never ours, stay."""
        name, symbol = category(listing.kind), listing.venue_symbol
        body = {"category": name, "symbol": symbol, "orderFilter": "Order"}
        return [
            post(
                credentials,
                "/v5/order/cancel-all",
                body,
                now_ms,
                purpose="answer",
                request_id=f"-{_ALL}-{name}-{symbol}",
            )
        ]

    def decode_answer(self, request: SignedRequest, status: int, body: bytes) -> OrderAnswer:
        """The answer to anything that was sent by POST. Refusals come with status 200."""
        answered = _parse(body)
        if answered is None or answered.code or status != 200:
            code = answered.code if answered is not None else None
            text = answered.text if answered is not None else ""
            return account.refusal(request.request_id, status, code, text)
        receipt = wire.decode(wire.decode_receipt, answered.result)
        if receipt.success == "0":
            return account.half_done(request.request_id)
        return account.receipt(request.request_id, receipt.venue_id)

    def open_orders(
        self, credentials: Credentials, kind: Kind, listing: Listing | None, now_ms: int
    ) -> list[SignedRequest]:
        """Of a listing, or of every coin that contracts are settled in."""
        narrowed: list[Params] = [{}]
        if listing is not None:
            narrowed = [{"symbol": listing.venue_symbol}]
        elif kind is not Kind.SPOT:
            narrowed = [{"settleCoin": coin} for coin in _SETTLED_IN]
        head: Params = {"category": category(kind), "openOnly": 0, "limit": _MOST_ORDERS}
        return [
            get(credentials, _REALTIME, head | one, now_ms, purpose="orders") for one in narrowed
        ]

    def decode_orders(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[OrderUpdate], str]:
        """Orders, and the cursor `next_page` wants. Of an order that is unknown there is none:
        `classify` says so of the same answer.

        Raises:
            MalformedFrame: it is a refusal, in words, or cannot be decoded.
        """
        page, _ = wire.result(wire.decode_order_page, body)
        updates = account.order_updates(page.rows, page.category, listings, received_ns)
        return updates, (page.cursor or "") if page.rows else ""

    def order(
        self, credentials: Credentials, listing: Listing, client_id: str, now_ms: int
    ) -> SignedRequest:
        """Asks for an order that is open or ended of late: 500 ended ones are kept, until Bybit
        restarts.
        """
        params: Params = {
            "category": category(listing.kind),
            "symbol": listing.venue_symbol,
            "orderLinkId": client_id,
        }
        return get(credentials, _REALTIME, params, now_ms, purpose="orders", request_id=client_id)

    def fills_since(
        self, credentials: Credentials, listing: Listing, since_ms: int, now_ms: int
    ) -> SignedRequest:
        """Fills of one `fills_window_ns` from `since_ms` on, newest first."""
        params: Params = {
            "category": category(listing.kind),
            "symbol": listing.venue_symbol,
            "startTime": since_ms,
            "endTime": since_ms + _WEEK_NS // MILLISECOND,
            "limit": _MOST_FILLS,
        }
        return get(credentials, "/v5/execution/list", params, now_ms, purpose="fills")

    def decode_fills(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Fill], str]:
        """Fills, oldest first, and the cursor that `next_page` wants."""
        page, _ = wire.result(wire.decode_execution_page, body)
        happened = account.executed(page.rows, page.category, listings, received_ns)
        fills = [event for event in reversed(happened) if isinstance(event, Fill)]
        return fills, (page.cursor or "") if page.rows else ""

    def funding_since(self, credentials: Credentials, since_ms: int, now_ms: int) -> SignedRequest:
        """Funding payments of a week from `since_ms` on, newest first."""
        params: Params = {
            "category": "linear",
            "execType": "Funding",
            "startTime": since_ms,
            "endTime": since_ms + _WEEK_NS // MILLISECOND,
            "limit": _MOST_FILLS,
        }
        return get(credentials, "/v5/execution/list", params, now_ms, purpose="funding")

    def decode_funding(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Funding], str]:
        """Funding payments, oldest first, and the cursor that `next_page` wants."""
        page, _ = wire.result(wire.decode_execution_page, body)
        happened = account.executed(page.rows, page.category, listings, received_ns)
        paid = [event for event in reversed(happened) if isinstance(event, Funding)]
        return paid, (page.cursor or "") if page.rows else ""

    def next_page(
        self, credentials: Credentials, request: SignedRequest, cursor: str, now_ms: int
    ) -> SignedRequest:
        """The same query from where its answer ended. Cursors come percent-encoded, and are signed
        and sent as they came.
        """
        path, _, query = request.path.partition("?")
        query = query.partition("&cursor=")[0] + f"&cursor={quote(cursor, safe='%')}"
        return signed_get(credentials, path, query, now_ms, request.purpose, request.request_id)

    def positions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]:
        """Open positions, by the coin they are settled in."""
        head: Params = {"category": "linear", "limit": _MOST_POSITIONS}
        return [
            get(credentials, POSITIONS, head | {"settleCoin": coin}, now_ms, purpose="positions")
            for coin in _SETTLED_IN
        ]

    def decode_positions(self, body: bytes, listings: Listings, received_ns: int) -> list[Position]:
        """Open positions of one settle coin: a contract that no answer of `positions` names is
        flat.

        Raises:
            MalformedFrame: it is a refusal, in words, cannot be decoded, or is not all of them.
        """
        page, stamp_ms = wire.result(wire.decode_position_page, body)
        if page.cursor and len(page.rows) >= _MOST_POSITIONS:
            raise MalformedFrame("too many positions", f"more than {_MOST_POSITIONS}")
        by_symbol: dict[str, list[wire.PositionRow]] = {}
        for row in page.rows:
            by_symbol.setdefault(row.symbol, []).append(row)
        found = ((wire.find(listings, "linear", name), name) for name in by_symbol)
        return [
            account.position(listing, by_symbol[name], stamp_ms, received_ns)
            for listing, name in found
            if listing is not None
        ]

    def balances(
        self, credentials: Credentials, kinds: frozenset[Kind], now_ms: int
    ) -> list[SignedRequest]:
        """The one wallet that every kind shares."""
        path, params = "/v5/account/wallet-balance", {"accountType": "UNIFIED"}
        return [get(credentials, path, params, now_ms, purpose="balances")]

    def decode_balances(
        self, request: SignedRequest, body: bytes, received_ns: int
    ) -> list[Balance]:
        """Balances; Bybit leaves out what is zero."""
        page, stamp_ms = wire.result(wire.decode_wallet_page, body)
        return account.balances(page.rows, stamp_ms * MILLISECOND, received_ns)

    def fee_rates(self, credentials: Credentials, listing: Listing, now_ms: int) -> SignedRequest:
        name = category(listing.kind)
        params = {"category": name, "symbol": listing.venue_symbol}
        return get(
            credentials,
            "/v5/account/fee-rate",
            params,
            now_ms,
            purpose="fee_rates",
            request_id=name,
        )

    def decode_fee_rates(self, request: SignedRequest, body: bytes) -> FeeRates:
        """Rates of the account; on the demo, which does not tell, those without discounts."""
        if self.demo:
            return _FEES[request.request_id]
        page, _ = wire.result(wire.decode_fee_page, body)
        if len(page.rows) != 1:
            raise MalformedFrame("not one fee rate", str(len(page.rows)))
        rates = page.rows[0]
        maker, taker = wire.amount(rates.maker_fee_rate), wire.amount(rates.taker_fee_rate)
        return FeeRates(maker * _BPS, taker * _BPS)

    def permissions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]:
        """The key, the account, and the position mode by the example of one contract."""
        asked: list[tuple[str, Params]] = [(KEY, {}), (ACCOUNT, {})]
        if Kind.LINEAR in self.kinds:
            asked.append((POSITIONS, {"category": "linear", "symbol": "BTCUSDT"}))
        return [
            get(credentials, path, params, now_ms, purpose="permissions") for path, params in asked
        ]

    def decode_permissions(self, answers: Sequence[tuple[SignedRequest, bytes]]) -> Permissions:
        return permissions(self.kinds, answers)

    def arm_dead_man(
        self, credentials: Credentials, listing: Listing, timeout_ms: int, now_ms: int
    ) -> SignedRequest | None:
        """Sets the window of the switch, which the private stream holds as long as it lives. None
        to disarm: it cannot be, and finds nothing to cancel after an orderly end.
        """
        if not (self.dead_man and timeout_ms):
            return None
        product = _DCP[category(listing.kind)][1]
        shortest, longest = _DCP_S
        seconds = max(shortest, min(longest, -(-timeout_ms // 1_000)))
        return post(
            credentials,
            "/v5/order/disconnected-cancel-all",
            {"product": product, "timeWindow": seconds},
            now_ms,
            purpose="dead_man",
            request_id=f"-{product}",
        )

    def decode_account(
        self, route: str, frame: bytes, listings: Listings, received_ns: int
    ) -> list[AccountEvent]:
        return account.events(route, frame, listings, received_ns)

    def classify(self, status: int, body: bytes) -> tuple[Rejection, bool, str]:
        """What an error answer means; a query that found nothing is an unknown order."""
        answered = _parse(body)
        if answered is None:
            return judge(status, None, "")
        if answered.code == 0 and status == 200 and _empty(answered):
            return Rejection.UNKNOWN_ORDER, False, "no such order, or not yet where queries look"
        return judge(status, answered.code, answered.text)

    def decode_usage(
        self, request: SignedRequest, headers: Mapping[str, str], now_ms: int
    ) -> Sequence[Usage]:
        return usage.told(request.method, request.path, headers, now_ms)


def _parse(body: bytes) -> wire.Answer | None:
    """None if it is not of this venue: a page of some proxy."""
    try:
        return wire.decode_answer(body)
    except wire.UNREADABLE:
        return None


def _empty(answered: wire.Answer) -> bool:
    """True if the answer is a list without rows."""
    try:
        return wire.decode_counted(answered.result).rows == []
    except wire.UNREADABLE:
        return False
