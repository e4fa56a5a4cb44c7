"""What commands are made of, in this process; `test_cli` sees the same from outside."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from hftmm.assembly import headless, screen
from hftmm.assembly.choice import Choice
from hftmm.assembly.ending import Ending, unless
from hftmm.assembly.output import log_to
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Status, Stop, View
from hftmm.sim.server import PracticeVenues
from hftmm.transport import link
from hftmm.transport.inline import InlineDesk
from tests.engines import floor

PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Commands take the root logger, and have the collector, to themselves."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    gc.unfreeze()


@pytest.fixture
def choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Choice:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = tmp_path / "config.toml"
    config.write_text(
        '[engine]\nstatus_every_s = 0.1\n[markets]\nsymbols = ["BTC/USDT"]\n[practice]\n'
        "lag_ms = {binance = 0, bybit = 0, okx = 0}\n"
    )
    return Choice(config)


@asynccontextmanager
async def described(choice: Choice, folder: Path) -> AsyncIterator[Path]:
    """Practice venues, and the file that tells where they are."""
    async with asyncio.timeout(PATIENCE_S), PracticeVenues(choice.load()) as venues:
        file = folder / "venues.json"
        file.write_text(json.dumps(venues.description))
        yield file


async def test_an_engine_serves_viewers_tells_its_status_and_stops_when_told(
    choice: Choice, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    socket = tmp_path / "engine.sock"
    async with described(choice, tmp_path) as file:
        running = asyncio.create_task(
            headless.run_engine(choice.load(), choice, file, socket, Ending())
        )
        desk = await link.LinkDesk.connect(socket, patience_s=PATIENCE_S)
        while (shown := desk.snapshot()) is None or shown.state != "ARMED":  # noqa: ASYNC110  # the desk has no event for it
            await asyncio.sleep(0.01)
        assert json.loads((await link.ask(socket, Status())).text)["state"] == "ARMED"
        assert (await link.ask(socket, Stop("enough"))).accepted
        assert await running
        await desk.close()
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines
    assert set(lines[-1]["markets"]) == {"BTC/USDT"}
    assert not socket.exists()


async def test_a_childs_engine_says_that_it_is_ready_and_no_more(
    choice: Choice,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr("sys.stdin", os.fdopen(reading))
    async with described(choice, tmp_path) as file:
        ending = Ending(child=True)
        running = asyncio.create_task(
            headless.run_engine(choice.load(), choice, file, tmp_path / "engine.sock", ending)
        )
        while (said := capfd.readouterr().out) == "":  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(0.01)
        assert said == "ready\n"
        os.close(writing)
        assert await running
    assert capfd.readouterr().out == ""


def test_the_front_of_an_engine_that_starts_shows_nothing_yet() -> None:
    front = headless._Front()
    assert front.picture(View()) is None
    answer = front.asked(1, Status())
    assert (answer.accepted, answer.text) == (False, "the engine is starting")


async def test_work_that_is_done_in_time_gives_its_result() -> None:
    async def work() -> int:
        return 7

    assert await unless(asyncio.Event(), work()) == 7


async def test_work_that_fails_fails_as_it_would_alone() -> None:
    async def work() -> int:
        raise Unavailable("nothing there")

    with pytest.raises(Unavailable, match="nothing there"):
        await unless(asyncio.Event(), work())


async def test_work_is_given_up_when_it_is_time_to_end() -> None:
    cleaned: list[str] = []

    async def work() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("up")
        return 7

    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(PATIENCE_S):
        assert await unless(stop, work()) is None
    assert cleaned == ["up"]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_says_that_it_is_time(by: signal.Signals) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        stop = await Ending().arrange(stack)
        assert not stop.is_set()
        os.kill(os.getpid(), by)
        await stop.wait()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.remove_signal_handler(each)


async def test_time_counts_from_where_it_begins() -> None:
    stop = asyncio.Event()
    Ending().begin(stop)
    Ending(duration_s=0.01).begin(stop)
    async with asyncio.timeout(PATIENCE_S):
        await stop.wait()


async def test_a_desk_says_why_what_it_shows_has_ended() -> None:
    at = floor()

    def desk() -> InlineDesk:
        return InlineDesk(at.engine, lambda: at.now_ns, lambda _: pytest.fail("nothing is asked"))

    async def fail() -> None:
        raise RuntimeError("a defect")

    async def end() -> None:
        return

    failed, ended, going = desk(), desk(), desk()

    async def watch() -> None:
        async with screen._beside(failed, asyncio.create_task(fail())) as work:
            await asyncio.wait([work])
            await asyncio.sleep(0)
            assert not failed.connected

    with pytest.raises(RuntimeError, match="a defect"):
        await watch()
    assert failed.failure == "the engine failed: RuntimeError('a defect')"
    async with screen._beside(ended, asyncio.create_task(end()), lambda: "no venues") as work:
        await work
        await asyncio.sleep(0)
        assert ended.failure == "no venues"
    async with screen._beside(going, asyncio.create_task(asyncio.Event().wait())):  # type: ignore[arg-type]  # whatever it returns
        assert going.connected
    assert going.connected


def test_a_line_of_the_log_has_its_time_in_utc_and_who_says_it() -> None:
    stream = io.StringIO()
    log_to(stream, "warning")
    logger = logging.getLogger("hftmm.test")
    record = logger.makeRecord("hftmm.test", logging.WARNING, "", 0, "%s lost", ("book",), None)
    record.created, record.msecs = 1_780_315_200.25, 250.0
    logger.handle(record)
    logger.info("not worth a line")
    logging.getLogger("websockets").info("nor is this")
    assert stream.getvalue() == "2026-06-01T12:00:00.250Z WARNING hftmm.test book lost\n"


async def test_nothing_to_attach_to_is_told(choice: Choice, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no engine runs here"):
        await screen.attached(choice.load(), tmp_path / "engine.sock")


async def test_a_log_that_cannot_be_written_is_told_before_anything_starts(
    choice: Choice, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"file/hftmm\.log: Not a directory"):
        await screen.with_engine(choice.load(), [], tmp_path / "file" / "engine.sock", None)


@pytest.mark.parametrize(
    ("modules", "never"),
    [
        ("hftmm.cli", {"numpy", "numba", "aiohttp", "textual", "websockets"}),
        ("hftmm.assembly.screen, hftmm.terminal.app", {"numpy", "numba", "aiohttp"}),
        ("hftmm.assembly.headless", {"numba", "aiohttp", "textual"}),
    ],
)
def test_what_a_command_starts_with_loads_nothing_it_can_do_without(
    modules: str, never: set[str]
) -> None:
    source = f"import json, sys, {modules}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert never.isdisjoint(json.loads(done.stdout))
