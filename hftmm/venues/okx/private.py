"""The private verbs of OKX v5: spot in cash, swaps with cross margin in net mode.

One stream carries everything: the log-in, orders both ways, balances and positions. It names
instruments by number; for one that has none, and whenever asked to, orders go by REST.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl, urlencode

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
from hftmm.venues.codec import SECOND, Hosts
from hftmm.venues.okx import private_events as stream
from hftmm.venues.okx import private_request as entry
from hftmm.venues.okx import private_rows as rows
from hftmm.venues.okx import private_wire as wire
from hftmm.venues.okx.listing import INSTRUMENT_TYPES
from hftmm.venues.okx.private_permissions import permissions
from hftmm.venues.okx.private_refusal import judge_body
from hftmm.venues.okx.wire import answer_rows, decoded
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

_BATCH: Final = 20
_PAGE: Final = 100
_ALL: Final = "all-"
_BPS: Final = Decimal(10_000)
_DAY_MS: Final = 24 * 3600 * 1000
# The list of the last three days is the faster one; what is older is in another.
_RECENT_MS: Final = 3 * _DAY_MS - 60_000
# Fee groups of USDT pairs and of USDT-margined contracts.
_GROUPS: Final = {"SPOT": "1", "SWAP": "2"}
_FUNDING: Final = "8"
_SUCCESS: Final = 200
_RULES: Final = PrivateRules(
    order_budget=(60, 2 * SECOND),
    cancel_budget=(60, 2 * SECOND),
    dead_man_ns=(10 * SECOND, 120 * SECOND),
    batch=_BATCH,
)


class OkxPrivateCodec:
    """OKX v5, private side.

    Args:
        kinds: what is traded; `permissions` tells of nothing else.
        demo: the keys are of demo trading.
        tag: put on every order, 1 to 16 letters and digits; the dead-man switch acts on orders
            with it alone, so that those of others on the account stay.
    """

    venue = rows.VENUE
    # The same for both kinds, counted for each instrument; REST and stream share. New orders and
    # amendments have budgets of their own, of which this is each one's.
    rules: Mapping[Kind, PrivateRules] = {Kind.SPOT: _RULES, Kind.LINEAR: _RULES}

    def __init__(
        self, kinds: frozenset[Kind] = BOTH, *, demo: bool = False, tag: str = "hftmm"
    ) -> None:
        self.kinds = kinds
        self.tag = tag
        self._signer = entry.Signer(demo)

    def private_endpoints(self, hosts: Hosts, kinds: frozenset[Kind]) -> Mapping[str, str]:
        """One route, `private`, for all kinds: orders go the way their news comes."""
        return {entry.PRIVATE: hosts["private"]}

    def login(self, credentials: Credentials, route: str, now_ms: int) -> list[StreamFrame]:
        """The log-in, then one subscription after the other: each has one answer."""
        frames = [StreamFrame(route, entry.login(credentials, now_ms))]
        for channel in entry.CHANNELS:
            name = stream.SUBSCRIBE + channel["channel"]
            frames.append(StreamFrame(route, entry.subscription(channel, name), name))
        return frames

    def renew(
        self, credentials: Credentials, kind: Kind, key: str, now_ms: int
    ) -> SignedRequest | None:
        return None

    def decode_renewal(self, body: bytes) -> str:
        """Nothing is renewed at OKX, so that no answer can be one.

        Raises:
            MalformedFrame: always.
        """
        raise MalformedFrame("wrong shape", "OKX renews nothing")

    def place(
        self, credentials: Credentials, order: OrderRequest, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        return self._signer.send(
            credentials,
            entry.PLACE,
            order.listing,
            entry.new_order(order, self.tag),
            now_ms,
            order.client_id,
            rest=rest,
            window_ms=entry.ORDER_WINDOW_MS,
        )

    def amend(
        self, credentials: Credentials, change: Amendment, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        request_id = stream.request_id(change.client_id, stream.AMEND)
        return self._signer.send(
            credentials,
            entry.AMEND,
            change.listing,
            entry.changed_order(change, request_id),
            now_ms,
            request_id,
            rest=rest,
            window_ms=entry.ORDER_WINDOW_MS,
        )

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
        request_id = stream.request_id(client_id, stream.CANCEL)
        args = entry.named(client_id, venue_id)
        return self._signer.send(
            credentials, entry.CANCEL, listing, args, now_ms, request_id, rest=rest
        )

    def cancel_all(
        self,
        credentials: Credentials,
        listing: Listing,
        orders: Sequence[tuple[str, str]],
        now_ms: int,
    ) -> list[Outgoing]:
        """The orders given, in batches by REST, which needs no connection that is logged in. OKX
        has no request that cancels all of an instrument.
        """
        symbol = listing.venue_symbol
        requests: list[Outgoing] = []
        for first in range(0, len(orders), _BATCH):
            body: list[entry.Args] = [
                {"instId": symbol, **entry.named(client_id, venue_id)}
                for client_id, venue_id in orders[first : first + _BATCH]
            ]
            requests.append(
                self._signer.post(
                    credentials,
                    entry.CANCEL_BATCH.path,
                    body,
                    now_ms,
                    purpose="answer",
                    request_id=f"{_ALL}{symbol}-{first // _BATCH}",
                )
            )
        return requests

    def decode_answer(self, request: SignedRequest, status: int, body: bytes) -> OrderAnswer:
        """The answer to a place, amend, cancel, batch of cancels or dead-man switch.

        The one of a batch stands for all of it: refused if an order in it may still be open.
        """
        request_id = request.request_id
        try:
            answer = decoded(wire.answer_decoder, body)
        except MalformedFrame:
            # A page of a firewall or proxy: it went through, or did not.
            return stream.refused(request_id, judge_body(status, body))
        if request.purpose == "dead_man" and str(answer.code) == "0":
            # It has no receipt: the code of the whole answer is all there is.
            return OrderAnswer(request_id, "", "", accepted=True)
        if answer.data and request_id.startswith(_ALL):
            return stream.batch(request_id, answer.data)
        receipt = answer.data[0] if answer.data else None
        return stream.answered(request_id, str(answer.code), answer.msg or "", receipt, status)

    def open_orders(
        self, credentials: Credentials, kind: Kind, listing: Listing | None, now_ms: int
    ) -> list[SignedRequest]:
        """Open orders, newest first, a hundred at a time."""
        wanted = {"instType": INSTRUMENT_TYPES[kind], "limit": str(_PAGE)}
        if listing is not None:
            wanted["instId"] = listing.venue_symbol
        return [self._get(credentials, "trade/orders-pending", wanted, now_ms, "orders")]

    def decode_orders(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[OrderUpdate], str]:
        """Orders, and the cursor of the next page; none where the answer is that there is none
        with the id asked for.

        Raises:
            MalformedFrame: it is another error, or none of these answers.
        """
        if judge_body(_SUCCESS, body).rejection is Rejection.UNKNOWN_ORDER:
            return [], ""
        found = [decoded(wire.order_decoder, row) for row in answer_rows(body)]
        updates = [rows.order(row, listings, received_ns) for row in found]
        cursor = found[-1].ord_id if len(found) >= _PAGE else ""
        return [update for update in updates if update is not None], cursor

    def order(
        self, credentials: Credentials, listing: Listing, client_id: str, now_ms: int
    ) -> SignedRequest:
        wanted = {"instId": listing.venue_symbol, "clOrdId": client_id}
        return self._get(credentials, "trade/order", wanted, now_ms, "orders", client_id)

    def fills_since(
        self, credentials: Credentials, listing: Listing, since_ms: int, now_ms: int
    ) -> SignedRequest:
        """Fills, newest first, a hundred at a time; OKX keeps those of three months."""
        recent = since_ms > now_ms - _RECENT_MS
        wanted = {
            "instType": INSTRUMENT_TYPES[listing.kind],
            "instId": listing.venue_symbol,
            "begin": str(since_ms),
            "limit": str(_PAGE),
        }
        path = "trade/fills" if recent else "trade/fills-history"
        return self._get(credentials, path, wanted, now_ms, "fills")

    def decode_fills(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Fill], str]:
        """Fills, and the cursor of the next page, which is of older ones."""
        found = [decoded(wire.fill_decoder, row) for row in answer_rows(body)]
        fills = [rows.fill(row, listings, received_ns) for row in found]
        cursor = found[-1].bill_id if len(found) >= _PAGE else ""
        return [fill for fill in fills if fill is not None], cursor

    def funding_since(self, credentials: Credentials, since_ms: int, now_ms: int) -> SignedRequest:
        """Funding payments of the last seven days, newest first, a hundred at a time: the stream
        tells that there was one, but not how much.
        """
        wanted = {"instType": "SWAP", "type": _FUNDING, "begin": str(since_ms)}
        return self._get(credentials, "account/bills", wanted, now_ms, "funding")

    def decode_funding(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Funding], str]:
        """Funding payments, and the cursor of the next page."""
        found = [decoded(wire.bill_decoder, row) for row in answer_rows(body)]
        payments = [rows.funding(row, listings, received_ns) for row in found]
        cursor = found[-1].bill_id if len(found) >= _PAGE else ""
        return [payment for payment in payments if payment is not None], cursor

    def next_page(
        self, credentials: Credentials, request: SignedRequest, cursor: str, now_ms: int
    ) -> SignedRequest:
        """The same query from where its answer ended, which is on to older rows."""
        path = f"{request.path.partition('&after=')[0]}&after={cursor}"
        return self._signer.get(
            credentials, path, now_ms, purpose=request.purpose, request_id=request.request_id
        )

    def positions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]:
        wanted = {"instType": "SWAP"}
        return [self._get(credentials, "account/positions", wanted, now_ms, "positions")]

    def decode_positions(self, body: bytes, listings: Listings, received_ns: int) -> list[Position]:
        """A position for every contract: those OKX does not name are flat."""
        found = [decoded(wire.position_decoder, row) for row in answer_rows(body)]
        return rows.positions(found, listings, received_ns, whole=True)

    def balances(
        self, credentials: Credentials, kinds: frozenset[Kind], now_ms: int
    ) -> list[SignedRequest]:
        return [self._get(credentials, "account/balance", {}, now_ms, "balances")]

    def decode_balances(
        self, request: SignedRequest, body: bytes, received_ns: int
    ) -> list[Balance]:
        """Balances of the one wallet there is; OKX leaves out what is zero."""
        return [
            balance
            for row in answer_rows(body)
            for balance in rows.balances(decoded(wire.account_decoder, row), received_ns)
        ]

    def fee_rates(self, credentials: Credentials, listing: Listing, now_ms: int) -> SignedRequest:
        """Rates of a market maker programme come only where an instrument is named: spot by
        itself, a swap by its family.
        """
        symbol = listing.venue_symbol
        named = ("instId", symbol)
        if listing.kind is not Kind.SPOT:
            named = ("instFamily", "-".join(symbol.split("-")[:2]))
        wanted = dict([("instType", INSTRUMENT_TYPES[listing.kind]), named])
        return self._get(credentials, "account/trade-fee", wanted, now_ms, "fee_rates")

    def decode_fee_rates(self, request: SignedRequest, body: bytes) -> FeeRates:
        """Rates; OKX writes a commission as a negative number."""
        found = answer_rows(body)
        if not found:
            raise MalformedFrame("wrong shape", "no rates in the answer")
        row = decoded(wire.fee_decoder, found[0])
        asked = dict(parse_qsl(request.path.partition("?")[2]))["instType"]
        groups = [group for group in row.fee_group if group.group_id == _GROUPS[asked]]
        group = next(iter(groups or row.fee_group), wire.FeeGroup("", row.maker, row.taker))
        maker, taker = wire.required(group.maker), wire.required(group.taker)
        return FeeRates(-maker * _BPS, -taker * _BPS)

    def permissions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]:
        return [self._get(credentials, "account/config", {}, now_ms, "permissions")]

    def decode_permissions(self, answers: Sequence[tuple[SignedRequest, bytes]]) -> Permissions:
        return permissions(self.kinds, answers)

    def arm_dead_man(
        self, credentials: Credentials, listing: Listing, timeout_ms: int, now_ms: int
    ) -> SignedRequest | None:
        """One switch for all listings, of all orders with our tag; OKX takes one request a second.

        Args:
            timeout_ms: rounded up to whole seconds.
        """
        body: entry.Args = {"timeOut": str(-(-timeout_ms // 1000)), "tag": self.tag}
        return self._signer.post(
            credentials,
            "/api/v5/trade/cancel-all-after",
            body,
            now_ms,
            purpose="dead_man",
            request_id=self.tag,
        )

    def decode_account(
        self, route: str, frame: bytes, listings: Listings, received_ns: int
    ) -> list[AccountEvent]:
        return stream.events(route, frame, listings, received_ns)

    def classify(self, status: int, body: bytes) -> tuple[Rejection, bool, str]:
        return judge_body(status, body)

    def decode_usage(
        self, request: SignedRequest, headers: Mapping[str, str], now_ms: int
    ) -> Sequence[Usage]:
        """Nothing: OKX tells no counts."""
        return ()

    def _get(
        self,
        credentials: Credentials,
        path: str,
        wanted: Mapping[str, str],
        now_ms: int,
        purpose: str,
        request_id: str = "",
    ) -> SignedRequest:
        query = f"?{urlencode(wanted)}" if wanted else ""
        full = f"/api/v5/{path}{query}"
        return self._signer.get(credentials, full, now_ms, purpose=purpose, request_id=request_id)
