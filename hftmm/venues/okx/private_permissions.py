"""What an OKX key may do, and what about it or its account stands in the way of trading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hftmm.core.errors import MalformedFrame
from hftmm.core.instrument import Kind
from hftmm.venues.okx.private_refusal import judge_body
from hftmm.venues.okx.private_wire import ConfigRow, config_decoder
from hftmm.venues.okx.wire import answer_rows, decoded
from hftmm.venues.private import Permissions, SignedRequest

_MANAGE: Final = "OKX > API"
_SETTINGS: Final = "OKX > Trade > Settings"
_SPOT_MODE: Final = "1"
_FUTURES_MODE: Final = "2"
# In these spot trades against all collateral together, and orders in cash are refused.
_MARGIN_MODES: Final = {"3": "multi-currency margin", "4": "portfolio margin"}


def permissions(
    kinds: frozenset[Kind], answers: Sequence[tuple[SignedRequest, bytes]]
) -> Permissions:
    """Permissions by the answer about the account's configuration.

    Args:
        kinds: what shall be traded; nothing else is a problem.
    """
    for request, body in answers:
        try:
            rows = answer_rows(body)
            if rows:
                return _permissions(kinds, decoded(config_decoder, rows[0]))
            why = "an empty answer"
        except MalformedFrame:
            why = judge_body(200, body).text
        path = request.path.partition("?")[0]
        return _nothing(f"okx: {path} cannot be read: {why}")
    return _nothing("okx: the account's configuration was not answered")


def _nothing(problem: str) -> Permissions:
    return Permissions(
        read=False,
        trade_spot=False,
        trade_linear=False,
        withdraw=False,
        one_way=False,
        problems=(problem,),
    )


def _permissions(kinds: frozenset[Kind], account: ConfigRow) -> Permissions:
    granted = {word.strip() for word in account.perm.split(",")}
    trade, withdraw = "trade" in granted, "withdraw" in granted
    one_way = account.pos_mode != "long_short_mode"
    spot, linear = Kind.SPOT in kinds, Kind.LINEAR in kinds
    cash = account.acct_lv in (_SPOT_MODE, _FUTURES_MODE)
    swaps = account.acct_lv != _SPOT_MODE
    problems = []
    if withdraw:
        problems.append(
            f"okx: the key may withdraw: take that permission from it ({_MANAGE}) or make another"
        )
    if not trade:
        problems.append(f"okx: the key may not trade: give it the permission to trade ({_MANAGE})")
    if linear and not one_way:
        problems.append(
            "okx: the account is in long/short mode: set its position mode to net, with no "
            f"position and no open order ({_SETTINGS})"
        )
    if linear and not swaps:
        problems.append(
            "okx: the account is in spot mode, which has no swaps: set its mode to Futures "
            f"({_SETTINGS})"
        )
    if spot and not cash:
        mode = _MARGIN_MODES.get(account.acct_lv, f"unknown ({account.acct_lv})")
        problems.append(
            f"okx: the account mode is {mode}, which trades no spot in cash: set it to Futures "
            f"({_SETTINGS}), or trade swaps only"
        )
    return Permissions(
        read=bool(granted & {"read_only", "trade"}),
        trade_spot=trade and cash,
        trade_linear=trade and swaps,
        withdraw=withdraw,
        one_way=one_way,
        problems=tuple(problems),
        bound=account.ip != "",
    )
