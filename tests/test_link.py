from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import unix_connect
from websockets.asyncio.server import ServerConnection, unix_serve

from hftmm import __version__
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Answer, Command, Practice, Stop, View
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import (
    ArbitrageTotals,
    BestQuote,
    DeskSnapshot,
    Ladder,
    Latency,
    RiskTotals,
)
from hftmm.transport import link
from hftmm.transport.link import Ask, Hello, Join, LinkDesk, LinkServer, Picture, Reply, ask, look
from hftmm.transport.socket_file import claim

DEADLINE = 5.0
EMPTY = BestQuote(None, None, (), None, None, (), None, "empty")


def snapshot(number: int, market: str, padding: str = "") -> DeskSnapshot:
    """A snapshot with nothing to see but its number and market."""
    return DeskSnapshot(
        number=number,
        ns=number,
        mode="sim",
        state="ARMED",
        state_reason=padding,
        equity=None,
        day_pnl=None,
        frames_per_s=0.0,
        latency=Latency(None, None, None),
        market=market,
        markets=(),
        venues=(),
        nbbo=EMPTY,
        net=EMPTY,
        ladder=Ladder(0.1, 0.1, 1, (), None, None, None, None, "", 0),
        opportunities=(),
        arbitrage=ArbitrageTotals(0, 0, None, 0.0),
        risk=(),
        risk_totals=RiskTotals(0, 1, 0, 1, 0, 0, 1, 0, 1),
        tape=(),
        log=(),
    )


class Engine:
    """What stands behind a link: it numbers its snapshots and writes down what it is told."""

    def __init__(self) -> None:
        self.made = 0
        self.padding = ""
        self.starting = False
        self.told: list[tuple[int, Command]] = []
        self.news = asyncio.Event()

    def make_snapshot(self, view: View) -> DeskSnapshot | None:
        if self.starting:
            return None
        self.made += 1
        return snapshot(self.made, view.market, self.padding)

    def on_command(self, viewer: int, command: Command) -> Answer:
        self.told.append((viewer, command))
        self.news.set()
        match command:
            case View(market="nowhere"):
                return Answer(False, "no such market")
            case Practice():
                raise KeyError("fault")
            case _:
                return Answer(True, "done")

    async def until_told(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.told) < count:
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def serving(path: Path, engine: Engine) -> AsyncIterator[LinkServer]:
    server = LinkServer(path, engine.make_snapshot, engine.on_command)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def watching(
    path: Path, *, frames_per_s: float = 60, view: View | None = None
) -> AsyncIterator[LinkDesk]:
    desk = await LinkDesk.connect(path, frames_per_s=frames_per_s, view=view)
    try:
        yield desk
    finally:
        await desk.close()


