"""All orders of ours, found by either id, counted by listing and venue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hftmm.core.instrument import Listing
from hftmm.core.order import OrderState
from hftmm.execution.order import ZERO, Exposure, Order


class Register:
    """Keeps orders and what they add up to. Every change costs O(1).

    Attributes:
        orders: by client id.
    """

    def __init__(self) -> None:
        self.orders: Final[dict[str, Order]] = {}
        self._by_venue_id: Final[dict[tuple[str, str], Order]] = {}
        self._live: Final[dict[str, dict[str, Order]]] = {}
        self._unsettled: Final[dict[str, dict[str, Order]]] = {}
        self._exposures: Final[dict[str, Exposure]] = {}

    def enter(self, order: Order) -> None:
        """Takes an order that is live."""
        self.orders[order.client_id] = order
        self._live.setdefault(order.listing.venue, {})[order.client_id] = order
        if order.venue_id:
            self._by_venue_id[order.key, order.venue_id] = order
        self.exposure(order.key).recount(order, was_live=False)

    def drop(self, order: Order) -> None:
        """Forgets an order that is final."""
        del self.orders[order.client_id]
        self._by_venue_id.pop((order.key, order.venue_id), None)

    def named(self, order: Order, venue_id: str) -> None:
        """The venue's id of an order became known."""
        order.venue_id = venue_id
        self._by_venue_id[order.key, venue_id] = order

    def find(self, listing: Listing, client_id: str, venue_id: str) -> Order | None:
        """By our id, or by the venue's where the venue leaves ours out."""
        order = self.orders.get(client_id)
        if order is None and venue_id:
            order = self._by_venue_id.get((listing.key, venue_id))
        return order

    def ended(self, order: Order) -> None:
        """A live order became final."""
        del self._live[order.listing.venue][order.client_id]
        self._exposures[order.key].recount(order, was_live=True)

    def revived(self, order: Order) -> None:
        """An order taken for final is live."""
        self._live.setdefault(order.listing.venue, {})[order.client_id] = order
        self._exposures[order.key].recount(order, was_live=False)

    def recount(self, order: Order) -> bool:
        """Anything else of it changed.

        Returns:
            Whether this was the last order of its listing that had something unsettled.
        """
        key, live = order.listing.key, order.live
        self._exposures[key].recount(order, was_live=live)
        waiting = self._unsettled.get(key)
        if waiting is None:
            waiting = self._unsettled[key] = {}
        unnamed = live and not order.venue_id
        if order.state is OrderState.UNKNOWN or order.missing_ns or unnamed:
            waiting[order.client_id] = order
            return False
        return waiting.pop(order.client_id, None) is not None and not waiting

    def live(self, venue: str) -> tuple[Order, ...]:
        """Orders that may still trade at a venue, oldest first."""
        return tuple(self._live.get(venue, {}).values())

    def open_count(self, venue: str) -> int:
        """How many they are."""
        return len(self._live.get(venue, {}))

    def waiting(self, listing: Listing) -> bool:
        """Whether an order of a listing lacks its venue id, its state or fills."""
        return bool(self._unsettled.get(listing.key))

    def unsettled(self, venue: str) -> Iterator[Order]:
        """Orders of a venue that lack one of these."""
        for orders in self._unsettled.values():
            for order in orders.values():
                if order.listing.venue == venue:
                    yield order

    def exposure(self, key: str) -> Exposure:
        """What the orders of a listing may still do."""
        exposure = self._exposures.get(key)
        if exposure is None:
            exposure = self._exposures[key] = Exposure()
        return exposure

    def _check(self) -> None:
        """Walks every invariant; O(orders)."""
        sums: dict[str, list[object]] = {}
        for client_id, order in self.orders.items():
            assert order.client_id == client_id
            assert (client_id in self._live.get(order.listing.venue, {})) == order.live, order
            assert order.counted == order.at_risk, order
            if order.venue_id:
                assert self._by_venue_id[order.key, order.venue_id] is order
        for venue, live in self._live.items():
            assert all(self.orders[name] is order for name, order in live.items()), venue
        for key, exposure in self._exposures.items():
            mine = [order for order in self.orders.values() if order.key == key]
            sums[key] = [
                sum((order.at_risk for order in mine if order.side == "buy"), ZERO),
                sum((order.at_risk for order in mine if order.side == "sell"), ZERO),
                sum(order.live for order in mine),
            ]
            assert sums[key] == [exposure.buy, exposure.sell, exposure.orders], key
