from __future__ import annotations

import gzip
import json
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.errors import CaptureError
from hftmm.storage.captures import CapturedFrame, CaptureWriter, read
from tests.recordings import FOLDER, recording

Json: TypeAlias = bool | int | str | list["Json"] | dict[str, "Json"] | None

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ROUTES = st.sampled_from(["spot.public", "linear.public", "public", "linear.private"])
FRAMES = st.lists(
    st.tuples(st.integers(0, 2**63 - 1), st.sampled_from(["binance", "bybit", "okx"]), ROUTES, JSON)
)


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(FRAMES, st.sampled_from([None, 2]), st.sampled_from(["c.txt", "c.txt.gz"]))
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    frames: list[tuple[int, str, str, Json]],
    indent: int | None,
    name: str,
) -> None:
    path = tmp_path_factory.mktemp("capture") / name
    with CaptureWriter(path) as writer:
        for ns, venue, route, value in frames:
            writer.write(ns, venue, route, json.dumps(value, indent=indent).encode())
    again = [(f.received_ns, f.venue, f.route, json.loads(f.body)) for f in read(path)]
    assert again == frames
    assert writer.frames == len(frames)
    assert writer.failure == ""


@given(JSON, st.sampled_from([None, 2]))
def test_a_rest_answer_keeps_its_url_and_body(
    tmp_path_factory: pytest.TempPathFactory, value: Json, indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("capture") / "c.txt"
    url = 'https://x.test/depth?symbol="ä"&limit=5'
    with CaptureWriter(path) as writer:
        writer.write_rest(1, "okx", "rest", url, json.dumps(value, indent=indent).encode())
    (frame,) = read(path)
    assert frame.is_rest
    again, body = frame.rest()
    assert (again, json.loads(body)) == (url, value)


def test_a_rest_answer_that_is_not_json_is_kept_as_a_string(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "c.txt") as writer:
        writer.write_rest(1, "bybit", "rest", "https://x.test/", b"<html>\n\xff</html>")
    (frame,) = read(writer.path)
    assert json.loads(frame.rest()[1]) == "<html>\n\ufffd</html>"


def test_a_frame_of_bare_text_is_kept_as_it_is(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "c.txt") as writer:
        writer.write(5, "okx", "public", b"pong")
    assert list(read(writer.path)) == [CapturedFrame(5, "okx", "public", b"pong")]


def test_a_frame_that_is_no_rest_answer_says_so() -> None:
    frame = CapturedFrame(5, "okx", "public", b'{"event":"subscribe"}')
    assert not frame.is_rest
    with pytest.raises(CaptureError, match="okx public: no REST answer"):
        frame.rest()


def test_line_ends_of_other_systems_are_understood(tmp_path: Path) -> None:
    path = written(tmp_path / "c.txt", "1 okx public {}\r\n2 okx public []")
    assert [frame.body for frame in read(path)] == [b"{}", b"[]"]


GOOD = "1 okx public {}\n"
SHAPE = "not a line of a capture: RECV_NS VENUE ROUTE JSON"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\n", SHAPE),
        ("2 okx public\n", SHAPE),
        ("2 okx public \n", SHAPE),
        ("2  public {}\n", SHAPE),
        ("x okx public {}\n", SHAPE),
        ("-2 okx public {}\n", SHAPE),
        ("2 kraken public {}\n", "unknown venue kraken: one of binance, bybit, okx"),
    ],
)
def test_a_wrong_line_is_named_after_the_good_ones_were_read(
    line: str, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "c.txt", GOOD + line)
    frames = read(path)
    assert next(frames).body == b"{}"
    with pytest.raises(CaptureError) as caught:
        next(frames)
    assert str(caught.value) == f"{path}:2: {message}"


@pytest.mark.parametrize("body", ["{}", '{"rest": 5, "body": 1}', '{"rest": "u"', "pong"])
def test_a_rest_line_that_is_no_rest_answer_is_a_wrong_line(body: str, tmp_path: Path) -> None:
    path = written(tmp_path / "c.txt", f"{GOOD}2 binance spot.rest {body}\n")
    with pytest.raises(CaptureError, match=r"c\.txt:2: binance spot\.rest: no REST answer: "):
        list(read(path))


def test_a_registered_fourth_venue_is_known(tmp_path: Path) -> None:
    path = written(tmp_path / "c.txt", "2 kraken public {}\n")
    (frame,) = read(path, venues=("kraken",))
    assert frame.venue == "kraken"


