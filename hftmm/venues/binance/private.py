"""The private verbs of Binance, spot and USD-M; where they differ, the listing's kind decides.

Orders go over the WebSocket API of their market, by REST if asked to. The events of spot come on
a second connection of the same API, those of USD-M on a stream that a listen key opens. A key
whose secret is an Ed25519 private key logs its spot connection on, once, and signs no order there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qs

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
from hftmm.venues.binance import account, query_wire, rows, usage
from hftmm.venues.binance import private_wire as wire
from hftmm.venues.binance.order_entry import (
    AMEND,
    CANCEL,
    PLACE,
    SPOT_TRADE,
    changed_order,
    named,
    new_order,
    send,
)
from hftmm.venues.binance.permissions import (
    LINEAR_ACCOUNT,
    RESTRICTIONS,
    SPOT_ACCOUNT,
    permissions,
)
from hftmm.venues.binance.refusal import judge, parse, unreadable
from hftmm.venues.binance.request import (
    KEY_HEADER,
    Params,
    market,
    signed_frame,
    signed_request,
)
from hftmm.venues.binance.wire import decode
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
from hftmm.venues.signing import is_private_key
from hftmm.venues.usage import Usage

BOTH: Final = frozenset({Kind.SPOT, Kind.LINEAR})

_ALL: Final = "all-"
_MOST_FILLS: Final = 1_000
_BPS: Final = Decimal(10_000)
_LISTEN_KEY: Final = "/fapi/v1/listenKey"

_PATHS: Final = {
    "spot": {
        "order": "/api/v3/order",
        "open": "/api/v3/openOrders",
        "cancel all": "/api/v3/openOrders",
        "fills": "/api/v3/myTrades",
        "fees": "/api/v3/account/commission",
        "balances": SPOT_ACCOUNT,
        "restrictions": RESTRICTIONS,
    },
    "linear": {
        "order": "/fapi/v1/order",
        "open": "/fapi/v1/openOrders",
        "cancel all": "/fapi/v1/allOpenOrders",
        "fills": "/fapi/v1/userTrades",
        "income": "/fapi/v1/income",
        "fees": "/fapi/v1/commissionRate",
        "balances": "/fapi/v3/balance",
        "positions": "/fapi/v3/positionRisk",
        "dead man": "/fapi/v1/countdownCancelAll",
        "config": LINEAR_ACCOUNT,
    },
}


class BinancePrivateCodec:
    """Binance spot and USD-M, accounts in one-way mode.

    Args:
        kinds: what is traded; `permissions` asks and tells about nothing else.
        restrictions: ask what the key may do. The demo has no such service: there the accounts
            are asked whether they may trade.
    """

    venue = account.VENUE
    rules: Mapping[Kind, PrivateRules] = {
        # Spot counts 100 orders in 10 s. Cancels count as requests only, of which there may be
        # 6000 a minute: half of those are theirs.
        Kind.SPOT: PrivateRules(
            order_budget=(100, 10 * SECOND),
            cancel_budget=(500, 10 * SECOND),
            amend_keeps="size down",
            amends_price=False,
            per_listing=False,
            fills_window_ns=24 * 3600 * SECOND,
        ),
        # USD-M counts 300 orders in 10 s and 1200 in a minute: 200 in 10 s stay within both.
        Kind.LINEAR: PrivateRules(
            order_budget=(200, 10 * SECOND),
            cancel_budget=(200, 10 * SECOND),
            renew_ns=30 * 60 * SECOND,
            # No bounds are documented; these are those its own examples stay within.
            dead_man_ns=(1 * SECOND, 120 * SECOND),
            per_listing=False,
            fills_window_ns=7 * 24 * 3600 * SECOND,
        ),
    }

    def __init__(self, kinds: frozenset[Kind] = BOTH, *, restrictions: bool = True) -> None:
        self.kinds = kinds
        self.restrictions = restrictions

    def private_endpoints(self, hosts: Hosts, kinds: frozenset[Kind]) -> Mapping[str, str]:
        endpoints = {}
        if Kind.SPOT in kinds:
            endpoints["spot.private"] = hosts["spot.api"]
            endpoints[SPOT_TRADE] = hosts["spot.api"]
        if Kind.LINEAR in kinds:
            endpoints["linear.private"] = f"{hosts['linear.stream']}/private/ws/{{key}}"
            endpoints["linear.trade"] = hosts["linear.api"]
        return endpoints

    def login(self, credentials: Credentials, route: str, now_ms: int) -> list[StreamFrame]:
        if route == "spot.private":
            method = "userDataStream.subscribe.signature"
        elif route == SPOT_TRADE and is_private_key(credentials.secret):
            method = "session.logon"
        else:
            return []
        return [signed_frame(credentials, route, method, {}, now_ms, request_id=wire.LOGIN)]

    def renew(
        self, credentials: Credentials, kind: Kind, key: str, now_ms: int
    ) -> SignedRequest | None:
        if kind is Kind.SPOT:
            return None
        return SignedRequest(
            route="linear.rest",
            method="PUT" if key else "POST",
            path=_LISTEN_KEY,
            body=b"",
            headers={KEY_HEADER: credentials.key},
            purpose="renewal",
            request_id="",
        )

    def decode_renewal(self, body: bytes) -> str:
        """The key in the answer; "" where an extension does not repeat it."""
        return decode(query_wire.decode_listen_key, body).listenKey

    def place(
        self, credentials: Credentials, order: OrderRequest, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        verb, params = PLACE[market(order.listing.kind)], new_order(order)
        return send(credentials, verb, params, now_ms, order.client_id, rest=rest)

    def amend(
        self, credentials: Credentials, change: Amendment, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        """Changes one order. Spot can only make it smaller, and keeps its place in the queue."""
        verb, params = AMEND[market(change.listing.kind)], changed_order(change)
        request_id = change.client_id + wire.AMEND
        return send(credentials, verb, params, now_ms, request_id, rest=rest)

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
        verb, params = CANCEL[market(listing.kind)], named(listing, client_id, venue_id)
        return send(credentials, verb, params, now_ms, client_id + wire.CANCEL, rest=rest)

    def cancel_all(
        self,
        credentials: Credentials,
        listing: Listing,
        orders: Sequence[tuple[str, str]],
        now_ms: int,
    ) -> list[Outgoing]:
        """One REST request: USD-M has no other, and it needs no connection that is logged on."""
        symbol = listing.venue_symbol
        return [
            _rest(
                credentials,
                listing.kind,
                "cancel all",
                {"symbol": symbol},
                now_ms,
                method="DELETE",
                purpose="answer",
                request_id=_ALL + symbol,
            )
        ]

    def decode_answer(self, request: SignedRequest, status: int, body: bytes) -> OrderAnswer:
        kind = request.route.partition(".")[0]
        bulk = request.request_id.startswith(_ALL)
        said, error = parse(body), None
        if status != account.SUCCESS:
            error = said
        elif unreadable(body):
            # Behind a success stands a page of some proxy: it went through, or did not.
            status, error = 0, said
        elif said.code is not None and said.code < 0:
            status, error = 400, said
        if not bulk:
            return account.answer(kind, request.request_id, status, body, error)
        if error is None:
            return OrderAnswer(request.request_id, "", "", accepted=True)
        verdict = judge(kind, status, error)
        # Spot has no other answer where nothing was open.
        nothing = verdict.rejection is Rejection.UNKNOWN_ORDER
        return OrderAnswer(
            request.request_id,
            "",
            "",
            accepted=nothing,
            rejection=None if nothing else verdict.rejection,
            unknown=verdict.unknown,
            text="nothing was open" if nothing else verdict.text,
        )

    def open_orders(
        self, credentials: Credentials, kind: Kind, listing: Listing | None, now_ms: int
    ) -> list[SignedRequest]:
        one, every = (6, 80) if kind is Kind.SPOT else (1, 40)
        params: Params = {"symbol": listing.venue_symbol} if listing is not None else {}
        weight = every if listing is None else one
        return [_rest(credentials, kind, "open", params, now_ms, purpose="orders", weight=weight)]

    def decode_orders(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[OrderUpdate], str]:
        return rows.orders(body, listings, received_ns), ""

    def order(
        self, credentials: Credentials, listing: Listing, client_id: str, now_ms: int
    ) -> SignedRequest:
        params: Params = {"symbol": listing.venue_symbol, "origClientOrderId": client_id}
        return _rest(
            credentials,
            listing.kind,
            "order",
            params,
            now_ms,
            purpose="orders",
            request_id=client_id,
            weight=4 if listing.kind is Kind.SPOT else 1,
        )

    def fills_since(
        self, credentials: Credentials, listing: Listing, since_ms: int, now_ms: int
    ) -> SignedRequest:
        """Fills of one `fills_window_ns` from `since_ms` on, oldest first."""
        kind = listing.kind
        params: Params = {
            "symbol": listing.venue_symbol,
            "startTime": since_ms,
            "endTime": since_ms + self.rules[kind].fills_window_ns // MILLISECOND - 1,
            "limit": _MOST_FILLS,
        }
        weight = 20 if kind is Kind.SPOT else 5
        return _rest(credentials, kind, "fills", params, now_ms, purpose="fills", weight=weight)

    def decode_fills(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Fill], str]:
        """Fills, and if there may be more the `since_ms` to ask for next, as text."""
        return rows.fills(body, listings, received_ns, full=_MOST_FILLS)

    def funding_since(self, credentials: Credentials, since_ms: int, now_ms: int) -> SignedRequest:
        """Funding payments of a week from `since_ms` on, oldest first."""
        params: Params = {
            "incomeType": "FUNDING_FEE",
            "startTime": since_ms,
            "limit": _MOST_FILLS,
        }
        return _rest(
            credentials, Kind.LINEAR, "income", params, now_ms, purpose="funding", weight=30
        )

    def decode_funding(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Funding], str]:
        """Funding payments; one answer holds more than a week can bring."""
        return rows.funding(body, listings, received_ns), ""

    def next_page(
        self, credentials: Credentials, request: SignedRequest, cursor: str, now_ms: int
    ) -> SignedRequest:
        """The fills of one window from the moment on that the cursor names."""
        path, _, query = request.path.partition("?")
        kind = Kind.SPOT if request.route == "spot.rest" else Kind.LINEAR
        since_ms = int(cursor)
        params: Params = {
            "symbol": parse_qs(query)["symbol"][0],
            "startTime": since_ms,
            "endTime": since_ms + self.rules[kind].fills_window_ns // MILLISECOND - 1,
            "limit": _MOST_FILLS,
        }
        return signed_request(
            credentials,
            request.route,
            request.method,
            path,
            params,
            now_ms,
            purpose=request.purpose,
            weight=request.weight,
        )

    def positions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]:
        kind = Kind.LINEAR
        return [_rest(credentials, kind, "positions", {}, now_ms, purpose="positions", weight=5)]

    def decode_positions(self, body: bytes, listings: Listings, received_ns: int) -> list[Position]:
        """A position for every contract: those Binance does not name are flat."""
        return rows.positions(body, listings, received_ns)

    def balances(
        self, credentials: Credentials, kinds: frozenset[Kind], now_ms: int
    ) -> list[SignedRequest]:
        asked: list[tuple[Kind, Params, int]] = [
            (Kind.SPOT, {"omitZeroBalances": "true"}, 20),
            (Kind.LINEAR, {}, 5),
        ]
        return [
            _rest(credentials, kind, "balances", params, now_ms, purpose="balances", weight=weight)
            for kind, params, weight in asked
            if kind in kinds
        ]

    def decode_balances(
        self, request: SignedRequest, body: bytes, received_ns: int
    ) -> list[Balance]:
        """Balances; spot leaves out what is zero."""
        if request.route == "spot.rest":
            return rows.spot_balances(body, received_ns)
        return rows.linear_balances(body, received_ns)

    def fee_rates(self, credentials: Credentials, listing: Listing, now_ms: int) -> SignedRequest:
        kind, params = listing.kind, Params(symbol=listing.venue_symbol)
        return _rest(credentials, kind, "fees", params, now_ms, purpose="fee_rates", weight=20)

    def decode_fee_rates(self, request: SignedRequest, body: bytes) -> FeeRates:
        """Rates without the discount for paying in BNB, which ends when the BNB do."""
        read = rows.spot_rates if request.route == "spot.rest" else rows.linear_rates
        maker, taker = read(body)
        return FeeRates(maker * _BPS, taker * _BPS)

    def permissions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]:
        asked = []
        if self.restrictions:
            asked.append((Kind.SPOT, "restrictions", 1))
        elif Kind.SPOT in self.kinds:
            asked.append((Kind.SPOT, "balances", 20))
        if Kind.LINEAR in self.kinds:
            asked.append((Kind.LINEAR, "config", 5))
        return [
            _rest(credentials, kind, what, {}, now_ms, purpose="permissions", weight=weight)
            for kind, what, weight in asked
        ]

    def decode_permissions(self, answers: Sequence[tuple[SignedRequest, bytes]]) -> Permissions:
        return permissions(self.kinds, answers)

    def arm_dead_man(
        self, credentials: Credentials, listing: Listing, timeout_ms: int, now_ms: int
    ) -> SignedRequest | None:
        if listing.kind is Kind.SPOT:
            return None
        return _rest(
            credentials,
            listing.kind,
            "dead man",
            {"symbol": listing.venue_symbol, "countdownTime": timeout_ms},
            now_ms,
            method="POST",
            purpose="dead_man",
            request_id=listing.venue_symbol,
            weight=10,
        )

    def decode_account(
        self, route: str, frame: bytes, listings: Listings, received_ns: int
    ) -> list[AccountEvent]:
        return account.events(route, frame, listings, received_ns)

    def classify(self, status: int, body: bytes) -> tuple[Rejection, bool, str]:
        return judge("", status, parse(body))

    def decode_usage(
        self, request: SignedRequest, headers: Mapping[str, str], now_ms: int
    ) -> Sequence[Usage]:
        return usage.told(request.route.partition(".")[0], headers, now_ms)


def _rest(
    credentials: Credentials,
    kind: Kind,
    what: str,
    params: Params,
    now_ms: int,
    *,
    purpose: str,
    method: str = "GET",
    request_id: str = "",
    weight: int = 1,
) -> SignedRequest:
    """A signed request of a market, `what` of `_PATHS`."""
    name = market(kind)
    return signed_request(
        credentials,
        f"{name}.rest",
        method,
        _PATHS[name][what],
        params,
        now_ms,
        purpose=purpose,
        request_id=request_id,
        weight=weight,
    )