def mode(path: Path) -> int | None:
    """Permissions of a file, None if there is none."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


async def until(true: Callable[[], bool]) -> None:
    """Lets the event loop run until something holds."""
    async with asyncio.timeout(DEADLINE):
        while not true():
            await turn()


async def turn() -> None:
    """One turn of the event loop, and a breath for the other side."""
    await asyncio.sleep(0.001)


def newest(desk: Desk) -> DeskSnapshot:
    found = desk.snapshot()
    assert found is not None
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.sock"


@pytest.fixture
def engine() -> Engine:
    return Engine()


async def test_a_viewer_sees_the_newest_snapshot(path: Path, engine: Engine) -> None:
    async with serving(path, engine), watching(path, view=View("BTC/USDT")) as desk:
        assert (desk.connected, desk.failure) == (True, "")
        await until(lambda: desk.snapshot() is not None and newest(desk).number >= 3)
        assert newest(desk).market == "BTC/USDT"


async def test_the_socket_is_for_its_owner_alone(path: Path, engine: Engine) -> None:
    async with serving(path, engine):
        assert mode(path) == 0o600


async def test_each_viewer_has_a_view_of_its_own(path: Path, engine: Engine) -> None:
    async with (
        serving(path, engine) as server,
        watching(path, view=View("BTC/USDT")) as one,
        watching(path, view=View("ETH/USDT")) as other,
    ):
        await until(lambda: one.snapshot() is not None and other.snapshot() is not None)
        assert server.viewers == 2
        one.send(View("SOL/USDT"))
        await until(lambda: newest(one).market == "SOL/USDT")
        assert newest(other).market == "ETH/USDT"
    assert {viewer for viewer, _ in engine.told} == {1}


async def test_a_view_shows_at_once_and_not_at_the_next_tick(path: Path, engine: Engine) -> None:
    async with serving(path, engine), watching(path, frames_per_s=0.001) as desk:
        await until(lambda: desk.snapshot() is not None)
        desk.send(View("SOL/USDT"))
        await until(lambda: newest(desk).market == "SOL/USDT")
        assert engine.made == 2


async def test_the_last_thing_a_viewer_sees_is_how_it_ended(path: Path, engine: Engine) -> None:
    async with serving(path, engine) as server, watching(path, frames_per_s=0.001) as desk:
        await until(lambda: desk.snapshot() is not None)
        engine.padding = "no order of ours stands anywhere"
        await server.close()
        await until(lambda: not desk.connected)
        shown = desk.snapshot()
        assert shown is not None
        assert shown.state_reason == engine.padding


async def test_a_view_the_engine_refuses_is_not_taken(path: Path, engine: Engine) -> None:
    async with serving(path, engine), watching(path, view=View("BTC/USDT")) as desk:
        desk.send(View("nowhere"))
        await engine.until_told(1)
        after = engine.made
        await until(lambda: desk.snapshot() is not None and newest(desk).number > after + 1)
        assert newest(desk).market == "BTC/USDT"


async def test_commands_arrive_in_order_with_the_number_of_their_viewer(
    path: Path, engine: Engine
) -> None:
    commands: list[Command] = [Stop("a"), View("ETH/USDT"), Stop("b")]
    async with serving(path, engine), watching(path) as desk:
        for command in commands:
            desk.send(command)
        await engine.until_told(3)
    assert engine.told == [(1, command) for command in commands]


async def test_nothing_is_sent_while_there_is_nothing_to_show(path: Path, engine: Engine) -> None:
    engine.starting = True
    async with serving(path, engine), watching(path) as desk:
        desk.send(Stop("x"))
        await engine.until_told(1)
        assert desk.snapshot() is None
        engine.starting = False
        await until(lambda: desk.snapshot() is not None)


async def test_a_viewer_that_does_not_read_makes_the_engine_keep_nothing(
    path: Path, engine: Engine
) -> None:
    engine.padding = "x" * 1_000_000
    decoder = msgspec.msgpack.Decoder(Hello | Picture | Reply)
    async with (
        serving(path, engine),
        watching(path) as reader,
        unix_connect(str(path), compression=None, max_queue=1) as sleeper,
    ):
        await sleeper.send(msgspec.msgpack.encode(Join(__version__, 60, View("SLEEPER"))))
        await until(lambda: reader.snapshot() is not None)
        awake = engine.made + 40
        await until(lambda: newest(reader).number >= awake)
        # Forty pictures on, the sleeper reads: a few from the buffers between, then news.
        numbers: list[int] = []
        async with asyncio.timeout(DEADLINE):
            while not numbers or numbers[-1] < awake:
                message = decoder.decode(await sleeper.recv(decode=False))
                if isinstance(message, Picture):
                    numbers.append(message.snapshot.number)
    assert len(numbers) < 10


async def test_a_viewer_joins_again_when_the_engine_was_restarted(
    path: Path, engine: Engine
) -> None:
    async with serving(path, engine) as first, watching(path, view=View("BTC/USDT")) as desk:
        await until(lambda: desk.snapshot() is not None)
        await first.close("operator asked")
        await until(lambda: not desk.connected)
        assert desk.failure == "disconnected: operator asked"
        assert desk.snapshot() is not None
        desk.send(View("ETH/USDT"))
        desk.send(Stop("goes nowhere"))
        successor = Engine()
        async with serving(path, successor):
            await until(lambda: desk.connected and newest(desk).market == "ETH/USDT")
            assert desk.failure == ""
            assert successor.told == []


async def test_a_viewer_that_left_says_so_and_keeps_its_last_snapshot(
    path: Path, engine: Engine
) -> None:
    async with serving(path, engine) as server:
        async with watching(path) as desk:
            await until(lambda: desk.snapshot() is not None)
        assert (desk.connected, desk.failure) == (False, "left the engine")
        assert desk.snapshot() is not None
        await until(lambda: server.viewers == 0)


async def test_a_defect_in_a_command_costs_its_answer_and_nothing_else(
    path: Path, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(path, engine):
        answer = await ask(path, Practice("okx", "gap"))
        assert answer == Answer(False, "the engine failed to answer, see its log")
        assert await ask(path, Stop("x")) == Answer(True, "done")
    assert "command_failed viewer=1" in caplog.text


async def test_one_look_is_one_snapshot(path: Path, engine: Engine) -> None:
    async with serving(path, engine) as server:
        seen = await look(path, View("ETH/USDT"))
        assert (seen.number, seen.market) == (1, "ETH/USDT")
        await until(lambda: server.viewers == 0)


async def test_an_answer_costs_no_snapshot(path: Path, engine: Engine) -> None:
    async with serving(path, engine):
        assert await ask(path, Stop("x")) == Answer(True, "done")
    assert engine.made == 0


async def test_a_viewer_waits_for_an_engine_that_starts(path: Path, engine: Engine) -> None:
    joining = asyncio.create_task(LinkDesk.connect(path, patience_s=DEADLINE))
    await asyncio.sleep(0)
    async with serving(path, engine):
        desk = await joining
        assert desk.connected
        await desk.close()


async def test_no_socket_file_says_that_no_engine_runs(path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        await LinkDesk.connect(path)
    assert str(caught.value) == f"{path}: no engine runs here"


def leave_stale(path: Path) -> None:
    """A socket file as a dead engine leaves it."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


