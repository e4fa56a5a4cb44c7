"""One client connection of the practice Bybit, whichever socket it is to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl

import msgspec

from hftmm.sim.bybit.topic import SECOND, Topic
from hftmm.sim.ledger import Account, Credentials

Face = Literal["spot", "linear", "private", "trade"]

FACES: dict[str, Face] = {
    "/v5/public/spot": "spot",
    "/v5/public/linear": "linear",
    "/v5/private": "private",
    "/v5/trade": "trade",
}
IDLE_NS = 600 * SECOND
"""A connection without ping or push for so long is cut, at the next scan."""

_ACTIVE = re.compile(r"([1-9][0-9]{0,2})([sm])", re.ASCII)
_Id = str | int | None


class Command(msgspec.Struct, gc=False):
    """What a client says; some number their requests, and get the number back.

    The public and the private socket call the number otherwise than the trade socket.
    """

    op: str = ""
    req_id: _Id = None
    reqId: _Id = None  # noqa: N815 (the venue's name)
    header: dict[str, object] = {}
    args: list[object] = []


command = msgspec.json.Decoder(Command)


@dataclass(slots=True)
class Connection:
    """What the venue remembers of a connection.

    Attributes:
        active_ns: when it last spoke, or was last told something.
        idle_ns: how long it may be without either.
        heard_ns: when the newest of its frames is heard.
        topics: public topics by name.
        private: names of private topics.
        used: ids of requests to the trade socket.
        credentials: whose it is, once it logged in.
    """

    number: int
    face: Face
    conn_id: str
    active_ns: int
    idle_ns: int = IDLE_NS
    heard_ns: int = 0
    topics: dict[str, Topic] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    credentials: Credentials | None = None
    account: Account | None = None


def idle_ns(query: str) -> int:
    """What `max_active_time` of a private or trade connection asks for: 30s to 600s, 1m to 10m."""
    wanted = _ACTIVE.fullmatch(dict(parse_qsl(query)).get("max_active_time", ""))
    if wanted is None:
        return IDLE_NS
    seconds = int(wanted[1]) * (60 if wanted[2] == "m" else 1)
    return seconds * SECOND if 30 <= seconds <= 600 else IDLE_NS
