"""Request parameters: read, checked, and refused in the venue's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias
from urllib.parse import parse_qsl

import msgspec

from hftmm.sim.binance.errors import ApiError, illegal, invalid, missing

Params: TypeAlias = Mapping[str, str]

_is_number = re.compile(r"[0-9]{1,20}").fullmatch
_is_decimal = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?").fullmatch
_is_spot_id = re.compile(r"[a-zA-Z0-9-_]{1,36}").fullmatch
_is_linear_id = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}").fullmatch


def parse_form(query: str, body: str) -> dict[str, str]:
    """Parameters of a request; the query string wins where both name one.

    Raises:
        ApiError: one is there twice in the same place.
    """
    params: dict[str, str] = {}
    for text in (body, query):
        pairs = parse_qsl(text, keep_blank_values=True)
        if len({name for name, _ in pairs}) != len(pairs):
            raise ApiError(400, -1101, "Duplicate values for a parameter detected.")
        params.update(pairs)
    return params


def text(params: Params, name: str) -> str:
    """A mandatory parameter."""
    value = params.get(name, "")
    if not value:
        raise missing(name)
    return value


def number(params: Params, name: str) -> int | None:
    """A whole number, None if it is not there."""
    value = params.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise illegal(name, "^[0-9]{1,20}$")
    return int(value)


def within(params: Params, name: str, default: int, most: int) -> int:
    """A whole number from 1, not more than `most`."""
    value = number(params, name)
    if value is None:
        return default
    if value < 1:
        raise invalid(name)
    return min(value, most)


def decimal(params: Params, name: str) -> Decimal:
    """A mandatory decimal, never negative: neither sign nor exponent is legal."""
    value = text(params, name)
    if not _is_decimal(value):
        raise illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
    return Decimal(value)


def flag(params: Params, name: str) -> bool:
    """`true` or `false` in any case; False if it is not there."""
    value = params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise illegal(name, "^(true|false)$")
    return value == "true"


def one_of(params: Params, name: str, allowed: tuple[str, ...], default: str) -> str:
    """A word out of a few."""
    value = params.get(name, default)
    if value not in allowed:
        raise invalid(name)
    return value


def spot_id(params: Params, name: str) -> str:
    """A client order id of spot, "" if it is not there."""
    value = params.get(name, "")
    if value and not _is_spot_id(value):
        raise illegal(name, "^[a-zA-Z0-9-_]{1,36}$")
    return value


def linear_id(params: Params, name: str) -> str:
    """A client order id of USD-M, "" if it is not there."""
    value = params.get(name, "")
    if len(value) > 36:
        raise ApiError(400, -4015, "Client order id length should not be more than 36 chars")
    if value and not _is_linear_id(value):
        raise illegal(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$")
    return value


def json_list(params: Params, name: str) -> list[object]:
    """A parameter that is a JSON array."""
    try:
        value: list[object] = msgspec.json.decode(text(params, name), type=list)
    except msgspec.DecodeError:
        raise ApiError(400, -1135, f"JSON sent for parameter '{name}' is not valid") from None
    return value


def from_json(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters of a WebSocket API request as they would stand in a query string."""
    return {name: _written(value) for name, value in params.items()}


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)
