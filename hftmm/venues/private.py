"""The private side of a venue's wire format: credentials, orders, account.

Beside `VenueCodec`, with the same verbs in the same order for each venue, and as pure: bytes and
values in, bytes and values out. Time stamps of requests are passed in, on the venue's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol, TypeAlias, runtime_checkable

import msgspec

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
from hftmm.venues.codec import Hosts
from hftmm.venues.usage import Usage

_WHOLE_FINGERPRINT: Final = 16
"""Characters of a key from which on its fingerprint leaves more than half of it out."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key of one venue; its repr shows nothing of it.

    Attributes:
        secret: HMAC secret, or an Ed25519 private key in PEM where the venue takes one.
        passphrase: OKX only.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)

    @property
    def fingerprint(self) -> str:
        """Enough of the key to tell it from others of the same owner, and too little to use."""
        tail = self.key[-4:] if len(self.key) >= _WHOLE_FINGERPRINT else ""
        return f"{self.key[:4]}…{tail}"


class SignedRequest(msgspec.Struct, frozen=True, gc=False):
    """A REST call ready to be sent: signed over exactly these bytes, which its repr hides.

    Attributes:
        path: includes the query string. headers: includes the signature where the venue wants it.
        purpose: what the answer is for, the name of the verb that decodes it.
        request_id: ours, to match the answer; the client id for orders.
        weight: what it costs of the published budget.
    """

    route: str
    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    purpose: str
    request_id: str
    weight: int = 1

    def __repr__(self) -> str:
        path = self.path.partition("?")[0]
        return f"<SignedRequest {self.route} {self.method} {path} {self.purpose}>"


class StreamFrame(msgspec.Struct, frozen=True, gc=False):
    """A text frame for a private or trading stream; its repr hides it, as it may be signed."""

    route: str
    frame: bytes
    request_id: str = ""

    def __repr__(self) -> str:
        return f"<StreamFrame {self.route} {self.request_id}>"


Listings: TypeAlias = Mapping[tuple[Kind, str], Listing]
"""Listings by kind and venue symbol: `(SPOT, "BTCUSDT")`."""

Outgoing: TypeAlias = SignedRequest | StreamFrame


class Permissions(msgspec.Struct, frozen=True, gc=False):
    """What a key may do, and how the account is set.

    Attributes:
        bound: the key works from the addresses it was bound to alone; True too where that is not
            told.
        problems: what stands in the way of trading, one line each with the remedy; empty if none.
    """

    read: bool
    trade_spot: bool
    trade_linear: bool
    withdraw: bool
    one_way: bool
    problems: tuple[str, ...] = ()
    bound: bool = True


@dataclass(frozen=True, slots=True)
class PrivateRules:
    """How a venue's private side must be treated.

    Attributes:
        renew_ns: how often what keeps the private stream alive is renewed (listenKey); 0 never.
        order_budget: (orders, per ns) of new and amended orders.
        per_listing: the budgets hold for each listing apart; otherwise for all of the kind.
        cancel_budget: the same of cancels, where they count apart; None if they share.
        dead_man_ns: shortest and longest time a dead-man switch takes; (0, 0) if there is none.
        amend_keeps: what an amend may change without losing queue priority: "", or "size down".
        batch: orders one request may carry.
        amends_price: False where an amend can only make an order smaller (Binance spot).
        fills_window_ns: longest span one `fills_since` covers from its beginning; 0 if not limited.
    """

    order_budget: tuple[int, int]
    cancel_budget: tuple[int, int] | None = None
    renew_ns: int = 0
    dead_man_ns: tuple[int, int] = (0, 0)
    amend_keeps: str = ""
    batch: int = 1
    per_listing: bool = True
    amends_price: bool = True
    fills_window_ns: int = 0