def test_a_gzip_file_that_was_cut_off_yields_what_it_holds_and_then_says_so(
    tmp_path: Path,
) -> None:
    whole = gzip.compress(b"".join(b"%d okx public {}\n" % ns for ns in range(1_000)))
    path = written(tmp_path / "c.txt.gz", whole[:-9])
    frames: list[CapturedFrame] = []
    with pytest.raises(CaptureError) as caught:
        frames.extend(read(path))
    assert str(caught.value) == f"{path}:{len(frames) + 1}: the gzip file is cut off here"


def test_a_file_that_is_only_named_gzip_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "c.txt.gz", GOOD)
    with pytest.raises(CaptureError, match=r"c\.txt\.gz:1: not gzip from here on"):
        list(read(path))


def test_a_damaged_gzip_file_says_from_where(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(GOOD.encode() * 1_000))
    content[14:20] = b"\xff" * 6
    path = written(tmp_path / "c.txt.gz", bytes(content))
    with pytest.raises(CaptureError, match=r"c\.txt\.gz:\d+: not gzip from here on"):
        list(read(path))


def test_a_missing_capture_says_so(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    with pytest.raises(CaptureError) as caught:
        list(read(path))
    assert str(caught.value) == f"{path}:1: No such file or directory"


def test_an_existing_capture_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "c.txt.gz"
    for ns in (1, 2, 3):
        with CaptureWriter(path) as writer:
            writer.write(ns, "okx", "public", b"{}")
    names = ["c-2.txt.gz", "c-3.txt.gz", "c.txt.gz"]
    assert sorted(found.name for found in tmp_path.iterdir()) == names
    assert [next(read(tmp_path / name)).received_ns for name in names] == [2, 3, 1]


def test_a_capture_that_cannot_be_created_says_so(tmp_path: Path) -> None:
    written(tmp_path / "file", "")
    with pytest.raises(CaptureError) as caught:
        CaptureWriter(tmp_path / "file" / "c.txt")
    assert str(caught.value) == f"{tmp_path}/file/c.txt:1: File exists"


def test_the_folder_of_a_capture_is_made(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / "a" / "c.txt") as writer:
        writer.write(1, "okx", "public", b"{}")
    assert len(list(read(tmp_path / "a" / "c.txt"))) == 1


@pytest.mark.parametrize("name", ["c.txt", "c.txt.gz"])
def test_an_error_of_the_caller_still_completes_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with suppress(KeyError), CaptureWriter(path) as writer:
        writer.write(1, "okx", "public", b"{}")
        raise KeyError
    assert len(list(read(path))) == 1


def test_frames_after_close_are_not_taken(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c.txt")
    writer.close()
    writer.write(1, "okx", "public", b"{}")
    writer.close()
    assert (writer.frames, list(read(writer.path))) == (0, [])


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files of this process cannot grow beyond a few blocks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["c.txt", "c.txt.gz"])
def test_a_full_disk_ends_the_recording_with_a_reason_and_nothing_else(
    name: str, tmp_path: Path, full_disk: None
) -> None:
    writer = CaptureWriter(tmp_path / name)
    frame = json.dumps([str(number * 7919 % 10007) for number in range(9_000)]).encode()
    for ns in range(20):
        writer.write(ns, "okx", "public", frame)
    writer.close()
    assert writer.failure == f"{writer.path}: File too large, recording stopped"
    taken = writer.frames
    writer.write(1, "okx", "public", b"{}")
    writer.flush()
    assert writer.frames == taken


def test_a_disk_that_falls_behind_ends_the_recording_and_not_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hftmm.storage.captures._BACKLOG_LIMIT", -1)
    writer = CaptureWriter(tmp_path / "c.txt")
    writer.write(1, "okx", "public", b"{}")
    writer.flush()
    writer.close()
    assert writer.failure == f"{writer.path}: the disk is too slow, recording stopped"


@pytest.mark.parametrize(
    ("name", "frames", "rest"),
    [
        ("binance_linear_4symbols_20210722.txt.gz", 1_540, 5),
        ("bybit_linear_XRPUSDT_20241201.txt.gz", 50, 0),
        ("okx_3instruments_checksums_20220513.txt.gz", 425, 15),
    ],
)
def test_a_recording_is_read_whole_and_written_as_it_was(
    name: str, frames: int, rest: int, tmp_path: Path
) -> None:
    path = recording(name)
    found = list(read(path))
    assert (len(found), sum(frame.is_rest for frame in found)) == (frames, rest)
    with CaptureWriter(tmp_path / "again.txt") as writer:
        for frame in found:
            writer.write(frame.received_ns, frame.venue, frame.route, frame.body)
    assert writer.path.read_bytes() == gzip.decompress((FOLDER / name).read_bytes())
