"""What an engine needs to trade, and where the run before it stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hftmm.core.order import Fill, Funding
from hftmm.engine.back_office import Records
from hftmm.execution.order import Order
from hftmm.risk.portfolio import Opening
from hftmm.strategy.registry import MakeStrategy
from hftmm.venues.codec import Hosts
from hftmm.venues.private import Credentials, PrivateCodec


class History(Protocol):
    """Where an earlier run stood; see `Resume`."""

    @property
    def last_id(self) -> int: ...
    @property
    def orders(self) -> Sequence[Order]: ...
    @property
    def trades(self) -> Sequence[tuple[str, str]]: ...
    @property
    def last_fill_ns(self) -> Mapping[str, int]: ...
    @property
    def killed(self) -> str: ...
    @property
    def opening(self) -> Opening | None: ...
    @property
    def fills(self) -> Sequence[Fill]: ...
    @property
    def fundings(self) -> Sequence[Funding]: ...


@dataclass(frozen=True, slots=True)
class Licence:
    """What an engine needs to trade.

    Attributes:
        codecs, credentials, hosts: by venue; a venue without a key is only watched.
        killed: why the kill latch is pulled, by word from outside the journal; "" if it is not.
        strategies: of other packages, by code.
    """

    codecs: Mapping[str, PrivateCodec]
    credentials: Mapping[str, Credentials]
    hosts: Mapping[str, Hosts]
    records: Records
    history: History
    killed: str = ""
    strategies: Mapping[str, MakeStrategy] = field(default_factory=dict)
