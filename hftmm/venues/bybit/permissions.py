"""What a Bybit key may do, and what about it or its account stands in the way of trading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind
from hftmm.venues.bybit import private_wire as wire
from hftmm.venues.private import Permissions, SignedRequest

KEY: Final = "/v5/user/query-api"
ACCOUNT: Final = "/v5/account/info"
POSITIONS: Final = "/v5/position/list"

_MANAGE: Final = "Bybit > API"
_WALLET: Final = "Wallet"
# Groups of rights by which money leaves without a withdrawal.
_FIAT: Final = ("FiatP2P", "FiatBitPay", "FiatBybitPay", "FiatConvertBroker")
_RIGHTS: Final = {
    "Withdraw": "withdraw",
    "AccountTransfer": "transfer between accounts",
    "SubMemberTransfer": "transfer to sub-accounts",
    "SubMemberTransferList": "transfer to sub-accounts",
}
_UNBOUND: Final[tuple[list[str], ...]] = ([], ["*"])
# `unifiedMarginStatus`: 1.0 and 2.0 of the unified account, each with its pro variant.
_UNIFIED: Final = frozenset({3, 4, 5, 6})


def permissions(
    kinds: frozenset[Kind], answers: Sequence[tuple[SignedRequest, bytes]]
) -> Permissions:
    """Permissions by the answers there are.

    Args:
        kinds: what shall be traded; nothing else is a problem.
    """
    key = account = None
    one_way = True
    problems: list[str] = []
    for request, body in answers:
        path = request.path.partition("?")[0]
        try:
            if path == KEY:
                key, _ = wire.result(wire.decode_key, body)
            elif path == ACCOUNT:
                account, _ = wire.result(wire.decode_account, body)
            elif path == POSITIONS:
                page, _ = wire.result(wire.decode_position_page, body)
                one_way = not any(row.position_idx for row in page.rows)
        except MalformedFrame as refusal:
            problems.append(f"bybit: {path} cannot be read: {refusal}")
    spot = linear = moves = False
    if key is not None:
        rights = key.permissions
        trades = not key.read_only
        spot = trades and "SpotTrade" in rights.get("Spot", ())
        contracts = rights.get("ContractTrade", ())
        # Which of the two groups counts for a unified account is not documented.
        linear = trades and (
            ("Order" in contracts and "Position" in contracts)
            or "DerivativesTrade" in rights.get("Derivatives", ())
        )
        leaks = _leaks(rights)
        moves = bool(leaks)
        problems += [
            f"bybit: the key may {leak}: take that right from it ({_MANAGE}) or make another"
            for leak in leaks
        ]
        if Kind.SPOT in kinds and not spot:
            problems.append(f"bybit: the key may not trade spot: give it that right ({_MANAGE})")
        if Kind.LINEAR in kinds and not linear:
            problems.append(
                f"bybit: the key may not trade contracts: give it orders and positions ({_MANAGE})"
            )
    if not _is_unified(key, account):
        problems.append("bybit: the account is not a unified trading account: upgrade it to one")
    if not one_way and Kind.LINEAR in kinds:
        problems.append(
            "bybit: contracts are in hedge mode: set their position mode to one-way, with no "
            "position and no open order"
        )
    return Permissions(
        read=key is not None,
        trade_spot=spot,
        trade_linear=linear,
        withdraw=moves,
        one_way=one_way,
        problems=tuple(problems),
        bound=key is None or key.ips not in _UNBOUND,
    )


def _leaks(rights: dict[str, list[str]]) -> list[str]:
    """What a key may do to take money from the account; whatever is new in the wallet counts."""
    named = sorted(rights.get(_WALLET, ()), key=lambda right: right != "Withdraw")
    leaks = [_RIGHTS.get(right, f"use {_WALLET} {right}") for right in named]
    leaks += [f"use {group}" for group in _FIAT if rights.get(group)]
    return list(dict.fromkeys(leaks))


def _is_unified(key: wire.KeyInfo | None, account: wire.AccountInfo | None) -> bool:
    """True also where no answer says."""
    by_key = key is None or bool(key.uta)
    return by_key and (account is None or account.unified_margin_status in _UNIFIED)
