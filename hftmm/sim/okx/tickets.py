"""Order arguments as clients send them, read into tickets and amendments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from hftmm.core.instrument import Side
from hftmm.sim.filters import to_lots, to_ticks
from hftmm.sim.okx.instrument import Instrument
from hftmm.sim.okx.records import Note
from hftmm.sim.okx.refusal import Refusal, missing, of_order, wrong
from hftmm.sim.orders import Refused, Ticket, TimeInForce

Args = Mapping[str, object]

CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
TAG = re.compile(r"[A-Za-z0-9]{1,16}")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")

_PRICED = frozenset({"limit", "post_only", "ioc", "fok"})
_MARKET = frozenset({"market", "optimal_limit_ioc"})
_IN_FORCE: Mapping[str, TimeInForce] = {"fok": "fok", "ioc": "ioc", "optimal_limit_ioc": "ioc"}
_SELF_TRADE: Mapping[str, Literal["expire_maker", "expire_taker", "expire_both"]] = {
    "cancel_maker": "expire_maker",
    "cancel_taker": "expire_taker",
    "cancel_both": "expire_both",
}


class Amendment(msgspec.Struct, frozen=True):
    """What an amendment asks for.

    Attributes:
        ticks, lots: None to leave as it is; lots are the new total, filled part included.
        cancel_on_fail: cancel the order if it cannot be amended.
    """

    ticks: int | None
    lots: int | None
    req_id: str
    cancel_on_fail: bool
    clamp: bool


class House(msgspec.Struct):
    """How the account is set up.

    Attributes:
        account_level: `acctLv`: 1 spot, 2 futures, 3 multi-currency, 4 portfolio.
        position_mode: `posMode`; only `net_mode` is traded in.
    """

    account_level: str = "2"
    position_mode: str = "net_mode"


def text(args: Args, name: str) -> str:
    """A text argument, "" if absent.

    Raises:
        Refusal: it is no text.
    """
    value = args.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(name)
    return value


def flag(args: Args, name: str) -> bool:
    """A yes or no, as JSON or in words."""
    value = args.get(name, False)
    if value in ("true", "false", ""):
        return value == "true"
    if not isinstance(value, bool):
        raise wrong(name)
    return value


def number(args: Args, name: str) -> Decimal:
    """A number of at least 0, written plainly.

    Raises:
        Refusal: absent, or not such a number.
    """
    value = text(args, name)
    if not _NUMBER.fullmatch(value):
        raise wrong(name)
    return Decimal(value)


def read_ticket(one: Instrument, args: Args, house: House) -> Ticket:
    """What a client wants placed.

    Raises:
        Refusal: the arguments make no order.
    """
    side = _side(args)
    kind = text(args, "ordType")
    if kind not in _PRICED | _MARKET or (kind == "optimal_limit_ioc" and one.inst_type == "SPOT"):
        raise wrong("ordType") if kind else missing("ordType")
    td_mode = _trade_mode(one, args, house)
    _position_side(one, args, house)
    client_id, tag = text(args, "clOrdId"), text(args, "tag")
    if client_id and not CLIENT_ID.fullmatch(client_id):
        raise wrong("clOrdId")
    if tag and not TAG.fullmatch(tag):
        raise wrong("tag")
    stp_mode = text(args, "stpMode") or "cancel_maker"
    if stp_mode not in _SELF_TRADE:
        raise wrong("stpMode")
    if kind == "fok" and stp_mode == "cancel_both":
        raise Refusal("54036", "cancel_both is not supported for FOK orders.")
    if text(args, "pxAmendType") not in ("", "0", "1"):
        raise wrong("pxAmendType")
    if args.get("attachAlgoOrds"):
        raise wrong("attachAlgoOrds")
    target = _target(one, args, kind, side)
    note = Note(td_mode, kind, tag, target, stp_mode)
    reduce_only = flag(args, "reduceOnly") and one.inst_type == "SWAP"
    lots, quote_amount = _size(one, args, side, target)
    if target:
        note.asked = text(args, "sz")
    return Ticket(
        spec=one.spec,
        side=side,
        ticks=_price(one, number(args, "px"), "px") if kind in _PRICED else None,
        lots=lots,
        client_id=client_id,
        post_only=kind == "post_only",
        time_in_force=_IN_FORCE.get(kind, "gtc" if kind in _PRICED else "ioc"),
        reduce_only=reduce_only,
        self_trade=_SELF_TRADE[stp_mode],
        quote_amount=quote_amount,
        note=note,
    )


def read_amendment(one: Instrument, args: Args) -> Amendment:
    """How a client wants an order changed.

    Raises:
        Refusal: the arguments make no change.
    """
    price, size = text(args, "newPx"), text(args, "newSz")
    if not price and not size:
        raise missing("newSz or newPx")
    req_id = text(args, "reqId")
    if req_id and not CLIENT_ID.fullmatch(req_id):
        raise wrong("reqId")
    return Amendment(
        ticks=_price(one, number(args, "newPx"), "newPx") if price else None,
        lots=_lots(one, number(args, "newSz")) if size else None,
        req_id=req_id,
        cancel_on_fail=flag(args, "cxlOnFail"),
        clamp=text(args, "pxAmendType") == "1",
    )


def _side(args: Args) -> Side:
    side = text(args, "side")
    if side == "buy":
        return "buy"
    if side == "sell":
        return "sell"
    raise wrong("side") if side else missing("side")


def _trade_mode(one: Instrument, args: Args, house: House) -> str:
    """`tdMode`, if the account's mode has it for such an instrument."""
    mode = text(args, "tdMode")
    if not mode:
        raise missing("tdMode")
    if one.inst_type == "SWAP":
        if house.account_level == "1":
            raise Refusal(
                "51010", "You can't complete this request under your current account mode."
            )
        allowed = "cross"
    else:
        # Spot without borrowing: cash, except where the account margins everything together.
        allowed = "cash" if house.account_level in ("1", "2") else "cross"
    if mode != allowed:
        raise wrong("tdMode")
    return mode


