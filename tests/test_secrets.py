"""Keys, secrets, passphrases and signatures: nowhere but in the requests that need them.

A full run with keys that occur nowhere else, against practice venues in the place of the live ones:
engine, terminal, journal, recording, log, status, check, kills and a traceback. Every process notes
its signatures, and listen keys, in a file apart; then every byte of everything else is searched.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
import traceback
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from hftmm.core.errors import ConfigError
from hftmm.core.order import OrderRequest
from hftmm.desk.commands import Place, View
from hftmm.transport.link import ask, look
from hftmm.transport.unreachable import unreachable
from hftmm.venues.effects import Call, Connect, Send
from hftmm.venues.private import Credentials, SignedRequest, StreamFrame
from hftmm.venues.signing import ed25519_base64
from tests.processes import Home, Piped, Screened
from tests.virtual_account import BOTH, CODECS, Desk

KEY = "KeyThatOccursNowhereElse-4711"
SECRET = "SecretThatOccursNowhereElse-0815"  # noqa: S105  # made up
PASSPHRASE = "PassphraseThatOccursNowhereElse-42"  # noqa: S105  # made up
VENUES = ("binance", "bybit", "okx")
SYMBOL = "BTC/USDT:USDT"
CONFIG = """
[engine]
log_level = "debug"
status_every_s = 0.1
[markets]
symbols = ["BTC/USDT:USDT"]
[market_making]
enabled = true
min_edge_bps = -8
cancel_edge_bps = -10
[arbitrage]
enabled = true
min_profit_bps = -12
[limits]
max_repeats = 100_000
[record]
file = "all.txt.gz"
"""

SPY = """
# Imported by every process of the run before anything else.
import os
from base64 import b64encode
from pathlib import Path

from hftmm.sim import ledger
from hftmm.venues import signing
from hftmm.venues.binance import BinancePrivateCodec

aside = Path(os.environ["SPY_FOLDER"])
ledger.DEMO = ledger.Credentials(*os.environ["SPY_KEY"].split())
ledger.PRACTICE_KEYS = (ledger.DEMO, *ledger.PRACTICE_KEYS[1:])
sign, renewed = signing._hmac, BinancePrivateCodec.decode_renewal


def noted(text):
    with (aside / "notes").open("a") as file:
        file.write(f"{text}\\n")


def spy(secret, payload):
    if (aside / "fail").exists() and "provoked" not in os.environ:
        os.environ["provoked"] = "once"
        raise RuntimeError("provoked while signing")
    proof = sign(secret, payload)
    noted(proof.hex())
    noted(b64encode(proof).decode())
    return proof


def renew(self, body):
    key = renewed(self, body)
    noted(key)
    return key


signing._hmac = spy
BinancePrivateCodec.decode_renewal = renew
"""


@contextmanager
def venues(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Practice venues, in a folder of their own: their description is to show the key."""
    folder.mkdir()
    home = Home.made(folder)
    home.environment |= environment
    with home.started("venues") as serving:
        assert serving.process.stdout is not None
        yield json.loads(serving.process.stdout.readline())
        # What they log may not.
        (folder / "log").write_text(serving.error.read_text())