async def test_a_socket_left_by_a_dead_engine_is_told_apart(path: Path) -> None:
    leave_stale(path)
    with pytest.raises(Unavailable) as caught:
        await look(path)
    assert str(caught.value) == f"{path}: the engine is gone and left its socket behind"


async def test_a_socket_of_another_user_is_told_apart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By substitution: for a test that runs as root no file is forbidden.
    def forbidden(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(link, "unix_connect", forbidden)
    with pytest.raises(Unavailable) as caught:
        await look(path)
    assert str(caught.value) == f"{path}: the engine belongs to another user"


async def test_what_is_no_engine_is_told_apart(path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n\r\n")
        writer.close()

    async with await asyncio.start_unix_server(silent, path):
        with pytest.raises(Unavailable) as caught:
            await look(path)
    assert str(caught.value) == f"{path}: what listens here is no hftmm engine"


@pytest.mark.parametrize("greeting", [b"\xc1", msgspec.msgpack.encode(Reply(1, Answer(True, "")))])
async def test_an_engine_that_does_not_greet_is_none(path: Path, greeting: bytes) -> None:
    async def odd(connection: ServerConnection) -> None:
        await connection.send(greeting)
        await connection.wait_closed()

    async with unix_serve(odd, str(path), compression=None):
        with pytest.raises(Unavailable, match="what listens here is no hftmm engine"):
            await look(path)


async def test_an_engine_of_another_version_is_told_by_both_versions(path: Path) -> None:
    async def older(connection: ServerConnection) -> None:
        await connection.send(msgspec.msgpack.encode(Hello("0.0.9")))
        await connection.wait_closed()

    async with unix_serve(older, str(path), compression=None):
        with pytest.raises(Unavailable) as caught:
            await LinkDesk.connect(path)
    assert str(caught.value) == (
        f"the engine is hftmm 0.0.9, this is {__version__}: restart the older one"
    )


async def test_an_engine_that_hangs_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_DEADLINE_S", 0.05)

    async def hangs(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with unix_serve(hangs, str(path), compression=None):
        with pytest.raises(Unavailable) as caught:
            await look(path)
    assert str(caught.value) == f"{path}: the engine does not answer"


async def test_an_engine_with_nothing_to_show_is_given_up(
    path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_DEADLINE_S", 0.05)
    engine.starting = True
    async with serving(path, engine):
        with pytest.raises(Unavailable, match="the engine does not answer"):
            await look(path)


async def closing_words(path: Path, *messages: bytes | str) -> str:
    """How the engine ends a connection that sends these messages."""
    async with unix_connect(str(path), compression=None) as connection:
        for message in messages:
            await connection.send(message)
        async with asyncio.timeout(DEADLINE):
            await connection.wait_closed()
        return f"{connection.close_code} {connection.close_reason}"


JOIN = msgspec.msgpack.encode(Join(__version__, 0, View()))


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([b"\xc1"], "4000 no hftmm terminal"),
        (["hello"], "4000 no hftmm terminal"),
        ([msgspec.msgpack.encode(Ask(1, Stop("x")))], "4000 no hftmm terminal"),
        (
            [msgspec.msgpack.encode(Join("0.0.9", 0, View()))],
            f"4001 engine is hftmm {__version__}",
        ),
        ([JOIN, b"\xc1"], "4000 message not understood"),
        ([JOIN, JOIN], "4000 message not understood"),
    ],
)
async def test_a_viewer_that_is_not_understood_is_told_and_sent_away(
    messages: list[bytes | str], words: str, path: Path, engine: Engine
) -> None:
    async with serving(path, engine) as server:
        assert await closing_words(path, *messages) == words
        await until(lambda: server.viewers == 0)
        assert await ask(path, Stop("still here")) == Answer(True, "done")


async def test_a_socket_left_by_a_dead_engine_is_taken_over(path: Path, engine: Engine) -> None:
    leave_stale(path)
    async with serving(path, engine):
        assert (await look(path)).number == 1
    assert mode(path) is None


async def test_a_second_engine_is_refused_and_the_first_goes_on(path: Path, engine: Engine) -> None:
    async with serving(path, engine):
        second = LinkServer(path, engine.make_snapshot, engine.on_command)
        with pytest.raises(Unavailable) as caught:
            await second.start()
        await second.close()
        assert str(caught.value) == (
            f"{path}: an engine runs here already; `hftmm attach` opens it, and another "
            "engine.state_dir makes room for a second"
        )
        assert (await look(path)).number == 1


async def test_a_socket_at_which_somebody_else_answers_is_not_taken(
    path: Path, engine: Engine
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(Unavailable, match="an engine runs here already"):
            await LinkServer(path, engine.make_snapshot, engine.on_command).start()
    assert mode(path) is not None


async def test_an_engine_that_is_not_understood_is_told(path: Path) -> None:
    async def garbles(connection: ServerConnection) -> None:
        await connection.send(msgspec.msgpack.encode(Hello(__version__)))
        await connection.send(b"\xc1")
        await connection.wait_closed()

    async with unix_serve(garbles, str(path), compression=None):
        with pytest.raises(Unavailable, match="message not understood"):
            await look(path)
        async with watching(path) as desk:
            await until(lambda: not desk.connected)
            assert desk.failure.startswith(f"{path}: message not understood")


async def test_an_engine_that_stops_before_it_answers_says_so(path: Path) -> None:
    async def stops(connection: ServerConnection) -> None:
        await connection.send(msgspec.msgpack.encode(Hello(__version__)))
        await connection.recv()
        await connection.close(1001, "engine stopped")

    async with unix_serve(stops, str(path), compression=None):
        with pytest.raises(Unavailable) as caught:
            await ask(path, Stop("x"))
    assert str(caught.value) == f"{path}: disconnected: engine stopped"


async def test_a_server_that_cannot_listen_gives_the_socket_back(
    path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(link, "unix_serve", fails)
        with pytest.raises(RuntimeError):
            await LinkServer(path, engine.make_snapshot, engine.on_command).start()
    async with serving(path, engine):
        assert (await look(path)).number == 1


def test_a_socket_that_is_too_busy_to_accept_counts_as_taken(path: Path) -> None:
    with ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(0)
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect(str(path))
        with pytest.raises(Unavailable, match="an engine runs here already"):
            claim(path)


def test_a_path_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 108)
    with pytest.raises(Unavailable) as caught:
        claim(path)
    assert str(caught.value) == f"{path}: AF_UNIX path too long"


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(Unavailable, match="is in the way, and is no socket"):
        claim(path)
    assert path.read_text() == "mine"


async def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "none" / "engine.sock"
    with pytest.raises(Unavailable) as caught:
        await LinkServer(path, engine.make_snapshot, engine.on_command).start()
    assert str(caught.value) == f"{path}: No such file or directory"
