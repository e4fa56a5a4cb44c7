"""What the check says of practice venues that are well, and of such that are not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from hftmm.assembly import practice
from hftmm.config import Config, EngineConfig, MarketsConfig, PracticeConfig
from hftmm.core.instrument import Kind
from hftmm.core.order import Rejection
from hftmm.sim.binance.keys import ed25519_pem
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market
from hftmm.sim.okx import OkxPeer
from hftmm.sim.okx.trading import TradingOptions
from hftmm.sim.peers import HttpAnswer, HttpQuery
from hftmm.sim.server import PEERS, PeerFactory, PracticeVenues
from hftmm.transport.check import Venue, check
from hftmm.transport.check_account import Account
from hftmm.venues import registry
from hftmm.venues.private import Credentials, Permissions
from hftmm.venues.rights import advice, objections, why_refused
from tests.engines import PERP, SPOT
from tests.processes import Home

CONFIG = Config(
    markets=MarketsConfig(symbols=(PERP, SPOT)),
    practice=PracticeConfig(lag_ms=(("binance", 0), ("bybit", 0), ("okx", 0))),
)
PATIENCE_S = 20.0
VENUES = ("binance", "bybit", "okx")
KEY = Credentials(DEMO.key, DEMO.secret, DEMO.passphrase)


async def checked(
    name: str,
    *symbols: str,
    fault: str = "",
    hosts: Mapping[str, str] | None = None,
    key: Credentials | None = None,
    peer: PeerFactory | None = None,
    mode: str = "sim",
) -> list[tuple[str, bool]]:
    """What the check says of one practice venue.

    Args:
        hosts: base URLs in place of the venue's own.
        key: what to look at the account with; None to leave it out.
        peer: the venue in place of the usual one.
        mode: the check takes the venue for one of this mode.
    """
    config = replace(CONFIG, engine=EngineConfig(mode=mode))
    peers = {**PEERS, name: peer or PEERS[name]}
    async with asyncio.timeout(PATIENCE_S), PracticeVenues(CONFIG, peers=peers) as venues:
        if fault:
            assert venues.switch(name, fault).accepted
        found = practice.described(json.dumps(venues.description).encode())
        codecs = registry.codecs(config)
        account = None
        if key is not None:
            account = Account(registry.private_codecs(config, codecs)[name], key)
        venue = Venue(codecs[name], {**found.hosts[name], **(hosts or {})}, account)
        return [line async for line in check(venue, symbols or (PERP, SPOT))]


def line(said: list[tuple[str, bool]], pattern: str) -> bool:
    """Whether the one line of this pattern is fine."""
    (good,) = [good for text, good in said if re.search(pattern, text)]
    return good


@pytest.mark.parametrize("name", VENUES)
async def test_a_venue_that_is_well_is_fine_in_every_line(name: str) -> None:
    said = await checked(name)
    assert [good for _, good in said] == [True] * len(said)
    assert line(said, r"^clock offset [+-]\d+\.\d ms, round trip \d+\.\d ms$")
    assert line(said, "^BTC/USDT is live$")
    assert line(said, "^BTC/USDT:USDT is live$")
    routes = [text.split()[0] for text, _ in said if "stream answers" in text]
    assert (
        routes
        == {
            "binance": ["spot.public", "linear.public", "linear.market"],
            "bybit": ["spot.public", "linear.public"],
            "okx": ["public"],
        }[name]
    )


@pytest.mark.parametrize("name", VENUES)
async def test_a_wrong_clock_comes_with_what_to_do(name: str) -> None:
    said = await checked(name, fault="skew")
    assert not line(said, r"^clock offset \+(49|50)\d\d\.\d ms,.* set this machine's clock \(NTP\)")
    assert line(said, "^BTC/USDT is live$")


@pytest.mark.parametrize("name", VENUES)
async def test_a_symbol_that_is_not_listed_is_named(name: str) -> None:
    said = await checked(name, PERP, "DOGE/USDT")
    assert not line(said, "^DOGE/USDT is not listed: take it out of markets.symbols$")
    assert line(said, "^BTC/USDT:USDT is live$")


@pytest.mark.parametrize("name", VENUES)
async def test_a_venue_that_refuses_is_told_in_its_own_words(name: str) -> None:
    said = await checked(name, fault="throttle")
    text, good = said[0]
    assert not good
    assert re.search(r"\d+:? Too many (requests|visits)", text, re.IGNORECASE)
    # Its streams are looked at all the same.
    assert [good for text, good in said if "stream answers" in text] == [True] * (len(said) - 1)


async def test_a_host_that_is_not_there_is_named() -> None:
    said = await checked("okx", hosts={"public": "ws://127.0.0.1:9"})
    assert not line(said, "^public: ws://127.0.0.1:9: connection refused$")
    said = await checked("okx", hosts={"rest": "http://127.0.0.1:9"})
    assert said[0] == ("http://127.0.0.1:9: connection refused", False)
    assert line(said, "public stream answers")


async def test_what_is_no_venue_is_told() -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(strange, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        hosts = {"rest": f"http://127.0.0.1:{port}", "public": f"ws://127.0.0.1:{port}"}
        said = await checked("okx", hosts=hosts)
    assert [good for _, good in said] == [False, False]
    assert "WebSocket" in said[1][0]


# --- with a key -----------------------------------------------------------------------------


def of_account(said: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """What is said of the key and its account alone."""
    market = re.compile("^clock offset|^BTC/USDT(:USDT)? is|stream answers")
    return [(text, good) for text, good in said if not market.search(text)]


FEES = {
    "binance": ("maker 2 bps, taker 5 bps", "maker 10 bps, taker 10 bps"),
    "bybit": ("maker 2 bps, taker 5.5 bps", "maker 10 bps, taker 10 bps"),
    "okx": ("maker 2 bps, taker 5 bps", "maker 8 bps, taker 10 bps"),
}
STREAMS = {
    "binance": {"spot.private", "spot.trade", "linear.trade"},
    "bybit": {"private", "trade"},
    "okx": {"private"},
}


@pytest.mark.parametrize("name", VENUES)
async def test_a_key_that_is_well_is_fine_in_every_line(name: str) -> None:
    said = await checked(name, key=KEY)
    assert [good for _, good in said] == [True] * len(said)
    linear, spot = FEES[name]
    wallets = "linear 1000000 USDT; spot 20 BTC, 1000000 USDT"
    assert [text for text, _ in of_account(said)] == [
        "key prac… is accepted",
        "the key may trade spot and perpetuals, and not withdraw; positions are one-way",
        f"balances: {wallets if name == 'binance' else '20 BTC, 1000000 USDT'}",
        f"{PERP} fees: {linear}",
        f"{SPOT} fees: {spot}",
    ]
    assert {text.split()[0] for text, _ in said if "stream answers" in text} >= STREAMS[name]
    for secret in (DEMO.key, DEMO.secret, DEMO.passphrase):
        assert not any(secret in text for text, _ in said)


async def test_only_what_shall_be_traded_is_looked_at() -> None:
    said = of_account(await checked("okx", SPOT, key=KEY))
    assert "the key may trade spot and perpetuals, and not withdraw" in [text for text, _ in said]
    assert not any(PERP in text for text, _ in said)
    said = of_account(await checked("binance", "ETH/USDT", key=KEY))
    assert said[-1] == ("balances: spot 300 ETH, 1000000 USDT", True)


async def test_a_private_key_of_binance_is_as_good() -> None:
    said = await checked("binance", key=Credentials(f"{DEMO.key}-ed25519", ed25519_pem(DEMO)))
    assert said
    assert [good for _, good in said] == [True] * len(said)


async def test_requests_are_signed_by_the_clock_of_the_venue() -> None:
    said = await checked("bybit", key=KEY, fault="skew")
    assert not line(said, "^clock offset")
    assert line(said, "^key prac… is accepted$")


WRONG = [
    ("nobody-knows-this-key", DEMO.secret, DEMO.passphrase),
    (DEMO.key, "not-the-secret", DEMO.passphrase),
    ("practice-elsewhere-key", DEMO.secret, DEMO.passphrase),
]
REFUSED = {
    "binance": [r"-2015 .*check the key", r"-1022 .*set the two", r"-2015 .*its list of addresses"],
    "bybit": [r"10003 .*copy it anew", r"10004 .*set the two", r"10010 .*not on the key's list"],
    "okx": [r"50119 .*copy it anew", r"50113 .*set the two", r"50110 .*not on the key's list"],
}


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [(name, key, said) for name in VENUES for key, said in zip(WRONG, REFUSED[name], strict=True)]
    + [("okx", (DEMO.key, DEMO.secret, "not-the-phrase"), "50105 .*wrong passphrase: set the one")],
    ids=[f"{name}-{what}" for name in VENUES for what in ("key", "secret", "address")]
    + ["okx-passphrase"],
)
async def test_a_key_that_is_refused_is_one_line_with_cause_and_remedy(
    name: str, key: tuple[str, str, str], said: str
) -> None:
    found = await checked(name, key=Credentials(*key))
    ((text, good),) = of_account(found)
    assert not good
    assert re.match(rf"key refused: {said}", text), text
    assert not any(secret in text for secret in key)
    # What needs no key is looked at all the same.
    assert line(found, "^BTC/USDT is live$")


MAY = {
    "binance": (["trade spot", "trade futures"], ["withdraw", "transfer between", "transfer univ"]),
    "bybit": (["trade spot", "trade contracts"], ["withdraw", "transfer between accounts"]),
    "okx": (["trade"], ["withdraw"]),
}


@pytest.mark.parametrize("name", VENUES)
async def test_a_key_that_may_too_little_or_too_much_is_a_line_for_each_right(name: str) -> None:
    too_little, too_much = MAY[name]
    for which, word, wanted in (("read", "not ", too_little), ("withdraw", "", too_much)):
        key = replace(KEY, key=f"practice-{which}-key")
        said = of_account(await checked(name, key=key))
        wrong = [text for text, good in said if not good]
        assert len(wrong) == len(wanted)
        for text, right in zip(wrong, wanted, strict=True):
            assert re.match(rf"the key may {word}{right}.*: (give|enable|take) ", text), text
        assert ("key prac…-key is accepted", True) in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            TradingOptions(position_mode="long_short_mode"),
            "the account is in long/short mode: set its position mode to net",
        ),
        (
            TradingOptions(account_level="1"),
            "the account is in spot mode, which has no swaps: set its mode to Futures",
        ),
        (
            TradingOptions(account_level="3"),
            "the account mode is multi-currency margin, which trades no spot in cash: set it to",
        ),
    ],
)
async def test_an_account_in_the_wrong_mode_is_one_line_with_the_remedy(
    options: TradingOptions, said: str
) -> None:
    def peer(market: Market, seed: int) -> OkxPeer:
        return OkxPeer(market, seed, trading=options)

    found = of_account(await checked("okx", key=KEY, peer=peer))
    (wrong,) = [text for text, good in found if not good]
    assert wrong.startswith(said)


async def test_an_account_that_is_not_unified_is_one_line_with_the_remedy() -> None:
    def peer(market: Market, seed: int) -> BybitPeer:
        made = BybitPeer(market, seed)
        made.accounts.unified = False
        return made

    found = of_account(await checked("bybit", key=KEY, peer=peer))
    (wrong,) = [text for text, good in found if not good]
    assert wrong == "the account is not a unified trading account: upgrade it to one"


class DemoTrading(OkxPeer):
    """OKX's demo trading, which shares its host with the live venue."""

    def __init__(self, market: Market, seed: int) -> None:
        super().__init__(market, seed, trading=TradingOptions(demo=True))
        self.undeclared: list[str] = []

    def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
        if query.headers.get("x-simulated-trading") != "1":
            self.undeclared.append(query.path)
        return super().request(query, now_ns)


