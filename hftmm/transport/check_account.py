"""Whether a key is accepted at its venue, what it may do, and what its account holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TypeAlias, TypeVar

from hftmm.core.errors import MalformedFrame, Unavailable
from hftmm.core.instrument import Kind, Listing, kind_of
from hftmm.core.order import Balance, Rejection
from hftmm.transport.http import HttpClient
from hftmm.venues.codec import Hosts
from hftmm.venues.private import Credentials, Permissions, PrivateCodec, SignedRequest
from hftmm.venues.rights import advice, objections, why_refused

T = TypeVar("T")

Finding: TypeAlias = tuple[str, bool]
"""One line about one thing that was looked at, and whether it is fine."""


@dataclass(frozen=True, slots=True)
class Account:
    """A key, and the side of its venue that it opens."""

    codec: PrivateCodec
    credentials: Credentials


class AccountCheck:
    """Looks at one account by REST."""

    def __init__(
        self,
        account: Account,
        hosts: Hosts,
        http: HttpClient,
        venue_ms: Callable[[], int],
        explain: Callable[[int, bytes], str],
    ) -> None:
        """
        Args:
            venue_ms: the venue's clock.
            explain: `VenueCodec.decode_error`.
        """
        self._codec = account.codec
        self._key = account.credentials
        self._hosts = hosts
        self._http = http
        self._venue_ms = venue_ms
        self._explain = explain

    async def findings(
        self, symbols: Sequence[str], listings: Sequence[Listing]
    ) -> AsyncIterator[Finding]:
        """What there is to say; no more than why, if the key opens nothing.

        Args:
            symbols: what shall be traded.
            listings: those of them that are listed.
        """
        kinds = frozenset(map(kind_of, symbols))
        balances: list[Balance] = []
        refusals: list[str] = []
        asked = self._codec.balances(self._key, kinds, self._venue_ms())
        for request in asked:
            try:
                balances += await self._ask(request, partial(self._decode_balances, request))
            except Unavailable as error:
                refusals.append(str(error))
        # A key that is no good is refused for each wallet, in the same words.
        for refusal in dict.fromkeys(refusals):
            yield refusal, False
        if len(refusals) == len(asked):
            return
        yield f"key {self._key.fingerprint} is accepted", True
        async for finding in self._rights(kinds):
            yield finding
        yield f"balances: {_held(balances, symbols)}", True
        for listing in listings:
            yield await self._fees(listing)

    async def _rights(self, kinds: frozenset[Kind]) -> AsyncIterator[Finding]:
        answers: list[tuple[SignedRequest, bytes]] = []
        for request in self._codec.permissions(self._key, self._venue_ms()):
            try:
                answers.append((request, await self._ask(request, bytes)))
            except Unavailable as error:
                yield str(error), False
        if not answers:
            return
        try:
            rights = self._codec.decode_permissions(answers)
        except MalformedFrame as error:
            yield f"what the key may do cannot be read: {error}", False
            return
        against = objections(self._codec.venue, rights, kinds)
        for objection in against:
            yield objection, False
        if not against:
            yield _granted(rights, kinds), True
        for hint in advice(rights):
            yield hint, True

    async def _fees(self, listing: Listing) -> Finding:
        request = self._codec.fee_rates(self._key, listing, self._venue_ms())
        try:
            rates = await self._ask(request, partial(self._codec.decode_fee_rates, request))
        except Unavailable as error:
            return f"{listing.symbol} fees: {error}", False
        maker, taker = _plain(rates.maker_bps), _plain(rates.taker_bps)
        return f"{listing.symbol} fees: maker {maker} bps, taker {taker} bps", True

    def _decode_balances(self, request: SignedRequest, body: bytes) -> list[Balance]:
        return self._codec.decode_balances(request, body, 0)

    async def _ask(self, request: SignedRequest, read: Callable[[bytes], T]) -> T:
        """
        Raises:
            Unavailable: not reached, or refused: why, and what to do.
        """
        reply = await self._http.request(
            self._hosts[request.route] + request.path,
            method=request.method,
            headers=request.headers,
            body=request.body,
        )
        unread = ""
        if reply.status == 200:
            try:
                return read(reply.body)
            except MalformedFrame as error:
                unread = str(error)
        rejection, unknown, text = self._codec.classify(reply.status, reply.body)
        if unread and rejection is Rejection.OTHER:
            # What is no refusal is not explained by what refusals mean.
            text = unread
        elif unknown:
            # In its words for orders, which may have arrived all the same.
            text = self._explain(reply.status, reply.body)
        raise Unavailable(why_refused(rejection, text))


def _granted(rights: Permissions, kinds: frozenset[Kind]) -> str:
    trades = [
        name
        for name, may in (("spot", rights.trade_spot), ("perpetuals", rights.trade_linear))
        if may
    ]
    mode = "; positions are one-way" if Kind.LINEAR in kinds else ""
    return f"the key may trade {' and '.join(trades)}, and not withdraw{mode}"


def _held(balances: Sequence[Balance], symbols: Sequence[str]) -> str:
    """What is free of the assets that are traded, by wallet."""
    traded = {asset for symbol in symbols for asset in symbol.partition(":")[0].split("/")}
    wallets: dict[str, list[str]] = {}
    for balance in sorted(balances, key=lambda balance: balance.asset):
        if balance.asset in traded and balance.available:
            free = f"{_plain(balance.available)} {balance.asset}"
            wallets.setdefault(balance.wallet, []).append(free)
    held = [f"{name} {', '.join(free)}".strip() for name, free in sorted(wallets.items())]
    return "; ".join(held) or f"nothing of {', '.join(sorted(traded))}"


def _plain(amount: Decimal) -> str:
    """Without exponent and needless zeros."""
    return f"{amount.normalize():f}"
