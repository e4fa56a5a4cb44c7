"""The Desk link: an engine's snapshots and commands over a Unix socket.

A WebSocket with msgpack messages, mode 0600. The engine says `Hello` at once; a viewer says `Join`
and from then on gets a `Picture` at its own rate, always the newest: one that reads slowly skips
pictures, it never makes the engine keep any. Each viewer has a `View` of its own. Needs a platform
with Unix sockets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from hftmm import __version__
from hftmm.core.errors import Unavailable
from hftmm.desk.commands import Answer, Command, View
from hftmm.desk.snapshot import DeskSnapshot
from hftmm.transport.socket_file import SocketFile, claim

MakeSnapshot: TypeAlias = Callable[[View], DeskSnapshot | None]
OnCommand: TypeAlias = Callable[[int, Command], Answer]

log = logging.getLogger(__name__)

_MESSAGE_LIMIT = 16 * 1024 * 1024
_DEADLINE_S = 5.0
_CLOSE_S = 1.0
_LAST_PICTURE_S = 0.5
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0
_MOST_FRAMES_PER_S = 60.0
# Close codes from the range that RFC 6455 leaves to applications.
_NOT_UNDERSTOOD = 4000
_OTHER_VERSION = 4001
_PROGRAM_ERROR = "the engine failed to answer, see its log"


class Join(msgspec.Struct, frozen=True, tag="join"):
    """A viewer's first message; 0 frames a second asks for answers only."""

    version: str
    frames_per_s: float
    view: View


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A command; its `Reply` has the same number."""

    number: int
    command: Command


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The engine's first message. Its shape never changes, so that versions can be told."""

    version: str


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """The newest snapshot, made for this viewer."""

    snapshot: DeskSnapshot


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """What became of an `Ask`."""

    number: int
    answer: Answer


FromViewer: TypeAlias = Join | Ask
FromEngine: TypeAlias = Hello | Picture | Reply

_Message = TypeVar("_Message", Picture, Reply)

_encode = msgspec.msgpack.Encoder().encode
_from_viewer: msgspec.msgpack.Decoder[FromViewer] = msgspec.msgpack.Decoder(FromViewer)
_from_engine: msgspec.msgpack.Decoder[FromEngine] = msgspec.msgpack.Decoder(FromEngine)


class _Viewer:
    """One connected viewer."""

    def __init__(self, number: int, join: Join) -> None:
        self.number = number
        self.view = join.view
        self.frames_per_s = min(join.frames_per_s, _MOST_FRAMES_PER_S)
        self.looks_elsewhere = asyncio.Event()
        self.shown_all = asyncio.Event()