async def test_every_request_to_okx_demo_trading_says_so() -> None:
    served: list[DemoTrading] = []

    def peer(market: Market, seed: int) -> DemoTrading:
        served.append(DemoTrading(market, seed))
        return served[-1]

    said = await checked("okx", key=KEY, peer=peer, mode="demo")
    assert [good for _, good in said] == [True] * len(said)
    assert line(said, "^key prac… is accepted$")
    assert served[0].undeclared == []
    # The same key in live mode, which says nothing of demo trading.
    ((text, good),) = of_account(await checked("okx", key=KEY, peer=peer))
    assert (served[1].undeclared != [], good) == (True, False)
    assert "demo keys work in demo, live keys live" in text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            HttpAnswer(200, b'{"code": "0", "msg": "", "data": [{"details": 1}]}'),
            "refused: wrong shape: Expected `array`, got `int`",
        ),
        (
            HttpAnswer(503, b'{"code": "50001", "msg": "Down", "data": []}'),
            "refused: 50001 Down (the service is unavailable, back off)",
        ),
        (HttpAnswer(502, b"<html>"), "refused: HTTP 502: <html>"),
    ],
)
async def test_an_answer_that_is_none_is_told_as_what_it_is(answer: HttpAnswer, said: str) -> None:
    class Broken(OkxPeer):
        def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
            private = query.path == "/api/v5/account/balance"
            return answer if private else super().request(query, now_ns)

    ((text, good),) = of_account(await checked("okx", key=KEY, peer=Broken))
    assert not good
    assert text.startswith(said)


