"""What an engine says of keys, accounts and orders that are wrong, and that its other venues go on.

The venue's own errors, over sockets: every refusal is one line with its cause and what to do.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from hftmm.config import Config, EngineConfig, MarketsConfig, PracticeConfig
from hftmm.core.instrument import Kind
from hftmm.desk.commands import Place
from hftmm.sim.binance import BinancePeer
from hftmm.sim.bybit import BybitPeer
from hftmm.sim.ledger import DEMO
from hftmm.sim.market import Market
from hftmm.sim.okx import OkxPeer
from hftmm.sim.okx.trading import TradingOptions
from hftmm.sim.peers import HttpAnswer, HttpQuery, Peer
from hftmm.sim.server import PeerFactory
from hftmm.venues.private import Credentials
from tests.engines import PERP, SPOT
from tests.wired import Wired, wired

VENUES = ("binance", "bybit", "okx")
QUICK = PracticeConfig(lag_ms=tuple((venue, 0) for venue in VENUES))
# A venue that takes no key cannot show that nothing of ours stands there: the end is not to wait.
CONFIG = Config(
    engine=EngineConfig(stop_within_ms=100),
    markets=MarketsConfig(symbols=(PERP, SPOT)),
    practice=QUICK,
)

CHECK = "check the key, its list of addresses, and that it may read and trade"
SET_TWO = "set the two that were made together"
ONE_LINE = {
    ("wrong key", "binance"): rf"key refused: -2015 .*{CHECK}",
    ("wrong key", "bybit"): r"key refused: .* does not know this key .*: copy it anew",
    ("wrong key", "okx"): r"key refused: 60032 .*no such key here: copy it anew",
    ("wrong secret", "binance"): rf"key refused: -1022 .*: {SET_TWO}",
    ("wrong secret", "bybit"): rf"key refused: Error sign.*: {SET_TWO}",
    ("wrong secret", "okx"): rf"key refused: 60007 .*: {SET_TWO}",
    ("wrong passphrase", "okx"): r"key refused: 60024 .*wrong passphrase: set the one",
    ("other address", "binance"): rf"key refused: -2015 .*{CHECK}",
    ("other address", "bybit"): r"key refused: .*not on the key's list: add it",
    ("other address", "okx"): r"key refused: 60009 .*check .*the key's list of addresses",
    ("may not trade", "binance"): r"key: the key may not trade spot: enable spot",
    ("may not trade", "bybit"): r"key: the key may not trade spot: give it that right",
    ("may not trade", "okx"): r"key: the key may not trade: give it the permission",
    ("may withdraw", "binance"): r"key: the key may withdraw: take that right from it",
    ("may withdraw", "bybit"): r"key: the key may withdraw: take that right from it",
    ("may withdraw", "okx"): r"key: the key may withdraw: take that permission from it",
}
KEYS = {
    "wrong key": ("nobody-knows-this-key", DEMO.secret, DEMO.passphrase),
    "wrong secret": (DEMO.key, "not-the-secret", DEMO.passphrase),
    "wrong passphrase": (DEMO.key, DEMO.secret, "not-the-phrase"),
    "other address": ("practice-elsewhere-key", DEMO.secret, DEMO.passphrase),
    "may not trade": ("practice-read-key", DEMO.secret, DEMO.passphrase),
    "may withdraw": ("practice-withdraw-key", DEMO.secret, DEMO.passphrase),
}


def order(engine: Wired, venue: str, size: str = "0.01", market: str = PERP) -> Place:
    """A bid below the market."""
    bid = engine.engine.markets[PERP].book.best_bid
    return Place(venue, market, "buy", str(int(bid * 0.98)), size)


async def check_the_others_trade(engine: Wired, *others: str) -> None:
    """Soon, and not only once a start would have waited long enough for the one that cannot."""
    await engine.armed()
    for venue in others:
        answer = engine.tell(order(engine, venue))
        assert answer.accepted, answer
    standing = ["open"] * len(others)
    await engine.until(
        lambda: [o.state for venue in others for o in engine.trading.live(venue)] == standing
    )


async def check_left_out(engine: Wired, name: str, said: str) -> None:
    """The account is refused in one line; others trade, and an order there is refused with it."""
    account = engine.trading.accounts[name]
    await check_the_others_trade(engine, *(venue for venue in VENUES if venue != name))
    (line,) = engine.log(name)
    assert re.match(said, line), line
    assert account.why == line.removeprefix("key refused: ").removeprefix("key: ")
    answer = engine.tell(order(engine, name))
    assert (answer.accepted, answer.text) == (False, f"account: {account.why}")
    assert not any(secret in line for secret in (DEMO.secret, DEMO.passphrase))


@pytest.mark.parametrize(("what", "name"), ONE_LINE)
async def test_a_key_that_cannot_trade_is_one_line_with_the_remedy(
    what: str, name: str, tmp_path: Path
) -> None:
    keys = {name: Credentials(*KEYS[what])}
    async with wired(CONFIG, tmp_path / "journal.sqlite", keys=keys) as engine:
        await check_left_out(engine, name, ONE_LINE[what, name])


def binance_in_hedge_mode(market: Market, seed: int) -> Peer:
    class Hedging(BinancePeer):
        def request(self, query: HttpQuery, now_ns: int) -> HttpAnswer:
            answer = super().request(query, now_ns)
            body = answer.body.replace(b'"dualSidePosition":false', b'"dualSidePosition":true')
            return msgspec.structs.replace(answer, body=body)

    return Hedging(market, seed)


def okx_with(options: TradingOptions) -> PeerFactory:
    return lambda market, seed: OkxPeer(market, seed, trading=options)


def bybit_that_is_not_unified(market: Market, seed: int) -> Peer:
    peer = BybitPeer(market, seed)
    peer.accounts.unified = False
    return peer


@pytest.mark.parametrize(
    ("name", "peer", "said"),
    [
        (
            "binance",
            binance_in_hedge_mode,
            "key: the futures account is in hedge mode: set its position mode to one-way",
        ),
        ("okx", okx_with(TradingOptions(account_level="1")), "key: the account is in spot mode"),
        (
            "okx",
            okx_with(TradingOptions(position_mode="long_short_mode")),
            "key: the account is in long/short mode: set its position mode to net",
        ),
        ("bybit", bybit_that_is_not_unified, "key: the account is not a unified trading account"),
    ],
    ids=["binance-hedge-mode", "okx-spot-mode", "okx-hedge-mode", "bybit-classic"],
)
async def test_an_account_in_the_wrong_mode_is_one_line_with_the_remedy(
    name: str, peer: PeerFactory, said: str, tmp_path: Path
) -> None:
    async with wired(CONFIG, tmp_path / "journal.sqlite", peers={name: peer}) as engine:
        await check_left_out(engine, name, said)


async def test_a_market_that_only_some_venues_list_is_traded_there(tmp_path: Path) -> None:
    def without(market: Market, seed: int) -> Peer:
        del market.engines["okx", Kind.SPOT, "BTC-USDT"]
        return OkxPeer(market, seed)

    async with wired(CONFIG, tmp_path / "journal.sqlite", peers={"okx": without}) as engine:
        await check_the_others_trade(engine, *VENUES)
        answer = engine.tell(order(engine, "okx", market=SPOT))
        assert (answer.accepted, answer.text) == (False, f"{SPOT} is not traded at okx")
        answer = engine.tell(order(engine, "bybit", market=SPOT))
        assert answer.accepted, answer


async def test_a_venue_that_lists_none_of_the_markets_is_left_out(tmp_path: Path) -> None:
    def without(market: Market, seed: int) -> Peer:
        for key in [key for key in market.engines if key[0] == "okx"]:
            del market.engines[key]
        return OkxPeer(market, seed)

    async with wired(CONFIG, tmp_path / "journal.sqlite", peers={"okx": without}) as engine:
        await check_the_others_trade(engine, "binance", "bybit")
        assert engine.trading.accounts["okx"].why == "none of the markets is traded there"
        for symbol in (PERP, SPOT):
            told = f"no {symbol}: {symbol} is not listed or not trading"
            assert told in engine.log("okx", "warning")


TOO_SMALL = {
    "binance": ("0.00001", r"min_notional: 0\.\d+ against 5\.0+$"),
    "bybit": ("0.000001", r"min_notional: 0\.\d+ against 5$"),
    # The smallest order there is a lot, and less is no multiple of it.
    "okx": ("0.000000005", r"grid: 0\.000000005 against 0\.00000001, not a multiple of the lot$"),
}


@pytest.mark.parametrize("name", VENUES)
async def test_an_order_below_the_minimum_of_its_venue_does_not_leave(
    name: str, tmp_path: Path
) -> None:
    size, said = TOO_SMALL[name]
    async with wired(CONFIG, tmp_path / "journal.sqlite") as engine:
        await engine.armed()
        answer = engine.tell(order(engine, name, size, SPOT))
        assert not answer.accepted
        assert re.match(said, answer.text), answer
        assert engine.engine.orders_sent == 0