def hosts(description: Mapping[str, Any]) -> str:
    """Sections of a config that put practice venues in the place of the live ones."""
    text = ""
    for venue in VENUES:
        text += f"[venues.{venue}.hosts]\n"
        for name, value in description[venue].items():
            urls = {name: value} if isinstance(value, str) else value
            for face, url in urls.items():
                full = name if isinstance(value, str) else f"{name}.{face}"
                text += f'"{full}" = "{url}"\n'
    return text


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Everything that a full run wrote, by where it did; `notes` is what must not be in it."""
    folder = tmp_path_factory.mktemp("secrets")
    aside = folder / "aside"
    aside.mkdir()
    (aside / "sitecustomize.py").write_text(SPY)
    environment = {
        "PYTHONPATH": str(aside),
        "SPY_FOLDER": str(aside),
        "SPY_KEY": f"{KEY} {SECRET} {PASSPHRASE}",
    }
    keys = {
        f"HFTMM_{venue.upper()}_{part}": value
        for venue in VENUES
        for part, value in (("KEY", KEY), ("SECRET", SECRET), ("PASSPHRASE", PASSPHRASE))
    }
    found: dict[str, bytes] = {}
    with venues(folder / "venues", environment) as description:
        (folder / "home").mkdir()
        home = Home.made(folder / "home", CONFIG + hosts(description))
        home.environment |= environment | keys | {"HFTMM_LIVE": "yes"}
        _run(home, aside / "fail", found)
    found["venues' log"] = (folder / "venues" / "log").read_bytes()
    for file in home.folder.rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            found[str(file.relative_to(home.folder))] = raw
            if file.suffix == ".sqlite":
                # A long text is scattered over the pages of the file.
                with closing(sqlite3.connect(file)) as journal:
                    found[f"{file.name}, rows"] = "\n".join(journal.iterdump()).encode()
            if file.suffix == ".gz":
                found[f"{file.name}, unpacked"] = gzip.decompress(raw)
    found["notes"] = (aside / "notes").read_bytes()
    return found


def _run(home: Home, fail: Path, found: dict[str, bytes]) -> None:
    def ran(name: str, *words: str, **environment: str) -> None:
        done = home.run(*words, **environment)
        found[name] = (done.stdout + done.stderr).encode()

    socket = home.folder / "hftmm" / "engine.sock"
    with home.started("--headless", "--mode", "live") as engine:
        said = [traded(engine)]
        snapshot = asyncio.run(look(socket, View(market=SYMBOL)))
        found["snapshot"] = msgspec.json.encode(snapshot) + repr(snapshot).encode()
        # As long as it lives there is more beside the journal than when it has ended.
        for file in socket.parent.glob("journal-*"):
            found[f"{file.name}, alive"] = file.read_bytes()
        asyncio.run(ask(socket, Place("okx", SYMBOL, "buy", "1", "1000")))
        ran("status", "status")
        ran("check", "check", "--mode", "live")
        ran("check, wrong key", "check", "--mode", "live", HFTMM_BYBIT_KEY=f"{KEY}-wrong")
        ran("check, wrong secret", "check", "--mode", "live", HFTMM_OKX_SECRET=f"{SECRET}-wrong")
        fail.touch()
        while (line := engine.line())["state"] != "KILLED":
            said.append(line)
        fail.unlink()
        found["snapshot, killed"] = msgspec.json.encode(asyncio.run(look(socket)))
        ran("direct kill", "kill", "--direct", "--mode", "live")
        assert engine.process.stdout is not None
        engine.end()
        found["lines of status"] = json.dumps(said).encode()
    with home.screened("--mode", "live") as terminal:
        terminal.shows("KILLED")
        leave(terminal)
        found["terminal"] = bytes(terminal.raw)
    ran("kill, no engine", "kill")


def traded(engine: Piped) -> Mapping[str, Any]:
    """The first line with a few fills in it."""
    while (line := engine.armed())["trading"]["fills"] < 5:
        pass
    return line


def leave(terminal: Screened) -> None:
    terminal.type("q")
    assert terminal.finish() == 0


def needles(output: Mapping[str, bytes]) -> list[str]:
    noted = output["notes"].decode().split()
    plain = {KEY, SECRET, PASSPHRASE, *noted}
    encoded = {b64encode(text.encode()).decode().rstrip("=") for text in (KEY, SECRET, PASSPHRASE)}
    return sorted(plain | encoded | {quote(text, safe="") for text in plain})


def test_the_run_was_a_full_one(output: Mapping[str, bytes]) -> None:
    """Otherwise there is nothing to be found."""
    logged = b"".join(text for name, text in output.items() if name.startswith("stderr"))
    assert len(output["notes"].split()) > 100
    assert any(name.endswith("-wal, alive") for name in output)
    assert output["journal-live.sqlite, rows"].count(b'INSERT INTO "fills"') >= 5
    assert output["all.txt.gz, unpacked"].count(b"\n") > 100
    assert output["check"].count(b"is accepted") == len(VENUES)
    assert output["check, wrong key"].count(b"is accepted") == len(VENUES) - 1
    assert output["check, wrong secret"].count(b"is accepted") == len(VENUES) - 1
    assert b"Traceback" in logged
    assert b"RuntimeError: provoked while signing" in logged
    assert b"provoked while signing" in output["snapshot, killed"]
    assert b"zero at" in output["direct kill"]


def test_no_secret_is_in_anything_that_a_full_run_writes(output: Mapping[str, bytes]) -> None:
    searched = needles(output)
    for where, written in output.items():
        if where != "notes":
            told = [needle for needle in searched if needle.encode() in written]
            assert not told, f"{where} tells {told}"


# ---- values that hold what nobody else may read ------------------------------------------------

CREDENTIALS = Credentials(KEY, SECRET, PASSPHRASE)
NOW_MS = 1_780_000_000_000


def shown(value: object) -> str:
    """Every text that Python makes of a value by itself."""
    return f"{value!r} {value} {[value]} { ({1: value}) }"


def told(text: str) -> list[str]:
    return [secret for secret in (KEY, SECRET, PASSPHRASE) if secret in text]


def test_a_key_shows_its_fingerprint_alone() -> None:
    assert not told(shown(CREDENTIALS))
    assert CREDENTIALS.fingerprint == f"{KEY[:4]}…{KEY[-4:]}"


@pytest.mark.parametrize("venue", VENUES)
def test_a_request_shows_no_key_and_no_signature(
    venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = b"a signature of 32 bytes, no more."
    monkeypatch.setattr("hftmm.venues.signing._hmac", lambda secret, payload: proof)
    desk = Desk(venue)
    order = OrderRequest("hm01op1", desk.linear, "buy", Decimal(60_000), Decimal("0.01"))
    codec = CODECS[venue]()
    made = [codec.place(CREDENTIALS, order, NOW_MS, rest=rest) for rest in (False, True)]
    made += codec.positions(CREDENTIALS, NOW_MS)
    for route in codec.private_endpoints(desk.hosts, BOTH):
        made += codec.login(CREDENTIALS, route, NOW_MS)
    for request in made:
        assert isinstance(request, SignedRequest | StreamFrame)
        carried = Call(request) if isinstance(request, SignedRequest) else Send(1, request.frame)
        for text in (shown(request), shown(carried)):
            assert not told(text)
            assert proof.hex() not in text
            assert b64encode(proof).decode() not in text


def test_an_address_shows_no_listen_key() -> None:
    url = f"wss://venue.invalid/private/ws?listenKey={KEY}"
    assert not told(shown(Connect(1, "linear.private", url)))
    assert not told(shown(unreachable(url, TimeoutError())))


@pytest.mark.parametrize("secret", [f"-----BEGIN {SECRET}", SECRET])
def test_a_secret_that_cannot_be_read_is_in_no_traceback(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ed25519_base64(secret, b"")
    assert not told("".join(traceback.format_exception(caught.value)))