def test_each_venue_says_by_itself_what_there_is_of_a_key(tmp_path: Path) -> None:
    hosts = {
        "binance": "spot.rest spot.stream spot.api linear.rest linear.stream linear.api",
        "bybit": "rest public_spot public_linear private trade",
        "okx": "rest public private business",
    }
    closed = "".join(
        f"[venues.{name}.hosts]\n{''.join(_closed(host) for host in named.split())}"
        for name, named in hosts.items()
    )
    home = Home.made(tmp_path, closed)
    keys = {
        "HFTMM_BINANCE_KEY": "binance-key-of-a-test",
        "HFTMM_BINANCE_SECRET": "binance-secret-of-a-test",
        "HFTMM_BYBIT_KEY": "bybit-key-of-a-test",
    }
    done = home.run("check", "--mode", "live", **keys)
    assert (done.returncode, done.stderr) == (1, "")
    said = done.stdout.splitlines()
    assert (
        "bybit: the environment has HFTMM_BYBIT_KEY but no HFTMM_BYBIT_SECRET: "
        "set what is missing, or none of them"
    ) in said
    assert (
        "okx: no key: watch only; set HFTMM_OKX_KEY, HFTMM_OKX_SECRET and HFTMM_OKX_PASSPHRASE "
        "to trade"
    ) in said
    # With a key its own connections are looked at as well; each venue is looked at to its end.
    assert "binance: spot.private: ws://127.0.0.1:9: connection refused" in said
    assert "okx: public: ws://127.0.0.1:9: connection refused" in said
    assert not any(key in done.stdout for key in keys.values())


