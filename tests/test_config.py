from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from hftmm import config as config_module
from hftmm import paths
from hftmm.config import DEFAULT_VENUES, Config, VenueConfig, load
from hftmm.core.errors import ConfigError
from hftmm.toml.docs import documented
from hftmm.toml.lines import line_of
from hftmm.toml.structs import Key, keys

SHIPPED = Path(__file__).resolve().parents[1] / "config.toml"
CONTRACT = re.compile(r"(?P<file>[^:\n]+):(?P<line>\d+): (?P<key>[^:\s]+): .+, allowed: [^\n]+")


def sections() -> Iterator[tuple[str, object]]:
    """Every section of a default config with the name of its table."""
    default = Config()
    for entry in fields(default):
        value = getattr(default, entry.name)
        if entry.name == "venues":
            for venue, section in value.items():
                yield f"venues.{venue}", section
        else:
            yield entry.name, value


EVERY_KEY = [
    pytest.param(table, name, key, id=f"{table}.{name}")
    for table, section in sections()
    for name, key in keys(type(section)).items()
]
PLAIN_KEYS = [param for param in EVERY_KEY if param.values[2].holds != "table"]  # type: ignore[union-attr]  # values are (str, str, Key)


def complaint(folder: Path, text: str | bytes) -> str:
    """What loading a config.toml with this text says."""
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    return message.removeprefix(f"{folder}/")


def loaded(folder: Path, text: str) -> Config:
    path = folder / "config.toml"
    path.write_text(text)
    return load(path)


def comment_above(text: str, line: int) -> str:
    """The comment that ends right above a line, as one text."""
    lines = text.split("\n")[: line - 1]
    found: list[str] = []
    while lines and lines[-1].startswith("#"):
        found.insert(0, lines.pop().removeprefix("#").strip())
    return " ".join(found)


def test_the_shipped_config_holds_the_defaults() -> None:
    assert load(SHIPPED) == Config()


def test_no_file_is_all_defaults() -> None:
    assert load(None) == Config()


@pytest.mark.parametrize(("table", "name", "key"), EVERY_KEY)
def test_every_key_is_explained_where_it_stands(table: str, name: str, key: Key) -> None:
    text = SHIPPED.read_text()
    line = line_of(text, (*table.split("."), name))
    assert line is not None, f"{table}.{name} is not in config.toml"
    explained = documented(type(dict(sections())[table]))[name]
    assert comment_above(text, line) == f"{explained} Allowed: {key.allowed}."


@pytest.mark.parametrize("table", [table for table, _ in sections()])
def test_every_section_is_explained_where_it_stands(table: str) -> None:
    text = SHIPPED.read_text()
    line = line_of(text, tuple(table.split(".")))
    assert line is not None
    explained = documented(type(dict(sections())[table]))[""]
    assert comment_above(text, line).lower() == explained.lower()


