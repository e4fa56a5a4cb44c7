"""The command line from outside: what it says, how it ends, and what it leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hftmm import __version__, cli
from hftmm.assembly import practice
from hftmm.assembly.choice import Choice
from hftmm.assembly.output import BACKLOG, StatusLines
from hftmm.core.errors import ConfigError
from tests.processes import Home, Piped, children, gone, until

QUICK = """
[engine]
status_every_s = 0.1
[markets]
symbols = ["BTC/USDT:USDT", "BTC/USDT"]
"""
CLOSED = """
[venues.binance.hosts]
"spot.rest" = "http://127.0.0.1:9"
"spot.stream" = "ws://127.0.0.1:9"
"linear.rest" = "http://127.0.0.1:9"
"linear.stream" = "ws://127.0.0.1:9"
[venues.bybit.hosts]
rest = "http://127.0.0.1:9"
public_spot = "ws://127.0.0.1:9"
public_linear = "ws://127.0.0.1:9"
[venues.okx.hosts]
rest = "http://127.0.0.1:9"
public = "ws://127.0.0.1:9"
"""
"""Every host that is ever contacted, on a port where nobody listens."""


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.made(tmp_path_factory.mktemp("h"), QUICK)


@pytest.fixture(scope="module")
def engine_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.made(tmp_path_factory.mktemp("e"), QUICK)


@pytest.fixture(scope="module")
def engine(engine_home: Home) -> Iterator[Piped]:
    """An engine that runs for all the tests that only look at one."""
    with engine_home.started("--headless") as running:
        running.armed()
        yield running


# Usage, in this process: nothing is started


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("HFTMM_LIVE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as end:
        cli.main([*words])
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, captured.out, captured.err


RUN_OPTIONS = (
    "--config, --mode, --headless, --inline, --duration, --seed, --venues, --socket, --only"
)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--bogus", f"unknown option --bogus, allowed: {RUN_OPTIONS}"),
        ("run --no-headless", f"unknown option --no-headless, allowed: {RUN_OPTIONS}"),
        (
            "replay --bogus=3 x",
            "unknown option --bogus, allowed: --json, --depth, --speed, --config",
        ),
        (
            "frobnicate",
            "unknown command 'frobnicate', allowed: run, attach, status, kill, venues, replay,"
            " record, check, strategy, halt, resume, rearm, order, cancel, set, parameters, accept,"
            " fault, stop, drill",
        ),
        ("run now", "run takes no 'now'; see hftmm run --help"),
        (
            "--mode real",
            'invalid value "real" for --mode. Choose from: "sim", "paper", "demo", "live";'
            " see hftmm --help",
        ),
        (
            "--duration soon",
            'invalid value for --duration: unable to convert "soon" into float; see hftmm --help',
        ),
        ("--duration 0", 'invalid value "0.0" for --duration. Must be > 0; see hftmm --help'),
        (
            "venues --control-port 70000",
            'invalid value "70000" for --control-port. Must be <= 65535; see hftmm venues --help',
        ),
        (
            "replay x --speed 0",
            'invalid value "0.0" for --speed. Must be > 0; see hftmm replay --help',
        ),
        ("record", 'command "record" parameter FILE requires an argument; see hftmm record --help'),
        ("replay", "replay: name at least one capture"),
        (
            "--headless --inline",
            "--headless and --inline exclude each other: inline is about the screen",
        ),
        ("--headless --venues nowhere.json", "--venues nowhere.json: No such file or directory"),
        (
            "--mode paper --venues x.json",
            "--venues is for --mode sim only, the mode is paper",
        ),
        (
            "--mode live",
            "--mode live without a terminal wants HFTMM_LIVE=yes in the environment",
        ),
        (
            "attach",
            "no terminal on standard output: `hftmm status` tells about an engine without one",
        ),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_is_allowed(
    alone: Path, capsys: pytest.CaptureFixture[str], words: str, line: str
) -> None:
    assert said(capsys, *words.split()) == (2, "", f"hftmm: {line}\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "--seed -1",
            "command line: practice.seed: is -1, allowed: a whole number from 0 to 4_294_967_295",
        ),
        (
            "--config nowhere.toml",
            "nowhere.toml:1: file: No such file or directory, allowed: a TOML file that can be"
            " read",
        ),
    ],
)
def test_what_is_wrong_with_a_config_is_told_as_an_editor_can_follow_it(
    alone: Path, capsys: pytest.CaptureFixture[str], words: str, line: str
) -> None:
    assert said(capsys, *words.split()) == (2, "", f"{line}\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("status", "{home}/hftmm/engine.sock: no engine runs here"),
        ("status elsewhere.sock", "{home}/elsewhere.sock: no engine runs here"),
        ("replay --json nowhere.txt", "nowhere.txt:1: No such file or directory"),
        (
            "replay --json broken.txt",
            "broken.txt:1: not a line of a capture: RECV_NS VENUE ROUTE JSON",
        ),
        (
            "replay --json quiet.txt",
            "nothing in the capture is a market data stream that hftmm knows",
        ),
        ("run --headless --config narrow.toml", "state folder broken.txt/x: Not a directory;"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_fails(
    alone: Path, capsys: pytest.CaptureFixture[str], words: str, line: str
) -> None:
    (alone / "broken.txt").write_text("what is this\n")
    (alone / "quiet.txt").write_text('1 okx public {"event":"subscribe"}\n')
    (alone / "narrow.toml").write_text('[engine]\nstate_dir = "broken.txt/x"\n')
    code, out, err = said(capsys, *words.split())
    assert (code, out) == (1, "")
    assert err.startswith(f"hftmm: {line.format(home=alone)}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[venues.okx.hosts]\npublik = "ws://127.0.0.1:1"',
            '2: venues.okx.hosts.publik: unknown host (did you mean "public"?), allowed: rest,',
        ),
        (
            '[venues.binance.hosts]\n"linear.ws" = "ws://127.0.0.1:1"',
            "2: venues.binance.hosts.linear.ws: unknown host",
        ),
        (
            '[venues.binance.hosts]\nspot.rest = "http://127.0.0.1:1"\nspot.wsx = "ws://a:1"',
            "3: venues.binance.hosts.spot.wsx: unknown host",
        ),
        (
            '[terminal.keys]\n\nfreze = "f9"',
            '3: terminal.keys.freze: unknown action (did you mean "freeze"?), allowed: strat',
        ),
        (
            '[terminal]\ntheme = "pink"',
            '2: terminal.theme: no theme "pink", allowed: amber, colourblind, dark, light',
        ),
    ],
)
def test_a_name_that_nobody_knows_is_refused_with_its_line(
    alone: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    (alone / "config.toml").write_text(text)
    code, out, err = said(capsys, "--config", "config.toml")
    assert (code, out) == (2, "")
    assert err.startswith(f"config.toml:{line}")
    assert err.count("\n") == 1


def test_a_theme_of_the_users_own_is_a_known_name(alone: Path) -> None:
    (alone / "hftmm" / "themes").mkdir(parents=True)
    (alone / "hftmm" / "themes" / "pink.toml").write_text("")
    (alone / "config.toml").write_text('[terminal]\ntheme = "pink"\nkeys = {freeze = "f9"}')
    assert Choice(alone / "config.toml").load().terminal.theme == "pink"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no venue in it"),
        ("{}", "no venue in it"),
        ('{"control": "http://127.0.0.1:1", "credentials": {"key": "k"}}', "no venue in it"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"okx": {"rest": 5}}', "Expected `str | object`"),
    ],
)
def test_a_file_that_does_not_describe_venues_is_refused(
    alone: Path, capsys: pytest.CaptureFixture[str], text: str, what: str
) -> None:
    (alone / "venues.json").write_text(text)
    code, _, err = said(capsys, "--headless", "--venues", "venues.json")
    assert code == 2
    assert "not what `hftmm venues` prints" in err
    assert what in err or not text
    assert err.count("\n") == 1


def test_practice_never_falls_back_to_the_venues_own_hosts(alone: Path) -> None:
    from hftmm.venues import registry

    settings = Choice().load()
    codecs = registry.codecs(settings)
    described = practice.described(b'{"okx": {"rest": "http://a:1", "public": "ws://a:2"}}')
    assert set(practice.hosts(settings, codecs, described)) == {"okx"}
    strange = practice.described(b'{"kraken": {"rest": "http://a:1"}}')
    with pytest.raises(ConfigError, match="no practice venue for binance, bybit, okx"):
        practice.hosts(settings, codecs, strange)
    partial = practice.described(b'{"okx": {"rest": "http://a:1"}}')
    with pytest.raises(ConfigError, match="venue okx: no URL for its host 'public'"):
        practice.hosts(settings, codecs, partial)


def test_the_practice_venues_get_the_whole_choice(alone: Path) -> None:
    own = alone / "own.toml"
    choice = Choice(own, {"engine.mode": None, "practice.seed": 11})
    assert choice.words("practice.seed") == ["--config", str(own), "--seed", "11"]
    assert Choice(own).words("practice.seed") == ["--config", str(own)]


@pytest.mark.parametrize("command", ["", *(name for name in cli.app if not name.startswith("-"))])
def test_the_help_of_a_command_explains_each_option(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, out, err = said(capsys, *command.split(), "--help")
    assert (code, err) == (0, "")
    options = re.findall(r"^│ (?:\* +)?(--[\w-]+|[A-Z]+)(?: [A-Z]+)? +(\S+)", out, re.MULTILINE)
    assert options
    assert all(text for _, text in options)
    assert "--child" not in out
    assert "[default: False]" not in out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"{__version__}\n", "")


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    lines = StatusLines(writing, lambda: None)
    for number in range(100):
        lines.say(b"%04d" % number + b"x" * 996)
    lines.close()
    taken = os.read(reading, 1_000_000)
    assert taken.startswith(b"0000")
    # What fits into the pipe, what waits, and the line in hand.
    assert taken.count(b"\n") <= 4 + BACKLOG + 1
    os.close(reading)


def test_a_reader_that_is_gone_ends_the_command() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told: list[str] = []
    lines = StatusLines(writing, lambda: told.append("gone"))
    lines.say(b"status")
    lines.close()
    assert told == ["gone"]
    os.close(writing)


# Processes


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_headless_engine_clean_and_leaves_nothing(
    home: Home, by: signal.Signals
) -> None:
    with home.started("--headless") as engine:
        engine.armed()
        (venues,) = children(engine.process.pid)
        assert engine.end(by) == 0
        until(lambda: gone(venues))
        assert engine.complaints() == []
        assert not list(home.folder.rglob("engine.sock"))


def test_status_is_on_standard_output_and_logs_on_standard_error(home: Home) -> None:
    done = home.run("--headless", "--duration", "1.5")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) > 3
    times = [line["ts"] for line in lines]
    assert times == sorted(times)
    for line in done.stderr.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ hftmm\.", line), line


def test_without_a_terminal_it_says_so_and_runs_headless(home: Home) -> None:
    done = home.run("--duration", "0.5")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        "hftmm: no terminal on standard output: running headless"
    )


def test_practice_venues_end_with_an_engine_that_was_killed(home: Home) -> None:
    with home.started("--headless") as engine:
        engine.armed()
        (venues,) = children(engine.process.pid)
        assert engine.end(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: gone(venues))
    # What it left behind is in nobody's way.
    with home.started("--headless") as again:
        again.armed()
        assert again.end() == 0


def test_an_engine_whose_practice_venues_were_killed_says_so_and_fails(home: Home) -> None:
    with home.started("--headless") as engine:
        engine.armed()
        (venues,) = children(engine.process.pid)
        os.kill(venues, signal.SIGKILL)
        assert engine.finish() == 1
        assert engine.complaints() == ["hftmm: the practice venues ended by SIGKILL"]


def test_the_status_of_a_running_engine_is_printed(engine: Piped, engine_home: Home) -> None:
    done = engine_home.run("status")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["mode"], found["state"]) == ("sim", "ARMED")


@pytest.mark.usefixtures("engine")
def test_a_second_engine_is_refused_with_or_without_a_screen(engine_home: Home) -> None:
    done = engine_home.run("--headless")
    path = engine_home.folder / "hftmm" / "engine.sock"
    line = f"hftmm: {path}: an engine runs here already; `hftmm attach` opens it,"
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    with engine_home.screened() as terminal:
        assert terminal.finish() == 1
        assert terminal.text.startswith(line)
        assert "ARMED" not in terminal.text


def test_a_terminal_that_leaves_leaves_the_engine_running(engine: Piped, engine_home: Home) -> None:
    with engine_home.screened("attach") as terminal:
        terminal.shows("ARMED")
        terminal.type("q")
        assert terminal.finish() == 0
    assert engine.line()["state"] == "ARMED"


def test_what_is_recorded_can_be_replayed(home: Home) -> None:
    capture = home.folder / "capture.txt.gz"
    done = home.run("record", str(capture), "--duration", "2.5")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == f"hftmm: recording to {capture}"
    done = home.run("replay", "--json", "--depth", "3", str(capture))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["frames"] > 100
    assert {book["symbol"] for book in found["books"]} == {"BTC/USDT:USDT", "BTC/USDT"}
    assert {book["venue"] for book in found["books"]} == {"binance", "bybit", "okx"}
    for book in found["books"]:
        assert (book["valid"], book["seeded"], book["inferred"]) == (True, True, False), book
        assert (book["gaps"], book["crossed"], book["checksum_failures"]) == (0, 0, 0), book
        assert [len(book["bids"]), len(book["asks"])] == [3, 3], book
    assert found["nbbo"]["BTC/USDT:USDT"]["bid"] is not None


def test_a_recording_that_cannot_be_begun_is_one_line(home: Home) -> None:
    done = home.run("record", "/proc/nowhere/capture.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hftmm: /proc/nowhere/capture.txt:1: No such file or directory\n"


def test_a_recording_that_stopped_early_is_a_failure(home: Home) -> None:
    capture = home.folder / "capture.txt"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, hard))
    try:
        done = home.run("record", str(capture), "--duration", "1.5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == f"hftmm: {capture}: File too large, recording stopped"


def test_a_capture_without_a_folder_goes_to_the_captures(home: Home) -> None:
    text = (home.folder / "config.toml").read_text()
    (home.folder / "config.toml").write_text(f'{text}[record]\nfile = "mine.txt"\n')
    done = home.run("--headless", "--duration", "0.5")
    path = home.folder / "hftmm" / "captures" / "mine.txt"
    assert done.returncode == 0
    assert f"hftmm: recording to {path}" in done.stderr.splitlines()
    assert path.read_text()


def test_an_engine_joins_practice_venues_that_run_already(home: Home) -> None:
    with home.started("venues") as venues:
        described = json.dumps(dict(venues.line()))
        file = home.folder / "venues.json"
        file.write_text(described + "\n")
        with home.started("--headless", "--venues", str(file)) as engine:
            assert set(engine.armed()["venues"]) == {"binance", "bybit", "okx"}
            assert children(engine.process.pid) == []
            assert engine.end() == 0
        assert venues.end() == 0


def test_a_control_port_in_use_is_told(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = home.run("venues", "--control-port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"hftmm: port {port} on 127.0.0.1 is in use: stop what listens there or choose another"
        " port\n"
    )


def test_the_venues_own_markets_come_from_the_config_file(home: Home) -> None:
    (home.folder / "config.toml").write_text(
        '[engine]\nstatus_every_s = 0.1\n[markets]\nsymbols = ["SOL/USDT"]\n'
        "[venues.okx]\nenabled = false\n"
    )
    with home.started("--headless") as engine:
        line = engine.armed()
        assert list(line["markets"]) == ["SOL/USDT"]
        assert set(line["venues"]) == {"binance", "bybit"}
        assert engine.end() == 0


def test_the_check_of_practice_venues_is_fine(home: Home) -> None:
    done = home.run("check")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"config: {home.folder / 'config.toml'}: fine"
    for venue in ("binance", "bybit", "okx"):
        assert any(re.match(rf"{venue}: clock offset [+-]\d", line) for line in lines)
        assert f"{venue}: BTC/USDT is live" in lines


def test_the_check_of_venues_that_are_not_there_fails_line_by_line(home: Home) -> None:
    (home.folder / "config.toml").write_text(CLOSED)
    done = home.run("check", "--mode", "paper")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert "okx: http://127.0.0.1:9: connection refused" in lines
    assert "bybit: spot.public: ws://127.0.0.1:9: connection refused" in lines


def test_an_engine_without_any_venue_keeps_trying_and_says_why(home: Home) -> None:
    (home.folder / "config.toml").write_text(f"[engine]\nstatus_every_s = 0.1\n{CLOSED}")
    with home.started("--headless", "--mode", "paper") as engine:
        line = engine.line()
        assert (line["mode"], line["state"]) == ("paper", "STARTING")
        while {venue["state"] for venue in line["venues"].values()} != {"down"}:
            line = engine.line()
        text = "http://127.0.0.1:9: connection refused"
        until(lambda: text in engine.error.read_text())
        assert engine.end() == 0


# On a terminal


def test_live_wants_its_word_typed(home: Home) -> None:
    (home.folder / "config.toml").write_text(f"[engine]\nstatus_every_s = 0.1\n{CLOSED}")
    key = {
        "HFTMM_BYBIT_KEY": "bybit-key-of-a-test",
        "HFTMM_BYBIT_SECRET": "bybit-secret-of-a-test",
    }
    with home.screened("--headless", "--mode", "live", **key) as terminal:
        terminal.shows("type LIVE to go on: ")
        assert "live venues: binance, bybit, okx" in terminal.text
        assert "binance: no key, watch only" in terminal.text
        assert "bybit: key bybi…test; limits: position 0.5, open orders 20" in terminal.text
        assert "limits in total: position 1.0, worst case 2.0, open orders" in terminal.text
        terminal.type("live\n")
        assert terminal.finish() == 2
        assert "hftmm: --mode live was not confirmed" in terminal.text
        assert not any(secret in terminal.text for secret in key.values())
        assert '"mode"' not in terminal.text
    with home.screened("--headless", "--mode", "live") as terminal:
        terminal.shows("type LIVE to go on: ")
        terminal.type("LIVE\n")
        terminal.shows('"mode":"live"')
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.finish() == 0


def test_live_with_half_a_key_is_wrong_use(home: Home) -> None:
    with home.screened("--headless", "--mode", "live", HFTMM_OKX_KEY="k") as terminal:
        assert terminal.finish() == 2
        assert "okx: the environment has HFTMM_OKX_KEY but no HFTMM_OKX_SECRET" in terminal.text
        assert "type LIVE" not in terminal.text


def test_live_may_be_confirmed_in_the_environment(home: Home) -> None:
    (home.folder / "config.toml").write_text(f"[engine]\nstatus_every_s = 0.1\n{CLOSED}")
    with home.started("--headless", "--mode", "live", HFTMM_LIVE="yes") as engine:
        assert engine.line()["mode"] == "live"
        assert engine.end() == 0


def test_the_terminal_shows_its_engine_and_ends_it(home: Home) -> None:
    with home.screened() as terminal:
        terminal.shows("ARMED")
        (engine,) = children(terminal.process.pid)
        (venues,) = children(engine)
        terminal.type("q")
        assert terminal.finish() == 0
        assert gone(engine)
        assert gone(venues)
        assert "hftmm: " not in terminal.text


def test_engine_and_venues_end_with_a_terminal_that_was_killed(home: Home) -> None:
    with home.screened() as terminal:
        terminal.shows("ARMED")
        (engine,) = children(terminal.process.pid)
        (venues,) = children(engine)
        terminal.process.kill()
        terminal.finish()
        until(lambda: gone(engine) and gone(venues))


def test_the_terminal_stays_when_its_engine_ends_and_fails_after_it(home: Home) -> None:
    with home.screened() as terminal:
        terminal.shows("ARMED")
        (engine,) = children(terminal.process.pid)
        (venues,) = children(engine)
        terminal.forget()
        os.kill(venues, signal.SIGKILL)
        terminal.shows("DISCONNECTED")
        terminal.shows("the practice venues ended by SIGKILL")
        terminal.type("q")
        assert terminal.finish() == 1
        log = home.folder / "hftmm" / "hftmm.log"
        assert f"hftmm: the engine ended with exit code 1; its log is {log}" in terminal.text
        assert log.read_text().splitlines()[-1] == "hftmm: the practice venues ended by SIGKILL"


def test_an_engine_that_cannot_start_is_one_line_on_a_clean_screen(home: Home) -> None:
    (home.folder / "hftmm").mkdir()
    (home.folder / "hftmm" / "engine.sock").write_text("in the way")
    with home.screened() as terminal:
        assert terminal.finish() == 1
        path = home.folder / "hftmm" / "engine.sock"
        assert terminal.text.strip() == f"hftmm: {path}: is in the way, and is no socket"


def test_terminal_and_engine_in_one_process(home: Home) -> None:
    with home.screened("--inline", "--duration", "60") as terminal:
        terminal.shows("ARMED")
        (venues,) = children(terminal.process.pid)
        terminal.process.send_signal(signal.SIGHUP)
        assert terminal.finish() == 0
        assert gone(venues)


def test_an_inline_engine_that_lost_its_venues_shows_it_and_fails(home: Home) -> None:
    with home.screened("--inline") as terminal:
        terminal.shows("ARMED")
        (venues,) = children(terminal.process.pid)
        terminal.forget()
        os.kill(venues, signal.SIGKILL)
        terminal.shows("DISCONNECTED")
        terminal.type("q")
        assert terminal.finish() == 1
        assert "hftmm: the practice venues ended by SIGKILL" in terminal.text


def test_a_recording_is_shown_until_the_operator_leaves(home: Home) -> None:
    levels = [["100.0", "1", "0", "1"]]
    book: dict[str, Any] = {
        "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"},
        "action": "snapshot",
        "data": [
            {
                "bids": levels,
                "asks": [["100.5", "2", "0", "1"]],
                "ts": "1780315200000",
                "checksum": 0,
                "prevSeqId": -1,
                "seqId": 7,
            }
        ],
    }
    line = json.dumps(book, separators=(",", ":"))
    capture = home.folder / "c.txt"
    capture.write_text(f"1780315200000000000 okx public {line}\n")
    with home.screened("replay", str(capture), "--speed", "5") as terminal:
        terminal.shows("FINISHED")
        terminal.shows("100.5")
        terminal.type("q")
        assert terminal.finish() == 0