async def test_live_venues_are_the_same_code_with_other_hosts_and_keys(tmp_path: Path) -> None:
    pem = tmp_path / "binance.pem"
    pem.write_text(ed25519_pem(DEMO))
    keys = {
        "HFTMM_BINANCE_KEY": f"{DEMO.key}-ed25519",
        "HFTMM_BINANCE_SECRET_FILE": str(pem),
        "HFTMM_BYBIT_KEY": DEMO.key,
        "HFTMM_BYBIT_SECRET": DEMO.secret,
        "HFTMM_OKX_KEY": DEMO.key,
        "HFTMM_OKX_SECRET": DEMO.secret,
        "HFTMM_OKX_PASSPHRASE": DEMO.passphrase,
    }
    async with PracticeVenues(CONFIG) as venues:
        found = practice.described(json.dumps(venues.description).encode())
        tables = [f'[markets]\nsymbols = ["{PERP}", "{SPOT}"]']
        for name, urls in found.hosts.items():
            lines = [f'"{host}" = "{url}"' for host, url in urls.items()]
            tables.append("\n".join([f"[venues.{name}.hosts]", *lines]))
        home = Home.made(tmp_path, "\n".join(tables))
        done = await asyncio.to_thread(home.run, "check", "--mode", "live", **keys)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    for name, shown in (("binance", "prac…5519"), ("bybit", "prac…"), ("okx", "prac…")):
        assert f"{name}: key {shown} is accepted" in said
        assert f"{name}: {PERP} fees: {FEES[name][0]}" in said


