"""One client on one WebSocket, and the words both sides of it use."""

from __future__ import annotations

import msgspec

from hftmm.sim.ledger import Credentials
from hftmm.sim.okx.limits import Limits
from hftmm.sim.okx.topics import Arg

PATHS = {
    "public": "/ws/v5/public",
    "private": "/ws/v5/private",
    "business": "/ws/v5/business",
}


class Operation(msgspec.Struct, frozen=True, rename={"exp_time": "expTime"}):
    """What a client asks; `args` is read by what the operation makes of it."""

    op: str = ""
    args: msgspec.Raw = msgspec.Raw(b"[]")
    id: str = ""
    exp_time: str = ""


class Event(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"conn_id": "connId", "conn_count": "connCount"},
):
    """What the venue says that is not data."""

    event: str
    conn_id: str
    id: str = ""
    arg: Arg | None = None
    code: str = ""
    msg: str | None = None
    channel: str = ""
    conn_count: str = ""


class Connection:
    """One client.

    Attributes:
        number: the driver's.
        face: which socket it came to: `public`, `private` or `business`.
        heard_ns: when either side last said anything; OKX closes after 30 s of silence.
        member: who logged in, None before.
        requests: counts subscriptions and logins.
    """

    __slots__ = ("conn_id", "face", "heard_ns", "member", "number", "requests")

    def __init__(self, number: int, face: str, conn_id: str, now_ns: int) -> None:
        self.number = number
        self.face = face
        self.conn_id = conn_id
        self.heard_ns = now_ns
        self.member: Credentials | None = None
        self.requests = Limits()


def shown(frame: bytes) -> str:
    """The beginning of a frame, for an error that quotes it."""
    return frame[:200].decode(errors="replace")
