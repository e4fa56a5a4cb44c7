"""Processes beside this one: how they start, what they say, how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hftmm.core.errors import Unavailable
from hftmm.transport.children import LINE_LIMIT, Child, last_line, parent_gone

PATIENCE_S = 20.0


@asynccontextmanager
async def child(source: str) -> AsyncIterator[Child]:
    """A child that runs this Python instead of hftmm; ended by force if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        source,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
    )
    made = Child(process, "test child")
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        # What it never read goes with it.
        process._transport.close()  # type: ignore[attr-defined]  # asyncio closes it only once all pipes are read


async def test_the_first_line_is_handed_over() -> None:
    async with child("print('ready'); import time; time.sleep(60)") as it:
        assert await it.first_line(PATIENCE_S) == b"ready\n"
        assert it.ended == ""


async def test_a_child_that_says_nothing_is_told_from_one_that_ended() -> None:
    async with child("import time; time.sleep(60)") as it:
        with pytest.raises(Unavailable, match=r"^the test child said nothing within 0.05 s$"):
            await it.first_line(0.05)
    async with child("raise SystemExit(3)") as it:
        with pytest.raises(Unavailable, match=r"^the test child ended with exit code 3$"):
            await it.first_line(PATIENCE_S)


async def test_a_line_without_end_is_not_waited_for() -> None:
    source = f"import sys; sys.stdout.write('x' * {2 * LINE_LIMIT}); sys.stdout.flush()"
    async with child(source) as it:
        with pytest.raises(Unavailable, match="said more than fits into a line"):
            await it.first_line(PATIENCE_S)


async def test_stopping_asks_first() -> None:
    async with child("print(flush=True); import time; time.sleep(60)") as it:
        await it.first_line(PATIENCE_S)
        assert await it.stop() == -signal.SIGTERM
        assert it.ended == "ended by SIGTERM"
        assert await it.stop() == -signal.SIGTERM


async def test_a_child_that_does_not_listen_is_ended_by_force() -> None:
    source = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(flush=True); time.sleep(60)"
    )
    async with child(source) as it:
        await it.first_line(PATIENCE_S)
        assert await it.stop(within_s=0.05) == -signal.SIGKILL


async def test_an_end_that_nobody_asked_for_is_told_once() -> None:
    told: list[str] = []
    ended = asyncio.Event()

    def tell(line: str) -> None:
        told.append(line)
        ended.set()

    async with child("raise SystemExit(7)") as it:
        it.when_ended(tell)
        await ended.wait()
    assert told == ["the test child ended with exit code 7"]


async def test_an_end_on_purpose_is_not_told() -> None:
    told: list[str] = []
    async with child("import time; time.sleep(60)") as it:
        cancel = it.when_ended(told.append)
        cancel()
        await it.stop()
    assert told == []


async def test_a_child_is_hftmm_with_our_environment_and_more(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        started = await Child.start("engine", ["status"], file.fileno(), {"HOME": str(tmp_path)})
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(Unavailable, match="ended with exit code"):
                await started.first_line(PATIENCE_S)
    started.process._transport.close()  # type: ignore[attr-defined]  # its input is still open
    assert last_line(log, 0).startswith("hftmm: ")


async def test_a_parent_that_is_gone_closes_our_standard_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as ours:
        monkeypatch.setattr(sys, "stdin", ours)
        watching = asyncio.create_task(parent_gone())
        os.write(writing, b"whatever it says")
        await asyncio.sleep(0)
        assert not watching.done()
        os.close(writing)
        async with asyncio.timeout(PATIENCE_S):
            await watching


def test_the_last_line_is_of_what_was_added(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    assert last_line(log, 4) == ""
    with log.open("a") as file:
        file.write("first\nsecond\n\n")
    assert last_line(log, 4) == "second"
    log.write_bytes(b"old\n\xff\n")
    assert last_line(log, 4) == "\ufffd"
