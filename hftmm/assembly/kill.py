"""`hftmm kill`: has a running engine kill, and watches until the venues show that it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Kill
from hftmm.desk.snapshot import KillRow
from hftmm.risk.kill_switch import told
from hftmm.transport.link import ask, look

REASON: Final = "hftmm kill"
WITHIN_S: Final = 30.0
_EVERY_S: Final = 0.05


async def kill(
    socket: Path, tell: Callable[[str], None], *, flatten: bool, within_s: float = WITHIN_S
) -> bool:
    """Kills by the engine; one line for each venue once it shows zero, or why it does not.

    Returns:
        Whether every venue shows zero, and, if it was to be flattened, holds nothing.

    Raises:
        Unavailable: no engine answers; one line.
    """
    answer = await ask(socket, Kill(REASON, flatten))
    tell(f"engine: {answer.text}")
    if not answer.accepted:
        return False
    shown: set[str] = set()
    killed: KillRow | None = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                killed = (await look(socket)).kill
                if killed is None:
                    tell("engine: it was re-armed meanwhile")
                    return False
                _tell_zeros(killed, shown, tell)
                if killed.done:
                    break
                await asyncio.sleep(_EVERY_S)
    except (TimeoutError, Unavailable) as error:
        if killed is not None:
            for row in killed.venues:
                if row.venue not in shown:
                    tell(told(row))
        tell(f"engine: {error}" if str(error) else f"engine: not done within {within_s:g} s")
        return False
    if flatten:
        tell(f"flatten: {killed.flattening}")
    return not (flatten and any(row.positions for row in killed.venues))


def _tell_zeros(killed: KillRow, shown: set[str], tell: Callable[[str], None]) -> None:
    for row in killed.venues:
        if row.zero_ms is not None and row.venue not in shown:
            shown.add(row.venue)
            tell(told(row))