def _closed(host: str) -> str:
    scheme = "http" if host.endswith("rest") else "ws"
    return f'"{host}" = "{scheme}://127.0.0.1:9"\n'


# --- words ----------------------------------------------------------------------------------

BOTH = frozenset({Kind.SPOT, Kind.LINEAR})


def test_a_codec_that_tells_no_problems_is_judged_by_the_rights_alone() -> None:
    fine = Permissions(read=True, trade_spot=True, trade_linear=True, withdraw=False, one_way=True)
    worst = Permissions(
        read=False, trade_spot=False, trade_linear=False, withdraw=True, one_way=False
    )
    assert objections("fourth", fine, BOTH) == []
    found = objections("fourth", worst, BOTH)
    words = ["withdraw", "not read", "not trade spot", "not trade perpetuals", "hedge mode"]
    assert all(word in text for word, text in zip(words, found, strict=True))
    assert len(objections("fourth", worst, frozenset({Kind.SPOT}))) == 3


UNBOUND = {
    "binance": (b'{"ipRestrict": %s, "enableReading": true}', b"false", b"true"),
    "bybit": (b'{"retCode": 0, "result": {"uta": 1, "ips": %s}}', b'["*"]', b'["192.0.2.7"]'),
    "okx": (b'{"code": "0", "data": [{"acctLv": "2", "ip": "%s"}]}', b"", b"192.0.2.7"),
}


@pytest.mark.parametrize("name", VENUES)
def test_a_key_that_is_bound_to_no_address_comes_with_advice_alone(name: str) -> None:
    codec = registry.private_codecs(CONFIG, registry.codecs(CONFIG))[name]
    request, *_ = codec.permissions(KEY, 0)
    body, unbound, bound = UNBOUND[name]
    (hint,) = advice(codec.decode_permissions([(request, body % unbound)]))
    assert hint.startswith("any address may use the key")
    assert advice(codec.decode_permissions([(request, body % bound)])) == []


def test_problems_are_told_without_the_name_that_stands_before_every_line() -> None:
    rights = Permissions(
        read=True,
        trade_spot=True,
        trade_linear=True,
        withdraw=True,
        one_way=True,
        problems=("okx: the key may withdraw: make another", "of its own"),
    )
    assert objections("okx", rights, BOTH) == ["the key may withdraw: make another", "of its own"]


@pytest.mark.parametrize(
    ("rejection", "said"),
    [
        (Rejection.CREDENTIALS, "key refused: 1 no (why)"),
        (Rejection.CLOCK, "time refused: 1 no (why); set this machine's clock (NTP)"),
        (Rejection.RATE, "refused for now: 1 no (why); ask less, and later"),
        (Rejection.OTHER, "refused: 1 no (why)"),
        (None, "refused: 1 no (why)"),
    ],
)
def test_a_refusal_is_named_by_its_class(rejection: Rejection | None, said: str) -> None:
    assert why_refused(rejection, "1 no (why)") == said
