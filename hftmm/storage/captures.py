"""Captures: every received frame as one text line, `RECV_NS VENUE ROUTE JSON`.

ROUTE names the connection (`linear.public`, `spot.rest`, ...); a REST answer is the JSON object
`{"rest": URL, "body": ...}`. A file whose name ends in .gz is gzip.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, TypeAlias, cast

import msgspec

from hftmm.config import VENUES
from hftmm.core.errors import CaptureError

_CHUNK = 64 * 1024
_BACKLOG_LIMIT = 64 * 1024 * 1024
# Level 1 of zlib keeps up with any feed and still takes four fifths off a depth stream.
_COMPRESSION = 1


class _RestAnswer(msgspec.Struct):
    rest: str
    body: msgspec.Raw


_REST_ANSWER = msgspec.json.Decoder(_RestAnswer)


class CapturedFrame(msgspec.Struct, frozen=True, gc=False):
    """One line of a capture.

    Attributes:
        body: the frame as received; of a REST answer the object that wraps it, see `rest`.
    """

    received_ns: int
    venue: str
    route: str
    body: bytes

    @property
    def is_rest(self) -> bool:
        return self.route.endswith("rest")

    def rest(self) -> tuple[str, bytes]:
        """URL and body of a REST answer.

        Raises:
            CaptureError: it is none.
        """
        try:
            answer = _REST_ANSWER.decode(self.body)
        except msgspec.DecodeError as error:
            raise CaptureError(f"{self.venue} {self.route}: no REST answer: {error}") from error
        return answer.rest, bytes(answer.body)


def read(path: Path, venues: Collection[str] = VENUES) -> Iterator[CapturedFrame]:
    """The frames of a capture, in the order they stand in the file.

    Raises:
        CaptureError: the file cannot be read, or a line is none of a capture; what came before it
            has been yielded.
    """
    known = {name.encode(): name for name in venues}
    routes: dict[bytes, str] = {}
    number = 0
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, 1):
                fields = line.rstrip(b"\r\n").split(b" ", 3)
                if len(fields) != 4 or not all(fields) or not fields[0].isdigit():
                    raise CaptureError(
                        f"{path}:{number}: not a line of a capture: RECV_NS VENUE ROUTE JSON"
                    )
                stamp, name, way, body = fields
                venue = known.get(name)
                if venue is None:
                    raise CaptureError(
                        f"{path}:{number}: unknown venue {_text(name)}: one of {', '.join(venues)}"
                    )
                route = routes.get(way)
                if route is None:
                    route = routes[way] = _text(way)
                frame = CapturedFrame(int(stamp), venue, route, body)
                if frame.is_rest:
                    _check_rest(frame, path, number)
                yield frame
    except EOFError:
        raise CaptureError(f"{path}:{number + 1}: the gzip file is cut off here") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CaptureError(f"{path}:{number + 1}: not gzip from here on: {error}") from error
    except OSError as error:
        raise CaptureError(f"{path}:{number + 1}: {error.strerror or error}") from error


class CaptureWriter:
    """Records frames into a new file, from a thread of its own.

    The caller only appends to memory; compression and the disk are the thread's. When the disk
    fails or falls behind, recording ends with a reason in `failure` and the caller goes on.
    """

    def __init__(self, path: Path) -> None:
        """Creates the file. An existing capture is never overwritten: the next free of FILE,
        FILE-2, FILE-3, ... is taken; `path` tells which.

        Raises:
            CaptureError: it cannot be created.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path, raw = _created(path)
        except OSError as error:
            raise CaptureError(f"{path}:1: {error.strerror or error}") from error
        self.failure = ""
        """Why recording ended early, one line; "" while all is well."""
        self.frames = 0
        """Frames taken."""
        self._chunk = bytearray()
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        # Handed over and written are each counted by one thread only, so they need no lock.
        self._handed_over = 0
        self._written = 0
        self._closed = False
        self._thread = threading.Thread(
            target=self._drain, args=(raw,), name="capture", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, received_ns: int, venue: str, route: str, body: bytes) -> None:
        """Takes one frame.

        Args:
            body: JSON, or a venue's bare text such as `pong`. Line breaks become spaces: in JSON
                they can only be white space.
        """
        if self.failure or self._closed:
            return
        if b"\n" in body or b"\r" in body:
            body = body.replace(b"\r", b" ").replace(b"\n", b" ")
        self._chunk += b"%d %b %b %b\n" % (received_ns, venue.encode(), route.encode(), body)
        self.frames += 1
        if len(self._chunk) >= _CHUNK:
            self.flush()

    def write_rest(self, received_ns: int, venue: str, route: str, url: str, body: bytes) -> None:
        """Takes one REST answer; a body that is not JSON is kept as a JSON string.

        Args:
            url: as requested, without credentials.
        """
        try:
            msgspec.json.decode(body)
        except msgspec.DecodeError:
            body = msgspec.json.encode(body.decode(errors="replace"))
        answer = msgspec.json.encode(_RestAnswer(url, msgspec.Raw(body)))
        self.write(received_ns, venue, route, answer)

    def flush(self) -> None:
        """Hands what was taken so far to the disk; call it once a second. Does not wait."""
        if self.failure or not self._chunk:
            return
        if self._handed_over - self._written > _BACKLOG_LIMIT:
            self.failure = f"{self.path}: the disk is too slow, recording stopped"
            self._chunk.clear()
            return
        self._handed_over += len(self._chunk)
        self._chunks.put(bytes(self._chunk))
        self._chunk.clear()

    def close(self) -> None:
        """Writes what is left and completes the file; waits for the disk. May be called again."""
        if not self._closed:
            self.flush()
            self._closed = True
            self._chunks.put(None)
        self._thread.join()

    def _drain(self, raw: IO[bytes]) -> None:
        """The thread: writes chunks until None; after a failure it only discards them."""
        try:
            with raw, _compressed(raw, self.path) as file:
                while (chunk := self._chunks.get()) is not None:
                    file.write(chunk)
                    # Through to the disk, so that a crash costs a second and not a recording.
                    file.flush()
                    raw.flush()
                    self._written += len(chunk)
        except OSError as error:
            self.failure = f"{self.path}: {error.strerror or error}, recording stopped"


_File: TypeAlias = IO[bytes]


def _opened(path: Path) -> _File:
    return cast("_File", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _created(path: Path) -> tuple[Path, _File]:
    """A new file under the first name that is free."""
    stem, dot, endings = path.name.partition(".")
    number, candidate = 1, path
    while True:
        try:
            return candidate, candidate.open("xb")
        except FileExistsError:
            number += 1
            candidate = path.with_name(f"{stem}-{number}{dot}{endings}")


def _compressed(raw: _File, path: Path) -> _File:
    if path.suffix != ".gz":
        return raw
    return cast("_File", gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0))


def _check_rest(frame: CapturedFrame, path: Path, number: int) -> None:
    try:
        frame.rest()
    except CaptureError as error:
        raise CaptureError(f"{path}:{number}: {error}") from error


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