class PrivateCodec(Protocol):
    """The private verbs of a venue, in this order in every venue module.

    `now_ms` is the venue's clock in milliseconds: ours plus the measured offset.
    """

    venue: str
    rules: Mapping[Kind, PrivateRules]

    def private_endpoints(self, hosts: Hosts, kinds: frozenset[Kind]) -> Mapping[str, str]:
        """Private stream and trading routes -> URL: `spot.private`, `linear.trade`, ...

        Routes whose URL needs a key obtained by `renew` contain `{key}` in its place.
        """
        ...

    def login(self, credentials: Credentials, route: str, now_ms: int) -> list[StreamFrame]:
        """Frames to send once a private or trading route is open, in order; the next one only
        after `StreamReady` for the one before. Empty where the URL itself authenticates.
        """
        ...

    def renew(
        self, credentials: Credentials, kind: Kind, key: str, now_ms: int
    ) -> SignedRequest | None:
        """Obtains (key "") or extends what the private stream lives on; None where nothing is."""
        ...

    def decode_renewal(self, body: bytes) -> str:
        """The key in the answer."""
        ...

    def place(
        self, credentials: Credentials, order: OrderRequest, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        """Sends one order, over the trading stream where there is one unless `rest`."""
        ...

    def amend(
        self, credentials: Credentials, change: Amendment, now_ms: int, *, rest: bool = False
    ) -> Outgoing:
        """Changes one order."""
        ...

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
        """Cancels one order, by the venue's id where it is known."""
        ...

    def cancel_all(
        self,
        credentials: Credentials,
        listing: Listing,
        orders: Sequence[tuple[str, str]],
        now_ms: int,
    ) -> list[Outgoing]:
        """Cancels everything of a listing, by one bulk request where the venue has one; elsewhere
        the given (client id, venue id) in batches.
        """
        ...

    def decode_answer(self, request: SignedRequest, status: int, body: bytes) -> OrderAnswer:
        """The answer to a REST place, amend, cancel, bulk cancel or dead-man switch."""
        ...

    def open_orders(
        self, credentials: Credentials, kind: Kind, listing: Listing | None, now_ms: int
    ) -> list[SignedRequest]: ...

    def decode_orders(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[OrderUpdate], str]:
        """Orders in an answer of `open_orders` or `order`, and the cursor of the next page or "".

        Args:
            listings: every listing of the venue that is traded.
        """
        ...

    def order(
        self, credentials: Credentials, listing: Listing, client_id: str, now_ms: int
    ) -> SignedRequest:
        """Asks for one order by our id; an answer that it is unknown decodes to Rejection."""
        ...

    def fills_since(
        self, credentials: Credentials, listing: Listing, since_ms: int, now_ms: int
    ) -> SignedRequest: ...

    def decode_fills(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Fill], str]: ...

    def funding_since(self, credentials: Credentials, since_ms: int, now_ms: int) -> SignedRequest:
        """Asks for the funding payments of all perpetuals: some streams tell that there was one,
        but not how much, and none tells what happened while it was away.
        """
        ...

    def decode_funding(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> tuple[list[Funding], str]: ...

    def next_page(
        self, credentials: Credentials, request: SignedRequest, cursor: str, now_ms: int
    ) -> SignedRequest:
        """The same query of orders, fills or funding from where its answer ended."""
        ...

    def positions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]: ...

    def decode_positions(
        self, body: bytes, listings: Listings, received_ns: int
    ) -> list[Position]: ...

    def balances(
        self, credentials: Credentials, kinds: frozenset[Kind], now_ms: int
    ) -> list[SignedRequest]: ...

    def decode_balances(
        self, request: SignedRequest, body: bytes, received_ns: int
    ) -> list[Balance]: ...

    def fee_rates(
        self, credentials: Credentials, listing: Listing, now_ms: int
    ) -> SignedRequest: ...

    def decode_fee_rates(self, request: SignedRequest, body: bytes) -> FeeRates: ...

    def permissions(self, credentials: Credentials, now_ms: int) -> list[SignedRequest]:
        """Asks what the key may do and how the account is set."""
        ...

    def decode_permissions(self, answers: Sequence[tuple[SignedRequest, bytes]]) -> Permissions: ...

    def arm_dead_man(
        self, credentials: Credentials, listing: Listing, timeout_ms: int, now_ms: int
    ) -> SignedRequest | None:
        """Arms or refreshes the venue's dead-man switch, 0 disarms; None where there is none."""
        ...

    def decode_account(
        self, route: str, frame: bytes, listings: Listings, received_ns: int
    ) -> list[AccountEvent]:
        """Everything a private or trading stream says; [] for what is nothing to us.

        Raises:
            MalformedFrame: it cannot be decoded.
        """
        ...

    def classify(self, status: int, body: bytes) -> tuple[Rejection, bool, str]:
        """What an error answer means: its class, whether the outcome is unknown, and in words."""
        ...

    def decode_usage(
        self, request: SignedRequest, headers: Mapping[str, str], now_ms: int
    ) -> Sequence[Usage]:
        """What the headers of a REST answer tell of the budgets that hold up orders.

        Args:
            headers: by names in lower case.
        """
        ...


@runtime_checkable
class Tradable(Protocol):
    """What the codec of a registered venue also is if orders can be sent there."""

    def private_codec(self, kinds: frozenset[Kind], *, demo: bool) -> PrivateCodec:
        """Its private side.

        Args:
            kinds: what is traded.
            demo: on the venue's test network.
        """
        ...


def decimal(text: str) -> Decimal | None:
    """A venue's number; "" is not applicable."""
    return Decimal(text) if text else None
