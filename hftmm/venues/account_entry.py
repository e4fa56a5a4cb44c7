"""What changes something at the venue: sent, and matched with what the venue answers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import msgspec

from hftmm.core.errors import MalformedFrame
from hftmm.core.order import Amendment, OrderAnswer, OrderRequest, Rejection
from hftmm.venues.account_outlet import AccountOutlet
from hftmm.venues.account_routes import AccountRoutes
from hftmm.venues.account_sink import Cancellation, Clearance, Errand
from hftmm.venues.codec import MILLISECOND, SECOND
from hftmm.venues.effects import Send
from hftmm.venues.private import Outgoing, SignedRequest, StreamFrame

ANSWER_WITHIN_NS: Final = 3 * SECOND
"""Nobody knows what became of a request without an answer for longer."""
KEPT_NS: Final = 60 * SECOND
"""How long the answer to such a request is still taken."""


@dataclass(slots=True, eq=False)
class _Sent:
    """A request on its way. Attributes: link: the connection it went by, 0 for REST."""

    errand: Errand
    request_id: str
    link: int
    sent_ns: int
    overdue: bool = False
    settled: bool = False


class AccountEntry:
    """Sends orders, changes and cancels over the trading connection, by REST where there is none.

    Nothing waits here: what cannot leave now is refused at once, with the time when it can, so
    that whoever sends decides what goes first.
    """

    def __init__(self, outlet: AccountOutlet, routes: AccountRoutes) -> None:
        self._outlet: Final = outlet
        self._routes: Final = routes
        self._by_id: Final[dict[str, _Sent]] = {}
        self._by_call: Final[dict[int, tuple[SignedRequest, _Sent]]] = {}
        self._due: Final[deque[_Sent]] = deque()
        self._overdue: Final[deque[_Sent]] = deque()

    # ---- what others ask ----------------------------------------------------------------------

    def send(self, errand: Errand, now_ns: int) -> None:
        """Sends it, or answers that it did not."""
        cancels = isinstance(errand, Cancellation | Clearance)
        if not cancels and (why := self._routes.refused(errand.listing.kind)):
            self._refuse(errand, Rejection.CREDENTIALS, why, 0, now_ns)
            return
        requests = self._requests(errand, now_ns)
        if not requests:
            answer = OrderAnswer("", "", "", accepted=True, text="no order to cancel")
            self._outlet.sink.answered(errand, answer, now_ns)
        for request in requests:
            if isinstance(request, SignedRequest):
                self._call(errand, request, now_ns, cancels=cancels)
                continue
            carrier = self._routes.carrier(request.route)
            if carrier is None:
                text = f"not sent: {request.route} is not connected"
                self._refuse(errand, Rejection.OTHER, text, 0, now_ns)
                continue
            self._outlet.outbox.append(Send(carrier.number, request.frame))
            sent = _Sent(errand, request.request_id, carrier.number, now_ns)
            self._by_id[request.request_id] = sent
            self._due.append(sent)

    # ---- what the venue says ------------------------------------------------------------------

    def answered(self, answer: OrderAnswer, now_ns: int) -> None:
        """An answer came on a connection."""
        sent = self._by_id.pop(answer.request_id, None)
        if sent is not None:
            sent.settled = True
            self._tell(sent.errand, answer, now_ns)

    def responded(
        self,
        request: SignedRequest,
        status: int,
        body: bytes,
        retry_after_s: float,
        now_ns: int,
    ) -> bool:
        """An answer came by REST; False if it is to no request of ours."""
        _, sent = self._by_call.pop(id(request), (None, None))
        if sent is None:
            return False
        sent.settled = True
        if status == 0:
            self._doubt(sent, body.decode("latin-1") or "no answer", now_ns)
            return True
        try:
            answer = self._outlet.codec.decode_answer(request, status, body)
        except MalformedFrame as error:
            self._doubt(sent, f"the answer cannot be read: {error}", now_ns)
            return True
        if answer.rejection is Rejection.RATE and not answer.retry_after_ms:
            answer = msgspec.structs.replace(answer, retry_after_ms=int(retry_after_s * 1000))
        self._tell(sent.errand, answer, now_ns)
        return True

    def link_gone(self, link: int, why: str, now_ns: int) -> None:
        """Answers on a connection will not come any more."""
        gone = [sent for sent in self._by_id.values() if sent.link == link]
        for sent in gone:
            del self._by_id[sent.request_id]
            sent.settled = True
            self._doubt(sent, why, now_ns)

    def tick(self, now_ns: int) -> None:
        """Tells of requests that have waited too long for their answers."""
        due = self._due
        while due and (due[0].settled or now_ns - due[0].sent_ns >= ANSWER_WITHIN_NS):
            sent = due.popleft()
            superseded = sent.link and self._by_id.get(sent.request_id) is not sent
            if sent.settled or superseded:
                continue
            self._doubt(sent, f"no answer within {ANSWER_WITHIN_NS // SECOND} s", now_ns)
            sent.overdue = True
            self._overdue.append(sent)
            self._routes.suspect(sent.link, sent.sent_ns, now_ns)
        overdue = self._overdue
        while overdue and (overdue[0].settled or now_ns - overdue[0].sent_ns >= KEPT_NS):
            sent = overdue.popleft()
            if self._by_id.get(sent.request_id) is sent:
                del self._by_id[sent.request_id]

    # -------------------------------------------------------------------------------------------

    def _requests(self, errand: Errand, now_ns: int) -> list[Outgoing]:
        outlet = self._outlet
        if isinstance(errand, Clearance):
            ms = outlet.now_ms(now_ns)
            return outlet.codec.cancel_all(outlet.credentials, errand.listing, errand.orders, ms)
        request = self._request(errand, now_ns, rest=False)
        if isinstance(request, StreamFrame) and self._routes.carrier(request.route) is None:
            request = self._request(errand, now_ns, rest=True)
        return [request]

    def _request(
        self, errand: OrderRequest | Amendment | Cancellation, now_ns: int, *, rest: bool
    ) -> Outgoing:
        outlet = self._outlet
        codec, credentials, ms = outlet.codec, outlet.credentials, outlet.now_ms(now_ns)
        match errand:
            case OrderRequest():
                return codec.place(credentials, errand, ms, rest=rest)
            case Amendment():
                return codec.amend(credentials, errand, ms, rest=rest)
            case Cancellation(listing, client_id, venue_id):
                return codec.cancel(credentials, listing, client_id, venue_id, ms, rest=rest)

    def _call(self, errand: Errand, request: SignedRequest, now_ns: int, *, cancels: bool) -> None:
        wait_ns = self._outlet.wait_ns(now_ns, cancel=cancels)
        if wait_ns:
            text = f"not sent: the venue wants no requests for {wait_ns / SECOND:.1f} s"
            self._refuse(errand, Rejection.RATE, text, -(-wait_ns // MILLISECOND), now_ns)
            return
        sent = _Sent(errand, request.request_id, 0, now_ns)
        # Whoever carries it out answers some time for certain, if only that it failed.
        self._by_call[id(request)] = (self._outlet.call(request), sent)
        self._due.append(sent)

    def _tell(self, errand: Errand, answer: OrderAnswer, now_ns: int) -> None:
        if answer.rejection is Rejection.CLOCK:
            self._outlet.clock.doubt()
        self._outlet.sink.answered(errand, answer, now_ns)

    def _doubt(self, sent: _Sent, why: str, now_ns: int) -> None:
        if not sent.overdue:
            self._outlet.sink.unanswered(sent.errand, why, now_ns)

    def _refuse(
        self, errand: Errand, rejection: Rejection, text: str, wait_ms: int, now_ns: int
    ) -> None:
        client_id = "" if isinstance(errand, Clearance) else errand.client_id
        answer = OrderAnswer("", client_id, "", False, rejection, text=text, retry_after_ms=wait_ms)
        self._outlet.sink.answered(errand, answer, now_ns)