@pytest.mark.parametrize(("table", "name", "key"), PLAIN_KEYS)
def test_a_wrong_type_of_any_key_gives_its_line(
    table: str, name: str, key: Key, tmp_path: Path
) -> None:
    wrong = "5" if key.kind is str or key.kind is bool else '"5"'
    text = re.sub(
        rf"(?ms)(^\[{re.escape(table)}\]$.*?^{name} = )[^\n]*",
        rf"\g<1>{wrong}",
        SHIPPED.read_text(),
        count=1,
    )
    message = complaint(tmp_path, text)
    said = CONTRACT.fullmatch(message)
    assert said is not None, message
    assert said["key"] == f"{table}.{name}"
    assert int(said["line"]) == line_of(text, (*table.split("."), name))
    assert message.endswith(f"is {wrong}, allowed: {key.allowed}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '[engine]\n\nmod = "sim"\n',
            'config.toml:3: engine.mod: unknown key (did you mean "mode"?), '
            "allowed: mode, status_every_s, log_level, state_dir, installation, on_lost_terminal, "
            "stop_within_ms",
            id="unknown key, nearest named",
        ),
        pytest.param(
            "[record]\nzzz = 1\n",
            "config.toml:2: record.zzz: unknown key, allowed: file",
            id="unknown key, nothing near",
        ),
        pytest.param(
            "\n[engin]\n",
            'config.toml:2: engin: unknown section (did you mean "engine"?), allowed: engine, '
            "markets, venues, book, market_making, hedging, arbitrage, limits, practice, terminal, "
            "record",
            id="unknown section",
        ),
        pytest.param(
            "[venues.bibit]\nenabled = false\n",
            'config.toml:1: venues.bibit: unknown venue (did you mean "bybit"?), '
            "allowed: binance, bybit, okx",
            id="unknown venue",
        ),
        pytest.param(
            '[engine]\nmode = "simm"\n',
            'config.toml:2: engine.mode: is "simm", allowed: sim, paper, demo or live',
            id="no such choice",
        ),
        pytest.param(
            "[terminal]\nframes_per_s = 61\n",
            "config.toml:2: terminal.frames_per_s: is 61, allowed: a whole number from 1 to 60",
            id="out of range",
        ),
        pytest.param(
            "[terminal]\nframes_per_s = 10.0\n",
            "config.toml:2: terminal.frames_per_s: is 10.0, allowed: a whole number from 1 to 60",
            id="not whole",
        ),
        pytest.param(
            "[book]\nquarantine_deviations = nan\n",
            "config.toml:2: book.quarantine_deviations: is NaN, allowed: a number from 1 to 1_000",
            id="not a number",
        ),
        pytest.param(
            "[limits]\nmax_drawdown = true\n",
            "config.toml:2: limits.max_drawdown: is true, "
            "allowed: a number from 0 to 1_000_000_000_000",
            id="true is not 1",
        ),
        pytest.param(
            "[markets]\nsymbols = [\n  'BTC/USDT',\n  # one more\n  'eth/usdt',\n]\n",
            'config.toml:5: markets.symbols: is "eth/usdt", allowed: a list, each BASE/QUOTE for '
            "spot, BASE/QUOTE:SETTLE for a perpetual",
            id="an item of a list in its own line",
        ),
        pytest.param(
            "[markets]\nsymbols = [\n  'BTC/USDT',\n  'BTC/USDT',\n]\n",
            'config.toml:4: markets.symbols: "BTC/USDT" is given twice, allowed: once',
            id="a market twice",
        ),
        pytest.param(
            "[markets]\nsymbols = []\n",
            "config.toml:2: markets.symbols: is empty, allowed: at least one symbol",
            id="no market",
        ),
        pytest.param(
            "[markets]\nsymbols = 'BTC/USDT'\n",
            'config.toml:2: markets.symbols: is "BTC/USDT", allowed: a list, each BASE/QUOTE for '
            "spot, BASE/QUOTE:SETTLE for a perpetual",
            id="a text is not a list",
        ),
        pytest.param(
            "[venues]\nokx = {enabled = true,\n  max_age_ms = 'x'}\n",
            'config.toml:3: venues.okx.max_age_ms: is "x", '
            "allowed: a whole number from 10 to 600_000",
            id="inside an inline table",
        ),
        pytest.param(
            "book.gap_policy = 'strict'\nbook.quarantine_floor_bps = -1\n",
            "config.toml:2: book.quarantine_floor_bps: is -1, allowed: a number from 0 to 10_000",
            id="a dotted key",
        ),
        pytest.param(
            "[practice.lag_ms]\nbinance = 1\nbibit = 2\n",
            'config.toml:3: practice.lag_ms.bibit: unknown venue (did you mean "bybit"?), '
            "allowed: binance, bybit, okx",
            id="lag of an unknown venue",
        ),
        pytest.param(
            "[practice]\nlag_ms = 5\n",
            "config.toml:2: practice.lag_ms: is 5, "
            "allowed: a table, each a whole number from 0 to 60_000",
            id="a number is not a table",
        ),
        pytest.param(
            '[venues.okx.hosts]\npublic = "ws.okx.com"\n',
            'config.toml:2: venues.okx.hosts.public: is "ws.okx.com", '
            "allowed: a table, each a URL that begins with https, wss, http or ws",
            id="a host without a scheme",
        ),
        pytest.param(
            "[venues.binance]\nenabled = false\n[venues.bybit]\nenabled = false\n"
            "[venues.okx]\nenabled = false\n",
            "config.toml:2: venues.binance.enabled: no venue is enabled, "
            "allowed: false while another is true",
            id="nothing enabled",
        ),
        pytest.param(
            "[arbitrage]\nmax_quantity = 0.5\nmin_quantity = 0.6\n",
            "config.toml:3: arbitrage.min_quantity: 0.6 is above max_quantity, allowed: up to 0.5",
            id="smallest above largest",
        ),
        pytest.param(
            "[arbitrage]\nmax_quantity = 0.0001\n",
            "config.toml:1: arbitrage.min_quantity: 0.001 is above max_quantity, "
            "allowed: up to 0.0001",
            id="the default smallest above largest stands where its section does",
        ),
        pytest.param(
            "engine = 5\n",
            "config.toml:1: engine: is 5, allowed: a table",
            id="a section that is a value",
        ),
        pytest.param(
            "venues = 5\n",
            "config.toml:1: venues: is 5, allowed: tables [venues.NAME]",
            id="venues that are a value",
        ),
        pytest.param(
            "[[engine]]\nmode = 'sim'\n",
            "config.toml:1: engine: is a list, allowed: a table",
            id="a section given as a list of tables",
        ),
        pytest.param(
            "[terminal]\ntheme = {name = 'dark'}\n",
            "config.toml:2: terminal.theme: is a table, "
            "allowed: the name of a theme file without its ending",
            id="a table is not a text",
        ),
        pytest.param(
            "[engine]\nmode = 'sim'\nlog_level = 'info'\nmode = 'live'\n",
            "config.toml:4: engine.mode: given again, first in line 2, allowed: once",
            id="a key twice",
        ),
        pytest.param(
            "[engine]\nmode = 'sim'\n[book]\n[engine]\n",
            "config.toml:4: engine: given again, first in line 1, allowed: once",
            id="a section twice",
        ),
        pytest.param(
            "[engine]\nmode = sim\n",
            "config.toml:2: engine.mode: column 8 is not TOML (Invalid value), "
            "allowed: key = value",
            id="a text without quotes",
        ),
        pytest.param(
            "[engine]\nmode = 'sim'\nmode.x = 1\n[book]\n",
            "config.toml:3: engine.mode.x: column 11 is not TOML (Cannot overwrite a value), "
            "allowed: key = value",
            id="a value used as a table",
        ),
        pytest.param(
            "[engine\n",
            "config.toml:1: file: column 8 is not TOML "
            "(Expected ']' at the end of a table declaration), allowed: key = value",
            id="a broken header",
        ),
        pytest.param(
            b"[engine]\nlog_level = 'inf\xff'\n",
            "config.toml:2: file: byte 0xff is not UTF-8, allowed: text in UTF-8",
            id="not UTF-8",
        ),
    ],
)
def test_what_is_wrong_is_one_line(text: str | bytes, message: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, text) == message
    assert CONTRACT.fullmatch(message)