class LinkServer:
    """The engine's side: serves every viewer that comes."""

    def __init__(self, path: Path, make_snapshot: MakeSnapshot, on_command: OnCommand) -> None:
        """
        Args:
            make_snapshot: called for each viewer at its rate, with any view a viewer may think
                of; None while there is nothing to show.
            on_command: called with the viewer's number; a `View` it accepts becomes the viewer's.
        """
        self._path = path
        self._make_snapshot = make_snapshot
        self._on_command = on_command
        self._numbers = count(1)
        self._viewers: set[_Viewer] = set()
        self._server: Server | None = None
        self._closing = False
        self._claimed: SocketFile | None = None

    @property
    def viewers(self) -> int:
        """How many viewers are connected."""
        return len(self._viewers)

    async def start(self) -> None:
        """Takes the socket, also from an engine that died, never from one that lives.

        Raises:
            Unavailable: another engine has it, or it cannot be made.
        """
        claimed = claim(self._path)
        try:
            self._server = await unix_serve(
                self._serve,
                sock=claimed.listening,
                compression=None,
                max_size=_MESSAGE_LIMIT,
                close_timeout=_CLOSE_S,
            )
        except BaseException:
            claimed.release()
            raise
        self._claimed = claimed

    async def close(self, reason: str = "engine stopped") -> None:
        """Shows the viewers the last picture, tells them why, and takes the socket away."""
        self._closing = True
        viewers = [*self._viewers]
        for viewer in viewers:
            viewer.looks_elsewhere.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_PICTURE_S):
                for viewer in viewers:
                    await viewer.shown_all.wait()
        if self._server is not None:
            self._server.close(reason=reason)
            await self._server.wait_closed()
            self._server = None
        if self._claimed is not None:
            self._claimed.release()
            self._claimed = None

    async def _serve(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await connection.send(_encode(Hello(__version__)))
            viewer = await self._joined(connection)
            if viewer is None:
                return
            self._viewers.add(viewer)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._pictures(connection, viewer))
                    tasks.create_task(self._commands(connection, viewer))
            except* ConnectionClosed:
                pass
            finally:
                self._viewers.discard(viewer)
                viewer.shown_all.set()

    async def _joined(self, connection: ServerConnection) -> _Viewer | None:
        """The viewer behind a connection, or None after it was sent away."""
        try:
            async with asyncio.timeout(_DEADLINE_S):
                message = await connection.recv(decode=False)
            join = _from_viewer.decode(message)
        except (TimeoutError, msgspec.DecodeError):
            join = None
        if not isinstance(join, Join):
            await connection.close(_NOT_UNDERSTOOD, "no hftmm terminal")
            return None
        if join.version != __version__:
            await connection.close(_OTHER_VERSION, f"engine is hftmm {__version__}")
            return None
        return _Viewer(next(self._numbers), join)

    async def _pictures(self, connection: ServerConnection, viewer: _Viewer) -> None:
        if viewer.frames_per_s <= 0:
            viewer.shown_all.set()
            return
        while True:
            last = self._closing
            snapshot = self._make_snapshot(viewer.view)
            if snapshot is not None:
                # Waits while the viewer is behind; the next snapshot is made only after that.
                await connection.send(_encode(Picture(snapshot)))
            if last:
                viewer.shown_all.set()
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(1 / viewer.frames_per_s):
                    await viewer.looks_elsewhere.wait()
            viewer.looks_elsewhere.clear()

    async def _commands(self, connection: ServerConnection, viewer: _Viewer) -> None:
        while True:
            try:
                ask = _from_viewer.decode(await connection.recv(decode=False))
            except msgspec.DecodeError as error:
                log.warning("link_message_not_understood viewer=%d error=%s", viewer.number, error)
                ask = None
            if not isinstance(ask, Ask):
                await connection.close(_NOT_UNDERSTOOD, "message not understood")
                continue
            answer = self._answered(viewer, ask.command)
            if answer.accepted and isinstance(ask.command, View):
                viewer.view = ask.command
                viewer.looks_elsewhere.set()
            await connection.send(_encode(Reply(ask.number, answer)))

    def _answered(self, viewer: _Viewer, command: Command) -> Answer:
        try:
            return self._on_command(viewer.number, command)
        except Exception:
            # A defect in one command must not cost the viewer its picture of the market.
            log.exception("command_failed viewer=%d command=%r", viewer.number, command)
            return Answer(False, _PROGRAM_ERROR)


