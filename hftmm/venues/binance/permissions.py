"""What a Binance key may do, and what about it or its account stands in the way of trading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind
from hftmm.venues.binance import query_wire
from hftmm.venues.binance.refusal import judge, parse
from hftmm.venues.binance.wire import decode
from hftmm.venues.private import Permissions, SignedRequest

RESTRICTIONS: Final = "/sapi/v1/account/apiRestrictions"
SPOT_ACCOUNT: Final = "/api/v3/account"
LINEAR_ACCOUNT: Final = "/fapi/v1/accountConfig"

_MANAGE = "Binance > API Management"


def permissions(
    kinds: frozenset[Kind], answers: Sequence[tuple[SignedRequest, bytes]]
) -> Permissions:
    """Permissions by the answers there are.

    Args:
        kinds: what shall be traded; nothing else is a problem.
    """
    restrictions = spot = linear = None
    problems: list[str] = []
    for request, body in answers:
        path = request.path.partition("?")[0]
        try:
            if path == RESTRICTIONS:
                restrictions = decode(query_wire.decode_restrictions, _success(body))
            elif path == SPOT_ACCOUNT:
                spot = decode(query_wire.decode_spot_account, _success(body))
            elif path == LINEAR_ACCOUNT:
                linear = decode(query_wire.decode_account_config, _success(body))
        except MalformedFrame as refusal:
            problems.append(f"binance: {path} cannot be read: {refusal}")
    if restrictions is None:
        read = spot is not None or linear is not None
        trade_spot = spot is not None and spot.canTrade
        trade_linear = linear is not None and linear.canTrade
        withdraw = False
    else:
        read = restrictions.enableReading
        trade_spot = restrictions.enableSpotAndMarginTrading
        trade_linear = restrictions.enableFutures
        withdraw = restrictions.enableWithdrawals
        moves = restrictions.enableInternalTransfer or restrictions.permitsUniversalTransfer
        problems += _key_problems(restrictions, kinds)
        # Money that can be moved to another account is gone as well.
        withdraw = withdraw or moves
    if linear is not None and Kind.LINEAR in kinds:
        if linear.dualSidePosition:
            problems.append(
                "binance: the futures account is in hedge mode: set its position mode to one-way, "
                "with no position and no open order (Futures > Preferences)"
            )
        if not linear.canTrade:
            problems.append(
                "binance: the futures account may not trade: finish what Binance asks for there"
            )
    if spot is not None and not spot.canTrade and Kind.SPOT in kinds:
        problems.append(
            "binance: the spot account may not trade: finish what Binance asks for there"
        )
    return Permissions(
        read=read,
        trade_spot=trade_spot,
        trade_linear=trade_linear,
        withdraw=withdraw,
        one_way=linear is None or not linear.dualSidePosition,
        problems=tuple(problems),
        bound=restrictions is None or restrictions.ipRestrict,
    )


def _key_problems(key: query_wire.Restrictions, kinds: frozenset[Kind]) -> list[str]:
    rights = {
        "withdraw": key.enableWithdrawals,
        "transfer between accounts": key.enableInternalTransfer,
        "transfer universally": key.permitsUniversalTransfer,
    }
    problems = [
        f"binance: the key may {right}: take that right from it ({_MANAGE}) or make another"
        for right, granted in rights.items()
        if granted
    ]
    if not key.enableReading:
        problems.append(f"binance: the key may not read: enable reading ({_MANAGE})")
    if Kind.SPOT in kinds and not key.enableSpotAndMarginTrading:
        problems.append(
            f"binance: the key may not trade spot: enable spot and margin trading ({_MANAGE})"
        )
    if Kind.LINEAR in kinds and not key.enableFutures:
        problems.append(f"binance: the key may not trade futures: enable futures ({_MANAGE})")
    return problems


def _success(body: bytes) -> bytes:
    """The body, unless it is an error or no JSON: MalformedFrame in the venue's words then."""
    error = parse(body)
    if error.code is not None or (error.msg and not body.lstrip().startswith(b"{")):
        raise MalformedFrame(judge("", 400, error).text)
    return body