def test_of_several_mistakes_the_first_by_line_is_told(tmp_path: Path) -> None:
    text = "[terminal]\nframes_per_s = 0\n[engine]\nmode = 5\n[book]\nx = 1\n"
    assert complaint(tmp_path, text).startswith("config.toml:2: terminal.frames_per_s")


def test_a_missing_file_is_named_as_the_user_named_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(Path("mine.toml"))
    assert str(caught.value) == (
        "mine.toml:1: file: No such file or directory, allowed: a TOML file that can be read"
    )


@pytest.mark.parametrize(
    ("text", "key", "variable"),
    [
        ('[venues.okx]\npassphrase = "hunter2"\n', "venues.okx.passphrase", "HFTMM_OKX_PASSPHRASE"),
        ('[venues.bybit]\napi-key = "hunter2"\n', "venues.bybit.api-key", "HFTMM_BYBIT_KEY"),
        ('[x]\nbinance_secret = "hunter2"\n', "x.binance_secret", "HFTMM_BINANCE_SECRET"),
        ('[venues.okx.hosts]\napi_key = "hunter2"\n', "venues.okx.hosts.api_key", "HFTMM_OKX_KEY"),
        ('secret = "hunter2"\n', "secret", "HFTMM_VENUE_SECRET"),
    ],
)
def test_a_secret_is_refused_without_showing_it(
    text: str, key: str, variable: str, tmp_path: Path
) -> None:
    message = complaint(tmp_path, text)
    line = text.count("\n")
    assert message == (
        f"config.toml:{line}: {key}: a secret does not belong in a file, "
        f"allowed: in the environment as {variable}"
    )


def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    config = loaded(tmp_path, "[venues.bybit]\nmax_age_ms = 900\n[practice.lag_ms]\nokx = 50\n")
    assert config.venues == dict(DEFAULT_VENUES) | {
        "bybit": replace(DEFAULT_VENUES["bybit"], max_age_ms=900)
    }
    assert dict(config.practice.lag_ms) == {"binance": 4, "bybit": 9, "okx": 50}


def test_decimals_are_read_exactly_as_written(tmp_path: Path) -> None:
    config = loaded(tmp_path, "[limits]\nmax_total_position = 0.1000000000000000000001\n")
    assert config.limits.max_total_position == Decimal("0.1000000000000000000001")


def test_the_ends_of_a_range_belong_to_it(tmp_path: Path) -> None:
    config = loaded(tmp_path, "[engine]\nstatus_every_s = 0.1\n[practice]\nintensity = 0.01\n")
    assert config.engine.status_every_s == 0.1
    assert config.practice.intensity == 0.01


