"""One account by REST alone: no streams, no engine, nothing that another process keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hftmm.core.errors import MalformedFrame, Unavailable
from hftmm.core.instrument import Kind, Listing, kind_of
from hftmm.core.order import OrderAnswer, OrderRequest, OrderUpdate, Position, Rejection
from hftmm.transport.http import HttpClient
from hftmm.venues.codec import MILLISECOND, Hosts, Request, VenueCodec
from hftmm.venues.private import Credentials, Outgoing, PrivateCodec, SignedRequest

T = TypeVar("T")

PAGES: Final = 50
BUSY_S: Final = 2.0
"""How long a venue is left alone that refuses requests for their number without saying so: OKX's
window, the longest of those.
"""


class Denied(Unavailable):
    """The venue refused. Attributes: wait_s: how long it wants to be left alone."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Door:
    """What opens an account: both sides of the venue's codec, where it is, and the key."""

    public: VenueCodec
    private: PrivateCodec
    hosts: Hosts
    credentials: Credentials


class RestAccount:
    """Asks and orders; nothing is kept but the listings and the venue's clock.

    Attributes:
        listings: of the wanted symbols, by kind and venue symbol; empty before `open`.
    """

    def __init__(
        self, door: Door, symbols: Collection[str], http: HttpClient, clock: Callable[[], int]
    ) -> None:
        self.venue: Final = door.public.venue
        self.listings: dict[tuple[Kind, str], Listing] = {}
        self._door: Final = door
        self._key: Final = door.credentials
        self._codec: Final = door.private
        self._symbols: Final = frozenset(symbols)
        self._kinds: Final = frozenset(map(kind_of, symbols))
        self._http: Final = http
        self._clock: Final = clock
        self._offset_ns = 0

    async def open(self) -> None:
        """Measures the venue's clock and fetches the definitions, as every other call needs them.

        Raises:
            Unavailable, MalformedFrame: not reached, refused, or not understood.
        """
        found: dict[tuple[Kind, str], Listing] = {}
        await self._measure()
        for first in self._door.public.instruments(self._kinds):
            request: Request | None = first
            for _ in range(PAGES):
                if request is None:
                    break
                answer = self._door.public.decode_instruments(request, await self._get(request))
                for listing in answer.listings:
                    if listing.symbol in self._symbols:
                        found[listing.kind, listing.venue_symbol] = listing
                request = answer.more
        if not found:
            raise Unavailable("none of the configured symbols is listed")
        self.listings = found

    async def open_orders(self) -> list[OrderUpdate]:
        """Every open order of the listings, whoever placed it.

        Raises:
            Unavailable: not reached, refused, or not understood.
        """

        def read(_: SignedRequest, body: bytes) -> tuple[list[OrderUpdate], str]:
            return self._codec.decode_orders(body, self.listings, self._clock())

        async def listed(build: Callable[[int], SignedRequest]) -> list[OrderUpdate]:
            request, (orders, cursor) = await self._asked(build, read)
            while cursor:
                request, (more, cursor) = await self._asked(_next(request, cursor), read)
                orders += more
            return orders

        def _next(last: SignedRequest, cursor: str) -> Callable[[int], SignedRequest]:
            return lambda ms: self._codec.next_page(self._key, last, cursor, ms)

        def numbered(kind: Kind, number: int) -> Callable[[int], SignedRequest]:
            return lambda ms: self._codec.open_orders(self._key, kind, None, ms)[number]

        builds = [
            numbered(kind, number)
            for kind in sorted({listing.kind for listing in self.listings.values()})
            for number in range(len(self._codec.open_orders(self._key, kind, None, 0)))
        ]
        found = await asyncio.gather(*map(listed, builds))
        return [order for orders in found for order in orders if not order.state.final]

    async def clear(self, listing: Listing, orders: Sequence[tuple[str, str]]) -> list[OrderAnswer]:
        """Cancels everything of a listing where the venue has a word for that, else these orders.

        Raises:
            Unavailable: see `open_orders`.
        """
        count = len(self._codec.cancel_all(self._key, listing, orders, 0))

        def numbered(number: int) -> Callable[[int], Outgoing]:
            return lambda ms: self._codec.cancel_all(self._key, listing, orders, ms)[number]

        return list(await asyncio.gather(*(self._ordered(numbered(one)) for one in range(count))))

    async def cancel(self, order: OrderUpdate) -> OrderAnswer:
        """Cancels one order.

        Raises:
            Unavailable: see `open_orders`.
        """
        ids = (order.client_id, order.venue_id)
        return await self._ordered(
            lambda ms: self._codec.cancel(self._key, order.listing, *ids, ms, rest=True)
        )

    async def place(self, order: OrderRequest) -> OrderAnswer:
        """Sends one order.

        Raises:
            Unavailable: see `open_orders`.
        """
        return await self._ordered(lambda ms: self._codec.place(self._key, order, ms, rest=True))

    async def positions(self) -> list[Position]:
        """What is held of the perpetuals among the listings; flat ones are left out.

        Raises:
            Unavailable: see `open_orders`.
        """
        if Kind.LINEAR not in self._kinds:
            return []

        def read(_: SignedRequest, body: bytes) -> list[Position]:
            return self._codec.decode_positions(body, self.listings, self._clock())

        def numbered(number: int) -> Callable[[int], SignedRequest]:
            return lambda ms: self._codec.positions(self._key, ms)[number]

        count = len(self._codec.positions(self._key, 0))
        answers = [await self._asked(numbered(one), read) for one in range(count)]
        return [held for _, positions in answers for held in positions if held.size]

    # -------------------------------------------------------------------------------------------

    async def _measure(self) -> None:
        request = self._door.public.clock()
        sent_ns = self._clock()
        venue_ns = self._door.public.decode_clock(await self._get(request))
        self._offset_ns = venue_ns - (sent_ns + self._clock()) // 2

    async def _get(self, request: Request) -> bytes:
        url = self._door.public.endpoints(self._door.hosts)[request.route] + request.path
        reply = await self._http.request(url, method=request.method, headers=dict(request.headers))
        if reply.status != 200:
            text = self._door.public.decode_error(reply.status, reply.body)
            raise Denied(text, _wait_s(reply.headers.get("retry-after", "")))
        return reply.body

    async def _asked(
        self, build: Callable[[int], SignedRequest], read: Callable[[SignedRequest, bytes], T]
    ) -> tuple[SignedRequest, T]:
        """The request as it was sent, and what its answer says."""
        for measured in (False, True):
            request = build(self._now_ms())
            status, body, wait_s = await self._called(request)
            unread = ""
            if status == 200:
                try:
                    return request, read(request, body)
                except MalformedFrame as error:
                    unread = str(error)
            rejection, _, text = self._codec.classify(status, body)
            if rejection is not Rejection.CLOCK or measured:
                busy = rejection is Rejection.RATE
                raise Denied(unread or text, wait_s or (BUSY_S if busy else 0.0))
            await self._measure()
        raise AssertionError("unreachable")

    async def _ordered(self, build: Callable[[int], Outgoing]) -> OrderAnswer:
        """The venue's answer to what changes something there; a refusal is an answer too."""
        for measured in (False, True):
            request = build(self._now_ms())
            if not isinstance(request, SignedRequest):
                raise Unavailable("the venue takes this on a stream only")
            status, body, _ = await self._called(request)
            try:
                answer = self._codec.decode_answer(request, status, body)
            except MalformedFrame as error:
                raise Unavailable(str(error)) from error
            if answer.rejection is not Rejection.CLOCK or measured:
                return answer
            await self._measure()
        raise AssertionError("unreachable")

    async def _called(self, request: SignedRequest) -> tuple[int, bytes, float]:
        """Status, body, and how long the venue wants to be left alone."""
        reply = await self._http.request(
            self._door.hosts[request.route] + request.path,
            method=request.method,
            headers=request.headers,
            body=request.body,
        )
        return reply.status, reply.body, _wait_s(reply.headers.get("retry-after", ""))

    def _now_ms(self) -> int:
        return (self._clock() + self._offset_ns) // MILLISECOND


def _wait_s(said: str) -> float:
    return float(said) if said.isdecimal() else 0.0
