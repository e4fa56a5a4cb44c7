"""What was about to be sent, in memory that outlives the process."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hftmm.core.errors import Unavailable

SLOTS: Final = 8_192
SLOT: Final = 320


class Intent(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An order before its first byte left; names and numbers as the journal writes them."""

    ns: int
    client_id: str
    listing: str
    strategy: str
    side: str
    price: str
    size: str
    post_only: bool
    time_in_force: str
    reduce_only: bool


class IntentRing:
    """The last `SLOTS` intents in a file that is mapped into memory.

    The journal's thread may be milliseconds behind when the process is killed, and some venues
    do not tell our ids with a fill: an order that nobody wrote down could not be recognised. A
    mapped page belongs to the kernel once it was stored to, whatever becomes of the process; the
    store costs about a microsecond and cannot block on a full disk, because the file has its
    blocks from the beginning. (A crash of the machine itself loses what the kernel had not
    written yet; the venue's lists of open orders and fills remain.)
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates it.

        Raises:
            Unavailable: the file cannot be had.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fchmod(descriptor, 0o600)
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(descriptor, 0, SLOTS * SLOT)
                else:
                    os.ftruncate(descriptor, SLOTS * SLOT)
                self._memory = mmap.mmap(descriptor, SLOTS * SLOT)
            except BaseException:
                os.close(descriptor)
                raise
        except BlockingIOError:
            raise Unavailable(f"{path}: another engine writes this journal") from None
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror or error}") from error
        self._descriptor: Final = descriptor
        self._next = 1 + max((slot for slot, _ in self._newest()), default=-1)
        self._encode: Final = msgspec.json.Encoder().encode

    def write(self, intent: Intent) -> None:
        """Stores an intent over the oldest one."""
        line = self._encode(intent)
        at = self._next % SLOTS * SLOT
        # One copy: a reader sees the whole slot or, torn by a kill, no JSON. The order of a torn
        # one has not left, because it leaves after this.
        self._memory[at : at + SLOT] = line[:SLOT].ljust(SLOT, b"\0")
        self._next += 1

    def read(self) -> list[Intent]:
        """All that are stored, oldest first."""
        return sorted((intent for _, intent in self._slots()), key=lambda intent: intent.ns)

    def close(self) -> None:
        """Unmaps it and lets the next engine have it; what was stored stays."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self._descriptor)

    def _newest(self) -> Iterator[tuple[int, Intent]]:
        found = max(self._slots(), key=lambda entry: entry[1].ns, default=None)
        if found is not None:
            yield found

    def _slots(self) -> Iterator[tuple[int, Intent]]:
        for slot in range(SLOTS):
            at = slot * SLOT
            if self._memory[at] == 0:
                continue
            line = self._memory[at : at + SLOT].rstrip(b"\0")
            try:
                yield slot, msgspec.json.decode(line, type=Intent)
            except msgspec.DecodeError:
                continue