def test_hosts_may_be_written_dotted_or_quoted(tmp_path: Path) -> None:
    quoted = loaded(tmp_path, '[venues.binance.hosts]\n"linear.stream" = "ws://127.0.0.1:1"\n')
    dotted = loaded(tmp_path, '[venues.binance.hosts]\nlinear.stream = "ws://127.0.0.1:1"\n')
    assert quoted == dotted
    assert quoted.venues["binance"].hosts == (("linear.stream", "ws://127.0.0.1:1"),)


def test_a_registered_fourth_venue_takes_part_once_it_has_a_table(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[venues.kraken]\nmax_age_ms = 700\n")
    names = ("binance", "bybit", "okx", "kraken")
    assert load(path, venues=names).venues["kraken"] == VenueConfig(max_age_ms=700)
    assert "kraken" not in load(None, venues=names).venues


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[engine]\nmode = "demo"\nlog_level = "debug"\n')
    config = load(path, {"engine.mode": "paper", "practice.seed": 11})
    assert (config.engine.mode, config.engine.log_level, config.practice.seed) == (
        "paper",
        "debug",
        11,
    )


def test_a_wrong_value_of_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[terminal]\nframes_per_s = 0\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {"engine.mode": "x"})
    assert str(caught.value) == (
        'command line: engine.mode: is "x", allowed: sim, paper, demo or live'
    )


def test_a_value_of_the_command_line_that_contradicts_a_default_is_its_own_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {"arbitrage.max_quantity": 0.0001})
    assert str(caught.value) == (
        "command line: arbitrage.min_quantity: 0.001 is above max_quantity, allowed: up to 0.0001"
    )


def test_a_long_value_is_shortened(tmp_path: Path) -> None:
    message = complaint(tmp_path, f'[engine]\nmode = "{"x" * 500}"\n')
    assert message == (
        f'config.toml:2: engine.mode: is "{"x" * 39}…", allowed: sim, paper, demo or live'
    )


def test_the_shipped_config_is_where_paths_says() -> None:
    assert paths.shipped_config() == SHIPPED


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\n\n[b]\n# c = 1\nc = 2\n", ("b", "c"), 5),
        ("[a.b.c]\n", ("a", "b"), 1),
        ("a = [\n  1,\n  '''\n2\n3''',\n  4,\n]\n", ("a", 1), 3),
        ("a = [\n  1,\n  '''\n2\n3''',\n  4,\n]\n", ("a", 2), 6),
        ("a = '''\n\n'''\nb = 1\n", ("a",), 1),
        ("a = '''\n[c]\nd = 1\n'''\n[c]\nd = 1\n", ("c", "d"), 6),
        ("a = {b = {\n  c = [\n 1, 2,\n 3]}}\n", ("a", "b", "c", 2), 4),
        ("[[a]]\nb = 1\n[[a]]\nb = 2\n", ("a", 1, "b"), 4),
        ('"a.b" = 1\r\nc = 2\r\n', ("c",), 2),
        ('# \u2028\n"a.b" = 1\n', ("a.b",), 2),
        ("a = 1\n", ("b",), None),
    ],
)
def test_a_key_stands_in_the_line_it_is_written_in(
    text: str, path: tuple[str | int, ...], line: int | None
) -> None:
    assert line_of(text, path) == line


NAMES = st.text("abcdef", min_size=1, max_size=3)
VALUES = st.sampled_from(
    ["1", "true", "'x'", "[1, 2]", "[\n  1,\n  2,\n]", "'''\nx\n'''", "{k = 1}"]
)


@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4),
    st.sampled_from(["", "\n", "# a = 1\n"]),
)
def test_every_key_of_any_file_is_found_in_its_line(
    tables: dict[str, dict[str, str]], between: str
) -> None:
    text = ""
    written: dict[tuple[str, str], int] = {}
    for table, entries in tables.items():
        text += f"[{table}]\n"
        for name, value in entries.items():
            text += between
            written[table, name] = text.count("\n") + 1
            text += f"{name} = {value}\n"
    assert tomli.loads(text).keys() == tables.keys()
    assert {path: line_of(text, path) for path in written} == written


def test_the_example_keys_of_the_shipped_config_are_valid(tmp_path: Path) -> None:
    text = re.sub(r'(?m)^# (?=["\w.]+ = "[^"]+"$)', "", SHIPPED.read_text())
    config = loaded(tmp_path, text)
    assert all(venue.hosts for venue in config.venues.values())
    assert config.terminal.keys


def test_the_struct_of_a_section_says_what_its_docstring_shows() -> None:
    source = textwrap.dedent(inspect.getsource(config_module))
    for table, section in sections():
        shown = "venues.NAME" if table.startswith("venues.") else table
        assert f'"""[{shown}]: ' in source, type(section).__name__