def _position_side(one: Instrument, args: Args, house: House) -> None:
    """`posSide` says nothing in net mode, which is the only one traded in."""
    side = text(args, "posSide")
    if one.inst_type == "SPOT":
        return
    if house.position_mode != "net_mode" or side not in ("", "net"):
        raise wrong("posSide")


def _target(one: Instrument, args: Args, kind: str, side: Side) -> str:
    """`tgtCcy` of a spot market order, "" of any other."""
    if one.inst_type != "SPOT" or kind != "market":
        return ""
    target = text(args, "tgtCcy") or ("quote_ccy" if side == "buy" else "base_ccy")
    if target not in ("quote_ccy", "base_ccy"):
        raise wrong("tgtCcy")
    return target


def _size(one: Instrument, args: Args, side: Side, target: str) -> tuple[int, Decimal | None]:
    """Lots, or for a market buy by value the quote to spend."""
    size = number(args, "sz")
    priced = text(args, "ordType") in _PRICED
    value = size if target == "quote_ccy" else size * one.spec.tick * one.last_ticks
    if size > one.largest(limit=priced) or (target and value > one.largest_value):
        raise of_order("max_size", {})
    if target != "quote_ccy":
        return _lots(one, size), None
    if not size:
        raise of_order("min_size", {})
    if side == "buy":
        return 0, size
    # A sale by value: the lots whose proceeds come closest from below.
    lots, left = 0, size
    for level in one.engine.levels("buy"):
        worth = one.spec.tick * level.ticks * one.spec.lot
        taken = min(level.lots, int(left / worth))
        lots += taken
        left -= taken * worth
        if taken < level.lots:
            break
    if not lots:
        raise of_order("min_size", {})
    return lots, None


def _lots(one: Instrument, size: Decimal) -> int:
    """Lots of a size in the venue's own unit."""
    lots = to_lots(one.spec, size * one.spec.contract)
    if isinstance(lots, Refused):
        raise of_order(lots.rule, {})
    return lots


def _price(one: Instrument, price: Decimal, name: str) -> int:
    ticks = to_ticks(one.spec, price)
    if isinstance(ticks, Refused):
        raise wrong(name)
    return ticks
