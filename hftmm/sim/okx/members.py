"""Private and business sockets: login, channels of members, order operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal, Protocol, TypeVar

import msgspec

from hftmm.sim.okx.access import Gate
from hftmm.sim.okx.channels import COUNTED, Channels
from hftmm.sim.okx.connection import Connection, Event, Operation, shown
from hftmm.sim.okx.entry import BATCH, Action, OrderEntry
from hftmm.sim.okx.instrument import Row, milliseconds
from hftmm.sim.okx.refusal import Refusal
from hftmm.sim.okx.topics import Arg, encode
from hftmm.sim.peers import Push
from hftmm.venues.codec import MILLISECOND

Acks = Literal["first", "last", "lost"]
"""When the answer to an order operation comes, relative to what the channels say of it."""

LOGIN_FAILED = 4001

OPERATIONS: Mapping[str, tuple[Action, bool]] = {
    "order": ("order", False),
    "batch-orders": ("order", True),
    "amend-order": ("amend-order", False),
    "batch-amend-orders": ("amend-order", True),
    "cancel-order": ("cancel-order", False),
    "batch-cancel-orders": ("cancel-order", True),
}
_ALGO = frozenset({"orders-algo", "algo-advance"})
"""Channels of the business socket on which nothing ever happens here: there are no such orders."""
_NOT_BUSINESS = frozenset(
    {*COUNTED, "fills", "books", "books5", "bbo-tbt", "trades", "tickers", "instruments", "status",
     "mark-price", "funding-rate", "price-limit", "index-tickers"}
)  # fmt: skip
Decoded = TypeVar("Decoded")
_objects = msgspec.json.Decoder(list[object])
_args = msgspec.json.Decoder(list[dict[str, str]])


class _Reply(msgspec.Struct, rename="camel"):
    id: str
    op: str
    code: str
    msg: str
    data: Sequence[Row]
    in_time: str
    out_time: str


class Voice(Protocol):
    """How the peer speaks to a connection a little later, in the order it was told to."""

    skew_ns: int
    acks: Acks

    def say(self, frames: Sequence[Push], now_ns: int) -> None: ...

    def hang_up(self, connection: int, code: int, reason: str, now_ns: int) -> None: ...

    def happened(self, now_ns: int) -> list[Push]:
        """What follows for the channels from what the broker did just now."""
        ...


class Members:
    """Answers what comes on a socket that needs a login."""

    def __init__(
        self, gate: Gate, entry: OrderEntry, channels: Channels, voice: Voice, chance: Random
    ) -> None:
        self._gate = gate
        self._entry = entry
        self._channels = channels
        self._voice = voice
        self._chance = chance

    def received(self, client: Connection, asked: Operation, frame: bytes, now_ns: int) -> None:
        """One operation other than a login."""
        if asked.op in OPERATIONS and client.face == "private":
            if client.member is None:
                self._error(client, asked.id, Refusal("60011", "Please log in"), now_ns)
            else:
                self._operate(client, asked, now_ns)
        elif asked.op in ("subscribe", "unsubscribe"):
            self._subscribe(client, asked, now_ns)
        else:
            refused = Refusal("60012", f"Illegal request: {shown(frame)}")
            self._error(client, asked.id, refused, now_ns)

    def login(self, client: Connection, asked: Operation, now_ns: int) -> None:
        """A login; one that fails ends the connection."""
        if client.member is not None:
            repeated = "Repeated login is not supported on one connection."
            self._error(client, asked.id, Refusal("60031", repeated), now_ns)
            return
        try:
            claims = _decoded(_objects, asked.args)
            if len(claims) != 1 or not isinstance(claims[0], dict):
                raise Refusal("60009", "Login failed.")
            client.member = self._gate.member(claims[0], now_ns + self._voice.skew_ns)
        except Refusal as refused:
            self._error(client, asked.id, refused, now_ns)
            self._voice.hang_up(client.number, LOGIN_FAILED, "Login failed", now_ns)
            return
        event = Event("login", client.conn_id, asked.id, code="0", msg="")
        self._voice.say([Push(client.number, encode(event))], now_ns)

    # -- channels -----------------------------------------------------------------------------

    def _subscribe(self, client: Connection, asked: Operation, now_ns: int) -> None:
        try:
            args = _decoded(_args, asked.args)
            if not args:
                raise Refusal("60013", "Invalid args")
            if client.member is None:
                raise Refusal("60011", "Please log in")
        except Refusal as refused:
            self._error(client, asked.id, refused, now_ns)
            return
        for arg in args:
            try:
                self._one(client, asked, arg, now_ns)
            except Refusal as refused:
                self._error(client, asked.id, refused, now_ns)

    def _one(self, client: Connection, asked: Operation, arg: Arg, now_ns: int) -> None:
        channel = arg.get("channel", "")
        ack = Push(client.number, encode(Event(asked.op, client.conn_id, asked.id, arg)))
        if client.face == "business":
            if channel in _NOT_BUSINESS:
                raise Refusal(
                    "64002",
                    "This channel is not supported by '/business' URL. Please use '/private', "
                    "'/public', or '/ws/v5' URLs.",
                )
            if channel not in _ALGO:
                raise Refusal("60018", f"Wrong URL or channel:{channel} doesn't exist.")
            self._voice.say([ack], now_ns)
            return
        if asked.op == "unsubscribe":
            self._channels.unsubscribe(client.number, arg)
            self._voice.say([ack], now_ns)
            return
        made = self._channels.subscribe(client.number, arg, now_ns)
        frames = [ack, self._count(client, channel, "" if made else "-error")]
        if made is not None:
            stamp = milliseconds(now_ns + self._voice.skew_ns)
            frames += self._channels.greeting(made, stamp)
        self._voice.say(frames, now_ns)

    def _count(self, client: Connection, channel: str, failed: str) -> Push:
        """How many connections the account has on a channel."""
        count = str(self._channels.connections(channel))
        name = f"channel-conn-count{failed}"
        return Push(
            client.number, encode(Event(name, client.conn_id, channel=channel, conn_count=count))
        )

    # -- orders -------------------------------------------------------------------------------

    def _operate(self, client: Connection, asked: Operation, now_ns: int) -> None:
        """An order operation: acts first, then says so in the order that `acks` asks for."""
        # What the market did before this came is told before it is answered.
        self._voice.say(self._voice.happened(now_ns), now_ns)
        action, batch = OPERATIONS[asked.op]
        came_ns = now_ns + self._voice.skew_ns
        stamp = milliseconds(came_ns)
        rows: list[Row] = []
        pushes: list[Push] = []
        code, message = "", ""
        try:
            if not asked.id:
                raise Refusal("60012", "Illegal request: id is missing")
            args = self._orders(client, asked, batch, action, came_ns)
            for given in args:
                rows.append(
                    self._entry.act(action, given, now_ns, stamp, by_code=True, batch=len(args) > 1)
                )
                pushes += self._voice.happened(now_ns)
            code = verdict(rows)
        except Refusal as refused:
            code, message = refused.code, refused.message
        left_ns = came_ns + self._chance.randrange(200, 2_000) * 1_000
        reply = _Reply(
            asked.id, asked.op, code, message, rows, str(came_ns // 1_000), str(left_ns // 1_000)
        )
        ack = Push(client.number, encode(reply), matter="ack")
        match self._voice.acks:
            case "first":
                frames = [ack, *pushes]
            case "last":
                frames = [*pushes, ack]
            case "lost":
                frames = pushes
        self._voice.say(frames, now_ns)

    def _orders(
        self, client: Connection, asked: Operation, batch: bool, action: Action, came_ns: int
    ) -> list[object]:
        """The orders of an operation that is sound as a whole.

        Raises:
            Refusal: none of them is looked at.
        """
        member = client.member
        if member is None or "trade" not in member.permissions:
            raise Refusal("50120", "Your API key doesn't have permission to use this function.")
        args = _decoded(_objects, asked.args)
        if not args or (len(args) > 1 and not batch):
            raise Refusal("60013", "Invalid args")
        check_batch(action, len(args))
        if action != "cancel-order":
            check_expiry(asked.exp_time, came_ns)
        return args

    def _error(self, client: Connection, request: str, refused: Refusal, now_ns: int) -> None:
        event = Event("error", client.conn_id, request, code=refused.code, msg=refused.message)
        self._voice.say([Push(client.number, encode(event))], now_ns)


def verdict(rows: Sequence[Row]) -> str:
    """`code` of a request by its elements: 0 all succeeded, 1 none did, 2 some did."""
    failed = sum(row["sCode"] != "0" for row in rows)
    if not failed:
        return "0"
    return "1" if failed == len(rows) else "2"


def check_batch(action: Action, orders: int) -> None:
    """Holds a request to `BATCH` orders.

    Raises:
        Refusal: there are more.
    """
    if orders > BATCH:
        if action == "order":
            raise Refusal("51111", f"Maximum {BATCH} orders can be placed in bulk")
        raise Refusal("51000", f"Parameter error: at most {BATCH} orders in one request")


def check_expiry(exp_time: str, came_ns: int) -> None:
    """Holds a request to its `expTime`, milliseconds; "" is never.

    Raises:
        Refusal: it was to be discarded by now.
    """
    if not exp_time:
        return
    if not exp_time.isdecimal():
        raise Refusal("51000", "Parameter expTime error")
    if int(exp_time) * MILLISECOND < came_ns:
        raise Refusal(
            "50036", "The expTime can't be earlier than the current system time. Please adjust it."
        )


def _decoded(decoder: msgspec.json.Decoder[Decoded], raw: msgspec.Raw) -> Decoded:
    """The arguments of an operation.

    Raises:
        Refusal: they are no such list.
    """
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("60013", "Invalid args") from None
