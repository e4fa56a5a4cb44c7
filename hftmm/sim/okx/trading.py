"""The trading side as one: the account, what may be asked of it, and how the venue answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from random import Random

import msgspec

from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind
from hftmm.sim.broker import Broker
from hftmm.sim.ledger import PRACTICE_KEYS, Credentials, OrderChanged
from hftmm.sim.market import Market
from hftmm.sim.okx.access import Gate
from hftmm.sim.okx.account_rest import AccountRest
from hftmm.sim.okx.channels import Channels
from hftmm.sim.okx.connection import Connection, Operation
from hftmm.sim.okx.deadman import DeadMan
from hftmm.sim.okx.entry import RULES, OrderEntry
from hftmm.sim.okx.instrument import Instrument, milliseconds
from hftmm.sim.okx.limits import Limits
from hftmm.sim.okx.member_rest import MemberRest, bills
from hftmm.sim.okx.members import Acks, Members
from hftmm.sim.okx.records import note_of
from hftmm.sim.okx.statement import Statement
from hftmm.sim.okx.tickets import House
from hftmm.sim.okx.wealth import Wealth
from hftmm.sim.peers import Close, HttpAnswer, HttpQuery, Outgoing, Push
from hftmm.venues.codec import MILLISECOND, SECOND

FEES: Mapping[Kind, FeeRates] = {
    Kind.SPOT: FeeRates(Decimal(8), Decimal(10)),
    Kind.LINEAR: FeeRates(Decimal(2), Decimal(5)),
}
"""Of the regular tier, `Lv1`."""
_USER = "400000000000000001"
_LATENCY = (MILLISECOND, 3 * MILLISECOND)


class TradingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the venue treats members, where OKX leaves it open or a test wants it otherwise.

    Attributes:
        credentials: its keys, all of the one account.
        demo: the environment is demo trading: other instrument codes, other keys.
        acks: see `Acks`.
        account_level, position_mode: see `House`.
        rows_per_page, duplicate_fills, terminal_notice: see `Channels`.
        forgotten_ns: see `MemberRest`.
        unknown_key_status: see `Gate`.
    """

    credentials: tuple[Credentials, ...] = PRACTICE_KEYS
    demo: bool = False
    acks: Acks = "first"
    account_level: str = "2"
    position_mode: str = "net_mode"
    rows_per_page: int = 100
    duplicate_fills: bool = False
    terminal_notice: bool = False
    forgotten_ns: int = 2 * 3_600 * SECOND
    unknown_key_status: int = 401


class Trading:
    """Everything that needs a key. Answers on WebSockets come after a small seeded latency.

    Attributes:
        skew_ns: the venue's clock less true time.
        acks: may be changed at any time.
    """

    def __init__(
        self,
        market: Market,
        instruments: Mapping[str, Instrument],
        chance: Random,
        options: TradingOptions,
    ) -> None:
        self.skew_ns = 0
        self.acks: Acks = options.acks
        self._chance = chance
        self._leaving: deque[tuple[int, Outgoing]] = deque()
        self.broker = Broker(
            "okx", market, True, FEES, "received", rules=RULES, credentials=options.credentials
        )
        (self.account,) = self.broker.accounts.values()
        house = House(options.account_level, options.position_mode)
        limits = Limits()
        gate = Gate(
            self.broker.credentials,
            demo=options.demo,
            unknown_key_status=options.unknown_key_status,
        )
        self._dead_man = DeadMan(self.broker, self.account)
        self._wealth = Wealth(instruments, self.broker, self.account)
        self._statement = Statement(instruments)
        self._channels = Channels(
            instruments,
            self.account,
            self._wealth,
            _USER,
            rows_per_page=options.rows_per_page,
            duplicate_fills=options.duplicate_fills,
            terminal_notice=options.terminal_notice,
        )
        entry = OrderEntry(instruments, self.broker, self.account, house, limits)
        self._members = Members(gate, entry, self._channels, self, chance)
        account_rest = AccountRest(
            instruments, self.broker, self.account, self._wealth, house, _USER
        )
        self._rest = MemberRest(
            gate,
            entry,
            limits,
            self.account,
            instruments,
            self._statement,
            self._dead_man,
            self,
            account_rest.calls() | {("GET", "account/bills"): bills(self._statement)},
            forgotten_ns=options.forgotten_ns,
        )

    # -- what clients do ----------------------------------------------------------------------

    def serves(self, query: HttpQuery) -> bool:
        """True if a REST call is one that needs a key."""
        return self._rest.knows(query)

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        answer = self._rest.answer(query, now_ns)
        return msgspec.structs.replace(answer, late_ns=self._chance.randrange(*_LATENCY))

    def login(self, client: Connection, asked: Operation, now_ns: int) -> None:
        self._members.login(client, asked, now_ns)

    def received(self, client: Connection, asked: Operation, frame: bytes, now_ns: int) -> None:
        self._members.received(client, asked, frame, now_ns)

    def closed(self, connection: int) -> None:
        self._channels.leave(connection)

    def restart(self) -> None:
        """What was on its way is lost; orders and balances are not."""
        self._leaving.clear()

    # -- what the venue says ------------------------------------------------------------------

    def say(self, frames: Iterable[Push], now_ns: int) -> None:
        """Frames that leave a little later, in this order."""
        due_ns = self._due(now_ns)
        self._leaving += [(due_ns, push) for push in frames]

    def hang_up(self, connection: int, code: int, reason: str, now_ns: int) -> None:
        """Closes a connection, after all that was said to it."""
        self._leaving.append((self._due(now_ns), Close(connection, code, reason)))

    def happened(self, now_ns: int) -> list[Push]:
        """Enters in the books what the broker did, and words it for the channels."""
        events = self.account.take_events()
        if not events:
            return []
        self._statement.enter(events, self.skew_ns)
        self._wealth.enter(events)
        frames = self._channels.tell(events, self._stamp(now_ns), self.skew_ns)
        for event in events:
            if isinstance(event, OrderChanged):
                note_of(event.order).forget()
        return frames

    def advance(self, now_ns: int) -> Sequence[Outgoing]:
        """Time passed; what leaves now."""
        self.broker.advance(now_ns)
        self._dead_man.advance(now_ns)
        self.say(self.happened(now_ns), now_ns)
        self.say(self._channels.due(now_ns, self._stamp(now_ns)), now_ns)
        out: list[Outgoing] = []
        while self._leaving and self._leaving[0][0] <= now_ns:
            out.append(self._leaving.popleft()[1])
        return out

    def _due(self, now_ns: int) -> int:
        due_ns = now_ns + self._chance.randrange(*_LATENCY)
        # What is said later leaves later.
        return max(due_ns, self._leaving[-1][0]) if self._leaving else due_ns

    def _stamp(self, now_ns: int) -> str:
        return milliseconds(now_ns + self.skew_ns)