class LinkDesk:
    """The viewer's side: a `Desk` that stays with its engine over restarts.

    Lives in the event loop it was connected in, which is the app's own.
    """

    def __init__(self, path: Path, frames_per_s: float, view: View) -> None:
        self._path = path
        self._frames_per_s = frames_per_s
        self._view = view
        self._snapshot: DeskSnapshot | None = None
        self._failure = ""
        self._outbox: asyncio.Queue[Command] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls,
        path: Path,
        *,
        frames_per_s: float = 10,
        view: View | None = None,
        patience_s: float = 0.0,
    ) -> LinkDesk:
        """Joins the engine at a socket, and from then on joins it again whenever it was gone.

        Args:
            patience_s: how long to try while no engine answers yet.

        Raises:
            Unavailable: none answers; one line says what was found instead.
        """
        desk = cls(path, frames_per_s, view or View())
        loop = asyncio.get_running_loop()
        give_up = loop.time() + patience_s
        while True:
            try:
                connection = await _join(path, desk._frames_per_s, desk._view)
                break
            except Unavailable:
                if loop.time() + _FIRST_RETRY_S > give_up:
                    raise
                await asyncio.sleep(_FIRST_RETRY_S)
        desk._task = asyncio.create_task(desk._stay(connection), name="desk link")
        return desk

    def snapshot(self) -> DeskSnapshot | None:
        return self._snapshot

    def send(self, command: Command) -> None:
        """Passes a command on; while the engine is gone only a `View` is kept for its return."""
        if isinstance(command, View):
            self._view = command
        if self.connected:
            self._outbox.put_nowait(command)

    @property
    def connected(self) -> bool:
        return not self._failure

    @property
    def failure(self) -> str:
        return self._failure

    async def close(self) -> None:
        """Leaves the engine; the last snapshot stays."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            self._failure = self._failure or "left the engine"

    async def _stay(self, connection: ClientConnection) -> None:
        while True:
            await self._converse(connection)
            retry_s = _FIRST_RETRY_S
            while self._failure:
                await asyncio.sleep(retry_s)
                try:
                    connection = await _join(self._path, self._frames_per_s, self._view)
                    # What was meant for the engine that is gone is not for this one.
                    self._outbox = asyncio.Queue()
                    self._failure = ""
                except Unavailable as error:
                    # While nobody is there, why the last engine went is the better news.
                    if not isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
                        self._failure = str(error)
                    retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    async def _converse(self, connection: ClientConnection) -> None:
        """Until the connection ends, which `failure` then explains."""
        try:
            async with connection, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(connection))
                tasks.create_task(self._speak(connection))
        except* ConnectionClosed:
            self._failure = _farewell(connection)
        except* msgspec.DecodeError as errors:
            self._failure = f"{self._path}: message not understood: {errors.exceptions[0]}"

    async def _watch(self, connection: ClientConnection) -> None:
        while True:
            message = _from_engine.decode(await connection.recv(decode=False))
            # Replies are not waited for: what became of a command shows in the log.
            if isinstance(message, Picture):
                self._snapshot = message.snapshot

    async def _speak(self, connection: ClientConnection) -> None:
        for number in count(1):
            await connection.send(_encode(Ask(number, await self._outbox.get())))


async def look(path: Path, view: View | None = None) -> DeskSnapshot:
    """One snapshot of the engine at a socket.

    Raises:
        Unavailable: no engine answers, or it has nothing to show in time.
    """
    connection = await _join(path, 1, view or View())
    message = await _awaited(connection, Picture, path)
    return message.snapshot


async def ask(path: Path, command: Command) -> Answer:
    """Sends one command to the engine at a socket; its answer.

    Raises:
        Unavailable: no engine answers in time.
    """
    connection = await _join(path, 0, View())
    with suppress(ConnectionClosed):
        await connection.send(_encode(Ask(1, command)))
    message = await _awaited(connection, Reply, path)
    return message.answer


async def _awaited(connection: ClientConnection, kind: type[_Message], path: Path) -> _Message:
    """The first message of a kind; the connection is closed after it."""
    try:
        async with asyncio.timeout(_DEADLINE_S), connection:
            while True:
                message = _from_engine.decode(await connection.recv(decode=False))
                if isinstance(message, kind):
                    return message
    except ConnectionClosed as error:
        raise Unavailable(f"{path}: {_farewell(connection)}") from error
    except TimeoutError as error:
        raise Unavailable(f"{path}: the engine does not answer") from error
    except msgspec.DecodeError as error:
        raise Unavailable(f"{path}: message not understood: {error}") from error


async def _join(path: Path, frames_per_s: float, view: View) -> ClientConnection:
    """A connection to the engine at a socket, past the greetings.

    Raises:
        Unavailable: none, or not ours; one line.
    """
    try:
        async with asyncio.timeout(_DEADLINE_S):
            connection = await unix_connect(
                str(path),
                compression=None,
                max_size=_MESSAGE_LIMIT,
                close_timeout=_CLOSE_S,
                # No proxy leads to a file.
                proxy=None,
            )
            try:
                await connection.send(_encode(Join(__version__, frames_per_s, view)))
                hello = _from_engine.decode(await connection.recv(decode=False))
                _check_version(hello)
            except BaseException:
                await connection.close()
                raise
            return connection
    except FileNotFoundError as error:
        raise Unavailable(f"{path}: no engine runs here") from error
    except ConnectionRefusedError as error:
        raise Unavailable(f"{path}: the engine is gone and left its socket behind") from error
    except PermissionError as error:
        raise Unavailable(f"{path}: the engine belongs to another user") from error
    except TimeoutError as error:
        raise Unavailable(f"{path}: the engine does not answer") from error
    except (OSError, WebSocketException, msgspec.DecodeError) as error:
        raise Unavailable(f"{path}: what listens here is no hftmm engine") from error


def _check_version(hello: FromEngine) -> None:
    if not isinstance(hello, Hello):
        raise msgspec.DecodeError("no greeting")
    if hello.version != __version__:
        raise Unavailable(
            f"the engine is hftmm {hello.version}, this is {__version__}: restart the older one"
        )


def _farewell(connection: ClientConnection) -> str:
    """Why the engine ended a connection."""
    reason = connection.close_reason
    return f"disconnected: {reason}" if reason else "disconnected: the engine is gone"
